//! Bodies that are genuinely signed and not what a reader hopes for. Each is queued: as the provider's JSON where that
//! can be read in one way only, else as the exact bytes.

use super::support::{Answered, Bench, CLOCK, entry, signed};
use crate::event::{BodyAs, Request};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use shared::error::Fault;
use shared::event::{Envelope, MAX_FIELD};
use shared::form::MAX_FIELDS;
use shared::gate::Why;
use shared::json::MAX_DEPTH;
use shared::mac::Mac;
use shared::provider::{Event, JSON_OR_FORM, Provider};
use std::fmt::Write as _;
use std::time::{Duration, Instant};

const KEY: &str = "throw-away key of the test, 32 b";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// In this time any body has to be read, on a slow machine and unoptimised.
const IN_TIME: Duration = Duration::from_secs(30);

fn config(provider: &str) -> Value {
    match provider {
        "slack" => json!({ "signing_secret": KEY }),
        "facebook" => json!({ "app_secret": KEY, "verify_token": KEY }),
        "telegram" => json!({ "secret_token": KEY }),
        "zalo" => json!({ "app_id": "360846524940903967", "oa_secret_key": KEY }),
        "generic" => json!({
            "secret": KEY,
            "signature": { "header": "X-Sig" },
            "event": { "prefix": "com.example", "type": "/a", "id": "/id" },
        }),
        _ => json!({ "secret": KEY }),
    }
}

/// Sends a request under a signature of the provider's own row.
#[track_caller]
fn send(provider: &str, request: Request) -> Answered {
    let (row, config) = (entry(provider).provider, config(provider));
    let started = Instant::now();
    // How much a queue takes is not asked here.
    let answered = Bench::with_max_bytes(row, &config, usize::MAX).send(&signed(row, &config, request));
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
    for event in &answered.events {
        assert_can_be_carried(event);
    }
    answered
}

#[track_caller]
fn github(body: impl Into<Vec<u8>>) -> Answered {
    send(
        "github",
        Request::post(JSON, body).header("X-GitHub-Event", "issues").header("X-GitHub-Delivery", "d-1"),
    )
}

/// What SQS carries: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>.
fn is_carried(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
}

/// Case 73: every message and every attribute is text that SQS carries, and no attribute is long or empty.
#[track_caller]
fn assert_can_be_carried(event: &Envelope) {
    let odd = event.text().chars().find(|c| !is_carried(*c));
    assert_eq!(odd, None, "in a message");
    for (name, value) in event.attributes() {
        assert!(
            value.chars().all(is_carried) && !value.is_empty() && value.len() <= 256,
            "{name}: {value:?}"
        );
    }
}

/// One event with the exact bytes, and nothing that pretends to have been read.
#[track_caller]
fn assert_opaque(answered: &Answered, kind: &str, body: &[u8]) {
    assert!(answered.is_accepted(1), "{answered:?}");
    let envelope = answered.envelope();
    let beginning = String::from_utf8_lossy(body).chars().take(80).collect::<String>();
    assert_eq!(envelope["type"], kind, "{beginning}");
    assert_eq!(envelope.get("data"), None, "{beginning}");
    let base64 = envelope["data_base64"].as_str().expect("bytes");
    assert_eq!(BASE64_STANDARD.decode(base64).expect("base64"), body);
    assert_eq!(envelope["calldigest"], hex::encode(Sha256::digest(body)));
    assert_eq!(envelope.get("subject"), None);
}

/// One event whose data is this text to the last byte.
#[track_caller]
fn assert_data(answered: &Answered, data: &str) {
    assert!(answered.is_accepted(1), "{answered:?}");
    let text = answered.events[0].text();
    assert!(text.ends_with(&format!(",\"data\":{data}}}")), "{text}");
}

/// Case 70.
#[test]
fn a_member_that_is_needed_and_stands_twice_makes_a_body_unreadable() {
    for body in [
        r#"{"action":"opened","action":"closed"}"#,
        r#"{"action":"opened","action":"opened"}"#,
        r#"{"action":"opened","acti\u006fn":"closed"}"#,
        r#"{"action":"a","repository":{"full_name":"a/b","full_name":"c/d"}}"#,
        r#"{"repository":{"id":1},"repository":{"id":2}}"#,
        r#"{"repository":{"id":1,"id":2}}"#,
        r#"{"organization":{"login":"a","login":"b"}}"#,
    ] {
        assert_opaque(&github(body), "com.github.unreadable", body.as_bytes());
    }
    for (provider, kind, body) in [
        ("slack", "com.slack.unreadable", r#"{"type":"x","event_id":"a","event_id":"b"}"#),
        ("slack", "com.slack.unreadable", r#"{"event":{"type":"a"},"event":{"type":"b"}}"#),
        ("stripe", "com.stripe.unreadable", r#"{"id":"a","id":"b","type":"x"}"#),
        ("stripe", "com.stripe.unreadable", r#"{"id":"a","type":"x","type":"y"}"#),
        ("shopify", "com.shopify.unreadable", r#"{"id":1,"id":2}"#),
        ("telegram", "org.telegram.unreadable", r#"{"update_id":1,"update_id":2,"message":{}}"#),
        ("facebook", "com.facebook.unreadable", r#"{"object":"page","entry":[{"id":"1","id":"2"}]}"#),
        ("facebook", "com.facebook.unreadable", r#"{"object":"page","entry":[],"entry":[{}]}"#),
        ("facebook", "com.facebook.unreadable", r#"{"object":"page","object":"user","entry":[{"id":"1"}]}"#),
        (
            "facebook",
            "com.facebook.unreadable",
            r#"{"object":"page","entry":[{"id":"1","changes":[{"field":"feed"}]},
                {"id":"1","changes":[{"field":"feed","field":"mention"}]}]}"#,
        ),
        ("generic", "com.example.unreadable", r#"{"a":"x","id":"a","id":"b"}"#),
    ] {
        assert_opaque(&send(provider, Request::post(JSON, body)), kind, body.as_bytes());
    }
    // One that nobody asks for is the consumer's affair, and stands in the data as it came.
    for body in [r#"{"x":1,"x":2,"action":"opened"}"#, r#"{"action":"opened","sender":{"id":1,"id":2}}"#] {
        let answered = github(body);
        assert_data(&answered, body);
        assert_eq!(answered.envelope()["type"], "com.github.issues.opened");
    }
}

/// Case 70: a form in which a field that is needed stands twice has an array there, which is no id.
#[test]
fn a_form_field_that_stands_twice_is_no_text() {
    let answered = send("slack", Request::post(FORM, "command=%2Fa&trigger_id=1&command=%2Fb&trigger_id=2"));
    let envelope = answered.envelope();
    assert_eq!(envelope["data"], json!({ "command": ["/a", "/b"], "trigger_id": ["1", "2"] }));
    assert_eq!((&envelope["type"], &envelope["idsource"]), (&json!("com.slack.unknown"), &json!("digest")));
}

/// Case 71.
#[test]
fn depth_is_bounded() {
    let deep = |levels: usize| {
        format!(r#"{{"action":"x","a":{}{}}}"#, "[".repeat(levels - 1), "]".repeat(levels - 1))
    };
    assert_data(&github(deep(MAX_DEPTH)), &deep(MAX_DEPTH));
    for body in [
        deep(MAX_DEPTH + 1),
        deep(200),
        deep(1_000_000),
        "[".repeat(1_000_000),
        r#"{"a":"#.repeat(1_000_000),
        format!("{}{}", "[".repeat(129), "]".repeat(129)),
    ] {
        assert_opaque(&github(body.as_str()), "com.github.unreadable", body.as_bytes());
    }
    // Brackets within a text are no depth.
    let text = format!(r#"{{"action":"x","a":"\"{}"}}"#, "[{".repeat(5000));
    assert_data(&github(text.as_str()), &text);
}

/// Case 72.
#[test]
fn numbers_keep_their_spelling() {
    let number = "123456789012345678901234567890";
    let body =
        format!(r#"{{"update_id":{number},"message":{{"chat":{{"id":-{number}}},"date":1441645532}}}}"#);
    let answered = send("telegram", Request::post(JSON, body.as_str()));
    assert_data(&answered, &body);
    let envelope = answered.envelope();
    assert_eq!(envelope["id"], number);
    assert_eq!(envelope["subject"], format!("-{number}"));

    let spelled =
        r#"{"id":9007199254740993,"total":1.10,"rate":1E+2,"tiny":-0.0,"big":18446744073709551617}"#;
    let answered = send("shopify", Request::post(JSON, spelled).header("X-Shopify-Topic", "orders/create"));
    assert_data(&answered, spelled);
    assert_eq!(answered.envelope()["subject"], "9007199254740993");

    let zalo = format!(
        r#"{{"app_id":"360846524940903967","event_name":"user_send_text","sender":{{"id":"{number}"}},
            "recipient":{{"id":388613280878808645}},"timestamp":1795499990100,"message":{{"msg_id":"m"}}}}"#
    );
    let answered = send("zalo", Request::post(JSON, zalo.as_str()));
    assert_data(&answered, &zalo);
    let envelope = answered.envelope();
    assert_eq!((&envelope["subject"], &envelope["account"]), (&json!(number), &json!("388613280878808645")));
}

/// Case 73: what no text of a message can hold as it is.
#[test]
fn odd_characters_in_fields_stay_within_what_is_carried() {
    for (written, read) in [
        (r"Ev\ud800x", "Ev\u{fffd}"),
        (r"Ev\udc00x", "Ev\u{fffd}"),
        (r"Ev\u0000x", "Ev\0x"),
        (r"Ev\uffffx", "Ev\u{ffff}x"),
        (r"Ev\ufffex", "Ev\u{fffe}x"),
        ("Ev\u{ffff}x", "Ev\u{ffff}x"),
        ("Ev\u{fffe}x", "Ev\u{fffe}x"),
        (r"Ev\u001bx", "Ev\u{1b}x"),
        ("Ev\u{2028}x", "Ev\u{2028}x"),
        ("Ev\u{202e}x", "Ev\u{202e}x"),
        ("Ev\u{feff}x", "Ev\u{feff}x"),
        ("Ev\u{7f}x", "Ev\u{7f}x"),
        ("Ev\u{85}x", "Ev\u{85}x"),
        ("Ev🎉x", "Ev🎉x"),
        (r"Ev\ud83c\udf89x", "Ev🎉x"),
    ] {
        let body = format!(r#"{{"event_id":"{written}","type":"{written}"}}"#);
        let answered = send("slack", Request::post(JSON, body.as_str()));
        assert!(answered.is_accepted(1), "{written:?}: {answered:?}");
        let id = answered.events[0].id();
        assert!(id.starts_with(read) && id.ends_with('x'), "{written:?}: {id:?}");
        assert!(answered.events[0].kind().starts_with(&format!("com.slack.{read}")), "{written:?}");
        // An escape that stands for the same character is the same JSON; nothing else in the data may change.
        let data = body.replace('\u{ffff}', r"\uffff").replace('\u{fffe}', r"\ufffe");
        assert_data(&answered, &data);
    }
}

/// Case 92: whatever its bytes, a body arrives.
#[test]
fn bytes_that_no_text_holds_arrive_unchanged() {
    let all: Vec<u8> = (0..=255).collect();
    for body in [
        all.clone(),
        b"\xff\xfe".to_vec(),
        b"\x00".to_vec(),
        "\u{ffff}".into(),
        b"{\"action\":\"\xc3\x28\"}".to_vec(),
        b"{\"action\":\"\x01\"}".to_vec(),
        all.repeat(1000),
    ] {
        let answered = send("stripe", Request::post(JSON, body.clone()));
        assert_opaque(&answered, "com.stripe.unreadable", &body);
    }
    // Line ends, spaces and escapes within JSON stay as they are; only the space around it goes.
    let body = "\r\n{ \"action\" :\t\"\\u00e9é\\/\" ,\r\n \"x\":[ ] }\r\n";
    assert_data(&github(body), body.trim());
}

/// Case 74: a byte order mark before JSON is no part of it, and part of what was signed.
#[test]
fn a_byte_order_mark_is_no_part_of_the_data() {
    let body = "\u{feff}{\"action\":\"opened\"}";
    let answered = github(body);
    assert_data(&answered, r#"{"action":"opened"}"#);
    assert_eq!(answered.envelope()["type"], "com.github.issues.opened");
    assert_eq!(answered.envelope()["calldigest"], hex::encode(Sha256::digest(body)));
    // Two of them, or one of UTF-16, is not JSON.
    assert!(github("\u{feff}\u{feff}{}").envelope().get("data").is_none());
    let utf16: Vec<u8> =
        [0xff, 0xfe].into_iter().chain("{}".encode_utf16().flat_map(u16::to_le_bytes)).collect();
    assert_opaque(&send("stripe", Request::post(JSON, utf16.clone())), "com.stripe.unreadable", &utf16);
}

/// Case 75.
#[test]
fn what_is_almost_json_is_unreadable() {
    for body in [
        r#"{"id":NaN}"#,
        r#"{"id":Infinity}"#,
        r#"{"id":-Infinity}"#,
        r#"{"id":01}"#,
        r#"{"id":+1}"#,
        r#"{"id":.5}"#,
        r#"{"id":1.}"#,
        r#"{"id":0x10}"#,
        r#"{"id":1,}"#,
        r#"{"id":[1,]}"#,
        r#"{"id":1}//x"#,
        r#"{"id":/*x*/1}"#,
        r#"{'id':1}"#,
        r#"{id:1}"#,
        r#"{"id":"a"#,
        r#"{"id":"\x41"}"#,
        r#"{"id":"\u00"}"#,
        r#"{"id":True}"#,
        r#"{"id":undefined}"#,
        r#"{"id":1}{"id":2}"#,
        r#"{"id":1} {"id":2}"#,
        r#"{"id":1}]"#,
        "{",
        "{\"id\":\"a\nb\"}",
        "{\"id\":\u{a0}1}",
    ] {
        for (provider, kind) in [("stripe", "com.stripe.unreadable"), ("facebook", "com.facebook.unreadable")]
        {
            assert_opaque(&send(provider, Request::post(JSON, body)), kind, body.as_bytes());
        }
    }
}

/// Case 76: what is JSON and no object is no event of a provider that sends objects.
#[test]
fn what_is_no_object_is_opaque() {
    for body in ["[]", r#"[{"id":"a"}]"#, r#""text""#, "1", "-1.5e300", "true", "null", "[null]"] {
        for (provider, kind) in [
            ("stripe", "com.stripe.unreadable"),
            ("facebook", "com.facebook.unreadable"),
            ("telegram", "org.telegram.unreadable"),
            ("shopify", "com.shopify.unreadable"),
        ] {
            assert_opaque(&send(provider, Request::post(JSON, body)), kind, body.as_bytes());
        }
        // Where the operator lays out the event, any JSON is data.
        let answered = send("generic", Request::post(JSON, body));
        assert_data(&answered, body);
        assert_eq!(answered.envelope()["type"], "com.example.unknown");
    }
    let answered = github("[1]");
    assert_opaque(&answered, "com.github.unreadable", b"[1]");
    assert_eq!(answered.envelope()["id"], "d-1", "what stands in a header is known all the same");
}

/// Case 21: a signed call without a body is an event without data.
#[test]
fn a_signed_call_without_a_body_is_an_event() {
    for provider in ["github", "stripe", "shopify", "slack", "facebook", "telegram", "generic"] {
        let answered = send(provider, Request::default());
        assert!(answered.is_accepted(1), "{provider}: {answered:?}");
        let envelope = answered.envelope();
        assert_eq!((envelope.get("data"), envelope.get("data_base64")), (None, None), "{provider}");
        assert_eq!(envelope["calldigest"], hex::encode(Sha256::digest("")), "{provider}");
        assert!(envelope["id"].as_str().is_some_and(|id| !id.is_empty()), "{provider}");
    }
}

/// Case 77.
#[test]
fn a_form_is_read_in_one_way() {
    for (form, object) in [
        ("a=1&b=2", json!({ "a": "1", "b": "2" })),
        ("a=1&a=2&b=&a=3", json!({ "a": ["1", "2", "3"], "b": "" })),
        ("a=1;b=2", json!({ "a": "1;b=2" })),
        ("a=x+y", json!({ "a": "x y" })),
        ("a=x%20y", json!({ "a": "x y" })),
        ("a=x%2By", json!({ "a": "x+y" })),
        ("a=%00", json!({ "a": "\0" })),
        ("a=%ZZ&b=%4", json!({ "a": "%ZZ", "b": "%4" })),
        ("a=%EF%BF%BF", json!({ "a": "\u{ffff}" })),
        ("a", json!({ "a": "" })),
        ("&&a=1&", json!({ "a": "1" })),
        ("a%3Db=c", json!({ "a=b": "c" })),
        ("a[b]=1&a[c]=2", json!({ "a[b]": "1", "a[c]": "2" })),
        ("t=Nguy%E1%BB%85n", json!({ "t": "Nguyễn" })),
        ("a=\"<>\u{2028}", json!({ "a": "\"<>\u{2028}" })),
    ] {
        let answered = send("slack", Request::post(FORM, form));
        assert_eq!(answered.envelope()["data"], object, "{form}");
        assert_eq!(answered.envelope()["datacontenttype"], JSON, "{form}");
        // Where forms are not the rule, only what can be nothing else is one.
        let answered = send("generic", Request::post(FORM, form));
        if form.contains('=') && form.bytes().all(|byte| byte.is_ascii_graphic()) {
            assert_eq!(answered.envelope()["data"], object, "{form}");
        } else {
            assert_opaque(&answered, "com.example.unknown", form.as_bytes());
        }
    }
    // Order is the sender's: the same fields in another order are other bytes.
    let text = send("generic", Request::post(FORM, "b=1&a=2&b=3"));
    assert_data(&text, r#"{"b":["1","3"],"a":"2"}"#);
    for form in ["a=%FF", "a=%C3%28", "%FF=a", "a=1&b=%ED%A0%80"] {
        for (provider, kind) in [("slack", "com.slack.unreadable"), ("generic", "com.example.unreadable")] {
            assert_opaque(&send(provider, Request::post(FORM, form)), kind, form.as_bytes());
        }
    }
}

/// Case 77: many fields, and many of one name, in bounded time.
#[test]
fn forms_of_many_fields_are_bounded() {
    let numbered = |count: usize| {
        let mut form = String::new();
        for i in 0..count {
            let _ = write!(form, "k{i}=v&");
        }
        form
    };
    for form in [numbered(MAX_FIELDS), "a=1&".repeat(MAX_FIELDS)] {
        assert!(send("generic", Request::post(FORM, form.as_str())).envelope().get("data").is_some());
    }
    for form in [numbered(MAX_FIELDS + 1), numbered(100_000), "a=1&".repeat(100_000)] {
        let answered = send("generic", Request::post(FORM, form.as_str()));
        assert_opaque(&answered, "com.example.unreadable", form.as_bytes());
    }
    let separators = "&".repeat(1_000_000);
    assert_eq!(send("slack", Request::post(FORM, separators)).envelope()["data"], json!({}));
}

/// JSON within a form of one field `payload`.
#[test]
fn json_in_a_field_is_the_data() {
    let json = r#"{"action":"opened","n":123456789012345678901234567890,"s":"x y+z & ü"}"#;
    let encoded: String = form_urlencoded::byte_serialize(json.as_bytes()).collect();
    let with = |form: String| {
        send(
            "github",
            Request::post(FORM, form).header("X-GitHub-Event", "issues").header("X-GitHub-Delivery", "d"),
        )
    };
    assert_data(&with(format!("payload={encoded}")), json);
    // What stands beside it must not get lost: then the form itself is the data.
    let beside = with(format!("payload={encoded}&extra=1")).envelope();
    assert_eq!(beside["data"], json!({ "payload": json, "extra": "1" }));
    let twice = with(format!("payload={encoded}&payload=%7B%7D")).envelope();
    assert_eq!(twice["data"], json!({ "payload": [json, "{}"] }));
    for form in [
        "payload=".to_owned(),
        "payload=%7B".into(),
        "payload=%7B%22action%22%3A1%2C%22action%22%3A2%7D".into(),
        "payload=%5B%5D".into(),
        "payload=null".into(),
        "payload=%FF".into(),
    ] {
        assert_opaque(&with(form.clone()), "com.github.unreadable", form.as_bytes());
    }
}

fn xml(body: &str) -> Answered {
    let (row, config) = (
        entry("generic").provider,
        json!({
            "secret": KEY,
            "signature": { "header": "X-Sig" },
            "event": { "prefix": "com.example", "type": "/n/kind", "id": "/n/@id" },
        }),
    );
    let started = Instant::now();
    let bench = Bench::with_max_bytes(row, &config, usize::MAX);
    let answered = bench.send(&signed(row, &config, Request::post("text/xml", body)));
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
    answered.events.iter().for_each(assert_can_be_carried);
    answered
}

/// Case 78.
#[test]
fn xml_is_read_without_a_look_outside() {
    let answered = xml(
        "<?xml version=\"1.0\"?><n id='7'><kind>paid</kind><l>1</l><l>2</l><m a='&lt;'>x &amp; y</m></n>",
    );
    let envelope = answered.envelope();
    assert_eq!((&envelope["type"], &envelope["id"]), (&json!("com.example.paid"), &json!("7")));
    let data =
        json!({ "n": { "@id": "7", "kind": "paid", "l": ["1", "2"], "m": { "@a": "<", "#text": "x & y" } } });
    assert_eq!(envelope["data"], data);
    let mut laughs = String::from("<!DOCTYPE n [<!ENTITY l0 'lol'>");
    for i in 1..20 {
        let _ = write!(laughs, "<!ENTITY l{i} '{}'>", format!("&l{};", i - 1).repeat(10));
    }
    laughs.push_str("]><n>&l19;</n>");
    for body in [
        laughs.as_str(),
        "<!DOCTYPE n><n/>",
        "<!DOCTYPE n SYSTEM 'file:///etc/passwd'><n/>",
        "<!DOCTYPE n [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><n>&x;</n>",
        "<!DOCTYPE n [<!ENTITY % x SYSTEM 'http://127.0.0.1:1/x'>%x;]><n/>",
        "<!doctype n><n/>",
        "<n>&undefined;</n>",
        "<n a='&undefined;'/>",
        "<n>&#x0;</n>",
        "<n>&#xD800;</n>",
        "<n>&#99999999999;</n>",
        "<n>",
        "</n>",
        "<n/><n/>",
        "<n/>text",
        "",
        &format!("<n {}/>", (0..10_000).map(|i| format!("a{i}='' ")).collect::<String>()),
        &"<n>".repeat(500_000),
        &format!("{}{}", "<n>".repeat(1000), "</n>".repeat(1000)),
        &format!("<n>{}</n>", "<a/>".repeat(200_000)),
        "<n a='1' a='2'/>",
        "<n a=1/>",
        "<n a/>",
    ] {
        let answered = xml(body);
        if body.is_empty() {
            // No bytes to carry.
            assert!(answered.is_accepted(1) && answered.envelope().get("data").is_none(), "{answered:?}");
        } else {
            assert_opaque(&answered, "com.example.unreadable", body.as_bytes());
        }
    }
    // The parser looks at structure, not at each character: what XML forbids as text is text in the data.
    let control = xml("<n id='\u{1}'>\u{0}\u{1b}</n>").envelope();
    assert_eq!(control["data"], json!({ "n": { "@id": "\u{1}", "#text": "\0\u{1b}" } }));
    // An element that is needed and stands twice is an array, which is no text.
    let twice = xml("<n id='7'><kind>a</kind><kind>b</kind></n>").envelope();
    assert_eq!(twice["type"], "com.example.unknown");
}

/// Case 79: multipart is not taken apart, so that no boundary can do harm.
#[test]
fn multipart_is_carried_as_bytes() {
    let boundary = "b".repeat(200_000);
    let body =
        format!("--{boundary}\r\ncontent-disposition: form-data; name=\"a\"\r\n\r\n1\r\n--{boundary}--");
    for content_type in [
        "multipart/form-data".to_owned(),
        format!("multipart/form-data; boundary={boundary}"),
        "multipart/x; boundary=".into(),
    ] {
        let answered = send("generic", Request::post(&content_type, body.as_str()));
        assert_opaque(&answered, "com.example.unknown", body.as_bytes());
        let told = if content_type.len() > 256 { "application/octet-stream" } else { content_type.as_str() };
        assert_eq!(answered.envelope()["datacontenttype"], told);
    }
}

/// Case 80: what a body is stands in the row and in the signed body, not in a header that nobody signed.
#[test]
fn a_content_type_that_lies_changes_nothing() {
    let json = r#"{"action":"opened"}"#;
    let form = "payload=%7B%22action%22%3A%22opened%22%7D";
    for content_type in [
        JSON,
        FORM,
        "text/plain",
        "application/json; charset=utf-16",
        "application/octet-stream",
        "text/xml",
        "multipart/form-data; boundary=x",
        "",
        "a/b\u{1}",
        &"x/".repeat(4000),
    ] {
        for body in [json, form] {
            let request = Request::post(content_type, body)
                .header("X-GitHub-Event", "issues")
                .header("X-GitHub-Delivery", "d-1");
            let answered = send("github", request);
            assert_data(&answered, json);
            assert_eq!(answered.envelope()["datacontenttype"], JSON);
            assert_eq!(answered.envelope()["type"], "com.github.issues.opened");
        }
        let answered = send("stripe", Request::post(content_type, r#"{"id":"evt_1","type":"a.b"}"#));
        assert_eq!(answered.envelope()["type"], "com.stripe.a.b", "{content_type}");
        // A form at a row that reads JSON alone.
        assert_opaque(
            &send("stripe", Request::post(content_type, form)),
            "com.stripe.unreadable",
            form.as_bytes(),
        );
    }
}

/// Case 81: a kind or an id of any make is exact in the envelope and harmless in the attributes.
#[test]
fn long_and_hostile_kinds_and_ids_are_exact_in_the_envelope() {
    let long = "k".repeat(300);
    let longest = "k".repeat(MAX_FIELD);
    let over = "k".repeat(MAX_FIELD + 1);
    let wide = "é".repeat(200);
    for kind in ["a\nb", "a\"b\\c", "\u{1b}[31mred", "a\u{7f}b", "<script>", "ä ö", &long, &longest, &wide]
    {
        let request =
            Request::post(JSON, "{}").header("X-GitHub-Event", kind).header("X-GitHub-Delivery", kind);
        let answered = send("github", request);
        let envelope = answered.envelope();
        assert_eq!(envelope["id"], kind);
        assert_eq!(envelope["deliveryid"], kind);
        // Spaces are not for a type; everything else is as the provider wrote it.
        assert_eq!(envelope["type"], format!("com.github.{}", kind.replace(' ', "_")));
        let attribute = answered.events[0].attributes()[1].1.to_string();
        assert!(attribute.starts_with("com.github."), "{attribute:?}");
        assert!(!attribute.contains('\u{1b}'), "{attribute:?}");
    }
    let request = Request::post(JSON, r#"{"action":"x"}"#)
        .header("X-GitHub-Event", &over)
        .header("X-GitHub-Delivery", &over);
    let envelope = send("github", request).envelope();
    assert_eq!((&envelope["type"], &envelope["idsource"]), (&json!("com.github.unknown"), &json!("digest")));
    assert_eq!(envelope.get("deliveryid"), None);

    let body = format!(r#"{{"id":"{over}","type":"{over}","data":{{"object":{{"id":"{over}"}}}}}}"#);
    let answered = send("stripe", Request::post(JSON, body.as_str()));
    assert_data(&answered, &body);
    let envelope = answered.envelope();
    assert_eq!((&envelope["type"], &envelope["idsource"]), (&json!("com.stripe.unknown"), &json!("digest")));
    assert_eq!((envelope.get("subject"), envelope.get("partitionkey")), (None, None));

    // Nothing empty becomes an attribute.
    let empty = send(
        "stripe",
        Request::post(JSON, r#"{"id":"","type":"","account":"","data":{"object":{"id":""}}}"#),
    );
    let envelope = empty.envelope();
    assert_eq!((&envelope["type"], &envelope["idsource"]), (&json!("com.stripe.unknown"), &json!("digest")));
    assert_eq!((envelope.get("subject"), envelope.get("account")), (None, None));
    // Neither does a kind of which nothing is left.
    let request = Request::post(JSON, "{}").header("X-GitHub-Event", "/./").header("X-GitHub-Delivery", "d");
    assert_eq!(send("github", request).envelope()["type"], "com.github.unknown");
}

/// An id that is no text and no number is none.
#[test]
fn an_id_is_a_text_or_a_number() {
    for (written, id) in [
        (r#""a""#, Some("a")),
        ("17", Some("17")),
        ("true", Some("true")),
        ("null", None),
        ("{}", None),
        (r#"["a"]"#, None),
        (r#""""#, None),
    ] {
        let envelope =
            send("stripe", Request::post(JSON, format!(r#"{{"id":{written},"type":"x"}}"#))).envelope();
        match id {
            Some(id) => assert_eq!((&envelope["id"], &envelope["idsource"]), (&json!(id), &json!("signed"))),
            None => assert_eq!(envelope["idsource"], "digest", "{written}"),
        }
    }
}

/// Case 82: a thousand items are a thousand events, all of them or none.
#[test]
fn a_batch_of_a_thousand_is_a_thousand_events() {
    let item = |i: usize| {
        format!(r#"{{"field":"feed","value":{{"item":"comment","verb":"add","comment_id":"c{i}"}}}}"#)
    };
    let items: Vec<String> = (0..1000).map(item).collect();
    let body = format!(
        r#"{{"object":"page","entry":[{{"id":"1","time":1511951016,"changes":[{}]}}]}}"#,
        items.join(",")
    );
    let answered = send("facebook", Request::post(JSON, body.as_str()));
    assert!(answered.is_accepted(1000), "{:?}", answered.why);
    let mut identities: Vec<String> = answered.events.iter().map(Envelope::identity).collect();
    identities.sort();
    identities.dedup();
    assert_eq!(identities.len(), 1000);
    for (i, event) in answered.envelopes().iter().enumerate() {
        assert_eq!(event["subject"], format!("c{i}"), "in the order sent");
    }
    let (row, config) = (entry("facebook").provider, config("facebook"));
    let bench = Bench::new(row, &config);
    bench.memory.fail(Fault::Queue("some entries failed"));
    assert!(bench.send(&signed(row, &config, Request::post(JSON, body))).is_fault());
}

/// What this thread has had of a processor. Other tests run beside it, so the time of day would say little.
fn cpu_time() -> Duration {
    let times = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux tells a thread's times");
    let nanoseconds = times.split(' ').next().and_then(|first| first.parse().ok());
    Duration::from_nanos(nanoseconds.expect("a number of nanoseconds"))
}

/// Case 82: four times the items take about four times as long; each item must not have the whole call read anew.
#[test]
fn a_batch_takes_time_in_proportion_to_its_length() {
    let (row, config) = (entry("facebook").provider, config("facebook"));
    let bench = Bench::new(row, &config);
    let time = |items: usize| {
        let item =
            r#"{"field":"feed","value":{"item":"comment","verb":"add","message":"Is it still there?"}}"#;
        let items = vec![item; items].join(",");
        let body =
            format!(r#"{{"object":"page","entry":[{{"id":"1","time":1511951016,"changes":[{items}]}}]}}"#);
        let request = signed(row, &config, Request::post(JSON, body));
        let event = request.function_url_event_at(BodyAs::AwsDecides, CLOCK);
        let once = || {
            let before = cpu_time();
            assert_eq!(bench.event_at(&event, CLOCK).status, 200);
            cpu_time() - before
        };
        once().min(once()).min(once())
    };
    let (few, many) = (time(100), time(400));
    assert!(many < few * 9, "100 items took {few:?}, 400 took {many:?}");
}

/// A body that would grow beyond memory when it is cut is carried whole.
#[test]
fn cutting_is_bounded() {
    let around = "a".repeat(200_000);
    let items = r#"{"field":"feed"},"#.repeat(20_000);
    let body = format!(
        r#"{{"object":"page","x":"{around}","entry":[{{"id":"1","changes":[{}]}}]}}"#,
        items.trim_end_matches(',')
    );
    let (row, config) = (entry("facebook").provider, config("facebook"));
    let started = Instant::now();
    let bench = Bench::with_max_bytes(row, &config, usize::MAX);
    let answered = bench.send(&signed(row, &config, Request::post(JSON, body.as_str())));
    assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
    assert_opaque(&answered, "com.facebook.unreadable", body.as_bytes());
}

/// A row of the test's own for what the eight do not have: digests by a later provider's rule, at the same engine.
static PLAIN: Provider = Provider {
    name: "plain",
    title: "A row of the tests",
    docs: "https://www.rfc-editor.org/rfc/rfc2104",
    settings: &[shared::provider::Setting::secret("secret", "nowhere")],
    scheme: &Mac { headers: &["x-sig"], ..Mac::HMAC_SHA256 },
    format: JSON_OR_FORM,
    event: Event { unknown: "something", ..Event::of("com.example.plain") },
    deadline: Duration::from_secs(5),
    ..Provider::DEFAULTS
};

/// A row that knows nothing of its events still gives each an id that comes again.
#[test]
fn a_row_without_facts_gives_digests() {
    let config = json!({ "secret": KEY });
    let send =
        |body: &str| Bench::new(&PLAIN, &config).send(&signed(&PLAIN, &config, Request::post(JSON, body)));
    let first = send(r#"{"a":1}"#).envelope();
    assert_eq!(first["type"], "com.example.plain.something");
    assert_eq!(first["source"], "/hookgate/plain");
    assert_eq!(first["idsource"], "digest");
    assert_eq!(send(r#"{"a":1}"#).envelope()["id"], first["id"]);
    assert_ne!(send(r#"{"a":2}"#).envelope()["id"], first["id"]);
    let opaque = send("nothing{").envelope();
    assert_eq!(opaque["type"], "com.example.plain.something", "a form of one field");
    // Case 22: a body that means the same and is not the same is another call.
    let (row, twin) = (&PLAIN, r#"{"a": 1}"#);
    let mut request = signed(row, &config, Request::post(JSON, r#"{"a":1}"#));
    request.body = twin.into();
    let answered = Bench::new(row, &config).send_at(&request, CLOCK);
    assert!(answered.is_refused() && matches!(answered.why, Why::Failed(_)));
}
