//! The RSA keys of local trials: throw-away, published in this repository, good for nothing else.

use crate::crypto;
use crate::keys::KeySet;

/// The id that tokens name it by.
pub const ID: &str = "throw-away-key-of-local-trials";

/// Its public half as a JWK set.
pub const JWKS: &str = r#"{"keys":[{"kty":"RSA","use":"sig","alg":"RS256","kid":"throw-away-key-of-local-trials","e":"AQAB","n":"2lfi57Mg4i6PYXspwWZTdlfv4Gg1CURt4gveX2ApKstQpJaAJrQMlXqtBDK1M8f9gXD9wGMbXBDmo3IImU-yq1bzk8TytbdKpbbUwjfi7MyH7YVtpDYCs3bRLO3jiStdkVXuO18hJprGp3ZK9aBuXBhMd_0xRJCXgu-1QWNTBhTGdgK0iDOL7nmcdFetQRaLpfDp0IhZ_jd2LxcFVgR_wQpSR5IQk_A6jlZhJNOHHHItCeVlysU1FhHD3fGvxYeHIWgh5Q8fP_pvaPSQxOrKiZ2hDA-b8bWKZjkSNVWo6W3q3ZrI0vkn2UaNpp4m3DdQHEO7JPbbZnElV2-5NNf0Xw"}]}"#;

/// Whether this public half is among the keys.
pub fn is_among(keys: &KeySet) -> bool {
    let ours = serde_json::from_str(JWKS).ok().and_then(|set| KeySet::read(&set));
    ours.is_some_and(|ours| ours.of(ID).any(|ours| keys.of(ID).any(|key| key == ours)))
}

/// PKCS #8 in DER.
const PRIVATE: &[u8] = include_bytes!("throw-away-rsa-2048.pk8");
/// Somebody else's, for forgeries.
const STRANGER: &[u8] = include_bytes!("throw-away-rsa-2048-stranger.pk8");

/// Signs a message by RS256.
pub(super) fn sign(message: &[u8]) -> Option<Vec<u8>> {
    crypto::rsa::sign(PRIVATE, message)
}

/// The same by a stranger, whose public half is in no settings.
pub(super) fn sign_as_stranger(message: &[u8]) -> Option<Vec<u8>> {
    crypto::rsa::sign(STRANGER, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_that_of_the_published_half_alone() {
        let keys = KeySet::read(&serde_json::from_str(JWKS).unwrap()).unwrap();
        let key = keys.of(ID).next().unwrap();
        assert!(key.verifies(b"message", &sign(b"message").unwrap()));
        assert!(!key.verifies(b"another", &sign(b"message").unwrap()));
        assert!(!key.verifies(b"message", &sign_as_stranger(b"message").unwrap()));
        assert!(is_among(&keys));
        let other = JWKS.replace("\"n\":\"", "\"n\":\"_");
        assert!(!KeySet::read(&serde_json::from_str(&other).unwrap()).is_some_and(|keys| is_among(&keys)));
    }
}
