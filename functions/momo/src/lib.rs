//! MoMo: notifications (IPN) of the payment gateway, version 2 and later.
//!
//! Signature: the member `signature` of the body is HMAC-SHA256 over twelve fields and the access key, which is not sent, as
//! `name=value` with `&` between and nothing encoded. A field that is missing is empty. Other members are not signed.
//! Replay: no time is signed that a window could hold. MoMo waits 15 s for a 204.

use shared::mac::{Mac, Part};
use shared::provider::Field::{Body, Not, When, Word};
use shared::provider::{Answer, Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// <https://developers.momo.vn/v3/docs/payment/api/result-handling/notification>
const SIGNED: &[Part<'static>] = &[
    Part::Text("accessKey="),
    Part::Setting("access_key"),
    Part::Text("&amount="),
    Part::JsonMaybe("/amount"),
    Part::Text("&extraData="),
    Part::JsonMaybe("/extraData"),
    Part::Text("&message="),
    Part::JsonMaybe("/message"),
    Part::Text("&orderId="),
    Part::JsonMaybe("/orderId"),
    Part::Text("&orderInfo="),
    Part::JsonMaybe("/orderInfo"),
    Part::Text("&orderType="),
    Part::JsonMaybe("/orderType"),
    Part::Text("&partnerCode="),
    Part::JsonMaybe("/partnerCode"),
    Part::Text("&payType="),
    Part::JsonMaybe("/payType"),
    Part::Text("&requestId="),
    Part::JsonMaybe("/requestId"),
    Part::Text("&responseTime="),
    Part::JsonMaybe("/responseTime"),
    Part::Text("&resultCode="),
    Part::JsonMaybe("/resultCode"),
    Part::Text("&transId="),
    Part::JsonMaybe("/transId"),
];

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "momo",
    title: "MoMo",
    docs: "https://developers.momo.vn/v3/docs/payment/api/result-handling/notification",
    settings: &[
        Setting::text("access_key", "business.momo.vn > Tích hợp > Access Key"),
        Setting::secret("secret_key", "business.momo.vn > Tích hợp > Secret Key"),
    ],
    scheme: &Mac { secret: "secret_key", in_body: Some("/signature"), signed: SIGNED, ..Mac::HMAC_SHA256 },
    event: Event {
        kind: &[
            &[When(&Body("/resultCode"), "0"), Word("payment.succeeded")],
            &[When(&Body("/resultCode"), "9000"), Word("payment.authorized")],
            &[Word("payment"), Body("/resultCode")],
        ],
        // What failed early has no transaction: 0 or -1.
        id: &[
            &[Not(&Body("/transId"), "0"), Not(&Body("/transId"), "-1"), Body("/transId")],
            &[Body("/requestId"), Body("/resultCode")],
        ],
        time: &[Time::Millis(Body("/responseTime"))],
        subject: &[&[Body("/orderId")]],
        account: &[&[Body("/partnerCode")]],
        partition: &[&[Body("/partnerCode"), Body("/orderId")]],
        ..Event::of("vn.momo")
    },
    reply: Answer::EMPTY_204,
    deadline: Duration::from_secs(15),
    facts: Facts {
        retries: "undisclosed; reported to be none",
        proof: "documented formula, Python's hmac; no official vector has its key",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
