//! Checking and enveloping alone, without a runtime and without a queue, beside the least that both could cost: the bare
//! HMAC-SHA256 of the body and one pass over it that finds out whether it is JSON.
//!
//! `engine BYTES MILLISECONDS` takes turns for so long with one call of GitHub of so many bytes and prints a line of JSON:
//! for each part the median of its turns, in nanoseconds a call.

use calls::BodyAs;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::de::IgnoredAny;
use serde_json::json;
use sha2::Sha256;
use shared::call::{Call, Payload};
use shared::event::envelopes;
use shared::settings::{Document, Endpoint};
use shared::verify::verify;
use std::env;
use std::hint::black_box;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// One call of a part.
type Part<'p> = Box<dyn FnMut() + 'p>;

/// A turn of one part takes about so long, so that reading the clock costs nothing.
const TURN: Duration = Duration::from_millis(2);

fn main() -> Result<(), String> {
    let mut arguments = env::args().skip(1).map_while(|argument| argument.parse::<u64>().ok());
    let (Some(bytes), Some(millis)) = (arguments.next(), arguments.next()) else {
        return Err("usage: engine BYTES MILLISECONDS".to_owned());
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(now.as_secs()).map_err(|_| "a clock far in the future")?;
    let size = usize::try_from(bytes).map_err(|_| "too large")?;
    let made = calls::call("github", "pull-request-opened", size, BodyAs::AwsDecides, seconds)?;
    let config = calls::config("github")?;
    let provider = registry::find("github").ok_or("no row of GitHub")?.provider;
    let document = Document::read(provider, &config).map_err(|_| "settings that are none")?;
    let payload = Payload::read(&made.event);
    let call = payload.call().map_err(|_| "an event that is none")?;
    let endpoint = document.endpoint(&call).map_err(|_| "no endpoint")?;
    let settings: serde_json::Value = serde_json::from_str(&config).map_err(|_| "settings that are none")?;
    let secret = settings.get("secret").and_then(serde_json::Value::as_str).ok_or("no secret")?;
    let body = made.draft.body.as_slice();

    let checked = |call: &Call<'_>, endpoint: &Endpoint| {
        let verified = verify(provider, call, endpoint, seconds).expect("a genuine call");
        black_box(envelopes(&verified, seconds * 1000));
    };
    let mut parts: [(&str, Part<'_>); 6] = [
        ("hmac", Box::new(|| hmac(secret, body))),
        ("json", Box::new(|| validate(body))),
        (
            "bare",
            Box::new(|| {
                hmac(secret, body);
                validate(body);
            }),
        ),
        (
            "verify",
            Box::new(|| {
                black_box(verify(provider, &call, endpoint, seconds).is_ok());
            }),
        ),
        ("verify_envelope", Box::new(|| checked(&call, endpoint))),
        (
            "read_verify_envelope",
            Box::new(|| {
                let payload = Payload::read(black_box(&made.event));
                let call = payload.call().expect("an event");
                checked(&call, endpoint);
            }),
        ),
    ];
    let counts: Vec<u32> = parts.iter_mut().map(|(_, part)| calls_of_a_turn(part)).collect();
    let mut turns: Vec<Vec<f64>> = parts.iter().map(|_| Vec::new()).collect();
    let end = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < end {
        for ((_, part), (count, turns)) in parts.iter_mut().zip(counts.iter().zip(&mut turns)) {
            turns.push(turn(part, *count));
        }
    }
    let medians =
        parts.iter().zip(&mut turns).map(|((name, _), turns)| ((*name).to_owned(), json!(median(turns))));
    println!("{}", serde_json::Value::Object(medians.collect()));
    Ok(())
}

fn hmac(secret: &str, body: &[u8]) {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any key will do");
    mac.update(black_box(body));
    black_box(mac.finalize());
}

fn validate(body: &[u8]) {
    black_box(serde_json::from_slice::<IgnoredAny>(black_box(body))).expect("JSON");
}

/// How many calls take about a turn.
fn calls_of_a_turn(part: &mut dyn FnMut()) -> u32 {
    let mut count = 1;
    loop {
        let each = turn(part, count);
        let wanted = (TURN.as_secs_f64() * 1e9 / each).clamp(1.0, 1e6);
        if f64::from(count) * 2.0 >= wanted {
            // Between one and a million.
            return wanted as u32;
        }
        count *= 2;
    }
}

/// Nanoseconds a call.
fn turn(part: &mut dyn FnMut(), count: u32) -> f64 {
    let start = Instant::now();
    for _ in 0..count {
        part();
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(count)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
