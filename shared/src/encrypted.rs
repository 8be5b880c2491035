//! Calls whose event may be encrypted as a whole, with a signature over the body as it came, and which carry a token of their
//! own inside; and the challenge that comes without a signature.
//!
//! Architecture invariants: of an event the signature is checked before anything is decrypted. The challenge has none: what
//! may be one is short, is decrypted without saying how that went, and is answered only to whoever knows the token. A token
//! does not leave with the event: whoever may read the queue could send calls with it.

use crate::call::Call;
use crate::crypto::SHA256;
use crate::crypto::aes::{self, BLOCK};
use crate::error::{Failure, Fault, Refused};
use crate::handshake::{Handshake, Outcome, Rejected, is_one_of, is_plain};
use crate::json;
use crate::mac::Mac;
use crate::reply::Reply;
use crate::sample::Draft;
use crate::secret::Secret;
use crate::settings::{Document, Endpoint};
use crate::verify::{Assurance, Description, Evidence, InBody, Proof, Scheme, sealed};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::borrow::Cow;

/// The longest body that may be a challenge, in bytes. Genuine ones stay under 300.
const MAX_CHALLENGE_BODY: usize = 1024;
/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 4096;

/// Calls that are encrypted and signed where the endpoint has a key, and that carry a token in any case.
pub struct Encrypted {
    /// The signature. Its secret is that of the encryption too: the key of AES-256-CBC is the secret's SHA-256, and the
    /// initialisation vector stands before the ciphertext.
    pub signature: Mac<'static>,
    /// Where the ciphertext stands in the body, in base64: a JSON pointer to a member of it.
    pub ciphertext: &'static str,
    /// The setting with the token or tokens.
    pub token: &'static str,
    /// The members where the token may stand in an event; a sample gets it at the first of them that it has room for.
    pub tokens: &'static [InBody],
    /// What tells a challenge from events: where it stands, as a JSON pointer, and the text.
    pub mark: (&'static str, &'static str),
    /// The member of a challenge with the text that is asked for, and of the answer.
    pub challenge: &'static str,
    /// All members that a challenge may have. One with more is an event.
    pub members: &'static [&'static str],
}

impl Encrypted {
    fn is_encrypted(&self, endpoint: &Endpoint) -> bool {
        endpoint.has(self.signature.secret)
    }

    fn pointers(&self) -> impl Iterator<Item = &'static str> {
        self.tokens.iter().filter_map(|place| match place {
            InBody::Member(pointer) => Some(*pointer),
            _ => None,
        })
    }

    /// The ciphertext of a body, if it has one.
    fn ciphertext<'b>(&self, body: &'b [u8]) -> Option<Cow<'b, str>> {
        let text = std::str::from_utf8(body).ok()?;
        json::check(text).ok()?;
        json::scalar(
            json::at(text.trim_ascii(), self.ciphertext).ok()?.filter(|value| value.starts_with('"'))?,
        )
    }

    /// The text of a ciphertext, with the first of the endpoint's keys that gives one.
    fn open(&self, ciphertext: &str, endpoint: &Endpoint) -> Result<Vec<u8>, Failure> {
        const OTHER: Refused = Refused::Mismatch("encrypted text");
        let bytes = BASE64_STANDARD.decode(ciphertext).map_err(|_| OTHER)?;
        let (iv, ciphertext) = bytes.split_first_chunk::<BLOCK>().ok_or(OTHER)?;
        let secrets = endpoint.secrets(self.signature.secret)?.iter();
        let text = secrets.filter_map(|secret| aes::decrypt(&key(secret), iv, ciphertext, BLOCK)).next();
        text.ok_or(OTHER.into())
    }

    /// Checks every token of an event and takes it out. `None` where the event has none.
    fn without_tokens(&self, event: &[u8], endpoint: &Endpoint) -> Result<Option<Vec<u8>>, Failure> {
        const BAD: Refused = Refused::Malformed("token");
        let Ok(mut text) = json::body(event) else { return Ok(None) };
        let mut found = false;
        for pointer in self.pointers() {
            let Some(token) = json::at(&text, pointer).map_err(|_| BAD)? else { continue };
            let token = json::scalar(token).filter(|_| token.starts_with('"')).ok_or(BAD)?;
            if token.len() > MAX_TOKEN {
                return Err(BAD.into());
            }
            if !is_one_of(endpoint.secrets(self.token)?, &token) {
                return Err(Refused::Mismatch("token").into());
            }
            drop(token);
            text = Cow::Owned(json::with(&text, pointer, None).map_err(|_| BAD)?);
            found = true;
        }
        Ok(found.then(|| text.into_owned().into_bytes()))
    }

    /// The text that a challenge asks for, where a call is one and carries our token.
    fn challenged(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Result<Reply, Failure>> {
        let body = call.body().filter(|body| call.method == "POST" && body.len() <= MAX_CHALLENGE_BODY)?;
        let endpoint = settings?.endpoint(call).ok().filter(|endpoint| endpoint.usable().is_ok())?;
        let text = match self.ciphertext(body) {
            None => body.to_vec(),
            Some(ciphertext) => self.open(&ciphertext, endpoint).ok()?,
        };
        let text = json::body(&text).ok()?;
        let members = json::members(&text).ok()?;
        let nothing_else = members.iter().all(|(name, _)| self.members.contains(&name.as_ref()));
        let mark = json::at(&text, self.mark.0).ok().flatten().and_then(json::scalar);
        if !nothing_else || mark.as_deref() != Some(self.mark.1) {
            return None;
        }
        Some(self.without_tokens(text.as_bytes(), endpoint).and_then(|bare| {
            bare.ok_or(Refused::Missing("token"))?;
            let challenge = json::member(&members, self.challenge).ok().flatten().and_then(json::scalar);
            let challenge = challenge.filter(|text| is_plain(text)).ok_or(Refused::Malformed("challenge"))?;
            let answer = format!("{{{}:{}}}", json::string(self.challenge), json::string(&challenge));
            Ok(Reply::echo("application/json", answer))
        }))
    }
}

impl sealed::Sealed for Encrypted {}

impl Scheme for Encrypted {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        if !self.is_encrypted(endpoint) {
            if self.ciphertext(body).is_some() {
                // The provider has a key by now, and the settings have not.
                return Err(Refused::Mismatch("encrypted text").into());
            }
            let bare = self.without_tokens(body, endpoint)?.ok_or(Refused::Missing("token"))?;
            return Ok(Proof::of(Assurance::Token, None).showing(bare));
        }
        let proof = self.signature.check(call, body, endpoint, now)?;
        let ciphertext = self.ciphertext(body).ok_or(Refused::Missing("encrypted text"))?;
        let text = self.open(&ciphertext, endpoint)?;
        let bare = self.without_tokens(&text, endpoint)?;
        Ok(proof.showing(bare.unwrap_or(text)))
    }

    /// Puts the token in, encrypts and signs. Nothing in it is random, so that a sample is signed in one way.
    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        const BAD: Fault = Fault::Event("the sample has no room for the token");
        let token = endpoint.secrets(self.token)?.first().ok_or(Fault::Setting(self.token))?;
        let mut signed = draft.clone();
        let place = self.pointers().find(|pointer| signed.set_member(pointer, token.expose()).is_ok());
        place.ok_or(BAD)?;
        if self.is_encrypted(endpoint) {
            let secrets = endpoint.secrets(self.signature.secret)?;
            let secret = secrets.first().ok_or(Fault::Setting(self.signature.secret))?;
            let digest = SHA256.compute(&[], &[&signed.body, now.to_string().as_bytes()]);
            let mut bytes = digest.bytes().get(..BLOCK).unwrap_or_default().to_vec();
            let iv: [u8; BLOCK] = bytes.as_slice().try_into().map_err(|_| BAD)?;
            bytes.extend(aes::encrypt(&key(secret), &iv, &signed.body, BLOCK));
            let ciphertext = json::string(&BASE64_STANDARD.encode(bytes));
            signed.body = json::with("{}", self.ciphertext, Some(&ciphertext)).map_err(|_| BAD)?.into_bytes();
            match self.signature.sign(&mut signed, endpoint, now) {
                // A challenge has none of the headers, and is not signed.
                Err(Fault::Event(_)) | Ok(()) => {}
                Err(fault) => return Err(fault),
            }
        }
        *draft = signed;
        Ok(())
    }

    /// Without settings what is true of both ways.
    fn describe(&self, endpoint: &Endpoint) -> Description {
        let signature = self.signature.describe();
        if self.is_encrypted(endpoint) {
            return Description { method: format!("{}, AES", signature.method).into(), ..signature };
        }
        let has_settings = endpoint.has(self.token);
        Description {
            method: if has_settings { "token" } else { "by settings" }.into(),
            headers: if has_settings { Vec::new() } else { signature.headers },
            in_body: Some(InBody::FirstOf(self.tokens)),
            assurance: Some(Assurance::Token),
            ..Description::default()
        }
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        self.is_encrypted(endpoint).then(|| self.signature.evidence())
    }
}

impl Handshake for Encrypted {
    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        self.challenged(call, settings).map(|answer| answer.map_err(Rejected::from))
    }

    fn describe(&self) -> &'static str {
        "a challenge with our token, which may be encrypted, echoed"
    }
}

/// The key of AES that a secret stands for.
fn key(secret: &Secret) -> aes::Key {
    let mut key = aes::Key::default();
    let digest = SHA256.compute(&[], &[secret.bytes()]);
    key.iter_mut().zip(digest.bytes()).for_each(|(to, from)| *to = *from);
    key
}
