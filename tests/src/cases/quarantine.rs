//! Calls whose signature does not match, kept apart for an operator who has pasted a wrong secret: what is kept, what never
//! is, and that nothing of it shows in an answer. Built functions before the double of SQS.

use super::fallback::{is_by_token, of_provider};
use super::queue::{config, one, side_by_side};
use super::raw::is_signed;
use super::support::{entry, now, signed_at};
use super::transport::{
    SECRET, assert_refused, envelope, facebook_call, gate, github_call, send, stripe_call, zalo_call,
};
use crate::event::{Request, URL_HOST};
use crate::lambda::Builder;
use crate::sqs::{Fault, Sqs};
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::thread;
use std::time::{Duration, Instant};

/// The secret that the operator pasted; calls are signed with [`SECRET`].
const PASTED: &str = "what the operator took for the secret";

/// A function with a quarantine.
fn with_quarantine(provider: &str, sqs: &Sqs, settings: &Value) -> Builder {
    gate(provider, sqs, settings).env("QUARANTINE_QUEUE_URL", sqs.quarantine_url())
}

/// The settings with another secret in place of the right one.
fn mistaken(settings: &Value) -> Value {
    serde_json::from_str(&settings.to_string().replace(SECRET, PASTED)).expect("JSON")
}

/// What the quarantine holds.
#[track_caller]
fn suspects(sqs: &Sqs) -> Vec<Value> {
    let read = |text: &str| serde_json::from_str(text).expect("JSON");
    sqs.quarantined().iter().map(|message| read(&message.body)).collect()
}

fn body_of(suspect: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(suspect["body"].as_str().expect("a text")).expect("base64")
}

/// A genuine call under a wrong secret is kept with all that a later check needs, for each provider whose calls are signed;
/// with the right secret it is a good one.
#[test]
fn a_call_under_a_wrong_secret_is_kept_whole() {
    let providers = registry::ENTRIES.iter().map(|entry| entry.provider.name);
    for provider in providers.filter(|provider| !is_by_token(provider)) {
        let sqs = Sqs::start();
        let (request, settings, _) = of_provider(provider);
        if mistaken(&settings) == settings {
            // A secret of a shape of its own, in place of which no other text can be pasted.
            continue;
        }
        let request = request.at("/some/path").header("cookie", "CaNaRy").header("authorization", "CaNaRy");
        let function = with_quarantine(provider, &sqs, &mistaken(&settings)).start();
        let before = now() * 1000;
        let (outcome, refused) = (send(&function, &request), entry(provider).provider.refused);
        assert_eq!(
            (outcome.status(), &*outcome.body()),
            (refused.status, refused.body.as_bytes()),
            "{provider}"
        );
        let kept = suspects(&sqs);
        let [suspect] = kept.as_slice() else { panic!("{provider}: {kept:?}") };
        let said = ["quarantineversion", "provider", "method", "path"]
            .map(|name| suspect[name].as_str().expect(name));
        assert_eq!(said, ["1.0", provider, &request.method, "/some/path"]);
        let received = suspect["received"].as_i64().expect("a number");
        assert!((before..before + 60_000).contains(&received), "{provider}: {received}");
        assert_eq!(body_of(suspect), request.body, "{provider}");
        let verdict = is_signed(provider, SECRET, &suspect["headers"], &body_of(suspect));
        assert_ne!(verdict, Some(false), "{provider}: {suspect}");
        let names: BTreeSet<&str> =
            suspect.as_object().expect("an object").keys().map(String::as_str).collect();
        let expected =
            ["body", "headers", "method", "path", "provider", "quarantineversion", "received"].into();
        // None of those whose formula is told signs the URL, and there are no endpoints.
        assert!(verdict.is_none() || names == expected, "{provider}: {names:?}");
        let text = &sqs.quarantined()[0].body;
        assert!(!text.contains("CaNaRy") && !text.contains(PASTED), "{provider}: {text}");
        // Nothing of it is an event.
        assert_eq!(sqs.messages(), [], "{provider}");
        assert!(function.stop().contains(r#""event":"quarantine""#), "{provider}");
    }
}

/// What the envelope will be made of is kept too: the headers that the provider's row reads, and no other.
#[test]
fn the_headers_that_an_event_needs_are_kept() {
    let sqs = Sqs::start();
    let function = with_quarantine("github", &sqs, &mistaken(&config("github"))).start();
    let request = github_call(SECRET, "delivery-1", "{}")
        .header("x-other", "unneeded")
        .header("User-Agent", "GitHub-Hookshot/1");
    assert_refused(&send(&function, &request), "github");
    let headers = suspects(&sqs)[0]["headers"].clone();
    for (name, value) in [
        ("x-github-event", "push"),
        ("x-github-delivery", "delivery-1"),
        ("content-type", "application/json"),
        ("user-agent", "GitHub-Hookshot/1"),
    ] {
        assert_eq!(headers[name], value, "{headers}");
    }
    assert_eq!(
        (headers.get("x-other"), headers.get("host"), headers.get("x-forwarded-for")),
        (None, None, None)
    );
    // Characters that SQS does not carry, where a header may have any.
    let request = github_call(SECRET, "d\u{1}\u{FFFF}", "{}");
    assert_refused(&send(&function, &request), "odd characters");
    let last = suspects(&sqs).pop().expect("kept as well");
    assert_eq!(last["headers"]["x-github-delivery"], "d\u{1}\u{FFFF}");
}

/// Where the URL is signed, it is kept; and so is the endpoint, which names the settings to check with.
#[test]
fn the_url_is_kept_where_it_is_signed() {
    let sqs = Sqs::start();
    let signature = json!({ "header": "x-signature", "signed": ["url", "|", "body"] });
    let acme = json!({ "secret": PASTED, "signature": signature });
    let function = with_quarantine("generic", &sqs, &json!({ "endpoints": { "acme": acme } })).start();
    let request = Request { query: "a=b&c".into(), ..Request::post("application/json", "{}") }
        .header("x-signature", &"0".repeat(64));
    assert_refused(&send(&function, &request.clone().at("/in/acme")), "acme");
    let kept = suspects(&sqs);
    let said = ["endpoint", "path", "query", "domain"].map(|name| kept[0][name].as_str().expect(name));
    assert_eq!(said, ["acme", "/in/acme", "a=b&c", URL_HOST]);
    // Of an endpoint that nobody has, it is not known what would be a signature.
    assert_refused(&send(&function, &request.at("/in/nobody")), "nobody");
    assert_eq!(suspects(&sqs).len(), 1);
}

/// What is not a mismatch of a signature is not kept: there is nothing that another secret could make good.
#[test]
fn only_a_mismatch_is_kept() {
    let sqs = Sqs::start();
    let function = with_quarantine("github", &sqs, &config("github")).start();
    let genuine = one("github");
    let without = |name: &str| {
        let mut request = genuine.clone();
        request.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        request
    };
    let unsigned = without("x-hub-signature-256");
    let malformed = ["", "sha256=", "sha256=00", "sha1=00", "x"];
    let calls = malformed.map(|value| unsigned.clone().header("x-hub-signature-256", value));
    for request in calls.iter().chain([&unsigned]) {
        assert_refused(&send(&function, request), "no mismatch");
    }
    assert_eq!(send(&function, &genuine).status(), 200);
    assert_eq!(send(&function, &Request::get("a=b")).status(), 405);
    // A genuine call that comes too late, and one of the future.
    let stripe = with_quarantine("stripe", &sqs, &config("stripe")).start();
    for second in [now() - 1000, now() + 1000] {
        let call = stripe_call(SECRET, second, r#"{"id":"evt_1","type":"a"}"#);
        assert_refused(&send(&stripe, &call), "stale");
    }
    // A call that a new secret cannot help: the handshake's token.
    let facebook = with_quarantine("facebook", &sqs, &config("facebook")).start();
    let handshake = Request::get("hub.mode=subscribe&hub.verify_token=wrong&hub.challenge=1");
    assert_eq!(send(&facebook, &handshake).status(), 403);
    assert_eq!(suspects(&sqs), Vec::<Value>::new());
    // And one that it can.
    assert_refused(&send(&stripe, &stripe_call(PASTED, now(), "{}")), "a mismatch");
    assert_eq!(suspects(&sqs).len(), 1);
}

/// Of a token or HTTP Basic the evidence is the credential itself: such a call is never kept, wrong as the token is. It may
/// be right for another service, or wrong by one letter.
#[test]
fn a_credential_is_never_kept() {
    let canary = "CaNaRy-0123456789-abcdef";
    let sqs = Sqs::start();
    let telegram =
        with_quarantine("telegram", &sqs, &json!({ "secret_token": "a-throw-away-token" })).start();
    let update = Request::post("application/json", r#"{"update_id":1}"#);
    let call = update.clone().header("X-Telegram-Bot-Api-Secret-Token", canary);
    assert_refused(&send(&telegram, &call), "telegram");
    let mut logs = telegram.stop();
    // A token in the body is one as well.
    let (mut call, settings, _) = of_provider("msgraph");
    call.body = String::from_utf8(call.body).expect("JSON").replace(SECRET, canary).into_bytes();
    let msgraph = with_quarantine("msgraph", &sqs, &settings).start();
    assert_refused(&send(&msgraph, &call), "msgraph");
    logs += &msgraph.stop();
    let signature = json!({ "header": "x-signature" });
    for settings in [
        json!({ "token": "a-throw-away-token", "token_header": "x-token" }),
        json!({ "token": "a-throw-away-token", "token_query": "key" }),
        json!({ "basic_auth": { "username": "user", "password": "a-throw-away-password" } }),
        json!({ "token": "a-throw-away-token", "token_header": "x-token", "secret": SECRET, "signature": signature }),
        json!({ "basic_auth": { "username": "user", "password": canary }, "secret": SECRET, "signature": signature }),
    ] {
        let function = with_quarantine("generic", &sqs, &settings).start();
        let basic = BASE64_STANDARD.encode(format!("user:{canary}"));
        let call = Request { query: format!("key={canary}"), ..update.clone() }
            .header("x-token", canary)
            .header("authorization", &format!("Basic {basic}"))
            .header("x-signature", &"0".repeat(64));
        assert_refused(&send(&function, &call), &settings.to_string());
        logs += &function.stop();
    }
    assert_eq!((sqs.connections(), sqs.quarantined()), (0, vec![]));
    assert!(!logs.contains("CaNaRy"), "{logs}");
}

/// The answer is the uniform refusal whatever becomes of the quarantine, in time for the provider in the greatest hurry.
#[test]
fn the_answer_shows_nothing_of_it() {
    let faults = [
        Fault::None,
        Fault::Http500,
        Fault::Throttle,
        Fault::AccessDenied,
        Fault::QueueDoesNotExist,
        Fault::Hang,
        Fault::ResetBefore,
        Fault::StoreThenHang,
        Fault::HalfAnswer,
        Fault::Garbage200("<html>"),
        Fault::Delay(Duration::from_secs(3)),
    ];
    side_by_side(faults, |fault| {
        let sqs = Sqs::start();
        sqs.always(fault.clone());
        let function = with_quarantine("zalo", &sqs, &config("zalo")).start();
        let asked = Instant::now();
        assert_refused(&send(&function, &zalo_call(PASTED, "message-1")), &format!("{fault:?}"));
        let taken = asked.elapsed();
        assert!(taken < Duration::from_secs(2), "{fault:?}: {taken:?}");
        assert!(sqs.requests() > 0, "{fault:?}");
        // The next genuine call is none the worse for it.
        sqs.always(Fault::None);
        assert_eq!(send(&function, &one("zalo")).status(), 200, "{fault:?}");
        assert_eq!(sqs.messages().len(), 1, "{fault:?}");
    });
    // Nowhere at all.
    side_by_side(
        ["no url", "http://no-such-host.invalid/1/q", "https://sqs.us-east-1.amazonaws.com/1/none"],
        |url| {
            let sqs = Sqs::start();
            let function = gate("zalo", &sqs, &config("zalo")).env("QUARANTINE_QUEUE_URL", url).start();
            let asked = Instant::now();
            assert_refused(&send(&function, &zalo_call(PASTED, "message-1")), url);
            assert!(asked.elapsed() < Duration::from_secs(2), "{url}");
            assert_eq!(sqs.messages(), []);
        },
    );
}

/// The counters of a function's log: by name, with what was left unsaid.
fn counted(logs: &str, name: &str) -> u64 {
    let lines = logs.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    lines.filter_map(|line| line[name].as_u64()).sum()
}

/// What is larger than the quarantine takes is dropped and counted, to the byte.
#[test]
fn a_large_call_is_dropped_and_counted() {
    let sqs = Sqs::start();
    let call = |bytes: usize| github_call(PASTED, "d", "x".repeat(bytes));
    let function = with_quarantine("github", &sqs, &config("github")).start();
    assert_refused(&send(&function, &call(3000)), "of 3,000");
    let kept = sqs.quarantined().remove(0).body.len();
    assert_eq!(function.stop().matches("not kept").count(), 0);
    for (limit, fits) in [(kept, true), (kept - 1, false), (2999, false)] {
        let sqs = Sqs::start();
        let function = with_quarantine("github", &sqs, &config("github"))
            .env("QUARANTINE_MAX_BYTES", limit.to_string())
            .env("HOOKGATE_METRICS", "Hookgate/Test")
            .start();
        assert_refused(&send(&function, &call(3000)), "of 3,000");
        assert_eq!(sqs.quarantined().len(), usize::from(fits), "{limit}");
        assert!(sqs.quarantined().iter().all(|message| message.size() == limit));
        let logs = function.stop();
        let counts = (counted(&logs, "Quarantined"), counted(&logs, "QuarantineDropped"));
        assert_eq!(counts, (u64::from(fits), u64::from(!fits)), "{limit}: {logs}");
    }
    // The usual limit, where nothing is set, or nothing that is a number.
    for (value, said) in [("", false), ("256 KB", true)] {
        let sqs = Sqs::start();
        let function =
            with_quarantine("github", &sqs, &config("github")).env("QUARANTINE_MAX_BYTES", value).start();
        assert_refused(&send(&function, &call(190_000)), "fits");
        assert_refused(&send(&function, &call(200_000)), "does not");
        assert_eq!(sqs.quarantined().len(), 1, "{value:?}");
        assert_eq!(function.stop().contains(r#""name":"QUARANTINE_MAX_BYTES""#), said, "{value:?}");
    }
}

/// 103: a flood of forged calls fills no queue: a hundred in ten seconds, the rest is counted, and the genuine ones go on.
#[test]
fn a_flood_is_bounded_and_counted() {
    const FLOOD: usize = 150;
    const MOST: usize = 100;
    let sqs = Sqs::start();
    let function = with_quarantine("facebook", &sqs, &config("facebook"))
        .env("HOOKGATE_METRICS", "Hookgate/Test")
        .start();
    let started = Instant::now();
    for n in 0..FLOOD {
        let call = facebook_call(PASTED, format!(r#"{{"n":{n}}}"#));
        assert_refused(&send(&function, &call), &n.to_string());
    }
    // A machine that takes longer for them has more than one span of ten seconds.
    let taken = started.elapsed();
    let spans = 1 + usize::try_from(taken.as_secs() / 10).expect("a few");
    let kept = sqs.quarantined().len();
    assert_eq!(sqs.requests(), kept);
    assert!(kept <= MOST * spans, "{kept} in {taken:?}");
    assert!(kept == MOST || taken > Duration::from_secs(9), "{kept} in {taken:?}");
    assert_eq!(send(&function, &one("facebook")).status(), 200);
    assert_eq!(sqs.messages().len(), 1);
    // After these ten seconds there is room again, and what the log left out is made up for.
    thread::sleep(Duration::from_millis(10_500));
    let late = facebook_call(PASTED, "{}");
    assert_refused(&send(&function, &late), "later");
    assert_eq!(sqs.quarantined().len(), kept + 1);
    // A line of the other kind carries what its own left out: too large a call.
    let large = facebook_call(PASTED, "x".repeat(300_000));
    assert_refused(&send(&function, &large), "large");
    let logs = function.stop();
    let counts = (counted(&logs, "Quarantined"), counted(&logs, "QuarantineDropped"));
    assert_eq!(counts, (kept as u64 + 1, (FLOOD - kept) as u64 + 1), "{logs}");
    let lines = logs.matches(r#""event":"quarantine""#).count();
    assert!(lines <= 2 * 50 * spans + 2, "{lines} lines");
}

/// The quarantine is off unless it is named, and a variable that is empty names nothing.
#[test]
fn without_a_quarantine_nothing_is_kept() {
    for value in [None, Some(""), Some("  ")] {
        let sqs = Sqs::start();
        let mut builder = gate("github", &sqs, &config("github"));
        if let Some(value) = value {
            builder = builder.env("QUARANTINE_QUEUE_URL", value);
        }
        let function = builder.start();
        assert_refused(&send(&function, &github_call(PASTED, "d", "{}")), "a mismatch");
        assert_eq!(sqs.connections(), 0, "{value:?}");
    }
}

/// What was kept under a wrong secret is the same event once the secret is right: under the identity that the provider's own
/// retry has.
#[test]
fn a_kept_call_is_the_event_that_it_would_have_been() {
    let sqs = Sqs::start();
    let (request, settings, _) = of_provider("slack");
    let wrong = with_quarantine("slack", &sqs, &mistaken(&settings)).start();
    assert_refused(&send(&wrong, &request), "a wrong secret");
    let suspect = suspects(&sqs).remove(0);
    let headers = suspect["headers"].as_object().expect("an object");
    let again = headers
        .iter()
        .fold(Request { body: body_of(&suspect), ..Request::default() }, |request, (name, value)| {
            request.header(name, value.as_str().expect("a text"))
        });
    let right = gate("slack", &sqs, &settings).start();
    let retried = signed_at(
        entry("slack").provider,
        &settings,
        Request { headers: headers_of(&request), ..request },
        now(),
    );
    for call in [&again, &retried] {
        assert_eq!(send(&right, call).status(), 200);
    }
    let ids: BTreeSet<String> =
        sqs.messages().iter().map(|message| envelope(message)["id"].to_string()).collect();
    assert_eq!((sqs.messages().len(), ids.len()), (2, 1));
}

/// A call's headers without those of its signature.
fn headers_of(request: &Request) -> Vec<(String, String)> {
    let is_signature = |name: &str| name.to_ascii_lowercase().starts_with("x-slack-");
    request.headers.iter().filter(|(name, _)| !is_signature(name)).cloned().collect()
}
