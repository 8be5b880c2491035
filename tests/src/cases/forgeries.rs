//! Forgeries derived from every accepted vector: each changes one thing, and each must end in the one refusal.

use super::support::{Answered, Bench, CLOCK, entry};
use crate::event::{Request, URL_HOST};
use crate::vector::{self, Decision, Vector};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use shared::gate::Why;
use shared::provider::Provider;
use shared::settings::Document;
use shared::trial;
use shared::verify::{Description, InBody};
use std::cell::{Cell, RefCell};

/// The least number of forgeries that each signed vector gives.
const AT_LEAST: usize = 25;

/// Throw-away secrets of other accounts. They are base64, which some keys have to be.
const OTHER_SECRETS: [&str; 3] = [
    "YSB0aHJvdy1hd2F5IHNlY3JldCBvZiBhbm90aGVyIG9uZQ==",
    "YSB0aHJvdy1hd2F5IHNlY3JldCwgb2xk",
    "YSB0aHJvdy1hd2F5IHNlY3JldCwgbmV3",
];

/// Rows whose signature covers one field of the body, which holds the whole event. Around that field anything may stand, and
/// what is there must not show in the event.
const SIGNED_IN_A_FIELD: [&str; 3] = ["dingtalk", "wechat", "wecom"];

/// One changed request, or the same under other settings or at another time.
struct Forgery {
    what: String,
    request: Request,
    config: Value,
    second: i64,
}

#[test]
fn every_forgery_is_refused() {
    let (mut vectors, mut forgeries) = (0, 0);
    for entry in registry::ENTRIES {
        for vector in vector::of(entry.provider.name) {
            if vector.decision() != Decision::Accept {
                continue;
            }
            let of_it = forge(entry.provider, &vector);
            assert!(of_it.len() >= AT_LEAST, "{}: only {} forgeries", vector.id, of_it.len());
            for forgery in &of_it {
                let answered =
                    Bench::new(entry.provider, &forgery.config).send_at(&forgery.request, forgery.second);
                let harmless =
                    is_kept_out(&answered) || is_the_same(entry.provider, &vector, forgery, &answered);
                assert!(harmless, "{}: {}: {answered:?}", vector.id, forgery.what);
            }
            vectors += 1;
            forgeries += of_it.len();
        }
    }
    assert!(vectors > 150, "only {vectors} accepted vectors");
    println!("{forgeries} forgeries of {vectors} vectors refused");
}

/// Refused; or, where the change made a documented probe of it, answered as one. Nothing is in the queue either way.
fn is_kept_out(answered: &Answered) -> bool {
    answered.is_refused() || (answered.why == Why::Handshake && answered.events.is_empty())
}

/// Whether a change around the signed field of a body left the event as it was sent.
fn is_the_same(provider: &'static Provider, vector: &Vector, forgery: &Forgery, answered: &Answered) -> bool {
    let genuine = vector.request();
    let around = Request { body: genuine.body.clone(), ..forgery.request.clone() } == genuine;
    if !around || !SIGNED_IN_A_FIELD.contains(&provider.name) || !answered.is_accepted(answered.events.len())
    {
        return false;
    }
    let told = |answered: &Answered| {
        let all = answered.envelopes().into_iter();
        all.map(|event| ["id", "type", "data", "data_base64"].map(|name| event[name].clone()))
            .collect::<Vec<_>>()
    };
    let sent = Bench::new(provider, &vector.config()).send_at(&genuine, forgery.second);
    told(&sent) == told(answered)
}

fn forge(provider: &'static Provider, vector: &Vector) -> Vec<Forgery> {
    let genuine = vector.request();
    let config = vector.config();
    let second = vector.clock.unwrap_or(CLOCK);
    let document = Document::read(provider, &config.to_string()).unwrap();
    let how = provider.scheme.describe(&document.endpoints()[0]);
    let mut all = Vec::new();
    let mut add = |what: &str, request: Request| {
        if request != genuine {
            all.push(Forgery { what: what.to_owned(), request, config: config.clone(), second });
        }
    };

    if how.assurance.is_some_and(|assurance| assurance.covers_body()) {
        of_body(&genuine, &mut add);
        if provider.scheme.covers_bytes(&document.endpoints()[0]) {
            of_bytes(&genuine, &mut add);
        }
    }
    let without = |names: &[String]| {
        let mut request = genuine.clone();
        request.headers.retain(|(name, _)| !names.iter().any(|n| n.eq_ignore_ascii_case(name)));
        request
    };
    add("no signature", without(&how.headers));
    // Headers that a row names are ways to the same signature; those that settings name must each be there.
    if provider.event_by_settings.is_some() {
        for name in &how.headers {
            add(&format!("no {name}"), without(std::slice::from_ref(name)));
        }
    }
    for name in how.headers.iter().filter(|name| has(&genuine, name)) {
        of_header(&genuine, name, &mut add);
    }
    for name in how.parameters.iter().filter(|name| in_query(&genuine, name)) {
        of_parameter(&genuine, name, &mut add);
    }
    if let Some(place) = how.in_body {
        of_place(&genuine, place, &mut add);
    }
    if let Some(name) = &how.timestamp_header {
        of_timestamp(&genuine, name, &mut add);
    }
    of_clock(&genuine, &config, second, &how, &mut all);
    of_secrets(&genuine, provider, &config, second, &mut all);
    all
}

/// What is said in the body is changed.
fn of_body(genuine: &Request, add: &mut impl FnMut(&str, Request)) {
    let len = genuine.body.len();
    for (what, place) in [("first", 0), ("middle", len / 2), ("last", len.saturating_sub(1))] {
        if len > 0 {
            add(&format!("a bit of the {what} byte"), with_body(genuine, &|body| body[place] ^= 1));
        }
    }
    add("the last byte gone", with_body(genuine, &|body| body.truncate(len - 1)));
    add("the body gone", with_body(genuine, &|body| body.clear()));
    add("the body twice", with_body(genuine, &|body| body.extend_from_within(..)));
}

/// What is said in the body stays, and its bytes are changed.
fn of_bytes(genuine: &Request, add: &mut impl FnMut(&str, Request)) {
    add("a newline after it", with_body(genuine, &|body| body.push(b'\n')));
    add("a byte order mark before it", with_body(genuine, &|body| drop(body.splice(0..0, *b"\xef\xbb\xbf"))));
    let crlf = |body: &mut Vec<u8>| {
        let text = String::from_utf8_lossy(body).replace('\n', "\r\n");
        *body = text.into_bytes();
    };
    add("CRLF for LF", with_body(genuine, &crlf));
    if let Ok(value) = serde_json::from_slice::<Value>(&genuine.body) {
        add("the body serialised anew", with_body(genuine, &|body| *body = value.to_string().into_bytes()));
    }
}

fn with_body(genuine: &Request, change: &dyn Fn(&mut Vec<u8>)) -> Request {
    let mut request = genuine.clone();
    change(&mut request.body);
    request
}

fn of_header(genuine: &Request, name: &str, add: &mut impl FnMut(&str, Request)) {
    let value = get(genuine, name);
    let with = |text: String| set(genuine, name, &text);
    add("an empty signature", with(String::new()));
    add("white space for a signature", with("  ".into()));
    for place in [1, value.len() / 4, 10] {
        add("another character", with(other_character(&value, value.len().saturating_sub(place + 1))));
    }
    for cut in [1, 2, 4, 32, 63] {
        if cut < value.len() {
            add("the end cut off", with(value[..value.len() - cut].into()));
        }
    }
    for more in ["0", "00", "A", " x", "\u{e9}", "\u{1}", "\n"] {
        add("something after it", with(format!("{value}{more}")));
    }
    for before in ["0", "x ", "sha256=", "v1=", "\u{feff}"] {
        // A prefix of its own may stand there once: a second one must not.
        add("something before it", with(format!("{before}{value}")));
    }
    add("upper case", with(value.to_uppercase()));
    // In a list of several, the second of the two is still a good one.
    if !value.contains(',') {
        add("doubled", with(format!("{value}{value}")));
    }
    add("good, then bad", with(format!("{value},{}", other_character(&value, value.len() - 2))));
    add("bad, then good", with(format!("{},{value}", other_character(&value, value.len() - 2))));
    add("good twice", with(format!("{value},{value}")));
    add("eight kilobytes", with(value.repeat(8192 / value.len() + 1)));
    add("reversed", with(value.chars().rev().collect()));
    if let Some((prefix, tag)) = value.rsplit_once('=').filter(|(_, tag)| tag.len() >= 40) {
        add("the prefix in capitals", with(format!("{}={tag}", prefix.to_uppercase())));
        add("another scheme's prefix", with(format!("v0x={tag}")));
        add("no tag after the prefix", with(format!("{prefix}=")));
    }
    let tag = value.rsplit('=').find(|part| !part.is_empty()).unwrap_or_default();
    if let Ok(bytes) = hex::decode(tag) {
        let prefix = &value[..value.len() - tag.len()];
        let encoded = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, bytes);
        add("base64 for hex", with(format!("{prefix}{encoded}")));
    }
}

fn of_parameter(genuine: &Request, name: &str, add: &mut impl FnMut(&str, Request)) {
    let all: Vec<&str> = genuine.query.split('&').collect();
    let (ours, others): (Vec<&str>, Vec<&str>) =
        all.iter().partition(|pair| pair.strip_prefix(name).is_some_and(|rest| rest.starts_with('=')));
    let [pair] = ours.as_slice() else { panic!("not once in {}", genuine.query) };
    let with = |pairs: &[String]| {
        let others = others.iter().map(ToString::to_string);
        Request {
            query: others.chain(pairs.iter().cloned()).collect::<Vec<_>>().join("&"),
            ..genuine.clone()
        }
    };
    let one = |pair: String| with(&[pair]);
    add("no token", with(&[]));
    add("another parameter", one(format!("x{pair}")));
    add("another case", one(pair.to_uppercase()));
    add("something after it", one(format!("{pair}x")));
    add("a space after it", one(format!("{pair}+")));
    add("the end cut off", one(pair[..pair.len() - 1].into()));
    add("empty", one(format!("{name}=")));
    add("no value", one(name.into()));
    add("good twice", with(&[pair.to_string(), pair.to_string()]));
    add("bad, then good", with(&[format!("{name}=bad"), pair.to_string()]));
    add("good, then bad", with(&[pair.to_string(), format!("{name}=bad")]));
    add("doubled", one(format!("{pair}{}", &pair[name.len() + 1..])));
    add("in a header instead", set(&with(&[]), name, &pair[name.len() + 1..]));
    for place in 1..=15 {
        if place < pair.len() - name.len() - 1 {
            add("another character", one(other_character(pair, pair.len() - place)));
        }
    }
}

/// A signature or token in the body: spoiled in all of its places, and in the last of several alone.
fn of_place(genuine: &Request, place: InBody, add: &mut impl FnMut(&str, Request)) {
    let changed = |change: &dyn Fn(usize, &str) -> Option<String>| {
        let count = Cell::new(0);
        let counted = |value: Option<&str>| {
            count.set(count.get() + 1);
            change(count.get(), value.expect("signed"))
        };
        let body = place.changed(&genuine.body, &counted).expect("a body that is read");
        Request { body, ..genuine.clone() }
    };
    let (places, value) = (Cell::new(0), RefCell::new(String::new()));
    changed(&|i, text| {
        places.set(i);
        value.replace(text.to_owned());
        None
    });
    let (places, value) = (places.get(), value.into_inner());
    // Of signatures by several keys, ours is the last.
    let (others, ours) = value.rfind('&').map_or(("", &*value), |at| value.split_at(at + 1));
    for (what, spoiled) in spoiled(ours) {
        let spoiled = spoiled.map(|spoiled| format!("{others}{spoiled}"));
        add(&format!("{what}, in the body"), changed(&|_, _| spoiled.clone()));
        let last_alone = |i, value: &str| if i == places { spoiled.clone() } else { Some(value.to_owned()) };
        add(&format!("{what}, in the last of {places}"), changed(&last_alone));
    }
}

/// What may come in place of a signature or token; `None` is nothing at all.
fn spoiled(value: &str) -> Vec<(&'static str, Option<String>)> {
    let len = value.len();
    let mut all = vec![
        ("none", None),
        ("empty", Some(String::new())),
        ("upper case", Some(value.to_uppercase())),
        ("doubled", Some(value.repeat(2))),
        ("reversed", Some(value.chars().rev().collect())),
        ("eight kilobytes", Some(value.repeat(8192 / len + 1))),
        ("good, then bad", Some(format!("{value},{}", other_character(value, len - 2)))),
        ("in a list", Some(format!("[\"{value}\"]"))),
        ("the beginning cut off", Some(value[1..].to_owned())),
    ];
    all.extend([1, 2, 4, len / 2].map(|cut| ("the end cut off", Some(value[..len - cut].to_owned()))));
    let after = ["0", "00", "A", " ", "\u{e9}", "\u{1}", "\n", "|"];
    all.extend(after.map(|after| ("something after it", Some(format!("{value}{after}")))));
    let before = ["0", " ", "|", "\u{feff}"];
    all.extend(before.map(|before| ("something before it", Some(format!("{before}{value}")))));
    let other = |from_end| Some(other_character(value, len - from_end));
    all.extend([1, 5, 9].map(|from_end| ("another character", other(from_end))));
    all
}

fn of_timestamp(genuine: &Request, name: &str, add: &mut impl FnMut(&str, Request)) {
    let value = get(genuine, name);
    // The next second of digits; of another spelling, the last digit in it changed.
    let later = match value.parse::<i64>() {
        Ok(number) => (number + 1).to_string(),
        Err(_) => {
            let place = value.rfind(|c: char| c.is_ascii_digit()).expect("a genuine time");
            let digit = if value.as_bytes()[place] == b'0' { "1" } else { "0" };
            [&value[..place], digit, &value[place + 1..]].concat()
        }
    };
    let mut without = genuine.clone();
    without.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    add("no time", without);
    let millis = format!("{value}000");
    for other in [
        later.as_str(),
        &millis,
        "",
        "abc",
        &format!("+{value}"),
        &format!(" {value} "),
        &format!("0{value}"),
        &format!("{value}.0"),
        &format!("{value},{value}"),
        "1.7e9",
        "0x6b0a",
        "-1",
        "99999999999999999999",
    ] {
        add("another time", set(genuine, name, other));
    }
}

fn of_clock(genuine: &Request, config: &Value, second: i64, how: &Description, all: &mut Vec<Forgery>) {
    let Some(tolerance) = how.tolerance.and_then(|seconds| i64::try_from(seconds).ok()) else { return };
    // Vectors are not all signed at their clock; far enough is outside for every one of them.
    let shifts = [2 * tolerance + 1, -2 * tolerance - 1, 86_400, -86_400, second - 1, -second];
    for shift in shifts.into_iter().filter(|shift| shift.abs() > 2 * tolerance) {
        let what = format!("{shift} seconds away");
        let second = (second + shift).max(0);
        all.push(Forgery { what, request: genuine.clone(), config: config.clone(), second });
    }
}

fn of_secrets(
    genuine: &Request,
    provider: &'static Provider,
    config: &Value,
    second: i64,
    all: &mut Vec<Forgery>,
) {
    let mut add = |what: &str, config: Value| {
        all.push(Forgery { what: what.to_owned(), request: genuine.clone(), config, second });
    };
    for setting in provider.settings.iter().filter(|s| s.shape == shared::provider::Shape::Secret) {
        if config.get(setting.name).is_none() || setting.name == "verify_token" {
            continue;
        }
        // Where not any text is a key, another key is the one of local trials: public halves, and AES keys of 43 characters.
        let is_key = |example: &&str| trial::is_public_half(example) || example.len() == 43;
        let key = setting.example.filter(is_key);
        let mut other = config.clone();
        other[setting.name] = key.unwrap_or(OTHER_SECRETS[0]).into();
        add("another secret", other);
        let mut others = config.clone();
        others[setting.name] = json!([key.unwrap_or(OTHER_SECRETS[1]), OTHER_SECRETS[2]]);
        add("other secrets", others);
    }
}

fn in_query(request: &Request, name: &str) -> bool {
    request.query.split('&').any(|pair| pair.split_once('=').is_some_and(|(n, _)| n == name))
}

fn has(request: &Request, name: &str) -> bool {
    request.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
}

fn get(request: &Request, name: &str) -> String {
    request.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).expect("the header").1.clone()
}

fn set(request: &Request, name: &str, value: &str) -> Request {
    let mut request = request.clone();
    request.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
    request.header(name, value)
}

/// The same with one character of the same class in place of another.
fn other_character(text: &str, place: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    let byte = &mut bytes[place];
    *byte = match *byte {
        b'0' => b'1',
        b'a'..=b'e' | b'A'..=b'E' | b'1'..=b'8' => *byte + 1,
        b'9' => b'8',
        b'f' | b'F' => *byte - 1,
        b'z' | b'Z' => *byte - 1,
        b'g'..=b'y' | b'G'..=b'Y' => *byte + 1,
        _ => b'0',
    };
    String::from_utf8(bytes).expect("text of ASCII")
}

#[test]
fn an_uncovered_body_is_said_to_be_so() {
    // A token says nothing about the body: another body under the same token is let in, and the envelope says `token`.
    let provider = entry("telegram").provider;
    let vector = vector::of("telegram").into_iter().find(|v| v.decision() == Decision::Accept).unwrap();
    let request = Request { body: br#"{"update_id":1,"poll":{}}"#.to_vec(), ..vector.request() };
    let answered = Bench::new(provider, &vector.config()).send(&request);
    assert_eq!(answered.envelope()["assurance"], "token");
    assert_eq!(answered.envelope()["idsource"], "header");
}

/// By settings, several parts may be signed side by side. A captured call must not pass cut in another place: each genuine
/// one is tried at every other cut of what was signed.
#[test]
fn what_is_signed_cannot_be_cut_elsewhere() {
    let second = CLOCK.to_string();
    // What is signed; id, query and body; `T` is the signed time.
    let genuine: [(&[&str], &str, &str, &str, bool); 21] = [
        (&["id", "timestamp", "body"], "evt_1", "", r#"[T,{"a":1}]"#, true),
        (&["id", ".", "timestamp", ".", "body"], "evt_1", "", "a=1.T.5", true),
        (&["id", ".", "timestamp", ".", "body"], "evt.T", "", r#"{"x":1}"#, false),
        (&["id", ".", "timestamp", "body"], "evt_1", "", "T.a=1", true),
        (&["id", "timestamp", ".", "body"], "evt_1", "", "T.a=1", true),
        (&["id", ".", "body"], "evt_1", "", "a=1.50&b=2", true),
        (&["id", ".", "body"], "a.b", "", r#"{"x":1}"#, false),
        (&["id", "--", "body"], "x", "", "v=1", true),
        (&["id", "--", "body"], "x-", "", "v=1", false),
        (&["id", "body"], "evt_1", "", r#"{"to":"bob"}"#, true),
        (&["id", "body"], "evt_1", "", "to=bob", false),
        (&["body", "id"], "evt_1", "", "[[1]]", true),
        (&["body", ".", "id"], "evt_1", "", "a=1.5", true),
        (&["body", "timestamp", "id"], "evt_1", "", r#"{"a":T}"#, true),
        (&["body", ".", "timestamp", ".", "id"], "evt_1", "", "a=1.T.5", true),
        (&["url", "body"], "", "x=1", r#"{"a":[1]}"#, true),
        (&["url", "body"], "", "x=1", "a=1", false),
        (&["url", ",", "body"], "", "x=1", "a,b=1", true),
        (&["url", ".", "body"], "", "x=1", "{}", false),
        (&["id", "url", ",", "body"], "evt_1", "", "{}", true),
        (&["timestamp", "body"], "", "", "5a=1", true),
    ];
    let mut tried = 0;
    for (words, id, query, body, is_served) in genuine {
        let filled = |text: &str| text.replace('T', &second);
        let query = if query.is_empty() { String::new() } else { format!("?{query}") };
        let sent = Parts {
            id: filled(id),
            timestamp: second.clone(),
            url: format!("https://{URL_HOST}/{query}"),
            body: filled(body),
        };
        let answered = sent.send(words);
        assert_eq!(answered.is_accepted(1), is_served, "{words:?} {id} {query} {body}: {answered:?}");
        assert!(is_served || answered.is_refused(), "{words:?} {id}: {answered:?}");
        let mut others = Vec::new();
        let nothing = Parts { timestamp: second.clone(), url: sent.url.clone(), ..Parts::default() };
        cuts(words, &sent.text(words), &nothing, &mut others);
        assert!(others.contains(&sent), "{words:?}: the cuts lack the genuine one");
        let passed: Vec<_> = others.iter().filter(|other| other.send(words).is_accepted(1)).collect();
        // One may pass, and where the genuine one does, it is that.
        assert!(passed.len() <= 1 && (!is_served || passed == [&sent]), "{words:?} {id} {body}: {passed:?}");
        tried += others.len();
    }
    assert!(tried > 500, "only {tried} cuts");
}

/// What a call by settings may be signed over.
#[derive(Debug, Clone, Default, PartialEq)]
struct Parts {
    id: String,
    timestamp: String,
    url: String,
    body: String,
}

impl Parts {
    fn part(&mut self, word: &str) -> Option<&mut String> {
        match word {
            "id" => Some(&mut self.id),
            "timestamp" => Some(&mut self.timestamp),
            "url" => Some(&mut self.url),
            "body" => Some(&mut self.body),
            _ => None,
        }
    }

    fn text(&self, words: &[&str]) -> String {
        let mut parts = self.clone();
        words.iter().map(|word| parts.part(word).map_or(word.to_string(), |part| part.clone())).collect()
    }

    /// Sends it with the right signature for what it is.
    fn send(&self, words: &[&str]) -> Answered {
        let mut rule = json!({"header": "x-signature", "signed": words});
        for word in ["id", "timestamp"].into_iter().filter(|word| words.contains(word)) {
            rule[format!("{word}_header")] = format!("x-{word}").into();
        }
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a throw-away secret").expect("a key");
        mac.update(self.text(words).as_bytes());
        let mut request = Request::post("application/json", self.body.as_str())
            .header("x-id", &self.id)
            .header("x-timestamp", &self.timestamp)
            .header("x-signature", &hex::encode(mac.finalize().into_bytes()));
        request.query = self.url.split_once('?').map_or("", |(_, query)| query).into();
        let config = json!({"secret": "a throw-away secret", "signature": rule});
        Bench::new(entry("generic").provider, &config).send(&request)
    }
}

/// Every way to read a text as these words. A URL has to be one that the function can be called by.
fn cuts(words: &[&str], text: &str, read: &Parts, found: &mut Vec<Parts>) {
    let Some((word, rest)) = words.split_first() else {
        found.extend(text.is_empty().then(|| read.clone()));
        return;
    };
    if read.clone().part(word).is_none() {
        if let Some(after) = text.strip_prefix(word) {
            cuts(rest, after, read, found);
        }
        return;
    }
    let base = format!("https://{URL_HOST}/");
    for end in 0..=text.len() {
        let (part, after) = text.split_at(end);
        if *word == "url"
            && part != base
            && !part.strip_prefix(&base).is_some_and(|q| q.len() > 1 && q.starts_with('?'))
        {
            continue;
        }
        let mut read = read.clone();
        *read.part(word).expect("a part") = part.to_owned();
        cuts(rest, after, &read, found);
    }
}
