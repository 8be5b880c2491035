//! RSA signatures with PKCS #1 v1.5 padding and SHA-256, which JWTs call `RS256` (RFC 7518, section 3.3), by ring.

use ring::rand::SystemRandom;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use std::fmt;

/// The length of a modulus in bytes: 2048 to 4096 bits. Below that it can be factored; above it a check takes long.
const MODULUS: std::ops::RangeInclusive<usize> = 256..=512;
/// The longest public exponent in bytes. Those in use have three.
const MAX_EXPONENT: usize = 4;

/// A public key.
#[derive(Clone, PartialEq, Eq)]
pub struct RsaKey {
    modulus: Vec<u8>,
    exponent: Vec<u8>,
}

impl RsaKey {
    /// A key of a modulus and an exponent, unsigned and with the most significant byte first. `None` for a modulus that
    /// is even, or has less than 2048 or more than 4096 bits, and for an exponent that is even, 1, or longer than four
    /// bytes. Neither begins with a zero.
    pub fn new(modulus: Vec<u8>, exponent: Vec<u8>) -> Option<RsaKey> {
        let is_odd = |number: &[u8]| number.last().is_some_and(|byte| byte % 2 == 1);
        let is_whole = |number: &[u8]| number.first().is_some_and(|byte| *byte != 0);
        let fits = MODULUS.contains(&modulus.len()) && exponent.len() <= MAX_EXPONENT;
        // A modulus of 256 bytes whose first bit is 0 has 2047 bits.
        let is_long = modulus.len() > *MODULUS.start() || modulus.first().is_some_and(|byte| *byte >= 0x80);
        let sound = fits && is_long && [&modulus, &exponent].into_iter().all(|n| is_odd(n) && is_whole(n));
        (sound && exponent != [1]).then_some(RsaKey { modulus, exponent })
    }

    /// Whether this key's owner signed the message. A signature has exactly the length of the modulus.
    pub fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        let key = RsaPublicKeyComponents { n: &self.modulus, e: &self.exponent };
        key.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).is_ok()
    }
}

impl fmt::Debug for RsaKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaKey").field("bits", &(self.modulus.len() * 8)).finish_non_exhaustive()
    }
}

/// Signs a message with a private key, PKCS #8 in DER. `None` where it is no such key.
pub fn sign(pkcs8: &[u8], message: &[u8]) -> Option<Vec<u8>> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8).ok()?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
    Some(signature)
}
