//! Facebook Pages: likes, posts, comments, reactions, mentions, leads, messages; and whatever else a Meta app sends here.
//!
//! Signature: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body with the App Secret. The older
//! `X-Hub-Signature` (SHA-1) is not looked at. Meta sends its text already escaped, so the raw bytes are what is signed.
//! Replay: no time is signed. A call carries up to 1,000 updates; each becomes an event of its own.
//! Deadline 5 s, as the Messenger documentation says; for other Page fields none is published.

use shared::handshake::VerifyToken;
use shared::mac::{Layout, Mac};
use shared::provider::Field::{ArrayName, Body, Entry, Item, Maybe, NameBeside, Where, Word};
use shared::provider::{Event, Facts, Provider, Setting, Split, Time};
use std::time::Duration;

/// What stands in a messaging item beside the member that says what happened.
/// <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events>
const COMPANIONS: &[&str] = &["sender", "recipient", "timestamp", "prior_message", "hop_context"];

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "facebook",
    title: "Facebook Pages",
    docs: "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
    settings: &[
        Setting::secret("app_secret", "App settings > Basic > App secret"),
        Setting::secret("verify_token", "of your own choice; the same in Webhooks > Page > Verify token"),
    ],
    scheme: &Mac {
        secret: "app_secret",
        headers: &["x-hub-signature-256"],
        layout: Layout::Prefixed("sha256="),
        ..Mac::HMAC_SHA256
    },
    handshakes: &[&VerifyToken {
        setting: "verify_token",
        mode: ("hub.mode", "subscribe"),
        token: "hub.verify_token",
        challenge: "hub.challenge",
        refused: 403,
    }],
    event: Event {
        split: Split::Entries {
            entries: "entry",
            items: &["changes", "messaging", "standby", "changed_fields"],
        },
        kind: &[
            &[Body("/object"), Item("/field"), Maybe(&Item("/value/item")), Maybe(&Item("/value/verb"))],
            &[Body("/object"), ArrayName, NameBeside(COMPANIONS)],
            // An entry of `changed_fields` is the field's name itself.
            &[Body("/object"), Item("")],
            &[Body("/object")],
        ],
        // A message that is taken back comes again under its own id.
        id: &[
            &[Where(&Item("/message/is_deleted"), "true"), Item("/message/mid"), Word("deleted")],
            &[Item("/message/mid")],
            &[Item("/postback/mid")],
        ],
        // An item's own time is in seconds within `changes` and in milliseconds within `messaging`.
        time: &[
            Time::Seconds(Item("/value/created_time")),
            Time::Millis(Item("/timestamp")),
            Time::Any(Entry("/time")),
        ],
        subject: &[
            &[Item("/value/comment_id")],
            &[Item("/value/post_id")],
            &[Item("/value/leadgen_id")],
            &[Item("/sender/id")],
        ],
        account: &[&[Entry("/id")]],
        partition: &[
            &[Entry("/id"), Item("/value/post_id")],
            &[Entry("/id"), Item("/sender/id")],
            &[Entry("/id")],
        ],
        headers: &["user-agent"],
        ..Event::of("com.facebook")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "at once, then for 36 hours",
        proof: "WhatsApp-Nodejs-SDK (Meta), openssl",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
