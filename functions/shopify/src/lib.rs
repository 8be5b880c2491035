//! Shopify: Admin API webhooks and Events.
//!
//! Signature: base64 of HMAC-SHA256 over the raw body, in `X-Shopify-Hmac-Sha256` or, for Events, in
//! `Shopify-Hmac-Sha256`. Where a call carries both, both must match.
//! Replay: no time is signed. `X-Shopify-Webhook-Id` is the delivery's id and stays the same when it comes again;
//! `X-Shopify-Event-Id` is shared by several topics and no id of one event. Neither is signed. Since September 2026 Events
//! carry neither `Shopify-Event-Id` nor `Shopify-Resource-Id` any more (@shopify/shopify-api 15.0.0).
//! Deadline 5 s. After a rotation Shopify may sign with the old secret for an hour: keep both in the settings.

use shared::mac::{Encoding, Mac};
use shared::provider::Field::{Body, Header};
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "shopify",
    title: "Shopify",
    docs: "https://shopify.dev/docs/apps/build/webhooks/verify-deliveries",
    settings: &[Setting::secret(
        "secret",
        "Dev Dashboard > (the app) > Settings > Secret; for webhooks made by hand: Settings > Notifications > Webhooks",
    )],
    scheme: &Mac {
        headers: &["x-shopify-hmac-sha256", "shopify-hmac-sha256"],
        encoding: Encoding::Base64,
        ..Mac::HMAC_SHA256
    },
    event: Event {
        kind: &[
            &[Header("shopify-topic"), Header("shopify-action")],
            &[Header("shopify-topic")],
            &[Header("x-shopify-topic")],
        ],
        id: &[&[Header("x-shopify-webhook-id")], &[Header("shopify-webhook-id")]],
        time: &[
            Time::Rfc3339(Header("x-shopify-triggered-at")),
            Time::Rfc3339(Header("shopify-triggered-at")),
        ],
        subject: &[&[Body("/admin_graphql_api_id")], &[Body("/id")]],
        account: &[&[Header("shopify-shop-domain")], &[Header("x-shopify-shop-domain")]],
        partition: &[
            &[Header("shopify-shop-domain")],
            &[Header("x-shopify-shop-domain"), Body("/id")],
            &[Header("x-shopify-shop-domain")],
        ],
        delivery: &["shopify-webhook-id", "x-shopify-webhook-id"],
        headers: &[
            "x-shopify-topic",
            "x-shopify-shop-domain",
            "x-shopify-api-version",
            "x-shopify-webhook-id",
            "x-shopify-event-id",
            "x-shopify-triggered-at",
            "x-shopify-name",
            "x-shopify-sub-topic",
            "x-shopify-test",
            "shopify-topic",
            "shopify-action",
            "shopify-handle",
            "shopify-shop-domain",
            "shopify-api-version",
            "shopify-webhook-id",
            "shopify-triggered-at",
        ],
        ..Event::of("com.shopify")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "8 in 4 hours, then the subscription is deleted",
        proof: "@shopify/shopify-api",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
