//! What is counted: one call for each scheme, and a few that ask something else of the gate.

use calls::{BodyAs, Made};

/// When the calls are signed and received, in Unix seconds.
pub const NOW: i64 = 1_795_500_000;
/// The size of a body in bytes. At a larger one the hash is most of the count.
const KIB: usize = 1024;

/// One line of the table.
pub struct Row {
    /// How it is called there.
    pub name: &'static str,
    /// Whose call it is.
    pub provider: &'static str,
    /// What is done with it.
    pub what: What,
}

/// What is counted.
#[derive(Clone, Copy)]
pub enum What {
    /// From the event to the answer, events into a store that keeps nothing.
    Accepted(Call),
    /// The same with a signature that is another's.
    Refused(Call),
    /// The same with so many events in one call.
    Batch(usize),
    /// From the event to the answer, events into SQS.
    Sent(Call),
    /// What a function does before its first call.
    Init,
}

/// Which call.
#[derive(Clone, Copy)]
pub struct Call {
    sample: &'static str,
    bytes: usize,
    body_as: BodyAs,
}

impl Call {
    const fn of(sample: &'static str) -> Call {
        Call { sample, bytes: KIB, body_as: BodyAs::AwsDecides }
    }
}

const PUSH: Call = Call::of("push");

/// All of them.
pub const ROWS: &[Row] = &[
    // HMAC in a header.
    row("github", "github", What::Accepted(PUSH)),
    row("github-base64", "github", What::Accepted(Call { body_as: BodyAs::Base64, ..PUSH })),
    row("github-refused", "github", What::Refused(PUSH)),
    row("github-sent", "github", What::Sent(PUSH)),
    row("github-sent-20k", "github", What::Sent(Call { bytes: 20 * KIB, ..PUSH })),
    row("github-init", "github", What::Init),
    // In base64.
    row("shopify", "shopify", What::Accepted(Call::of("products-update"))),
    // With a signed time; several signatures in one header.
    row("slack", "slack", What::Accepted(Call::of("event-message"))),
    row("stripe", "stripe", What::Accepted(Call::of("thin-billing-meter-error"))),
    row("zoom", "zoom", What::Accepted(Call::of("meeting-started"))),
    // A plain digest with the secret in it.
    row("zalo", "zalo", What::Accepted(Call::of("user-send-text"))),
    // Fields, a canonical form of them, and one of a query.
    row("momo", "momo", What::Accepted(Call::of("payment-succeeded"))),
    row("payos", "payos", What::Accepted(Call::of("payment-paid"))),
    row("casso", "casso", What::Accepted(Call::of("transaction-in"))),
    row("vnpay", "vnpay", What::Accepted(Call::of("payment-succeeded"))),
    // Forms: the URL and its fields, a document within a field, several ways to sign.
    row("twilio", "twilio", What::Accepted(Call::of("message-received"))),
    row(
        "braintree",
        "braintree",
        What::Accepted(Call { bytes: 2 * KIB, ..Call::of("subscription-charged-successfully") }),
    ),
    row("mailgun", "mailgun", What::Accepted(Call::of("route-inbound"))),
    // Tokens.
    row("telegram", "telegram", What::Accepted(Call::of("message"))),
    row("msgraph", "msgraph", What::Accepted(Call::of("message-created"))),
    row("ghn", "ghn", What::Accepted(Call::of("create"))),
    // HTTP Basic.
    row("postmark", "postmark", What::Accepted(Call::of("delivery"))),
    // Signatures with a key pair: Ed25519, ECDSA, RSA of a JWT.
    row("discord", "discord", What::Accepted(Call::of("application-command"))),
    row("sendgrid", "sendgrid", What::Accepted(Call::of("dropped"))),
    row("googlechat", "googlechat", What::Accepted(Call::of("message"))),
    row("pubsub", "pubsub", What::Accepted(Call::of("message"))),
    // Encrypted calls; XML.
    row("wechat", "wechat", What::Accepted(Call::of("text"))),
    row("dingtalk", "dingtalk", What::Accepted(Call::of("bpms-instance-change"))),
    row("feishu", "feishu", What::Accepted(Call { bytes: 2 * KIB, ..Call::of("im-message-receive") })),
    row("websub", "websub", What::Accepted(Call::of("deleted-entry"))),
    // One call, several events.
    row("facebook", "facebook", What::Accepted(Call::of("feed-comment"))),
    row("facebook-100", "facebook", What::Batch(100)),
];

const fn row(name: &'static str, provider: &'static str, what: What) -> Row {
    Row { name, provider, what }
}

impl Row {
    /// The call, signed. Of init there is none.
    pub fn made(&self) -> Result<Option<Made>, String> {
        let call = |call: Call| calls::call(self.provider, call.sample, call.bytes, call.body_as, NOW);
        match self.what {
            What::Accepted(this) | What::Sent(this) => call(this).map(Some),
            What::Refused(this) => calls::forged(&call(this)?).map(Some),
            What::Batch(events) => calls::batch(self.provider, events, NOW).map(Some),
            What::Init => Ok(None),
        }
    }
}
