//! Google Chat: interaction events of a Chat app with an HTTP endpoint, in both forms: those of the Chat API, and those of
//! a Chat app that is a Google Workspace add-on.
//!
//! Check: `Authorization: Bearer <JWT>`, RS256. Which authority issues it depends on the app's *authentication audience*:
//! the endpoint's URL (an ID token of Google's for the service account of Chat or of the app), or the project's number (a
//! token that Chat's service account signs itself). The setting `audience` says which: a number is digits.
//! The token does not cover the body, hence assurance `token`. Replay: until the token expires, at most an hour.
//! Answer: `{}`, which says nothing in the conversation. Chat waits 30 s, which is also a function's longest time here:
//! hence 25 s.

use shared::error::Unreadable;
use shared::json;
use shared::jwt::{Authority, Bearer, Claim};
use shared::keys::Remote;
use shared::provider::Field::{Body, When, Where, Word};
use shared::provider::{Answer, Content, Event, Facts, Provider, Setting, Time, Ways};
use shared::settings::Endpoint;
use shared::trial;
use std::borrow::Cow;
use std::time::Duration;

/// Google's service account for Chat.
const CHAT: &str = "chat@system.gserviceaccount.com";
/// The setting that the claim `aud` equals.
const AUDIENCE: &str = "audience";

/// Google's keys for ID tokens.
static GOOGLE_KEYS: Remote = Remote::at("https://www.googleapis.com/oauth2/v3/certs");
/// The keys of Chat's service account.
static CHAT_KEYS: Remote =
    Remote::at("https://www.googleapis.com/service_accounts/v1/jwk/chat@system.gserviceaccount.com");

/// For the audience "HTTP endpoint URL". Anybody at Google can have a token made for any audience: who it was made for
/// stands in `email`.
static GOOGLE: Authority = Authority {
    issuers: &["https://accounts.google.com", "accounts.google.com"],
    keys: &GOOGLE_KEYS,
    audience: AUDIENCE,
    claims: &[
        Claim::Setting { name: "email", setting: "service_account", otherwise: Some(CHAT) },
        Claim::True("email_verified"),
    ],
    account: "",
};

/// For the audience "Project number".
static SELF_SIGNED: Authority =
    Authority { issuers: &[CHAT], keys: &CHAT_KEYS, audience: AUDIENCE, claims: &[], account: "" };

/// The space, in either form.
const SPACE: Ways<'_> = &[
    &[Body("/space/name")],
    &[Body("/chat/messagePayload/space/name")],
    &[Body("/chat/addedToSpacePayload/space/name")],
    &[Body("/chat/removedFromSpacePayload/space/name")],
    &[Body("/chat/buttonClickedPayload/space/name")],
    &[Body("/chat/appCommandPayload/space/name")],
    &[Body("/chat/widgetUpdatedPayload/space/name")],
];

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "googlechat",
    title: "Google Chat",
    docs: "https://developers.google.com/workspace/chat/verify-requests-from-chat",
    settings: &[
        Setting::text(
            AUDIENCE,
            "Google Chat API > Configuration > Connection settings: the HTTP endpoint URL to the last character, or the \
             project number, as chosen under Authentication audience",
        )
        .example("https://hooks.example.com/googlechat"),
        Setting::text(
            "service_account",
            "Connection settings > Service account email, for a Chat app that is a Workspace add-on",
        )
        .optional(),
        Setting::object("jwks", "keys of your own choice in place of Google's, for trials").example(trial::rsa::JWKS),
    ],
    scheme: &Bearer { authority },
    format: without_token,
    event: Event {
        kind: &[
            &[Body("/type")],
            &[Word("messagePayload"), Where(&Body("/chat/messagePayload/space/name"), "")],
            &[Word("addedToSpacePayload"), Where(&Body("/chat/addedToSpacePayload/space/name"), "")],
            &[Word("removedFromSpacePayload"), Where(&Body("/chat/removedFromSpacePayload/space/name"), "")],
            &[Word("buttonClickedPayload"), Where(&Body("/chat/buttonClickedPayload/space/name"), "")],
            &[Word("appCommandPayload"), Where(&Body("/chat/appCommandPayload/space/name"), "")],
            &[Word("widgetUpdatedPayload"), Where(&Body("/chat/widgetUpdatedPayload/space/name"), "")],
        ],
        // A card can be clicked again and again, so its message tells no click.
        id: &[
            &[When(&Body("/type"), "MESSAGE"), Body("/message/name")],
            &[Body("/chat/messagePayload/message/name")],
        ],
        time: &[Time::Rfc3339(Body("/eventTime")), Time::Rfc3339(Body("/chat/eventTime"))],
        subject: &[
            &[Body("/message/name")],
            &[Body("/chat/messagePayload/message/name")],
            &[Body("/chat/buttonClickedPayload/message/name")],
            &[Body("/user/name")],
            &[Body("/chat/user/name")],
        ],
        account: &[&[Body("/user/domainId")], &[Body("/chat/user/domainId")]],
        partition: SPACE,
        headers: &["user-agent"],
        ..Event::of("com.google.chat")
    },
    reply: Answer::json(200, "{}"),
    deadline: Duration::from_secs(25),
    facts: Facts {
        retries: "none documented",
        proof: "google-auth-library (Node.js), with keys of its own",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// Whose tokens an endpoint takes.
fn authority(endpoint: &Endpoint) -> &'static Authority {
    let is_number = |audience: &str| audience.bytes().all(|byte| byte.is_ascii_digit());
    if endpoint.text(AUDIENCE).is_some_and(is_number) { &SELF_SIGNED } else { &GOOGLE }
}

/// The call without the token that an add-on gets in its body too: who may read the queue must not be able to send.
fn without_token<'b>(body: &'b [u8], _content_type: &str) -> Result<Content<'b>, Unreadable> {
    const TOKEN: &str = "/authorizationEventObject/systemIdToken";
    let body = json::body(body)?;
    if json::at(&body, TOKEN)?.is_none() {
        return Ok(Content::Json(body));
    }
    Ok(Content::Json(Cow::Owned(json::with(&body, TOKEN, None)?)))
}
