//! Public keys that a provider publishes: reading a JWK set (RFC 7517), fetching it, and keeping it.
//!
//! A set is fetched from the one URL that stands in the row, never from anywhere that a call names, and no redirect is
//! followed. `HOOKGATE_KEYS_URL` names a mirror for functions that reach nothing else: `https://HOST/PATH` is then fetched
//! as `$HOOKGATE_KEYS_URL/HOST/PATH`. What is fetched is bounded in size and time, and fetched at most once at a time.
//!
//! Only a row that points at a [`Remote`] has the code for it, and the public certificate authorities, in its function.

use crate::aws;
use crate::crypto::rsa::RsaKey;
use crate::error::Fault;
use crate::settings::Moment;
use aws_smithy_runtime_api::client::http::HttpConnector as _;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use lambda_http::http;
use serde_json::Value;
use std::env;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use webpki_root_certs::TLS_SERVER_ROOT_CERTS;

/// The largest key set in bytes. Those of Google and Microsoft have 1 to 20 KiB.
const MAX_SET: usize = 256 * 1024;
/// The most keys of a set that are looked at.
const MAX_KEYS: usize = 100;
/// How long a fetch may take, whole.
const FETCH: Duration = Duration::from_secs(2);
/// The part of the call's time that it may take at most: the events need the rest.
const SHARE: u32 = 2;
/// For a connection: name look-up, TCP and TLS, perhaps to another continent.
const CONNECT: Duration = Duration::from_millis(1500);
/// How long a set is used where its server says nothing of that.
const USUAL: Duration = Duration::from_secs(60 * 60);
/// The shortest and the longest that a set is used, whatever its server says.
const LEAST: Duration = Duration::from_secs(5 * 60);
const MOST: Duration = Duration::from_secs(24 * 60 * 60);
/// For how long after that a set serves on while no newer one can be had.
const STALE: Duration = Duration::from_secs(24 * 60 * 60);
/// A set that lacks a key is not fetched again sooner: anybody can name keys that do not exist.
const PAUSE: Duration = Duration::from_secs(30);
/// A fetch that failed is not repeated sooner.
const PAUSE_AFTER_FAILURE: Duration = Duration::from_secs(5);

/// A set of public keys, each with the id that tokens name it by.
#[derive(Debug, Clone, Default)]
pub struct KeySet {
    keys: Vec<(String, RsaKey)>,
}

impl KeySet {
    /// The keys of a JWK set that check RS256: type RSA, with an id, and meant for nothing else. `None` where there are
    /// none, or it is no JWK set.
    pub fn read(set: &Value) -> Option<KeySet> {
        let keys: Vec<_> = set.get("keys")?.as_array()?.iter().take(MAX_KEYS).filter_map(key).collect();
        (!keys.is_empty()).then_some(KeySet { keys })
    }

    /// The keys of that id: one, unless the set has it twice.
    pub fn of<'k>(&'k self, id: &str) -> impl Iterator<Item = &'k RsaKey> {
        self.keys.iter().filter(move |(name, _)| name == id).map(|(_, key)| key)
    }
}

/// A JWK (RFC 7517, section 4, and RFC 7518, section 6.3) with its id.
fn key(jwk: &Value) -> Option<(String, RsaKey)> {
    let text = |name| jwk.get(name).and_then(Value::as_str);
    let is = |name, value| jwk.get(name).is_none_or(|found| found == value);
    let checks = |operations: &Value| {
        operations.as_array().is_some_and(|all| all.iter().any(|operation| operation == "verify"))
    };
    let fits = is("kty", "RSA") && is("use", "sig") && is("alg", "RS256");
    if !fits || !jwk.get("key_ops").is_none_or(checks) {
        return None;
    }
    let number = |name| BASE64_URL_SAFE_NO_PAD.decode(text(name)?).ok();
    Some((text("kid")?.to_owned(), RsaKey::new(number("n")?, number("e")?)?))
}

/// What the gate knows of keys that are published.
pub trait RemoteKeys: Sync {
    /// Fetches the keys, unless that was tried a moment ago. `Ok` says that what is known now is as good as can be had;
    /// a fault, that a key that is missing may exist all the same.
    fn renew(&self, until: Instant) -> Renewing<'_>;
}

/// See [`RemoteKeys::renew`].
pub type Renewing<'r> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'r>>;

/// The keys at a URL, kept from call to call.
pub struct Remote {
    url: &'static str,
    state: Mutex<State>,
    /// Held by who fetches: all others wait for what he gets.
    fetching: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    set: Option<Kept>,
    tried: Option<Tried>,
}

struct Kept {
    keys: Arc<KeySet>,
    since: Moment,
    fresh_for: Duration,
}

struct Tried {
    at: Moment,
    fault: Option<Fault>,
}

impl State {
    /// Why there is no fetching now, if it was tried a moment ago.
    fn pausing(&self) -> Option<Result<(), Fault>> {
        let tried = self.tried.as_ref()?;
        let pause = if tried.fault.is_some() { PAUSE_AFTER_FAILURE } else { PAUSE };
        (tried.at.age() < pause).then(|| tried.fault.map_or(Ok(()), Err))
    }

    /// The set, while it may be used: until it is too old, and somewhat longer where a newer one was just asked for in
    /// vain.
    fn usable(&self) -> Option<&Kept> {
        let failing = matches!(self.pausing(), Some(Err(_)));
        self.set.as_ref().filter(|set| {
            let longer = if failing { STALE } else { Duration::ZERO };
            set.since.age() < set.fresh_for.saturating_add(longer)
        })
    }
}

impl Remote {
    /// The keys at an `https` URL. Nothing is fetched before a token names a key.
    pub const fn at(url: &'static str) -> Remote {
        let state = Mutex::new(State { set: None, tried: None });
        Remote { url, state, fetching: tokio::sync::Mutex::const_new(()) }
    }

    /// The URL.
    pub fn url(&self) -> &'static str {
        self.url
    }

    /// The keys that are known and may be used.
    pub fn known(&self) -> Option<Arc<KeySet>> {
        self.state().usable().map(|set| set.keys.clone())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn renew_within(&self, time: Duration) -> Result<(), Fault> {
        let _alone = self.fetching.lock().await;
        // Whoever held it before has just tried.
        if let Some(tried) = self.state().pausing() {
            return tried;
        }
        let fetched = tokio::time::timeout(time, fetch(&address(self.url))).await;
        let fetched = fetched.unwrap_or(Err("their server did not answer in time"));
        let mut state = self.state();
        let at = Moment::now();
        let outcome = fetched.map_err(Fault::Keys).map(|(keys, fresh_for)| {
            state.set = Some(Kept { keys: Arc::new(keys), since: at, fresh_for });
        });
        state.tried = Some(Tried { at, fault: outcome.err() });
        outcome
    }
}

impl RemoteKeys for Remote {
    fn renew(&self, until: Instant) -> Renewing<'_> {
        Box::pin(async move {
            let time = (until.saturating_duration_since(Instant::now()) / SHARE).min(FETCH);
            // One who waits for another's fetch waits no longer than he might have fetched himself.
            match tokio::time::timeout(time * 2, self.renew_within(time)).await {
                Ok(renewed) => renewed,
                Err(_) => Err(Fault::Keys("their server did not answer in time")),
            }
        })
    }
}

/// Where a URL is fetched: at itself, or at the mirror.
fn address(url: &str) -> String {
    let mirror = env::var("HOOKGATE_KEYS_URL").ok().filter(|mirror| !mirror.trim().is_empty());
    match (mirror, url.strip_prefix("https://")) {
        (Some(mirror), Some(rest)) => format!("{}/{rest}", mirror.trim().trim_end_matches('/')),
        _ => url.to_owned(),
    }
}

/// The keys at an address and for how long they may be used.
async fn fetch(address: &str) -> Result<(KeySet, Duration), &'static str> {
    let request = http::Request::get(address).header("accept", "application/json").body(SdkBody::empty());
    let request = request.ok().and_then(|request| Request::try_from(request).ok());
    let request = request.ok_or("HOOKGATE_KEYS_URL is no URL")?;
    // Hours after the last one no connection is worth keeping.
    let connector = aws::connector(aws::ca_bundle().unwrap_or_else(public_roots), CONNECT);
    let response = connector.call(request).await.map_err(|_| "their server did not answer")?;
    if response.status().as_u16() != 200 {
        return Err("their server did not answer 200");
    }
    let fresh_for = fresh_for(response.headers().get("cache-control"));
    let mut stream = ByteStream::new(response.into_body());
    let mut body = Vec::new();
    while let Some(chunk) = stream.next().await {
        body.extend_from_slice(&chunk.map_err(|_| "their server stopped in its answer")?);
        if body.len() > MAX_SET {
            return Err("their server gave an answer of that length");
        }
    }
    let set = serde_json::from_slice(&body).map_err(|_| "their server gave an answer that is not JSON")?;
    Ok((KeySet::read(&set).ok_or("their server gave no key that can be used")?, fresh_for))
}

/// How long an answer may be used: its `max-age` (RFC 9111), within our bounds.
fn fresh_for(cache_control: Option<&str>) -> Duration {
    let mut directives = cache_control.unwrap_or_default().split(',').map(str::trim);
    let max_age = directives.find_map(|directive| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok()).flatten()
    });
    max_age.map_or(USUAL, |seconds| Duration::from_secs(seconds).clamp(LEAST, MOST))
}

/// The authorities that browsers trust, as Mozilla lists them, in PEM.
fn public_roots() -> Vec<u8> {
    let mut pem = String::new();
    for certificate in TLS_SERVER_ROOT_CERTS {
        pem.push_str("-----BEGIN CERTIFICATE-----\n");
        pem.push_str(&BASE64_STANDARD.encode(certificate));
        pem.push_str("\n-----END CERTIFICATE-----\n");
    }
    pem.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::rsa::{ID, JWKS};
    use rustls_pki_types::CertificateDer;
    use rustls_pki_types::pem::PemObject as _;
    use serde_json::json;

    #[test]
    fn every_public_authority_is_trusted() {
        let pem = public_roots();
        let read: Vec<_> = CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap();
        assert!(read.len() > 100);
        assert_eq!(read, TLS_SERVER_ROOT_CERTS);
    }

    #[test]
    fn a_set_is_used_within_bounds() {
        for (header, seconds) in [
            (None, 3600),
            (Some(""), 3600),
            (Some("private"), 3600),
            (Some("max-age=0"), 300),
            (Some("max-age=301"), 301),
            (Some("MAX-AGE = 301"), 3600),
            (Some("public,max-age=22000,must-revalidate"), 22000),
            (Some("s-maxage=9, max-age=400"), 400),
            (Some("max-age=-1"), 3600),
            (Some("max-age=18446744073709551615"), 86400),
            (Some("max-age=18446744073709551616"), 3600),
        ] {
            assert_eq!(fresh_for(header).as_secs(), seconds, "{header:?}");
        }
    }

    #[test]
    fn a_key_is_for_signatures_by_rs256_or_it_is_none() {
        let ours: Value = serde_json::from_str(JWKS).unwrap();
        let with = |name: &str, value: Value| {
            let mut set = ours.clone();
            let key = set.pointer_mut("/keys/0").unwrap();
            match value {
                Value::Null => drop(key.as_object_mut().unwrap().remove(name)),
                value => *key.get_mut(name).unwrap() = value,
            }
            KeySet::read(&set)
        };
        let n = ours.pointer("/keys/0/n").and_then(Value::as_str).unwrap();
        assert!(with("use", Value::Null).is_some() && with("alg", Value::Null).is_some());
        for (name, value) in [
            ("use", json!("enc")),
            ("alg", json!("RS384")),
            ("alg", json!("HS256")),
            ("kty", json!("oct")),
            ("kid", Value::Null),
            ("kid", json!(1)),
            ("n", Value::Null),
            ("n", json!(format!("AA{n}"))),
            ("n", json!(format!("{n}="))),
            ("n", json!(n.get(..n.len() - 4).unwrap())),
            ("n", json!(n.repeat(3))),
            ("e", json!("AQ")),
            ("e", json!("AA")),
            ("e", json!("")),
            ("e", json!("AgAA")),
            ("e", json!("AQAAAAAB")),
        ] {
            assert!(with(name, value.clone()).is_none(), "{name}: {value}");
        }
        for other in
            [json!([]), json!({ "keys": {} }), json!({ "keys": [] }), json!({ "keys": [null] }), json!(null)]
        {
            assert!(KeySet::read(&other).is_none(), "{other}");
        }
        let twice = json!({ "keys": [ours["keys"][0], {"kty": "EC"}, ours["keys"][0]] });
        let set = KeySet::read(&twice).unwrap();
        assert_eq!((set.of(ID).count(), set.of("other").count(), set.of("").count()), (2, 0, 0));
        let many: Vec<_> = (0..200).map(|_| ours["keys"][0].clone()).collect();
        assert_eq!(KeySet::read(&json!({ "keys": many })).unwrap().of(ID).count(), MAX_KEYS);
    }
}
