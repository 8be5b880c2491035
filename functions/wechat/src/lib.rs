//! WeChat: messages and events of Official Accounts, Mini Programs and what else the open platform pushes.
//!
//! Check: `msg_signature` in the query is SHA-1 over the token, `timestamp`, `nonce` and the ciphertext, sorted. The event is
//! in the ciphertext: AES-256-CBC with the account's key, and the app id after the text.
//! Plain mode has no ciphertext, and its `signature` (token, time, nonce) says nothing about the body: whoever has seen one
//! query can send anything. It is off unless `mode` says `plain`.
//! Handshake: a GET with `echostr`, signed as in plain mode. Deadline 5 s.

use shared::framed::Framed;
use shared::mac::Unit;
use shared::provider::Field::{Body, Maybe, Word};
use shared::provider::{Event, Facts, Provider, Setting, Time, XML_OR_JSON};
use std::time::Duration;

static CALLS: Framed = Framed {
    token: "token",
    key: "encoding_aes_key",
    receiver: "app_id",
    signatures: &["msg_signature"],
    unit: Unit::Seconds,
    format: XML_OR_JSON,
    ciphertext: &["/xml/Encrypt", "/Encrypt"],
    bare_signature: Some("signature"),
    echo: "echostr",
};

/// The row. Each way stands there twice: for XML, and for JSON, which Mini Programs can choose.
pub static PROVIDER: Provider = Provider {
    name: "wechat",
    title: "WeChat",
    docs: "https://developers.weixin.qq.com/doc/subscription/guide/dev/push/encryption.html",
    settings: &[
        Setting::secret("token", "WeChat developer platform > (account) > 消息与事件推送 > Token")
            .example("throwAwayTokenThrowAwayToken"),
        Setting::secret(
            "encoding_aes_key",
            "WeChat developer platform > (account) > 消息与事件推送 > EncodingAESKey",
        )
        .unless(&["mode"])
        .example("throwAwayKeythrowAwayKeythrowAwayKeythrowAw"),
        Setting::text("app_id", "WeChat developer platform > (account) > AppID")
            .unless(&["mode"])
            .example("wx0123456789abcdef"),
        Setting::text("mode", "`encrypted` (安全模式 or 兼容模式), or `plain` (明文模式), which anybody can forge who has seen a call")
            .optional()
        .example("encrypted"),
    ],
    scheme: &CALLS,
    handshakes: &[&CALLS],
    format: XML_OR_JSON,
    event: Event {
        kind: &[
            &[Body("/xml/MsgType"), Maybe(&Body("/xml/Event"))],
            &[Body("/MsgType"), Maybe(&Body("/Event"))],
            // What is pushed to a third-party platform itself.
            &[Word("info"), Body("/xml/InfoType")],
            &[Word("info"), Body("/InfoType")],
        ],
        // Events have none. Sender and second, by which WeChat says to tell them, are the same for two that come at once.
        id: &[&[Body("/xml/MsgId")], &[Body("/MsgId")]],
        time: &[Time::Seconds(Body("/xml/CreateTime")), Time::Seconds(Body("/CreateTime"))],
        subject: &[&[Body("/xml/FromUserName")], &[Body("/FromUserName")]],
        account: &[
            &[Body("/xml/ToUserName")],
            &[Body("/ToUserName")],
            &[Body("/xml/AppId")],
            &[Body("/AppId")],
        ],
        partition: &[
            &[Body("/xml/ToUserName"), Body("/xml/FromUserName")],
            &[Body("/ToUserName"), Body("/FromUserName")],
        ],
        headers: &["user-agent"],
        ..Event::of("com.qq.weixin")
    },
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "3 attempts in all",
        proof: "WeChat's own examples with keys; wechat-crypto",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
