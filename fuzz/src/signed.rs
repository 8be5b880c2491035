//! What each provider signs, from its documentation, and whether a call carries that signature. As strict as the
//! documents allow: one spelling of a signature, one of a time.

use crate::tree::{self, Node};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// How far a signed time may be from ours, in seconds: what Stripe and Slack document.
const WINDOW: u64 = 300;

/// Headers as AWS hands them over: lower-case names, repeated ones joined with a comma.
pub type Headers = BTreeMap<String, String>;

/// Joins headers in the order sent.
pub fn joined(headers: &[(String, String)]) -> Headers {
    let mut all = Headers::new();
    for (name, value) in headers {
        all.entry(name.to_ascii_lowercase())
            .and_modify(|before| {
                before.push(',');
                before.push_str(value);
            })
            .or_insert_with(|| value.clone());
    }
    all
}

/// RFC 2104 with SHA-256.
pub fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// SHA-256 in lower-case hex.
pub fn sha256(parts: &[&[u8]]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hex::encode(hash.finalize())
}

/// `X-Hub-Signature-256` of GitHub and Meta.
pub fn hub(headers: &Headers, body: &[u8], keys: &[&str]) -> bool {
    let value = headers.get("x-hub-signature-256");
    keys.iter().any(|key| value == Some(&format!("sha256={}", hex::encode(hmac(key.as_bytes(), &[body])))))
}

/// `Stripe-Signature`: one `t`, at least one right `v1`.
pub fn stripe(headers: &Headers, body: &[u8], keys: &[&str], now: i64) -> bool {
    let Some(value) = headers.get("stripe-signature") else { return false };
    let pairs: Vec<(&str, &str)> = value.split(',').filter_map(|pair| pair.split_once('=')).collect();
    let times: Vec<&str> = pairs.iter().filter(|(name, _)| *name == "t").map(|(_, value)| *value).collect();
    let [time] = times.as_slice() else { return false };
    let right = |key: &&str| ("v1", hex::encode(hmac(key.as_bytes(), &[time.as_bytes(), b".", body])));
    is_fresh(time, now) && keys.iter().map(right).any(|(name, tag)| pairs.contains(&(name, tag.as_str())))
}

/// `X-Slack-Signature` with `X-Slack-Request-Timestamp`.
pub fn slack(headers: &Headers, body: &[u8], keys: &[&str], now: i64) -> bool {
    let Some(time) = headers.get("x-slack-request-timestamp") else { return false };
    let value = headers.get("x-slack-signature");
    is_fresh(time, now)
        && keys.iter().any(|key| {
            let tag = hmac(key.as_bytes(), &[b"v0:", time.as_bytes(), b":", body]);
            value == Some(&format!("v0={}", hex::encode(tag)))
        })
}

/// Both of Shopify's headers: each that is there is right, and one is there.
pub fn shopify(headers: &Headers, body: &[u8], keys: &[&str]) -> bool {
    let tags: Vec<String> =
        keys.iter().map(|key| BASE64_STANDARD.encode(hmac(key.as_bytes(), &[body]))).collect();
    let mut values = ["x-shopify-hmac-sha256", "shopify-hmac-sha256"]
        .iter()
        .filter_map(|name| headers.get(*name))
        .peekable();
    values.peek().is_some() && values.all(|value| tags.contains(value))
}

/// `X-ZEvent-Signature`: a digest over app id, body, the body's own time and the secret.
pub fn zalo(headers: &Headers, body: &[u8], app_id: &str, keys: &[&str]) -> bool {
    let (Some(value), Some(time)) = (headers.get("x-zevent-signature"), zalo_time(body)) else {
        return false;
    };
    keys.iter().any(|key| {
        let tag = sha256(&[app_id.as_bytes(), body, time.as_bytes(), key.as_bytes()]);
        *value == tag || *value == format!("mac={tag}")
    })
}

/// The member `timestamp` of a body, as it is spelled.
pub fn zalo_time(body: &[u8]) -> Option<String> {
    let tree = tree::parse(std::str::from_utf8(body).ok()?)?;
    let value = tree.member("timestamp")?;
    match &value.node {
        Node::Text(text) if text.whole => Some(text.text.clone()),
        Node::Plain => Some(value.raw.to_owned()),
        _ => None,
    }
}

/// Whether a call is none that its provider sends, however well it is signed: a payload of Braintree in the shape of a
/// challenge, a body of X's in that shape, a call of Microsoft Graph without notifications, one of Teams without a body.
pub fn is_no_event(provider: &str, body: &[u8]) -> bool {
    let text = std::str::from_utf8(body).unwrap_or_default();
    match provider {
        "braintree" => {
            let payload = text.rsplit("bt_payload=").next().unwrap_or_default();
            let hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
            payload.is_empty() || ((20..=32).contains(&payload.len()) && payload.bytes().all(hex))
        }
        "x" => {
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._~+/=-".contains(&byte);
            (1..=128).contains(&text.len()) && text.bytes().all(legal)
        }
        "msteams" => body.is_empty(),
        "msgraph" => {
            let tree = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text));
            tree.is_none_or(|tree| tree.member("value").is_none_or(|list| list.elements().is_empty()))
        }
        _ => false,
    }
}

/// Unix seconds in the one spelling that a sender writes, near enough to ours.
fn is_fresh(time: &str, now: i64) -> bool {
    time.parse::<i64>()
        .is_ok_and(|signed| signed >= 0 && signed.to_string() == time && signed.abs_diff(now) <= WINDOW)
}
