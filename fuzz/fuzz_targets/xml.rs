//! XML: documents built here, of which the JSON is known, and any bytes.
//!
//! Input: a byte, then any bytes where it is even, else the steps by which a document is built.
#![no_main]

use fuzz::tree::{self, Tree};
use libfuzzer_sys::fuzz_target;
use serde_json::json;
use shared::json::MAX_DEPTH;
use shared::xml;

/// The most steps of a document, repeated ones counted.
const MAX_STEPS: usize = 2000;
const NAMES: [&str; 6] = ["a", "b", "n:a", "Ünï", "a-1", "_"];
/// As it stands in a document, and what it says.
const TEXTS: [(&str, &str); 10] = [
    ("x", "x"),
    (" ", " "),
    ("\n  ", "\n  "),
    ("&amp;&lt;&gt;&quot;&apos;", "&<>\"'"),
    ("&#9;&#x1F389;", "\t🎉"),
    ("&#233;", "é"),
    ("]] >", "]] >"),
    ("\u{feff}\u{fffd}", "\u{feff}\u{fffd}"),
    ("\\\"", "\\\""),
    ("12345678901234567890", "12345678901234567890"),
];

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 2 {
        0 => any(rest),
        _ => built(mode / 2, rest),
    }
});

fn any(bytes: &[u8]) {
    let read = xml::body(bytes);
    assert_eq!(read, xml::body(bytes), "twice the same");
    let Ok(text) = read else { return };
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let prolog = std::str::from_utf8(bytes).expect("XML is UTF-8 here");
    assert!(!has_doctype(prolog), "a DOCTYPE was read");
    let tree = check(&text);
    assert!(tree.is_object() && tree.members().len() == 1, "one root");
}

fn check(text: &str) -> Tree<'_> {
    let tree = tree::parse(text).expect("JSON");
    assert!(tree.depth() <= MAX_DEPTH, "{} levels of JSON", tree.depth());
    assert!(tree.is_interoperable() && !tree.has_twins(), "every reader sees the same");
    tree
}

/// Whether the first thing of a document beside white space, comments and instructions is a DOCTYPE.
fn has_doctype(prolog: &str) -> bool {
    let mut rest = prolog;
    loop {
        rest = rest.trim_start();
        let end = match rest {
            _ if rest.starts_with("<!--") => rest[4..].find("-->").map(|at| at + 7),
            _ if rest.starts_with("<?") => rest.find("?>").map(|at| at + 2),
            _ => return rest.get(..9).is_some_and(|start| start.eq_ignore_ascii_case("<!DOCTYPE")),
        };
        match end {
            Some(end) => rest = &rest[end..],
            None => return false,
        }
    }
}

#[derive(Default)]
struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, &'static str)>,
    children: Vec<(&'static str, Vec<String>)>,
    text: String,
    /// Its start tag has not ended yet.
    starts: bool,
}

fn built(options: u8, steps: &[u8]) {
    let mut xml = String::new();
    if options & 1 != 0 {
        xml.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    }
    let doctype = options & 6 == 6;
    if doctype {
        xml.push_str(["<!DOCTYPE a>", "<!DOCTYPE a [<!ENTITY b 'x'>]>"][usize::from(options >> 3 & 1)]);
    }
    xml.push_str("<r");
    let mut open = vec![Element { name: "r", starts: true, ..Element::default() }];
    let mut deepest = 1;
    for step in repeated(steps) {
        let argument = usize::from(step >> 3);
        let level = open.len();
        let current = open.last_mut().expect("the root stays open");
        match step & 7 {
            0 | 1 => {
                let name = NAMES[argument % NAMES.len()];
                current.begin(&mut xml);
                xml.push_str(&format!("<{name}"));
                open.push(Element { name, starts: true, ..Element::default() });
                deepest = deepest.max(level + 1);
            }
            2 if level > 1 => close(&mut open, &mut xml, argument & 1 != 0),
            3 => {
                let name = NAMES[argument % NAMES.len()];
                current.begin(&mut xml);
                xml.push_str(&format!("<{name}/>"));
                current.add(name, json!("").to_string());
                deepest = deepest.max(level + 1);
            }
            4 => {
                let (written, text) = TEXTS[argument % TEXTS.len()];
                current.begin(&mut xml);
                xml.push_str(written);
                current.text.push_str(text);
            }
            5 if current.starts => {
                let name = NAMES[argument % NAMES.len()];
                let (written, text) = TEXTS[argument % TEXTS.len()];
                if current.attributes.iter().all(|(other, _)| *other != name) && !text.contains(['\n', '\t'])
                {
                    xml.push_str(&format!(" {name}=\"{}\"", written.replace('"', "&quot;")));
                    current.attributes.push((name, text));
                }
            }
            6 => {
                current.begin(&mut xml);
                let text = "<&amp;>";
                xml.push_str(&format!("<![CDATA[{text}]]>"));
                current.text.push_str(text);
            }
            7 => {
                current.begin(&mut xml);
                xml.push_str(["<!-- <!DOCTYPE a> -->", "<?php <a> ?>"][argument & 1]);
            }
            _ => {}
        }
    }
    while open.len() > 1 {
        close(&mut open, &mut xml, false);
    }
    let mut root = open.pop().expect("the root");
    root.begin(&mut xml);
    xml.push_str("</r>");
    let wanted = format!("{{\"r\":{}}}", root.json());

    match xml::body(xml.as_bytes()) {
        Ok(text) => {
            assert!(!doctype, "a DOCTYPE was read");
            check(&text);
            assert_eq!(text, wanted, "{xml}");
        }
        // An element is at most an object within an array.
        Err(_) => assert!(doctype || deepest > MAX_DEPTH / 2 - 1, "{xml}"),
    }
}

/// The steps; one of 0xff has the four before it done as often again as the next one says.
fn repeated(steps: &[u8]) -> Vec<u8> {
    let mut all: Vec<u8> = Vec::new();
    let mut steps = steps.iter();
    while let Some(step) = steps.next() {
        if *step == 0xff {
            let times = steps.next().copied().unwrap_or_default();
            let last = all[all.len().saturating_sub(4)..].to_vec();
            all.extend(last.repeat(times.into()));
        } else {
            all.push(*step);
        }
        if all.len() > MAX_STEPS {
            break;
        }
    }
    all.truncate(MAX_STEPS);
    all
}

fn close(open: &mut Vec<Element>, xml: &mut String, short: bool) {
    let mut element = open.pop().expect("not the root");
    if short && element.starts {
        xml.push_str("/>");
    } else {
        element.begin(xml);
        xml.push_str(&format!("</{} >", element.name));
    }
    let (name, json) = (element.name, element.json());
    open.last_mut().expect("the root stays open").add(name, json);
}

impl Element {
    /// Ends the start tag.
    fn begin(&mut self, xml: &mut String) {
        if std::mem::take(&mut self.starts) {
            xml.push('>');
        }
    }

    fn add(&mut self, name: &'static str, json: String) {
        match self.children.iter_mut().find(|(other, _)| *other == name) {
            Some((_, values)) => values.push(json),
            None => self.children.push((name, vec![json])),
        }
    }

    fn json(&self) -> String {
        if self.attributes.is_empty() && self.children.is_empty() {
            return json!(self.text).to_string();
        }
        let attributes = self
            .attributes
            .iter()
            .map(|(name, value)| format!("{}:{}", json!(format!("@{name}")), json!(value)));
        let children = self.children.iter().map(|(name, values)| match values.as_slice() {
            [value] => format!("{}:{value}", json!(name)),
            values => format!("{}:[{}]", json!(name), values.join(",")),
        });
        let text = self.text.trim();
        let text = (!text.is_empty()).then(|| format!("\"#text\":{}", json!(text)));
        format!("{{{}}}", attributes.chain(children).chain(text).collect::<Vec<_>>().join(","))
    }
}
