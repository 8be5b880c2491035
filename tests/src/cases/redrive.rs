//! `hookgate redrive` as an operator runs it: the built command against the emulator, with faults on the wire between them.

use super::cli::{Folder, Ran, hookgate, run_with};
use super::queue::side_by_side;
use crate::http::{Answer, Call, Reply, Server};
use crate::lambda::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::ministack::{Message, Ministack};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
/// In the text of every event: no output may show it.
pub(super) const CANARY: &str = "canary-of-an-event";

/// The environment of an operator whose credentials the emulator checks.
pub(super) fn operator(aws: &Ministack) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", aws.access_key_id().to_owned()),
        ("AWS_SECRET_ACCESS_KEY", aws.secret_access_key().to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_ENDPOINT_URL", aws.endpoint()),
    ]
}

/// The same through something that stands before the emulator; signatures name another host then.
pub(super) fn through(front: &Front) -> Vec<(&'static str, String)> {
    vec![
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
        ("AWS_ENDPOINT_URL", format!("http://{}", front.server.address)),
    ]
}

/// Runs the command, which may show nothing of an event and no key.
#[track_caller]
pub(super) fn run(arguments: &[&str], env: &[(&'static str, String)]) -> Ran {
    let folder = Folder::new();
    run_in(&folder, arguments, env)
}

#[track_caller]
pub(super) fn run_in(folder: &Folder, arguments: &[&str], env: &[(&'static str, String)]) -> Ran {
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ran = run_with(folder, arguments, &env);
    assert!(
        !ran.text.contains("unrecognized subcommand"),
        "hookgate is built without its operations: cargo build --workspace --all-features"
    );
    assert!(!ran.text.contains(CANARY), "{}", ran.text);
    for (name, value) in env {
        assert!(name != "AWS_SECRET_ACCESS_KEY" || !ran.text.contains(value), "{}", ran.text);
    }
    ran
}

/// An envelope received at a second of one day. Its spelling is none that a program of ours would write again.
fn envelope(provider: &str, kind: &str, id: &str, second: u32) -> String {
    format!(
        r#"{{"specversion":"1.0","id":"{id}","source":"/hookgate/{provider}","type":"com.{provider}.{kind}","datacontenttype":"application/json","provider":"{provider}","assurance":"signed","idsource":"signed","receivedtime":"2026-11-25T10:{:02}:{:02}.5Z","calldigest":"d","envelopeversion":"1.0","data":{{ "n" : 1.0e2,"canary":"{CANARY}", "\u0061":"}}"}}}}"#,
        second / 60,
        second % 60,
    )
}

/// What it has to be once it was moved.
fn marked(envelope: &str) -> String {
    envelope.replacen('{', r#"{"replayed":true,"#, 1)
}

fn id(message: &str) -> String {
    let event: Value = serde_json::from_str(message).expect("JSON");
    event["id"].as_str().expect("an id").to_owned()
}

fn sha256(text: &str) -> String {
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// A queue and its dead-letter queue, by their URLs.
struct Queues {
    aws: &'static Ministack,
    main: String,
    dlq: String,
}

impl Queues {
    fn new(name: &str, attributes: &[(&str, &str)]) -> Queues {
        let aws = Ministack::shared();
        let fifo = attributes.iter().any(|(name, _)| *name == "FifoQueue");
        let dot = if fifo { ".fifo" } else { "" };
        let kind: &[(&str, &str)] = if fifo { &[("FifoQueue", "true")] } else { &[] };
        let dlq =
            aws.create_queue(&format!("{name}-dlq{dot}"), &[kind, &[("VisibilityTimeout", "600")]].concat());
        let policy = json!({ "deadLetterTargetArn": aws.queue_arn(&dlq), "maxReceiveCount": 1 }).to_string();
        let main = [attributes, &[("RedrivePolicy", policy.as_str())]].concat();
        Queues { aws, main: aws.create_queue(&format!("{name}{dot}"), &main), dlq }
    }

    /// Puts a text into the dead-letter queue.
    fn dead(&self, text: &str) {
        let attributes = json!({
            "type": { "DataType": "String", "StringValue": "kept" },
            "blob": { "DataType": "Binary", "BinaryValue": "AP8=" },
        });
        let input = json!({ "QueueUrl": self.dlq, "MessageBody": text, "MessageAttributes": attributes });
        self.aws.call("sqs", "AmazonSQS.SendMessage", &input).expect("sent");
    }

    /// Puts a text into the dead-letter queue, a FIFO one.
    fn dead_of(&self, group: &str, text: &str) {
        let id = sha256(text);
        send_fifo(self.aws, &self.dlq, group, &id, text);
    }

    /// Takes everything off a queue that anybody can see, without waiting for more.
    fn visible(&self, url: &str) -> Vec<Message> {
        self.aws.receive(url, 0, Duration::ZERO)
    }

    fn redrive(&self, more: &[&str], env: &[(&'static str, String)]) -> Ran {
        run(&[&["redrive", "--from", "dlq", "--to", &self.main], more].concat(), env)
    }
}

fn send_fifo(aws: &Ministack, url: &str, group: &str, deduplication: &str, text: &str) {
    let input = json!({
        "QueueUrl": url,
        "MessageBody": text,
        "MessageGroupId": group,
        "MessageDeduplicationId": deduplication,
    });
    aws.call("sqs", "AmazonSQS.SendMessage", &input).expect("sent");
}

fn bodies(messages: &[Message]) -> Vec<String> {
    messages.iter().map(|message| message.body.clone()).collect()
}

fn sorted(mut texts: Vec<String>) -> Vec<String> {
    texts.sort();
    texts
}

/// What stands before the emulator does with a request.
pub(super) enum Act {
    Pass,
    /// Never an answer, nothing done.
    Silence,
    /// Done, and the answer is lost.
    PassThenReset,
    /// An error of SQS.
    Refuse(u16, &'static str),
    /// The entries of a batch with this word in them fail, the others are passed on.
    FailWith(&'static str),
    /// The target with this added.
    Query(&'static str),
}

/// Stands between the command and the emulator.
pub(super) struct Front {
    aws: &'static Ministack,
    pub(super) server: Server,
    /// What went through to the reader: the queue and the receipt handle of each message.
    received: Arc<Mutex<Vec<(Value, Value)>>>,
}

impl Front {
    /// Shows again what was received through it, as if its time were over.
    pub(super) fn show_again(&self) {
        for (queue, handle) in self.received.lock().unwrap().drain(..) {
            let input = json!({ "QueueUrl": queue, "ReceiptHandle": handle, "VisibilityTimeout": 0 });
            self.aws
                .call("sqs", "AmazonSQS.ChangeMessageVisibility", &input)
                .expect("a message that is there");
        }
    }
}

/// A [`Front`] that asks what to do, telling what is asked for and how often that was before.
pub(super) fn front(
    aws: &'static Ministack,
    act: impl Fn(&str, usize) -> Act + Send + Sync + 'static,
) -> Front {
    let counts: Mutex<BTreeMap<String, usize>> = Mutex::default();
    let received: Arc<Mutex<Vec<(Value, Value)>>> = Arc::default();
    let of_server = received.clone();
    let config = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(SOON));
    let agent = ureq::Agent::from(config.build());
    let server = Server::start(move |call| {
        let action = match call.header("x-amz-target").strip_prefix("AmazonSQS.") {
            Some(action) => action.to_owned(),
            None if call.target.contains("list-type=2") => "ListObjectsV2".to_owned(),
            None => call.method.clone(),
        };
        let before = {
            let mut counts = counts.lock().unwrap();
            let count = counts.entry(action.clone()).or_default();
            *count += 1;
            *count - 1
        };
        let pass = |target: &str, body: &[u8]| forward(&agent, aws, call, target, body);
        match act(&action, before) {
            Act::Pass => {
                let answer = pass(&call.target, &call.body);
                if action == "ReceiveMessage" {
                    let [asked, told]: [Value; 2] =
                        [&call.body, &answer.body].map(|body| serde_json::from_slice(body).expect("JSON"));
                    for message in told["Messages"].as_array().into_iter().flatten() {
                        let pair = (asked["QueueUrl"].clone(), message["ReceiptHandle"].clone());
                        of_server.lock().unwrap().push(pair);
                    }
                }
                Reply::Answer(answer)
            }
            Act::Silence => Reply::Silence,
            Act::PassThenReset => {
                pass(&call.target, &call.body);
                Reply::Reset
            }
            Act::Refuse(status, code) => {
                let body = json!({ "__type": format!("com.amazonaws.sqs#{code}"), "message": "no" });
                Reply::Answer(Answer { status, headers: vec![], body: body.to_string().into_bytes() })
            }
            Act::FailWith(word) => Reply::Answer(fail_with(word, call, pass)),
            Act::Query(more) => Reply::Answer(pass(&format!("{}{more}", call.target), &call.body)),
        }
    });
    Front { aws, server, received }
}

fn forward(agent: &ureq::Agent, aws: &Ministack, call: &Call, target: &str, body: &[u8]) -> Answer {
    let mut request = ureq::http::Request::builder()
        .method(call.method.as_str())
        .uri(format!("{}{target}", aws.endpoint()));
    let own = ["host", "content-length", "connection"];
    for (name, value) in call.headers.iter().filter(|(name, _)| !own.contains(&name.as_str())) {
        request = request.header(name, value);
    }
    let mut answer = agent.run(request.body(body).expect("a request")).expect("the emulator's answer");
    let content_type = answer.headers().get("content-type").map(|v| v.to_str().expect("text").to_owned());
    let mut bytes = Vec::new();
    answer.body_mut().as_reader().read_to_end(&mut bytes).expect("the whole answer");
    let headers = content_type.map(|value| ("content-type", value)).into_iter().collect();
    Answer { status: answer.status().as_u16(), headers, body: bytes }
}

fn fail_with(word: &str, call: &Call, pass: impl Fn(&str, &[u8]) -> Answer) -> Answer {
    let mut input: Value = serde_json::from_slice(&call.body).expect("JSON");
    let entries = input["Entries"].as_array().expect("entries").clone();
    let (bad, good): (Vec<Value>, Vec<Value>) =
        entries.into_iter().partition(|entry| entry["MessageBody"].as_str().expect("a text").contains(word));
    let failed: Vec<Value> = bad
        .iter()
        .map(|entry| json!({ "Id": entry["Id"], "Code": "InvalidMessageContents", "SenderFault": true }))
        .collect();
    let mut output = json!({});
    let mut answer = Answer { status: 200, headers: vec![], body: Vec::new() };
    if !good.is_empty() {
        input["Entries"] = good.into();
        answer = pass(&call.target, input.to_string().as_bytes());
        output = serde_json::from_slice(&answer.body).expect("JSON");
    }
    output["Failed"] = failed.into();
    answer.body = output.to_string().into_bytes();
    answer
}

/// A command that is under way.
pub(super) fn start(arguments: &[&str], env: &[(&'static str, String)]) -> (Folder, Child) {
    let folder = Folder::new();
    let mut command = hookgate(&folder, arguments);
    command.envs(env.iter().map(|(name, value)| (*name, value.as_str())));
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command runs");
    (folder, child)
}

#[test]
fn a_dry_run_changes_nothing() {
    let queues = Queues::new("redrive-dry", &[]);
    let github: Vec<String> = (0..13).map(|i| envelope("github", "push", &format!("g{i}"), 30 + i)).collect();
    let stripe = envelope("stripe", "charge.failed", "s", 5);
    let strangers = ["no JSON".to_owned(), r#"{"specversion":"1.0","id":"x"}"#.to_owned()];
    for text in github.iter().chain([&stripe]).chain(&strangers) {
        queues.dead(text);
    }
    let ran = queues.redrive(&[], &operator(queues.aws));
    assert!(ran.status.success(), "{}", ran.text);
    for part in [
        "14 events would be moved to redrive-dry; --apply moves them",
        "2 stay, no events of Hookgate's",
        "2026-11-25T10:00:30Z  2026-11-25T10:00:42Z",
    ] {
        assert!(ran.text.contains(part), "{part}: {}", ran.text);
    }
    let rows: Vec<Vec<&str>> = ran.text.lines().map(|line| line.split_whitespace().collect()).collect();
    let row = |kind: &str| rows.iter().find(|row| row.get(1) == Some(&kind)).expect("a row")[2];
    assert_eq!((row("com.github.push"), row("com.stripe.charge.failed")), ("13", "1"));

    assert_eq!(queues.visible(&queues.main), []);
    let left = queues.visible(&queues.dlq);
    let all = github.iter().chain([&stripe]).chain(&strangers).cloned().collect();
    assert_eq!(sorted(bodies(&left)), sorted(all), "everything is there, for everybody to see");
}

#[test]
fn dead_letters_come_back_in_order_with_a_mark() {
    let queues = Queues::new("redrive-apply", &[]);
    // One of them was moved once before.
    let mut events: Vec<String> = (0..25).map(|i| envelope("github", "push", &format!("e{i}"), i)).collect();
    events[3] = marked(&events[3]);
    // In an order that is neither that of time nor its reverse.
    for i in 0..25 {
        queues.dead(&events[i * 7 % 25]);
    }
    queues.dead("a stranger");
    let ran = queues.redrive(&["--apply"], &operator(queues.aws));
    assert!(ran.status.success(), "{}", ran.text);
    assert!(ran.text.contains("25 events moved to redrive-apply"), "{}", ran.text);
    assert!(ran.text.contains("1 stay, no events of Hookgate's"), "{}", ran.text);

    let moved = queues.visible(&queues.main);
    let expected: Vec<String> = events
        .iter()
        .map(|event| if event.starts_with(r#"{"replayed""#) { event.clone() } else { marked(event) })
        .collect();
    assert_eq!(bodies(&moved), expected);
    for message in &moved {
        assert_eq!(message.attributes["type"], "kept");
        assert_eq!(message.attributes["blob"], "AP8=");
    }
    assert_eq!(bodies(&queues.visible(&queues.dlq)), ["a stranger"]);
    let again = queues.redrive(&["--apply"], &operator(queues.aws));
    assert!(again.status.success() && again.text.contains("0 events moved"), "{}", again.text);
}

#[test]
fn filters_move_what_was_asked_for() {
    let events = [
        envelope("github", "push", "a", 0),
        envelope("github", "issues.opened", "b", 60),
        envelope("stripe", "charge.failed", "c", 120),
        envelope("stripe", "charge.refunded", "d", 180),
        envelope("stripe", "invoice.paid", "e", 240),
    ];
    let cases: [(&[&str], &str); 10] = [
        (&["--provider", "github"], "ab"),
        (&["--provider", "git"], ""),
        (&["--type", "com.stripe.charge."], "cd"),
        (&["--since", "2026-11-25T10:02:00Z"], "cde"),
        (&["--since", "2026-11-25T12:02:00.5+02:00"], "cde"),
        (&["--until", "2026-11-25T10:02:00Z"], "ab"),
        (&["--since", "2026-11-25", "--until", "2026-11-26"], "abcde"),
        (&["--until", "2026-11-25"], ""),
        (&["--limit", "2"], "ab"),
        (&["--limit", "2", "--provider", "stripe", "--since", "2026-11-25T10:01:00Z"], "cd"),
    ];
    side_by_side(cases.iter().enumerate(), |(i, (filters, ids))| {
        let queues = Queues::new(&format!("redrive-filters-{i}"), &[]);
        for event in events.iter().rev() {
            queues.dead(event);
        }
        let ran = queues.redrive(&[*filters, &["--apply"]].concat(), &operator(queues.aws));
        assert!(ran.status.success(), "{filters:?}: {}", ran.text);
        let moved = queues.visible(&queues.main);
        let found: String = moved.iter().map(|message| id(&message.body)).collect();
        assert_eq!(found, *ids, "{filters:?}: {}", ran.text);
        let left: BTreeSet<String> = queues.visible(&queues.dlq).iter().map(|m| id(&m.body)).collect();
        let rest: BTreeSet<String> = ["a", "b", "c", "d", "e"]
            .iter()
            .filter(|id| !ids.contains(**id))
            .map(ToString::to_string)
            .collect();
        assert_eq!(left, rest, "{filters:?}");
    });
    let ran = run(&["redrive", "--from", "dlq", "--to", "x", "--since", "yesterday"], &[]);
    assert!(ran.status.code() == Some(2) && ran.text.contains("a time is"), "{}", ran.text);
}

#[test]
fn a_fifo_queue_keeps_the_order_of_each_group() {
    let queues = Queues::new("redrive-groups", &[("FifoQueue", "true")]);
    // The groups lie side by side; more of each than SQS gives at once. In one of them the times contradict the order.
    let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for i in 0..23 {
        for group in ["a", "b", "c"] {
            let second = if group == "c" { 100 - i } else { i };
            let event = envelope("github", "push", &format!("{group}{i}"), second);
            queues.dead_of(group, &event);
            expected.entry(group.to_owned()).or_default().push(marked(&event));
        }
    }
    let ran = queues.redrive(&["--apply"], &operator(queues.aws));
    assert!(ran.status.success() && ran.text.contains("69 events moved"), "{}", ran.text);
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in queues.aws.receive(&queues.main, 69, SOON) {
        found.entry(message.system["MessageGroupId"].clone()).or_default().push(message.body);
    }
    assert_eq!(found, expected);
    assert_eq!(queues.visible(&queues.dlq), []);
}

/// SQS accepts and drops a deduplication id that it took within five minutes. The function has sent the event under the
/// event's own just before; the only copy would be gone.
#[test]
fn what_failed_within_five_minutes_is_not_swallowed() {
    let queues = Queues::new("redrive-window", &[("FifoQueue", "true"), ("VisibilityTimeout", "0")]);
    let event = envelope("github", "push", "w", 1);
    let own = sha256("/hookgate/github\nw\n");
    // The consumer fails; SQS moves the message as it looks for the next one.
    let fails = |text: &str| {
        let receive = json!({ "QueueUrl": queues.main, "VisibilityTimeout": 0 });
        let received = queues.aws.call("sqs", "AmazonSQS.ReceiveMessage", &receive).expect("received");
        assert_eq!(received["Messages"][0]["Body"], text);
        let next = queues.aws.call("sqs", "AmazonSQS.ReceiveMessage", &receive).expect("received");
        assert_eq!(next, json!({}));
    };
    send_fifo(queues.aws, &queues.main, "g", &own, &event);
    fails(&event);
    // That id is still remembered here.
    send_fifo(queues.aws, &queues.main, "g", &own, &event);
    assert_eq!(queues.visible(&queues.main), [], "the emulator does not keep the five minutes");

    let redrive = || {
        let ran = queues.redrive(&["--apply"], &operator(queues.aws));
        assert!(ran.status.success() && ran.text.contains("1 event moved"), "{}", ran.text);
    };
    redrive();
    // And it fails once more: another message, of the same event.
    fails(&marked(&event));
    redrive();
    let moved = queues.visible(&queues.main);
    assert_eq!(bodies(&moved), [marked(&event)]);
    assert_eq!(moved[0].system["MessageGroupId"], "g");
    assert_eq!(queues.visible(&queues.dlq), []);
}

/// The command is killed after SQS has taken a chunk and before anything is deleted.
#[test]
fn a_kill_between_send_and_delete_loses_nothing() {
    for fifo in [false, true] {
        let kind: &[(&str, &str)] = if fifo { &[("FifoQueue", "true")] } else { &[] };
        let queues = Queues::new(if fifo { "redrive-kill-fifo" } else { "redrive-kill" }, kind);
        let events: Vec<String> = (0..12).map(|i| envelope("github", "push", &format!("k{i}"), i)).collect();
        for (i, event) in events.iter().enumerate() {
            if fifo { queues.dead_of(&format!("g{i}"), event) } else { queues.dead(event) }
        }
        let (reached, at_delete) = mpsc::channel();
        let reached = Mutex::new(reached);
        let front = front(queues.aws, move |action, _| match action {
            "DeleteMessageBatch" => {
                let _ = reached.lock().unwrap().send(());
                Act::Silence
            }
            _ => Act::Pass,
        });
        let arguments = ["redrive", "--from", "dlq", "--to", &queues.main, "--apply"];
        let (_folder, mut child) = start(&arguments, &through(&front));
        at_delete.recv_timeout(SOON).expect("a deletion");
        child.kill().expect("a child");
        child.wait().expect("a child");

        // What it had read is hidden for minutes. Nothing of it is gone.
        let about = json!({ "QueueUrl": queues.dlq, "AttributeNames": ["All"] });
        let about = queues.aws.call("sqs", "AmazonSQS.GetQueueAttributes", &about).expect("attributes");
        let number = |name: &str| -> usize { about["Attributes"][name].as_str().unwrap().parse().unwrap() };
        let there = number("ApproximateNumberOfMessages") + number("ApproximateNumberOfMessagesNotVisible");
        assert_eq!(there, 12, "fifo: {fifo}");
        let sent = queues.visible(&queues.main);
        assert_eq!(sent.len(), 10, "one chunk");

        // The minutes pass, and the operator runs it again.
        front.show_again();
        let ran = queues.redrive(&["--apply"], &operator(queues.aws));
        assert!(ran.status.success() && ran.text.contains("12 events moved"), "{}", ran.text);
        let mut all = bodies(&sent);
        let again = bodies(&queues.visible(&queues.main));
        // Within five minutes a FIFO queue drops what it has had of the same message.
        assert_eq!(again.len(), if fifo { 2 } else { 12 });
        all.extend(again);
        let found: BTreeSet<&String> = all.iter().collect();
        assert_eq!(found, events.iter().map(|event| marked(event)).collect::<Vec<_>>().iter().collect());
        assert_eq!(queues.visible(&queues.dlq), []);
    }
}

#[test]
fn an_event_that_cannot_be_sent_stays() {
    let queues = Queues::new("redrive-partly", &[("FifoQueue", "true")]);
    for i in 0..5 {
        for group in ["a", "b"] {
            let word = if group == "a" && i == 2 { "poison" } else { "push" };
            queues.dead_of(group, &envelope("github", word, &format!("{group}{i}"), i));
        }
    }
    let front = front(queues.aws, |action, _| match action {
        "SendMessageBatch" => Act::FailWith("poison"),
        _ => Act::Pass,
    });
    let ran = queues.redrive(&["--apply"], &through(&front));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.text);
    for part in [
        "7 events moved",
        "1 stay: SQS refuses it: InvalidMessageContents",
        "2 stay behind one of their group",
        "A FIFO queue shows nothing behind",
    ] {
        assert!(ran.text.contains(part), "{part}: {}", ran.text);
    }
    let ids =
        |url: &str| -> Vec<String> { queues.visible(url).iter().map(|message| id(&message.body)).collect() };
    assert_eq!(sorted(ids(&queues.main)), ["a0", "a1", "b0", "b1", "b2", "b3", "b4"]);
    assert_eq!(ids(&queues.dlq), ["a2", "a3", "a4"]);
}

#[test]
fn nothing_is_taken_away_where_nothing_can_be_sent() {
    let cases = [
        ("denied", (403, "AccessDenied"), "may not do sqs:SendMessage"),
        ("gone", (400, "QueueDoesNotExist"), "there is no such queue"),
        ("expired", (403, "ExpiredToken"), "the credentials have expired"),
        ("failing", (500, "InternalFailure"), "sqs:SendMessage failed: InternalFailure"),
    ];
    side_by_side(cases, |(name, (status, error), why)| {
        let queues = Queues::new(&format!("redrive-{name}"), &[]);
        let events: Vec<String> = (0..12).map(|i| envelope("github", "push", &format!("n{i}"), i)).collect();
        events.iter().for_each(|event| queues.dead(event));
        let front = front(queues.aws, move |action, _| match action {
            "SendMessageBatch" => Act::Refuse(status, error),
            _ => Act::Pass,
        });
        let ran = queues.redrive(&["--apply"], &through(&front));
        assert_eq!(ran.status.code(), Some(1), "{name}: {}", ran.text);
        assert!(ran.text.contains(why) && ran.text.contains("0 events moved"), "{name}: {}", ran.text);
        assert_eq!(queues.visible(&queues.main), []);
        assert_eq!(sorted(bodies(&queues.visible(&queues.dlq))), sorted(events), "{name}");
    });
}

/// An answer that is lost makes messages twice; none is lost.
#[test]
fn a_lost_answer_is_no_loss() {
    let queues = Queues::new("redrive-lost", &[]);
    let events: Vec<String> = (0..4).map(|i| envelope("github", "push", &format!("l{i}"), i)).collect();
    events.iter().for_each(|event| queues.dead(event));
    let front = front(queues.aws, |action, before| match (action, before) {
        ("SendMessageBatch", 0) => Act::PassThenReset,
        ("SendMessageBatch", 1) | ("DeleteMessageBatch", 0) => Act::Refuse(500, "InternalFailure"),
        _ => Act::Pass,
    });
    let ran = queues.redrive(&["--apply"], &through(&front));
    assert!(ran.status.success() && ran.text.contains("4 events moved"), "{}", ran.text);
    let once: Vec<String> = events.iter().map(|event| marked(event)).collect();
    assert_eq!(bodies(&queues.visible(&queues.main)), [once.clone(), once].concat());
    assert_eq!(queues.visible(&queues.dlq), []);
}

#[test]
fn ctrl_c_ends_after_what_is_under_way() {
    let queues = Queues::new("redrive-stop", &[]);
    let events: Vec<String> = (0..60).map(|i| envelope("github", "push", &format!("c{i}"), i)).collect();
    events.iter().for_each(|event| queues.dead(event));
    let child_id = Arc::new(AtomicUsize::new(0));
    let of_front = child_id.clone();
    let front = front(queues.aws, move |action, before| match (action, before) {
        ("SendMessageBatch", 1) => {
            let id = i32::try_from(of_front.load(Ordering::SeqCst)).unwrap();
            kill_process(Pid::from_raw(id).expect("a child"), Signal::INT).expect("a living child");
            Act::Pass
        }
        _ => Act::Pass,
    });
    let arguments = ["redrive", "--from", "dlq", "--to", &queues.main, "--apply"];
    let (_folder, child) = start(&arguments, &through(&front));
    child_id.store(usize::try_from(child.id()).unwrap(), Ordering::SeqCst);
    let output = child.wait_with_output().expect("its end");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success() && said.contains("Ended early"), "{said}");
    let (moved, left) = (queues.visible(&queues.main), queues.visible(&queues.dlq));
    assert!(moved.len() >= 20 && !left.is_empty(), "{} moved", moved.len());
    assert_eq!(moved.len() + left.len(), 60, "each in one place, and to be seen there");
    assert!(said.contains(&format!("{} events moved", moved.len())), "{said}");
}

#[test]
fn what_the_queue_has_no_room_for_stays() {
    let limit = 2048;
    let queues = Queues::new("redrive-large", &[("MaximumMessageSize", "2048")]);
    // As SQS counts: the attributes that `dead` gives are 26 and 12 bytes.
    let attributes = "type".len() + "String".len() + "kept".len() + "blob".len() + "Binary".len() + 2;
    let of_size = |id: &str, size: usize| {
        let bare = envelope("github", "push", id, 1);
        let padding = "x".repeat(size - attributes - bare.len() - r#","pad":"""#.len());
        format!(r#"{},"pad":"{padding}"}}"#, bare.strip_suffix('}').expect("an object"))
    };
    let mark = r#""replayed":true,"#.len();
    let events = [of_size("fits", limit - mark), of_size("bare", limit - mark + 1), of_size("full", limit)];
    let too_large = of_size("over", limit + 1);
    for event in events.iter().chain([&too_large]) {
        queues.dead(event);
    }
    let ran = queues.redrive(&[], &operator(queues.aws));
    assert!(ran.status.success() && ran.text.contains("1 stay, too large for the queue"), "{}", ran.text);
    let ran = queues.redrive(&["--apply"], &operator(queues.aws));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.text);
    for part in ["3 events moved", "2 without the mark", "1 stay, too large for the queue"] {
        assert!(ran.text.contains(part), "{part}: {}", ran.text);
    }
    let expected = vec![marked(&events[0]), events[1].clone(), events[2].clone()];
    assert_eq!(sorted(bodies(&queues.visible(&queues.main))), sorted(expected));
    assert_eq!(bodies(&queues.visible(&queues.dlq)), [too_large]);
}

#[test]
fn progress_is_told_in_lines_where_there_is_no_terminal() {
    let queues = Queues::new("redrive-lines", &[]);
    (0..230).for_each(|i| queues.dead(&envelope("github", "push", &format!("p{i}"), i)));
    let ran = queues.redrive(&["--apply"], &operator(queues.aws));
    let lines: Vec<&str> = ran.text.lines().collect();
    assert_eq!(
        lines,
        ["100 of about 230 moved", "200 of about 230 moved", "230 events moved to redrive-lines"],
        "and no sequence of a terminal"
    );
    assert_eq!(queues.visible(&queues.main).len(), 230);
}

/// Another queue, such as the second one of a function, and one that is FIFO.
#[test]
fn any_queue_can_be_the_source() {
    let aws = Ministack::shared();
    let from = aws.create_queue("redrive-second", &[]);
    let to = aws.create_queue("redrive-first.fifo", &[("FifoQueue", "true")]);
    let plain = envelope("github", "push", "q", 1);
    let keyed = plain.replace(r#""assurance""#, r#""partitionkey":"tenant","assurance""#);
    for text in [&plain, &keyed] {
        let input = json!({ "QueueUrl": from, "MessageBody": text });
        aws.call("sqs", "AmazonSQS.SendMessage", &input).expect("sent");
    }
    let ran = run(&["redrive", "--from", &from, "--to", &to, "--apply"], &operator(aws));
    assert!(ran.status.success() && ran.text.contains("2 events moved"), "{}", ran.text);
    let moved = aws.receive(&to, 2, SOON);
    let groups: Vec<&str> = moved.iter().map(|message| message.system["MessageGroupId"].as_str()).collect();
    assert_eq!(
        groups,
        [sha256("/hookgate/github\n").as_str(), sha256("/hookgate/github\ntenant").as_str()],
        "as its function has it"
    );
}

/// A bucket of a test with the objects of its calls.
struct Bucket {
    aws: &'static Ministack,
    name: String,
    to: String,
}

impl Bucket {
    fn new(name: &str, queue: &[(&str, &str)]) -> Bucket {
        let aws = Ministack::shared();
        aws.create_bucket(name);
        let dot = if queue.is_empty() { "" } else { ".fifo" };
        Bucket { aws, name: name.to_owned(), to: aws.create_queue(&format!("{name}{dot}"), queue) }
    }

    fn put(&self, key: &str, texts: &[&String]) {
        let texts: Vec<&str> = texts.iter().map(|text| text.as_str()).collect();
        self.aws.put_object(&self.name, key, format!("[{}]", texts.join(",")).as_bytes());
    }

    fn redrive(&self, more: &[&str], env: &[(&'static str, String)]) -> Ran {
        let from = format!("s3://{}", self.name);
        run(&[&["redrive", "--from", &from, "--to", &self.to], more].concat(), env)
    }

    fn sent(&self, at_least: usize) -> Vec<Message> {
        self.aws.receive(&self.to, at_least, if at_least == 0 { Duration::ZERO } else { SOON })
    }
}

fn key(second: usize) -> String {
    format!("spill/{:013}-github-{second:016x}.json", 1_795_000_000_000 + second * 1000)
}

#[test]
fn spilled_events_come_back() {
    let bucket = Bucket::new("redrive-spill", &[]);
    let events: Vec<String> = (0..7).map(|i| envelope("github", "push", &format!("s{i}"), i)).collect();
    bucket.put(&key(3), &[&events[6]]);
    bucket.put(&key(1), &[&events[0], &events[1], &events[2]]);
    bucket.put(&key(2), &[&events[3], &events[4], &events[5]]);
    // Neither is one of ours, and what is outside the prefix is not even looked at.
    bucket.aws.put_object(&bucket.name, "spill/notes.txt", b"no JSON");
    bucket.aws.put_object(&bucket.name, "data/github/x", b"{}");
    let before = bucket.aws.keys(&bucket.name);

    let ran = bucket.redrive(&[], &operator(bucket.aws));
    assert!(ran.status.success() && ran.text.contains("7 events would be moved"), "{}", ran.text);
    assert!(ran.text.contains("1 stay, no events of Hookgate's"), "{}", ran.text);
    assert_eq!(bucket.aws.keys(&bucket.name), before);
    assert_eq!(bucket.sent(0), []);

    // Two keys to a page of the listing.
    let front = front(bucket.aws, |action, _| match action {
        "ListObjectsV2" => Act::Query("&max-keys=2"),
        _ => Act::Pass,
    });
    let ran = bucket.redrive(&["--apply"], &through(&front));
    assert!(ran.status.success() && ran.text.contains("7 events moved"), "{}", ran.text);
    assert_eq!(bucket.aws.keys(&bucket.name), ["data/github/x", "spill/notes.txt"]);
    let sent = bucket.sent(7);
    assert_eq!(bodies(&sent), events.iter().map(|event| marked(event)).collect::<Vec<_>>());
    let attributes: BTreeMap<&str, &str> =
        sent[0].attributes.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let expected = [
        ("assurance", "signed"),
        ("datacontenttype", "application/json"),
        ("provider", "github"),
        ("source", "/hookgate/github"),
        ("type", "com.github.push"),
    ];
    assert_eq!(attributes, expected.into());
}

#[test]
fn what_is_left_of_an_object_stays_in_it() {
    let bucket = Bucket::new("redrive-rest", &[("FifoQueue", "true")]);
    let [a, b, c] = ["push", "issues.opened", "push"].map(|kind| envelope("github", kind, kind, 1));
    let stranger = "{ \"x\" : 1 }".to_owned();
    bucket.put(&key(1), &[&a, &b, &stranger]);
    bucket.put(&key(2), &[&c]);
    let ran = bucket.redrive(&["--apply", "--type", "com.github.issues"], &operator(bucket.aws));
    assert!(ran.status.success() && ran.text.contains("1 event moved"), "{}", ran.text);
    assert!(ran.text.contains("2 stay, not asked for"), "{}", ran.text);
    assert_eq!(bodies(&bucket.sent(1)), [marked(&b)]);
    assert_eq!(bucket.aws.object(&bucket.name, &key(1)), format!("[{a},{stranger}]").into_bytes());
    assert_eq!(bucket.aws.object(&bucket.name, &key(2)), format!("[{c}]").into_bytes());

    // One whose rest cannot be put is moved once more, and that is said.
    let denied = front(bucket.aws, |action, _| match action {
        "PUT" => Act::Refuse(403, "AccessDenied"),
        _ => Act::Pass,
    });
    let ran = bucket.redrive(&["--apply"], &through(&denied));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.text);
    assert!(ran.text.contains("s3:PutObject"), "{}", ran.text);
    assert_eq!(bucket.aws.object(&bucket.name, &key(1)), format!("[{a},{stranger}]").into_bytes());
    let ran = bucket.redrive(&["--apply"], &operator(bucket.aws));
    assert!(ran.status.success(), "{}", ran.text);
    // In the end each once: it was the same object within five minutes.
    let sent = bodies(&bucket.sent(2));
    assert_eq!(sorted(sent), sorted(vec![marked(&a), marked(&c)]));
    assert_eq!(bucket.aws.object(&bucket.name, &key(1)), format!("[{stranger}]").into_bytes());
    assert_eq!(bucket.aws.keys(&bucket.name), [key(1)]);
}

#[test]
fn an_object_stays_until_its_events_are_confirmed() {
    let bucket = Bucket::new("redrive-unsent", &[]);
    let events: Vec<String> = (0..3).map(|i| envelope("github", "push", &format!("u{i}"), i)).collect();
    bucket.put(&key(1), &events.iter().collect::<Vec<_>>());
    let whole = bucket.aws.object(&bucket.name, &key(1));
    let denied = front(bucket.aws, |action, _| match action {
        "SendMessageBatch" => Act::Refuse(403, "AccessDenied"),
        _ => Act::Pass,
    });
    let ran = bucket.redrive(&["--apply"], &through(&denied));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.text);
    assert_eq!(bucket.aws.object(&bucket.name, &key(1)), whole);

    // One of three is refused: it is what is left.
    let poison = envelope("github", "poison", "p", 4);
    bucket.put(&key(2), &[&events[0], &poison, &events[1]]);
    let partly = front(bucket.aws, |action, _| match action {
        "SendMessageBatch" => Act::FailWith("poison"),
        _ => Act::Pass,
    });
    let ran = bucket.redrive(&["--apply"], &through(&partly));
    assert!(ran.status.code() == Some(1) && ran.text.contains("5 events moved"), "{}", ran.text);
    assert_eq!(bucket.aws.keys(&bucket.name), [key(2)]);
    assert_eq!(bucket.aws.object(&bucket.name, &key(2)), format!("[{poison}]").into_bytes());
    assert_eq!(bucket.sent(5).len(), 5);
    bucket.aws.put_object(&bucket.name, &key(1), &whole);
    let ran = bucket.redrive(&["--apply", "--type", "com.github.poison"], &operator(bucket.aws));
    assert!(ran.status.success() && bodies(&bucket.sent(1)) == [marked(&poison)], "{}", ran.text);

    // Killed as it deletes: the events are there twice, and the object still is.
    let (reached, at_delete) = mpsc::channel();
    let reached = Mutex::new(reached);
    let front = front(bucket.aws, move |action, _| match action {
        "DELETE" => {
            let _ = reached.lock().unwrap().send(());
            Act::Silence
        }
        _ => Act::Pass,
    });
    let from = format!("s3://{}/spill/", bucket.name);
    let (_folder, mut child) =
        start(&["redrive", "--from", &from, "--to", &bucket.to, "--apply"], &through(&front));
    at_delete.recv_timeout(SOON).expect("a deletion");
    child.kill().expect("a child");
    child.wait().expect("a child");
    assert_eq!(bucket.aws.object(&bucket.name, &key(1)), whole);
    assert_eq!(bucket.sent(3).len(), 3);
    let ran = bucket.redrive(&["--apply"], &operator(bucket.aws));
    assert!(ran.status.success() && ran.text.contains("3 events moved"), "{}", ran.text);
    assert_eq!(bucket.sent(3).len(), 3);
    assert!(bucket.aws.keys(&bucket.name).is_empty());
}

#[test]
fn what_an_operator_has_to_mend_is_said() {
    let aws = Ministack::shared();
    let lonely = aws.create_queue("redrive-lonely", &[]);
    let gone = format!("{lonely}-gone");
    let from = |from: &str| vec!["redrive".to_owned(), "--from".to_owned(), from.to_owned()];
    for (from, to, why) in [
        (from("dlq"), &lonely, "redrive-lonely has no redrive policy"),
        (from(&lonely), &lonely, "--from and --to are the same queue"),
        (from("dlq"), &gone, "redrive-lonely-gone: there is no such queue"),
        (from("dql"), &lonely, "dql is no queue: its URL begins with https://"),
        (from("s3://"), &lonely, "is no place of a bucket"),
        (from("s3://no-such-bucket"), &lonely, "there is no such bucket"),
    ] {
        let mut arguments: Vec<&str> = from.iter().map(String::as_str).collect();
        arguments.extend(["--to", to, "--apply"]);
        let ran = run(&arguments, &operator(aws));
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {}", ran.text);
        assert!(ran.text.contains(why), "{arguments:?}: {}", ran.text);
    }
}

#[test]
fn credentials_are_found_as_awss_own_tools_find_them() {
    let queues = Queues::new("redrive-profile", &[]);
    queues.dead(&envelope("github", "push", "c", 1));
    let folder = Folder::new();
    let key = (queues.aws.access_key_id(), queues.aws.secret_access_key());
    let credentials = folder.write(
        "credentials",
        &format!("[plain]\naws_access_key_id = {}\naws_secret_access_key = {}\n", key.0, key.1),
    );
    let process = folder.write(
        "process",
        &json!({ "Version": 1, "AccessKeyId": key.0, "SecretAccessKey": key.1 }).to_string(),
    );
    let config = format!(
        "[profile plain]\nregion = us-east-1\n\n[profile process]\nregion = us-east-1\ncredential_process = /bin/cat {}\n\n\
         [profile broken]\nregion = us-east-1\ncredential_process = /bin/false\n\n[profile nowhere]\noutput = json\n",
        process.display()
    );
    let config = folder.write("config", &config);
    let env = |profile: &str| {
        vec![
            ("AWS_PROFILE", profile.to_owned()),
            ("AWS_CONFIG_FILE", config.display().to_string()),
            ("AWS_SHARED_CREDENTIALS_FILE", credentials.display().to_string()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_ENDPOINT_URL", queues.aws.endpoint()),
        ]
    };
    for profile in ["plain", "process"] {
        let ran = run_in(&folder, &["redrive", "--from", "dlq", "--to", &queues.main], &env(profile));
        assert!(
            ran.status.success() && ran.text.contains("1 event would be moved"),
            "{profile}: {}",
            ran.text
        );
        assert!(!ran.text.contains(key.1), "{}", ran.text);
    }
    for (profile, why) in
        [("broken", "the credentials could not be had"), ("nowhere", "no region"), ("unknown", "AWS")]
    {
        let ran = run_in(&folder, &["redrive", "--from", "dlq", "--to", &queues.main], &env(profile));
        assert!(ran.status.code() == Some(1) && ran.text.contains(why), "{profile}: {}", ran.text);
    }
    let wrong = [
        ("AWS_ACCESS_KEY_ID", "AKIATHROWAWAY1111111".to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "throw-away-and-wrong".to_owned()),
        ("AWS_REGION", "us-east-1".to_owned()),
        ("AWS_ENDPOINT_URL", queues.aws.endpoint()),
    ];
    let ran = run(&["redrive", "--from", "dlq", "--to", &queues.main], &wrong);
    assert!(ran.status.code() == Some(1), "{}", ran.text);
    assert!(ran.text.contains("AWS does not take these credentials"), "{}", ran.text);
}
