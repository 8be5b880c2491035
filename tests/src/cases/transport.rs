//! The way between AWS and the check: methods, paths, hostile events, large bodies, floods, a panic. Built functions under
//! the Runtime API; numbers are those of the cases.

use super::settings::ParameterStore;
use super::support::{Bench, CLOCK, now};
use crate::clock::Clock;
use crate::event::{API_HOST, BodyAs, Request, URL_HOST};
use crate::lambda::{self, Builder, Function, Outcome};
use crate::sqs::{self, Sqs};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac as _};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::mac::{Mac, Part};
use shared::provider::{Content, Event, Provider, Setting};
use std::collections::BTreeSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{env, fs, process};

/// A secret of no account.
pub(super) const SECRET: &str = "a throw-away secret of these tests";
/// An app id of Zalo's documentation's shape.
pub(super) const ZALO_APP: &str = "360846524940903967";
/// What must be seen nowhere.
const CANARY: &str = "CaNaRy-7f3d";
const JSON: &str = "application/json";

/// HMAC-SHA256 in hex, by the crate itself and none of the product's code.
pub(super) fn mac(secret: &str, parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length");
    for part in parts {
        mac.update(part);
    }
    hex::encode(mac.finalize().into_bytes())
}

/// A genuine call of GitHub.
pub(super) fn github_call(secret: &str, delivery: &str, body: impl Into<Vec<u8>>) -> Request {
    let request = Request::post(JSON, body);
    let signature = format!("sha256={}", mac(secret, &[&request.body]));
    request
        .header("X-GitHub-Event", "push")
        .header("X-GitHub-Delivery", delivery)
        .header("X-Hub-Signature-256", &signature)
}

/// A genuine call of a Facebook page.
pub(super) fn facebook_call(secret: &str, body: impl Into<Vec<u8>>) -> Request {
    let request = Request::post(JSON, body);
    let signature = format!("sha256={}", mac(secret, &[&request.body]));
    request.header("X-Hub-Signature-256", &signature)
}

/// A genuine call of Stripe, signed at a second.
pub(super) fn stripe_call(secret: &str, second: i64, body: impl Into<Vec<u8>>) -> Request {
    let request = Request::post(JSON, body);
    let tag = mac(secret, &[second.to_string().as_bytes(), b".", &request.body]);
    request.header("Stripe-Signature", &format!("t={second},v1={tag}"))
}

/// A genuine call of a Zalo Official Account.
pub(super) fn zalo_call(secret: &str, message: &str) -> Request {
    let body = format!(
        r#"{{"event_name":"user_send_text","app_id":"{ZALO_APP}","sender":{{"id":"1"}},"recipient":{{"id":"2"}},"message":{{"msg_id":"{message}"}},"timestamp":"1795500000000"}}"#
    );
    let signed = [ZALO_APP, &body, "1795500000000", secret].concat();
    let signature = format!("mac={}", hex::encode(Sha256::digest(signed.as_bytes())));
    Request::post(JSON, body).header("X-ZEvent-Signature", &signature)
}

/// A built function before a queue; the largest message is that of SQS.
pub(super) fn gate(provider: &str, sqs: &Sqs, config: &Value) -> Builder {
    Function::builder(lambda::binary(provider))
        .env("QUEUE_URL", sqs.queue_url())
        .env("QUEUE_MAX_BYTES", sqs::MAX_BYTES.to_string())
        .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint())
        .env("HOOKGATE_CONFIG", config.to_string())
}

/// The GitHub function with one secret.
pub(super) fn github(sqs: &Sqs) -> Function {
    gate("github", sqs, &json!({ "secret": SECRET })).start()
}

pub(super) fn send(function: &Function, request: &Request) -> Outcome {
    function.invoke(&request.function_url_event(BodyAs::AwsDecides))
}

/// The one refusal, of which every byte is known.
#[track_caller]
pub(super) fn assert_refused(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.status(), 401, "{what}: {outcome:?}");
    assert_eq!((outcome.headers(), outcome.body()), (vec![], vec![]), "{what}");
}

/// Our own fault: the provider is asked to send it again, and told nothing more.
#[track_caller]
pub(super) fn assert_fault(outcome: &Outcome, what: &str) {
    assert_eq!(outcome.status(), 503, "{what}: {outcome:?}");
    let seconds = outcome.header("retry-after").and_then(|text| text.parse::<u32>().ok());
    assert!(seconds.is_some_and(|seconds| seconds > 0), "{what}: {outcome:?}");
    assert_eq!((outcome.headers().len(), outcome.body()), (1, vec![]), "{what}");
}

/// A message's body as JSON.
pub(super) fn envelope(message: &sqs::Message) -> Value {
    serde_json::from_str(&message.body).expect("an envelope")
}

fn event_of(request: &Request) -> Value {
    serde_json::from_str(&request.function_url_event(BodyAs::AwsDecides)).expect("JSON")
}

/// 97
#[test]
fn a_method_that_no_provider_uses_is_said_to_be_so() {
    let sqs = Sqs::start();
    let wrong =
        ["GET", "HEAD", "PUT", "OPTIONS", "DELETE", "PATCH", "TRACE", "CONNECT", "post", "FOO BAR", ""];
    let cases = [
        ("github", json!({ "secret": SECRET }), "POST", &wrong[..]),
        ("facebook", json!({ "app_secret": SECRET, "verify_token": SECRET }), "GET, POST", &wrong[1..]),
        ("zalo", json!({ "app_id": ZALO_APP, "oa_secret_key": SECRET }), "GET, POST", &wrong[..]),
    ];
    for (provider, config, allow, methods) in cases {
        let function = gate(provider, &sqs, &config).start();
        let genuine = match provider {
            "zalo" => zalo_call(SECRET, "m"),
            "facebook" => facebook_call(SECRET, "{}"),
            _ => github_call(SECRET, "d", "{}"),
        };
        for method in methods {
            let request = Request { method: (*method).into(), ..genuine.clone() };
            let mut undecodable = event_of(&request);
            undecodable["body"] = "!".into();
            undecodable["isBase64Encoded"] = true.into();
            for event in [request.function_url_event(BodyAs::AwsDecides), undecodable.to_string()] {
                let outcome = function.invoke(&event);
                assert_eq!(outcome.status(), 405, "{provider} {method:?}");
                assert_eq!(outcome.header("allow"), Some(allow), "{provider} {method:?}");
                assert_eq!(outcome.body(), b"", "{provider} {method:?}");
            }
        }
        assert_eq!(sqs.connections(), 0, "{provider}");
    }
}

/// 98
#[test]
fn a_path_is_text_and_nothing_more() {
    let sqs = Sqs::start();
    let plain = github(&sqs);
    let named = gate("github", &sqs, &json!({ "endpoints": { "acme": { "secret": SECRET } } })).start();
    let long = format!("/{}", "a".repeat(8192));
    let slashes = "/".repeat(8192);
    let paths = [
        "",
        "/",
        "//",
        "///",
        "/../",
        "/../../etc/passwd",
        "/.",
        "/%2e",
        "/%2e%2e/%2f",
        "/%",
        "/%zz",
        "/%00",
        "/\0",
        "no slash",
        "/a b",
        "/<script>",
        "/\"",
        "/\\",
        "/\u{FFFF}",
        "/\u{202E}",
        "/é",
        "?",
        "#",
        "/$default",
        &long,
        &slashes,
    ];
    for path in paths {
        let request = github_call(SECRET, "d", "{}").at(path);
        assert_eq!(send(&plain, &request).status(), 200, "{path:?}");
        assert_refused(&send(&named, &request), path);
    }
    assert_eq!(sqs.take_messages().len(), paths.len());
    for path in ["/acme", "/acme/", "/a/b/acme", "//acme//", "/../acme"] {
        assert_eq!(send(&named, &github_call(SECRET, "d", "{}").at(path)).status(), 200, "{path:?}");
    }
}

/// One change of a genuine event, and the status that the call then gets.
struct Hostile {
    what: &'static str,
    change: fn(&mut Value),
    status: u16,
}

/// 99, 101: fields that no gateway should let through, each with a canary in it.
const HOSTILE: &[Hostile] = &[
    Hostile {
        what: "raw `<`, quote and space in the query",
        change: |e| e["rawQueryString"] = "CaNaRy-7f3d=<a \"b\">".into(),
        status: 200,
    },
    Hostile {
        what: "a query of control characters",
        change: |e| e["rawQueryString"] = "CaNaRy-7f3d\u{0}\u{1}\n".into(),
        status: 200,
    },
    Hostile { what: "a null query", change: |e| e["rawQueryString"] = Value::Null, status: 200 },
    Hostile {
        what: "a query that is an object",
        change: |e| e["rawQueryString"] = json!({ "CaNaRy-7f3d": 1 }),
        status: 200,
    },
    Hostile { what: "an empty host", change: |e| e["headers"]["host"] = "".into(), status: 200 },
    Hostile {
        what: "a host with spaces",
        change: |e| e["headers"]["host"] = "CaNaRy-7f3d a b".into(),
        status: 200,
    },
    Hostile {
        what: "no host",
        change: |e| drop(e["headers"].as_object_mut().unwrap().remove("host")),
        status: 200,
    },
    Hostile {
        what: "x-forwarded-proto with a space",
        change: |e| e["headers"]["x-forwarded-proto"] = "ht tp CaNaRy-7f3d".into(),
        status: 200,
    },
    Hostile { what: "a path without slash", change: |e| e["rawPath"] = "CaNaRy-7f3d".into(), status: 200 },
    Hostile { what: "no path", change: |e| drop(e.as_object_mut().unwrap().remove("rawPath")), status: 200 },
    Hostile { what: "a path that is a list", change: |e| e["rawPath"] = json!(["CaNaRy-7f3d"]), status: 200 },
    Hostile {
        what: "U+0001 in a header",
        change: |e| e["headers"]["x-a"] = "CaNaRy-7f3d\u{1}".into(),
        status: 200,
    },
    Hostile {
        what: "DEL in a header",
        change: |e| e["headers"]["x-a"] = "CaNaRy-7f3d\u{7f}".into(),
        status: 200,
    },
    Hostile {
        what: "LF in a header",
        change: |e| e["headers"]["x-a"] = "CaNaRy-7f3d\nset-cookie: a".into(),
        status: 200,
    },
    Hostile {
        what: "NUL in a header",
        change: |e| e["headers"]["x-a"] = "CaNaRy-7f3d\0".into(),
        status: 200,
    },
    Hostile {
        what: "U+FFFF in a header",
        change: |e| e["headers"]["x-a"] = "CaNaRy-7f3d\u{FFFF}".into(),
        status: 200,
    },
    Hostile { what: "a null header", change: |e| e["headers"]["x-a"] = Value::Null, status: 200 },
    Hostile { what: "a header that is a number", change: |e| e["headers"]["x-a"] = 1.into(), status: 200 },
    Hostile {
        what: "a header that is a list",
        change: |e| e["headers"]["x-a"] = json!(["CaNaRy-7f3d"]),
        status: 200,
    },
    Hostile {
        what: "a header that is an object",
        change: |e| e["headers"]["x-a"] = json!({ "CaNaRy-7f3d": 1 }),
        status: 200,
    },
    Hostile {
        what: "an empty header name",
        change: |e| e["headers"][""] = "CaNaRy-7f3d".into(),
        status: 200,
    },
    Hostile {
        what: "a header name with a space",
        change: |e| e["headers"]["CaNaRy-7f3d a"] = "a".into(),
        status: 200,
    },
    Hostile {
        what: "a header name with LF",
        change: |e| e["headers"]["CaNaRy-7f3d\n"] = "a".into(),
        status: 200,
    },
    Hostile {
        what: "a content type that is none",
        change: |e| e["headers"]["content-type"] = "CaNaRy-7f3d\u{1}; ;=".into(),
        status: 200,
    },
    Hostile {
        what: "control characters in the delivery's id",
        change: |e| e["headers"]["x-github-delivery"] = "\u{1b}[31m\n\u{0}".into(),
        status: 200,
    },
    Hostile {
        what: "200 headers",
        change: |e| (0..200).for_each(|i| e["headers"][format!("x-{i}")] = "CaNaRy-7f3d".into()),
        status: 200,
    },
    // More than any gateway lets through: the genuine signature comes after those that are looked at.
    Hostile {
        what: "10,000 headers",
        change: |e| (0..10_000).for_each(|i| e["headers"][format!("x-{i}")] = "CaNaRy-7f3d".into()),
        status: 401,
    },
    Hostile { what: "cookies that are a number", change: |e| e["cookies"] = 1.into(), status: 200 },
    Hostile { what: "a null stage", change: |e| e["requestContext"]["stage"] = Value::Null, status: 200 },
    Hostile {
        what: "a host name of AWS that is a list",
        change: |e| e["requestContext"]["domainName"] = json!(["CaNaRy-7f3d"]),
        status: 200,
    },
    Hostile {
        what: "a time that is a text",
        change: |e| e["requestContext"]["timeEpoch"] = "CaNaRy-7f3d".into(),
        status: 200,
    },
    Hostile {
        what: "isBase64Encoded as a text",
        change: |e| e["isBase64Encoded"] = "true".into(),
        status: 200,
    },
    Hostile { what: "a null isBase64Encoded", change: |e| e["isBase64Encoded"] = Value::Null, status: 200 },
    Hostile {
        what: "a member that nobody knows",
        change: |e| e["CaNaRy-7f3d"] = json!({ "CaNaRy-7f3d": [1] }),
        status: 200,
    },
    Hostile {
        what: "control characters in the signature",
        change: |e| e["headers"]["x-hub-signature-256"] = "sha256=CaNaRy-7f3d\u{1}".into(),
        status: 401,
    },
    Hostile {
        what: "a null signature",
        change: |e| e["headers"]["x-hub-signature-256"] = Value::Null,
        status: 401,
    },
    Hostile {
        what: "a signature that is a list",
        change: |e| e["headers"]["x-hub-signature-256"] = json!(["CaNaRy-7f3d"]),
        status: 401,
    },
    Hostile {
        what: "no headers",
        change: |e| drop(e.as_object_mut().unwrap().remove("headers")),
        status: 401,
    },
    Hostile { what: "null headers", change: |e| e["headers"] = Value::Null, status: 401 },
    Hostile {
        what: "headers that are a list",
        change: |e| e["headers"] = json!(["CaNaRy-7f3d"]),
        status: 401,
    },
    Hostile { what: "headers that are a text", change: |e| e["headers"] = "CaNaRy-7f3d".into(), status: 401 },
    Hostile { what: "text for base64", change: |e| e["isBase64Encoded"] = true.into(), status: 401 },
    Hostile {
        what: "base64 that is none",
        change: |e| {
            e["isBase64Encoded"] = true.into();
            e["body"] = "CaNaRy-7f3d!".into();
        },
        status: 401,
    },
    Hostile {
        what: "base64 without padding",
        change: |e| {
            e["isBase64Encoded"] = true.into();
            e["body"] = "e30".into();
        },
        status: 401,
    },
    Hostile { what: "a null body", change: |e| e["body"] = Value::Null, status: 401 },
    Hostile { what: "no body", change: |e| drop(e.as_object_mut().unwrap().remove("body")), status: 401 },
    Hostile { what: "a body that is a number", change: |e| e["body"] = 1.into(), status: 401 },
    Hostile {
        what: "a body that is an object",
        change: |e| e["body"] = json!({ "CaNaRy-7f3d": 1 }),
        status: 401,
    },
    Hostile {
        what: "a method of two words",
        change: |e| e["requestContext"]["http"]["method"] = "FOO CaNaRy-7f3d".into(),
        status: 405,
    },
    Hostile {
        what: "a method of control characters",
        change: |e| e["requestContext"]["http"]["method"] = "CaNaRy-7f3d\u{1}\n".into(),
        status: 405,
    },
    Hostile {
        what: "a null method",
        change: |e| e["requestContext"]["http"]["method"] = Value::Null,
        status: 503,
    },
    Hostile {
        what: "a method that is a list",
        change: |e| e["requestContext"]["http"]["method"] = json!(["CaNaRy-7f3d"]),
        status: 503,
    },
    Hostile { what: "no http", change: |e| e["requestContext"]["http"] = "CaNaRy-7f3d".into(), status: 503 },
    Hostile {
        what: "no context",
        change: |e| drop(e.as_object_mut().unwrap().remove("requestContext")),
        status: 503,
    },
    Hostile {
        what: "a context that is a list",
        change: |e| e["requestContext"] = json!(["CaNaRy-7f3d"]),
        status: 503,
    },
    Hostile { what: "another version", change: |e| e["version"] = "CaNaRy-7f3d".into(), status: 503 },
    Hostile { what: "a version that is a number", change: |e| e["version"] = 2.0.into(), status: 503 },
    Hostile {
        what: "no version",
        change: |e| drop(e.as_object_mut().unwrap().remove("version")),
        status: 503,
    },
];

/// 99, 101, 105: every one has an answer of our own, shows nowhere, and the same environment takes the next call.
#[test]
fn hostile_fields_are_answered_and_told_to_nobody() {
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &json!({ "secret": SECRET })).env("HOOKGATE_LOG", "info").start();
    let genuine = github_call(SECRET, "d", "{}");
    let pid = function.pid();
    for hostile in HOSTILE {
        let mut event = event_of(&genuine);
        (hostile.change)(&mut event);
        let outcome = function.invoke(&event.to_string());
        assert_eq!(outcome.status(), hostile.status, "{}: {outcome:?}", hostile.what);
        match hostile.status {
            401 => assert_refused(&outcome, hostile.what),
            503 => assert_fault(&outcome, hostile.what),
            _ => {}
        }
        assert!(!format!("{outcome:?}").contains(CANARY), "{}: {outcome:?}", hostile.what);
        assert_eq!(sqs.take_messages().len(), usize::from(hostile.status == 200), "{}", hostile.what);
        assert_eq!(send(&function, &genuine).status(), 200, "after {}", hostile.what);
        sqs.take_messages();
    }
    assert_eq!(function.pid(), pid);
    let logs = function.stop();
    assert!(!logs.contains(CANARY), "{logs}");
    assert!(!logs.contains("panic"), "{logs}");
    assert!(logs.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{logs}");
}

/// 101: what only shows in the text of the event: a name that stands there twice, lone surrogates, deep nesting.
#[test]
fn hostile_json_is_answered_and_told_to_nobody() {
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &json!({ "secret": SECRET })).env("HOOKGATE_LOG", "info").start();
    let genuine = github_call(SECRET, "d", "{}").function_url_event(BodyAs::AwsDecides);
    let with = |members: &str| genuine.replacen('{', &format!("{{{members},"), 1);
    let deep = |brackets: usize| format!(r#""x":{}{}"#, "[".repeat(brackets), "]".repeat(brackets));
    let cases = [
        (with(r#""body":"CaNaRy-7f3d""#), 401),
        (with(r#""headers":{"CaNaRy-7f3d":"a"}"#), 401),
        (with(r#""rawPath":"/CaNaRy-7f3d""#), 200),
        (with(r#""version":"2.0""#), 503),
        (with(r#""requestContext":{"http":{"method":"POST"}}"#), 503),
        (genuine.replace(r#""body":"{}""#, r#""body":"CaNaRy-7f3d\ud800""#), 401),
        (genuine.replace(r#""rawPath":"/""#, r#""rawPath":"/CaNaRy-7f3d\udfff""#), 200),
        (genuine.replace(r#""sha256="#, r#""\ud800CaNaRy-7f3dsha256="#), 401),
        (genuine.replace(r#""method":"POST""#, r#""method":"\ud800""#), 405),
        (with(&deep(100_000)), 200),
        (with(r#""x":1e999999"#), 200),
        (format!(" \n\t{genuine}\n "), 200),
    ];
    for (event, status) in cases {
        let start: String = event.chars().take(120).collect();
        let outcome = function.invoke(&event);
        assert_eq!(outcome.status(), status, "{start}: {outcome:?}");
        assert!(!format!("{outcome:?}").contains(CANARY), "{start}");
        assert_eq!(function.invoke(&genuine).status(), 200, "after {start}");
    }
    let logs = function.stop();
    assert!(!logs.contains(CANARY) && !logs.contains("panic"), "{logs}");
}

/// 101: events of other services, and none at all.
#[test]
fn other_events_get_a_clean_answer() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    let genuine = github_call(SECRET, "d", "{}");
    let rest_api = json!({
        "version": "1.0", "resource": "/", "path": "/CaNaRy-7f3d", "httpMethod": "POST", "body": "CaNaRy-7f3d",
        "headers": { "x-hub-signature-256": "CaNaRy-7f3d" }, "requestContext": { "stage": "prod", "httpMethod": "POST" },
    });
    let load_balancer = json!({
        "requestContext": { "elb": { "targetGroupArn": "CaNaRy-7f3d" } }, "httpMethod": "POST", "path": "/",
        "headers": {}, "body": "CaNaRy-7f3d", "isBase64Encoded": false,
    });
    let others = [
        rest_api,
        load_balancer,
        json!({ "Records": [{ "eventSource": "aws:sqs", "body": "CaNaRy-7f3d" }] }),
        json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": { "CaNaRy-7f3d": 1 } }),
        json!({ "type": "REQUEST", "methodArn": "CaNaRy-7f3d" }),
        json!({}),
        json!([]),
        json!(null),
        json!(1),
        json!("CaNaRy-7f3d"),
        json!(true),
        json!([["CaNaRy-7f3d"]]),
    ];
    let mut answered = others.len();
    for other in others {
        let outcome = function.invoke(&other.to_string());
        assert_fault(&outcome, &other.to_string());
        assert_eq!(send(&function, &genuine).status(), 200, "after {other}");
    }
    // Lambda takes no event that is not JSON; should one come, the runtime refuses it, as a rule before our code.
    for garbage in ["CaNaRy-7f3d", "", "{\"CaNaRy-7f3d\":", "{\"a\":1}CaNaRy-7f3d", "\u{1}", "nul"] {
        let outcome = function.invoke(garbage);
        match &outcome {
            Outcome::Response(_) => {
                assert_fault(&outcome, garbage);
                answered += 1;
            }
            Outcome::Error(_) => {}
            Outcome::TimedOut | Outcome::Exited(_) => panic!("{garbage}: {outcome:?}"),
        }
        assert!(!format!("{outcome:?}").contains(CANARY), "{garbage}: {outcome:?}");
        assert_eq!(send(&function, &genuine).status(), 200, "after {garbage}");
    }
    let logs = function.stop();
    assert!(!logs.contains(CANARY), "{logs}");
    assert_eq!(
        logs.lines().filter(|line| line.contains("not of payload format 2.0")).count(),
        answered,
        "{logs}"
    );
}

/// 104, with 3, 5, 6, 7, 15, 17, 18, 24, 26, 27: a caller cannot tell why.
#[test]
fn refusals_are_alike_to_the_last_byte() {
    let sqs = Sqs::start();
    let config = json!({ "endpoints": { "acme": { "secret": SECRET } } });
    let function = gate("stripe", &sqs, &config).clock(Clock::StandsAt(CLOCK)).start();
    let body = r#"{"id":"evt_1","type":"invoice.paid"}"#;
    let genuine = stripe_call(SECRET, CLOCK, body).at("/acme");
    let tag = mac(SECRET, &[CLOCK.to_string().as_bytes(), b".", body.as_bytes()]);
    let with = |value: &str| Request::post(JSON, body).at("/acme").header("Stripe-Signature", value);
    let event = |request: &Request| request.function_url_event_at(BodyAs::AwsDecides, CLOCK);
    let mut undecodable: Value = serde_json::from_str(&event(&genuine)).expect("JSON");
    undecodable["isBase64Encoded"] = true.into();
    undecodable["body"] = "e30=!".into();
    let events = [
        ("no signature", event(&Request::post(JSON, body).at("/acme"))),
        ("an empty one", event(&with(""))),
        ("white space", event(&with("  "))),
        ("no pair", event(&with("garbage"))),
        ("a wrong one", event(&with(&format!("t={CLOCK},v1={}", "0".repeat(64))))),
        ("a short one", event(&with(&format!("t={CLOCK},v1={}", &tag[..62])))),
        ("a longer one", event(&with(&format!("t={CLOCK},v1={tag}00")))),
        ("the test scheme", event(&with(&format!("t={CLOCK},v0={tag}")))),
        ("no time", event(&with(&format!("v1={tag}")))),
        ("a time that is none", event(&with(&format!("t=+{CLOCK},v1={tag}")))),
        ("too old", event(&stripe_call(SECRET, CLOCK - 301, body).at("/acme"))),
        ("too new", event(&stripe_call(SECRET, CLOCK + 301, body).at("/acme"))),
        ("another secret", event(&stripe_call("a throw-away secret of another", CLOCK, body).at("/acme"))),
        ("the secret \"\"", event(&stripe_call("", CLOCK, body).at("/acme"))),
        ("another body", event(&Request { body: b"{}".to_vec(), ..genuine.clone() })),
        ("an unknown endpoint", event(&genuine.clone().at("/nobody"))),
        ("no endpoint", event(&genuine.clone().at("/"))),
        ("base64 that is none", undecodable.to_string()),
        ("eight kilobytes", event(&with(&format!("t={CLOCK},v1={}", "a".repeat(8192))))),
        ("a hundred candidates", event(&with(&format!("t={CLOCK}{}", format!(",v1={tag}").repeat(100))))),
        ("control characters", event(&with(&format!("t={CLOCK},v1={tag}\u{1}")))),
        ("not ASCII", event(&with(&format!("t={CLOCK},v1={}é", &tag[..62])))),
    ];
    let mut answers = BTreeSet::new();
    for (what, event) in &events {
        let outcome = function.invoke(event);
        assert_refused(&outcome, what);
        answers.insert(outcome.response().to_string());
    }
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(function.invoke(&event(&genuine)).status(), 200);
    let logs = function.stop();
    let lines: Vec<Value> =
        logs.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect();
    assert_eq!(lines.len(), events.len(), "{logs}");
    for line in lines {
        assert_eq!(
            (&line["level"], &line["event"], &line["provider"]),
            (&json!("warn"), &json!("refused"), &json!("stripe"))
        );
        assert_eq!(line.as_object().map(serde_json::Map::len), Some(4), "{line}");
    }
    // Another provider's refusal is the same, too.
    let github = github(&sqs);
    answers.insert(send(&github, &Request::post(JSON, "{}")).response().to_string());
    assert_eq!(answers.len(), 1, "{answers:?}");
}

/// 17 to 20
#[test]
fn a_signature_header_is_taken_in_one_spelling() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    let body = "{}";
    let tag = mac(SECRET, &[body.as_bytes()]);
    let with = |name: &str, value: &str| Request::post(JSON, body).header(name, value);
    let good = format!("sha256={tag}");
    for name in ["X-HUB-SIGNATURE-256", "x-hub-signature-256", "X-Hub-Signature-256"] {
        // A gateway lowers the names; the event of one that does not is read all the same.
        let mut event = event_of(&with("x-other", "a"));
        event["headers"][name] = good.as_str().into();
        assert_eq!(function.invoke(&event.to_string()).status(), 200, "{name}");
    }
    assert_eq!(sqs.take_messages().len(), 3);
    let (half, rest) = tag.split_at(32);
    for bad in [
        format!("sha256={half} {rest}"),
        format!("sha256= {tag}"),
        format!("sha256 ={tag}"),
        format!("{good} "),
        format!(" {good}"),
        format!("{good}\t"),
        format!("{good}\u{1}"),
        format!("\u{feff}{good}"),
        format!("sha256={}\u{e9}", &tag[..62]),
        format!("sha256={}\u{fffd}", &tag[..63]),
        format!("sha256={}", "a".repeat(8192)),
        good.repeat(120),
        format!("{good},{good}"),
    ] {
        assert_refused(&send(&function, &with("x-hub-signature-256", &bad)), &bad);
    }
    assert_eq!(sqs.messages(), []);
}

/// 21, 22: the check is over the exact bytes, and they are what arrives.
#[test]
fn every_byte_of_a_body_counts() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    let bodies: [&[u8]; 14] = [
        b"{\"a\":1}",
        b"{ \"a\": 1 }",
        b"{\"a\":1}\n",
        b"{\"a\":1}\r\n",
        b"\xef\xbb\xbf{\"a\":1}",
        b"{\r\n\"a\":1\r\n}",
        "{\"a\":\"é\"}".as_bytes(),
        b"{\"a\":\"\\u00e9\"}",
        "{\"a\":\"😀\"}".as_bytes(),
        b"{\"a\":\"\\ud83d\\ude00\"}",
        b"{\"a\":1.0}",
        b"{\"a\":1e0}",
        b"{\"a\":\"\\/\"}",
        b"\xff\xfe\x00",
    ];
    for body in bodies {
        for twin in bodies {
            let request = Request { body: twin.to_vec(), ..github_call(SECRET, "d", body) };
            let outcome = send(&function, &request);
            if body == twin {
                assert_eq!(outcome.status(), 200, "{body:?}");
                let messages = sqs.take_messages();
                let [message] = messages.as_slice() else { panic!("{messages:?}") };
                assert_eq!(envelope(message)["calldigest"], hex::encode(Sha256::digest(body)), "{body:?}");
            } else {
                assert_refused(&outcome, "another spelling of the same JSON");
            }
        }
    }
    assert_eq!(sqs.messages(), []);

    // An empty body under a valid signature is an event at GitHub, and at Zalo a documented probe.
    assert_eq!(send(&function, &github_call(SECRET, "d", "")).status(), 200);
    let messages = sqs.take_messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    assert_eq!(envelope(message)["calldigest"], hex::encode(Sha256::digest(b"")));
    assert_refused(&send(&function, &Request::post(JSON, "")), "an empty body without a signature");
    let zalo = gate("zalo", &sqs, &json!({ "app_id": ZALO_APP, "oa_secret_key": SECRET })).start();
    for probe in ["", "{}"] {
        assert_eq!(send(&zalo, &Request::post(JSON, probe)).status(), 200, "{probe:?}");
    }
    assert_eq!(sqs.messages(), []);
}

/// 23
#[test]
fn text_and_base64_make_no_difference() {
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &json!({ "secret": SECRET })).clock(Clock::StandsAt(CLOCK)).start();
    let genuine = github_call(SECRET, "d", "{\"a\":\"é\\u0000\"}");
    let forged = Request { body: b"{}".to_vec(), ..genuine.clone() };
    for (request, status) in [(&genuine, 200), (&forged, 401)] {
        let mut seen = Vec::new();
        for body_as in [BodyAs::Text, BodyAs::Base64] {
            let outcome = function.invoke(&request.function_url_event_at(body_as, CLOCK));
            assert_eq!(outcome.status(), status);
            let bodies: Vec<_> = sqs.take_messages().into_iter().map(|message| message.body).collect();
            seen.push((outcome, bodies));
        }
        assert_eq!(seen[0], seen[1]);
    }
}

/// 25: what is compressed is checked and handed on as it was sent.
#[test]
fn a_compressed_body_is_never_inflated() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    // `gzip.compress(b'{"a":1}', mtime=0)` of Python 3.11.
    let gzip = hex::decode("1f8b0800000000000203ab564a54b232ac0500afac1b5607000000").expect("hex");
    let request = github_call(SECRET, "d", gzip.clone()).header("Content-Encoding", "gzip");
    assert_eq!(send(&function, &request).status(), 200);
    let messages = sqs.take_messages();
    let [message] = messages.as_slice() else { panic!("{messages:?}") };
    let envelope = envelope(message);
    assert_eq!(envelope["type"], "com.github.unreadable");
    assert_eq!(envelope["data_base64"], BASE64_STANDARD.encode(&gzip));
    // Signed as it is before compression, it does not pass.
    let inflated = github_call(SECRET, "d", r#"{"a":1}"#);
    assert_refused(&send(&function, &Request { body: gzip, ..inflated }), "signed before it was compressed");
}

/// 102, and the ceiling.
#[test]
fn a_huge_body_is_refused_in_little_memory() {
    const CEILING: usize = 6_291_456;
    let sqs = Sqs::start();
    let function = github(&sqs);
    let mut random = vec![0; CEILING + 1];
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    for byte in &mut random {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        *byte = state.to_le_bytes()[0];
    }
    let over = Request::post("application/octet-stream", random.clone());
    let outcome = send(&function, &over);
    assert_eq!((outcome.status(), outcome.headers(), outcome.body()), (413, vec![], vec![]));
    random.truncate(CEILING);
    let at = Request::post("application/octet-stream", random);
    assert_refused(&send(&function, &at), "no signature");
    let forged = at.header("x-hub-signature-256", &format!("sha256={}", "0".repeat(64)));
    let within_deadline = Instant::now();
    assert_refused(&send(&function, &forged), "a forged signature");
    assert!(within_deadline.elapsed() < Duration::from_secs(10), "GitHub has given up");
    // As text, where every character is an escape that has to be read.
    let escapes = Request::post(JSON, vec![0; 1024 * 1024]);
    assert_refused(&send(&function, &escapes), "a megabyte of NUL");
    let peak = function.peak_rss_kib();
    assert!(peak < 64 * 1024, "{peak} KiB");
    assert_eq!((sqs.connections(), send(&function, &github_call(SECRET, "d", "{}")).status()), (0, 200));
    // Verified, and larger than any queue takes: our fault, in bounded memory all the same.
    let large = github_call(SECRET, "d", vec![b'7'; 4 * 1024 * 1024]);
    assert_fault(&send(&function, &large), "larger than the queue");
    let peak = function.peak_rss_kib();
    assert!(peak < 64 * 1024, "{peak} KiB");
}

/// 103
#[test]
fn a_flood_leaves_no_trace() {
    let sqs = Sqs::start();
    let store = ParameterStore::start(&json!({ "secret": SECRET }));
    let function = gate("github", &sqs, &json!({})).env("HOOKGATE_CONFIG", "ssm:/hookgate/github");
    let function = function.env("AWS_ENDPOINT_URL_SSM", store.endpoint()).start();
    let forged = [
        github_call("a throw-away secret of another", "d", "{}").function_url_event(BodyAs::AwsDecides),
        Request::post(JSON, "{}").function_url_event(BodyAs::AwsDecides),
        Request::post(JSON, "x".repeat(10_000))
            .header("x-hub-signature-256", "sha256=00")
            .function_url_event(BodyAs::Base64),
    ];
    let started = Instant::now();
    let flood = |calls: usize| {
        for event in forged.iter().cycle().take(calls) {
            assert_eq!(function.invoke(event).status(), 401);
        }
    };
    flood(1_000);
    let warm = function.peak_rss_kib();
    flood(9_000);
    let peak = function.peak_rss_kib();
    assert!(peak < warm + 1024, "from {warm} to {peak} KiB");
    assert_eq!(sqs.connections(), 0);
    let seconds = usize::try_from(started.elapsed().as_secs()).expect("a short time");
    // One reading at the start, and one for each 30 s of failed checks.
    assert!(store.requests() <= 1 + seconds / 30, "{} readings in {seconds} s", store.requests());
    let logs = function.stop();
    let lines = logs.lines().count();
    assert!(lines > 0 && lines <= 50 * (seconds / 10 + 2), "{lines} lines in {seconds} s");
    assert!(logs.lines().all(|line| line.len() < 200), "{logs}");
}

/// 106: init reads settings and touches nothing else.
#[test]
fn init_opens_no_connection_to_the_queue() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    assert_eq!(sqs.connections(), 0);
    let store = ParameterStore::start(&json!({ "secret": SECRET }));
    let remote = gate("github", &sqs, &json!({}))
        .env("HOOKGATE_CONFIG", "ssm:/hookgate/github")
        .env("AWS_ENDPOINT_URL_SSM", store.endpoint())
        .start();
    assert_eq!((store.requests(), sqs.connections()), (1, 0));
    for function in [&function, &remote] {
        assert_eq!(send(function, &github_call(SECRET, "d", "{}")).status(), 200);
    }
    assert_eq!((store.requests(), sqs.messages().len()), (1, 2));
}

/// 107
#[test]
fn nothing_of_one_call_is_in_another() {
    let sqs = Sqs::start();
    let config =
        json!({ "endpoints": { "a": { "secret": SECRET }, "b": { "secret": "another throw-away secret" } } });
    let function = gate("github", &sqs, &config).clock(Clock::StandsAt(CLOCK)).start();
    let first = github_call(SECRET, "first-delivery", r#"{"action":"first","only":"CaNaRy-7f3d"}"#).at("/a");
    let first = first.header("x-github-hook-id", "CaNaRy-7f3d");
    let second =
        github_call("another throw-away secret", "second-delivery", r#"{"action":"second"}"#).at("/b");
    let event = |request: &Request| request.function_url_event_at(BodyAs::AwsDecides, CLOCK);
    assert_eq!(function.invoke(&event(&second)).status(), 200);
    let alone = sqs.take_messages();
    for before in
        [event(&first), "{}".into(), event(&Request { body: b"CaNaRy-7f3d".to_vec(), ..first.clone() })]
    {
        let before = function.invoke(&before);
        sqs.take_messages();
        assert_eq!(function.invoke(&event(&second)).status(), 200);
        let after = sqs.take_messages();
        assert_eq!(after.len(), 1, "{before:?}");
        assert_eq!(
            (&after[0].body, &after[0].attributes),
            (&alone[0].body, &alone[0].attributes),
            "{before:?}"
        );
    }
    let text = &alone[0].body;
    assert!(!text.contains("first") && !text.contains(CANARY), "{text}");
}

/// 108: a new environment makes the same of a call as the one before.
#[test]
fn a_restart_changes_nothing() {
    let sqs = Sqs::start();
    let config = json!({ "app_secret": SECRET, "verify_token": SECRET });
    let body = r#"{"object":"page","entry":[{"id":"1","time":1795500000,"changes":[{"field":"feed","value":{"item":"like"}},{"field":"feed","value":{"item":"like"}}]}]}"#;
    let event = facebook_call(SECRET, body).function_url_event_at(BodyAs::AwsDecides, CLOCK);
    let mut seen = BTreeSet::new();
    for _ in 0..3 {
        let function = gate("facebook", &sqs, &config).clock(Clock::StandsAt(CLOCK)).start();
        assert_eq!(function.invoke(&event).status(), 200);
        let bodies: Vec<String> = sqs.take_messages().into_iter().map(|message| message.body).collect();
        assert_eq!(bodies.len(), 2);
        assert_ne!(bodies[0], bodies[1]);
        seen.insert(bodies);
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
}

/// HTTP API events, in a stage and in none.
#[test]
fn an_http_api_serves_as_well_as_a_function_url() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    for stage in ["$default", "prod"] {
        let genuine = github_call(SECRET, "d", "{}");
        assert_eq!(function.invoke(&genuine.http_api_event(stage)).status(), 200, "{stage}");
        assert_eq!(sqs.take_messages().len(), 1, "{stage}");
        let forged = Request { body: b"[]".to_vec(), ..genuine };
        assert_refused(&function.invoke(&forged.http_api_event(stage)), stage);
        let wrong = Request { method: "PUT".into(), ..Request::default() };
        assert_eq!(function.invoke(&wrong.http_api_event(stage)).status(), 405, "{stage}");
    }
}

/// A row whose provider signs the URL that it calls.
static URL_SIGNING: Provider = Provider {
    name: "urlsigning",
    title: "URL-signing",
    settings: &[Setting::secret("secret", ""), Setting::text("url", "").optional()],
    scheme: &Mac {
        headers: &["x-signature"],
        signed: &[Part::Url, Part::Text("\n"), Part::Body],
        ..Mac::HMAC_SHA256
    },
    event: Event::of("example.urlsigning"),
    ..Provider::DEFAULTS
};

/// 100: a signed URL is that of the settings, else the one that AWS names, whatever the caller writes into headers.
#[test]
fn a_signed_url_is_never_taken_from_a_header() {
    let call = |url: &str| {
        let tag = mac(SECRET, &[url.as_bytes(), b"\n{}"]);
        let request = Request { query: "a=1&b=%20".into(), ..Request::post(JSON, "{}") };
        request.header("x-signature", &tag).at("/in")
    };
    let spoof = |request: Request| {
        let mut event = event_of(&request);
        for name in ["host", "x-forwarded-host", "x-original-host", "x-forwarded-server"] {
            event["headers"][name] = "evil.example".into();
        }
        event["headers"]["x-forwarded-proto"] = "http".into();
        event["headers"]["forwarded"] = "host=evil.example;proto=http".into();
        event.to_string()
    };
    let plain = |request: Request| request.function_url_event(BodyAs::AwsDecides);
    let of_url = format!("https://{URL_HOST}/in?a=1&b=%20");
    let of_api = format!("https://{API_HOST}/in?a=1&b=%20");
    let of_setting = "https://hooks.example/in";
    let of_evil = "https://evil.example/in?a=1&b=%20";

    let by_aws = Bench::new(&URL_SIGNING, &json!({ "secret": SECRET }));
    let by_setting = Bench::new(&URL_SIGNING, &json!({ "secret": SECRET, "url": of_setting }));
    for (bench, event, passes) in [
        (&by_aws, plain(call(&of_url)), true),
        (&by_aws, spoof(call(&of_url)), true),
        (&by_aws, call(&of_api).http_api_event("$default"), true),
        (&by_aws, spoof(call(of_evil)), false),
        (&by_aws, plain(call(&of_api)), false),
        (&by_aws, plain(call(of_setting)), false),
        (&by_setting, spoof(call(of_setting)), true),
        (&by_setting, plain(call(&of_url)), false),
        (&by_setting, spoof(call(of_evil)), false),
    ] {
        let answered = bench.event_at(&event, CLOCK);
        assert_eq!(
            (answered.is_accepted(1), answered.is_refused()),
            (passes, !passes),
            "{event}: {answered:?}"
        );
    }
}

/// 100: by settings alone the URL is that of the settings, else the one that AWS names.
#[test]
fn a_signed_url_by_settings_is_that_of_the_settings_or_of_aws() {
    let sqs = Sqs::start();
    let signature = json!({ "header": "x-signature", "signed": ["url", "body"] });
    let mut config = json!({ "secret": SECRET, "signature": signature });
    let call = |url: &str| {
        Request::post(JSON, "{}").header("x-signature", &mac(SECRET, &[url.as_bytes(), b"{}"])).at("/in")
    };
    let of_aws = format!("https://{URL_HOST}/in");
    let function = gate("generic", &sqs, &config).start();
    assert_eq!(send(&function, &call(&of_aws)).status(), 200);
    assert_refused(
        &send(&function, &call(&of_aws).header("x-forwarded-host", "evil").at("/out")),
        "elsewhere",
    );
    config["url"] = "https://hooks.example/in".into();
    let function = gate("generic", &sqs, &config).start();
    assert_eq!(send(&function, &call("https://hooks.example/in")).status(), 200);
    assert_refused(&send(&function, &call(&of_aws)), "the URL of AWS beside a setting");
}

/// A row with a defect: its format panics with what it reads.
static DEFECTIVE: Provider = Provider {
    name: "defective",
    title: "Defective",
    settings: &[Setting::secret("secret", "")],
    scheme: &Mac { headers: &["x-signature"], ..Mac::HMAC_SHA256 },
    format: |body, _| {
        let text = String::from_utf8_lossy(body);
        assert!(!text.contains("panic"), "{text}");
        Ok(Content::Bytes)
    },
    event: Event::of("example.defective"),
    ..Provider::DEFAULTS
};

/// The function of [`DEFECTIVE`]: this test program itself, told to be it.
#[test]
#[ignore = "is a Lambda function, and started as one by `a_panic_is_answered_by_us`"]
fn defective_function() {
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        shared::run(&DEFECTIVE).expect("a runtime");
    }
}

/// A script that turns this program into the function of [`DEFECTIVE`]; gone when dropped.
struct Script(PathBuf);

impl Script {
    fn new() -> Script {
        let path = env::temp_dir().join(format!("hookgate-defective-{}", process::id()));
        let program = env::current_exe().expect("the path of this test");
        let name = "cases::transport::defective_function";
        let text = format!("#!/bin/sh\nexec '{}' --exact {name} --ignored --nocapture\n", program.display());
        // Written under another name, so that no other thread's child holds it open for writing when it is executed.
        let unfinished = path.with_extension("new");
        fs::write(&unfinished, text).expect("a script");
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o700)).expect("its mode");
        fs::rename(&unfinished, &path).expect("its name");
        Script(path)
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// 105, 41: a panic in extraction is our fault, says only where it happened, and costs no environment.
#[test]
fn a_panic_is_answered_by_us() {
    let script = Script::new();
    let sqs = Sqs::start();
    let function = Function::builder(&script.0)
        .env("QUEUE_URL", sqs.queue_url())
        .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint())
        .env("HOOKGATE_CONFIG", json!({ "secret": SECRET }).to_string())
        .start();
    let call = |body: &str| Request::post(JSON, body).header("x-signature", &mac(SECRET, &[body.as_bytes()]));
    let pid = function.pid();
    for _ in 0..3 {
        let outcome = send(&function, &call(&format!("panic {CANARY}")));
        assert_fault(&outcome, "a panic");
        assert_eq!(send(&function, &call("fine")).status(), 200);
    }
    assert_eq!((function.pid(), sqs.messages().len()), (pid, 3));
    let logs = function.stop();
    assert!(!logs.contains(CANARY), "{logs}");
    let places =
        logs.lines().filter(|line| line.contains(r#""event":"panic""#) && line.contains("transport.rs:"));
    assert_eq!(places.count(), 3, "{logs}");
    assert_eq!(logs.lines().filter(|line| line.contains("a defect in the function")).count(), 3, "{logs}");
}

/// 105: what ships unwinds. Cargo's default is `unwind`; nothing may say otherwise.
#[test]
fn the_workspace_never_aborts_on_panic() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace's folder");
    let files = ["Cargo.toml", ".cargo/config.toml", ".cargo/config"];
    for file in files {
        let Ok(text) = fs::read_to_string(root.join(file)) else {
            assert_ne!(file, "Cargo.toml");
            continue;
        };
        let code: Vec<&str> = text.lines().map(|line| line.split('#').next().unwrap_or_default()).collect();
        let aborts = |line: &&&str| line.contains("panic") && line.contains("abort");
        assert_eq!(code.iter().find(aborts), None, "{file}");
        assert!(
            !code.iter().any(|line| line.contains("panic-abort") || line.contains("panic_abort")),
            "{file}"
        );
    }
}

/// The clock is the function's own: a time in the event is taken for nothing.
#[test]
fn the_time_of_the_event_is_not_believed() {
    let sqs = Sqs::start();
    let function = gate("stripe", &sqs, &json!({ "secret": SECRET })).start();
    let old = now() - 86_400;
    let call = stripe_call(SECRET, old, r#"{"id":"evt_1","type":"a"}"#);
    assert_refused(&function.invoke(&call.function_url_event_at(BodyAs::AwsDecides, old)), "a day old");
    assert_eq!(sqs.messages(), []);
}
