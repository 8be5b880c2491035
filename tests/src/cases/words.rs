//! The words of rows that few rows use, each on a row of its own: how a call is cut, when it happened, which way applies,
//! where a signature stands, how it comes and what is answered.

use super::support::{Bench, CLOCK, signed};
use crate::event::Request;
use hmac::{Hmac, KeyInit, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::error::Fault;
use shared::gate::Why;
use shared::mac::{Key, Mac, Part, Timestamp, TimestampAt, Unit};
use shared::provider::Field::{ArrayName, Body, Item, Not, When, Word};
use shared::provider::{Answer, Event, Provider, Response, Setting, Split, Time, XML};
use shared::verify::Verified;

const KEY: &str = "dGhyb3ctYXdheSBrZXkgb2YgdGhlIHRlc3QsIDMyIGI=";
const JSON: &str = "application/json";

/// What the rows of this file have in common.
const ROW: Provider = Provider {
    name: "words",
    settings: &[Setting::secret("secret", "nowhere")],
    scheme: &Mac { headers: &["x-signature"], ..Mac::HMAC_SHA256 },
    ..Provider::DEFAULTS
};

static ARRAY: Provider = Provider {
    event: Event { split: Split::Array, id: &[&[Body("/id")]], ..Event::of("com.example") },
    ..ROW
};

static ELEMENTS: Provider = Provider {
    format: XML,
    event: Event {
        split: Split::Elements("/feed/entry"),
        id: &[&[Item("/id")]],
        subject: &[&[Body("/feed/title")]],
        ..Event::of("com.example")
    },
    ..ROW
};

static SUFFIXED: Provider = Provider {
    event: Event {
        split: Split::Suffixed("_events"),
        kind: &[&[ArrayName]],
        id: &[&[Item("/id")]],
        account: &[&[Body("/for")]],
        ..Event::of("com.example")
    },
    ..ROW
};

static TIMES: Provider = Provider {
    event: Event {
        time: &[
            Time::Local(Body("/hanoi"), 420),
            Time::Local(Body("/utc"), 0),
            Time::Local(Body("/newfoundland"), -210),
            Time::Snowflake(Body("/flake"), 1_420_070_400_000),
        ],
        kind: &[
            &[When(&Body("/code"), "00"), Word("paid")],
            &[Not(&Body("/code"), "09"), Word("failed")],
            &[Body("/code")],
        ],
        ..Event::of("com.example")
    },
    ..ROW
};

static IN_BODY: Provider = Provider {
    scheme: &Mac {
        key: Key::Base64,
        in_body: Some("/proof/tag"),
        signed: &[Part::Timestamp, Part::Json("/sum")],
        timestamp: Some(Timestamp { at: TimestampAt::Body("/proof/at"), unit: Unit::Seconds, tolerance: 60 }),
        ..Mac::HMAC_SHA256
    },
    ..ROW
};

static BY_PUT: Provider = Provider {
    methods: &["PUT"],
    reply_by: Some(thanks),
    refused: Answer::json(401, r#"{"code":"97"}"#),
    event: Event { id: &[&[Body("/id")]], ..Event::of("com.example") },
    ..ROW
};

fn thanks(verified: &Verified<'_>) -> Result<Response, Fault> {
    if verified.content() == b"{}" {
        return Err(Fault::Setting("secret"));
    }
    let body = format!("got {} bytes", verified.content().len()).into();
    Ok(Response { status: 202, content_type: Some("text/plain"), body })
}

fn config() -> Value {
    json!({ "secret": KEY })
}

/// The data of every event of a call.
#[track_caller]
fn data(row: &'static Provider, body: &str) -> Vec<(Value, Value)> {
    let call = signed(row, &config(), Request::post(JSON, body));
    let answered = Bench::new(row, &config()).send(&call);
    assert_eq!(answered.status, 200, "{answered:?}");
    answered.envelopes().into_iter().map(|event| (event["data"].clone(), event)).collect()
}

#[test]
fn a_list_is_unwrapped() {
    let events = data(&ARRAY, r#"[{"id":1,"a":1.50},{"id":"b"}]"#);
    let ids: Vec<_> =
        events.iter().map(|(data, event)| (data.to_string(), event["id"].as_str().unwrap())).collect();
    assert_eq!(ids, [(r#"{"a":1.5,"id":1}"#.to_owned(), "1"), (r#"{"id":"b"}"#.to_owned(), "b")]);
    assert_eq!(data(&ARRAY, r#"{"id":7}"#)[0].1["id"], "7");
    // What holds no event, or something else than events, arrives as it came.
    for body in ["[]", "[1]", r#"[{"id":1},null]"#, "7"] {
        let events = data(&ARRAY, body);
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].1["type"], "com.example.unreadable", "{body}");
    }
}

#[test]
fn equal_elements_of_a_list_are_told_apart() {
    let events = data(&ARRAY, r#"[{"a":1},{"a":1},{"a":2}]"#);
    let ids: Vec<_> = events.iter().map(|(_, event)| event["id"].as_str().unwrap()).collect();
    assert_eq!(ids[1], format!("{}:2", ids[0]));
    assert!(!ids[2].starts_with(ids[0]));
}

#[test]
fn elements_of_one_name_are_events() {
    let one = data(&ELEMENTS, "<feed><title>t</title><entry><id>1</id></entry></feed>");
    assert_eq!(one.len(), 1);
    assert_eq!(one[0].0, json!({ "feed": { "title": "t", "entry": { "id": "1" } } }));
    let two =
        data(&ELEMENTS, "<feed><title>t</title><entry><id>1</id></entry><entry><id>2</id></entry></feed>");
    assert_eq!(two[0].0, one[0].0);
    assert_eq!(two[1].0, json!({ "feed": { "title": "t", "entry": { "id": "2" } } }));
    assert_eq!((&two[1].1["id"], &two[1].1["subject"]), (&json!("2"), &json!("t")));
    let none = data(&ELEMENTS, "<feed><title>t</title></feed>");
    assert_eq!((none.len(), &none[0].0), (1, &json!({ "feed": { "title": "t" } })));
    // An element without content is text, and no event of its own.
    assert_eq!(data(&ELEMENTS, "<feed><entry/></feed>")[0].0, json!({ "feed": { "entry": "" } }));
    assert_eq!(data(&ELEMENTS, "<!DOCTYPE feed><feed/>")[0].1["type"], "com.example.unreadable");
}

#[test]
fn every_list_of_an_ending_is_cut() {
    let events = data(
        &SUFFIXED,
        r#"{"for":"7","a_events":[{"id":"1"},{"id":"2"}],"users":[1],"b_events":[{"id":"3"}]}"#,
    );
    let told: Vec<_> = events
        .iter()
        .map(|(data, event)| (data.clone(), event["type"].clone(), event["id"].clone()))
        .collect();
    let of = |name: &str, id: &str| {
        let mut data = json!({ "for": "7", "users": [1] });
        data[name] = json!([{ "id": id }]);
        (data, json!(format!("com.example.{name}")), json!(id))
    };
    assert_eq!(told, [of("a_events", "1"), of("a_events", "2"), of("b_events", "3")]);
    assert!(events.iter().all(|(_, event)| event["account"] == "7"));
    for whole in [r#"{"for":"7"}"#, r#"{"a_events":[]}"#, r#"{"a_events":{}}"#] {
        let events = data(&SUFFIXED, whole);
        assert_eq!((events.len(), &events[0].1["type"]), (1, &json!("com.example.unknown")), "{whole}");
    }
    assert_eq!(data(&SUFFIXED, r#"{"a_events":[],"a_events":[1]}"#)[0].1["type"], "com.example.unreadable");
}

#[test]
fn a_time_without_a_zone_gets_its_providers() {
    for (body, time) in [
        (r#"{"hanoi":"2026-11-24 13:00:00"}"#, json!("2026-11-24T13:00:00+07:00")),
        (r#"{"hanoi":"2026-11-24T13:00:00.250"}"#, json!("2026-11-24T13:00:00.250+07:00")),
        (r#"{"hanoi":"20261124130000"}"#, json!("2026-11-24T13:00:00+07:00")),
        (r#"{"utc":"2026-11-24T06:00:00.123456"}"#, json!("2026-11-24T06:00:00.123456Z")),
        (r#"{"newfoundland":"2026-11-24 02:30:00"}"#, json!("2026-11-24T02:30:00-03:30")),
        (r#"{"flake":"175928847299117063"}"#, json!("2016-04-30T11:18:25.796Z")),
        (r#"{"flake":175928847299117063}"#, json!("2016-04-30T11:18:25.796Z")),
        (r#"{"hanoi":"2026-13-24 13:00:00"}"#, Value::Null),
        (r#"{"hanoi":"2026-11-24 13:00:00Z"}"#, Value::Null),
        (r#"{"hanoi":"2026112413000"}"#, Value::Null),
        (r#"{"hanoi":"202611241300001"}"#, Value::Null),
        (r#"{"hanoi":"２０261124"}"#, Value::Null),
        (r#"{"flake":"-1"}"#, Value::Null),
        (r#"{"flake":"18446744073709551616"}"#, Value::Null),
    ] {
        assert_eq!(data(&TIMES, body)[0].1["time"], time, "{body}");
    }
}

#[test]
fn a_way_applies_to_one_text_or_to_all_others() {
    for (body, kind) in [
        (r#"{"code":"00"}"#, "paid"),
        (r#"{"code":"001"}"#, "failed"),
        (r#"{"code":24}"#, "failed"),
        (r#"{"code":"09"}"#, "09"),
        ("{}", "unknown"),
    ] {
        assert_eq!(data(&TIMES, body)[0].1["type"], format!("com.example.{kind}"), "{body}");
    }
}

/// Made here, and not by the row.
fn tagged(at: i64, sum: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(b"throw-away key of the test, 32 b").unwrap();
    mac.update(format!("{at}{sum}").as_bytes());
    hex::encode(mac.finalize().into_bytes())
}

#[test]
fn a_signature_may_stand_in_the_body() {
    let bench = Bench::new(&IN_BODY, &config());
    let send = |body: Value| bench.send(&Request::post(JSON, body.to_string()));
    let good = |at: i64| json!({ "sum": 5, "proof": { "at": at.to_string(), "tag": tagged(at, "5") } });
    assert!(send(good(CLOCK)).is_accepted(1));
    assert_eq!(send(good(CLOCK)).envelope()["assurance"], "signed-fields");
    assert!(send(good(CLOCK - 61)).is_refused());
    for (pointer, value) in [
        ("/sum", json!(6)),
        ("/sum", json!("5 ")),
        ("/proof/at", json!((CLOCK + 1).to_string())),
        ("/proof/tag", json!("")),
        ("/proof/tag", Value::Null),
        ("/proof/tag", json!([tagged(CLOCK, "5")])),
        ("/proof", Value::Null),
    ] {
        let mut bad = good(CLOCK);
        *bad.pointer_mut(pointer).unwrap() = value;
        assert!(send(bad.clone()).is_refused(), "{bad}");
    }
    let twice = format!(r#"{{"sum":5,"sum":6,"proof":{{"at":"{CLOCK}","tag":"{}"}}}}"#, tagged(CLOCK, "5"));
    assert!(bench.send(&Request::post(JSON, twice)).is_refused());
    // What the row signs is what was made by hand.
    let draft = signed(&IN_BODY, &config(), Request::post(JSON, r#"{"sum":5,"proof":{}}"#));
    assert_eq!(serde_json::from_slice::<Value>(&draft.body).unwrap(), good(CLOCK));
}

/// A key that is no base64 is no key: nothing is checked with its text.
#[test]
fn a_key_in_base64_is_decoded() {
    let draft = signed(&IN_BODY, &config(), Request::post(JSON, r#"{"sum":5,"proof":{}}"#));
    let send = |secret: Value| Bench::new(&IN_BODY, &json!({ "secret": secret })).send(&draft);
    assert!(send(json!([KEY])).is_accepted(1));
    assert!(send(json!("throw-away key of the test, 32 b")).is_fault());
    assert!(send(json!(KEY.trim_end_matches('='))).is_fault());
}

#[test]
fn a_row_says_how_events_come_and_what_is_answered() {
    let bench = Bench::new(&BY_PUT, &config());
    let call = |body: &str| {
        let put = Request { method: "PUT".into(), ..Request::post(JSON, body) };
        signed(&BY_PUT, &config(), put)
    };
    let answered = bench.send(&call(r#"{"id":"1"}"#));
    assert_eq!((answered.status, answered.body.as_str(), answered.events.len()), (202, "got 10 bytes", 1));
    assert_eq!(answered.header("content-type"), Some("text/plain"));
    let post = bench.send(&Request { method: "POST".into(), ..call("{\"id\":1}") });
    assert_eq!((post.status, post.header("allow"), post.why), (405, Some("PUT"), Why::Method));
    // An answer that cannot be made is our fault, and nothing is stored for it.
    assert!(bench.send(&call("{}")).is_fault());
    let forged = bench.send(&Request { body: b"{\"id\":\"2\"}".to_vec(), ..call(r#"{"id":"1"}"#) });
    assert!(forged.is_refused() && forged.body == r#"{"code":"97"}"#, "{forged:?}");
}
