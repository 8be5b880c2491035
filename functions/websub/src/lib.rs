//! WebSub (PubSubHubbub): entries of feeds, from YouTube's hub and others.
//!
//! Signature: `X-Hub-Signature: METHOD=<hex>`, HMAC with the subscription's secret over the raw body. The hub chooses the
//! method; Google's signs with SHA-1.
//! Replay: no time is signed. An entry's digest tells it. Deadline not published.

use shared::crypto::{HMAC_SHA1, HMAC_SHA384, HMAC_SHA512};
use shared::declared;
use shared::handshake::IntentVerification;
use shared::mac::{Layout, Mac};
use shared::one_of::OneOf;
use shared::provider::Field::{After, Body, Item, Where, Word};
use shared::provider::{Event, Facts, Field, Provider, Setting, Split, Time};
use std::time::Duration;

static SHA256: Mac<'static> =
    Mac { headers: &["x-hub-signature"], layout: Layout::Prefixed("sha256="), ..Mac::HMAC_SHA256 };
static SHA1: Mac<'static> = Mac { algorithm: &HMAC_SHA1, layout: Layout::Prefixed("sha1="), ..SHA256 };
static SHA384: Mac<'static> = Mac { algorithm: &HMAC_SHA384, layout: Layout::Prefixed("sha384="), ..SHA256 };
static SHA512: Mac<'static> = Mac { algorithm: &HMAC_SHA512, layout: Layout::Prefixed("sha512="), ..SHA256 };

const DELETED: Field<'static> = Body("/feed/at:deleted-entry/@ref");
const IS_ENTRY: Field<'static> = Where(&Item("/id"), "");
const IS_DELETED: Field<'static> = Where(&DELETED, "");
const DELETED_BY: Field<'static> = Body("/feed/at:deleted-entry/at:by/uri");

/// The row. A topic may be of any content; what is read are Atom feeds.
pub static PROVIDER: Provider = Provider {
    name: "websub",
    title: "WebSub (YouTube)",
    docs: "https://www.w3.org/TR/websub/#signing-content",
    settings: &[
        Setting::secret(
            "secret",
            "of your own choice, under 200 bytes; the same in hub.secret of your request to the hub",
        ),
        Setting::texts("topics", "hub.topic of each of your requests to the hub, exactly")
            .example("https://www.youtube.com/xml/feeds/videos.xml?channel_id=CHANNEL_ID"),
        Setting::secret(
            "verify_token",
            "of your own choice; the same in hub.verify_token, where the hub knows that",
        )
        .optional()
        .example("throw-away verify token"),
    ],
    scheme: &OneOf { first: &SHA1, others: &[&SHA256, &SHA384, &SHA512], in_body: None },
    handshakes: &[&IntentVerification { topics: "topics", token: "verify_token" }],
    format: declared::format,
    event: Event {
        split: Split::Elements("/feed/entry"),
        kind: &[&[IS_ENTRY, Word("entry")], &[IS_DELETED, Word("deleted-entry")]],
        unknown: "content",
        time: &[
            Time::Rfc3339(Item("/updated")),
            Time::Rfc3339(Item("/published")),
            Time::Rfc3339(Body("/feed/at:deleted-entry/@when")),
        ],
        subject: &[&[Item("/yt:videoId")], &[Item("/id")], &[After(&DELETED, "yt:video:")]],
        account: &[&[Item("/yt:channelId")], &[After(&DELETED_BY, "http://www.youtube.com/channel/")]],
        partition: &[
            &[Item("/yt:channelId"), Item("/yt:videoId")],
            &[Item("/id")],
            &[After(&DELETED_BY, "http://www.youtube.com/channel/"), After(&DELETED, "yt:video:")],
        ],
        headers: &["link"],
        ..Event::of("org.w3.websub")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "as the hub does",
        proof: "documented formula, Python's hmac; no official vector exists",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
