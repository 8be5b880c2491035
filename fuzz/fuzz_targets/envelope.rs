//! Genuine calls with any body: each one is accepted, and each gives envelopes that keep the contract.
//!
//! Input: the row's number, the variant of the settings, then a request without its first line: headers, an empty line,
//! the body.
#![no_main]

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuzz::rows::{self, NOW};
use fuzz::signed;
use fuzz::tree::{self, Node, Tree};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::event::{Envelope, Object, envelopes};
use shared::json::MAX_DEPTH;
use shared::provider::{Provider, Split};
use shared::sample::{Draft, Trial};
use shared::settings::{Document, Endpoint, RAW};
use shared::trial;
use shared::verify::{InBody, verify};
use std::collections::HashSet;

/// Rows whose events are encrypted: what is read is not what is sent, and to sign twice is to encrypt twice.
const ENCRYPTED: [&str; 4] = ["dingtalk", "feishu", "wechat", "wecom"];

fuzz_target!(|data: &[u8]| {
    let [row, variant, request @ ..] = data else { return };
    let provider = registry::ENTRIES[usize::from(*row) % registry::ENTRIES.len()].provider;
    if ENCRYPTED.contains(&provider.name) {
        return;
    }
    let (headers, body) = split(request);
    let by_settings = provider.event_by_settings.is_some();
    let mut settings = if by_settings {
        // A header's value serves as the place of an id, if it can.
        let place = headers.iter().map(|(_, value)| value.as_str());
        let pointer = place.rev().find(|value| value.starts_with('/')).unwrap_or("/id");
        rows::generic(*variant, pointer)
    } else {
        rows::settings(provider)
    };
    let document = Document::of(provider, &settings);
    let endpoint = &document.endpoints()[0];
    if endpoint.usable().is_err() {
        assert!(by_settings, "settings made for this row");
        return;
    }
    let mut draft = draft(provider, endpoint, headers, body);
    let in_body = provider.scheme.describe(endpoint).in_body;
    if in_body.is_some() && provider.scheme.sign(&mut draft, endpoint, NOW).is_err() {
        // A body that has no place for a signature. One that has keeps it: it is part of what is checked and carried.
        return;
    }
    let Some(events) = accepted(provider, endpoint, &draft, NOW) else { return };

    let later = accepted(provider, endpoint, &draft, NOW + 60).expect("signed a moment ago");
    let ids = |events: &[Envelope]| events.iter().map(|event| event.id().to_owned()).collect::<Vec<_>>();
    assert_eq!(ids(&events), ids(&later), "an id must outlive a retry");
    let identities: HashSet<String> = events.iter().map(Envelope::identity).collect();

    for event in &events {
        check(provider, endpoint, &draft, event);
    }
    settings.insert(RAW.to_owned(), true.into());
    let raw = Document::of(provider, &settings);
    let with_bytes = accepted(provider, &raw.endpoints()[0], &draft, NOW).expect("signed a moment ago");
    assert_eq!(ids(&events), ids(&with_bytes), "an id is not the raw bytes' affair");
    for (event, with_bytes) in events.iter().zip(&with_bytes) {
        check_references(&draft.body, event, with_bytes);
    }
    match provider.event.split {
        Split::One => {
            let [event] = events.as_slice() else { panic!("one call, one event") };
            // Signatures and tokens in a body are cut out of its data.
            if !matches!(provider.name, "mailgun" | "googlechat") {
                check_data(provider, &draft.body, event);
            }
        }
        Split::Entries { entries, .. } | Split::Nested { entries, .. } => {
            let Some(wanted) = items_of(&draft.body, provider.event.split) else { return };
            check_items(&events, entries, &wanted, in_body);
            if identities.len() == events.len() {
                check_order(provider, endpoint, &draft, entries, &events);
            }
        }
        // What all envelopes keep was checked above.
        Split::Array | Split::Elements(_) | Split::Suffixed(_) => {}
    }
});

/// Headers and body of a request.
fn split(request: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let Some(end) = request.windows(2).position(|pair| pair == b"\n\n") else { return (Vec::new(), request) };
    let head = String::from_utf8_lossy(&request[..end]);
    let lines = head.lines().filter_map(|line| line.split_once(": "));
    let headers = lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    (headers, &request[end + 2..])
}

/// A request that its sender has not signed yet.
fn draft(provider: &Provider, endpoint: &Endpoint, headers: Vec<(String, String)>, body: &[u8]) -> Draft {
    let described = provider.scheme.describe(endpoint);
    let own = |name: &str| {
        let own = described.headers.iter().chain(&described.timestamp_header);
        own.chain([&"authorization".to_owned()]).any(|own| own.eq_ignore_ascii_case(name))
    };
    let mut draft = Draft {
        method: "POST".to_owned(),
        path: "/hook".to_owned(),
        query: String::new(),
        headers: headers.into_iter().filter(|(name, _)| !own(name)).collect(),
        body: body.to_owned(),
        family: None,
        trial: Some(Trial(trial::sign)),
    };
    if provider.event_by_settings.is_some() {
        draft.set_header("x-sig-id", "id");
    }
    if provider.name == "braintree" {
        // Any bytes as the payload, which is base64 in a form.
        let payload = BASE64_STANDARD.encode(body).replace('+', "%2B");
        draft.body = format!("bt_payload={payload}").into();
    }
    draft
}

/// Signs a draft, has it checked and makes events of it, twice. `None` where it lacks a field that is signed.
fn accepted(
    provider: &'static Provider,
    endpoint: &Endpoint,
    draft: &Draft,
    now: i64,
) -> Option<Vec<Envelope>> {
    let mut draft = draft.clone();
    if provider.scheme.sign(&mut draft, endpoint, now).is_err() {
        let is_no_event = provider.name == "zalo" && signed::zalo_time(&draft.body).is_none()
            || signed::is_no_event(provider.name, &draft.body);
        let needs_fields = !provider.scheme.covers_bytes(endpoint);
        assert!(
            is_no_event || needs_fields || lacks_header(provider, endpoint, &draft),
            "{} cannot be signed",
            provider.name
        );
        return None;
    }
    let call = draft.call();
    let verified = match verify(provider, &call, endpoint, now) {
        Ok(verified) => verified,
        Err(failure) => {
            // Fields that could be cut in two ways are refused, however well they are signed.
            let is_of_fields = !provider.scheme.covers_bytes(endpoint);
            assert!(
                is_of_fields || signed::is_no_event(provider.name, &draft.body),
                "a genuine call of {}: {failure:?}",
                provider.name
            );
            return None;
        }
    };
    if verified.content() != verified.body() {
        // What is read is what was signed within the body: it has no oracle here.
        return None;
    }
    let events = envelopes(&verified, now * 1000);
    assert!(!events.is_empty(), "verified means queued");
    assert_eq!(events, envelopes(&verified, now * 1000), "twice the same");
    Some(events)
}

/// Whether a header is not there that is signed and that the row does not set itself.
fn lacks_header(provider: &Provider, endpoint: &Endpoint, draft: &Draft) -> bool {
    let described = provider.scheme.describe(endpoint);
    let own: Vec<&String> = described.headers.iter().chain(&described.timestamp_header).collect();
    let signed = provider.scheme.evidence(endpoint).map(|evidence| evidence.headers).unwrap_or_default();
    let is_there = |name: &String| draft.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    signed.iter().any(|name| !own.contains(&name) && !is_there(name))
}

/// What holds for every envelope.
fn check(provider: &Provider, endpoint: &Endpoint, draft: &Draft, event: &Envelope) {
    let text = event.text();
    let envelope = tree::parse(text).expect("an envelope is JSON");
    assert!(envelope.depth() <= MAX_DEPTH + 1, "{} levels", envelope.depth());
    let names: HashSet<&str> = envelope.members().iter().map(|(name, _)| name.text.as_str()).collect();
    assert_eq!(names.len(), envelope.members().len(), "no attribute stands there twice");
    if envelope.is_interoperable() {
        serde_json::from_str::<Value>(text).expect("what every parser reads");
    }
    let attribute = |name: &str| envelope.member(name).and_then(Tree::text);
    assert_eq!(attribute("specversion"), Some("1.0"));
    assert_eq!(attribute("id"), Some(event.id()));
    assert_eq!(attribute("source"), Some(event.source()));
    assert_eq!(attribute("type"), Some(event.kind()));
    assert_eq!(attribute("provider"), Some(provider.name));
    // Where fields alone are signed, it is of these; of a call without a body, of what is shown.
    if attribute("assurance") != Some("signed-fields") && !draft.body.is_empty() {
        assert_eq!(attribute("calldigest"), Some(&*signed::sha256(&[&draft.body])));
    }
    assert!(
        !event.id().is_empty()
            && event.source().starts_with("/hookgate/")
            && event.order().starts_with(event.source())
    );
    for (name, value) in envelope.members().iter().filter(|(name, _)| name.text != "data") {
        let legal =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || name.text == "data_base64";
        assert!(name.text.bytes().all(legal) && name.text.len() <= 20, "{}", name.text);
        assert!(!value.raw.starts_with(['{', '[', 'n']), "{} is no CloudEvents type", name.text);
        assert!(value.text() != Some("") || name.text == "data_base64", "{} is empty", name.text);
    }

    let settings = endpoint.object("event").and_then(|event| event.get("prefix")?.as_str());
    let prefix = settings.unwrap_or(provider.event.prefix);
    let kind = event.kind().strip_prefix(prefix).and_then(|kind| kind.strip_prefix('.'));
    let kind = kind.unwrap_or_else(|| panic!("{} is not of {prefix}", event.kind()));
    assert!(kind.split('.').all(|part| !part.is_empty()), "the type {:?}", event.kind());
    if let Some(time) = attribute("time") {
        assert!(is_rfc3339(time), "{time}");
    }

    assert!(text.chars().all(is_carried), "SQS would refuse it");
    let mut size = text.len();
    for (name, value) in event.attributes() {
        assert!(!value.is_empty() && value.len() <= 256 && value.chars().all(is_carried), "{name}={value:?}");
        size += name.len() + "String".len() + value.len();
    }
    assert_eq!(event.size(), size);

    if let Some(headers) = attribute("headers") {
        let headers = tree::parse(headers).expect("JSON within JSON");
        for (name, value) in headers.members() {
            assert!(provider.event.headers.contains(&&*name.text), "{} may not be seen", name.text);
            let call = signed::joined(&draft.headers);
            assert!(call.get(&name.text).map(String::as_str) == value.text());
        }
    }
}

/// What the raw bytes add to an event, and what of it is left where a message can hold less.
fn check_references(body: &[u8], event: &Envelope, with_bytes: &Envelope) {
    let url = |object: &Object<'_>| format!("s3://b/data/p/{}", object.sha256);
    let plain = tree::parse(event.text()).expect("an envelope is JSON");
    let whole = tree::parse(with_bytes.text()).expect("an envelope is JSON");
    let raw = whole.member("rawbody").map(decoded);
    assert!(body.is_empty() || raw.is_none_or(|raw| raw == body), "other bytes than the call's");
    let beside = ["rawbody", "rawheaders", "rawurl"];
    let rest = whole.members().iter().filter(|(name, _)| !beside.contains(&&*name.text));
    assert!(
        rest.map(|(name, value)| (&name.text, value.raw))
            .eq(plain.members().iter().map(|(name, value)| (&name.text, value.raw))),
        "raw bytes change nothing else"
    );
    for most in [with_bytes.size() - 1, event.size(), event.size() - 1, 0] {
        let (light, objects) = with_bytes.referring(most, url);
        assert!(light.size() <= most || light.referring(most, url).1.is_empty(), "something could still go");
        assert!(light.text().chars().all(is_carried));
        assert_eq!(light.identity(), event.identity());
        let light = tree::parse(light.text()).expect("an envelope is JSON");
        for object in &objects {
            assert_eq!(object.sha256, signed::sha256(&[&object.bytes]));
        }
        let find = |name: &str| {
            let reference = light.member(name)?.text()?.to_owned();
            Some(objects.iter().find(|object| url(object) == reference).expect("what it refers to"))
        };
        assert!(find("rawref").is_none_or(|object| &object.bytes[..] == body));
        match (plain.member("data"), plain.member("data_base64"), find("dataref")) {
            (Some(data), _, Some(object)) => assert_eq!(data.raw.as_bytes(), &object.bytes[..]),
            (_, Some(data), Some(object)) => assert_eq!(decoded(data), &object.bytes[..]),
            (data, in_base64, None) => {
                let raw = |tree: Option<&Tree<'_>>| tree.map(|tree| tree.raw.to_owned());
                assert_eq!(raw(light.member("data")), raw(data));
                assert_eq!(raw(light.member("data_base64")), raw(in_base64));
            }
            (None, None, Some(_)) => panic!("a reference to no data"),
        }
        assert!(light.member("dataref").is_none() || light.member("data").is_none());
    }
}

fn decoded(value: &Tree<'_>) -> Vec<u8> {
    BASE64_STANDARD.decode(value.text().expect("a text")).expect("base64")
}

/// What an event's data is, where a call is one event.
fn check_data(provider: &Provider, body: &[u8], event: &Envelope) {
    let envelope = tree::parse(event.text()).expect("an envelope is JSON");
    let (data, bytes) = (envelope.member("data"), envelope.member("data_base64"));
    assert!(data.is_some() as u8 + bytes.is_some() as u8 == u8::from(!body.is_empty()));
    if let Some(bytes) = bytes {
        let bytes = bytes.text().expect("a text");
        assert_eq!(BASE64_STANDARD.decode(bytes).expect("base64"), body, "the exact bytes");
    }
    let text = std::str::from_utf8(body).ok().map(|text| text.strip_prefix('\u{feff}').unwrap_or(text));
    let tree = text.and_then(tree::parse).filter(|tree| tree.is_object() && tree.depth() <= MAX_DEPTH);
    let (Some(tree), None) = (tree, provider.event_by_settings) else { return };
    match data {
        Some(data) => {
            let wanted = tree.raw.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
            assert_eq!(data.raw, wanted, "byte for byte");
            if tree.is_interoperable() {
                let value = |text| serde_json::from_str::<Value>(text).expect("what every parser reads");
                assert_eq!(value(data.raw), value(tree.raw));
            }
        }
        None => assert!(tree.has_twins(), "an object that was not read"),
    }
}

/// The items of a body of entries; `None` where a reader may see several values, or an entry is none.
fn items_of(body: &[u8], split: Split) -> Option<Vec<Wanted<'_>>> {
    let (entries, arrays, nested) = match split {
        Split::One | Split::Array | Split::Elements(_) | Split::Suffixed(_) => return None,
        Split::Entries { entries, items } => (entries, items, None),
        Split::Nested { entries, items, within, arrays } => (entries, items, Some((within, arrays))),
    };
    let text = std::str::from_utf8(body).ok()?;
    let tree = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text))?;
    let readable =
        tree.is_object() && tree.depth() <= MAX_DEPTH && !tree.has_twins() && tree.is_interoperable();
    let list = readable.then(|| tree.member(entries).map(Tree::elements).unwrap_or_default())?;
    if !list.iter().all(Tree::is_object) {
        return None;
    }
    let mut all = Vec::new();
    for entry in list {
        let before = all.len();
        for array in arrays {
            for item in entry.member(array).map(Tree::elements).unwrap_or_default() {
                let before = all.len();
                if let Some((within, arrays)) = nested
                    && let Some(holder) = item.member(within)
                {
                    for inner in arrays {
                        for value in holder.member(inner).map(Tree::elements).unwrap_or_default() {
                            let path = vec![*array, within, *inner];
                            all.push(Wanted { path, raw: value.raw });
                        }
                    }
                }
                if all.len() == before {
                    all.push(Wanted { path: vec![*array], raw: item.raw });
                }
            }
        }
        if all.len() == before {
            all.push(Wanted { path: Vec::new(), raw: entry.raw });
        }
    }
    if all.is_empty() {
        all.push(Wanted { path: Vec::new(), raw: tree.raw });
    }
    Some(all)
}

struct Wanted<'b> {
    /// The array that the item stands in, or that and what leads on within its item; none for an entry or a whole body.
    path: Vec<&'static str>,
    raw: &'b str,
}

/// Every item is in one event, in the order sent, with its enclosing object.
fn check_items(events: &[Envelope], entries: &str, wanted: &[Wanted<'_>], in_body: Option<InBody>) {
    assert_eq!(events.len(), wanted.len(), "one event for each item");
    for (event, wanted) in events.iter().zip(wanted) {
        let envelope = tree::parse(event.text()).expect("an envelope is JSON");
        let data = envelope.member("data").expect("it was read");
        let entry = match data.member(entries).map(|list| &list.node) {
            Some(Node::Array(list)) => list.first(),
            _ => None,
        };
        let mut found = entry.unwrap_or(data);
        for name in &wanted.path {
            found = found.member(name).expect("the way to the item");
            if matches!(found.node, Node::Array(_)) {
                assert_eq!(found.elements().len(), 1, "one item");
                found = &found.elements()[0];
            }
        }
        let carried = match in_body {
            // A secret in each item, which signing puts last, does not travel.
            Some(InBody::Each { member, .. }) => {
                let secret = format!("\"{member}\":\"{}\"}}", rows::SECRET);
                let rest = wanted.raw.strip_suffix(&*secret).expect("a signed item");
                format!("{}}}", rest.strip_suffix(',').unwrap_or(rest))
            }
            _ => wanted.raw.to_owned(),
        };
        let carried = carried.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff");
        assert_eq!(found.raw, carried, "byte for byte");
    }
}

/// The ids are the same when a retry has its entries in another order.
fn check_order(
    provider: &'static Provider,
    endpoint: &Endpoint,
    draft: &Draft,
    entries: &str,
    events: &[Envelope],
) {
    let text = std::str::from_utf8(&draft.body).expect("it was read");
    let tree = tree::parse(text.strip_prefix('\u{feff}').unwrap_or(text)).expect("it was read");
    let members = tree.members().iter().map(|(name, value)| {
        let reversed: Vec<&str> = value.elements().iter().rev().map(|entry| entry.raw).collect();
        let array = name.text == entries && matches!(value.node, Node::Array(_));
        let value = if array { format!("[{}]", reversed.join(",")) } else { value.raw.to_owned() };
        format!("{}:{value}", serde_json::json!(name.text))
    });
    let body = format!("{{{}}}", members.collect::<Vec<_>>().join(","));
    if tree.member(entries).is_none_or(|list| list.elements().is_empty()) {
        return;
    }
    let draft = Draft { body: body.into(), ..draft.clone() };
    let reversed = accepted(provider, endpoint, &draft, NOW).expect("signed as before");
    let ids = |events: &[Envelope]| {
        let mut ids: Vec<String> = events.iter().map(|event| event.id().to_owned()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(events), ids(&reversed), "an id must not depend on the order of entries");
}

/// What SQS documents as carried by a message.
fn is_carried(c: char) -> bool {
    matches!(c as u32, 0x9 | 0xa | 0xd | 0x20..=0xd7ff | 0xe000..=0xfffd | 0x10000..=0x10ffff)
}

/// RFC 3339, the shape and the ranges.
fn is_rfc3339(time: &str) -> bool {
    let bytes = time.as_bytes();
    let number = |at: usize, len: usize| -> Option<u32> {
        let digits = time.get(at..at + len)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let mark = |at: usize, wanted: u8| bytes.get(at) == Some(&wanted);
    let date = number(0, 4).is_some() && mark(4, b'-') && mark(7, b'-') && mark(10, b'T');
    let in_range = matches!(
        (number(5, 2), number(8, 2), number(11, 2), number(14, 2), number(17, 2)),
        (Some(1..=12), Some(1..=31), Some(0..=23), Some(0..=59), Some(0..=60))
    );
    let fraction = bytes.get(19..).unwrap_or_default();
    let digits = match fraction {
        [b'.', rest @ ..] => 1 + rest.iter().take_while(|byte| byte.is_ascii_digit()).count(),
        _ => 0,
    };
    let zone = &fraction[digits..];
    let offset = zone.len() == 6
        && matches!(zone[0], b'+' | b'-')
        && zone[3] == b':'
        && [1, 2, 4, 5].iter().all(|at| zone[*at].is_ascii_digit());
    date && in_range && mark(13, b':') && mark(16, b':') && digits != 1 && (zone == b"Z" || offset)
}
