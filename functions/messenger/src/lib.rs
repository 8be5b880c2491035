//! Messenger: messages to a Facebook Page, echoes, postbacks, reactions, receipts, hand-overs; and whatever else a Meta app
//! sends here.
//!
//! Signature: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body with the App Secret; Meta sends its text
//! already escaped, so the raw bytes are what is signed. Replay: no time is signed; `mid` is in the signed body.
//! Deadline 5 s. Where everything stands is said once for all of Meta's objects, in [`graph`].

use shared::graph;
use shared::provider::{Event, Facts, Provider, Setting};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "messenger",
    title: "Messenger",
    docs: "https://developers.facebook.com/documentation/business-messaging/messenger-platform/webhooks",
    settings: &[
        Setting::secret("app_secret", "App settings > Basic > App secret"),
        Setting::secret(
            "verify_token",
            "of your own choice; the same in Messenger > Messenger API Settings > Configure webhooks > Verify token",
        ),
    ],
    scheme: &graph::SIGNATURE,
    handshakes: &[&graph::CHALLENGE],
    event: Event { prefix: "com.facebook", ..graph::EVENT },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "at once, then for 36 hours; after 1 hour of failures the Page is unsubscribed",
        proof: "WhatsApp-Nodejs-SDK (Meta), documented formula",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
