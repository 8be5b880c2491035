//! Slack: Events API, slash commands, interactivity.
//!
//! Signature: `X-Slack-Signature: v0=<hex>`, HMAC-SHA256 over `v0:`, the header `X-Slack-Request-Timestamp`, a colon and
//! the raw body, JSON or form, with the app's signing secret.
//! Replay: 300 s to both sides. Deadline 3 s; an empty 200 is a valid answer to commands and interactions.

use shared::handshake::{FlagProbe, SignedChallenge};
use shared::mac::{Layout, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{Body, Maybe, Where, Word};
use shared::provider::{Event, Facts, JSON_OR_FORM, Provider, Setting, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "slack",
    title: "Slack",
    docs: "https://docs.slack.dev/authentication/verifying-requests-from-slack/",
    settings: &[Setting::secret(
        "signing_secret",
        "api.slack.com/apps > (the app) > Basic Information > App Credentials > Signing Secret",
    )],
    scheme: &Mac {
        secret: "signing_secret",
        headers: &["x-slack-signature"],
        layout: Layout::Prefixed("v0="),
        signed: &[Part::Text("v0:"), Part::Timestamp, Part::Text(":"), Part::Body],
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-slack-request-timestamp"),
            unit: Unit::Seconds,
            tolerance: 300,
        }),
        ..Mac::HMAC_SHA256
    },
    handshakes: &[
        &SignedChallenge {
            mark: ("/type", "url_verification"),
            challenge: "challenge",
            members: &["token", "challenge", "type"],
        },
        &FlagProbe { flag: ("ssl_check", "1"), fields: &["ssl_check", "token"] },
    ],
    format: JSON_OR_FORM,
    event: Event {
        kind: &[
            &[Body("/event/type"), Maybe(&Body("/event/subtype"))],
            &[Word("command"), Body("/command")],
            // What has a user of its own and is no event of the Events API came by interactivity.
            &[Word("interaction"), Body("/type"), Where(&Body("/user/id"), "")],
            &[Body("/type")],
        ],
        id: &[&[Body("/event_id")], &[Body("/trigger_id")]],
        time: &[Time::Seconds(Body("/event_time")), Time::Signed],
        subject: &[
            &[Body("/event/channel")],
            &[Body("/event/channel/id")],
            &[Body("/event/channel_id")],
            &[Body("/event/item/channel")],
            &[Body("/event/assistant_thread/channel_id")],
            &[Body("/event/user")],
            &[Body("/event/user/id")],
            &[Body("/user_id")],
            &[Body("/user/id")],
        ],
        account: &[
            &[Body("/team_id")],
            &[Body("/team/id")],
            &[Body("/enterprise_id")],
            &[Body("/enterprise/id")],
            &[Body("/user/team_id")],
        ],
        partition: &[
            &[Body("/team_id"), Body("/event/channel")],
            &[Body("/team_id"), Body("/event/channel/id")],
            &[Body("/team_id"), Body("/event/channel_id")],
            &[Body("/team_id"), Body("/event/item/channel")],
            &[Body("/team_id"), Body("/event/assistant_thread/channel_id")],
            &[Body("/team_id"), Body("/channel_id")],
            &[Body("/team/id"), Body("/user/id")],
        ],
        attempt: Some("x-slack-retry-num"),
        headers: &["user-agent", "x-slack-retry-num", "x-slack-retry-reason"],
        ..Event::of("com.slack")
    },
    deadline: Duration::from_secs(3),
    facts: Facts {
        retries: "3: at once, after 1 and 5 minutes",
        proof: "@slack/bolt, documentation",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
