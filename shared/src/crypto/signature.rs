//! Signatures that are made with a private key and checked with its public half, by ring, which TLS links already.
//!
//! Both checks are strict: an Ed25519 signature has one spelling (RFC 8032, section 5.1.7), and one of ECDSA is DER and
//! nothing that merely reads like it. That a second signature follows from one of ECDSA without the key (the negative of
//! `s`) is in its nature, and genuine senders use both.

use crate::sample::TrialKey;
use ring::agreement::{self, ECDH_P256, EphemeralPrivateKey};
use ring::rand::SystemRandom;
use ring::signature::{
    self, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair,
    UnparsedPublicKey, VerificationAlgorithm,
};
use std::ops::RangeInclusive;

/// How a signature is checked with a public key. A row points at one; what no row names is not linked.
pub struct Algorithm {
    /// As documentation writes it: `Ed25519`.
    pub name: &'static str,
    /// The throw-away key that signs samples.
    pub trial: TrialKey,
    /// What a SubjectPublicKeyInfo (RFC 5280) in DER has before the key's own bytes, for this kind of key alone.
    spki: &'static [u8],
    /// Length of a key in bytes.
    len: usize,
    /// Lengths of a signature in bytes.
    signature: RangeInclusive<usize>,
    /// What is wrong with a key of that length, as far as its bytes show it.
    unsound: fn(&[u8]) -> Option<&'static str>,
    /// The same, with arithmetic that is done only when settings are read: the check of a signature does it too.
    invalid: fn(&[u8]) -> Option<&'static str>,
    verification: &'static dyn VerificationAlgorithm,
}

/// Ed25519, RFC 8032. A key is 32 bytes and a signature 64.
pub static ED25519_SHA512: Algorithm = Algorithm {
    name: "Ed25519",
    trial: TrialKey::Ed25519,
    // RFC 8410, section 10.1.
    spki: b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00",
    len: 32,
    signature: 64..=64,
    unsound: small_order,
    invalid: |_| None,
    verification: &ED25519,
};

/// ECDSA with P-256 and SHA-256, FIPS 186-5. A key is an uncompressed point and a signature DER, RFC 3279.
pub static ECDSA_P256_SHA256: Algorithm = Algorithm {
    name: "ECDSA P-256",
    trial: TrialKey::P256,
    // RFC 5480, section 2.
    spki: b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00",
    len: 65,
    // Two numbers of one to 33 bytes.
    signature: 8..=72,
    unsound: |key| (!key.starts_with(&[4])).then_some("is no uncompressed point"),
    invalid: outside_p256,
    verification: &ECDSA_P256_SHA256_ASN1,
};

/// A public key. It can be made only of bytes that are sound for its algorithm.
pub struct PublicKey {
    algorithm: &'static Algorithm,
    bytes: Vec<u8>,
}

impl Algorithm {
    /// Whether so many bytes can be a signature.
    pub fn fits(&self, signature: &[u8]) -> bool {
        self.signature.contains(&signature.len())
    }
}

impl PublicKey {
    /// A key of its own bytes, or what is wrong with them.
    pub fn raw(algorithm: &'static Algorithm, bytes: &[u8]) -> Result<PublicKey, &'static str> {
        if bytes.len() != algorithm.len {
            return Err("is not as long as such a key");
        }
        match (algorithm.unsound)(bytes) {
            None => Ok(PublicKey { algorithm, bytes: bytes.to_vec() }),
            Some(what) => Err(what),
        }
    }

    /// A key of a SubjectPublicKeyInfo in DER, or what is wrong with it.
    pub fn spki(algorithm: &'static Algorithm, der: &[u8]) -> Result<PublicKey, &'static str> {
        PublicKey::raw(algorithm, der.strip_prefix(algorithm.spki).ok_or("is no key of the right kind")?)
    }

    /// The key's own bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What is wrong with a sound key, for whoever has the time to look: nothing was ever signed with such a one.
    pub fn invalid(&self) -> Option<&'static str> {
        (self.algorithm.invalid)(&self.bytes)
    }

    /// Whether a signature over a message was made with its private half.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(self.algorithm.verification, &self.bytes).verify(message, signature).is_ok()
    }
}

/// Under a key of small order, and there are eight such points, one signature does for many messages or all; nobody has its private half.
fn small_order(key: &[u8]) -> Option<&'static str> {
    // The points' y coordinates, in little-endian order and without the sign of x, which is the highest bit.
    const Y: [[u8; 32]; 5] = [
        *b"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        *b"\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        *b"\x26\xe8\x95\x8f\xc2\xb2\x27\xb0\x45\xc3\xf4\x89\xf2\xef\x98\xf0\xd5\xdf\xac\x05\xd3\xc6\x33\x39\xb1\x38\x02\x88\x6d\x53\xfc\x05",
        *b"\xc7\x17\x6a\x70\x3d\x4d\xd8\x4f\xba\x3c\x0b\x76\x0d\x10\x67\x0f\x2a\x20\x53\xfa\x2c\x39\xcc\xc6\x4e\xc7\xfd\x77\x92\xac\x03\x7a",
        *b"\xec\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    ];
    let mut y: [u8; 32] = key.try_into().ok()?;
    if let Some(highest) = y.last_mut() {
        *highest &= 0x7f;
    }
    // 2^255 - 19 and what is above it are second spellings of the smallest coordinates.
    let [lowest, middle @ .., highest] = y;
    if lowest >= 0xed && highest == 0x7f && middle.iter().all(|byte| *byte == 0xff) {
        return Some("is not canonical");
    }
    Y.contains(&y).then_some("is of small order: anybody can sign for it")
}

/// Key agreement is what shows whether a point lies on the curve: ring looks at the other side's key first.
fn outside_p256(key: &[u8]) -> Option<&'static str> {
    let ours = EphemeralPrivateKey::generate(&ECDH_P256, &SystemRandom::new()).ok()?;
    let theirs = agreement::UnparsedPublicKey::new(&ECDH_P256, key);
    agreement::agree_ephemeral(ours, &theirs, |_| ()).err().map(|_| "is no point of the curve")
}

/// Signs with Ed25519. For samples: no function does it.
pub fn sign_ed25519(seed: &[u8; 32], message: &[u8]) -> Option<Vec<u8>> {
    Some(Ed25519KeyPair::from_seed_unchecked(seed).ok()?.sign(message).as_ref().to_vec())
}

/// Signs with ECDSA, with a private key and its public half as a SubjectPublicKeyInfo. For samples: no function does it.
pub fn sign_p256(private: &[u8; 32], spki: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let public = spki.strip_prefix(ECDSA_P256_SHA256.spki)?;
    let random = SystemRandom::new();
    let algorithm: &'static signature::EcdsaSigningAlgorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
    let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, private, public, &random).ok()?;
    Some(pair.sign(&random, message).ok()?.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why such keys are refused: ring itself takes them, and then any message passes under one signature.
    #[test]
    fn a_key_of_small_order_would_let_everything_pass() {
        // The neutral point as the key and in the signature, whose other half is zero.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let signature = [neutral, [0; 32]].concat();
        for message in [&b"one"[..], b"another"] {
            assert!(UnparsedPublicKey::new(&ED25519, neutral).verify(message, &signature).is_ok());
        }
        assert!(PublicKey::raw(&ED25519_SHA512, &neutral).is_err());
    }
}
