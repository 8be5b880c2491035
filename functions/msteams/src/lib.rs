//! Microsoft Teams: what people write to an outgoing webhook of their team.
//!
//! Signature: `Authorization: HMAC <base64>`, HMAC-SHA256 over the raw body; the key is the security token, decoded.
//! Replay: no time is signed outside the body. Deadline 5 s, never sent again: whoever wrote sees an error.

use shared::error::Fault;
use shared::json;
use shared::mac::{Encoding, Key, Layout, Mac, Part};
use shared::provider::Field::Body;
use shared::provider::{Event, Facts, Provider, Response, Setting, Time};
use shared::verify::Verified;
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "msteams",
    title: "Microsoft Teams (outgoing webhooks)",
    docs: "https://learn.microsoft.com/en-us/microsoftteams/platform/webhooks-and-connectors/how-to/add-outgoing-webhook",
    settings: &[
        Setting::secret(
            "security_token",
            "shown once: Teams > (the team) > Manage team > Apps > Create an outgoing webhook",
        )
        .example("dGhyb3ctYXdheSBzZWN1cml0eSB0b2tlbiAzMiBieXRlcw=="),
        Setting::text("reply_text", "of your own choice: what Teams shows below each message").optional(),
    ],
    scheme: &Mac {
        secret: "security_token",
        key: Key::Base64,
        headers: &["authorization"],
        layout: Layout::Prefixed("HMAC "),
        encoding: Encoding::Base64,
        // As in Microsoft's own sample.
        signed: &[Part::SomeBody],
        ..Mac::HMAC_SHA256
    },
    event: Event {
        kind: &[&[Body("/type")]],
        id: &[&[Body("/id")]],
        time: &[Time::Rfc3339(Body("/timestamp"))],
        subject: &[&[Body("/from/aadObjectId")], &[Body("/from/id")]],
        account: &[&[Body("/channelData/tenant/id")]],
        partition: &[&[Body("/conversation/id")]],
        headers: &["user-agent"],
        ..Event::of("com.microsoft.teams")
    },
    reply_by: Some(message),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "none",
        proof: "documented formula, Python's hmac; the official vector lacks its body",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// What is shown below the message: the setting's text, or nothing.
fn message(verified: &Verified<'_>) -> Result<Response, Fault> {
    let text = verified.endpoint().text("reply_text");
    let text = text.map_or_else(String::new, |text| format!(r#","text":{}"#, json::string(text)));
    let body = format!(r#"{{"type":"message"{text}}}"#).into();
    Ok(Response { status: 200, content_type: Some("application/json"), body })
}
