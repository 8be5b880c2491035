//! Samples as somebody else would send them: signed, and then changed; or signed with what is no longer or never was right.

use clap::ValueEnum;
use registry::Sample;
use serde_json::{Map, Value};
use shared::provider::{Provider, Shape};
use shared::sample::{self, Draft};
use shared::settings::{Document, Endpoint};
use shared::trial;
use shared::verify::{Assurance, Change, Description};
use std::collections::BTreeSet;

/// How old a stale signature is, in seconds; more where the window is wider.
const AN_HOUR: i64 = 3600;
/// How far from its end a signature is changed: past what base64's last character pads.
const FROM_END: usize = 8;
/// How many characters of base64 a key of AES-256 has, without padding.
const AES_KEY: usize = 43;

/// What is wrong with a forged call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// One byte of the body is changed after it was signed
    Body,
    /// One character of the signature or token is another
    Signature,
    /// Signed with another secret
    Secret,
    /// Signed an hour ago
    Stale,
    /// No signature or token at all
    Missing,
}

impl Kind {
    /// As a table says it.
    pub fn said(self) -> &'static str {
        match self {
            Kind::Body => "body changed",
            Kind::Signature => "signature changed",
            Kind::Secret => "another secret",
            Kind::Stale => "an hour old",
            Kind::Missing => "no signature",
        }
    }

    /// Whether a provider's check can notice it, or why the question makes no sense.
    pub fn makes_sense(self, provider: &Provider, endpoint: &Endpoint) -> Result<(), String> {
        let description = provider.scheme.describe(endpoint);
        match self {
            Kind::Body if !description.assurance.is_some_and(Assurance::covers_body) => Err(format!(
                "{} signs no body ({}): a changed one cannot be told",
                provider.title, description.method
            )),
            Kind::Stale if description.tolerance.is_none() => Err(format!(
                "{} signs no time that is checked: an old call cannot be told from a late one",
                provider.title
            )),
            _ => Ok(()),
        }
    }
}

/// An endpoint's settings, as read and as written.
pub struct Signer<'s> {
    /// The row.
    pub provider: &'static Provider,
    /// The settings that sign.
    pub endpoint: &'s Endpoint,
    /// The provider's table.
    pub table: &'s Map<String, Value>,
}

impl Signer<'_> {
    /// A sample, signed at a time in Unix seconds as its provider signs, or forged.
    pub fn draft(&self, sample: &Sample, forged: Option<Kind>, now: i64) -> Result<Draft, String> {
        let file = self.file(sample);
        let fault = |fault| format!("{}: {fault}", sample.name);
        let sign = |endpoint, now| sample::signed(self.provider, &file, endpoint, now).map_err(fault);
        let Some(kind) = forged else { return sign(self.endpoint, now) };
        kind.makes_sense(self.provider, self.endpoint)?;
        let description = self.provider.scheme.describe(self.endpoint);
        let stale = || {
            AN_HOUR.max(
                description
                    .tolerance
                    .and_then(|window| i64::try_from(window).ok())
                    .unwrap_or_default()
                    .saturating_add(60),
            )
        };
        let mut draft = match kind {
            Kind::Stale => sign(self.endpoint, now.saturating_sub(stale()))?,
            Kind::Secret => {
                let other = self.with_other_secrets()?;
                sample::signed_by_stranger(self.provider, &file, &other, now).map_err(fault)?
            }
            Kind::Body | Kind::Signature | Kind::Missing => sign(self.endpoint, now)?,
        };
        match kind {
            Kind::Body => {
                let middle = draft.body.len() / 2;
                let byte = draft
                    .body
                    .get_mut(middle)
                    .ok_or_else(|| format!("{} has no body to change", sample.name))?;
                *byte ^= 1;
            }
            Kind::Signature => change_signature(&mut draft, &description),
            Kind::Missing => remove_signature(&mut draft, &description),
            Kind::Secret | Kind::Stale => {}
        }
        Ok(draft)
    }

    /// The sample with the path that a gate sees: that of the endpoint, without the provider's name.
    fn file(&self, sample: &Sample) -> String {
        let own = format!(" /{}", self.provider.name);
        let path = format!(" /{}", self.endpoint.name().unwrap_or_default());
        let (request, rest) = sample.file.split_once('\n').unwrap_or((sample.file, ""));
        let (_, after) = request.split_once(&own).unwrap_or(("", "/"));
        // Only the whole first segment is the provider's name.
        let request = if after.is_empty() || after.starts_with('?') {
            request.replacen(&own, &path, 1)
        } else {
            request.to_owned()
        };
        format!("{request}\n{rest}")
    }

    /// The same endpoint with other secrets and passwords. A public key stays: it is a stranger who signs for it.
    fn with_other_secrets(&self) -> Result<Endpoint, String> {
        let secrets: BTreeSet<&str> = self
            .provider
            .settings
            .iter()
            .filter(|setting| setting.shape == Shape::Secret)
            .map(|setting| setting.name)
            .chain(["password"])
            .collect();
        let mut table = self.table.clone();
        for (name, value) in &mut table {
            replace(name, value, &secrets)?;
        }
        let document = Document::of(self.provider, &table);
        let same = document.endpoints().iter().find(|endpoint| endpoint.name() == self.endpoint.name());
        same.cloned().ok_or_else(|| "no such endpoint".to_owned())
    }
}

/// Replaces what is a secret by its name, however deep it stands.
fn replace(name: &str, value: &mut Value, secrets: &BTreeSet<&str>) -> Result<(), String> {
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                replace(name, value, secrets)?;
            }
        }
        _ if secrets.contains(name) && !value.as_str().is_some_and(trial::is_public_half) => {
            let old = value.as_str().or_else(|| value.get(0)?.as_str()).unwrap_or_default();
            let mut other = random()?;
            // Keys of AES are of one length; hex is base64 too.
            if old.len() == AES_KEY {
                other.truncate(AES_KEY);
            }
            *value = Value::String(other);
        }
        _ => {}
    }
    Ok(())
}

/// A secret that nobody knows: 256 bits in hex.
pub fn random() -> Result<String, String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random bytes: {error}"))?;
    Ok(hex::encode(bytes))
}

fn change_signature(draft: &mut Draft, description: &Description) {
    for (name, value) in &mut draft.headers {
        if description.headers.iter().any(|header| header.eq_ignore_ascii_case(name)) {
            *value = with_another_character(value);
        }
    }
    let parameters = draft.query.split('&').map(|pair| match pair.split_once('=') {
        Some((name, value)) if is_named(name, &description.parameters) => {
            format!("{name}={}", with_another_character(value))
        }
        _ => pair.to_owned(),
    });
    draft.query = parameters.collect::<Vec<_>>().join("&");
    change_in_body(draft, description, &|value| value.map(with_another_character));
}

fn remove_signature(draft: &mut Draft, description: &Description) {
    draft
        .headers
        .retain(|(name, _)| description.headers.iter().all(|header| !header.eq_ignore_ascii_case(name)));
    let is_other =
        |pair: &&str| !is_named(pair.split('=').next().unwrap_or_default(), &description.parameters);
    draft.query = draft.query.split('&').filter(is_other).collect::<Vec<_>>().join("&");
    change_in_body(draft, description, &|_| None);
}

/// A body that cannot hold a signature, such as that of an unsigned probe, stays as it is.
fn change_in_body(draft: &mut Draft, description: &Description, change: &Change<'_>) {
    let changed = description.in_body.map(|place| place.changed(&draft.body, change));
    if let Some(Ok(body)) = changed {
        draft.body = body;
    }
}

/// Whether a parameter's name, as it stands in a query, is one of these.
fn is_named(encoded: &str, names: &[String]) -> bool {
    let decoded = percent_encoding::percent_decode_str(encoded).decode_utf8_lossy();
    names.iter().any(|name| *name == decoded)
}

/// A value of the same alphabet and length that differs in one character.
fn with_another_character(value: &str) -> String {
    let at = value.chars().count().saturating_sub(FROM_END);
    let other = |c: char| match c {
        '0' => '1',
        '1'..='9' => '0',
        'a' => 'b',
        'A' => 'B',
        'A'..='Z' => 'A',
        _ => 'a',
    };
    value.chars().enumerate().map(|(i, c)| if i == at { other(c) } else { c }).collect()
}
