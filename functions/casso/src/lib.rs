//! Casso: what comes into and goes out of bank accounts.
//!
//! Signature of version 2: `X-Casso-Signature: t=<Unix milliseconds>,v1=<hex>`, HMAC-SHA512 over the time, a dot and the body,
//! parsed and written anew with the members of every object in order. Version 1 sends the key itself, as a token.
//! Replay: no window is published, nor whether a call that is sent again is signed anew: a time of three days ago passes, as
//! long as identities are kept. No deadline is published.

use shared::by_secret::BySecret;
use shared::canonical;
use shared::crypto::HMAC_SHA512;
use shared::mac::{Layout, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{Body, Entry, Not, Where, Word};
use shared::provider::{Answer, Event, Facts, Provider, Setting, Split, Time};
use shared::token::{Place, Token};
use std::time::Duration;

/// Three days, and an hour for Casso's clock and ours, in seconds.
const WINDOW: u64 = 73 * 60 * 60;
/// Minutes that Vietnam is ahead of UTC.
const VIETNAM: i32 = 420;

/// <https://github.com/CassoHQ/casso-webhook-v2-verify-signature>
static V2: Mac<'static> = Mac {
    algorithm: &HMAC_SHA512,
    secret: "security_key",
    headers: &["x-casso-signature"],
    layout: Layout::Pairs("v1"),
    signed: &[Part::Timestamp, Part::Text("."), Part::Written("", canonical::sorted)],
    timestamp: Some(Timestamp { at: TimestampAt::Pair("t"), unit: Unit::Millis, tolerance: WINDOW }),
    ..Mac::HMAC_SHA256
};

/// <https://developer.casso.vn/webhook/thiet-lap-webhook-thu-cong>
static V1: Token<'static> = Token { secret: "secure_token", place: Place::Header("secure-token") };

/// The row. `data` is one transaction in version 2 and a list of them in version 1.
pub static PROVIDER: Provider = Provider {
    name: "casso",
    title: "Casso",
    docs: "https://github.com/CassoHQ/casso-webhook-v2-verify-signature",
    settings: &[
        Setting::secret("security_key", "Kết nối > Tích hợp > (Webhook V2) > Key bảo mật")
            .unless(&["secure_token"]),
        Setting::secret("secure_token", "Kết nối > Tích hợp > (Webhook) > Key bảo mật").optional(),
    ],
    scheme: &BySecret(&[(V2.secret, &V2), (V1.secret, &V1)]),
    event: Event {
        split: Split::Entries { entries: "data", items: &[] },
        kind: &[
            &[Where(&Body("/data/amount"), "-"), Word("transaction.out")],
            &[Where(&Body("/data/amount"), ""), Word("transaction.in")],
            &[Where(&Entry("/amount"), "-"), Word("transaction.out")],
            &[Where(&Entry("/amount"), ""), Word("transaction.in")],
        ],
        // Calls on trial have the id 0.
        id: &[
            &[Not(&Body("/data/id"), "0"), Body("/data/id")],
            &[Body("/data/reference")],
            &[Not(&Entry("/id"), "0"), Entry("/id")],
            &[Entry("/tid")],
        ],
        time: &[
            Time::Local(Body("/data/transactionDateTime"), VIETNAM),
            Time::Local(Entry("/when"), VIETNAM),
        ],
        subject: &[&[Body("/data/reference")], &[Entry("/tid")]],
        account: &[&[Body("/data/accountNumber")], &[Entry("/bank_sub_acc_id")]],
        ..Event::of("vn.casso")
    },
    reply: Answer::json(200, r#"{"success":true}"#),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "undisclosed",
        proof: "Casso's own sample code with its published key",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
