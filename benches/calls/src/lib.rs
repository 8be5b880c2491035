//! Calls as AWS hands them to a function: made of the registry's samples, of a wanted size, and signed by the row that
//! checks them. All settings and keys here are throw-away.

mod body;
mod cut;
mod event;

use registry::{Entry, Sample};
use serde_json::{Map, Value, json};
use shared::json;
use shared::provider::{Provider, Shape, Split};
use shared::sample::{self, Draft};
use shared::settings::{Document, Endpoint};

pub use event::BodyAs;

/// The largest event that Lambda takes, in bytes of JSON text: the limit that its own refusal names. Its documentation
/// says 6 MB.
pub const MAX_EVENT: usize = 6_291_556;

/// How often a size is aimed at anew: a signature may stand in the body, and encryption makes it longer.
const ROUNDS: usize = 12;
/// How far from its end a signature is changed: past what base64's last character pads.
const FROM_END: usize = 8;

/// A call, signed.
#[derive(Clone)]
pub struct Made {
    /// The event of a function URL, payload format 2.0, as JSON text.
    pub event: String,
    /// Length of the body in bytes, as the provider sends it.
    pub body_bytes: usize,
    /// The HTTP request that the event is made of.
    pub draft: Draft,
    /// How the body travels in the event.
    pub body_as: BodyAs,
    provider: &'static Provider,
    now: i64,
}

impl Made {
    fn of(provider: &'static Provider, draft: Draft, body_as: BodyAs, now: i64) -> Made {
        Made {
            event: event::text(&draft, body_as, now),
            body_bytes: draft.body.len(),
            draft,
            body_as,
            provider,
            now,
        }
    }
}

/// The settings of a provider as `HOOKGATE_CONFIG` holds them: each setting's example, where the row has one, and
/// otherwise a text that says what it is.
///
/// A provider whose check is laid out by its settings gets that of its first signed sample.
pub fn config(provider: &str) -> Result<String, String> {
    Ok(Value::Object(settings(entry(provider)?.provider)).to_string())
}

fn settings(provider: &Provider) -> Map<String, Value> {
    let mut settings = Map::new();
    for setting in provider.settings.iter().filter(|setting| setting.required || setting.example.is_some()) {
        let made_up = || match setting.shape {
            Shape::Object => json!({}),
            _ => format!("throw-away {} of a benchmark", setting.name).into(),
        };
        settings.insert(setting.name.to_owned(), setting.example_value().unwrap_or_else(made_up));
    }
    if provider.event_by_settings.is_some() {
        settings.insert("secret".to_owned(), "throw-away secret of a benchmark".into());
        settings.insert("signature".to_owned(), json!({ "header": "x-signature" }));
        let event = json!({ "prefix": "com.example", "type": "/event", "id": "/id", "time": "/at" });
        settings.insert("event".to_owned(), event);
    }
    settings
}

/// A sample, signed at a time in Unix seconds, with a body of that many bytes: what the sample holds and more of the like,
/// or, of a JSON object, less. Up to 48 bytes are missing where the body is in base64 or encrypted in blocks. A call without a
/// body, whose fields stand in its query, stays as it is.
///
/// An error where there is no such sample, or where it cannot be made so short.
pub fn call(
    provider: &str,
    sample: &str,
    body_bytes: usize,
    body_as: BodyAs,
    now: i64,
) -> Result<Made, String> {
    let entry = entry(provider)?;
    let sample = entry.samples.iter().find(|known| known.name == sample).ok_or_else(|| {
        let names: Vec<&str> = entry.samples.iter().map(|known| known.name).collect();
        format!("{provider} has no sample {sample}. There are {}", names.join(", "))
    })?;
    let draft = parsed(sample)?;
    if draft.body.is_empty() {
        return Ok(Made::of(entry.provider, signed(entry.provider, draft, now)?, body_as, now));
    }
    let mut aim = body_bytes;
    let mut best: Option<Draft> = None;
    for _ in 0..ROUNDS {
        let grown = Draft { body: sized(entry.provider, &draft.body, aim)?, ..draft.clone() };
        let signed = signed(entry.provider, grown, now)?;
        let is = signed.body.len();
        if is <= body_bytes && best.as_ref().is_none_or(|best| best.body.len() < is) {
            best = Some(signed);
        }
        if is == body_bytes {
            break;
        }
        // Blocks make it jump: a step down is no shorter than one of AES.
        aim = match is.checked_sub(body_bytes) {
            Some(over) => aim.saturating_sub(over.max(16)),
            None => aim + (body_bytes - is),
        };
    }
    let best = best.ok_or_else(|| format!("{provider}'s {} cannot be of {body_bytes} bytes", sample.name))?;
    Ok(Made::of(entry.provider, best, body_as, now))
}

/// One call with so many events, none of them like another.
///
/// An error for a provider that never sends several.
pub fn batch(provider: &str, events: usize, now: i64) -> Result<Made, String> {
    let entry = entry(provider)?;
    let mut found = entry.samples.iter().filter(|sample| !sample.is_handshake());
    let (draft, body) = found
        .find_map(|sample| {
            let draft = parsed(sample).ok()?;
            let body = repeated(entry.provider.event.split, std::str::from_utf8(&draft.body).ok()?, events)?;
            Some((draft, body))
        })
        .ok_or_else(|| format!("{provider} sends one event in a call"))?;
    let draft = signed(entry.provider, Draft { body: body.into_bytes(), ..draft }, now)?;
    Ok(Made::of(entry.provider, draft, BodyAs::AwsDecides, now))
}

/// The largest call that Lambda takes: an event of [`MAX_EVENT`] bytes at most, and of no more than some 30 bytes less.
pub fn ceiling(provider: &str, now: i64) -> Result<Made, String> {
    let entry = entry(provider)?;
    let sample = entry.samples.iter().find(|sample| !sample.is_handshake()).ok_or("no sample")?;
    let base64 = |bytes: usize| bytes.div_ceil(3) * 4;
    let mut bytes = MAX_EVENT / 4 * 3;
    // What is around the body is known when the call is made, and grows with the digits of its length.
    for _ in 0..ROUNDS {
        let small = call(provider, sample.name, bytes.min(100_000), BodyAs::Base64, now)?;
        let around = small.event.len() - base64(small.body_bytes) + 2;
        bytes = MAX_EVENT.saturating_sub(around) / 4 * 3;
    }
    call(provider, sample.name, bytes, BodyAs::Base64, now)
}

/// The same call, with one character of its signature or token another: as long and as well-formed as the genuine one.
pub fn forged(made: &Made) -> Result<Made, String> {
    let endpoint = endpoint(made.provider)?;
    let description = made.provider.scheme.describe(&endpoint);
    let mut draft = made.draft.clone();
    for (name, value) in &mut draft.headers {
        if description.headers.iter().any(|header| header.eq_ignore_ascii_case(name)) {
            *value = with_another_character(value);
        }
    }
    let is_signature = |encoded: &str| {
        let name = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
        description.parameters.iter().any(|parameter| *parameter == name)
    };
    let pairs = draft.query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if is_signature(name) => {
            format!("{name}={}", with_another_character(value))
        }
        _ => pair.to_owned(),
    });
    draft.query = pairs.collect::<Vec<_>>().join("&");
    if let Some(place) = description.in_body {
        draft.body = place
            .changed(&draft.body, &|value| value.map(with_another_character))
            .map_err(|_| "a body without a signature")?;
    }
    let forged = Made::of(made.provider, draft, made.body_as, made.now);
    if forged.event == made.event { Err("nothing to forge was found".to_owned()) } else { Ok(forged) }
}

fn entry(provider: &str) -> Result<&'static Entry, String> {
    registry::find(provider).ok_or_else(|| format!("no provider is called {provider}"))
}

fn parsed(sample: &Sample) -> Result<Draft, String> {
    Draft::parse(sample.file).map_err(|fault| format!("{}: {fault}", sample.name))
}

/// The endpoint of [`config`].
fn endpoint(provider: &'static Provider) -> Result<Endpoint, String> {
    let document = Document::of(provider, &settings(provider));
    document.endpoints().first().cloned().ok_or_else(|| format!("{} has no endpoint", provider.name))
}

/// A draft, signed by its row.
fn signed(provider: &'static Provider, draft: Draft, now: i64) -> Result<Draft, String> {
    sample::signed_draft(provider, draft, &endpoint(provider)?, now)
        .map_err(|fault| format!("{}: {fault}", provider.name))
}

/// A body of so many bytes, more or less of what it holds.
fn sized(provider: &Provider, sample: &[u8], bytes: usize) -> Result<Vec<u8>, String> {
    let text = std::str::from_utf8(sample).map_err(|_| "a sample that is not UTF-8")?;
    let cut;
    let text = if text.len() > bytes {
        cut = cut::to(text, bytes, &provider.event).ok_or_else(|| {
            format!("a body of {} bytes of {} cannot be cut to {bytes}", text.len(), provider.name)
        })?;
        &cut
    } else {
        text
    };
    Ok(body::grown(text, bytes).into_bytes())
}

/// A JSON body with the item that it begins with in it so many times, each with other ids. `None` where the row does not
/// cut its calls this way, or where this body has no such item.
fn repeated(split: Split, body: &str, times: usize) -> Option<String> {
    let all = |item: &str| {
        let items: Vec<String> = (0..times).map(|i| body::with_other_ids(item, i)).collect();
        format!("[{}]", items.join(","))
    };
    match split {
        Split::Array => Some(all(json::elements(body).ok()?.first()?)),
        Split::Entries { entries, items } | Split::Nested { entries, items, .. } => {
            let (entries_at, first) = (format!("/{entries}"), format!("/{entries}/0"));
            let entry = json::at(body, &first).ok()??;
            let entry_with = |name: &&str| {
                let item = json::at(entry, &format!("/{name}/0")).ok()??;
                json::with(entry, &format!("/{name}"), Some(&all(item))).ok()
            };
            let entries = match items {
                [] => all(entry),
                items => format!("[{}]", items.iter().find_map(entry_with)?),
            };
            json::with(body, &entries_at, Some(&entries)).ok()
        }
        _ => None,
    }
}

/// A value of the same alphabet and length that differs in one character.
fn with_another_character(value: &str) -> String {
    let at = value.chars().count().saturating_sub(FROM_END);
    let other = |c: char| match c {
        '0' => '1',
        'a' => 'b',
        'A' => 'B',
        c if c.is_ascii_digit() => '0',
        c if c.is_ascii_uppercase() => 'A',
        _ => 'a',
    };
    value.chars().enumerate().map(|(i, c)| if i == at { other(c) } else { c }).collect()
}
