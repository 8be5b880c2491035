//! Where events go that the queue does not confirm in time: a second queue, then a bucket (spill); and what becomes of the
//! call's time. Built functions before the doubles of SQS and S3.

use super::queue::{comment, config, one, page, side_by_side, texts};
use super::support::{Bench, CLOCK, entry, now, signed_at};
use super::tokens;
use super::transport::{SECRET, assert_fault, envelope, facebook_call, gate, github_call, send};
use crate::clock::Clock;
use crate::event::{BodyAs, Request};
use crate::lambda::Builder;
use crate::s3::S3;
use crate::sqs::{Fault, Message, Sqs};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use registry::Entry;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::provider::Shape;
use shared::sample::{self, Draft};
use shared::settings::Document;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const BUCKET: &str = "spill";

/// The queue, and what stands in for it.
struct Services {
    queue: Sqs,
    second: Sqs,
    s3: S3,
}

impl Services {
    fn start() -> Services {
        Services { queue: Sqs::start(), second: Sqs::start(), s3: S3::start(&[BUCKET]) }
    }

    fn second_queue(&self, builder: Builder) -> Builder {
        builder.env("FALLBACK_QUEUE_URL", self.second.queue_url())
    }

    fn spill(&self, builder: Builder) -> Builder {
        builder.env("FALLBACK_BUCKET", BUCKET).env("AWS_ENDPOINT_URL_S3", self.s3.endpoint())
    }

    /// A function with both.
    fn both(&self, provider: &str) -> Builder {
        self.spill(self.second_queue(gate(provider, &self.queue, &config(provider))))
    }

    /// The envelopes in the bucket, each as its text stands there.
    #[track_caller]
    fn spilled(&self) -> Vec<String> {
        let envelopes = |bytes: &[u8]| {
            let batch: Vec<Box<RawValue>> = serde_json::from_slice(bytes).expect("an array of envelopes");
            batch.into_iter().map(|envelope| envelope.get().to_owned()).collect::<Vec<_>>()
        };
        self.s3.objects(BUCKET).iter().flat_map(|object| envelopes(&object.bytes)).collect()
    }

    /// How many events are in the queue, the second one and the bucket.
    fn counts(&self) -> (usize, usize, usize) {
        (self.queue.messages().len(), self.second.messages().len(), self.spilled().len())
    }
}

fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.body.clone()).collect()
}

/// A genuine call of any provider, with the settings for it and the time that its row gives.
pub(super) fn of_provider(provider: &str) -> (Request, Value, Duration) {
    let (settings, request) = match provider {
        "slack" => (
            json!({ "signing_secret": SECRET }),
            Request::post("application/json", r#"{"type":"event_callback","event_id":"Ev1","team_id":"T"}"#),
        ),
        "telegram" => (
            json!({ "secret_token": "a-throw-away-token" }),
            Request::post("application/json", r#"{"update_id":1,"message":{"chat":{"id":1}}}"#),
        ),
        "shopify" => (
            json!({ "secret": SECRET }),
            Request::post("application/json", r#"{"id":1}"#)
                .header("X-Shopify-Topic", "orders/paid")
                .header("X-Shopify-Webhook-Id", "webhook-1"),
        ),
        "stripe" => (
            json!({ "secret": SECRET }),
            Request::post("application/json", r#"{"id":"evt_1","type":"invoice.paid"}"#),
        ),
        "generic" => (
            json!({ "secret": SECRET, "signature": { "header": "x-signature" }, "event": { "id": "/id" } }),
            Request::post("application/json", r#"{"id":"1"}"#),
        ),
        "github" | "facebook" | "zalo" => {
            return (one(provider), config(provider), entry(provider).provider.deadline);
        }
        "googlechat" | "pubsub" => return by_jwt(provider),
        "discord" | "sendgrid" => return by_key_pair(provider),
        _ => return of_sample(entry(provider)),
    };
    let row = entry(provider).provider;
    (signed_at(row, &settings, request, now()), settings, row.deadline)
}

/// [`of_provider`] with a token of the tests: no function takes the key that samples are signed with.
fn by_jwt(provider: &str) -> (Request, Value, Duration) {
    let (audience, email) = ("https://hooks.example.com/", "chat@system.gserviceaccount.com");
    let settings =
        json!({ "audience": audience, "service_account": email, "jwks": tokens::jwks(tokens::KEY) });
    let claims = tokens::claims(audience, email, now());
    let request = tokens::call(r#"{"message":{"messageId":"1"}}"#, tokens::KEY, &claims);
    (request, settings, entry(provider).provider.deadline)
}

/// [`of_provider`] with a key pair of this moment: no function takes the one that samples are signed with.
fn by_key_pair(provider: &str) -> (Request, Value, Duration) {
    let time = now().to_string();
    let (body, random) = (br#"{"type":2,"id":"1","event":"open"}"#, SystemRandom::new());
    let message = [time.as_bytes(), body].concat();
    let (key, signature, headers) = if provider == "discord" {
        let pair = Ed25519KeyPair::generate_pkcs8(&random).expect("a key pair");
        let pair = Ed25519KeyPair::from_pkcs8(pair.as_ref()).expect("a key pair");
        let headers = ["X-Signature-Ed25519", "X-Signature-Timestamp"];
        (hex::encode(pair.public_key()), hex::encode(pair.sign(&message)), headers)
    } else {
        let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pair = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key pair");
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, pair.as_ref(), &random).expect("a key pair");
        // What a SubjectPublicKeyInfo has before a point of P-256.
        let before = hex::decode("3059301306072a8648ce3d020106082a8648ce3d030107034200").expect("hex");
        let key = [&before, pair.public_key().as_ref()].concat();
        let signature = pair.sign(&random, &message).expect("a signature");
        let headers = ["X-Twilio-Email-Event-Webhook-Signature", "X-Twilio-Email-Event-Webhook-Timestamp"];
        (BASE64_STANDARD.encode(key), BASE64_STANDARD.encode(signature), headers)
    };
    let request =
        Request::post("application/json", body).header(headers[0], &signature).header(headers[1], &time);
    (request, json!({ "public_key": key }), entry(provider).provider.deadline)
}

/// [`of_provider`] by a row's own sample, every secret being [`SECRET`].
fn of_sample(entry: &Entry) -> (Request, Value, Duration) {
    let row = entry.provider;
    let mut settings = json!({});
    for setting in row.settings.iter().filter(|setting| setting.required || setting.example.is_some()) {
        let text = setting.example.unwrap_or(SECRET);
        settings[setting.name] = match setting.shape {
            Shape::Object => serde_json::from_str(text).expect("an example that is an object"),
            _ => text.into(),
        };
    }
    let document = Document::read(row, &settings.to_string()).expect("a JSON object");
    let sample = entry.samples.iter().rfind(|sample| !sample.is_handshake()).expect("a sample of an event");
    let endpoint = document.endpoints().first().expect("an endpoint");
    let draft = sample::signed(row, sample.file, endpoint, now()).expect("a sample that can be signed");
    let Draft { method, path, query, headers, body, .. } = draft;
    (Request { method, path, query, headers, body }, settings, row.deadline)
}

/// Whether a provider's calls are vouched for by a token: there is no signature, and the token is a credential.
pub(super) fn is_by_token(provider: &str) -> bool {
    let (request, settings, _) = of_provider(provider);
    let answered = Bench::new(entry(provider).provider, &settings).send_at(&request, now());
    let assurance = answered.envelopes().first().map(|envelope| envelope["assurance"].clone());
    assurance.is_some_and(|assurance| ["token", "basic"].contains(&assurance.as_str().unwrap_or_default()))
}

/// 87, 89: the queue is gone in whatever way; the second one has the event, and the answer is 2xx within the time of every
/// provider.
#[test]
fn the_second_queue_takes_what_the_first_does_not() {
    let hanging = registry::ENTRIES.iter().map(|entry| (entry.provider.name, Fault::Hang));
    let faults = [
        Fault::Http500,
        Fault::Throttle,
        Fault::AccessDenied,
        Fault::QueueDoesNotExist,
        Fault::ResetBefore,
        Fault::HalfAnswer,
        Fault::StoreThenHang,
        Fault::StoreThenReset,
        Fault::Garbage200("{}"),
        Fault::FailEntries { indices: vec![0], sender_fault: true },
        Fault::Delay(Duration::from_secs(3)),
    ];
    let cases: Vec<_> = hanging.chain(faults.map(|fault| ("zalo", fault))).collect();
    side_by_side(cases, |(provider, fault)| {
        let services = Services::start();
        services.queue.always(fault.clone());
        let (request, settings, deadline) = of_provider(provider);
        let function = services.second_queue(gate(provider, &services.queue, &settings)).start();
        let asked = Instant::now();
        let outcome = send(&function, &request);
        let taken = asked.elapsed();
        assert!(outcome.status() < 300, "{provider} {fault:?}: {outcome:?}");
        assert!(taken < deadline, "{provider} {fault:?}: {taken:?} of {deadline:?}");
        let messages = services.second.messages();
        assert_eq!(messages.len(), 1, "{provider} {fault:?}");
        assert!(messages[0].stored_at < asked + taken, "{provider} {fault:?}");
        // It is the same message that it would have been.
        services.queue.always(Fault::None);
        services.queue.take_messages();
        assert!(send(&function, &request).status() < 300, "{provider} {fault:?}");
        let [here] = services.queue.messages().try_into().expect("one message");
        let [there] = messages.try_into().expect("one message");
        assert_eq!((here.attributes, here.group_id), (there.attributes, there.group_id), "{provider}");
        let identity = |body: &str| {
            let envelope: Value = serde_json::from_str(body).expect("an envelope");
            (envelope["source"].clone(), envelope["id"].clone(), envelope["data"].clone())
        };
        assert_eq!(identity(&here.body), identity(&there.body), "{provider}");
    });
}

/// Queue, second queue, bucket, and no other order: a stand-in is not even connected to while it is not needed.
#[test]
fn each_stands_in_for_the_one_before_it() {
    side_by_side([false, true], |with_second| {
        let services = Services::start();
        let builder = gate("github", &services.queue, &config("github"));
        let builder = if with_second { services.second_queue(builder) } else { builder };
        let function = services.spill(builder).start();
        let deliver = |delivery: &str| send(&function, &github_call(SECRET, delivery, r#"{"action":"a"}"#));

        assert_eq!(deliver("1").status(), 200);
        // A passing fault is none: the queue itself is asked again.
        services.queue.then(Fault::Http500);
        assert_eq!(deliver("2").status(), 200);
        assert_eq!(services.counts(), (2, 0, 0));
        assert_eq!((services.second.connections(), services.s3.connections()), (0, 0));

        services.queue.always(Fault::AccessDenied);
        assert_eq!(deliver("3").status(), 200);
        if with_second {
            assert_eq!(services.counts(), (2, 1, 0));
            assert_eq!(services.s3.connections(), 0);
            services.second.always(Fault::AccessDenied);
            assert_eq!(deliver("4").status(), 200);
            assert_eq!(services.counts(), (2, 1, 1));
        } else {
            assert_eq!(services.counts(), (2, 0, 1));
        }
        let before = services.counts();
        services.s3.always(Fault::AccessDenied);
        let asked = Instant::now();
        assert_fault(&deliver("5"), "nothing takes it");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
        assert_eq!(services.counts(), before);

        // The next call asks the queue first again.
        services.queue.always(Fault::None);
        assert_eq!(deliver("6").status(), 200);
        assert_eq!(services.counts(), (before.0 + 1, before.1, before.2));
        let logs = function.stop();
        let stood_in = logs.matches(r#""level":"warn","event":"fallback""#).count();
        assert_eq!(stood_in, before.1 + before.2, "{logs}");
        assert_eq!(logs.matches(r#""event":"fault""#).count(), 1, "{logs}");
        // A stand-in that fails is said too: nobody would look at it before it is needed.
        let failed = if with_second { 3 } else { 1 };
        assert_eq!(logs.matches("not there either").count(), failed, "{logs}");
        // What the queue itself said is what an operator has to mend.
        assert!(logs.contains("role may not send"), "{logs}");
    });
}

/// 87, 89: everything hangs, or fails in other ways: our own fault, in time even for the provider in the greatest hurry; and
/// where only the last one stands, it is reached in time.
#[test]
fn the_time_is_enough_for_all() {
    let faults = [Fault::Hang, Fault::Http500, Fault::ResetBefore, Fault::StoreThenHang];
    let cases = faults.into_iter().flat_map(|fault| [("zalo", fault.clone()), ("facebook", fault)]);
    side_by_side(cases, |(provider, fault)| {
        let services = Services::start();
        let deadline = entry(provider).provider.deadline;
        services.queue.always(fault.clone());
        services.second.always(fault.clone());
        let function = services.both(provider).start();
        let asked = Instant::now();
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider} {fault:?}");
        assert!(asked.elapsed() < deadline, "{provider} {fault:?}: {:?}", asked.elapsed());
        assert_eq!(services.spilled().len(), 1, "{provider} {fault:?}");

        services.s3.always(fault.clone());
        let asked = Instant::now();
        assert_fault(&send(&function, &one(provider)), &format!("{provider} {fault:?}"));
        assert!(asked.elapsed() < deadline, "{provider} {fault:?}: {:?}", asked.elapsed());
    });
}

/// 82: of a call with several events, those that the queue has confirmed go nowhere else.
#[test]
fn only_what_is_unconfirmed_goes_on() {
    let services = Services::start();
    let function = services.both("facebook").start();
    let call = facebook_call(SECRET, page(&texts(10)).to_string());
    services.queue.then(Fault::FailEntries { indices: vec![2, 5, 9], sender_fault: true });
    services.second.then(Fault::FailEntries { indices: vec![1], sender_fault: true });
    assert_eq!(send(&function, &call).status(), 200);
    let comments = |messages: &[Message]| messages.iter().map(comment).collect::<Vec<_>>();
    let of = |places: &[usize]| places.iter().map(|i| texts(10)[*i].clone()).collect::<Vec<_>>();
    assert_eq!(comments(&services.queue.messages()), of(&[0, 1, 3, 4, 6, 7, 8]));
    assert_eq!(comments(&services.second.messages()), of(&[2, 9]));
    let spilled = services.spilled();
    let [envelope] = spilled.as_slice() else { panic!("{spilled:?}") };
    let envelope: Value = serde_json::from_str(envelope).expect("JSON");
    assert_eq!(envelope["data"]["entry"][0]["changes"][0]["value"]["message"], of(&[5])[0]);
    // The amount is said, for the alarm counts events.
    let logs = function.stop();
    let amounts: Vec<Value> = logs
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .filter(|line| line["event"] == "fallback" && line["level"] == "warn")
        .map(|line| line.get("amount").cloned().unwrap_or(json!("1")))
        .collect();
    assert_eq!(amounts, [json!("2"), json!("1")], "{logs}");
}

/// 93: in a FIFO queue, what comes after one that failed goes the same way, so that its group stays in order.
#[test]
fn a_group_stays_together_on_its_way() {
    let services = Services::start();
    let function = services
        .both("facebook")
        .env("QUEUE_URL", services.queue.fifo_queue_url())
        .env("FALLBACK_QUEUE_URL", services.second.fifo_queue_url())
        .start();
    let call = facebook_call(SECRET, page(&texts(8)).to_string());
    // All are of one page, so one after the other: the fourth and all after it go to the second queue.
    services.queue.then(Fault::None).then(Fault::None).then(Fault::None).always(Fault::AccessDenied);
    assert_eq!(send(&function, &call).status(), 200);
    let comments = |messages: &[Message]| messages.iter().map(comment).collect::<Vec<_>>();
    assert_eq!(comments(&services.queue.messages()), texts(8)[..3]);
    let second = services.second.messages();
    assert_eq!(comments(&second), texts(8)[3..]);
    let groups: BTreeSet<_> =
        services.queue.messages().iter().chain(&second).map(|message| message.group_id.clone()).collect();
    assert_eq!(groups.len(), 1);
    assert!(second.iter().all(|message| message.fifo && message.deduplication_id.is_some()));
}

/// A spilled object: named by time, provider and digest; a batch of CloudEvents, each byte for byte as it would have been in
/// the queue.
#[test]
fn a_spilled_call_can_be_moved_back_as_it_is() {
    let services = Services::start();
    let event = facebook_call(SECRET, page(&["a", "é\u{FFFF}\u{1}", "c"]).to_string())
        .function_url_event_at(BodyAs::AwsDecides, CLOCK);
    let started = || services.both("facebook").clock(Clock::StandsAt(CLOCK)).start();
    assert_eq!(started().invoke(&event).status(), 200);
    let in_queue = bodies(&services.queue.take_messages());
    assert_eq!(in_queue.len(), 3);

    services.queue.always(Fault::QueueDoesNotExist);
    services.second.always(Fault::QueueDoesNotExist);
    assert_eq!(started().invoke(&event).status(), 200);
    assert_eq!(services.spilled(), in_queue);
    let objects = services.s3.objects(BUCKET);
    let [object] = objects.as_slice() else { panic!("{objects:?}") };
    assert_eq!(object.content_type, "application/cloudevents-batch+json");
    assert_eq!(object.bytes, format!("[{}]", in_queue.join(",")).into_bytes());
    let digest = hex::encode(Sha256::digest(&object.bytes));
    assert_eq!(object.key, format!("spill/{:013}-facebook-{}.json", CLOCK * 1000, &digest[..16]));
}

/// Where data has left an event for a bucket, the reference goes wherever the event goes.
#[test]
fn a_reference_goes_along() {
    let services = Services::start();
    services.queue.always(Fault::AccessDenied);
    let function =
        services.both("github").env("QUEUE_MAX_BYTES", "4096").env("CLAIM_CHECK_BUCKET", BUCKET).start();
    let call = github_call(SECRET, "d", format!(r#"{{"a":"{}"}}"#, "x".repeat(9000)));
    assert_eq!(send(&function, &call).status(), 200);
    let messages = services.second.messages();
    let reference = envelope(&messages[0])["dataref"].as_str().expect("a reference").to_owned();
    assert!(messages[0].size() <= 4096);
    services.second.always(Fault::AccessDenied);
    assert_eq!(send(&function, &call).status(), 200);
    let objects = services.s3.objects(BUCKET);
    let [data, spilled] = objects.as_slice() else { panic!("{objects:?}") };
    assert_eq!((format!("s3://{BUCKET}/{}", data.key), &data.bytes), (reference.clone(), &call.body));
    #[derive(Deserialize)]
    struct Referring {
        dataref: String,
    }
    let [of_spill]: [Referring; 1] = serde_json::from_slice(&spilled.bytes).expect("one envelope");
    assert_eq!(of_spill.dataref, reference);
}

/// A second queue that is no URL, or nowhere, is as one that fails.
#[test]
fn a_second_queue_that_is_none_is_passed_over() {
    side_by_side(["no url", "http://127.0.0.1:1/123456789012/q", "http://no-such-host.invalid/1/q"], |url| {
        let services = Services::start();
        services.queue.always(Fault::AccessDenied);
        let function = services.both("zalo").env("FALLBACK_QUEUE_URL", url).start();
        let asked = Instant::now();
        assert_eq!(send(&function, &one("zalo")).status(), 200, "{url}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{url}: {:?}", asked.elapsed());
        assert_eq!(services.counts(), (0, 0, 1), "{url}");
    });
}

/// The counter of what stood in is one of events, in CloudWatch's embedded format.
#[test]
fn what_stands_in_is_counted() {
    let services = Services::start();
    services.queue.always(Fault::AccessDenied);
    let function =
        services.both("facebook").env("HOOKGATE_METRICS", "Hookgate/Test").env("HOOKGATE_LOG", "off").start();
    let call = facebook_call(SECRET, page(&texts(7)).to_string());
    assert_eq!(send(&function, &call).status(), 200);
    let logs = function.stop();
    let line: Value = serde_json::from_str(logs.trim()).expect("one line of JSON");
    assert_eq!((&line["event"], &line["Fallbacks"]), (&json!("fallback"), &json!(7)), "{line}");
    let told = &line["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(
        (&told["Namespace"], &told["Metrics"][0]["Name"]),
        (&json!("Hookgate/Test"), &json!("Fallbacks"))
    );
}
