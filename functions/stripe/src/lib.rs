//! Stripe: webhook endpoints and event destinations, snapshot and thin events.
//!
//! Signature: `Stripe-Signature: t=<seconds>,v1=<hex>[,v1=<hex>…][,v0=<hex>]`, HMAC-SHA256 over `t`, a dot and the raw
//! body. The key is the secret as it is shown, `whsec_` included. `v0` is a test scheme and counts for nothing.
//! Replay: 300 s to both sides; Stripe's own libraries look at the past only, we refuse a signed future too.
//! While a secret is rolled, Stripe signs with each live one. Every retry is signed anew under the same event id.

use shared::mac::{Layout, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::Body;
use shared::provider::{Event, Facts, Provider, Setting, Time};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "stripe",
    title: "Stripe",
    docs: "https://docs.stripe.com/webhooks/signature",
    settings: &[Setting::secret("secret", "Workbench > Webhooks > (the destination) > Signing secret")],
    scheme: &Mac {
        headers: &["stripe-signature"],
        layout: Layout::Pairs("v1"),
        signed: &[Part::Timestamp, Part::Text("."), Part::Body],
        timestamp: Some(Timestamp { at: TimestampAt::Pair("t"), unit: Unit::Seconds, tolerance: 300 }),
        ..Mac::HMAC_SHA256
    },
    event: Event {
        kind: &[&[Body("/type")]],
        id: &[&[Body("/id")]],
        // Seconds in a snapshot event, RFC 3339 in a thin one.
        time: &[Time::Seconds(Body("/created")), Time::Rfc3339(Body("/created"))],
        subject: &[&[Body("/data/object/id")], &[Body("/related_object/id")]],
        account: &[&[Body("/account")], &[Body("/context")]],
        partition: &[
            &[Body("/data/object/customer")],
            &[Body("/data/object/id")],
            &[Body("/related_object/id")],
        ],
        headers: &["user-agent"],
        ..Event::of("com.stripe")
    },
    // Stripe publishes no figure; sandbox deliveries have been seen to give up after 10 s.
    deadline: Duration::from_secs(10),
    facts: Facts {
        retries: "up to 3 days; sandbox: 3 in some hours",
        proof: "stripe-node",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
