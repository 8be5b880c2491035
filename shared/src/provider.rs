//! The vocabulary that a provider's row is written in: data only.

use crate::error::{Fault, Unreadable};
use crate::handshake::Handshake;
use crate::mac::Mac;
use crate::settings::Endpoint;
use crate::verify::{Scheme, Verified};
use crate::{form, json, multipart, xml};
use serde_json::Value;
use std::borrow::Cow;
use std::time::Duration;

/// Everything that is special about one provider.
pub struct Provider {
    /// Lower-case letters and digits: folder, package, binary, path and part of the template's logical ids.
    pub name: &'static str,
    /// As the provider writes itself.
    pub title: &'static str,
    /// The provider's page about its signature.
    pub docs: &'static str,
    /// What the operator has to give.
    pub settings: &'static [Setting],
    /// By which methods events come.
    pub methods: &'static [&'static str],
    /// How a call is checked.
    pub scheme: &'static dyn Scheme,
    /// What is answered without an event.
    pub handshakes: &'static [&'static dyn Handshake],
    /// How the body is read.
    pub format: Format,
    /// Where things stand in an event.
    pub event: Event<'static>,
    /// For a row whose event is laid out by its settings: builds the event and hands it over.
    pub event_by_settings: Option<EventBySettings>,
    /// The answer to a call whose events are in the queue.
    pub reply: Answer,
    /// For a row whose answer depends on the call or the settings, in place of `reply`.
    pub reply_by: Option<ReplyBy>,
    /// The one answer to whatever does not pass.
    pub refused: Answer,
    /// How long the provider waits for an answer.
    pub deadline: Duration,
    /// For people.
    pub facts: Facts,
}

/// See [`Provider::event_by_settings`].
pub type EventBySettings = fn(&Event<'static>, &Endpoint, &mut dyn FnMut(&Event<'_>));

/// See [`Provider::reply_by`]. It is made before the events are sent, and given only when the queue has confirmed them.
pub type ReplyBy = fn(&Verified<'_>) -> Result<Response, Fault>;

impl Provider {
    /// What most rows have in common; a row says the rest.
    pub const DEFAULTS: Provider = Provider {
        name: "",
        title: "",
        docs: "",
        settings: &[],
        methods: &["POST"],
        scheme: &Mac::HMAC_SHA256,
        handshakes: &[],
        format: JSON,
        event: Event::of(""),
        event_by_settings: None,
        reply: Answer::EMPTY_200,
        reply_by: None,
        refused: Answer::REFUSED,
        deadline: Duration::from_secs(10),
        facts: Facts { retries: "", proof: "", checked: "" },
    };

    /// Whether events or handshakes come by a method.
    pub fn comes_by(&self, method: &str) -> bool {
        self.methods.contains(&method) || self.handshakes.iter().any(|handshake| handshake.method() == method)
    }

    /// The methods by which events or handshakes come, in the order of the alphabet.
    pub fn all_methods(&self) -> Vec<&'static str> {
        let mut methods = self.methods.to_vec();
        methods.extend(self.handshakes.iter().map(|handshake| handshake.method()));
        methods.sort_unstable();
        methods.dedup();
        methods
    }
}

/// What a person wants to know of a provider before relying on it.
#[derive(Debug, Clone, Copy)]
pub struct Facts {
    /// When and how often the provider sends a call again.
    pub retries: &'static str,
    /// Who made the signatures that the row is tested with.
    pub proof: &'static str,
    /// The day on which the facts were checked, `2026-11-24`.
    pub checked: &'static str,
}

/// One setting of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// The name in the settings document.
    pub name: &'static str,
    /// What may stand there.
    pub shape: Shape,
    /// Whether calls can be served without it.
    pub required: bool,
    /// Other settings, any of which may be given in its place.
    pub unless: &'static [&'static str],
    /// Where its value stands in the provider's dashboard, with the dashboard's own labels.
    pub place: &'static str,
    /// A value for local trials, where not any text will do.
    pub example: Option<&'static str>,
}

/// What may stand in a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// A text that must not be seen, or a list of them: all are live, the first one signs samples.
    Secret,
    /// A text or a number.
    Text,
    /// One of these texts.
    Word(&'static [&'static str]),
    /// A text, or a list of them.
    Texts,
    /// An object.
    Object,
}

impl Setting {
    /// A secret that the row cannot do without.
    pub const fn secret(name: &'static str, place: &'static str) -> Setting {
        Setting { name, shape: Shape::Secret, required: true, unless: &[], place, example: None }
    }

    /// A text that the row cannot do without.
    pub const fn text(name: &'static str, place: &'static str) -> Setting {
        Setting { name, shape: Shape::Text, required: true, unless: &[], place, example: None }
    }

    /// One of a few texts, which may be left out.
    pub const fn word(name: &'static str, words: &'static [&'static str], place: &'static str) -> Setting {
        Setting { name, shape: Shape::Word(words), required: false, unless: &[], place, example: None }
    }

    /// A list of texts that the row cannot do without.
    pub const fn texts(name: &'static str, place: &'static str) -> Setting {
        Setting { name, shape: Shape::Texts, required: true, unless: &[], place, example: None }
    }

    /// An object that may be left out.
    pub const fn object(name: &'static str, place: &'static str) -> Setting {
        Setting { name, shape: Shape::Object, required: false, unless: &[], place, example: None }
    }

    /// The same, which the row cannot do without.
    pub const fn needed(self) -> Setting {
        Setting { required: true, ..self }
    }

    /// Its value for local trials as it stands in a settings document, if there is one.
    pub fn example_value(&self) -> Option<Value> {
        match self.shape {
            Shape::Object => serde_json::from_str(self.example?).ok(),
            _ => self.example.map(Into::into),
        }
    }

    /// The same, to be left out at will.
    pub const fn optional(self) -> Setting {
        Setting { required: false, ..self }
    }

    /// The same, to be left out where one of those others is given.
    pub const fn unless(self, others: &'static [&'static str]) -> Setting {
        Setting { unless: others, ..self }
    }

    /// The same with a value for local trials.
    pub const fn example(self, value: &'static str) -> Setting {
        Setting { example: Some(value), ..self }
    }
}

/// Reads a body, given the header `content-type`. A function, so that a parser that no row names is not linked.
pub type Format = for<'b> fn(body: &'b [u8], content_type: &str) -> Result<Content<'b>, Unreadable>;

/// A body as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content<'b> {
    /// A text to be read as JSON: that of the body, or what it was mapped to. Nested no deeper than JSON may be here; whether
    /// it is JSON shows when it is read.
    Json(Cow<'b, str>),
    /// Bytes of another kind.
    Bytes,
}

/// JSON whatever the header says.
pub const JSON: Format = |body, _| json::unread(body).map(Content::Json);
/// JSON, or a form, or the JSON in a form's field `payload`; which of them shows in the body.
pub const JSON_OR_FORM: Format = |body, _| form::or_json(body).map(Content::Json);
/// A form.
pub const FORM: Format = |body, _| form::body(body).map(Content::Json);
/// XML. A document type is refused.
pub const XML: Format = |body, _| xml::body(body).map(Content::Json);
/// XML or a JSON object.
pub const XML_OR_JSON: Format = |body, _| xml::or_json(body).map(Content::Json);

/// JSON, a form, or a form with files in it; which of them shows in the body.
pub const JSON_OR_ANY_FORM: Format = |body, _| {
    let read = if multipart::is_form(body) { multipart::body(body) } else { form::or_json(body) };
    read.map(Content::Json)
};

/// Where things stand in an event.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    /// What every type begins with: the provider's domain, reversed.
    pub prefix: &'a str,
    /// How a call is cut into events.
    pub split: Split,
    /// The provider's own kind, joined with dots: of several ways the first that applies.
    pub kind: Ways<'a>,
    /// The kind where no way applies.
    pub unknown: &'a str,
    /// The event's id, joined with colons. Where no way applies, it is a digest.
    pub id: Ways<'a>,
    /// When it happened.
    pub time: &'a [Time<'a>],
    /// The entity concerned.
    pub subject: Ways<'a>,
    /// The account at the provider.
    pub account: Ways<'a>,
    /// What events must keep their order with.
    pub partition: Ways<'a>,
    /// Headers of which the first that is there has the delivery's own id.
    pub delivery: &'a [&'a str],
    /// The header with the provider's count of retries.
    pub attempt: Option<&'a str>,
    /// Headers that the consumer may see. Never one with a credential.
    pub headers: &'a [&'a str],
}

impl<'a> Event<'a> {
    /// An event of which nothing is known but its prefix.
    pub const fn of(prefix: &'a str) -> Event<'a> {
        Event {
            prefix,
            split: Split::One,
            kind: &[],
            unknown: "unknown",
            id: &[],
            time: &[],
            subject: &[],
            account: &[],
            partition: &[],
            delivery: &[],
            attempt: None,
            headers: &[],
        }
    }
}

impl<'a> Event<'a> {
    /// Every header that is read for it, in lower case.
    pub fn header_names(&self) -> Vec<&'a str> {
        let mut names = self.telling_headers();
        let ways = [self.id, self.account, self.partition];
        names.extend(ways.into_iter().flatten().copied().flatten().filter_map(Field::header));
        names.extend(self.delivery);
        names.extend(self.attempt);
        names.extend(self.headers);
        names
    }

    /// The headers that say what happened: kind, subject and time.
    pub fn telling_headers(&self) -> Vec<&'a str> {
        let fields = [self.kind, self.subject].into_iter().flatten().copied().flatten();
        let times = self.time.iter().filter_map(Time::field);
        fields.chain(times).filter_map(Field::header).collect()
    }
}

impl<'a> Field<'a> {
    /// The field itself, without what is asked of it or done with it.
    pub fn bare(&self) -> &Field<'a> {
        match self {
            Field::Maybe(field)
            | Field::After(field, _)
            | Field::Where(field, _)
            | Field::When(field, _)
            | Field::Not(field, _) => field.bare(),
            bare => bare,
        }
    }

    /// Whether it stands in a header that no signature covers.
    pub(crate) fn is_unsigned_header(&self) -> bool {
        matches!(self.bare(), Field::Header(_))
    }

    /// The header that it stands in, if it does.
    fn header(&self) -> Option<&'a str> {
        match self.bare() {
            Field::Header(name) | Field::SignedHeader(name) => Some(name),
            _ => None,
        }
    }
}

impl<'a> Time<'a> {
    /// The field that it is read from, if it is.
    pub fn field(&self) -> Option<&Field<'a>> {
        match self {
            Time::Seconds(field)
            | Time::Millis(field)
            | Time::Rfc3339(field)
            | Time::Any(field)
            | Time::Local(field, _)
            | Time::Snowflake(field, _) => Some(field),
            Time::Signed => None,
        }
    }
}

/// Several ways to a text: the first one of which every field is there, joined.
pub type Ways<'a> = &'a [&'a [Field<'a>]];

/// How a call is cut into events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// A call is an event.
    One,
    /// The body is an object with an array of entries, and each entry has one or more arrays of items.
    Entries {
        /// The member with the entries.
        entries: &'static str,
        /// The members of an entry that hold items. An entry with none of them is an item itself.
        items: &'static [&'static str],
    },
    /// The same, and an item may hold arrays itself, whose elements are the items then.
    Nested {
        /// The member with the entries.
        entries: &'static str,
        /// The members of an entry that hold items. An entry with none of them is an item itself.
        items: &'static [&'static str],
        /// The member of such an item with the object that holds the arrays.
        within: &'static str,
        /// The members of that object that hold items. Where there is none of them, the item around it is one.
        arrays: &'static [&'static str],
    },
    /// The body is an array, and each of its elements an event of its own.
    Array,
    /// What stands at a pointer into the body is an event, or an array of them: elements of one name in mapped XML. Each
    /// event's data is the body with that one alone in its place; a body that has nothing there is an event itself.
    Elements(&'static str),
    /// Each element of every array among the body's members whose name ends so. Each event's data is the body with one of
    /// those arrays, and one element alone in it; a body without such an array is an event itself.
    Suffixed(&'static str),
}

/// Where a text stands. Pointers are JSON pointers (RFC 6901); what they find is a string's text or a number's spelling.
#[derive(Clone, Copy)]
pub enum Field<'a> {
    /// A header, by its lower-case name.
    Header(&'a str),
    /// A header that the signature covers.
    SignedHeader(&'a str),
    /// In the body.
    Body(&'a str),
    /// In the entry around the item.
    Entry(&'a str),
    /// In what holds the item, where an item of an entry does: see [`Split::Nested`].
    Holder(&'a str),
    /// In the item; where a call is an event, in the body.
    Item(&'a str),
    /// The name of the array that the item stands in.
    ArrayName,
    /// The name of the item's first member that is none of these.
    NameBeside(&'a [&'a str]),
    /// In the value of that member.
    Beside(&'a [&'a str], &'a str),
    /// A fixed text.
    Word(&'a str),
    /// Another field, if it is there.
    Maybe(&'a Field<'a>),
    /// Another field without this beginning; where it begins otherwise, the whole of it.
    After(&'a Field<'a>, &'a str),
    /// Nothing, but the way applies only where a field begins so.
    Where(&'a Field<'a>, &'a str),
    /// Nothing, but the way applies only where a field is exactly this.
    When(&'a Field<'a>, &'a str),
    /// Nothing, but the way applies only where a field is there and is not this.
    Not(&'a Field<'a>, &'a str),
}

/// When an event happened.
#[derive(Clone, Copy)]
pub enum Time<'a> {
    /// Unix seconds, perhaps with a fraction.
    Seconds(Field<'a>),
    /// Unix milliseconds.
    Millis(Field<'a>),
    /// RFC 3339.
    Rfc3339(Field<'a>),
    /// Unix seconds of up to eleven digits, Unix milliseconds of more, or RFC 3339.
    Any(Field<'a>),
    /// A time without a zone, `YYYY-MM-DD HH:MM:SS` with a space or a `T` and perhaps a fraction, or `YYYYMMDDHHMMSS`, in a
    /// zone that is so many minutes ahead of UTC.
    Local(Field<'a>, i32),
    /// A number whose bits above the lowest 22 are milliseconds after an epoch, which is given in Unix milliseconds.
    Snowflake(Field<'a>, i64),
    /// The time that was signed.
    Signed,
}

/// A fixed answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The header `content-type`; none for an empty body, unless the provider insists.
    pub content_type: Option<&'static str>,
    /// The exact body.
    pub body: &'static str,
}

impl Answer {
    /// 200 and nothing more.
    pub const EMPTY_200: Answer = Answer::empty(200);
    /// 204 and nothing more.
    pub const EMPTY_204: Answer = Answer::empty(204);
    /// 401 and nothing more.
    pub const REFUSED: Answer = Answer::empty(401);

    /// A status and nothing more.
    pub const fn empty(status: u16) -> Answer {
        Answer { status, content_type: None, body: "" }
    }

    /// A fixed text of a type.
    pub const fn text(status: u16, content_type: &'static str, body: &'static str) -> Answer {
        Answer { status, content_type: Some(content_type), body }
    }

    /// Fixed JSON.
    pub const fn json(status: u16, body: &'static str) -> Answer {
        Answer::text(status, "application/json", body)
    }
}

/// An answer whose body is made for one call; see [`Answer`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// HTTP status.
    pub status: u16,
    /// The header `content-type`.
    pub content_type: Option<&'static str>,
    /// The exact body.
    pub body: Cow<'static, str>,
}

impl From<Answer> for Response {
    fn from(Answer { status, content_type, body }: Answer) -> Response {
        Response { status, content_type, body: body.into() }
    }
}
