//! Zoom: meetings, webinars, recordings, users and what else an app subscribes to.
//!
//! Signature: `x-zm-signature: v0=<hex>`, HMAC-SHA256 over `v0:`, the time as it stands in its header, `:` and the raw body.
//! Replay: no window is documented, and neither is whether a call that comes again 5, 25 and 85 minutes later is signed
//! anew. So the time may be two hours away, and nothing is lost either way. Deadline 3 s.

use shared::challenge::SignedToken;
use shared::mac::{Layout, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::Body;
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// What is signed has colons, and no token that is answered has one.
static SIGNATURE: Mac<'static> = Mac {
    secret: "secret_token",
    headers: &["x-zm-signature"],
    layout: Layout::Prefixed("v0="),
    signed: &[Part::Text("v0:"), Part::Timestamp, Part::Text(":"), Part::Body],
    timestamp: Some(Timestamp {
        at: TimestampAt::Header("x-zm-request-timestamp"),
        unit: Unit::Seconds,
        tolerance: 7200,
    }),
    ..Mac::HMAC_SHA256
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zoom",
    title: "Zoom",
    docs: "https://developers.zoom.us/docs/api/webhooks/#verify-webhook-events",
    settings: &[Setting::secret(
        "secret_token",
        "App Marketplace > Manage > (the app) > Features > Access > Secret token",
    )],
    scheme: &SIGNATURE,
    handshakes: &[&SignedToken {
        mark: ("/event", "endpoint.url_validation"),
        members: &["event", "event_ts", "payload"],
        token: "/payload/plainToken",
        signature: &SIGNATURE,
        answer: ("plainToken", "encryptedToken"),
    }],
    event: Event {
        kind: &[&[Body("/event")]],
        time: &[Time::Millis(Body("/event_ts"))],
        subject: &[&[Body("/payload/object/uuid")], &[Body("/payload/object/id")]],
        account: &[&[Body("/payload/account_id")]],
        partition: &[&[Body("/payload/account_id"), Body("/payload/object/id")]],
        headers: &["user-agent", "x-zm-trackingid"],
        ..Event::of("us.zoom")
    },
    deadline: Duration::from_secs(3),
    facts: Facts {
        retries: "3: after 5, 20 and 60 minutes more",
        proof: "documented formula, Python's hmac; no official vector has its secret",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
