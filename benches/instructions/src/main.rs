//! Answers one call again and again on the way that a function takes, for callgrind to count. `benches/count` runs it.
//!
//!     instructions rows           the names of what is counted
//!     instructions run ROW TIMES  counted so often, after two times that are not
//!     instructions double         SQS, for the rows that send
//!     instructions cpu            what the code that asks the processor finds
//!
//! Callgrind collects within [`counted`] alone.

mod double;
mod rows;

use rows::{NOW, ROWS, Row, What};
use shared::aws::Aws;
use shared::call::Payload;
use shared::event::Envelope;
use shared::gate::{Gate, Outcome, Why};
use shared::queue::{DEFAULT_MAX_BYTES, Putting, Queue, Store};
use shared::settings::{Document, Settings, Source};
use shared::sqs::Sqs;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};
use std::{env, hint};

/// What the platform leaves for a call.
const LIMIT: Duration = Duration::from_secs(10);
/// How often a call is answered before it is counted: the connection is open then, and what is made once is made.
const WARM: usize = 2;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match *words {
        ["rows"] => {
            ROWS.iter().for_each(|row| println!("{}", row.name));
            Ok(())
        }
        ["run", name, times] => run(name, times),
        ["double"] => double::serve(),
        ["cpu"] => {
            println!("{}", cpu());
            Ok(())
        }
        _ => Err("instructions rows | run ROW TIMES | double | cpu".to_owned()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(name: &str, times: &str) -> Result<(), String> {
    let row = ROWS.iter().find(|row| row.name == name).ok_or_else(|| format!("no row is called {name}"))?;
    let times: usize = times.parse().map_err(|_| "TIMES is a number")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let Some(made) = row.made()? else {
        let config = calls::config(row.provider)?;
        for _ in 0..times {
            counted(&mut || {
                drop(hint::black_box(runtime.block_on(init(row, &config))));
            });
        }
        return Ok(());
    };
    let gate = gate(row)?;
    let received = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
    let mut outcome = None;
    let mut answer = || {
        outcome = Some(runtime.block_on(async {
            let payload = Payload::read(&made.event);
            let call = payload.call().map_err(|fault| fault.to_string())?;
            Ok::<Outcome, String>(gate.answer(&call, received, LIMIT).await)
        }));
    };
    for _ in 0..WARM {
        answer();
    }
    for _ in 0..times {
        counted(&mut answer);
    }
    let why = outcome.ok_or("counted no call")??.why;
    let is_right = match (row.what, why) {
        (What::Accepted(_) | What::Sent(_), Why::Queued(_)) => true,
        (What::Batch(events), Why::Queued(queued)) => queued == events,
        (What::Refused(_), Why::Failed(_)) => true,
        _ => false,
    };
    if is_right { Ok(()) } else { Err(format!("{name} was answered otherwise than it should be: {why:?}")) }
}

/// What callgrind collects.
#[inline(never)]
fn counted(what: &mut dyn FnMut()) {
    what();
}

/// Keeps nothing, and says that it does.
struct Kept;

impl Store for Kept {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], _until: Instant) -> Putting<'a> {
        hint::black_box(events);
        Box::pin(async { Ok(()) })
    }
}

/// The gate of a row. Its keys are those of local trials, which a deployed function would refuse.
fn gate(row: &Row) -> Result<Gate, String> {
    let provider = registry::find(row.provider).ok_or("no such provider")?.provider;
    let document =
        Document::read(provider, &calls::config(row.provider)?).map_err(|fault| fault.to_string())?;
    let store: Box<dyn Store> = match row.what {
        What::Sent(_) => Box::new(sqs(&Arc::new(Aws::from_env()))),
        _ => Box::new(Kept),
    };
    Ok(Gate::new(provider, Settings::fixed(document), Queue::new(store, DEFAULT_MAX_BYTES)))
}

/// What a function does before its first call, settings inline.
async fn init(row: &Row, config: &str) -> Option<Gate> {
    let provider = registry::find(row.provider)?.provider;
    let aws = Arc::new(Aws::from_env());
    let settings = Settings::new(provider, Source::of(config), None, &aws);
    let gate = Gate::new(provider, settings, Queue::new(Box::new(sqs(&aws)), DEFAULT_MAX_BYTES));
    gate.warm_up().await;
    Some(gate)
}

/// The queue, at the endpoint that the environment names.
fn sqs(aws: &Arc<Aws>) -> Sqs {
    Sqs::new(aws, "https://sqs.eu-central-1.amazonaws.com/123456789012/hookgate-events")
}

/// The features by which memchr, ring and the ciphers choose their code.
#[cfg(target_arch = "x86_64")]
fn cpu() -> String {
    let found = [
        ("ssse3", is_x86_feature_detected!("ssse3")),
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("aes", is_x86_feature_detected!("aes")),
        ("pclmulqdq", is_x86_feature_detected!("pclmulqdq")),
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("bmi2", is_x86_feature_detected!("bmi2")),
        ("adx", is_x86_feature_detected!("adx")),
        ("sha", is_x86_feature_detected!("sha")),
    ];
    let names: Vec<&str> = found.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect();
    names.join(",")
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu() -> String {
    "any".to_owned()
}
