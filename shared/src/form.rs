//! Forms (`application/x-www-form-urlencoded`) and query strings.

use crate::error::Unreadable;
use crate::json;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};
use std::borrow::Cow;
use std::collections::HashMap;

/// The most fields that a form may have. A form with more is kept as it came.
pub const MAX_FIELDS: usize = 10_000;

/// A form as a JSON object: values are text, a repeated field is an array in the order sent.
///
/// Only `&` separates, `+` is a space, `%ZZ` stays as it stands, and what is not UTF-8 after decoding makes the form
/// unreadable: the exact bytes are worth more than a guess.
pub fn body(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let fields = fields(bytes)?.into_iter().map(|(name, value)| (name, json::string(&value)));
    Ok(Cow::Owned(object(fields)))
}

/// A JSON object of names and values that are JSON already: a name that comes again has an array in the order given.
pub(crate) fn object<'t>(fields: impl IntoIterator<Item = (Cow<'t, str>, String)>) -> String {
    let mut order: Vec<(Cow<'_, str>, Vec<String>)> = Vec::new();
    let mut places = HashMap::new();
    for (name, value) in fields {
        let place = *places.entry(name.clone()).or_insert(order.len());
        match order.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => order.push((name, vec![value])),
        }
    }
    let several = |values: &[String]| format!("[{}]", values.join(","));
    let members: Vec<(Cow<'_, str>, Cow<'_, str>)> = order
        .iter()
        .map(|(name, values)| match values.as_slice() {
            [value] => (name.as_ref().into(), value.into()),
            values => (name.as_ref().into(), several(values).into()),
        })
        .collect();
    json::written(members.iter().map(|(name, value)| (name.as_ref(), value.as_ref())))
}

/// JSON as it is, else a form; where the form has a field `payload` and no other, the JSON in that field.
///
/// Which of the two it is shows in the signed body itself: JSON that a provider sends starts with a bracket, and no
/// form does. The header `content-type`, which is not signed, is not asked. Whether it is JSON shows when it is read.
pub fn or_json(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    if matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[' | 0xef)) {
        return json::unread(bytes);
    }
    if !bytes.starts_with(b"payload=") {
        return body(bytes);
    }
    match fields(bytes)?.as_slice() {
        [(_, payload)] => Ok(Cow::Owned(json::body(payload.as_bytes())?.into_owned())),
        // What stands beside it must not get lost.
        _ => body(bytes),
    }
}

/// Name and value, decoded.
pub type Field<'t> = (Cow<'t, str>, Cow<'t, str>);

/// The decoded fields of a form or a query, in the order sent.
pub fn fields(bytes: &[u8]) -> Result<Vec<Field<'_>>, Unreadable> {
    let pairs = bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty());
    if pairs.clone().take(MAX_FIELDS + 1).count() > MAX_FIELDS {
        return Err(Unreadable("a form of too many fields"));
    }
    pairs
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            let mut half = || decode(halves.next().unwrap_or_default());
            Ok((half()?, half()?))
        })
        .collect()
}

/// The one field of that name, decoded. A field that stands there twice is none: two readers may see two values.
pub fn field<'t>(bytes: &'t [u8], name: &str) -> Option<Cow<'t, str>> {
    only(&fields(bytes).ok()?, name).cloned()
}

/// The one field of that name among those of a form; see [`field`].
pub fn only<'f, 't>(fields: &'f [Field<'t>], name: &str) -> Option<&'f Cow<'t, str>> {
    let mut found = fields.iter().filter(|(n, _)| n == name).map(|(_, value)| value);
    match (found.next(), found.next()) {
        (first, None) => first,
        _ => None,
    }
}

/// The bytes that stand in base64, broken into lines, in the one field of that name.
pub fn base64(bytes: &[u8], name: &str) -> Result<Vec<u8>, Unreadable> {
    let text = field(bytes, name).ok_or(Unreadable("a form without the field that holds the event"))?;
    BASE64_STANDARD.decode(text.replace('\n', "")).map_err(|_| Unreadable("not base64"))
}

/// The form with another value in the field of that name, which comes first: `change` is asked for it with the value that
/// stands there, and its `None` leaves the field out. The other fields stay byte for byte.
pub fn with_field(
    bytes: &[u8],
    name: &str,
    change: &dyn Fn(Option<&str>) -> Option<String>,
) -> Result<Vec<u8>, Unreadable> {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let new = change(field(bytes, name).as_deref());
    let mut pairs = Vec::new();
    pairs.extend(new.map(|text| format!("{}={}", encoded(name), encoded(&text)).into_bytes()));
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        if !matches!(fields(pair)?.as_slice(), [(n, _)] if n == name) {
            pairs.push(pair.to_vec());
        }
    }
    Ok(pairs.join(&b'&'))
}

fn decode(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let bad = |_| Unreadable("a form that is not UTF-8");
    if bytes.contains(&b'+') {
        let spaced: Vec<u8> = bytes.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        return Ok(Cow::Owned(percent_decode(&spaced).decode_utf8().map_err(bad)?.into_owned()));
    }
    percent_decode(bytes).decode_utf8().map_err(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_becomes_an_object() {
        let cases = [
            ("a=1&b=x+y%20z", r#"{"a":"1","b":"x y z"}"#),
            ("b=1&a=2&b=3", r#"{"b":["1","3"],"a":"2"}"#),
            ("a=1;b=2", r#"{"a":"1;b=2"}"#),
            ("a", r#"{"a":""}"#),
            ("=x&&", r#"{"":"x"}"#),
            ("a=%00&b=%ZZ&c=%", r#"{"a":"\u0000","b":"%ZZ","c":"%"}"#),
            ("a=b=c", r#"{"a":"b=c"}"#),
            ("t=Nguy%E1%BB%85n", r#"{"t":"Nguyễn"}"#),
            ("", "{}"),
        ];
        for (form, object) in cases {
            assert_eq!(body(form.as_bytes()).unwrap(), object, "{form}");
        }
        assert!(body(b"a=%ff").is_err());
        assert!(body("a&".repeat(MAX_FIELDS).as_bytes()).is_ok());
        assert!(body("a&".repeat(MAX_FIELDS + 1).as_bytes()).is_err());
    }

    #[test]
    fn wrapped_json_is_unwrapped() {
        assert_eq!(or_json(b"payload=%7B%22a%22%3A1%7D").unwrap(), r#"{"a":1}"#);
        assert_eq!(or_json(b" {\"payload\":1}").unwrap(), r#"{"payload":1}"#);
        assert_eq!(or_json(b"command=%2Fx").unwrap(), r#"{"command":"/x"}"#);
        assert_eq!(or_json(b"payload=%7B%7D&a=1").unwrap(), r#"{"payload":"{}","a":"1"}"#);
        assert!(or_json(b"payload=x").is_err());
    }

    #[test]
    fn a_field_that_stands_there_twice_is_none() {
        assert_eq!(field(b"a=b%20c&d=", "a").as_deref(), Some("b c"));
        assert_eq!(field(b"a=b&a=b", "a"), None);
        assert_eq!(field(b"", "a"), None);
    }

    #[test]
    fn a_field_is_changed_and_nothing_else() {
        let with = |form: &str, change: &dyn Fn(Option<&str>) -> Option<String>| {
            String::from_utf8(with_field(form.as_bytes(), "s", change).unwrap()).unwrap()
        };
        assert_eq!(with("a=%2f+&s=x&b", &|old| old.map(|old| format!("{old}|&"))), "s=x%7C%26&a=%2f+&b");
        assert_eq!(with("a=1", &|old| old.map(str::to_owned)), "a=1");
        assert_eq!(with("", &|_| Some("1".into())), "s=1");
        assert_eq!(with("%73=1&a=1&s=2", &|_| None), "a=1");
    }

    #[test]
    fn base64_in_a_field_may_be_broken_into_lines() {
        assert_eq!(base64(b"p=aGVs%0AbG8%3D%0A", "p").unwrap(), b"hello");
        for form in [
            &b"p=aGVsbG8"[..],
            b"p=aGVsbG8%3D&p=aGVsbG8%3D",
            b"p=aGVs%20bG8%3D",
            b"p=aGVsbG9%3D",
            b"q=aGVsbG8%3D",
        ] {
            assert!(base64(form, "p").is_err(), "{}", String::from_utf8_lossy(form));
        }
    }
}
