//! A gate in this process, its settings and clock chosen by the test and its events kept in memory. What ships is tried
//! as built binaries elsewhere; here every input can be tried a thousand times.

use crate::event::{BodyAs, Request};
use registry::Entry;
use serde_json::Value;
use shared::call::{Call, Payload};
use shared::error::{Failure, Fault};
use shared::event::Envelope;
use shared::gate::{Gate, Outcome, Why};
use shared::provider::{self, Provider};
use shared::queue::{Putting, Queue, Store, Unkept};
use shared::sample;
use shared::settings::{Document, Settings};
use shared::trial;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The second that vectors are signed at.
pub const CLOCK: i64 = 1_795_500_000;
/// The largest message of SQS.
pub const MAX_BYTES: usize = 1_048_576;

/// Keeps events, or fails if told so.
#[derive(Clone, Default)]
pub struct Memory {
    events: Arc<Mutex<Vec<Envelope>>>,
    fault: Arc<Mutex<Option<Fault>>>,
}

impl Memory {
    /// What came since the last look.
    pub fn take(&self) -> Vec<Envelope> {
        std::mem::take(&mut self.events.lock().unwrap())
    }

    /// From now on nothing is kept.
    pub fn fail(&self, fault: Fault) {
        *self.fault.lock().unwrap() = Some(fault);
    }
}

impl Store for Memory {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], _until: Instant) -> Putting<'a> {
        Box::pin(async move {
            if let Some(fault) = *self.fault.lock().unwrap() {
                return Err(Unkept { fault, left: (0..events.len()).collect() });
            }
            self.events.lock().unwrap().extend(events.iter().copied().cloned());
            Ok(())
        })
    }
}

/// A gate and what stands around it.
pub struct Bench {
    pub gate: Gate,
    pub memory: Memory,
}

impl Bench {
    pub fn new(provider: &'static Provider, config: &Value) -> Bench {
        Bench::with_max_bytes(provider, config, MAX_BYTES)
    }

    pub fn with_max_bytes(provider: &'static Provider, config: &Value, max_bytes: usize) -> Bench {
        let document = Document::read(provider, &config.to_string()).expect("a JSON object");
        let memory = Memory::default();
        let queue = Queue::new(Box::new(memory.clone()), max_bytes);
        Bench { gate: Gate::new(provider, Settings::fixed(document), queue), memory }
    }

    /// Sends a request at a second, and once more with the body in base64: both must end the same way.
    #[track_caller]
    pub fn send_at(&self, request: &Request, second: i64) -> Answered {
        let plain = self.event_at(&request.function_url_event_at(BodyAs::AwsDecides, second), second);
        let base64 = self.event_at(&request.function_url_event_at(BodyAs::Base64, second), second);
        // An answer that is encrypted for its receiver is another one each time, of the same length.
        let encrypted = self.gate.provider().reply_by.is_some() && plain.body.len() == base64.body.len();
        let base64 = if encrypted { Answered { body: plain.body.clone(), ..base64 } } else { base64 };
        assert_eq!(plain, base64, "text or base64 makes a difference");
        plain
    }

    /// [`Bench::send_at`] at [`CLOCK`].
    #[track_caller]
    pub fn send(&self, request: &Request) -> Answered {
        self.send_at(request, CLOCK)
    }

    /// Sends a Lambda event as it is.
    pub fn event_at(&self, event: &str, second: i64) -> Answered {
        match Payload::read(event).call() {
            Ok(call) => self.call_at(&call, second),
            Err(fault) => panic!("{fault}"),
        }
    }

    /// Sends a call as it is.
    pub fn call_at(&self, call: &Call<'_>, second: i64) -> Answered {
        let received = UNIX_EPOCH + Duration::from_secs(u64::try_from(second).unwrap());
        let outcome = block_on(self.gate.answer(call, received, Duration::from_secs(10)));
        Answered::new(outcome, self.memory.take(), self.gate.provider().refused)
    }
}

/// How a call ended, and what is in the queue for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
    pub why: Why,
    pub events: Vec<Envelope>,
    /// What the row answers to whatever does not pass.
    refused: provider::Answer,
}

impl Answered {
    fn new(outcome: Outcome, events: Vec<Envelope>, refused: provider::Answer) -> Answered {
        let headers = outcome.reply.headers().map(|(n, v)| (n.to_owned(), v.to_owned())).collect();
        Answered {
            status: outcome.reply.status(),
            headers,
            body: outcome.reply.body().to_owned(),
            why: outcome.why,
            events,
            refused,
        }
    }

    /// The envelopes as JSON.
    pub fn envelopes(&self) -> Vec<Value> {
        self.events.iter().map(|event| serde_json::from_str(event.text()).expect("JSON")).collect()
    }

    /// The only envelope.
    #[track_caller]
    pub fn envelope(&self) -> Value {
        assert_eq!(self.events.len(), 1, "{self:?}");
        self.envelopes().remove(0)
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// Whether it is the uniform refusal and nothing came of it.
    pub fn is_refused(&self) -> bool {
        let provider::Answer { status, content_type, body } = self.refused;
        let headers = usize::from(content_type.is_some());
        let uniform = (self.status, self.body.as_str()) == (status, body)
            && self.headers.len() == headers
            && self.header("content-type") == content_type;
        uniform && self.events.is_empty() && matches!(self.why, Why::Failed(Failure::Refused(_)))
    }

    /// Whether it answers a handshake with a text that a browser takes for nothing else.
    pub fn is_answer(&self, content_type: &str, body: &str) -> bool {
        self.status == 200
            && self.body == body
            && self.header("content-type") == Some(content_type)
            && self.header("x-content-type-options") == Some("nosniff")
            && self.header("cache-control") == Some("no-store")
            && self.why == Why::Handshake
            && self.events.is_empty()
    }

    /// Whether it answers a handshake with 200 and nothing more.
    pub fn is_empty_200(&self) -> bool {
        self.status == 200
            && self.body.is_empty()
            && self.headers.is_empty()
            && self.why == Why::Handshake
            && self.events.is_empty()
    }

    /// Whether it is our own fault and nothing came of it.
    pub fn is_fault(&self) -> bool {
        let asked_again = self.status == 503 && self.header("retry-after").is_some() && self.body.is_empty();
        asked_again && self.events.is_empty() && matches!(self.why, Why::Failed(Failure::Fault(_)))
    }

    /// Whether it was accepted with so many events.
    pub fn is_accepted(&self, events: usize) -> bool {
        self.status < 300 && self.events.len() == events && self.why == Why::Queued(events)
    }
}

/// The row of that name with its samples.
#[track_caller]
pub fn entry(name: &str) -> &'static Entry {
    registry::find(name).unwrap_or_else(|| panic!("no provider {name}"))
}

/// A draft signed by its own row at [`CLOCK`], for what no vector covers.
#[track_caller]
pub fn signed(provider: &'static Provider, config: &Value, request: Request) -> Request {
    signed_at(provider, config, request, CLOCK)
}

/// [`signed`] at a second.
#[track_caller]
pub fn signed_at(provider: &'static Provider, config: &Value, request: Request, second: i64) -> Request {
    let document = Document::read(provider, &config.to_string()).expect("a JSON object");
    let endpoint = document.endpoints().first().expect("an endpoint");
    let mut draft = sample::Draft {
        method: request.method,
        path: request.path,
        query: request.query,
        headers: request.headers,
        body: request.body,
        family: None,
        trial: Some(sample::Trial(trial::sign)),
    };
    provider.scheme.sign(&mut draft, endpoint, second).expect("a draft that can be signed");
    let sample::Draft { method, path, query, headers, body, .. } = draft;
    Request { method, path, query, headers, body }
}

/// Now, in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a time after 1970");
    i64::try_from(since.as_secs()).expect("a time that fits")
}

pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(future)
}
