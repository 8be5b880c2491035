//! Secrets and configuration: what is missing, malformed, rotated or cannot be read. Built functions; numbers are those of
//! the cases.

use super::queue::side_by_side;
use super::support::{Bench, CLOCK, block_on, entry};
use super::transport::{
    SECRET, ZALO_APP, assert_fault, assert_refused, envelope, facebook_call, gate, github_call, mac, send,
    stripe_call, zalo_call,
};
use crate::clock::Clock;
use crate::event::{BodyAs, Request};
use crate::http::{Answer, Reply, Server, lock};
use crate::lambda::{self, Builder, Function, Outcome};
use crate::ministack::Ministack;
use crate::sqs::{Fault, Sqs};
use crate::vector::{self, Decision};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use shared::call::Payload;
use shared::event;
use shared::provider::Shape;
use shared::secret::Secret;
use shared::settings::{Document, Settings};
use shared::verify::verify;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

/// What must be seen nowhere.
const CANARY: &str = "CaNaRy-4b1e-of-a-secret";
/// The secret that comes after [`SECRET`].
const NEXT: &str = "the next throw-away secret of these tests";
/// Longer than any jump of a child's clock, so that none looks like the end of a call's time.
const PATIENT: Duration = Duration::from_secs(7 * 24 * 3600);

/// Systems Manager's one operation that a function calls, counted and failing on demand.
pub(super) struct ParameterStore {
    server: Server,
    desk: Arc<Mutex<Desk>>,
}

struct Desk {
    value: String,
    mood: Mood,
    requests: usize,
}

/// How [`ParameterStore`] answers.
#[derive(Debug, Clone)]
enum Mood {
    Good,
    After(Duration),
    Refusing(u16, &'static str),
    Says(&'static str),
    Silent,
    Reset,
    /// An answer of so many bytes.
    Long(usize),
}

impl ParameterStore {
    pub fn start(document: &Value) -> ParameterStore {
        let desk = Arc::new(Mutex::new(Desk { value: document.to_string(), mood: Mood::Good, requests: 0 }));
        let of_server = desk.clone();
        let server = Server::start(move |call| {
            let (value, mood) = {
                let mut desk = lock(&of_server);
                desk.requests += 1;
                (desk.value.clone(), desk.mood.clone())
            };
            let asked = call.header("x-amz-target") == "AmazonSSM.GetParameter"
                && call.body == br#"{"Name":"/hookgate/github","WithDecryption":true}"#;
            let answer = |status, body: String| {
                let headers = vec![("content-type", "application/x-amz-json-1.1".into())];
                Reply::Answer(Answer { status, headers, body: body.into_bytes() })
            };
            let parameter = |value: String| json!({ "Parameter": { "Value": value } }).to_string();
            match mood {
                _ if !asked => answer(400, json!({ "__type": "ValidationException" }).to_string()),
                Mood::Good => answer(200, parameter(value)),
                Mood::After(time) => {
                    thread::sleep(time);
                    answer(200, parameter(value))
                }
                Mood::Refusing(status, kind) => {
                    answer(status, json!({ "__type": kind, "message": value }).to_string())
                }
                Mood::Says(text) => answer(200, text.into()),
                Mood::Silent => Reply::Silence,
                Mood::Reset => Reply::Reset,
                Mood::Long(bytes) => answer(200, parameter(" ".repeat(bytes))),
            }
        });
        ParameterStore { server, desk }
    }

    /// For `AWS_ENDPOINT_URL_SSM`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        lock(&self.desk).requests
    }

    fn put(&self, document: &Value) {
        lock(&self.desk).value = document.to_string();
    }

    fn is(&self, mood: Mood) {
        lock(&self.desk).mood = mood;
    }
}

/// A function that reads its settings from there, for a day unless told otherwise.
fn remote(provider: &str, sqs: &Sqs, store: &ParameterStore) -> Builder {
    gate(provider, sqs, &json!({}))
        .env("HOOKGATE_CONFIG", "ssm:/hookgate/github")
        .env("HOOKGATE_CONFIG_TTL", "86400")
        .env("AWS_ENDPOINT_URL_SSM", store.endpoint())
}

/// A wall clock that the test moves while the child runs. Its timers run on.
pub(super) struct MovingClock(PathBuf);

impl MovingClock {
    pub fn new(name: &str) -> MovingClock {
        let clock = MovingClock(env::temp_dir().join(format!("hookgate-clock-{}-{name}", process::id())));
        clock.ahead_by(0);
        clock
    }

    pub fn ahead_by(&self, seconds: u32) {
        // Renamed into place: the child may be reading.
        let unfinished = self.0.with_extension("new");
        fs::write(&unfinished, format!("+{seconds}\n")).expect("a file for the clock");
        fs::rename(&unfinished, &self.0).expect("its name");
    }

    pub fn of(&self, builder: Builder) -> Builder {
        let preload = Clock::StartsAt(0).environment().into_iter().find(|(name, _)| name == "LD_PRELOAD");
        let (name, library) = preload.expect("libfaketime");
        builder
            .env(name, library)
            .env("FAKETIME_TIMESTAMP_FILE", &self.0)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
    }
}

impl Drop for MovingClock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn send_patiently(function: &Function, request: &Request) -> Outcome {
    function.invoke_within(&request.function_url_event(BodyAs::AwsDecides), PATIENT)
}

/// Sends it until it passes: a busy emulator may not answer in the time that a reading has, and the next one is due a
/// second later.
#[track_caller]
fn passes_before_long(function: &Function, request: &Request, what: &str) {
    let until = Instant::now() + Duration::from_secs(15);
    while send(function, request).status() != 200 {
        assert!(Instant::now() < until, "{what}");
        thread::sleep(Duration::from_millis(200));
    }
}

fn lines(logs: &str) -> Vec<Value> {
    logs.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no line of JSON: {line}")))
        .collect()
}

/// The lines of one kind that name a setting or have a reason with that text.
fn naming(logs: &str, level: &str, text: &str) -> usize {
    let of_text = |line: &Value| {
        [&line["reason"], &line["setting"]]
            .iter()
            .any(|field| field.as_str().is_some_and(|field| field.contains(text)))
    };
    lines(logs).iter().filter(|line| line["level"] == level && of_text(line)).count()
}

/// 36: with no usable secret nothing passes, and above all not a MAC under the empty one.
#[test]
fn no_secret_is_never_the_empty_secret() {
    let unusable = [
        json!({}),
        json!({ "secret": null }),
        json!({ "secret": "" }),
        json!({ "secret": "   " }),
        json!({ "secret": "\t\r\n" }),
        json!({ "secret": "\u{a0}\u{3000}" }),
        json!({ "secret": [] }),
        json!({ "secret": [""] }),
        json!({ "secret": ["", " "] }),
        json!({ "secret": [null] }),
        json!({ "secret": true }),
        json!({ "secret": 1.5 }),
        json!({ "secret": {} }),
        json!({ "secret": [[SECRET]] }),
        json!({ "Secret": SECRET }),
        json!({ "secret ": SECRET }),
    ];
    let sqs = Sqs::start();
    let keys =
        ["", " ", "   ", "null", "[]", "[\"\"]", "true", "1.5", "{}", "\t\r\n", "\u{a0}\u{3000}", SECRET];
    for config in &unusable {
        let function = gate("github", &sqs, config).start();
        for key in keys {
            assert_fault(&send(&function, &github_call(key, "d", "{}")), &format!("{config} {key:?}"));
        }
        let logs = function.stop();
        assert_eq!(naming(&logs, "error", "setting `secret`"), keys.len(), "one line for each call: {logs}");
        assert!(naming(&logs, "warn", "secret") > 0, "and said at the start: {logs}");
    }
    assert_eq!(sqs.connections(), 0);
}

/// 36: the same where no document is, or one that is none.
#[test]
fn a_document_that_is_none_serves_nothing() {
    let sqs = Sqs::start();
    for (document, reason) in [
        (None, "setting `secret`"),
        (Some(""), "setting `secret`"),
        (Some("  "), "setting `secret`"),
        (Some("{"), "not a JSON object"),
        (Some("[]"), "not a JSON object"),
        (Some("null"), "not a JSON object"),
        (Some("\"{}\""), "not a JSON object"),
        (Some(SECRET), "not a JSON object"),
        (Some("{\"secret\":\"\\ud800\"}"), "not a JSON object"),
        (Some("{\"secret\":\"a throw-away secret\"} x"), "not a JSON object"),
    ] {
        let mut function = Function::builder(lambda::binary("github"))
            .env("QUEUE_URL", sqs.queue_url())
            .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint());
        if let Some(document) = document {
            function = function.env("HOOKGATE_CONFIG", document);
        }
        let function = function.start();
        for key in ["", SECRET] {
            assert_fault(&send(&function, &github_call(key, "d", "{}")), &format!("{document:?}"));
        }
        let logs = function.stop();
        assert_eq!(naming(&logs, "error", reason), 2, "{document:?}: {logs}");
        assert!(!logs.contains(SECRET), "{logs}");
    }
    assert_eq!(sqs.connections(), 0);
}

/// 36, for every row and every secret that a genuine call of its vectors was checked with.
#[test]
fn every_row_is_closed_without_its_secret() {
    let mut tried = 0;
    for entry in registry::ENTRIES {
        for vector in vector::of(entry.provider.name).iter().filter(|v| v.decision() == Decision::Accept) {
            let config = vector.config();
            let secrets = entry.provider.settings.iter().filter(|setting| setting.shape == Shape::Secret);
            for setting in secrets.filter(|setting| config.get(setting.name).is_some()) {
                for bad in [
                    json!(""),
                    json!(" \t"),
                    json!([]),
                    json!([""]),
                    json!(["", null]),
                    json!(false),
                    json!({}),
                ] {
                    let mut config = config.clone();
                    config[setting.name] = bad.clone();
                    let bench = Bench::new(entry.provider, &config);
                    let answered = bench.send_at(&vector.request(), vector.clock.unwrap_or(CLOCK));
                    assert!(answered.is_fault(), "{} {}={bad}: {answered:?}", vector.id, setting.name);
                    tried += 1;
                }
            }
        }
    }
    assert!(tried > 1000, "only {tried}");
}

/// 36: the MAC under "" of each way of signing, made here.
#[test]
fn a_mac_under_the_empty_secret_is_worth_nothing() {
    let body = r#"{"id":"1","timestamp":"1795500000000"}"#;
    let (seconds, millis) = (CLOCK.to_string(), "1795500000000");
    let hex = mac("", &[body.as_bytes()]);
    let base64 = BASE64_STANDARD.encode(hex::decode(&hex).expect("hex"));
    let post = |name: &str, value: String| Request::post("application/json", body).header(name, &value);
    let zalo = hex::encode(<sha2::Sha256 as sha2::Digest>::digest([ZALO_APP, body, millis].concat()));
    let slack = format!("v0={}", mac("", &[b"v0:", seconds.as_bytes(), b":", body.as_bytes()]));
    let generic = json!({ "header": "x-signature" });
    let calls = [
        ("github", "secret", json!({}), post("x-hub-signature-256", format!("sha256={hex}"))),
        (
            "facebook",
            "app_secret",
            json!({ "verify_token": SECRET }),
            post("x-hub-signature-256", format!("sha256={hex}")),
        ),
        (
            "shopify",
            "secret",
            json!({}),
            post("x-shopify-hmac-sha256", base64).header("x-shopify-topic", "a/b"),
        ),
        ("stripe", "secret", json!({}), stripe_call("", CLOCK, body)),
        (
            "zalo",
            "oa_secret_key",
            json!({ "app_id": ZALO_APP }),
            post("x-zevent-signature", format!("mac={zalo}")),
        ),
        (
            "slack",
            "signing_secret",
            json!({}),
            post("x-slack-signature", slack).header("x-slack-request-timestamp", &seconds),
        ),
        ("telegram", "secret_token", json!({}), post("x-telegram-bot-api-secret-token", String::new())),
        ("generic", "secret", json!({ "signature": generic }), post("x-signature", hex)),
    ];
    for (provider, setting, others, call) in calls {
        let provider = entry(provider).provider;
        assert!(provider.settings.iter().any(|known| known.name == setting), "{}: {setting}", provider.name);
        for bad in [json!(""), json!([""]), json!(null)] {
            let mut config = others.clone();
            config[setting] = bad.clone();
            let answered = Bench::new(provider, &config).send(&call);
            assert!(answered.is_fault(), "{} {bad}: {answered:?}", provider.name);
        }
        let mut config = others.clone();
        config[setting] = json!(["", SECRET]);
        let answered = Bench::new(provider, &config).send(&call);
        assert!(answered.is_refused(), "{}: {answered:?}", provider.name);
    }
}

/// 16, 37: every sound secret of a list is live, and what is malformed beside it is said.
#[test]
fn a_list_of_secrets_is_as_good_as_its_sound_ones() {
    let sqs = Sqs::start();
    for (list, said) in [
        (json!([SECRET, NEXT]), None),
        (json!([NEXT, SECRET]), None),
        (json!(["", SECRET, NEXT]), Some("is empty")),
        (json!([SECRET, "  ", NEXT]), Some("is empty")),
        (json!([SECRET, null, NEXT]), Some("must be a text")),
        (json!([SECRET, NEXT, 1.5]), Some("must be a text")),
        (json!([{}, SECRET, [], NEXT]), Some("must be a text")),
    ] {
        let function = gate("github", &sqs, &json!({ "secret": list })).start();
        for secret in [SECRET, NEXT] {
            assert_eq!(send(&function, &github_call(secret, "d", "{}")).status(), 200, "{list}");
        }
        for secret in ["", "another throw-away secret", "null", "1.5"] {
            assert_refused(&send(&function, &github_call(secret, "d", "{}")), &format!("{list} {secret:?}"));
        }
        assert_eq!(sqs.take_messages().len(), 2);
        let logs = function.stop();
        let warnings = lines(&logs).into_iter().filter(|line| line["event"] == "setting").collect::<Vec<_>>();
        assert_eq!(warnings.is_empty(), said.is_none(), "{list}: {logs}");
        for warning in warnings {
            assert_eq!(
                (&warning["level"], &warning["setting"]),
                (&json!("warn"), &json!("secret")),
                "{logs}"
            );
            assert!(
                warning["reason"].as_str().is_some_and(|reason| reason.contains(said.unwrap())),
                "{list}: {logs}"
            );
        }
    }
}

/// 39 and issue "Bad input": what is odd but usable is served, and said once.
#[test]
fn oddities_are_warnings() {
    let sqs = Sqs::start();
    for (config, secret, warned) in [
        (json!({ "secret": SECRET, "sekret": "x" }), SECRET, "sekret"),
        (json!({ "secret": SECRET, "tolerance_s": 300 }), SECRET, "tolerance_s"),
        (
            json!({ "secret": SECRET, "CaNaRy-4b1e-of-a-secret": 1 }),
            SECRET,
            "a name that looks like no setting's",
        ),
        (json!({ "secret": "fifteen bytes.." }), "fifteen bytes..", "shorter than 16"),
        (json!({ "secret": 123_456 }), "123456", "shorter than 16"),
        (
            json!({ "secret": " a throw-away secret of spaces " }),
            " a throw-away secret of spaces ",
            "white space",
        ),
    ] {
        let function = gate("github", &sqs, &config).start();
        for _ in 0..3 {
            assert_eq!(send(&function, &github_call(secret, "d", "{}")).status(), 200, "{config}");
        }
        let logs = function.stop();
        assert_eq!((naming(&logs, "warn", warned), logs.lines().count()), (1, 1), "{config}: {logs}");
        assert!(!logs.contains("CaNaRy"), "{logs}");
    }
    let sixteen = "sixteen bytes...";
    let function = gate("github", &sqs, &json!({ "secret": sixteen })).start();
    assert_eq!(send(&function, &github_call(sixteen, "d", "{}")).status(), 200);
    assert_eq!(function.stop(), "");
}

/// 36, 104: endpoints are told by the last segment of the path, and one that is broken hurts no other.
#[test]
fn endpoints_stand_side_by_side() {
    let sqs = Sqs::start();
    let config = json!({
        "secret": SECRET,
        "endpoints": {
            "acme": { "secret": NEXT },
            "heir": {},
            "both": { "secret": [SECRET, NEXT] },
            "empty": { "secret": "" },
            "none": { "secret": null },
            "text": "not an object",
        },
    });
    let function = gate("github", &sqs, &config).start();
    let at = |path: &str, secret: &str| send(&function, &github_call(secret, "d", "{}").at(path));
    for (path, secret, source) in [
        ("/acme", NEXT, "/hookgate/github/acme"),
        ("/acme/", NEXT, "/hookgate/github/acme"),
        ("/github/acme", NEXT, "/hookgate/github/acme"),
        ("/heir/acme", NEXT, "/hookgate/github/acme"),
        ("/heir", SECRET, "/hookgate/github/heir"),
        ("/both", SECRET, "/hookgate/github/both"),
        ("/both", NEXT, "/hookgate/github/both"),
    ] {
        assert_eq!(at(path, secret).status(), 200, "{path}");
        let messages = sqs.take_messages();
        assert_eq!((messages.len(), envelope(&messages[0])["source"].as_str()), (1, Some(source)), "{path}");
        assert_eq!(messages[0].attribute("source"), Some(source));
    }
    for (path, secret) in [
        ("/acme", SECRET),
        ("/heir", NEXT),
        ("/acme", ""),
        ("/", SECRET),
        ("/nobody", SECRET),
        ("/ACME", NEXT),
        ("/%61cme", NEXT),
        ("/acme/x", NEXT),
        ("/acme%2f", NEXT),
        ("/acme ", NEXT),
        ("/acme?", NEXT),
        ("/endpoints", SECRET),
    ] {
        assert_refused(&at(path, secret), path);
    }
    for path in ["/empty", "/none"] {
        for secret in ["", SECRET, NEXT] {
            assert_fault(&at(path, secret), path);
        }
    }
    assert_eq!(at("/acme", NEXT).status(), 200);
    let api = |path: &str, stage: &str| {
        function.invoke(&github_call(NEXT, "d", "{}").at(path).http_api_event(stage)).status()
    };
    assert_eq!((api("/acme", "prod"), api("/acme", "$default"), api("/x/acme", "prod")), (200, 200, 200));
    // The stage is no segment of ours, even where an endpoint has its name.
    assert_eq!((api("", "acme"), api("/", "acme"), api("/acme", "acme")), (401, 401, 200));
    let logs = function.stop();
    for name in ["empty", "none", "text"] {
        assert!(
            lines(&logs).iter().any(|line| line["endpoint"] == name && line["event"] == "setting"),
            "{name}: {logs}"
        );
    }
    assert_eq!(naming(&logs, "error", "setting `secret`"), 6, "{logs}");
}

/// 36: a list of endpoints that is none leaves what stands beside it, and is said.
#[test]
fn endpoints_that_are_none_are_a_warning() {
    let sqs = Sqs::start();
    for endpoints in [json!({}), json!([]), json!("acme"), json!(null), json!(1)] {
        let function = gate("github", &sqs, &json!({ "secret": SECRET, "endpoints": endpoints })).start();
        assert_eq!(send(&function, &github_call(SECRET, "d", "{}").at("/x")).status(), 200, "{endpoints}");
        assert_eq!(naming(&function.stop(), "warn", "at least one endpoint"), 1, "{endpoints}");
    }
}

/// 40, 41: through every outcome, at the most talkative level, nothing that came from a person or a provider shows.
#[test]
fn canaries_stay_silent() {
    let sqs = Sqs::start();
    let body = format!(r#"{{"action":"{CANARY}","n":"{CANARY}\u0001"}}"#);
    let with_canaries = |request: Request| {
        let request =
            request.header("x-canary", CANARY).header("cookie", CANARY).header("user-agent", CANARY);
        let request = request.header("authorization", CANARY).at(&format!("/{CANARY}"));
        Request { query: format!("a={CANARY}"), ..request }
    };
    let genuine = with_canaries(github_call(CANARY, CANARY, body.clone()));
    let forged = with_canaries(github_call("another throw-away secret", CANARY, body.clone()));
    let unsigned = with_canaries(Request::post("application/json", body.clone()));
    let odd = with_canaries(Request::post("application/json", body).header("x-hub-signature-256", CANARY));
    let method = Request { method: CANARY.into(), ..genuine.clone() };
    let documents = [
        json!({ "secret": CANARY }).to_string(),
        json!({ "secret": ["", CANARY] }).to_string(),
        json!({ "secret": [[CANARY]] }).to_string(),
        json!({ "secret": { "a": CANARY } }).to_string(),
        json!({ "secret": "", CANARY: CANARY }).to_string(),
        json!({ "secrets": CANARY }).to_string(),
        json!({ "endpoints": CANARY }).to_string(),
        json!({ "endpoints": { "a": CANARY } }).to_string(),
        json!({ "endpoints": { "a": { "secret": [1.5, CANARY], CANARY: 1 } } }).to_string(),
        CANARY.to_owned(),
        format!("{{\"secret\":\"{CANARY}"),
        format!("[\"{CANARY}\"]"),
    ];
    for document in documents {
        let function = gate("github", &sqs, &json!({}))
            .env("HOOKGATE_CONFIG", &document)
            .env("HOOKGATE_LOG", "info")
            .env("AWS_SESSION_TOKEN", CANARY)
            .start();
        for fault in [Fault::None, Fault::AccessDenied, Fault::QueueDoesNotExist, Fault::Http500] {
            sqs.then(fault);
            for request in [&genuine, &forged, &unsigned, &odd, &method] {
                let outcome = send(&function, request);
                assert!(!format!("{outcome:?}").contains(CANARY), "{document}: {outcome:?}");
            }
        }
        for event in [CANARY.to_owned(), json!({ CANARY: CANARY }).to_string(), json!([CANARY]).to_string()] {
            let outcome = function.invoke(&event);
            assert!(!format!("{outcome:?}").contains(CANARY), "{event}: {outcome:?}");
        }
        let logs = function.stop();
        assert!(!logs.contains(CANARY), "{document}: {logs}");
        assert!(!logs.contains("CaNaRy") && !logs.contains("canary"), "{document}: {logs}");
        sqs.take_messages();
    }
    // Credentials that a consumer has no use for are not handed on, either: 95.
    sqs.always(Fault::None);
    let function = gate("github", &sqs, &json!({ "secret": SECRET })).start();
    let call = github_call(SECRET, "d", "{}").header("cookie", CANARY).header("authorization", CANARY);
    assert_eq!(send(&function, &call).status(), 200);
    assert!(!sqs.messages()[0].body.contains(CANARY));
}

/// 40: what `{:?}` shows of everything that holds a secret or a consumer's data.
#[test]
fn debug_output_shows_no_secret() {
    let provider = entry("github").provider;
    let config = json!({ "endpoints": { "acme": { "secret": CANARY, "other": CANARY, CANARY: 1 } } });
    let document = Document::read(provider, &config.to_string()).expect("a JSON object");
    let body = format!(r#"{{"action":"{CANARY}"}}"#);
    let request = github_call(CANARY, "d", body).at("/acme").header("cookie", CANARY);
    let payload = Payload::read(&request.function_url_event(BodyAs::AwsDecides));
    let call = payload.call().expect("a call");
    let endpoint = document.endpoint(&call).expect("the endpoint");
    let verified = verify(provider, &call, endpoint, CLOCK).expect("genuine");
    let forged = Request { body: b"{}".to_vec(), ..request.clone() };
    let forged = Payload::read(&forged.function_url_event(BodyAs::AwsDecides));
    let forged = forged.call().expect("a call");
    let refused = verify(provider, &forged, endpoint, CLOCK).expect_err("forged");
    let shown = [
        format!("{:?}", Secret::new(CANARY.into())),
        format!("{:#?}", endpoint.secrets("secret").expect("a secret")),
        format!("{endpoint:#?}"),
        format!("{document:#?}"),
        format!("{verified:#?}"),
        format!("{refused:#?}"),
    ];
    for shown in shown {
        assert!(!shown.contains(CANARY), "{shown}");
    }
    // An event is a consumer's data and shows it; what it must not hold is the secret and the signature.
    let events = event::envelopes(&verified, CLOCK);
    let signature = &request.headers.iter().find(|(name, _)| name == "X-Hub-Signature-256").expect("one").1;
    assert!(!format!("{events:?}").contains(signature.trim_start_matches("sha256=")));
}

/// 40: a call holds the signature, and at some providers the token itself.
#[test]
fn debug_output_of_a_call_shows_no_credential() {
    let request = Request::post("application/json", "{}").header("x-telegram-bot-api-secret-token", CANARY);
    let payload = Payload::read(&request.function_url_event(BodyAs::AwsDecides));
    let shown = format!("{:?}", payload.call().expect("a call"));
    assert!(!shown.contains(CANARY), "{shown}");
}

/// A fixed document never asks for a re-read.
#[test]
fn settings_in_the_environment_are_read_once() {
    let provider = entry("github").provider;
    let document = Document::read(provider, &json!({ "secret": SECRET }).to_string()).expect("a JSON object");
    assert!(block_on(Settings::fixed(document).early(None, Instant::now())).is_none());
}

/// 42, with the emulator of AWS in both services: read at init, and by the time to live.
#[test]
fn parameters_and_secrets_are_read_from_aws() {
    let aws = Ministack::shared();
    let sqs = Sqs::start();
    let document = |secret: &str| json!({ "secret": secret }).to_string();
    let name = "/hookgate-settings-test/github";
    aws.put_parameter(name, &document(SECRET));
    let arn = aws.create_secret("hookgate-settings-test/github", &document(SECRET));
    let sources = [
        format!("ssm:{name}"),
        "secretsmanager:hookgate-settings-test/github".into(),
        format!("secretsmanager:{arn}"),
    ];
    let functions: Vec<Function> = sources
        .iter()
        .map(|source| {
            gate("github", &sqs, &json!({}))
                .env("HOOKGATE_CONFIG", source)
                .env("HOOKGATE_CONFIG_TTL", "1")
                .env("AWS_ENDPOINT_URL", aws.endpoint())
                // A user whose signatures the emulator checks; the queue's double knows another.
                .env("AWS_ACCESS_KEY_ID", aws.access_key_id())
                .env("AWS_SECRET_ACCESS_KEY", aws.secret_access_key())
                .env("QUEUE_URL", aws.create_queue("hookgate-settings-test", &[]))
                .env("AWS_ENDPOINT_URL_SQS", aws.endpoint())
                .start()
        })
        .collect();
    for (function, source) in functions.iter().zip(&sources) {
        passes_before_long(function, &github_call(SECRET, "d", "{}"), source);
        assert_refused(&send(function, &github_call(NEXT, "d", "{}")), source);
    }
    aws.put_parameter(name, &document(NEXT));
    aws.put_secret_value("hookgate-settings-test/github", &document(NEXT));
    thread::sleep(Duration::from_millis(1100));
    for (function, source) in functions.iter().zip(&sources) {
        passes_before_long(function, &github_call(NEXT, "d", "{}"), source);
        assert_refused(&send(function, &github_call(SECRET, "d", "{}")), source);
    }
    // What is gone afterwards takes nothing from a running function.
    aws.call("ssm", "AmazonSSM.DeleteParameter", &json!({ "Name": name })).expect("deleted");
    thread::sleep(Duration::from_millis(1100));
    assert_eq!(send(&functions[0], &github_call(NEXT, "d", "{}")).status(), 200);
    let logs = functions.into_iter().map(Function::stop).collect::<String>();
    assert!(naming(&logs, "error", "no parameter or secret of that name") > 0, "{logs}");
    assert!(!logs.contains(SECRET) && !logs.contains(NEXT), "{logs}");
}

/// 42: many environments that start at once are more than Systems Manager answers in a second. One that is throttled asks
/// again, at init and in a call, so that no call fails for it.
#[test]
fn a_throttled_reading_is_repeated() {
    let throttled = [Mood::Refusing(400, "ThrottlingException"), Mood::Refusing(500, "InternalServerError")];
    side_by_side(throttled.into_iter().chain([Mood::Reset]), |mood| {
        let sqs = Sqs::start();
        let store = ParameterStore::start(&json!({ "secret": SECRET }));
        let asked_again = |before: usize| {
            while store.requests() < before + 3 {
                thread::sleep(Duration::from_millis(5));
            }
            store.is(Mood::Good);
        };
        store.is(mood.clone());
        thread::scope(|scope| {
            let start = scope.spawn(|| remote("github", &sqs, &store).start());
            asked_again(0);
            let function = start.join().expect("a start");
            assert_eq!(send(&function, &github_call(SECRET, "d", "{}")).status(), 200, "at init");
        });
        store.is(mood.clone());
        // Init gives up before the platform does.
        let function = remote("github", &sqs, &store).start();
        thread::scope(|scope| {
            let before = store.requests();
            let call = scope.spawn(|| send(&function, &github_call(SECRET, "e", "{}")));
            asked_again(before);
            assert_eq!(call.join().expect("no panic").status(), 200, "in a call");
        });
        assert_eq!(sqs.messages().len(), 2);
    });
}

/// 42: where AWS says that there is nothing to read, calls are answered at once, and however many come, AWS is asked once a
/// second.
#[test]
fn a_refused_reading_is_not_waited_for() {
    for calls_at_once in [1, 4] {
        let sqs = Sqs::start();
        let store = ParameterStore::start(&json!({ "secret": SECRET }));
        store.is(Mood::Refusing(400, "ParameterNotFound"));
        let function = remote("github", &sqs, &store).calls_at_once(calls_at_once).start();
        let begun = Instant::now();
        side_by_side(0..4, |_| {
            for _ in 0..10 {
                assert_fault(&send(&function, &github_call("forged", "d", "{}")), "no settings");
            }
        });
        let most = 2 + usize::try_from(begun.elapsed().as_secs()).expect("seconds");
        assert!(store.requests() <= most, "{} requests, {calls_at_once} at once", store.requests());
        store.is(Mood::Good);
        passes_before_long(&function, &github_call(SECRET, "d", "{}"), "there now");
    }
}

/// 42, 103: calls under a rotated secret that come at once all pass, though only one of them reads the settings.
#[test]
fn a_rotated_secret_works_for_calls_side_by_side() {
    let sqs = Sqs::start();
    let store = ParameterStore::start(&json!({ "secret": SECRET }));
    let clock = MovingClock::new("side-by-side");
    let function = clock.of(remote("github", &sqs, &store)).calls_at_once(4).start();
    assert_eq!(send_patiently(&function, &github_call(SECRET, "d", "{}")).status(), 200);
    store.put(&json!({ "secret": NEXT }));
    clock.ahead_by(31);
    store.is(Mood::After(Duration::from_millis(300)));
    side_by_side(["a", "b", "c", "e"], |delivery| {
        let outcome = send_patiently(&function, &github_call(NEXT, delivery, "{}"));
        assert_eq!(outcome.status(), 200, "{delivery}");
    });
    assert_eq!((store.requests(), sqs.messages().len()), (2, 5));
}

/// 36, 42: a parameter that is not there is our fault, until it is.
#[test]
fn a_missing_parameter_is_waited_for() {
    let aws = Ministack::shared();
    let sqs = Sqs::start();
    let names = ["/hookgate-missing-test/github", "hookgate-missing-test/github"];
    let functions: Vec<Function> = ["ssm", "secretsmanager"]
        .iter()
        .zip(names)
        .map(|(service, name)| {
            gate("github", &sqs, &json!({}))
                .env("HOOKGATE_CONFIG", format!("{service}:{name}"))
                .env("AWS_ENDPOINT_URL_SSM", aws.endpoint())
                .env("AWS_ENDPOINT_URL_SECRETS_MANAGER", aws.endpoint())
                .start()
        })
        .collect();
    for (function, name) in functions.iter().zip(names) {
        for secret in ["", SECRET] {
            assert_fault(&send(function, &github_call(secret, "d", "{}")), name);
        }
        assert_eq!(send(function, &Request { method: "PUT".into(), ..Request::default() }).status(), 405);
    }
    aws.put_parameter(names[0], &json!({ "secret": SECRET }).to_string());
    aws.create_secret(names[1], &json!({ "secret": SECRET }).to_string());
    // A failed reading is repeated after a second.
    thread::sleep(Duration::from_millis(1100));
    for (function, name) in functions.into_iter().zip(names) {
        passes_before_long(&function, &github_call(SECRET, "d", "{}"), name);
        assert_refused(&send(&function, &github_call("", "d", "{}")), name);
        let logs = function.stop();
        assert!(naming(&logs, "error", "no parameter or secret of that name") > 0, "{logs}");
    }
}

/// 37, 42: whatever a re-read brings, the last good document stays in force.
#[test]
fn a_failed_reading_keeps_what_was_good() {
    let sqs = Sqs::start();
    let store = ParameterStore::start(&json!({ "secret": SECRET }));
    let clock = MovingClock::new("failing");
    let function = clock.of(remote("github", &sqs, &store).env("HOOKGATE_CONFIG_TTL", "60")).start();
    let genuine = github_call(SECRET, "d", "{}");
    assert_eq!(send_patiently(&function, &genuine).status(), 200);
    assert_eq!(store.requests(), 1);
    let mut hours = 0;
    let moods = [
        (Mood::Refusing(400, "ParameterNotFound"), "no parameter or secret"),
        (Mood::Refusing(400, "AccessDeniedException"), "may not read"),
        (Mood::Refusing(400, "ThrottlingException"), "throttles"),
        (Mood::Refusing(400, "com.amazonaws.ssm#ExpiredTokenException"), "credentials"),
        (Mood::Refusing(500, "InternalServerError"), "refused to give them"),
        (Mood::Says("<html>"), "not JSON"),
        (Mood::Says("{}"), "no value"),
        (Mood::Says(r#"{"Parameter":{"Value":1}}"#), "no value"),
        (Mood::Says(r#"{"Parameter":{"Value":"not a document"}}"#), "not a JSON object"),
        (Mood::Says(r#"{"Parameter":{"Value":""}}"#), "not a JSON object"),
        (Mood::Long(300_000), "an answer of that length"),
        (Mood::Reset, "did not answer"),
        (Mood::Silent, "in time"),
    ];
    let count = moods.len();
    let mut reasons = Vec::new();
    for (mood, reason) in moods {
        hours += 1;
        clock.ahead_by(hours * 3600);
        store.is(mood);
        let before = store.requests();
        for _ in 0..3 {
            assert_eq!(send_patiently(&function, &genuine).status(), 200, "{reason}");
        }
        assert_eq!(store.requests(), before + 1, "{reason}: one try, then a pause");
        reasons.push(reason);
    }
    store.is(Mood::Good);
    store.put(&json!({ "secret": NEXT }));
    clock.ahead_by((hours + 1) * 3600);
    assert_eq!(send_patiently(&function, &github_call(NEXT, "d", "{}")).status(), 200);
    assert_refused(&send_patiently(&function, &genuine), "the former secret");
    let logs = function.stop();
    assert_eq!(lines(&logs).iter().filter(|line| line["event"] == "fault").count(), count, "{logs}");
    for reason in reasons {
        assert!(naming(&logs, "error", reason) > 0, "{reason}: {logs}");
    }
}

/// 42: a document whose secret became unusable is in force as it stands: the operator has taken the secret away.
#[test]
fn a_secret_that_was_taken_away_is_gone() {
    let sqs = Sqs::start();
    let store = ParameterStore::start(&json!({ "secret": SECRET }));
    let clock = MovingClock::new("revoked");
    let function = clock.of(remote("github", &sqs, &store).env("HOOKGATE_CONFIG_TTL", "60")).start();
    assert_eq!(send_patiently(&function, &github_call(SECRET, "d", "{}")).status(), 200);
    store.put(&json!({ "secret": "" }));
    clock.ahead_by(61);
    for secret in ["", SECRET] {
        assert_fault(&send_patiently(&function, &github_call(secret, "d", "{}")), secret);
    }
}

/// 42, 103: a rotated secret works with the first call under it, and forged calls buy one reading in 30 s.
#[test]
fn a_rotated_secret_works_at_once() {
    let sqs = Sqs::start();
    let store = ParameterStore::start(&json!({ "secret": SECRET }));
    let clock = MovingClock::new("rotating");
    let function = clock.of(remote("github", &sqs, &store)).start();
    let (former, next) = (github_call(SECRET, "d", "{}"), github_call(NEXT, "d", "{}"));
    let forged = github_call("another throw-away secret", "d", "{}");
    assert_eq!(send_patiently(&function, &former).status(), 200);

    // Settings of this moment are not doubted.
    store.put(&json!({ "secret": [NEXT, SECRET] }));
    for _ in 0..20 {
        assert_refused(&send_patiently(&function, &next), "just read");
    }
    assert_eq!(store.requests(), 1);

    clock.ahead_by(31);
    assert_eq!(send_patiently(&function, &next).status(), 200);
    assert_eq!(send_patiently(&function, &former).status(), 200);
    assert_eq!(store.requests(), 2);

    // A storm: nothing more within the next 30 s, one reading after them.
    for (seconds, requests) in [(31, 2), (59, 2), (62, 3), (90, 3), (93, 4), (3600, 5)] {
        clock.ahead_by(seconds);
        for _ in 0..100 {
            assert_refused(&send_patiently(&function, &forged), "forged");
        }
        assert_eq!(store.requests(), requests, "after {seconds} s");
        assert_eq!(send_patiently(&function, &next).status(), 200);
    }

    // What no settings could save costs no reading, however old they are.
    clock.ahead_by(7200);
    for hopeless in [
        Request::post("application/json", "{}"),
        Request::post("application/json", "{}").header("x-hub-signature-256", "sha256=00"),
        Request { method: "PUT".into(), ..next.clone() },
    ] {
        for _ in 0..20 {
            assert!([401, 405].contains(&send_patiently(&function, &hopeless).status()));
        }
    }
    assert_eq!(store.requests(), 5);

    // A storm while the parameter cannot be read: still one try in 30 s, and genuine calls pass.
    store.is(Mood::Refusing(400, "ThrottlingException"));
    for round in 1..=3 {
        clock.ahead_by(7200 + round * 31);
        for _ in 0..50 {
            assert_refused(&send_patiently(&function, &forged), "forged");
            assert_eq!(send_patiently(&function, &next).status(), 200);
        }
        assert_eq!(store.requests(), 5 + usize::try_from(round).expect("small"));
    }
}

/// 42: an endpoint that was added, and one that was mended, are found in the same way.
#[test]
fn an_added_endpoint_works_at_once() {
    let sqs = Sqs::start();
    let store = ParameterStore::start(
        &json!({ "endpoints": { "acme": { "secret": SECRET }, "late": { "secret": "" } } }),
    );
    let clock = MovingClock::new("adding");
    let function = clock.of(remote("github", &sqs, &store)).start();
    let at = |path: &str| send_patiently(&function, &github_call(SECRET, "d", "{}").at(path));
    assert_refused(&at("/new"), "not there yet");
    assert_fault(&at("/late"), "not mended yet");
    store.put(&json!({ "endpoints": { "acme": { "secret": SECRET }, "new": { "secret": SECRET } } }));
    clock.ahead_by(31);
    assert_eq!(at("/new").status(), 200);
    store.put(&json!({ "endpoints": { "acme": { "secret": SECRET }, "new": { "secret": "" } } }));
    clock.ahead_by(62);
    assert_refused(&at("/late"), "gone");
    assert_fault(&at("/new"), "broken");
    store.put(&json!({ "endpoints": { "new": { "secret": SECRET } } }));
    clock.ahead_by(93);
    assert_eq!(at("/new").status(), 200);
}

/// 42: so is a verify token: whoever has just changed it asks the provider to try it at once.
#[test]
fn a_new_verify_token_works_at_once() {
    let sqs = Sqs::start();
    let document = |token: &str| json!({ "app_secret": SECRET, "verify_token": token });
    let store = ParameterStore::start(&document("former-throw-away-token"));
    let clock = MovingClock::new("handshake");
    let function = clock.of(remote("facebook", &sqs, &store)).start();
    let ask = |token: &str| {
        let query = format!("hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token={token}");
        send_patiently(&function, &Request::get(&query))
    };
    assert_eq!(ask("former-throw-away-token").text(), "1158201444");
    store.put(&document("next-throw-away-token"));
    clock.ahead_by(31);
    let outcome = ask("next-throw-away-token");
    assert_eq!((outcome.status(), store.requests()), (200, 2), "{outcome:?}");
    for _ in 0..20 {
        assert_eq!(ask("forged-throw-away-token").status(), 403);
    }
    assert_eq!(store.requests(), 2);
}

/// 42, 87: reading that takes its time is bounded by the row's deadline, and a start by its own.
#[test]
fn slow_settings_are_not_waited_for_beyond_the_deadline() {
    let cases: [(&str, Request, u64); 3] = [
        ("zalo", zalo_call(SECRET, "m"), 2),
        ("facebook", facebook_call(SECRET, "{}"), 5),
        ("github", github_call(SECRET, "d", "{}"), 10),
    ];
    side_by_side(&cases, |(provider, call, deadline)| {
        let sqs = Sqs::start();
        let store = ParameterStore::start(&json!({
            "secret": SECRET, "app_secret": SECRET, "verify_token": SECRET, "app_id": ZALO_APP, "oa_secret_key": SECRET,
        }));
        store.is(Mood::Silent);
        let function = remote(provider, &sqs, &store).start();
        for _ in 0..2 {
            let asked = Instant::now();
            assert_fault(&send(&function, call), provider);
            assert!(asked.elapsed() < Duration::from_secs(*deadline), "{provider}: {:?}", asked.elapsed());
            // The pause after a failed reading, so that the next call tries again.
            thread::sleep(Duration::from_millis(1000));
        }
        store.is(Mood::After(Duration::from_millis(300)));
        thread::sleep(Duration::from_millis(100));
        assert_eq!(send(&function, call).status(), 200, "{provider}");
        assert_eq!(sqs.messages().len(), 1, "{provider}");
    });
}

/// 42: the last good document is worth more than a newer one that does not come: also where the row's deadline is short.
#[test]
fn a_silent_source_costs_no_call_while_settings_are_good() {
    let cases = [("github", github_call(SECRET, "d", "{}"), 10), ("zalo", zalo_call(SECRET, "m"), 2)];
    side_by_side(cases, |(provider, call, deadline)| {
        let sqs = Sqs::start();
        let store =
            ParameterStore::start(&json!({ "secret": SECRET, "app_id": ZALO_APP, "oa_secret_key": SECRET }));
        let function = remote(provider, &sqs, &store).env("HOOKGATE_CONFIG_TTL", "1").start();
        assert_eq!(send(&function, &call).status(), 200, "{provider}");
        store.is(Mood::Silent);
        thread::sleep(Duration::from_millis(1100));
        let asked = Instant::now();
        assert_eq!(send(&function, &call).status(), 200, "{provider}");
        assert!(asked.elapsed() < Duration::from_secs(deadline), "{provider}: {:?}", asked.elapsed());
    });
}

/// A time to live that is none is the usual one; none at all reads every time.
#[test]
fn a_time_to_live_is_a_number_of_seconds() {
    let sqs = Sqs::start();
    for (ttl, readings) in
        [("soon", 1), ("-1", 1), ("", 1), ("0.5", 1), ("18446744073709551615", 1), ("0", 5)]
    {
        let store = ParameterStore::start(&json!({ "secret": SECRET }));
        let function = remote("github", &sqs, &store).env("HOOKGATE_CONFIG_TTL", ttl).start();
        for _ in 0..4 {
            assert_eq!(send(&function, &github_call(SECRET, "d", "{}")).status(), 200, "{ttl:?}");
        }
        assert_eq!(store.requests(), readings, "{ttl:?}");
    }
}
