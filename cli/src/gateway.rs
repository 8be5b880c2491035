//! HTTP in front of the gates of several providers: each at `/<provider>`, its endpoints below.
//!
//! What a gate sees is the call as its function would get it from Lambda: the path without the provider, headers of one
//! name joined.

use crate::config::Configured;
use crate::screen::{BAD, FAINT, GOOD, WARN, harmless, paint};
use axum::Router;
use axum::body::{Body, HttpBody as _};
use axum::extract::{Request, State};
use axum::http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use axum::http::{Response, StatusCode};
use serde_json::Value;
use shared::call::{Call, MAX_BODY};
use shared::error::{Failure, Fault};
use shared::event::Envelope;
use shared::gate::{Gate, Outcome, Why};
use shared::provider::Provider;
use shared::queue::{Putting, Queue, Store};
use shared::reply::Reply;
use shared::settings::Settings;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpListener;

/// How much of a body over the ceiling is read and thrown away, so that its sender hears our answer and no reset.
const READ_AWAY: usize = 64 * 1024 * 1024;

/// The gates, and where it is told what they did.
pub struct Gateway {
    gates: Vec<Gate>,
    told: Told,
}

/// Lines for whoever watches; nobody does in the demo. A full channel drops lines: a terminal that is held must not hold
/// the calls.
pub type Told = Option<SyncSender<String>>;

impl Gateway {
    /// A gateway for these providers, whose events all go to one store.
    pub fn new(configured: Vec<Configured>, store: &Arc<dyn Store>, max_bytes: usize, told: Told) -> Gateway {
        let gates = configured.into_iter().map(|Configured { provider, document, .. }| {
            let shown = Shown { store: store.clone(), provider, told: told.clone() };
            Gate::new(provider, Settings::fixed(document), Queue::new(Box::new(shown), max_bytes))
        });
        Gateway { gates: gates.collect(), told }
    }

    /// Serves until `stop`, then ends what is under way.
    pub async fn serve(
        self: Arc<Gateway>,
        listener: TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        let router = Router::new().fallback(handle).with_state(self);
        axum::serve(listener, router).with_graceful_shutdown(stop).await
    }

    async fn answer(&self, request: Request) -> Response<Body> {
        let (head, body) = request.into_parts();
        let Some(body) = read(body).await else { return bare(StatusCode::BAD_REQUEST) };
        let received = SystemTime::now();
        let headers = head.headers.iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let path = head.uri.path();
        let (provider, rest) = split(path);
        let gate = self.gates.iter().find(|gate| gate.provider().name == provider);
        let path = if gate.is_some() { rest } else { path };
        let call = Call::new(head.method.as_str(), path, head.uri.query().unwrap_or_default(), headers, body);
        if let Some(gate) = gate {
            let outcome = gate.answer(&call, received, Duration::MAX).await;
            self.tell(gate.provider(), &outcome);
            return response(&outcome.reply);
        }
        // A page that proves who owns the host is asked for at the host's root, where any provider may claim it.
        if call.method == "GET" {
            for gate in self.gates.iter().filter(|gate| gate.provider().comes_by("GET")) {
                let outcome = gate.answer(&call, received, Duration::MAX).await;
                if outcome.why == Why::Handshake {
                    self.tell(gate.provider(), &outcome);
                    return response(&outcome.reply);
                }
            }
        }
        self.say(|| row("-", WARN, "404 no configured provider has this path"));
        bare(StatusCode::NOT_FOUND)
    }

    /// Says what became of a call. Of events there is a line already.
    fn tell(&self, provider: &Provider, outcome: &Outcome) {
        let status = outcome.reply.status();
        let (style, text) = match outcome.why {
            Why::Queued(_) => return,
            Why::Handshake => (GOOD, format!("{status} handshake answered")),
            Why::Failed(Failure::Refused(reason)) => (WARN, format!("{status} refused: {reason}")),
            Why::Failed(Failure::Fault(fault)) => (BAD, format!("{status} our fault: {fault}")),
            Why::Method => (WARN, format!("{status} no call comes by this method")),
            Why::TooLarge => (WARN, format!("{status} the body is larger than {MAX_BODY} bytes")),
        };
        self.say(|| row(provider.name, style, &text));
    }

    fn say(&self, line: impl FnOnce() -> String) {
        if let Some(told) = &self.told {
            let _ = told.try_send(line());
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "this process is not frozen between calls")]
async fn handle(State(gateway): State<Arc<Gateway>>, request: Request) -> Response<Body> {
    // A task of its own goes on when the sender hangs up, as a function does, and a panic of it ends no more than itself.
    let told = gateway.told.clone();
    let answered = tokio::spawn(async move { gateway.answer(request).await }).await;
    answered.unwrap_or_else(|_| {
        if let Some(told) = told {
            let _ = told.try_send(row("-", BAD, &format!("503 our fault: {}", Fault::Panic)));
        }
        let mut response = bare(StatusCode::SERVICE_UNAVAILABLE);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("5"));
        response
    })
}

/// `/github/acme` as `github` and `/acme`.
fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    match path.find('/').and_then(|at| path.split_at_checked(at)) {
        Some((provider, rest)) => (provider, rest),
        None => (path, "/"),
    }
}

/// A body of up to one byte more than the gate takes, which is enough for it to refuse; `None` if the sender gave up.
async fn read(mut body: Body) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut total = 0_usize;
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let Ok(data) = frame.ok()?.into_data() else { continue };
        total = total.saturating_add(data.len());
        let room = (MAX_BODY + 1).saturating_sub(bytes.len()).min(data.len());
        bytes.extend_from_slice(data.get(..room)?);
        if total > READ_AWAY {
            break;
        }
    }
    Some(bytes)
}

fn response(reply: &Reply) -> Response<Body> {
    let mut response =
        bare(StatusCode::from_u16(reply.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in reply.headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(HeaderName::from_static(name), value);
        }
    }
    *response.body_mut() = Body::from(reply.body().to_owned());
    response
}

fn bare(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A store whose events are shown once they are kept.
struct Shown {
    store: Arc<dyn Store>,
    provider: &'static Provider,
    told: Told,
}

impl Store for Shown {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], until: Instant) -> Putting<'a> {
        Box::pin(async move {
            let kept = self.store.put(events, until).await;
            if let Some(told) = &self.told {
                let left = kept.as_ref().err().map(|unkept| unkept.left.as_slice()).unwrap_or_default();
                for (_, event) in events.iter().enumerate().filter(|(place, _)| !left.contains(place)) {
                    let _ = told.try_send(row(self.provider.name, GOOD, &said(event)));
                }
            }
            kept
        })
    }

    fn keeps_order(&self) -> bool {
        self.store.keeps_order()
    }
}

/// Type, subject, id and assurance of an event.
fn said(event: &Envelope) -> String {
    let attributes: Value = serde_json::from_str(event.text()).unwrap_or_default();
    let text = |name| harmless(attributes.get(name).and_then(Value::as_str).unwrap_or("-"));
    format!(
        "{}  {}  {}  {}",
        harmless(event.kind()),
        text("subject"),
        paint(FAINT, harmless(event.id())),
        paint(FAINT, text("assurance")),
    )
}

/// A line of what happens: time of day in UTC, provider, the rest. The rest is harmless already.
fn row(provider: &str, style: anstyle::Style, text: &str) -> String {
    let seconds = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    let (hours, minutes, seconds) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
    let time = format!("{hours:02}:{minutes:02}:{seconds:02}Z");
    format!("{}  {}  {text}", paint(FAINT, time), paint(style, format_args!("{provider:<10}")))
}

#[cfg(test)]
mod tests {
    use super::split;

    #[test]
    fn the_first_segment_is_the_provider() {
        for (path, provider, rest) in [
            ("/github", "github", "/"),
            ("/github/", "github", "/"),
            ("/github/a/b", "github", "/a/b"),
            ("/github//a", "github", "//a"),
            ("/", "", "/"),
            ("", "", "/"),
            ("//github", "", "/github"),
            ("*", "*", "/"),
            ("/é/ü", "é", "/ü"),
        ] {
            assert_eq!(split(path), (provider, rest), "{path}");
        }
    }
}
