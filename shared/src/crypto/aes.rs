//! AES-256 in CBC mode (FIPS 197, NIST SP 800-38A) with the padding of PKCS #7 (RFC 5652, section 6.3), and randomness for
//! what is encrypted here.
//!
//! CBC says nothing of who made a ciphertext. Whoever decrypts has checked a signature over it before, or tells nobody how
//! it went.

use aes::Aes256;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeDecrypt, BlockModeEncrypt, KeyIvInit};
use cbc::{Decryptor, Encryptor};
use ring::rand::{SecureRandom, SystemRandom};
use zeroize::Zeroizing;

/// Bytes of a block, and of an initialisation vector.
pub const BLOCK: usize = 16;
/// Bytes of a key.
pub const KEY: usize = 32;

/// A key. It is wiped when dropped.
pub type Key = Zeroizing<[u8; KEY]>;

/// The text of a ciphertext. `padded_to` is what the length of the padded text is a multiple of: 16, as PKCS #7 has it for
/// AES, or a multiple of that, up to 240.
///
/// `None` for a length that no ciphertext has, and for any padding but the one right one.
pub fn decrypt(key: &Key, iv: &[u8; BLOCK], ciphertext: &[u8], padded_to: usize) -> Option<Vec<u8>> {
    if ciphertext.is_empty() || !ciphertext.len().is_multiple_of(BLOCK) {
        return None;
    }
    let cipher = Decryptor::<Aes256>::new((&**key).into(), iv.into());
    let mut text = cipher.decrypt_padded_vec::<NoPadding>(ciphertext).ok()?;
    let length = usize::from(*text.last()?);
    let start = text.len().checked_sub(length)?;
    let padding = text.get(start..)?;
    let right = padding.iter().fold(true, |right, byte| right & (usize::from(*byte) == length));
    if !right || length == 0 || length > padded_to || !text.len().is_multiple_of(padded_to) {
        return None;
    }
    text.truncate(start);
    Some(text)
}

/// The ciphertext of a text; see [`decrypt`].
pub fn encrypt(key: &Key, iv: &[u8; BLOCK], text: &[u8], padded_to: usize) -> Vec<u8> {
    let length = padded_to - text.len() % padded_to;
    let mut padded = Zeroizing::new(Vec::with_capacity(text.len() + length));
    padded.extend_from_slice(text);
    padded.resize(text.len() + length, u8::try_from(length).unwrap_or_default());
    Encryptor::<Aes256>::new((&**key).into(), iv.into()).encrypt_padded_vec::<NoPadding>(&padded)
}

/// Bytes that nobody can foretell, from the operating system; `None` where it has none.
pub fn random<const N: usize>() -> Option<[u8; N]> {
    let mut bytes = [0; N];
    SystemRandom::new().fill(&mut bytes).ok()?;
    Some(bytes)
}
