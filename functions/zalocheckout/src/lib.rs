//! Zalo Mini App, Checkout SDK: how payments ended, and which way of paying was chosen.
//!
//! Signatures, in the body. `overallMac` of a callback is HMAC-SHA256 over all members of `data`, in order, as `name=value` with
//! `&` between; its `mac` covers seven of them alone and is not looked at. `mac` of a notification covers the only three members
//! that its `data` has: so nothing can be added to one to make it look like a callback.
//! Replay: no time is signed that a window could hold. No deadline is published.

use shared::canonical::{self, Null};
use shared::mac::{Mac, Part};
use shared::one_of::OneOf;
use shared::provider::Field::{Body, When, Word};
use shared::provider::{Answer, Event, Facts, Provider, Setting, Time};
use shared::verify::InBody;
use std::time::Duration;

/// <https://miniapp.zaloplatforms.com/documents/payment/callback>
static CALLBACK: Mac<'static> = Mac {
    secret: "private_key",
    in_body: Some("/overallMac"),
    signed: &[Part::Written("/data", |data| canonical::pairs(data, Null::Word))],
    ..Mac::HMAC_SHA256
};

/// <https://miniapp.zaloplatforms.com/documents/checkout-sdk/notify>
static NOTIFY: Mac<'static> = Mac {
    in_body: Some("/mac"),
    signed: &[Part::Written("/data", |data| canonical::exactly(data, &["appId", "orderId", "method"]))],
    ..CALLBACK
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zalocheckout",
    title: "Zalo Mini App Checkout",
    docs: "https://miniapp.zaloplatforms.com/documents/payment/callback",
    settings: &[Setting::secret("private_key", "Mini App Center > (app) > Checkout SDK > Private Key")],
    scheme: &OneOf {
        first: &NOTIFY,
        others: &[&CALLBACK],
        in_body: Some(InBody::FirstOf(&[InBody::Member("/overallMac"), InBody::Member("/mac")])),
    },
    event: Event {
        kind: &[
            &[When(&Body("/data/resultCode"), "1"), Word("callback.succeeded")],
            &[When(&Body("/data/resultCode"), "-1"), Word("callback.failed")],
            &[Word("callback"), Body("/data/resultCode")],
            &[Word("notify"), Body("/data/method")],
        ],
        id: &[&[Body("/data/transId")], &[Body("/data/orderId"), Body("/data/method")]],
        time: &[Time::Millis(Body("/data/transTime"))],
        subject: &[&[Body("/data/orderId")]],
        account: &[&[Body("/data/appId")]],
        partition: &[&[Body("/data/appId"), Body("/data/orderId")]],
        ..Event::of("me.zalo.checkout")
    },
    reply: Answer::json(200, r#"{"returnCode":1}"#),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "undisclosed; after 20 minutes ask getOrderStatus",
        proof: "documented formula, Python's hmac; no official vector exists",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
