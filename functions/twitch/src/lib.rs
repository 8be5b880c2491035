//! Twitch EventSub over webhooks: streams, follows, subscriptions, chat, channel points, drops.
//!
//! Signature: `Twitch-Eventsub-Message-Signature: sha256=<hex>`, HMAC-SHA256 over the message's id, its time as it stands in
//! the header, and the raw body. The message's type stands in a header that is not signed: what a call is, its body says.
//! Replay: the time may be 10 minutes away; the id is signed. Deadline: "a few seconds".

use shared::handshake::SignedChallenge;
use shared::mac::{Layout, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{Body, Entry, SignedHeader, Where, Word};
use shared::provider::{Event, Facts, Provider, Setting, Split, Time};
use std::time::Duration;

const ID: &str = "twitch-eventsub-message-id";
const TIME: &str = "twitch-eventsub-message-timestamp";

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "twitch",
    title: "Twitch",
    docs: "https://dev.twitch.tv/docs/eventsub/handling-webhook-events",
    settings: &[
        Setting::secret(
            "secret",
            "of your own choice, 10 to 100 ASCII characters; the same in transport.secret of Create EventSub Subscription",
        )
        .example("throw-away secret"),
    ],
    scheme: &Mac {
        headers: &["twitch-eventsub-message-signature"],
        layout: Layout::Prefixed("sha256="),
        signed: &[Part::Header(ID), Part::Timestamp, Part::Body],
        // "older than 10 minutes": https://dev.twitch.tv/docs/eventsub/
        timestamp: Some(Timestamp { at: TimestampAt::Header(TIME), unit: Unit::Rfc3339, tolerance: 600 }),
        ..Mac::HMAC_SHA256
    },
    handshakes: &[&SignedChallenge {
        mark: ("/subscription/status", "webhook_callback_verification_pending"),
        challenge: "challenge",
        members: &["challenge", "subscription"],
    }],
    event: Event {
        // Only types that are sent in batches have `events`.
        split: Split::Entries { entries: "events", items: &[] },
        kind: &[
            &[Where(&Body("/subscription/status"), "enabled"), Body("/subscription/type")],
            &[Where(&Body("/subscription/status"), "webhook_"), Word("verification")],
            &[Word("revocation"), Body("/subscription/status")],
        ],
        id: &[&[Entry("/id")], &[SignedHeader(ID)]],
        time: &[Time::Rfc3339(SignedHeader(TIME))],
        subject: &[
            &[Body("/event/user_id")],
            &[Body("/event/chatter_user_id")],
            &[Entry("/data/user_id")],
            &[Body("/subscription/id")],
        ],
        account: &[
            &[Body("/subscription/condition/broadcaster_user_id")],
            &[Body("/subscription/condition/to_broadcaster_user_id")],
            &[Body("/subscription/condition/user_id")],
            &[Body("/subscription/condition/organization_id")],
            &[Body("/subscription/condition/client_id")],
        ],
        delivery: &[ID],
        attempt: Some("twitch-eventsub-message-retry"),
        headers: &[
            "twitch-eventsub-message-type",
            "twitch-eventsub-subscription-type",
            "twitch-eventsub-subscription-version",
        ],
        ..Event::of("tv.twitch")
    },
    deadline: Duration::from_secs(3),
    facts: Facts {
        retries: "undisclosed; too many failures revoke the subscription",
        proof: "documented formula, as in Twitch's sample and command line",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
