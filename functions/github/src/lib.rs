//! GitHub: repository, organisation, enterprise and App webhooks.
//!
//! Signature: `X-Hub-Signature-256: sha256=<hex>`, HMAC-SHA256 over the raw body, JSON or form.
//! Replay: no time is signed. `X-GitHub-Delivery` is the id of the event, shared by all hooks that subscribe to it, and
//! is not signed: <https://docs.github.com/en/rest/repos/webhooks#get-a-delivery-for-a-repository-webhook>.
//! Deadline 10 s, and GitHub never sends a call again by itself.

use shared::mac::{Layout, Mac};
use shared::provider::Field::{Body, Header, Maybe};
use shared::provider::{Event, Facts, JSON_OR_FORM, Provider, Setting};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "github",
    title: "GitHub",
    docs: "https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries",
    settings: &[Setting::secret("secret", "Settings > Webhooks > (the webhook) > Secret")],
    scheme: &Mac {
        headers: &["x-hub-signature-256"],
        layout: Layout::Prefixed("sha256="),
        ..Mac::HMAC_SHA256
    },
    format: JSON_OR_FORM,
    event: Event {
        kind: &[&[Header("x-github-event"), Maybe(&Body("/action"))]],
        id: &[&[Header("x-github-delivery")]],
        subject: &[&[Body("/repository/full_name")], &[Body("/organization/login")]],
        account: &[
            &[Body("/repository/owner/login")],
            &[Body("/organization/login")],
            &[Body("/enterprise/slug")],
            &[Body("/installation/account/login")],
        ],
        partition: &[&[Body("/repository/id")], &[Body("/organization/id")], &[Body("/installation/id")]],
        delivery: &["x-github-delivery"],
        headers: &[
            "user-agent",
            "x-github-event",
            "x-github-hook-id",
            "x-github-hook-installation-target-id",
            "x-github-hook-installation-target-type",
            "x-github-enterprise-host",
            "x-github-enterprise-version",
        ],
        ..Event::of("com.github")
    },
    deadline: Duration::from_secs(10),
    facts: Facts {
        retries: "none; by hand within 3 days",
        proof: "@octokit/webhooks-methods, documentation",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
