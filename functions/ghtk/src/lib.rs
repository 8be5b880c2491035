//! GHTK (Giao Hàng Tiết Kiệm): what happens to parcels.
//!
//! Check: GHTK signs nothing. A token of your own stands in the URL that GHTK is told, and says nothing about the body.
//! Replay: nothing is signed. No deadline is published; one further attempt follows.

use shared::provider::Field::{Body, Word};
use shared::provider::{Event, Facts, JSON_OR_ANY_FORM, Provider, Setting, Time};
use shared::token::{Place, Token};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ghtk",
    title: "GHTK",
    docs: "https://api.ghtk.vn/en/docs/submit-order/webhook",
    settings: &[Setting::secret(
        "token",
        "of your own choice; the same in the URL that GHTK is told: ?token=…",
    )],
    scheme: &Token { secret: "token", place: Place::Query("token") },
    format: JSON_OR_ANY_FORM,
    event: Event {
        kind: &[&[Word("status"), Body("/status_id")]],
        time: &[Time::Rfc3339(Body("/action_time"))],
        subject: &[&[Body("/label_id")]],
        partition: &[&[Body("/label_id")]],
        ..Event::of("vn.ghtk")
    },
    deadline: Duration::from_secs(5),
    facts: Facts { retries: "1", proof: "a token has no signature to prove", checked: "2026-11-25" },
    ..Provider::DEFAULTS
};
