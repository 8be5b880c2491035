//! The check of every kind of signature: whatever a row accepts, the provider's formula accepts, and the reverse.
//!
//! Input: a signature that is right or nearly so, and edits of the headers that carry it. Arbitrary headers alone would
//! never come near to being accepted.
#![no_main]

use arbitrary::Arbitrary;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use fuzz::rows::{self, NOW, OLD_SECRET, SECRET};
use fuzz::signed;
use libfuzzer_sys::fuzz_target;
use shared::call::Call;
use shared::verify::{Assurance, verify};

#[derive(Arbitrary, Debug)]
struct Input<'a> {
    row: Row,
    clock: Clock,
    first: Tag<'a>,
    /// In Shopify's other header, as a further `v1` of Stripe, as a second header elsewhere.
    second: Option<Tag<'a>>,
    edits: Vec<Edit<'a>>,
    body: Body<'a>,
}

#[derive(Arbitrary, Debug, Clone, Copy, PartialEq, Eq)]
enum Row {
    Stripe,
    Slack,
    Shopify,
    Facebook,
    Zalo,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Clock {
    Now,
    Near(i16),
    Any(i64),
}

/// A signature and the time that it covers.
#[derive(Arbitrary, Debug, Clone, Copy)]
struct Tag<'a> {
    key: Key<'a>,
    time: Moment,
    spelling: Spelling,
    /// Over the body without so many of its last bytes.
    short: u8,
}

/// A change of the headers. Numbers are taken modulo what there is.
#[derive(Arbitrary, Debug, Clone, Copy)]
enum Edit<'a> {
    Drop { header: u8 },
    Twice { header: u8 },
    Upper { header: u8 },
    Append { header: u8, piece: Piece<'a> },
    Prepend { header: u8, piece: Piece<'a> },
    Byte { header: u8, at: u8, with: &'a str },
    Add { name: Name<'a>, piece: Piece<'a> },
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Name<'a> {
    Stripe,
    Slack,
    SlackTime,
    Shopify,
    ShopifyEvents,
    Hub,
    OldHub,
    Zalo,
    ZaloTime,
    Other(&'a str),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Piece<'a> {
    Text(&'a str),
    Comma,
    Space,
    Time(Moment),
    TimePair(Moment),
    Tag(Tag<'a>),
    Version0(Tag<'a>),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Moment {
    Now,
    /// At an edge of the window or right beside it.
    Edge {
        ahead: bool,
        beyond: bool,
    },
    Any(i16),
    Zeros(u8),
    Plus,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Key<'a> {
    New,
    Old,
    Other(&'a [u8]),
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Spelling {
    Usual,
    Hex,
    UpperHex,
    Base64,
    NoPadding,
}

#[derive(Arbitrary, Debug, Clone, Copy)]
enum Body<'a> {
    Bytes(&'a [u8]),
    /// An object with a member `timestamp` of that text, which is a string's or a value's.
    Timed {
        quoted: bool,
        time: &'a str,
        more: &'a str,
    },
}

fuzz_target!(|input: Input<'_>| {
    let body = input.body.bytes();
    let now = match input.clock {
        Clock::Now => NOW,
        Clock::Near(offset) => NOW + i64::from(offset),
        Clock::Any(now) => now,
    };
    let entry = registry::find(input.row.name()).expect("a row");
    let document = rows::document(entry.provider);
    let endpoint = &document.endpoints()[0];
    let app_id = endpoint.text("app_id").unwrap_or_default();

    let mut headers = input.row.headers(input.first, input.second, app_id, &body);
    for edit in &input.edits {
        edit.apply(&mut headers, input.row, app_id, &body);
    }
    let joined = signed::joined(&headers);
    let keys = [SECRET, OLD_SECRET];
    let (genuine, assurance) = match input.row {
        Row::Stripe => (signed::stripe(&joined, &body, &keys, now), Assurance::SignedFresh),
        Row::Slack => (signed::slack(&joined, &body, &keys, now), Assurance::SignedFresh),
        Row::Shopify => (signed::shopify(&joined, &body, &keys), Assurance::Signed),
        Row::Facebook => (signed::hub(&joined, &body, &keys), Assurance::Signed),
        Row::Zalo => (signed::zalo(&joined, &body, app_id, &keys), Assurance::Signed),
    };

    let call = Call::new("POST", "/", "", headers, &*body);
    match verify(entry.provider, &call, endpoint, now) {
        Ok(verified) => {
            assert!(genuine, "accepted, and not signed: {joined:?}");
            assert_eq!(verified.body(), body);
            assert_eq!(verified.assurance(), assurance);
            let window = verified.signed_time().is_none_or(|time| time.abs_diff(now) <= 300);
            assert!(window && verified.signed_time().is_some() == (assurance == Assurance::SignedFresh));
        }
        // Where the formula is all there is, it is also enough.
        Err(_) => assert!(!genuine || matches!(input.row, Row::Stripe), "refused, and signed: {joined:?}"),
    }
});

impl Row {
    fn name(self) -> &'static str {
        match self {
            Row::Stripe => "stripe",
            Row::Slack => "slack",
            Row::Shopify => "shopify",
            Row::Facebook => "facebook",
            Row::Zalo => "zalo",
        }
    }

    fn prefix(self) -> &'static str {
        match self {
            Row::Stripe => "v1=",
            Row::Slack => "v0=",
            Row::Shopify => "",
            Row::Facebook => "sha256=",
            Row::Zalo => "mac=",
        }
    }

    /// The headers as the provider sends them, where the tags are right.
    fn headers(
        self,
        first: Tag<'_>,
        second: Option<Tag<'_>>,
        app_id: &str,
        body: &[u8],
    ) -> Vec<(String, String)> {
        let value = |tag: Tag<'_>| format!("{}{}", self.prefix(), tag.text(self, app_id, body));
        let header = |name: Name<'_>, value: String| (name.text().to_owned(), value);
        let time = first.time.text();
        let (mut headers, other) = match self {
            Row::Stripe => {
                let more = second.map_or(String::new(), |tag| format!(",{}", value(tag)));
                return vec![header(Name::Stripe, format!("t={time},{}{more}", value(first)))];
            }
            Row::Slack => {
                (vec![header(Name::SlackTime, time), header(Name::Slack, value(first))], Name::Slack)
            }
            Row::Shopify => (vec![header(Name::Shopify, value(first))], Name::ShopifyEvents),
            Row::Facebook => (vec![header(Name::Hub, value(first))], Name::OldHub),
            Row::Zalo => (vec![header(Name::Zalo, value(first))], Name::ZaloTime),
        };
        headers.extend(second.map(|tag| header(other, value(tag))));
        headers
    }
}

impl<'a> Name<'a> {
    fn text(self) -> &'a str {
        match self {
            Name::Stripe => "stripe-signature",
            Name::Slack => "x-slack-signature",
            Name::SlackTime => "x-slack-request-timestamp",
            Name::Shopify => "x-shopify-hmac-sha256",
            Name::ShopifyEvents => "shopify-hmac-sha256",
            Name::Hub => "x-hub-signature-256",
            Name::OldHub => "x-hub-signature",
            Name::Zalo => "x-zevent-signature",
            Name::ZaloTime => "x-zevent-timestamp",
            Name::Other(name) => name,
        }
    }
}

impl Tag<'_> {
    fn text(self, row: Row, app_id: &str, body: &[u8]) -> String {
        let key = match self.key {
            Key::New => SECRET.as_bytes(),
            Key::Old => OLD_SECRET.as_bytes(),
            Key::Other(key) => key,
        };
        let body = &body[..body.len().saturating_sub(self.short.into())];
        let time = self.time.text();
        let tag = match row {
            Row::Stripe => signed::hmac(key, &[time.as_bytes(), b".", body]),
            Row::Slack => signed::hmac(key, &[b"v0:", time.as_bytes(), b":", body]),
            Row::Shopify | Row::Facebook => signed::hmac(key, &[body]),
            Row::Zalo => {
                let time = signed::zalo_time(body).unwrap_or(time);
                let tag = signed::sha256(&[app_id.as_bytes(), body, time.as_bytes(), key]);
                hex::decode(tag).expect("hex")
            }
        };
        match self.spelling {
            Spelling::Usual if row == Row::Shopify => BASE64_STANDARD.encode(tag),
            Spelling::Usual | Spelling::Hex => hex::encode(tag),
            Spelling::UpperHex => hex::encode_upper(tag),
            Spelling::Base64 => BASE64_STANDARD.encode(tag),
            Spelling::NoPadding => BASE64_STANDARD.encode(tag).trim_end_matches('=').to_owned(),
        }
    }
}

impl Edit<'_> {
    fn apply(self, headers: &mut Vec<(String, String)>, row: Row, app_id: &str, body: &[u8]) {
        let count = headers.len();
        let place = |number: u8| usize::from(number).checked_rem(count);
        match self {
            Edit::Drop { header } => drop(place(header).map(|at| headers.remove(at))),
            Edit::Twice { header } => headers.extend(place(header).map(|at| headers[at].clone())),
            Edit::Upper { header } => {
                if let Some(at) = place(header) {
                    headers[at].0 = headers[at].0.to_ascii_uppercase();
                }
            }
            Edit::Append { header, piece } => {
                if let Some(at) = place(header) {
                    headers[at].1.push_str(&piece.text(row, app_id, body));
                }
            }
            Edit::Prepend { header, piece } => {
                if let Some(at) = place(header) {
                    headers[at].1.insert_str(0, &piece.text(row, app_id, body));
                }
            }
            Edit::Byte { header, at, with } => {
                let Some(header) = place(header) else { return };
                let value = &mut headers[header].1;
                let starts: Vec<usize> = value.char_indices().map(|(at, _)| at).collect();
                if let Some(start) = usize::from(at).checked_rem(starts.len()).map(|at| starts[at]) {
                    value.remove(start);
                    value.insert_str(start, with);
                }
            }
            Edit::Add { name, piece } => {
                headers.push((name.text().to_owned(), piece.text(row, app_id, body)));
            }
        }
    }
}

impl Piece<'_> {
    fn text(self, row: Row, app_id: &str, body: &[u8]) -> String {
        match self {
            Piece::Text(text) => text.to_owned(),
            Piece::Comma => ",".to_owned(),
            Piece::Space => " ".to_owned(),
            Piece::Time(moment) => moment.text(),
            Piece::TimePair(moment) => format!(",t={}", moment.text()),
            Piece::Tag(tag) => format!("{}{}", row.prefix(), tag.text(row, app_id, body)),
            Piece::Version0(tag) => format!(",v0={}", tag.text(row, app_id, body)),
        }
    }
}

impl Moment {
    fn text(self) -> String {
        match self {
            Moment::Now => NOW.to_string(),
            Moment::Edge { ahead, beyond } => {
                let far = 300 + i64::from(beyond);
                (if ahead { NOW + far } else { NOW - far }).to_string()
            }
            Moment::Any(offset) => (NOW + i64::from(offset)).to_string(),
            Moment::Zeros(zeros) => format!("{}{NOW}", "0".repeat(zeros.into())),
            Moment::Plus => format!("+{NOW}"),
        }
    }
}

impl Body<'_> {
    fn bytes(self) -> Vec<u8> {
        match self {
            Body::Bytes(bytes) => bytes.to_vec(),
            Body::Timed { quoted: true, time, more } => {
                format!("{{\"timestamp\":{},\"more\":{more}}}", serde_json::json!(time)).into()
            }
            Body::Timed { quoted: false, time, more } => {
                format!("{{\"timestamp\":{time},\"more\":{more}}}").into()
            }
        }
    }
}
