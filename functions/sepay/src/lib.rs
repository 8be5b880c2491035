//! SePay: transactions of bank accounts, and what SePay's payment gateway notifies.
//!
//! Three ways, each with a secret of its own. `X-SePay-Signature: sha256=<hex>` is HMAC-SHA256 over `X-SePay-Timestamp` (Unix
//! seconds), a dot and the raw body; `Authorization: Apikey KEY` and the gateway's `X-Secret-Key` are tokens.
//! Replay: a signed time may be 5 minutes away. SePay waits 30 s; the answer has to be out before the function's own limit of 30 s.

use shared::by_secret::BySecret;
use shared::mac::{Layout, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{Body, Word};
use shared::provider::{Answer, Event, Facts, JSON_OR_ANY_FORM, Provider, Setting, Time};
use shared::token::{Place, Token};
use std::time::Duration;

/// <https://developer.sepay.vn/en/sepay-webhooks/xac-thuc>
static SIGNED: Mac<'static> = Mac {
    headers: &["x-sepay-signature"],
    layout: Layout::Prefixed("sha256="),
    signed: &[Part::Timestamp, Part::Text("."), Part::Body],
    timestamp: Some(Timestamp {
        at: TimestampAt::Header("x-sepay-timestamp"),
        unit: Unit::Seconds,
        tolerance: 300,
    }),
    ..Mac::HMAC_SHA256
};

static API_KEY: Token<'static> = Token { secret: "api_key", place: Place::After("authorization", "Apikey ") };

/// <https://developer.sepay.vn/en/cong-thanh-toan/IPN>
static GATEWAY: Token<'static> = Token { secret: "secret_key", place: Place::Header("x-secret-key") };

/// The row. A transaction is flat; a notification of the gateway has an order and a transaction within.
pub static PROVIDER: Provider = Provider {
    name: "sepay",
    title: "SePay",
    docs: "https://developer.sepay.vn/en/sepay-webhooks/xac-thuc",
    settings: &[
        Setting::secret("secret", "Webhooks > (webhook) > Security > HMAC-SHA256 > Secret")
            .unless(&["api_key", "secret_key"]),
        Setting::secret("api_key", "Webhooks > (webhook) > Security > API Key").optional(),
        Setting::secret("secret_key", "Payment gateway > IPN configuration > Secret key").optional(),
    ],
    scheme: &BySecret(&[(SIGNED.secret, &SIGNED), (API_KEY.secret, &API_KEY), (GATEWAY.secret, &GATEWAY)]),
    format: JSON_OR_ANY_FORM,
    event: Event {
        kind: &[&[Word("transaction"), Body("/transferType")], &[Body("/notification_type")]],
        id: &[
            &[Body("/id")],
            &[Body("/notification_type"), Body("/transaction/id")],
            &[Body("/notification_type"), Body("/order/id")],
        ],
        time: &[Time::Local(Body("/transactionDate"), 420), Time::Seconds(Body("/timestamp"))],
        subject: &[&[Body("/code")], &[Body("/referenceCode")], &[Body("/order/order_invoice_number")]],
        account: &[&[Body("/accountNumber")]],
        partition: &[&[Body("/accountNumber")], &[Body("/order/order_id")]],
        ..Event::of("vn.sepay")
    },
    reply: Answer::json(200, r#"{"success":true}"#),
    deadline: Duration::from_secs(25),
    facts: Facts {
        retries: "7 in 33 minutes",
        proof: "documented formula, Python's hmac; no official vector exists",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
