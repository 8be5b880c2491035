//! XML as JSON: element to member, text to string, attribute to `@name`, text beside either to `#text`, a repeated
//! element to an array. Prefixes are kept, and nothing outside the document is ever looked up.

use crate::error::Unreadable;
use crate::json::{self, MAX_DEPTH};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::borrow::Cow;
use std::collections::HashMap;

/// The most elements of a document.
const MAX_ELEMENTS: usize = 100_000;
/// The most attributes of an element.
const MAX_ATTRIBUTES: usize = 256;

/// How line ends are read. Version 1.1 knows two more of them, and no webhook uses it.
const VERSION: XmlVersion = XmlVersion::Implicit1_0;
const BAD: Unreadable = Unreadable("not XML");

#[derive(Default)]
struct Element {
    name: String,
    attributes: Vec<(String, String)>,
    /// In the order of their first appearance, values as JSON.
    children: Vec<(String, Vec<String>)>,
    places: HashMap<String, usize>,
    text: String,
}

impl Element {
    fn add(&mut self, name: String, value: String) {
        let next = self.children.len();
        let place = *self.places.entry(name.clone()).or_insert(next);
        match self.children.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => self.children.push((name, vec![value])),
        }
    }

    fn into_json(self) -> String {
        if self.attributes.is_empty() && self.children.is_empty() {
            return json::string(&self.text);
        }
        let attribute = |(name, value): &(String, String)| member(&format!("@{name}"), &json::string(value));
        let mut members: Vec<String> = self.attributes.iter().map(attribute).collect();
        members.extend(self.children.iter().map(|(name, values)| match values.as_slice() {
            [value] => member(name, value),
            several => member(name, &format!("[{}]", several.join(","))),
        }));
        if !self.text.trim().is_empty() {
            members.push(member("#text", &json::string(self.text.trim())));
        }
        format!("{{{}}}", members.join(","))
    }
}

fn member(name: &str, value: &str) -> String {
    format!("{}:{value}", json::string(name))
}

/// A document as a JSON object of one member, the root element.
///
/// Not readable: other encodings than UTF-8, any DOCTYPE, entities that XML itself does not define, nesting over
/// [`MAX_DEPTH`], more elements or attributes than a webhook has reason for.
pub fn body(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| Unreadable("not UTF-8"))?;
    let mut reader = Reader::from_str(text);
    // The first holds the root as its only child.
    let mut open = vec![Element::default()];
    let mut elements = 0;
    loop {
        let event = reader.read_event().map_err(|_| BAD)?;
        let inside = open.len() > 1;
        let current = open.last_mut().ok_or(BAD)?;
        match event {
            Event::Start(start) => {
                let element = element(&start, &mut elements)?;
                if open.len() > MAX_DEPTH {
                    return Err(Unreadable("nested too deep"));
                }
                open.push(element);
            }
            Event::Empty(start) => {
                let element = element(&start, &mut elements)?;
                current.add(element.name.clone(), element.into_json());
            }
            Event::End(_) => {
                let element = open.pop().ok_or(BAD)?;
                let parent = open.last_mut().ok_or(BAD)?;
                parent.add(element.name.clone(), element.into_json());
            }
            Event::Text(text) => {
                let text = text.xml_content(VERSION);
                if !inside && !text.trim().is_empty() {
                    return Err(BAD);
                }
                current.text.push_str(&text);
            }
            Event::CData(text) if inside => current.text.push_str(&text.xml_content(VERSION)),
            Event::GeneralRef(reference) if inside => current.text.push(character(&reference)?),
            Event::DocType(_) => return Err(Unreadable("XML with a DOCTYPE")),
            Event::Decl(_) | Event::PI(_) | Event::Comment(_) => {}
            Event::CData(_) | Event::GeneralRef(_) => return Err(BAD),
            Event::Eof => break,
        }
    }
    let document = open.pop().filter(|_| open.is_empty()).ok_or(BAD)?;
    if document.children.iter().map(|(_, elements)| elements.len()).sum::<usize>() != 1 {
        return Err(BAD);
    }
    let text = document.into_json();
    // Siblings of one name make an array more of each level.
    if json::depth(&text) > MAX_DEPTH {
        return Err(Unreadable("nested too deep"));
    }
    Ok(Cow::Owned(text))
}

/// JSON where the body begins as an object, else a document; which of the two shows in the body itself.
pub fn or_json(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    match bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii_start().first() {
        Some(b'{') => json::body(bytes),
        _ => body(bytes),
    }
}

fn element(start: &BytesStart<'_>, elements: &mut usize) -> Result<Element, Unreadable> {
    *elements += 1;
    if *elements > MAX_ELEMENTS {
        return Err(Unreadable("XML of too many elements"));
    }
    // XML allows neither as the beginning of a name; the mapping gives them a meaning of its own.
    if start.name().as_ref().starts_with(['@', '#']) {
        return Err(BAD);
    }
    let mut element = Element { name: start.name().as_ref().to_owned(), ..Element::default() };
    for attribute in start.attributes().take(MAX_ATTRIBUTES + 1) {
        let attribute = attribute.map_err(|_| BAD)?;
        let value = quick_xml::escape::unescape(&attribute.value).map_err(|_| BAD)?.into_owned();
        element.attributes.push((attribute.key.as_ref().to_owned(), value));
    }
    if element.attributes.len() > MAX_ATTRIBUTES {
        return Err(Unreadable("an element of too many attributes"));
    }
    Ok(element)
}

/// What a reference stands for: a character by its number, or one of the five that XML defines.
fn character(reference: &BytesRef<'_>) -> Result<char, Unreadable> {
    if let Some(character) = reference.resolve_char_ref().map_err(|_| BAD)? {
        return Ok(character);
    }
    match reference.as_ref() {
        "amp" => Ok('&'),
        "lt" => Ok('<'),
        "gt" => Ok('>'),
        "quot" => Ok('"'),
        "apos" => Ok('\''),
        _ => Err(Unreadable("an entity that XML does not define")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_becomes_an_object() {
        let cases = [
            ("<a/>", r#"{"a":""}"#),
            ("<a>x</a>", r#"{"a":"x"}"#),
            ("<?xml version='1.0'?>\n<a> x &amp; &#233;<![CDATA[<&>]]></a>\n", r#"{"a":" x & é<&>"}"#),
            ("<n:a n:k='1 &lt; 2'>x</n:a>", r##"{"n:a":{"@n:k":"1 < 2","#text":"x"}}"##),
            ("<a><b>1</b><c/><b>2</b></a>", r#"{"a":{"b":["1","2"],"c":""}}"#),
            ("<a>\n  <b>1</b>\n  text\n</a>", r##"{"a":{"b":"1","#text":"text"}}"##),
        ];
        for (xml, object) in cases {
            assert_eq!(body(xml.as_bytes()).unwrap(), object, "{xml}");
        }
    }

    #[test]
    fn what_is_dangerous_or_broken_is_unreadable() {
        let wide = format!("<a {}/>", (0..10_000).map(|i| format!("k{i}='' ")).collect::<String>());
        let deep = format!("{}{}", "<a>".repeat(1000), "</a>".repeat(1000));
        let pairs = format!("{}{}", "<a><a/>".repeat(60), "</a>".repeat(60));
        let laughs = "<!DOCTYPE a [<!ENTITY b 'x'><!ENTITY c '&b;&b;'>]><a>&c;</a>";
        let outside = "<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>";
        for xml in [
            &wide,
            &deep,
            &pairs,
            laughs,
            outside,
            "",
            "x",
            "<a>",
            "<a></b>",
            "<a/><b/>",
            "<a/><a/>",
            "<a/>x",
            "<a k='1' k='2'/>",
            "<a k='1'><@k>2</@k></a>",
            "<a><#text>1</#text>2</a>",
            "<a>&nope;</a>",
            "<a>&#xFFFFFFF;</a>",
            "<a",
            "&amp;",
            "<a>\u{0}",
            "]]>",
        ] {
            assert!(body(xml.as_bytes()).is_err(), "{}", xml.chars().take(60).collect::<String>());
        }
        assert!(body(b"<a>\xff</a>").is_err());
    }
}
