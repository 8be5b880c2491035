//! Forms with files: forms built here, of which every part is known, and any bytes against a reader of the target's own.
//!
//! Input: a byte, then any bytes where it is even, else the pieces that a form is built of.
#![no_main]

use arbitrary::{Arbitrary, Unstructured};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuzz::tree::{self, Node, Tree};
use libfuzzer_sys::fuzz_target;
use shared::multipart::{self, MAX_BOUNDARY, MAX_HEADERS, MAX_PARTS};

/// What stands between a boundary's hyphens and the end of its line.
const LEGAL: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'()+_,-./:=? ";

/// A part as it was meant.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Part {
    name: String,
    filename: Option<String>,
    content_type: Option<String>,
    content: Vec<u8>,
}

fuzz_target!(|data: &[u8]| {
    let Some((mode, rest)) = data.split_first() else { return };
    match mode % 2 {
        0 => any(rest),
        _ => built(mode / 2, rest),
    }
});

/// Whatever is read is what a plainer reader cuts out of the bytes.
fn any(body: &[u8]) {
    let read = multipart::parts(body).ok().map(|parts| {
        let owned = |part: multipart::Part<'_>| Part {
            name: part.name.into_owned(),
            filename: part.filename.map(|name| name.into_owned()),
            content_type: part.content_type.map(str::to_owned),
            content: part.content.to_vec(),
        };
        parts.into_iter().map(owned).collect::<Vec<_>>()
    });
    if let Some(parts) = &read {
        let (line_end, sections) = sections(body).expect("a form that only one of two readers sees");
        assert_eq!(parts.len(), sections.len());
        assert!(parts.len() <= MAX_PARTS);
        let blank = line_end.repeat(2);
        for (part, section) in parts.iter().zip(sections) {
            let end = section.windows(blank.len()).position(|window| window == blank).expect("headers")
                + blank.len();
            assert!(end <= MAX_HEADERS);
            assert_eq!(part.content, section[end..]);
            let head = std::str::from_utf8(&section[..end]).expect("UTF-8").to_ascii_lowercase();
            let of = |name: &str| head.lines().filter(|line| line.starts_with(name)).count();
            assert_eq!(of("content-disposition:"), 1);
            assert_eq!(of("content-type:"), usize::from(part.content_type.is_some()));
        }
    }
    check_object(body, read.as_deref());
}

/// The JSON holds every part, and nothing else.
fn check_object(body: &[u8], parts: Option<&[Part]>) {
    let object = multipart::body(body).ok();
    assert_eq!(object.is_some(), parts.is_some());
    assert_eq!(object, multipart::body(body).ok(), "twice the same");
    let (Some(object), Some(parts)) = (object, parts) else { return };
    let tree = tree::parse(&object).expect("JSON");
    assert!(tree.is_object() && !tree.has_twins());
    let mut names: Vec<&str> = Vec::new();
    for part in parts {
        if !names.contains(&part.name.as_str()) {
            names.push(&part.name);
        }
    }
    assert_eq!(tree.members().iter().map(|(name, _)| name.text.as_str()).collect::<Vec<_>>(), names);
    for (name, value) in tree.members() {
        let wanted: Vec<&Part> = parts.iter().filter(|part| part.name == name.text).collect();
        match &value.node {
            Node::Array(values) => {
                assert!(values.len() > 1, "one value is no array");
                assert_eq!(values.len(), wanted.len());
                values.iter().zip(wanted).for_each(|(value, part)| check_value(value, part));
            }
            _ => {
                assert_eq!(wanted.len(), 1);
                check_value(value, wanted[0]);
            }
        }
    }
}

fn check_value(value: &Tree<'_>, part: &Part) {
    if let (Ok(text), None) = (std::str::from_utf8(&part.content), &part.filename) {
        assert_eq!(value.text(), Some(text));
        return;
    }
    let member = |wanted: &str| {
        let found = value.members().iter().find(|(name, _)| name.text == wanted);
        found.map(|(_, value)| value.text().expect("text").to_owned())
    };
    assert_eq!(member("filename"), part.filename);
    assert_eq!(member("contenttype"), part.content_type);
    assert_eq!(member("base64"), Some(BASE64_STANDARD.encode(&part.content)));
    let count = 1 + usize::from(part.filename.is_some()) + usize::from(part.content_type.is_some());
    assert_eq!(value.members().len(), count);
}

/// What stands between the boundaries: cut at every delimiter with the line breaks around it, as RFC 2046 draws it.
fn sections(body: &[u8]) -> Option<(&'static [u8], Vec<Vec<u8>>)> {
    let end = body.iter().position(|byte| *byte == b'\n')?;
    let crlf = end > 0 && body[end - 1] == b'\r';
    let line_end: &'static [u8] = if crlf { b"\r\n" } else { b"\n" };
    let boundary = body[..end + 1 - line_end.len()].strip_prefix(b"--")?;
    if boundary.is_empty()
        || boundary.len() > MAX_BOUNDARY
        || boundary.ends_with(b" ")
        || !boundary.iter().all(|byte| LEGAL.contains(byte))
    {
        return None;
    }
    // With a line break before the first one, all delimiters look alike.
    let whole = [line_end, body].concat();
    let delimiter = [line_end, b"--", boundary].concat();
    let mut starts: Vec<usize> = Vec::new();
    let mut at = 0;
    while at + delimiter.len() <= whole.len() {
        let after = &whole[(at + delimiter.len()).min(whole.len())..];
        let is_last = after.starts_with(b"--")
            && after[2..].first().is_none_or(|byte| *byte == b'\r' || *byte == b'\n');
        if whole[at..].starts_with(&delimiter) && (after.starts_with(line_end) || is_last) {
            starts.push(at);
            if is_last {
                let epilogue = &after[2..];
                return matches!(epilogue, b"" | b"\r\n" | b"\n").then(|| {
                    let between = starts.windows(2).map(|pair| {
                        let from = pair[0] + delimiter.len() + line_end.len();
                        whole[from.min(pair[1])..pair[1]].to_vec()
                    });
                    (line_end, between.collect())
                });
            }
        }
        at += 1;
    }
    None
}

/// A form of known parts is read as they were meant.
fn built(seed: u8, data: &[u8]) {
    let mut pieces = Unstructured::new(data);
    let length = 1 + usize::from(seed) % MAX_BOUNDARY;
    let mut boundary: Vec<u8> =
        (0..length).map(|i| LEGAL[(usize::from(seed) * 31 + i * 7) % LEGAL.len()]).collect();
    if let Some(last) = boundary.last_mut().filter(|last| **last == b' ') {
        *last = b'b';
    }
    let line_end: &[u8] = if seed % 3 == 0 { b"\n" } else { b"\r\n" };
    let mut parts = Vec::new();
    let mut body = Vec::new();
    while let Ok((name, filename, content_type, content)) =
        <(String, Option<String>, bool, Vec<u8>)>::arbitrary(&mut pieces)
    {
        let plain = |text: &str| text.chars().all(|c| !c.is_control()) && text.len() < 500;
        let ends = |text: &str| !text.ends_with('\\');
        let sound =
            plain(&name) && ends(&name) && filename.as_deref().is_none_or(|name| plain(name) && ends(name));
        let holds = content.windows(boundary.len()).any(|window| window == boundary);
        if !sound || holds || parts.len() == 20 || pieces.is_empty() {
            break;
        }
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        let mut head = format!("Content-Disposition: form-data; name=\"{}\"", quoted(&name));
        if let Some(filename) = &filename {
            head.push_str(&format!("; filename=\"{}\"", quoted(filename)));
        }
        body.extend([b"--", &boundary[..], line_end, head.as_bytes(), line_end].concat());
        let content_type = content_type.then(|| "text/x; a=b".to_owned());
        if let Some(kind) = &content_type {
            body.extend([b"content-type:", kind.as_bytes(), line_end].concat());
        }
        body.extend([line_end, &content, line_end].concat());
        parts.push(Part { name, filename, content_type, content });
    }
    if parts.is_empty() {
        return;
    }
    body.extend([b"--", &boundary[..], b"--"].concat());
    check_object(&body, Some(&parts));
    body.extend(line_end);
    check_object(&body, Some(&parts));
}
