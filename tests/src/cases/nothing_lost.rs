//! All parts around the queue at once, within one provider's time; fair queues; and the same over somebody else's emulation
//! of AWS: FIFO, the largest message, S3 and Secrets Manager.

use super::fallback::of_provider;
use super::queue::{comment, config, identities, one, page, side_by_side, texts};
use super::support::{entry, now};
use super::transport::{SECRET, assert_fault, envelope, facebook_call, gate, github_call, send, zalo_call};
use crate::clock::Clock;
use crate::dynamo::Dynamo;
use crate::event::{BodyAs, Request};
use crate::fault::Victim;
use crate::lambda::{self, Builder, Function, Outcome};
use crate::ministack::{self, Ministack};
use crate::moto::Moto;
use crate::s3::S3;
use crate::sqs::{self, Fault, Sqs};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::thread;
use std::time::{Duration, Instant};

const TABLE: &str = "identities";

/// Everything that can stand around a function.
struct Surroundings {
    queue: Sqs,
    second: Sqs,
    s3: S3,
    dynamo: Dynamo,
}

impl Surroundings {
    fn start() -> Surroundings {
        Surroundings {
            queue: Sqs::start(),
            second: Sqs::start(),
            s3: S3::start(&["claims", "spill"]),
            dynamo: Dynamo::start(TABLE, "id"),
        }
    }

    fn function(&self, provider: &str) -> Builder {
        gate(provider, &self.queue, &config(provider))
            .env("QUEUE_MAX_BYTES", "8192")
            .env("CLAIM_CHECK_BUCKET", "claims")
            .env("FALLBACK_QUEUE_URL", self.second.queue_url())
            .env("FALLBACK_BUCKET", "spill")
            .env("DUPLICATES_TABLE", TABLE)
            .env("QUARANTINE_QUEUE_URL", self.queue.quarantine_url())
            .env("AWS_ENDPOINT_URL_S3", self.s3.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.dynamo.endpoint())
    }

    /// `source` and `id` of all that is stored as an event, in the order queue, second queue, spill, with its time.
    fn stored(&self) -> Vec<((String, String), Instant)> {
        let of = |envelope: &Value| {
            let text = |name: &str| envelope[name].as_str().expect("a text").to_owned();
            (text("source"), text("id"))
        };
        let messages = self.queue.messages().into_iter().chain(self.second.messages());
        let messages = messages.map(|message| (of(&envelope(&message)), message.stored_at));
        let spilled = self.s3.objects("spill").into_iter().flat_map(|object| {
            let batch: Vec<Value> = serde_json::from_slice(&object.bytes).expect("envelopes");
            batch.into_iter().map(|envelope| (of(&envelope), object.stored_at)).collect::<Vec<_>>()
        });
        messages.chain(spilled).collect()
    }
}

/// An event that no message of [`Surroundings`] can hold.
fn large(provider: &str) -> Request {
    match provider {
        "zalo" => zalo_call(SECRET, &"m".repeat(9000)),
        "facebook" => facebook_call(SECRET, page(&["x".repeat(9000)]).to_string()),
        _ => github_call(SECRET, "large", format!(r#"{{"a":"{}"}}"#, "x".repeat(9000))),
    }
}

/// 86–90: any one service fails once, in any way, with all parts in use: the event is stored before the answer, under one
/// identity, within the time of the provider in the greatest hurry.
#[test]
fn any_one_fault_is_passed_over() {
    let faults = [
        Fault::Http500,
        Fault::Throttle,
        Fault::ResetBefore,
        Fault::StoreThenReset,
        Fault::Hang,
        Fault::StoreThenHang,
        Fault::HalfAnswer,
        Fault::AnswerThenClose,
        Fault::AccessDenied,
        Fault::Delay(Duration::from_millis(300)),
    ];
    let services = ["queue", "table", "bucket"];
    let cases = services.into_iter().flat_map(|service| faults.clone().map(|fault| (service, fault)));
    side_by_side(cases, |(service, fault)| {
        let around = Surroundings::start();
        let function = around.function("zalo").start();
        let call = if service == "bucket" { large("zalo") } else { one("zalo") };
        match service {
            "queue" => drop(around.queue.then(fault.clone())),
            "table" => drop(around.dynamo.then(fault.clone())),
            _ => drop(around.s3.then(fault.clone())),
        }
        let asked = Instant::now();
        let outcome = send(&function, &call);
        let answered = Instant::now();
        assert!(answered - asked < Duration::from_secs(2), "{service} {fault:?}: {:?}", answered - asked);
        // A bucket that hangs for one attempt, or refuses, leaves no time to store the data and then the event.
        let may_fail =
            service == "bucket" && matches!(fault, Fault::Hang | Fault::StoreThenHang | Fault::AccessDenied);
        if may_fail && outcome.status() == 503 {
            assert_eq!(around.stored(), [], "{service} {fault:?}");
            assert_eq!(send(&function, &call).status(), 200, "{service} {fault:?}: the claim was given up");
        } else {
            assert_eq!(outcome.status(), 200, "{service} {fault:?}");
            let stored = around.stored();
            assert!(stored.iter().any(|(_, at)| *at < answered), "{service} {fault:?}");
        }
        let stored = around.stored();
        let identities: BTreeSet<_> = stored.iter().map(|(identity, _)| identity).collect();
        assert_eq!(identities.len(), 1, "{service} {fault:?}");
        // Nothing is left on the way that is in the way of the next event.
        assert_eq!(send(&function, &zalo_call(SECRET, "another")).status(), 200, "{service} {fault:?}");
    });
}

/// 87, 89: everything hangs at once: 503 of our own before any provider gives up, and nothing is acknowledged.
#[test]
fn all_failing_is_answered_within_every_deadline() {
    let providers = registry::ENTRIES.iter().map(|entry| entry.provider.name);
    let hanging = providers.map(|provider| (provider, Fault::Hang));
    let failing = [Fault::Http500, Fault::ResetBefore, Fault::StoreThenHang].map(|fault| ("zalo", fault));
    side_by_side(hanging.chain(failing), |(provider, fault)| {
        let around = Surroundings::start();
        around.queue.always(fault.clone());
        around.second.always(fault.clone());
        around.s3.always(fault.clone());
        around.dynamo.always(fault.clone());
        let (request, settings, deadline) = of_provider(provider);
        let function = around.function(provider).env("HOOKGATE_CONFIG", settings.to_string()).start();
        let asked = Instant::now();
        // As long as the template gives a function at most; the platform must not be what ends it.
        let outcome =
            function.invoke_within(&request.function_url_event(BodyAs::AwsDecides), Duration::from_secs(30));
        let taken = asked.elapsed();
        assert_fault(&outcome, &format!("{provider} {fault:?}"));
        assert!(taken < deadline, "{provider} {fault:?}: {taken:?} of {deadline:?}");
    });
}

/// 87: credentials that have expired are said at once; no attempt with the same ones can help. A table costs no event.
#[test]
fn expired_credentials_are_said_at_once() {
    let around = Surroundings::start();
    let function = around.function("zalo").start();
    let in_time = |what: &str, call: &Request, status: u16| {
        let asked = Instant::now();
        assert_eq!(send(&function, call).status(), status, "{what}");
        assert!(asked.elapsed() < Duration::from_secs(1), "{what}: {:?}", asked.elapsed());
    };
    around.dynamo.always(Fault::ExpiredToken);
    in_time("the table", &one("zalo"), 200);
    assert_eq!(around.stored().len(), 1);
    around.s3.always(Fault::ExpiredToken);
    in_time("the bucket", &large("zalo"), 503);
    around.queue.always(Fault::ExpiredToken);
    around.second.always(Fault::ExpiredToken);
    let asked = around.queue.requests();
    in_time("everything", &one("zalo"), 503);
    assert_eq!((around.queue.requests() - asked, around.stored().len()), (1, 1));
    let logs = function.stop();
    for part in ["queue", "bucket"] {
        let said = format!("{part}: AWS does not take the function's credentials");
        assert!(logs.contains(&said), "{logs}");
    }
    assert!(logs.contains("sent all the same: AWS does not take the function's credentials"), "{logs}");
}

/// 88: frozen, and every connection is dead when it thaws, some without a sign.
#[test]
fn a_freeze_leaves_no_connection_behind() {
    side_by_side(["zalo", "facebook"], |provider| {
        let around = Surroundings::start();
        let function = around.function(provider).start();
        let deadline = entry(provider).provider.deadline;
        // All services have a connection, the second queue and the bucket for spilling as well.
        around.queue.then(Fault::AccessDenied);
        assert_eq!(send(&function, &large(provider)).status(), 200, "{provider}");
        for fault in [Fault::ResetBefore, Fault::Hang] {
            let victim = Victim::new(function.pid());
            victim.pause();
            thread::sleep(Duration::from_millis(100));
            victim.resume();
            around.queue.then(fault.clone());
            around.dynamo.then(fault.clone());
            let asked = Instant::now();
            assert_eq!(send(&function, &one(provider)).status(), 200, "{provider} {fault:?}");
            assert!(asked.elapsed() < deadline, "{provider} {fault:?}: {:?}", asked.elapsed());
        }
    });
}

/// 86, 108: killed at any request of a call, whichever service it is to, a function has acknowledged nothing that is not
/// stored; and the provider's next attempts get the event through, under the same identity.
#[test]
fn a_kill_at_any_step_loses_nothing() {
    const TIME: Duration = Duration::from_millis(1500);
    // A large event goes through four requests: claim, object, message, done.
    let steps = ["claim", "object", "message", "done"];
    let cases = steps.into_iter().flat_map(|step| [(step, false), (step, true)]);
    side_by_side(cases, |(step, after)| {
        let around = Surroundings::start();
        let function = around.function("zalo").start();
        let victim = Victim::new(function.pid());
        let kill = if after { Fault::KillAfter(victim) } else { Fault::KillBefore(victim) };
        match step {
            "claim" => drop(around.dynamo.then(kill)),
            "object" => drop(around.s3.then(kill)),
            "message" => drop(around.queue.then(kill)),
            _ => drop(around.dynamo.then(Fault::None).then(kill)),
        }
        let event = large("zalo").function_url_event(BodyAs::AwsDecides);
        let outcome = function.invoke_within(&event, TIME);
        assert!(matches!(outcome, Outcome::Exited(_)), "{step} {after}: {outcome:?}");
        let next = around.function("zalo").start();
        let until = Instant::now() + Duration::from_secs(10);
        let mut refused = 0;
        loop {
            let outcome = next.invoke_within(&event, TIME);
            if outcome.status() == 200 {
                break;
            }
            refused += 1;
            assert_fault(&outcome, step);
            assert!(Instant::now() < until, "{step} {after}: the claim is never taken over");
            thread::sleep(Duration::from_millis(100));
        }
        let stored = around.stored();
        let identities: BTreeSet<_> = stored.iter().map(|(identity, _)| identity).collect();
        assert_eq!(identities.len(), 1, "{step} {after}");
        // There are two only where the first was killed between SQS's word and its own.
        let expected =
            1 + usize::from((step, after) == ("message", true) || (step, after) == ("done", false));
        assert_eq!(stored.len(), expected, "{step} {after}: {refused} refused");
        assert_eq!(around.s3.objects("claims").len(), 1, "{step} {after}");
    });
}

/// Fair queues: a standard queue gets a group for each account within a source where that is asked for, in SQS's alphabet,
/// and never a deduplication id.
#[test]
fn a_fair_queue_gets_groups() {
    let of = |owner: &str, id: usize| {
        let body = json!({ "repository": { "id": id, "owner": { "login": owner } } });
        github_call(SECRET, "d", body.to_string())
    };
    for (value, is_fair) in [(Some("true"), true), (None, false), (Some("false"), false), (Some(""), false)] {
        let sqs = Sqs::start();
        let mut builder = gate("github", &sqs, &config("github"));
        if let Some(value) = value {
            builder = builder.env("QUEUE_FAIR", value);
        }
        let function = builder.start();
        for call in [of("acme", 1), of("globex", 2), of("acme", 3), of("a b é", 4)] {
            assert_eq!(send(&function, &call).status(), 200, "{value:?}");
        }
        let facebook = gate("facebook", &sqs, &config("facebook"));
        let facebook = if is_fair { facebook.env("QUEUE_FAIR", "true") } else { facebook }.start();
        let call = facebook_call(SECRET, page(&texts(12)).to_string());
        assert_eq!(send(&facebook, &call).status(), 200, "{value:?}");
        let messages = sqs.messages();
        assert_eq!(messages.len(), 16);
        assert!(messages.iter().all(|message| message.deduplication_id.is_none() && !message.fifo));
        let groups: Vec<_> = messages.iter().map(|message| message.group_id.clone()).collect();
        if !is_fair {
            assert_eq!(groups, vec![None; 16], "{value:?}");
            continue;
        }
        let legal =
            |id: &String| (1..=128).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        assert!(groups.iter().flatten().filter(|id| legal(id)).count() == 16, "{groups:?}");
        assert!(groups[0] == groups[2] && groups[0] != groups[1] && groups[1] != groups[3], "{groups:?}");
        assert_eq!(groups[4..].iter().collect::<BTreeSet<_>>().len(), 1, "one page, one group");
    }
    // In a FIFO queue the groups are the same ones, fair or not.
    let sqs = Sqs::start();
    let groups: BTreeSet<_> = ["true", ""]
        .into_iter()
        .map(|fair| {
            let builder = gate("github", &sqs, &config("github")).env("QUEUE_FAIR", fair);
            let function = builder.env("QUEUE_URL", sqs.fifo_queue_url()).start();
            assert_eq!(
                send(&function, &github_call(SECRET, fair, r#"{"repository":{"id":1}}"#)).status(),
                200
            );
            sqs.take_messages().remove(0).group_id
        })
        .collect();
    assert_eq!(groups.len(), 1);
}

/// A function over the emulator of AWS that checks signatures.
fn over_ministack(provider: &str, url: &str) -> Builder {
    let aws = Ministack::shared();
    Function::builder(lambda::binary(provider))
        .env("QUEUE_URL", url)
        .env("QUEUE_MAX_BYTES", sqs::MAX_BYTES.to_string())
        .env("AWS_ENDPOINT_URL", aws.endpoint())
        .env("AWS_ACCESS_KEY_ID", aws.access_key_id())
        .env("AWS_SECRET_ACCESS_KEY", aws.secret_access_key())
        .env("HOOKGATE_CONFIG", config(provider).to_string())
}

fn envelope_of(message: &ministack::Message) -> Value {
    serde_json::from_str(&message.body).expect("an envelope")
}

/// 83, 93: a FIFO queue that is not ours drops what comes again, and keeps each group in the order of the calls.
#[test]
fn a_fifo_queue_drops_duplicates_and_keeps_order() {
    let aws = Ministack::shared();
    let url = aws.create_queue("nothing-lost.fifo", &[("FifoQueue", "true")]);
    let github = over_ministack("github", &url).start();
    let call = |n: usize| {
        github_call(
            SECRET,
            &format!("delivery-{n}"),
            format!(r#"{{"n":{n},"repository":{{"id":{}}}}}"#, n % 3),
        )
    };
    for n in 0..12 {
        for _ in 0..2 {
            assert_eq!(send(&github, &call(n)).status(), 200, "{n}");
        }
    }
    let received = aws.receive(&url, 12, Duration::from_secs(10));
    let mut by_group: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for message in &received {
        let n = envelope_of(message)["data"]["n"].as_u64().expect("a number");
        by_group.entry(message.system["MessageGroupId"].clone()).or_default().push(n);
    }
    let expected: BTreeSet<Vec<u64>> = (0..3).map(|group| (0..4).map(|i| group + 3 * i).collect()).collect();
    assert_eq!(by_group.into_values().collect::<BTreeSet<_>>(), expected);

    // The events of one call are one group, in their order, however often it comes.
    let facebook = over_ministack("facebook", &url).start();
    for _ in 0..2 {
        let call = facebook_call(SECRET, page(&texts(15)).to_string());
        assert_eq!(send(&facebook, &call).status(), 200);
    }
    let received = aws.receive(&url, 15, Duration::from_secs(10));
    let texts_received: Vec<Value> = received
        .iter()
        .map(|message| envelope_of(message)["data"]["entry"][0]["changes"][0]["value"]["message"].clone())
        .collect();
    assert_eq!(texts_received, texts(15));
}

/// 91: the largest message arrives whole; one byte more and its data is in the bucket, from where it can be read.
#[test]
fn a_mebibyte_arrives_whole() {
    let aws = Ministack::shared();
    let bucket = "nothing-lost-claims";
    aws.create_bucket(bucket);
    let url = aws.create_queue("nothing-lost-large", &[("MaximumMessageSize", "1048576")]);
    // The clock stands, so that the envelope around the data has one size, which a queue of ours says. It stands at the
    // present, or the emulator takes no signature.
    let now = now();
    let sqs = Sqs::start();
    let measuring = gate("github", &sqs, &config("github")).clock(Clock::StandsAt(now)).start();
    let of = |padding: usize| github_call(SECRET, "d", format!(r#"{{"a":"{}"}}"#, "x".repeat(padding)));
    let event = |padding: usize| of(padding).function_url_event_at(BodyAs::AwsDecides, now);
    assert_eq!(measuring.invoke(&event(0)).status(), 200);
    let frame = sqs.messages()[0].size();
    let function =
        over_ministack("github", &url).env("CLAIM_CHECK_BUCKET", bucket).clock(Clock::StandsAt(now)).start();
    for (size, is_referred) in
        [(sqs::MAX_BYTES - 1, false), (sqs::MAX_BYTES, false), (sqs::MAX_BYTES + 1, true)]
    {
        assert_eq!(function.invoke(&event(size - frame)).status(), 200, "{size}");
        let received = aws.receive(&url, 1, Duration::from_secs(10));
        // A busy emulator may get it twice, which is what `at least once` means.
        let message = received.first().expect("a message");
        assert!(received.iter().all(|twin| twin.body == message.body), "{size}");
        let body = of(size - frame).body;
        if !is_referred {
            let data: Value = serde_json::from_slice(&body).expect("JSON");
            assert!(envelope_of(message)["data"] == data, "{size}");
            let attributes =
                message.attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
            assert_eq!(message.body.len() + attributes.sum::<usize>(), size);
            continue;
        }
        let key = format!("data/github/{}", hex::encode(Sha256::digest(&body)));
        assert_eq!(envelope_of(message)["dataref"], format!("s3://{bucket}/{key}"));
        assert!(aws.object(bucket, &key) == body, "{size}");
    }
}

/// Claim check and spill over moto's S3, with the types that objects have there.
#[test]
fn buckets_work_in_moto() {
    let (sqs, moto) = (Sqs::start(), Moto::shared());
    moto.create_bucket("nothing-lost-claims");
    moto.create_bucket("nothing-lost-spill");
    let function = gate("github", &sqs, &config("github"))
        .env("QUEUE_MAX_BYTES", "4096")
        .env("CLAIM_CHECK_BUCKET", "nothing-lost-claims")
        .env("FALLBACK_BUCKET", "nothing-lost-spill")
        .env("AWS_ENDPOINT_URL_S3", moto.endpoint())
        .start();
    let call = large("github");
    assert_eq!(send(&function, &call).status(), 200);
    let reference = envelope(&sqs.messages()[0])["dataref"].as_str().expect("a reference").to_owned();
    let key = reference.strip_prefix("s3://nothing-lost-claims/").expect("in the bucket");
    assert_eq!(moto.object("nothing-lost-claims", key), ("application/json".into(), call.body));

    sqs.always(Fault::AccessDenied);
    assert_eq!(send(&function, &one("github")).status(), 200);
    let keys = moto.keys("nothing-lost-spill");
    let [key] = keys.as_slice() else { panic!("{keys:?}") };
    assert!(key.starts_with("spill/1") && key.contains("-github-") && key.ends_with(".json"), "{key}");
    let (content_type, bytes) = moto.object("nothing-lost-spill", key);
    assert_eq!(content_type, "application/cloudevents-batch+json");
    let batch: Vec<Value> = serde_json::from_slice(&bytes).expect("envelopes");
    assert_eq!((batch.len(), &batch[0]["id"]), (1, &json!("delivery-1")));

    // A bucket that is not there, as moto says it.
    let function = gate("github", &sqs, &config("github"))
        .env("QUEUE_MAX_BYTES", "4096")
        .env("CLAIM_CHECK_BUCKET", "nothing-lost-gone")
        .env("AWS_ENDPOINT_URL_S3", moto.endpoint())
        .start();
    assert_fault(&send(&function, &large("github")), "no bucket");
    let logs = function.stop();
    assert!(logs.contains("bucket: there is none of that name"), "{logs}");
}

/// Settings from moto's Secrets Manager, by name and by ARN; one that is not there is our fault and said.
#[test]
fn settings_come_from_secrets_manager_in_moto() {
    let (sqs, moto) = (Sqs::start(), Moto::shared());
    let arn = moto.create_secret("nothing-lost/github", &config("github").to_string());
    let start = |name: &str| {
        gate("github", &sqs, &config("github"))
            .env("HOOKGATE_CONFIG", format!("secretsmanager:{name}"))
            .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", moto.endpoint())
            .start()
    };
    for name in ["nothing-lost/github", &arn] {
        let function = start(name);
        assert_eq!(send(&function, &one("github")).status(), 200, "{name}");
        let forged = github_call("another secret, of nobody", "delivery-1", "{}");
        assert_eq!(send(&function, &forged).status(), 401, "{name}");
    }
    assert_eq!((sqs.messages().len(), identities(&sqs.messages()).len()), (2, 1));
    let function = start("nothing-lost/none");
    assert_fault(&send(&function, &one("github")), "no secret");
    assert!(function.stop().contains("there is no parameter or secret of that name"));
}

/// 82: many events with all parts in use, some of them too large and the queue failing in between: each is stored once it is
/// acknowledged, and none twice.
#[test]
fn many_events_go_through_all_parts() {
    const EVENTS: usize = 100;
    let around = Surroundings::start();
    let function = around.function("facebook").start();
    let mut all = texts(EVENTS);
    for (i, text) in all.iter_mut().enumerate().step_by(10) {
        *text = format!("{i} {}", "x".repeat(9000));
    }
    let call = facebook_call(SECRET, page(&all).to_string());
    for batch in 0..6 {
        let fault = if batch % 2 == 0 {
            Fault::FailEntries { indices: vec![1, 4], sender_fault: batch % 4 == 0 }
        } else {
            Fault::None
        };
        around.queue.then(fault);
    }
    let until = Instant::now() + Duration::from_secs(30);
    while send(&function, &call).status() != 200 {
        assert!(Instant::now() < until, "never through");
        thread::sleep(Duration::from_millis(200));
    }
    let stored = around.stored();
    let identities: BTreeSet<_> = stored.iter().map(|(identity, _)| identity.clone()).collect();
    assert_eq!(identities.len(), EVENTS);
    assert_eq!(around.s3.objects("claims").len(), EVENTS / 10);
    let in_second: Vec<String> = around.second.messages().iter().map(comment).collect();
    assert!(!in_second.is_empty(), "what the queue refused went on");
    assert_eq!(around.dynamo.items().len(), EVENTS);
    // On a machine that is too busy to claim them all in time, some are sent all the same.
    let logs = function.stop();
    assert!(stored.len() == EVENTS || logs.contains("sent all the same"), "{}: {logs}", stored.len());
}
