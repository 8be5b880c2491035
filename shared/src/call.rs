//! One call: what the provider sent, read from the event that Lambda hands over. Reading is total: any text gives a
//! call, or the one word that it is no event of payload format 2.0.

use crate::error::Fault;
use crate::json::{self, Raw};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// The largest body in bytes. The platform's own limit is on the whole event, 6,291,456 bytes.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const MAX_BODY: usize = 6_291_456;

/// The most headers that are looked at. AWS lets some 10 KB of them through, and no provider sends fifty.
const MAX_HEADERS: usize = 500;

/// A call as the provider sent it. Nothing in it has been checked.
#[derive(Clone, Default)]
pub struct Call<'e> {
    /// `POST`
    pub method: Cow<'e, str>,
    /// The raw path, with the stage of an HTTP API.
    pub path: Cow<'e, str>,
    /// The raw query, without `?`.
    pub query: Cow<'e, str>,
    /// The public host name, as AWS names it; never the header `Host`.
    pub domain: Cow<'e, str>,
    stage: Cow<'e, str>,
    headers: Vec<(Cow<'e, str>, Cow<'e, str>)>,
    body: Option<Cow<'e, [u8]>>,
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Query, headers and body hold tokens and a consumer's data.
        f.debug_struct("Call").field("method", &self.method).finish_non_exhaustive()
    }
}

impl<'e> Call<'e> {
    /// A call by its parts, for what receives HTTP itself. Headers of one name are joined with a comma, as AWS does.
    pub fn new(
        method: impl Into<Cow<'e, str>>,
        path: impl Into<Cow<'e, str>>,
        query: impl Into<Cow<'e, str>>,
        headers: impl IntoIterator<Item = (String, String)>,
        body: impl Into<Cow<'e, [u8]>>,
    ) -> Call<'e> {
        let mut call = Call {
            method: method.into(),
            path: path.into(),
            query: query.into(),
            body: Some(body.into()),
            ..Call::default()
        };
        for (name, value) in headers {
            call.add_header(Cow::Owned(name), Cow::Owned(value));
        }
        call
    }

    /// The value of a header, by its lower-case name. One that was sent twice is joined with a comma.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_ref())
    }

    /// All headers, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref()))
    }

    /// The exact bytes of the body; `None` where the event holds something that does not decode.
    pub fn body(&self) -> Option<&[u8]> {
        self.body.as_deref()
    }

    /// The last segment of the path, empty at the root. A stage of an HTTP API other than `$default` is the first
    /// segment of the raw path and no part of ours.
    pub fn last_segment(&self) -> &str {
        let path = self.path.trim_end_matches('/');
        let staged = !self.stage.is_empty() && path.strip_prefix('/') == Some(&*self.stage);
        if staged { "" } else { path.rsplit('/').next().unwrap_or_default() }
    }

    fn add_header(&mut self, name: Cow<'e, str>, value: Cow<'e, str>) {
        let name = if name.bytes().any(|b| b.is_ascii_uppercase()) {
            Cow::Owned(name.to_ascii_lowercase())
        } else {
            name
        };
        let is_full = self.headers.len() >= MAX_HEADERS;
        match self.headers.iter_mut().find(|(n, _)| *n == name) {
            Some((_, before)) => {
                let joined = before.to_mut();
                joined.push(',');
                joined.push_str(&value);
            }
            None if is_full => {}
            None => self.headers.push((name, value)),
        }
    }
}

/// The text of a JSON string; `None` for anything else.
fn text(raw: Raw<'_>) -> Option<Cow<'_, str>> {
    raw.starts_with('"').then(|| json::scalar(raw)).flatten()
}

/// The bytes of an event's body; `None` where they do not decode.
fn body<'e>(event: &[(Cow<'e, str>, Raw<'e>)]) -> Option<Cow<'e, [u8]>> {
    let get = |name| json::member(event, name).ok().flatten();
    let Some(raw) = get("body").filter(|raw| *raw != "null") else { return Some(Cow::Borrowed(&[])) };
    match text(raw)? {
        text if get("isBase64Encoded") == Some("true") => {
            BASE64_STANDARD.decode(text.as_bytes()).ok().map(Cow::Owned)
        }
        Cow::Borrowed(text) => Some(Cow::Borrowed(text.as_bytes())),
        Cow::Owned(text) => Some(Cow::Owned(text.into_bytes())),
    }
}

/// What Lambda hands over: the body decoded, of all else the text of what a call is made of. What the body took in the event's
/// own text, up to 6 MB, is not kept beside it.
pub struct Payload {
    parts: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
}

impl Payload {
    /// Reads any text; what is no event shows when its call is asked for.
    pub fn read(text: &str) -> Payload {
        serde_json::from_str(text).unwrap_or_else(|_| Payload::of(&[]))
    }

    fn of(event: &[(Cow<'_, str>, Raw<'_>)]) -> Payload {
        const PARTS: [&str; 5] = ["version", "requestContext", "rawPath", "rawQueryString", "headers"];
        let part = |name| Some((name, json::member(event, name).ok()??.to_owned()));
        Payload {
            parts: PARTS.into_iter().filter_map(part).collect(),
            body: body(event).map(Cow::into_owned),
        }
    }

    /// The call: from a function URL or an HTTP API, payload format 2.0.
    ///
    /// <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>
    pub fn call(&self) -> Result<Call<'_>, Fault> {
        const NOT_OURS: Fault = Fault::Event("not of payload format 2.0: use a function URL or an HTTP API");
        let get = |name| self.parts.iter().find(|(n, _)| *n == name).map(|(_, raw)| raw.as_str());
        let context = get("requestContext").and_then(|raw| json::members(raw).ok()).ok_or(NOT_OURS)?;
        let in_context = |name| json::member(&context, name).ok().flatten();
        let method = in_context("http").and_then(|http| json::at(http, "/method").ok()?).and_then(text);
        let (Some(method), Some("2.0")) = (method, get("version").and_then(text).as_deref()) else {
            return Err(NOT_OURS);
        };

        let mut call = Call {
            method,
            path: get("rawPath").and_then(text).unwrap_or_default(),
            query: get("rawQueryString").and_then(text).unwrap_or_default(),
            domain: in_context("domainName").and_then(text).unwrap_or_default(),
            stage: in_context("stage").and_then(text).unwrap_or_default(),
            headers: Vec::new(),
            body: self.body.as_deref().map(Cow::Borrowed),
        };
        let headers = get("headers").and_then(|raw| json::members(raw).ok()).unwrap_or_default();
        call.headers.reserve(headers.len());
        for (name, value) in headers {
            if let Some(value) = text(value) {
                call.add_header(name, value);
            }
        }
        Ok(call)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(event: D) -> Result<Payload, D::Error> {
        event.deserialize_any(PayloadVisitor)
    }
}

/// Takes any value in one pass. What is no object has no parts.
struct PayloadVisitor;

impl<'de> Visitor<'de> for PayloadVisitor {
    type Value = Payload;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event")
    }

    fn visit_map<A: MapAccess<'de>>(self, event: A) -> Result<Payload, A::Error> {
        Ok(Payload::of(&json::members_of(event)?))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut event: A) -> Result<Payload, A::Error> {
        while event.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Payload::of(&[]))
    }

    fn visit_unit<E>(self) -> Result<Payload, E> {
        Ok(Payload::of(&[]))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Payload, E> {
        Ok(Payload::of(&[]))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Payload, E> {
        Ok(Payload::of(&[]))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Payload, E> {
        Ok(Payload::of(&[]))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Payload, E> {
        Ok(Payload::of(&[]))
    }

    fn visit_str<E>(self, _: &str) -> Result<Payload, E> {
        Ok(Payload::of(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(fields: &str) -> String {
        format!(
            r#"{{"version":"2.0","requestContext":{{"http":{{"method":"POST"}},"stage":"prod"}},{fields}}}"#
        )
    }

    #[test]
    fn the_stage_is_no_segment() {
        for (raw, last) in [
            ("/prod/acme", "acme"),
            ("/prod", ""),
            ("/prod/", ""),
            ("/acme/prod", "prod"),
            ("/production", "production"),
            ("//", ""),
            ("/a/../b/", "b"),
            ("/%2e", "%2e"),
            ("", ""),
        ] {
            let text = event(&format!(r#""rawPath":"{raw}""#));
            assert_eq!(Payload::read(&text).call().unwrap().last_segment(), last, "{raw}");
        }
    }

    #[test]
    fn a_body_is_its_bytes_or_nothing() {
        for (fields, bytes) in [
            (r#""body":"{}""#, Some(&b"{}"[..])),
            (r#""body":"e30=","isBase64Encoded":true"#, Some(b"{}")),
            (r#""body":"a\nb\u00e9""#, Some("a\nbé".as_bytes())),
            (r#""body":"e30","isBase64Encoded":true"#, None),
            (r#""body":"!!","isBase64Encoded":true"#, None),
            (r#""body":{},"isBase64Encoded":false"#, None),
            (r#""body":null"#, Some(b"")),
            (r#""x":1"#, Some(b"")),
        ] {
            let text = event(fields);
            assert_eq!(Payload::read(&text).call().unwrap().body(), bytes, "{fields}");
        }
    }

    #[test]
    fn headers_are_lenient_and_joined() {
        let text = event(r#""headers":{"X-A":"1","x-a":"2","n":null,"o":{},"c":"\u0001"}"#);
        let payload = Payload::read(&text);
        let call = payload.call().unwrap();
        assert_eq!(call.header("x-a"), Some("1,2"));
        assert_eq!(call.header("n"), None);
        assert_eq!(call.header("c"), Some("\u{1}"));
        let call = Call::new("POST", "/", "", [("A".into(), "1".into()), ("a".into(), "2".into())], vec![]);
        assert_eq!(call.header("a"), Some("1,2"));
    }

    #[test]
    fn other_events_are_named_as_such() {
        for text in
            ["{}", "[]", "null", "1", "{", "", r#"{"version":"2.0"}"#, r#"{"requestContext":{"elb":{}}}"#]
        {
            assert!(matches!(Payload::read(text).call(), Err(Fault::Event(_))), "{text}");
        }
    }
}
