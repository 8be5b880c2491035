//! Discord: interactions (commands, components, modals, autocomplete) and webhook events of an app.
//!
//! Signature: `X-Signature-Ed25519: <hex>`, Ed25519 over `X-Signature-Timestamp` and the raw body, with the app's public
//! key. A bad one has to be answered 401: Discord sends some to see it, and removes the URL otherwise.
//! Handshakes: a signed ping of interactions (`type` 1) and one of webhook events (`type` 0). An event of the latter has
//! `type` 1 too, and `event`; every interaction but the ping has `data`.
//! Replay: no window is documented. Webhook events are sent again for 10 minutes, and whether they are signed anew is not
//! documented: 15 minutes pass, so the assurance is `signed` and no more. Deadline 3 s.

use shared::crypto::signature::ED25519_SHA512;
use shared::error::Fault;
use shared::handshake::{Ping, SignedPing};
use shared::json;
use shared::mac::{Encoding, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{Body, Maybe, Not, When, Word};
use shared::provider::{Answer, Event, Facts, Provider, Response, Setting, Time, Ways};
use shared::signature::{KeyForm, Signature};
use shared::trial;
use shared::verify::Verified;
use std::time::Duration;

/// The first second of 2015 in Unix milliseconds, from which snowflakes count.
const EPOCH: i64 = 1_420_070_400_000;

/// Who did it: in a server, in a direct message, or what a webhook event tells of.
const SUBJECT: Ways<'static> = &[
    &[Body("/member/user/id")],
    &[Body("/user/id")],
    &[Body("/event/data/user/id")],
    &[Body("/event/data/user_id")],
    &[Body("/event/data/author/id")],
    &[Body("/event/data/id")],
];

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "discord",
    title: "Discord",
    docs: "https://docs.discord.com/developers/interactions/overview",
    settings: &[
        Setting::secret("public_key", "Developer Portal > (app) > General Information > Public Key")
            .example(trial::ED25519),
        Setting::word(
            "answer",
            &["deferred", "private", "update", "accepted"],
            "your choice: how interactions are answered, see the provider's README",
        )
        .example("deferred"),
    ],
    scheme: &Signature {
        algorithm: &ED25519_SHA512,
        key: "public_key",
        key_form: KeyForm::Hex,
        header: "x-signature-ed25519",
        encoding: Encoding::Hex,
        signed: &[Part::Timestamp, Part::Body],
        timestamp: Some(Timestamp {
            at: TimestampAt::Header("x-signature-timestamp"),
            unit: Unit::Seconds,
            tolerance: 15 * 60,
        }),
    },
    handshakes: &[&SignedPing(&[
        Ping {
            mark: ("/type", "1"),
            without: &["data", "event"],
            answer: Answer::json(200, r#"{"type":1}"#),
        },
        Ping { mark: ("/type", "0"), without: &["data", "event"], answer: Answer::json(204, "") },
    ])],
    event: Event {
        kind: &[
            &[Body("/event/type")],
            &[When(&Body("/type"), "2"), Word("interaction.application_command"), Maybe(&Body("/data/name"))],
            &[When(&Body("/type"), "3"), Word("interaction.message_component")],
            &[When(&Body("/type"), "4"), Word("interaction.autocomplete"), Maybe(&Body("/data/name"))],
            &[When(&Body("/type"), "5"), Word("interaction.modal_submit")],
            &[Word("interaction"), Not(&Body("/type"), "1"), Body("/type")],
        ],
        id: &[&[Body("/id")]],
        time: &[
            Time::Rfc3339(Body("/event/timestamp")),
            Time::Local(Body("/event/timestamp"), 0),
            Time::Snowflake(Body("/id"), EPOCH),
        ],
        subject: SUBJECT,
        account: &[&[Body("/application_id")]],
        partition: &[
            &[Body("/application_id"), Body("/channel_id")],
            &[Body("/application_id"), Body("/event/data/lobby_id")],
            &[Body("/application_id"), Body("/event/data/channel_id")],
            &[Body("/application_id"), Body("/event/data/user/id")],
            &[Body("/application_id"), Body("/event/data/user_id")],
        ],
        headers: &["user-agent"],
        ..Event::of("com.discord")
    },
    reply_by: Some(answer),
    deadline: Duration::from_secs(3),
    facts: Facts {
        retries: "webhook events for 10 minutes; interactions none",
        proof: "discord-interactions (Discord), Wycheproof",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// What each interaction may be answered with before anybody has looked at it: the user waits for 3 seconds, and the
/// consumer goes on from there with the interaction's token.
fn answer(verified: &Verified<'_>) -> Result<Response, Fault> {
    let text = json::body(verified.body()).unwrap_or_default();
    let at = |pointer| json::at(&text, pointer).ok().flatten();
    let setting = verified.endpoint().text("answer").unwrap_or("deferred");
    let answer = match (at("/type"), setting) {
        // A webhook event, or what cannot be read.
        _ if at("/event").is_some() => Answer::EMPTY_204,
        (None, _) => Answer::EMPTY_204,
        (_, "accepted") => Answer::empty(202),
        // Choices are wanted at once and cannot be deferred.
        (Some("4"), _) => Answer::json(200, r#"{"type":8,"data":{"choices":[]}}"#),
        // Only where there is a message to update.
        (Some("3" | "5"), "update") if at("/message").is_some() => Answer::json(200, r#"{"type":6}"#),
        (Some("2" | "3" | "5"), "private") => Answer::json(200, r#"{"type":5,"data":{"flags":64}}"#),
        (Some("2" | "3" | "5"), _) => Answer::json(200, r#"{"type":5}"#),
        // A kind that came later.
        _ => Answer::empty(202),
    };
    Ok(answer.into())
}
