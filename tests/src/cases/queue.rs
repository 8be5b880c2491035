//! From a verified call to SQS: stored before it is answered, whatever the queue does. Built functions before the double,
//! and before the emulator of AWS; numbers are those of the cases.

use super::support::CLOCK;
use super::transport::{
    SECRET, ZALO_APP, assert_fault, envelope, facebook_call, gate, github, github_call, send, stripe_call,
    zalo_call,
};
use crate::clock::Clock;
use crate::event::{BodyAs, Request};
use crate::lambda::{self, Function, Outcome};
use crate::ministack::Ministack;
use crate::sqs::{self, Fault, Message, Sqs};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// What a function needs whose provider is tried here; none of them minds the settings of another.
pub(super) fn config(provider: &str) -> Value {
    match provider {
        "zalo" => json!({ "app_id": ZALO_APP, "oa_secret_key": SECRET }),
        "facebook" => json!({ "app_secret": SECRET, "verify_token": SECRET }),
        _ => json!({ "secret": SECRET }),
    }
}

/// A genuine call with one event.
pub(super) fn one(provider: &str) -> Request {
    match provider {
        "zalo" => zalo_call(SECRET, "message-1"),
        "facebook" => facebook_call(SECRET, page(&["like"]).to_string()),
        _ => github_call(SECRET, "delivery-1", r#"{"action":"opened"}"#),
    }
}

/// A call of a Facebook page with one change for each text.
pub(super) fn page<T: AsRef<str>>(changes: &[T]) -> Value {
    let change = |text: &T| json!({ "field": "feed", "value": { "item": "comment", "verb": "add", "message": text.as_ref() } });
    json!({ "object": "page", "entry": [{ "id": "12345", "time": 1_795_500_000, "changes": changes.iter().map(change).collect::<Vec<_>>() }] })
}

pub(super) fn texts(count: usize) -> Vec<String> {
    (0..count).map(|i| format!("comment {i}")).collect()
}

/// `source` and `id`, by which a consumer tells duplicates.
pub(super) fn identity(message: &Message) -> (String, String) {
    let envelope = envelope(message);
    let text = |name: &str| envelope[name].as_str().expect("a text").to_owned();
    (text("source"), text("id"))
}

pub(super) fn identities(messages: &[Message]) -> BTreeSet<(String, String)> {
    messages.iter().map(identity).collect()
}

/// Tries cases at the same time: most of their time is spent waiting.
pub(super) fn side_by_side<T: Send>(cases: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    let test = &test;
    thread::scope(|scope| {
        for case in cases {
            scope.spawn(move || test(case));
        }
    });
}

/// The comment of an event of [`page`], which holds that one alone.
pub(super) fn comment(message: &Message) -> String {
    let changes = envelope(message)["data"]["entry"][0]["changes"].clone();
    assert_eq!(changes.as_array().map(Vec::len), Some(1), "{changes}");
    changes[0]["value"]["message"].as_str().expect("a text").to_owned()
}

/// 86: when the answer is there, the message has been.
#[test]
fn an_answer_comes_after_the_message() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    sqs.always(Fault::Delay(Duration::from_millis(200)));
    for count in 1..=3 {
        let outcome = send(&function, &one("github"));
        let answered = Instant::now();
        let messages = sqs.messages();
        assert_eq!((outcome.status(), messages.len()), (200, count));
        assert!(messages.iter().all(|message| message.stored_at < answered));
    }
    // Of several batches, too, every one.
    sqs.take_messages();
    let facebook = gate("facebook", &sqs, &config("facebook")).start();
    let outcome = send(&facebook, &facebook_call(SECRET, page(&texts(35)).to_string()));
    assert_eq!((outcome.status(), sqs.messages().len()), (200, 35));
}

/// 87: what passes is passed over, within the time of the provider in the greatest hurry.
#[test]
fn a_passing_fault_is_no_fault() {
    side_by_side([("zalo", 2), ("github", 10)], |(provider, deadline)| {
        passing_faults(provider, Duration::from_secs(deadline));
    });
}

fn passing_faults(provider: &str, deadline: Duration) {
    let late = Duration::from_millis(800);
    let sqs = Sqs::start();
    let function = gate(provider, &sqs, &config(provider)).start();
    for fault in [
        Fault::Http500,
        Fault::Throttle,
        Fault::ResetBefore,
        Fault::StoreThenReset,
        Fault::HalfAnswer,
        Fault::AnswerThenClose,
        Fault::Hang,
        Fault::StoreThenHang,
        Fault::Delay(late),
        Fault::Garbage200("{}"),
        Fault::Garbage200("<html>"),
        Fault::Garbage200(""),
        Fault::Garbage200(r#"{"MessageId":1}"#),
        Fault::FailEntries { indices: vec![0], sender_fault: false },
    ] {
        sqs.then(fault.clone());
        let asked = Instant::now();
        let outcome = send(&function, &one(provider));
        let taken = asked.elapsed();
        assert_eq!(outcome.status(), 200, "{provider} {fault:?}: {outcome:?}");
        assert!(taken < deadline, "{provider} {fault:?}: {taken:?}");
        if fault == Fault::Delay(late) {
            // The request that was given up is stored as well, only later.
            thread::sleep(late);
        }
        let messages = sqs.take_messages();
        assert_eq!(identities(&messages).len(), 1, "{provider} {fault:?}: {messages:?}");
        // And the call after it, whose connection may have been left in any state.
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider} after {fault:?}");
        assert_eq!(sqs.take_messages().len(), 1, "{provider} after {fault:?}");
    }
}

/// 87, 89: what stays ends in our own 503, in time for the provider and with nothing acknowledged.
#[test]
fn a_lasting_fault_is_answered_in_time() {
    let faults = [
        Fault::Http500,
        Fault::Throttle,
        Fault::ResetBefore,
        Fault::Hang,
        Fault::HalfAnswer,
        Fault::StoreThenHang,
        Fault::StoreThenReset,
        Fault::Garbage200("{}"),
        Fault::Garbage200("<html>"),
        Fault::Delay(Duration::from_secs(3)),
    ];
    let mut cases: Vec<(&str, u64, Fault)> = faults.map(|fault| ("zalo", 2, fault)).into();
    cases.extend([Fault::Http500, Fault::Hang, Fault::ResetBefore].map(|fault| ("github", 10, fault)));
    cases.push(("facebook", 5, Fault::Throttle));
    side_by_side(cases, |(provider, deadline, fault)| {
        let sqs = Sqs::start();
        sqs.always(fault.clone());
        let function = gate(provider, &sqs, &config(provider)).start();
        let asked = Instant::now();
        let outcome = send(&function, &one(provider));
        let taken = asked.elapsed();
        assert_fault(&outcome, &format!("{provider} {fault:?}"));
        assert!(taken < Duration::from_secs(deadline), "{provider} {fault:?}: {taken:?}");
        // GitHub never sends a call again by itself: most of its time is used.
        assert!(provider != "github" || taken > Duration::from_secs(5), "{fault:?}: only {taken:?}");
        assert!(sqs.requests() > 1, "{provider} {fault:?}: {} requests", sqs.requests());
        sqs.always(Fault::None);
        let healed = sqs.messages().len();
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider} after {fault:?}");
        assert!(sqs.messages().len() > healed, "{provider} after {fault:?}");
        assert_eq!(identities(&sqs.messages()).len(), 1, "{provider} {fault:?}");
        let logs = function.stop();
        assert_eq!(logs.matches(r#""event":"fault""#).count(), 1, "{provider} {fault:?}: {logs}");
    });
}

/// 87: no listener at all, and one that never takes the connection.
#[test]
fn a_queue_out_of_reach_is_answered_in_time() {
    let sqs = Sqs::start();
    let closed =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port").local_addr().expect("its address");
    let endpoints = [format!("http://{closed}"), "http://no-such-host.invalid".into(), "no url".into()];
    side_by_side(endpoints, |endpoint| {
        let function = gate("zalo", &sqs, &config("zalo")).env("AWS_ENDPOINT_URL_SQS", &endpoint).start();
        let asked = Instant::now();
        assert_fault(&send(&function, &one("zalo")), &endpoint);
        assert!(asked.elapsed() < Duration::from_secs(2), "{endpoint}: {:?}", asked.elapsed());
    });
    assert_eq!(sqs.connections(), 0);
}

/// 89: where the platform gives less time than the provider, ours is the shorter one.
#[test]
fn the_platforms_limit_is_kept_too() {
    let sqs = Sqs::start();
    sqs.always(Fault::Hang);
    let function = github(&sqs);
    let event = one("github").function_url_event(BodyAs::AwsDecides);
    assert_fault(&function.invoke_within(&event, Duration::from_secs(3)), "three seconds");
}

/// 88: the environment was frozen, and the connection is gone when it thaws.
#[test]
fn a_stale_connection_is_replaced() {
    let sqs = Sqs::start();
    for provider in ["github", "zalo"] {
        let function = gate(provider, &sqs, &config(provider)).start();
        for fault in [Fault::AnswerThenClose, Fault::None] {
            sqs.then(fault.clone());
            assert_eq!(send(&function, &one(provider)).status(), 200);
            function.pause();
            thread::sleep(Duration::from_millis(100));
            function.resume();
            // Where the connection was left open, its peer has vanished without a word: no answer comes on it.
            if fault == Fault::None {
                sqs.then(Fault::Hang);
            }
            let asked = Instant::now();
            assert_eq!(send(&function, &one(provider)).status(), 200, "{provider} {fault:?}");
            assert!(asked.elapsed() < Duration::from_secs(2), "{provider} {fault:?}: {:?}", asked.elapsed());
            assert_eq!(sqs.take_messages().len(), 2, "{provider} {fault:?}");
        }
    }
}

/// 88: where one connection has died of a freeze, so have its siblings: the next attempt is on none of them.
#[test]
fn another_attempt_is_on_a_new_connection() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).start();
    sqs.always(Fault::Delay(Duration::from_millis(50)));
    assert_eq!(send(&function, &facebook_call(SECRET, page(&texts(80)).to_string())).status(), 200);
    let before = sqs.connections();
    assert!(before > 1, "batches of one call go side by side");
    sqs.always(Fault::None);
    sqs.then(Fault::Hang);
    assert_eq!(send(&function, &one("facebook")).status(), 200);
    let received = sqs.received();
    let [.., hung, answered] = received.as_slice() else { panic!("{received:?}") };
    assert!(hung.connection <= before && answered.connection > before, "{received:?}");
}

/// A warm function keeps its connection: a handshake for each call would cost more than the call.
#[test]
fn one_connection_serves_many_calls() {
    let sqs = Sqs::start();
    let function = github(&sqs);
    for _ in 0..20 {
        assert_eq!(send(&function, &one("github")).status(), 200);
    }
    assert_eq!((sqs.connections(), sqs.requests()), (1, 20));
}

/// On Lambda Managed Instances an environment has several calls at once: none waits for the queue of another, each is
/// answered for itself, and a genuine one beside forged ones is the only one that is stored.
#[test]
fn calls_are_served_side_by_side() {
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &config("github")).calls_at_once(4).start();
    sqs.always(Fault::Hang);
    thread::scope(|scope| {
        let waiting = scope.spawn(|| send(&function, &one("github")));
        while sqs.requests() == 0 {
            thread::sleep(Duration::from_millis(5));
        }
        for _ in 0..20 {
            assert_eq!(send(&function, &github_call("forged", "delivery-2", "{}")).status(), 401);
        }
        assert!(!waiting.is_finished(), "it waits for the queue");
        sqs.always(Fault::None);
        assert_eq!(waiting.join().expect("no panic").status(), 200);
    });
    assert_eq!(identities(&sqs.take_messages()).len(), 1);

    let deliveries: Vec<String> = (0..200).map(|i| format!("delivery-{i}")).collect();
    side_by_side(deliveries.chunks(25), |deliveries| {
        for delivery in deliveries {
            let call = github_call(SECRET, delivery, r#"{"action":"opened"}"#);
            assert_eq!(send(&function, &call).status(), 200, "{delivery}");
        }
    });
    assert_eq!(identities(&sqs.messages()).len(), deliveries.len());
}

/// 83, 90: a time-out after SQS has stored it gives a duplicate with the same identity, never a loss.
#[test]
fn a_retry_of_the_provider_is_the_same_event() {
    side_by_side(["zalo", "facebook"], |provider| {
        let sqs = Sqs::start();
        let function = gate(provider, &sqs, &config(provider)).start();
        sqs.always(Fault::StoreThenHang);
        assert_fault(&send(&function, &one(provider)), provider);
        sqs.always(Fault::None);
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider}");
        let messages = sqs.take_messages();
        assert!(messages.len() >= 2, "{provider}: {messages:?}");
        assert_eq!(identities(&messages).len(), 1, "{provider}: {messages:?}");
    });
}

/// 84: an id outside the signature, put on another body, hides nothing: the content counts in the deduplication id.
#[test]
fn an_unsigned_id_suppresses_nothing() {
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &config("github")).env("QUEUE_URL", sqs.fifo_queue_url()).start();
    let first = github_call(SECRET, "delivery-1", r#"{"action":"opened"}"#);
    let replayed = github_call(SECRET, "delivery-1", r#"{"action":"closed"}"#);
    for call in [&first, &first, &replayed, &first] {
        assert_eq!(send(&function, call).status(), 200);
    }
    let messages = sqs.messages();
    assert_eq!(messages.len(), 2, "{messages:?}");
    for message in &messages {
        let envelope = envelope(message);
        assert_eq!((&envelope["id"], &envelope["idsource"]), (&json!("delivery-1"), &json!("header")));
        assert_eq!(envelope["calldigest"].as_str().map(str::len), Some(64));
    }
    // What is signed is believed: Stripe signs every retry anew under the same event id.
    let function = gate("stripe", &sqs, &config("stripe")).env("QUEUE_URL", sqs.fifo_queue_url());
    let function = function.clock(Clock::StandsAt(CLOCK)).start();
    for second in [CLOCK, CLOCK + 1, CLOCK - 1] {
        let call = stripe_call(SECRET, second, r#"{"id":"evt_1","type":"a"}"#);
        assert_eq!(function.invoke(&call.function_url_event_at(BodyAs::AwsDecides, CLOCK)).status(), 200);
    }
    assert_eq!(sqs.messages().len(), 3);
}

/// 91: the edge of `QUEUE_MAX_BYTES`, attributes counted, up to SQS's own limit. Beyond it a claim check would have to
/// carry the event; without one it is our fault, and SQS is never asked.
#[test]
fn the_largest_message_is_exactly_as_large_as_said() {
    for limit in [4_096, 262_144, sqs::MAX_BYTES] {
        let sqs = Sqs::start();
        // The clock stands, so that the envelope around the data has one size.
        let function = gate("github", &sqs, &config("github"))
            .env("QUEUE_MAX_BYTES", limit.to_string())
            .clock(Clock::StandsAt(CLOCK))
            .start();
        let of = |padding: usize| {
            let call = github_call(SECRET, "d", format!(r#"{{"a":"{}"}}"#, "x".repeat(padding)));
            function.invoke(&call.function_url_event_at(BodyAs::AwsDecides, CLOCK))
        };
        assert_eq!(of(0).status(), 200);
        let frame = sqs.take_messages()[0].size();
        for (size, status) in
            [(limit - 1, 200), (limit, 200), (limit + 1, 503), (limit * 2, 503), (limit, 200)]
        {
            let asked = sqs.requests();
            let outcome = of(size - frame);
            assert_eq!(outcome.status(), status, "{size} of {limit}: {outcome:?}");
            let sizes: BTreeSet<usize> = sqs.take_messages().iter().map(Message::size).collect();
            if status == 200 {
                assert_eq!(sizes, BTreeSet::from([size]));
            } else {
                assert_fault(&outcome, "too large");
                assert_eq!((sizes.len(), sqs.requests() - asked), (0, 0));
            }
        }
        let logs = function.stop();
        assert_eq!(logs.matches("larger than QUEUE_MAX_BYTES").count(), 2, "{logs}");
    }
}

/// 82, 91: a call with one event that is too large is never a success, and its sound events are not lost with it.
#[test]
fn one_event_too_large_is_no_success_and_no_loss() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).env("QUEUE_MAX_BYTES", "10000").start();
    let large = "x".repeat(10_000);
    let call = facebook_call(SECRET, page(&["a", large.as_str(), "b"]).to_string());
    let mut seen = BTreeSet::new();
    for _ in 0..2 {
        assert_fault(&send(&function, &call), "one of three");
        let messages = sqs.take_messages();
        assert_eq!(messages.iter().map(comment).collect::<Vec<_>>(), ["a", "b"]);
        seen.extend(identities(&messages));
    }
    assert_eq!(seen.len(), 2, "the same events when the call comes again");
    let logs = function.stop();
    assert_eq!(logs.matches("larger than QUEUE_MAX_BYTES").count(), 2, "{logs}");
}

/// 91: in a FIFO queue, what follows one that is too large in its group waits with it.
#[test]
fn one_event_too_large_is_not_overtaken_in_its_group() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook"))
        .env("QUEUE_URL", sqs.fifo_queue_url())
        .env("QUEUE_MAX_BYTES", "10000")
        .start();
    let large = "x".repeat(10_000);
    let call = facebook_call(SECRET, page(&["a", large.as_str(), "b"]).to_string());
    assert_fault(&send(&function, &call), "one of three");
    assert_eq!(sqs.messages().iter().map(comment).collect::<Vec<_>>(), ["a"]);
}

/// `QUEUE_MAX_BYTES` left out or unreadable is 262,144, and the latter is said.
#[test]
fn the_usual_limit_is_that_of_a_usual_queue() {
    let sqs = Sqs::start();
    for (value, said) in [("", false), ("  ", false), ("256 KB", true), ("-1", true), ("1e6", true)] {
        let function = gate("github", &sqs, &config("github")).env("QUEUE_MAX_BYTES", value).start();
        for (bytes, status) in [(261_000, 200), (262_144, 503)] {
            let call = github_call(SECRET, "d", format!(r#"{{"a":"{}"}}"#, "x".repeat(bytes)));
            assert_eq!(send(&function, &call).status(), status, "{value:?} {bytes}");
        }
        assert_eq!(function.stop().contains(r#""name":"QUEUE_MAX_BYTES""#), said, "{value:?}");
    }
}

/// 82: the largest call that Facebook sends; and cut in other places, its events have the same ids.
#[test]
fn a_thousand_events_arrive_one_by_one() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).start();
    let all = texts(1000);
    let asked = Instant::now();
    let event = facebook_call(SECRET, page(&all).to_string()).function_url_event(BodyAs::AwsDecides);
    assert_eq!(function.invoke_within(&event, Duration::from_secs(10)).status(), 200);
    assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
    let messages = sqs.take_messages();
    let at_once = identities(&messages);
    assert_eq!((messages.len(), at_once.len(), sqs.requests()), (1000, 1000, 100));
    assert!(sqs.received().iter().all(|request| request.action == "SendMessageBatch"));
    let mut by_request = BTreeMap::new();
    for message in &messages {
        *by_request.entry(message.request).or_insert(0) += 1;
    }
    assert!(by_request.values().all(|count| *count == 10), "{by_request:?}");
    assert_eq!(messages.iter().map(comment).collect::<BTreeSet<_>>(), all.iter().cloned().collect());

    let mut reversed = all.clone();
    reversed.reverse();
    for chunk in reversed.chunks(333) {
        assert_eq!(send(&function, &facebook_call(SECRET, page(chunk).to_string())).status(), 200);
    }
    let messages = sqs.take_messages();
    assert_eq!((messages.len(), identities(&messages)), (1000, at_once));
}

/// 82: a batch that comes near the platform's limit. Of what is sent no more than some requests are in memory at once.
#[test]
fn a_large_batch_takes_little_memory() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).start();
    let all: Vec<String> = texts(1000).into_iter().map(|text| format!("{text:4000}")).collect();
    let event = facebook_call(SECRET, page(&all).to_string()).function_url_event(BodyAs::AwsDecides);
    assert_eq!(function.invoke_within(&event, Duration::from_secs(20)).status(), 200);
    let peak = function.peak_rss_kib();
    assert_eq!(identities(&sqs.messages()).len(), 1000);
    // Some 10 of them are the unoptimised binary; all requests side by side would be another 7.
    assert!(peak < 32 * 1024, "{peak} KiB");
}

/// 82: batches hold ten events, and a mebibyte. The double refuses a larger one as SQS does.
#[test]
fn a_batch_is_no_larger_than_sqs_takes() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).start();
    for (sizes, least) in [
        (vec![200_000; 6], 2),
        (vec![600_000, 600_000, 10, 10], 2),
        (vec![10, 1_047_000, 10], 3),
        (vec![600_000, 600_000], 2),
        (vec![10; 11], 2),
    ] {
        let asked = sqs.requests();
        let changes: Vec<String> =
            sizes.iter().enumerate().map(|(i, bytes)| format!("{i}{}", "x".repeat(*bytes))).collect();
        let outcome = send(&function, &facebook_call(SECRET, page(&changes).to_string()));
        assert_eq!(outcome.status(), 200, "{sizes:?}");
        // A machine that is busy may need another attempt for a mebibyte.
        let messages = sqs.take_messages();
        assert_eq!(identities(&messages).len(), sizes.len(), "{sizes:?}");
        assert!(sqs.requests() - asked >= least, "{sizes:?}: {} requests", sqs.requests() - asked);
        let mut by_request = BTreeMap::new();
        for message in &messages {
            let (count, bytes) = by_request.entry(message.request).or_insert((0, 0));
            (*count, *bytes) = (*count + 1, *bytes + message.size());
        }
        assert!(by_request.values().all(|(count, bytes)| *count <= 10 && *bytes <= sqs::MAX_BYTES));
    }
}

/// 82: of a batch, what failed is sent again, and only that.
#[test]
fn a_part_that_failed_is_sent_again() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).start();
    for (indices, attempts) in [
        (vec![vec![3]], 2),
        (vec![vec![0, 9]], 2),
        (vec![vec![0, 1, 2, 3, 4, 5, 6, 7, 8, 9]], 2),
        // Of the three that failed the middle one fails once more, and then once more alone.
        (vec![vec![2, 5, 8], vec![1], vec![0]], 4),
    ] {
        for fault in &indices {
            sqs.then(Fault::FailEntries { indices: fault.clone(), sender_fault: false });
        }
        let asked = sqs.requests();
        let outcome = send(&function, &facebook_call(SECRET, page(&texts(10)).to_string()));
        assert_eq!(outcome.status(), 200, "{indices:?}");
        let messages = sqs.take_messages();
        assert_eq!((messages.len(), identities(&messages).len()), (10, 10), "{indices:?}");
        assert_eq!(sqs.requests() - asked, attempts, "{indices:?}");
        let retried = messages.iter().filter(|message| message.request > asked + 1).count();
        assert_eq!(retried, indices[0].len(), "{indices:?}");
    }
}

/// 82, 87: a part that keeps failing, and one that SQS blames us for: never a success over a subset.
#[test]
fn a_part_that_is_lost_is_never_a_success() {
    let lasting = |sender_fault| {
        let sqs = Sqs::start();
        let function = gate("facebook", &sqs, &config("facebook")).start();
        sqs.always(Fault::FailEntries { indices: vec![0], sender_fault });
        let asked = Instant::now();
        let outcome = send(&function, &facebook_call(SECRET, page(&texts(12)).to_string()));
        assert_fault(&outcome, "one of twelve");
        assert!(asked.elapsed() < Duration::from_secs(5), "{:?}", asked.elapsed());
        (sqs.requests(), asked.elapsed(), identities(&sqs.messages()).len())
    };
    let (requests, _, stored) = lasting(false);
    assert!(requests > 4 && stored < 12, "{requests} requests, {stored} stored");
    let (requests, taken, stored) = lasting(true);
    assert!(requests <= 2 && taken < Duration::from_secs(2), "{requests} requests in {taken:?}");
    assert!(stored < 12, "{stored}");
}

/// 87: an answer that confirms less than was sent confirms nothing more.
#[test]
fn an_answer_is_read_entry_by_entry() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).start();
    for garbage in [
        "{}",
        "null",
        "[]",
        "",
        "<html>",
        r#"{"Successful":[],"Failed":[]}"#,
        r#"{"Successful":[{"Id":"0","MessageId":"a","MD5OfMessageBody":"b"}],"Failed":[]}"#,
        r#"{"Successful":[{"Id":"0","MessageId":"","MD5OfMessageBody":"b"},{"Id":"1","MessageId":"","MD5OfMessageBody":"b"}]}"#,
        r#"{"Successful":[{"Id":"7","MessageId":"a","MD5OfMessageBody":"b"},{"Id":"x","MessageId":"a","MD5OfMessageBody":"b"}]}"#,
    ] {
        sqs.then(Fault::Garbage200(garbage));
        let outcome = send(&function, &facebook_call(SECRET, page(&texts(2)).to_string()));
        assert_eq!(outcome.status(), 200, "{garbage}");
        let stored = identities(&sqs.take_messages()).len();
        // The double has stored nothing with the garbage. What that confirmed by name is taken at its word.
        let confirmed = usize::from(garbage.contains(r#""Id":"0","MessageId":"a""#));
        assert_eq!(stored, 2 - confirmed, "{garbage}");
    }
}

/// 87: what no retry can mend is answered at once, and the log says where to look.
#[test]
fn what_an_operator_has_to_mend_is_said() {
    for (fault, advice) in [
        (Fault::AccessDenied, "role may not send"),
        (Fault::QueueDoesNotExist, "QUEUE_URL"),
        (Fault::FailEntries { indices: vec![0], sender_fault: true }, "SQS refuses the message"),
    ] {
        let sqs = Sqs::start();
        sqs.always(fault.clone());
        for provider in ["github", "facebook"] {
            let function = gate(provider, &sqs, &config(provider)).start();
            let asked = Instant::now();
            assert_fault(&send(&function, &one(provider)), &format!("{fault:?}"));
            assert!(asked.elapsed() < Duration::from_secs(2), "{fault:?}: {:?}", asked.elapsed());
            let logs = function.stop();
            assert!(logs.contains(advice) && logs.lines().count() == 1, "{fault:?}: {logs}");
            // AWS's own words name the account.
            assert!(!logs.contains("123456789012") && !logs.contains("arn:"), "{logs}");
        }
        assert_eq!(sqs.requests(), 2, "{fault:?}");
    }
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &config("github")).env("AWS_SECRET_ACCESS_KEY", "another").start();
    assert_fault(&send(&function, &one("github")), "another key");
    assert!(function.stop().contains("credentials"));
    assert_eq!(sqs.requests(), 1);
}

/// Attributes for filtering: these five, of type `String`, and the same as the envelope says.
#[test]
fn attributes_say_what_the_envelope_says() {
    let sqs = Sqs::start();
    for (provider, kind, assurance) in [
        ("github", "com.github.push.opened", "signed"),
        ("facebook", "com.facebook.page.feed.comment.add", "signed"),
        ("zalo", "me.zalo.user_send_text", "signed"),
    ] {
        let function = gate(provider, &sqs, &config(provider)).start();
        assert_eq!(send(&function, &one(provider)).status(), 200);
        let messages = sqs.take_messages();
        let [message] = messages.as_slice() else { panic!("{messages:?}") };
        let names: Vec<&str> = message.attributes.keys().map(String::as_str).collect();
        assert_eq!(names, ["assurance", "datacontenttype", "provider", "source", "type"]);
        assert!(message.attributes.values().all(|attribute| attribute.data_type == "String"));
        let envelope = envelope(message);
        for name in names {
            assert_eq!(message.attribute(name), envelope[name].as_str(), "{provider} {name}");
        }
        assert_eq!(
            (message.attribute("type"), message.attribute("assurance")),
            (Some(kind), Some(assurance))
        );
        assert_eq!((&message.group_id, &message.deduplication_id, message.fifo), (&None, &None, false));
    }
    // A kind and a content type of characters that no attribute takes, and longer than serves for filtering.
    let function = github(&sqs);
    for kind in ["\u{1}\u{FFFF}", "\u{1b}[31m", "é", &"k".repeat(1000), " "] {
        let request = github_call(SECRET, "d", [0xff]);
        let mut event: Value =
            serde_json::from_str(&request.function_url_event(BodyAs::Base64)).expect("JSON");
        event["headers"]["x-github-event"] = kind.into();
        event["headers"]["content-type"] = kind.into();
        assert_eq!(function.invoke(&event.to_string()).status(), 200, "{kind:?}");
        let request = github_call(SECRET, "d", "{}");
        let mut event: Value =
            serde_json::from_str(&request.function_url_event(BodyAs::Base64)).expect("JSON");
        event["headers"]["x-github-event"] = kind.into();
        assert_eq!(function.invoke(&event.to_string()).status(), 200, "{kind:?}");
        let messages = sqs.take_messages();
        assert_eq!(messages.len(), 2, "{kind:?}");
        assert!(messages.iter().all(|message| message.attributes.len() == 5), "{kind:?}: {messages:?}");
    }
}

/// 93: ids of a FIFO queue are of its alphabet and length, and the same for the same event.
#[test]
fn a_fifo_queue_gets_ids_that_it_takes() {
    let sqs = Sqs::start();
    let to_fifo = |provider: &str| {
        gate(provider, &sqs, &config(provider)).env("QUEUE_URL", sqs.fifo_queue_url()).start()
    };
    let function = to_fifo("github");
    for (delivery, repository) in
        [("d é \u{FFFF} with spaces", "1"), (&"long".repeat(200), "\"a b é\""), ("", "1")]
    {
        let call = github_call(SECRET, "x", format!(r#"{{"repository":{{"id":{repository}}}}}"#));
        let mut event: Value =
            serde_json::from_str(&call.function_url_event(BodyAs::AwsDecides)).expect("JSON");
        event["headers"]["x-github-delivery"] = delivery.into();
        for _ in 0..2 {
            assert_eq!(function.invoke(&event.to_string()).status(), 200, "{delivery:?}");
        }
    }
    let facebook = to_fifo("facebook");
    for _ in 0..2 {
        let outcome = send(&facebook, &facebook_call(SECRET, page(&texts(25)).to_string()));
        assert_eq!(outcome.status(), 200);
    }
    let messages = sqs.messages();
    // Without an id and a time nobody can tell a repetition from another occurrence.
    assert_eq!(messages.len(), 2 + 2 + 25, "each once, but the one that is not told apart");
    let legal = |id: &Option<String>| {
        id.as_ref()
            .is_some_and(|id| (1..=128).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_graphic()))
    };
    assert!(
        messages.iter().all(|m| m.fifo && legal(&m.group_id) && legal(&m.deduplication_id)),
        "{messages:?}"
    );
    let different: BTreeSet<_> = messages.iter().map(|message| &message.deduplication_id).collect();
    assert_eq!(different.len(), messages.len());
    let groups: BTreeSet<_> = messages[4..].iter().map(|message| &message.group_id).collect();
    assert_eq!(groups.len(), 1, "one page, one group");
    assert_eq!(messages[4..].iter().map(comment).collect::<Vec<_>>(), texts(25));

    // After a batch that failed nothing later is sent.
    sqs.take_messages();
    let asked = sqs.requests();
    sqs.always(Fault::AccessDenied);
    assert_fault(&send(&facebook, &facebook_call(SECRET, page(&texts(50)).to_string())), "refused");
    assert_eq!((sqs.requests() - asked, sqs.messages().len()), (1, 0));
}

/// A FIFO queue is chosen for its order: an entry that fails and comes later must not be overtaken within its group.
#[test]
fn a_failed_entry_is_not_overtaken_in_its_group() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &config("facebook")).env("QUEUE_URL", sqs.fifo_queue_url()).start();
    sqs.then(Fault::FailEntries { indices: vec![3], sender_fault: false });
    let outcome = send(&function, &facebook_call(SECRET, page(&texts(10)).to_string()));
    assert_eq!(outcome.status(), 200);
    let messages = sqs.messages();
    assert_eq!(messages.iter().map(comment).collect::<Vec<_>>(), texts(10));
}

/// Over the emulator of AWS, which checks signatures and digests by its own code: one message, and batches.
#[test]
fn what_was_sent_is_received() {
    let aws = Ministack::shared();
    let start = |provider: &str, url: &str| {
        Function::start(
            lambda::binary(provider),
            [
                ("QUEUE_URL", url.to_owned()),
                ("AWS_ENDPOINT_URL", aws.endpoint()),
                ("AWS_ACCESS_KEY_ID", aws.access_key_id().to_owned()),
                ("AWS_SECRET_ACCESS_KEY", aws.secret_access_key().to_owned()),
                ("HOOKGATE_CONFIG", config(provider).to_string()),
            ],
        )
    };
    for name in ["hookgate-queue-test", "hookgate-queue-test.fifo"] {
        let attributes = if name.ends_with(".fifo") { &[("FifoQueue", "true")][..] } else { &[] };
        let url = aws.create_queue(name, attributes);
        let body = "{\"action\":\"opened\",\"n\":123456789012345678901234567890,\"e\":\"é\u{FFFF}\\u0000\"}";
        let call = github_call(SECRET, "delivery-1", body);
        assert_eq!(send(&start("github", &url), &call).status(), 200, "{name}");
        let received = aws.receive(&url, 1, Duration::from_secs(10));
        // A busy emulator may get it twice, which is what `at least once` means.
        let message = received.first().expect("a message");
        assert!(received.iter().all(|twin| twin.body == message.body), "{name}: {received:?}");
        let of_message: Value = serde_json::from_str(&message.body).expect("an envelope");
        assert_eq!(of_message["id"], "delivery-1");
        assert_eq!(of_message["data"]["e"], "é\u{FFFF}\0");
        assert!(message.body.contains(r#""n":123456789012345678901234567890"#), "{}", message.body);
        let expected = ["assurance", "datacontenttype", "provider", "source", "type"];
        assert_eq!(message.attributes.keys().collect::<Vec<_>>(), expected);
        assert_eq!(message.attributes["type"], "com.github.push.opened");

        let call = facebook_call(SECRET, page(&texts(25)).to_string());
        assert_eq!(send(&start("facebook", &url), &call).status(), 200, "{name}");
        let received = aws.receive(&url, 25, Duration::from_secs(10));
        let texts_received: BTreeSet<String> = received
            .iter()
            .map(|message| serde_json::from_str::<Value>(&message.body).expect("an envelope"))
            .map(|e| {
                e["data"]["entry"][0]["changes"][0]["value"]["message"].as_str().expect("a text").to_owned()
            })
            .collect();
        assert_eq!(texts_received, texts(25).into_iter().collect(), "{name}");
    }
    // A queue that does not exist, as the emulator says it.
    let gone = start("github", &format!("{}/000000000000/hookgate-gone", aws.endpoint()));
    assert_fault(&send(&gone, &one("github")), "no queue");
    assert!(gone.stop().contains("QUEUE_URL"));
}

/// No queue, or none that is one: every event is our fault, and a forged call is refused as ever.
#[test]
fn without_a_queue_nothing_is_acknowledged() {
    for url in [
        None,
        Some(""),
        Some("  "),
        Some("not a url"),
        Some("http://"),
        Some("ftp://127.0.0.1/1/q"),
        Some("\u{1}"),
    ] {
        let sqs = Sqs::start();
        let mut function = Function::builder(lambda::binary("zalo"))
            .env("HOOKGATE_CONFIG", config("zalo").to_string())
            .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint());
        if let Some(url) = url {
            function = function.env("QUEUE_URL", url);
        }
        let function = function.start();
        let asked = Instant::now();
        let outcome = send(&function, &one("zalo"));
        assert_fault(&outcome, &format!("{url:?}"));
        assert!(asked.elapsed() < Duration::from_secs(2), "{url:?}: {:?}", asked.elapsed());
        let forged = Request { body: br#"{"timestamp":"1"}"#.to_vec(), ..one("zalo") };
        assert_eq!(send(&function, &forged).status(), 401, "{url:?}");
        assert_eq!(
            send(&function, &Request::post("application/json", "{}")).status(),
            200,
            "a probe needs no queue"
        );
        assert_eq!(sqs.messages(), []);
        assert!(function.stop().contains("QUEUE_URL"), "{url:?}");
    }
}

/// Roots that cannot be read are said, and are no reason not to start.
#[test]
fn a_bad_ca_bundle_is_survived() {
    let sqs = Sqs::start();
    let folder = env::temp_dir();
    let file = |name: &str, text: &[u8]| {
        let path = folder.join(format!("hookgate-ca-{}-{name}", process::id()));
        fs::write(&path, text).expect("a file");
        path
    };
    let files = [
        file("empty", b""),
        file("text", b"no certificate"),
        file("half", b"-----BEGIN CERTIFICATE-----\nMIIB"),
        file("binary", &[0, 255, 254, 1]),
    ];
    let missing = folder.join("hookgate-ca-missing");
    for path in files.iter().chain([&missing, &folder]) {
        let function = gate("github", &sqs, &config("github")).env("AWS_CA_BUNDLE", path).start();
        assert_eq!(send(&function, &one("github")).status(), 200, "{}", path.display());
        let logs = function.stop();
        assert!(logs.contains(r#""name":"AWS_CA_BUNDLE""#), "{}: {logs}", path.display());
    }
    for path in files {
        fs::remove_file(path).expect("our own file");
    }
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/src/amazon-trust-services.pem");
    let function = gate("github", &sqs, &config("github")).env("AWS_CA_BUNDLE", ours).start();
    assert_eq!(send(&function, &one("github")).status(), 200);
    assert_eq!(function.stop(), "");
}

/// 86: killed at any moment, a function has acknowledged nothing that is not in the queue.
#[test]
fn a_kill_loses_nothing_acknowledged() {
    let sqs = Sqs::start();
    sqs.always(Fault::Delay(Duration::from_millis(20)));
    let mut acknowledged = 0;
    for wait in [0, 5, 10, 15, 20, 30] {
        let function = github(&sqs);
        assert_eq!(send(&function, &one("github")).status(), 200);
        acknowledged += 1;
        let pid = i32::try_from(function.pid()).ok().and_then(Pid::from_raw).expect("a process id");
        thread::scope(|scope| {
            scope.spawn(move || {
                thread::sleep(Duration::from_millis(wait));
                kill_process(pid, Signal::KILL).expect("our own child");
            });
            loop {
                match send(&function, &one("github")) {
                    Outcome::Exited(_) => break,
                    outcome => assert_eq!(outcome.status(), 200),
                }
                acknowledged += 1;
            }
        });
    }
    let stored = sqs.messages();
    assert!(stored.len() >= acknowledged, "{acknowledged} acknowledged, {} stored", stored.len());
    assert_eq!(identities(&stored).len(), 1);
}
