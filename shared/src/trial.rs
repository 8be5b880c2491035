//! Throw-away private keys for local trials: of the rows whose settings hold a public key, nobody but the provider can
//! sign, so samples are signed with these.
//!
//! Everybody can read them here. Settings with their public halves therefore let everybody in: a function refuses them
//! ([`crate::settings::Weight::Local`]). Functions do not link what signs: only [`crate::sample::signed`] points at it.

pub mod rsa;

use crate::crypto::signature::{self, ECDSA_P256_SHA256, ED25519_SHA512, PublicKey};
use crate::sample::TrialKey;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// The public half of the Ed25519 key in hex.
pub const ED25519: &str = "03daf48fb5ada8cb77b16948302fa9f8948f267077ae122ead3f543c22bf81ce";
/// The public half of the P-256 key: a SubjectPublicKeyInfo in DER, in base64.
pub const P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEdene6mkArDOl3ln4as97MYjrjXrt4k1Hxo1HNjXNsqfd2EHG+29M4bxeAMZvB1hh2bsnk5wRqbD7qe3tE/2xbA==";

/// Any 32 bytes are a private key of Ed25519, and nearly any of P-256.
const PRIVATE: &[u8; 32] = b"throw-away key of local trials!!";
/// Somebody else's, for forgeries.
const STRANGER: &[u8; 32] = b"throw-away key of a stranger!!!!";
/// The public half of the stranger's P-256 key.
const STRANGER_P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKAwQI12zTbr/cmwUUQRmJoza5j3WdpQJUDb1fQQkQLtVqVbxYZpYQ/ET/PmhmlmjBPAqnDDoHvRDr+1Eey7xSA==";

/// Signs a message with the key of that kind, if there is one.
pub fn sign(key: TrialKey, message: &[u8]) -> Option<Vec<u8>> {
    sign_with(PRIVATE, P256, rsa::sign, key, message)
}

/// The same by a stranger, whose public half is in no settings.
pub fn sign_as_stranger(key: TrialKey, message: &[u8]) -> Option<Vec<u8>> {
    sign_with(STRANGER, STRANGER_P256, rsa::sign_as_stranger, key, message)
}

fn sign_with(
    private: &[u8; 32],
    p256: &str,
    rsa: fn(&[u8]) -> Option<Vec<u8>>,
    key: TrialKey,
    message: &[u8],
) -> Option<Vec<u8>> {
    match key {
        TrialKey::Ed25519 => signature::sign_ed25519(private, message),
        TrialKey::P256 => signature::sign_p256(private, &BASE64_STANDARD.decode(p256).ok()?, message),
        TrialKey::Rsa => rsa(message),
    }
}

/// The public half of the key of that kind, where it is no set of keys ([`rsa::JWKS`]).
pub fn public_key(key: TrialKey) -> Option<PublicKey> {
    match key {
        TrialKey::Ed25519 => PublicKey::raw(&ED25519_SHA512, &hex::decode(ED25519).ok()?).ok(),
        TrialKey::P256 => PublicKey::spki(&ECDSA_P256_SHA256, &BASE64_STANDARD.decode(P256).ok()?).ok(),
        TrialKey::Rsa => None,
    }
}

/// Whether a setting's text is the public half of one of these keys, as rows give it for an example.
pub fn is_public_half(text: &str) -> bool {
    [ED25519, P256].contains(&text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_its_public_half_alone() {
        for key in [TrialKey::Ed25519, TrialKey::P256] {
            let public = public_key(key).unwrap();
            assert_eq!(public.invalid(), None);
            assert!(public.verifies(b"message", &sign(key, b"message").unwrap()));
            assert!(!public.verifies(b"another", &sign(key, b"message").unwrap()));
            assert!(!public.verifies(b"message", &sign_as_stranger(key, b"message").unwrap()));
        }
    }
}
