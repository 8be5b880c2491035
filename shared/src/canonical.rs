//! Canonical forms: how a sender writes a value anew before signing it, so that the order of members and the spacing of what
//! is sent play no part.
//!
//! The rules are JavaScript's, in which such signatures are made: `JSON.stringify` for texts, and the order in which an
//! object has its members. Numbers keep their own text. Architecture invariant: an object with a name that stands there twice
//! has no canonical form, for two readers may see two values in it; and where nothing is escaped, neither has one whose text
//! could be cut into other members.

use crate::error::Unreadable;
use crate::form;
use crate::json::{self, Members, Raw};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::HashSet;

/// What PHP's `urlencode` and Java's leave as it is, beside letters and digits. A space is `+`.
const FORM: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.');

/// The deepest nesting that is written anew. What is signed so is nested two or three times, and each level is read again.
const MAX_DEPTH: usize = 16;

const CUT: Unreadable = Unreadable("a text that could be cut into other members");

/// What null is among pairs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Null {
    /// Nothing, and so are the texts `null` and `undefined`.
    Empty,
    /// The word `null`.
    Word,
}

/// A JSON value without spaces, the members of every object in order.
pub fn sorted(value: Raw<'_>) -> Result<String, Unreadable> {
    shallow(value)?;
    let mut text = String::with_capacity(value.len());
    write(&mut text, value, usize::MAX)?;
    Ok(text)
}

/// The members of an object in order, as `name=value` with `&` between and nothing escaped.
///
/// An array is JSON, with the members of its elements in order. Not readable: an object in an object; a value with `&name=` in
/// it, where that name could be the next member's.
pub fn pairs(object: Raw<'_>, null: Null) -> Result<String, Unreadable> {
    shallow(object)?;
    let members = ordered(json::members(object)?, true)?;
    let pairs = members.iter().map(|(name, value)| Ok((name.as_ref(), text(value, null)?)));
    let pairs: Vec<_> = pairs.collect::<Result<_, Unreadable>>()?;
    // The first border that two readers see in two places comes after a name that both see there, so it is enough to look
    // at what may follow that.
    let is_cut = |(name, value): &(&str, Cow<'_, str>)| {
        let mut others = value.split('&').skip(1).filter_map(|rest| rest.split_once('='));
        name.contains(['&', '=']) || others.any(|(other, _)| by_name(name, other).is_lt())
    };
    if pairs.iter().any(is_cut) { Err(CUT) } else { Ok(joined(&pairs)) }
}

/// The same of an object that has these members and no others, in this order.
pub fn exactly(object: Raw<'_>, names: &[&str]) -> Result<String, Unreadable> {
    const OTHER: Unreadable = Unreadable("other members than those that are signed");
    let members = json::members(object)?;
    let value = |name| text(json::member(&members, name)?.ok_or(OTHER)?, Null::Word);
    let pairs = names.iter().map(|name| Ok((*name, value(name)?)));
    let pairs: Vec<_> = pairs.collect::<Result<_, Unreadable>>()?;
    if pairs.len() != members.len() {
        return Err(OTHER);
    }
    let mut borders = pairs.iter().zip(names.iter().skip(1).map(|name| format!("&{name}=")));
    if borders.any(|((_, value), border)| value.contains(&border)) { Err(CUT) } else { Ok(joined(&pairs)) }
}

/// The parameters of a query whose names begin so, but for some and for empty ones, in the order of their names, encoded as a
/// form: in one spelling, or as each of them was sent.
///
/// Not readable: one of them stands there twice.
pub fn parameters(query: &str, begin: &str, without: &[&str], anew: bool) -> Result<String, Unreadable> {
    let mut found = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        for (name, value) in form::fields(pair.as_bytes())? {
            if name.starts_with(begin) && !without.contains(&name.as_ref()) {
                found.push((name, value, pair));
            }
        }
    }
    found.sort_by(|(a, ..), (b, ..)| a.cmp(b));
    if found.windows(2).any(|two| matches!(two, [(a, ..), (b, ..)] if a == b)) {
        return Err(Unreadable("a parameter that stands there twice"));
    }
    let encoded = |text: &str| utf8_percent_encode(text, FORM).to_string().replace("%20", "+");
    let told = found.iter().filter(|(_, value, _)| !value.is_empty()).map(|(name, value, pair)| match anew {
        true => Cow::Owned(format!("{}={}", encoded(name), encoded(value))),
        false => Cow::Borrowed(*pair),
    });
    Ok(told.collect::<Vec<_>>().join("&"))
}

fn shallow(value: Raw<'_>) -> Result<(), Unreadable> {
    if json::depth(value) > MAX_DEPTH { Err(Unreadable("nested too deep")) } else { Ok(()) }
}

fn text(value: Raw<'_>, null: Null) -> Result<Cow<'_, str>, Unreadable> {
    let text = match value.bytes().next() {
        Some(b'{') => return Err(Unreadable("an object in place of a text")),
        Some(b'[') => {
            let mut text = String::new();
            write(&mut text, value, 1)?;
            Cow::Owned(text)
        }
        _ => json::scalar(value).unwrap_or(Cow::Borrowed("null")),
    };
    let is_empty = null == Null::Empty && matches!(text.as_ref(), "null" | "undefined");
    Ok(if is_empty { Cow::Borrowed("") } else { text })
}

fn joined(pairs: &[(&str, Cow<'_, str>)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// Writes a value, the members of so many levels of objects in order, those below as JavaScript keeps them.
fn write(text: &mut String, value: Raw<'_>, levels: usize) -> Result<(), Unreadable> {
    match value.bytes().next() {
        Some(b'{') => {
            text.push('{');
            for (i, (name, value)) in ordered(json::members(value)?, levels > 0)?.iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                text.push_str(&json::string(name));
                text.push(':');
                write(text, value, levels.saturating_sub(1))?;
            }
            text.push('}');
        }
        Some(b'[') => {
            text.push('[');
            for (i, element) in json::elements(value)?.into_iter().enumerate() {
                if i > 0 {
                    text.push(',');
                }
                write(text, element, levels)?;
            }
            text.push(']');
        }
        Some(b'"') => text.push_str(&json::string(&json::scalar(value).unwrap_or_default())),
        _ => text.push_str(value),
    }
    Ok(())
}

/// Members in JavaScript's order: first those whose names are indices of an array, by number, then the others, by UTF-16 or
/// as they were written.
fn ordered(mut members: Members<'_>, sorted: bool) -> Result<Members<'_>, Unreadable> {
    let names: HashSet<&str> = members.iter().map(|(name, _)| name.as_ref()).collect();
    if names.len() < members.len() {
        return Err(Unreadable("a name that stands there twice"));
    }
    match sorted {
        true => members.sort_by(|(a, _), (b, _)| by_name(a, b)),
        false => members.sort_by_key(|(name, _)| index(name).map_or((true, 0), |number| (false, number))),
    }
    Ok(members)
}

/// Which of two names comes first in an object whose members were sorted before they were put into it.
fn by_name(a: &str, b: &str) -> Ordering {
    match (index(a), index(b)) {
        (Some(a), Some(b)) => a.cmp(&b),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.encode_utf16().cmp(b.encode_utf16()),
    }
}

/// The number of an array's index: digits without a leading zero, below 2^32 - 1.
fn index(name: &str) -> Option<u32> {
    let plain = name == "0" || (!name.starts_with('0') && name.bytes().all(|byte| byte.is_ascii_digit()));
    plain.then(|| name.parse().ok()).flatten().filter(|number| *number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Node.js 20 prints for `JSON.stringify` of the same value, sorted as its sender sorts it.
    #[test]
    fn a_value_is_written_as_javascript_does() {
        let cases = [
            (
                r#"{ "b": 1, "a": [ 2, { "d": 1, "c": null } ], "B": true }"#,
                r#"{"B":true,"a":[2,{"c":null,"d":1}],"b":1}"#,
            ),
            (
                r#"{"10":1,"9":2,"a":3,"01":4,"-1":5,"4294967295":6}"#,
                r#"{"9":2,"10":1,"-1":5,"01":4,"4294967295":6,"a":3}"#,
            ),
            // Not the order of code points: U+1F389 is the pair D83C DF89, which is before U+FFFD.
            ("{\"\u{fffd}\":1,\"\u{1f389}\":2}", "{\"\u{1f389}\":2,\"\u{fffd}\":1}"),
            (r#"{"a":"\u00e9\/\u2028\u007f\u001f\b\"\\"}"#, "{\"a\":\"é/\u{2028}\u{7f}\\u001f\\b\\\"\\\\\"}"),
            (r#"{"a":1.50,"b":12345678901234567890}"#, r#"{"a":1.50,"b":12345678901234567890}"#),
            ("[]", "[]"),
        ];
        for (value, written) in cases {
            assert_eq!(sorted(value).unwrap(), written, "{value}");
        }
        for twice in [r#"{"a":1,"a":1}"#, r#"{"x":[{"a":1,"\u0061":2}]}"#] {
            assert!(sorted(twice).is_err(), "{twice}");
        }
        let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(sorted(&deep(MAX_DEPTH)).unwrap(), deep(MAX_DEPTH));
        assert!(sorted(&deep(MAX_DEPTH + 1)).is_err());
    }

    #[test]
    fn members_are_pairs_in_order() {
        let object =
            r#"{"b":"x&A= z","a":1,"n":null,"u":"undefined","t":true,"l":[{"z":1,"y":{"b":1,"a":2}},"s"]}"#;
        let rest = r#"b=x&A= z&l=[{"y":{"b":1,"a":2},"z":1},"s"]"#;
        assert_eq!(pairs(object, Null::Empty).unwrap(), format!("a=1&{rest}&n=&t=true&u="));
        assert_eq!(pairs(object, Null::Word).unwrap(), format!("a=1&{rest}&n=null&t=true&u=undefined"));
        assert_eq!(pairs("{}", Null::Empty).unwrap(), "");
        let deep = format!(r#"{{"a":{}{}}}"#, "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        for none in ["[]", r#"{"a":{}}"#, r#"{"a":1,"a":1}"#, "null", &deep] {
            assert!(pairs(none, Null::Empty).is_err(), "{none}");
        }
    }

    #[test]
    fn no_text_can_be_cut_in_two_ways() {
        // Each of the two has the same text as the other would, if it had one.
        let same = [
            (r#"{"a":"1","c":"2","e":"3"}"#, r#"{"a":"1&c=2","e":"3"}"#),
            (r#"{"a":"1","c":"2","e":"3"}"#, r#"{"a":"1","c":"2&e=3"}"#),
            (r#"{"a":"1&d=2","c":"3"}"#, r#"{"a":"1","d":"2&c=3"}"#),
            (r#"{"10":"1","b":"2"}"#, r#"{"10":"1&b=2"}"#),
            (r#"{"a":"1","b":"2"}"#, r#"{"a=1&b":"2"}"#),
        ];
        for (one, other) in same {
            let texts = [one, other].map(|object| pairs(object, Null::Word));
            assert!(texts.iter().filter(|text| text.is_ok()).count() <= 1, "{one} {other}");
        }
        // What cannot be another member's name is no border.
        for plain in ["?z&b=1", "a&b", "&=", "x & y", "&c=", "=&"] {
            assert_eq!(pairs(&format!(r#"{{"c":"{plain}"}}"#), Null::Word).unwrap(), format!("c={plain}"));
        }
    }

    #[test]
    fn named_members_are_all_there_are() {
        let names = ["b", "a"];
        assert_eq!(exactly(r#"{"a":"1","b":2}"#, &names).unwrap(), "b=2&a=1");
        assert_eq!(exactly(r#"{"a":"1&a=","b":"&b=&c="}"#, &names).unwrap(), "b=&b=&c=&a=1&a=");
        for other in [
            r#"{"a":"1","b":"2&a=1"}"#,
            r#"{"a":"1"}"#,
            r#"{"a":"1","b":2,"c":3}"#,
            r#"{"a":"1","b":2,"b":2}"#,
            "{}",
            "[]",
        ] {
            assert!(exactly(other, &names).is_err(), "{other}");
        }
    }

    #[test]
    fn parameters_are_sorted_and_spelled_in_one_way() {
        let told = |query: &str, anew| parameters(query, "p_", &["p_sig"], anew);
        let query = "x=1&p_b=%c3%a9%20+~*&p_sig=zz&p_a=1&p_c=&p_A=%2f";
        assert_eq!(told(query, true).unwrap(), "p_A=%2F&p_a=1&p_b=%C3%A9++%7E%2A");
        assert_eq!(told(query, false).unwrap(), "p_A=%2f&p_a=1&p_b=%c3%a9%20+~*");
        for bad in ["p_a=1&p_a=1", "p_a=1&p%5fa=", "p_a=%ff"] {
            assert!(told(bad, true).is_err() && told(bad, false).is_err(), "{bad}");
        }
        assert_eq!(told("p_sig=1&p_sig=2&y", true).unwrap(), "");
    }
}
