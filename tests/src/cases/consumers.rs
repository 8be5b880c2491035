//! The consumers in `examples/`, run as their users run them, behind the built functions and the emulator of AWS.

use super::envelope::{folder, send_sample};
use super::queue::side_by_side;
use super::support::entry;
use super::template::{root, succeed, target};
use super::transport::{SECRET, github_call, send};
use crate::event::Request;
use crate::lambda::{self, Function};
use crate::ministack::{Message, Ministack};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fs};

const LANGUAGES: [Language; 3] = [Language::Rust, Language::TypeScript, Language::Python];
/// As for the snapshots of envelopes.
const RENEW: &str = "HOOKGATE_RENEW_SNAPSHOTS";
/// 2^53 + 1, which no double holds.
const ODD: u64 = 9_007_199_254_740_993;
/// For all that a consumer has to do, retries among it, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Rust,
    TypeScript,
    Python,
}

impl Language {
    /// The loop.
    fn program(self) -> Command {
        match self {
            Language::Rust => Command::new(rust()),
            Language::TypeScript => node(&["consumer.js"]),
            Language::Python => python(&["consumer.py"]),
        }
    }

    /// The Lambda handler behind a runtime that takes an event a line and writes each answer as `{"answer": …}`. Rust
    /// brings its own runtime.
    fn handler(self) -> Option<Command> {
        match self {
            Language::Rust => None,
            Language::TypeScript => Some(node(&[
                "--input-type=module",
                "--eval",
                "import { handler } from './consumer.js'; import { createInterface } from 'node:readline';
                 for await (const line of createInterface(process.stdin))
                     console.log(JSON.stringify({ answer: await handler(JSON.parse(line)) }));",
            ])),
            Language::Python => Some(python(&[
                "-c",
                "import consumer, json, sys\n\
                 for line in sys.stdin: print(json.dumps({'answer': consumer.handler(json.loads(line), None)}))",
            ])),
        }
    }
}

fn example(name: &str) -> PathBuf {
    root().join("examples").join(name)
}

fn rust() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    // target/<profile>/deps/<test>
    let path = test.ancestors().nth(2).expect("cargo's folder of binaries").join("consumer");
    let how = "cargo build --manifest-path examples/consumer-rust/Cargo.toml";
    assert!(path.is_file(), "{} is missing: run `{how}` with the same target folder first", path.display());
    path
}

fn python(arguments: &[&str]) -> Command {
    let mut command = Command::new(folder("HOOKGATE_TEST_CONSUMER_TOOLS").join("bin/python"));
    command.args(arguments).current_dir(example("consumer-python"));
    command
}

fn node(arguments: &[&str]) -> Command {
    static COMPILED: OnceLock<PathBuf> = OnceLock::new();
    let compiled = COMPILED.get_or_init(|| {
        // As after `npm install`: Node looks for packages in the folders above a file.
        let copy = target().join("consumer-typescript");
        // What is not there at the first time need not be removed.
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir_all(&copy).expect("a folder");
        for file in ["consumer.ts", "package.json", "tsconfig.json"] {
            fs::copy(example("consumer-typescript").join(file), copy.join(file)).expect("a copy");
        }
        symlink(folder("HOOKGATE_TEST_NODE_MODULES"), copy.join("node_modules")).expect("a link");
        succeed(Command::new("node").arg("node_modules/typescript/bin/tsc").current_dir(&copy));
        copy
    });
    let mut command = Command::new("node");
    command.args(arguments).current_dir(compiled);
    command
}

/// What stands around a consumer in one test.
struct Stand {
    aws: &'static Ministack,
    language: Language,
    /// Of the bucket, the table and the queues.
    name: String,
}

impl Stand {
    fn new(language: Language, test: &str) -> Stand {
        let aws = Ministack::shared();
        let name = format!("consumers-{test}-{language:?}").to_lowercase();
        aws.create_bucket(&name);
        let table = json!({
            "TableName": name,
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        });
        aws.call("dynamodb", "DynamoDB_20120810.CreateTable", &table).expect("a table");
        Stand { aws, language, name }
    }

    fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.aws.endpoint()),
            ("AWS_ACCESS_KEY_ID", self.aws.access_key_id().into()),
            ("AWS_SECRET_ACCESS_KEY", self.aws.secret_access_key().into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_DEFAULT_REGION", "us-east-1".into()),
            ("HANDLED_TABLE", self.name.clone()),
        ]
    }

    /// The command in an environment with nothing of this machine's user in it.
    fn dressed(&self, mut command: Command, more: &[(&str, &str)]) -> Command {
        command.env_clear().envs(self.environment()).envs(more.iter().copied());
        command.env("PATH", env::var_os("PATH").unwrap_or_default()).env("HOME", target());
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        command
    }

    /// Has the loop take messages off a queue until it is dropped.
    fn consume(&self, queue_url: &str) -> Consumer {
        Consumer::start(self.dressed(self.language.program(), &[("QUEUE_URL", queue_url)]))
    }

    /// GitHub's function before a queue, with a claim check for all that is not short.
    fn gate(&self, queue_url: &str, more: &[(&str, &str)]) -> Function {
        let gate = Function::builder(lambda::binary("github"))
            .env("QUEUE_URL", queue_url)
            .env("QUEUE_MAX_BYTES", "2048")
            .env("CLAIM_CHECK_BUCKET", &self.name)
            .env("HOOKGATE_CONFIG", json!({ "secret": SECRET }).to_string());
        let gate = self.environment().into_iter().fold(gate, |gate, (name, value)| gate.env(name, value));
        more.iter().fold(gate, |gate, (name, value)| gate.env(*name, *value)).start()
    }

    fn send_message(&self, queue_url: &str, body: &str) {
        let input = json!({ "QueueUrl": queue_url, "MessageBody": body });
        self.aws.call("sqs", "AmazonSQS.SendMessage", &input).expect("sent");
    }

    /// The object that holds the data of a call.
    fn object(&self, request: &Request) -> String {
        format!("data/github/{}", sha256(&request.body))
    }

    /// Puts other bytes where the data of a call lies.
    fn change(&self, request: &Request) {
        let key = self.object(request);
        assert_eq!(self.aws.object(&self.name, &key), request.body, "the claim check's object");
        self.aws.put_object(&self.name, &key, br#"{"changed":true}"#);
    }

    fn change_back(&self, request: &Request) {
        self.aws.put_object(&self.name, &self.object(request), &request.body);
    }

    /// How many messages a queue holds, whether they can be seen or not.
    fn left(&self, queue_url: &str) -> u32 {
        let names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"];
        let input = json!({ "QueueUrl": queue_url, "AttributeNames": names });
        let answer = self.aws.call("sqs", "AmazonSQS.GetQueueAttributes", &input).expect("attributes");
        let count = |name: &str| {
            answer["Attributes"][name].as_str().expect("a text").parse::<u32>().expect("a number")
        };
        names.into_iter().map(count).sum()
    }

    /// The item of a message's event, if there is one.
    fn item(&self, message: &Message) -> Option<Value> {
        let input = json!({ "TableName": self.name, "Key": { "id": { "S": key(message) } } });
        let answer = self.aws.call("dynamodb", "DynamoDB_20120810.GetItem", &input).expect("an answer");
        answer.get("Item").cloned()
    }

    /// As if another consumer had claimed the event until then, or handled it.
    fn put_item(&self, message: &Message, lease: Option<i64>) {
        let mut item = json!({ "id": { "S": key(message) }, "expires": { "N": "4102444800" } });
        if let Some(lease) = lease {
            item["lease"] = json!({ "N": lease.to_string() });
        }
        let input = json!({ "TableName": self.name, "Item": item });
        self.aws.call("dynamodb", "DynamoDB_20120810.PutItem", &input).expect("stored");
    }

    /// Has the Lambda handler take these batches; gives what it answers to each, sorted, and what it wrote.
    fn invoke(&self, more: &[(&str, &str)], batches: &[&[Message]]) -> (Vec<Vec<String>>, Vec<Value>) {
        let events =
            batches.iter().map(|batch| json!({ "Records": batch.iter().map(record).collect::<Vec<_>>() }));
        let (answers, lines): (Vec<Value>, Vec<Value>) = match self.language.handler() {
            None => {
                let all =
                    self.environment().into_iter().chain(more.iter().map(|(n, v)| (*n, (*v).to_owned())));
                let function =
                    all.fold(Function::builder(rust()), |function, (name, value)| function.env(name, value));
                let function = function.start();
                let answers =
                    events.map(|event| function.invoke(&event.to_string()).response().clone()).collect();
                (answers, written(&function.stop()))
            }
            Some(command) => {
                let input: String = events.map(|event| format!("{event}\n")).collect();
                let mut command = self.dressed(command, more);
                command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
                let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
                child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
                let output = child.wait_with_output().expect("its end");
                let errors = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{:?}: {errors}", self.language);
                let lines = written(&String::from_utf8_lossy(&output.stdout));
                let (answers, lines): (Vec<_>, Vec<_>) =
                    lines.into_iter().partition(|line| line.get("answer").is_some());
                (answers.iter().map(|line| line["answer"].clone()).collect(), lines)
            }
        };
        let failed = |answer: &Value| {
            let failures = answer["batchItemFailures"].as_array().expect("a list");
            let mut ids: Vec<String> = failures
                .iter()
                .map(|failure| failure["itemIdentifier"].as_str().expect("an id").to_owned())
                .collect();
            ids.sort();
            ids
        };
        (answers.iter().map(failed).collect(), lines)
    }
}

/// A running loop. Ended when dropped; when the emulator goes first, it ends by itself.
struct Consumer {
    child: Mutex<Child>,
    lines: Arc<Mutex<Vec<String>>>,
    readers: Vec<JoinHandle<()>>,
}

impl Consumer {
    fn start(mut command: Command) -> Consumer {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let lines = Arc::new(Mutex::new(Vec::new()));
        let read = |pipe: Box<dyn Read + Send>| {
            let lines = lines.clone();
            thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    lines.lock().unwrap().push(line);
                }
            })
        };
        let readers = vec![
            read(Box::new(child.stdout.take().expect("a pipe"))),
            read(Box::new(child.stderr.take().expect("a pipe"))),
        ];
        Consumer { child: Mutex::new(child), lines, readers }
    }

    /// All it has written so far.
    fn text(&self) -> String {
        self.lines.lock().unwrap().join("\n")
    }

    /// What it has handled so far.
    fn handled(&self) -> Vec<Value> {
        written(&self.text())
    }

    #[track_caller]
    fn wait(&self, what: &str, condition: impl Fn() -> bool) {
        let until = Instant::now() + SOON;
        while !condition() {
            let ended = self.child.lock().unwrap().try_wait().expect("the state of our own child");
            assert!(ended.is_none() && Instant::now() < until, "{what} did not come:\n{}", self.text());
            thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        // Fails only when it has ended already.
        let child = self.child.get_mut().unwrap();
        let _ = child.kill();
        let _ = child.wait();
        for reader in self.readers.drain(..) {
            let _ = reader.join();
        }
    }
}

/// The JSON objects among lines. Numbers are as they stand there, and so are compared as text.
fn written(text: &str) -> Vec<Value> {
    text.lines().filter_map(|line| serde_json::from_str(line).ok()).filter(Value::is_object).collect()
}

/// What was handled: its id, and its data's text without spaces.
fn ids(handled: &[Value]) -> Vec<&str> {
    handled.iter().map(|line| line["handled"].as_str().expect("an id")).collect()
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// An event's identity as docs/envelope.md defines it, in the form that the examples store.
fn key(message: &Message) -> String {
    let event: Value = serde_json::from_str(&message.body).expect("an envelope");
    let text = |name: &str| event[name].as_str().expect("a text");
    let digest = if text("idsource") == "header" { text("calldigest") } else { "" };
    sha256(format!("{}\n{}\n{digest}", text("source"), text("id")).as_bytes())
}

/// A message as Lambda hands it over.
fn record(message: &Message) -> Value {
    json!({
        "messageId": message.id,
        "receiptHandle": "throw-away",
        "body": message.body,
        "attributes": message.system,
        "messageAttributes": {},
        "md5OfBody": "",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:queue",
        "awsRegion": "us-east-1",
    })
}

/// A push to a repository, which the examples read a number of.
fn push(delivery: &str, repository: u64) -> Request {
    github_call(SECRET, delivery, format!(r#"{{"ref":"{delivery}","repository":{{"id":{repository}}}}}"#))
}

/// Another event of a repository, too long for the queue.
fn long(delivery: &str, repository: u64) -> Request {
    let (number, text) = ("12345678901234567890123", "é".repeat(2000));
    let body = format!(
        r#"{{"action":"{delivery}","number":{number},"text":"{text}","repository":{{"id":{repository}}}}}"#
    );
    github_call(SECRET, delivery, body)
}

#[track_caller]
fn queued(function: &Function, request: &Request) {
    assert_eq!(send(function, request).status(), 200);
}

/// Off a standard queue, by two consumers side by side, each event is handled once, whatever it looks like; what cannot be
/// handled goes to the dead-letter queue and holds up nothing.
#[test]
fn a_loop_handles_each_event_once() {
    side_by_side(LANGUAGES, |language| {
        let stand = Stand::new(language, "loop");
        let dead = stand.aws.create_queue(&format!("{}-dead", stand.name), &[]);
        let redrive = json!({ "deadLetterTargetArn": stand.aws.queue_arn(&dead), "maxReceiveCount": 3 });
        let attributes = [("VisibilityTimeout", "2"), ("RedrivePolicy", &redrive.to_string())];
        let queue = stand.aws.create_queue(&stand.name, &attributes);
        let gate = stand.gate(&queue, &[]);
        for _ in 0..6 {
            queued(&gate, &push("again", ODD));
        }
        queued(&gate, &long("long", 1));
        let bytes = b"\xff\x00 no JSON";
        queued(&gate, &github_call(SECRET, "unreadable", bytes));
        let sample = |provider: &str, name: &str| {
            let entry = entry(provider);
            let sample = entry.samples.iter().find(|sample| sample.name == name).expect("a sample");
            send_sample(entry, sample).envelope()
        };
        let mut unknown = sample("stripe", "invoice-paid");
        unknown["attributeoftomorrow"] = "x".into();
        stand.send_message(&queue, &unknown.to_string());

        let changed = long("changed", 1);
        queued(&gate, &changed);
        stand.change(&changed);
        // What is read of it is not there.
        queued(&gate, &github_call(SECRET, "broken", r#"{"repository":{}}"#));
        let token = sample("telegram", "message");
        stand.send_message(&queue, &token.to_string());
        stand.send_message(&queue, "no JSON");
        let mut version = sample("stripe", "invoice-paid");
        version["envelopeversion"] = "2.0".into();
        stand.send_message(&queue, &version.to_string());

        let (consumer, second) = (stand.consume(&queue), stand.consume(&queue));
        consumer.wait("an empty queue", || stand.left(&queue) == 0);
        let said = format!("{language:?}:\n{}\n{}", consumer.text(), second.text());
        let handled = written(&said);
        let mut good = vec!["again", "long", "unreadable", unknown["id"].as_str().expect("an id")];
        let mut found = ids(&handled);
        good.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, good, "{said}");
        let line = |id: &str| handled.iter().find(|line| line["handled"] == id).expect("a line");
        assert_eq!(line("again")["data"], ODD, "{said}");
        assert_eq!(line("unreadable")["data"], BASE64_STANDARD.encode(bytes), "{said}");
        assert_eq!(line("long")["data"]["text"], "é".repeat(2000), "{said}");
        assert!(said.contains("12345678901234567890123"), "{said}");

        let mut bodies: Vec<String> = stand.aws.receive(&dead, 5, SOON).into_iter().map(|m| m.body).collect();
        let mut bad = vec!["no JSON".to_owned(), token.to_string(), version.to_string()];
        for delivery in ["broken", "changed"] {
            let place = bodies.iter().position(|body| body.contains(&format!(r#""id":"{delivery}""#)));
            bodies.remove(place.unwrap_or_else(|| panic!("{delivery} is not in {bodies:?}\n{said}")));
        }
        bodies.sort();
        bad.sort();
        assert_eq!(bodies, bad, "{said}");
    });
}

/// Off a FIFO queue, what follows a failure in its group waits for it, and other groups do not.
#[test]
fn a_loop_keeps_the_order_of_a_group() {
    side_by_side(LANGUAGES, |language| {
        let stand = Stand::new(language, "order");
        let attributes = [("FifoQueue", "true"), ("VisibilityTimeout", "1")];
        let queue = stand.aws.create_queue(&format!("{}.fifo", stand.name), &attributes);
        let gate = stand.gate(&queue, &[]);
        let broken = long("a2", 1);
        for request in [&push("a1", 1), &broken, &push("a3", 1), &push("b1", 2)] {
            queued(&gate, request);
        }
        stand.change(&broken);
        let consumer = stand.consume(&queue);
        // Each of these lines is an attempt at the only message that is tried and fails.
        consumer.wait("a second attempt", || consumer.text().matches("message ").count() > 1);
        let mut handled = consumer.handled();
        handled.sort_by_key(|line| line["handled"].to_string());
        assert_eq!(ids(&handled), ["a1", "b1"], "{language:?}: {}", consumer.text());
        stand.change_back(&broken);
        consumer.wait("an empty queue", || stand.left(&queue) == 0);
        let handled = consumer.handled();
        let group: Vec<_> = ids(&handled).into_iter().filter(|id| id.starts_with('a')).collect();
        assert_eq!(group, ["a1", "a2", "a3"], "{language:?}: {}", consumer.text());
        assert_eq!(handled.len(), 4, "{language:?}");
    });
}

/// The same code as a Lambda function: it names what has to come back, and no more.
#[test]
fn a_function_reports_what_has_to_come_back() {
    side_by_side(LANGUAGES, |language| {
        let stand = Stand::new(language, "batch");
        // A standard queue with groups, which promise no order, and a FIFO queue.
        let fair = stand.aws.create_queue(&stand.name, &[]);
        let fifo = stand.aws.create_queue(&format!("{}.fifo", stand.name), &[("FifoQueue", "true")]);
        let changed = long("changed", 1);
        let receive = |queue: &str, more: &[(&str, &str)], requests: &[&Request]| {
            let gate = stand.gate(queue, more);
            let messages = requests.iter().flat_map(|request| {
                queued(&gate, request);
                stand.aws.receive(queue, 1, SOON)
            });
            messages.collect::<Vec<_>>()
        };
        let broken = github_call(SECRET, "broken", r#"{"repository":{}}"#);
        let standard = receive(
            &fair,
            &[("QUEUE_FAIR", "true")],
            &[
                &push("first", 1),
                &changed,
                &push("after", 1),
                &broken,
                &push("busy", 1),
                &push("late", 1),
                &push("done", 1),
            ],
        );
        let [first, second, _, failing, busy, late, done] = &standard[..] else { panic!("{standard:?}") };
        assert!(
            second.system.contains_key("MessageGroupId") && !second.system.contains_key("SequenceNumber")
        );
        let now = jiff::Timestamp::now().as_millisecond();
        stand.put_item(busy, Some(now + 600_000));
        stand.put_item(late, Some(now - 1));
        stand.put_item(done, None);
        let ordered = receive(&fifo, &[], &[&push("f1", 1), &long("f2", 1), &push("f3", 1), &push("g1", 2)]);
        let [_, f2, f3, _] = &ordered[..] else { panic!("{ordered:?}") };
        stand.change(&changed);
        stand.change(&long("f2", 1));

        let sorted = |messages: &[&Message]| {
            let mut ids: Vec<String> = messages.iter().map(|message| message.id.clone()).collect();
            ids.sort();
            ids
        };
        let (answers, handled) = stand.invoke(&[], &[&standard, &ordered]);
        let back = [sorted(&[second, failing, busy]), sorted(&[f2, f3])];
        assert_eq!(answers, back, "{language:?}: {handled:?}");
        assert_eq!(ids(&handled), ["first", "after", "late", "f1", "g1"], "{language:?}");
        // Whose handling failed can be claimed again at once; whose claim is another's, not.
        assert_eq!(stand.item(failing), None, "{language:?}");
        assert!(stand.item(busy).is_some_and(|item| item.get("lease").is_some()), "{language:?}");
        for message in [first, late] {
            let item = stand.item(message).expect("an item");
            assert!(item.get("lease").is_none() && item.get("expires").is_some(), "{language:?}: {item}");
        }
        assert_eq!(handled[0]["key"], key(first), "{language:?}");

        stand.change_back(&changed);
        stand.change_back(&long("f2", 1));
        let (answers, handled) = stand.invoke(&[], &[&standard, &ordered]);
        assert_eq!(answers, [sorted(&[failing, busy]), vec![]], "{language:?}: {handled:?}");
        assert_eq!(ids(&handled), ["changed", "f2", "f3"], "{language:?}");
    });
}

/// With `raw` the provider's own signature is checked once more, and what it covers is what is read.
#[test]
fn a_function_checks_the_signature_again() {
    side_by_side(LANGUAGES, |language| {
        let stand = Stand::new(language, "raw");
        let queue = stand.aws.create_queue(&stand.name, &[]);
        let config = json!({ "secret": SECRET, "raw": true }).to_string();
        let gate = stand.gate(&queue, &[("HOOKGATE_CONFIG", &config)]);
        let take = |gate: &Function, request: &Request| {
            queued(gate, request);
            stand.aws.receive(&queue, 1, SOON).remove(0)
        };
        let short = take(&gate, &push("short", ODD));
        let apart = take(&gate, &long("apart", 1));
        let bare = take(&stand.gate(&queue, &[]), &push("bare", 1));
        let with = |message: Message, id: &str, name: &str, value: Value| {
            let mut event: Value = serde_json::from_str(&message.body).expect("an envelope");
            event[name] = value;
            Message { id: id.into(), body: event.to_string(), ..message }
        };
        let lying = with(take(&gate, &push("lying", 7)), "1", "data", json!({ "repository": { "id": 8 } }));
        let forged = BASE64_STANDARD.encode(push("forged", 8).body);
        let forged = with(take(&gate, &push("forged", 7)), "2", "rawbody", forged.into());
        let unsigned = with(take(&gate, &push("unsigned", 7)), "3", "rawheaders", "{}".into());
        let read: Value = serde_json::from_str(&apart.body).expect("an envelope");
        assert!(read["rawref"].is_string() && read["rawbody"].is_null(), "{read}");

        let batch = [short, apart, bare, lying, forged, unsigned];
        let (answers, handled) = stand.invoke(&[("GITHUB_SECRET", SECRET)], &[&batch]);
        let mut back = [2, 4, 5].map(|place: usize| batch[place].id.clone());
        back.sort();
        assert_eq!(answers, [back], "{language:?}: {handled:?}");
        assert_eq!(ids(&handled), ["short", "apart", "lying"], "{language:?}");
        assert_eq!(handled[0]["data"], ODD, "{language:?}");
        assert_eq!(handled[1]["data"]["action"], "apart", "{language:?}");
        assert_eq!(handled[2]["data"], 7, "{language:?}");
    });
}

/// What a user installs for the examples is what they are tried with.
#[test]
fn examples_name_the_packages_that_they_are_tried_with() {
    let read =
        |path: &Path| -> Value { serde_json::from_slice(&fs::read(path).expect("a file")).expect("JSON") };
    let tried = read(&root().join("tests/tools/package.json"));
    let theirs = read(&example("consumer-typescript").join("package.json"));
    let mut seen = 0;
    for part in ["dependencies", "devDependencies"] {
        for (name, version) in theirs[part].as_object().expect("packages") {
            assert_eq!(*version, tried["dependencies"][name], "{name}");
            seen += 1;
        }
    }
    assert!(seen > 5, "only {seen} packages");
    let lines = |path: &Path| -> Vec<String> {
        let text = fs::read_to_string(path).expect("a file");
        text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect()
    };
    let tried = lines(&root().join("tests/tools/consumer.in"));
    assert_eq!(lines(&example("consumer-python").join("requirements.txt")), tried);
}

/// The part of a file between `region: NAME` and `endregion`, at the margin.
fn region(file: &str, name: &str) -> String {
    let text = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    let start = format!("region: {name}");
    let mut lines = text.lines().skip_while(|line| !line.ends_with(&start)).skip(1);
    let part: Vec<&str> = lines.by_ref().take_while(|line| !line.ends_with(" endregion")).collect();
    assert!(!part.is_empty() && lines.next().is_some(), "{file} has no region {name}");
    let margin =
        part.iter().filter(|line| !line.is_empty()).map(|line| line.len() - line.trim_start().len()).min();
    let lines = part.iter().map(|line| format!("{}\n", line.get(margin.unwrap_or(0)..).unwrap_or_default()));
    lines.collect()
}

/// The guide shows the examples as they are. `HOOKGATE_RENEW_SNAPSHOTS=1` writes it anew.
#[test]
fn the_guide_shows_the_examples() {
    let path = root().join("docs/consuming.md");
    let guide = fs::read_to_string(&path).expect("the guide");
    let mut parts = guide.split("<!-- from ");
    let mut expected = parts.next().expect("a beginning").to_owned();
    let mut shown = 0;
    for part in parts {
        let (place, rest) = part.split_once(" -->\n```").expect("a block of code");
        let (file, name) = place.split_once(": ").expect("a file and a region");
        let (kind, rest) = rest.split_once('\n').expect("a language");
        let (_, rest) = rest.split_once("```\n").expect("the end of the block");
        expected += &format!("<!-- from {place} -->\n```{kind}\n{}```\n{rest}", region(file, name));
        shown += 1;
    }
    assert!(shown > 8, "only {shown} parts");
    if env::var_os(RENEW).is_some_and(|value| value == "1") {
        fs::write(&path, expected).expect("written");
    } else {
        assert!(guide == expected, "docs/consuming.md: {RENEW}=1 takes the examples over");
    }
    // Each part that has a name has it in all three.
    let names = |file: &str| {
        let text = fs::read_to_string(example(file)).expect("a file");
        let names =
            text.lines().filter_map(|line| line.split_once(" region: ").map(|(_, name)| name.to_owned()));
        names.collect::<BTreeSet<_>>()
    };
    let python = names("consumer-python/consumer.py");
    assert_eq!(python, names("consumer-typescript/consumer.ts"));
    assert_eq!(python, names("consumer-rust/src/main.rs"));
}

/// The transaction in the guide, in a database: the second time changes nothing.
#[test]
fn the_transaction_in_the_guide_works_once() {
    let guide = fs::read_to_string(root().join("docs/consuming.md")).expect("the guide");
    let (_, rest) = guide.split_once("```sql\n").expect("a transaction");
    let (sql, _) = rest.split_once("```").expect("its end");
    let program = "
import sqlite3, sys
db = sqlite3.connect(':memory:', isolation_level=None)
db.execute('CREATE TABLE handled (key TEXT PRIMARY KEY)')
db.execute('CREATE TABLE account (id TEXT PRIMARY KEY, balance INTEGER)')
db.execute('INSERT INTO account VALUES (1, 0)')
for key in ['a', 'a', 'b']:
    try:
        for statement in sys.argv[1].strip().rstrip(';').split(';'):
            names = {'key': key, 'amount': 10, 'account': '1'}
            db.execute(statement, {n: v for n, v in names.items() if ':' + n in statement})
    except sqlite3.IntegrityError:
        db.execute('ROLLBACK')
print(db.execute('SELECT balance FROM account').fetchone()[0], db.execute('SELECT count(*) FROM handled').fetchone()[0])
";
    let output = succeed(&mut python(&["-c", program, sql]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), "20 2\n");
}
