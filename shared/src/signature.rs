//! Signatures with a key pair: the settings hold the public key, and nobody but the provider has the private one.
//!
//! Architecture invariant: a key comes from the settings and never from the call, nor does its algorithm.

use crate::call::Call;
use crate::crypto::signature::{Algorithm, PublicKey};
use crate::error::{Failure, Fault, Refused};
use crate::mac::{self, Encoding, FRESH, MAX_SIGNATURE_HEADER, Part, Timestamp};
use crate::sample::Draft;
use crate::secret::Secret;
use crate::settings::{Endpoint, Flaw};
use crate::trial;
use crate::verify::{Assurance, Description, Evidence, Proof, Scheme, sealed};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// A signature over parts of the call, checked with a public key.
pub struct Signature {
    /// How it is checked.
    pub algorithm: &'static Algorithm,
    /// The setting with the public key or keys.
    pub key: &'static str,
    /// How a key is written there.
    pub key_form: KeyForm,
    /// The header with the signature.
    pub header: &'static str,
    /// How it is spelled.
    pub encoding: Encoding,
    /// What is signed, one after another.
    pub signed: &'static [Part<'static>],
    /// Where a signed time stands and how far it may be from ours.
    pub timestamp: Option<Timestamp<'static>>,
}

/// How a public key is written in a setting.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum KeyForm {
    /// Its own bytes in hex.
    Hex,
    /// A SubjectPublicKeyInfo in DER, in base64.
    Spki,
}

impl Signature {
    fn read(&self, text: &Secret) -> Result<PublicKey, &'static str> {
        let text = text.expose();
        match self.key_form {
            KeyForm::Hex => PublicKey::raw(self.algorithm, &hex::decode(text).map_err(|_| "is not hex")?),
            KeyForm::Spki => {
                let der = BASE64_STANDARD.decode(text).map_err(|_| "is not base64 with padding")?;
                PublicKey::spki(self.algorithm, &der)
            }
        }
    }

    /// The endpoint's keys, at least one. A text that is none is left out: the others still serve.
    fn keys(&self, endpoint: &Endpoint) -> Result<Vec<PublicKey>, Fault> {
        let keys: Vec<_> =
            endpoint.secrets(self.key)?.iter().filter_map(|text| self.read(text).ok()).collect();
        if keys.is_empty() { Err(Fault::Setting(self.key)) } else { Ok(keys) }
    }

    fn message(
        &self,
        call: &Call<'_>,
        body: &[u8],
        endpoint: &Endpoint,
        timestamp: Option<&str>,
    ) -> Result<Vec<u8>, Failure> {
        Ok(mac::parts(self.signed, call, body, endpoint, timestamp)?.concat())
    }

    fn assurance(&self) -> Assurance {
        match self.timestamp {
            _ if !self.signed.iter().any(|part| matches!(part, Part::Body)) => Assurance::SignedFields,
            Some(rule) if rule.tolerance <= FRESH => Assurance::SignedFresh,
            _ => Assurance::Signed,
        }
    }

    fn is_of_trials(&self, key: &PublicKey) -> bool {
        trial::public_key(self.algorithm.trial).is_some_and(|ours| ours.bytes() == key.bytes())
    }
}

impl sealed::Sealed for Signature {}

impl Scheme for Signature {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        let text = call.header(self.header).ok_or(Refused::Missing("signature"))?;
        if text.len() > MAX_SIGNATURE_HEADER {
            return Err(Refused::Malformed("a signature header of that length").into());
        }
        let signature = self.encoding.bytes(text).filter(|bytes| self.algorithm.fits(bytes));
        let signature = signature.ok_or(Refused::Malformed("signature"))?;
        let timestamp = self.timestamp.and_then(|rule| rule.offered(call, body));
        let signed_time = mac::signed_time(self.timestamp, timestamp.as_deref(), now)?;
        let message = self.message(call, body, endpoint, timestamp.as_deref())?;
        if !self.keys(endpoint)?.iter().any(|key| key.verifies(&message, &signature)) {
            return Err(Refused::Mismatch("signature").into());
        }
        Ok(Proof::of(self.assurance(), signed_time))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        const BAD: Fault = Fault::Event("the sample lacks a field that is signed");
        let is_ours = self.keys(endpoint)?.first().is_some_and(|key| self.is_of_trials(key));
        let trial = draft.trial.filter(|_| is_ours).ok_or(Fault::Settings(
            "the provider alone can sign for this public key; samples are signed for the throw-away one of local trials",
        ))?;
        let timestamp = self.timestamp.map(|rule| (rule, rule.unit.write(now)));
        if let Some((rule, text)) = &timestamp {
            rule.put(draft, text).map_err(|_| BAD)?;
        }
        let text = timestamp.as_ref().map(|(_, text)| text.as_str());
        let message = self.message(&draft.call(), &draft.body, endpoint, text);
        let message = message.map_err(|failure| failure.of_ours(BAD))?;
        let signature = (trial.0)(self.algorithm.trial, &message).ok_or(Fault::Setting(self.key))?;
        draft.set_header(self.header, &self.encoding.encode(&signature));
        Ok(())
    }

    fn describe(&self, _endpoint: &Endpoint) -> Description {
        Description {
            method: self.algorithm.name.into(),
            headers: vec![self.header.to_owned()],
            timestamp_header: self.timestamp.and_then(|rule| rule.header()),
            tolerance: self.timestamp.map(|rule| rule.tolerance),
            assurance: Some(self.assurance()),
            ..Description::default()
        }
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        Some(mac::evidence_of(self.describe(endpoint), self.signed))
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut usable = 0;
        for text in endpoint.secrets(self.key).unwrap_or_default() {
            let key = self.read(text).and_then(|key| key.invalid().map_or(Ok(key), Err));
            match key {
                Ok(key) if self.is_of_trials(&key) => {
                    let what = "is the throw-away key of local trials: anybody can sign for it";
                    flaws.push(Flaw::local(self.key, what));
                }
                Ok(_) => {}
                Err(what) => {
                    flaws.push(Flaw::mistake(self.key, what));
                    continue;
                }
            }
            usable += 1;
        }
        if usable == 0 && endpoint.has(self.key) {
            flaws.push(Flaw::fatal(self.key, "has no usable value"));
        }
        flaws
    }
}
