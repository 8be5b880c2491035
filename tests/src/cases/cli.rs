//! The command `hookgate` as a person runs it: every test drives the built binary.

use crate::http::{Answer, Reply, Server};
use crate::lambda::{self, ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::sqs::Sqs;
use crate::vector;
use hmac::{Hmac, KeyInit, Mac};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sha2::Sha256;
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use ureq::Agent;

/// In every settings file here: it may be seen nowhere.
const CANARY: &str = "canary-0123456789abcdef";
const WAIT: Duration = Duration::from_secs(20);

/// A configuration with several shapes of settings and kinds of check.
const CONFIG: &str = r#"
[github]
secret = "canary-0123456789abcdef"

[stripe.endpoints.acme]
secret = "canary-0123456789abcdef"

[stripe.endpoints.other]
secret = ["canary-0123456789abcdef-other"]

[telegram]
secret_token = "canary-0123456789abcdef"

# Called at /slack/slack and not at /slack.
[slack.endpoints.slack]
signing_secret = "canary-0123456789abcdef"

[facebook]
app_secret = "canary-0123456789abcdef"
verify_token = "canary-0123456789abcdef"

[zalo]
app_id = 360846524940903967
oa_secret_key = "canary-0123456789abcdef"
site_verification = "throw-away-token"

[generic.endpoints.basic]
basic_auth = { username = "shop", password = "canary-0123456789abcdef" }

[generic.endpoints.query]
token = "canary-0123456789abcdef"
token_query = "key"

[generic.endpoints.url]
secret = "canary-0123456789abcdef"
url = "https://hooks.example.com/in"
signature = { header = "X-Signature", encoding = "base64", signed = ["url", "body"] }
"#;

/// A folder of a test's own, gone when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("hookgate-cli-{}-{count}", std::process::id()));
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a new file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("a mode");
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The command, in a folder and without anything of the test's environment.
pub(super) fn hookgate(folder: &Folder, arguments: &[&str]) -> Command {
    let mut command = Command::new(lambda::binary("hookgate"));
    command.env_clear().env("TMPDIR", &folder.0).current_dir(&folder.0).args(arguments).stdin(Stdio::null());
    command
}

pub(super) struct Ran {
    pub status: ExitStatus,
    /// stdout and stderr, as they came.
    pub text: String,
}

/// Runs a command that has to end by itself.
#[track_caller]
fn run(folder: &Folder, arguments: &[&str]) -> Ran {
    run_with(folder, arguments, &[])
}

#[track_caller]
pub(super) fn run_with(folder: &Folder, arguments: &[&str], env: &[(&str, &str)]) -> Ran {
    let (ours, out) = io::pipe().expect("a pipe");
    let mut command = hookgate(folder, arguments);
    command.envs(env.iter().copied()).stderr(out.try_clone().expect("a second end")).stdout(out);
    let mut child = command.spawn().expect("the command runs");
    // Its ends of the pipe have to close, or the text would never end.
    drop(command);
    let reader = thread::spawn(move || io::read_to_string(ours).expect("UTF-8"));
    let until = Instant::now() + WAIT;
    let status = loop {
        match child.try_wait().expect("a child") {
            Some(status) => break status,
            None if Instant::now() < until => thread::sleep(Duration::from_millis(2)),
            None => {
                child.kill().expect("a child");
                child.wait().expect("a child");
                panic!("{arguments:?} does not end: {}", reader.join().expect("what it said"));
            }
        }
    };
    Ran { status, text: reader.join().expect("what it said") }
}

/// `hookgate dev`, killed when dropped.
pub(super) struct Dev {
    child: Child,
    address: String,
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Dev {
    fn start(folder: &Folder, config: &str, arguments: &[&str]) -> Dev {
        folder.write("hookgate.toml", config);
        Dev::of(hookgate(folder, &[&["dev", "--port", "0"], arguments].concat()))
    }

    pub(super) fn of(mut command: Command) -> Dev {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the command runs");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines().map_while(Result::ok);
        let first = lines.next().expect("a first line");
        let address = first.split("http://").nth(1).and_then(|rest| rest.split(';').next());
        let address = address.unwrap_or_else(|| panic!("no address in {first}")).to_owned();
        let kept = Arc::new(Mutex::new(vec![first]));
        let of_reader = kept.clone();
        let reader = thread::spawn(move || lines.for_each(|line| of_reader.lock().unwrap().push(line)));
        Dev { child, address, lines: kept, reader: Some(reader) }
    }

    pub(super) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits until a line holds a text, and gives it.
    #[track_caller]
    fn line_with(&self, text: &str) -> String {
        let until = Instant::now() + WAIT;
        loop {
            let lines = self.lines.lock().unwrap().clone();
            if let Some(line) = lines.iter().find(|line| line.contains(text)) {
                return line.clone();
            }
            assert!(Instant::now() < until, "no line with {text:?} in {lines:#?}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends a signal, waits for the end, and gives how it ended and all it said.
    fn end(mut self, signal: Signal) -> (ExitStatus, String) {
        kill_process(Pid::from_child(&self.child), signal).expect("a living process");
        let status = self.child.wait().expect("a child");
        self.reader.take().expect("once").join().expect("the reader ends");
        let lines = self.lines.lock().unwrap().join("\n");
        (status, lines)
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(super) fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(WAIT))
        .build()
        .new_agent()
}

/// A call of GitHub's, signed by code of this file's own.
fn github(dev: &Dev, event: &str, delivery: &str, body: &[u8]) -> u16 {
    let mut mac = Hmac::<Sha256>::new_from_slice(CANARY.as_bytes()).expect("a key");
    mac.update(body);
    let signature = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
    let request = agent()
        .post(dev.url("/github"))
        .header("content-type", "application/json")
        .header("x-github-event", event)
        .header("x-github-delivery", delivery)
        .header("x-hub-signature-256", signature);
    request.send(body).expect("an answer").status().as_u16()
}

/// The lines of an events file, each of which has to be a CloudEvent.
#[track_caller]
fn events(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("an events file");
    assert!(text.is_empty() || text.ends_with('\n'), "the last line has no end");
    text.lines().map(cloud_event).collect()
}

#[track_caller]
fn cloud_event(line: &str) -> Value {
    let event: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    assert_eq!(event["specversion"], "1.0", "{line}");
    for name in ["id", "source", "type", "provider", "assurance", "receivedtime", "calldigest"] {
        assert!(event[name].as_str().is_some_and(|text| !text.is_empty()), "no {name}: {line}");
    }
    assert!(event.get("data").is_some() != event.get("data_base64").is_some(), "{line}");
    event
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

#[test]
fn the_demo_sends_everything_and_says_what_came_of_it() {
    let folder = Folder::new();
    for width in [40, 80, 100] {
        let Ran { status, text } = run_with(&folder, &["demo"], &[("COLUMNS", &width.to_string())]);
        assert!(status.success(), "{text}");
        assert!(!text.contains(['\u{1b}', '✗']), "{text}");

        let demo = fs::read_dir(&folder.0).unwrap().flatten().map(|entry| entry.path());
        let demo = demo.filter(|path| path.is_dir()).find(|path| text.contains(path.to_str().unwrap()));
        let demo = demo.expect("the folder it names");
        let file = demo.join("events.jsonl");
        let events = events(&file);
        let accepted = format!("{} events accepted", events.len());
        assert!(text.contains(&accepted), "{accepted}: {text}");
        assert_eq!((mode(&demo), mode(&file)), (0o700, 0o600));

        // Each provider has a sample and an event; each sample and each forgery has a line.
        let named: BTreeSet<&str> = events.iter().filter_map(|event| event["provider"].as_str()).collect();
        let samples: usize = registry::ENTRIES.iter().map(|entry| entry.samples.len()).sum();
        for entry in registry::ENTRIES {
            assert!(!entry.samples.is_empty(), "{} has no sample", entry.provider.name);
            assert!(named.contains(entry.provider.name), "{} has no event", entry.provider.name);
        }
        let refused = text.matches("✓ 401").count();
        assert!(refused >= registry::ENTRIES.len(), "{text}");
        assert_eq!(text.matches("✓ 20").count(), samples, "{text}");
        assert!(text.contains(&format!("{refused} forgeries refused")), "{text}");
        let table =
            text.lines().skip_while(|line| !line.contains("answer")).take_while(|line| !line.is_empty());
        if width >= 80 {
            for line in table {
                assert!(line.chars().count() <= width, "wider than {width}: {line}");
            }
        }
    }
}

#[test]
fn colours_are_there_only_where_they_are_wanted() {
    let folder = Folder::new();
    let with =
        |name: &str, value: &str| run_with(&folder, &["providers"], &[(name, value)]).text.contains('\u{1b}');
    assert!(with("CLICOLOR_FORCE", "1"));
    assert!(!with("NO_COLOR", "1"));
    assert!(!with("TERM", "xterm-256color"), "a pipe gets no colours");
}

#[test]
fn a_bad_configuration_is_refused_with_every_problem_at_once() {
    let folder = Folder::new();
    let cases: &[(&str, &str, &[&str])] = &[
        ("empty", "", &["is empty", "[github]", "Providers:"]),
        ("comment", "# nothing yet\n", &["is empty"]),
        ("unquoted", "[github]\nsecret = canary-0123456789abcdef\n", &["is not TOML", "line 2, column 10"]),
        ("unclosed", "[github]\nsecret = \"canary-0123456789abcdef\n", &["is not TOML", "line 2"]),
        (
            "twice",
            "[github]\nsecret = \"canary-0123456789abcdef\"\nsecret = \"canary-0123456789abcdef\"\n",
            &["is not TOML", "line 3"],
        ),
        (
            "provider",
            "[githb]\nsecret = \"canary-0123456789abcdef\"\n",
            &["githb is no provider", "did you mean `github`?"],
        ),
        ("value as a name", "[canary-0123456789abcdef]\nx = 1\n", &["is no provider"]),
        ("outside", "secret = \"canary-0123456789abcdef\"\n", &["secret stands outside a table"]),
        ("no table", "github = \"canary-0123456789abcdef\"\n", &["github must be a table"]),
        ("missing", "[github]\n", &["github.secret is missing", "Settings > Webhooks", "secret = \"…\""]),
        ("empty value", "[github]\nsecret = \" \"\n", &["github.secret is empty", "Settings > Webhooks"]),
        ("empty list", "[github]\nsecret = []\n", &["github.secret has no usable value"]),
        (
            "white space",
            "[github]\nsecret = \"canary-0123456789abcdef \"\n",
            &["github.secret begins or ends with white space"],
        ),
        ("kind", "[github]\nsecret = true\n", &["github.secret must be a text or a list of texts"]),
        ("date", "[github]\nsecret = 2026-11-24\n", &["github.secret must be a text"]),
        (
            "unknown",
            "[github]\nsecret = \"canary-0123456789abcdef\"\nsecert = \"canary-0123456789abcdef\"\n",
            &["github.secert is not a setting", "did you mean `secret`?"],
        ),
        (
            "endpoint",
            "[stripe.endpoints.acme]\nsecret = \"\"\n[stripe.endpoints.other]\n",
            &[
                "stripe.endpoints.acme.secret is empty",
                "stripe.endpoints.other.secret is missing",
                "2 problems",
            ],
        ),
        ("no endpoint", "[stripe.endpoints]\n", &["stripe.endpoints must be an object"]),
        (
            "half",
            "[generic]\nsecret = \"canary-0123456789abcdef\"\n",
            &["generic.signature is missing", "how the sender signs"],
        ),
        (
            "several",
            "[github]\n[slack]\n[zalo]\napp_id = \"\"\n[nothing]\n",
            &[
                "5 problems",
                "github.secret is missing",
                "slack.signing_secret is missing",
                "Slack: api.slack.com/apps",
                "zalo.app_id is empty",
                "zalo.oa_secret_key is missing",
                "nothing is no provider",
            ],
        ),
    ];
    for (case, config, needles) in cases {
        folder.write("hookgate.toml", config);
        let ran = run(&folder, &["dev", "--port", "0"]);
        assert_eq!(ran.status.code(), Some(1), "{case}: {}", ran.text);
        for needle in *needles {
            assert!(ran.text.contains(needle), "{case}: {needle:?} is missing in\n{}", ran.text);
        }
        assert!(!ran.text.contains(CANARY), "{case}: {}", ran.text);
        assert!(!folder.0.join("hookgate-events.jsonl").exists(), "{case}: it got as far as the events");
    }
    fs::remove_file(folder.0.join("hookgate.toml")).unwrap();
    let ran = run(&folder, &["dev"]);
    assert_eq!(ran.status.code(), Some(1));
    assert!(ran.text.contains("hookgate.toml is not there") && ran.text.contains("[github]"), "{}", ran.text);
    fs::write(folder.0.join("hookgate.toml"), b"[github]\nsecret = \"\xff\"\n").unwrap();
    let ran = run(&folder, &["dev"]);
    assert!(ran.status.code() == Some(1) && ran.text.contains("is not text in UTF-8"), "{}", ran.text);
}

#[test]
fn advice_only_warns() {
    let folder = Folder::new();
    folder.write("hookgate.toml", "[github]\nsecret = \"canary-01\"\n");
    let mut command = hookgate(&folder, &["dev", "--port", "0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut said).unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut first).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.contains("warning: github.secret is shorter than 16 bytes"), "{said}");
    assert!(!said.contains("canary-01") && first.contains("http://127.0.0.1:"), "{said}{first}");
}

#[test]
fn what_is_sent_is_answered_as_it_deserves() {
    let folder = Folder::new();
    let dev = Dev::start(&folder, CONFIG, &[]);
    let providers: &[(&str, &str, &[&str], &[&str])] = &[
        ("github", "", &["body", "signature", "secret", "missing"], &["stale"]),
        ("stripe", "acme", &["body", "signature", "secret", "missing", "stale"], &[]),
        ("stripe", "other", &["body", "signature", "secret", "missing", "stale"], &[]),
        ("slack", "", &["body", "signature", "secret", "missing", "stale"], &[]),
        ("telegram", "", &["signature", "secret", "missing"], &["body", "stale"]),
        ("facebook", "", &["body", "signature", "secret", "missing"], &["stale"]),
        ("zalo", "", &["body", "signature", "secret", "missing"], &["stale"]),
        ("generic", "basic", &["signature", "secret", "missing"], &["body", "stale"]),
        ("generic", "url", &["body", "signature", "secret", "missing"], &["stale"]),
        ("generic", "query", &["signature", "secret", "missing"], &["body", "stale"]),
    ];
    for (provider, endpoint, forgeries, nonsense) in providers {
        let to = dev.url(&format!("/{provider}"));
        let send = |more: &[&str]| {
            let mut arguments = vec!["send", provider, "--to", &to];
            arguments.extend(more);
            if !endpoint.is_empty() {
                arguments.extend(["--endpoint", endpoint]);
            }
            let ran = run(&folder, &arguments);
            assert!(!ran.text.contains(CANARY), "{arguments:?}: {}", ran.text);
            ran
        };
        let ran = send(&[]);
        assert!(ran.status.success() && ran.text.contains("✓ 200"), "{provider}: {}", ran.text);
        for kind in *forgeries {
            let ran = send(&["--forge", kind]);
            assert!(ran.status.success() && ran.text.contains("✓ 401"), "{provider} {kind}: {}", ran.text);
        }
        for kind in *nonsense {
            let ran = send(&["--forge", kind]);
            assert_eq!(ran.status.code(), Some(1), "{provider} {kind}: {}", ran.text);
            assert!(ran.text.contains("cannot be told"), "{provider} {kind}: {}", ran.text);
        }
        let entry = registry::find(provider).expect("a provider");
        for sample in entry.samples.iter().filter(|sample| !sample.is_handshake()) {
            let mut arguments = vec!["send", provider, sample.name, "--to", &to];
            if !endpoint.is_empty() {
                arguments.extend(["--endpoint", endpoint]);
            }
            let ran = run(&folder, &arguments);
            assert!(ran.status.success(), "{provider} {}: {}", sample.name, ran.text);
        }
        let handshakes = entry.samples.iter().filter(|sample| sample.is_handshake()).count();
        let ran = send(&["--handshake"]);
        assert_eq!(ran.status.success(), handshakes > 0, "{provider}: {}", ran.text);
        assert_eq!(ran.text.matches("✓ 200").count(), handshakes, "{provider}: {}", ran.text);
    }
    assert!(
        run(&folder, &["send", "facebook", "--handshake", "--to", &dev.url("/facebook")])
            .text
            .contains("1158201444")
    );

    let refused = dev.line_with("refused: does not match: signature");
    assert!(refused.contains("401"), "{refused}");
    let (_, said) = dev.end(Signal::KILL);
    assert!(!said.contains(CANARY), "{said}");
}

/// Where the provider alone has the private key, an empty table stands for the throw-away one of local trials, and a real
/// public key says why its samples cannot be signed.
#[test]
fn an_empty_table_serves_for_local_trials() {
    let folder = Folder::new();
    let dev = Dev::start(&folder, "[discord]\n[sendgrid]\n", &[]);
    for provider in ["discord", "sendgrid"] {
        let to = dev.url(&format!("/{provider}"));
        for sample in registry::find(provider).expect("a provider").samples {
            let ran = run(&folder, &["send", provider, sample.name, "--to", &to]);
            assert!(ran.status.success() && ran.text.contains("✓ 20"), "{}: {}", sample.name, ran.text);
        }
        for kind in ["body", "signature", "secret", "missing", "stale"] {
            let ran = run(&folder, &["send", provider, "--to", &to, "--forge", kind]);
            assert!(ran.status.success() && ran.text.contains("✓ 401"), "{provider} {kind}: {}", ran.text);
        }
        let own = vector::of(provider)[0].config()["public_key"].clone();
        let config = folder.write("own.toml", &format!("[{provider}]\npublic_key = {own}\n"));
        let ran = run(&folder, &["send", provider, "--to", &to, "--config", config.to_str().unwrap()]);
        assert!(!ran.status.success() && ran.text.contains("the provider alone can sign"), "{}", ran.text);
    }
    // A secret of the operator's own has no such stand-in.
    folder.write("hookgate.toml", "[stripe]\n");
    let ran = run(&folder, &["send", "stripe", "--to", &dev.url("/stripe")]);
    assert!(!ran.status.success() && ran.text.contains("stripe.secret"), "{}", ran.text);
}

#[test]
fn send_fails_when_the_answer_is_not_the_expected_one() {
    let folder = Folder::new();
    folder.write("hookgate.toml", CONFIG);
    let agreeable = Server::start(|_| Reply::Answer(Answer { status: 200, ..Answer::default() }));
    let to = format!("http://{}/github", agreeable.address);
    let ran = run(&folder, &["send", "github", "push", "--to", &to]);
    assert!(ran.status.success(), "{}", ran.text);
    let ran = run(&folder, &["send", "github", "push", "--to", &to, "--forge", "secret"]);
    assert!(ran.status.code() == Some(1) && ran.text.contains("✗ 200"), "{}", ran.text);
    drop(agreeable);

    let strict = Server::start(|_| {
        Reply::Answer(Answer { status: 503, body: b"\x1b[31mno".to_vec(), ..Answer::default() })
    });
    let to = format!("http://{}/github", strict.address);
    for forge in [&[][..], &["--forge", "missing"]] {
        let ran = run(&folder, &[&["send", "github", "--to", &to], forge].concat());
        assert!(ran.status.code() == Some(1) && ran.text.contains("✗ 503"), "{}", ran.text);
        assert!(!ran.text.contains('\u{1b}'), "{:?}", ran.text);
    }

    for (arguments, needle) in [
        (&["send", "githb"][..], "no provider is called `githb`"),
        (&["send", "github", "pusch"], "no sample `pusch`"),
        (&["send", "stripe"], "which endpoint?"),
        (&["send", "stripe", "--endpoint", "x"], "no endpoint is called `x`"),
        (&["send", "github", "--endpoint", "x"], "leave --endpoint out"),
        (&["send", "shopify"], "no table for shopify"),
        (&["send", "github", "--to", "127.0.0.1"], "is no URL"),
        (&["send", "github", "--handshake"], "asks nothing"),
        (&["send", "slack", "handshake-ssl-check", "--forge", "secret"], "only events are forged"),
        // Nothing listens on a port that a listener has just given up.
        (&["send", "github", "--to", &free_url()], "Is the gateway running?"),
    ] {
        let ran = run(&folder, arguments);
        assert_eq!(ran.status.code(), Some(1), "{arguments:?}: {}", ran.text);
        assert!(ran.text.contains(needle), "{arguments:?}: {}", ran.text);
    }
    let listed = run(&folder, &["send", "slack", "--list"]).text;
    for sample in registry::find("slack").unwrap().samples {
        assert!(listed.lines().any(|line| line.starts_with(sample.name)), "{listed}");
    }
}

fn free_url() -> String {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}/github", listener.local_addr().unwrap())
}

#[test]
fn http_is_answered_as_a_function_answers_it() {
    let folder = Folder::new();
    let dev = Dev::start(&folder, CONFIG, &[]);
    let agent = agent();
    let status =
        |path: &str, body: &[u8]| agent.post(dev.url(path)).send(body).expect("an answer").status().as_u16();
    // An endpoint that is unknown, none where there are several, one of a provider that has none.
    assert_eq!(status("/stripe/nobody", b"{}"), 401);
    assert_eq!(status("/stripe", b"{}"), 401);
    assert_eq!(status("/github/whatever", b"{}"), 401);
    assert_eq!(status("/", b"{}"), 404);
    assert_eq!(status("/shopify", b"{}"), 404, "a provider without a table");
    assert_eq!(status("/githubs", b"{}"), 404);
    dev.line_with(&format!("{:<10}  401 refused: no such endpoint", "stripe"));
    // The provider's own segment names no endpoint.
    assert_eq!(status("/slack", b"{\"type\":\"x\"}"), 401);
    dev.line_with(&format!("{:<10}  401 refused: no such endpoint", "slack"));

    let refused = agent.put(dev.url("/github")).send(&b"{}"[..]).unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()), (405, "POST"));
    let refused = agent.get(dev.url("/github")).call().unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()), (405, "POST"));
    let refused = agent.delete(dev.url("/facebook")).call().unwrap();
    assert_eq!((refused.status().as_u16(), refused.headers()["allow"].to_str().unwrap()), (405, "GET, POST"));

    let mut body = vec![b' '; 6_291_456];
    assert_eq!(status("/github", &body), 401, "the largest body is looked at");
    body.push(b' ');
    assert_eq!(status("/github", &body), 413);
    dev.line_with("413 the body is larger than 6291456 bytes");
    assert_eq!(status("/github", b"{}"), 401, "it still serves");

    // The page that proves who owns the host, at the host's root and below the provider.
    for path in
        ["/zalo_verifierthrow-away-token.html", "/zalo/zalo_verifierthrow-away-token.html", "/", "/zalo"]
    {
        let mut page = agent.get(dev.url(path)).call().unwrap();
        assert_eq!(page.status().as_u16(), 200, "{path}");
        assert_eq!(page.headers()["x-content-type-options"], "nosniff");
        assert!(page.body_mut().read_to_string().unwrap().contains("content=\"throw-away-token\""), "{path}");
    }
    for path in ["/zalo_verifierother.html", "/github/zalo_verifierthrow-away-token.html"] {
        let status = agent.get(dev.url(path)).call().unwrap().status().as_u16();
        assert!(matches!(status, 404 | 405), "{path}: {status}");
    }
    // Headers of one name are joined: two signatures are none.
    let request = agent.post(dev.url("/telegram"));
    let request = request
        .header("x-telegram-bot-api-secret-token", CANARY)
        .header("x-telegram-bot-api-secret-token", CANARY);
    assert_eq!(request.send(&b"{\"update_id\":1}"[..]).unwrap().status().as_u16(), 401);
    assert_eq!(events(&folder.0.join("hookgate-events.jsonl")), Vec::<Value>::new());
}

#[test]
fn what_is_answered_2xx_survives_a_kill() {
    let folder = Folder::new();
    let path = folder.0.join("hookgate-events.jsonl");
    for round in 0..5 {
        let dev = Dev::start(&folder, CONFIG, &[]);
        for call in 0..5 {
            let id = format!("{round}-{call}");
            assert_eq!(github(&dev, "push", &id, br#"{"ref":"refs/heads/main"}"#), 200);
        }
        dev.end(Signal::KILL);
        let ids: Vec<String> =
            events(&path).iter().map(|event| event["id"].as_str().unwrap().to_owned()).collect();
        let expected: Vec<String> =
            (0..=round).flat_map(|round| (0..5).map(move |call| format!("{round}-{call}"))).collect();
        assert_eq!(ids, expected);
    }
    assert_eq!(mode(&path), 0o600);
}

#[test]
fn calls_side_by_side_give_whole_lines() {
    let folder = Folder::new();
    let dev = Dev::start(&folder, CONFIG, &[]);
    thread::scope(|scope| {
        for sender in 0..8 {
            let dev = &dev;
            scope.spawn(move || {
                for call in 0..10 {
                    assert_eq!(github(dev, "push", &format!("{sender}-{call}"), b"{}"), 200);
                }
            });
        }
    });
    let events = events(&folder.0.join("hookgate-events.jsonl"));
    let ids: BTreeSet<&str> = events.iter().filter_map(|event| event["id"].as_str()).collect();
    assert_eq!((events.len(), ids.len()), (80, 80));
}

#[test]
fn a_line_that_was_cut_short_is_never_continued() {
    let folder = Folder::new();
    let whole = r#"{"whole":1}"#;
    let path = folder.write("events.jsonl", &format!("{whole}\n{{\"half\":"));
    let dev = Dev::start(&folder, CONFIG, &["--events", "events.jsonl"]);
    assert_eq!(github(&dev, "push", "after", b"{\n  \"ref\": \"refs/heads/main\"\r\n}"), 200);
    drop(dev);
    let text = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], [whole, "{\"half\":"]);
    assert_eq!(lines.len(), 3, "a body of several lines is an event of one");
    assert_eq!(cloud_event(lines[2])["id"], "after");
    assert!(text.ends_with('\n'));
}

#[test]
fn an_events_file_has_one_writer() {
    let folder = Folder::new();
    let dev = Dev::start(&folder, CONFIG, &[]);
    let ran = run(&folder, &["dev", "--port", "0"]);
    assert!(ran.status.code() == Some(1) && ran.text.contains("in use by another hookgate"), "{}", ran.text);
    let port = dev.address.rsplit(':').next().unwrap();
    let ran = run(&folder, &["dev", "--port", port, "--events", "other.jsonl"]);
    assert!(ran.status.code() == Some(1) && ran.text.contains("--port"), "{}", ran.text);
    let ran = run(&folder, &["dev", "--events", "/dev/null"]);
    assert!(ran.status.code() == Some(1) && ran.text.contains("is no file"), "{}", ran.text);
}

#[test]
fn an_event_that_cannot_be_kept_is_not_acknowledged() {
    let folder = Folder::new();
    let dev = Dev::start(&folder, CONFIG, &["--max-bytes", "2000"]);
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(2000));
    assert_eq!(github(&dev, "push", "large", body.as_bytes()), 503);
    dev.line_with("503 our fault: the event is larger than QUEUE_MAX_BYTES");
    assert_eq!(github(&dev, "push", "small", b"{}"), 200);
    let events = events(&folder.0.join("hookgate-events.jsonl"));
    assert_eq!(events.iter().map(|event| &event["id"]).collect::<Vec<_>>(), ["small"]);
}

#[test]
fn events_are_shown_without_what_moves_a_terminal() {
    let folder = Folder::new();
    let dev = Dev::start(&folder, CONFIG, &[]);
    let body =
        "{\"action\":\"\\u001b[31mred\\u0007\\u202e\",\"repository\":{\"full_name\":\"a/b\\r\\n\\u009b0m\"}}";
    assert_eq!(github(&dev, "issues", "shown", body.as_bytes()), 200);
    let line = dev.line_with("com.github.issues");
    for part in ["github", "shown", "a/b", "signed"] {
        assert!(line.contains(part), "{line}");
    }
    let agent = agent();
    let request = agent.post(dev.url("/github")).header("x-hub-signature-256", "sha256=not-to-be-seen");
    assert_eq!(request.send(&b"not-to-be-seen"[..]).unwrap().status().as_u16(), 401);
    dev.line_with("401 refused: malformed: signature");
    let (status, said) = dev.end(Signal::INT);
    assert!(status.success(), "{status}");
    assert!(said.contains("Stopped."), "{said}");
    assert!(!said.contains("not-to-be-seen") && !said.contains(CANARY), "{said}");
    let harmful = |c: char| c != '\n' && (c.is_control() || c == '\u{202e}');
    assert!(!said.contains(harmful), "{said:?}");
}

#[test]
fn a_queue_takes_the_place_of_the_file() {
    let folder = Folder::new();
    folder.write("hookgate.toml", CONFIG);
    let sqs = Sqs::start();
    let arguments = ["dev", "--port", "0", "--queue-url", &sqs.queue_url()];
    let ran = run(&folder, &arguments);
    assert_eq!(ran.status.code(), Some(1), "{}", ran.text);
    for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
        assert!(ran.text.contains(name), "{}", ran.text);
    }
    let mut command = hookgate(&folder, &arguments);
    command.envs([
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
        ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY),
        ("AWS_REGION", "us-east-1"),
    ]);
    let dev = Dev::of(command);
    assert_eq!(github(&dev, "push", "to-the-queue", b"{}"), 200);
    dev.line_with("to-the-queue");
    let messages = sqs.messages();
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0].attribute("type"), Some("com.github.push"));
    assert!(!folder.0.join("hookgate-events.jsonl").exists());

    drop(sqs);
    assert_eq!(github(&dev, "push", "lost", b"{}"), 503);
    dev.line_with("503 our fault: queue:");
}

#[test]
fn providers_are_listed_for_people_and_for_programs() {
    let folder = Folder::new();
    let json: Value = serde_json::from_str(&run(&folder, &["providers", "--json"]).text).expect("JSON");
    let markdown = run(&folder, &["providers", "--markdown"]).text;
    let table = run(&folder, &["providers"]).text;
    assert_eq!(markdown.lines().count(), registry::ENTRIES.len() + 2);
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    let columns = |line: &str| line.replace("\\|", "").matches('|').count();
    let width = markdown.lines().map(columns).collect::<BTreeSet<_>>();
    assert_eq!(width.len(), 1, "{markdown}");
    for (entry, facts) in registry::ENTRIES.iter().zip(json.as_array().expect("a list")) {
        let provider = entry.provider;
        assert_eq!(facts["name"], provider.name);
        assert_eq!(facts["settings"].as_array().map(Vec::len), Some(provider.settings.len()));
        assert!(table.contains(provider.name) && markdown.contains(provider.docs), "{}", provider.name);
        let details = run(&folder, &["providers", provider.name]).text;
        assert!(
            details.contains(provider.facts.proof) && details.contains(provider.facts.retries),
            "{details}"
        );
    }
}

/// The table in the documents is what the rows say. To renew it: `hookgate providers --markdown`.
#[test]
fn the_table_in_the_documents_is_that_of_the_rows() {
    let folder = Folder::new();
    let ran = run(&folder, &["providers", "--markdown"]);
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/providers.md");
    let document = fs::read_to_string(file).expect("docs/providers.md");
    assert!(ran.text.lines().count() > 2, "{}", ran.text);
    assert!(
        document.ends_with(&ran.text),
        "docs/providers.md is not what `hookgate providers --markdown` prints"
    );
}
