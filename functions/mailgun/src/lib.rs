//! Mailgun: what becomes of mails, and mails that Routes forward.
//!
//! Signature, in the body: HMAC-SHA256 over a time (Unix seconds) and a random token. **It says nothing about the rest of the
//! body**, so it is worth a token. A webhook is JSON with the three in `signature`; a Route forwards a form with a field for each.
//! Calls of subaccounts are signed with the primary account's key too.
//! Replay: Mailgun sends again for 8 hours, and whether it signs anew then is not documented: a time as old as that passes. No deadline is
//! published.

use shared::error::Unreadable;
use shared::json;
use shared::mac::{Fields, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::one_of::OneOf;
use shared::provider::Field::{Body, Maybe, Where, Word};
use shared::provider::{Content, Event, Facts, JSON_OR_ANY_FORM, Provider, Setting, Time};
use shared::verify::InBody;
use std::borrow::Cow;
use std::time::Duration;

/// As long as Mailgun sends again, and an hour for its clock and ours, in seconds.
const WINDOW: u64 = 9 * 60 * 60;

/// <https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks>
static WEBHOOK: Mac<'static> = Mac {
    secret: "signing_key",
    in_body: Some("/signature/signature"),
    signed: &[Part::Timestamp, Part::Nonce("/signature/token")],
    timestamp: Some(Timestamp {
        at: TimestampAt::Body("/signature/timestamp"),
        unit: Unit::Seconds,
        tolerance: WINDOW,
    }),
    ..Mac::HMAC_SHA256
};

static OF_SUBACCOUNT: Mac<'static> = Mac { in_body: Some("/signature/parent-signature"), ..WEBHOOK };

static ROUTE: Mac<'static> = Mac {
    in_body: Some("/signature"),
    fields: Fields::FORM,
    signed: &[Part::Timestamp, Part::Nonce("/token")],
    timestamp: Some(Timestamp {
        at: TimestampAt::Body("/timestamp"),
        unit: Unit::Seconds,
        tolerance: WINDOW,
    }),
    ..WEBHOOK
};

/// Where the three stand in the body, that of the key in use first.
const PLACES: InBody = InBody::FirstOf(&[
    InBody::Member("/signature/parent-signature"),
    InBody::Member("/signature/signature"),
    InBody::Field("signature"),
]);

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "mailgun",
    title: "Mailgun",
    docs: "https://documentation.mailgun.com/docs/mailgun/user-manual/webhooks/securing-webhooks",
    settings: &[Setting::secret("signing_key", "Sending > Webhooks > HTTP webhook signing key")],
    scheme: &OneOf { first: &WEBHOOK, others: &[&OF_SUBACCOUNT, &ROUTE], in_body: Some(PLACES) },
    format: without_signature,
    event: Event {
        kind: &[
            &[Body("/event-data/event"), Maybe(&Body("/event-data/severity"))],
            &[Body("/event")],
            &[Where(&Body("/recipient"), ""), Word("inbound")],
        ],
        id: &[&[Body("/event-data/id")], &[Body("/signature/token")], &[Body("/token")]],
        time: &[Time::Seconds(Body("/event-data/timestamp")), Time::Signed],
        subject: &[&[Body("/event-data/message/headers/message-id")], &[Body("/Message-Id")]],
        account: &[&[Body("/event-data/domain/name")], &[Body("/event-data/account/id")], &[Body("/domain")]],
        partition: &[&[Body("/event-data/message/headers/message-id")], &[Body("/Message-Id")]],
        ..Event::of("com.mailgun")
    },
    deadline: Duration::from_secs(10),
    facts: Facts {
        retries: "6 in 8 hours",
        proof: "documented formula, Python's hmac; no official vector has its key",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// JSON or a form, without the signatures in it: while their time is fresh they serve for any body.
fn without_signature<'b>(body: &'b [u8], content_type: &str) -> Result<Content<'b>, Unreadable> {
    let Content::Json(mut text) = JSON_OR_ANY_FORM(body, content_type)? else { return Ok(Content::Bytes) };
    let is_webhook = json::at(&text, "/signature")?.is_some_and(|signature| signature.starts_with('{'));
    let places: &[&str] = match is_webhook {
        true => &["/signature/signature", "/signature/parent-signature"],
        false => &["/signature"],
    };
    for place in places {
        text = Cow::Owned(json::with(&text, place, None)?);
    }
    Ok(Content::Json(text))
}
