//! The Lambda function: environment, init, one call after another.
//!
//! Nothing here is generic over the provider, so that a hundred functions compile it once.

use crate::aws::Aws;
use crate::bucket::{Bucket, ClaimCheck, Spill};
use crate::call::Payload;
use crate::duplicates::{self, Table};
use crate::error::{Failure, Fault};
use crate::event::Envelope;
use crate::gate::{Gate, Outcome, Why};
use crate::log;
use crate::provider::Provider;
use crate::quarantine::Quarantine;
use crate::queue::{DEFAULT_MAX_BYTES, Putting, Queue, Store, Unkept};
use crate::reply::Reply;
use crate::settings::{Settings, Source};
use crate::sqs::{SecondSqs, Sqs};
use futures_util::FutureExt as _;
pub use lambda_http::Error;
use lambda_http::aws_lambda_events::apigw::ApiGatewayV2httpResponse;
use lambda_http::http::{HeaderMap, HeaderName, HeaderValue};
use lambda_http::{Body, LambdaEvent, service_fn};
use std::convert::Infallible;
use std::env;
use std::panic::{self, AssertUnwindSafe};
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is kept of the platform's own limit, so that our 503 is sent rather than its 502.
const PLATFORM_MARGIN: Duration = Duration::from_millis(250);

/// Runs a provider's row as a Lambda function, for as long as the environment lives.
pub fn run(provider: &'static Provider) -> Result<(), Error> {
    log::set_level(env::var("HOOKGATE_LOG").ok().as_deref());
    if let Some(namespace) = set("HOOKGATE_METRICS") {
        log::set_metrics(namespace);
    }
    panic::set_hook(Box::new(|info| {
        let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
        log::panicked(file, line);
    }));
    // One call at a time needs one thread, and starting none saves the time to start it.
    let mut runtime = match takes_several_calls() {
        true => tokio::runtime::Builder::new_multi_thread(),
        false => tokio::runtime::Builder::new_current_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        let gate = Arc::new(from_env(provider));
        gate.warm_up().await;
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<Payload>| {
            let gate = gate.clone();
            async move {
                let limit = remaining(event.context.deadline);
                let reply = answer(&gate, &event.payload, limit).await;
                Ok::<_, Infallible>(response(&reply))
            }
        }))
        .await
    })
}

/// Whether the platform hands over a call before another one is answered, as Lambda Managed Instances do.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-managed-instances-rust.html>
fn takes_several_calls() -> bool {
    set("AWS_LAMBDA_MAX_CONCURRENCY").and_then(|most| most.parse::<u32>().ok()).is_some_and(|most| most > 1)
}

/// The gate that the environment describes.
fn from_env(provider: &'static Provider) -> Gate {
    let aws = Arc::new(Aws::from_env());
    let source = Source::of(&set("HOOKGATE_CONFIG").unwrap_or_else(|| "{}".to_owned()));
    let ttl = number("HOOKGATE_CONFIG_TTL", "is no number of seconds; 300 is used").map(Duration::from_secs);
    let settings = Settings::new(provider, source, ttl, &aws);
    let store: Box<dyn Store> = match set("QUEUE_URL") {
        Some(url) => Box::new(Sqs::new(&aws, &url).fair(set("QUEUE_FAIR").as_deref() == Some("true"))),
        None => {
            log::environment("QUEUE_URL", "is not set: every event is answered 503");
            Box::new(NoQueue)
        }
    };
    let max_bytes = number("QUEUE_MAX_BYTES", "is no number of bytes; 262144 is used");
    let mut queue = Queue::new(store, max_bytes.unwrap_or(DEFAULT_MAX_BYTES));
    if let Some(bucket) = set("CLAIM_CHECK_BUCKET") {
        queue = queue.claim_check(ClaimCheck::new(Bucket::new(&aws, &bucket)));
    }
    if let Some(url) = set("FALLBACK_QUEUE_URL") {
        queue = queue.stand_in(Box::new(SecondSqs::new(&aws, &url)));
    }
    if let Some(bucket) = set("FALLBACK_BUCKET") {
        queue = queue.stand_in(Box::new(Spill::new(Bucket::new(&aws, &bucket))));
    }
    if let Some(table) = set("DUPLICATES_TABLE") {
        let ttl = number("DUPLICATES_TTL", "is no number of seconds; 604800 is used");
        queue = queue.duplicates(Table::new(&aws, &table, ttl.map_or(duplicates::TTL, Duration::from_secs)));
    }
    let mut gate = Gate::new(provider, settings, queue);
    let events_go_to = ["QUEUE_URL", "FALLBACK_QUEUE_URL"].map(set);
    if let Some(url) = set("QUARANTINE_QUEUE_URL") {
        if events_go_to.contains(&Some(url.clone())) {
            log::environment("QUARANTINE_QUEUE_URL", "is a queue of events: nothing is kept");
            return gate;
        }
        let max_bytes = number("QUARANTINE_MAX_BYTES", "is no number of bytes; 262144 is used");
        gate = gate.quarantine(Quarantine::new(&aws, &url, max_bytes.unwrap_or(DEFAULT_MAX_BYTES)));
    }
    gate
}

/// A variable that is set to something.
fn set(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.trim().is_empty())
}

/// A variable that is a number; one that is set to something else is logged with these words.
fn number<T: FromStr>(name: &str, otherwise: &str) -> Option<T> {
    let number = set(name)?.parse().ok();
    if number.is_none() {
        log::environment(name, otherwise);
    }
    number
}

/// In place of a queue that nobody named.
struct NoQueue;

impl Store for NoQueue {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], _until: Instant) -> Putting<'a> {
        let left = (0..events.len()).collect();
        Box::pin(async { Err(Unkept { fault: Fault::Queue("QUEUE_URL is not set"), left }) })
    }
}

/// Answers what came, whatever it is, and logs what an operator has to know.
async fn answer(gate: &Gate, payload: &Payload, limit: Duration) -> Reply {
    let received = SystemTime::now();
    let outcome = AssertUnwindSafe(async {
        match payload.call() {
            Ok(call) => gate.answer(&call, received, limit).await,
            Err(fault) => faulty(fault),
        }
    });
    let outcome = outcome.catch_unwind().await.unwrap_or_else(|_| faulty(Fault::Panic));
    let provider = gate.provider().name;
    match outcome.why {
        Why::Failed(Failure::Refused(refused)) => log::refused(provider, &refused),
        Why::Failed(Failure::Fault(fault)) => log::fault(provider, &fault),
        Why::Queued(events) => log::queued(provider, events),
        Why::Handshake | Why::Method | Why::TooLarge => {}
    }
    outcome.reply
}

fn faulty(fault: Fault) -> Outcome {
    Outcome { reply: Reply::fault(), why: Why::Failed(Failure::Fault(fault)) }
}

/// What the platform leaves for a call whose deadline is in Unix milliseconds.
fn remaining(deadline: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(deadline).saturating_sub(now).saturating_sub(PLATFORM_MARGIN)
}

fn response(reply: &Reply) -> ApiGatewayV2httpResponse {
    let mut headers = HeaderMap::new();
    for (name, value) in reply.headers() {
        if let Ok(value) = HeaderValue::from_str(value) {
            headers.insert(HeaderName::from_static(name), value);
        }
    }
    let mut response = ApiGatewayV2httpResponse::default();
    response.status_code = i64::from(reply.status());
    response.headers = headers;
    response.body = Some(Body::Text(reply.body().to_owned()));
    response
}
