//! TikTok for Developers: removed authorisations, uploads and posts, portable data. Not TikTok Shop.
//!
//! Signature: `TikTok-Signature: t=<Unix seconds>,s=<hex>`, HMAC-SHA256 over the time, a dot and the raw body with the
//! client secret. Replay: TikTok leaves the window to you and sends again for 72 hours, and whether it signs anew then is
//! not documented: a time as old as that passes, so the assurance is `signed` and no more. No deadline is published.

use shared::mac::{Layout, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::Body;
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// As long as TikTok sends again, and an hour for its clock and ours, in seconds.
const WINDOW: u64 = 73 * 60 * 60;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "tiktok",
    title: "TikTok",
    docs: "https://developers.tiktok.com/doc/webhooks-verification",
    settings: &[Setting::secret("client_secret", "Manage apps > (app) > Credentials > Client secret")],
    scheme: &Mac {
        secret: "client_secret",
        headers: &["tiktok-signature"],
        layout: Layout::Pairs("s"),
        signed: &[Part::Timestamp, Part::Text("."), Part::Body],
        timestamp: Some(Timestamp { at: TimestampAt::Pair("t"), unit: Unit::Seconds, tolerance: WINDOW }),
        ..Mac::HMAC_SHA256
    },
    event: Event {
        kind: &[&[Body("/event")]],
        time: &[Time::Seconds(Body("/create_time"))],
        subject: &[&[Body("/user_openid")]],
        account: &[&[Body("/client_key")]],
        partition: &[&[Body("/client_key"), Body("/user_openid")]],
        headers: &["user-agent"],
        ..Event::of("com.tiktok")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "with growing pauses for 72 hours",
        proof: "documented formula, Python's hmac; no official vector exists",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
