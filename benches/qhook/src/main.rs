//! How long qhook (<https://crates.io/crates/qhook>) takes to check a call of GitHub: its own public function, linked as a
//! library. A program of its own, so that the features which qhook asks of its dependencies change nothing of ours.
//!
//! `qhook-verify SECRET SIGNATURE MILLISECONDS < BODY` prints the median of its turns in nanoseconds a call.

use axum::http::{HeaderMap, HeaderValue};
use std::hint::black_box;
use std::io::Read as _;
use std::time::{Duration, Instant};

/// A turn takes about so long.
const TURN: Duration = Duration::from_millis(2);

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [secret, signature, millis] = arguments.as_slice() else {
        return Err("usage: qhook-verify SECRET SIGNATURE MILLISECONDS < BODY".to_owned());
    };
    let millis = millis.parse().map_err(|_| "no number of milliseconds")?;
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body).map_err(|error| error.to_string())?;
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(signature).map_err(|error| error.to_string())?;
    headers.insert("x-hub-signature-256", value);
    let check = || qhook::verify::verify_signature("github", secret, black_box(&body), &headers);
    if !check().map_err(|error| error.to_string())? {
        return Err("qhook refuses a genuine call".to_owned());
    }
    let mut turns = Vec::new();
    let end = Instant::now() + Duration::from_millis(millis);
    while Instant::now() < end {
        let (start, mut calls) = (Instant::now(), 0_u32);
        while start.elapsed() < TURN {
            for _ in 0..8 {
                black_box(check()).map_err(|error| error.to_string())?;
            }
            calls += 8;
        }
        turns.push(start.elapsed().as_secs_f64() * 1e9 / f64::from(calls));
    }
    turns.sort_by(f64::total_cmp);
    println!("{}", turns.get(turns.len() / 2).copied().unwrap_or_default());
    Ok(())
}
