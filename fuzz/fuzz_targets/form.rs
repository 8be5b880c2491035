//! Forms against a reader of our own and the URL standard's (`form_urlencoded`).
#![no_main]

use fuzz::tree::{self, Node, Tree};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use shared::{form, json};
use std::borrow::Cow;

fuzz_target!(|form: &[u8]| {
    let wanted = fields(form);
    let read = form::fields(form).ok();
    let read: Option<Vec<(String, String)>> = read.map(|fields| {
        fields.into_iter().map(|(name, value)| (name.into_owned(), value.into_owned())).collect()
    });
    assert_eq!(read, wanted, "fields");
    let object = form::body(form).ok();
    assert_eq!(object, form::body(form).ok(), "twice the same");
    assert_eq!(object.is_some(), wanted.is_some());

    if let (Some(fields), Some(object)) = (&wanted, &object) {
        let standard: Vec<(String, String)> = form_urlencoded::parse(form)
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        assert_eq!(*fields, standard, "the URL standard");
        serde_json::from_str::<Value>(object).expect("JSON");
        assert_eq!(members(&tree::parse(object).expect("JSON")), grouped(fields));
        for (name, value) in fields.iter().take(8) {
            let alone = fields.iter().filter(|(other, _)| other == name).count() == 1;
            assert_eq!(form::field(form, name).as_deref(), alone.then_some(value.as_str()));
        }
    }

    // JSON starts as no form does; a form of the field `payload` alone wraps JSON.
    let wanted = match wanted.as_deref() {
        _ if matches!(form.trim_ascii_start().first(), Some(b'{' | b'[' | 0xef)) => json_of(form),
        Some([(_, payload)]) if form.starts_with(b"payload=") => json_of(payload.as_bytes()),
        _ => object,
    };
    // Whether a text is JSON shows when it is read.
    let read = form::or_json(form).ok().filter(|text| json::check(text).is_ok());
    assert_eq!(read.map(|text| text.into_owned()), wanted.map(|text| text.into_owned()));
});

/// A text that is JSON and not nested too deep, without a byte order mark and white space around it.
fn json_of(bytes: &[u8]) -> Option<Cow<'_, str>> {
    let text = std::str::from_utf8(bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)).ok()?;
    let tree = tree::parse(text).filter(|tree| tree.depth() <= json::MAX_DEPTH)?;
    Some(Cow::Borrowed(tree.raw))
}

/// <https://url.spec.whatwg.org/#urlencoded-parsing>, but nothing where a text is not UTF-8 or there are too many.
fn fields(form: &[u8]) -> Option<Vec<(String, String)>> {
    let mut fields = Vec::new();
    for pair in form.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        fields.push((decoded(&pair[..end])?, decoded(pair.get(end + 1..).unwrap_or_default())?));
    }
    (fields.len() <= form::MAX_FIELDS).then_some(fields)
}

fn decoded(text: &[u8]) -> Option<String> {
    let digit = |at: usize| char::from(*text.get(at)?).to_digit(16);
    let mut bytes = Vec::new();
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        at += 1;
        bytes.push(match (byte, digit(at), digit(at + 1)) {
            (b'%', Some(high), Some(low)) => {
                at += 2;
                (high * 16 + low) as u8
            }
            (b'+', ..) => b' ',
            _ => *byte,
        });
    }
    String::from_utf8(bytes).ok()
}

/// The values of each name, names in the order of their first.
fn grouped(fields: &[(String, String)]) -> Vec<(String, Vec<String>)> {
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for (name, value) in fields {
        match groups.iter_mut().find(|(other, _)| other == name) {
            Some((_, values)) => values.push(value.clone()),
            None => groups.push((name.clone(), vec![value.clone()])),
        }
    }
    groups
}

/// The same, out of the object.
fn members(object: &Tree<'_>) -> Vec<(String, Vec<String>)> {
    assert!(object.is_object());
    let text = |value: &Tree<'_>| value.text().expect("values are text").to_owned();
    let values = |value: &Tree<'_>| match &value.node {
        Node::Array(values) => {
            assert!(values.len() > 1, "one value is no array");
            values.iter().map(text).collect()
        }
        _ => vec![text(value)],
    };
    object.members().iter().map(|(name, value)| (name.text.clone(), values(value))).collect()
}
