//! VNPAY: notifications (IPN) of the payment gateway, version 2.1.0.
//!
//! A GET. Signature: `vnp_SecureHash` is HMAC-SHA512 over the other parameters whose names begin with `vnp_`, in order and encoded
//! as a form. Those alone make the event; what else stands in the query is left out. MD5 and SHA-256 of older versions are refused.
//! Replay: no time is signed that a window could hold. No deadline is published.

use shared::canonical;
use shared::crypto::HMAC_SHA512;
use shared::mac::{Mac, Part, Shows};
use shared::one_of::OneOf;
use shared::provider::Field::{Body, Maybe, Not, When, Word};
use shared::provider::{Answer, Event, FORM, Facts, Provider, Setting, Time};
use std::time::Duration;

/// What is no part of what is signed.
const WITHOUT: &[&str] = &["vnp_SecureHash", "vnp_SecureHashType"];

/// The parameters as they were sent: languages differ in what they encode (`!'()*~`).
/// <https://sandbox.vnpayment.vn/apis/docs/thanh-toan-pay/pay.html>
static AS_SENT: Mac<'static> = Mac {
    algorithm: &HMAC_SHA512,
    secret: "hash_secret",
    in_query: Some("vnp_SecureHash"),
    signed: &[Part::Query(|query| canonical::parameters(query, "vnp_", WITHOUT, false))],
    shows: Shows::Signed,
    ..Mac::HMAC_SHA256
};

/// The parameters encoded as VNPAY's own samples encode them.
static ENCODED: Mac<'static> =
    Mac { signed: &[Part::Query(|query| canonical::parameters(query, "vnp_", WITHOUT, true))], ..AS_SENT };

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "vnpay",
    title: "VNPAY",
    docs: "https://sandbox.vnpayment.vn/apis/docs/thanh-toan-pay/pay.html",
    settings: &[Setting::secret(
        "hash_secret",
        "sent by VNPAY when the terminal is registered: vnp_HashSecret",
    )],
    methods: &["GET"],
    scheme: &OneOf { first: &AS_SENT, others: &[&ENCODED], in_body: None },
    format: FORM,
    event: Event {
        kind: &[
            &[
                When(&Body("/vnp_ResponseCode"), "00"),
                When(&Body("/vnp_TransactionStatus"), "00"),
                Word("payment.succeeded"),
            ],
            &[Word("payment"), Body("/vnp_ResponseCode"), Maybe(&Body("/vnp_TransactionStatus"))],
        ],
        // Without a transaction at VNPAY its number is 0.
        id: &[
            &[Not(&Body("/vnp_TransactionNo"), "0"), Body("/vnp_TransactionNo")],
            &[Body("/vnp_TmnCode"), Body("/vnp_TxnRef"), Maybe(&Body("/vnp_PayDate"))],
        ],
        time: &[Time::Local(Body("/vnp_PayDate"), 420)],
        subject: &[&[Body("/vnp_TxnRef")]],
        account: &[&[Body("/vnp_TmnCode")]],
        partition: &[&[Body("/vnp_TmnCode"), Body("/vnp_TxnRef")]],
        ..Event::of("vn.vnpay")
    },
    reply: Answer::json(200, r#"{"RspCode":"00","Message":"Confirm Success"}"#),
    refused: Answer::json(401, r#"{"RspCode":"97","Message":"Invalid signature"}"#),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "up to 10, 5 minutes apart",
        proof: "the community's library vnpay, VNPAY's documented code",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
