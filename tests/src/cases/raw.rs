//! The exact bytes and what signs them, where the settings ask for it: whoever has the provider's secret can check the call
//! again by himself. The new check here is none of the product's code.

use super::fallback::{is_by_token, of_provider};
use super::queue::{config, page, texts};
use super::support::{Bench, entry, now};
use super::transport::{SECRET, ZALO_APP, envelope, facebook_call, gate, mac, send};
use crate::event::{BodyAs, Request, URL_HOST};
use crate::s3::S3;
use crate::sqs::{Message, Sqs};
use base64::{Engine, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// The same settings with raw bytes asked for.
fn raw(mut settings: Value) -> Value {
    settings["raw"] = true.into();
    settings
}

/// Whether a call is signed with this secret, by what its provider documents; `None` where the formula is not told here.
pub(super) fn is_signed(provider: &str, secret: &str, headers: &Value, body: &[u8]) -> Option<bool> {
    let header = |name: &str| headers[name].as_str().unwrap_or_default();
    let base64_of_hex = |hex: String| BASE64_STANDARD.encode(hex::decode(hex).expect("hex"));
    let holds = match provider {
        "github" | "facebook" => header("x-hub-signature-256") == format!("sha256={}", mac(secret, &[body])),
        "shopify" => header("x-shopify-hmac-sha256") == base64_of_hex(mac(secret, &[body])),
        "generic" => header("x-signature") == mac(secret, &[body]),
        "slack" => {
            let time = header("x-slack-request-timestamp");
            let signed = mac(secret, &[b"v0:", time.as_bytes(), b":", body]);
            !time.is_empty() && header("x-slack-signature") == format!("v0={signed}")
        }
        "stripe" => {
            let parts = header("stripe-signature").split_once(",v1=");
            let (time, tag) = parts.expect("a time and a signature");
            let time = time.strip_prefix("t=").expect("a time");
            tag == mac(secret, &[time.as_bytes(), b".", body])
        }
        "zalo" => {
            let call: Value = serde_json::from_slice(body).expect("JSON");
            let time = call["timestamp"].as_str().expect("a text");
            let signed = [ZALO_APP.as_bytes(), body, time.as_bytes(), secret.as_bytes()].concat();
            header("x-zevent-signature") == format!("mac={}", hex::encode(Sha256::digest(&signed)))
        }
        "braintree" => {
            let form: BTreeMap<_, _> = form_urlencoded::parse(body).into_owned().collect();
            let mut mac = Hmac::<Sha1>::new_from_slice(&Sha1::digest(secret)).expect("a key of any length");
            mac.update(form["bt_payload"].as_bytes());
            let tag = hex::encode(mac.finalize().into_bytes());
            form["bt_signature"]
                .split('&')
                .any(|pair| pair.split_once('|').is_some_and(|(_, given)| given == tag))
        }
        _ => return None,
    };
    Some(holds)
}

/// What an envelope carries for a new check: headers and body.
#[track_caller]
fn carried(message: &Message) -> (Value, Vec<u8>) {
    let envelope = envelope(message);
    // Where the signature stands in the body, there are none.
    let headers = envelope["rawheaders"].as_str().unwrap_or("{}");
    // Nor is there a body where the query is signed.
    let body = match &envelope["rawurl"] {
        Value::Null => envelope["rawbody"].as_str().unwrap_or_else(|| panic!("no rawbody: {envelope}")),
        _ => envelope["rawbody"].as_str().unwrap_or_default(),
    };
    (serde_json::from_str(headers).expect("an object"), BASE64_STANDARD.decode(body).expect("base64"))
}

/// 96: every signed call can be checked again over what is carried of it, and a changed one would fail.
#[test]
fn a_consumer_can_check_again() {
    let mut checked = 0;
    for entry in registry::ENTRIES {
        let provider = entry.provider.name;
        let sqs = Sqs::start();
        let (request, settings, _) = of_provider(provider);
        let function = gate(provider, &sqs, &raw(settings.clone())).start();
        assert!(send(&function, &request).status() < 300, "{provider}");
        let message = sqs.take_messages().remove(0);
        if is_by_token(provider) {
            // The token is the credential: there is nothing to check with, and it goes nowhere.
            let first =
                settings.as_object().and_then(|settings| settings.values().next()).expect("a setting");
            let token = first.as_str().or_else(|| first["password"].as_str()).expect("a token or password");
            let body = envelope(&message)["rawbody"]
                .as_str()
                .map(|text| BASE64_STANDARD.decode(text).expect("base64"));
            assert!(!body.is_some_and(|body| String::from_utf8_lossy(&body).contains(token)), "{provider}");
            assert!(!message.body.contains(token) && !message.body.contains("rawheaders"), "{provider}");
            continue;
        }
        let (headers, body) = carried(&message);
        assert_eq!(body, request.body, "{provider}");
        assert_ne!(is_signed(provider, SECRET, &headers, &body), Some(false), "{provider}: {headers}");
        assert_ne!(is_signed(provider, "another", &headers, &body), Some(true), "{provider}");
        // And by the provider's own row, with nothing else of the call but where it went.
        let again = headers
            .as_object()
            .into_iter()
            .flatten()
            .fold(Request { headers: Vec::new(), ..request.clone() }, |request, (name, value)| {
                request.header(name, value.as_str().expect("a text"))
            });
        let again = again.header("content-type", &content_type_of(&request));
        let answered = Bench::new(entry.provider, &settings).send_at(&again, now());
        assert!(answered.status < 300 && !answered.events.is_empty(), "{provider}: {answered:?}");
        checked += usize::from(is_signed(provider, SECRET, &headers, &body).is_some());
        let envelope_of_it = envelope(&message);
        // Where fields alone are signed, it is of these.
        if envelope_of_it["assurance"] != "signed-fields" {
            assert_eq!(envelope_of_it["calldigest"], hex::encode(Sha256::digest(&body)), "{provider}");
        }
        // Unasked for, nothing of it is there.
        let function = gate(provider, &sqs, &settings).start();
        assert!(send(&function, &request).status() < 300, "{provider}");
        let plain = envelope(&sqs.take_messages()[0]);
        for name in ["rawbody", "rawheaders", "rawurl", "rawref"] {
            assert_eq!(plain.get(name), None, "{provider} {name}");
        }
    }
    assert!(checked >= 8, "{checked} by their own formula");
}

fn content_type_of(request: &Request) -> String {
    let named = |(name, _): &&(String, String)| name.eq_ignore_ascii_case("content-type");
    request.headers.iter().find(named).map_or_else(String::new, |(_, value)| value.clone())
}

/// 92, 96: whatever the bytes are, they arrive.
#[test]
fn raw_bytes_are_those_of_the_call() {
    let sqs = Sqs::start();
    let function = gate("github", &sqs, &raw(config("github"))).start();
    let bodies: [Vec<u8>; 5] = [
        (0..=255).collect(),
        "{\"e\":\"\u{FFFE}\u{FFFF}\\u0000\"}".into(),
        b"\xEF\xBB\xBF{}".into(),
        b"payload=%7B%22a%22%3A1%7D".into(),
        b"{\"a\" :\r\n 1e30}".into(),
    ];
    for (body, content_type) in bodies.iter().flat_map(|body| {
        ["application/json", "application/x-www-form-urlencoded"].map(|content_type| (body, content_type))
    }) {
        let signature = format!("sha256={}", mac(SECRET, &[body]));
        let request = Request::post(content_type, body.clone())
            .header("x-github-event", "push")
            .header("x-hub-signature-256", &signature);
        assert_eq!(send(&function, &request).status(), 200, "{body:?}");
        let (headers, carried) = carried(&sqs.take_messages()[0]);
        assert_eq!(&carried, body);
        assert_eq!(is_signed("github", SECRET, &headers, &carried), Some(true));
    }
    // An empty body has no bytes.
    let request = Request { body: Vec::new(), ..Request::post("application/json", "") };
    let request = request.header("x-hub-signature-256", &format!("sha256={}", mac(SECRET, &[])));
    assert_eq!(send(&function, &request).status(), 200);
    assert_eq!(envelope(&sqs.take_messages()[0]).get("rawbody"), None);
}

/// 96: where the URL is signed, it is carried as it was signed: from the settings, or as AWS names it.
#[test]
fn a_signed_url_is_carried() {
    let own = format!("https://{URL_HOST}/hook?a=b%20c");
    for (url, expected) in [(None, own.as_str()), (Some("https://example.com/in"), "https://example.com/in")]
    {
        let sqs = Sqs::start();
        let signature = json!({ "header": "x-signature", "signed": ["url", "|", "body"] });
        let mut settings = raw(json!({ "secret": SECRET, "signature": signature }));
        if let Some(url) = url {
            settings["url"] = url.into();
        }
        let function = gate("generic", &sqs, &settings).start();
        let body = br#"{"id":"1"}"#;
        let request = Request { query: "a=b%20c".into(), ..Request::post("application/json", body) }
            .at("/hook")
            .header("x-signature", &mac(SECRET, &[expected.as_bytes(), b"|", body]));
        assert_eq!(send(&function, &request).status(), 200, "{expected}");
        let message = sqs.take_messages().remove(0);
        let (headers, body) = carried(&message);
        let url = envelope(&message)["rawurl"].as_str().expect("the URL").to_owned();
        assert_eq!(url, expected);
        assert_eq!(headers["x-signature"], mac(SECRET, &[url.as_bytes(), b"|", &body]));
    }
}

/// 95: what is a credential itself is never carried, in no form and with no other check beside it.
#[test]
fn a_credential_is_not_carried() {
    let token = "CaNaRy-token-0123456789";
    let basic = BASE64_STANDARD.encode(format!("user:{token}"));
    let body = r#"{"id":"1"}"#;
    let signature = json!({ "header": "x-signature" });
    let cases = [
        (json!({ "token": token, "token_header": "x-token" }), ""),
        (json!({ "token": token, "token_query": "key" }), "key=CaNaRy-token-0123456789"),
        (json!({ "basic_auth": { "username": "user", "password": token } }), ""),
        (json!({ "token": token, "token_header": "x-token", "secret": SECRET, "signature": signature }), ""),
    ];
    for (settings, query) in cases {
        let sqs = Sqs::start();
        let function = gate("generic", &sqs, &raw(settings.clone())).start();
        let request = Request { query: query.into(), ..Request::post("application/json", body) }
            .header("x-token", token)
            .header("authorization", &format!("Basic {basic}"))
            .header("cookie", "session=CaNaRy")
            .header("x-signature", &mac(SECRET, &[body.as_bytes()]));
        assert_eq!(send(&function, &request).status(), 200, "{settings}");
        let message = sqs.take_messages().remove(0);
        assert_eq!(envelope(&message)["rawbody"], BASE64_STANDARD.encode(body), "{settings}");
        for canary in ["CaNaRy", basic.as_str(), "rawheaders"] {
            assert!(!message.body.contains(canary), "{settings}: {}", message.body);
        }
    }
}

/// 95: nor are the exact bytes where they hold it.
#[test]
fn a_body_with_its_credential_is_not_carried() {
    let token = "CaNaRy-token-0123456789";
    let row = entry("msgraph").provider;
    let body = json!({ "value": [{ "id": "1", "subscriptionId": "2", "changeType": "updated", "clientState": token }] });
    let call = Request::post("application/json", body.to_string());
    let settings = json!({ "client_state": token });
    for settings in [settings.clone(), raw(settings)] {
        let answered = Bench::new(row, &settings).send(&call);
        assert!(answered.is_accepted(1), "{answered:?}");
        let text = answered.events[0].text();
        assert!(!text.contains("CaNaRy") && !text.contains("rawbody"), "{text}");
    }
}

/// 96: of a call with several events each carries the bytes of the whole call, since that is what is signed.
#[test]
fn each_event_carries_the_whole_call() {
    let sqs = Sqs::start();
    let function = gate("facebook", &sqs, &raw(config("facebook"))).start();
    let request = facebook_call(SECRET, page(&texts(5)).to_string());
    assert_eq!(send(&function, &request).status(), 200);
    let messages = sqs.take_messages();
    assert_eq!(messages.len(), 5);
    for message in &messages {
        let (headers, body) = carried(message);
        assert_eq!(
            (body == request.body, is_signed("facebook", SECRET, &headers, &body)),
            (true, Some(true))
        );
    }
}

/// 91, 96: what a message cannot hold leaves it: the call's bytes first, then the data too. Each object is what it stands for,
/// once for all events of the call.
#[test]
fn raw_bytes_leave_a_message_first() {
    const BUCKET: &str = "claims";
    let (sqs, s3) = (Sqs::start(), S3::start(&[BUCKET]));
    let function = gate("facebook", &sqs, &raw(config("facebook")))
        .env("QUEUE_MAX_BYTES", "8192")
        .env("CLAIM_CHECK_BUCKET", BUCKET)
        .env("AWS_ENDPOINT_URL_S3", s3.endpoint())
        .start();
    let large = "x".repeat(10_000);
    let request = facebook_call(SECRET, page(&["a", &large, "c"]).to_string());
    assert_eq!(send(&function, &request).status(), 200);
    let messages = sqs.take_messages();
    assert_eq!(messages.len(), 3);
    let digest = hex::encode(Sha256::digest(&request.body));
    let bytes_at = |reference: &Value| {
        let key = reference
            .as_str()
            .and_then(|url| url.strip_prefix("s3://claims/"))
            .expect("a reference")
            .to_owned();
        let object = s3.objects(BUCKET).into_iter().find(|object| object.key == key).expect("it is there");
        (key, object.bytes)
    };
    for (place, message) in messages.iter().enumerate() {
        let envelope = envelope(message);
        assert!(message.size() <= 8192, "{place}");
        assert_eq!((envelope.get("rawbody"), envelope.get("data").is_some()), (None, place != 1), "{place}");
        let (key, raw) = bytes_at(&envelope["rawref"]);
        assert_eq!((key, raw == request.body), (format!("data/facebook/{digest}"), true), "{place}");
        let headers =
            serde_json::from_str(envelope["rawheaders"].as_str().expect("a text")).expect("an object");
        assert_eq!(is_signed("facebook", SECRET, &headers, &raw), Some(true), "{place}");
        if place == 1 {
            let (_, data) = bytes_at(&envelope["dataref"]);
            let data: Value = serde_json::from_slice(&data).expect("JSON");
            assert_eq!(data["entry"][0]["changes"][0]["value"]["message"], large);
        }
    }
    let objects = s3.objects(BUCKET);
    assert_eq!(objects.iter().map(|object| object.puts).collect::<Vec<_>>(), [1, 1], "{objects:?}");
    // Without a bucket such a call is our fault, and what can be stored alone is.
    let function = gate("facebook", &sqs, &raw(config("facebook"))).env("QUEUE_MAX_BYTES", "8192").start();
    let event = request.function_url_event(BodyAs::AwsDecides);
    assert_eq!(function.invoke(&event).status(), 503);
    assert_eq!(sqs.take_messages(), []);
}

/// 96: a call of so many events that its bytes with each of them would come to more than all of it may: once, beside them.
#[test]
fn many_events_share_their_bytes() {
    const BUCKET: &str = "claims";
    let (sqs, s3) = (Sqs::start(), S3::start(&[BUCKET]));
    let function = gate("facebook", &sqs, &raw(config("facebook")))
        .env("CLAIM_CHECK_BUCKET", BUCKET)
        .env("AWS_ENDPOINT_URL_S3", s3.endpoint())
        .start();
    let request = facebook_call(SECRET, page(&texts(1000)).to_string());
    assert_eq!(send(&function, &request).status(), 200);
    let messages = sqs.take_messages();
    assert_eq!(messages.len(), 1000);
    let reference = format!("s3://{BUCKET}/data/facebook/{}", hex::encode(Sha256::digest(&request.body)));
    assert!(messages.iter().all(|message| envelope(message)["rawref"] == reference.as_str()));
    let objects = s3.objects(BUCKET);
    assert_eq!(objects.iter().map(|object| object.bytes == request.body).collect::<Vec<_>>(), [true]);
    assert!(objects[0].stored_at < messages[0].stored_at);
}
