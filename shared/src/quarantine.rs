//! A place for calls whose signature did not match, so that an operator who gave a wrong secret gets his events back.
//!
//! What is kept is suspect and says so: a type and a queue of its own, which cannot reach the queue of events. Only a new
//! check makes a [`crate::verify::Verified`] of it. Where the credential itself would have to be kept, nothing is.

use crate::aws::{Ask, Aws, Operation};
use crate::call::Call;
use crate::event::carriable;
use crate::log;
use crate::provider::{Event, Provider};
use crate::settings::Endpoint;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The version of what stands in the quarantine.
const VERSION: &str = "1.0";
/// The most calls of one endpoint that one environment keeps in one [`WINDOW`]: whoever sends forgeries must not fill the
/// queue.
const MOST: u32 = 100;
/// See [`MOST`].
const WINDOW: Duration = Duration::from_secs(10);
/// The most that keeping a call may take: its answer is a refusal, and must not wait for long.
const KEEPING: Duration = Duration::from_millis(600);

/// A call whose signature did not match, with what a later check needs.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Suspect {
    /// Of this form.
    pub quarantineversion: String,
    /// The provider that it claims to come from.
    pub provider: String,
    /// The endpoint that the path selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// When it arrived, in Unix milliseconds.
    pub received: i64,
    /// `POST`
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, where the URL is signed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub query: String,
    /// The public host name, where the URL is signed.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// The headers that the check and the envelope read, in lower case.
    pub headers: BTreeMap<String, String>,
    /// The exact bytes of the body, in base64.
    pub body: String,
}

impl fmt::Debug for Suspect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Signature and body are not for a log.
        f.debug_struct("Suspect").field("provider", &self.provider).finish_non_exhaustive()
    }
}

impl Suspect {
    /// A call as it is to be kept, received at a time in Unix milliseconds; `None` where a credential would be in it.
    pub fn of(provider: &Provider, endpoint: &Endpoint, call: &Call<'_>, received: i64) -> Option<Suspect> {
        let evidence = provider.scheme.evidence(endpoint)?;
        let mut names = evidence.headers;
        names.push("content-type".to_owned());
        let mut add = |event: &Event<'_>| {
            names.extend(event.header_names().into_iter().map(str::to_owned));
        };
        match provider.event_by_settings {
            Some(by_settings) => by_settings(&provider.event, endpoint, &mut add),
            None => add(&provider.event),
        }
        let found = names.into_iter().filter_map(|name| {
            let value = call.header(&name)?.to_owned();
            Some((name, value))
        });
        let signed = |text: &str| if evidence.url { text.to_owned() } else { String::new() };
        Some(Suspect {
            quarantineversion: VERSION.to_owned(),
            provider: provider.name.to_owned(),
            endpoint: endpoint.name().map(str::to_owned),
            received,
            method: call.method.clone().into_owned(),
            path: call.path.clone().into_owned(),
            query: signed(&call.query),
            domain: signed(&call.domain),
            headers: found.collect(),
            body: BASE64_STANDARD.encode(call.body()?),
        })
    }

    /// Reads a message of the quarantine.
    pub fn read(text: &str) -> Result<Suspect, &'static str> {
        let suspect: Suspect =
            serde_json::from_str(text).map_err(|_| "is no call from a quarantine of this version")?;
        if suspect.quarantineversion != VERSION {
            return Err("is of another version");
        }
        BASE64_STANDARD.decode(&suspect.body).map_err(|_| "has a body that is not base64")?;
        Ok(suspect)
    }

    /// The message, every character of which is one that SQS carries.
    pub fn text(&self) -> String {
        // Texts and a number always serialise.
        carriable(serde_json::to_string(self).unwrap_or_default())
    }

    /// The call, as it was.
    pub fn call(&self) -> Call<'static> {
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), value.clone()));
        let body = BASE64_STANDARD.decode(&self.body).unwrap_or_default();
        let mut call = Call::new(self.method.clone(), self.path.clone(), self.query.clone(), headers, body);
        call.domain = self.domain.clone().into();
        call
    }
}

/// The queue of suspects.
pub struct Quarantine {
    aws: Arc<Aws>,
    url: String,
    max_bytes: usize,
    window: Mutex<Window>,
}

struct Window {
    since: Instant,
    /// Whether the queue did not take one: each further call would wait for it in vain.
    failed: bool,
    /// By the endpoint's name, of which the settings have only so many.
    kept: BTreeMap<Option<String>, u32>,
}

impl Window {
    fn new() -> Window {
        Window { since: Instant::now(), failed: false, kept: BTreeMap::new() }
    }
}

impl Quarantine {
    /// A queue at a URL that takes messages of up to so many bytes.
    pub fn new(aws: &Arc<Aws>, url: &str, max_bytes: usize) -> Quarantine {
        // Connections of its own: what forged calls break must not cost genuine ones theirs.
        let aws = Arc::new(aws.in_region(&aws.region));
        Quarantine { aws, url: url.to_owned(), max_bytes, window: Mutex::new(Window::new()) }
    }

    /// Keeps a call if it may. Whatever comes of it is the operator's to know, never the caller's.
    pub async fn keep(
        &self,
        provider: &Provider,
        endpoint: &Endpoint,
        call: &Call<'_>,
        received: i64,
        until: Instant,
    ) {
        if provider.scheme.evidence(endpoint).is_none() {
            return;
        }
        // What is too long must not even be encoded.
        if call.body().is_none_or(|body| body.len() > self.max_bytes) {
            return log::quarantine(provider.name, Err("it is larger than QUARANTINE_MAX_BYTES"));
        }
        let Some(suspect) = Suspect::of(provider, endpoint, call, received) else { return };
        let text = suspect.text();
        let kept = if text.len() > self.max_bytes {
            Err("it is larger than QUARANTINE_MAX_BYTES")
        } else if let Err(why) = self.may_keep(endpoint) {
            Err(why)
        } else {
            let sent = self.send(&text, until.min(Instant::now() + KEEPING)).await;
            self.window().failed |= sent.is_err();
            sent
        };
        log::quarantine(provider.name, kept);
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn may_keep(&self, endpoint: &Endpoint) -> Result<(), &'static str> {
        let mut window = self.window();
        if window.since.elapsed() >= WINDOW {
            *window = Window::new();
        }
        if window.failed {
            return Err("the queue did not take one a moment ago");
        }
        let kept = window.kept.entry(endpoint.name().map(str::to_owned)).or_insert(0);
        if *kept >= MOST {
            return Err("too many at once");
        }
        *kept += 1;
        Ok(())
    }

    async fn send(&self, text: &str, until: Instant) -> Result<(), &'static str> {
        let input = json!({ "QueueUrl": self.url, "MessageBody": text });
        let (target, content_type) = ("AmazonSQS.SendMessage", "application/x-amz-json-1.0");
        let ask = Ask::Json { target, content_type, input: &input };
        let answer = self.aws.insist(&Operation { service: "sqs", env: "SQS", ask }, until).await?;
        match answer.status {
            200 => Ok(()),
            _ => Err("SQS does not take it"),
        }
    }
}
