//! Hashes, MACs and the one comparison. This module and its children are all that imports a crypto crate.

pub mod aes;
pub mod rsa;
pub mod signature;

use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha384, Sha512};
use subtle::ConstantTimeEq;

/// The longest tag in bytes: SHA-512.
const MAX_TAG: usize = 64;

/// How a tag is made of a key and the signed parts. A row points at one; what no row names is not linked.
pub struct Algorithm {
    /// As documentation writes it: `HMAC-SHA256`.
    pub name: &'static str,
    /// Length of a tag in bytes.
    pub len: usize,
    compute: fn(key: &[u8], parts: &[&[u8]]) -> Tag,
}

impl Algorithm {
    /// The tag over the parts, one after another.
    pub fn compute(&self, key: &[u8], parts: &[&[u8]]) -> Tag {
        (self.compute)(key, parts)
    }
}

/// HMAC with SHA-256, RFC 2104 and FIPS 180-4.
pub static HMAC_SHA256: Algorithm = Algorithm { name: "HMAC-SHA256", len: 32, compute: hmac::<Hmac<Sha256>> };
/// HMAC with SHA-1, RFC 2104. Only for what offers nothing better.
pub static HMAC_SHA1: Algorithm = Algorithm { name: "HMAC-SHA1", len: 20, compute: hmac::<Hmac<Sha1>> };
/// HMAC with SHA-1 whose key is the SHA-1 of the secret, 20 bytes.
pub static HMAC_SHA1_HASHED_KEY: Algorithm =
    Algorithm { name: "HMAC-SHA1", len: 20, compute: hmac_sha1_hashed_key };
/// HMAC with SHA-384, RFC 2104 and FIPS 180-4.
pub static HMAC_SHA384: Algorithm = Algorithm { name: "HMAC-SHA384", len: 48, compute: hmac::<Hmac<Sha384>> };
/// HMAC with SHA-512, RFC 2104 and FIPS 180-4.
pub static HMAC_SHA512: Algorithm = Algorithm { name: "HMAC-SHA512", len: 64, compute: hmac::<Hmac<Sha512>> };
/// Plain SHA-256 over a concatenation that holds the key as one of its parts. The key argument is not used.
pub static SHA256: Algorithm = Algorithm { name: "SHA-256", len: 32, compute: digest::<Sha256> };
/// Plain SHA-1 over a concatenation that holds the key as one of its parts. The key argument is not used. Only for what
/// offers nothing better.
pub static SHA1: Algorithm = Algorithm { name: "SHA-1", len: 20, compute: digest::<Sha1> };

/// A MAC or digest. It has no `==`: tags are compared with [`same`] alone.
pub struct Tag {
    bytes: [u8; MAX_TAG],
    len: usize,
}

impl Tag {
    fn new(computed: &[u8]) -> Tag {
        let mut tag = Tag { bytes: [0; MAX_TAG], len: computed.len() };
        for (to, from) in tag.bytes.iter_mut().zip(computed) {
            *to = *from;
        }
        tag
    }

    /// The bytes of the tag.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// Whether two byte strings are equal, in time that does not depend on where they differ. An empty one equals nothing.
pub fn same(a: &[u8], b: &[u8]) -> bool {
    !a.is_empty() && bool::from(a.ct_eq(b))
}

/// [`same`] for values of secret length, such as tokens: digests are compared, so that the length shows in nothing.
pub fn same_text(a: &[u8], b: &[u8]) -> bool {
    !a.is_empty() && !b.is_empty() && same(&Sha256::digest(a), &Sha256::digest(b))
}

/// SHA-256 of the parts, one after another, in lower-case hex.
pub fn sha256_hex(parts: &[&[u8]]) -> String {
    hex::encode(digest::<Sha256>(&[], parts).bytes())
}

fn digest<D: Digest>(_key: &[u8], parts: &[&[u8]]) -> Tag {
    let mut hash = D::new();
    for part in parts {
        hash.update(part);
    }
    Tag::new(&hash.finalize())
}

fn hmac_sha1_hashed_key(key: &[u8], parts: &[&[u8]]) -> Tag {
    hmac::<Hmac<Sha1>>(&Sha1::digest(key), parts)
}

fn hmac<M: Mac + KeyInit>(key: &[u8], parts: &[&[u8]]) -> Tag {
    // HMAC takes keys of any length; a tag of no bytes equals nothing.
    let Ok(mut mac) = <M as KeyInit>::new_from_slice(key) else { return Tag::new(&[]) };
    for part in parts {
        mac.update(part);
    }
    Tag::new(&mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_equals_the_empty_text() {
        assert!(!same(b"", b""));
        assert!(!same_text(b"", b""));
        assert!(!same(b"a", b""));
        assert!(same(b"a", b"a"));
        assert!(same_text(b"ab", b"ab"));
        assert!(!same_text(b"ab", b"abc"));
    }
}
