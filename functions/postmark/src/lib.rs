//! Postmark: what became of mail that was sent, and mail that came in.
//!
//! Check: user name and password of HTTP Basic, of one's own choice. Nothing is signed.
//! Replay: nothing tells a recorded call from a genuine one but its content. Any status but 200 has it sent again, but 403
//! ends that.

use shared::provider::Field::{Body, Where, Word};
use shared::provider::{Event, Facts, Field, Provider, Setting, Time};
use shared::token::Basic;
use std::time::Duration;

/// Mail that came in says whom it was for, and not what it is.
const IS_INBOUND: Field<'static> = Where(&Body("/OriginalRecipient"), "");

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "postmark",
    title: "Postmark",
    docs: "https://postmarkapp.com/developer/webhooks/webhooks-overview",
    settings: &[Setting::object(
        "basic_auth",
        "of your own choice; the same in (server) > (stream) > Webhooks > (the webhook) > Basic auth credentials",
    )
    .needed()
    .example(r#"{"username":"postmark","password":"throw-away password"}"#)],
    scheme: &Basic { setting: "basic_auth" },
    event: Event {
        kind: &[&[Body("/RecordType")], &[IS_INBOUND, Word("Inbound")]],
        // What has no id of its own has a digest: one message is told of several times.
        id: &[&[Body("/RecordType"), Body("/ID")], &[IS_INBOUND, Body("/MessageID")]],
        time: &[
            Time::Rfc3339(Body("/DeliveredAt")),
            Time::Rfc3339(Body("/BouncedAt")),
            Time::Rfc3339(Body("/ReceivedAt")),
            Time::Rfc3339(Body("/ChangedAt")),
        ],
        subject: &[&[Body("/MessageID")]],
        account: &[&[Body("/ServerID")]],
        partition: &[&[Body("/MessageID")]],
        headers: &["user-agent"],
        ..Event::of("com.postmarkapp")
    },
    deadline: Duration::from_secs(10),
    facts: Facts {
        retries: "inbound 10 in 10.5 hours, none after 403",
        proof: "documented; a password has no signature to prove",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
