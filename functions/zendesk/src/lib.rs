//! Zendesk: tickets, users, organisations and whatever triggers and automations send.
//!
//! Signature: `X-Zendesk-Webhook-Signature: <base64>`, HMAC-SHA256 over the time as it stands in its header and the raw body,
//! with the signing secret's text as it is shown. Replay: the time is signed; Zendesk names no window, 10 minutes hold all of
//! its retries. Deadline 12 s.

use shared::mac::{Encoding, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{After, Body, Header, Where};
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// How the type of an event begins that is Zendesk's own and no trigger's.
const EVENT_TYPE: &str = "zen:event-type:";
const INVOCATION: &str = "x-zendesk-webhook-invocation-id";

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zendesk",
    title: "Zendesk",
    docs: "https://developer.zendesk.com/documentation/webhooks/verifying/",
    settings: &[Setting::secret(
        "signing_secret",
        "Admin Center > Apps and integrations > Webhooks > (the webhook) > Signing secret > Reveal secret",
    )],
    scheme: &Mac {
        secret: "signing_secret",
        headers: &["x-zendesk-webhook-signature"],
        encoding: Encoding::Base64,
        signed: &[Part::Timestamp, Part::Body],
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-zendesk-webhook-signature-timestamp"),
            unit: Unit::Rfc3339,
            tolerance: 600,
        }),
        ..Mac::HMAC_SHA256
    },
    event: Event {
        kind: &[&[After(&Body("/type"), EVENT_TYPE)]],
        // What a trigger sends is the operator's own template, and an `id` there may well be the ticket's: then it is the
        // invocation's, the same in all of its attempts.
        id: &[&[Where(&Body("/type"), EVENT_TYPE), Body("/id")], &[Header(INVOCATION)]],
        time: &[Time::Rfc3339(Body("/time")), Time::Signed],
        subject: &[&[Body("/subject")]],
        account: &[&[Body("/account_id")], &[Header("x-zendesk-account-id")]],
        partition: &[&[Body("/account_id"), Body("/subject")]],
        delivery: &[INVOCATION],
        headers: &["x-zendesk-account-id", "x-zendesk-webhook-id"],
        ..Event::of("com.zendesk")
    },
    deadline: Duration::from_secs(12),
    facts: Facts {
        retries: "3 on 409, 429 and 503 with a short Retry-After; 5 on time-outs",
        proof: "documented formula, Python's hmac; no official vector exists",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
