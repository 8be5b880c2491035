//! Viber: what people write to a bot, and what becomes of the bot's messages.
//!
//! Signature: `X-Viber-Content-Signature: <hex>`, HMAC-SHA256 with the bot's token over the raw body. The same value stands
//! in the query as `sig`, which is not looked at.
//! Replay: no time is signed; token and time of the message are in the signed body. Deadline not published.

use shared::handshake::{Ping, SignedPing};
use shared::mac::Mac;
use shared::provider::Field::{Body, Maybe};
use shared::provider::{Answer, Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "viber",
    title: "Viber",
    docs: "https://creators.viber.com/docs/bots-api/getting-started/web-hooks",
    settings: &[Setting::secret(
        "auth_token",
        "Viber > More > Settings > Bots > (the bot) > Edit info > Your app key",
    )],
    scheme: &Mac { secret: "auth_token", headers: &["x-viber-content-signature"], ..Mac::HMAC_SHA256 },
    handshakes: &[&SignedPing(&[Ping {
        mark: ("/event", "webhook"),
        without: &["message", "sender", "user", "user_id"],
        answer: Answer::EMPTY_200,
    }])],
    event: Event {
        kind: &[&[Body("/event"), Maybe(&Body("/message/type"))]],
        // A message has one token in all that is told of it, and may be delivered to several people and their devices.
        id: &[&[
            Body("/event"),
            Body("/message_token"),
            Maybe(&Body("/user_id")),
            Maybe(&Body("/timestamp")),
        ]],
        time: &[Time::Millis(Body("/timestamp"))],
        subject: &[&[Body("/sender/id")], &[Body("/user/id")], &[Body("/user_id")]],
        partition: &[&[Body("/sender/id")], &[Body("/user/id")], &[Body("/user_id")]],
        ..Event::of("com.viber")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "several within an hour",
        proof: "viber-bot-python, viber-bot (npm)",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
