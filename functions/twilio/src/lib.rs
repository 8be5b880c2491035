//! Twilio: messages, calls, their statuses and recordings, and Event Streams.
//!
//! Signature: `X-Twilio-Signature: <base64>`, HMAC-SHA1 with the account's auth token over the public URL and, of a form,
//! every field after it, sorted and without borders; of JSON, the query has the body's SHA-256.
//! Replay: no time is signed. `I-Twilio-Idempotency-Token`, which is not signed, is the same when a webhook is tried again.
//! Deadline: Event Streams 5 s, the others more.

use shared::crypto::HMAC_SHA1;
use shared::provider::Field::{After, Body, Header, Where, Word};
use shared::provider::{Answer, Event, Facts, Field, JSON_OR_FORM, Provider, Setting, Split, Time};
use shared::url_form::UrlForm;
use std::time::Duration;

const IS_CLOUDEVENT: Field<'static> = Where(&Body("/specversion"), "");
const IS_RECORDING: Field<'static> = Where(&Body("/RecordingStatus"), "");

/// The row. A list of CloudEvents is cut; all else is one event.
pub static PROVIDER: Provider = Provider {
    name: "twilio",
    title: "Twilio",
    docs: "https://www.twilio.com/docs/usage/webhooks/webhooks-security",
    settings: &[
        Setting::secret(
            "auth_token",
            "Console > Account dashboard > Account info > Auth token; a subaccount has its own",
        ),
        Setting::text(
            "url",
            "the URL that you gave to Twilio, without its query; needed where it is not the function's own",
        )
        .optional()
        .example("https://hooks.example.com/twilio"),
    ],
    methods: &["GET", "POST"],
    scheme: &UrlForm {
        algorithm: &HMAC_SHA1,
        secret: "auth_token",
        header: "x-twilio-signature",
        digest: "bodySHA256",
    },
    format: JSON_OR_FORM,
    event: Event {
        split: Split::Array,
        kind: &[
            &[IS_CLOUDEVENT, After(&Body("/type"), "com.twilio.")],
            &[Body("/EventType")],
            &[Body("/StatusCallbackEvent")],
            &[Word("message"), Body("/MessageStatus")],
            &[Word("message"), Body("/SmsStatus")],
            &[Word("recording"), Body("/RecordingStatus")],
            &[Word("transcription"), Body("/TranscriptionStatus")],
            &[Word("call"), Body("/CallStatus")],
        ],
        unknown: "callback",
        // A call asks again and again with the same ids and status, so these are no id.
        id: &[&[IS_CLOUDEVENT, Body("/id")], &[Header("i-twilio-idempotency-token")]],
        time: &[Time::Rfc3339(Body("/time"))],
        subject: &[
            &[IS_RECORDING, Body("/RecordingSid")],
            &[Body("/MessageSid")],
            &[Body("/CallSid")],
            &[Body("/ConferenceSid")],
            &[Body("/ConversationSid")],
            &[Body("/TaskSid")],
            &[Body("/data/messageSid")],
        ],
        account: &[&[Body("/AccountSid")], &[Body("/data/accountSid")]],
        partition: &[
            &[Body("/MessageSid")],
            &[Body("/CallSid")],
            &[Body("/ConferenceSid")],
            &[Body("/ConversationSid")],
            &[Body("/TaskSid")],
            &[Body("/data/messageSid")],
        ],
        delivery: &["i-twilio-idempotency-token"],
        headers: &["user-agent"],
        ..Event::of("com.twilio")
    },
    // A message or a call is answered with nothing; what is no call does not mind.
    reply: Answer::text(200, "text/xml", r#"<?xml version="1.0" encoding="UTF-8"?><Response></Response>"#),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "Event Streams for 4 hours; others 1 where the connection fails, or as the URL's fragment says",
        proof: "twilio-node, its published vectors",
        checked: "2026-11-25",
    },
    ..Provider::DEFAULTS
};
