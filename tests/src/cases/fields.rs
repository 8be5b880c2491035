//! Signatures over fields, over what is written anew, in the body and in the query: each signed field counts, and what stands
//! beside them does not.

use super::support::{Answered, Bench, CLOCK, entry, signed};
use crate::event::Request;
use crate::vector::{self, Decision, Vector};
use serde_json::{Value, json};
use std::collections::BTreeMap;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

/// Where a row's signed members stand, and which they are; none named are all.
const OBJECTS: [(&str, &str, &[&str]); 4] = [
    ("casso", "/data", &[]),
    ("payos", "/data", &[]),
    (
        "momo",
        "",
        &[
            "amount",
            "extraData",
            "message",
            "orderId",
            "orderInfo",
            "orderType",
            "partnerCode",
            "payType",
            "requestId",
            "responseTime",
            "resultCode",
            "transId",
        ],
    ),
    ("zalocheckout", "/data", &[]),
];

fn accepted(provider: &str) -> Vec<Vector> {
    let all = vector::of(provider).into_iter();
    all.filter(|vector| vector.decision() == Decision::Accept).collect()
}

fn send(vector: &Vector, request: &Request) -> Answered {
    let bench = Bench::new(entry(&vector.provider).provider, &vector.config());
    bench.send_at(request, vector.clock.unwrap_or(CLOCK))
}

fn with_body(vector: &Vector, body: &Value) -> Request {
    Request { body: body.to_string().into_bytes(), ..vector.request() }
}

/// The attributes by which an event is known and judged.
fn told(answered: &Answered) -> Value {
    let event = answered.envelope();
    ["id", "type", "subject", "time", "account", "partitionkey", "calldigest", "idsource", "assurance"]
        .into_iter()
        .map(|name| (name.to_owned(), event[name].clone()))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// Another value of the same kind.
fn other(value: &Value) -> Value {
    match value {
        Value::String(text) => format!("{text}1").into(),
        Value::Number(number) => (number.as_i64().expect("an integer") + 1).into(),
        Value::Bool(truth) => (!truth).into(),
        Value::Null => "x".into(),
        other => json!([other]),
    }
}

#[test]
fn each_signed_member_counts() {
    let mut forgeries = 0;
    for (provider, pointer, names) in OBJECTS {
        for vector in accepted(provider) {
            let body: Value = serde_json::from_slice(&vector.body).expect("JSON");
            let Some(object) = body.pointer(pointer).and_then(Value::as_object) else { continue };
            let is_signed = |name: &&String| names.is_empty() || names.contains(&name.as_str());
            for name in object.keys().filter(is_signed) {
                let mut changed = body.clone();
                let members = changed.pointer_mut(pointer).and_then(Value::as_object_mut).expect("it");
                let old = members.get(name).cloned().expect("it");
                members.insert(name.clone(), other(&old));
                assert!(send(&vector, &with_body(&vector, &changed)).is_refused(), "{} {name}", vector.id);
                let mut deeper = body.clone();
                let members = deeper.pointer_mut(pointer).and_then(Value::as_object_mut).expect("it");
                members.insert(name.clone(), json!({ "a": old.clone() }));
                assert!(
                    send(&vector, &with_body(&vector, &deeper)).is_refused(),
                    "{} {name} within",
                    vector.id
                );
                forgeries += 2;
                // A field without a value is as good as none where only values are named.
                if provider == "momo" && (old == json!("") || old.is_null()) {
                    continue;
                }
                let mut without = body.clone();
                without.pointer_mut(pointer).and_then(Value::as_object_mut).expect("it").remove(name);
                assert!(send(&vector, &with_body(&vector, &without)).is_refused(), "{} no {name}", vector.id);
                forgeries += 1;
            }
            let mut more = body.clone();
            let members = more.pointer_mut(pointer).and_then(Value::as_object_mut).expect("it");
            members.insert("zzz".into(), json!("1"));
            let answered = send(&vector, &with_body(&vector, &more));
            assert_eq!(answered.is_refused(), names.is_empty(), "{}: one more", vector.id);
        }
    }
    assert!(forgeries > 300, "only {forgeries}");
}

/// Order and spaces are the sender's, and members that are not signed are nobody's: they change no attribute, so that a
/// recorded call stays the one that it was.
#[test]
fn what_is_not_signed_changes_nothing() {
    for (provider, at, value) in [
        ("payos", "success", json!(false)),
        ("payos", "more", json!({ "orderCode": 1 })),
        ("momo", "paymentOption", json!("x")),
        ("zalocheckout", "more", json!([1])),
    ] {
        // Within the elements of a list the order counts.
        for vector in accepted(provider).into_iter().filter(|vector| !vector.id.ends_with(".arrays")) {
            let mut body: Value = serde_json::from_slice(&vector.body).expect("JSON");
            let genuine = told(&send(&vector, &vector.request()));
            assert_eq!(genuine["assurance"], "signed-fields");
            body[at] = value.clone();
            let spaced = serde_json::to_vec_pretty(&body).expect("JSON");
            for request in [with_body(&vector, &body), Request { body: spaced, ..vector.request() }] {
                assert_eq!(told(&send(&vector, &request)), genuine, "{} {at}", vector.id);
            }
        }
    }
    for vector in accepted("zalopay") {
        let mut body: Value = serde_json::from_slice(&vector.body).expect("JSON");
        let genuine = send(&vector, &vector.request());
        body["type"] = json!(7);
        let answered = send(&vector, &with_body(&vector, &body));
        let of = |answered: &Answered| {
            let event = answered.envelope();
            (event["id"].clone(), event["type"].clone(), event["data"].clone(), event["idsource"].clone())
        };
        assert_eq!(of(&answered), of(&genuine), "{}", vector.id);
    }
}

/// A text of `name=value` without escapes could be cut in other places. Whoever holds a genuine call must not get another
/// one out of it.
#[test]
fn a_signed_text_is_cut_in_one_way() {
    let merged = |provider: &str, id: &str, pointer: &str, into: &str, from: &str| {
        let vector = accepted(provider).into_iter().find(|vector| vector.id == id).expect("the vector");
        let mut body: Value = serde_json::from_slice(&vector.body).expect("JSON");
        let object = body.pointer_mut(pointer).and_then(Value::as_object_mut).expect("it");
        let taken = object.remove(from).expect("it");
        let taken = taken.as_str().map_or_else(|| taken.to_string(), str::to_owned);
        let kept = object[into].as_str().expect("a text").to_owned();
        object.insert(into.to_owned(), format!("{kept}&{from}={taken}").into());
        send(&vector, &with_body(&vector, &body))
    };
    // Each has the very text that is signed.
    let calls = [
        merged("payos", "payos.genuine.published", "/data", "reference", "transactionDateTime"),
        merged("payos", "payos.genuine.published", "/data", "desc", "description"),
        merged("zalocheckout", "zalocheckout.genuine.succeeded", "/data", "orderId", "resultCode"),
        merged("zalocheckout", "zalocheckout.genuine.succeeded", "/data", "description", "extradata"),
        merged("zalocheckout", "zalocheckout.genuine.notify", "/data", "appId", "orderId"),
    ];
    for answered in calls {
        assert!(answered.is_refused(), "{answered:?}");
    }
    let momo = |order_info: &str, order_type: &str| {
        let body = json!({
            "partnerCode": "P", "orderId": "O", "requestId": "R", "amount": 1, "orderInfo": order_info,
            "orderType": order_type, "transId": 1, "resultCode": 0, "message": "m", "payType": "qr",
            "responseTime": 1_795_499_999_000_i64, "extraData": "",
        });
        Request::post(JSON, body.to_string())
    };
    let row = entry("momo").provider;
    let config = json!({ "access_key": "throw-away access", "secret_key": "throw-away secret key" });
    let send = |request: &Request| Bench::new(row, &config).send(request);
    let genuine = signed(row, &config, momo("a & b&c=d", "t"));
    assert_eq!(send(&genuine).status, 204);
    let genuine = signed(row, &config, momo("a", "b&orderType=t"));
    assert_eq!(send(&genuine).status, 204);
    let mut body: Value = serde_json::from_slice(&genuine.body).expect("JSON");
    body["orderInfo"] = json!("a&orderType=b");
    body["orderType"] = json!("t");
    assert!(send(&Request::post(JSON, body.to_string())).is_refused());
}

#[test]
fn each_signed_parameter_counts_and_no_other_is_told() {
    let mut forgeries = 0;
    for vector in accepted("vnpay") {
        let genuine = send(&vector, &vector.request());
        let pairs: Vec<&str> = vector.query.split('&').collect();
        let query = |pairs: &[&str]| Request { query: pairs.join("&"), ..vector.request() };
        for (i, pair) in pairs.iter().enumerate() {
            let (name, value) = pair.split_once('=').expect("a pair");

            let with = |other: String| {
                let mut pairs = pairs.clone();
                pairs[i] = &other;
                send(&vector, &query(&pairs))
            };
            let without: Vec<&str> =
                pairs.iter().enumerate().filter(|(j, _)| *j != i).map(|(_, p)| *p).collect();
            let is_theirs = name.starts_with("vnp_") && name != "vnp_SecureHashType";
            let is_signed = is_theirs && !value.is_empty();
            let calls = [(with(format!("{pair}1")), is_theirs), (send(&vector, &query(&without)), is_signed)];
            for (answered, is_refused) in calls {
                assert_eq!(answered.is_refused(), is_refused, "{}: {name}: {answered:?}", vector.id);
                if !is_refused {
                    assert_eq!(told(&answered), told(&genuine), "{}: {name}", vector.id);
                }
                forgeries += usize::from(is_refused);
            }
            let twice = [&pairs[..], &[*pair]].concat();
            assert_eq!(send(&vector, &query(&twice)).is_refused(), is_theirs, "{}: {name} twice", vector.id);
        }
        let data: BTreeMap<String, String> =
            serde_json::from_value(genuine.envelope()["data"].clone()).expect("texts");
        assert!(data.keys().all(|name| name.starts_with("vnp_") && !name.contains("Hash")), "{data:?}");
        assert!(data.values().all(|value| !value.is_empty()), "{data:?}");
        // A body is no part of it.
        let with_body = Request { body: br#"{"vnp_Amount":"1"}"#.to_vec(), ..vector.request() };
        let answered = send(&vector, &with_body);
        assert_eq!(answered.envelope()["data"], genuine.envelope()["data"], "{}", vector.id);
        assert_eq!(told(&answered), told(&genuine), "{}", vector.id);
    }
    assert!(forgeries > 150, "only {forgeries}");
    // Events come by GET alone.
    let vector = &accepted("vnpay")[0];
    assert_eq!(send(vector, &Request { method: "POST".into(), ..vector.request() }).status, 405);
}

/// A token that a signature covers lets its body through, whatever that is: the assurance says so, and the signature stays here.
#[test]
fn a_signature_over_a_nonce_is_worth_a_token() {
    let row = entry("mailgun").provider;
    let config = json!({ "signing_key": "throw-away signing key", "raw": true });
    let webhook = json!({
        "signature": { "token": "t1", "parent-signature": "00" },
        "event-data": { "event": "opened", "id": "e1", "timestamp": 1.5 },
    });
    let form = "recipient=a%40example.com&subject=x&token=t1";
    for (request, id, kind) in [
        (Request::post(JSON, webhook.to_string()), "e1", "com.mailgun.opened"),
        (Request::post(FORM, form), "t1", "com.mailgun.inbound"),
    ] {
        let request = signed(row, &config, request);
        let answered = Bench::new(row, &config).send(&request);
        let event = answered.envelope();
        assert_eq!((event["id"].as_str(), event["type"].as_str()), (Some(id), Some(kind)));
        assert_eq!((&event["assurance"], &event["idsource"]), (&json!("token"), &json!("header")));
        let text = String::from_utf8(request.body.clone()).expect("UTF-8");
        let signature = text.split(['"', '=', '&']).find(|word| word.len() == 64).expect("a signature");
        assert!(!event.to_string().contains(signature) && event.get("rawbody").is_none(), "{event}");
        assert_eq!(event["data"].pointer("/signature/parent-signature"), None);
    }
}

/// A Route forwards a mail with attachments as a form with files.
#[test]
fn a_form_with_files_is_signed_as_one_without() {
    let row = entry("mailgun").provider;
    let config = json!({ "signing_key": "throw-away signing key" });
    let plain = signed(row, &config, Request::post(FORM, "token=t1"));
    let fields: BTreeMap<String, String> = String::from_utf8(plain.body)
        .expect("UTF-8")
        .split('&')
        .map(|pair| pair.split_once('=').expect("a pair"))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let multipart = |token: &str, more: &str| {
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = [
            field("recipient", "a@example.com"),
            field("timestamp", &fields["timestamp"]),
            field("token", token),
            field("signature", &fields["signature"]),
            more.to_owned(),
            "--b\r\nContent-Disposition: form-data; name=\"attachment-1\"; filename=\"a.txt\"\r\n\
             Content-Type: text/plain\r\n\r\nhello\r\n--b--\r\n"
                .to_owned(),
        ];
        Request::post("multipart/form-data; boundary=b", body.concat())
    };
    let send = |request: &Request| Bench::new(row, &config).send(request);
    let event = send(&multipart("t1", "")).envelope();
    assert_eq!(event["type"], "com.mailgun.inbound");
    assert_eq!(event["data"]["attachment-1"]["filename"], "a.txt");
    assert_eq!(event["data"]["recipient"], "a@example.com");
    assert_eq!(event["data"].get("signature"), None);
    assert!(send(&multipart("t2", "")).is_refused());
    let again = "--b\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nt1\r\n";
    assert!(send(&multipart("t1", again)).is_refused(), "a token that stands there twice");
}

/// With several secrets a call passes by its own scheme alone, and its event says what that is worth.
#[test]
fn a_secret_serves_for_its_own_kind_of_call() {
    let row = entry("sepay").provider;
    let body = r#"{"id":7,"transferType":"in"}"#;
    let all = json!({
        "secret": "throw-away secret", "api_key": "throw-away api key", "secret_key": "throw-away secret key",
    });
    let send = |request: &Request| Bench::new(row, &all).send(request);
    let by_mac = signed(row, &json!({ "secret": "throw-away secret" }), Request::post(JSON, body));
    assert_eq!(send(&by_mac).envelope()["assurance"], "signed-fresh");
    let with = |name: &str, value: &str| Request::post(JSON, body).header(name, value);
    for (name, value) in
        [("Authorization", "Apikey throw-away api key"), ("X-Secret-Key", "throw-away secret key")]
    {
        let event = send(&with(name, value)).envelope();
        assert_eq!((&event["assurance"], &event["idsource"]), (&json!("token"), &json!("header")));
        assert!(!event.to_string().contains("throw-away"), "{event}");
    }
    for (name, value) in [
        ("Authorization", "Apikey throw-away secret key"),
        ("Authorization", "Apikey throw-away secret"),
        ("X-Secret-Key", "throw-away api key"),
        ("X-Secret-Key", "Apikey throw-away secret key"),
    ] {
        assert!(send(&with(name, value)).is_refused(), "{name}: {value}");
    }
    // A changed body under its good signature does not pass as one that is not signed.
    let forged = Request { body: body.replace('7', "8").into_bytes(), ..by_mac };
    assert!(send(&forged).is_refused());
}
