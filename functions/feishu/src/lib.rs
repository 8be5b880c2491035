//! Feishu and Lark: event subscriptions and callbacks of an app.
//!
//! Check: with an Encrypt Key every call is encrypted, and `X-Lark-Signature` is SHA-256 over time, nonce, that key and the
//! raw body. The event carries the Verification Token besides, which must match too. Without an Encrypt Key there is no
//! signature, and the token is all.
//! Handshake: `url_verification`, which nobody signs; the token must match. Replay: no window is documented; the event's id is
//! signed. Deadline 3 s, of the handshake 1 s.

use shared::crypto::SHA256;
use shared::encrypted::Encrypted;
use shared::mac::{Mac, Part};
use shared::provider::Field::Body;
use shared::provider::{Answer, Event, Facts, Provider, Setting, Time};
use shared::verify::InBody;
use std::time::Duration;

static CALLS: Encrypted = Encrypted {
    signature: Mac {
        algorithm: &SHA256,
        secret: "encrypt_key",
        headers: &["x-lark-signature"],
        signed: &[
            Part::Header("x-lark-request-timestamp"),
            Part::Header("x-lark-request-nonce"),
            Part::Secret,
            Part::Body,
        ],
        ..Mac::HMAC_SHA256
    },
    ciphertext: "/encrypt",
    token: "verification_token",
    // Of version 2 and of version 1.
    tokens: &[InBody::Member("/header/token"), InBody::Member("/token")],
    mark: ("/type", "url_verification"),
    challenge: "challenge",
    members: &["challenge", "token", "type"],
};

/// The row. Each way stands there twice: for version 2 of events, and for version 1.
pub static PROVIDER: Provider = Provider {
    name: "feishu",
    title: "Feishu and Lark",
    docs: "https://open.feishu.cn/document/ukTMukTMukTM/uYDNxYjL2QTM24iN0EjN/event-subscription-configure-/encrypt-key-encryption-configuration-case",
    settings: &[
        Setting::secret(
            "encrypt_key",
            "Developer Console > (app) > Events and Callbacks > Encryption Strategy > Encrypt Key",
        )
        .optional()
        .example("throw-away encrypt key"),
        Setting::secret(
            "verification_token",
            "Developer Console > (app) > Events and Callbacks > Encryption Strategy > Verification Token",
        ),
    ],
    scheme: &CALLS,
    handshakes: &[&CALLS],
    event: Event {
        kind: &[&[Body("/header/event_type")], &[Body("/event/type")], &[Body("/type")]],
        id: &[&[Body("/header/event_id")], &[Body("/uuid")]],
        time: &[Time::Any(Body("/header/create_time")), Time::Seconds(Body("/ts"))],
        subject: &[
            &[Body("/event/message/chat_id")],
            &[Body("/event/chat_id")],
            &[Body("/event/open_chat_id")],
            &[Body("/event/context/open_chat_id")],
            &[Body("/event/sender/sender_id/open_id")],
            &[Body("/event/operator/open_id")],
            &[Body("/event/object/open_id")],
            &[Body("/event/instance_code")],
        ],
        account: &[
            &[Body("/header/tenant_key"), Body("/header/app_id")],
            &[Body("/event/tenant_key"), Body("/event/app_id")],
        ],
        partition: &[
            &[Body("/header/tenant_key"), Body("/event/message/chat_id")],
            &[Body("/header/tenant_key"), Body("/event/chat_id")],
            &[Body("/event/tenant_key"), Body("/event/open_chat_id")],
        ],
        headers: &["user-agent"],
        ..Event::of("cn.feishu")
    },
    reply: Answer::json(200, "{}"),
    deadline: Duration::from_secs(3),
    facts: Facts {
        retries: "after 15 s, 5 min, 1 h, 6 h",
        proof: "@larksuiteoapi/node-sdk; Feishu's own example of encryption",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
