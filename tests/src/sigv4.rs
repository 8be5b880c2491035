//! AWS Signature Version 4: checks that what arrives at a double carries the right one of the throw-away credentials,
//! and makes it for the requests to the emulator.

use crate::http::Call;
use crate::lambda::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use sha2::{Digest, Sha256};
use std::collections::HashMap;

/// `Err` says which part of the signature is wrong.
///
/// The signed time is not compared with ours: a function may run under a clock of the test's choosing.
pub(crate) fn check(call: &Call, service: &str) -> Result<(), &'static str> {
    let authorization = call.header("authorization");
    let fields =
        authorization.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("no AWS4-HMAC-SHA256 authorization")?;
    let fields: HashMap<_, _> = fields.split(',').filter_map(|f| f.trim().split_once('=')).collect();
    let credential = fields.get("Credential").ok_or("no Credential")?;
    let signed_headers = fields.get("SignedHeaders").ok_or("no SignedHeaders")?;
    let signature = fields.get("Signature").ok_or("no Signature")?;

    let (key_id, scope) = credential.split_once('/').ok_or("no scope")?;
    let parts: Vec<&str> = scope.split('/').collect();
    let [date, region, of_service, "aws4_request"] = parts.as_slice() else { return Err("malformed scope") };
    let time = call.header("x-amz-date");
    if key_id != ACCESS_KEY_ID {
        return Err("not the test's access key");
    }
    if *of_service != service {
        return Err("scope of another service");
    }
    if !time.starts_with(*date) {
        return Err("scope of another day");
    }
    if !signed_headers.split(';').any(|name| name == "host") {
        return Err("host is not signed");
    }
    let headers: Vec<_> = signed_headers.split(';').map(|name| (name, call.header(name))).collect();
    let body = hex::encode(Sha256::digest(&call.body));
    let right = signature_of(
        SECRET_ACCESS_KEY,
        &call.method,
        &call.target,
        &headers,
        &body,
        time,
        [date, region, of_service],
    );
    if right == *signature { Ok(()) } else { Err("the signature does not match") }
}

/// The names of the headers that a call has signed.
pub(crate) fn signed_headers(call: &Call) -> Vec<&str> {
    let (_, rest) = call.header("authorization").split_once("SignedHeaders=").unwrap_or_default();
    rest.split(',').next().unwrap_or_default().split(';').collect()
}

/// Who signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    pub id: String,
    pub secret: String,
}

impl Key {
    /// The one that functions get and the doubles know.
    pub fn throw_away() -> Key {
        Key { id: ACCESS_KEY_ID.into(), secret: SECRET_ACCESS_KEY.into() }
    }
}

/// The headers that sign a request in `us-east-1`, now; those given are signed with it. Path and query of the
/// target have to be percent-encoded already, as the signature wants it.
pub(crate) fn sign(
    key: &Key,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body: &[u8],
    service: &str,
) -> Vec<(&'static str, String)> {
    let time = Timestamp::now().strftime("%Y%m%dT%H%M%SZ").to_string();
    let date = time.split('T').next().unwrap_or_default();
    let body = hex::encode(Sha256::digest(body));
    let own = [("x-amz-content-sha256", body.as_str()), ("x-amz-date", time.as_str())];
    let mut signed: Vec<(&str, &str)> = headers.iter().copied().chain(own).collect();
    signed.sort_unstable();
    let names: Vec<&str> = signed.iter().map(|(name, _)| *name).collect();
    let signature =
        signature_of(&key.secret, method, target, &signed, &body, &time, [date, "us-east-1", service]);
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential={}/{date}/us-east-1/{service}/aws4_request, \
         SignedHeaders={}, Signature={signature}",
        key.id,
        names.join(";")
    );
    vec![("authorization", authorization), ("x-amz-content-sha256", body), ("x-amz-date", time)]
}

/// `scope` is date, region and service; the headers are sorted by their lower-case names.
fn signature_of(
    secret: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
    body_sha256: &str,
    time: &str,
    scope: [&str; 3],
) -> String {
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut parameters: Vec<&str> = query.split('&').collect();
    parameters.sort_unstable();
    let query = parameters.join("&");
    let names: Vec<&str> = headers.iter().map(|(name, _)| *name).collect();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{}\n{body_sha256}", names.join(";"));
    let canonical = hex::encode(Sha256::digest(canonical.as_bytes()));
    let [date, region, service] = scope;
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{date}/{region}/{service}/aws4_request\n{canonical}");
    let first = format!("AWS4{secret}").into_bytes();
    let key = [date, region, service, "aws4_request"].iter().fold(first, |key, part| mac(&key, part));
    hex::encode(mac(&key, &to_sign))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
