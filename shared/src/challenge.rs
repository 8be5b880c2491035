//! Challenges that are to be signed with the key that signs events.
//!
//! Architecture invariant: whoever asks could have an event signed if a challenge could be one. So a challenge is a short
//! text of a plain alphabet ([`is_token`]), and nothing of that shape is an event: where a body is signed as it stands,
//! [`Challenged`] refuses one of that shape, however well it is signed; where more is signed than the body
//! ([`SignedToken`]), what is signed holds a character that no challenge may have.

use crate::call::Call;
use crate::error::{Failure, Fault, Refused};
use crate::form;
use crate::handshake::{Handshake, Outcome, Rejected, endpoint_of, marked};
use crate::json;
use crate::keys::RemoteKeys;
use crate::mac::Mac;
use crate::reply::Reply;
use crate::sample::Draft;
use crate::settings::{Document, Endpoint, Flaw};
use crate::verify::{Description, Evidence, Proof, Scheme, Verified, sealed};

/// The longest challenge that is signed, in bytes.
pub const MAX_TOKEN: usize = 128;

/// Signatures over the body as it stands, and a challenge in the query of a GET, which is signed with the same key for
/// whoever asks. Both are in one type, so that no row has the one without knowing of the other.
pub struct Challenged {
    /// The check of the signatures, each over the body alone.
    pub scheme: &'static dyn Scheme,
    /// The same signatures. The first that the endpoint has a secret for signs the challenge.
    pub signatures: &'static [&'static Mac<'static>],
    /// The parameter with the challenge.
    pub challenge: &'static str,
    /// The member of the answer, a JSON object, that holds the tag.
    pub member: &'static str,
    /// What stands before the tag.
    pub prefix: &'static str,
}

impl Challenged {
    fn answer(&self, call: &Call<'_>, settings: Option<&Document>) -> Result<Reply, Failure> {
        let endpoint = endpoint_of(call, settings)?;
        let challenge = form::field(call.query.as_bytes(), self.challenge);
        let challenge = challenge.ok_or(Refused::Missing("challenge"))?;
        if !is_token(challenge.as_bytes()) {
            return Err(Refused::Malformed("challenge").into());
        }
        endpoint.usable()?;
        let missing = Fault::Setting(self.signatures.first().map_or("", |mac| mac.secret));
        let given = self.signatures.iter().find(|mac| endpoint.has(mac.secret)).ok_or(missing)?;
        let tag = given.tag_of(endpoint, challenge.as_bytes())?;
        let tag = json::string(&format!("{}{tag}", self.prefix));
        Ok(Reply::echo("application/json", format!("{{{}:{tag}}}", json::string(self.member))))
    }
}

impl sealed::Sealed for Challenged {}

impl Scheme for Challenged {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        if is_token(body) {
            return Err(Refused::Malformed("a challenge in place of an event").into());
        }
        self.scheme.check(call, body, endpoint, now)
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        self.scheme.sign(draft, endpoint, now)
    }

    fn describe(&self, endpoint: &Endpoint) -> Description {
        self.scheme.describe(endpoint)
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        self.scheme.evidence(endpoint)
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        self.scheme.flaws(endpoint)
    }

    fn remote(&self, endpoint: &Endpoint) -> Option<&'static dyn RemoteKeys> {
        self.scheme.remote(endpoint)
    }

    fn covers_bytes(&self, endpoint: &Endpoint) -> bool {
        self.scheme.covers_bytes(endpoint)
    }
}

impl Handshake for Challenged {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        (call.method == "GET").then(|| self.answer(call, settings).map_err(Rejected::from))
    }

    fn describe(&self) -> &'static str {
        "GET with a challenge, answered with its MAC"
    }
}

/// A signed call with a token whose tag is asked for. It is answered only after its own signature has passed.
pub struct SignedToken {
    /// Where in the body the text stands that tells it from events, as a JSON pointer, and the text.
    pub mark: (&'static str, &'static str),
    /// All members that it may have. One with more is an event.
    pub members: &'static [&'static str],
    /// Where the token stands, as a JSON pointer.
    pub token: &'static str,
    /// The signature of the row. Beside the body it must cover a text with a character that no token may have.
    pub signature: &'static Mac<'static>,
    /// The members of the answer, a JSON object: for the token and for its tag.
    pub answer: (&'static str, &'static str),
}

impl sealed::Sealed for SignedToken {}

impl Handshake for SignedToken {
    fn signed(&self, verified: &Verified<'_>) -> Option<Reply> {
        let body = marked(verified, self.mark, Some(self.members))?;
        let token = json::at(body.trim_ascii(), self.token).ok().flatten().and_then(json::scalar);
        let token = token.filter(|token| is_token(token.as_bytes()))?;
        let tag = self.signature.tag_of(verified.endpoint(), token.as_bytes()).ok()?;
        let [token, tag] = [&*token, &tag].map(json::string);
        let names = [self.answer.0, self.answer.1].map(json::string);
        Some(Reply::echo("application/json", format!("{{{}:{token},{}:{tag}}}", names[0], names[1])))
    }

    fn describe(&self) -> &'static str {
        "a signed challenge, answered with its MAC"
    }
}

/// Whether a text may be signed for whoever asks: short, of an alphabet that URLs and base64 need, and so neither JSON nor a
/// text with a colon.
pub fn is_token(text: &[u8]) -> bool {
    let legal = |b: &u8| b.is_ascii_alphanumeric() || b"._~+/=-".contains(b);
    !text.is_empty() && text.len() <= MAX_TOKEN && text.iter().all(legal)
}
