//! The table of identities: claimed, stored, called done. A crash at any point may store an event twice and never loses it,
//! and a table that fails costs nothing but the duplicate. Built functions before the doubles of SQS and DynamoDB, and before
//! moto's DynamoDB.

use super::queue::{comment, config, identities, one, page, side_by_side, texts};
use super::support::now;
use super::transport::{
    SECRET, assert_fault, assert_refused, envelope, facebook_call, gate, github_call, mac, send, zalo_call,
};
use crate::dynamo::{Dynamo, Item};
use crate::event::{BodyAs, Request};
use crate::fault::{Fault, Victim};
use crate::lambda::{Builder, Function, Outcome};
use crate::moto::Moto;
use crate::sqs::{Message, Sqs};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

const TABLE: &str = "identities";

fn with_table(provider: &str, sqs: &Sqs, dynamo: &Dynamo) -> Builder {
    gate(provider, sqs, &config(provider))
        .env("DUPLICATES_TABLE", TABLE)
        .env("AWS_ENDPOINT_URL_DYNAMODB", dynamo.endpoint())
}

fn services() -> (Sqs, Dynamo) {
    (Sqs::start(), Dynamo::start(TABLE, "id"))
}

/// The key of a message's event, by what the documents say and by none of the product's code.
fn key(message: &Message) -> String {
    let envelope = envelope(message);
    let text = |name: &str| envelope[name].as_str().expect("a text").to_owned();
    let digest = if text("idsource") == "header" { text("calldigest") } else { String::new() };
    hex::encode(Sha256::digest(format!("{}\n{}\n{digest}", text("source"), text("id")).as_bytes()))
}

fn text_of<'i>(item: &'i Item, name: &str, kind: &str) -> &'i str {
    item.get(name).and_then(|value| value[kind].as_str()).unwrap_or_default()
}

fn number_of(item: &Item, name: &str) -> i64 {
    text_of(item, name, "N").parse().unwrap_or_else(|_| panic!("no number {name} in {item:?}"))
}

/// An item as another call has it.
fn item(key: &str, state: &str, lease: i64, expires: i64) -> Value {
    json!({
        "id": { "S": key },
        "state": { "S": state },
        "owner": { "S": "another" },
        "lease": { "N": lease.to_string() },
        "expires": { "N": expires.to_string() },
    })
}

/// The key of [`one`], by storing it once.
fn key_of_one(provider: &str) -> String {
    let sqs = Sqs::start();
    let function = gate(provider, &sqs, &config(provider)).start();
    assert_eq!(send(&function, &one(provider)).status(), 200);
    key(&sqs.messages()[0])
}

/// Waits until a time in Unix milliseconds has passed.
fn wait_until(millis: i64) {
    while jiff::Timestamp::now().as_millisecond() <= millis {
        thread::sleep(Duration::from_millis(20));
    }
}

/// 83, 84: the same event is sent once, however often it comes, and remembered for as long as is said; another body under
/// the same unsigned id is another event.
#[test]
fn an_event_that_comes_again_is_sent_once() {
    side_by_side([("github", None), ("zalo", Some(1000)), ("facebook", Some(86_400))], |(provider, ttl)| {
        let (sqs, dynamo) = services();
        let mut builder = with_table(provider, &sqs, &dynamo);
        if let Some(seconds) = ttl {
            builder = builder.env("DUPLICATES_TTL", seconds.to_string());
        }
        let function = builder.start();
        let before = now();
        for _ in 0..3 {
            assert_eq!(send(&function, &one(provider)).status(), 200, "{provider}");
        }
        let after = now();
        let messages = sqs.messages();
        assert_eq!(messages.len(), 1, "{provider}: {messages:?}");
        let items = dynamo.items();
        let [item] = items.as_slice() else { panic!("{provider}: {items:?}") };
        assert_eq!(
            (text_of(item, "id", "S"), text_of(item, "state", "S")),
            (key(&messages[0]).as_str(), "done")
        );
        let remembered = ttl.unwrap_or(604_800);
        let expires = number_of(item, "expires");
        assert!((before + remembered..=after + remembered).contains(&expires), "{provider}: {expires}");
        // The claim was there before the message, and was called done after it.
        let writes = dynamo.writes();
        let states: Vec<&str> =
            writes.iter().map(|write| text_of(write.item.as_ref().expect("an item"), "state", "S")).collect();
        assert_eq!(states, ["claimed", "done"], "{provider}");
        assert!(writes[0].at < messages[0].stored_at && messages[0].stored_at < writes[1].at, "{provider}");
        // A new environment remembers as well.
        let function = with_table(provider, &sqs, &dynamo).start();
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider}");
        assert_eq!(sqs.messages().len(), 1, "{provider}");
    });
    let (sqs, dynamo) = services();
    let function = with_table("github", &sqs, &dynamo).start();
    for body in [r#"{"action":"opened"}"#, r#"{"action":"closed"}"#, r#"{"action":"opened"}"#] {
        assert_eq!(send(&function, &github_call(SECRET, "delivery-1", body)).status(), 200);
    }
    assert_eq!((sqs.messages().len(), dynamo.items().len()), (2, 2));
}

/// 82, 83: of a call with several events, those that are known are not sent again, and the others are.
#[test]
fn only_what_is_new_is_sent() {
    for fifo in [false, true] {
        let (sqs, dynamo) = services();
        let url = if fifo { sqs.fifo_queue_url() } else { sqs.queue_url() };
        let function = with_table("facebook", &sqs, &dynamo).env("QUEUE_URL", url).start();
        let all = texts(25);
        let of = |texts: &[String]| facebook_call(SECRET, page(texts).to_string());
        assert_eq!(send(&function, &of(&all[5..15])).status(), 200);
        assert_eq!(sqs.take_messages().len(), 10);
        assert_eq!(send(&function, &of(&all)).status(), 200);
        let sent: BTreeSet<String> = sqs.take_messages().iter().map(comment).collect();
        let expected: BTreeSet<String> = all[..5].iter().chain(&all[15..]).cloned().collect();
        assert_eq!(sent, expected, "fifo {fifo}");
        let keys: BTreeSet<String> =
            dynamo.items().iter().map(|item| text_of(item, "id", "S").to_owned()).collect();
        assert_eq!(keys.len(), 25, "fifo {fifo}");
        assert!(dynamo.items().iter().all(|item| text_of(item, "state", "S") == "done"), "fifo {fifo}");
        // Nothing new at all: nothing is sent, and the answer is the same.
        let asked = sqs.requests();
        assert_eq!(send(&function, &of(&all)).status(), 200);
        assert_eq!(sqs.requests(), asked, "fifo {fifo}");
    }
}

/// 83: while another call is about to store it, an event is neither sent nor acknowledged. That call may still fail.
#[test]
fn a_live_claim_of_another_is_waited_for() {
    for provider in ["github", "zalo"] {
        let (sqs, dynamo) = services();
        let (key, later) = (key_of_one(provider), now() + 3600);
        dynamo.put(item(&key, "claimed", jiff::Timestamp::now().as_millisecond() + 60_000, later));
        let function = with_table(provider, &sqs, &dynamo).start();
        let asked = Instant::now();
        assert_fault(&send(&function, &one(provider)), provider);
        assert!(asked.elapsed() < Duration::from_secs(2), "{provider}: {:?}", asked.elapsed());
        assert_eq!(sqs.requests(), 0, "{provider}");
        let items = dynamo.items();
        assert_eq!((items.len(), text_of(&items[0], "owner", "S")), (1, "another"), "{provider}");
        // It has stored it.
        dynamo.put(item(&key, "done", 0, later));
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider}");
        assert_eq!(sqs.requests(), 0, "{provider}");
        // It has crashed, and its lease has run out.
        dynamo.put(item(&key, "claimed", jiff::Timestamp::now().as_millisecond() - 1, later));
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider}");
        assert_eq!(sqs.messages().len(), 1, "{provider}");
        // It was done so long ago that it is to be forgotten, though DynamoDB has not got to it yet.
        dynamo.put(item(&key, "done", 0, now() - 2));
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider}");
        assert_eq!(sqs.messages().len(), 2, "{provider}");
    }
}

/// 83: what has neither an id nor a time of the provider's may be the second ring of a bell: nothing drops it, neither the
/// table nor a FIFO queue, and the consumer sees that both have one id.
#[test]
fn what_cannot_be_told_apart_is_not_dropped() {
    let settings = json!({ "secret": SECRET, "signature": { "header": "x-signature" } });
    let body = r#"{"bell":"rings"}"#;
    let call =
        Request::post("application/json", body).header("x-signature", &mac(SECRET, &[body.as_bytes()]));
    let (sqs, dynamo) = services();
    let with_table = gate("generic", &sqs, &settings)
        .env("DUPLICATES_TABLE", TABLE)
        .env("AWS_ENDPOINT_URL_DYNAMODB", dynamo.endpoint());
    let fifo = gate("generic", &sqs, &settings).env("QUEUE_URL", sqs.fifo_queue_url());
    for function in [with_table.start(), fifo.start()] {
        for _ in 0..3 {
            assert_eq!(send(&function, &call).status(), 200);
        }
        let messages = sqs.take_messages();
        assert_eq!((messages.len(), identities(&messages).len()), (3, 1), "{messages:?}");
    }
}

/// 83: two environments get the same call at the same moment. One of them sends it, the other says neither yes nor no.
#[test]
fn a_race_has_one_winner() {
    let (sqs, dynamo) = services();
    sqs.always(Fault::Delay(Duration::from_millis(200)));
    let functions = [(); 3].map(|()| with_table("github", &sqs, &dynamo).start());
    for round in 0..5 {
        let call = github_call(SECRET, &format!("delivery-{round}"), r#"{"action":"opened"}"#);
        let at_once = Barrier::new(functions.len());
        let statuses: Vec<u16> = thread::scope(|scope| {
            let (at_once, call) = (&at_once, &call);
            let racing: Vec<_> = functions
                .iter()
                .map(|function| {
                    scope.spawn(move || {
                        at_once.wait();
                        send(function, call).status()
                    })
                })
                .collect();
            racing.into_iter().map(|racer| racer.join().expect("an answer")).collect()
        });
        // One that came so late that all was done may say yes as well.
        assert!(statuses.contains(&200), "{round}: {statuses:?}");
        assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{round}: {statuses:?}");
        assert_eq!(sqs.take_messages().len(), 1, "{round}: {statuses:?}");
        assert_eq!(send(&functions[round % 3], &call).status(), 200, "{round}");
        assert_eq!(sqs.take_messages(), [], "{round}");
    }
}

/// Of a call whose events another call holds in part, the rest is stored all the same; the whole is acknowledged when all is.
#[test]
fn a_call_that_is_held_in_part_is_no_success() {
    let (sqs, dynamo) = services();
    let function = with_table("facebook", &sqs, &dynamo).start();
    let call = facebook_call(SECRET, page(&["a", "b", "c"]).to_string());
    assert_eq!(send(&function, &call).status(), 200);
    let messages = sqs.take_messages();
    let held = messages.iter().find(|message| comment(message) == "b").expect("b");
    for message in &messages {
        let state = if message.id == held.id { "claimed" } else { "gone" };
        let live = jiff::Timestamp::now().as_millisecond() + 60_000;
        dynamo.put(item(&key(message), state, live, if state == "gone" { 0 } else { now() + 60 }));
    }
    assert_fault(&send(&function, &call), "b is held");
    assert_eq!(sqs.take_messages().iter().map(comment).collect::<Vec<_>>(), ["a", "c"]);
    // In a FIFO queue what follows it in its group waits with it.
    let fifo = with_table("facebook", &sqs, &dynamo).env("QUEUE_URL", sqs.fifo_queue_url()).start();
    for message in messages.iter().filter(|message| message.id != held.id) {
        dynamo.put(item(&key(message), "gone", 0, 0));
    }
    assert_fault(&send(&fifo, &call), "b is held");
    assert_eq!(sqs.take_messages().iter().map(comment).collect::<Vec<_>>(), ["a"]);
}

/// Sends a call with so much time, so that the lease is short.
fn send_within(function: &Function, request: &Request, time: Duration) -> Outcome {
    function.invoke_within(&request.function_url_event(BodyAs::AwsDecides), time)
}

/// 86, 90, 108: killed after the claim, whether before or after SQS has stored it or before the claim is called done: the
/// claim holds for its lease, then the next attempt takes it over. At worst there are two, never none.
#[test]
fn a_claim_left_by_a_crash_is_taken_over() {
    const TIME: Duration = Duration::from_millis(1500);
    #[derive(Debug, Clone, Copy)]
    enum At {
        ClaimUnstored,
        ClaimStored,
        BeforeQueue,
        AfterQueue,
        BeforeDone,
        AfterDone,
    }
    let points = [
        (At::ClaimUnstored, 0, 1),
        (At::ClaimStored, 0, 1),
        (At::BeforeQueue, 0, 1),
        (At::AfterQueue, 1, 2),
        (At::BeforeDone, 1, 2),
        (At::AfterDone, 1, 1),
    ];
    side_by_side(points, |(at, left, in_the_end)| {
        let (sqs, dynamo) = services();
        let function = with_table("zalo", &sqs, &dynamo).start();
        let victim = Victim::new(function.pid());
        match at {
            At::ClaimUnstored => drop(dynamo.then(Fault::KillBefore(victim))),
            At::ClaimStored => drop(dynamo.then(Fault::KillAfter(victim))),
            At::BeforeQueue => drop(sqs.then(Fault::KillBefore(victim))),
            At::AfterQueue => drop(sqs.then(Fault::KillAfter(victim))),
            At::BeforeDone => drop(dynamo.then(Fault::None).then(Fault::KillBefore(victim))),
            At::AfterDone => drop(dynamo.then(Fault::None).then(Fault::KillAfter(victim))),
        }
        let outcome = send_within(&function, &one("zalo"), TIME);
        assert!(matches!(outcome, Outcome::Exited(_)), "{at:?}: {outcome:?}");
        assert_eq!(sqs.messages().len(), left, "{at:?}");

        let next = with_table("zalo", &sqs, &dynamo).start();
        if let Some(lease) = dynamo.items().first().filter(|item| text_of(item, "state", "S") == "claimed") {
            let lease = number_of(lease, "lease");
            let ahead = lease - jiff::Timestamp::now().as_millisecond();
            assert!(ahead > 0 && ahead < 4500, "{at:?}: a lease of {ahead} ms more");
            assert_fault(&send_within(&next, &one("zalo"), TIME), &format!("{at:?}"));
            assert_eq!(sqs.messages().len(), left, "{at:?}");
            wait_until(lease);
        }
        assert_eq!(send_within(&next, &one("zalo"), TIME).status(), 200, "{at:?}");
        let messages = sqs.messages();
        assert_eq!(messages.len(), in_the_end, "{at:?}");
        assert_eq!(messages.iter().map(key).collect::<BTreeSet<_>>().len(), 1, "{at:?}");
        assert_eq!(send_within(&next, &one("zalo"), TIME).status(), 200, "{at:?}");
        assert_eq!(sqs.messages().len(), in_the_end, "{at:?}: done is done");
    });
}

/// 87: where the queue fails, the claim is given up, so that the provider's next attempt need not wait for a lease.
#[test]
fn a_claim_is_given_up_with_the_call() {
    side_by_side([Fault::Http500, Fault::Hang, Fault::AccessDenied], |fault| {
        let (sqs, dynamo) = services();
        let function = with_table("zalo", &sqs, &dynamo).start();
        sqs.always(fault.clone());
        assert_fault(&send(&function, &one("zalo")), &format!("{fault:?}"));
        assert_eq!(dynamo.items(), Vec::<Item>::new(), "{fault:?}");
        sqs.always(Fault::None);
        assert_eq!(send(&function, &one("zalo")).status(), 200, "{fault:?}");
        assert_eq!(sqs.messages().len(), 1, "{fault:?}");
    });
    // Of a batch, what was stored stays done.
    let (sqs, dynamo) = services();
    let function = with_table("facebook", &sqs, &dynamo).start();
    let call = facebook_call(SECRET, page(&texts(4)).to_string());
    sqs.then(Fault::FailEntries { indices: vec![1, 2], sender_fault: true });
    assert_fault(&send(&function, &call), "two of four");
    let done = dynamo.items();
    assert!(done.len() == 2 && done.iter().all(|item| text_of(item, "state", "S") == "done"), "{done:?}");
    assert_eq!(send(&function, &call).status(), 200);
    let sent: Vec<String> = sqs.messages().iter().map(comment).collect();
    assert_eq!((sent.len(), sent.into_iter().collect::<BTreeSet<_>>()), (4, texts(4).into_iter().collect()));
}

/// 87, 89: whatever the table does, the event is sent within the provider's time; at worst it is sent twice.
#[test]
fn a_table_that_fails_costs_no_event() {
    let faults = [
        Fault::Http500,
        Fault::Throttle,
        Fault::AccessDenied,
        Fault::QueueDoesNotExist,
        Fault::Hang,
        Fault::ResetBefore,
        Fault::StoreThenHang,
        Fault::StoreThenReset,
        Fault::HalfAnswer,
        Fault::Delay(Duration::from_secs(3)),
    ];
    let zalo = faults.clone().map(|fault| ("zalo", 2, fault));
    let github = faults.map(|fault| ("github", 10, fault));
    side_by_side(zalo.into_iter().chain(github), |(provider, deadline, fault)| {
        let (sqs, dynamo) = services();
        dynamo.always(fault.clone());
        let function = with_table(provider, &sqs, &dynamo).start();
        let asked = Instant::now();
        assert_eq!(send(&function, &one(provider)).status(), 200, "{provider} {fault:?}");
        let taken = asked.elapsed();
        assert!(taken < Duration::from_secs(deadline), "{provider} {fault:?}: {taken:?}");
        assert_eq!(sqs.messages().len(), 1, "{provider} {fault:?}");
        let logs = function.stop();
        assert!(logs.contains(r#""event":"duplicates""#), "{provider} {fault:?}: {logs}");
        assert!(!logs.contains("arn:") && !logs.contains("123456789012"), "{logs}");
    });
    // Nowhere to be found, or in the way of nobody.
    for endpoint in ["http://127.0.0.1:1", "http://no-such-host.invalid", "no url"] {
        let (sqs, dynamo) = services();
        let function = with_table("zalo", &sqs, &dynamo).env("AWS_ENDPOINT_URL_DYNAMODB", endpoint).start();
        let asked = Instant::now();
        assert_eq!(send(&function, &one("zalo")).status(), 200, "{endpoint}");
        assert!(asked.elapsed() < Duration::from_secs(2), "{endpoint}");
    }
}

/// 87: an answer of the table that is lost on its way is no claim of another: the call knows its own claim again.
#[test]
fn a_call_knows_its_own_claim() {
    for fault in [Fault::StoreThenReset, Fault::HalfAnswer] {
        let (sqs, dynamo) = services();
        let function = with_table("github", &sqs, &dynamo).start();
        dynamo.then(fault.clone());
        assert_eq!(send(&function, &one("github")).status(), 200, "{fault:?}");
        assert_eq!(sqs.messages().len(), 1, "{fault:?}");
        let states: Vec<String> =
            dynamo.items().iter().map(|item| text_of(item, "state", "S").to_owned()).collect();
        assert_eq!(states, ["done"], "{fault:?}");
        assert_eq!(send(&function, &one("github")).status(), 200, "{fault:?}");
        assert_eq!(sqs.messages().len(), 1, "{fault:?}");
    }
}

/// 87: a claim whose answer never came may be in the table all the same: it is called done with the others, so that the
/// provider's retry is not kept waiting for a lease.
#[test]
fn a_claim_without_an_answer_is_called_done_too() {
    let (sqs, dynamo) = services();
    let function = with_table("zalo", &sqs, &dynamo).start();
    dynamo.then(Fault::StoreThenHang);
    assert_eq!(send(&function, &one("zalo")).status(), 200);
    assert_eq!(sqs.messages().len(), 1);
    let states: Vec<String> =
        dynamo.items().iter().map(|item| text_of(item, "state", "S").to_owned()).collect();
    assert_eq!(states, ["done"]);
    // Where the event was not stored, it is given up.
    let (sqs, dynamo) = services();
    let function = with_table("zalo", &sqs, &dynamo).start();
    dynamo.then(Fault::StoreThenHang);
    sqs.always(Fault::AccessDenied);
    assert_fault(&send(&function, &one("zalo")), "the queue refuses");
    assert_eq!(dynamo.items(), Vec::<Item>::new());
}

/// 87: the queue and the table fail together: our own fault, in time.
#[test]
fn both_failing_is_answered_in_time() {
    side_by_side([("zalo", 2), ("facebook", 5)], |(provider, deadline)| {
        let (sqs, dynamo) = services();
        sqs.always(Fault::Hang);
        dynamo.always(Fault::Hang);
        let function = with_table(provider, &sqs, &dynamo).start();
        let asked = Instant::now();
        assert_fault(&send(&function, &one(provider)), provider);
        assert!(asked.elapsed() < Duration::from_secs(deadline), "{provider}: {:?}", asked.elapsed());
    });
}

/// Verified before looked up: a forged call learns nothing of the table and writes nothing into it.
#[test]
fn a_forged_call_is_not_looked_up() {
    let (sqs, dynamo) = services();
    for provider in ["github", "zalo", "facebook"] {
        let function = with_table(provider, &sqs, &dynamo).start();
        let genuine = one(provider);
        let changed = Request { body: [&genuine.body[..], b" "].concat(), ..genuine.clone() };
        assert_refused(&send(&function, &changed), provider);
        let stranger = match provider {
            "zalo" => zalo_call("another secret, of nobody", "message-1"),
            "facebook" => facebook_call("another secret, of nobody", genuine.body.clone()),
            _ => github_call("another secret, of nobody", "delivery-1", genuine.body.clone()),
        };
        assert_refused(&send(&function, &stranger), provider);
    }
    assert_eq!((dynamo.connections(), sqs.connections()), (0, 0));
}

/// A variable that is no number is said, and the usual time holds.
#[test]
fn the_usual_time_is_a_week() {
    for value in ["a week", "-1", "1.5"] {
        let (sqs, dynamo) = services();
        let function = with_table("github", &sqs, &dynamo).env("DUPLICATES_TTL", value).start();
        assert_eq!(send(&function, &one("github")).status(), 200);
        let ahead = number_of(&dynamo.items()[0], "expires") - now();
        assert!((604_790..=604_800).contains(&ahead), "{value}: {ahead}");
        assert!(function.stop().contains(r#""name":"DUPLICATES_TTL""#), "{value}");
    }
}

/// The same over somebody else's emulation of DynamoDB: claim, done, and a claim of another.
#[test]
fn the_table_works_in_moto() {
    const TABLE: &str = "hookgate-identities";
    let (sqs, moto) = (Sqs::start(), Moto::shared());
    moto.create_table(TABLE, "id");
    let function = gate("github", &sqs, &config("github"))
        .env("DUPLICATES_TABLE", TABLE)
        .env("AWS_ENDPOINT_URL_DYNAMODB", moto.endpoint())
        .start();
    for _ in 0..2 {
        assert_eq!(send(&function, &one("github")).status(), 200);
    }
    let messages = sqs.messages();
    assert_eq!(messages.len(), 1);
    let items = moto.items(TABLE);
    assert_eq!(
        (items.len(), &items[0]["id"]["S"], &items[0]["state"]["S"]),
        (1, &json!(key(&messages[0])), &json!("done"))
    );

    let put = |item: Value| {
        let input = json!({ "TableName": TABLE, "Item": item });
        moto.call("dynamodb", "DynamoDB_20120810.PutItem", &input).expect("put");
    };
    let live = jiff::Timestamp::now().as_millisecond() + 60_000;
    put(item(&key(&messages[0]), "claimed", live, now() + 60));
    assert_fault(&send(&function, &one("github")), "a live claim");
    put(item(&key(&messages[0]), "claimed", 1, now() + 60));
    assert_eq!(send(&function, &one("github")).status(), 200);
    assert_eq!(sqs.messages().len(), 2);
    // A claim that is given up is gone.
    sqs.always(Fault::AccessDenied);
    assert_fault(&send(&function, &github_call(SECRET, "delivery-2", "{}")), "the queue refuses");
    assert_eq!(moto.items(TABLE).len(), 1);
    assert_eq!(function.stop().matches("duplicates").count(), 0);
}
