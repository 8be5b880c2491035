//! From a verified call to CloudEvents: where the row's fields are found, how a call is cut, and the envelope as text.
//!
//! `docs/envelope.md` is the contract. Architecture invariant: a verified call always gives at least one envelope,
//! whatever its body holds.

use crate::crypto;
use crate::error::Unreadable;
use crate::json::{self, Node, Raw};
use crate::log;
use crate::provider::{Content, Event, Field, Split, Time, Ways};
use crate::verify::{Assurance, Verified};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use memchr::memchr;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::ops::Range;
use std::sync::Arc;

/// The version of the envelope's contract.
pub const ENVELOPE_VERSION: &str = "1.0";
/// The longest text that is taken for an id, a kind, a subject or the like, in bytes. A longer one counts as absent.
pub const MAX_FIELD: usize = 1024;
/// The longest value of a message attribute, in bytes. It serves for filtering; the whole text stands in the envelope.
const MAX_ATTRIBUTE: usize = 256;
/// How the kind of a call begins that could not be read as its row says.
const UNREADABLE: &str = "unreadable";
/// The most that the events of one call may come to, in bytes. What repeats around each item could make a small body
/// large beyond the function's memory.
const MAX_CUT: usize = 32 * 1024 * 1024;
/// What an event takes beside its data, in bytes.
const PER_EVENT: usize = 2048;
const JSON_TYPE: &str = "application/json";
const BYTES_TYPE: &str = "application/octet-stream";
/// How the members begin whose values can stand elsewhere than in the envelope.
const DATA: &str = r#","data":"#;
const DATA_BASE64: &str = r#","data_base64":"#;
const RAW_BODY: &str = r#","rawbody":"#;

/// One event, ready for the queue. It can be made only from a verified call.
#[derive(Clone, PartialEq, Eq)]
pub struct Envelope {
    text: String,
    /// Where the member with the data stands in the text.
    data: Range<usize>,
    raw: RawBody,
    id: String,
    kind: String,
    source: String,
    provider: &'static str,
    assurance: Assurance,
    content_type: String,
    id_source: IdSource,
    call_digest: String,
    received: i64,
    has_time: bool,
    account: Option<String>,
    partition: Option<String>,
}

/// The exact bytes of the call, where the settings ask for them.
#[derive(Clone, PartialEq, Eq)]
enum RawBody {
    None,
    /// In the text.
    Inline(Range<usize>),
    /// Too many events share them for each to carry them; with their digest.
    Apart(Arc<[u8]>, String),
}

/// What an envelope refers to in place of carrying it.
pub struct Object<'e> {
    /// The bytes.
    pub bytes: Cow<'e, [u8]>,
    /// What they are.
    pub content_type: Cow<'e, str>,
    /// Their SHA-256 in hex.
    pub sha256: String,
}

/// How far an id can be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdSource {
    /// Inside the signature.
    Signed,
    /// Outside it: in a header, or in a body that no signature covers.
    Header,
    /// Made by us from the content.
    Digest,
}

impl IdSource {
    /// As the envelope says it.
    pub fn name(self) -> &'static str {
        match self {
            IdSource::Signed => "signed",
            IdSource::Header => "header",
            IdSource::Digest => "digest",
        }
    }
}

impl fmt::Debug for Envelope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The data is the consumer's.
        f.debug_struct("Envelope").field("type", &self.kind).field("id", &self.id).finish_non_exhaustive()
    }
}

impl Envelope {
    /// The CloudEvent as JSON. Every character is one that SQS carries.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The attribute `id`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The attribute `type`.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The attribute `source`.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The attribute `provider`.
    pub fn provider(&self) -> &'static str {
        self.provider
    }

    /// What events must keep their order with: the row's key within the source, else the source.
    pub fn order(&self) -> String {
        order(&self.source, self.partition.as_deref())
    }

    /// Whose events they are: the account within the source, else the source.
    pub fn tenant(&self) -> String {
        [self.source.as_str(), self.account.as_deref().unwrap_or_default()].join("\n")
    }

    /// Whether the same identity means the same event. A digest of what has no time could be that of another occurrence,
    /// such as the second ring of a bell: the consumer may take it for a repetition, but nothing is dropped for it here.
    pub fn is_told_apart(&self) -> bool {
        self.id_source != IdSource::Digest || self.has_time
    }

    /// The identity, with the time of arrival where that alone does not tell occurrences apart.
    pub fn occurrence(&self) -> String {
        match self.is_told_apart() {
            true => self.identity(),
            false => format!("{}\n{}", self.identity(), self.received),
        }
    }

    /// What tells this event from every other, and is the same whenever the provider sends it again.
    ///
    /// An id outside the signature could be put on another body: there the content counts too.
    pub fn identity(&self) -> String {
        let content = if self.id_source == IdSource::Header { self.call_digest.as_str() } else { "" };
        identity(&self.source, &self.id, content)
    }

    /// Message attributes for filtering without parsing, all of type `String`.
    pub fn attributes(&self) -> [(&'static str, Cow<'_, str>); 5] {
        [
            ("provider", self.provider.into()),
            ("type", attribute(&self.kind)),
            ("source", attribute(&self.source)),
            ("assurance", self.assurance.name().into()),
            ("datacontenttype", attribute(&self.content_type)),
        ]
    }

    /// Bytes that count against the queue's limit: text, and each attribute's name, type and value.
    pub fn size(&self) -> usize {
        let attributes = self.attributes();
        let each = attributes.iter().map(|(name, value)| name.len() + "String".len() + value.len());
        self.text.len() + each.sum::<usize>()
    }
}

impl Envelope {
    /// Whether it is whole as a message of up to so many bytes, attributes counted.
    pub fn fits(&self, max_bytes: usize) -> bool {
        !matches!(self.raw, RawBody::Apart(..)) && self.size() <= max_bytes
    }

    /// The same with references in place of the call's bytes and, where that is not enough, of the data; and what they
    /// refer to. Where even that is not enough, it is larger than `max_bytes` all the same.
    pub fn referring(
        &self,
        max_bytes: usize,
        url: impl Fn(&Object<'_>) -> String,
    ) -> (Envelope, Vec<Object<'_>>) {
        let mut objects = Vec::new();
        let mut refer = |name: &str, object| {
            let member = format!(r#","{name}":{}"#, json::string(&url(&object)));
            objects.push(object);
            Cow::Owned(member)
        };
        let head = self.text.get(..self.data.start).unwrap_or_default();
        let raw = self.raw_object().map_or(Cow::Borrowed(""), |object| refer("rawref", object));
        let mut data = Cow::Borrowed(self.text.get(self.data.clone()).unwrap_or_default());
        let beside = self.size() - self.text.len() + "}".len();
        if head.len() + data.len() + raw.len() + beside > max_bytes
            && let Some(object) = self.data_object()
        {
            data = refer("dataref", object);
        }
        let light = Envelope {
            text: [head, &data, &raw, "}"].concat(),
            data: head.len()..head.len() + data.len(),
            raw: RawBody::None,
            id: self.id.clone(),
            kind: self.kind.clone(),
            source: self.source.clone(),
            provider: self.provider,
            assurance: self.assurance,
            content_type: self.content_type.clone(),
            id_source: self.id_source,
            call_digest: self.call_digest.clone(),
            received: self.received,
            has_time: self.has_time,
            account: self.account.clone(),
            partition: self.partition.clone(),
        };
        (light, objects)
    }

    fn data_object(&self) -> Option<Object<'_>> {
        let member = self.text.get(self.data.clone())?;
        let bytes = match member.strip_prefix(DATA) {
            Some(text) => Cow::Borrowed(text.as_bytes()),
            None => Cow::Owned(decoded(member.strip_prefix(DATA_BASE64)?)?),
        };
        let sha256 = crypto::sha256_hex(&[&bytes]);
        Some(Object { bytes, content_type: self.content_type.as_str().into(), sha256 })
    }

    fn raw_object(&self) -> Option<Object<'_>> {
        let (bytes, sha256) = match &self.raw {
            RawBody::None => return None,
            RawBody::Inline(place) => {
                let bytes = decoded(self.text.get(place.clone())?.strip_prefix(RAW_BODY)?)?;
                let sha256 = crypto::sha256_hex(&[&bytes]);
                (Cow::Owned(bytes), sha256)
            }
            RawBody::Apart(bytes, sha256) => (Cow::Borrowed(&bytes[..]), sha256.clone()),
        };
        Some(Object { bytes, content_type: BYTES_TYPE.into(), sha256 })
    }
}

/// See [`Envelope::identity`], for the attributes `source` and `id`, and `calldigest` where it counts.
pub fn identity(source: &str, id: &str, content: &str) -> String {
    [source, id, content].join("\n")
}

/// See [`Envelope::order`], for the attributes `source` and `partitionkey`.
pub fn order(source: &str, partition: Option<&str>) -> String {
    [source, partition.unwrap_or_default()].join("\n")
}

/// The bytes of a JSON string in base64.
fn decoded(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text.strip_prefix('"')?.strip_suffix('"')?).ok()
}

/// The envelopes of a verified call, received at a time in Unix milliseconds.
pub fn envelopes(verified: &Verified<'_>, received: i64) -> Vec<Envelope> {
    let provider = verified.provider();
    let mut envelopes = Vec::new();
    let mut build = |event: &Event<'_>| {
        envelopes = Builder { event, verified, received }.envelopes();
    };
    if let Some(by_settings) = provider.event_by_settings {
        by_settings(&provider.event, verified.endpoint(), &mut build);
    }
    if envelopes.is_empty() {
        envelopes = Builder { event: &provider.event, verified, received }.envelopes();
    }
    let (scheme, endpoint) = (provider.scheme, verified.endpoint());
    // A credential that stands in the body stays with us, and the exact bytes with it.
    let has_credential =
        || scheme.evidence(endpoint).is_none() && scheme.describe(endpoint).in_body.is_some();
    if endpoint.raw() && !verified.body().is_empty() && !has_credential() {
        carry_raw(&mut envelopes, verified.body());
    }
    envelopes
}

/// Gives each event the exact bytes of the call, or what they need so that they can be put beside the queue once.
fn carry_raw(envelopes: &mut [Envelope], body: &[u8]) {
    let each = body.len().div_ceil(3) * 4 + RAW_BODY.len();
    let texts: usize = envelopes.iter().map(|envelope| envelope.text.len()).sum();
    if texts + each * envelopes.len() > MAX_CUT {
        let (bytes, sha256): (Arc<[u8]>, String) = (body.into(), crypto::sha256_hex(&[body]));
        for envelope in envelopes {
            envelope.raw = RawBody::Apart(bytes.clone(), sha256.clone());
        }
        return;
    }
    let member = format!(r#"{RAW_BODY}"{}""#, BASE64_STANDARD.encode(body));
    for Envelope { text, raw, .. } in envelopes {
        text.truncate(text.len() - "}".len());
        *raw = RawBody::Inline(text.len()..text.len() + member.len());
        text.push_str(&member);
        text.push('}');
    }
}

/// One event as it stands in the call.
struct Item<'n, 't> {
    /// The whole body.
    body: &'n Node<'t>,
    /// The entry around the item.
    entry: Option<&'n Node<'t>>,
    /// What stands around it within the entry: see [`Split::Nested`].
    holder: Option<Holder<'n, 't>>,
    /// The name of the array it stands in.
    array: Option<&'n str>,
    /// The item itself, where it is neither the body nor the entry.
    value: Option<Node<'t>>,
    /// What the consumer gets: the body with this item alone in it.
    data: Cow<'t, str>,
}

/// An item of an entry that holds items itself.
#[derive(Clone, Copy)]
struct Holder<'n, 't> {
    /// The item of the entry.
    around: &'n Node<'t>,
    /// The object in it that has the arrays.
    within: &'n Node<'t>,
}

impl<'n, 't> Item<'n, 't> {
    /// The body as one event.
    fn whole(body: &'n Node<'t>) -> Item<'n, 't> {
        Item { body, entry: None, holder: None, array: None, value: None, data: body.raw().into() }
    }

    fn value(&self) -> &Node<'t> {
        self.value.as_ref().or(self.entry).unwrap_or(self.body)
    }
}

struct Builder<'b> {
    event: &'b Event<'b>,
    verified: &'b Verified<'b>,
    received: i64,
}

impl Builder<'_> {
    fn envelopes(&self) -> Vec<Envelope> {
        let content_type = self.verified.call().header("content-type").unwrap_or_default();
        let digest = crypto::sha256_hex(&[self.verified.distinct()]);
        let read = match (self.verified.provider().format)(self.verified.content(), content_type) {
            Ok(Content::Bytes) => return vec![self.opaque(None, &digest)],
            Ok(Content::Json(text)) => self.of_json(&text, &digest),
            Err(unreadable) => Err(unreadable),
        };
        read.unwrap_or_else(|unreadable| {
            log::unreadable(self.verified.provider().name, unreadable);
            vec![self.opaque(Some(UNREADABLE), &digest)]
        })
    }

    fn of_json(&self, text: &str, call_digest: &str) -> Result<Vec<Envelope>, Unreadable> {
        let body = Node::new(text);
        // The one pass over all of it that tells whether it is JSON.
        if text.starts_with('{') {
            body.members()?;
        } else {
            json::check(text)?;
        }
        let mut seen = HashMap::new();
        let mut envelopes = Vec::new();
        let mut total = 0_usize;
        let mut add = |item: &Item<'_, '_>| {
            total += item.data.len() + PER_EVENT;
            if total > MAX_CUT && !envelopes.is_empty() {
                return Err(Unreadable("too many events in one call"));
            }
            envelopes.push(self.of_item(item, call_digest, &mut seen)?);
            Ok(())
        };
        match self.event.split {
            Split::One => {
                // A row that names members of its events gets objects; anything else is no event of its provider.
                if self.verified.provider().event_by_settings.is_none() {
                    body.members()?;
                }
                add(&Item::whole(&body))?;
            }
            Split::Entries { entries, items } => split(&body, entries, items, None, &mut add)?,
            Split::Nested { entries, items, within, arrays } => {
                split(&body, entries, items, Some((within, arrays)), &mut add)?;
            }
            Split::Array => split_array(&body, &mut add)?,
            Split::Elements(pointer) => split_elements(&body, pointer, &mut add)?,
            Split::Suffixed(ending) => split_suffixed(&body, ending, &mut add)?,
        }
        Ok(envelopes)
    }

    fn of_item(
        &self,
        item: &Item<'_, '_>,
        call_digest: &str,
        seen: &mut HashMap<String, u32>,
    ) -> Result<Envelope, Unreadable> {
        let kind = self.way(self.event.kind, Some(item), ".")?.map(|(kind, _)| dotted(&kind));
        let (id, id_source) = match self.way(self.event.id, Some(item), ":")? {
            Some((id, from_header)) => (id, self.id_source(from_header)),
            None => {
                let digest = self.with_headers(item_digest(item)?);
                let count = seen.entry(digest.clone()).or_insert(0);
                *count += 1;
                // Items that are alike to the last byte are told apart by how many there were before.
                let id = if *count == 1 { digest } else { format!("{digest}:{count}") };
                (id, IdSource::Digest)
            }
        };
        let text = |ways| Ok::<_, Unreadable>(self.way(ways, Some(item), ":")?.map(|(text, _)| text));
        let account = text(self.event.account)?;
        let facts = Facts {
            kind: kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or(self.event.unknown),
            id,
            id_source,
            time: self.time(item)?,
            subject: text(self.event.subject)?,
            partition: text(self.event.partition)?.or_else(|| account.clone()),
            account,
        };
        Ok(self.envelope(facts, JSON_TYPE, DATA, &item.data, call_digest))
    }

    /// The call as it came. What stands in headers is found all the same.
    fn opaque(&self, kind: Option<&str>, call_digest: &str) -> Envelope {
        // Without an item no way can end in an unreadable body.
        let way = |ways, joint| self.way(ways, None, joint).ok().flatten();
        let found = way(self.event.kind, ".").map(|(kind, _)| dotted(&kind)).filter(|kind| !kind.is_empty());
        let (id, id_source) = match way(self.event.id, ":") {
            Some((id, from_header)) => (id, self.id_source(from_header)),
            None => {
                let (content, distinct) = (self.verified.content(), self.verified.distinct());
                let is_digested = std::ptr::eq(content, distinct);
                let digest =
                    if is_digested { call_digest.to_owned() } else { crypto::sha256_hex(&[content]) };
                (self.with_headers(digest), IdSource::Digest)
            }
        };
        let account = way(self.event.account, ":").map(|(text, _)| text);
        let facts = Facts {
            kind: kind.or(found.as_deref()).unwrap_or(self.event.unknown),
            id,
            id_source,
            time: None,
            subject: way(self.event.subject, ":").map(|(text, _)| text),
            partition: way(self.event.partition, ":").map(|(text, _)| text).or_else(|| account.clone()),
            account,
        };
        let content_type = self.verified.call().header("content-type").filter(|text| is_content_type(text));
        let data = json::string(&BASE64_STANDARD.encode(self.verified.content()));
        let content_type = content_type.unwrap_or(BYTES_TYPE);
        self.envelope(facts, content_type, DATA_BASE64, &data, call_digest)
    }

    /// A digest of what the call's body says, together with what the row reads of the event in headers: two events that
    /// differ there alone are two.
    fn with_headers(&self, digest: String) -> String {
        let call = self.verified.call();
        let names = self.event.telling_headers();
        let found: Vec<&str> = names.iter().filter_map(|name| call.header(name)).collect();
        if found.is_empty() {
            return digest;
        }
        crypto::sha256_hex(&[digest.as_bytes(), b"\n", found.join("\n").as_bytes()])
    }

    fn id_source(&self, from_header: bool) -> IdSource {
        if from_header || !self.verified.assurance().covers_body() {
            IdSource::Header
        } else {
            IdSource::Signed
        }
    }

    /// The first way of which every field is there, and whether one of them is a header.
    fn way(
        &self,
        ways: Ways<'_>,
        item: Option<&Item<'_, '_>>,
        joint: &str,
    ) -> Result<Option<(String, bool)>, Unreadable> {
        'ways: for way in ways {
            let mut texts = Vec::with_capacity(way.len());
            for field in *way {
                match *field {
                    Field::Maybe(field) => texts.extend(self.field(field, item)?),
                    Field::Where(field, begins) => {
                        if !self.field(field, item)?.is_some_and(|text| text.starts_with(begins)) {
                            continue 'ways;
                        }
                    }
                    Field::When(field, exactly) => {
                        if self.field(field, item)?.as_deref() != Some(exactly) {
                            continue 'ways;
                        }
                    }
                    Field::Not(field, exactly) => {
                        if self.field(field, item)?.is_none_or(|text| text == exactly) {
                            continue 'ways;
                        }
                    }
                    _ => match self.field(field, item)? {
                        Some(text) => texts.push(text),
                        None => continue 'ways,
                    },
                }
            }
            if !texts.is_empty() {
                let from_header = way.iter().any(Field::is_unsigned_header);
                return Ok(Some((texts.join(joint), from_header)));
            }
        }
        Ok(None)
    }

    fn field<'t>(
        &self,
        field: &Field<'_>,
        item: Option<&Item<'_, 't>>,
    ) -> Result<Option<Cow<'t, str>>, Unreadable> {
        let at = |node: Option<&Node<'t>>, pointer: &str| match node {
            Some(node) => Ok(node.at(pointer)?.and_then(json::scalar)),
            None => Ok(None),
        };
        let text = match *field {
            Field::Header(name) | Field::SignedHeader(name) => {
                self.verified.call().header(name).map(|text| Cow::Owned(text.to_owned()))
            }
            Field::Body(pointer) => at(item.map(|item| item.body), pointer)?,
            Field::Entry(pointer) => at(item.and_then(|item| item.entry), pointer)?,
            Field::Holder(pointer) => {
                at(item.and_then(|item| item.holder).map(|holder| holder.around), pointer)?
            }
            Field::Item(pointer) => at(item.map(Item::value), pointer)?,
            Field::ArrayName => item.and_then(|item| item.array).map(|name| Cow::Owned(name.to_owned())),
            Field::NameBeside(others) => beside(item, others)?.map(|(name, _)| name),
            Field::Beside(others, pointer) => match beside(item, others)? {
                Some((_, value)) => json::at(value, pointer)?.and_then(json::scalar),
                None => None,
            },
            Field::Word(text) => Some(Cow::Owned(text.to_owned())),
            Field::Maybe(field) | Field::Where(field, _) | Field::When(field, _) | Field::Not(field, _) => {
                self.field(field, item)?
            }
            Field::After(field, begins) => {
                self.field(field, item)?.map(|text| match text.strip_prefix(begins) {
                    Some(rest) => Cow::Owned(rest.to_owned()),
                    None => text,
                })
            }
        };
        Ok(text.filter(|text| !text.is_empty() && text.len() <= MAX_FIELD))
    }

    fn time(&self, item: &Item<'_, '_>) -> Result<Option<String>, Unreadable> {
        for time in self.event.time {
            let found = match time {
                Time::Signed => {
                    self.verified.signed_time().and_then(|seconds| rfc3339(seconds.checked_mul(1000)?))
                }
                Time::Seconds(field) => self.field(field, Some(item))?.and_then(|text| unix(&text, 1000)),
                Time::Millis(field) => self.field(field, Some(item))?.and_then(|text| unix(&text, 1)),
                Time::Rfc3339(field) => {
                    self.field(field, Some(item))?.and_then(|text| checked_rfc3339(&text))
                }
                Time::Any(field) => self.field(field, Some(item))?.and_then(|text| {
                    let factor = if text.len() > 11 { 1 } else { 1000 };
                    unix(&text, factor).or_else(|| checked_rfc3339(&text))
                }),
                Time::Local(field, ahead) => {
                    self.field(field, Some(item))?.and_then(|text| local(&text, *ahead))
                }
                Time::Snowflake(field, epoch) => {
                    self.field(field, Some(item))?.and_then(|text| snowflake(&text, *epoch))
                }
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    fn envelope(
        &self,
        facts: Facts<'_>,
        content_type: &str,
        data_name: &'static str,
        data: &str,
        call_digest: &str,
    ) -> Envelope {
        let (call, endpoint) = (self.verified.call(), self.verified.endpoint());
        let provider = self.verified.provider().name;
        let assurance = self.verified.assurance();
        let source = match endpoint.name() {
            None => format!("/hookgate/{provider}"),
            Some(name) => format!("/hookgate/{provider}/{name}"),
        };
        let kind = format!("{}.{}", self.event.prefix, facts.kind);
        let header = |name: &str| call.header(name).filter(|text| text.len() <= MAX_FIELD);
        let attempt = self
            .event
            .attempt
            .and_then(header)
            .filter(|t| t.len() <= 9 && t.bytes().all(|b| b.is_ascii_digit()));

        let mut text = String::with_capacity(data.len() + 1024);
        text.push_str(r#"{"specversion":"1.0""#);
        let mut put = |name: &str, value: Option<&str>| {
            if let Some(value) = value {
                text.push_str(",\"");
                text.push_str(name);
                text.push_str("\":");
                json::push(&mut text, value);
            }
        };
        put("id", Some(&facts.id));
        put("source", Some(&source));
        put("type", Some(&kind));
        put("subject", facts.subject.as_deref());
        put("time", facts.time.as_deref());
        put("datacontenttype", Some(content_type));
        put("provider", Some(provider));
        put("account", facts.account.as_deref());
        put("assurance", Some(assurance.name()));
        put("idsource", Some(facts.id_source.name()));
        put("receivedtime", rfc3339(self.received).as_deref());
        put("calldigest", Some(call_digest));
        put("deliveryid", self.event.delivery.iter().find_map(|name| header(name)));
        put("partitionkey", facts.partition.as_deref());
        put("headers", self.headers().as_deref());
        if endpoint.raw()
            && let scheme = self.verified.provider().scheme
            && let Some(evidence) = scheme.evidence(endpoint)
        {
            put("rawheaders", self.header_object(&evidence.headers, usize::MAX).as_deref());
            put("rawurl", evidence.url.then(|| scheme.url(call, endpoint)).as_deref());
        }
        put("envelopeversion", Some(ENVELOPE_VERSION));
        if let Some(attempt) = attempt.and_then(|digits| digits.parse::<u32>().ok()) {
            let _ = write!(text, r#","attempt":{attempt}"#);
        }
        let mut text = carriable(text);
        let start = text.len();
        if !self.verified.content().is_empty() {
            text.push_str(data_name);
            push_carriable(&mut text, data);
        }
        let data = start..text.len();
        text.push('}');
        Envelope {
            text,
            data,
            raw: RawBody::None,
            id: facts.id,
            kind,
            source,
            provider,
            assurance,
            content_type: content_type.to_owned(),
            id_source: facts.id_source,
            call_digest: call_digest.to_owned(),
            received: self.received,
            has_time: facts.time.is_some(),
            account: facts.account,
            partition: facts.partition,
        }
    }

    /// The headers that the consumer may see.
    fn headers(&self) -> Option<String> {
        self.header_object(self.event.headers, MAX_FIELD)
    }

    /// Those of the headers that are there and no longer than so many bytes, as a JSON object. CloudEvents knows no
    /// attribute that is an object, so it travels as text.
    fn header_object(&self, names: &[impl AsRef<str>], longest: usize) -> Option<String> {
        let call = self.verified.call();
        let found = names.iter().filter_map(|name| Some((name.as_ref(), call.header(name.as_ref())?)));
        let members: Vec<(&str, String)> = found
            .filter(|(_, value)| value.len() <= longest)
            .map(|(name, value)| (name, json::string(value)))
            .collect();
        (!members.is_empty())
            .then(|| json::written(members.iter().map(|(name, value)| (*name, value.as_str()))))
    }
}

struct Facts<'f> {
    kind: &'f str,
    id: String,
    id_source: IdSource,
    time: Option<String>,
    subject: Option<String>,
    account: Option<String>,
    partition: Option<String>,
}

/// Cuts a body into its items and hands them over in order. An entry without items is an item; a body without entries is
/// one too. `nested` names the member of an item, and the arrays in that, which hold items themselves.
fn split<'t>(
    body: &Node<'t>,
    entries: &'static str,
    arrays: &'static [&'static str],
    nested: Option<(&'static str, &'static [&'static str])>,
    add: &mut dyn FnMut(&Item<'_, 't>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let whole = body.members()?;
    let list = match json::member(whole, entries)? {
        Some(list) if list.starts_with('[') => json::elements(list)?,
        _ => Vec::new(),
    };
    if list.is_empty() {
        return add(&Item::whole(body));
    }
    for entry in list {
        let node = Node::new(entry);
        let members = node.members()?;
        let alone = |entry: &str| with_member(whole, entries, &format!("[{entry}]"), &[]);
        // The arrays of the other events stay out of this one.
        let one = |array: &str, item: &str| alone(&with_member(members, array, &format!("[{item}]"), arrays));
        let mut found = false;
        each(members, arrays, &mut |array, raw| {
            found = true;
            let value = Node::new(raw);
            if let Some((member, arrays)) = nested
                && split_item(&value, member, arrays, &mut |holder, inner, raw, data| {
                    let data = one(array, &data).into();
                    let value = Some(Node::new(raw));
                    add(&Item {
                        body,
                        entry: Some(&node),
                        holder: Some(holder),
                        array: Some(inner),
                        value,
                        data,
                    })
                })?
            {
                return Ok(());
            }
            let data = one(array, raw).into();
            let value = Some(value);
            add(&Item { body, entry: Some(&node), holder: None, array: Some(array), value, data })
        })?;
        if !found {
            let data = alone(entry).into();
            add(&Item { body, entry: Some(&node), holder: None, array: None, value: None, data })?;
        }
    }
    Ok(())
}

/// See [`Split::Array`].
fn split_array<'t>(
    body: &Node<'t>,
    add: &mut dyn FnMut(&Item<'_, 't>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let list = if body.raw().starts_with('[') { json::elements(body.raw())? } else { vec![body.raw()] };
    if list.is_empty() {
        return Err(Unreadable("a list without events"));
    }
    for element in list {
        let node = Node::new(element);
        node.members()?;
        add(&Item::whole(&node))?;
    }
    Ok(())
}

/// See [`Split::Elements`].
fn split_elements<'t>(
    body: &Node<'t>,
    pointer: &str,
    add: &mut dyn FnMut(&Item<'_, 't>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    body.members()?;
    let Some(found) = body.at(pointer)?.filter(|found| found.starts_with(['[', '{'])) else {
        return add(&Item::whole(body));
    };
    let list = if found.starts_with('[') { json::elements(found)? } else { vec![found] };
    for element in list {
        let value = Some(Node::new(element));
        let data = json::with(body.raw(), pointer, Some(element))?.into();
        add(&Item { value, data, ..Item::whole(body) })?;
    }
    Ok(())
}

/// See [`Split::Suffixed`].
fn split_suffixed<'t>(
    body: &Node<'t>,
    ending: &str,
    add: &mut dyn FnMut(&Item<'_, 't>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    let whole = body.members()?;
    let is_list = |(name, list): &&(Cow<'t, str>, Raw<'t>)| name.ends_with(ending) && list.starts_with('[');
    let names: Vec<&str> = whole.iter().filter(is_list).map(|(name, _)| name.as_ref()).collect();
    let mut found = false;
    for name in &names {
        for element in json::elements(json::member(whole, name)?.unwrap_or("[]"))? {
            found = true;
            let value = Some(Node::new(element));
            let data = with_member(whole, name, &format!("[{element}]"), &names).into();
            add(&Item { array: Some(name), value, data, ..Item::whole(body) })?;
        }
    }
    if found { Ok(()) } else { add(&Item::whole(body)) }
}

/// Takes an item that another one holds: what is around it, the name of its array, its text, and the other one with this
/// item alone.
type AddHeld<'a, 't> =
    &'a mut dyn FnMut(Holder<'_, 't>, &'static str, Raw<'t>, String) -> Result<(), Unreadable>;

/// Hands over the items that an item holds itself. Whether there are any.
fn split_item<'t>(
    around: &Node<'t>,
    member: &'static str,
    arrays: &'static [&'static str],
    add: AddHeld<'_, 't>,
) -> Result<bool, Unreadable> {
    if !around.raw().starts_with('{') {
        return Ok(false);
    }
    let outer = around.members()?;
    let Some(object) = json::member(outer, member)?.filter(|object| object.starts_with('{')) else {
        return Ok(false);
    };
    let within = Node::new(object);
    let members = within.members()?;
    let mut found = false;
    each(members, arrays, &mut |array, raw| {
        found = true;
        let object = with_member(members, array, &format!("[{raw}]"), arrays);
        add(Holder { around, within: &within }, array, raw, with_member(outer, member, &object, &[]))
    })?;
    Ok(found)
}

/// Hands over the elements of those members that are arrays, with the array's name.
fn each<'t>(
    members: &json::Members<'t>,
    arrays: &'static [&'static str],
    add: &mut dyn FnMut(&'static str, Raw<'t>) -> Result<(), Unreadable>,
) -> Result<(), Unreadable> {
    for array in arrays {
        if let Some(list) = json::member(members, array)?.filter(|list| list.starts_with('[')) {
            json::elements(list)?.into_iter().try_for_each(|raw| add(array, raw))?;
        }
    }
    Ok(())
}

/// An object with one member's value replaced and other arrays of some names left out. The other values stay byte for
/// byte; names are written anew and without spaces between.
fn with_member(members: &json::Members<'_>, name: &str, value: &str, without: &[&str]) -> String {
    let is_left_out = |n: &str, old: &str| n != name && old.starts_with('[') && without.contains(&n);
    let kept = members.iter().filter(|(n, old)| !is_left_out(n, old));
    json::written(kept.map(|(n, old)| (n.as_ref(), if n == name { value } else { *old })))
}

/// A digest of an item and of the scalars around it, in an order that does not depend on the sender's.
fn item_digest(item: &Item<'_, '_>) -> Result<String, Unreadable> {
    let value = item.value();
    let mut around = Vec::new();
    let holder = item.holder.map_or([None; 2], |holder| [Some(holder.around), Some(holder.within)]);
    let outer = [Some(item.body), item.entry];
    for node in outer.into_iter().chain(holder).flatten().filter(|node| !std::ptr::eq(*node, value)) {
        around.push(node.scalars()?);
    }
    let array = item.array.unwrap_or_default();
    Ok(crypto::sha256_hex(&[
        around.join("\n").as_bytes(),
        b"\n",
        array.as_bytes(),
        b"\n",
        value.raw().as_bytes(),
    ]))
}

/// The first member of the item that is none of these.
fn beside<'t>(
    item: Option<&Item<'_, 't>>,
    others: &[&str],
) -> Result<Option<(Cow<'t, str>, Raw<'t>)>, Unreadable> {
    let Some(node) = item.map(Item::value).filter(|node| node.raw().starts_with('{')) else {
        return Ok(None);
    };
    Ok(node.members()?.iter().find(|(name, _)| !others.contains(&name.as_ref())).cloned())
}

/// A provider's kind as part of a type: slashes, as in `orders/create` or `/command`, become dots, and spaces, as in
/// `timeline cover`, become underscores.
fn dotted(kind: &str) -> String {
    let parts: Vec<&str> = kind.split(['/', '.']).filter(|part| !part.is_empty()).collect();
    parts.join(".").replace(' ', "_")
}

/// RFC 3339 of a number of digits, times a factor that makes milliseconds of it. Seconds may have a fraction.
fn unix(text: &str, factor: i64) -> Option<String> {
    let (digits, fraction) = text.split_once('.').unwrap_or((text, ""));
    let plain = |text: &str| text.len() <= 15 && text.bytes().all(|byte| byte.is_ascii_digit());
    if digits.is_empty() || !plain(digits) || !plain(fraction) || (factor == 1 && text.contains('.')) {
        return None;
    }
    let thousandths = fraction.bytes().chain(*b"000").take(3);
    let millis = thousandths.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    digits.parse::<i64>().ok()?.checked_mul(factor)?.checked_add(millis).and_then(rfc3339)
}

/// RFC 3339 of Unix milliseconds, for the years that it can write.
fn rfc3339(millis: i64) -> Option<String> {
    const END_OF_9999: i64 = 253_402_300_800_000;
    (0..END_OF_9999)
        .contains(&millis)
        .then(|| DateTime::from_millis(millis).fmt(Format::DateTime).ok())
        .flatten()
}

/// RFC 3339 of a time without a zone, in one that is so many minutes ahead of UTC; see [`Time::Local`].
fn local(text: &str, ahead: i32) -> Option<String> {
    let text = match text.as_bytes() {
        [y @ .., m0, m1, d0, d1, h0, h1, i0, i1, s0, s1] if y.len() == 4 && text.is_ascii() => {
            let year = std::str::from_utf8(y).ok()?;
            let [m0, m1, d0, d1, h0, h1, i0, i1, s0, s1] =
                [m0, m1, d0, d1, h0, h1, i0, i1, s0, s1].map(|byte| char::from(*byte));
            format!("{year}-{m0}{m1}-{d0}{d1}T{h0}{h1}:{i0}{i1}:{s0}{s1}")
        }
        _ => text.replacen(' ', "T", 1),
    };
    let sign = if ahead < 0 { '-' } else { '+' };
    let (hours, minutes) = (ahead.abs() / 60, ahead.abs() % 60);
    let zone = if ahead == 0 { "Z".to_owned() } else { format!("{sign}{hours:02}:{minutes:02}") };
    checked_rfc3339(&format!("{text}{zone}"))
}

/// RFC 3339 of the time in a snowflake; see [`Time::Snowflake`].
fn snowflake(text: &str, epoch: i64) -> Option<String> {
    let plain = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id: u64 = plain.then(|| text.parse().ok()).flatten()?;
    rfc3339(i64::try_from(id >> 22).ok()?.checked_add(epoch)?)
}

/// A text that is RFC 3339, as it stands.
fn checked_rfc3339(text: &str) -> Option<String> {
    let upper = text.len() <= 40 && !text.contains('t') && !text.contains('z');
    let parsed = upper.then(|| DateTime::from_str(text, Format::DateTimeWithOffset).ok()).flatten();
    parsed.map(|_| text.to_owned())
}

fn is_content_type(text: &str) -> bool {
    text.len() <= MAX_ATTRIBUTE && text.contains('/') && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// JSON text in which every character is one that SQS carries. Raw control characters cannot stand in JSON; the two
/// noncharacters can, and only within strings, where an escape means the same.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
pub(crate) fn carriable(text: String) -> String {
    if memchr(NONCHARACTER_START, text.as_bytes()).is_none() {
        return text;
    }
    let mut carried = String::with_capacity(text.len() + 64);
    push_carriable(&mut carried, &text);
    carried
}

/// The first byte of U+FFFE and U+FFFF in UTF-8, and of some other characters.
const NONCHARACTER_START: u8 = 0xef;

/// See [`carriable`].
fn push_carriable(text: &mut String, mut more: &str) {
    while let Some((before, after)) =
        memchr(NONCHARACTER_START, more.as_bytes()).and_then(|place| more.split_at_checked(place))
    {
        text.push_str(before);
        let mut characters = after.chars();
        match characters.next() {
            Some('\u{fffe}') => text.push_str("\\ufffe"),
            Some('\u{ffff}') => text.push_str("\\uffff"),
            other => text.extend(other),
        }
        more = characters.as_str();
    }
    text.push_str(more);
}

/// A text as the value of a message attribute: of the characters that SQS carries, short, and never empty.
pub fn attribute(text: &str) -> Cow<'_, str> {
    let legal = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{fffd}' | '\u{10000}'..);
    if text.len() <= MAX_ATTRIBUTE && !text.is_empty() && text.chars().all(legal) {
        return Cow::Borrowed(text);
    }
    let mut short = String::new();
    for c in text.chars().map(|c| if legal(c) { c } else { '\u{fffd}' }) {
        if short.len() + c.len_utf8() > MAX_ATTRIBUTE {
            break;
        }
        short.push(c);
    }
    if short.is_empty() { Cow::Borrowed("-") } else { Cow::Owned(short) }
}
