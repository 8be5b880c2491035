//! Twilio SendGrid: the Event Webhook (what became of a mail) and Inbound Parse (mails that came).
//!
//! Signature: `X-Twilio-Email-Event-Webhook-Signature: <base64 of DER>`, ECDSA with P-256 and SHA-256 over
//! `X-Twilio-Email-Event-Webhook-Timestamp` and the raw body, line breaks at its end included. Inbound Parse has the same
//! headers where a security policy is attached to it; else nothing is signed, and HTTP Basic in its URL is all there is.
//! Replay: no window is documented. Events are sent again for 24 hours and mails for 72, and whether they are signed anew
//! is not documented, while a 401 drops a mail for good: 73 hours pass, so the assurance is `signed` and no more.

use shared::by_secret::{BySecret, Every};
use shared::crypto::signature::ECDSA_P256_SHA256;
use shared::error::Unreadable;
use shared::mac::{Encoding, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{Body, Where, Word};
use shared::provider::{Content, Event, Facts, Provider, Setting, Split, Time};
use shared::signature::{KeyForm, Signature};
use shared::token::Basic;
use shared::{json, multipart, trial};
use std::time::Duration;

/// As long as mails are sent again, and an hour for SendGrid's clock and ours, in seconds.
const WINDOW: u64 = 73 * 60 * 60;

/// What both kinds of call carry, where they are signed.
static SIGNATURE: Signature = Signature {
    algorithm: &ECDSA_P256_SHA256,
    key: "public_key",
    key_form: KeyForm::Spki,
    header: "x-twilio-email-event-webhook-signature",
    encoding: Encoding::Base64,
    signed: &[Part::Timestamp, Part::Body],
    timestamp: Some(Timestamp {
        at: TimestampAt::Header("x-twilio-email-event-webhook-timestamp"),
        unit: Unit::Seconds,
        tolerance: WINDOW,
    }),
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "sendgrid",
    title: "Twilio SendGrid",
    docs: "https://www.twilio.com/docs/sendgrid/for-developers/tracking-events/getting-started-event-webhook-security-features",
    settings: &[
        Setting::secret(
            "public_key",
            "Settings > Mail Settings > Event Webhooks > (webhook) > Security features > Verification Key; of Inbound Parse \
             signature.public_key of its security policy",
        )
        .unless(&["basic_auth"])
        .example(trial::P256),
        Setting::object("basic_auth", "your choice, for Inbound Parse: https://USERNAME:PASSWORD@… in its URL"),
    ],
    scheme: &Every(BySecret(&[("public_key", &SIGNATURE), ("basic_auth", &Basic { setting: "basic_auth" })])),
    format: events_or_mail,
    event: Event {
        split: Split::Array,
        kind: &[&[Body("/event")], &[Where(&Body("/envelope"), "{"), Word("inbound")]],
        id: &[&[Body("/sg_event_id")]],
        time: &[Time::Seconds(Body("/timestamp"))],
        subject: &[&[Body("/sg_message_id")], &[Body("/to")]],
        partition: &[&[Body("/sg_message_id")], &[Body("/to")]],
        headers: &["user-agent"],
        ..Event::of("com.sendgrid")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "events for 24 hours; mails for 72 on 5xx, never on 4xx",
        proof: "@sendgrid/eventwebhook, sendgrid's own test, Wycheproof",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// Events are JSON and a mail is a form with files: which of them it is shows in the body, which is signed.
fn events_or_mail<'b>(body: &'b [u8], _content_type: &str) -> Result<Content<'b>, Unreadable> {
    let text = if multipart::is_form(body) { multipart::body(body) } else { json::body(body) };
    text.map(Content::Json)
}
