//! A provider whose check and whose events are laid out by the operator's settings: signature, token and HTTP Basic, one
//! or several of them, and pointers into JSON, form or XML. `docs/generic.md` is the schema.

use crate::call::Call;
use crate::crypto::{self, Algorithm};
use crate::error::{Failure, Fault, Refused, Unreadable};
use crate::mac::{Encoding, Layout, Mac, Part, Timestamp, TimestampAt, Unit, public_url};
use crate::provider::{Content, Event, Field, Time};
use crate::sample::Draft;
use crate::settings::{Endpoint, Flaw};
use crate::token::{Login, Place, Token};
use crate::verify::{Description, Evidence, Proof, Scheme, sealed};
use crate::{form, json, xml};
use serde::Deserialize;
use std::borrow::Cow;

/// The window where a time is signed and the settings name no other, in seconds.
const TOLERANCE: u64 = 300;
/// The widest window, a year in seconds. A time with a digit more or less must be outside of it.
const MAX_TOLERANCE: u64 = 31_536_000;
/// Headers that hold a credential whatever else is configured.
const CREDENTIALS: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// The scheme. Each defence that is configured must pass.
pub struct Declared;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureRule<'s> {
    header: &'s str,
    #[serde(default)]
    algorithm: AlgorithmName,
    #[serde(default)]
    encoding: EncodingName,
    prefix: Option<&'s str>,
    signed: Option<Vec<&'s str>>,
    timestamp_header: Option<&'s str>,
    id_header: Option<&'s str>,
    tolerance: Option<u64>,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum AlgorithmName {
    #[default]
    Sha256,
    Sha1,
    Sha512,
}

#[derive(Deserialize, Default, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum EncodingName {
    #[default]
    Hex,
    Base64,
    Base64Url,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct EventRule<'s> {
    prefix: Option<&'s str>,
    #[serde(rename = "type")]
    kind: Option<&'s str>,
    id: Option<&'s str>,
    time: Option<&'s str>,
    subject: Option<&'s str>,
    partitionkey: Option<&'s str>,
}

/// What the settings of one endpoint amount to.
struct Defences<'s> {
    signature: Option<Signature<'s>>,
    token: Option<(bool, Cow<'s, str>)>,
    basic: Option<Login<'s>>,
}

struct Signature<'s> {
    rule: SignatureRule<'s>,
    header: String,
    timestamp_header: Option<String>,
    id_header: Option<String>,
}

impl Signature<'_> {
    /// Whether what is signed could be cut in another place, so that the same signature would do for another id, URL or
    /// body.
    ///
    /// A border stands in one place only where a text of the settings stands there and the id or URL beside it has no
    /// other; without such a text, where the body's opening or closing bracket is, which the id or URL must not have. A
    /// time has its ten digits and its window: it can neither grow nor shrink, but without a text before it, it could be
    /// found elsewhere, so what is on both sides of it counts as neighbours.
    fn is_ambiguous(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint) -> bool {
        let words = self.rule.signed.as_deref().unwrap_or(&["body"]);
        let id = self.id_header.as_deref().and_then(|name| call.header(name)).unwrap_or_default();
        let url = if words.contains(&"url") { public_url(call, endpoint) } else { String::new() };
        let is_fixed_url = endpoint.text("url").is_some();
        let opened = matches!(body.first(), Some(b'{' | b'[' | b'<'));
        let closed = matches!(body.last(), Some(b'}' | b']' | b'>'));
        let value = |word: &str| if word == "id" { id } else { &*url };
        // The first such text after a part is the one that ends it; the last before a part is the one that begins it.
        let ends =
            |part: &str, text: &str| format!("{}{text}", value(part)).find(text) == Some(value(part).len());
        let begins = |part: &str, text: &str| format!("{text}{}", value(part)).rfind(text) == Some(0);
        let mut before: Option<&str> = None;
        let mut between = String::new();
        for word in words.iter().copied() {
            let is_clear = match (before, word, between.as_str()) {
                (_, "url", _) if is_fixed_url => {
                    between.push_str(&url);
                    continue;
                }
                (Some(part @ ("id" | "url")), "timestamp", text) if !text.is_empty() => {
                    if !ends(part, text) {
                        return true;
                    }
                    before = None;
                    between.clear();
                    continue;
                }
                (_, "timestamp", _) => {
                    between.clear();
                    continue;
                }
                (None, "body" | "id" | "url", _) => true,
                (Some(part), "body", "") => opened && !value(part).contains(['{', '[', '<']),
                (Some("body"), "id" | "url", "") => closed && !value(word).contains(['}', ']', '>']),
                (Some("id"), "url", "") => !id.contains("://"),
                (Some(_), "id" | "url", "") => false,
                (Some("body"), "id" | "url", text) => begins(word, text),
                (Some(part), "body", text) => ends(part, text),
                (Some("id"), "url", text) => ends("id", text),
                (Some(_), "id", text) => begins("id", text),
                (_, text, _) => {
                    between.push_str(text);
                    continue;
                }
            };
            if !is_clear {
                return true;
            }
            before = Some(word);
            between.clear();
        }
        false
    }

    fn with<R>(&self, run: impl FnOnce(&Mac<'_>) -> R) -> R {
        let signed: Vec<Part<'_>> = match &self.rule.signed {
            None => vec![Part::Body],
            Some(words) => words
                .iter()
                .map(|word| match *word {
                    "body" => Part::Body,
                    "timestamp" => Part::Timestamp,
                    "url" => Part::Url,
                    "id" => Part::Header(self.id_header.as_deref().unwrap_or_default()),
                    text => Part::Text(text),
                })
                .collect(),
        };
        let algorithm: &'static Algorithm = match self.rule.algorithm {
            AlgorithmName::Sha256 => &crypto::HMAC_SHA256,
            AlgorithmName::Sha1 => &crypto::HMAC_SHA1,
            AlgorithmName::Sha512 => &crypto::HMAC_SHA512,
        };
        let tolerance = self.rule.tolerance.unwrap_or(TOLERANCE);
        run(&Mac {
            algorithm,
            secret: "secret",
            headers: &[&self.header],
            layout: self.rule.prefix.map_or(Layout::Whole, Layout::Prefixed),
            encoding: match self.rule.encoding {
                EncodingName::Hex => Encoding::Hex,
                EncodingName::Base64 => Encoding::Base64,
                EncodingName::Base64Url => Encoding::Base64Url,
            },
            signed: &signed,
            timestamp: self.timestamp_header.as_deref().map(|name| Timestamp {
                at: TimestampAt::Header(name),
                unit: Unit::Seconds,
                tolerance,
            }),
            ..Mac::HMAC_SHA256
        })
    }
}

impl<'s> Defences<'s> {
    /// Reads them. One that is half configured is a flaw, never a defence that is left out.
    fn of(endpoint: &'s Endpoint) -> Result<Defences<'s>, Flaw> {
        let signature = match (endpoint.has("secret"), endpoint.object("signature")) {
            (false, None) => None,
            (true, Some(rule)) => Some(Signature::of(rule)?),
            (true, None) => return Err(Flaw::fatal("signature", "is missing, and `secret` is there")),
            (false, Some(_)) => return Err(Flaw::fatal("secret", "is missing, and `signature` is there")),
        };
        let places = (endpoint.text("token_header"), endpoint.text("token_query"));
        let token = match (endpoint.has("token"), places) {
            (false, (None, None)) => None,
            (true, (Some(name), None)) if !is_token(name) => {
                return Err(Flaw::fatal("token_header", "is no name of a header"));
            }
            (true, (Some(name), None)) => Some((true, Cow::Owned(name.to_ascii_lowercase()))),
            (true, (None, Some(name))) => Some((false, Cow::Borrowed(name))),
            (true, _) => return Err(Flaw::fatal("token", "needs one of `token_header` and `token_query`")),
            (false, _) => return Err(Flaw::fatal("token", "is missing, and its place is there")),
        };
        let basic = endpoint.object("basic_auth").map(|value| Login::of("basic_auth", value)).transpose()?;
        if signature.is_none() && token.is_none() && basic.is_none() {
            let what = "is missing: one of `secret` with `signature`, `token` and `basic_auth` must be there";
            return Err(Flaw::fatal("secret", what));
        }
        Ok(Defences { signature, token, basic })
    }

    fn token(&self) -> Option<Token<'_>> {
        let (in_header, name) = self.token.as_ref()?;
        let place = if *in_header { Place::Header(name) } else { Place::Query(name) };
        Some(Token { secret: "token", place })
    }

    /// Headers that hold a credential.
    fn credentials(&self) -> Vec<&str> {
        let mut names = CREDENTIALS.to_vec();
        names.extend(self.signature.as_ref().map(|signature| signature.header.as_str()));
        if let Some((true, name)) = &self.token {
            names.push(name);
        }
        names
    }
}

impl<'s> Signature<'s> {
    fn of(rule: &'s serde_json::Value) -> Result<Signature<'s>, Flaw> {
        let flaw = |what| Flaw::fatal("signature", what);
        let rule = SignatureRule::deserialize(rule)
            .map_err(|_| flaw("has a member that is unknown or of the wrong kind; `header` must be there"))?;
        let lower = |name: Option<&str>| name.map(str::to_ascii_lowercase);
        let signed = |word: &str| rule.signed.as_ref().map_or(word == "body", |words| words.contains(&word));
        if !signed("body") {
            return Err(flaw("`signed` must name `body`, or anything could be sent under an old signature"));
        }
        if signed("timestamp") != rule.timestamp_header.is_some() {
            return Err(flaw("`timestamp` in `signed` and `timestamp_header` need each other"));
        }
        if [Some(rule.header), rule.timestamp_header, rule.id_header]
            .into_iter()
            .flatten()
            .any(|name| !is_token(name))
        {
            return Err(flaw("has the name of a header that can be none"));
        }
        if signed("id") != rule.id_header.is_some() {
            return Err(flaw("`id` in `signed` and `id_header` need each other"));
        }
        if rule.tolerance.is_some_and(|seconds| seconds > MAX_TOLERANCE) {
            return Err(flaw("`tolerance` is over a year"));
        }
        if rule.tolerance.is_some() && rule.timestamp_header.is_none() {
            return Err(flaw("`tolerance` needs `timestamp_header`"));
        }
        Ok(Signature {
            header: rule.header.to_ascii_lowercase(),
            timestamp_header: lower(rule.timestamp_header),
            id_header: lower(rule.id_header),
            rule,
        })
    }
}

impl sealed::Sealed for Declared {}

impl Scheme for Declared {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        let defences = Defences::of(endpoint).map_err(|flaw| Fault::Settings(flaw.what))?;
        let mut strongest: Option<Proof> = None;
        let mut passed = |proof: Proof| strongest = Some(proof.strongest(strongest.take()));
        // Cheap ones first.
        if let Some(token) = defences.token() {
            passed(token.check(call, endpoint)?);
        }
        if let Some(basic) = &defences.basic {
            passed(basic.check(call)?);
        }
        if let Some(signature) = &defences.signature {
            if signature.is_ambiguous(call, body, endpoint) {
                return Err(Refused::Malformed("what is signed could be cut in another place").into());
            }
            passed(signature.with(|mac| mac.check(call, body, endpoint, now))?);
        }
        strongest.ok_or(Failure::Refused(Refused::Missing("a check")))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        let defences = Defences::of(endpoint).map_err(|flaw| Fault::Settings(flaw.what))?;
        if let Some(token) = defences.token() {
            token.sign(draft, endpoint)?;
        }
        if let Some(basic) = &defences.basic {
            basic.sign(draft);
        }
        if let Some(signature) = &defences.signature {
            signature.with(|mac| mac.sign(draft, endpoint, now))?;
        }
        Ok(())
    }

    fn describe(&self, endpoint: &Endpoint) -> Description {
        let mut whole = Description { method: "by settings".into(), ..Description::default() };
        let Ok(defences) = Defences::of(endpoint) else { return whole };
        let mut methods = Vec::new();
        if let Some(signature) = &defences.signature {
            whole = signature.with(|mac| mac.describe());
            methods.push(whole.method.to_string());
        }
        if let Some(token) = defences.token() {
            let description = token.describe();
            whole.headers.extend(description.headers);
            whole.parameters.extend(description.parameters);
            methods.push(description.method.to_string());
        }
        if defences.basic.is_some() {
            whole.headers.push("authorization".to_owned());
            methods.push("HTTP Basic".to_owned());
        }
        whole.method = methods.join(" + ").into();
        whole
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        match Defences::of(endpoint).ok()? {
            Defences { signature: Some(signature), token: None, basic: None } => {
                let evidence = signature.with(|mac| mac.evidence());
                // A URL may hold a user name and a password.
                let has_password = evidence.url && endpoint.text("url").is_some_and(|url| url.contains('@'));
                (!has_password).then_some(evidence)
            }
            _ => None,
        }
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        let defences = match Defences::of(endpoint) {
            Ok(defences) => defences,
            Err(flaw) => return vec![flaw],
        };
        let flaw = |what| vec![Flaw::fatal("event", what)];
        let Some(rule) = endpoint.object("event") else { return Vec::new() };
        let Ok(rule) = EventRule::deserialize(rule) else {
            return flaw("has a member that is unknown or no text");
        };
        let places = [rule.kind, rule.id, rule.time, rule.subject, rule.partitionkey];
        for place in places.into_iter().flatten() {
            match place.strip_prefix("header:") {
                Some(name) if defences.credentials().contains(&name.to_ascii_lowercase().as_str()) => {
                    return flaw("must not take anything from a header with a credential");
                }
                Some(name) if !is_token(name) => {
                    return flaw("`header:` needs the name of a header after it");
                }
                None if !place.starts_with('/') => {
                    return flaw("needs pointers (`/order/id`) or `header:NAME`");
                }
                _ => {}
            }
        }
        Vec::new()
    }
}

/// Whether a text can be the name of a header (RFC 9110).
fn is_token(name: &str) -> bool {
    !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
}

/// The event that the setting `event` lays out; what it leaves out is as in the row.
pub fn event(row: &Event<'static>, endpoint: &Endpoint, build: &mut dyn FnMut(&Event<'_>)) {
    let rule =
        endpoint.object("event").and_then(|rule| EventRule::deserialize(rule).ok()).unwrap_or_default();
    let signed_id = endpoint.object("signature").and_then(|rule| rule.get("id_header")?.as_str());
    let signed_id = signed_id.map(str::to_ascii_lowercase);
    let lower = |place: Option<&str>| {
        Some(match place?.strip_prefix("header:") {
            Some(name) => (true, name.to_ascii_lowercase()),
            None => (false, place?.to_owned()),
        })
    };
    let places = [rule.kind, rule.id, rule.time, rule.subject, rule.partitionkey].map(lower);
    let fields = places.each_ref().map(|place| {
        place.as_ref().map(|(in_header, name)| match in_header {
            true if signed_id.as_deref() == Some(name.as_str()) => Field::SignedHeader(name),
            true => Field::Header(name),
            false => Field::Body(name),
        })
    });
    let [kind, id, time, subject, partition] = fields.each_ref().map(Option::as_slice);
    let times: Vec<Time<'_>> = time.iter().map(|field| Time::Any(*field)).collect();
    build(&Event {
        prefix: rule.prefix.unwrap_or(row.prefix),
        kind: &[kind],
        // A kind that was asked for and is not there is unknown; one that nobody asked for has the row's word.
        unknown: if rule.kind.is_some() { "unknown" } else { row.unknown },
        id: &[id],
        time: &times,
        subject: &[subject],
        partition: &[partition],
        ..*row
    });
}

/// JSON, XML, a form or bytes. Which of them it is shows in the body, which may be signed; the header `content-type`, which
/// never is, is not asked, or a call could be sent again as an event of another kind.
pub fn format<'b>(body: &'b [u8], _content_type: &str) -> Result<Content<'b>, Unreadable> {
    let text = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body).trim_ascii();
    let is_form = || text.contains(&b'=') && text.iter().all(|byte| byte.is_ascii_graphic());
    if matches!(text.first(), Some(b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n'))
        && let Ok(scalar) = json::body(body)
    {
        return Ok(Content::Json(scalar));
    }
    match text.first() {
        Some(b'{' | b'[') => json::unread(body).map(Content::Json),
        Some(b'<') => xml::body(body).map(Content::Json),
        Some(_) if is_form() => form::body(text).map(Content::Json),
        _ => Ok(Content::Bytes),
    }
}
