//! Signatures: a MAC, or a digest with the secret in it, over parts of the call.

use crate::call::Call;
use crate::crypto::{self, Algorithm, Tag};
use crate::error::{Failure, Fault, Refused, Unreadable};
use crate::form;
use crate::json::{self, Node};
use crate::multipart;
use crate::sample::Draft;
use crate::secret::Secret;
use crate::settings::{Endpoint, Flaw};
use crate::verify::{Assurance, Description, Evidence, InBody, Proof, Scheme, sealed};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE, BASE64_URL_SAFE_NO_PAD};
use std::borrow::Cow;

/// The longest header that holds signatures, in bytes. Genuine ones stay under 1,000.
pub const MAX_SIGNATURE_HEADER: usize = 4096;
/// The most signatures that one call may offer. Providers send one for each live secret.
pub const MAX_SIGNATURES: usize = 16;
/// The widest window for a signed time that is still called fresh, in seconds.
pub(crate) const FRESH: u64 = 600;

/// A MAC, or a digest with the secret in it, over parts of the call.
#[derive(Clone, Copy)]
pub struct Mac<'a> {
    /// How the tag is computed.
    pub algorithm: &'static Algorithm,
    /// The setting with the secret or secrets.
    pub secret: &'static str,
    /// What of the secret is the key.
    pub key: Key,
    /// The header with the signature. Where several are named, at least one must be there, and each that is must match.
    pub headers: &'a [&'a str],
    /// Where the signature stands in a body that has it in place of a header, as a JSON pointer.
    pub in_body: Option<&'static str>,
    /// The parameter of the query with the signature, where it stands there.
    pub in_query: Option<&'static str>,
    /// How the body is read for what stands in it.
    pub fields: Fields,
    /// How the signature stands there.
    pub layout: Layout<'a>,
    /// How the tag is spelled.
    pub encoding: Encoding,
    /// What is signed, one after another.
    pub signed: &'a [Part<'a>],
    /// Where a signed time stands and how far it may be from ours.
    pub timestamp: Option<Timestamp<'a>>,
    /// What the event is read from.
    pub shows: Shows,
}

/// How a body is read for what stands in it: the signature, a signed time, signed fields.
#[derive(Clone, Copy)]
pub struct Fields {
    /// As JSON. A function, so that a parser that no row names is not linked.
    read: fn(&[u8]) -> Result<Cow<'_, str>, Unreadable>,
    /// The place of a value by its pointer, for who changes it.
    place: fn(&'static str) -> InBody,
}

impl Fields {
    /// JSON.
    pub const JSON: Fields = Fields { read: json::body, place: InBody::Member };
    /// A form, with files in it or without, mapped to a JSON object: pointers have one name then.
    pub const FORM: Fields = Fields {
        read: |body| if multipart::is_form(body) { multipart::body(body) } else { form::body(body) },
        place: |pointer| InBody::Field(pointer.strip_prefix('/').unwrap_or(pointer)),
    };
}

/// What the event of a signed call is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shows {
    /// The body.
    Body,
    /// What was signed, and nothing else of the call.
    Signed,
}

/// What of a secret is the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// Its bytes as they stand.
    Text,
    /// What they are in base64 with padding.
    Base64,
}

/// How signatures stand in a header.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Layout<'a> {
    /// The tag alone.
    Whole,
    /// After a prefix, which must be there exactly so.
    Prefixed(&'a str),
    /// After a prefix that genuine senders leave out at times.
    PrefixedMaybe(&'a str),
    /// `name=value` pairs with commas between. The signatures are those of this name; others are ignored, so that a
    /// weaker scheme's signature counts for nothing.
    Pairs(&'a str),
}

/// How a tag is spelled. One spelling only, so that a signature has no second form to be replayed in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Lower-case hex.
    Hex,
    /// Base64 with padding.
    Base64,
    /// Base64 with the URL alphabet, with padding or without.
    Base64Url,
}

/// A part of what is signed.
#[derive(Clone, Copy)]
pub enum Part<'a> {
    /// The exact bytes of the body.
    Body,
    /// The same, of which there must be some: an empty body is refused, however well it is signed.
    SomeBody,
    /// The signed time as it stands in the call.
    Timestamp,
    /// A header's value.
    Header(&'a str),
    /// The public URL of the call: the setting `url`, else what AWS says.
    Url,
    /// The text at a JSON pointer into the body.
    Json(&'a str),
    /// The same; nothing where there is none or null.
    JsonMaybe(&'a str),
    /// The same, of a text that is new in every call and says nothing about the event.
    Nonce(&'a str),
    /// The JSON value at a JSON pointer, written anew; the empty pointer is that of the whole body.
    Written(&'a str, Written),
    /// The query, written anew.
    Query(Written),
    /// A fixed text.
    Text(&'a str),
    /// The text of a setting.
    Setting(&'static str),
    /// The secret itself, for [`crypto::SHA256`].
    Secret,
}

/// Writes a JSON value or a query anew, as in [`crate::canonical`]. A function, so that a form that no row names is not linked.
pub type Written = fn(&str) -> Result<String, Unreadable>;

/// Where the signed time stands.
#[derive(Clone, Copy)]
pub struct Timestamp<'a> {
    /// Its place.
    pub at: TimestampAt<'a>,
    /// How it is written.
    pub unit: Unit,
    /// How many seconds it may lie behind or ahead, both edges included.
    pub tolerance: u64,
}

/// How a signed time is written. What is signed is its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Unix seconds.
    Seconds,
    /// Unix milliseconds.
    Millis,
    /// RFC 3339 in UTC: `2026-11-24T06:00:00.123456789Z`.
    Rfc3339,
}

/// The place of a signed time.
#[derive(Clone, Copy)]
pub enum TimestampAt<'a> {
    /// A header of its own.
    Header(&'a str),
    /// A pair of that name in the header of [`Layout::Pairs`].
    Pair(&'a str),
    /// In the body, by its JSON pointer.
    Body(&'static str),
}

impl Mac<'static> {
    /// HMAC-SHA256 over the body in lower-case hex, with the setting `secret`: what most rows start from.
    pub const HMAC_SHA256: Mac<'static> = Mac {
        algorithm: &crypto::HMAC_SHA256,
        secret: "secret",
        key: Key::Text,
        headers: &[],
        in_body: None,
        in_query: None,
        fields: Fields::JSON,
        layout: Layout::Whole,
        encoding: Encoding::Hex,
        signed: &[Part::Body],
        timestamp: None,
        shows: Shows::Body,
    };
}

/// What the call offers, read and not yet compared.
struct Offer<'c> {
    /// One list for each header that is there; each list must hold a match.
    tags: Vec<Vec<Vec<u8>>>,
    timestamp: Option<Cow<'c, str>>,
}

impl Mac<'_> {
    /// Checks a call; see [`Scheme::check`].
    pub fn check(
        &self,
        call: &Call<'_>,
        body: &[u8],
        endpoint: &Endpoint,
        now: i64,
    ) -> Result<Proof, Failure> {
        let read = self.read(body);
        let offer = self.offer(call, &read)?;
        let signed_time = signed_time(self.timestamp, offer.timestamp.as_deref(), now)?;
        let parts = parts_of(self.signed, call, &read, endpoint, offer.timestamp.as_deref())?;
        let mut matched = vec![false; offer.tags.len()];
        for key in self.keys(endpoint)? {
            let expected = self.tag(&parts, &key);
            for (matched, tags) in matched.iter_mut().zip(&offer.tags) {
                for tag in tags {
                    *matched |= crypto::same(expected.bytes(), tag);
                }
            }
        }
        if matched.is_empty() || matched.contains(&false) {
            return Err(Refused::Mismatch("signature").into());
        }
        let mut proof = Proof::of(self.assurance(), signed_time);
        let is_field = |part: &Part<'_>| part.is_within_body() || matches!(part, Part::Query(_));
        if self.assurance() == Assurance::SignedFields && self.signed.iter().any(is_field) {
            proof = proof.of_fields(parts.concat());
        }
        Ok(match self.shows {
            Shows::Body => proof,
            Shows::Signed => proof.showing(parts.concat()),
        })
    }

    fn assurance(&self) -> Assurance {
        let is_signed = |is: fn(&Part<'_>) -> bool| self.signed.iter().any(is);
        let is_of_the_call = is_signed(|part| {
            !matches!(
                part,
                Part::Timestamp | Part::Nonce(_) | Part::Text(_) | Part::Setting(_) | Part::Secret
            )
        });
        // Of a query some parameters are signed; of a text that is shown, every character.
        let is_shown = self.shows == Shows::Signed && !is_signed(|part| matches!(part, Part::Query(_)));
        let is_whole =
            is_shown || is_signed(|part| matches!(part, Part::Body | Part::SomeBody | Part::Written("", _)));
        match self.timestamp {
            // It vouches for a time, and whoever has seen it can put any call beside it.
            _ if !is_of_the_call => Assurance::Token,
            _ if !is_whole => Assurance::SignedFields,
            Some(rule) if rule.tolerance <= FRESH => Assurance::SignedFresh,
            _ => Assurance::Signed,
        }
    }

    /// The body, where the check needs something that stands within it.
    fn read<'b>(&self, body: &'b [u8]) -> Read<'b> {
        let needed = self.in_body.is_some()
            || matches!(self.timestamp, Some(Timestamp { at: TimestampAt::Body(_), .. }))
            || self.signed.iter().any(Part::is_within_body);
        Read::new(body, self.fields, needed)
    }

    /// The keys of the endpoint's secrets, at least one. A secret that is none is left out: the others still serve.
    fn keys<'e>(&self, endpoint: &'e Endpoint) -> Result<Vec<Cow<'e, [u8]>>, Fault> {
        let secrets = endpoint.secrets(self.secret)?.iter();
        let keys: Vec<_> = match self.key {
            Key::Text => secrets.map(|secret| Cow::Borrowed(secret.bytes())).collect(),
            Key::Base64 => secrets.filter_map(decoded_key).map(Cow::Owned).collect(),
        };
        if keys.is_empty() { Err(Fault::Setting(self.secret)) } else { Ok(keys) }
    }

    /// Reads signatures and time out of the call.
    fn offer<'c>(&self, call: &'c Call<'_>, read: &Read<'_>) -> Result<Offer<'c>, Refused> {
        let node = read.node();
        let of_body = |pointer: &str| Some(Cow::Owned(field(node.as_ref()?, pointer)?.into_owned()));
        let mut timestamp = self.timestamp.and_then(|rule| match rule.at {
            TimestampAt::Body(pointer) => of_body(pointer),
            _ => rule.offered(call, read.bytes),
        });
        let mut tags = Vec::with_capacity(1);
        let in_body = self.in_body.and_then(of_body);
        let in_query = self.in_query.and_then(|name| form::field(call.query.as_bytes(), name));
        let in_headers = self.headers.iter().filter_map(|name| call.header(name));
        for value in in_headers.map(Cow::Borrowed).chain(in_body).chain(in_query) {
            let value = value.as_ref();
            if value.trim().is_empty() {
                return Err(Refused::Malformed("an empty signature header"));
            }
            if value.len() > MAX_SIGNATURE_HEADER {
                return Err(Refused::Malformed("a signature header of that length"));
            }
            let tag = |text: &str| self.encoding.decode(text, self.algorithm.len);
            tags.push(match self.layout {
                Layout::Whole => vec![tag(value)?],
                Layout::Prefixed(prefix) => {
                    vec![tag(value.strip_prefix(prefix).ok_or(Refused::Malformed("signature prefix"))?)?]
                }
                Layout::PrefixedMaybe(prefix) => vec![tag(value.strip_prefix(prefix).unwrap_or(value))?],
                Layout::Pairs(wanted) => {
                    let mut found = Vec::new();
                    for pair in value.split(',') {
                        // What is no pair, and what another scheme may add one day, counts for nothing.
                        let Some((name, value)) = pair.split_once('=') else { continue };
                        if matches!(self.timestamp, Some(Timestamp { at: TimestampAt::Pair(at), .. }) if at == name)
                            && timestamp.replace(Cow::Owned(value.to_owned())).is_some()
                        {
                            return Err(Refused::Malformed("a second signed time"));
                        }
                        if name == wanted {
                            found.push(value);
                        }
                    }
                    if found.is_empty() {
                        return Err(Refused::Missing("signature of the right scheme"));
                    }
                    if found.len() > MAX_SIGNATURES {
                        return Err(Refused::Malformed("too many signatures"));
                    }
                    // One that does not decode matches nothing; another beside it may.
                    let decoded: Vec<_> = found.into_iter().filter_map(|text| tag(text).ok()).collect();
                    if decoded.is_empty() {
                        return Err(Refused::Malformed("signature"));
                    }
                    decoded
                }
            });
        }
        if tags.is_empty() {
            return Err(Refused::Missing("signature"));
        }
        Ok(Offer { tags, timestamp })
    }

    fn tag(&self, parts: &[Cow<'_, [u8]>], secret: &[u8]) -> Tag {
        let whole = parts.iter().zip(self.signed).map(|(text, part)| match part {
            Part::Secret => secret,
            _ => text.as_ref(),
        });
        self.algorithm.compute(secret, &whole.collect::<Vec<_>>())
    }

    /// The tag over a text alone, with the endpoint's first key and spelled as in a call. For texts that can be no event.
    pub(crate) fn tag_of(&self, endpoint: &Endpoint, text: &[u8]) -> Result<String, Fault> {
        let keys = self.keys(endpoint)?;
        let key = keys.first().ok_or(Fault::Setting(self.secret))?;
        Ok(self.encoding.encode(self.algorithm.compute(key, &[text]).bytes()))
    }

    /// Signs a draft; see [`Scheme::sign`].
    pub fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        const BAD: Fault = Fault::Event("the sample lacks a field that is signed");
        let keys = self.keys(endpoint)?;
        let key = keys.first().ok_or(Fault::Setting(self.secret))?;
        let timestamp = self.timestamp.map_or(Unit::Seconds, |rule| rule.unit).write(now);
        match self.timestamp {
            Some(Timestamp { at: TimestampAt::Body(pointer), .. }) => {
                self.put(draft, pointer, &timestamp).map_err(|_| BAD)?;
            }
            Some(rule) => rule.put(draft, &timestamp).map_err(|_| BAD)?,
            None => {}
        }
        let tag = {
            let (call, read) = (draft.call(), self.read(&draft.body));
            let parts = parts_of(self.signed, &call, &read, endpoint, Some(&timestamp));
            let parts = parts.map_err(|failure| failure.of_ours(BAD))?;
            self.encoding.encode(self.tag(&parts, key).bytes())
        };
        let value = match (self.layout, self.timestamp) {
            (Layout::Whole, _) => tag,
            (Layout::Prefixed(prefix) | Layout::PrefixedMaybe(prefix), _) => format!("{prefix}{tag}"),
            (Layout::Pairs(name), Some(Timestamp { at: TimestampAt::Pair(time), .. })) => {
                format!("{time}={timestamp},{name}={tag}")
            }
            (Layout::Pairs(name), _) => format!("{name}={tag}"),
        };
        if let Some(pointer) = self.in_body {
            return self.put(draft, pointer, &value).map_err(|_| BAD);
        }
        if let Some(name) = self.in_query {
            draft.add_parameter(name, &value);
            return Ok(());
        }
        // A sample that belongs to a later family of headers is signed in that family's header.
        let family = |name: &&&str| draft.family.as_deref().is_none_or(|family| name.starts_with(family));
        if let Some(name) = self.headers.iter().find(family).or(self.headers.first()) {
            draft.set_header(name, &value);
        }
        Ok(())
    }

    /// Puts a text into the body of a draft.
    fn put(&self, draft: &mut Draft, pointer: &'static str, text: &str) -> Result<(), Unreadable> {
        draft.body = (self.fields.place)(pointer).changed(&draft.body, &|_| Some(text.to_owned()))?;
        Ok(())
    }

    /// Says how it works; see [`Scheme::describe`].
    pub fn describe(&self) -> Description {
        Description {
            method: self.algorithm.name.into(),
            headers: self.headers.iter().map(ToString::to_string).collect(),
            parameters: self.in_query.map(str::to_owned).into_iter().collect(),
            in_body: self.in_body.map(self.fields.place),
            timestamp_header: self.timestamp.and_then(|rule| rule.header()),
            tolerance: self.timestamp.map(|rule| rule.tolerance),
            assurance: Some(self.assurance()),
        }
    }

    /// What is wrong with its keys; see [`Scheme::flaws`].
    pub fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        let secrets = endpoint.secrets(self.secret).unwrap_or_default();
        let bad = self.key == Key::Base64 && secrets.iter().any(|secret| decoded_key(secret).is_none());
        if bad { vec![Flaw::fatal(self.secret, "is not base64 with padding")] } else { Vec::new() }
    }

    /// What a later check needs; see [`Scheme::evidence`].
    pub fn evidence(&self) -> Evidence {
        let Evidence { headers, url } = evidence_of(self.describe(), self.signed);
        Evidence { headers, url: url || self.in_query.is_some() }
    }
}

impl Part<'_> {
    /// Whether it stands within the body, so that this has to be read.
    fn is_within_body(&self) -> bool {
        matches!(self, Part::Json(_) | Part::JsonMaybe(_) | Part::Nonce(_) | Part::Written(..))
    }
}

impl sealed::Sealed for Mac<'static> {}

impl Scheme for Mac<'static> {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        Mac::check(self, call, body, endpoint, now)
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        Mac::sign(self, draft, endpoint, now)
    }

    fn describe(&self, _endpoint: &Endpoint) -> Description {
        Mac::describe(self)
    }

    fn evidence(&self, _endpoint: &Endpoint) -> Option<Evidence> {
        // A signature that serves for any call is a credential while its time is fresh.
        (self.assurance() > Assurance::Token).then(|| Mac::evidence(self))
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        Mac::flaws(self, endpoint)
    }

    fn covers_bytes(&self, _endpoint: &Endpoint) -> bool {
        self.signed.iter().any(|part| matches!(part, Part::Body | Part::SomeBody))
    }
}

/// The URL that the provider called: the setting `url`, else the host name that AWS gave the function. Never a header.
pub(crate) fn public_url(call: &Call<'_>, endpoint: &Endpoint) -> String {
    if let Some(url) = endpoint.text("url") {
        return url.to_owned();
    }
    let query = if call.query.is_empty() { String::new() } else { format!("?{}", call.query) };
    format!("https://{}{}{query}", call.domain, call.path)
}

/// The bytes of a secret in base64.
fn decoded_key(secret: &Secret) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(secret.expose()).ok().filter(|key| !key.is_empty())
}

/// A body that has not been checked yet, and its text as JSON if it has one and the check needs it.
struct Read<'b> {
    bytes: &'b [u8],
    text: Option<Cow<'b, str>>,
}

impl<'b> Read<'b> {
    fn new(bytes: &'b [u8], fields: Fields, needed: bool) -> Read<'b> {
        Read { bytes, text: needed.then(|| (fields.read)(bytes)).and_then(Result::ok) }
    }

    fn node(&self) -> Option<Node<'_>> {
        self.text.as_deref().map(Node::new)
    }
}

/// The text at a JSON pointer.
fn field<'t>(node: &Node<'t>, pointer: &str) -> Option<Cow<'t, str>> {
    json::scalar(node.at(pointer).ok()??)
}

/// What a later check needs of the headers that a scheme describes, and of the parts that are signed.
pub(crate) fn evidence_of(description: Description, signed: &[Part<'_>]) -> Evidence {
    let Description { mut headers, timestamp_header, .. } = description;
    headers.extend(timestamp_header);
    headers.extend(signed.iter().filter_map(|part| match part {
        Part::Header(name) => Some((*name).to_owned()),
        _ => None,
    }));
    Evidence { headers, url: signed.iter().any(|part| matches!(part, Part::Url | Part::Query(_))) }
}

/// The signed time of a call in Unix seconds, where the rule demands one.
pub(crate) fn signed_time(
    rule: Option<Timestamp<'_>>,
    offered: Option<&str>,
    now: i64,
) -> Result<Option<i64>, Refused> {
    rule.map(|rule| rule.check(offered.ok_or(Refused::Missing("signed time"))?, now)).transpose()
}

/// What is signed of a call whose body, if anything in it is, is JSON: the bytes of each part.
pub(crate) fn parts<'p>(
    signed: &'p [Part<'p>],
    call: &'p Call<'_>,
    body: &'p [u8],
    endpoint: &'p Endpoint,
    timestamp: Option<&'p str>,
) -> Result<Vec<Cow<'p, [u8]>>, Failure> {
    let read = Read::new(body, Fields::JSON, signed.iter().any(Part::is_within_body));
    parts_of(signed, call, &read, endpoint, timestamp)
}

fn parts_of<'p>(
    signed: &'p [Part<'p>],
    call: &'p Call<'_>,
    read: &Read<'p>,
    endpoint: &'p Endpoint,
    timestamp: Option<&'p str>,
) -> Result<Vec<Cow<'p, [u8]>>, Failure> {
    const MISSING: Refused = Refused::Missing("signed field");
    const BORDER: Refused = Refused::Malformed("a field that holds what comes after it");
    let node = read.node();
    let node = || node.as_ref().ok_or(MISSING);
    let value = |pointer: &str| node()?.at(pointer).map_err(|_| MISSING);
    let part = |part: &'p Part<'p>| -> Result<Cow<'p, [u8]>, Failure> {
        let text = match *part {
            Part::SomeBody if read.bytes.is_empty() => return Err(Refused::Missing("body").into()),
            Part::Body | Part::SomeBody => return Ok(read.bytes.into()),
            // Another one for each secret that is tried: put in by `tag`.
            Part::Secret => return Ok(Cow::Borrowed(&[])),
            Part::Timestamp => timestamp.ok_or(Refused::Missing("signed time"))?,
            Part::Header(name) => call.header(name).ok_or(Refused::Missing("signed header"))?,
            Part::Text(text) => text,
            Part::Setting(name) => endpoint.text(name).ok_or(Fault::Setting(name))?,
            Part::Url => return Ok(Cow::Owned(public_url(call, endpoint).into_bytes())),
            Part::Json(pointer) | Part::Nonce(pointer) => {
                let text = value(pointer)?.and_then(json::scalar).ok_or(MISSING)?;
                return Ok(Cow::Owned(text.into_owned().into_bytes()));
            }
            Part::JsonMaybe(pointer) => {
                let value = value(pointer)?.unwrap_or("null");
                if value.starts_with(['{', '[']) {
                    return Err(MISSING.into());
                }
                return Ok(Cow::Owned(json::scalar(value).unwrap_or_default().into_owned().into_bytes()));
            }
            Part::Written(pointer, write) => {
                let text = write(value(pointer)?.ok_or(MISSING)?).map_err(|_| MISSING)?;
                return Ok(Cow::Owned(text.into_bytes()));
            }
            Part::Query(write) => {
                return Ok(Cow::Owned(write(&call.query).map_err(|_| MISSING)?.into_bytes()));
            }
        };
        Ok(text.as_bytes().into())
    };
    let found: Vec<Cow<'p, [u8]>> = signed.iter().map(part).collect::<Result<_, Failure>>()?;
    // Or what is signed could be cut in another place, into other fields.
    let is_within = |text: &[u8], border: &str| {
        !border.is_empty() && text.windows(border.len()).any(|window| window == border.as_bytes())
    };
    for ((part, text), next) in signed.iter().zip(&found).zip(signed.iter().skip(1)) {
        if let (Part::Json(_) | Part::JsonMaybe(_), Part::Text(border)) = (part, next)
            && is_within(text, border)
        {
            return Err(BORDER.into());
        }
    }
    Ok(found)
}

impl Timestamp<'_> {
    /// The time as it stands in the call; that of a pair is read with its pair.
    pub(crate) fn offered<'c>(&self, call: &'c Call<'_>, body: &[u8]) -> Option<Cow<'c, str>> {
        match self.at {
            TimestampAt::Header(name) => call.header(name).map(Cow::Borrowed),
            TimestampAt::Body(pointer) => {
                let read = Read::new(body, Fields::JSON, true);
                Some(Cow::Owned(field(&read.node()?, pointer)?.into_owned()))
            }
            TimestampAt::Pair(_) => None,
        }
    }

    /// Puts a time where it stands; one in a pair is written with its pair.
    pub(crate) fn put(&self, draft: &mut Draft, text: &str) -> Result<(), Unreadable> {
        match self.at {
            TimestampAt::Header(name) => draft.set_header(name, text),
            TimestampAt::Body(pointer) => draft.set_member(pointer, text)?,
            TimestampAt::Pair(_) => {}
        }
        Ok(())
    }

    /// The header that it stands in alone, if it does.
    pub(crate) fn header(&self) -> Option<String> {
        match self.at {
            TimestampAt::Header(name) => Some(name.to_owned()),
            _ => None,
        }
    }

    /// A signed time in Unix seconds, if it is one and near enough to ours.
    fn check(&self, text: &str, now: i64) -> Result<i64, Refused> {
        let signed = self.unit.read(text).ok_or(Refused::Malformed("signed time"))?;
        if signed.abs_diff(now) > self.tolerance {
            return Err(Refused::Stale);
        }
        Ok(signed)
    }
}

impl Unit {
    /// Unix seconds.
    ///
    /// Digits only and no leading zero: a second spelling of a time is a second signature for one call.
    pub(crate) fn read(self, text: &str) -> Option<i64> {
        if self == Unit::Rfc3339 {
            let plain = text.len() <= 40 && text.ends_with('Z') && !text.contains(['t', 'z']);
            return Some(plain.then(|| DateTime::from_str(text, Format::DateTime).ok()).flatten()?.secs());
        }
        let digits = !text.is_empty() && text.len() <= 18 && text.bytes().all(|byte| byte.is_ascii_digit());
        if !digits || (text.len() > 1 && text.starts_with('0')) {
            return None;
        }
        let number: i64 = text.parse().ok()?;
        Some(if self == Unit::Millis { number / 1000 } else { number })
    }

    /// A time in Unix seconds, as it would be signed.
    pub(crate) fn write(self, seconds: i64) -> String {
        match self {
            Unit::Seconds => seconds.to_string(),
            Unit::Millis => seconds.saturating_mul(1000).to_string(),
            // Years that RFC 3339 cannot write are no time that anything is signed at.
            Unit::Rfc3339 => DateTime::from_secs(seconds).fmt(Format::DateTime).unwrap_or_default(),
        }
    }
}

impl Encoding {
    /// The bytes of a tag of that length. One length and one spelling, or it is no tag.
    pub(crate) fn decode(self, text: &str, len: usize) -> Result<Vec<u8>, Refused> {
        self.bytes(text).filter(|bytes| bytes.len() == len).ok_or(Refused::Malformed("signature"))
    }

    /// The bytes that are spelled so.
    pub(crate) fn bytes(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Encoding::Hex if text.bytes().any(|byte| byte.is_ascii_uppercase()) => None,
            Encoding::Hex => hex::decode(text).ok(),
            Encoding::Base64 => BASE64_STANDARD.decode(text).ok(),
            Encoding::Base64Url if text.ends_with('=') => BASE64_URL_SAFE.decode(text).ok(),
            Encoding::Base64Url => BASE64_URL_SAFE_NO_PAD.decode(text).ok(),
        }
    }

    pub(crate) fn encode(self, bytes: &[u8]) -> String {
        match self {
            Encoding::Hex => hex::encode(bytes),
            Encoding::Base64 => BASE64_STANDARD.encode(bytes),
            Encoding::Base64Url => BASE64_URL_SAFE_NO_PAD.encode(bytes),
        }
    }
}
