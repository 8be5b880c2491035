//! The check that a call comes from its provider: one order of steps for every scheme, and the only maker of
//! [`Verified`].
//!
//! The schemes themselves stand in [`crate::mac`], [`crate::form_mac`], [`crate::token`] and [`crate::declared`]. For all of them what the check
//! needs is there once, well-formed and fresh, before anything is hashed; then every configured secret is tried against
//! every signature offered, and the comparison takes the same time wherever two tags differ.

use crate::call::Call;
use crate::error::{Failure, Fault, Refused, Unreadable};
use crate::keys::RemoteKeys;
use crate::mac::public_url;
use crate::provider::Provider;
use crate::sample::Draft;
use crate::settings::{Endpoint, Flaw};
use crate::{form, json};
use std::borrow::Cow;
use std::fmt;

/// What was checked, said to the consumer as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Assurance {
    /// User name and password of HTTP Basic.
    Basic,
    /// A shared token that does not cover the body.
    Token,
    /// Some fields are signed, and the rest of the body is not.
    SignedFields,
    /// The whole body is signed.
    Signed,
    /// The whole body is signed, and a signed time was within ten minutes.
    SignedFresh,
}

impl Assurance {
    /// As the envelope says it.
    pub fn name(self) -> &'static str {
        match self {
            Assurance::Basic => "basic",
            Assurance::Token => "token",
            Assurance::SignedFields => "signed-fields",
            Assurance::Signed => "signed",
            Assurance::SignedFresh => "signed-fresh",
        }
    }

    /// Whether the body cannot have been changed on its way.
    pub fn covers_body(self) -> bool {
        self >= Assurance::Signed
    }
}

/// A call that passed its check, with what may be believed of it. Only [`verify`] makes one, and nothing in it can be put in
/// place of what was checked.
pub struct Verified<'v> {
    provider: &'static Provider,
    call: &'v Call<'v>,
    body: &'v [u8],
    endpoint: &'v Endpoint,
    proof: Proof,
}

impl<'v> Verified<'v> {
    /// The row that it was checked by.
    pub fn provider(&self) -> &'static Provider {
        self.provider
    }

    /// The call.
    pub fn call(&self) -> &'v Call<'v> {
        self.call
    }

    /// The exact bytes of the body.
    pub fn body(&self) -> &'v [u8] {
        self.body
    }

    /// What the event is read from: what the check brought to light, else the body.
    pub fn content(&self) -> &[u8] {
        self.proof.content.as_deref().unwrap_or(self.body)
    }

    /// What tells the call from every other: the fields that were signed, where they alone were, so that it stays the same
    /// whatever somebody puts beside them; else the body, or of a call without one what is shown.
    pub fn distinct(&self) -> &[u8] {
        match &self.proof.fields {
            Some(fields) => fields,
            None if self.body.is_empty() => self.content(),
            None => self.body,
        }
    }

    /// The settings that it was checked with.
    pub fn endpoint(&self) -> &'v Endpoint {
        self.endpoint
    }

    /// What was checked.
    pub fn assurance(&self) -> Assurance {
        self.proof.assurance
    }

    /// The signed time in Unix seconds, where the provider signs one.
    pub fn signed_time(&self) -> Option<i64> {
        self.proof.signed_time
    }
}

/// What a scheme found out about a call.
#[derive(Clone)]
pub struct Proof {
    assurance: Assurance,
    signed_time: Option<i64>,
    content: Option<Vec<u8>>,
    fields: Option<Vec<u8>>,
}

/// How a scheme is described to people, and where tests and `send --forge` find its signature.
#[derive(Debug, Clone, Default)]
pub struct Description {
    /// `HMAC-SHA256`, `token`
    pub method: Cow<'static, str>,
    /// Headers that carry a signature or token, in lower case.
    pub headers: Vec<String>,
    /// Query parameters that carry a token.
    pub parameters: Vec<String>,
    /// Where the body carries a signature or token.
    pub in_body: Option<InBody>,
    /// The header that carries the signed time alone.
    pub timestamp_header: Option<String>,
    /// Window of the signed time in seconds, to both sides.
    pub tolerance: Option<u64>,
    /// What it is worth.
    pub assurance: Option<Assurance>,
}

/// A place in the body for a signature or token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InBody {
    /// A field of a form.
    Field(&'static str),
    /// A text in a JSON body, by its JSON pointer.
    Member(&'static str),
    /// The first of these places that is there.
    FirstOf(&'static [InBody]),
    /// A member of every object in an array.
    Each {
        /// The member of the body with the array.
        entries: &'static str,
        /// The member of each object.
        member: &'static str,
    },
}

impl InBody {
    /// The body with other values there: `change` is asked for each place with what stands in it, and its `None` leaves
    /// the place empty. All else stays as it is.
    pub fn changed(&self, body: &[u8], change: &Change<'_>) -> Result<Vec<u8>, Unreadable> {
        match *self {
            InBody::Field(name) => form::with_field(body, name, change),
            InBody::Member(pointer) => {
                json::with_text(&json::body(body)?, pointer, change).map(String::into_bytes)
            }
            InBody::FirstOf(places) => {
                let place = places.iter().find(|place| place.is_there(body));
                place.ok_or(Unreadable("no such place in it"))?.changed(body, change)
            }
            InBody::Each { entries, member } => {
                json::with_each(&json::body(body)?, entries, member, change).map(String::into_bytes)
            }
        }
    }

    /// Whether something stands there.
    fn is_there(&self, body: &[u8]) -> bool {
        match *self {
            InBody::Field(name) => form::field(body, name).is_some(),
            InBody::Member(pointer) => {
                json::body(body).is_ok_and(|body| json::at(&body, pointer).is_ok_and(|value| value.is_some()))
            }
            InBody::FirstOf(places) => places.iter().any(|place| place.is_there(body)),
            InBody::Each { entries, member } => {
                json::body(body).is_ok_and(|body| json::each(&body, entries, member).is_ok())
            }
        }
    }
}

/// What comes in place of a value.
pub type Change<'c> = dyn Fn(Option<&str>) -> Option<String> + 'c;

impl fmt::Display for InBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            InBody::Field(name) => write!(f, "{name}="),
            InBody::Member(pointer) => f.write_str(pointer),
            InBody::FirstOf(places) => {
                for (i, place) in places.iter().enumerate() {
                    write!(f, "{}{place}", if i > 0 { " or " } else { "" })?;
                }
                Ok(())
            }
            InBody::Each { entries, member } => write!(f, "{entries}[].{member}"),
        }
    }
}

/// What of a call a later check needs beside its body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Headers, in lower case.
    pub headers: Vec<String>,
    /// Whether the public URL is signed.
    pub url: bool,
}

/// A way to tell that a call is genuine. The set is closed; a row points at one.
pub trait Scheme: sealed::Sealed + Sync {
    /// Checks a call at a time, in Unix seconds.
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure>;

    /// Signs a draft with the same row and the endpoint's first secret, at a time in Unix seconds.
    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault>;

    /// Says how it works with these settings.
    fn describe(&self, endpoint: &Endpoint) -> Description;

    /// What has to be kept of a call so that it can be checked again; `None` where that would be a credential.
    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence>;

    /// The public URL of a call, as it is signed.
    fn url(&self, call: &Call<'_>, endpoint: &Endpoint) -> String {
        public_url(call, endpoint)
    }

    /// The published keys that a check with these settings needs, if any: where a check ends in
    /// [`Refused::UnknownKey`], they may be worth fetching.
    fn remote(&self, _endpoint: &Endpoint) -> Option<&'static dyn RemoteKeys> {
        None
    }

    /// What is wrong with an endpoint's settings beyond what the row's list of settings says.
    fn flaws(&self, _endpoint: &Endpoint) -> Vec<Flaw> {
        Vec::new()
    }

    /// Whether each byte of the body is signed, and not what it says alone: there spaces, or the order of members, may differ.
    fn covers_bytes(&self, _endpoint: &Endpoint) -> bool {
        true
    }
}

pub(crate) mod sealed {
    /// Keeps the vocabulary closed: a scheme that no test of ours has seen cannot be named in a row.
    pub trait Sealed {}
}

/// Checks a call against an endpoint's settings at a time in Unix seconds.
pub fn verify<'v>(
    provider: &'static Provider,
    call: &'v Call<'v>,
    endpoint: &'v Endpoint,
    now: i64,
) -> Result<Verified<'v>, Failure> {
    let body = call.body().ok_or(Refused::Malformed("the body does not decode"))?;
    let proof = provider.scheme.check(call, body, endpoint, now)?;
    Ok(Verified { provider, call, body, endpoint, proof })
}

impl Proof {
    /// For the schemes of this crate alone.
    pub(crate) fn of(assurance: Assurance, signed_time: Option<i64>) -> Proof {
        Proof { assurance, signed_time, content: None, fields: None }
    }

    /// The same with what the event is read from in place of the body: the text that was encrypted, the query of a call
    /// without a body. It was checked as a whole.
    pub(crate) fn showing(self, content: Vec<u8>) -> Proof {
        Proof { content: Some(content), ..self }
    }

    /// The same with the fields of the body that alone were signed, as they were signed.
    pub(crate) fn of_fields(self, fields: Vec<u8>) -> Proof {
        Proof { fields: Some(fields), ..self }
    }

    /// Of two checks that a call passed, the stronger.
    pub(crate) fn strongest(self, other: Option<Proof>) -> Proof {
        match other {
            Some(other) if other.assurance > self.assurance => other,
            _ => self,
        }
    }
}

impl fmt::Debug for Verified<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Neither body nor headers: a consumer's data does not belong in a log.
        f.debug_struct("Verified").field("assurance", &self.proof.assurance).finish_non_exhaustive()
    }
}
