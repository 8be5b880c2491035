//! Signatures of the test's own: the signed time, and how a signature may be spelled. They are made with the crate
//! `hmac`, so that what is asked here is not answered by the code it is asked of.

use super::support::{Answered, Bench, CLOCK, entry, now};
use crate::event::Request;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use shared::error::{Failure, Refused};
use shared::gate::Why;

const KEY: &str = "throw-away key of the test, 32 b";
const BODY: &str = r#"{"type":"x","id":"e1"}"#;

fn hmac_sha256(key: &str, parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key of any length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

fn hmac_sha1(key: &str, body: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("a key of any length");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

/// Somebody who signs a time: what is signed and what stands in the header can be told apart.
struct Sender {
    name: &'static str,
    config: Value,
    tolerance: i64,
    /// The header with the time alone; Stripe has it beside the signature.
    header: Option<&'static str>,
    before: &'static str,
    after: &'static str,
}

fn senders() -> Vec<Sender> {
    let generic = |tolerance: Option<i64>| {
        let mut signature = json!({
            "header": "X-Sig", "signed": ["timestamp", ".", "body"], "timestamp_header": "X-Time"
        });
        if let Some(seconds) = tolerance {
            signature["tolerance"] = seconds.into();
        }
        Sender {
            name: "generic",
            config: json!({ "secret": KEY, "signature": signature }),
            tolerance: tolerance.unwrap_or(300),
            header: Some("x-time"),
            before: "",
            after: ".",
        }
    };
    vec![
        Sender {
            name: "stripe",
            config: json!({ "secret": KEY }),
            tolerance: 300,
            header: None,
            before: "",
            after: ".",
        },
        Sender {
            name: "slack",
            config: json!({ "signing_secret": KEY }),
            tolerance: 300,
            header: Some("x-slack-request-timestamp"),
            before: "v0:",
            after: ":",
        },
        generic(None),
        generic(Some(1)),
        generic(Some(600)),
        generic(Some(86_400)),
    ]
}

impl Sender {
    /// A call that says one time and has another one signed; they are the same in an honest call.
    fn request(&self, said: Option<&str>, signed: &str) -> Request {
        let parts = [self.before.as_bytes(), signed.as_bytes(), self.after.as_bytes(), BODY.as_bytes()];
        let tag = hex::encode(hmac_sha256(KEY, &parts));
        let request = Request::post("application/json", BODY);
        let Some(header) = self.header else {
            let time = said.map(|said| format!("t={said},")).unwrap_or_default();
            return request.header("stripe-signature", &format!("{time}v1={tag}"));
        };
        let request = match self.name {
            "slack" => request.header("x-slack-signature", &format!("v0={tag}")),
            _ => request.header("x-sig", &tag),
        };
        match said {
            Some(said) => request.header(header, said),
            None => request,
        }
    }

    fn honest(&self, time: &str) -> Request {
        self.request(Some(time), time)
    }

    fn send(&self, request: &Request, second: i64) -> Answered {
        Bench::new(entry(self.name).provider, &self.config).send_at(request, second)
    }
}

#[track_caller]
fn assert_refused(answered: &Answered, what: &str) {
    assert!(answered.is_refused(), "{what}: {answered:?}");
}

/// A signed time may be RFC 3339: its text is what is signed, its second counts, and it has one zone and one spelling.
#[test]
fn a_signed_time_may_be_rfc_3339() {
    let (row, config) = (entry("twitch").provider, json!({ "secret": KEY }));
    let send = |time: &str, second: i64| {
        let tag = hex::encode(hmac_sha256(KEY, &[b"m-1", time.as_bytes(), BODY.as_bytes()]));
        let request = Request::post("application/json", BODY)
            .header("Twitch-Eventsub-Message-Id", "m-1")
            .header("Twitch-Eventsub-Message-Timestamp", time)
            .header("Twitch-Eventsub-Message-Signature", &format!("sha256={tag}"));
        Bench::new(row, &config).send_at(&request, second)
    };
    // 2026-11-24T06:00:00Z
    let second = 1_795_500_000;
    for time in ["2026-11-24T06:00:00Z", "2026-11-24T06:00:00.5Z", "2026-11-24T06:00:00.123456789Z"] {
        for shift in [0, 600, -600] {
            let answered = send(time, second + shift);
            assert!(answered.is_accepted(1), "{time} {shift}: {answered:?}");
            assert_eq!(answered.envelope()["assurance"], "signed-fresh");
            assert_eq!(answered.envelope()["time"], time);
        }
        for shift in [601, -601, 86_400] {
            assert_refused(&send(time, second + shift), time);
        }
    }
    for time in [
        "2026-11-24t06:00:00Z",
        "2026-11-24T06:00:00z",
        "2026-11-24 06:00:00Z",
        "2026-11-24T06:00:00+00:00",
        "2026-11-24T13:00:00+07:00",
        "2026-11-24T06:00:00",
        "2026-11-24",
        "2026-13-24T06:00:00Z",
        "1795500000",
        "1795500000000",
        "Z",
        "",
        "2026-11-24T06:00:00.0000000000000000000000000000000Z",
    ] {
        assert_refused(&send(time, second), time);
    }
}

/// A provider may sign in two ways with two secrets. Each secret serves for its own, and milliseconds are a signed time too.
#[test]
fn a_secret_serves_for_its_own_signature_only() {
    const OTHER: &str = "throw-away key of the rules, 32b";
    let row = entry("front").provider;
    // 2026-11-24T06:00:00Z
    let second = 1_795_500_000;
    let application = |key: &str, time: &str| {
        let tag = hmac_sha256(key, &[time.as_bytes(), b":", BODY.as_bytes()]);
        Request::post("application/json", BODY)
            .header("X-Front-Request-Timestamp", time)
            .header("X-Front-Signature", &BASE64_STANDARD.encode(tag))
    };
    let rule = |key: &str| {
        Request::post("application/json", BODY)
            .header("X-Front-Signature", &BASE64_STANDARD.encode(hmac_sha1(key, BODY)))
    };
    let (of_app, of_rule) = (json!({ "signing_key": KEY }), json!({ "api_secret": OTHER }));
    let both = json!({ "signing_key": KEY, "api_secret": OTHER });
    let send = |config: &Value, request: &Request| Bench::new(row, config).send_at(request, second);
    let fresh = application(KEY, "1795500000123");
    for (config, request, assurance) in [
        (&of_app, &fresh, "signed-fresh"),
        (&of_rule, &rule(OTHER), "signed"),
        (&both, &fresh, "signed-fresh"),
        (&both, &rule(OTHER), "signed"),
    ] {
        let answered = send(config, request);
        assert!(answered.is_accepted(1), "{config}: {answered:?}");
        assert_eq!(answered.envelope()["assurance"], assurance);
    }
    let weaker = rule(KEY).header("X-Front-Request-Timestamp", "1795500000123");
    for (config, request) in [
        (&of_app, &rule(KEY)),
        (&of_app, &weaker),
        (&of_app, &rule(OTHER)),
        (&of_rule, &fresh),
        (&of_rule, &application(OTHER, "1795500000123")),
        (&both, &rule(KEY)),
        (&both, &application(OTHER, "1795500000123")),
        (&both, &application(KEY, "1795500000")),
        (&both, &application(KEY, "1795500601000")),
        (&both, &application(KEY, "1795499399999")),
        (&both, &application(KEY, "1795500000123.0")),
        (&both, &application(KEY, "2026-11-24T06:00:00Z")),
        (&both, &application(KEY, "")),
    ] {
        assert_refused(&send(config, request), &config.to_string());
    }
    assert!(send(&both, &application(KEY, "1795500600999")).is_accepted(1));
    assert!(send(&both, &application(KEY, "1795499400000")).is_accepted(1));
    // Without a secret it is our fault, and an empty one opens nothing.
    for config in [json!({}), json!({ "signing_key": "" }), json!({ "api_secret": [] })] {
        let empty = application("", "1795500000123");
        assert!(send(&config, &empty).is_fault() && send(&config, &rule("")).is_fault(), "{config}");
    }
}

/// Case 26: both edges are inside, one second beyond is outside.
#[test]
fn the_edges_of_the_window_are_inside() {
    for sender in senders() {
        let tolerance = sender.tolerance;
        for shift in [0, 1, -1, tolerance, -tolerance] {
            let answered = sender.send(&sender.honest(&CLOCK.to_string()), CLOCK + shift);
            assert!(answered.is_accepted(1), "{} {tolerance} {shift}: {answered:?}", sender.name);
            let assurance = if tolerance > 600 { "signed" } else { "signed-fresh" };
            assert_eq!(answered.envelope()["assurance"], assurance, "{} {tolerance}", sender.name);
        }
        for shift in [tolerance + 1, -tolerance - 1] {
            let answered = sender.send(&sender.honest(&CLOCK.to_string()), CLOCK + shift);
            assert_refused(&answered, &format!("{} {tolerance} {shift}", sender.name));
            assert_eq!(answered.why, Why::Failed(Failure::Refused(Refused::Stale)));
        }
    }
}

/// Case 27: a missing time is never taken for now, whatever was signed in its place.
#[test]
fn a_missing_time_is_refused() {
    for sender in senders() {
        for signed in ["", "0", &CLOCK.to_string()] {
            assert_refused(&sender.send(&sender.request(None, signed), CLOCK), sender.name);
        }
    }
}

/// Cases 28 and 30: every one of these is signed as it stands.
#[test]
fn only_plain_digits_are_a_time() {
    let t = CLOCK;
    let arabic: String =
        t.to_string().bytes().map(|b| char::from_u32(0x0660 + u32::from(b - b'0')).unwrap()).collect();
    let wide: String =
        t.to_string().bytes().map(|b| char::from_u32(0xff10 + u32::from(b - b'0')).unwrap()).collect();
    let odd = [
        String::new(),
        " ".into(),
        format!("+{t}"),
        format!("-{t}"),
        format!(" {t}"),
        format!("{t} "),
        format!("{t}\t"),
        format!("{t}\n"),
        format!("{t}\0"),
        format!("0{t}"),
        format!("{t:020}"),
        format!("{t}.0"),
        format!("{t}."),
        format!("{t}e0"),
        format!("{t}_"),
        format!("{t}L"),
        format!("{}.{}e9", t / 1_000_000_000, t % 1_000_000_000),
        format!("{t:#x}"),
        format!("{t:x}"),
        format!("\"{t}\""),
        arabic,
        wide,
        // Milliseconds, microseconds and nanoseconds where seconds are asked for.
        format!("{t}000"),
        format!("{t}000000"),
        format!("{t}000000000"),
        // Tens and thousands of seconds.
        format!("{}", t / 10),
        format!("{}", t / 1000),
    ];
    for sender in senders() {
        for time in &odd {
            assert_refused(&sender.send(&sender.honest(time), CLOCK), &format!("{} {time:?}", sender.name));
        }
    }
}

/// Case 29: no arithmetic on them goes wrong, at any clock.
#[test]
fn huge_times_are_refused() {
    for sender in senders() {
        for time in [
            "0",
            "-0",
            "-1",
            "-9223372036854775808",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "999999999999999999",
            "1000000000000000000",
            "99999999999999999999",
            "340282366920938463463374607431768211456",
            &"9".repeat(3000),
        ] {
            for clock in [CLOCK, 1_000_000] {
                let answered = sender.send(&sender.honest(time), clock);
                assert_refused(&answered, &format!("{} {time}", sender.name));
            }
        }
    }
}

/// Case 31: a date is no number of seconds, however it is written.
#[test]
fn a_date_is_no_number_of_seconds() {
    for sender in senders() {
        for time in [
            "2026-11-24T06:00:00Z",
            "2026-11-24T06:00:00z",
            "2026-11-24T13:00:00+07:00",
            "2026-12-31T23:59:60Z",
            "Tue, 24 Nov 2026 06:00:00 GMT",
            &format!("Tue, 24 Nov 2026 06:00:00 {}", "(".repeat(2000)),
        ] {
            assert_refused(&sender.send(&sender.honest(time), CLOCK), &format!("{} {time}", sender.name));
        }
    }
}

/// Case 32: what is signed is the text, not a number that was read and written again.
#[test]
fn the_text_of_the_time_is_what_is_signed() {
    let plain = CLOCK.to_string();
    for sender in senders() {
        for other in [format!("0{plain}"), format!("{plain} "), format!("+{plain}"), format!("{plain}.0")] {
            let what = format!("{} {other:?}", sender.name);
            assert_refused(&sender.send(&sender.request(Some(&other), &plain), CLOCK), &what);
            let answered = sender.send(&sender.request(Some(&plain), &other), CLOCK);
            assert_eq!(answered.why, Why::Failed(Failure::Refused(Refused::Mismatch("signature"))), "{what}");
        }
    }
}

/// Case 33: the time is inside the MAC.
#[test]
fn another_time_under_the_same_signature_is_refused() {
    for sender in senders() {
        let request = sender.request(Some(&(CLOCK + 1).to_string()), &CLOCK.to_string());
        let answered = sender.send(&request, CLOCK);
        assert_eq!(answered.why, Why::Failed(Failure::Refused(Refused::Mismatch("signature"))));
        assert_refused(&answered, sender.name);
    }
}

/// Case 34: where no time is signed, none that stands beside the body counts, and the clock does not either.
#[test]
fn unsigned_dates_count_for_nothing() {
    let tag = hex::encode(hmac_sha256(KEY, &[BODY.as_bytes()]));
    let base64 = BASE64_STANDARD.encode(hmac_sha256(KEY, &[BODY.as_bytes()]));
    let calls = [
        ("github", json!({ "secret": KEY }), "x-hub-signature-256", format!("sha256={tag}")),
        (
            "facebook",
            json!({ "app_secret": KEY, "verify_token": KEY }),
            "x-hub-signature-256",
            format!("sha256={tag}"),
        ),
        ("shopify", json!({ "secret": KEY }), "x-shopify-hmac-sha256", base64),
        ("telegram", json!({ "secret_token": KEY }), "x-telegram-bot-api-secret-token", KEY.to_owned()),
    ];
    for (name, config, header, value) in calls {
        let bench = Bench::new(entry(name).provider, &config);
        let plain = Request::post("application/json", BODY).header(header, &value);
        let dated = plain
            .clone()
            .header("date", "Thu, 01 Jan 1970 00:00:00 GMT")
            .header("x-timestamp", "1")
            .header("x-slack-request-timestamp", "abc");
        let id = |request: &Request, second| {
            let answered = bench.send_at(request, second);
            assert!(answered.is_accepted(1), "{name}: {answered:?}");
            answered.envelope()["id"].clone()
        };
        let first = id(&plain, CLOCK);
        assert_eq!(
            (id(&dated, CLOCK), id(&plain, 1), id(&plain, 4_000_000_000)),
            (first.clone(), first.clone(), first)
        );
    }
}

/// Case 35: real times, by the machine's own clock, expire.
#[test]
fn real_times_expire() {
    let now = now();
    assert!(now > 1_700_000_000, "{now} is no second of our days");
    for sender in senders() {
        let request = sender.honest(&now.to_string());
        assert!(sender.send(&request, now).is_accepted(1), "{}", sender.name);
        assert_refused(&sender.send(&request, now + sender.tolerance + 1), sender.name);
        assert_refused(&sender.send(&request, now + 100 * 365 * 86_400), sender.name);
    }
}

fn stripe(pairs: &str) -> Answered {
    let request = Request::post("application/json", BODY).header("Stripe-Signature", pairs);
    Bench::new(entry("stripe").provider, &json!({ "secret": KEY })).send(&request)
}

fn stripe_tag() -> String {
    hex::encode(hmac_sha256(KEY, &[CLOCK.to_string().as_bytes(), b".", BODY.as_bytes()]))
}

/// Case 14: one right signature among several is enough, wherever it stands.
#[test]
fn of_several_signatures_one_must_match() {
    let (good, bad) = (stripe_tag(), "0".repeat(64));
    for pairs in [
        format!("t={CLOCK},v1={good}"),
        format!("v1={good},t={CLOCK}"),
        format!("t={CLOCK},v1={bad},v1={good}"),
        format!("t={CLOCK},v1={good},v1={bad}"),
        format!("t={CLOCK},v1={good},v1={good}"),
        format!("t={CLOCK},v0={bad},v1={good}"),
        format!("t={CLOCK},v1=not-hex,v1={good}"),
        format!("t={CLOCK},v2=of-the-future,v1={good}"),
        // What is no pair counts for nothing, and takes nothing away.
        format!("t={CLOCK},v1={good},"),
        format!("t={CLOCK},of-the-future,v1={good}"),
        format!("t={CLOCK}{},v1={good}", format!(",v1={bad}").repeat(15)),
    ] {
        let answered = stripe(&pairs);
        assert!(answered.is_accepted(1), "{pairs}: {answered:?}");
    }
    for pairs in [
        format!("t={CLOCK},v1={bad},v1={bad}"),
        format!("t={CLOCK}"),
        format!("v1={good}"),
        format!("t={CLOCK},v1="),
        format!("t={CLOCK},v1"),
        format!("t={CLOCK}, v1={good}"),
        format!("t={CLOCK},V1={good}"),
        format!("T={CLOCK},v1={good}"),
        format!("t={CLOCK},t={CLOCK},v1={good}"),
        format!("t={CLOCK},t=1,v1={good}"),
        format!("t={CLOCK},v1={good}0"),
        format!("t={CLOCK},v1={}", &good[..62]),
        format!("t={CLOCK},v1={}", good.to_uppercase()),
        format!("t={CLOCK};v1={good}"),
    ] {
        assert_refused(&stripe(&pairs), &pairs);
    }
}

/// Case 14: too many are refused for being too many, which no MAC is needed to see.
#[test]
fn a_crowd_of_signatures_is_refused_before_any_mac() {
    let (good, bad) = (stripe_tag(), "0".repeat(64));
    let too_many = Why::Failed(Failure::Refused(Refused::Malformed("too many signatures")));
    // The header's own bound holds as well; these stay below it.
    for others in [16, 50] {
        let answered = stripe(&format!("t={CLOCK},v1={good}{}", format!(",v1={bad}").repeat(others)));
        assert_eq!(answered.why, too_many, "{others}");
        assert_refused(&answered, "too many");
    }
    let answered = stripe(&format!("t={CLOCK},v1={good}{}", ",v1=00".repeat(500)));
    assert_eq!(answered.why, too_many);
    let answered = stripe(&format!("t={CLOCK},v1={good}{}", format!(",v1={bad}").repeat(120)));
    let too_long = Refused::Malformed("a signature header of that length");
    assert_eq!(answered.why, Why::Failed(Failure::Refused(too_long)));
}

/// Case 15: a signature of the test scheme is none.
#[test]
fn the_test_scheme_counts_for_nothing() {
    let good = stripe_tag();
    assert_refused(&stripe(&format!("t={CLOCK},v0={good}")), "v0 alone");
    assert_refused(&stripe(&format!("t={CLOCK},v0={good},v1={}", "0".repeat(64))), "v0 beside a wrong v1");
}

/// Who signs the body alone, in which header, after which prefix.
fn of_body() -> Vec<(&'static str, Value, &'static str, &'static str)> {
    let generic = json!({ "secret": KEY, "signature": { "header": "X-Sig", "prefix": "sha256=" } });
    vec![
        ("github", json!({ "secret": KEY }), "X-Hub-Signature-256", "sha256="),
        ("facebook", json!({ "app_secret": KEY, "verify_token": KEY }), "X-Hub-Signature-256", "sha256="),
        ("generic", generic, "X-Sig", "sha256="),
    ]
}

/// Cases 5, 7 to 10, 13, 18 to 20: one header, one prefix, one spelling.
#[test]
fn a_signature_has_one_spelling() {
    let tag = hex::encode(hmac_sha256(KEY, &[BODY.as_bytes()]));
    for (name, config, header, prefix) in of_body() {
        let bench = Bench::new(entry(name).provider, &config);
        let send = |name: &str, value: &str| {
            bench.send(&Request::post("application/json", BODY).header(name, value))
        };
        // Case 19.
        for spelled in [header.to_owned(), header.to_lowercase(), header.to_uppercase()] {
            assert!(send(&spelled, &format!("{prefix}{tag}")).is_accepted(1), "{name} {spelled}");
        }
        for value in [
            tag.clone(),
            format!("{prefix}{prefix}{tag}"),
            format!("SHA256={tag}"),
            format!("Sha256={tag}"),
            format!("sha1={tag}"),
            format!("sha256:{tag}"),
            format!("sha256= {tag}"),
            format!("{prefix}{}", tag.to_uppercase()),
            format!("{prefix}{}", tag.replace('a', "A")),
            format!("{prefix}0x{tag}"),
            format!("{prefix}{tag}0"),
            format!("{prefix}{tag}00"),
            format!("{prefix}{}", &tag[..63]),
            format!("{prefix}{}", &tag[..62]),
            format!("{prefix}{}", &tag[..32]),
            format!("{prefix}{}", &tag[..2]),
            prefix.to_owned(),
            format!("{prefix}{} {}", &tag[..32], &tag[32..]),
            format!("{prefix}{tag},{prefix}{tag}"),
            format!("{prefix}{tag},{prefix}{}", "0".repeat(64)),
            format!("{prefix}{},{prefix}{tag}", "0".repeat(64)),
            format!("{prefix}{}", tag.repeat(128)),
            format!("{prefix}{}", "0".repeat(64)),
            format!("{prefix}{}", BASE64_STANDARD.encode(hmac_sha256(KEY, &[BODY.as_bytes()]))),
        ] {
            assert_refused(&send(header, &value), &format!("{name} {value}"));
        }
        // Case 13: two headers of one name arrive as one value.
        for (first, second) in [(tag.as_str(), "00"), ("00", tag.as_str()), (tag.as_str(), tag.as_str())] {
            let request = Request::post("application/json", BODY)
                .header(header, &format!("{prefix}{first}"))
                .header(&header.to_lowercase(), &format!("{prefix}{second}"));
            assert_refused(&bench.send(&request), &format!("{name} two headers"));
        }
    }
}

/// Case 10 for those with another layout: upper case is refused everywhere.
#[test]
fn upper_case_hex_is_refused_by_all() {
    let slack = &senders()[1];
    let mut request = slack.honest(&CLOCK.to_string());
    for (name, value) in &mut request.headers {
        if name == "x-slack-signature" {
            *value = format!("v0={}", value[3..].to_uppercase());
        }
    }
    assert_refused(&slack.send(&request, CLOCK), "slack");
    let zalo = json!({ "app_id": "360846524940903967", "oa_secret_key": KEY });
    let bench = Bench::new(entry("zalo").provider, &zalo);
    let body = r#"{"app_id":"360846524940903967","event_name":"follow","timestamp":"1795499980100"}"#;
    let tag = hex::encode(Sha256::digest(format!("360846524940903967{body}1795499980100{KEY}")));
    let send = |value: &str| {
        bench.send(&Request::post("application/json", body).header("X-ZEvent-Signature", value))
    };
    // Case 9: Zalo's own prefix may be missing, and no other may be there.
    assert!(send(&format!("mac={tag}")).is_accepted(1));
    assert!(send(&tag).is_accepted(1));
    for value in [
        format!("mac={}", tag.to_uppercase()),
        tag.to_uppercase(),
        format!("MAC={tag}"),
        format!("mac=mac={tag}"),
        format!("sha256={tag}"),
        format!("mac= {tag}"),
    ] {
        assert_refused(&send(&value), &value);
    }
}

/// Case 11: base64 with another alphabet, without padding, with bits left over, with line ends.
#[test]
fn base64_has_one_spelling() {
    // A body whose tag has both characters in which the alphabets differ, and bits to spare at its end.
    let (body, tag) = (0..)
        .map(|i| format!(r#"{{"id":{i}}}"#))
        .map(|body| (hmac_sha256(KEY, &[body.as_bytes()]), body))
        .map(|(tag, body)| (body, BASE64_STANDARD.encode(tag)))
        .find(|(_, tag)| tag.contains('+') && tag.contains('/'))
        .expect("one of them");
    let last = |tag: &str| {
        // 32 bytes leave two bits unused in the last character.
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let at = alphabet.find(tag.as_bytes()[42] as char).expect("a character of the alphabet");
        format!("{}{}=", &tag[..42], &alphabet[at + 1..at + 2])
    };
    let url = tag.replace('+', "-").replace('/', "_");
    let bad = [
        tag.trim_end_matches('=').to_owned(),
        format!("{tag}="),
        url.clone(),
        last(&tag),
        format!("{tag}\n"),
        format!("{}\n{}", &tag[..20], &tag[20..]),
        format!(" {tag}"),
        format!("{}A=", &tag[..42]),
    ];
    let generic = json!({ "secret": KEY, "signature": { "header": "X-Sig", "encoding": "base64" } });
    for (name, config, header) in [
        ("shopify", json!({ "secret": KEY }), "X-Shopify-Hmac-Sha256"),
        ("shopify", json!({ "secret": KEY }), "Shopify-Hmac-Sha256"),
        ("generic", generic, "X-Sig"),
    ] {
        let bench = Bench::new(entry(name).provider, &config);
        let send =
            |value: &str| bench.send(&Request::post("application/json", body.as_str()).header(header, value));
        assert!(send(&tag).is_accepted(1), "{name}");
        for value in bad.iter().filter(|value| **value != tag) {
            assert_refused(&send(value), &format!("{name} {value:?}"));
        }
    }
}

/// Case 85: the two spellings of base64url that senders use are one signature, and give one event.
#[test]
fn both_spellings_of_base64url_give_one_event() {
    let config = json!({ "secret": KEY, "signature": { "header": "X-Sig", "encoding": "base64url" } });
    let bench = Bench::new(entry("generic").provider, &config);
    let tag = hmac_sha256(KEY, &[BODY.as_bytes()]);
    let send = |value: &str| bench.send(&Request::post("application/json", BODY).header("X-Sig", value));
    let padded = send(&BASE64_URL_SAFE.encode(&tag));
    let bare = send(&BASE64_URL_SAFE_NO_PAD.encode(&tag));
    assert!(padded.is_accepted(1) && bare.is_accepted(1), "{padded:?} {bare:?}");
    assert_eq!(padded.events[0].identity(), bare.events[0].identity());
    let mut spare = BASE64_URL_SAFE_NO_PAD.encode(&tag);
    let last = spare.pop().expect("a character");
    spare.push(char::from(last as u8 + 1));
    assert_refused(&send(&spare), "bits to spare");
    assert_refused(&send(&format!("{}==", BASE64_URL_SAFE_NO_PAD.encode(&tag))), "too much padding");
}

/// Case 12: SHA-1 beside or in place of SHA-256 counts for nothing.
#[test]
fn no_weaker_signature_counts() {
    let sha1 = format!("sha1={}", hex::encode(hmac_sha1(KEY, BODY)));
    let sha256 = format!("sha256={}", hex::encode(hmac_sha256(KEY, &[BODY.as_bytes()])));
    let wrong = format!("sha256={}", "0".repeat(64));
    for (name, config, _, _) in of_body().into_iter().filter(|row| row.0 != "generic") {
        let bench = Bench::new(entry(name).provider, &config);
        let plain = Request::post("application/json", BODY);
        assert_refused(&bench.send(&plain.clone().header("X-Hub-Signature", &sha1)), name);
        let both = plain.clone().header("X-Hub-Signature", &sha1).header("X-Hub-Signature-256", &wrong);
        assert_refused(&bench.send(&both), name);
        assert_refused(&bench.send(&plain.clone().header("X-Hub-Signature-256", &sha1)), name);
        let strong = plain.header("X-Hub-Signature", "sha1=00").header("X-Hub-Signature-256", &sha256);
        assert!(bench.send(&strong).is_accepted(1), "{name}");
    }
}

/// Case 16: old and new secret are both live, and a third is not.
#[test]
fn every_secret_of_a_list_is_live() {
    let (old, new) = ("throw-away secret, the old one", "throw-away secret, the new one");
    let bench = Bench::new(entry("github").provider, &json!({ "secret": [new, old] }));
    let send = |key: &str| {
        let tag = hex::encode(hmac_sha256(key, &[BODY.as_bytes()]));
        bench.send(
            &Request::post("application/json", BODY).header("X-Hub-Signature-256", &format!("sha256={tag}")),
        )
    };
    assert!(send(old).is_accepted(1) && send(new).is_accepted(1));
    assert_refused(&send(&format!("{new}{old}")), "both in one");
    assert_refused(&send(""), "the empty key");
}

/// Case 31, for times that are told and not signed: RFC 3339 as it stands, or no time at all.
#[test]
fn a_time_that_is_told_is_kept_as_it_is_or_left_out() {
    let bench = Bench::new(entry("shopify").provider, &json!({ "secret": KEY }));
    let tag = BASE64_STANDARD.encode(hmac_sha256(KEY, &[BODY.as_bytes()]));
    let long = format!("2024-08-07T22:48:27.{}Z", "4".repeat(3000));
    for (told, kept) in [
        ("2024-08-07T22:48:27Z", true),
        ("2024-08-07T22:48:27.480992003Z", true),
        ("2024-08-08T05:48:27+07:00", true),
        ("2024-02-29T00:00:00Z", true),
        ("2023-02-29T00:00:00Z", false),
        ("2024-08-07t22:48:27z", false),
        ("2024-08-07 22:48:27Z", false),
        ("2024-08-07T22:48:27", false),
        ("2024-08-07", false),
        ("1723070907", false),
        ("Wed, 07 Aug 2024 22:48:27 GMT", false),
        ("2024-13-07T22:48:27Z", false),
        ("2024-08-07T25:48:27Z", false),
        ("", false),
        (long.as_str(), false),
        ("((((((((((((((((", false),
    ] {
        let request = Request::post("application/json", BODY)
            .header("X-Shopify-Hmac-Sha256", &tag)
            .header("X-Shopify-Triggered-At", told);
        let answered = bench.send(&request);
        assert!(answered.is_accepted(1), "{told}: {answered:?}");
        let envelope = answered.envelope();
        let time = envelope.get("time").and_then(Value::as_str);
        assert_eq!(time, kept.then_some(told), "{told}");
    }
}
