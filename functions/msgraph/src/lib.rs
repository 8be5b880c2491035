//! Microsoft Graph: change notifications of mail, calendars, Teams, files, users and the like, and lifecycle notifications.
//!
//! Check: each notification of a call carries the `clientState` that was given when its subscription was made. All of them
//! must match; a call may mix subscriptions. Where the settings name the app, the JWTs in `validationTokens`, which come with
//! resource data, must be Microsoft's own for this app, and there has to be one for the tenant of each notification with
//! `encryptedContent`. Neither covers the rest of the body, hence assurance `token`.
//! Handshake: `POST ?validationToken=` is answered with the decoded token as text, before a subscription is made.
//! Answer: 202, as Microsoft asks of whoever queues. For a wrong `clientState` its pages name no status; 401 has Graph send
//! again, so that a mistake in the settings loses nothing. Deadline 3 s: older pages count 2.9 s as slow, newer ones 10 s.

use shared::by_secret::{BySecret, Every};
use shared::error::Unreadable;
use shared::handshake::QueryEcho;
use shared::json;
use shared::jwt::{Authority, Claim, Vouched};
use shared::keys::Remote;
use shared::provider::Field::{After, Item, Word};
use shared::provider::{Answer, Content, Event, Facts, Field, Provider, Setting, Split};
use shared::token::{Place, Token};
use shared::trial;
use std::borrow::Cow;
use std::time::Duration;

/// The member of a call with its notifications.
const NOTIFICATIONS: &str = "value";
/// The member of a notification with the secret.
const SECRET: &str = "clientState";

/// The type of the resource that has changed, where Graph says it.
const RESOURCE: Field<'_> = Item("/resourceData/@odata.type");

/// The keys of Microsoft's identity platform, the same for all tenants.
static MICROSOFT_KEYS: Remote = Remote::at("https://login.microsoftonline.com/common/discovery/v2.0/keys");

/// Any app of any tenant can have a token made for any audience: whose it is stands in `appid`, and that is Graph's own
/// publisher of notifications. Of tokens of version 2.0 it stands in `azp`.
static MICROSOFT: Authority = Authority {
    issuers: &["https://sts.windows.net/{account}/", "https://login.microsoftonline.com/{account}/v2.0"],
    keys: &MICROSOFT_KEYS,
    audience: "app_id",
    claims: &[Claim::Is(&["appid", "azp"], "0bf30f3b-4a52-48df-9a82-234910c4a086")],
    account: "tid",
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "msgraph",
    title: "Microsoft Graph",
    docs: "https://learn.microsoft.com/en-us/graph/change-notifications-delivery-webhooks",
    settings: &[
        Setting::secret(
            "client_state",
            "of your own choice; the same in `clientState` when you create the subscription",
        ),
        Setting::text(
            "app_id",
            "Entra admin center > App registrations > (the app) > Application (client) ID; for resource data",
        )
        .optional(),
        Setting::object("jwks", "keys of your own choice in place of Microsoft's, for trials")
            .example(trial::rsa::JWKS),
    ],
    scheme: &Every(BySecret(&[
        (
            "client_state",
            &Token { secret: "client_state", place: Place::Each { entries: NOTIFICATIONS, member: SECRET } },
        ),
        (
            "app_id",
            &Vouched {
                authority: &MICROSOFT,
                tokens: "validationTokens",
                items: NOTIFICATIONS,
                account: "tenantId",
                needed_by: "encryptedContent",
            },
        ),
    ])),
    handshakes: &[&QueryEcho { parameter: "validationToken" }],
    format: without_secrets,
    event: Event {
        split: Split::Entries { entries: NOTIFICATIONS, items: &[] },
        kind: &[
            &[Word("lifecycle"), Item("/lifecycleEvent")],
            // Graph writes `#Microsoft.Graph.` before some types and `#microsoft.graph.` before others.
            &[After(&After(&RESOURCE, "#Microsoft.Graph."), "#microsoft.graph."), Item("/changeType")],
            &[Item("/changeType")],
        ],
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
        proof: "documented; tokens by keys of our own",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// The call without its secrets: what vouches for a notification must not travel with it to whoever may read the queue.
fn without_secrets<'b>(body: &'b [u8], _content_type: &str) -> Result<Content<'b>, Unreadable> {
    let bare = json::with_each(&json::body(body)?, NOTIFICATIONS, SECRET, &|_| None)?;
    Ok(Content::Json(Cow::Owned(bare)))
}
