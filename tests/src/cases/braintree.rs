//! Notifications of every kind, signed by Braintree's own library (npm `braintree`) and sent through the built function;
//! and challenges that it and we answer alike.

use super::envelope::{folder, lines, tool_file};
use super::support::{Bench, CLOCK, entry};
use crate::event::{BodyAs, Request};
use crate::lambda::{self, Function};
use crate::sqs::Sqs;
use serde_json::{Value, json};
use shared::mac::MAX_SIGNATURES;
use shared::settings::Document;
use shared::verify::Evidence;
use std::collections::BTreeSet;
use std::process::Command;

const PUBLIC: &str = "throw_away_public_key";
const PRIVATE: &str = "throw-away private key";
const CHALLENGES: [&str; 3] =
    ["20f9f8ed05f77439fe955c977e4c8a53", "00000000000000000000", "abcdefabcdefabcdefabcdef"];
/// How many kinds version 3.40.0 of the package knows.
const KINDS: usize = 41;
/// Kinds that are about no single thing.
const WITHOUT_SUBJECT: [&str; 2] = ["account_updater_daily_report", "check"];

fn signed_by_the_library() -> Vec<Value> {
    lines(
        Command::new("node")
            .arg(tool_file("sign-notifications.mjs"))
            .arg(folder("HOOKGATE_TEST_NODE_MODULES"))
            .args([PUBLIC, PRIVATE])
            .args(CHALLENGES),
    )
}

fn config() -> Value {
    json!({ "public_key": PUBLIC, "private_key": PRIVATE })
}

fn post(form: &str) -> Request {
    Request::post("application/x-www-form-urlencoded", form)
}

/// A form of these fields.
fn form(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

/// Signature and payload of a form.
fn parts(signed: &str) -> (String, String) {
    let mut fields = form_urlencoded::parse(signed.as_bytes()).map(|(_, value)| value.into_owned());
    (fields.next().expect("a signature"), fields.next().expect("a payload"))
}

#[test]
fn every_kind_that_the_library_signs_arrives() {
    let all = signed_by_the_library();
    let notifications: Vec<&Value> = all.iter().filter(|line| line.get("kind").is_some()).collect();
    assert_eq!(notifications.len(), KINDS);
    let sqs = Sqs::start();
    let function = Function::builder(lambda::binary("braintree"))
        .env("QUEUE_URL", sqs.queue_url())
        .env("QUEUE_MAX_BYTES", "1048576")
        .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint())
        .env("HOOKGATE_CONFIG", config().to_string())
        .start();
    let mut ids = BTreeSet::new();
    for (i, notification) in notifications.iter().enumerate() {
        let text = |name: &str| notification[name].as_str().expect("text");
        let (kind, xml) = (text("kind"), text("xml"));
        let send = |form: &str| {
            let outcome = function.invoke(&post(form).function_url_event(BodyAs::AwsDecides));
            (outcome.status(), outcome.text(), sqs.take_messages())
        };
        let (status, body, messages) = send(text("form"));
        assert_eq!((status, body.as_str(), messages.len()), (200, "", 1), "{kind}");
        let envelope: Value = serde_json::from_str(&messages[0].body).expect("JSON");
        assert_eq!(envelope["type"], format!("com.braintreepayments.{kind}"));
        assert_eq!((&envelope["assurance"], &envelope["idsource"]), (&json!("signed"), &json!("digest")));
        assert_eq!(envelope["account"], "a_source_merchant", "{kind}");
        let notification = &envelope["data"]["notification"];
        assert_eq!(notification["kind"], kind);
        let between = |before: &str, after: &str| {
            let (_, rest) = xml.split_once(before).expect("the beginning");
            rest.split_once(after).expect("the end").0.to_owned()
        };
        assert_eq!(envelope["time"], between("<timestamp type=\"datetime\">", "<"), "{kind}");
        assert_eq!(envelope.get("subject").is_none(), WITHOUT_SUBJECT.contains(&kind), "{kind}");
        assert_eq!(notification["subject"].as_object().map(|subject| subject.len()), Some(1), "{kind}");
        assert!(ids.insert(envelope["id"].as_str().expect("text").to_owned()), "{kind}: an id twice");

        // Neither the order of the fields nor their encoding is signed: the same event, and so the same id.
        let (signature, payload) = parts(text("form"));
        let other = form(&[("more", "x"), ("bt_payload", &payload), ("bt_signature", &signature)]);
        let (status, _, again) = send(&other.replace("PG5v", "%50%47%35v"));
        let again: Value = serde_json::from_str(&again.first().expect("a message").body).expect("JSON");
        assert_eq!(
            (status, &again["id"], &again["data"]),
            (200, &envelope["id"], &envelope["data"]),
            "{kind}"
        );

        // The signature of another notification is no signature of this one.
        let (stolen, _) = parts(notifications[(i + 1) % KINDS]["form"].as_str().expect("text"));
        let (status, _, messages) = send(&form(&[("bt_signature", &stolen), ("bt_payload", &payload)]));
        assert_eq!((status, messages.len()), (401, 0), "{kind}");
    }
    println!("{KINDS} kinds signed by braintree_node");
}

/// The libraries sign with the newline at the payload's end and try without it, since forms lose it.
#[test]
fn a_payload_without_its_last_newline_is_the_same_event() {
    let bench = Bench::new(entry("braintree").provider, &config());
    let all = signed_by_the_library();
    let (signature, payload) = parts(all[0]["form"].as_str().expect("text"));
    let send =
        |payload: &str| bench.send(&post(&form(&[("bt_signature", &signature), ("bt_payload", payload)])));
    assert!(payload.ends_with('\n'));
    let (whole, trimmed) = (send(&payload), send(payload.trim_end()));
    assert!(whole.is_accepted(1) && trimmed.is_accepted(1));
    assert_eq!(whole.envelope()["id"], trimmed.envelope()["id"]);
    for other in [
        format!("{payload}\n"),
        format!("\n{payload}"),
        payload.replacen('P', "\nP", 1),
        format!("{} ", payload.trim_end()),
        format!("{}\r\n", payload.trim_end()),
        payload.replace('\n', "\r\n"),
        payload.replace('=', ""),
        String::new(),
    ] {
        assert!(other == payload || send(&other).is_refused(), "{other:?}");
    }
}

/// A merchant has several keys, and each signs. What another key says counts for nothing, and nobody has a hundred.
#[test]
fn of_several_signatures_ours_counts() {
    let bench = Bench::new(entry("braintree").provider, &config());
    let all = signed_by_the_library();
    let (signature, payload) = parts(all[0]["form"].as_str().expect("text"));
    let send = |signatures: &str| {
        bench.send(&post(&form(&[("bt_signature", signatures), ("bt_payload", &payload)])))
    };
    let (_, tag) = signature.split_once('|').expect("a pair");
    let bad = format!("{PUBLIC}|{}", "0".repeat(40));
    let other = format!("another_key|{}", "0".repeat(40));
    let pairs = |pair: &str, count: usize| vec![pair; count].join("&");
    for signatures in [
        format!("{signature}&{other}"),
        format!("{other}&{signature}"),
        format!("{bad}&{signature}"),
        format!("{signature}&{bad}"),
        format!("{PUBLIC}|no hex&{signature}"),
        format!("&&no pair&{signature}&"),
        format!("{}&{signature}", pairs(&other, 50)),
        pairs(&signature, MAX_SIGNATURES),
    ] {
        assert!(send(&signatures).is_accepted(1), "{signatures}");
    }
    for signatures in [
        other.clone(),
        bad,
        tag.to_owned(),
        format!("|{tag}"),
        format!("another_key|{tag}"),
        format!("{PUBLIC}|{PUBLIC}|{tag}"),
        format!("{PUBLIC}|{tag}|"),
        format!("{PUBLIC}|"),
        format!("{signature},{other}"),
        pairs(&signature, MAX_SIGNATURES + 1),
        format!("{}&{signature}", pairs(&other, 100)),
    ] {
        let answered = send(&signatures);
        assert!(answered.is_refused(), "{signatures}: {answered:?}");
    }
}

#[test]
fn challenges_are_answered_as_the_library_does() {
    let bench = Bench::new(entry("braintree").provider, &config());
    let all = signed_by_the_library();
    let answers: Vec<&Value> = all.iter().filter(|line| line.get("challenge").is_some()).collect();
    assert_eq!(answers.len(), CHALLENGES.len());
    for (answer, challenge) in answers.iter().zip(CHALLENGES) {
        let answered = bench.send(&Request::get(&format!("bt_challenge={challenge}")));
        assert_eq!((answered.status, json!(answered.body)), (200, answer["answer"].clone()), "{challenge}");
    }
}

/// A signed field that holds no XML, or XML that is not read, is queued as it came: it is the merchant's own.
#[test]
fn what_cannot_be_read_is_queued_as_it_came() {
    let provider = entry("braintree").provider;
    let bench = Bench::new(provider, &config());
    for payload in [
        "QUJD",
        "QUJ",
        "PGE+",
        "PCFET0NUWVBFIGEgWzwhRU5USVRZIGIgJ3gnPl0+PGE+JmI7PC9hPg==",
        "====",
        "/////w==",
    ] {
        let request = super::support::signed(provider, &config(), post(&form(&[("bt_payload", payload)])));
        let answered = bench.send(&request);
        assert!(answered.is_accepted(1), "{payload}: {answered:?}");
        let envelope = answered.envelope();
        assert_eq!(envelope["type"], "com.braintreepayments.unreadable", "{payload}");
        let bytes = envelope["data_base64"].as_str().expect("bytes");
        assert_eq!(
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, bytes).expect("base64"),
            request.body
        );
    }
}

/// What the gateway never sends is refused before it is hashed, and so though the signature is right.
#[test]
fn a_payload_has_the_characters_of_base64() {
    let provider = entry("braintree").provider;
    let bench = Bench::new(provider, &config());
    for payload in
        ["", "!!QUJD", "QUJD\r\n", "QUJD ", "QUJ-", "QUJ_", "QUJé", "QUJ\0", "<notification/>", "%51UJD"]
    {
        let draft = post(&form(&[("bt_payload", payload)]));
        let answered = bench.send(&super::support::signed(provider, &config(), draft));
        assert!(answered.is_refused(), "{payload:?}: {answered:?}");
    }
}

/// A public key that was changed counts as a mismatch: newer settings are asked for, and the quarantine keeps the call. Its
/// signature stands in the body, so no header needs to be kept.
#[test]
fn another_key_may_be_the_right_one_tomorrow() {
    use shared::error::{Failure, Refused};
    use shared::gate::Why;
    let other = json!({ "public_key": "another_key", "private_key": PRIVATE });
    let provider = entry("braintree").provider;
    let all = signed_by_the_library();
    let answered = Bench::new(provider, &other).send_at(&post(all[0]["form"].as_str().expect("text")), CLOCK);
    assert!(matches!(answered.why, Why::Failed(Failure::Refused(Refused::Mismatch(_)))), "{answered:?}");
    let document = Document::read(provider, &config().to_string()).expect("an object");
    let evidence = provider.scheme.evidence(&document.endpoints()[0]);
    assert_eq!(evidence, Some(Evidence { headers: Vec::new(), url: false }));
}
