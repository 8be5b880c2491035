//! LINE Messaging API: messages to an official account, follows, joins, postbacks, beacons.
//!
//! Signature: `X-Line-Signature: <base64>`, HMAC-SHA256 over the raw body with the channel secret.
//! Replay: no time is signed; each event's `webhookEventId` is in the signed body. A call carries one or more events.
//! Deadline 2 s. Without **Webhook redelivery** nothing is sent again.

use shared::handshake::EmptyBatch;
use shared::mac::{Encoding, Mac};
use shared::provider::Field::{Body, Item, Maybe};
use shared::provider::{Event, Facts, Provider, Setting, Split, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "line",
    title: "LINE",
    docs: "https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/",
    settings: &[Setting::secret(
        "channel_secret",
        "LINE Developers Console > (channel) > Basic settings > Channel secret",
    )],
    scheme: &Mac {
        secret: "channel_secret",
        headers: &["x-line-signature"],
        encoding: Encoding::Base64,
        ..Mac::HMAC_SHA256
    },
    // The console's button **Verify**: signed like an event, with none in it.
    handshakes: &[&EmptyBatch { entries: "events", members: &["destination", "events"] }],
    event: Event {
        split: Split::Entries { entries: "events", items: &[] },
        kind: &[&[Item("/type"), Maybe(&Item("/message/type"))]],
        // The same when an event is delivered once more.
        id: &[&[Item("/webhookEventId")]],
        time: &[Time::Millis(Item("/timestamp"))],
        subject: &[&[Item("/source/userId")], &[Item("/source/groupId")], &[Item("/source/roomId")]],
        account: &[&[Body("/destination")]],
        partition: &[
            &[Body("/destination"), Item("/source/groupId")],
            &[Body("/destination"), Item("/source/roomId")],
            &[Body("/destination"), Item("/source/userId")],
        ],
        headers: &["user-agent"],
        ..Event::of("me.line")
    },
    deadline: Duration::from_secs(2),
    facts: Facts {
        retries: "none unless switched on; then undisclosed",
        proof: "@line/bot-sdk, line-bot-sdk-python",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
