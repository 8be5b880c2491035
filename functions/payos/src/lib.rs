//! payOS: payments by bank transfer with a payment link.
//!
//! Signature: the member `signature` of the body is HMAC-SHA256 over the members of `data`, in order, as `name=value` with `&`
//! between: null, and the texts `null` and `undefined`, are empty. What stands beside `data` is not signed, so nothing is read there.
//! Replay: no time is signed that a window could hold. No deadline is published.

use shared::canonical::{self, Null};
use shared::mac::{Mac, Part};
use shared::provider::Field::{Body, When, Word};
use shared::provider::{Answer, Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "payos",
    title: "payOS",
    docs: "https://payos.vn/docs/tich-hop-webhook/kiem-tra-du-lieu-voi-signature/",
    settings: &[Setting::secret("checksum_key", "my.payos.vn > Kênh thanh toán > (channel) > Checksum Key")],
    scheme: &Mac {
        secret: "checksum_key",
        in_body: Some("/signature"),
        signed: &[Part::Written("/data", |data| canonical::pairs(data, Null::Empty))],
        ..Mac::HMAC_SHA256
    },
    event: Event {
        kind: &[
            &[When(&Body("/data/code"), "00"), Word("payment.paid")],
            &[Word("payment"), Body("/data/code")],
        ],
        id: &[&[Body("/data/paymentLinkId"), Body("/data/reference")]],
        time: &[Time::Local(Body("/data/transactionDateTime"), 420)],
        subject: &[&[Body("/data/orderCode")]],
        account: &[&[Body("/data/accountNumber")]],
        partition: &[&[Body("/data/orderCode")]],
        ..Event::of("vn.payos")
    },
    reply: Answer::json(200, r#"{"success":true}"#),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "undisclosed",
        proof: "payOS's documentation with its published key, @payos/node",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
