//! Intercom: conversations, contacts, tickets and what else an app subscribes to.
//!
//! Signature: `X-Hub-Signature: sha1=<hex>`, HMAC-SHA1 with the app's client secret over the raw body.
//! Replay: no time is signed; the notification's id is in the signed body. The body says how often it was tried, so it
//! changes when it comes again. Deadline 5 s; slower than half a second costs priority.

use shared::crypto::HMAC_SHA1;
use shared::handshake::HeadProbe;
use shared::mac::{Layout, Mac};
use shared::provider::Field::Body;
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "intercom",
    title: "Intercom",
    docs: "https://developers.intercom.com/docs/webhooks/webhook-notifications",
    settings: &[Setting::secret(
        "client_secret",
        "Developer Hub > (the app) > Configure > Basic information > Client secret",
    )],
    scheme: &Mac {
        algorithm: &HMAC_SHA1,
        secret: "client_secret",
        headers: &["x-hub-signature"],
        layout: Layout::Prefixed("sha1="),
        ..Mac::HMAC_SHA256
    },
    handshakes: &[&HeadProbe],
    event: Event {
        kind: &[&[Body("/topic")]],
        id: &[&[Body("/id")]],
        time: &[Time::Seconds(Body("/created_at"))],
        subject: &[&[Body("/data/item/id")]],
        account: &[&[Body("/app_id")]],
        partition: &[&[Body("/app_id"), Body("/data/item/id")]],
        headers: &["user-agent"],
        ..Event::of("com.intercom")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "1 after a minute",
        proof: "documented formula, Python's hmac; no official vector exists",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
