//! Microsoft Graph: change notifications of mail, calendars, Teams, files, users and the like, and lifecycle notifications.
//!
//! Check: each notification of a call carries the `clientState` that was given when its subscription was made. All of them
//! must match; a call may mix subscriptions. It says nothing about the rest, hence assurance `token`. The JWTs in
//! `validationTokens`, which come with resource data, are not checked.
//! Handshake: `POST ?validationToken=` is answered with the decoded token as text, before a subscription is made.
//! Answer: 202, as Microsoft asks of whoever queues. For a wrong `clientState` its pages name no status; 401 has Graph send
//! again, so that a mistake in the settings loses nothing. Deadline 3 s: older pages count 2.9 s as slow, newer ones 10 s.

use shared::error::Unreadable;
use shared::handshake::QueryEcho;
use shared::json;
use shared::provider::Field::{Item, Word};
use shared::provider::{Answer, Content, Event, Facts, Provider, Setting, Split};
use shared::token::{Place, Token};
use std::borrow::Cow;
use std::time::Duration;

/// The member of a call with its notifications.
const NOTIFICATIONS: &str = "value";
/// The member of a notification with the secret.
const SECRET: &str = "clientState";

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "msgraph",
    title: "Microsoft Graph",
    docs: "https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks",
    settings: &[Setting::secret(
        "client_state",
        "of your own choice; the same in `clientState` when you create the subscription",
    )],
    scheme: &Token { secret: "client_state", place: Place::Each { entries: NOTIFICATIONS, member: SECRET } },
    handshakes: &[&QueryEcho { parameter: "validationToken" }],
    format: without_secrets,
    event: Event {
        split: Split::Entries { entries: NOTIFICATIONS, items: &[] },
        kind: &[&[Word("lifecycle"), Item("/lifecycleEvent")], &[Item("/changeType")]],
        // Unique for its subscription is all that can be relied on.
        id: &[&[Item("/subscriptionId"), Item("/id")]],
        subject: &[&[Item("/resource")], &[Item("/subscriptionId")]],
        account: &[&[Item("/tenantId")]],
        partition: &[&[Item("/subscriptionId")]],
        headers: &["user-agent"],
        ..Event::of("com.microsoft.graph")
    },
    reply: Answer { status: 202, ..Answer::EMPTY_200 },
    deadline: Duration::from_secs(3),
    facts: Facts {
        retries: "for up to 4 hours",
        proof: "documented; a token has no signature to prove",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};

/// The call without its secrets: what vouches for a notification must not travel with it to whoever may read the queue.
fn without_secrets<'b>(body: &'b [u8], _content_type: &str) -> Result<Content<'b>, Unreadable> {
    let bare = json::with_each(&json::body(body)?, NOTIFICATIONS, SECRET, &|_| None)?;
    Ok(Content::Json(Cow::Owned(bare)))
}
