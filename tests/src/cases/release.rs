//! `hookgate quarantine` as an operator runs it: calls that a wrong secret refused come back, forged ones never.

use super::cli::{Folder, Ran};
use super::redrive::{Act, CANARY, front, operator, run_in, start, through};
use super::support::{CLOCK, entry, signed_at};
use super::transport::github_call;
use crate::event::{BodyAs, Request, URL_HOST};
use crate::lambda::{self, Function};
use crate::ministack::{Message, Ministack};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::call::Payload;
use shared::quarantine::Suspect;
use shared::settings::Document;
use std::collections::BTreeSet;
use std::sync::{Mutex, mpsc};
use std::time::Duration;

const SOON: Duration = Duration::from_secs(10);
const RIGHT: &str = "canary-of-the-right-secret";
const WRONG: &str = "canary-of-a-wrong-secret";
const FORGERS: &str = "canary-of-a-forgers-secret";

/// A quarantine, the queue of events, and an operator before both.
struct Desk {
    aws: &'static Ministack,
    quarantine: String,
    events: String,
    folder: Folder,
}

impl Desk {
    fn new(name: &str) -> Desk {
        let aws = Ministack::shared();
        let quarantine = aws.create_queue(&format!("{name}-quarantine"), &[("VisibilityTimeout", "600")]);
        Desk { aws, quarantine, events: aws.create_queue(name, &[]), folder: Folder::new() }
    }

    fn put(&self, text: &str) {
        let input = json!({ "QueueUrl": self.quarantine, "MessageBody": text });
        self.aws.call("sqs", "AmazonSQS.SendMessage", &input).expect("sent");
    }

    /// Puts a call that a provider signs under these settings and that came at a second.
    fn keep(&self, provider: &str, config: &Value, request: Request, signed: i64, received: i64) {
        self.put(&suspect(provider, config, request, signed, received).text());
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], env: &[(&'static str, String)]) -> Ran {
        let ran = run_in(&self.folder, &[&["quarantine"], arguments].concat(), env);
        for secret in [RIGHT, WRONG, FORGERS, "sha256="] {
            assert!(!ran.text.contains(secret), "{}", ran.text);
        }
        ran
    }

    #[track_caller]
    fn list(&self) -> String {
        let ran = self.run(&["list", "--queue", &self.quarantine], &operator(self.aws));
        assert!(ran.status.success(), "{}", ran.text);
        ran.text
    }

    #[track_caller]
    fn verify(&self, more: &[&str]) -> String {
        let arguments = [&["verify", "--queue", &self.quarantine], more].concat();
        let ran = self.run(&arguments, &operator(self.aws));
        assert!(ran.status.success(), "{}", ran.text);
        ran.text
    }

    #[track_caller]
    fn release_with(&self, more: &[&str], env: &[(&'static str, String)]) -> Ran {
        let arguments = ["release", "--queue", &self.quarantine, "--to", &self.events];
        self.run(&[&arguments, more].concat(), env)
    }

    #[track_caller]
    fn release(&self, more: &[&str]) -> String {
        let ran = self.release_with(more, &operator(self.aws));
        assert!(ran.status.success(), "{}", ran.text);
        ran.text
    }

    /// What anybody can see, taken away.
    fn visible(&self, url: &str) -> Vec<Message> {
        self.aws.receive(url, 0, Duration::ZERO)
    }

    fn sent(&self) -> Vec<Value> {
        let messages = self.visible(&self.events);
        messages.iter().map(|message| serde_json::from_str(&message.body).expect("JSON")).collect()
    }
}

/// A call that a provider signs at a second, as a function keeps it.
fn suspect(provider: &str, config: &Value, request: Request, signed: i64, received: i64) -> Suspect {
    as_kept(provider, config, &signed_at(entry(provider).provider, config, request, signed), received)
}

/// A call that is signed already as a function keeps it.
fn as_kept(provider: &str, config: &Value, request: &Request, received: i64) -> Suspect {
    let row = entry(provider).provider;
    let payload = Payload::read(&request.function_url_event_at(BodyAs::AwsDecides, received));
    let call = payload.call().expect("an event");
    let document = Document::read(row, &config.to_string()).expect("an object");
    let endpoint = document.endpoint(&call).expect("an endpoint");
    Suspect::of(row, endpoint, &call, received * 1000 + 7).expect("a signature that is no credential")
}

fn body() -> String {
    format!(r#"{{"action":"opened","note":"{CANARY}"}}"#)
}

/// From the function that refused it to the queue that it should have come to.
#[test]
fn an_operator_with_a_wrong_secret_gets_his_events_back() {
    let desk = Desk::new("release-github");
    let endpoint = desk.aws.endpoint();
    let function = Function::start(
        lambda::binary("github"),
        [
            ("QUEUE_URL", desk.events.clone()),
            ("QUARANTINE_QUEUE_URL", desk.quarantine.clone()),
            ("AWS_ENDPOINT_URL", endpoint),
            ("HOOKGATE_CONFIG", json!({ "secret": WRONG }).to_string()),
        ],
    );
    let before = jiff::Timestamp::now();
    for (secret, delivery) in [(RIGHT, "genuine-1"), (FORGERS, "forged"), (RIGHT, "genuine-2")] {
        let call = github_call(secret, delivery, body()).function_url_event(BodyAs::AwsDecides);
        assert_eq!(function.invoke(&call).status(), 401);
    }
    let after = jiff::Timestamp::now();
    let listed = desk.list();
    assert!(listed.contains("3 calls in quarantine"), "{listed}");
    assert_eq!(listed.matches("github").count(), 3, "{listed}");
    assert!(listed.contains(&format!("{} B", body().len())), "{listed}");

    // As long as the secret is wrong, nothing passes and nothing is taken away.
    desk.aws.put_parameter("/release/github", &json!({ "secret": WRONG }).to_string());
    let settings = ["--settings", "ssm:/release/{provider}"];
    let checked = desk.verify(&settings);
    assert!(checked.contains("0 of 3 calls would pass"), "{checked}");
    let released = desk.release(&settings);
    assert!(released.contains("0 calls released, 0 events"), "{released}");
    assert!(released.contains("3 stay: does not match: signature"), "{released}");
    assert_eq!(desk.sent(), Vec::<Value>::new());

    desk.aws.put_parameter("/release/github", &json!({ "secret": RIGHT }).to_string());
    let checked = desk.verify(&settings);
    assert!(checked.contains("2 of 3 calls would pass"), "{checked}");
    assert_eq!(checked.matches("passes, 1 event").count(), 2, "{checked}");
    assert_eq!(checked.matches("does not match: signature").count(), 1, "{checked}");
    assert_eq!(desk.sent(), Vec::<Value>::new(), "a check sends nothing");

    let released = desk.release(&settings);
    assert!(released.contains("2 calls released, 2 events"), "{released}");
    assert!(released.contains("1 stay: does not match: signature"), "{released}");
    let sent = desk.sent();
    let deliveries: BTreeSet<&str> = sent.iter().map(|event| event["deliveryid"].as_str().unwrap()).collect();
    assert_eq!(deliveries, ["genuine-1", "genuine-2"].into());
    for event in &sent {
        assert_eq!(
            (event["provider"].as_str(), event["assurance"].as_str()),
            (Some("github"), Some("signed"))
        );
        assert_eq!(event["data"]["note"], CANARY);
        assert_eq!(event.get("replayed"), None, "it comes for the first time");
        let received: jiff::Timestamp = event["receivedtime"].as_str().unwrap().parse().unwrap();
        let to_the_millisecond = |time: jiff::Timestamp| time.as_millisecond();
        assert!(
            (to_the_millisecond(before)..=to_the_millisecond(after)).contains(&received.as_millisecond()),
            "{received} is no time of its call"
        );
    }
    let left = desk.visible(&desk.quarantine);
    assert_eq!(left.len(), 1, "the forged one stays");
    assert_eq!(Suspect::read(&left[0].body).unwrap().headers["x-github-delivery"], "forged");
}

/// The clock of the check is the time when the call came: weeks later a signed time is fresh still, and one that was old
/// then is old now.
#[test]
fn the_time_of_receiving_is_the_clock() {
    let desk = Desk::new("release-stripe");
    let config = json!({ "secret": RIGHT });
    let call = |id: &str| {
        let body = format!(r#"{{"id":"{id}","object":"event","type":"invoice.paid","created":1795499990}}"#);
        Request::post("application/json", body)
    };
    let weeks_ago = CLOCK - 60 * 86_400;
    desk.keep("stripe", &config, call("evt_fresh"), weeks_ago, weeks_ago + 2);
    desk.keep("stripe", &config, call("evt_stale"), weeks_ago, weeks_ago + 601);
    desk.folder.write("hookgate.toml", &format!("[stripe]\nsecret = [\"{WRONG}-old\", \"{RIGHT}\"]\n"));
    let checked = desk.verify(&[]);
    assert!(checked.contains("1 of 2 calls would pass"), "{checked}");
    assert!(checked.contains("the signed time is outside the window"), "{checked}");
    let released = desk.release(&[]);
    assert!(released.contains("1 call released, 1 event"), "{released}");
    let sent = desk.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(
        (sent[0]["id"].as_str(), sent[0]["assurance"].as_str()),
        (Some("evt_fresh"), Some("signed-fresh"))
    );
    let received = jiff::Timestamp::from_millisecond((weeks_ago + 2) * 1000 + 7).unwrap();
    assert_eq!(sent[0]["receivedtime"].as_str(), Some(received.to_string().as_str()));
    assert_eq!(desk.visible(&desk.quarantine).len(), 1);
}

/// Id, time and URL are signed, and stand outside the body.
#[test]
fn what_is_signed_outside_the_body_was_kept() {
    let desk = Desk::new("release-generic");
    let settings = |secret: &str| {
        json!({ "endpoints": { "shop": { "secret": secret, "signature": {
            "header": "x-signature", "signed": ["id", ".", "timestamp", ".", "url", "\n", "body"],
            "timestamp_header": "x-time", "id_header": "x-id",
        } } } })
    };
    let request = |id: &str| {
        let (time, query, body) = (CLOCK.to_string(), "a=1&b=%2F", body());
        let mut mac = Hmac::<Sha256>::new_from_slice(RIGHT.as_bytes()).expect("a key");
        mac.update(format!("{id}.{time}.https://{URL_HOST}/shop?{query}\n{body}").as_bytes());
        let request = Request::post("application/json", body).at("/shop");
        let request =
            Request { query: query.to_owned(), ..request }.header("x-id", id).header("x-time", &time);
        request.header("x-signature", &hex::encode(mac.finalize().into_bytes()))
    };
    let kept = |id: &str| as_kept("generic", &settings(RIGHT), &request(id), CLOCK);
    desk.put(&kept("one").text());
    let mut elsewhere = kept("two");
    elsewhere.query = "a=2&b=%2F".to_owned();
    let mut renamed = kept("three");
    renamed.headers.insert("x-id".to_owned(), "four".to_owned());
    let mut nowhere = kept("five");
    nowhere.path = "/another".to_owned();
    for changed in [elsewhere, renamed, nowhere] {
        desk.put(&changed.text());
    }

    let arn = desk.aws.create_secret("release-generic", &settings(RIGHT).to_string());
    let checked = desk.verify(&["--settings", &format!("secretsmanager:{arn}")]);
    assert!(checked.contains("1 of 4 calls would pass") && checked.contains("no such endpoint"), "{checked}");
    let released = desk.release(&["--settings", &format!("secretsmanager:{arn}")]);
    assert!(released.contains("1 call released"), "{released}");
    assert!(released.contains("2 stay: does not match: signature"), "{released}");
    let sent = desk.sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0]["source"], "/hookgate/generic/shop");
    assert_eq!(desk.visible(&desk.quarantine).len(), 3);
}

#[test]
fn what_is_no_event_or_no_call_stays() {
    let desk = Desk::new("release-strangers");
    let slack = json!({ "signing_secret": RIGHT });
    let challenge = Request::post("application/json", r#"{"type":"url_verification","challenge":"abc"}"#);
    desk.keep("slack", &slack, challenge, CLOCK, CLOCK);
    let github = json!({ "secret": RIGHT });
    let plain = |id: &str| {
        Request::post("application/json", body())
            .header("x-github-event", "issues")
            .header("x-github-delivery", id)
    };
    desk.keep("github", &github, plain("one"), CLOCK, CLOCK);
    let mut odd = suspect("github", &github, plain("two"), CLOCK, CLOCK);
    odd.provider = "nobody\u{1b}[31m\u{202e}".to_owned();
    desk.put(&odd.text());
    desk.put("no call at all");
    desk.put(&json!({ "specversion": "1.0", "id": "an event", "source": "/hookgate/github" }).to_string());

    let config = format!("[slack]\nsigning_secret = \"{RIGHT}\"\n\n[github]\nsecret = \"{RIGHT}\"\n");
    desk.folder.write("hookgate.toml", &config);
    let listed = desk.list();
    assert!(listed.contains("3 calls in quarantine"), "{listed}");
    assert!(listed.contains("2 messages that are no calls of a quarantine stay"), "{listed}");
    assert!(!listed.contains(['\u{1b}', '\u{202e}']), "{listed:?}");
    let checked = desk.verify(&["--provider", "github"]);
    assert!(checked.contains("1 of 1 call would pass"), "{checked}");
    assert!(checked.contains("2 messages of other providers stay"), "{checked}");

    let released = desk.release(&[]);
    for part in ["1 call released", "1 stay: a handshake, no event", "1 stay: no provider is called so"] {
        assert!(released.contains(part), "{part}: {released}");
    }
    assert_eq!(desk.sent().len(), 1);
    assert_eq!(desk.visible(&desk.quarantine).len(), 4);
}

#[test]
fn a_limit_takes_the_oldest() {
    let desk = Desk::new("release-limit");
    let github = json!({ "secret": RIGHT });
    for i in (0..3).rev() {
        let call = Request::post("application/json", body()).header("x-github-delivery", &i.to_string());
        desk.keep("github", &github, call, CLOCK + i, CLOCK + i);
    }
    desk.folder.write("hookgate.toml", &format!("[github]\nsecret = \"{RIGHT}\"\n"));
    let released = desk.release(&["--limit", "2"]);
    assert!(released.contains("2 calls released, 2 events") && released.contains("--limit"), "{released}");
    let deliveries: Vec<Value> = desk.sent().iter().map(|event| event["deliveryid"].clone()).collect();
    assert_eq!(deliveries, ["0", "1"]);
    assert_eq!(desk.visible(&desk.quarantine).len(), 1);
}

#[test]
fn a_large_event_goes_by_the_bucket_or_stays() {
    let desk = Desk::new("release-large");
    let bucket = "release-large";
    desk.aws.create_bucket(bucket);
    let large = format!(r#"{{"note":"{CANARY}","pad":"{}"}}"#, "x".repeat(4000));
    let call = Request::post("application/json", large.clone()).header("x-github-delivery", "large");
    desk.keep("github", &json!({ "secret": RIGHT }), call, CLOCK, CLOCK);
    desk.folder.write("hookgate.toml", &format!("[github]\nsecret = \"{RIGHT}\"\n"));
    let ran = desk.release_with(&["--max-bytes", "2048"], &operator(desk.aws));
    assert!(ran.status.code() == Some(1) && ran.text.contains("1 stay: the event is larger"), "{}", ran.text);
    let released = desk.release(&["--max-bytes", "2048", "--claim-check-bucket", bucket]);
    assert!(released.contains("1 call released"), "{released}");
    let sent = desk.sent();
    let reference = sent[0]["dataref"].as_str().expect("a reference");
    let key = reference.strip_prefix(&format!("s3://{bucket}/")).expect("its bucket");
    assert_eq!(desk.aws.object(bucket, key), large.into_bytes());
    assert_eq!(desk.visible(&desk.quarantine), []);
}

#[test]
fn a_call_stays_until_its_events_are_confirmed() {
    let desk = Desk::new("release-unsent");
    let call = Request::post("application/json", body()).header("x-github-delivery", "once");
    desk.keep("github", &json!({ "secret": RIGHT }), call, CLOCK, CLOCK);
    desk.folder.write("hookgate.toml", &format!("[github]\nsecret = \"{RIGHT}\"\n"));
    let denied = front(desk.aws, |action, _| match action {
        "SendMessage" => Act::Refuse(403, "AccessDenied"),
        _ => Act::Pass,
    });
    let ran = desk.release_with(&[], &through(&denied));
    assert_eq!(ran.status.code(), Some(1), "{}", ran.text);
    for part in ["0 calls released", "may not send to it", "ended early"] {
        assert!(ran.text.contains(part), "{part}: {}", ran.text);
    }
    assert!(desk.list().contains("1 call in quarantine"), "for everybody to see again");

    // Killed after the event was sent: it is there twice in the end, as with any retry, under one id.
    let (reached, at_delete) = mpsc::channel();
    let reached = Mutex::new(reached);
    let front = front(desk.aws, move |action, _| match action {
        "DeleteMessageBatch" => {
            let _ = reached.lock().unwrap().send(());
            Act::Silence
        }
        _ => Act::Pass,
    });
    let config = desk.folder.write("again.toml", &format!("[github]\nsecret = \"{RIGHT}\"\n"));
    let config = config.display().to_string();
    let arguments =
        ["quarantine", "release", "--queue", &desk.quarantine, "--to", &desk.events, "--config", &config];
    let (_folder, mut child) = start(&arguments, &through(&front));
    at_delete.recv_timeout(SOON).expect("a deletion");
    child.kill().expect("a child");
    child.wait().expect("a child");
    front.show_again();
    assert!(desk.release(&[]).contains("1 call released"));
    let sent = desk.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0]["id"], sent[1]["id"]);
    assert_eq!(desk.visible(&desk.quarantine), []);
}

#[test]
fn what_an_operator_has_to_mend_is_said() {
    let desk = Desk::new("release-mend");
    let call = Request::post("application/json", body()).header("x-github-delivery", "x");
    desk.keep("github", &json!({ "secret": RIGHT }), call, CLOCK, CLOCK);
    let gone = format!("{}-gone", desk.quarantine);
    let verify = ["verify", "--queue", &desk.quarantine];
    for (arguments, fails, why) in [
        (vec!["list", "--queue", &gone], true, "there is no such queue"),
        (
            [&verify[..], &["--settings", RIGHT]].concat(),
            true,
            "--settings is ssm:NAME or secretsmanager:NAME",
        ),
        (
            [&verify[..], &["--settings", "ssm:/none/{provider}"]].concat(),
            false,
            "there is no parameter or secret",
        ),
        (verify.to_vec(), false, "hookgate.toml is not there"),
        (vec!["release", "--queue", &desk.events, "--to", &desk.events], true, "are the same queue"),
    ] {
        let ran = desk.run(&arguments, &operator(desk.aws));
        assert_eq!(ran.status.code(), Some(i32::from(fails)), "{arguments:?}: {}", ran.text);
        assert!(ran.text.contains(why), "{arguments:?}: {}", ran.text);
    }
    // A table whose value is no secret's.
    desk.folder.write("hookgate.toml", "[github]\nsecret = \"\"\n");
    let checked = desk.verify(&[]);
    assert!(
        checked.contains("0 of 1 call would pass") && checked.contains("its settings cannot be used"),
        "{checked}"
    );
    assert_eq!(desk.visible(&desk.quarantine).len(), 1);
}
