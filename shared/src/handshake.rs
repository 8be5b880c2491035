//! What providers ask of an endpoint without telling an event. A handshake never reaches the queue, and an event that
//! merely looks like one is no handshake.
//!
//! Architecture invariant: nothing that a stranger chose is signed here ([`crate::form_mac`] and [`crate::challenge`] sign
//! what can be no event); what is echoed is short and marked as text, and of a plain alphabet unless the provider may
//! choose any.

use crate::call::Call;
use crate::crypto;
use crate::error::{Failure, Fault, Refused};
use crate::form;
use crate::json;
use crate::provider::Answer;
use crate::reply::Reply;
use crate::sample::Draft;
use crate::secret::Secret;
use crate::settings::{Document, Endpoint};
use crate::verify::{Verified, sealed::Sealed};
use std::borrow::Cow;

/// The longest challenge that is echoed, in bytes.
pub const MAX_CHALLENGE: usize = 256;

/// The longest text of any alphabet that is echoed, in bytes. Genuine ones are of some 120.
pub const MAX_ECHO: usize = 2048;

/// What a handshake makes of a call: its answer, or why it is not answered.
pub type Outcome = Result<Reply, Rejected>;

/// A handshake that did not pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected {
    /// Why.
    pub failure: Failure,
    /// The status that the provider's documentation demands in place of 401.
    pub status: Option<u16>,
}

impl<F: Into<Failure>> From<F> for Rejected {
    fn from(failure: F) -> Rejected {
        Rejected { failure: failure.into(), status: None }
    }
}

/// A handshake that a row points at. The set is closed.
pub trait Handshake: Sealed + Sync {
    /// The method that it comes by.
    fn method(&self) -> &'static str {
        "POST"
    }

    /// Answers a call that carries no signature, if it is such a one. The settings may be missing: some providers show
    /// a secret only after the URL was saved.
    fn unsigned(&self, _call: &Call<'_>, _settings: Option<&Document>) -> Option<Outcome> {
        None
    }

    /// Answers a call that passed its check, if it is no event.
    fn signed(&self, _verified: &Verified<'_>) -> Option<Reply> {
        None
    }

    /// Signs a sample of it that comes by a method that no event comes by.
    fn sign(&self, _draft: &mut Draft, _endpoint: &Endpoint, _now: i64) -> Result<(), Fault> {
        Ok(())
    }

    /// A sentence for people.
    fn describe(&self) -> &'static str;
}

/// GET with a challenge, which is echoed if a token of our own comes with it.
pub struct VerifyToken {
    /// The setting with our token.
    pub setting: &'static str,
    /// The parameter that names the mode, and its value.
    pub mode: (&'static str, &'static str),
    /// The parameter with the token.
    pub token: &'static str,
    /// The parameter with the challenge.
    pub challenge: &'static str,
    /// The documented status for a wrong token.
    pub refused: u16,
}

impl Sealed for VerifyToken {}

impl Handshake for VerifyToken {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        (call.method == "GET").then(|| {
            self.answer(call, settings).map_err(|failure| Rejected { failure, status: Some(self.refused) })
        })
    }

    fn describe(&self) -> &'static str {
        "GET with a verify token, the challenge is echoed"
    }
}

impl VerifyToken {
    fn answer(&self, call: &Call<'_>, settings: Option<&Document>) -> Result<Reply, Failure> {
        let endpoint = endpoint_of(call, settings)?;
        let ours = endpoint.secrets(self.setting)?;
        let parameter = |name| form::field(call.query.as_bytes(), name);
        let token = parameter(self.token).ok_or(Refused::Missing("verify token"))?;
        if !is_one_of(ours, &token) {
            return Err(Refused::Mismatch("verify token").into());
        }
        if parameter(self.mode.0).as_deref() != Some(self.mode.1) {
            return Err(Refused::Malformed("mode").into());
        }
        let challenge = parameter(self.challenge).filter(|text| is_plain(text));
        let challenge = challenge.ok_or(Refused::Malformed("challenge"))?;
        Ok(Reply::echo("text/plain", challenge.into_owned()))
    }
}

/// A signed call that asks for a text of its body back.
pub struct SignedChallenge {
    /// Where in the body the text stands that tells it from events, as a JSON pointer, and the text.
    pub mark: (&'static str, &'static str),
    /// The member with the text that is asked for.
    pub challenge: &'static str,
    /// All members that it may have. One with more is an event.
    pub members: &'static [&'static str],
}

impl Sealed for SignedChallenge {}

impl Handshake for SignedChallenge {
    fn signed(&self, verified: &Verified<'_>) -> Option<Reply> {
        let body = marked(verified, self.mark, Some(self.members))?;
        let members = json::members(&body).ok()?;
        let challenge = json::member(&members, self.challenge).ok().flatten().and_then(json::scalar);
        let challenge = challenge.filter(|text| is_plain(text))?;
        Some(Reply::echo("text/plain", challenge.into_owned()))
    }

    fn describe(&self) -> &'static str {
        "a signed challenge, echoed"
    }
}

/// A signed call that asks for the text of a header back. The header itself is not signed: what is echoed is short and inert,
/// and only whoever has the secret is answered.
pub struct HeaderChallenge {
    /// Where in the body the text stands that tells it from events, as a JSON pointer, and the text.
    pub mark: (&'static str, &'static str),
    /// The header with the text that is asked for, in lower case.
    pub challenge: &'static str,
}

impl Sealed for HeaderChallenge {}

impl Handshake for HeaderChallenge {
    fn signed(&self, verified: &Verified<'_>) -> Option<Reply> {
        marked(verified, self.mark, None)?;
        let challenge = verified.call().header(self.challenge).filter(|text| is_plain(text))?;
        Some(Reply::echo("text/plain", challenge.to_owned()))
    }

    fn describe(&self) -> &'static str {
        "a signed call with a challenge in a header, echoed"
    }
}

/// HEAD, by which a provider tries whether the URL answers. It says nothing and is told nothing.
pub struct HeadProbe;

impl Sealed for HeadProbe {}

impl Handshake for HeadProbe {
    fn method(&self) -> &'static str {
        "HEAD"
    }

    fn unsigned(&self, call: &Call<'_>, _settings: Option<&Document>) -> Option<Outcome> {
        (call.method == "HEAD").then(|| Ok(Reply::handshake(Answer::EMPTY_200)))
    }

    fn describe(&self) -> &'static str {
        "an unsigned HEAD, answered 200"
    }
}

/// GET of a WebSub hub that was asked to subscribe or unsubscribe this URL, perhaps by a stranger: its challenge is echoed
/// where that is what the settings want, and nowhere else.
///
/// <https://www.w3.org/TR/websub/#hub-verifies-intent>
pub struct IntentVerification {
    /// The setting with the topics that are wanted. To unsubscribe from any of them is not.
    pub topics: &'static str,
    /// The setting with a token of our own, which the hub must give back where it is set.
    pub token: &'static str,
}

impl Sealed for IntentVerification {}

impl Handshake for IntentVerification {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        // The specification demands 404 for what is not wanted.
        (call.method == "GET")
            .then(|| self.answer(call, settings).map_err(|failure| Rejected { failure, status: Some(404) }))
    }

    fn describe(&self) -> &'static str {
        "GET of a hub, the challenge is echoed if the topic is wanted"
    }
}

impl IntentVerification {
    fn answer(&self, call: &Call<'_>, settings: Option<&Document>) -> Result<Reply, Failure> {
        let endpoint = endpoint_of(call, settings)?;
        endpoint.usable()?;
        let fields = form::fields(call.query.as_bytes()).map_err(|_| Refused::Malformed("query"))?;
        let parameter = |name| form::only(&fields, name).ok_or(Refused::Missing("parameter of a hub"));
        let mode = parameter("hub.mode")?;
        if mode == "denied" {
            // The hub tells that it sends nothing, which asks for no more than a success.
            return Ok(Reply::handshake(Answer::EMPTY_200));
        }
        if endpoint.has(self.token) {
            let token = parameter("hub.verify_token")?;
            if !is_one_of(endpoint.secrets(self.token)?, token) {
                return Err(Refused::Mismatch("verify token").into());
            }
        }
        let topic = parameter("hub.topic")?;
        let is_wanted = endpoint.texts(self.topics).iter().any(|wanted| wanted == topic);
        match (mode.as_ref(), is_wanted) {
            ("subscribe", true) | ("unsubscribe", false) => {}
            ("subscribe" | "unsubscribe", _) => return Err(Refused::Mismatch("topic").into()),
            _ => return Err(Refused::Malformed("mode").into()),
        }
        let challenge = parameter("hub.challenge")?;
        if !is_inert(challenge) {
            return Err(Refused::Malformed("challenge").into());
        }
        Ok(Reply::echo("text/plain", challenge.clone().into_owned()))
    }
}

/// A form of one flag and perhaps a token, by which a provider tries whether the URL answers.
pub struct FlagProbe {
    /// The field that is the flag, and its value.
    pub flag: (&'static str, &'static str),
    /// All fields that it may have. One with more is an event.
    pub fields: &'static [&'static str],
}

impl Sealed for FlagProbe {}

impl Handshake for FlagProbe {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn unsigned(&self, call: &Call<'_>, _settings: Option<&Document>) -> Option<Outcome> {
        let form = if call.method == "GET" { call.query.as_bytes() } else { call.body()? };
        if form.len() > MAX_CHALLENGE {
            return None;
        }
        let fields = form::fields(form).ok()?;
        let flagged = fields.iter().any(|(name, value)| (name.as_ref(), value.as_ref()) == self.flag);
        let nothing_else = fields.iter().all(|(name, _)| self.fields.contains(&name.as_ref()));
        (flagged && nothing_else).then(|| Ok(Reply::handshake(Answer::EMPTY_200)))
    }

    fn describe(&self) -> &'static str {
        "an unsigned probe of a flag, answered 200"
    }
}

/// An unsigned POST of nothing or of `{}`, by which a provider tries whether the URL answers.
pub struct EmptyProbe {
    /// The header of the signature. A call that has it is to be checked.
    pub unless: &'static str,
}

impl Sealed for EmptyProbe {}

impl Handshake for EmptyProbe {
    fn unsigned(&self, call: &Call<'_>, _settings: Option<&Document>) -> Option<Outcome> {
        let empty = call.method == "POST" && matches!(call.body()?.trim_ascii(), b"" | b"{}");
        let probe = empty && call.header(self.unless).is_none();
        probe.then(|| Ok(Reply::handshake(Answer::EMPTY_200)))
    }

    fn describe(&self) -> &'static str {
        "an unsigned probe without content, answered 200"
    }
}

/// An unsigned POST with a text in its query, which is to be given back decoded once. The provider promises nothing of its
/// alphabet, so it is any text without control characters.
pub struct QueryEcho {
    /// The parameter with the text.
    pub parameter: &'static str,
}

impl Sealed for QueryEcho {}

impl Handshake for QueryEcho {
    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        // A call with JSON in it is an event, whatever its URL says.
        let is_event = matches!(call.body()?.trim_ascii_start().first(), Some(b'{' | b'[' | 0xef));
        let fields = form::fields(call.query.as_bytes()).ok()?;
        let asked = fields.iter().any(|(name, _)| name == self.parameter);
        (call.method == "POST" && asked && !is_event)
            .then(|| self.answer(call, settings, form::only(&fields, self.parameter)).map_err(Rejected::from))
    }

    fn describe(&self) -> &'static str {
        "an unsigned text in the query, echoed"
    }
}

impl QueryEcho {
    /// Only where events are served too: a person waits for this answer, and nobody for theirs.
    fn answer(
        &self,
        call: &Call<'_>,
        settings: Option<&Document>,
        text: Option<&Cow<'_, str>>,
    ) -> Result<Reply, Failure> {
        endpoint_of(call, settings)?.usable()?;
        let text = text.filter(|text| is_inert(text)).ok_or(Refused::Malformed("text to echo"))?;
        Ok(Reply::echo("text/plain; charset=utf-8", text.clone().into_owned()))
    }
}

/// A signed call whose list of events is empty, by which a provider tries whether the URL answers and checks.
pub struct EmptyBatch {
    /// The member with the list.
    pub entries: &'static str,
    /// All members that it may have. One with more is an event.
    pub members: &'static [&'static str],
}

impl Sealed for EmptyBatch {}

impl Handshake for EmptyBatch {
    fn signed(&self, verified: &Verified<'_>) -> Option<Reply> {
        let body = json::body(verified.body()).ok()?;
        let members = json::members(&body).ok()?;
        let nothing_else = members.iter().all(|(name, _)| self.members.contains(&name.as_ref()));
        let list = json::member(&members, self.entries).ok().flatten()?;
        let empty = list.starts_with('[') && json::elements(list).ok()?.is_empty();
        (empty && nothing_else).then(|| Reply::handshake(Answer::EMPTY_200))
    }

    fn describe(&self) -> &'static str {
        "a signed call without events, answered 200"
    }
}

/// Signed calls that tell nothing, each with an answer of its own.
pub struct SignedPing(pub &'static [Ping]);

/// See [`SignedPing`].
pub struct Ping {
    /// Where in the body its mark stands, as a JSON pointer, and the mark.
    pub mark: (&'static str, &'static str),
    /// Members of which every event under the same mark has one.
    pub without: &'static [&'static str],
    /// The documented answer.
    pub answer: Answer,
}

impl Sealed for SignedPing {}

impl Handshake for SignedPing {
    fn signed(&self, verified: &Verified<'_>) -> Option<Reply> {
        let body = json::body(verified.body()).ok()?;
        let members = json::members(&body).ok()?;
        let is_meant = |ping: &&Ping| {
            let mark = json::at(&body, ping.mark.0).ok().flatten().and_then(json::scalar);
            let is_event = members.iter().any(|(name, _)| ping.without.contains(&name.as_ref()));
            mark.as_deref() == Some(ping.mark.1) && !is_event
        };
        self.0.iter().find(is_meant).map(|ping| Reply::handshake(ping.answer))
    }

    fn describe(&self) -> &'static str {
        "a signed ping, answered as documented"
    }
}

/// A page that proves that the URL's host is ours: a file of a name that holds a token, or the page at the root.
pub struct SitePage {
    /// The setting with the token.
    pub setting: &'static str,
    /// What the file's name has before and after the token.
    pub file: (&'static str, &'static str),
    /// What stands in the file before and after the token.
    pub text: (&'static str, &'static str),
    /// The same for the page at the root.
    pub root: (&'static str, &'static str),
}

impl Sealed for SitePage {}

impl Handshake for SitePage {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        if call.method != "GET" {
            return None;
        }
        let last = call.last_segment();
        let named = self.token(last);
        let Some(settings) = settings else {
            return Some(Err(Fault::Settings("could not be read").into()));
        };
        let is_meant = |name: &str| named.is_some() || last.is_empty() || name == last;
        let mut tokens = settings
            .endpoints()
            .iter()
            .filter(|endpoint| endpoint.name().is_none_or(is_meant))
            .filter_map(|endpoint| endpoint.text(self.setting))
            // A person may have taken the name of the whole file for the token.
            .map(|text| self.token(text).unwrap_or(text))
            .filter(|token| is_plain(token));
        let token = tokens.find(|token| named.is_none_or(|named| named == *token))?;
        let (before, after) = if named.is_some() { self.text } else { self.root };
        Some(Ok(Reply::echo("text/html; charset=utf-8", format!("{before}{token}{after}"))))
    }

    fn describe(&self) -> &'static str {
        "GET of a page that proves who owns the host"
    }
}

impl SitePage {
    /// The token in a file's name.
    fn token<'t>(&self, file: &'t str) -> Option<&'t str> {
        file.strip_prefix(self.file.0)?.strip_suffix(self.file.1)
    }
}

/// The body of a signed call in which a text at a JSON pointer says that it is no event, and which has no members but
/// these.
pub(crate) fn marked<'v>(
    verified: &Verified<'v>,
    mark: (&str, &str),
    members: Option<&[&str]>,
) -> Option<Cow<'v, str>> {
    let body = json::body(verified.body()).ok()?;
    let found = json::at(body.trim_ascii(), mark.0).ok().flatten().and_then(json::scalar);
    if found.as_deref() != Some(mark.1) {
        return None;
    }
    let known = |(name, _): &(Cow<'_, str>, _)| members.is_none_or(|known| known.contains(&name.as_ref()));
    let nothing_else = json::members(&body).ok()?.iter().all(known);
    nothing_else.then_some(body)
}

/// The endpoint that a call is for; a fault where the settings could not be read.
pub(crate) fn endpoint_of<'d>(
    call: &Call<'_>,
    settings: Option<&'d Document>,
) -> Result<&'d Endpoint, Failure> {
    Ok(settings.ok_or(Fault::Settings("could not be read"))?.endpoint(call)?)
}

/// Whether a text is one of these secrets. Each of them is compared, whichever it is.
pub(crate) fn is_one_of(secrets: &[Secret], text: &str) -> bool {
    let mut matched = false;
    for secret in secrets {
        matched |= crypto::same_text(secret.bytes(), text.as_bytes());
    }
    matched
}

/// Whether a text is of any alphabet and can do no harm as plain text.
fn is_inert(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ECHO && !text.chars().any(char::is_control)
}

/// Whether a text is short and of an alphabet that means nothing to a browser.
pub(crate) fn is_plain(text: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.=".contains(&b);
    !text.is_empty() && text.len() <= MAX_CHALLENGE && text.bytes().all(legal)
}
