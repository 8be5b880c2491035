//! DingTalk: events that an app subscribes to by HTTP, and messages to a robot of a company.
//!
//! Events: `msg_signature` or `signature` in the query is SHA-1 over the token, `timestamp`, `nonce` and the ciphertext,
//! sorted. The event is in the ciphertext: AES-256-CBC with the app's key, and the app's id after the text. DingTalk takes no
//! answer but `success` in such a ciphertext, signed.
//! Robots: `sign` is HMAC-SHA256 with the app's secret over `timestamp`, a newline and the secret. It says nothing about the
//! body: whoever has seen one call can send anything for an hour.
//! Which of them are served is a matter of the settings. Deadline 1.5 s.

use shared::by_secret::BySecret;
use shared::error::Fault;
use shared::framed::Framed;
use shared::json;
use shared::mac::{Encoding, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{Body, Word};
use shared::provider::{Answer, Event, Facts, JSON, Provider, Response, Setting, Time};
use shared::verify::{Assurance, Verified};
use std::borrow::Cow;
use std::time::Duration;

static EVENTS: Framed = Framed {
    token: "token",
    key: "aes_key",
    receiver: "app_key",
    signatures: &["msg_signature", "signature"],
    unit: Unit::Millis,
    format: JSON,
    ciphertext: &["/encrypt"],
    bare_signature: None,
    echo: "",
};

static ROBOT: Mac<'static> = Mac {
    secret: "app_secret",
    headers: &["sign"],
    encoding: Encoding::Base64,
    signed: &[Part::Timestamp, Part::Text("\n"), Part::Secret],
    // An hour to both sides is DingTalk's own limit.
    timestamp: Some(Timestamp { at: TimestampAt::Header("timestamp"), unit: Unit::Millis, tolerance: 3600 }),
    ..Mac::HMAC_SHA256
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "dingtalk",
    title: "DingTalk",
    docs: "https://open.dingtalk.com/document/orgapp/configure-event-subcription",
    settings: &[
        Setting::secret("token", "Developer console > (app) > 事件订阅 > 签名 token")
            .unless(&["app_secret"])
            .example("throwAwayTokenThrowAwayToken"),
        Setting::secret("aes_key", "Developer console > (app) > 事件订阅 > 加密 aes_key")
            .unless(&["app_secret"])
            .example("throwAwayKeythrowAwayKeythrowAwayKeythrowAw"),
        Setting::text(
            "app_key",
            "Developer console > (app) > 凭证与基础信息 > Client ID (AppKey); SuiteKey of a suite, CorpId of old subscriptions",
        )
        .unless(&["app_secret"])
        .example("dingthrowawayappkey"),
        Setting::secret(
            "app_secret",
            "for messages to a robot: Developer console > (app) > 凭证与基础信息 > Client Secret (AppSecret)",
        )
        .optional()
        .example("throw-away app secret"),
    ],
    scheme: &BySecret(&[(EVENTS.token, &EVENTS), (ROBOT.secret, &ROBOT)]),
    event: Event {
        kind: &[&[Body("/EventType")], &[Word("robot"), Body("/msgtype")]],
        id: &[&[Body("/msgId")]],
        time: &[
            Time::Millis(Body("/TimeStamp")),
            Time::Millis(Body("/createTime")),
            Time::Millis(Body("/createAt")),
        ],
        subject: &[&[Body("/processInstanceId")], &[Body("/conversationId")], &[Body("/chatId")]],
        account: &[
            &[Body("/CorpId")],
            &[Body("/corpId")],
            &[Body("/chatbotCorpId")],
            &[Body("/SuiteKey")],
        ],
        partition: &[
            &[Body("/corpId"), Body("/processInstanceId")],
            &[Body("/chatbotCorpId"), Body("/conversationId")],
        ],
        headers: &["user-agent"],
        ..Event::of("com.dingtalk")
    },
    reply_by: Some(success),
    deadline: Duration::from_millis(1500),
    facts: Facts {
        retries: "failed pushes can be fetched from an API",
        proof: "DingTalk's own example with keys; Python's hmac for robots",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};

/// What DingTalk asks back when a suite's URL is saved, by the event and the member with the text.
const ASKED_BACK: [&str; 2] = ["check_create_suite_url", "check_update_suite_url"];

/// `success`, encrypted; for a robot nothing.
fn success(verified: &Verified<'_>) -> Result<Response, Fault> {
    if verified.assurance() == Assurance::Token {
        return Ok(Answer::EMPTY_200.into());
    }
    let body = json::body(verified.content()).unwrap_or_default();
    let text = |pointer| json::at(&body, pointer).ok().flatten().and_then(json::scalar);
    let asked =
        text("/Random").filter(|_| text("/EventType").is_some_and(|kind| ASKED_BACK.contains(&&*kind)));
    let signed = EVENTS.answer(verified, asked.as_deref().unwrap_or("success"))?;
    Ok(Response {
        status: 200,
        content_type: Some("application/json"),
        body: Cow::Owned(format!(
            r#"{{"msg_signature":"{}","timeStamp":"{}","nonce":"{}","encrypt":"{}"}}"#,
            signed.signature, signed.time, signed.nonce, signed.ciphertext
        )),
    })
}
