//! X: activity of accounts, direct messages and filtered posts, by the Activity API, the older Account Activity API and
//! filtered stream webhooks.
//!
//! Signature: `sha256=<base64>`, HMAC-SHA256 over the raw body: with the OAuth 2.0 client secret in
//! `X-Twitter-Webhooks-Signature-OAuth2`, with the consumer secret in `X-Twitter-Webhooks-Signature`.
//! Challenge: anybody may ask by GET for the tag of a text under the same key. So it is one of a plain alphabet, and a body
//! that is such a text is no event.
//! Replay: no time is signed; ids are in the signed body. Deadline 10 s, of the challenge 3 s.

use shared::by_secret::BySecret;
use shared::challenge::Challenged;
use shared::mac::{Encoding, Layout, Mac};
use shared::provider::Field::{ArrayName, Body, Item, Maybe, NameBeside, Where, Word};
use shared::provider::{Event, Facts, Field, Provider, Setting, Split, Time};
use std::time::Duration;

static OAUTH2: Mac<'static> = Mac {
    secret: "client_secret",
    headers: &["x-twitter-webhooks-signature-oauth2"],
    layout: Layout::Prefixed("sha256="),
    encoding: Encoding::Base64,
    ..Mac::HMAC_SHA256
};
static OAUTH1: Mac<'static> =
    Mac { secret: "consumer_secret", headers: &["x-twitter-webhooks-signature"], ..OAUTH2 };

static CHALLENGED: Challenged = Challenged {
    scheme: &BySecret(&[(OAUTH2.secret, &OAUTH2), (OAUTH1.secret, &OAUTH1)]),
    signatures: &[&OAUTH2, &OAUTH1],
    challenge: "crc_token",
    member: "response_token",
    prefix: "sha256=",
};

/// The millisecond that ids of posts count from: <https://github.com/twitter-archive/snowflake>, `IdWorker.scala`.
const EPOCH: i64 = 1_288_834_974_657;

const OF_A_RULE: Field<'static> = Where(&Body("/matching_rules/0/id"), "");
const IS_REVOKED: Field<'static> = Where(&Body("/user_event/revoke/date_time"), "");

/// The row. The older API has arrays whose names end with `_events`; a body without them is one event.
pub static PROVIDER: Provider = Provider {
    name: "x",
    title: "X",
    docs: "https://docs.x.com/x-api/webhooks/introduction",
    settings: &[
        Setting::secret(
            "consumer_secret",
            "Developer Console > Apps > (the app) > Keys and tokens > API key secret",
        )
        .unless(&["client_secret"]),
        Setting::secret(
            "client_secret",
            "Developer Console > Apps > (the app) > Keys and tokens > OAuth 2.0 client secret",
        )
        .optional(),
    ],
    scheme: &CHALLENGED,
    handshakes: &[&CHALLENGED],
    event: Event {
        split: Split::Suffixed("_events"),
        kind: &[
            &[Body("/data/event_type")],
            &[ArrayName, Maybe(&Item("/type"))],
            &[OF_A_RULE, Word("filtered_stream")],
            &[IS_REVOKED, Word("user_event.revoke")],
            &[NameBeside(&["for_user_id"])],
        ],
        // Several subscriptions may tell of one post, which gives them its own id.
        id: &[
            &[
                Body("/data/event_type"),
                Maybe(&Body("/data/filter/user_id")),
                Maybe(&Body("/data/filter/keyword")),
                Maybe(&Body("/data/tag")),
                Body("/data/event_uuid"),
            ],
            &[Body("/for_user_id"), ArrayName, Item("/id_str")],
            &[Body("/for_user_id"), ArrayName, Item("/id")],
            &[OF_A_RULE, Body("/data/id")],
        ],
        time: &[
            Time::Rfc3339(Body("/data/payload/created_at")),
            Time::Millis(Body("/data/payload/created_at_msec")),
            Time::Millis(Body("/data/payload/event_timestamp_ms_str")),
            Time::Millis(Body("/data/payload/direct_message_events/0/created_timestamp")),
            Time::Rfc3339(Body("/data/payload/date_time")),
            Time::Rfc3339(Body("/data/created_at")),
            Time::Rfc3339(Body("/user_event/revoke/date_time")),
            Time::Millis(Item("/created_timestamp")),
            Time::Millis(Item("/timestamp_ms")),
            Time::Snowflake(Item("/id_str"), EPOCH),
        ],
        subject: &[
            &[Body("/data/payload/id")],
            &[Body("/data/payload/broadcast_id")],
            &[Body("/data/id")],
            &[Item("/id_str")],
            &[Item("/id")],
            &[Item("/target/id")],
        ],
        account: &[
            &[Body("/data/filter/user_id")],
            &[Body("/for_user_id")],
            &[Body("/data/payload/user_id")],
            &[Body("/user_event/revoke/source/user_id")],
        ],
        headers: &["user-agent"],
        ..Event::of("com.x")
    },
    deadline: Duration::from_secs(10),
    facts: Facts {
        retries: "not documented; a replay can be asked for",
        proof: "X's own sample of the challenge; documented formula, Python's hmac",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
