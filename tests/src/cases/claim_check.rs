//! Events larger than a message: their data goes to a bucket first, and the message refers to it. Built functions before
//! the doubles of SQS and S3.

use super::queue::{comment, config, one, page, side_by_side};
use super::support::CLOCK;
use super::transport::{
    SECRET, assert_fault, envelope as envelope_of, facebook_call, gate, github_call, send, zalo_call,
};
use crate::clock::Clock;
use crate::event::{BodyAs, Request};
use crate::lambda::{Builder, Function, Outcome};
use crate::s3::{Object, S3};
use crate::sqs::{Fault, Message, Sqs};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::time::{Duration, Instant};

const BUCKET: &str = "claims";
const LIMIT: usize = 4096;

/// A function with a bucket and a queue of small messages.
fn with_bucket(provider: &str, sqs: &Sqs, s3: &S3) -> Builder {
    gate(provider, sqs, &config(provider))
        .env("QUEUE_MAX_BYTES", LIMIT.to_string())
        .env("CLAIM_CHECK_BUCKET", BUCKET)
        .env("AWS_ENDPOINT_URL_S3", s3.endpoint())
}

fn services() -> (Sqs, S3) {
    (Sqs::start(), S3::start(&[BUCKET]))
}

/// At the second of [`CLOCK`], so that the envelope around the data has one size.
fn send_then(function: &Function, request: &Request) -> Outcome {
    function.invoke(&request.function_url_event_at(BodyAs::AwsDecides, CLOCK))
}

fn padded(bytes: usize) -> Request {
    github_call(SECRET, "d", format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes)))
}

/// What a message refers to, checked against everything that is said of it.
#[track_caller]
fn referred(message: &Message, s3: &S3) -> Object {
    let envelope = envelope_of(message);
    assert_eq!((envelope.get("data"), envelope.get("data_base64")), (None, None), "{envelope}");
    let reference = envelope["dataref"].as_str().unwrap_or_else(|| panic!("no dataref: {envelope}"));
    let key = reference.strip_prefix(&format!("s3://{BUCKET}/")).expect("an object in the bucket");
    let object = s3.objects(BUCKET).into_iter().find(|object| object.key == key).expect("it is there");
    let digest = hex::encode(Sha256::digest(&object.bytes));
    let provider = envelope["provider"].as_str().expect("a text");
    assert_eq!(key, format!("data/{provider}/{digest}"));
    assert_eq!(Some(object.content_type.as_str()), envelope["datacontenttype"].as_str());
    assert!(object.stored_at < message.stored_at, "the message came first");
    object
}

/// 91: the edge to the byte, attributes counted. Up to it nothing is put anywhere; above it the object is the data, byte for
/// byte, and the message is as it would have been but for that.
#[test]
fn data_leaves_a_message_at_the_exact_byte() {
    let (sqs, s3) = services();
    let function = with_bucket("github", &sqs, &s3).clock(Clock::StandsAt(CLOCK)).start();
    assert_eq!(send_then(&function, &padded(0)).status(), 200);
    let small = sqs.take_messages().remove(0);
    let frame = small.size();
    for (size, is_referred) in [(LIMIT - 1, false), (LIMIT, false), (LIMIT + 1, true), (LIMIT * 20, true)] {
        let request = padded(size - frame);
        let before = s3.requests();
        assert_eq!(send_then(&function, &request).status(), 200, "{size}");
        let messages = sqs.take_messages();
        let [message] = messages.as_slice() else { panic!("{size}: {messages:?}") };
        assert!(message.size() <= LIMIT, "{size}: {}", message.size());
        if !is_referred {
            assert_eq!((message.size(), s3.requests() - before), (size, 0));
            continue;
        }
        assert_eq!(referred(message, &s3).bytes, request.body, "{size}");
        // All else is as in the small one.
        let same = |message: &Message| {
            let mut envelope = envelope_of(message);
            let attributes = envelope.as_object_mut().expect("an object");
            ["data", "dataref", "calldigest"].into_iter().for_each(|name| drop(attributes.remove(name)));
            (envelope, message.attributes.clone())
        };
        assert_eq!(same(message), same(&small), "{size}");
    }
}

/// 91, 92: the object is what `data` would have been, byte for byte, or the bytes that `data_base64` stands for.
#[test]
fn an_object_is_what_the_message_would_have_held() {
    let (sqs, s3) = services();
    let function = with_bucket("github", &sqs, &s3).start();
    let roomy = gate("github", &sqs, &config("github")).start();
    let padding = "x".repeat(LIMIT);
    let json = format!(
        "{{ \"n\": 123456789012345678901234567890.0,\n\t\"e\":\"é\u{FFFF}\\ud800\", \"p\":\"{padding}\" }}"
    );
    let not_utf8: Vec<u8> = (0..=255).cycle().take(LIMIT + 7).collect();
    let not_json = format!("{{\"a\":1,,}}{padding}");
    let form = format!("payload={{\"a\":\"{padding}\"}}");
    for (body, content_type) in [
        (json.as_bytes(), "application/json"),
        (&not_utf8, "application/octet-stream; x=\"a b\""),
        (not_json.as_bytes(), "application/json"),
        (form.as_bytes(), "application/x-www-form-urlencoded"),
    ] {
        let mut request = github_call(SECRET, "d", body);
        request.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
        let request = request.header("content-type", content_type);
        for function in [&function, &roomy] {
            assert_eq!(send(function, &request).status(), 200, "{content_type}");
        }
        let messages = sqs.take_messages();
        let [message, whole] = messages.as_slice() else { panic!("{messages:?}") };
        let object = referred(message, &s3);
        let envelope: Whole<'_> = serde_json::from_str(&whole.body).expect("an envelope");
        let expected = match (envelope.data, envelope.data_base64) {
            (Some(data), None) => data.get().as_bytes().to_vec(),
            (None, Some(base64)) => BASE64_STANDARD.decode(base64).expect("base64"),
            neither => panic!("{neither:?}"),
        };
        assert!(object.bytes == expected, "{content_type}: {}", String::from_utf8_lossy(&object.bytes));
        // What was JSON is JSON still, and what was not is every byte of the call.
        let is_kept = expected == body || serde_json::from_slice::<&RawValue>(&expected).is_ok();
        assert!(is_kept, "{content_type}");
        assert_eq!(envelope_of(message)["calldigest"], hex::encode(Sha256::digest(body)));
    }
}

/// The data of an envelope as it stands there.
#[derive(Debug, Deserialize)]
struct Whole<'m> {
    #[serde(borrow)]
    data: Option<&'m RawValue>,
    data_base64: Option<&'m str>,
}

/// An object's name is its content's digest: what comes again is the same object, and the same event.
#[test]
fn what_comes_again_is_the_same_object() {
    let (sqs, s3) = services();
    let function = with_bucket("github", &sqs, &s3).start();
    for delivery in ["one", "one", "another"] {
        let call = github_call(SECRET, delivery, padded(LIMIT).body);
        assert_eq!(send(&function, &call).status(), 200);
    }
    let objects = s3.objects(BUCKET);
    assert_eq!((objects.len(), objects[0].puts), (1, 3));
    let references: Vec<Value> =
        sqs.messages().iter().map(|message| envelope_of(message)["dataref"].clone()).collect();
    assert_eq!(references, vec![references[0].clone(); 3]);
}

/// 82, 91: of a call with several events, only what is too large goes another way, and each keeps its place.
#[test]
fn only_what_is_too_large_goes_to_the_bucket() {
    let (sqs, s3) = services();
    let large = ["x".repeat(LIMIT), "y".repeat(3 * LIMIT)];
    for url in [sqs.queue_url(), sqs.fifo_queue_url()] {
        let function = with_bucket("facebook", &sqs, &s3).env("QUEUE_URL", url).start();
        let call = facebook_call(SECRET, page(&["a", &large[0], "b", &large[1], "c"]).to_string());
        let before = s3.requests();
        assert_eq!(send(&function, &call).status(), 200);
        assert_eq!(s3.requests() - before, 2);
        let messages = sqs.take_messages();
        let texts: Vec<String> = messages
            .iter()
            .map(|message| match envelope_of(message).get("dataref") {
                None => comment(message),
                Some(_) => {
                    let data: Value =
                        serde_json::from_slice(&referred(message, &s3).bytes).expect("JSON of one item");
                    let changes = data["entry"][0]["changes"].as_array().expect("changes");
                    assert_eq!(changes.len(), 1);
                    changes[0]["value"]["message"].as_str().expect("a text").to_owned()
                }
            })
            .collect();
        assert_eq!(texts, ["a", &large[0], "b", &large[1], "c"]);
    }
}

/// 87: a bucket that fails in passing is asked again, within the time of the provider in the greatest hurry.
#[test]
fn a_passing_fault_of_the_bucket_is_no_fault() {
    let faults = [
        Fault::Http500,
        Fault::Throttle,
        Fault::ResetBefore,
        Fault::StoreThenReset,
        Fault::StoreThenHang,
        Fault::AnswerThenClose,
        Fault::Delay(Duration::from_millis(300)),
    ];
    let deadline = Duration::from_secs(5);
    let cases = faults.map(|fault| ("facebook", deadline, fault));
    let hurried = [Fault::Http500, Fault::ResetBefore].map(|fault| ("zalo", Duration::from_secs(2), fault));
    side_by_side(cases.into_iter().chain(hurried), |(provider, deadline, fault)| {
        let (sqs, s3) = services();
        let function = with_bucket(provider, &sqs, &s3).start();
        s3.then(fault.clone());
        let asked = Instant::now();
        assert_eq!(send(&function, &large(provider)).status(), 200, "{provider} {fault:?}");
        assert!(asked.elapsed() < deadline, "{provider} {fault:?}: {:?}", asked.elapsed());
        let messages = sqs.messages();
        assert_eq!(messages.len(), 1, "{provider} {fault:?}");
        referred(&messages[0], &s3);
    });
}

/// 87, 89: one that stays away is our fault, said in time; and no message refers to what is not there.
#[test]
fn a_lasting_fault_of_the_bucket_is_answered_in_time() {
    let faults = [
        Fault::Http500,
        Fault::Throttle,
        Fault::ResetBefore,
        Fault::Hang,
        Fault::StoreThenHang,
        Fault::Delay(Duration::from_secs(3)),
    ];
    let cases = faults.into_iter().map(|fault| ("zalo", 2, fault)).chain([("github", 10, Fault::Hang)]);
    side_by_side(cases, |(provider, deadline, fault)| {
        let (sqs, s3) = services();
        s3.always(fault.clone());
        let function = with_bucket(provider, &sqs, &s3).start();
        let asked = Instant::now();
        assert_fault(&send(&function, &large(provider)), &format!("{provider} {fault:?}"));
        assert!(
            asked.elapsed() < Duration::from_secs(deadline),
            "{provider} {fault:?}: {:?}",
            asked.elapsed()
        );
        assert_eq!(sqs.requests(), 0, "{provider} {fault:?}");
        // What fits is not concerned, and what is sent again is the same event once the bucket is there.
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider} {fault:?}");
        s3.always(Fault::None);
        assert_eq!(send(&function, &large(provider)).status(), 200, "{provider} {fault:?}");
        let logs = function.stop();
        assert_eq!(logs.matches("bucket: ").count(), 1, "{provider} {fault:?}: {logs}");
    });
}

/// 87: what an operator has to mend is said at once, in words of ours.
#[test]
fn a_bucket_that_is_not_there_is_said_to_be_so() {
    for (fault, name, advice) in [
        (Fault::AccessDenied, BUCKET, "bucket: the function's role may not put objects into it"),
        (Fault::None, "another", "bucket: there is none of that name"),
    ] {
        let (sqs, s3) = services();
        s3.always(fault);
        let function = with_bucket("github", &sqs, &s3).env("CLAIM_CHECK_BUCKET", name).start();
        let asked = Instant::now();
        assert_fault(&send(&function, &large("github")), advice);
        assert!(asked.elapsed() < Duration::from_secs(2), "{advice}: {:?}", asked.elapsed());
        let logs = function.stop();
        assert!(logs.contains(advice) && logs.lines().count() == 1, "{logs}");
        assert_eq!((s3.requests(), sqs.requests()), (1, 0), "{advice}");
    }
    let (sqs, s3) = services();
    let function = with_bucket("github", &sqs, &s3).env("AWS_SECRET_ACCESS_KEY", "another").start();
    assert_fault(&send(&function, &large("github")), "another key");
    assert_eq!((s3.objects(BUCKET), sqs.requests()), (vec![], 0));
}

/// 91: without a bucket it is our fault, SQS is never asked, and both the log and the metric say which fault it is.
#[test]
fn without_a_bucket_an_event_that_is_too_large_is_counted() {
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &config("github"))
        .env("QUEUE_MAX_BYTES", LIMIT.to_string())
        .env("HOOKGATE_METRICS", "Hookgate/Test")
        .start();
    assert_fault(&send(&function, &large("github")), "no bucket");
    assert_eq!(sqs.requests(), 0);
    let logs = function.stop();
    let line: Value = serde_json::from_str(logs.trim()).expect("one line of JSON");
    assert_eq!((&line["event"], &line["level"]), (&json!("fault"), &json!("error")), "{line}");
    assert_eq!(line["reason"], "the event is larger than QUEUE_MAX_BYTES");
    assert_eq!(
        (&line["TooLarge"], &line["_aws"]["CloudWatchMetrics"][0]["Namespace"]),
        (&json!(1), &json!("Hookgate/Test"))
    );
    // It has a counter and an alarm of its own: what it takes to mend it is another thing than for other faults.
    let metrics = line["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().expect("metrics");
    let names: Vec<&str> = metrics.iter().filter_map(|metric| metric["Name"].as_str()).collect();
    assert_eq!((names, line.get("Faults")), (vec!["TooLarge"], None), "{line}");
}

/// A part that is not used costs nothing: no connection is opened for it.
#[test]
fn a_bucket_that_is_not_needed_is_not_called() {
    let (sqs, s3) = services();
    let function = with_bucket("github", &sqs, &s3).start();
    assert_eq!(send(&function, &one("github")).status(), 200);
    let forged = Request { body: padded(LIMIT).body, ..one("github") };
    assert_eq!(send(&function, &forged).status(), 401);
    assert_eq!(s3.connections(), 0);
}

/// 91: the platform's own ceiling. An event of 6,291,456 bytes, the largest that Lambda hands over, comes through whole,
/// as text and as base64.
#[test]
fn the_largest_event_of_the_platform_comes_through() {
    const CEILING: usize = 6_291_456;
    let (sqs, s3) = services();
    let function = with_bucket("github", &sqs, &s3).start();
    for (body_as, factor) in [(BodyAs::Text, 1), (BodyAs::Base64, 4)] {
        let event = |padding: usize| {
            let request = padded(padding);
            // A further header takes up what base64, which grows by four, leaves over.
            let frame = request.function_url_event(body_as).len();
            (request, frame)
        };
        let (_, frame) = event(0);
        let mut padding = if factor == 1 { CEILING - frame } else { (CEILING - frame) / 4 * 3 };
        let (mut request, mut length) = event(padding);
        while length > CEILING {
            padding -= 1;
            (request, length) = event(padding);
        }
        if length < CEILING {
            let missing = CEILING - length;
            let name = r#","x-p":"""#.len();
            let room = if missing < name { 3 * 12 } else { 0 };
            (request, length) = event(padding - room);
            request = request.header("x-p", &"p".repeat(CEILING - length - name));
        }
        let text = request.function_url_event(body_as);
        assert_eq!(text.len(), CEILING, "{body_as:?}");
        let outcome = function.invoke(&text);
        assert_eq!(outcome.status(), 200, "{body_as:?}");
        let object = referred(&sqs.take_messages()[0], &s3);
        assert!(object.bytes == request.body, "{body_as:?}: {} bytes", object.bytes.len());
    }
}

/// A genuine call whose event is too large for [`LIMIT`].
fn large(provider: &str) -> Request {
    match provider {
        "zalo" => zalo_call(SECRET, &"m".repeat(LIMIT)),
        "facebook" => facebook_call(SECRET, page(&["x".repeat(LIMIT)]).to_string()),
        _ => padded(LIMIT),
    }
}
