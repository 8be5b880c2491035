//! Zalo Bot Platform: messages to a bot.
//!
//! Check: the header `X-Bot-Api-Secret-Token` is the token that was given to `setWebhook`. It says nothing about the body.
//! Replay: nothing is signed. No deadline is published.

use shared::provider::Field::Body;
use shared::provider::{Event, Facts, Provider, Setting, Time};
use shared::token::{Place, Token};
use std::time::Duration;

/// The row. What was updated stands in `result`, or is the whole body.
pub static PROVIDER: Provider = Provider {
    name: "zalobot",
    title: "Zalo Bot",
    docs: "https://bot.zaloplatforms.com/docs",
    settings: &[Setting::secret(
        "secret_token",
        "of your own choice, 8 to 256 characters; the same in setWebhook",
    )],
    scheme: &Token { secret: "secret_token", place: Place::Header("x-bot-api-secret-token") },
    event: Event {
        kind: &[&[Body("/result/event_name")], &[Body("/event_name")]],
        id: &[&[Body("/result/message/message_id")], &[Body("/message/message_id")]],
        time: &[Time::Millis(Body("/result/message/date")), Time::Millis(Body("/message/date"))],
        subject: &[&[Body("/result/message/from/id")], &[Body("/message/from/id")]],
        partition: &[&[Body("/result/message/chat/id")], &[Body("/message/chat/id")]],
        ..Event::of("me.zalo.bot")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "undisclosed",
        proof: "a token has no signature to prove",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
