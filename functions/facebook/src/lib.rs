//! Facebook Pages: likes, posts, comments, reactions, mentions, leads, messages; and whatever else a Meta app sends here.
//!
//! Signature: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body with the App Secret. The older
//! `X-Hub-Signature` (SHA-1) is not looked at. Meta sends its text already escaped, so the raw bytes are what is signed.
//! Replay: no time is signed. A call carries up to 1,000 updates; each becomes an event of its own.
//! Deadline 5 s, as the Messenger documentation says; for other Page fields none is published.

use shared::graph;
use shared::provider::{Event, Facts, Provider, Setting};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "facebook",
    title: "Facebook Pages",
    docs: "https://developers.facebook.com/docs/graph-api/webhooks/getting-started",
    settings: &[
        Setting::secret("app_secret", "App settings > Basic > App secret"),
        Setting::secret("verify_token", "of your own choice; the same in Webhooks > Page > Verify token"),
    ],
    scheme: &graph::SIGNATURE,
    handshakes: &[&graph::CHALLENGE],
    event: Event { prefix: "com.facebook", ..graph::EVENT },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "at once, then for 36 hours",
        proof: "WhatsApp-Nodejs-SDK (Meta), openssl",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
