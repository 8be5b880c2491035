//! Instagram professional accounts: comments, mentions, story insights, messages; and whatever else a Meta app sends here.
//!
//! Signature: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body. An app with Instagram login has two
//! secrets, and which of them signs is not documented: the setting takes both.
//! Replay: no time is signed; `mid` is in the signed body. Deadline 5 s, as for Messenger.
//! Where everything stands is said once for all of Meta's objects, in [`graph`].

use shared::graph;
use shared::provider::{Event, Facts, Provider, Setting};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "instagram",
    title: "Instagram",
    docs: "https://developers.facebook.com/docs/instagram-platform/webhooks",
    settings: &[
        Setting::secret(
            "app_secret",
            "App settings > Basic > App secret; with Instagram login: Instagram > API setup > Instagram app secret",
        ),
        Setting::secret(
            "verify_token",
            "of your own choice; the same in Webhooks > Instagram > Verify token",
        ),
    ],
    scheme: &graph::SIGNATURE,
    handshakes: &[&graph::CHALLENGE],
    event: Event { prefix: "com.facebook", ..graph::EVENT },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "as Messenger for messages, else for 36 hours",
        proof: "WhatsApp-Nodejs-SDK (Meta), documented formula",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
