//! What is answered without an event: only to whom it may concern, only in a short and inert form, and never queued.

use super::support::{Answered, Bench, entry, signed};
use crate::event::Request;
use serde_json::{Value, json};
use shared::gate::Why;
use shared::handshake::{MAX_CHALLENGE, MAX_ECHO};

const TOKEN: &str = "throw-away verify token";
const KEY: &str = "throw-away key of the test, 32 b";

fn facebook() -> Bench {
    Bench::new(
        entry("facebook").provider,
        &json!({ "app_secret": KEY, "verify_token": [TOKEN, "an older one"] }),
    )
}

fn subscribe(token: &str, challenge: &str) -> Request {
    let encode = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    Request::get(&format!(
        "hub.mode=subscribe&hub.challenge={}&hub.verify_token={}",
        encode(challenge),
        encode(token)
    ))
}

/// Whether it is a text given back that a browser takes for nothing else.
fn is_echo(answered: &Answered, text: &str) -> bool {
    answered.is_answer("text/plain", text)
}

fn is_forbidden(answered: &Answered) -> bool {
    answered.status == 403
        && answered.body.is_empty()
        && answered.headers.is_empty()
        && answered.events.is_empty()
}

/// Case 52.
#[test]
fn a_verify_token_opens_and_nothing_else_does() {
    let bench = facebook();
    assert!(is_echo(&bench.send(&subscribe(TOKEN, "1158201444")), "1158201444"));
    assert!(is_echo(&bench.send(&subscribe("an older one", "1")), "1"));
    let encoded = TOKEN.replace(' ', "%20");
    let in_another_order = format!("hub.verify_token={encoded}&x=y&hub.challenge=42&hub.mode=subscribe");
    assert!(is_echo(&bench.send(&Request::get(&in_another_order)), "42"));
    for query in [
        String::new(),
        format!("hub.challenge=1&hub.verify_token={encoded}"),
        format!("hub.mode=unsubscribe&hub.challenge=1&hub.verify_token={encoded}"),
        format!("hub.mode=SUBSCRIBE&hub.challenge=1&hub.verify_token={encoded}"),
        format!("hub.mode=subscribe&hub.verify_token={encoded}"),
        "hub.mode=subscribe&hub.challenge=1".into(),
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=".into(),
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token".into(),
        "hub.mode=subscribe&hub.challenge=1&hub.verify_token=wrong".into(),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={encoded}x"),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={}", &encoded[..encoded.len() - 1]),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={}", encoded.to_uppercase()),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={encoded}%00"),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={encoded}%ff"),
        format!("hub_mode=subscribe&hub_challenge=1&hub_verify_token={encoded}"),
    ] {
        let answered = bench.send(&Request::get(&query));
        assert!(is_forbidden(&answered), "{query}: {answered:?}");
    }
    // The token opens nothing but the handshake: an event needs the signature.
    let event = Request { method: "POST".into(), body: b"{}".to_vec(), ..subscribe(TOKEN, "1") };
    assert!(bench.send(&event).is_refused());
}

/// Case 54: of two values two readers may see two.
#[test]
fn a_parameter_that_stands_twice_opens_nothing() {
    let bench = facebook();
    let token = TOKEN.replace(' ', "+");
    for query in [
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token=bad&hub.verify_token={token}"),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}&hub.verify_token=bad"),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}&hub.verify_token={token}"),
        format!("hub.mode=subscribe&hub.challenge=1&hub.verify_token={token}&hub.verify%5Ftoken=bad"),
        format!("hub.mode=subscribe&hub.challenge=1&hub.challenge=2&hub.verify_token={token}"),
        format!("hub.mode=subscribe&hub.mode=x&hub.challenge=1&hub.verify_token={token}"),
    ] {
        let answered = bench.send(&Request::get(&query));
        assert!(is_forbidden(&answered), "{query}: {answered:?}");
    }
}

/// Case 53: what is given back is short and means nothing to a browser.
#[test]
fn a_challenge_is_short_and_inert_or_refused() {
    let bench = facebook();
    let longest = "a".repeat(MAX_CHALLENGE);
    for challenge in ["0", "1158201444", "a-b_c.d=", "3eZbrw1aBm2rZgRNFdxV", &longest] {
        assert!(is_echo(&bench.send(&subscribe(TOKEN, challenge)), challenge), "{challenge}");
    }
    for challenge in [
        "",
        " ",
        "<script>alert(1)</script>",
        "\"><svg onload=alert(1)>",
        "a b",
        "a\nb",
        "a\r\nset-cookie: x=y",
        "a\0",
        "é",
        "{\"a\":1}",
        "a,b",
        "v0:1700000000:{}",
        "a&b",
        "+ADw-script+AD4-",
        &format!("{longest}a"),
        &"9".repeat(100_000),
    ] {
        let answered = bench.send(&subscribe(TOKEN, challenge));
        assert!(is_forbidden(&answered), "{challenge:?}: {answered:?}");
    }
}

/// Cases 36 and 52: without a token of ours nobody is let in, and it is our fault.
#[test]
fn a_handshake_without_a_configured_token_is_our_fault() {
    for config in [
        json!({}),
        json!({ "app_secret": KEY }),
        json!({ "app_secret": KEY, "verify_token": "" }),
        json!({ "app_secret": KEY, "verify_token": "  " }),
        json!({ "app_secret": KEY, "verify_token": [] }),
        json!({ "app_secret": KEY, "verify_token": ["", " "] }),
        json!({ "app_secret": KEY, "verify_token": {} }),
        json!({ "app_secret": KEY, "verify_token": null }),
    ] {
        let bench = Bench::new(entry("facebook").provider, &config);
        for token in ["", TOKEN, " "] {
            let answered = bench.send(&subscribe(token, "1"));
            assert!(answered.is_fault(), "{config} {token:?}: {answered:?}");
        }
    }
    // An empty value beside a sound one does not open the door to the empty token.
    let bench =
        Bench::new(entry("facebook").provider, &json!({ "app_secret": KEY, "verify_token": ["", TOKEN] }));
    assert!(is_forbidden(&bench.send(&subscribe("", "1"))));
    assert!(is_echo(&bench.send(&subscribe(TOKEN, "1")), "1"));
}

/// Each endpoint has a token of its own.
#[test]
fn a_verify_token_opens_its_own_endpoint_only() {
    let config = json!({ "endpoints": {
        "a": { "app_secret": KEY, "verify_token": "throw-away token of a" },
        "b": { "app_secret": KEY, "verify_token": "throw-away token of b" },
    }});
    let bench = Bench::new(entry("facebook").provider, &config);
    assert!(is_echo(&bench.send(&subscribe("throw-away token of a", "1").at("/a")), "1"));
    assert!(is_echo(&bench.send(&subscribe("throw-away token of b", "1").at("/x/b")), "1"));
    for (token, path) in [("a", "/b"), ("b", "/a"), ("a", "/"), ("a", "/c"), ("a", "/a/c")] {
        let answered = bench.send(&subscribe(&format!("throw-away token of {token}"), "1").at(path));
        assert!(is_forbidden(&answered), "{token} at {path}: {answered:?}");
    }
}

fn slack(body: impl Into<Vec<u8>>, content_type: &str) -> Request {
    signed(entry("slack").provider, &json!({ "signing_secret": KEY }), Request::post(content_type, body))
}

fn slack_bench() -> Bench {
    Bench::new(entry("slack").provider, &json!({ "signing_secret": KEY }))
}

/// Case 58: signed, the challenge is given back and nothing else of the body; unsigned, it is a forgery.
#[test]
fn a_signed_challenge_is_echoed_and_an_unsigned_one_refused() {
    let bench = slack_bench();
    let body = json!({ "token": "old", "challenge": "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd", "type": "url_verification" });
    let request = slack(body.to_string(), "application/json");
    assert!(is_echo(&bench.send(&request), "3eZbrw1aBm2rZgRNFdxV2595E9CY3gmd"));
    let mut unsigned = request.clone();
    unsigned.headers.retain(|(name, _)| name.eq_ignore_ascii_case("content-type"));
    assert!(bench.send(&unsigned).is_refused());
    let mut forged = request;
    forged.body = json!({ "token": "old", "challenge": "x", "type": "url_verification" }).to_string().into();
    assert!(bench.send(&forged).is_refused());
    let mut other_secret = slack(body.to_string(), "application/json");
    other_secret.headers.retain(|(name, _)| name != "x-slack-signature");
    assert!(bench.send(&other_secret).is_refused());
}

/// Cases 58 and 62: what merely looks like a challenge is an event, and what would not be inert is queued, not echoed.
#[test]
fn an_event_that_looks_like_a_challenge_is_queued() {
    let bench = slack_bench();
    let with =
        |challenge: Value| json!({ "token": "old", "challenge": challenge, "type": "url_verification" });
    for body in [
        with("<script>alert(1)</script>".into()),
        with("".into()),
        with("a".repeat(MAX_CHALLENGE + 1).into()),
        with("a\nb".into()),
        with(json!({})),
        with(Value::Null),
        json!({ "type": "url_verification" }),
        json!({ "type": "url_verification", "challenge": "abc", "event_id": "Ev1" }),
        json!({ "type": "event_callback", "challenge": "abc", "token": "old" }),
        json!({ "challenge": "abc" }),
    ] {
        let answered = bench.send(&slack(body.to_string(), "application/json"));
        assert!(answered.is_accepted(1), "{body}: {answered:?}");
        assert!(answered.body.is_empty() && answered.headers.is_empty(), "{body}");
        assert_eq!(answered.envelope()["data"], body);
    }
    // Two challenges: which one would be given back?
    let twice = r#"{"type":"url_verification","challenge":"a","challenge":"b"}"#;
    assert!(bench.send(&slack(twice, "application/json")).is_accepted(1));
}

/// `ssl_check` is the one unsigned call that Slack is answered, and no way around the signature.
#[test]
fn a_probe_of_a_flag_is_no_bypass() {
    let bench = slack_bench();
    let form = |body: &str| Request::post("application/x-www-form-urlencoded", body);
    for body in ["ssl_check=1", "ssl_check=1&token=xyzz0WbapA4vBCDEFasx0q6G", "token=a&ssl_check=1"] {
        assert!(bench.send(&form(body)).is_empty_200(), "{body}");
        assert!(bench.send(&Request::get(body)).is_empty_200(), "{body} by GET");
    }
    for body in [
        "ssl_check=1&command=%2Fpay&text=100",
        "command=%2Fpay&ssl_check=1",
        "ssl_check=1&payload=%7B%7D",
        "payload=%7B%7D&ssl_check=1",
        "ssl_check=0",
        "ssl_check=",
        "ssl_check",
        "ssl_check=2",
        "SSL_CHECK=1",
        "token=a",
        "",
        &format!("ssl_check=1&token={}", "a".repeat(5000)),
        r#"{"ssl_check":1}"#,
    ] {
        let answered = bench.send(&form(body));
        assert!(answered.is_refused(), "{body}: {answered:?}");
    }
    // In the query of a POST it is no probe, and the body still needs its signature.
    let in_query = Request { query: "ssl_check=1".into(), ..form("command=%2Fpay") };
    assert!(bench.send(&in_query).is_refused());
    // Signed and with further fields it is an event like any other.
    let answered = bench.send(&slack("ssl_check=1&command=%2Fpay", "application/x-www-form-urlencoded"));
    assert!(answered.is_accepted(1), "{answered:?}");
    assert_eq!(answered.envelope()["type"], "com.slack.command.pay");
    // A GET that is no probe is no way to call Slack's endpoint.
    for query in ["", "ssl_check=0", "ssl_check=1&command=%2Fpay"] {
        let answered = bench.send(&Request::get(query));
        assert_eq!((answered.status, answered.header("allow")), (405, Some("GET, POST")), "{query}");
        assert!(answered.events.is_empty());
    }
}

/// Zalo probes a URL before anybody knows its key, so neither settings nor a signature may be asked for.
#[test]
fn an_empty_probe_is_answered_and_nothing_more() {
    let complete = json!({ "app_id": "360846524940903967", "oa_secret_key": KEY });
    for config in [json!({}), complete.clone(), json!({ "endpoints": { "a": {} } })] {
        let bench = Bench::new(entry("zalo").provider, &config);
        for body in ["", "{}", " {}\r\n", "\n"] {
            assert!(bench.send(&Request::post("application/json", body)).is_empty_200(), "{config} {body:?}");
        }
    }
    let bench = Bench::new(entry("zalo").provider, &complete);
    for body in ["{ }x", "[]", "null", "{}{}", r#"{"event_name":"follow"}"#, r#"{"":""}"#] {
        let answered = bench.send(&Request::post("application/json", body));
        assert!(answered.is_refused(), "{body}: {answered:?}");
    }
    // Without a key an event is our fault, and comes again.
    let unset = Bench::new(entry("zalo").provider, &json!({}));
    assert!(unset.send(&Request::post("application/json", r#"{"event_name":"follow"}"#)).is_fault());
}

/// A challenge in a header is not signed itself: only a signed call has it back, and only where it is inert.
#[test]
fn a_challenge_in_a_header_is_echoed_to_a_signed_call_only() {
    let config = json!({ "signing_key": KEY });
    let row = entry("front").provider;
    let bench = Bench::new(row, &config);
    let sync = |body: &str| Request::post("application/json", body);
    let with =
        |body: &str, challenge: &str| signed(row, &config, sync(body)).header("X-Front-Challenge", challenge);
    let body = r#"{"type":"sync","authorization":{"id":"cmp_abc"}}"#;
    assert!(is_echo(
        &bench.send(&with(body, "cNNndYHMbtkfFsA8pZKwB6czFjRzmVh7")),
        "cNNndYHMbtkfFsA8pZKwB6czFjRzmVh7"
    ));
    assert!(bench.send(&sync(body).header("X-Front-Challenge", "abc")).is_refused());
    assert_eq!(bench.send(&Request::get("").header("X-Front-Challenge", "abc")).status, 405);
    for request in [
        signed(row, &config, sync(body)),
        with(body, "<script>alert(1)</script>"),
        with(body, &"a".repeat(MAX_CHALLENGE + 1)),
        with(r#"{"type":"tag_added"}"#, "abc"),
        with(r#"{"type":"sync","type":"sync"}"#, "abc"),
        with("sync", "abc"),
    ] {
        let answered = bench.send(&request);
        assert!(answered.is_accepted(1) && answered.body.is_empty(), "{answered:?}");
    }
}

/// A signed call without events is none; with anything else in it, it is one.
#[test]
fn an_empty_batch_is_answered_only_when_signed() {
    let config = json!({ "channel_secret": KEY });
    let row = entry("line").provider;
    let bench = Bench::new(row, &config);
    let post = |body: &str| Request::post("application/json", body);
    for body in [r#"{"destination":"U1","events":[]}"#, r#"{"events":[]}"#, r#" { "events" : [ ] } "#] {
        assert!(bench.send(&signed(row, &config, post(body))).is_empty_200(), "{body}");
        assert!(bench.send(&post(body)).is_refused(), "{body} without a signature");
    }
    for body in [
        "",
        "{}",
        "[]",
        r#"{"destination":"U1"}"#,
        r#"{"events":{}}"#,
        r#"{"events":null}"#,
        r#"{"events":"[]"}"#,
        r#"{"events":[],"events":[]}"#,
        r#"{"events":[],"more":1}"#,
        r#"{"events":[{}]}"#,
        r#"{"events":[]"#,
    ] {
        let answered = bench.send(&signed(row, &config, post(body)));
        assert!(answered.is_accepted(1), "{body}: {answered:?}");
    }
}

const SITE: &str = "ThrowAway-Token_000000000000000000";

/// The pages by which Zalo sees whose host it is.
#[test]
fn the_page_of_the_configured_token_is_shown() {
    let zalo = |config: Value| Bench::new(entry("zalo").provider, &config);
    let base = json!({ "app_id": "360846524940903967", "oa_secret_key": KEY });
    let mut config = base.clone();
    config["site_verification"] = SITE.into();
    let bench = zalo(config.clone());
    let file = format!("/zalo_verifier{SITE}.html");
    for path in [file.clone(), format!("/prod{file}")] {
        let answered = bench.send(&Request::get("").at(&path));
        assert_eq!((answered.status, answered.why), (200, Why::Handshake), "{path}");
        assert_eq!(answered.header("content-type"), Some("text/html; charset=utf-8"));
        assert_eq!(answered.header("x-content-type-options"), Some("nosniff"));
        let tag = format!("<meta property=\"zalo-platform-site-verification\" content=\"{SITE}\" />");
        assert!(answered.body.contains(&tag), "{}", answered.body);
        assert!(answered.body.contains("There Is No Limit To What You Can Accomplish Using Zalo!"));
        assert!(answered.events.is_empty());
    }
    let root = bench.send(&Request::get(""));
    assert!(
        root.body.contains(&format!("<meta name=\"zalo-platform-site-verification\" content=\"{SITE}\" />"))
    );
    for path in [
        "/zalo_verifier.html".to_owned(),
        format!("/zalo_verifier{SITE}x.html"),
        format!("/zalo_verifier{}.html", SITE.to_lowercase()),
        "/zalo_verifier<script>.html".into(),
        "/zalo_verifier%3Cscript%3E.html".into(),
    ] {
        let answered = bench.send(&Request::get("").at(&path));
        assert_eq!(answered.status, 405, "{path}: {answered:?}");
        assert!(answered.events.is_empty() && answered.body.is_empty(), "{path}");
    }
    // The name of the whole file in place of the token is understood; a text that is not inert is never shown.
    let mut whole = base.clone();
    whole["site_verification"] = format!("zalo_verifier{SITE}.html").into();
    assert_eq!(zalo(whole).send(&Request::get("").at(&file)).status, 200);
    let mut hostile = base.clone();
    hostile["site_verification"] = "\"><script>".into();
    assert_eq!(zalo(hostile).send(&Request::get("")).status, 405);
    assert_eq!(zalo(base).send(&Request::get("").at(&file)).status, 405);
    // It is shown before the key is known, and of several endpoints each can be asked for.
    assert_eq!(zalo(json!({ "site_verification": SITE })).send(&Request::get("").at(&file)).status, 200);
    let several = zalo(json!({ "endpoints": { "a": { "site_verification": SITE }, "b": {} } }));
    assert_eq!(several.send(&Request::get("").at(&file)).status, 200);
    assert_eq!(several.send(&Request::get("").at("/a")).status, 200);
    assert_eq!(several.send(&Request::get("").at("/b")).status, 405);
}

const PAIR: &str = "throw_away_public_key";

fn braintree() -> Bench {
    Bench::new(entry("braintree").provider, &json!({ "public_key": PAIR, "private_key": KEY }))
}

fn challenge(text: &str) -> Request {
    Request::get(&form_urlencoded::Serializer::new(String::new()).append_pair("bt_challenge", text).finish())
}

fn notification(signature: &str, payload: &str) -> Request {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("bt_signature", signature).append_pair("bt_payload", payload);
    Request::post("application/x-www-form-urlencoded", form.finish())
}

/// Case 57: what is signed for strangers is short hex and nothing else.
#[test]
fn a_challenge_is_signed_if_it_is_short_hex() {
    let bench = braintree();
    for text in ["20f9f8ed05f77439fe955c977e4c8a53", &"0".repeat(20), &"f".repeat(32)] {
        let answered = bench.send(&challenge(text));
        let (name, tag) = answered.body.split_once('|').expect("a pair");
        assert_eq!((name, tag.len()), (PAIR, 40), "{text}");
        assert!(is_echo(&answered, &answered.body), "{text}: {answered:?}");
    }
    // The published one, by the keys that it was published with.
    let published =
        json!({ "public_key": "integration_public_key", "private_key": "integration_private_key" });
    let answered = Bench::new(entry("braintree").provider, &published)
        .send(&challenge("20f9f8ed05f77439fe955c977e4c8a53"));
    assert_eq!(answered.body, "integration_public_key|d9b899556c966b3f06945ec21311865d35df3ce4");
    let event = "PG5vdGlmaWNhdGlvbj48L25vdGlmaWNhdGlvbj4=";
    for text in [
        "",
        "0",
        &"0".repeat(19),
        &"0".repeat(33),
        &"0".repeat(100_000),
        &"A".repeat(20),
        "20F9F8ED05F77439FE955C977E4C8A53",
        "20f9f8ed05f77439fe955c977e4c8a53\n",
        "\n20f9f8ed05f77439fe955c977e4c8a53",
        "20f9f8ed05f77439fe95\n5c977e4c8a53",
        "20f9f8ed05f77439fe955c977e4c8a5g",
        "20f9f8ed05f77439fe955c977e4c8a5 ",
        "20f9f8ed05f77439fe955c977e4c8a5é",
        "PG5vdGlmaWNhdGlvbj4K",
        event,
        &format!("{event}\n"),
    ] {
        let answered = bench.send(&challenge(text));
        assert!(answered.is_refused(), "{text:?}: {answered:?}");
    }
    let hex = "20f9f8ed05f77439fe955c977e4c8a53";
    for query in [
        String::new(),
        "bt_challenge".into(),
        format!("BT_CHALLENGE={hex}"),
        format!("bt_challenge={hex}&bt_challenge={hex}"),
        format!("bt_challenge={hex}&bt%5Fchallenge=0"),
        format!("bt_payload={hex}"),
        format!("bt_challenge={hex}%ff"),
    ] {
        assert!(bench.send(&Request::get(&query)).is_refused(), "{query}");
    }
    // A POST with the same query is an event, which has to be signed.
    let post = Request { method: "POST".into(), ..challenge(hex) };
    assert!(bench.send(&post).is_refused());
}

/// Case 57: the endpoint signs challenges for anybody, so what is signed as one opens nothing, though its MAC is valid.
#[test]
fn a_signed_challenge_is_no_event() {
    let bench = braintree();
    let config = json!({ "public_key": PAIR, "private_key": KEY });
    for len in [20, 24, 28, 31, 32] {
        let text = "0123456789abcdef".repeat(2)[..len].to_owned();
        let answer = bench.send(&challenge(&text)).body;
        for payload in [
            text.clone(),
            format!("{text}\n"),
            format!("\n{text}"),
            format!("{}\n{}", &text[..9], &text[9..]),
        ] {
            let answered = bench.send(&notification(&answer, &payload));
            assert!(answered.is_refused(), "{payload:?}: {answered:?}");
            // Signed as it stands, by whoever has the key and is careless, it is refused all the same.
            let draft = notification("", &payload);
            let answered = bench.send(&signed(entry("braintree").provider, &config, draft));
            assert!(answered.is_refused(), "{payload:?}: {answered:?}");
        }
    }
    // It is the shape alone: what no endpoint signs for strangers is let in, even if nobody can read it.
    for payload in
        ["0".repeat(19), "0".repeat(36), "A".repeat(32), format!("{}=", "0".repeat(31)), "+".repeat(24)]
    {
        let request = signed(entry("braintree").provider, &config, notification("", &payload));
        let answered = bench.send(&request);
        assert!(answered.is_accepted(1), "{payload}: {answered:?}");
        assert_eq!(answered.envelope()["type"], "com.braintreepayments.unreadable");
        // And its signature is of no use for another payload.
        let fields: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
        let stolen = fields.iter().find(|(name, _)| name == "bt_signature").expect("signed");
        assert!(bench.send(&notification(&stolen.1, "PG5vdGlmaWNhdGlvbj4=")).is_refused());
    }
}

/// Case 57: each endpoint signs with its own key, and none without one.
#[test]
fn a_challenge_is_signed_by_its_own_endpoint() {
    let hex = "20f9f8ed05f77439fe955c977e4c8a53";
    let config = json!({ "endpoints": {
        "a": { "public_key": "a_key", "private_key": "throw-away private key of a" },
        "b": { "public_key": "b_key", "private_key": ["throw-away private key of b", "an older one of b"] },
        "c": { "public_key": "c_key" },
        "d": { "private_key": "throw-away private key of d" },
    }});
    let bench = Bench::new(entry("braintree").provider, &config);
    let at = |path: &str| bench.send(&challenge(hex).at(path));
    assert!(at("/a").body.starts_with("a_key|") && at("/x/b").body.starts_with("b_key|"));
    assert_ne!(at("/a").body[5..], at("/b").body[5..]);
    assert!(at("/").is_refused() && at("/e").is_refused());
    assert!(at("/c").is_fault() && at("/d").is_fault());
    assert!(Bench::new(entry("braintree").provider, &json!({})).send(&challenge(hex)).is_fault());
}

fn msgraph() -> Bench {
    Bench::new(entry("msgraph").provider, &json!({ "client_state": [KEY, "throw-away state, older"] }))
}

/// As Graph sends it: a text that nobody promised to be inert, in the query of a POST without a body.
fn validation(encoded: &str) -> Request {
    let query = format!("validationToken={encoded}");
    Request { query, ..Request::post("text/plain; charset=utf-8", "") }
}

fn is_echo_of_any(answered: &Answered, text: &str) -> bool {
    let headers: Vec<_> = answered.headers.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
    let expected = [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
    ];
    let is_echo = answered.status == 200 && answered.body == text && answered.why == Why::Handshake;
    is_echo && headers == expected && answered.events.is_empty()
}

/// Case 60: decoded once, as a form is, and nothing but text.
#[test]
fn a_token_in_the_query_is_echoed_decoded_once() {
    let bench = msgraph();
    let longest = "é".repeat(MAX_ECHO / 2);
    let encoded = form_urlencoded::byte_serialize(longest.as_bytes()).collect::<String>();
    for (query, text) in [
        ("abc", "abc"),
        ("Validation%3a+Testing+client+application", "Validation: Testing client application"),
        ("a+b", "a b"),
        ("a%2Bb", "a+b"),
        ("a%20b", "a b"),
        ("100%25", "100%"),
        ("%2525", "%25"),
        ("a%252Bb", "a%2Bb"),
        ("%253Cb%253E", "%3Cb%3E"),
        ("Nguy%E1%BB%85n%20%F0%9F%8E%89", "Nguyễn 🎉"),
        ("%3Cscript%3Ealert(1)%3C/script%3E", "<script>alert(1)</script>"),
        ("a%26b%3Dc%23d", "a&b=c#d"),
        ("%ZZ%", "%ZZ%"),
        ("{\"value\":[]}", "{\"value\":[]}"),
        (&encoded, &longest),
    ] {
        let answered = bench.send(&validation(query));
        assert!(is_echo_of_any(&answered, text), "{query}: {answered:?}");
    }
    // Beside what the subscriber's URL has of its own, in a path of its own, with the body's white space.
    let mut request = validation("x").at("/lifecycle");
    request.query = "tenant=a&validationToken=x&code=%2B".into();
    request.body = b" \r\n".to_vec();
    assert!(is_echo_of_any(&bench.send(&request), "x"));
}

#[test]
fn a_token_that_is_not_inert_or_not_one_is_refused() {
    let bench = msgraph();
    for query in [
        "",
        "a%0D%0Aset-cookie:%20x=y",
        "a%00",
        "%1b%5B31m",
        "a%7F",
        "a%C2%85",
        "%09",
        "%ff",
        "%ED%A0%80",
        "a&validationToken=a",
        "a&validation%54oken=b",
        &"a".repeat(MAX_ECHO + 1),
        &"a".repeat(100_000),
    ] {
        let answered = bench.send(&validation(query));
        assert!(answered.is_refused(), "{query}: {answered:?}");
    }
    for query in ["", "validationtoken=a", "ValidationToken=a", "x=validationToken", "validationTokens=a"] {
        let request = Request { query: query.into(), ..validation("") };
        assert!(bench.send(&request).is_refused(), "{query}");
    }
    let get = Request { method: "GET".into(), ..validation("a") };
    assert_eq!(bench.send(&get).status, 405);
}

/// Case 62: an event is one whatever its query says, and a query that asks for an echo opens nothing.
#[test]
fn an_event_with_a_token_in_its_query_is_no_handshake() {
    let bench = msgraph();
    let body =
        |state: &str| json!({ "value": [{ "changeType": "created", "clientState": state }] }).to_string();
    for before in ["", " \n", "\u{feff}"] {
        let with = |state: &str| Request {
            query: "validationToken=abc".into(),
            ..Request::post("text/plain; charset=utf-8", format!("{before}{}", body(state)))
        };
        let answered = bench.send(&with(KEY));
        assert!(answered.is_accepted(1) && answered.body.is_empty(), "{answered:?}");
        assert!(bench.send(&with("throw-away guess")).is_refused());
    }
    for body in ["[]", "{}", "{\"value\":[]}"] {
        let request = Request { body: body.into(), ..validation("abc") };
        assert!(bench.send(&request).is_refused(), "{body}");
    }
}

/// A subscription must not be made for an endpoint that will refuse its events.
#[test]
fn a_token_is_echoed_where_events_are_served_only() {
    let config =
        json!({ "endpoints": { "a": { "client_state": KEY }, "b": {}, "c": { "client_state": "" } } });
    let bench = Bench::new(entry("msgraph").provider, &config);
    let at = |path: &str| bench.send(&validation("abc").at(path));
    assert!(is_echo_of_any(&at("/a"), "abc") && is_echo_of_any(&at("/x/a"), "abc"));
    assert!(at("/").is_refused() && at("/d").is_refused());
    assert!(at("/b").is_fault() && at("/c").is_fault());
    assert!(Bench::new(entry("msgraph").provider, &json!({})).send(&validation("abc")).is_fault());
}

/// Case 97: who has no handshake by GET has no GET.
#[test]
fn other_methods_are_not_allowed() {
    for entry in registry::ENTRIES {
        let bench = Bench::new(entry.provider, &json!({}));
        let methods = entry.provider.all_methods();
        let allow = methods.join(", ");
        for method in ["HEAD", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "get", "post", "FOO"] {
            if methods.contains(&method) {
                continue;
            }
            let answered = bench.send(&Request { method: method.into(), ..Request::default() });
            let name = entry.provider.name;
            assert_eq!((answered.status, answered.header("allow")), (405, Some(&*allow)), "{name} {method}");
            assert_eq!(answered.why, Why::Method);
        }
        if !methods.contains(&"GET") {
            assert_eq!(bench.send(&Request::get("")).status, 405, "{}", entry.provider.name);
        }
    }
}
