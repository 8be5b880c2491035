//! Bodies grown to a size, each in its own format, with what providers send: objects, numbers, addresses, escapes.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// So many digits or more are an id and no time, count or amount.
const ID: usize = 12;
/// How many characters of base64 stand in a line.
const LINE: usize = 60;

/// How something is written into a body.
struct Format {
    /// A piece of the like of what is there, by its number.
    piece: fn(usize) -> String,
    /// What stands before the pieces, between them, and between them and the filler.
    around: [&'static str; 3],
    /// What stands before and after a plain text that fills the rest. The text has letters, digits and hyphens.
    filler: [&'static str; 2],
}

const JSON: Format = Format {
    piece: |i| {
        format!(
            r#"{{"id":{id},"node_id":"MDU6TGFiZWwy{id}","url":"https://api.example.com/repos/octo-org/hello-world/labels/{i}{{?page}}","name":"bug {i}","description":"First line\r\nC:\\temp\\{i} is \"broken\" \u2013 kh\u00f4ng ch\u1ea1y","color":"d73a4a","default":{even},"score":{i}.25,"parent":null,"created_at":"2026-11-24T05:59:57Z","user":{{"login":"octocat","id":{i},"html_url":"https://example.com/octocat","site_admin":false}}}}"#,
            id = 208_045_946 + i,
            even = i % 2 == 0,
        )
    },
    around: ["\"labels_on_it\":[", ",", "],"],
    filler: ["\"remark\":\"", "\""],
};

const XML: Format = Format {
    piece: |i| {
        format!(
            "<Line number=\"{i}\"><Name>M\u{1ef1}c {i} &amp; c</Name><Price currency=\"VND\">{i}5000.50</Price><Page><![CDATA[https://example.com/items?id={i}&a=b]]></Page></Line>"
        )
    },
    around: ["<Lines>", "\n", "</Lines>"],
    filler: ["<Remark>", "</Remark>"],
};

const FORM: Format = Format {
    piece: |i| {
        format!("Line{i}=Xin+ch%C3%A0o%21+Item+no.+{i}&Page{i}=https%3A%2F%2Fexample.com%2Fitems%3Fid%3D{i}")
    },
    around: ["&", "&", ""],
    filler: ["&Remark=", ""],
};

/// A body of so many bytes, if it is shorter. A few bytes are missing where they are too few for anything.
pub fn grown(body: &str, bytes: usize) -> String {
    let room = bytes.saturating_sub(body.len());
    let trimmed = body.trim_end();
    match trimmed.bytes().next() {
        Some(b'{' | b'[') => {
            // Within the innermost object that ends where the body does.
            let closers =
                trimmed.trim_end_matches(|c: char| matches!(c, '}' | ']') || c.is_whitespace()).len();
            let Some(at) = trimmed[closers..].find('}').map(|found| closers + found) else {
                return body.to_owned();
            };
            let comma = if trimmed[..at].trim_end().ends_with('{') { "" } else { "," };
            inserted(body, at, &filling(&JSON, comma, room))
        }
        Some(b'<') => match trimmed.rfind("</") {
            Some(at) => inserted(body, at, &filling(&XML, "", room)),
            None => body.to_owned(),
        },
        Some(b'-') => with_part(body, room),
        _ => match encoded_field(body) {
            Some((before, document, after)) => {
                // Base64 and percent signs make it longer by something more than a third.
                let aim = document.len() + room * 72 / 100;
                form_with(before, &grown(&document, aim), after)
            }
            None => inserted(body, trimmed.len(), &filling(&FORM, "", room)),
        },
    }
}

fn inserted(body: &str, at: usize, what: &str) -> String {
    let (before, after) = body.split_at(at);
    format!("{before}{what}{after}")
}

/// Pieces and a filler, so many bytes with what is to stand before them; nothing if there is no room for a filler.
fn filling(format: &Format, before: &str, room: usize) -> String {
    let [open, between, close] = format.around;
    let [filler, end] = format.filler;
    let Some(room) = room.checked_sub(before.len() + filler.len() + end.len()) else { return String::new() };
    let mut text = String::with_capacity(room);
    for number in 0.. {
        let glue = if number == 0 { open } else { between };
        let piece = (format.piece)(number);
        if text.len() + glue.len() + piece.len() + close.len() > room {
            break;
        }
        text.push_str(glue);
        text.push_str(&piece);
    }
    if !text.is_empty() {
        text.push_str(close);
    }
    let rest = "plain-text-without-meaning-".chars().cycle().take(room - text.len());
    format!("{before}{text}{filler}{}{end}", rest.collect::<String>())
}

/// A form with files: one part more.
fn with_part(body: &str, room: usize) -> String {
    let trimmed = body.trim_end();
    let Some(at) = trimmed.rfind("\n--").map(|found| found + 1) else { return body.to_owned() };
    let Some(boundary) = trimmed[at..].strip_suffix("--") else { return body.to_owned() };
    let newline = if trimmed[..at].ends_with("\r\n") { "\r\n" } else { "\n" };
    let head =
        format!("{boundary}{newline}Content-Disposition: form-data; name=\"remark\"{newline}{newline}");
    let Some(rest) = room.checked_sub(head.len() + newline.len()) else { return body.to_owned() };
    let line = format!("A line of a mail, with \"quotes\" & signs.{newline}");
    let mut text: String = line.repeat(rest / line.len());
    text.extend(std::iter::repeat_n('x', rest - text.len()));
    inserted(body, at, &format!("{head}{text}{newline}"))
}

/// A form's field that holds an XML document in base64: what stands before its value, the document, and what is after.
fn encoded_field(form: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = form.split_once('=')?;
    let (value, after) = rest.find('&').map_or((rest, ""), |end| rest.split_at(end));
    let text = percent_encoding::percent_decode_str(value).decode_utf8().ok()?;
    let document = String::from_utf8(BASE64_STANDARD.decode(text.replace('\n', "")).ok()?).ok()?;
    document.starts_with('<').then_some((&form[..=name.len()], document, after))
}

fn form_with(before: &str, document: &str, after: &str) -> String {
    let text = BASE64_STANDARD.encode(document);
    let lines: String =
        text.as_bytes().chunks(LINE).map(|line| format!("{}\n", String::from_utf8_lossy(line))).collect();
    format!("{before}{}{after}", utf8_percent_encode(&lines, NON_ALPHANUMERIC))
}

/// A text whose ids are others for each number.
pub fn with_other_ids(text: &str, number: usize) -> String {
    let mut all = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let digits = rest[start..].bytes().take_while(u8::is_ascii_digit).count();
        let (before, found) = rest.split_at(start);
        all.push_str(before);
        let (found, after) = found.split_at(digits);
        match digits.checked_sub(6) {
            Some(kept) if digits >= ID => {
                all.push_str(&found[..kept]);
                all.push_str(&format!("{:06}", number % 1_000_000));
            }
            _ => all.push_str(found),
        }
        rest = after;
    }
    all.push_str(rest);
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_grows_to_the_byte() {
        for body in [
            r#"{"a":1}"#,
            r#"{"a":{}}"#,
            r#"{"a":{"b":[1]},"c":"}"}"#,
            r#"[{"a":1},{"b":{"c":"x"}}]"#,
            "{\"a\":1}\n",
            "<a><b>1</b></a>",
            "a=b&c=d",
            "--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n--x--\r\n",
        ] {
            for bytes in [300, 1024, 20_480] {
                let grown = grown(body, bytes);
                assert_eq!(grown.len(), bytes, "{grown}");
                if body.starts_with(['{', '[']) {
                    assert!(serde_json::from_str::<serde_json::Value>(&grown).is_ok(), "{grown}");
                }
            }
            assert_eq!(grown(body, 0), body);
        }
    }

    #[test]
    fn ids_are_others_and_times_stay() {
        let text = r#"{"id":"137542570280222_139560936744456","time":1511951020,"n":7}"#;
        let other = r#"{"id":"137542570000042_139560936000042","time":1511951020,"n":7}"#;
        assert_eq!(with_other_ids(text, 42), other);
    }
}
