//! The whole way of one call: an event of Lambda, the gate of one row, a store in memory.
//!
//! Input: a byte, then an event's text where it is even, else what an event is built of. What may be stored is told by an
//! HMAC of our own over what was put in.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuzz::rows::{NOW, OLD_SECRET, SECRET};
use fuzz::signed::{self, Headers};
use fuzz::tree::{self, Tree};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use shared::call::{Call, Payload};
use shared::error::Fault;
use shared::event::Envelope;
use shared::gate::{Gate, Why};
use shared::queue::{Putting, Queue, Store, Unkept};
use shared::settings::{Document, Settings};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::{Builder, Runtime};

/// What the queue takes, in bytes: little, so that the limit is met.
const MAX_BYTES: usize = 2048;
/// The secret of the second endpoint.
const BETA: &str = "throw-away-fuzz-secret-beta";

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 2 {
        0 => raw(rest),
        _ => {
            if let Ok(built) = Built::arbitrary(&mut Unstructured::new(rest)) {
                built.run();
            }
        }
    }
});

/// Any text as an event.
fn raw(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let payload = Payload::read(text);
    let Ok(call) = payload.call() else { return };
    let tree = tree::parse(text).expect("an event is JSON");
    check_call(&call);
    let answer = answer(&call, Endpoints::One, true);
    if !answer.stored.is_empty() {
        // A member that stands there twice may be read either way, but one of the ways must be signed.
        let bodies = bodies(&tree);
        let signatures: Vec<Headers> = headers(&tree);
        let keys = [SECRET, OLD_SECRET];
        assert!(
            bodies.iter().any(|body| signatures.iter().any(|headers| signed::hub(headers, body, &keys))),
            "stored, and not signed"
        );
    }
}

/// Every body that a reader may see in an event.
fn bodies(event: &Tree<'_>) -> Vec<Vec<u8>> {
    let texts =
        event.members().iter().filter(|(name, _)| name.text == "body").filter_map(|(_, value)| value.text());
    let mut all = vec![Vec::new()];
    for text in texts {
        all.push(text.into());
        all.extend(BASE64_STANDARD.decode(text));
    }
    all
}

/// Every value of the signature's header that a reader may see: each one, and all of them joined.
fn headers(event: &Tree<'_>) -> Vec<Headers> {
    let objects = event.members().iter().filter(|(name, _)| name.text == "headers").map(|(_, value)| value);
    let each = objects.map(|object| {
        let sent = object.members().iter();
        let sent = sent.filter_map(|(name, value)| Some((name.text.clone(), value.text()?.to_owned())));
        signed::joined(&sent.collect::<Vec<_>>())
    });
    each.collect()
}

/// An event as function URLs and HTTP APIs make them, and as they never would.
#[derive(Arbitrary, Debug)]
struct Built<'a> {
    method: Method<'a>,
    stage: Option<Word<'a>>,
    path: Vec<Word<'a>>,
    query: &'a str,
    headers: Vec<(Name<'a>, &'a str)>,
    signature: Option<Signature<'a>>,
    /// Where among the headers the signature stands.
    place: u8,
    body: &'a [u8],
    /// A body that is a form, an object or whatever the bytes say.
    form: Form,
    as_base64: bool,
    /// Every character of the event's texts as `\uXXXX`.
    escaped: bool,
    endpoints: Endpoints,
    queue_fails: bool,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Method<'a> {
    Post,
    Get,
    Other(&'a str),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Word<'a> {
    Prod,
    Acme,
    Beta,
    Empty,
    Dots,
    Other(&'a str),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Name<'a> {
    ContentType,
    Event,
    Delivery,
    UserAgent,
    Signature,
    OldSignature,
    Other(&'a str),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
struct Signature<'a> {
    key: Key<'a>,
    upper_name: bool,
    spelling: Spelling,
    /// Over the body without so many of its last bytes.
    short: u8,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Key<'a> {
    New,
    Old,
    Beta,
    Other(&'a [u8]),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Spelling {
    Right,
    Upper,
    NoPrefix,
    Sha1Prefix,
    Base64,
    Spaced,
    Twice,
    Half,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Form {
    Bytes,
    Object,
    Payload,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
enum Endpoints {
    /// One without a name, with two live secrets.
    One,
    /// `acme` and `beta`, each with a secret of its own.
    Named,
    /// None that could be served.
    Broken,
}

impl Built<'_> {
    fn run(&self) {
        let body = self.body();
        // Of more than 500 the rest is not looked at.
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .take(400)
            .map(|(name, value)| (name.text().to_owned(), (*value).to_owned()))
            .collect();
        if let Some(signature) = self.signature {
            let place = usize::from(self.place) % (headers.len() + 1);
            headers.insert(place, signature.header(&body));
        }
        let path: String = self.path.iter().map(|word| format!("/{}", word.text())).collect();
        let event = self.event(&path, &headers, &body);
        let payload = Payload::read(&event);
        let call = payload.call().expect("an event of format 2.0");
        check_call(&call);

        assert_eq!(call.method, self.method.text());
        assert_eq!(call.path, path);
        assert_eq!(call.query, self.query);
        assert_eq!(call.body(), Some(&*body));
        let joined = signed::joined(&headers);
        let read: Headers = call.headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        assert_eq!(read, joined, "headers");

        // A path of the stage alone is the root of an HTTP API.
        let own = path.trim_end_matches('/');
        let stage =
            self.stage.filter(|stage| !stage.text().is_empty() && own == format!("/{}", stage.text()));
        let segment = if stage.is_some() { None } else { own.rsplit('/').next() };
        let keys: &[&str] = match (self.endpoints, segment) {
            (Endpoints::One, _) => &[SECRET, OLD_SECRET],
            (Endpoints::Named, Some("acme")) => &[SECRET],
            (Endpoints::Named, Some("beta")) => &[BETA],
            (Endpoints::Named | Endpoints::Broken, _) => &[],
        };
        let genuine = signed::hub(&joined, &body, keys);
        let answer = answer(&call, self.endpoints, !self.queue_fails);
        match answer.status {
            _ if self.method.text() != "POST" => assert_eq!(answer.status, 405),
            200 => {
                assert!(genuine && !self.queue_fails, "stored, and not signed");
                let [event] = answer.stored.as_slice() else { panic!("one call, one event") };
                let event = tree::parse(event).expect("an envelope is JSON");
                let digest = event.member("calldigest").and_then(Tree::text);
                assert_eq!(digest, Some(&*signed::sha256(&[&body])));
            }
            503 if self.endpoints == Endpoints::Broken => {}
            503 => assert!(genuine && (self.queue_fails || answer.too_large), "a fault of ours"),
            _ => assert!(answer.status == 401 && !genuine, "{} for a genuine call: {event}", answer.status),
        }
    }

    fn body(&self) -> Vec<u8> {
        let text = String::from_utf8_lossy(self.body);
        let bytes = match self.form {
            Form::Bytes => self.body.to_vec(),
            Form::Object => {
                json!({ "action": text, "repository": { "id": self.body.len() } }).to_string().into()
            }
            Form::Payload => {
                let object = json!({ "action": text }).to_string();
                let encode =
                    |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                format!("payload={}", encode(&object)).into()
            }
        };
        if self.as_base64 { bytes } else { String::from_utf8_lossy(&bytes).into_owned().into() }
    }

    fn event(&self, path: &str, headers: &[(String, String)], body: &[u8]) -> String {
        let string = |text: &str| {
            if !self.escaped {
                return json!(text).to_string();
            }
            let units = text.encode_utf16().map(|unit| format!("\\u{unit:04X}"));
            format!("\"{}\"", units.collect::<String>())
        };
        // Written by hand: a JSON object of `serde_json` holds no name twice.
        let headers: Vec<String> =
            headers.iter().map(|(name, value)| format!("{}:{}", string(name), string(value))).collect();
        let body = if self.as_base64 {
            format!("{},\"isBase64Encoded\":true", string(&BASE64_STANDARD.encode(body)))
        } else {
            format!("{},\"isBase64Encoded\":false", string(&String::from_utf8_lossy(body)))
        };
        let stage = self.stage.map_or("null".to_owned(), |stage| string(stage.text()));
        format!(
            r#"{{"version":"2.0","rawPath":{},"rawQueryString":{},"headers":{{{}}},"requestContext":{{"domainName":"x.lambda-url.ap-southeast-1.on.aws","stage":{stage},"http":{{"method":{}}}}},"body":{body}}}"#,
            string(path),
            string(self.query),
            headers.join(","),
            string(self.method.text()),
        )
    }
}

impl<'a> Method<'a> {
    fn text(self) -> &'a str {
        match self {
            Method::Post => "POST",
            Method::Get => "GET",
            Method::Other(text) => text,
        }
    }
}

impl<'a> Word<'a> {
    fn text(self) -> &'a str {
        match self {
            Word::Prod => "prod",
            Word::Acme => "acme",
            Word::Beta => "beta",
            Word::Empty => "",
            Word::Dots => "..",
            Word::Other(text) => text,
        }
    }
}

impl<'a> Name<'a> {
    fn text(self) -> &'a str {
        match self {
            Name::ContentType => "Content-Type",
            Name::Event => "X-GitHub-Event",
            Name::Delivery => "x-github-delivery",
            Name::UserAgent => "USER-AGENT",
            Name::Signature => "x-hub-signature-256",
            Name::OldSignature => "x-hub-signature",
            Name::Other(text) => text,
        }
    }
}

impl Signature<'_> {
    fn header(&self, body: &[u8]) -> (String, String) {
        let key = match self.key {
            Key::New => SECRET.as_bytes(),
            Key::Old => OLD_SECRET.as_bytes(),
            Key::Beta => BETA.as_bytes(),
            Key::Other(key) => key,
        };
        let signed = &body[..body.len().saturating_sub(self.short.into())];
        let tag = signed::hmac(key, &[signed]);
        let hex = hex::encode(&tag);
        let value = match self.spelling {
            Spelling::Right => format!("sha256={hex}"),
            Spelling::Upper => format!("sha256={}", hex.to_ascii_uppercase()),
            Spelling::NoPrefix => hex,
            Spelling::Sha1Prefix => format!("sha1={hex}"),
            Spelling::Base64 => format!("sha256={}", BASE64_STANDARD.encode(tag)),
            Spelling::Spaced => format!(" sha256={hex} "),
            Spelling::Twice => format!("sha256={hex},sha256={hex}"),
            Spelling::Half => format!("sha256={}", &hex[..32]),
        };
        let name = if self.upper_name { "X-Hub-Signature-256" } else { "x-hub-signature-256" };
        (name.to_owned(), value)
    }
}

fn check_call(call: &Call<'_>) {
    let names: Vec<&str> = call.headers().map(|(name, _)| name).collect();
    for (i, name) in names.iter().enumerate() {
        assert!(!name.bytes().any(|byte| byte.is_ascii_uppercase()), "{name:?} is not in lower case");
        assert!(!names.iter().take(i).any(|before| before == name), "{name:?} stands there twice");
    }
    assert!(!call.last_segment().contains('/'));
}

struct Answer {
    status: u16,
    too_large: bool,
    stored: Vec<String>,
}

/// Has a call answered by GitHub's row, and checks what holds for every answer.
fn answer(call: &Call<'_>, endpoints: Endpoints, queue_works: bool) -> Answer {
    let document = match endpoints {
        Endpoints::One => json!({ "secret": [SECRET, OLD_SECRET] }),
        Endpoints::Named => {
            json!({ "endpoints": { "acme": { "secret": SECRET }, "beta": { "secret": BETA } } })
        }
        Endpoints::Broken => json!({ "secret": "" }),
    };
    let provider = registry::find("github").expect("a row").provider;
    let document = Document::read(provider, &document.to_string()).expect("an object");
    let stored = Arc::new(Mutex::new(Vec::new()));
    let store = Memory { works: queue_works, stored: stored.clone() };
    let gate =
        Gate::new(provider, Settings::fixed(document), Queue::new(Box::new(store), MAX_BYTES));
    let received = SystemTime::UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
    let outcome =
        RUNTIME.with(|runtime| runtime.block_on(gate.answer(call, received, Duration::from_secs(600))));
    let status = outcome.reply.status();
    let stored = std::mem::take(&mut *stored.lock().expect("nobody panicked"));
    assert!([200, 401, 405, 413, 503].contains(&status), "{status}");
    assert_eq!(status == 200, !stored.is_empty(), "a 2xx means stored, and nothing else does");
    assert_eq!(status == 200, outcome.why == Why::Queued(stored.len()));
    assert!(outcome.reply.body().is_empty(), "nothing is told");
    let too_large = outcome.why == Why::Failed(Fault::TooLarge.into());
    Answer { status, too_large, stored }
}

thread_local! {
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
}

/// A store in memory, or one that never keeps anything.
struct Memory {
    works: bool,
    stored: Arc<Mutex<Vec<String>>>,
}

impl Store for Memory {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], _until: Instant) -> Putting<'a> {
        Box::pin(async move {
            if !self.works {
                return Err(Unkept { fault: Fault::Queue("not today"), left: (0..events.len()).collect() });
            }
            let mut stored = self.stored.lock().expect("nobody panicked");
            for event in events {
                assert!(event.size() <= MAX_BYTES);
                stored.push(event.text().to_owned());
            }
            Ok(())
        })
    }
}
