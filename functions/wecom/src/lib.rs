//! WeCom (企业微信): messages to an app and events of a company.
//!
//! Check: `msg_signature` in the query is SHA-1 over the token, `timestamp`, `nonce` and the ciphertext, sorted. The event is
//! in the ciphertext: AES-256-CBC with the app's key, and the company's id after the text.
//! Handshake: a GET with an encrypted `echostr`, which is given back decrypted. WeCom waits 1 s for that, 5 s for the rest.

use shared::framed::Framed;
use shared::mac::Unit;
use shared::provider::Field::{Body, Maybe, Word};
use shared::provider::{Event, Facts, Provider, Setting, Time, XML};
use std::time::Duration;

static CALLS: Framed = Framed {
    token: "token",
    key: "encoding_aes_key",
    receiver: "corp_id",
    signatures: &["msg_signature"],
    unit: Unit::Seconds,
    format: XML,
    ciphertext: &["/xml/Encrypt"],
    bare_signature: None,
    echo: "echostr",
};

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "wecom",
    title: "WeCom",
    docs: "https://developer.work.weixin.qq.com/document/path/91144",
    settings: &[
        Setting::secret("token", "Admin console > 应用管理 > (app) > 接收消息 > 设置API接收 > Token")
            .example("throwAwayTokenThrowAwayToken"),
        Setting::secret(
            "encoding_aes_key",
            "Admin console > 应用管理 > (app) > 接收消息 > 设置API接收 > EncodingAESKey",
        )
        .example("throwAwayKeythrowAwayKeythrowAwayKeythrowAw"),
        Setting::text(
            "corp_id",
            "Admin console > 我的企业 > 企业ID; for the commands of a suite its SuiteID",
        )
        .example("ww0123456789abcdef"),
    ],
    scheme: &CALLS,
    handshakes: &[&CALLS],
    format: XML,
    event: Event {
        kind: &[
            &[Body("/xml/MsgType"), Maybe(&Body("/xml/Event")), Maybe(&Body("/xml/ChangeType"))],
            // What is pushed to a suite itself.
            &[Word("info"), Body("/xml/InfoType"), Maybe(&Body("/xml/ChangeType"))],
        ],
        id: &[&[Body("/xml/MsgId")]],
        time: &[Time::Seconds(Body("/xml/CreateTime")), Time::Seconds(Body("/xml/TimeStamp"))],
        subject: &[
            &[Body("/xml/ExternalUserID")],
            &[Body("/xml/ChatId")],
            &[Body("/xml/UserID")],
            &[Body("/xml/FromUserName")],
        ],
        account: &[
            &[Body("/xml/ToUserName"), Maybe(&Body("/xml/AgentID"))],
            &[Body("/xml/AuthCorpId")],
            &[Body("/xml/SuiteId")],
        ],
        partition: &[&[Body("/xml/ToUserName"), Body("/xml/FromUserName")]],
        headers: &["user-agent"],
        ..Event::of("com.qq.weixin.work")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "3 attempts in all",
        proof: "WeCom's own example with keys; @wecom/crypto",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
