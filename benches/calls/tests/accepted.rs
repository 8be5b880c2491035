//! Every call that is made here is one that its row accepts, and every forged one is refused.

use calls::{BodyAs, Made};
use shared::call::Payload;
use shared::event::Envelope;
use shared::gate::{Gate, Why};
use shared::queue::{Putting, Queue, Store};
use shared::settings::{Document, Settings};
use std::time::{Duration, Instant, UNIX_EPOCH};

const NOW: i64 = 1_795_500_000;
const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Takes everything.
struct Taken;

impl Store for Taken {
    fn put<'a>(&'a self, _events: &'a [&'a Envelope], _until: Instant) -> Putting<'a> {
        Box::pin(async { Ok(()) })
    }
}

fn answered(provider: &str, made: &Made) -> (u16, Why) {
    let row = registry::find(provider).unwrap().provider;
    let document = Document::read(row, &calls::config(provider).unwrap()).unwrap();
    let wrong = document.problems().iter().find(|problem| problem.flaw.weight.is_serious());
    assert_eq!(wrong, None, "{provider}");
    let gate = Gate::new(row, Settings::fixed(document), Queue::new(Box::new(Taken), MAX_BYTES));
    let payload = Payload::read(&made.event);
    let call = payload.call().unwrap();
    assert_eq!(call.body().unwrap().len(), made.body_bytes);
    let received = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let outcome = runtime.block_on(gate.answer(&call, received, Duration::from_secs(10)));
    (outcome.reply.status(), outcome.why)
}

#[test]
fn samples_of_any_size_are_accepted_and_forgeries_refused() {
    let mut grown = 0;
    for entry in registry::ENTRIES {
        let provider = entry.provider.name;
        for sample in entry.samples.iter().filter(|sample| !sample.is_handshake()) {
            // The settings of a provider that is laid out by them fit one of its samples.
            if provider == "generic" && sample.name != "courier-json" {
                continue;
            }
            for (bytes, body_as) in
                [(1024, BodyAs::AwsDecides), (4096, BodyAs::Base64), (20_480, BodyAs::AwsDecides)]
            {
                let what = format!("{provider} {} {bytes}", sample.name);
                let made = match calls::call(provider, sample.name, bytes, body_as, NOW) {
                    Ok(made) => made,
                    Err(error) if error.contains("cannot be") => continue,
                    Err(error) => panic!("{what}: {error}"),
                };
                let (status, why) = answered(provider, &made);
                assert!(matches!(why, Why::Queued(_)), "{what}: {status} {why:?} {}", made.event);
                assert!(
                    made.body_bytes == 0 || made.body_bytes.abs_diff(bytes) <= 48,
                    "{what}: {}",
                    made.body_bytes
                );
                grown += 1;
                // With the settings of both of its checks, the row describes that of the other samples.
                if (provider, sample.name) == ("dingtalk", "robot-text") {
                    continue;
                }
                let forged = calls::forged(&made).unwrap_or_else(|error| panic!("{what}: {error}"));
                assert_eq!(forged.event.len(), made.event.len(), "{what}");
                let (status, why) = answered(provider, &forged);
                assert!(status >= 400 && matches!(why, Why::Failed(_)), "{what}: forged, {status} {why:?}");
            }
        }
    }
    assert!(grown > 300, "only {grown} calls were made");
}

#[test]
fn a_batch_has_as_many_events() {
    for provider in ["facebook", "instagram", "line", "sendgrid", "messenger"] {
        for events in [1, 10, 100] {
            let made = calls::batch(provider, events, NOW).unwrap();
            assert_eq!(answered(provider, &made), (200, Why::Queued(events)), "{provider}");
        }
    }
    assert!(calls::batch("github", 2, NOW).is_err());
}

#[test]
fn the_ceiling_is_as_near_as_it_gets() {
    let made = calls::ceiling("github", NOW).unwrap();
    let below = calls::MAX_EVENT.checked_sub(made.event.len()).expect("it is not over it");
    assert!(below < 32, "{below} bytes below");
    assert_eq!(answered("github", &made), (200, Why::Queued(1)));
}

#[test]
fn what_is_not_there_is_said() {
    let call = |provider, sample| calls::call(provider, sample, 1024, BodyAs::AwsDecides, NOW).err().unwrap();
    assert!(call("nobody", "push").contains("nobody"));
    assert!(call("github", "nothing").contains("push-form"));
    assert!(call("github", "push-form").contains("cannot be cut"));
}
