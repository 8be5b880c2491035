//! Where a rule ends: the last value that is in and the first that is out, and what no row of today needs. The mutants of
//! case 112 that no other test notices are caught here (`docs/mutants.md`).

use super::support::{Bench, CLOCK, block_on, entry, signed};
use crate::event::{BodyAs, Request};
use crate::http::{self, Server, lock};
use crate::vector;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac as _};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use shared::aws::Aws;
use shared::bucket::{Bucket, ClaimCheck};
use shared::call::{Call, Payload};
use shared::duplicates::Table;
use shared::error::{Fault, Refused};
use shared::event::{Envelope, attribute};
use shared::mac::{Layout, MAX_SIGNATURE_HEADER, MAX_SIGNATURES, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::{Event, Field, Provider, Setting, Time};
use shared::queue::{Putting, Queue, Store, Unkept};
use shared::secret::Secret;
use shared::settings::Document;
use shared::verify::{Assurance, InBody, verify};
use std::collections::BTreeMap;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{env, thread};

const KEY: &str = "throw-away key of the test, 32 b";
const JSON: &str = "application/json";

/// A row whose signatures stand in pairs beside a time.
static PAIRS: Provider = Provider {
    name: "pairs",
    settings: &[Setting::secret("secret", "nowhere")],
    scheme: &Mac {
        headers: &["x-signature"],
        layout: Layout::Pairs("s"),
        signed: &[Part::Timestamp, Part::Body],
        timestamp: Some(Timestamp { at: TimestampAt::Pair("t"), unit: Unit::Seconds, tolerance: 10 }),
        ..Mac::HMAC_SHA256
    },
    event: Event { time: &[Time::Signed], ..Event::of("com.example.pairs") },
    ..Provider::DEFAULTS
};

/// A row that signs one field and leaves the rest of the body open.
static ONE_FIELD: Provider = Provider {
    name: "onefield",
    settings: &[Setting::secret("secret", "nowhere")],
    scheme: &Mac { headers: &["x-signature"], signed: &[Part::Json("/sum")], ..Mac::HMAC_SHA256 },
    event: Event { id: &[&[Field::Body("/id")]], ..Event::of("com.example.onefield") },
    ..Provider::DEFAULTS
};

fn hex_mac(parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(KEY.as_bytes()).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    hex::encode(mac.finalize().into_bytes())
}

fn secret() -> Value {
    json!({ "secret": KEY })
}

/// A call of [`PAIRS`] with more in its header.
fn pairs_call(time: &str, more: &str) -> Request {
    let tag = hex_mac(&[time.as_bytes(), b"{}"]);
    Request::post(JSON, "{}").header("X-Signature", &format!("t={time},s={tag}{more}"))
}

#[test]
fn a_signature_header_has_a_largest_length() {
    let plain = pairs_call(&CLOCK.to_string(), "").headers[1].1.len();
    let bench = Bench::new(&PAIRS, &secret());
    let padded = |len: usize| {
        let call = pairs_call(&CLOCK.to_string(), &format!(",x={}", "x".repeat(len - plain - 3)));
        assert_eq!(call.headers[1].1.len(), len);
        bench.send(&call)
    };
    assert!(padded(MAX_SIGNATURE_HEADER).is_accepted(1));
    assert!(padded(MAX_SIGNATURE_HEADER + 1).is_refused());
}

#[test]
fn a_call_offers_so_many_signatures_and_no_more() {
    let bench = Bench::new(&PAIRS, &secret());
    let crowd = |others| bench.send(&pairs_call(&CLOCK.to_string(), &",s=00".repeat(others)));
    assert!(crowd(MAX_SIGNATURES - 1).is_accepted(1));
    assert!(crowd(MAX_SIGNATURES).is_refused());
}

/// The one time that begins with a zero, and the longest text that is looked at as one.
#[test]
fn nought_is_a_time_and_a_leading_nought_is_none() {
    let bench = Bench::new(&PAIRS, &secret());
    assert!(bench.send_at(&pairs_call("0", ""), 5).is_accepted(1));
    for time in ["", "00", "05", "5.", "-5", "+5"] {
        assert!(bench.send_at(&pairs_call(time, ""), 5).is_refused(), "{time:?}");
    }
    let refused = |time: &str| match bench.send(&pairs_call(time, "")).why {
        shared::gate::Why::Failed(shared::error::Failure::Refused(refused)) => refused,
        why => panic!("{why:?}"),
    };
    assert_eq!(refused("999999999999999999"), Refused::Stale);
    assert!(matches!(refused("1000000000000000000"), Refused::Malformed(_)));
}

#[test]
fn a_signed_time_is_told_as_it_was_signed() {
    for (second, time) in [(0, "1970-01-01T00:00:00Z"), (CLOCK, "2026-11-24T06:00:00Z")] {
        let answered = Bench::new(&PAIRS, &secret()).send_at(&pairs_call(&second.to_string(), ""), second);
        assert_eq!(answered.envelope()["time"], time);
        assert_eq!(answered.envelope()["assurance"], "signed-fresh");
    }
}

/// What is said of a body that anybody could have changed, and of an id in it.
/// SQS takes no attribute without a value.
#[test]
fn an_attribute_is_never_empty() {
    assert_eq!([attribute(""), attribute("a")], ["-", "a"]);
}

#[test]
fn seconds_may_have_a_fraction_of_digits_and_nothing_else() {
    let row = entry("front").provider;
    let config = json!({ "api_secret": KEY });
    for (text, time) in [
        ("1795500000", json!("2026-11-24T06:00:00Z")),
        ("1795500000.25", json!("2026-11-24T06:00:00.25Z")),
        ("1795500000.1239", json!("2026-11-24T06:00:00.123Z")),
        ("1795500000.123x", Value::Null),
        ("1795500000.1234567890123456", Value::Null),
        ("1795500000x.123", Value::Null),
        (".123", Value::Null),
    ] {
        let body = json!({ "id": "1", "emitted_at": text }).to_string();
        let answered = Bench::new(row, &config).send(&signed(row, &config, Request::post(JSON, body)));
        assert_eq!(answered.envelope()["time"], time, "{text}");
    }
}

#[test]
fn a_place_in_the_body_is_told_as_a_person_writes_it() {
    let each = InBody::Each { entries: "value", member: "token" };
    assert_eq!([InBody::Field("sig").to_string(), each.to_string()], ["sig=", "value[].token"]);
}

#[test]
fn a_field_that_is_signed_covers_no_body() {
    let tag = hex_mac(&[b"1.50"]);
    let bench = Bench::new(&ONE_FIELD, &secret());
    let send = |body: &str| bench.send(&Request::post(JSON, body).header("X-Signature", &tag));
    let envelope = send(r#"{"id":"a","sum":1.50}"#).envelope();
    assert_eq!((&envelope["assurance"], &envelope["idsource"]), (&json!("signed-fields"), &json!("header")));
    assert!(send(r#"{"id":"b","sum":1.50,"more":true}"#).is_accepted(1));
    for body in [r#"{"id":"a","sum":1.5}"#, r#"{"id":"a"}"#, r#"{"sum":{}}"#, "1.50"] {
        assert!(send(body).is_refused(), "{body}");
    }
}

/// Of several checks that all must pass, the envelope names the strongest, whichever came first.
#[test]
fn the_strongest_of_several_checks_is_named() {
    let row = entry("generic").provider;
    let basic = json!({ "username": "user", "password": "a throw-away password" });
    let token = json!({ "token": KEY, "token_header": "X-Token" });
    let mac = json!({ "secret": KEY, "signature": { "header": "X-Sig" } });
    let both = |a: &Value, b: &Value| {
        let mut config = a.as_object().expect("an object").clone();
        config.extend(b.as_object().expect("an object").clone());
        Value::Object(config)
    };
    let basic = json!({ "basic_auth": basic });
    for (config, name) in [
        (basic.clone(), "basic"),
        (token.clone(), "token"),
        (mac.clone(), "signed"),
        (both(&token, &basic), "token"),
        (both(&mac, &basic), "signed"),
        (both(&mac, &token), "signed"),
    ] {
        let answered = Bench::new(row, &config).send(&signed(row, &config, Request::post(JSON, "{}")));
        assert_eq!(answered.envelope()["assurance"], name, "{config}");
    }
}

/// A credential that is longer than any is not looked at, right or wrong.
#[test]
fn a_credential_has_a_largest_length() {
    let generic = entry("generic").provider;
    let token = |len: usize| json!({ "token": "t".repeat(len), "token_header": "X-Token" });
    // User name, colon and password in base64, three bytes in four characters.
    let basic =
        |len: usize| json!({ "basic_auth": { "username": "u", "password": "p".repeat(len / 4 * 3 - 2) } });
    for (config, is_accepted) in
        [(token(4096), true), (token(4097), false), (basic(4096), true), (basic(4100), false)]
    {
        let answered =
            Bench::new(generic, &config).send(&signed(generic, &config, Request::post(JSON, "{}")));
        assert_eq!(
            (answered.is_accepted(1), answered.is_refused()),
            (is_accepted, !is_accepted),
            "{answered:?}"
        );
    }
    // Nothing is no credential either.
    for (name, value) in [("X-Token", ""), ("X-Other", "t")] {
        assert!(
            Bench::new(generic, &token(16)).send(&Request::post(JSON, "{}").header(name, value)).is_refused()
        );
    }
}

#[test]
fn what_is_kept_of_a_secret_is_shown_as_that() {
    assert_eq!(format!("{:?}", Secret::new(KEY.into())), "Secret(…)");
    // Whoever looks at a checked call sees what the check was worth, and nothing of the call.
    let document = Document::read(&PAIRS, &secret().to_string()).expect("settings");
    let payload = Payload::read(&pairs_call("5", "").function_url_event_at(BodyAs::Text, 5));
    let call = payload.call().expect("an event");
    let endpoint = document.endpoint(&call).expect("an endpoint");
    let verified = verify(&PAIRS, &call, endpoint, 5).expect("a genuine call");
    assert_eq!(format!("{verified:?}"), "Verified { assurance: SignedFresh, .. }");
    assert_eq!((verified.assurance(), verified.signed_time()), (Assurance::SignedFresh, Some(5)));
}

/// The settings with `raw` in them.
fn raw(config: &Value) -> Value {
    let mut config = config.clone();
    config["raw"] = json!(true);
    config
}

fn base64(text: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text.as_str().expect("a text")).expect("base64")
}

/// 96: what an envelope carries raw is enough to check the call again, for every provider whose evidence is no credential;
/// and without the setting nothing of it is there.
#[test]
fn what_is_carried_raw_can_be_checked_again() {
    let mut checked = 0;
    for provider in registry::ENTRIES.iter().map(|entry| entry.provider) {
        for vector in vector::of(provider.name) {
            let second = vector.clock.unwrap_or(CLOCK);
            let plain = Bench::new(provider, &vector.config()).send_at(&vector.request(), second);
            let carried = Bench::new(provider, &raw(&vector.config())).send_at(&vector.request(), second);
            assert_eq!(plain.events.len(), carried.events.len(), "{}", vector.id);
            let document = Document::read(provider, &vector.config().to_string()).expect("settings");
            for (plain, carried) in plain.envelopes().into_iter().zip(carried.envelopes()) {
                for name in ["rawbody", "rawheaders", "rawurl"] {
                    assert!(plain.get(name).is_none(), "{}: {name}", vector.id);
                }
                let (scheme, endpoint) = (provider.scheme, &document.endpoints()[0]);
                let has_credential = scheme.evidence(endpoint).is_none();
                let is_credential = ["token", "basic"].contains(&carried["assurance"].as_str().unwrap());
                assert!(has_credential || !is_credential, "{}", vector.id);
                assert!(!has_credential || carried.get("rawheaders").is_none(), "{}", vector.id);
                if has_credential && scheme.describe(endpoint).in_body.is_some() {
                    assert!(carried.get("rawbody").is_none(), "{}", vector.id);
                    continue;
                }
                let body = carried.get("rawbody").map(base64).unwrap_or_default();
                assert_eq!(body, vector.body, "{}", vector.id);
                if has_credential {
                    continue;
                }
                // None are needed where the body holds the signature.
                let headers = carried.get("rawheaders").map_or("{}", |headers| headers.as_str().unwrap());
                let headers: Map<String, Value> = serde_json::from_str(headers).unwrap();
                let headers = headers
                    .iter()
                    .map(|(name, value)| (name.as_str().into(), value.as_str().unwrap().into()));
                let again = Call::new(&*vector.method, &vector.path, &vector.query, headers, body);
                let endpoint = document.endpoint(&again).expect("the endpoint");
                let verified = verify(provider, &again, endpoint, second).expect("the same call");
                assert_eq!(verified.assurance().name(), carried["assurance"], "{}", vector.id);
                checked += 1;
            }
        }
    }
    assert!(checked > 100, "only {checked} calls");
}

/// Every part of what the settings have signed travels; a token beside the signature never does.
#[test]
fn raw_headers_are_those_of_the_signature() {
    let row = entry("generic").provider;
    let send = |signature: Value, more: Value, headers: &[(&str, &str)]| {
        let mut config = json!({ "raw": true, "secret": KEY, "signature": signature });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let request = Request { query: "a=b".into(), ..Request::post(JSON, "{}") };
        let request = headers.iter().fold(request, |request, (name, value)| request.header(name, value));
        // Who signs must know the address; who checks has it from AWS where no setting says it.
        let mut of_signer = config.clone();
        let host = crate::event::URL_HOST;
        of_signer.as_object_mut().unwrap().entry("url").or_insert(json!(format!("https://{host}/in?a=b")));
        Bench::new(row, &config).send(&signed(row, &of_signer, request.at("/in"))).envelope()
    };
    let names = |envelope: &Value| {
        let headers: BTreeMap<String, Value> =
            serde_json::from_str(envelope["rawheaders"].as_str().unwrap()).unwrap();
        headers.into_keys().collect::<Vec<_>>()
    };
    let plain = send(json!({ "header": "X-Sig" }), json!({}), &[("X-Other", "1")]);
    assert_eq!(names(&plain), ["x-sig"]);
    assert!(plain.get("rawurl").is_none(), "{plain}");
    let rule = json!({
        "header": "X-Sig", "timestamp_header": "X-Time", "id_header": "X-Id",
        "signed": ["timestamp", ".", "id", ".", "url", "\n", "body"],
    });
    let token = json!({ "token": KEY, "token_header": "X-Token" });
    let full = send(rule.clone(), json!({}), &[("X-Id", "one")]);
    assert_eq!(names(&full), ["x-id", "x-sig", "x-time"]);
    let host = crate::event::URL_HOST;
    assert_eq!(full["rawurl"], format!("https://{host}/in?a=b"));
    let chosen = send(rule, json!({ "url": "https://example.com/hook" }), &[("X-Id", "one")]);
    assert_eq!(chosen["rawurl"], "https://example.com/hook");
    // Where a credential is checked too, nothing of the call's headers is kept.
    let beside = send(json!({ "header": "X-Sig" }), token, &[]);
    assert!(beside.get("rawheaders").is_none(), "{beside}");
}

#[test]
fn a_call_without_a_body_carries_none() {
    let (row, config) = (entry("github").provider, raw(&secret()));
    let request = Request::default().header("X-GitHub-Event", "ping").header("X-GitHub-Delivery", "d-1");
    let answered = Bench::new(row, &config).send(&signed(row, &config, request));
    let envelope = answered.envelope();
    for name in ["data", "data_base64", "rawbody", "dataref", "rawref"] {
        assert!(envelope.get(name).is_none(), "{name}: {envelope}");
    }
    assert!(envelope.get("rawheaders").is_some());
    // Nothing can be put elsewhere, so a reference would refer to nothing.
    let (light, objects) = answered.events[0].referring(0, |_| "s3://b/k".into());
    assert_eq!((light.text(), objects.len()), (answered.events[0].text(), 0));
}

/// A GitHub event with so many bytes of data.
fn github(config: &Value, request: Request) -> Envelope {
    let row = entry("github").provider;
    let request = request.header("X-GitHub-Event", "issues").header("X-GitHub-Delivery", "d-1");
    let mut answered = Bench::new(row, config).send(&signed(row, config, request));
    assert_eq!(answered.events.len(), 1, "{answered:?}");
    answered.events.remove(0)
}

/// What an event refers to: its content type, its bytes and their digest.
type Referred = (String, Vec<u8>, String);

/// What an event becomes where only so much fits, and the names and sizes of what it refers to.
fn referring(event: &Envelope, max_bytes: usize) -> (Value, usize, Vec<Referred>) {
    let (light, objects) = event.referring(max_bytes, |object| format!("s3://b/{}", object.sha256));
    assert_eq!((light.id(), light.kind(), light.source()), (event.id(), event.kind(), event.source()));
    assert_eq!((light.identity(), light.occurrence()), (event.identity(), event.occurrence()));
    assert_eq!((light.order(), light.tenant()), (event.order(), event.tenant()));
    assert_eq!((light.attributes(), light.provider()), (event.attributes(), event.provider()));
    let objects = objects
        .into_iter()
        .map(|object| (object.content_type.into_owned(), object.bytes.into_owned(), object.sha256))
        .collect();
    (serde_json::from_str(light.text()).expect("JSON"), light.size(), objects)
}

/// 91: bytes that count are those of the text, and of each attribute its name, its type and its value.
#[test]
fn an_event_fits_to_the_byte() {
    let event = github(&secret(), Request::post(JSON, "{}"));
    let attributes = [
        ("provider", "github"),
        ("type", "com.github.issues"),
        ("source", "/hookgate/github"),
        ("assurance", "signed"),
        ("datacontenttype", "application/json"),
    ];
    assert_eq!(event.attributes(), attributes.map(|(name, value)| (name, value.into())));
    let beside: usize =
        attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len()).sum();
    assert_eq!(event.size(), event.text().len() + beside);
    assert!(event.fits(event.size()) && !event.fits(event.size() - 1));
    assert_eq!(event.provider(), "github");
    assert_eq!(
        format!("{event:?}"),
        format!(r#"Envelope {{ type: "com.github.issues", id: "{}", .. }}"#, event.id())
    );
}

/// Data is put elsewhere whole: the bytes that it refers to are the bytes that it would have carried.
#[test]
fn a_reference_takes_the_place_of_the_data() {
    let text = format!(r#"{{"a":"é\uFFFF",  "n":1.50, "long":"{}"}}"#, "x".repeat(5000));
    let bytes = [b"\xff\x00".as_slice(), &[b'x'; 5000]].concat();
    for (request, content_type, body) in [
        (Request::post(JSON, text.clone()), JSON, text.as_bytes()),
        (Request::post("application/x-thing", bytes.clone()), "application/x-thing", &bytes[..]),
    ] {
        let event = github(&secret(), request);
        let whole: Value = serde_json::from_str(event.text()).unwrap();
        let (light, size, objects) = referring(&event, event.size() - 1);
        let sha256 = hex::encode(Sha256::digest(body));
        assert_eq!(objects, [(content_type.to_owned(), body.to_vec(), sha256.clone())]);
        assert!(size < 1500, "{size}");
        let mut expected = whole.as_object().unwrap().clone();
        expected.remove("data");
        expected.remove("data_base64");
        expected.insert("dataref".into(), json!(format!("s3://b/{sha256}")));
        assert_eq!(light, Value::Object(expected));
        // What refers already has nothing more to put elsewhere.
        let (once, _) = event.referring(0, |object| format!("s3://b/{}", object.sha256));
        let (twice, objects) = once.referring(0, |_| "s3://b/other".into());
        assert_eq!((once.text(), objects.len()), (twice.text(), 0));
    }
}

/// The call's bytes leave first, and the data only where it does not fit beside their reference, to the byte.
#[test]
fn raw_bytes_leave_before_the_data() {
    let body = format!(r#"{{"long":"{}"}}"#, "x".repeat(5000));
    let event = github(&raw(&secret()), Request::post(JSON, body.clone()));
    let sha256 = hex::encode(Sha256::digest(body.as_bytes()));
    let url = format!("s3://b/{sha256}");
    let bytes = ("application/octet-stream".to_owned(), body.clone().into_bytes(), sha256.clone());
    let data = (JSON.to_owned(), body.into_bytes(), sha256);

    let (light, size, objects) = referring(&event, event.size() - 1);
    assert_eq!(objects, std::slice::from_ref(&bytes));
    assert_eq!((&light["rawref"], light.get("rawbody"), light.get("dataref")), (&json!(url), None, None));
    assert!(light.get("data").is_some() && light.get("rawheaders").is_some());
    assert!(size < event.size());
    let (same, same_size, objects) = referring(&event, size);
    assert_eq!((&same, same_size, &objects[..]), (&light, size, std::slice::from_ref(&bytes)));

    let (lighter, _, objects) = referring(&event, size - 1);
    assert_eq!(objects, [bytes, data]);
    assert_eq!((&lighter["rawref"], &lighter["dataref"]), (&json!(url), &json!(url)));
    assert!(lighter.get("data").is_none() && lighter.get("rawbody").is_none());
}

/// What stands around the items is repeated for each: 20 MB of that are cut, 40 MB are one event.
#[test]
fn a_call_is_cut_into_what_a_function_holds() {
    let (row, config) = (entry("facebook").provider, json!({ "app_secret": KEY, "verify_token": KEY }));
    let bench = Bench::with_max_bytes(row, &config, usize::MAX);
    let around = "a".repeat(200_000);
    for (items, events) in [(100, 100), (200, 1)] {
        let items = [r#"{"field":"feed"}"#].repeat(items).join(",");
        let body =
            format!(r#"{{"object":"page","x":"{around}","entry":[{{"id":"1","changes":[{items}]}}]}}"#);
        let answered = bench.send(&signed(row, &config, Request::post(JSON, body)));
        assert_eq!((answered.status, answered.events.len()), (200, events));
    }
}

/// Many events of one large call would each carry it whole; beyond what a function holds they share one object.
#[test]
fn a_call_too_large_to_be_repeated_is_put_beside_its_events() {
    let config = raw(&json!({ "app_secret": KEY, "verify_token": KEY }));
    let row = entry("facebook").provider;
    // The body grows by so much for each event, and is repeated for each in base64.
    let events_of = |count: usize, padding: usize| {
        let item = |i| format!(r#"{{"field":"feed","value":{{"n":{i}}}}}"#);
        let items = (0..count).map(item).collect::<Vec<_>>().join(",");
        let body = format!(
            r#"{{"object":"page","entry":[{{"id":"1","time":1795500000,"changes":[{items}]}}]}}{}"#,
            " ".repeat(padding)
        );
        let request = signed(row, &config, Request::post(JSON, body));
        let payload = Payload::read(&request.function_url_event_at(BodyAs::AwsDecides, CLOCK));
        let call = payload.call().expect("an event");
        let document = Document::read(row, &config.to_string()).expect("settings");
        let endpoint = document.endpoint(&call).expect("an endpoint");
        let verified = verify(row, &call, endpoint, CLOCK).expect("a genuine call");
        let events = shared::event::envelopes(&verified, CLOCK * 1000);
        assert_eq!(events.len(), count);
        (events, request.body)
    };
    // 30 MB and 37 MB of base64 in 100 events.
    let (within, body) = events_of(100, 215_000);
    for event in [&within[0], &within[99]] {
        let envelope: Value = serde_json::from_str(event.text()).expect("JSON");
        assert_eq!(base64(&envelope["rawbody"]), body);
        assert!(event.fits(event.size()) && !event.fits(event.size() - 1));
    }
    let (beyond, body) = events_of(100, 275_000);
    for event in [&beyond[0], &beyond[99]] {
        let envelope: Value = serde_json::from_str(event.text()).expect("JSON");
        assert!(envelope.get("rawbody").is_none() && envelope.get("data").is_some());
        assert!(!event.fits(usize::MAX), "it is not whole without the call's bytes");
        let (light, _, objects) = referring(event, usize::MAX);
        assert_eq!(objects.len(), 1);
        assert!(objects[0].1 == body && light["data"] == envelope["data"]);
        assert_eq!(light["rawref"], format!("s3://b/{}", light["calldigest"].as_str().unwrap()));
    }
}

#[test]
fn what_an_envelope_says_of_itself_is_in_its_text() {
    let (mut count, mut digests) = (0, 0);
    for provider in registry::ENTRIES.iter().map(|entry| entry.provider) {
        for vector in vector::of(provider.name) {
            let bench = Bench::new(provider, &vector.config());
            for event in bench.send_at(&vector.request(), vector.clock.unwrap_or(CLOCK)).events {
                let text: Value = serde_json::from_str(event.text()).expect("JSON");
                assert_eq!(text["source"], event.source());
                assert_eq!((&text["id"], &text["type"]), (&json!(event.id()), &json!(event.kind())));
                assert_eq!((&text["provider"], provider.name), (&json!(event.provider()), event.provider()));
                let within_source = |name: &str| {
                    format!(
                        "{}\n{}",
                        event.source(),
                        text.get(name).and_then(Value::as_str).unwrap_or_default()
                    )
                };
                assert_eq!(event.order(), within_source("partitionkey"));
                assert_eq!(event.tenant(), within_source("account"));
                // Without an id of the provider's and without a time, it is told apart by when it came.
                let second = vector.clock.unwrap_or(CLOCK);
                let is_digest = text["idsource"] == "digest" && text.get("time").is_none();
                let arrival = if is_digest { format!("\n{}", second * 1000) } else { String::new() };
                assert_eq!(event.is_told_apart(), !is_digest);
                assert_eq!(event.occurrence(), event.identity() + &arrival);
                digests += usize::from(is_digest);
                count += 1;
            }
        }
    }
    assert!(count > 150 && digests > 5, "only {count} events, {digests} of them without an id and a time");
}

/// Calls of `generic` with this layout of the event.
fn laid_out(event: &Value, request: Request) -> Envelope {
    let config = json!({ "secret": KEY, "signature": { "header": "X-Sig" }, "event": event });
    let row = entry("generic").provider;
    Bench::new(row, &config).send(&signed(row, &config, request)).events.remove(0)
}

/// Attributes are cut before the character that does not fit, and hold nothing that SQS does not carry.
#[test]
fn an_attribute_is_cut_between_characters() {
    let layout = json!({ "prefix": "com.example", "type": "/t" });
    let attribute = |kind: &str| {
        let event = laid_out(&layout, Request::post(JSON, json!({ "t": kind }).to_string()));
        assert_eq!(event.kind(), format!("com.example.{kind}"), "whole in the envelope");
        event.attributes()[1].1["com.example.".len()..].to_owned()
    };
    let room = 256 - "com.example.".len();
    for (kind, cut) in [
        ("a".repeat(room), "a".repeat(room)),
        ("a".repeat(room + 1), "a".repeat(room)),
        (format!("{}é", "a".repeat(room - 2)), format!("{}é", "a".repeat(room - 2))),
        (format!("{}éa", "a".repeat(room - 2)), format!("{}é", "a".repeat(room - 2))),
        (format!("{}é", "a".repeat(room - 1)), "a".repeat(room - 1)),
        ("a\u{1}b\u{ffff}".into(), "a\u{fffd}b\u{fffd}".into()),
    ] {
        assert_eq!(attribute(&kind), cut);
    }
}

#[test]
fn a_content_type_is_passed_on_if_it_is_one() {
    let longest = format!("a/{}", "b".repeat(254));
    for (content_type, passed) in [
        ("a/b", "a/b"),
        (&*longest, &*longest),
        (&*format!("{longest}b"), "application/octet-stream"),
        ("ab", "application/octet-stream"),
        ("a/é", "application/octet-stream"),
        ("a/\u{7f}", "application/octet-stream"),
        ("a/~ ;b=\"c\"", "a/~ ;b=\"c\""),
    ] {
        let event = laid_out(&json!({}), Request::post(content_type, &b"\xff"[..]));
        let text: Value = serde_json::from_str(event.text()).expect("JSON");
        assert_eq!(text["datacontenttype"], passed, "{content_type}");
    }
}

/// Digits, of seconds up to eleven and of milliseconds beyond, or RFC 3339 as it is written; anything else is no time.
#[test]
fn a_time_is_read_in_one_way() {
    let time = |text: &str| {
        let event =
            laid_out(&json!({ "time": "/at" }), Request::post(JSON, json!({ "at": text }).to_string()));
        let text: Value = serde_json::from_str(event.text()).expect("JSON");
        text.get("time").map(|time| time.as_str().expect("a text").to_owned())
    };
    for (text, expected) in [
        ("1795500000", "2026-11-24T06:00:00Z"),
        ("99999999999", "5138-11-16T09:46:39Z"),
        ("100000000000", "1973-03-03T09:46:40Z"),
        ("000001795500000", "1970-01-21T18:45:00Z"),
        ("2026-11-24T06:00:00.5+07:00", "2026-11-24T06:00:00.5+07:00"),
        ("2026-11-24T06:00:00.000000000000000+07:00", ""),
    ] {
        assert_eq!(time(text).unwrap_or_default(), expected, "{text}");
    }
    for text in
        ["+1795500000", "0000001795500000", "2026-11-24t06:00:00Z", "2026-11-24T06:00:00z", "soon", "1e9"]
    {
        assert_eq!(time(text), None, "{text}");
    }
}

/// Rust would read a number where there is a plus sign.
#[test]
fn an_attempt_has_no_sign() {
    let (row, config) = (entry("slack").provider, json!({ "signing_secret": KEY }));
    for (told, attempt) in [("1", Some(1)), ("+1", None)] {
        let request = Request::post(JSON, r#"{"event_id":"E1"}"#).header("X-Slack-Retry-Num", told);
        let envelope = Bench::new(row, &config).send(&signed(row, &config, request)).envelope();
        assert_eq!(envelope.get("attempt").and_then(Value::as_i64), attempt, "{told}");
    }
}

/// An id is as good as its least part: one header in it, whatever for, and it is one that nobody signed.
#[test]
fn an_id_with_a_header_in_it_is_a_header() {
    const HEADER: Field<'_> = Field::Header("x-a");
    static PLAIN: Provider = Provider { event: ids(&[&[Field::Body("/id")]]), ..GROUPS };
    static MAYBE: Provider =
        Provider { event: ids(&[&[Field::Maybe(&HEADER), Field::Body("/id")]]), ..GROUPS };
    static WHERE: Provider =
        Provider { event: ids(&[&[Field::Where(&HEADER, "y"), Field::Body("/id")]]), ..GROUPS };
    static SIGNED: Provider =
        Provider { event: ids(&[&[Field::SignedHeader("x-a"), Field::Body("/id")]]), ..GROUPS };
    const fn ids(id: &'static [&'static [Field<'static>]]) -> Event<'static> {
        Event { id, ..Event::of("com.example.ids") }
    }
    let send = |row, headers: &[(&str, &str)]| {
        let request = headers.iter().fold(Request::post(JSON, r#"{"id":1}"#), |r, (n, v)| r.header(n, v));
        let envelope = Bench::new(row, &secret()).send(&signed(row, &secret(), request)).envelope();
        let text = |name: &str| envelope[name].as_str().expect("a text").to_owned();
        (text("id"), text("idsource"))
    };
    let is = |id: &str, source: &str| (id.to_owned(), source.to_owned());
    let there: &[(&str, &str)] = &[("X-A", "yes")];
    assert_eq!(send(&PLAIN, there), is("1", "signed"));
    assert_eq!(send(&MAYBE, there), is("yes:1", "header"));
    assert_eq!(send(&MAYBE, &[]), is("1", "header"));
    assert_eq!(send(&WHERE, there), is("1", "header"));
    assert_eq!(send(&WHERE, &[("X-A", "no")]).1, "digest");
    assert_eq!(send(&SIGNED, there), is("yes:1", "signed"));
}

/// A row whose events say themselves what they are and whose order they keep.
static GROUPS: Provider = Provider {
    name: "groups",
    settings: &[Setting::secret("secret", "nowhere")],
    scheme: &Mac { headers: &["x-signature"], ..Mac::HMAC_SHA256 },
    event: Event {
        id: &[&[Field::Body("/id")]],
        partition: &[&[Field::Body("/group")]],
        ..Event::of("com.example.groups")
    },
    ..Provider::DEFAULTS
};
/// What a message of [`queue`] may be: enough for an event without much data.
const SMALL: usize = 2000;

/// An event with an id and a group; one that is large has more data than a message may.
fn event(id: &str, group: &str, is_large: bool) -> Envelope {
    let body = json!({ "id": id, "group": group, "x": "x".repeat(if is_large { 2 * SMALL } else { 0 }) });
    let request = signed(&GROUPS, &secret(), Request::post(JSON, body.to_string()));
    let mut answered = Bench::new(&GROUPS, &secret()).send(&request);
    answered.events.remove(0)
}

fn small(ids: &[&str]) -> Vec<Envelope> {
    ids.iter().map(|id| event(id, id, false)).collect()
}

/// A store that keeps what it is not told to refuse, and remembers each request.
#[derive(Clone, Default)]
struct Shelf {
    refuses: &'static [&'static str],
    keeps_order: bool,
    takes_any_size: bool,
    puts: Arc<Mutex<Vec<Put>>>,
}

/// One request to a [`Shelf`].
struct Put {
    ids: Vec<String>,
    texts: Vec<Value>,
    until: Instant,
    at: Instant,
}

impl Shelf {
    fn refusing(refuses: &'static [&'static str]) -> Shelf {
        Shelf { refuses, ..Shelf::default() }
    }

    /// The ids of each request since the last look.
    fn ids(&self) -> Vec<Vec<String>> {
        lock(&self.puts).drain(..).map(|put| put.ids).collect()
    }
}

impl Store for Shelf {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], until: Instant) -> Putting<'a> {
        let ids: Vec<String> = events.iter().map(|event| event.id().to_owned()).collect();
        let left: Vec<usize> = ids
            .iter()
            .enumerate()
            .filter(|(_, id)| self.refuses.contains(&id.as_str()))
            .map(|(i, _)| i)
            .collect();
        let texts = events.iter().map(|event| serde_json::from_str(event.text()).expect("JSON")).collect();
        lock(&self.puts).push(Put { ids, texts, until, at: Instant::now() });
        let name = if self.keeps_order { "an ordered shelf" } else { "a shelf" };
        let kept = if left.is_empty() { Ok(()) } else { Err(Unkept { fault: Fault::Queue(name), left }) };
        Box::pin(async move { kept })
    }

    fn keeps_order(&self) -> bool {
        self.keeps_order
    }

    fn takes_any_size(&self) -> bool {
        self.takes_any_size
    }
}

fn queue(shelf: &Shelf) -> Queue {
    Queue::new(Box::new(shelf.clone()), SMALL)
}

/// Hands events over within a time, and says how many are stored.
fn hand_over(queue: &Queue, events: &[Envelope], time: Duration) -> Result<usize, Fault> {
    block_on(queue.send(events, Instant::now() + time)).map(|receipt| receipt.events())
}

const TIME: Duration = Duration::from_secs(10);

#[test]
fn no_event_is_no_success() {
    let shelf = Shelf::default();
    assert!(hand_over(&queue(&shelf), &[], TIME).is_err());
    assert!(shelf.ids().is_empty());
}

/// What can be stored is, and what comes after a large event of its group waits only where the order counts.
#[test]
fn a_large_event_holds_up_its_group_where_order_counts() {
    let events =
        [event("a", "1", false), event("b", "2", true), event("c", "2", false), event("d", "1", false)];
    let (ordered, unordered) = (Shelf { keeps_order: true, ..Shelf::default() }, Shelf::default());
    assert_eq!(hand_over(&queue(&ordered), &events, TIME), Err(Fault::TooLarge));
    assert_eq!(ordered.ids(), [["a", "d"]]);
    assert_eq!(hand_over(&queue(&unordered), &events, TIME), Err(Fault::TooLarge));
    assert_eq!(unordered.ids(), [["a", "c", "d"]]);
    // Without a large one nothing waits; with nothing else nothing is sent.
    assert_eq!(hand_over(&queue(&ordered), &events[2..], TIME), Ok(2));
    assert_eq!(ordered.ids(), [["c", "d"]]);
    assert_eq!(hand_over(&queue(&ordered), &events[1..3], TIME), Err(Fault::TooLarge));
    assert!(ordered.ids().is_empty());
}

#[test]
fn a_store_is_an_unordered_queue_unless_it_says_otherwise() {
    struct Plain;
    impl Store for Plain {
        fn put<'a>(&'a self, _: &'a [&'a Envelope], _: Instant) -> Putting<'a> {
            Box::pin(async { Ok(()) })
        }
    }
    assert!(!Plain.keeps_order() && !Plain.takes_any_size());
}

/// What one store leaves, the next gets, and nothing else; what the queue itself said is what counts.
#[test]
fn what_is_left_goes_to_the_next_store() {
    let events = small(&["a", "b", "c", "d"]);
    let main = Shelf { keeps_order: true, ..Shelf::refusing(&["b", "c", "d"]) };
    for (first, second, kept, of_first, of_second) in [
        (Shelf::default(), Shelf::default(), Ok(4), vec!["b", "c", "d"], None),
        (Shelf::refusing(&["d"]), Shelf::default(), Ok(4), vec!["b", "c", "d"], Some(vec!["d"])),
        (
            Shelf::refusing(&["b", "d"]),
            Shelf::refusing(&["d"]),
            Err(()),
            vec!["b", "c", "d"],
            Some(vec!["b", "d"]),
        ),
    ] {
        let queue = queue(&main).stand_in(Box::new(first.clone())).stand_in(Box::new(second.clone()));
        let outcome = hand_over(&queue, &events, TIME);
        assert_eq!(outcome, kept.map_err(|()| Fault::Queue("an ordered shelf")));
        assert_eq!(main.ids(), [["a", "b", "c", "d"]]);
        assert_eq!(first.ids(), [of_first]);
        assert_eq!(second.ids(), Vec::from_iter(of_second));
    }
    let idle = Shelf::default();
    let queue = queue(&Shelf::default()).stand_in(Box::new(idle.clone()));
    assert_eq!(hand_over(&queue, &events, TIME), Ok(4));
    assert!(idle.ids().is_empty(), "a stand-in is for what the queue does not take");
}

/// A store without a limit gets what is too large for a message, whole, and what waited behind it; another queue gets
/// neither.
#[test]
fn a_stand_in_without_a_limit_takes_what_is_too_large() {
    let events =
        [event("a", "1", false), event("b", "2", true), event("c", "2", false), event("d", "1", false)];
    let main = Shelf { keeps_order: true, ..Shelf::refusing(&["d"]) };
    let second_queue = Shelf::default();
    let bucket = Shelf { takes_any_size: true, ..Shelf::default() };
    let with_bucket =
        queue(&main).stand_in(Box::new(second_queue.clone())).stand_in(Box::new(bucket.clone()));
    assert_eq!(hand_over(&with_bucket, &events, TIME), Ok(4));
    assert_eq!(
        (main.ids(), second_queue.ids()),
        (vec![vec!["a".into(), "d".into()]], vec![vec!["d".into()]])
    );
    let put = lock(&bucket.puts).pop().expect("a request");
    assert_eq!(put.ids, ["b", "c"]);
    assert_eq!(put.texts[0]["data"]["x"].as_str().map(str::len), Some(2 * SMALL));

    let without = queue(&main).stand_in(Box::new(second_queue.clone()));
    assert_eq!(hand_over(&without, &events, TIME), Err(Fault::TooLarge));
    assert_eq!(second_queue.ids(), [["d"]]);
    // Nothing else is asked where all is kept.
    let idle = queue(&Shelf::default()).stand_in(Box::new(bucket.clone()));
    assert_eq!(hand_over(&idle, &events[2..], TIME), Ok(2));
    assert!(lock(&bucket.puts).is_empty());
}

/// Each store leaves the ones after it a share of the time, and the last one may use what there is.
#[test]
fn stores_share_the_time() {
    let events = small(&["a"]);
    let shelves = [Shelf::refusing(&["a"]), Shelf::refusing(&["a"]), Shelf::default()];
    let [main, first, second] = &shelves;
    let queue = queue(main).stand_in(Box::new(first.clone())).stand_in(Box::new(second.clone()));
    let until = Instant::now() + TIME;
    assert!(block_on(queue.send(&events, until)).is_ok());
    let shares: Vec<Duration> = shelves
        .iter()
        .map(|shelf| lock(&shelf.puts)[0].until.saturating_duration_since(until - TIME))
        .collect();
    assert_eq!(shares[2], TIME);
    for share in &shares[..2] {
        assert!(*share > TIME / 2 && *share < TIME * 3 / 4, "{shares:?}");
    }
}

/// What [`in_a_child`] is to do, in the environment.
const SCENARIO: &str = "HOOKGATE_TEST_SCENARIO";

/// After what time the table `late` answers: within what claims may take at most, and over a fifth of the call's time.
const LATE: Duration = Duration::from_millis(200);

/// After what time the bucket `slow` answers: within what a first attempt may take.
const SLOW: Duration = Duration::from_millis(500);

/// Content type and bytes of each object, by the path of its request.
type Objects = BTreeMap<String, (String, Vec<u8>)>;

/// AWS as the parts around a queue see it: S3, and of DynamoDB what a table of identities needs.
struct Cloud {
    server: Server,
    objects: Arc<Mutex<Objects>>,
    items: Arc<Mutex<BTreeMap<String, Value>>>,
}

impl Cloud {
    fn start() -> Cloud {
        let (objects, items) =
            (Arc::<Mutex<BTreeMap<_, _>>>::default(), Arc::<Mutex<BTreeMap<_, _>>>::default());
        let (of_s3, of_dynamo) = (objects.clone(), items.clone());
        let server = Server::start(move |call| {
            if call.method == "PUT" {
                return put_object(call, &of_s3);
            }
            let input: Value = serde_json::from_slice(&call.body).expect("JSON");
            if input["TableName"] == "silent" {
                return http::Reply::Silence;
            }
            let operation = call.header("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
            let reply = change_item(&operation, &input, &mut lock(&of_dynamo));
            if input["TableName"] == "late" {
                thread::sleep(LATE);
            }
            reply
        });
        Cloud { server, objects, items }
    }

    /// Runs a scenario in a process of its own, with this as its AWS.
    fn run(&self, scenario: &str) -> Vec<Value> {
        let url = format!("http://{}", self.server.address);
        let Output { status, stdout, stderr } = Command::new(env::current_exe().expect("this test"))
            .args(["--exact", "cases::edges::in_a_child", "--ignored", "--nocapture"])
            .env(SCENARIO, scenario)
            .env("AWS_ENDPOINT_URL", url)
            .env("AWS_ACCESS_KEY_ID", "throw-away")
            .env("AWS_SECRET_ACCESS_KEY", "throw-away")
            .output()
            .expect("this test");
        let (stdout, stderr) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success() && stdout.contains("1 passed"), "{scenario}: {stdout}\n{stderr}");
        stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
    }

    /// The states of the events with these ids, by the table.
    fn states(&self, ids: &[&str]) -> Vec<String> {
        let items = lock(&self.items);
        let state = |id: &&str| match items.get(&table_key(id)) {
            Some(item) => item["state"]["S"].as_str().expect("a state").to_owned(),
            None => "absent".into(),
        };
        ids.iter().map(state).collect()
    }
}

fn answer(status: u16, body: &Value) -> http::Reply {
    http::Reply::Answer(http::Answer { status, body: body.to_string().into_bytes(), ..Default::default() })
}

fn put_object(call: &http::Call, objects: &Mutex<Objects>) -> http::Reply {
    match call.target.split('/').nth(1) {
        Some("closed") => answer(403, &json!({})),
        Some("silent") => http::Reply::Silence,
        Some("slow") => {
            thread::sleep(SLOW);
            answer(200, &json!({}))
        }
        _ => {
            let object = (call.header("content-type").to_owned(), call.body.clone());
            lock(objects).insert(call.target.clone(), object);
            answer(200, &json!({}))
        }
    }
}

/// A table without leases: an item that is there is in the way of whoever is not its owner.
fn change_item(operation: &str, input: &Value, items: &mut BTreeMap<String, Value>) -> http::Reply {
    let item = if operation == "PutItem" { &input["Item"] } else { &input["Key"] };
    let key = item["id"]["S"].as_str().expect("a key").to_owned();
    match (operation, items.get(&key)) {
        ("PutItem", Some(old)) if input.get("ConditionExpression").is_some() => answer(
            400,
            &json!({ "__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException", "Item": old }),
        ),
        ("PutItem", _) => {
            items.insert(key, item.clone());
            answer(200, &json!({}))
        }
        ("DeleteItem", _) => {
            items.remove(&key);
            answer(200, &json!({}))
        }
        _ => panic!("not an operation on a table of identities: {operation}"),
    }
}

/// The key of an event of [`GROUPS`]: its identity is `source` and `id`, and nothing more.
fn table_key(id: &str) -> String {
    hex::encode(Sha256::digest(format!("/hookgate/groups\n{id}\n")))
}

#[test]
fn data_too_large_for_a_message_is_put_first() {
    let cloud = Cloud::start();
    cloud.run("claim check");
    let objects = lock(&cloud.objects);
    assert_eq!(objects.len(), 2, "{:?}", objects.keys());
    for (key, (content_type, body)) in objects.iter() {
        assert_eq!(*key, format!("/open/data/groups/{}", hex::encode(Sha256::digest(body))));
        assert_eq!(content_type, JSON);
        assert!(
            serde_json::from_slice::<Value>(body).expect("JSON")["x"].as_str().unwrap().len() == 2 * SMALL
        );
    }
}

fn claim_check() {
    let with = |shelf: &Shelf, bucket: &str| {
        queue(shelf).claim_check(ClaimCheck::new(Bucket::new(&Arc::new(Aws::from_env()), bucket)))
    };
    let events = [event("a", "1", false), event("b", "2", true), event("c", "2", false)];
    let shelf = Shelf { keeps_order: true, ..Shelf::default() };
    assert_eq!(hand_over(&with(&shelf, "open"), &events, TIME), Ok(3));
    let put = lock(&shelf.puts).pop().expect("a request");
    assert_eq!(put.ids, ["a", "b", "c"]);
    assert!(put.texts[1].get("data").is_none() && put.texts[0].get("data").is_some());
    let data = &put.texts[1]["dataref"];
    assert!(data.as_str().unwrap().starts_with("s3://open/data/groups/"), "{data}");
    // A large one alone.
    assert_eq!(hand_over(&with(&shelf, "open"), &[event("d", "3", true)], TIME), Ok(1));
    assert_eq!(shelf.ids(), [["d"]]);

    // An event whose data is nowhere is not sent, and what follows it in its group waits where order counts.
    let unordered = Shelf::default();
    for (shelf, sent) in [(&shelf, vec!["a"]), (&unordered, vec!["a", "c"])] {
        let outcome = hand_over(&with(shelf, "closed"), &events, TIME);
        assert!(matches!(outcome, Err(Fault::Bucket(_))), "{outcome:?}");
        assert_eq!(shelf.ids(), [sent]);
    }
    // Where S3 says nothing, the others are sent while there is time, for stand-ins too.
    let refusing = Shelf::refusing(&["a", "c"]);
    for (shelf, queue) in [
        (&unordered, with(&unordered, "silent")),
        (&refusing, with(&refusing, "silent").stand_in(Box::new(Shelf::default()))),
    ] {
        let until = Instant::now() + Duration::from_secs(3);
        let outcome = block_on(queue.send(&events, until));
        assert!(matches!(outcome, Err(Fault::Bucket(_))), "{outcome:?}");
        let put = lock(&shelf.puts).pop().expect("a request");
        assert!(put.ids == ["a", "c"] && put.at < until);
    }
    // Where it is slow, most of the time is for it.
    assert_eq!(hand_over(&with(&unordered, "slow"), &events, 10 * SLOW), Ok(3));
}

#[test]
fn what_was_stored_is_not_sent_again() {
    let cloud = Cloud::start();
    for (id, state) in [("held", "claimed"), ("large", "done")] {
        let lease = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() + 30_000;
        let item = json!({
            "id": { "S": table_key(id) },
            "state": { "S": state },
            "owner": { "S": "another" },
            "lease": { "N": lease.to_string() },
        });
        lock(&cloud.items).insert(table_key(id), item);
    }
    cloud.run("duplicates");
    assert_eq!(cloud.states(&["a", "b", "c", "held", "large"]), ["done", "done", "done", "claimed", "done"]);
    assert_eq!(cloud.states(&["x", "y", "z"]), ["done", "absent", "absent"], "only what is kept is done");
    assert_eq!(cloud.states(&["w", "big", "behind"]), ["done", "absent", "absent"]);
    assert!(lock(&cloud.objects).is_empty(), "data of an event that is stored already");
}

fn duplicates() {
    let aws = Arc::new(Aws::from_env());
    let table = |name: &str| Table::new(&aws, name, Duration::from_secs(3600));
    let shelf = Shelf { keeps_order: true, ..Shelf::default() };
    let remembering =
        queue(&shelf).duplicates(table("t")).claim_check(ClaimCheck::new(Bucket::new(&aws, "open")));
    // The same event twice in a call is stored once, and so is what comes again beside something new.
    assert_eq!(hand_over(&remembering, &small(&["a", "b", "a"]), TIME), Ok(3));
    assert_eq!(shelf.ids(), [["a", "b"]]);
    assert_eq!(hand_over(&remembering, &small(&["a", "b", "c"]), TIME), Ok(3));
    assert_eq!(shelf.ids(), [["c"]]);
    assert_eq!(hand_over(&remembering, &small(&["a", "b", "c"]), TIME), Ok(3));
    assert_eq!(hand_over(&remembering, &[event("large", "1", true)], TIME), Ok(1));
    assert!(shelf.ids().is_empty());
    // What another call is about to store may still be lost: it is no success, and its group waits.
    let events = [event("held", "1", false), event("after", "1", false), event("x", "2", false)];
    assert_eq!(hand_over(&remembering, &events, TIME), Err(Fault::Held));
    assert_eq!(shelf.ids(), [["x"]]);
    // What is not kept is given up, so that the next attempt may have it: what is too large and what waits behind it,
    let small_only = queue(&shelf).duplicates(table("t"));
    let events = [event("big", "1", true), event("behind", "1", false), event("w", "2", false)];
    assert_eq!(hand_over(&small_only, &events, TIME), Err(Fault::TooLarge));
    assert_eq!(shelf.ids(), [["w"]]);
    // and what the queue did not take.
    let refusing = Shelf::refusing(&["y", "z"]);
    let forgetting = queue(&refusing).duplicates(table("t"));
    for expected in [vec!["y", "z"], vec!["y", "z"]] {
        assert!(hand_over(&forgetting, &small(&["x", "y", "z"]), TIME).is_err());
        assert_eq!(refusing.ids(), [expected]);
    }
}

/// A table that says nothing costs a part of the time, and no event.
#[test]
fn a_silent_table_loses_nothing() {
    let lines = Cloud::start().run("silent table");
    let said: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(said, ["duplicates"; 2], "one line for each call: {lines:?}");
}

fn silent_table() {
    let aws = Arc::new(Aws::from_env());
    let shelf = Shelf::default();
    let remembering = queue(&shelf).duplicates(Table::new(&aws, "silent", Duration::from_secs(3600)));
    // The end of the claims needs some of the time: a tenth of it, and no more than it takes.
    for (time, kept_back) in [(1, Duration::from_millis(100)), (20, Duration::from_millis(250))] {
        let until = Instant::now() + Duration::from_secs(time);
        assert!(block_on(remembering.send(&small(&["a"]), until)).is_ok());
        let put = lock(&shelf.puts).pop().expect("a request");
        let back = until.saturating_duration_since(put.until);
        assert!(back <= kept_back && back > kept_back / 2, "{time} s: {back:?}");
    }
}

/// A claim that comes later than its share of the time allows is not waited for.
#[test]
fn a_late_claim_is_not_waited_for() {
    let lines = Cloud::start().run("late table");
    let said: Vec<_> = lines.iter().map(|line| &line["event"]).collect();
    assert_eq!(said, ["duplicates"], "{lines:?}");
}

fn late_table() {
    let shelf = Shelf::default();
    let aws = Arc::new(Aws::from_env());
    let remembering = queue(&shelf).duplicates(Table::new(&aws, "late", Duration::from_secs(3600)));
    assert_eq!(hand_over(&remembering, &small(&["a"]), 2 * LATE), Ok(1));
    assert_eq!(shelf.ids(), [["a"]]);
}

/// Each stand-in says how many events it has taken, and nothing where it took none.
#[test]
fn a_stand_in_says_what_it_took() {
    let lines = Cloud::start().run("stand-ins");
    let took: Vec<_> = lines.iter().filter(|line| line["level"] == "warn").collect();
    assert_eq!(took.len(), 1, "{lines:?}");
    assert_eq!((&took[0]["event"], &took[0]["amount"]), (&json!("fallback"), &json!("2")));
    // Each that did not take all it was given says that too.
    assert_eq!(lines.iter().filter(|line| line["level"] == "error").count(), 3, "{lines:?}");
}

fn stand_ins() {
    let main = Shelf::refusing(&["a", "b", "c"]);
    let queue = queue(&main)
        .stand_in(Box::new(Shelf::refusing(&["a", "b", "c"])))
        .stand_in(Box::new(Shelf::refusing(&["c"])))
        .stand_in(Box::new(Shelf::refusing(&["c"])));
    assert!(hand_over(&queue, &small(&["a", "b", "c", "d"]), TIME).is_err());
}

/// Where AWS is comes from the environment, and a process has one: this runs in another than the test does.
#[test]
#[ignore = "is run by the tests above, each in a process of its own"]
fn in_a_child() {
    match env::var(SCENARIO).as_deref() {
        Ok("claim check") => claim_check(),
        Ok("duplicates") => duplicates(),
        Ok("silent table") => silent_table(),
        Ok("late table") => late_table(),
        Ok("stand-ins") => stand_ins(),
        scenario => panic!("no such scenario: {scenario:?}"),
    }
}
