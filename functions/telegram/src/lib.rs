//! Telegram bots.
//!
//! Check: the header `X-Telegram-Bot-Api-Secret-Token` is the `secret_token` given to `setWebhook`. It says nothing about
//! the body, hence assurance `token`.
//! Answer: always empty. A 2xx whose body names a `method` is run as a call of the Bot API.
//! Updates are kept for 24 hours and sent again with growing pauses of up to two minutes; no deadline is published, the
//! server's own read time-out is 60 s (tdlib/telegram-bot-api, `WebhookActor.cpp`).

use shared::provider::Field::{Beside, Body, NameBeside};
use shared::provider::{Event, Facts, Provider, Setting, Time, Ways};
use shared::token::{Place, Token};
use std::time::Duration;

/// The member beside which an update has the one that says what happened.
const ID: &[&str] = &["update_id"];
/// The chat, or the user where an update has none.
const CHAT: Ways<'static> = &[
    &[Beside(ID, "/chat/id")],
    &[Beside(ID, "/message/chat/id")],
    &[Beside(ID, "/user_chat_id")],
    &[Beside(ID, "/from/id")],
    &[Beside(ID, "/user/id")],
];

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "telegram",
    title: "Telegram",
    docs: "https://core.telegram.org/bots/api#setwebhook",
    settings: &[Setting::secret(
        "secret_token",
        "of your own choice; the same in setWebhook's `secret_token`",
    )],
    scheme: &Token { secret: "secret_token", place: Place::Header("x-telegram-bot-api-secret-token") },
    event: Event {
        kind: &[&[NameBeside(ID)]],
        id: &[&[Body("/update_id")]],
        time: &[
            Time::Seconds(Beside(ID, "/edit_date")),
            Time::Seconds(Beside(ID, "/date")),
            Time::Seconds(Beside(ID, "/boost/add_date")),
            Time::Seconds(Beside(ID, "/remove_date")),
        ],
        subject: CHAT,
        partition: CHAT,
        ..Event::of("org.telegram")
    },
    deadline: Duration::from_secs(20),
    facts: Facts {
        retries: "for 24 hours, pauses up to 2 minutes",
        proof: "documented; a token has no signature to prove",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
