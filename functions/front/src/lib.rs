//! Front: what happens to conversations, by application webhooks and by rule webhooks.
//!
//! Signature, in `X-Front-Signature`, base64. Of an application: HMAC-SHA256 with its signing key over
//! `X-Front-Request-Timestamp` (Unix milliseconds), a colon and the raw body. Of a rule: HMAC-SHA1 with the API secret over the
//! raw body. Each has a secret of its own, so nobody can choose the weaker one.
//! Replay: an application's time may be 10 minutes away; a rule signs none. The event's id is in the signed body.
//! Deadline 10 s, as for the challenge.

use shared::by_secret::BySecret;
use shared::crypto::HMAC_SHA1;
use shared::handshake::HeaderChallenge;
use shared::mac::{Encoding, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::Body;
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// <https://dev.frontapp.com/docs/application-webhooks>
static APPLICATION: Mac<'static> = Mac {
    secret: "signing_key",
    headers: &["x-front-signature"],
    encoding: Encoding::Base64,
    signed: &[Part::Timestamp, Part::Text(":"), Part::Body],
    timestamp: Some(Timestamp {
        at: TimestampAt::Header("x-front-request-timestamp"),
        unit: Unit::Millis,
        tolerance: 600,
    }),
    ..Mac::HMAC_SHA256
};

/// <https://dev.frontapp.com/docs/rule-webhooks>
static RULE: Mac<'static> = Mac {
    algorithm: &HMAC_SHA1,
    secret: "api_secret",
    headers: &["x-front-signature"],
    encoding: Encoding::Base64,
    ..Mac::HMAC_SHA256
};

/// The row. What a rule sends as its whole body, an application has in `payload`.
pub static PROVIDER: Provider = Provider {
    name: "front",
    title: "Front",
    docs: "https://dev.frontapp.com/docs/application-webhooks",
    settings: &[
        Setting::secret("signing_key", "Settings > Developers > (app) > Basic information > Signing key")
            .unless(&["api_secret"]),
        Setting::secret("api_secret", "Settings > Integrations > Webhooks > API secret").optional(),
    ],
    scheme: &BySecret(&[(APPLICATION.secret, &APPLICATION), (RULE.secret, &RULE)]),
    handshakes: &[&HeaderChallenge { mark: ("/type", "sync"), challenge: "x-front-challenge" }],
    event: Event {
        kind: &[&[Body("/type")]],
        id: &[&[Body("/payload/id")], &[Body("/id")]],
        time: &[Time::Seconds(Body("/payload/emitted_at")), Time::Seconds(Body("/emitted_at")), Time::Signed],
        subject: &[&[Body("/payload/conversation/id")], &[Body("/conversation/id")]],
        account: &[&[Body("/authorization/id")]],
        partition: &[
            &[Body("/authorization/id"), Body("/payload/conversation/id")],
            &[Body("/conversation/id")],
        ],
        headers: &["user-agent"],
        ..Event::of("com.frontapp")
    },
    deadline: Duration::from_secs(10),
    facts: Facts {
        retries: "of an application 3; of a rule none",
        proof: "documented formula, Python's hmac; no official vector exists",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
