//! Google Cloud Pub/Sub: messages of a push subscription, wrapped or unwrapped: Gmail, Google Play, Cloud Storage, Eventarc
//! and whatever else publishes to a topic.
//!
//! Check: `Authorization: Bearer <JWT>`, an ID token of Google's by RS256 for the service account and the audience of the
//! subscription; or, of old, `?token=` in the endpoint's URL. Neither covers the body, hence assurance `token`.
//! Replay: until the token expires, at most an hour; the message's id tells it.
//! Answer: 204 acknowledges. Deadline 10 s, the default of a subscription.

use shared::by_secret::{BySecret, Every};
use shared::error::Unreadable;
use shared::json;
use shared::jwt::{Authority, Bearer, Claim};
use shared::keys::Remote;
use shared::provider::Field::{Body, Header};
use shared::provider::{Answer, Content, Event, Facts, Provider, Setting, Time};
use shared::token::{Place, Token};
use shared::trial;
use std::time::Duration;

static GOOGLE_KEYS: Remote = Remote::at("https://www.googleapis.com/oauth2/v3/certs");

/// Anybody at Google can have a token made for any audience: who it was made for stands in `email`.
static GOOGLE: Authority = Authority {
    issuers: &["https://accounts.google.com", "accounts.google.com"],
    keys: &GOOGLE_KEYS,
    audience: "audience",
    claims: &[
        Claim::Setting { name: "email", setting: "service_account", otherwise: None },
        Claim::True("email_verified"),
    ],
    account: "",
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "pubsub",
    title: "Google Cloud Pub/Sub",
    docs: "https://cloud.google.com/pubsub/docs/authenticate-push-subscriptions",
    settings: &[
        Setting::text(
            "audience",
            "Pub/Sub > Subscriptions > (the subscription) > Enable authentication > Audience; where that is empty, the \
             endpoint URL",
        )
        .unless(&["token"])
        .example("https://hooks.example.com/pubsub"),
        Setting::text("service_account", "Enable authentication > Service account: its email address")
            .unless(&["token"])
            .example("push@example.iam.gserviceaccount.com"),
        Setting::secret("token", "of your own choice; the same in `?token=` of the endpoint URL").optional(),
        Setting::object("jwks", "keys of your own choice in place of Google's, for trials").example(trial::rsa::JWKS),
    ],
    scheme: &Every(BySecret(&[
        ("audience", &Bearer { authority: |_| &GOOGLE }),
        ("token", &Token { secret: "token", place: Place::Query("token") }),
    ])),
    format: object_or_bytes,
    event: Event {
        kind: &[
            // What Eventarc, Cloud Storage and Workspace Events call it. Unwrapped messages have attributes as headers.
            &[Body("/message/attributes/ce-type")],
            &[Body("/message/attributes/eventType")],
            &[Header("ce-type")],
            &[Header("eventtype")],
        ],
        unknown: "message",
        id: &[&[Body("/message/messageId")], &[Header("x-goog-pubsub-message-id")]],
        time: &[
            Time::Rfc3339(Body("/message/publishTime")),
            Time::Rfc3339(Header("x-goog-pubsub-publish-time")),
        ],
        subject: &[
            &[Body("/message/attributes/ce-subject")],
            &[Body("/message/attributes/bucketId"), Body("/message/attributes/objectId")],
        ],
        account: &[&[Body("/subscription")], &[Header("x-goog-pubsub-subscription-name")]],
        partition: &[
            &[Body("/subscription"), Body("/message/orderingKey")],
            &[Header("x-goog-pubsub-subscription-name"), Header("x-goog-pubsub-ordering-key")],
        ],
        headers: &[
            "user-agent",
            "x-goog-pubsub-message-id",
            "x-goog-pubsub-publish-time",
            "x-goog-pubsub-ordering-key",
            "x-goog-pubsub-subscription-name",
        ],
        ..Event::of("com.google.cloud.pubsub")
    },
    reply: Answer::EMPTY_204,
    deadline: Duration::from_secs(10),
    facts: Facts {
        retries: "until the message expires (7 days unless set otherwise)",
        proof: "google-auth-library (Node.js), with keys of its own",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// A wrapped message, or an unwrapped one that is an object, as JSON. An unwrapped one may be anything: it is as bytes what
/// it was published as.
fn object_or_bytes<'b>(body: &'b [u8], _content_type: &str) -> Result<Content<'b>, Unreadable> {
    match json::body(body) {
        Ok(text) if text.starts_with('{') => Ok(Content::Json(text)),
        _ => Ok(Content::Bytes),
    }
}
