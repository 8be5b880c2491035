//! GHN (Giao Hàng Nhanh): what happens to parcels.
//!
//! Check: GHN signs nothing. A token of your own stands in the URL that GHN is told, and says nothing about the body.
//! Replay: nothing is signed. No deadline is published; 10 further attempts follow 5 seconds after one another.

use shared::provider::Field::{Body, Where};
use shared::provider::{Event, Facts, Provider, Setting, Time};
use shared::token::{Place, Token};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "ghn",
    title: "GHN",
    docs: "https://api.ghn.vn/home/docs/detail?id=47",
    settings: &[Setting::secret(
        "token",
        "of your own choice; the same in the URL that GHN is told: ?token=…",
    )],
    scheme: &Token { secret: "token", place: Place::Query("token") },
    event: Event {
        // Published both with a capital and without.
        kind: &[
            &[Where(&Body("/Type"), "Switch"), Body("/Type"), Body("/Status")],
            &[Where(&Body("/Type"), "switch"), Body("/Type"), Body("/Status")],
            &[Body("/Type")],
        ],
        time: &[Time::Rfc3339(Body("/Time"))],
        subject: &[&[Body("/OrderCode")]],
        account: &[&[Body("/ShopID")]],
        partition: &[&[Body("/OrderCode")]],
        ..Event::of("vn.ghn")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "10, 5 seconds apart",
        proof: "a token has no signature to prove",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
