//! Challenges that are signed, hubs that ask for an intent, and probes: whoever asks learns nothing that lets him in. And what
//! is signed without borders, or by a password alone, says no more than that.

use super::support::{Answered, Bench, CLOCK, entry, signed, signed_at};
use crate::event::{Request, URL_HOST};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac as _};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use shared::challenge::{MAX_TOKEN, is_token};
use shared::handshake::MAX_ECHO;
use shared::settings::{Document, Weight};
use std::collections::BTreeSet;

const KEY: &str = "throw-away key of the test, 32 b";
const OLD: &str = "throw-away key of the test, old!";
const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

fn tag(key: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

fn encoded(text: &str) -> String {
    form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Texts that must not be signed for whoever asks: each of them could be a call, or a part of one.
fn not_to_be_signed() -> Vec<String> {
    let mut texts: Vec<String> = [
        "",
        " ",
        "a b",
        "a\nb",
        "é",
        "{}",
        "[]",
        "\"a\"",
        r#"{"for_user_id":"1","tweet_create_events":[{"id_str":"1"}]}"#,
        r#"{"event":"meeting.started"}"#,
        r#"v0:1795500000:{"event":"meeting.started"}"#,
        "v0:1795500000:",
        ":",
        "a,b",
        "<script>",
        "a&b",
        "a%b",
        "a\0",
    ]
    .map(str::to_owned)
    .into();
    texts.push("a".repeat(MAX_TOKEN + 1));
    texts
}

const TOKENS: [&str; 6] = [
    "9b4507b3-9040-4669-9ca3-6b94edb50553",
    "qgg8vlvZRS6UYooatFL8Aw",
    "a",
    "0",
    "MjAyNi0xMS0yNA==",
    "A-Z._~+/=",
];

fn zoom(plain_token: &Value) -> Value {
    json!({ "payload": { "plainToken": plain_token }, "event_ts": 1_654_503_849_680_i64, "event": "endpoint.url_validation" })
}

/// Case 55: a token is signed only for a call that is signed itself, and only one that can be no event.
#[test]
fn a_signed_token_is_no_oracle() {
    let (row, config) = (entry("zoom").provider, json!({ "secret_token": [KEY, OLD] }));
    let bench = Bench::new(row, &config);
    let longest = "a".repeat(MAX_TOKEN);
    for token in TOKENS.into_iter().chain([longest.as_str()]) {
        let request = signed(row, &config, Request::post(JSON, zoom(&token.into()).to_string()));
        let expected = json!({ "plainToken": token, "encryptedToken": hex::encode(tag(KEY, token)) });
        let answered = bench.send(&request);
        assert!(answered.is_answer(JSON, &answered.body), "{token}: {answered:?}");
        assert_eq!(serde_json::from_str::<Value>(&answered.body).expect("JSON"), expected);
        // Unsigned, forged, signed with another secret, or signed too long ago it is nothing.
        let unsigned = Request::post(JSON, request.body.clone());
        assert!(bench.send(&unsigned).is_refused(), "{token}");
        let forged =
            Request { body: zoom(&format!("{token}0").into()).to_string().into(), ..request.clone() };
        assert!(bench.send(&forged).is_refused(), "{token}");
        let foreign = signed(row, &json!({ "secret_token": "another throw-away secret" }), unsigned);
        assert!(bench.send(&foreign).is_refused(), "{token}");
        assert!(bench.send_at(&request, CLOCK + 7201).is_refused(), "{token}");
    }
    for token in not_to_be_signed() {
        let unsigned = Request::post(JSON, zoom(&token.as_str().into()).to_string());
        assert!(bench.send(&unsigned).is_refused(), "{token:?}");
        // The provider itself would have to ask for it: then it is queued, and nothing is signed.
        let answered = bench.send(&signed(row, &config, unsigned));
        assert!(answered.is_accepted(1) && answered.body.is_empty(), "{token:?}: {answered:?}");
    }
}

/// Case 62: what merely looks like the challenge is an event.
#[test]
fn an_event_that_looks_like_a_signed_token_is_queued() {
    let (row, config) = (entry("zoom").provider, json!({ "secret_token": KEY }));
    let bench = Bench::new(row, &config);
    let mut more = zoom(&"abc".into());
    more["object"] = json!({});
    let mut other = zoom(&"abc".into());
    other["event"] = "meeting.started".into();
    for body in
        [more, other, zoom(&Value::Null), zoom(&json!({})), json!({ "event": "endpoint.url_validation" })]
    {
        let answered = bench.send(&signed(row, &config, Request::post(JSON, body.to_string())));
        assert!(answered.is_accepted(1) && answered.body.is_empty(), "{body}: {answered:?}");
        assert_eq!(answered.envelope()["data"], body);
    }
    let twice = r#"{"event":"endpoint.url_validation","payload":{"plainToken":"a","plainToken":"b"}}"#;
    assert!(bench.send(&signed(row, &config, Request::post(JSON, twice))).is_accepted(1));
    // The other way round: no token that is signed can be what an event is signed over.
    assert!(!is_token(format!("v0:{CLOCK}:").as_bytes()) && !is_token(b"v0:1:x"));
}

/// A call that comes again 85 minutes after its first attempt is let in, signed anew or not; hours later it is not.
#[test]
fn what_is_retried_for_an_hour_and_a_half_is_not_lost() {
    let (row, config) = (entry("zoom").provider, json!({ "secret_token": KEY }));
    let bench = Bench::new(row, &config);
    let request = Request::post(JSON, r#"{"event":"meeting.ended","event_ts":1795500000000,"payload":{}}"#);
    let first = signed(row, &config, request.clone());
    let mut ids = BTreeSet::new();
    for minutes in [0, 5, 25, 85, 120] {
        let second = CLOCK + minutes * 60;
        for attempt in [first.clone(), signed_at(row, &config, request.clone(), second)] {
            let envelope = bench.send_at(&attempt, second).envelope();
            assert_eq!(envelope["assurance"], "signed", "two hours are not fresh");
            ids.insert(envelope["id"].as_str().expect("an id").to_owned());
        }
    }
    assert_eq!(ids.len(), 1);
    assert!(bench.send_at(&first, CLOCK + 7201).is_refused());
}

/// Case 56: only by GET, only short and plain, and never what a body could be.
#[test]
fn a_challenge_in_the_query_is_no_oracle() {
    let row = entry("x").provider;
    let consumer = json!({ "consumer_secret": [OLD, KEY] });
    let client = json!({ "client_secret": KEY, "consumer_secret": OLD });
    let longest = "a".repeat(MAX_TOKEN);
    for (config, key) in [(&consumer, OLD), (&client, KEY)] {
        let bench = Bench::new(row, config);
        for token in TOKENS.into_iter().chain([longest.as_str()]) {
            let expected =
                json!({ "response_token": format!("sha256={}", BASE64_STANDARD.encode(tag(key, token))) });
            for query in
                [format!("crc_token={}", encoded(token)), format!("nonce=x&crc_token={}", encoded(token))]
            {
                let answered = bench.send(&Request::get(&query));
                assert!(answered.is_answer(JSON, &expected.to_string()), "{query}: {answered:?}");
            }
            // By POST it is no challenge.
            let post =
                Request { query: format!("crc_token={}", encoded(token)), ..Request::post(JSON, "{}") };
            assert!(bench.send(&post).is_refused(), "{token}");
            let head = Request { method: "HEAD".into(), ..Request::get("crc_token=a") };
            assert_eq!(bench.send(&head).status, 405);
        }
        for token in not_to_be_signed() {
            assert!(
                bench.send(&Request::get(&format!("crc_token={}", encoded(&token)))).is_refused(),
                "{token:?}"
            );
        }
        for query in
            ["", "crc_token", "crc_token=", "crc_token=a&crc_token=b", "CRC_TOKEN=a", "crc_token=%ff"]
        {
            assert!(bench.send(&Request::get(query)).is_refused(), "{query}");
        }
    }
}

/// What was signed for a stranger is no event: the answer to each challenge, sent back as the signature of the challenge.
#[test]
fn an_answered_challenge_signs_no_event() {
    let (row, config) = (entry("x").provider, json!({ "consumer_secret": KEY }));
    let bench = Bench::new(row, &config);
    for token in TOKENS {
        let answer = bench.send(&Request::get(&format!("crc_token={}", encoded(token)))).body;
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        let signature = answer["response_token"].as_str().expect("a text");
        for content_type in [JSON, "text/plain", FORM] {
            let replayed =
                Request::post(content_type, token).header("X-Twitter-Webhooks-Signature", signature);
            assert!(bench.send(&replayed).is_refused(), "{token}");
        }
    }
    // What an event is signed over is no challenge.
    let body = r#"{"for_user_id":"1","follow_events":[]}"#;
    assert!(!is_token(body.as_bytes()) && !is_token(b"{}") && !is_token(b""));
    assert!(bench.send(&signed(row, &config, Request::post(JSON, body))).is_accepted(1));
}

/// Each of the two secrets counts for its own header, and a call may carry both.
#[test]
fn a_secret_serves_for_its_own_header() {
    let row = entry("x").provider;
    let body = r#"{"data":{"event_uuid":"1","event_type":"post.create"}}"#;
    let signature = |key: &str| format!("sha256={}", BASE64_STANDARD.encode(tag(key, body)));
    let (oauth2, oauth1) = ("x-twitter-webhooks-signature-oauth2", "x-twitter-webhooks-signature");
    let both = json!({ "client_secret": KEY, "consumer_secret": OLD });
    let (client, consumer) = (json!({ "client_secret": KEY }), json!({ "consumer_secret": OLD }));
    let post = || Request::post(JSON, body);
    for (config, request, is_let_in) in [
        (&both, post().header(oauth2, &signature(KEY)), true),
        (&both, post().header(oauth1, &signature(OLD)), true),
        (&both, post().header(oauth2, &signature(KEY)).header(oauth1, &signature(OLD)), true),
        (&both, post().header(oauth2, &signature(OLD)), false),
        (&both, post().header(oauth1, &signature(KEY)), false),
        (&client, post().header(oauth2, &signature(KEY)).header(oauth1, &signature(OLD)), true),
        (&client, post().header(oauth1, &signature(KEY)), false),
        (&consumer, post().header(oauth2, &signature(KEY)).header(oauth1, &signature(OLD)), true),
        (&consumer, post().header(oauth2, &signature(OLD)), false),
    ] {
        let answered = Bench::new(row, config).send(&request);
        assert_eq!(answered.is_accepted(1), is_let_in, "{config} {:?}: {answered:?}", request.headers);
        assert!(is_let_in || answered.is_refused());
    }
}

/// Case 36: without a usable secret a challenge is our fault, never answered.
#[test]
fn a_challenge_without_a_secret_is_our_fault() {
    for config in [
        json!({}),
        json!({ "consumer_secret": "" }),
        json!({ "consumer_secret": [" "] }),
        json!({ "client_secret": "", "consumer_secret": KEY }),
    ] {
        let answered = Bench::new(entry("x").provider, &config).send(&Request::get("crc_token=a"));
        assert!(answered.is_fault(), "{config}: {answered:?}");
    }
    let endpoints = json!({ "endpoints": {
        "a": { "consumer_secret": KEY }, "b": { "consumer_secret": OLD },
    }});
    let bench = Bench::new(entry("x").provider, &endpoints);
    for (path, key) in [("/a", KEY), ("/x/b", OLD)] {
        let answered = bench.send(&Request::get("crc_token=a").at(path));
        assert!(answered.body.contains(&BASE64_STANDARD.encode(tag(key, "a"))), "{path}: {answered:?}");
    }
    assert!(bench.send(&Request::get("crc_token=a").at("/c")).is_refused());
}

const TOPIC: &str = "https://www.youtube.com/xml/feeds/videos.xml?channel_id=UC123";
const OTHER_TOPIC: &str = "https://example.com/feed?a=b&c=d%20e";

fn hub(mode: &str, topic: &str, challenge: &str) -> Request {
    let (topic, challenge) = (encoded(topic), encoded(challenge));
    Request::get(&format!(
        "hub.mode={mode}&hub.topic={topic}&hub.challenge={challenge}&hub.lease_seconds=432000"
    ))
}

fn is_not_found(answered: &Answered) -> bool {
    answered.status == 404
        && answered.body.is_empty()
        && answered.headers.is_empty()
        && answered.events.is_empty()
}

/// Case 52 for hubs: what the settings want is confirmed, and nothing else.
#[test]
fn a_hub_is_told_what_the_settings_want() {
    let bench =
        Bench::new(entry("websub").provider, &json!({ "secret": KEY, "topics": [TOPIC, OTHER_TOPIC] }));
    let is_echo = |request: &Request, challenge: &str| bench.send(request).is_answer("text/plain", challenge);
    for topic in [TOPIC, OTHER_TOPIC] {
        assert!(is_echo(&hub("subscribe", topic, "JW5mWhpMqGSbDXNkpLrz"), "JW5mWhpMqGSbDXNkpLrz"), "{topic}");
        assert!(is_not_found(&bench.send(&hub("unsubscribe", topic, "a"))), "{topic}");
    }
    // Whoever is not subscribed wants to be unsubscribed.
    assert!(is_echo(&hub("unsubscribe", "https://example.com/", "a"), "a"));
    assert!(bench.send(&Request::get("hub.mode=denied&hub.topic=x&hub.reason=no")).is_empty_200());
    let near = [
        TOPIC.to_uppercase(),
        format!("{TOPIC}4"),
        TOPIC[..TOPIC.len() - 1].to_owned(),
        format!(" {TOPIC}"),
        TOPIC.replace("https", "http"),
        TOPIC.replace('?', "%3F"),
        String::new(),
    ];
    for topic in near {
        assert!(is_not_found(&bench.send(&hub("subscribe", &topic, "a"))), "{topic}");
    }
    let topic = encoded(TOPIC);
    for query in [
        String::new(),
        format!("hub.topic={topic}&hub.challenge=a"),
        "hub.mode=subscribe&hub.challenge=a".to_owned(),
        format!("hub.mode=subscribe&hub.topic={topic}"),
        format!("hub.mode=subscribe&hub.topic={topic}&hub.challenge="),
        format!("hub.mode=SUBSCRIBE&hub.topic={topic}&hub.challenge=a"),
        format!("hub.mode=publish&hub.topic={topic}&hub.challenge=a"),
        format!("hub.mode=subscribe&hub.topic={topic}&hub.challenge=%ff"),
    ] {
        assert!(is_not_found(&bench.send(&Request::get(&query))), "{query}");
    }
    // By POST it is no handshake.
    let post = Request { method: "POST".into(), ..hub("subscribe", TOPIC, "a") };
    assert!(bench.send(&post).is_refused());
}

/// Case 54 for hubs: of two values two readers may see two.
#[test]
fn a_hubs_parameter_that_stands_twice_is_none() {
    let bench = Bench::new(
        entry("websub").provider,
        &json!({ "secret": KEY, "topics": TOPIC, "verify_token": "throw-away token" }),
    );
    let sound = format!(
        "hub.mode=subscribe&hub.topic={}&hub.challenge=a&hub.verify_token=throw-away+token",
        encoded(TOPIC)
    );
    assert!(bench.send(&Request::get(&sound)).is_answer("text/plain", "a"));
    for more in [
        "hub.mode=unsubscribe",
        "hub.mode=subscribe",
        "hub.topic=x",
        "hub.challenge=b",
        "hub.challenge=a",
        "hub.verify_token=bad",
        "hub%2Everify_token=throw-away+token",
    ] {
        for query in [format!("{sound}&{more}"), format!("{more}&{sound}")] {
            assert!(is_not_found(&bench.send(&Request::get(&query))), "{query}");
        }
    }
}

/// Case 53 for hubs: a hub may choose any text, so any is given back that can do no harm as plain text.
#[test]
fn a_hubs_challenge_is_inert() {
    let bench = Bench::new(entry("websub").provider, &json!({ "secret": KEY, "topics": [TOPIC] }));
    let longest = "é".repeat(MAX_ECHO / 2);
    for challenge in ["0", "a b", "<script>alert(1)</script>", "+%2F=", "thử", &longest] {
        let answered = bench.send(&hub("subscribe", TOPIC, challenge));
        assert!(answered.is_answer("text/plain", challenge), "{challenge}: {answered:?}");
    }
    for challenge in ["", "a\nb", "a\r\nset-cookie: x=y", "a\0", "\u{7f}", &format!("{longest}a")] {
        assert!(is_not_found(&bench.send(&hub("subscribe", TOPIC, challenge))), "{challenge:?}");
    }
}

/// Where a token of our own is set, a hub has to give it back, and nothing opens without one that is usable.
#[test]
fn a_hub_gives_our_token_back() {
    let row = entry("websub").provider;
    let config =
        json!({ "secret": KEY, "topics": [TOPIC], "verify_token": ["throw-away token", "an older token"] });
    let bench = Bench::new(row, &config);
    let with = |token: &str| {
        let request = hub("subscribe", TOPIC, "a");
        Request { query: format!("{}&hub.verify_token={}", request.query, encoded(token)), ..request }
    };
    for token in ["throw-away token", "an older token"] {
        assert!(bench.send(&with(token)).is_answer("text/plain", "a"), "{token}");
    }
    for token in ["", " ", "throw-away", "throw-away token ", "THROW-AWAY TOKEN"] {
        assert!(is_not_found(&bench.send(&with(token))), "{token}");
    }
    assert!(is_not_found(&bench.send(&hub("subscribe", TOPIC, "a"))));
    for config in [
        json!({}),
        json!({ "secret": KEY }),
        json!({ "secret": KEY, "topics": [] }),
        json!({ "secret": KEY, "topics": [TOPIC, ""] }),
        json!({ "secret": KEY, "topics": {} }),
        json!({ "secret": "", "topics": [TOPIC] }),
        json!({ "secret": KEY, "topics": [TOPIC], "verify_token": "" }),
    ] {
        let answered = Bench::new(row, &config).send(&with(""));
        assert!(answered.is_fault(), "{config}: {answered:?}");
    }
}

/// A list of texts may be one text; white space around one is told where a person is.
#[test]
fn a_list_of_texts_is_read_leniently_and_judged_strictly() {
    let row = entry("websub").provider;
    let problems = |topics: Value| {
        let config = json!({ "secret": KEY, "topics": topics });
        let document = Document::read(row, &config.to_string()).expect("a JSON object");
        let weights: Vec<Weight> = document.problems().iter().map(|problem| problem.flaw.weight).collect();
        (document.endpoints()[0].texts("topics").to_vec(), weights)
    };
    assert_eq!(problems(TOPIC.into()), (vec![TOPIC.to_owned()], vec![]));
    assert_eq!(problems(json!([TOPIC, 7])), (vec![TOPIC.to_owned(), "7".to_owned()], vec![]));
    assert_eq!(problems(json!([" a"])), (vec![" a".to_owned()], vec![Weight::Mistake]));
    for bad in [json!([]), json!([""]), json!(["a", null]), json!([["a"]]), json!(true), json!("")] {
        assert_eq!(problems(bad.clone()), (vec![], vec![Weight::Fatal]), "{bad}");
    }
}

/// Every method of the specification, each under its own name only.
#[test]
fn a_hub_chooses_the_algorithm_and_names_it() {
    let bench = Bench::new(entry("websub").provider, &json!({ "secret": [OLD, KEY], "topics": [TOPIC] }));
    let body = "<feed xmlns=\"http://www.w3.org/2005/Atom\"><entry><id>a</id></entry></feed>";
    fn hmac<M: hmac::Mac + KeyInit>(body: &str) -> String {
        let mut mac = <M as KeyInit>::new_from_slice(KEY.as_bytes()).expect("a key of any length");
        mac.update(body.as_bytes());
        hex::encode(mac.finalize().into_bytes())
    }
    let tags = [
        ("sha1", hmac::<Hmac<Sha1>>(body)),
        ("sha256", hmac::<Hmac<Sha256>>(body)),
        ("sha384", hmac::<Hmac<sha2::Sha384>>(body)),
        ("sha512", hmac::<Hmac<sha2::Sha512>>(body)),
    ];
    for (named, _) in &tags {
        for (made, tag) in &tags {
            let request = Request::post("application/atom+xml", body)
                .header("X-Hub-Signature", &format!("{named}={tag}"));
            let answered = bench.send(&request);
            assert_eq!(answered.is_accepted(1), named == made, "{made} as {named}: {answered:?}");
            assert!(named == made || answered.is_refused());
        }
    }
}

/// An intercepted or foreign feed is cut, and what is no feed is one event; XML with a document type is kept as it is.
#[test]
fn a_topic_may_be_of_any_content() {
    let (row, config) = (entry("websub").provider, json!({ "secret": KEY, "topics": [TOPIC] }));
    let bench = Bench::new(row, &config);
    let entry = |id: &str| format!("<entry><id>{id}</id></entry>");
    let feed = |inner: &str| format!("<feed xmlns=\"http://www.w3.org/2005/Atom\">{inner}</feed>");
    let deleted = "<at:deleted-entry ref=\"yt:video:a\" when=\"2015-03-10T00:00:00+00:00\"/>";
    for (body, kinds) in [
        (feed(&entry("a")), vec!["entry"]),
        (feed(&[entry("a"), entry("b"), entry("a")].concat()), vec!["entry"; 3]),
        (feed(deleted), vec!["deleted-entry"]),
        (feed("<title>t</title>"), vec!["content"]),
        (r#"{"version":"https://jsonfeed.org/version/1.1","items":[]}"#.to_owned(), vec!["content"]),
        ("plain text".to_owned(), vec!["content"]),
        (format!("<!DOCTYPE feed [<!ENTITY a \"b\">]>{}", feed("&a;")), vec!["unreadable"]),
    ] {
        let answered =
            bench.send(&signed(row, &config, Request::post("application/atom+xml", body.as_str())));
        let found: Vec<String> =
            answered.envelopes().iter().map(|e| e["type"].as_str().expect("a type").to_owned()).collect();
        let expected: Vec<String> = kinds.iter().map(|kind| format!("org.w3.websub.{kind}")).collect();
        assert_eq!(found, expected, "{body}");
        let ids: BTreeSet<String> = answered.envelopes().iter().map(|e| e["id"].to_string()).collect();
        assert_eq!(ids.len(), kinds.len(), "{body}");
    }
}

/// HEAD is answered and does nothing, whatever it carries.
#[test]
fn a_head_probe_is_answered_and_nothing_more() {
    for config in [json!({}), json!({ "client_secret": KEY }), json!({ "endpoints": { "a": {} } })] {
        let bench = Bench::new(entry("intercom").provider, &config);
        for path in ["/", "/intercom", "/x/y"] {
            let head = Request { method: "HEAD".into(), ..Request::default() }.at(path);
            assert!(bench.send(&head).is_empty_200(), "{config} {path}");
            let with_body = Request { body: br#"{"topic":"ping"}"#.to_vec(), ..head };
            assert!(bench.send(&with_body).is_empty_200(), "{config} {path}");
        }
        let get = bench.send(&Request::get(""));
        assert_eq!((get.status, get.header("allow")), (405, Some("HEAD, POST")));
    }
}

/// Case 62: the signed probe is no event, and what has more in it is one.
#[test]
fn a_signed_probe_is_told_from_events() {
    let (row, config) = (entry("viber").provider, json!({ "auth_token": KEY }));
    let bench = Bench::new(row, &config);
    let send = |body: &Value| bench.send(&signed(row, &config, Request::post(JSON, body.to_string())));
    for body in [
        json!({ "event": "webhook", "timestamp": 1_457_764_197_627_i64, "message_token": 241_256_543_215_i64 }),
        json!({ "event": "webhook", "timestamp": 1, "chat_hostname": "SN-CHAT-05_", "message_token": 1 }),
        json!({ "event": "webhook" }),
    ] {
        assert!(send(&body).is_empty_200(), "{body}");
        assert!(bench.send(&Request::post(JSON, body.to_string())).is_refused(), "{body} unsigned");
    }
    for body in [
        json!({ "event": "webhook", "message": { "type": "text", "text": "pay" } }),
        json!({ "event": "webhook", "sender": { "id": "a" } }),
        json!({ "event": "webhook", "user_id": "a" }),
        json!({ "event": "Webhook" }),
        json!({ "event": ["webhook"] }),
        json!({ "events": "webhook" }),
    ] {
        assert!(send(&body).is_accepted(1), "{body}");
    }
    // Ids beyond 2^53 keep every digit.
    let body = r#"{"event":"delivered","message_token":4912661846655238145,"user_id":"a"}"#;
    let envelope = bench.send(&signed(row, &config, Request::post(JSON, body))).envelope();
    assert_eq!(envelope["id"], "delivered:4912661846655238145:a");
}

fn twilio_tag(key: &str, text: &str) -> String {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(text.as_bytes());
    BASE64_STANDARD.encode(mac.finalize().into_bytes())
}

/// Without the setting `url` what is signed is the host as AWS names it; what a client writes into headers counts for
/// nothing. (Case 100.)
#[test]
fn the_signed_url_is_not_taken_from_headers() {
    let row = entry("twilio").provider;
    let signed = |url: &str| {
        Request::post(FORM, "MessageSid=SM1&SmsStatus=received")
            .header("X-Twilio-Signature", &twilio_tag(KEY, &format!("{url}MessageSidSM1SmsStatusreceived")))
            .at("/hook")
    };
    let by_aws = Bench::new(row, &json!({ "auth_token": KEY }));
    let by_url =
        Bench::new(row, &json!({ "auth_token": KEY, "url": "https://hooks.example.com/hook?pasted=1" }));
    let ours = format!("https://{URL_HOST}/hook");
    assert!(by_aws.send(&signed(&ours)).is_accepted(1));
    assert!(by_aws.send(&signed(&format!("https://{URL_HOST}:443/hook"))).is_accepted(1));
    assert!(by_url.send(&signed("https://hooks.example.com/hook")).is_accepted(1), "the query is the call's");
    assert!(by_url.send(&signed(&ours)).is_refused());
    for (name, value) in [
        ("Host", "evil.example.com"),
        ("X-Forwarded-Host", "evil.example.com"),
        ("X-Forwarded-Proto", "http"),
        ("X-Forwarded-Port", "80"),
        ("X-Original-URL", "/hook"),
        ("Forwarded", "host=evil.example.com;proto=http"),
    ] {
        for url in [
            "https://evil.example.com/hook",
            "http://evil.example.com/hook",
            "https://evil.example.com:80/hook",
        ] {
            for bench in [&by_aws, &by_url] {
                assert!(bench.send(&signed(url).header(name, value)).is_refused(), "{name} {url}");
            }
        }
    }
    for url in [
        format!("http://{URL_HOST}/hook"),
        format!("https://{URL_HOST}:80/hook"),
        format!("https://{URL_HOST}:8443/hook"),
        format!("https://{URL_HOST}/hook/"),
        format!("https://{URL_HOST}/hook?"),
        format!("https://user@{URL_HOST}/hook"),
        URL_HOST.to_owned(),
        String::new(),
    ] {
        assert!(by_aws.send(&signed(&url)).is_refused(), "{url}");
    }
    for bad in ["hooks.example.com", "ftp://hooks.example.com", "//hooks.example.com"] {
        let bench = Bench::new(row, &json!({ "auth_token": KEY, "url": bad }));
        assert!(bench.send(&signed(&ours)).is_fault(), "{bad}");
    }
}

/// A body that is no form is covered by its digest alone: there must be one, it must be the body's, and only one.
#[test]
fn a_digest_covers_the_whole_body() {
    let row = entry("twilio").provider;
    let bench = Bench::new(row, &json!({ "auth_token": KEY, "url": "https://hooks.example.com/t" }));
    let sha256 = |body: &str| hex::encode(Sha256::digest(body));
    let send = |query: &str, body: &str, fields: &str| {
        let query_part = if query.is_empty() { String::new() } else { format!("?{query}") };
        let signature = twilio_tag(KEY, &format!("https://hooks.example.com/t{query_part}{fields}"));
        let request = Request::post(JSON, body).header("X-Twilio-Signature", &signature);
        bench.send(&Request { query: query.to_owned(), ..request })
    };
    let body = r#"{"EventType":"onMessageAdded","ConversationSid":"CH1"}"#;
    let digest = sha256(body);
    let sound = send(&format!("a=b&bodySHA256={digest}"), body, "");
    assert_eq!((sound.envelope()["assurance"].clone(), sound.status), ("signed".into(), 200));
    assert_eq!(sound.envelope()["idsource"], "digest");
    // Appended by the sender it stands last. Elsewhere it might be a piece of what a form was signed over.
    let elsewhere = send(&format!("bodySHA256={digest}&a=b"), body, "");
    assert_eq!(elsewhere.envelope()["assurance"], "signed-fields");
    for (query, sent, fields) in [
        (String::new(), body, ""),
        (String::new(), body, body),
        (format!("bodySHA256={}", sha256("{}")), body, ""),
        (format!("bodySHA256={}", digest.to_uppercase()), body, ""),
        (format!("bodySHA256={}", &digest[..63]), body, ""),
        (format!("bodySHA256={digest}0"), body, ""),
        ("bodySHA256=".to_owned(), body, ""),
        ("bodySHA256".to_owned(), body, ""),
        (format!("bodysha256={digest}"), body, ""),
        (format!("bodySHA256={digest}&bodySHA256={digest}"), body, ""),
        (format!("bodySHA256={digest}&bodySHA256=x"), body, ""),
        (format!("bodySHA256={digest}&body%53HA256=x"), body, ""),
        (format!("bodySHA256={digest}"), "", ""),
        (format!("bodySHA256={digest}&x=%ff"), body, ""),
        (String::new(), "", ""),
        (String::new(), "[]", "[]"),
        (String::new(), " {}", "{}"),
    ] {
        let answered = send(&query, sent, fields);
        assert!(answered.is_refused(), "{query} {sent}: {answered:?}");
    }
}

/// Fields are signed without borders. Whoever divides them in another way is let in and called what he is worth: nothing
/// that was seen before is dropped for it.
#[test]
fn what_is_signed_without_borders_says_so() {
    let (row, config) =
        (entry("twilio").provider, json!({ "auth_token": KEY, "url": "https://hooks.example.com/t" }));
    let bench = Bench::new(row, &config);
    let genuine = signed(row, &config, Request::post(FORM, "MessageSid=SM1&SmsStatus=received"))
        .header("I-Twilio-Idempotency-Token", "t-1");
    let shifted = Request { body: b"MessageSidS=M1&SmsStatus=received".to_vec(), ..genuine.clone() };
    let [one, other] = [&genuine, &shifted].map(|request| bench.send(request).events.remove(0));
    for event in [&one, &other] {
        let envelope: Value = serde_json::from_str(event.text()).expect("JSON");
        assert_eq!(
            (&envelope["assurance"], &envelope["idsource"]),
            (&"signed-fields".into(), &"header".into())
        );
        assert_eq!(envelope["id"], "t-1");
    }
    assert_ne!(one.identity(), other.identity(), "a repeated token on another body is another event");
    // By GET the query is the event, and no body may stand beside it.
    let get = signed(row, &config, Request::get("CallSid=CA1&CallStatus=ringing&To=%2B1+2"));
    let envelope = bench.send(&get).envelope();
    assert_eq!(envelope["data"], json!({ "CallSid": "CA1", "CallStatus": "ringing", "To": "+1 2" }));
    assert_eq!(
        (&envelope["type"], &envelope["assurance"]),
        (&"com.twilio.call.ringing".into(), &"signed-fields".into())
    );
    assert!(bench.send(&Request { body: b"CallStatus=completed".to_vec(), ..get.clone() }).is_refused());
    assert!(bench.send(&Request { method: "POST".into(), ..get.clone() }).is_refused());
    assert!(
        bench
            .send(&Request { query: "CallSid=CA1&CallStatus=ringing&To=%2B1%202".into(), ..get })
            .is_refused()
    );
}

/// The answer is one that the provider understands, and comes only after the queue has the event.
#[test]
fn an_answer_is_what_the_provider_understands() {
    let (row, config) = (entry("twilio").provider, json!({ "auth_token": KEY }));
    let answered = Bench::new(row, &config).send(&signed_at_aws(KEY, "MessageSid=SM1", "MessageSidSM1"));
    assert_eq!(answered.body, r#"<?xml version="1.0" encoding="UTF-8"?><Response></Response>"#);
    assert_eq!(answered.header("content-type"), Some("text/xml"));

    let row = entry("msteams").provider;
    let key = BASE64_STANDARD.encode(KEY);
    for (reply_text, expected) in [
        (None, json!({ "type": "message" })),
        (Some("Đã nhận"), json!({ "type": "message", "text": "Đã nhận" })),
        (Some("a \"b\" \\ <c>"), json!({ "type": "message", "text": "a \"b\" \\ <c>" })),
    ] {
        let mut config = json!({ "security_token": key });
        if let Some(text) = reply_text {
            config["reply_text"] = text.into();
        }
        let bench = Bench::new(row, &config);
        let request = signed(row, &config, Request::post(JSON, r#"{"type":"message","id":"1"}"#));
        let answered = bench.send(&request);
        assert_eq!(serde_json::from_str::<Value>(&answered.body).expect("JSON"), expected);
        assert_eq!(answered.header("content-type"), Some(JSON));
        // The signature stands where others have credentials: it is in no envelope.
        assert!(!answered.envelope().to_string().contains(&request.headers.last().expect("a header").1[5..]));
        // Nothing at all is signed rightly and is nothing.
        let empty = format!("HMAC {}", BASE64_STANDARD.encode(tag(KEY, "")));
        assert!(bench.send(&Request::post(JSON, "").header("Authorization", &empty)).is_refused());
    }
}

fn signed_at_aws(key: &str, body: &str, fields: &str) -> Request {
    let signature = twilio_tag(key, &format!("https://{URL_HOST}/{fields}"));
    Request::post(FORM, body).header("X-Twilio-Signature", &signature)
}

/// One pair of user name and password; a password may have colons, and what is half configured is our fault.
#[test]
fn a_password_opens_and_nothing_else_does() {
    let row = entry("postmark").provider;
    let basic = |pair: &str| format!("Basic {}", BASE64_STANDARD.encode(pair));
    let send = |config: &Value, value: &str| {
        let request = Request::post(JSON, r#"{"RecordType":"Delivery","MessageID":"m"}"#);
        Bench::new(row, config).send(&request.header("Authorization", value))
    };
    for config in [
        json!({ "basic_auth": { "username": "user", "password": "pass:word" } }),
        json!({ "basic_auth": { "user": "user", "password": "pass:word" } }),
    ] {
        let answered = send(&config, &basic("user:pass:word"));
        assert_eq!(answered.envelope()["assurance"], "basic");
        assert!(send(&config, &basic("user:pass:word").replacen("Basic", "BASIC", 1)).is_accepted(1));
        for value in [
            "user:pass:word".to_owned(),
            basic("user:pass"),
            basic("user:pass:word "),
            basic("User:pass:word"),
            basic(":pass:word"),
            basic("user:"),
            basic("user"),
            basic(""),
            basic("user:pass:word").replacen("Basic ", "Basic", 1),
            basic("user:pass:word").replacen("Basic ", "Basic  ", 1),
            basic("user:pass:word").replacen("Basic", "Bearer", 1),
            basic("user:pass:word").trim_end_matches('=').to_owned() + "\n",
            format!("Basic {}", "A".repeat(10_000)),
            String::new(),
        ] {
            assert!(send(&config, &value).is_refused(), "{value}");
        }
    }
    for bad in [
        json!({}),
        json!({ "username": "user" }),
        json!({ "password": "word" }),
        json!({ "username": "", "password": "word" }),
        json!({ "username": "user", "password": " " }),
        json!({ "username": "us:er", "password": "word" }),
        json!({ "username": "user", "user": "user", "password": "word" }),
        json!({ "username": "user", "password": ["word"] }),
        json!({ "username": "user", "password": "word", "realm": "x" }),
        json!("user:word"),
    ] {
        let config = json!({ "basic_auth": bad });
        for value in [basic("user:word"), basic(":"), basic("user:"), basic(":word")] {
            assert!(send(&config, &value).is_fault(), "{config} {value}");
        }
    }
    assert!(send(&json!({}), &basic("user:word")).is_fault());
}
