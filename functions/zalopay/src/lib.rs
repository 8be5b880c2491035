//! Zalopay: orders that were paid, and agreements (tokens) that users made.
//!
//! Signature: the member `mac` of the body is HMAC-SHA256 with key2 over the text in `data`, which is JSON itself. That JSON is
//! the event. `type`, which says what it is, stands outside the signature and is not read.
//! Replay: no time is signed that a window could hold. No deadline is published.

use shared::mac::{Mac, Part, Shows};
use shared::provider::Field::{Body, Maybe, Where, Word};
use shared::provider::{Answer, Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "zalopay",
    title: "Zalopay",
    docs: "https://docs.zalopay.vn/docs/specs/callback-api",
    settings: &[Setting::secret("key2", "Merchant Portal > (app) > Key 2 (callback key)")],
    scheme: &Mac {
        secret: "key2",
        in_body: Some("/mac"),
        signed: &[Part::Json("/data")],
        shows: Shows::Signed,
        ..Mac::HMAC_SHA256
    },
    event: Event {
        kind: &[
            &[Where(&Body("/binding_id"), ""), Word("agreement"), Maybe(&Body("/msg_type"))],
            &[Where(&Body("/zp_trans_id"), ""), Word("order.paid")],
        ],
        id: &[
            &[Body("/binding_id"), Maybe(&Body("/msg_type")), Maybe(&Body("/server_time"))],
            &[Body("/zp_trans_id")],
        ],
        time: &[Time::Any(Body("/server_time"))],
        subject: &[&[Body("/app_trans_id")]],
        account: &[&[Body("/app_id")]],
        partition: &[&[Body("/app_id"), Body("/app_trans_id")]],
        ..Event::of("vn.zalopay")
    },
    reply: Answer::json(200, r#"{"return_code":1}"#),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "up to 3",
        proof: "two calls of the sandbox with its published key",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
