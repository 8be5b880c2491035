//! The signed requests of a provider, `functions/<provider>/vectors.jsonl`, and what may be answered to each.
//!
//! A member that is not known here fails the reading: a demand that nobody checks would otherwise look fulfilled.

use crate::event::Request;
use crate::lambda::Outcome;
use base64::{Engine, prelude::BASE64_STANDARD};
use regex_lite::Regex;
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// Handshakes that are signed as events are, and that no documentation keeps from the queue: queued or not, both are
/// right.
const QUEUED_OR_NOT: [&str; 1] = ["twitch.handshake.revocation"];

/// A request, the settings it was made for, and what has to come of it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vector {
    /// `github.forged.sig-truncated`
    pub id: String,
    /// The provider's name in the file the vector comes from.
    pub provider: String,
    /// What it is.
    pub kind: Kind,
    /// Who signed it: `sdk:…` (the provider's own code) or `docs:…` (by its documentation).
    pub origin: String,
    /// `POST`
    pub method: String,
    /// Starts with `/`.
    pub path: String,
    /// Without the `?`.
    pub query: String,
    /// In the order sent; a name may stand there twice.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    #[serde(rename = "body_b64", deserialize_with = "base64")]
    pub body: Vec<u8>,
    /// Vectors with one id share a configuration.
    pub config_id: String,
    /// All that the receiver is configured with; [`Vector::config`] is what a function gets.
    #[serde(rename = "config")]
    pub settings: Map<String, Value>,
    /// Unix seconds at which the request arrives, where that matters.
    pub clock: Option<i64>,
    /// What has to come of it.
    pub expect: Expect,
    /// Further answers that are allowed.
    #[serde(default)]
    pub alt: Vec<Answer>,
    /// What a receiver would have to fetch, by URL.
    #[serde(default)]
    pub fetch: BTreeMap<String, Fetched>,
    /// A word on it.
    pub note: Option<String>,
    /// `unicode`, `sheet-differs`
    #[serde(default)]
    pub tags: Vec<String>,
    /// The set of vectors it belongs to.
    pub set: Option<String>,
}

/// What a vector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// As the provider sends it.
    Genuine,
    /// As the provider never signed it.
    Forged,
    /// The provider tries the receiver.
    Handshake,
}

/// What has to come of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// All its events are queued.
    Accept,
    /// Nothing is queued.
    Reject,
    /// A handshake: answered exactly so, nothing is queued.
    Respond,
    /// Official verifiers disagree: only a 5xx, or queueing while answering 4xx, is wrong.
    Either,
}

/// The decision, an answer, and what the events should say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Flat")]
pub struct Expect {
    /// What has to come of it.
    pub decision: Decision,
    /// The answer.
    pub answer: Answer,
    /// How many events the call carries, where that is settled.
    pub events: Option<usize>,
    /// The provider's own word for the kind of event.
    pub event_type: Option<String>,
    /// The provider's own id of the event.
    pub event_id: Option<String>,
    /// When it happened, as RFC 3339.
    pub occurred_at: Option<String>,
}

/// An allowed answer. What is empty or absent allows anything.
#[derive(Debug, Clone, PartialEq, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Answer {
    /// Any of these.
    pub status: Vec<u16>,
    /// The exact text.
    pub body: Option<String>,
    /// Equal as JSON.
    pub body_json: Option<Value>,
    /// The answer's JSON has at least these members, at any depth.
    pub body_json_subset: Option<Value>,
    /// Is found somewhere in the text.
    pub body_re: Option<String>,
    /// The parameters count only where some are named: `text/plain` allows `text/plain; charset=utf-8`.
    pub content_type: Option<String>,
    /// Anything but this, whatever its parameters.
    pub content_type_not: Option<String>,
    /// Each has one of its values.
    pub headers: BTreeMap<String, Vec<String>>,
}

/// Something to be fetched.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// `GET` unless the vector says otherwise.
    #[serde(default = "get")]
    pub method: String,
    /// `200`
    pub status: u16,
    /// `application/json`
    pub content_type: String,
    /// The text.
    pub body: String,
}

/// `expect` as it stands in the file: the answer's members beside the others.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Flat {
    decision: Decision,
    status: Vec<u16>,
    body: Option<String>,
    body_json: Option<Value>,
    body_json_subset: Option<Value>,
    body_re: Option<String>,
    content_type: Option<String>,
    content_type_not: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, Vec<String>>,
    events: Option<usize>,
    event_type: Option<String>,
    event_id: Option<String>,
    occurred_at: Option<String>,
}

/// All vectors of a provider (by its name in the project), in the order of its file.
///
/// Panics when the file is missing or a line cannot be read, naming both.
#[track_caller]
pub fn of(provider: &str) -> Vec<Vector> {
    let path = file(provider);
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let vectors: Vec<Vector> = text
        .lines()
        .enumerate()
        .map(|(i, line)| {
            Vector::parse(line).unwrap_or_else(|reason| panic!("{}:{}: {reason}", path.display(), i + 1))
        })
        .collect();
    assert!(!vectors.is_empty(), "{}: no vectors", path.display());
    vectors
}

/// Where a provider's vectors are; not every provider has some.
pub fn file(provider: &str) -> PathBuf {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.parent().expect("the repository").join("functions").join(provider).join("vectors.jsonl")
}

impl Vector {
    /// From a line of a file. `Err` says what is wrong with it.
    pub fn parse(line: &str) -> Result<Vector, String> {
        let vector: Vector = serde_json::from_str(line).map_err(|e| e.to_string())?;
        for answer in vector.allowed() {
            if let Some(pattern) = &answer.body_re {
                Regex::new(pattern).map_err(|e| format!("{}: body_re: {e}", vector.id))?;
            }
        }
        Ok(vector)
    }

    /// The request as the provider sends it.
    pub fn request(&self) -> Request {
        Request {
            method: self.method.clone(),
            path: self.path.clone(),
            query: self.query.clone(),
            headers: self.headers.clone(),
            body: self.body.clone(),
        }
    }

    /// What has to come of it.
    pub fn decision(&self) -> Decision {
        self.expect.decision
    }

    /// For `HOOKGATE_CONFIG`: without `tolerance_s`, which tells the window that the vectors assume and is no setting, and
    /// with the keys that a function would fetch, so that it need not.
    pub fn config(&self) -> Value {
        let mut config = self.config_to_fetch();
        let documents = self.fetch.values().map(|fetched| serde_json::from_str::<Value>(&fetched.body));
        for keys in documents.flatten().filter(|document| document["keys"].is_array()) {
            config["jwks"] = keys;
        }
        config
    }

    /// The same for a function that fetches its keys.
    pub fn config_to_fetch(&self) -> Value {
        let mut settings = self.settings.clone();
        settings.remove("tolerance_s");
        settings.into()
    }

    /// What is to be fetched, by URL.
    pub fn documents(&self) -> impl Iterator<Item = (String, String)> {
        self.fetch.iter().map(|(url, fetched)| (url.clone(), fetched.body.clone()))
    }

    /// The window that the vector assumes, in seconds.
    pub fn tolerance_s(&self) -> Option<i64> {
        self.settings.get("tolerance_s").and_then(Value::as_i64)
    }

    /// [`Vector::judge`] on what a function gave. Anything but an answer is wrong.
    pub fn judge_outcome(&self, outcome: &Outcome, events: usize) -> Result<(), String> {
        match outcome {
            Outcome::Response(_) => self.judge(outcome.status(), &outcome.headers(), &outcome.body(), events),
            other => Err(format!("{}: no answer but {other:?}", self.id)),
        }
    }

    /// Whether this answer, with so many events queued, is right. `Err` says what is wrong, beginning with the id.
    pub fn judge(
        &self,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
        events: usize,
    ) -> Result<(), String> {
        let decision = self.decision();
        let wrong = |what: String| Err(format!("{}: {decision:?}: {what}", self.id));
        if decision == Decision::Either {
            return match status {
                500.. => wrong(format!("answered {status}")),
                400.. if events > 0 => wrong(format!("answered {status}, yet queued {events}")),
                _ => Ok(()),
            };
        }
        let reasons: Result<Vec<String>, ()> = self
            .allowed()
            .into_iter()
            .map(|answer| answer.judge(status, headers, body).err().ok_or(()))
            .collect();
        if let Ok(reasons) = reasons {
            return wrong(reasons.join("; or: "));
        }
        let right = match (decision, self.expect.events) {
            (Decision::Accept, Some(expected)) => events == expected,
            (Decision::Accept, None) => events >= 1,
            _ if QUEUED_OR_NOT.iter().any(|id| self.id.starts_with(id)) => true,
            _ => events == 0,
        };
        if right {
            return Ok(());
        }
        let expected = match (decision, self.expect.events) {
            (Decision::Accept, Some(expected)) => expected.to_string(),
            (Decision::Accept, None) => "some".into(),
            _ => "none".into(),
        };
        wrong(format!("queued {events} events instead of {expected}"))
    }

    /// Where there are further answers and `expect` names nothing but statuses, it only sums them up: the answers say
    /// what is allowed with which status.
    fn allowed(&self) -> Vec<&Answer> {
        let expected = &self.expect.answer;
        let sums_up = !self.alt.is_empty() && expected.is_status_only();
        Some(expected).filter(|_| !sums_up).into_iter().chain(&self.alt).collect()
    }
}

impl Answer {
    fn is_status_only(&self) -> bool {
        *self == Answer { status: self.status.clone(), ..Answer::default() }
    }

    fn judge(&self, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<(), String> {
        let value =
            |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str());
        if !self.status.is_empty() && !self.status.contains(&status) {
            return Err(format!("status {status}, not of {:?}", self.status));
        }
        for (name, allowed) in &self.headers {
            let got = value(name);
            if !allowed.iter().any(|v| Some(v.as_str()) == got) {
                return Err(format!("header {name} is {got:?}, not of {allowed:?}"));
            }
        }
        let content_type = value("content-type").unwrap_or_default();
        if self.content_type.as_ref().is_some_and(|expected| !is_of_type(content_type, expected)) {
            return Err(format!("content type {content_type:?}, not {:?}", self.content_type));
        }
        if self.content_type_not.as_ref().is_some_and(|refused| is_of_type(content_type, refused)) {
            return Err(format!("content type {content_type:?}"));
        }
        self.judge_body(body)
    }

    fn judge_body(&self, body: &[u8]) -> Result<(), String> {
        let text = String::from_utf8_lossy(body);
        if self.body.as_ref().is_some_and(|b| b.as_bytes() != body) {
            return Err(format!("body {text:?}, not {:?}", self.body));
        }
        let json = serde_json::from_slice::<Value>(body).ok();
        if self.body_json.is_some() && self.body_json != json {
            return Err(format!("body {text:?}, not {:?}", self.body_json));
        }
        if let Some(subset) = &self.body_json_subset
            && !json.is_some_and(|json| contains(&json, subset))
        {
            return Err(format!("body {text:?} without {subset}"));
        }
        if let Some(pattern) = &self.body_re
            && !Regex::new(pattern).is_ok_and(|regex| regex.is_match(&text))
        {
            return Err(format!("body {text:?} does not match {pattern}"));
        }
        Ok(())
    }
}

fn is_of_type(content_type: &str, expected: &str) -> bool {
    let parts = |text: &str| text.split(';').map(|part| part.trim().to_ascii_lowercase()).collect::<Vec<_>>();
    let (got, expected) = (parts(content_type), parts(expected));
    if expected.len() == 1 { got.first() == expected.first() } else { got == expected }
}

/// Whether all members of `part` are in `whole`, with their values.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(name, value)| whole.get(name).is_some_and(|w| contains(w, value)))
        }
        _ => whole == part,
    }
}

impl From<Flat> for Expect {
    fn from(flat: Flat) -> Expect {
        Expect {
            decision: flat.decision,
            answer: Answer {
                status: flat.status,
                body: flat.body,
                body_json: flat.body_json,
                body_json_subset: flat.body_json_subset,
                body_re: flat.body_re,
                content_type: flat.content_type,
                content_type_not: flat.content_type_not,
                headers: flat.headers,
            },
            events: flat.events,
            event_type: flat.event_type,
            event_id: flat.event_id,
            occurred_at: flat.occurred_at,
        }
    }
}

fn get() -> String {
    "GET".into()
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn line(expect: Value, alt: Value) -> String {
        json!({
            "id": "acme.genuine.0",
            "provider": "acme",
            "kind": "genuine",
            "origin": "docs:acme",
            "method": "POST",
            "path": "/acme",
            "query": "a=b",
            "headers": [["X-Sig", "1"], ["X-Sig", "2"]],
            "body_b64": "AP8=",
            "config": { "secret": "throw-away", "tolerance_s": 300 },
            "config_id": "acme-1",
            "clock": 1_795_500_000,
            "expect": expect,
            "alt": alt,
        })
        .to_string()
    }

    fn vector(expect: Value, alt: Value) -> Vector {
        Vector::parse(&line(expect, alt)).expect("a vector")
    }

    /// The ids of the answers that are judged right.
    fn right<'a>(vector: &Vector, answers: &[(&'a str, u16, &str, &str, usize)]) -> Vec<&'a str> {
        let judge = |(_, status, content_type, body, events): &(&str, u16, &str, &str, usize)| {
            let headers = [("Content-Type".to_owned(), (*content_type).to_owned())];
            vector.judge(*status, &headers, body.as_bytes(), *events).is_ok()
        };
        answers.iter().filter(|answer| judge(answer)).map(|answer| answer.0).collect()
    }

    #[test]
    fn a_line_gives_request_settings_and_clock() {
        let vector =
            vector(json!({ "decision": "accept", "status": [200], "events": 2, "body": null }), json!([]));
        let request = vector.request();
        assert_eq!(
            (request.path.as_str(), request.query.as_str(), request.body.as_slice()),
            ("/acme", "a=b", &[0, 255][..])
        );
        assert_eq!(request.headers, [("X-Sig".into(), "1".into()), ("X-Sig".into(), "2".into())]);
        assert_eq!((vector.config(), vector.tolerance_s()), (json!({ "secret": "throw-away" }), Some(300)));
        assert_eq!(
            (vector.decision(), vector.kind, vector.clock),
            (Decision::Accept, Kind::Genuine, Some(1_795_500_000))
        );
    }

    #[test]
    fn a_demand_that_is_not_known_fails_the_reading() {
        let accept = json!({ "decision": "accept", "status": [200] });
        assert!(Vector::parse(&line(accept.clone(), json!([]))).is_ok());
        let unknown = [
            line(json!({ "decision": "accept", "status": [200], "body_xml": "" }), json!([])),
            line(accept.clone(), json!([{ "status": [200], "body_xml": "" }])),
            line(accept.clone(), json!([{ "body_re": "(" }])),
            line(accept.clone(), json!([])).replacen("\"query\"", "\"fragment\"", 1),
            line(accept, json!([])).replacen("AP8=", "AP8", 1),
            line(json!({ "decision": "perhaps", "status": [200] }), json!([])),
        ];
        for line in unknown {
            assert!(Vector::parse(&line).is_err(), "{line}");
        }
    }

    #[test]
    fn accepting_takes_a_right_answer_and_all_events() {
        let expect = json!({
            "decision": "accept", "status": [200], "events": 2, "body_json": { "a": [1] }, "content_type": "application/json",
        });
        let answers = [
            ("right", 200, "Application/JSON; charset=utf-8", r#"{ "a": [1] }"#, 2),
            ("status", 201, "application/json", r#"{"a":[1]}"#, 2),
            ("type", 200, "text/plain", r#"{"a":[1]}"#, 2),
            ("body", 200, "application/json", r#"{"a":[2]}"#, 2),
            ("not JSON", 200, "application/json", "", 2),
            ("one event less", 200, "application/json", r#"{"a":[1]}"#, 1),
            ("one event more", 200, "application/json", r#"{"a":[1]}"#, 3),
        ];
        assert_eq!(right(&vector(expect, json!([])), &answers), ["right"]);
        let any = vector(json!({ "decision": "accept", "status": [200, 204], "events": null }), json!([]));
        assert_eq!(
            right(&any, &[("none", 200, "", "", 0), ("one", 204, "", "", 1), ("two", 200, "", "x", 2)]),
            ["one", "two"]
        );
    }

    #[test]
    fn rejecting_queues_nothing() {
        let vector = vector(
            json!({ "decision": "reject", "status": [401] }),
            json!([{ "status": [401] }, { "status": [200], "body_json_subset": { "code": { "n": 97 } } }]),
        );
        let answers = [
            ("plain", 401, "", "no", 0),
            ("coded", 200, "", r#"{"code":{"n":97,"m":1},"x":2}"#, 0),
            ("queued", 401, "", "no", 1),
            ("another code", 200, "", r#"{"code":{"n":0}}"#, 0),
            ("fault", 503, "", "", 0),
        ];
        assert_eq!(right(&vector, &answers), ["plain", "coded"]);
    }

    #[test]
    fn further_answers_decide_where_expect_only_sums_them_up() {
        let further =
            json!([{ "status": [403] }, { "status": [200], "body": "<b>", "content_type_not": "text/html" }]);
        let summary = vector(json!({ "decision": "respond", "status": [200, 403] }), further.clone());
        let answers = [
            ("refused", 403, "", "", 0),
            ("echoed", 200, "text/plain", "<b>", 0),
            ("as a page", 200, "text/html; charset=utf-8", "<b>", 0),
            ("queued", 403, "", "", 1),
            ("exact", 200, "text/html", "ok", 0),
        ];
        assert_eq!(right(&summary, &answers), ["refused", "echoed"]);
        let exact = vector(json!({ "decision": "respond", "status": [200], "body": "ok" }), further);
        assert_eq!(right(&exact, &answers), ["refused", "echoed", "exact"]);
    }

    #[test]
    fn parameters_of_a_content_type_count_where_named() {
        let cases = [
            ("text/html", "Text/HTML ; charset=utf-8", true),
            ("text/html; charset=utf-8", "text/html;charset=UTF-8", true),
            ("text/html; charset=utf-8", "text/html", false),
            ("text/html", "text/plain", false),
            ("text/html", "", false),
        ];
        for (expected, got, right) in cases {
            let expect = json!({ "decision": "respond", "status": [200], "content_type": expected });
            let headers = [("content-type".to_owned(), got.to_owned())];
            assert_eq!(
                vector(expect, json!([])).judge(200, &headers, b"", 0).is_ok(),
                right,
                "{expected} {got}"
            );
        }
    }

    #[test]
    fn headers_and_patterns_are_looked_at() {
        let vector = vector(
            json!({
                "decision": "respond", "status": [200], "body_re": r"<(?:[\w.-]+:)?Ack>\s*(?:true|1)\s*<",
                "headers": { "WebHook-Allowed-Origin": ["a.example", "*"] },
            }),
            json!([]),
        );
        let judge = |origin: &str, body: &str| {
            vector.judge(200, &[("webhook-allowed-origin".into(), origin.into())], body.as_bytes(), 0)
        };
        assert_eq!(judge("*", "<x><soap:Ack> true</soap:Ack></x>"), Ok(()));
        assert!(judge("b.example", "<Ack>1</Ack>").is_err_and(|e| e.contains("WebHook-Allowed-Origin")));
        assert!(
            judge("*", "<Ack>false</Ack>").is_err_and(|e| e.starts_with("acme.genuine.0: Respond: body"))
        );
    }

    #[test]
    fn a_revocation_may_be_queued_or_not() {
        let expect = json!({ "decision": "respond", "status": [200] });
        let line = line(expect, json!([])).replacen("acme.genuine.0", "twitch.handshake.revocation", 1);
        let vector = Vector::parse(&line).expect("a vector");
        let answers =
            [("queued", 200, "", "", 1), ("not queued", 200, "", "", 0), ("refused", 401, "", "", 0)];
        assert_eq!(right(&vector, &answers), ["queued", "not queued"]);
    }

    #[test]
    fn either_way_is_right_unless_it_contradicts_itself() {
        let vector = vector(json!({ "decision": "either", "status": [200, 401] }), json!([]));
        let answers = [
            ("accepted", 200, "", "", 1),
            ("refused", 401, "", "", 0),
            ("queued and refused", 401, "", "", 1),
            ("fault", 503, "", "", 0),
        ];
        assert_eq!(right(&vector, &answers), ["accepted", "refused"]);
    }

    #[test]
    fn only_an_answer_can_be_right() {
        let vector = vector(json!({ "decision": "reject", "status": [401] }), json!([]));
        let answer = json!({ "statusCode": 401, "headers": {}, "body": "bm8=", "isBase64Encoded": true });
        assert_eq!(vector.judge_outcome(&Outcome::Response(answer), 0), Ok(()));
        assert!(vector.judge_outcome(&Outcome::TimedOut, 0).is_err());
    }
}
