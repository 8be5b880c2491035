//! What the products of one social network share, whose apps have one secret and may send every kind of object to one
//! URL: the signature, the challenge, the batch and where things stand in each object. A row adds its own names.
//!
//! <https://developers.facebook.com/docs/graph-api/webhooks/getting-started>

use crate::handshake::VerifyToken;
use crate::mac::{Layout, Mac};
use crate::provider::Field::{ArrayName, Body, Entry, Holder, Item, Maybe, NameBeside, Where, Word};
use crate::provider::{Event, Field, Split, Time};

/// `X-Hub-Signature-256: sha256=<hex>`: HMAC-SHA256 over the raw body, with the secret of the app that subscribed.
pub static SIGNATURE: Mac<'static> = Mac {
    secret: "app_secret",
    headers: &["x-hub-signature-256"],
    layout: Layout::Prefixed("sha256="),
    ..Mac::HMAC_SHA256
};

/// GET with `hub.mode`, `hub.challenge` and `hub.verify_token` when the URL is saved; 403 for another token.
pub static CHALLENGE: VerifyToken = VerifyToken {
    setting: "verify_token",
    mode: ("hub.mode", "subscribe"),
    token: "hub.verify_token",
    challenge: "hub.challenge",
    refused: 403,
};

/// What stands in a messaging item beside the member that says what happened.
/// <https://developers.facebook.com/docs/messenger-platform/reference/webhook-events>
const COMPANIONS: &[&str] = &["sender", "recipient", "timestamp", "prior_message", "hop_context"];

/// The kinds of item that stand in a change's value.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/overview>
const ARRAYS: &[&str] = &["messages", "statuses", "errors", "message_echoes", "calls", "groups"];

// Ways that hold under a condition. A message of the business itself has the person as its recipient.
const IS_ECHO: Field<'static> = Where(&Item("/message/is_echo"), "true");
const IS_TAKEN_BACK: Field<'static> = Where(&Item("/message/is_deleted"), "true");
const IS_COMMENT: Field<'static> = Where(&Item("/field"), "comments");
const IS_LIVE_COMMENT: Field<'static> = Where(&Item("/field"), "live_comments");
const IS_HELD: Field<'static> = Where(&Holder("/field"), "");
const IS_MESSAGE: Field<'static> = Where(&ArrayName, "message");
const IS_ECHO_OF_APP: Field<'static> = Where(&ArrayName, "message_echoes");
const IS_CALL: Field<'static> = Where(&ArrayName, "calls");
const IS_OWN_CALL: Field<'static> = Where(&Item("/direction"), "BUSINESS_INITIATED");
/// The business's own phone number, by its id.
const PHONE: Field<'static> = Holder("/value/metadata/phone_number_id");

/// Every object; a row adds the prefix. The type names the object, whichever product's function it came to.
pub const EVENT: Event<'static> = Event {
    split: Split::Nested {
        entries: "entry",
        items: &["changes", "messaging", "standby", "changed_fields"],
        within: "value",
        arrays: ARRAYS,
    },
    kind: &[
        &[IS_HELD, Body("/object"), ArrayName, Item("/event")],
        &[IS_HELD, Body("/object"), ArrayName, Item("/status")],
        &[IS_HELD, Body("/object"), ArrayName, Maybe(&Item("/type"))],
        &[
            Body("/object"),
            Item("/field"),
            Maybe(&Item("/value/item")),
            Maybe(&Item("/value/verb")),
            Maybe(&Item("/value/event")),
        ],
        &[IS_ECHO, Body("/object"), ArrayName, Word("message_echo")],
        &[Body("/object"), ArrayName, NameBeside(COMPANIONS)],
        // An entry of `changed_fields` is the field's name itself.
        &[Body("/object"), Item("")],
        &[Body("/object")],
    ],
    // A message that is taken back comes again under its own id. A status has its message's id, and the statuses of a
    // message to a group may differ in the member alone: its digest.
    id: &[
        &[IS_TAKEN_BACK, Item("/message/mid"), Word("deleted")],
        &[Item("/message/mid")],
        &[Item("/postback/mid")],
        &[IS_MESSAGE, Item("/id")],
        &[IS_CALL, Item("/id"), Item("/event")],
    ],
    // A messaging item's own time is in milliseconds, those within a change in seconds.
    time: &[
        Time::Seconds(Item("/value/created_time")),
        Time::Any(Item("/value/timestamp")),
        Time::Any(Item("/timestamp")),
        Time::Any(Entry("/time")),
    ],
    subject: &[
        &[Item("/value/comment_id")],
        &[Item("/value/post_id")],
        &[Item("/value/leadgen_id")],
        &[Item("/value/media_id")],
        &[Item("/value/message_template_id")],
        &[IS_COMMENT, Item("/value/id")],
        &[IS_LIVE_COMMENT, Item("/value/id")],
        &[IS_ECHO, Item("/recipient/id")],
        &[Item("/sender/id")],
        &[IS_ECHO_OF_APP, Item("/to")],
        &[IS_OWN_CALL, Item("/to")],
        // Who has a user name may show no number.
        &[Item("/from")],
        &[Item("/from_user_id")],
        &[Item("/recipient_id")],
        &[Item("/recipient_user_id")],
        &[Item("/group_id")],
    ],
    account: &[&[Entry("/id")]],
    partition: &[
        &[Entry("/id"), Item("/value/post_id")],
        &[Entry("/id"), Item("/value/media/id")],
        &[Entry("/id"), Item("/value/media_id")],
        &[IS_ECHO, Entry("/id"), Item("/recipient/id")],
        &[Entry("/id"), Item("/sender/id")],
        &[IS_ECHO_OF_APP, PHONE, Item("/to")],
        &[IS_OWN_CALL, PHONE, Item("/to")],
        &[PHONE, Item("/from")],
        &[PHONE, Item("/from_user_id")],
        &[PHONE, Item("/recipient_id")],
        &[PHONE, Item("/recipient_user_id")],
        &[PHONE, Item("/group_id")],
        &[Entry("/id")],
    ],
    headers: &["user-agent"],
    ..Event::of("")
};
