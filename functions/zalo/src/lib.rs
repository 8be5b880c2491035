//! Zalo Official Account: follow, unfollow, messages and what else an OA tells.
//!
//! Signature: `X-ZEvent-Signature: mac=<hex>`, plain SHA-256 (no HMAC) over app id, raw body, the body's `timestamp` as it
//! stands there, and the OA Secret Key: zaloplatform/zalo-java-sdk, `MacUtils.buildMac`. Genuine senders leave `mac=` out
//! at times. The header `X-ZEvent-Timestamp`, which some receivers read, is never used: a free text beside the body would
//! let a captured call be cut in another place under the same digest.
//! Replay: the time is signed, but calls come again for 12 hours, so no window can tell an old one from a late one.
//! Deadline 2 s.

use shared::crypto::SHA256;
use shared::handshake::{EmptyProbe, SitePage};
use shared::mac::{Layout, Mac, Part};
use shared::provider::Field::{Body, Where};
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// The file as Zalo gives it for download, before and after the token. It has `property` where the tag for a page of
/// one's own has `name`, and whether Zalo compares more than the tag is not documented.
const FILE: (&str, &str) = (
    "<!DOCTYPE html>\n<html lang=\"en\">\n\n<head>\n    \
     <meta property=\"zalo-platform-site-verification\" content=\"",
    "\" />\n</head>\n\n<body>\nThere Is No Limit To What You Can Accomplish Using Zalo!\n</body>\n\n</html>",
);
/// A page with the tag that Zalo gives for one's own pages.
const ROOT: (&str, &str) = (
    "<!DOCTYPE html>\n<html>\n<head>\n<meta name=\"zalo-platform-site-verification\" content=\"",
    "\" />\n</head>\n<body></body>\n</html>\n",
);

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zalo",
    title: "Zalo Official Account",
    docs: "https://developers.zalo.me/docs/official-account/webhook/tong-quan",
    settings: &[
        Setting::text("app_id", "developers.zalo.me > (the app) > Settings > Application ID").example("360846524940903967"),
        Setting::secret("oa_secret_key", "developers.zalo.me > (the app) > Webhook > OA Secret Key"),
        Setting::text(
            "site_verification",
            "developers.zalo.me > (the app) > Domain verification: what stands between `zalo_verifier` and `.html`",
        )
        .optional()
        .example("ThrowAway-Token_000000000000000000"),
    ],
    scheme: &Mac {
        algorithm: &SHA256,
        secret: "oa_secret_key",
        headers: &["x-zevent-signature"],
        layout: Layout::PrefixedMaybe("mac="),
        signed: &[Part::Setting("app_id"), Part::Body, Part::Json("/timestamp"), Part::Secret],
        ..Mac::HMAC_SHA256
    },
    handshakes: &[
        &EmptyProbe { unless: "x-zevent-signature" },
        &SitePage {
            setting: "site_verification",
            file: ("zalo_verifier", ".html"),
            text: FILE,
            root: ROOT,
        },
    ],
    event: Event {
        kind: &[&[Body("/event_name")]],
        // A receipt, a reaction and the like carry the id of the message that they are about: theirs is a digest.
        id: &[
            &[Where(&Body("/event_name"), "user_send_"), Body("/message/msg_id")],
            &[Where(&Body("/event_name"), "oa_send_"), Body("/message/msg_id")],
            &[Where(&Body("/event_name"), "anonymous_send_"), Body("/message/msg_id")],
        ],
        time: &[Time::Millis(Body("/timestamp"))],
        // The user; who sends and who receives depends on the direction.
        subject: &[
            &[Body("/follower/id")],
            &[Where(&Body("/event_name"), "oa_"), Body("/recipient/id")],
            &[Body("/sender/id")],
        ],
        account: &[
            &[Body("/oa_id")],
            &[Where(&Body("/event_name"), "oa_"), Body("/sender/id")],
            &[Body("/recipient/id")],
            &[Body("/app_id")],
        ],
        partition: &[
            &[Body("/oa_id"), Body("/follower/id")],
            &[Where(&Body("/event_name"), "oa_"), Body("/sender/id"), Body("/recipient/id")],
            &[Body("/recipient/id"), Body("/sender/id")],
        ],
        headers: &["user-agent"],
        ..Event::of("me.zalo")
    },
    deadline: Duration::from_secs(2),
    facts: Facts {
        retries: "for 12 hours, then the webhook is switched off",
        proof: "documented formula, openssl; no official vector exists",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
