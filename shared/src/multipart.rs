//! Forms with files (`multipart/form-data`, RFC 7578) as JSON.
//!
//! The boundary is taken from where it stands in the body, which is signed, and not from the header `content-type`, which
//! is not: one body is read in one way, whoever sends it. Work and memory are bounded by the body's length.

use crate::error::Unreadable;
use crate::form;
use crate::json;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;

/// The most parts of a body.
pub const MAX_PARTS: usize = 1000;
/// The longest headers of a part together, in bytes.
pub const MAX_HEADERS: usize = 8 * 1024;
/// The longest boundary, in bytes: RFC 2046, section 5.1.1.
pub const MAX_BOUNDARY: usize = 70;

const BAD: Unreadable = Unreadable("not multipart");

/// A field of a form, or a file in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'b> {
    /// The field's name.
    pub name: Cow<'b, str>,
    /// The file's name; a part that has one is a file, whatever its content.
    pub filename: Option<Cow<'b, str>>,
    /// The header `content-type` of the part.
    pub content_type: Option<&'b str>,
    /// The exact bytes.
    pub content: &'b [u8],
}

/// Whether a body begins as only such a form does: with a line of two hyphens and a boundary.
pub fn is_form(bytes: &[u8]) -> bool {
    bytes.starts_with(b"--")
}

/// The form as a JSON object: a field's value is its text, a name that comes again has an array in the order sent. A
/// file, and a field that is not UTF-8, is an object: `filename` and `contenttype` where the part says them, and `base64`
/// with the exact bytes.
///
/// Not readable: see [`parts`].
pub fn body(bytes: &[u8]) -> Result<Cow<'_, str>, Unreadable> {
    let fields = parts(bytes)?.into_iter().map(|part| {
        let value = value(&part);
        (part.name, value)
    });
    Ok(Cow::Owned(form::object(fields)))
}

fn value(part: &Part<'_>) -> String {
    if let (None, Ok(text)) = (&part.filename, std::str::from_utf8(part.content)) {
        return json::string(text);
    }
    let mut members = Vec::with_capacity(3);
    let mut put = |name: &str, text: &str| members.push(format!(r#""{name}":{}"#, json::string(text)));
    if let Some(name) = &part.filename {
        put("filename", name);
    }
    if let Some(kind) = part.content_type {
        put("contenttype", kind);
    }
    put("base64", &BASE64_STANDARD.encode(part.content));
    format!("{{{}}}", members.join(","))
}

/// The parts in the order sent.
///
/// Lines end with CRLF, or all with LF, as the first one does. Not readable, since it could be read in several ways: a
/// boundary that is missing, too long or of other characters than RFC 2046 allows; anything before the first or after
/// the last one; no last one; a part without a name, with a name that is not UTF-8, with a header that comes twice or is
/// none, or in a transfer encoding; more than [`MAX_PARTS`] parts or [`MAX_HEADERS`] bytes of headers in one.
pub fn parts(bytes: &[u8]) -> Result<Vec<Part<'_>>, Unreadable> {
    let Delimiter { line, line_end, mut rest } = first_line(bytes)?;
    let mut parts = Vec::new();
    loop {
        let (content, after, is_last) = up_to_delimiter(rest, line, line_end)?;
        if parts.len() == MAX_PARTS {
            return Err(Unreadable("a form of too many parts"));
        }
        parts.push(part(content, line_end)?);
        if is_last {
            // Some senders end with a line break, some without.
            return if matches!(after, b"" | b"\r\n" | b"\n") { Ok(parts) } else { Err(BAD) };
        }
        rest = after;
    }
}

/// The first line of a form.
struct Delimiter<'b> {
    /// The boundary with its hyphens.
    line: &'b [u8],
    /// How it ends.
    line_end: &'static [u8],
    /// What follows it.
    rest: &'b [u8],
}

fn first_line(bytes: &[u8]) -> Result<Delimiter<'_>, Unreadable> {
    // No boundary is longer, so nothing further is looked at.
    let start = bytes.get(..bytes.len().min(MAX_BOUNDARY + "--\r\n".len())).unwrap_or_default();
    let end = start.iter().position(|byte| *byte == b'\n').ok_or(BAD)?;
    let (line, rest) = bytes.split_at_checked(end + 1).ok_or(BAD)?;
    let (line, line_end): (&[u8], &'static [u8]) = match line.strip_suffix(b"\r\n") {
        Some(line) => (line, b"\r\n"),
        None => (line.strip_suffix(b"\n").ok_or(BAD)?, b"\n"),
    };
    let boundary = line.strip_prefix(b"--").ok_or(BAD)?;
    let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    let fits = (1..=MAX_BOUNDARY).contains(&boundary.len());
    if !fits || !boundary.iter().all(is_legal) || boundary.ends_with(b" ") {
        return Err(BAD);
    }
    Ok(Delimiter { line, line_end, rest })
}

/// What stands before the next line that is the boundary alone, what stands after that line, and whether it was the last.
///
/// A boundary has no line break, so it is looked for at the beginnings of lines only, and no byte is compared more than
/// twice.
fn up_to_delimiter<'b>(
    bytes: &'b [u8],
    boundary: &[u8],
    line_end: &[u8],
) -> Result<(&'b [u8], &'b [u8], bool), Unreadable> {
    let mut at = 0;
    while let Some(line) = bytes.get(at..) {
        let content = bytes.get(..at).unwrap_or_default();
        // The line break before a boundary belongs to it.
        let before = if at == 0 { Some(content) } else { content.strip_suffix(line_end) };
        if let (Some(content), Some(after)) = (before, line.strip_prefix(boundary)) {
            if let Some(after) = after.strip_prefix(b"--")
                && (after.is_empty() || after.starts_with(b"\r") || after.starts_with(b"\n"))
            {
                return Ok((content, after, true));
            }
            if let Some(after) = after.strip_prefix(line_end) {
                return Ok((content, after, false));
            }
        }
        let Some(end) = line.iter().position(|byte| *byte == b'\n') else { break };
        at += end + 1;
    }
    Err(Unreadable("a form without its last boundary"))
}

fn part<'b>(bytes: &'b [u8], line_end: &[u8]) -> Result<Part<'b>, Unreadable> {
    let (mut disposition, mut content_type, mut read) = (None, None, 0);
    let mut rest = bytes;
    loop {
        let window = rest.get(..rest.len().min(MAX_HEADERS + 1 - read)).unwrap_or_default();
        let end = window.iter().position(|byte| *byte == b'\n').ok_or(BAD)?;
        let (line, after) = rest.split_at_checked(end + 1).ok_or(BAD)?;
        let line = line.strip_suffix(line_end).ok_or(BAD)?;
        (read, rest) = (read + end + 1, after);
        if line.is_empty() {
            break;
        }
        let line = std::str::from_utf8(line).map_err(|_| BAD)?;
        let (name, value) = line.split_once(':').ok_or(BAD)?;
        // A folded line has a space where a name would begin.
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(BAD);
        }
        let value = value.trim_matches([' ', '\t']);
        if value.chars().any(|c| c.is_control() && c != '\t') {
            return Err(BAD);
        }
        let place = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => &mut disposition,
            "content-type" => &mut content_type,
            // RFC 7578 has done away with it. Where somebody uses it all the same, the bytes are not what they seem.
            "content-transfer-encoding" => match value.to_ascii_lowercase().as_str() {
                "7bit" | "8bit" | "binary" => continue,
                _ => return Err(Unreadable("a part in a transfer encoding")),
            },
            _ => continue,
        };
        if place.replace(value).is_some() {
            return Err(BAD);
        }
    }
    let parameters = parameters(disposition.ok_or(BAD)?)?;
    let find = |wanted: &str| {
        let mut found = parameters.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        match (found.next(), found.next()) {
            (first, None) => Ok(first.map(|(_, value)| value.clone())),
            _ => Err(BAD),
        }
    };
    let filename = match find("filename*")? {
        Some(encoded) => Some(extended(&encoded)?),
        None => find("filename")?,
    };
    Ok(Part { name: find("name")?.ok_or(BAD)?, filename, content_type, content: rest })
}

/// Names and values after `form-data`. In quotes, a backslash stands before a quote or another backslash; elsewhere it is
/// itself, since browsers send paths so.
fn parameters(disposition: &str) -> Result<Vec<(&str, Cow<'_, str>)>, Unreadable> {
    let (kind, mut rest) = disposition.split_once(';').ok_or(BAD)?;
    if !kind.trim().eq_ignore_ascii_case("form-data") {
        return Err(BAD);
    }
    let mut found = Vec::new();
    while !rest.trim().is_empty() {
        let (name, after) = rest.split_once('=').ok_or(BAD)?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => quoted_text(quoted)?,
            None => {
                let end = after.find(';').unwrap_or(after.len());
                let (value, after) = after.split_at_checked(end).ok_or(BAD)?;
                (Cow::Borrowed(value.trim()), after)
            }
        };
        found.push((name.trim(), value));
        let after = after.trim_start();
        rest = if after.is_empty() { after } else { after.strip_prefix(';').ok_or(BAD)? };
    }
    Ok(found)
}

/// The text up to the closing quote, and what follows that.
fn quoted_text(quoted: &str) -> Result<(Cow<'_, str>, &str), Unreadable> {
    let mut escaped = false;
    for (at, c) in quoted.char_indices() {
        match c {
            '"' if !escaped => {
                let (text, after) = quoted.split_at_checked(at).ok_or(BAD)?;
                let text =
                    if text.contains('\\') { Cow::Owned(unescaped(text)) } else { Cow::Borrowed(text) };
                return Ok((text, after.strip_prefix('"').unwrap_or(after)));
            }
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    Err(BAD)
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let escaped = rest.next_if(|next| c == '\\' && matches!(next, '"' | '\\'));
        plain.push(escaped.unwrap_or(c));
    }
    plain
}

/// A value of RFC 8187: `UTF-8'en'a%20b`. Another character set than UTF-8 is not readable.
fn extended<'t>(encoded: &str) -> Result<Cow<'t, str>, Unreadable> {
    let mut halves = encoded.splitn(3, '\'');
    let (charset, _language, text) = (halves.next(), halves.next(), halves.next().ok_or(BAD)?);
    if !charset.is_some_and(|charset| charset.eq_ignore_ascii_case("utf-8")) {
        return Err(BAD);
    }
    let text = percent_decode_str(text).decode_utf8().map_err(|_| BAD)?;
    Ok(Cow::Owned(text.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A form of parts that are written with LF, with the given line ends.
    fn form(parts: &[&str], line_end: &str) -> Vec<u8> {
        let text: String = parts.iter().map(|part| format!("--b\n{part}\n")).collect();
        format!("{text}--b--\n").replace('\n', line_end).into_bytes()
    }

    fn field(name: &str, text: &str) -> String {
        format!("Content-Disposition: form-data; name=\"{name}\"\n\n{text}")
    }

    #[track_caller]
    fn check(parts: &[&str], object: &str) {
        assert_eq!(body(&form(parts, "\n")).as_deref(), Ok(object));
        let crlf = body(&form(parts, "\r\n")).map(|text| text.replace("\\r\\n", "\\n"));
        assert_eq!(crlf.as_deref(), Ok(object));
    }

    #[test]
    fn a_form_becomes_an_object() {
        check(&[&field("a", "1"), &field("b", "x\ny")], r#"{"a":"1","b":"x\ny"}"#);
        check(&[&field("a", ""), &field("b", "1"), &field("a", "2")], r#"{"a":["","2"],"b":"1"}"#);
        check(&[&field("a", "--c\n--bc\n --b\nx--b")], r#"{"a":"--c\n--bc\n --b\nx--b"}"#);
        check(&[&field("", "é\n\n")], r#"{"":"é\n\n"}"#);
        check(&["content-disposition:form-data ; NAME= a ;\n\n1"], r#"{"a":"1"}"#);
        check(&["Content-Disposition: form-data; name=\"a\\\"\\\\;=\\x\"\n\n1"], r#"{"a\"\\;=\\x":"1"}"#);
        check(
            &["X-Other: 1\nContent-Disposition: form-data; name=\"é\"\nContent-Transfer-Encoding: 8BIT\n\n1"],
            r#"{"é":"1"}"#,
        );
    }

    #[test]
    fn files_and_other_bytes_are_kept_as_they_are() {
        check(
            &["Content-Disposition: form-data; name=\"f\"; filename=\"\"\nContent-Type: text/plain\n\nhi"],
            r#"{"f":{"filename":"","contenttype":"text/plain","base64":"aGk="}}"#,
        );
        check(
            &["Content-Disposition: form-data; name=f; filename=x; filename*=UTF-8'vi'%C3%A1%20b\n\nhi"],
            r#"{"f":{"filename":"á b","base64":"aGk="}}"#,
        );
        let latin = b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n\xe1\r\n--b--";
        assert_eq!(body(latin).unwrap(), r#"{"a":{"base64":"4Q=="}}"#);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        let one = field("a", "1");
        let long = field("a", "1").replacen('\n', &format!("\nX-Long: {}\n", "x".repeat(MAX_HEADERS)), 1);
        for part in [
            "",
            "\n",
            "1",
            "Content-Disposition: form-data; name=a",
            "Content-Disposition: form-data\n\n1",
            "Content-Disposition: form-data; filename=a\n\n1",
            "Content-Disposition: attachment; name=a\n\n1",
            "Content-Disposition: form-data; name=\"a\n\n1",
            "Content-Disposition: form-data; name=\"a\"b\n\n1",
            "Content-Disposition: form-data; name=a; name=b\n\n1",
            "Content-Disposition: form-data; name=a\nContent-Disposition: form-data; name=b\n\n1",
            "Content-Disposition: form-data; name=a;\n filename=\"b:c\"\n\n1",
            "Content-Disposition: form-data; name=a; filename*=latin1''b\n\n1",
            "Content-Disposition: form-data; name=a; filename*=UTF-8''%ff\n\n1",
            "Content-Disposition: form-data; name=a\u{1}\n\n1",
            "Content-Disposition: form-data; name=a\nContent-Transfer-Encoding: base64\n\nMQ==",
            "Content-Type: text/plain\n\n1",
            &long,
        ] {
            for line_end in ["\n", "\r\n"] {
                assert!(body(&form(&[&one, part], line_end)).is_err(), "{part:?}");
            }
        }
        let genuine = form(&[&one], "\r\n");
        assert!(body(&genuine).is_ok());
        for end in 0..genuine.len() - "\r\n".len() {
            assert!(body(&genuine[..end]).is_err(), "cut at {end}");
        }
        let changed = |from: &str, to: &str| {
            let text = String::from_utf8(genuine.clone()).unwrap();
            body(text.replacen(from, to, 1).as_bytes()).map(Cow::into_owned)
        };
        for (from, to) in [
            ("--b\r\n", "x\r\n--b\r\n"),
            ("--b\r\n", "\r\n--b\r\n"),
            ("--b\r\n", "--b\n"),
            ("--b\r\n", "--b \r\n"),
            ("--b--\r\n", "--b--\r\nx"),
            ("--b--\r\n", "--b--x\r\n"),
            ("\r\n--b--", "\n--b--"),
        ] {
            assert!(changed(from, to).is_err(), "{from:?} {to:?}");
        }
    }

    #[test]
    fn bounds() {
        let one = field("a", "1");
        let with_boundary = |boundary: &str| {
            let text =
                String::from_utf8(form(&[&one], "\r\n")).unwrap().replace("--b", &format!("--{boundary}"));
            body(text.as_bytes()).is_ok()
        };
        assert!(with_boundary(&"b".repeat(MAX_BOUNDARY)));
        assert!(with_boundary("'()+_,-./:=? b"));
        for bad in ["", "b ", "b\"", "b\t", "é", &"b".repeat(MAX_BOUNDARY + 1), &"b".repeat(200_000)] {
            assert!(!with_boundary(bad), "{} bytes", bad.len());
        }
        let parts = vec![one.as_str(); MAX_PARTS + 1];
        assert!(body(&form(&parts[1..], "\r\n")).is_ok());
        assert!(body(&form(&parts, "\r\n")).is_err());
    }
}
