//! Braintree: subscriptions, transactions, disputes, disbursements and what else the gateway tells.
//!
//! Signature: the form field `bt_signature` has pairs `public key|hex` with `&` between; ours is HMAC-SHA1 with the SHA-1 of
//! the private key over the decoded field `bt_payload`, or over it and a newline: braintree/braintree_node,
//! `webhook_notification_gateway.js`. The payload is base64, in lines, of an XML `<notification>`.
//! Handshake: `GET ?bt_challenge=` is signed with the same key. Strangers could so get a signature for any text of 20 to 32
//! characters of lower-case hex; a payload of that shape is refused.
//! Replay: no time is signed that a window could hold, for calls come again for a day. Braintree waits 30 s; the answer has to
//! be out before the function's own limit of 30 s.

use shared::crypto::HMAC_SHA1_HASHED_KEY;
use shared::error::Unreadable;
use shared::form;
use shared::form_mac::FormMac;
use shared::provider::Field::Body;
use shared::provider::{Content, Event, Facts, Provider, Setting, Time, Ways};
use shared::xml;
use std::borrow::Cow;
use std::time::Duration;

/// What checks events and answers challenges.
static SIGNATURE: FormMac = FormMac {
    algorithm: &HMAC_SHA1_HASHED_KEY,
    key_name: "public_key",
    secret: "private_key",
    signatures: "bt_signature",
    signed: "bt_payload",
    challenge: "bt_challenge",
};

/// What a notification is about: its subject has one member, named by what it is.
const SUBJECT: Ways<'static> = &[
    &[Body("/notification/subject/subscription/id")],
    &[Body("/notification/subject/transaction/id")],
    &[Body("/notification/subject/dispute/id")],
    &[Body("/notification/subject/disbursement/id")],
    &[Body("/notification/subject/transaction-review/transaction-id")],
    &[Body("/notification/subject/local-payment/payment-id")],
    &[Body("/notification/subject/local-payment-expired/payment-id")],
    &[Body("/notification/subject/local-payment-funded/payment-id")],
    &[Body("/notification/subject/local-payment-reversed/payment-id")],
    &[Body("/notification/subject/paypal-account/token")],
    &[Body("/notification/subject/venmo-account/token")],
    &[Body("/notification/subject/payment-method-customer-data-updated-metadata/token")],
    &[Body("/notification/subject/granted-payment-instrument-update/token")],
    &[Body("/notification/subject/connected-merchant-status-transitioned/merchant-public-id")],
    &[Body("/notification/subject/connected-merchant-paypal-status-changed/merchant-public-id")],
    &[Body("/notification/subject/partner-merchant/partner-merchant-id")],
    &[Body("/notification/subject/oauth-application-revocation/merchant-id")],
];

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "braintree",
    title: "Braintree",
    docs: "https://developer.paypal.com/braintree/docs/guides/webhooks/parse",
    settings: &[
        Setting::text("public_key", "Control Panel > Settings (gear) > API > API Keys > Public Key")
            .example("throw_away_public_key"),
        Setting::secret("private_key", "Control Panel > Settings (gear) > API > API Keys > Private Key"),
    ],
    scheme: &SIGNATURE,
    handshakes: &[&SIGNATURE],
    format: notification,
    event: Event {
        kind: &[&[Body("/notification/kind")]],
        time: &[
            Time::Rfc3339(Body("/notification/timestamp/#text")),
            Time::Rfc3339(Body("/notification/timestamp")),
        ],
        subject: SUBJECT,
        account: &[&[Body("/notification/source-merchant-id")]],
        partition: SUBJECT,
        headers: &["user-agent"],
        ..Event::of("com.braintreepayments")
    },
    deadline: Duration::from_secs(25),
    facts: Facts {
        retries: "every hour for 24 hours; sandbox: 3 hours",
        proof: "braintree_node",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};

/// The notification in the signed field. Other fields, which anybody may add, are not looked at.
fn notification<'b>(body: &'b [u8], _content_type: &str) -> Result<Content<'b>, Unreadable> {
    let document = form::base64(body, SIGNATURE.signed)?;
    Ok(Content::Json(Cow::Owned(xml::body(&document)?.into_owned())))
}
