//! JSON as the provider wrote it: values are found and carried as text, so that no number and no escape changes.
//!
//! `serde_json` decides what is JSON; nothing here accepts what it refuses.

use crate::error::Unreadable;
use memchr::{memchr, memchr2};
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::rc::Rc;

/// The deepest nesting that is carried as JSON. Common parsers stop at 128, and the envelope adds levels of its own.
pub const MAX_DEPTH: usize = 100;

/// The text of a value, still JSON.
pub type Raw<'t> = &'t str;
/// Names and values of an object.
pub type Members<'t> = Vec<(Cow<'t, str>, Raw<'t>)>;

/// A body that must be JSON. A byte order mark before it is ignored, as RFC 8259 allows.
///
/// Not readable: other encodings than UTF-8, anything `serde_json` refuses, nesting over [`MAX_DEPTH`].
pub fn body(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let text = unread(bytes)?;
    is_json(&text)?;
    Ok(text)
}

/// The same for a body that is going to be read whole: whether it is JSON shows then, and need not be asked before.
pub fn unread(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable("not UTF-8"))?;
    let text = text.trim_matches([' ', '\t', '\r', '\n']);
    is_shallow(text)?;
    Ok(Cow::Borrowed(text))
}

/// Whether a text is one JSON value that common parsers take.
pub fn check(text: &str) -> Result<(), Unreadable> {
    is_shallow(text)?;
    is_json(text)
}

fn is_json(text: &str) -> Result<(), Unreadable> {
    serde_json::from_str::<IgnoredAny>(text).map(drop).map_err(|_| NOT_JSON)
}

fn is_shallow(text: &str) -> Result<(), Unreadable> {
    if depth(text) > MAX_DEPTH { Err(Unreadable("nested too deep")) } else { Ok(()) }
}

const NOT_JSON: Unreadable = Unreadable("not JSON");

/// How deep arrays and objects are nested. Right for valid JSON; for anything else it only has to be harmless.
pub(crate) fn depth(text: &str) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut rest = text.as_bytes();
    // Most of a text is within strings, which are jumped over.
    while let Some(place) = rest.iter().position(|byte| matches!(byte, b'{' | b'[' | b'}' | b']' | b'"')) {
        let (found, after) = rest.split_at(place + 1);
        rest = match found.last() {
            Some(b'{' | b'[') => {
                depth += 1;
                deepest = deepest.max(depth);
                after
            }
            Some(b'"') => after_string(after),
            _ => {
                depth = depth.saturating_sub(1);
                after
            }
        };
    }
    deepest
}

/// What follows a string of which the opening quote has been read.
fn after_string(mut rest: &[u8]) -> &[u8] {
    while let Some(place) = memchr2(b'"', b'\\', rest) {
        let (found, after) = rest.split_at(place + 1);
        if found.ends_with(b"\"") {
            return after;
        }
        rest = after.get(1..).unwrap_or_default();
    }
    &[]
}

/// The members of an object in the order written, a repeated name as often as it stands there.
///
/// Not readable: anything but an object.
pub fn members(object: Raw<'_>) -> Result<Members<'_>, Unreadable> {
    let mut reader = serde_json::Deserializer::from_str(object);
    let members = reader.deserialize_map(MembersVisitor).and_then(|members| reader.end().map(|()| members));
    members.map_err(|_| if object.starts_with('{') { NOT_JSON } else { Unreadable("not an object") })
}

/// The elements of an array. Not readable: anything but an array.
pub fn elements(array: Raw<'_>) -> Result<Vec<Raw<'_>>, Unreadable> {
    let elements: Vec<&RawValue> = serde_json::from_str(array).map_err(|_| Unreadable("not an array"))?;
    Ok(elements.into_iter().map(RawValue::get).collect())
}

/// The one member of that name. Not readable: the name stands there twice, so that two readers may see two values.
pub fn member<'t>(members: &[(Cow<'t, str>, Raw<'t>)], name: &str) -> Result<Option<Raw<'t>>, Unreadable> {
    let mut found = members.iter().filter(|(n, _)| n == name).map(|(_, value)| *value);
    match (found.next(), found.next()) {
        (first, None) => Ok(first),
        _ => Err(Unreadable("a member that is needed stands there twice")),
    }
}

/// The value at a JSON pointer (RFC 6901), `None` where there is none. Not readable: see [`member`].
pub fn at<'t>(value: Raw<'t>, pointer: &str) -> Result<Option<Raw<'t>>, Unreadable> {
    let mut value = value;
    let Some(path) = pointer.strip_prefix('/') else { return Ok(pointer.is_empty().then_some(value)) };
    for token in path.split('/') {
        let token = unescape(token);
        let next = match value.bytes().next() {
            Some(b'{') => member(&members(value)?, &token)?,
            Some(b'[') => index(&token).and_then(|i| elements(value).ok()?.get(i).copied()),
            _ => None,
        };
        let Some(next) = next else { return Ok(None) };
        value = next;
    }
    Ok(Some(value))
}

/// The one member of that name of every object in an array, which is itself a member of the object. `None` for an object
/// that lacks it.
///
/// Not readable: no such array, an element that is no object, a name that stands there twice.
pub fn each<'t>(object: Raw<'t>, entries: &str, name: &str) -> Result<Vec<Option<Raw<'t>>>, Unreadable> {
    let array = member(&members(object)?, entries)?.ok_or(Unreadable("no array of entries"))?;
    elements(array)?.into_iter().map(|element| member(&members(element)?, name)).collect()
}

/// An object with another text as the member of that name in every object of an array: `change` is asked for each with the
/// text that stands there, and its `None` leaves the member out. All other values stay byte for byte; where there is no
/// such array, so does the object.
pub fn with_each(
    object: Raw<'_>,
    entries: &str,
    name: &str,
    change: &dyn Fn(Option<&str>) -> Option<String>,
) -> Result<String, Unreadable> {
    let changed = |element: Raw<'_>| {
        let mut members = members(element)?;
        let old = member(&members, name)?.and_then(scalar);
        let new = change(old.as_deref()).map(|text| string(&text));
        members.retain(|(n, _)| n != name);
        members.extend(new.as_deref().map(|new| (name.into(), new)));
        Ok(written(pairs(&members)))
    };
    let mut whole = members(object)?;
    let Some(array) = member(&whole, entries)?.filter(|array| array.starts_with('[')) else {
        return Ok(object.to_owned());
    };
    let elements = elements(array)?.into_iter().map(changed).collect::<Result<Vec<_>, Unreadable>>()?;
    let array = format!("[{}]", elements.join(","));
    for (_, value) in whole.iter_mut().filter(|(n, _)| n == entries) {
        *value = &array;
    }
    Ok(written(pairs(&whole)))
}

/// An object with another value at a JSON pointer through objects, or without what stands there. All other values stay byte
/// for byte, and so does the order; what is new comes last.
///
/// Not readable: no object on the way, a name on the way that stands there twice.
pub fn with(object: Raw<'_>, pointer: &str, value: Option<Raw<'_>>) -> Result<String, Unreadable> {
    let path = pointer.strip_prefix('/').ok_or(Unreadable("not an object"))?;
    let (first, rest) = path.find('/').and_then(|end| path.split_at_checked(end)).unwrap_or((path, ""));
    let name = unescape(first);
    let mut members = members(object)?;
    let old = member(&members, &name)?;
    let inner = match (rest, old) {
        ("", _) => None,
        (_, Some(old)) => Some(with(old, rest, value)?),
        (_, None) => return Err(Unreadable("a member on the way is missing")),
    };
    match (inner.as_deref().or(value), old) {
        (Some(value), Some(_)) => {
            for (_, old) in members.iter_mut().filter(|(n, _)| *n == name) {
                *old = value;
            }
        }
        (Some(value), None) => members.push((name, value)),
        (None, _) => members.retain(|(n, _)| *n != name),
    }
    Ok(written(pairs(&members)))
}

/// An object with another text at a JSON pointer: `change` is asked for it with the text that stands there, and its `None`
/// leaves the member out. See [`with`].
pub fn with_text(
    object: Raw<'_>,
    pointer: &str,
    change: &dyn Fn(Option<&str>) -> Option<String>,
) -> Result<String, Unreadable> {
    let old = at(object, pointer)?.and_then(scalar);
    let new = change(old.as_deref()).map(|text| string(&text));
    with(object, pointer, new.as_deref())
}

/// An object of these members, names written anew and without spaces between.
pub(crate) fn written<'m>(members: impl Iterator<Item = (&'m str, Raw<'m>)> + Clone) -> String {
    let size = |(name, value): (&str, &str)| name.len() + value.len() + r#","":"#.len();
    let mut object = String::with_capacity(members.clone().map(size).sum::<usize>() + "}".len());
    for (name, value) in members {
        object.push(if object.is_empty() { '{' } else { ',' });
        push(&mut object, name);
        object.push(':');
        object.push_str(value);
    }
    object.push_str(if object.is_empty() { "{}" } else { "}" });
    object
}

/// Names and values, as they are written.
fn pairs<'m>(members: &'m [(Cow<'_, str>, Raw<'m>)]) -> impl Iterator<Item = (&'m str, Raw<'m>)> + Clone {
    members.iter().map(|(name, value)| (name.as_ref(), *value))
}

/// A value that is looked into more than once: its members, and those of the objects in it, are read once, when they are
/// first asked for.
pub struct Node<'t> {
    raw: Raw<'t>,
    members: OnceCell<Result<Members<'t>, Unreadable>>,
    scalars: OnceCell<String>,
    objects: RefCell<Vec<Rc<Node<'t>>>>,
}

impl<'t> Node<'t> {
    /// A node over a value.
    pub fn new(raw: Raw<'t>) -> Node<'t> {
        Node { raw, members: OnceCell::new(), scalars: OnceCell::new(), objects: RefCell::default() }
    }

    /// The value's text.
    pub fn raw(&self) -> Raw<'t> {
        self.raw
    }

    /// Its members; see [`members`].
    pub fn members(&self) -> Result<&Members<'t>, Unreadable> {
        self.members.get_or_init(|| members(self.raw)).as_ref().map_err(|unreadable| *unreadable)
    }

    /// The value at a JSON pointer; see [`at`].
    pub fn at(&self, pointer: &str) -> Result<Option<Raw<'t>>, Unreadable> {
        let Some(path) = pointer.strip_prefix('/').filter(|_| self.raw.starts_with('{')) else {
            return at(self.raw, pointer);
        };
        let (first, rest) = path.find('/').and_then(|end| path.split_at_checked(end)).unwrap_or((path, ""));
        match member(self.members()?, &unescape(first))? {
            Some(value) if rest.is_empty() => Ok(Some(value)),
            Some(value) => self.within(value).at(rest),
            None => Ok(None),
        }
    }

    /// The node over a value in this one.
    fn within(&self, value: Raw<'t>) -> Rc<Node<'t>> {
        let mut objects = self.objects.borrow_mut();
        if let Some(known) = objects.iter().find(|known| std::ptr::eq(known.raw, value)) {
            return known.clone();
        }
        let node = Rc::new(Node::new(value));
        objects.push(node.clone());
        node
    }

    /// Its members that are no objects and no arrays, as one text whose order is not the sender's.
    pub fn scalars(&self) -> Result<&str, Unreadable> {
        let members = self.members()?;
        Ok(self.scalars.get_or_init(|| {
            let scalars = members.iter().filter(|(_, value)| !value.starts_with(['{', '[']));
            let mut lines: Vec<String> =
                scalars.map(|(name, value)| format!("{}:{value}", string(name))).collect();
            lines.sort();
            lines.join(",")
        }))
    }
}

/// An index into an array: digits without a leading zero.
fn index(token: &str) -> Option<usize> {
    let plain = token == "0" || (token.bytes().all(|byte| byte.is_ascii_digit()) && !token.starts_with('0'));
    plain.then(|| token.parse().ok()).flatten()
}

/// A reference token of a JSON pointer as the name that it means.
fn unescape(token: &str) -> Cow<'_, str> {
    match token.contains('~') {
        true => token.replace("~1", "/").replace("~0", "~").into(),
        false => token.into(),
    }
}

/// A string's text, a number's or boolean's own spelling; `None` for null, objects and arrays. The value has been read as
/// JSON before.
///
/// Half of a surrogate pair, which no text can hold, becomes U+FFFD.
pub fn scalar(value: Raw<'_>) -> Option<Cow<'_, str>> {
    match value.bytes().next()? {
        b'"' => match value.strip_prefix('"')?.strip_suffix('"') {
            Some(text) if memchr(b'\\', text.as_bytes()).is_none() => Some(Cow::Borrowed(text)),
            _ => serde_json::Deserializer::from_str(value).deserialize_bytes(Text).ok(),
        },
        b'{' | b'[' | b'n' => None,
        _ => Some(Cow::Borrowed(value)),
    }
}

/// A text as a JSON string.
pub fn string(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    push(&mut string, text);
    string
}

/// Adds a text as a JSON string.
pub fn push(to: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && !matches!(byte, b'"' | b'\\')) {
        to.push('"');
        to.push_str(text);
        to.push('"');
    } else {
        // Writing a string into memory has no way to fail.
        to.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
}

/// [`members`] of an object that is being read.
pub(crate) fn members_of<'de, A: MapAccess<'de>>(mut map: A) -> Result<Members<'de>, A::Error> {
    let mut members = Vec::new();
    // Names are read as what they are in the text, or one with a raw control character would pass for a string.
    while let Some((name, value)) = map.next_entry::<&RawValue, &RawValue>()? {
        let name = scalar(name.get()).ok_or_else(|| serde::de::Error::custom("a name"))?;
        members.push((name, value.get()));
    }
    Ok(members)
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        members_of(map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, _: A) -> Result<Self::Value, A::Error> {
        Err(serde::de::Error::custom("an array"))
    }
}

/// [`String::from_utf8_lossy`], quicker where nothing is lost, which is nearly always.
fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes).map_or_else(|_| String::from_utf8_lossy(bytes), Cow::Borrowed)
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(text.to_owned()))
    }

    fn visit_borrowed_bytes<E>(self, bytes: &'de [u8]) -> Result<Self::Value, E> {
        Ok(lossy(bytes))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        Ok(Cow::Owned(lossy(bytes).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_spelling() {
        let text =
            r#"{"a":{"b/c":[10,{"d":123456789012345678901234567890}]},"e":1.0e3,"f":"\u00e9","~":true}"#;
        let found = |pointer| at(text, pointer).unwrap().and_then(scalar).map(Cow::into_owned);
        assert_eq!(found("/a/b~1c/1/d").as_deref(), Some("123456789012345678901234567890"));
        assert_eq!(found("/e").as_deref(), Some("1.0e3"));
        assert_eq!(found("/f").as_deref(), Some("é"));
        assert_eq!(found("/~0").as_deref(), Some("true"));
        assert_eq!(found("/a"), None);
        assert_eq!(found("/a/b~1c/7"), None);
        assert_eq!((found("/a/b~1c/00"), found("/a/b~1c/+0"), found("/a/b~1c/")), (None, None, None));
        assert_eq!(found("/e/x"), None);
        assert_eq!(at(text, "").unwrap(), Some(text));
        assert_eq!(at(text, "a").unwrap(), None);
    }

    #[test]
    fn a_name_that_stands_twice_is_no_answer() {
        let text = r#"{"id":"a","x":{"id":1},"i\u0064":"b"}"#;
        assert!(at(text, "/id").is_err());
        assert_eq!(at(text, "/x/id").unwrap(), Some("1"));
    }

    #[test]
    fn what_is_not_json_is_unreadable() {
        for text in ["", "NaN", "{a:1}", "[1,]", "{'a':1}", "[1]//", "[1] 2", "\"\x01\"", "[\u{a0}1]"] {
            assert!(body(text.as_bytes()).is_err(), "{text:?}");
        }
        assert!(body(b"\"\xff\"").is_err());
        assert_eq!(body(b"\xef\xbb\xbf {} \r\n").unwrap(), "{}");
        let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(body(deep(MAX_DEPTH).as_bytes()).is_ok());
        assert!(body(deep(MAX_DEPTH + 1).as_bytes()).is_err());
        assert!(body("[".repeat(1_000_000).as_bytes()).is_err());
        assert_eq!(depth(r#"["\"[[[",{"\\":[]}]"#), 3);
    }

    #[test]
    fn a_member_of_each_entry_is_changed_and_nothing_else() {
        let text = r#"{ "v": [{"s":"a", "n":1.0e3}, {"n":[ 1 ]}], "x": {"s":"a"} }"#;
        let found = each(text, "v", "s").unwrap();
        assert_eq!(found, [Some("\"a\""), None]);
        let changed =
            |change: &dyn Fn(Option<&str>) -> Option<String>| with_each(text, "v", "s", change).unwrap();
        assert_eq!(changed(&|_| None), r#"{"v":[{"n":1.0e3},{"n":[ 1 ]}],"x":{"s":"a"}}"#);
        assert_eq!(
            changed(&|old| Some(format!("{}\"", old.unwrap_or("-")))),
            r#"{"v":[{"n":1.0e3,"s":"a\""},{"n":[ 1 ],"s":"-\""}],"x":{"s":"a"}}"#
        );
        for other in ["{}", r#"{"v":{"s":"a"}}"#, r#"{"v":null}"#] {
            assert_eq!(with_each(other, "v", "s", &|_| None).unwrap(), other);
            assert!(each(other, "v", "s").is_err(), "{other}");
        }
        for bad in ["[]", r#"{"v":[1]}"#, r#"{"v":[{"s":"a","s":"a"}]}"#, r#"{"v":[],"v":[]}"#] {
            assert!(with_each(bad, "v", "s", &|_| None).is_err(), "{bad}");
            assert!(each(bad, "v", "s").is_err(), "{bad}");
        }
    }

    #[test]
    fn one_value_is_changed_and_nothing_else() {
        let text = r#"{"a" : {"b":"x", "c" : 1.0e3},"d":[ 1 ]}"#;
        assert_eq!(with(text, "/a/b", Some("[2]")).unwrap(), r#"{"a":{"b":[2],"c":1.0e3},"d":[ 1 ]}"#);
        assert_eq!(with(text, "/a/b", None).unwrap(), r#"{"a":{"c":1.0e3},"d":[ 1 ]}"#);
        assert_eq!(
            with(text, "/e", Some("null")).unwrap(),
            r#"{"a":{"b":"x", "c" : 1.0e3},"d":[ 1 ],"e":null}"#
        );
        let quoted = with_text(text, "/a/b", &|old| Some(format!("{}\"", old.unwrap_or_default()))).unwrap();
        assert_eq!(quoted, r#"{"a":{"b":"x\"","c":1.0e3},"d":[ 1 ]}"#);
        for bad in ["", "/x/y", "/d/0", "/a/b/c"] {
            assert!(with(text, bad, Some("1")).is_err(), "{bad}");
        }
        assert!(with(r#"{"a":1,"a":2}"#, "/a", Some("1")).is_err());
    }

    #[test]
    fn half_a_pair_becomes_a_replacement() {
        let text = scalar(r#""a\ud800b""#).unwrap();
        assert!(text.starts_with('a') && text.ends_with('b') && text.contains('\u{fffd}'), "{text:?}");
        assert_eq!(scalar(r#""\ud83c\udf89""#).unwrap(), "🎉");
        assert_eq!(scalar("null"), None);
        assert!(!members(r#"{"\ud800":1}"#).unwrap().is_empty());
    }
}
