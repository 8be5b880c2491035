//! WhatsApp Business Platform (Cloud API): messages, statuses of messages, errors, calls, groups, templates, accounts; and
//! whatever else a Meta app sends here.
//!
//! Signature: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body with the App Secret.
//! Replay: no time is signed; a message's `id` is in the signed body. A change holds several messages or statuses: each is
//! an event. No deadline is published; Messenger's 5 s are kept. Anything but 200 is sent again.
//! Where everything stands is said once for all of Meta's objects, in [`graph`].

use shared::graph;
use shared::provider::{Event, Facts, Provider, Setting};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "whatsapp",
    title: "WhatsApp",
    docs: "https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview",
    settings: &[
        Setting::secret("app_secret", "App settings > Basic > App secret"),
        Setting::secret(
            "verify_token",
            "of your own choice; the same in WhatsApp > Configuration > Webhook > Verify token",
        ),
    ],
    scheme: &graph::SIGNATURE,
    handshakes: &[&graph::CHALLENGE],
    event: Event { prefix: "com.facebook", ..graph::EVENT },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "with growing pauses for 7 days",
        proof: "WhatsApp-Nodejs-SDK (Meta), documented formula",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
