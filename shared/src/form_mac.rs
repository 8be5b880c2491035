//! A signature over one field of a form, in another field beside the name of its key; and the handshake in which a
//! challenge is signed with the same key for whoever asks.
//!
//! Architecture invariant: the handshake would sign events for strangers if a challenge could be one. Both ends are
//! therefore in one type and know one shape: nothing else is signed for strangers, and nothing of that shape is an event,
//! however well it is signed.

use crate::call::Call;
use crate::crypto::{self, Algorithm};
use crate::error::{Failure, Fault, Refused};
use crate::form;
use crate::handshake::{Handshake, Outcome, Rejected, endpoint_of};
use crate::mac::{Encoding, MAX_SIGNATURE_HEADER, MAX_SIGNATURES};
use crate::reply::Reply;
use crate::sample::Draft;
use crate::settings::{Document, Endpoint};
use crate::verify::{Assurance, Description, Evidence, InBody, Proof, Scheme, sealed};
use std::ops::RangeInclusive;

/// The length of a challenge, which is lower-case hex.
const CHALLENGE: RangeInclusive<usize> = 20..=32;
/// What else may have been signed: the field with a newline after it, where the form was sent without one.
const ENDINGS: [&[u8]; 2] = [b"", b"\n"];

/// A signature over one field of a form.
pub struct FormMac {
    /// How the tag is computed. It is spelled in lower-case hex.
    pub algorithm: &'static Algorithm,
    /// The setting with the name of the key.
    pub key_name: &'static str,
    /// The setting with the key or keys.
    pub secret: &'static str,
    /// The field with the signatures: `name|tag` pairs with `&` between, one for each key of the sender.
    pub signatures: &'static str,
    /// The field that is signed, as it is after decoding the form: base64, perhaps broken into lines.
    pub signed: &'static str,
    /// The parameter of a GET with the challenge.
    pub challenge: &'static str,
}

impl FormMac {
    fn tag(&self, secret: &[u8], text: &str, ending: &[u8]) -> crypto::Tag {
        self.algorithm.compute(secret, &[text.as_bytes(), ending])
    }

    /// The pair by which a text is signed with the endpoint's first key.
    fn pair(&self, endpoint: &Endpoint, text: &str) -> Result<String, Fault> {
        let name = endpoint.text(self.key_name).ok_or(Fault::Setting(self.key_name))?;
        let secret = endpoint.secrets(self.secret)?.first().ok_or(Fault::Setting(self.secret))?;
        Ok(format!("{name}|{}", Encoding::Hex.encode(self.tag(secret.bytes(), text, b"").bytes())))
    }

    /// The tags under our key's name.
    fn tags(&self, signatures: &str, key_name: &str) -> Result<Vec<Vec<u8>>, Refused> {
        if signatures.len() > MAX_SIGNATURE_HEADER {
            return Err(Refused::Malformed("signatures of that length"));
        }
        let pairs = signatures.split('&').filter_map(|pair| pair.split_once('|'));
        let ours: Vec<&str> = pairs.filter(|(name, _)| *name == key_name).map(|(_, tag)| tag).collect();
        if ours.is_empty() {
            // Another key may be the right one by now, so this is for new settings to decide.
            return Err(Refused::Mismatch("name of the key"));
        }
        if ours.len() > MAX_SIGNATURES {
            return Err(Refused::Malformed("too many signatures"));
        }
        let decode = |text: &&str| Encoding::Hex.decode(text, self.algorithm.len).ok();
        let tags: Vec<Vec<u8>> = ours.iter().filter_map(decode).collect();
        if tags.is_empty() { Err(Refused::Malformed("signature")) } else { Ok(tags) }
    }

    fn answer(&self, call: &Call<'_>, settings: Option<&Document>) -> Result<Reply, Failure> {
        let endpoint = endpoint_of(call, settings)?;
        let challenge = form::field(call.query.as_bytes(), self.challenge);
        let challenge = challenge.ok_or(Refused::Missing("challenge"))?;
        if !is_challenge(&challenge) {
            return Err(Refused::Malformed("challenge").into());
        }
        Ok(Reply::echo("text/plain", self.pair(endpoint, &challenge)?))
    }
}

impl sealed::Sealed for FormMac {}

impl Scheme for FormMac {
    fn check(&self, _call: &Call<'_>, body: &[u8], endpoint: &Endpoint, _now: i64) -> Result<Proof, Failure> {
        let fields = form::fields(body).map_err(|_| Refused::Malformed("form"))?;
        let field = |name| form::only(&fields, name);
        let signatures = field(self.signatures).ok_or(Refused::Missing("signature"))?;
        let text = field(self.signed).ok_or(Refused::Missing("signed field"))?;
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/=\n".contains(&b)) {
            return Err(Refused::Malformed("signed field").into());
        }
        if is_challenge(&text.replace('\n', "")) {
            return Err(Refused::Malformed("a challenge in place of an event").into());
        }
        let key_name = endpoint.text(self.key_name).ok_or(Fault::Setting(self.key_name))?;
        let tags = self.tags(signatures, key_name)?;
        let mut matched = false;
        for secret in endpoint.secrets(self.secret)? {
            for ending in ENDINGS {
                let expected = self.tag(secret.bytes(), text, ending);
                for tag in &tags {
                    matched |= crypto::same(expected.bytes(), tag);
                }
            }
        }
        if !matched {
            return Err(Refused::Mismatch("signature").into());
        }
        // Nothing but the signed field makes the event.
        Ok(Proof::of(Assurance::Signed, None))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, _now: i64) -> Result<(), Fault> {
        const BAD: Fault = Fault::Event("the sample lacks the field that is signed");
        let pair = self.pair(endpoint, &form::field(&draft.body, self.signed).ok_or(BAD)?)?;
        let signed = form::with_field(&draft.body, self.signatures, &|_| Some(pair.clone()));
        draft.body = signed.map_err(|_| BAD)?;
        Ok(())
    }

    fn describe(&self, _endpoint: &Endpoint) -> Description {
        Description {
            method: self.algorithm.name.into(),
            in_body: Some(InBody::Field(self.signatures)),
            assurance: Some(Assurance::Signed),
            ..Description::default()
        }
    }

    fn evidence(&self, _endpoint: &Endpoint) -> Option<Evidence> {
        // The signature stands in the body.
        Some(Evidence { headers: Vec::new(), url: false })
    }
}

impl Handshake for FormMac {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        (call.method == "GET").then(|| self.answer(call, settings).map_err(Rejected::from))
    }

    fn describe(&self) -> &'static str {
        "GET with a challenge of short hex, signed"
    }
}

/// Whether a text is what the handshake signs. No event is: in base64 an event has more than these characters.
fn is_challenge(text: &str) -> bool {
    CHALLENGE.contains(&text.len()) && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}
