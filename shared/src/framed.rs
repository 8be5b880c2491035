//! Calls whose event is encrypted in a frame: random bytes, the length of the text, the text, the id of whom it is for. What
//! vouches for them stands in the query: SHA-1 over a token, the time, a nonce and the ciphertext, sorted.
//!
//! Architecture invariants: the signature is checked before anything is decrypted. Whatever goes wrong after that (key,
//! padding, length, receiver) is one refusal with one reason, so that nobody can ask for a text bit by bit. The texts are
//! hashed with nothing between them; each has a form of its own (digits, a short nonce without `+`, `/` and `=`, base64 in
//! whole blocks), or a piece of the ciphertext could be moved into the nonce under the same signature, and what SHA-1 lets be
//! appended could follow. What is given back to whoever asks by GET is no event's text, whatever was encrypted.

use crate::call::Call;
use crate::crypto::aes::{self, BLOCK};
use crate::crypto::{self, SHA1, Tag};
use crate::error::{Failure, Fault, Refused};
use crate::form;
use crate::handshake::{Handshake, Outcome, Rejected, endpoint_of, is_plain};
use crate::json;
use crate::mac::{Encoding, Unit};
use crate::provider::{Content, Format};
use crate::reply::Reply;
use crate::sample::Draft;
use crate::secret::Secret;
use crate::settings::{Document, Endpoint, Flaw};
use crate::verify::{Assurance, Description, Evidence, Proof, Scheme, Verified, sealed};
use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use base64::prelude::BASE64_STANDARD;
use std::borrow::Cow;
use std::time::{SystemTime, UNIX_EPOCH};

/// The parameters of the query with the time and the nonce.
const TIME: &str = "timestamp";
const NONCE: &str = "nonce";
/// The longest nonce. A piece of ciphertext that leaves whole blocks and whole base64 behind is longer, or ends with `=`.
const MAX_NONCE: usize = 40;
/// What the padded text is a multiple of, in bytes.
const PADDED_TO: usize = 32;
/// Random bytes at the beginning of a frame, and those of the length after them.
const RANDOM: usize = 16;
const LENGTH: usize = 4;

/// The setting that says whether calls come encrypted, and its values.
pub const MODE: &str = "mode";
const ENCRYPTED: &str = "encrypted";
const PLAIN: &str = "plain";

/// Keys are base64 without padding, of random characters: the last one says more than the key has bits.
const KEY_TEXT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(true)
        .with_decode_padding_mode(DecodePaddingMode::RequireNone),
);

/// Calls with an encrypted frame, a signature over it in the query, and the GET by which the provider tries the URL.
pub struct Framed {
    /// The setting with the token or tokens that are hashed with the rest.
    pub token: &'static str,
    /// The setting with the key or keys of AES-256: 43 characters of base64. The first 16 bytes are the initialisation vector.
    pub key: &'static str,
    /// The setting with the id of whom calls are for.
    pub receiver: &'static str,
    /// The parameters that may have the signature; the first of them that is there counts.
    pub signatures: &'static [&'static str],
    /// How the time is written.
    pub unit: Unit,
    /// How a body is read that holds a ciphertext.
    pub format: Format,
    /// Where the ciphertext may stand in it, as JSON pointers.
    pub ciphertext: &'static [&'static str],
    /// The parameter with a signature over token, time and nonce alone. It serves for the GET; and for calls that are not
    /// encrypted, where the setting `mode` says `plain`.
    pub bare_signature: Option<&'static str>,
    /// The parameter of the GET with the text to give back: as it stands where there is a bare signature, else encrypted.
    pub echo: &'static str,
}

/// A text as it is sent: encrypted and signed.
pub struct Signed {
    /// In base64.
    pub ciphertext: String,
    /// As the row writes it.
    pub time: String,
    /// Of letters and digits.
    pub nonce: String,
    /// In lower-case hex.
    pub signature: String,
}

/// What of the query is signed.
struct Query<'c> {
    time: Cow<'c, str>,
    nonce: Cow<'c, str>,
    tag: Vec<u8>,
}

impl Framed {
    /// Whether the settings ask for calls that are not encrypted.
    fn is_plain(&self, endpoint: &Endpoint) -> bool {
        self.bare_signature.is_some() && endpoint.text(MODE) == Some(PLAIN)
    }

    /// The signed texts of the query and the signature in the first of these parameters that is there.
    fn query<'c>(&self, call: &'c Call<'_>, signatures: &[&str]) -> Result<Query<'c>, Refused> {
        let fields = form::fields(call.query.as_bytes()).map_err(|_| Refused::Malformed("query"))?;
        let only = |name: &str| form::only(&fields, name).cloned();
        let is_there = |name: &&&str| fields.iter().any(|(n, _)| n == **name);
        let signature = signatures.iter().find(is_there).and_then(|name| only(name));
        let signature = signature.ok_or(Refused::Missing("signature"))?;
        let tag = Encoding::Hex.decode(&signature, SHA1.len)?;
        let time = only(TIME).ok_or(Refused::Missing("signed time"))?;
        self.unit.read(&time).ok_or(Refused::Malformed("signed time"))?;
        let nonce = only(NONCE).ok_or(Refused::Missing("nonce"))?;
        let is_legal = |b: u8| b.is_ascii_alphanumeric() || b"-_".contains(&b);
        if nonce.is_empty() || nonce.len() > MAX_NONCE || !nonce.bytes().all(is_legal) {
            return Err(Refused::Malformed("nonce"));
        }
        Ok(Query { time, nonce, tag })
    }

    /// The token by which the texts of a query, and perhaps a ciphertext, are signed.
    fn token<'e>(
        &self,
        endpoint: &'e Endpoint,
        query: &Query<'_>,
        ciphertext: Option<&str>,
    ) -> Result<&'e Secret, Failure> {
        let mut found = None;
        for token in endpoint.secrets(self.token)? {
            if crypto::same(tag(token, &query.time, &query.nonce, ciphertext).bytes(), &query.tag) {
                found = Some(token);
            }
        }
        found.ok_or(Refused::Mismatch("signature").into())
    }

    fn ciphertext(&self, call: &Call<'_>, body: &[u8]) -> Result<String, Refused> {
        const NONE: Refused = Refused::Missing("encrypted text");
        let content_type = call.header("content-type").unwrap_or_default();
        let Ok(Content::Json(object)) = (self.format)(body, content_type) else { return Err(NONE) };
        let text = |pointer: &&str| {
            let value = json::at(&object, pointer).ok()?;
            Some(json::scalar(value.filter(|value| value.starts_with('"'))?)?.into_owned())
        };
        self.ciphertext.iter().find_map(text).ok_or(NONE)
    }

    /// The text in the frame of a ciphertext that a signature vouches for, and the key that it was encrypted with.
    fn open(&self, ciphertext: &str, endpoint: &Endpoint) -> Result<(Vec<u8>, aes::Key), Failure> {
        const OTHER: Refused = Refused::Mismatch("encrypted text");
        let receiver = endpoint.text(self.receiver).ok_or(Fault::Setting(self.receiver))?;
        let ciphertext = BASE64_STANDARD.decode(ciphertext).map_err(|_| OTHER)?;
        for key in self.keys(endpoint)? {
            if let Some(text) = unframed(&key, &ciphertext, receiver) {
                return Ok((text, key));
            }
        }
        Err(OTHER.into())
    }

    /// The usable keys, at least one.
    fn keys(&self, endpoint: &Endpoint) -> Result<Vec<aes::Key>, Fault> {
        let keys: Vec<aes::Key> = endpoint.secrets(self.key)?.iter().filter_map(key).collect();
        if keys.is_empty() { Err(Fault::Setting(self.key)) } else { Ok(keys) }
    }

    /// A text in a frame, with 16 characters of random hex, and 16 more for the nonce.
    fn seal(
        &self,
        (token, key): (&Secret, &aes::Key),
        (random, nonce): (&str, &str),
        receiver: &str,
        text: &[u8],
        now: i64,
    ) -> Signed {
        let length = u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes();
        let frame = [random.as_bytes(), &length, text, receiver.as_bytes()].concat();
        let ciphertext = BASE64_STANDARD.encode(aes::encrypt(key, &iv(key), &frame, PADDED_TO));
        let time = self.unit.write(now);
        let signature = Encoding::Hex.encode(tag(token, &time, nonce, Some(&ciphertext)).bytes());
        Signed { ciphertext, time, nonce: nonce.to_owned(), signature }
    }

    /// An answer to a call, for its sender alone: with the token and the key that the call came with.
    pub fn answer(&self, verified: &Verified<'_>, text: &str) -> Result<Signed, Fault> {
        const NOT_OURS: Fault = Fault::Answer("the call was not encrypted");
        let (call, endpoint) = (verified.call(), verified.endpoint());
        let query = self.query(call, self.signatures).map_err(|_| NOT_OURS)?;
        let ciphertext = self.ciphertext(call, verified.body()).map_err(|_| NOT_OURS)?;
        let token = self.token(endpoint, &query, Some(&ciphertext)).map_err(|_| NOT_OURS)?;
        let (_, key) = self.open(&ciphertext, endpoint).map_err(|_| NOT_OURS)?;
        let receiver = endpoint.text(self.receiver).ok_or(Fault::Setting(self.receiver))?;
        let random = hex::encode(aes::random::<RANDOM>().ok_or(Fault::Answer("no random bytes"))?);
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(since_1970.as_secs()).unwrap_or(i64::MAX);
        Ok(self.seal((token, &key), random.split_at(RANDOM), receiver, text.as_bytes(), now))
    }

    /// A sample's text as it is sent. Nothing in it is random, so that a sample is signed in one way.
    fn sample(&self, endpoint: &Endpoint, text: &[u8], now: i64) -> Result<Signed, Fault> {
        let token = endpoint.secrets(self.token)?.first().ok_or(Fault::Setting(self.token))?;
        let key = self.keys(endpoint)?.into_iter().next().ok_or(Fault::Setting(self.key))?;
        let receiver = endpoint.text(self.receiver).ok_or(Fault::Setting(self.receiver))?;
        let digest = crypto::sha256_hex(&[text, now.to_string().as_bytes()]);
        let (random, rest) = digest.split_at_checked(RANDOM).unwrap_or_default();
        let nonce = rest.get(..RANDOM).unwrap_or_default();
        Ok(self.seal((token, &key), (random, nonce), receiver, text, now))
    }

    /// Signs time and nonce alone.
    fn sign_bare(
        &self,
        draft: &mut Draft,
        parameter: &str,
        endpoint: &Endpoint,
        now: i64,
    ) -> Result<(), Fault> {
        let token = endpoint.secrets(self.token)?.first().ok_or(Fault::Setting(self.token))?;
        let time = self.unit.write(now);
        let digest = crypto::sha256_hex(&[&draft.body, draft.query.as_bytes(), time.as_bytes()]);
        let nonce = digest.get(..RANDOM).unwrap_or_default();
        draft.add_parameter(parameter, &Encoding::Hex.encode(tag(token, &time, nonce, None).bytes()));
        draft.add_parameter(TIME, &time);
        draft.add_parameter(NONCE, nonce);
        Ok(())
    }

    fn add_signature(&self, draft: &mut Draft, signed: &Signed) {
        draft.add_parameter(self.signatures.first().copied().unwrap_or_default(), &signed.signature);
        draft.add_parameter(TIME, &signed.time);
        draft.add_parameter(NONCE, &signed.nonce);
    }

    /// A body that holds a ciphertext as that of a JSON object or of an XML document does.
    fn wrapped(&self, ciphertext: &str, as_json: bool) -> Option<String> {
        self.ciphertext.iter().find_map(|pointer| {
            match (as_json, pointer.split('/').skip(1).collect::<Vec<_>>().as_slice()) {
                (true, [name]) => Some(format!(r#"{{"{name}":"{ciphertext}"}}"#)),
                (false, [root, name]) => {
                    Some(format!("<{root}><{name}><![CDATA[{ciphertext}]]></{name}></{root}>"))
                }
                _ => None,
            }
        })
    }

    fn give_back(&self, call: &Call<'_>, settings: Option<&Document>) -> Result<Reply, Failure> {
        let endpoint = endpoint_of(call, settings)?;
        endpoint.usable()?;
        let asked = form::field(call.query.as_bytes(), self.echo).ok_or(Refused::Missing("text to echo"))?;
        let text = match self.bare_signature {
            Some(parameter) => {
                self.token(endpoint, &self.query(call, &[parameter])?, None)?;
                asked.into_owned()
            }
            None => {
                self.token(endpoint, &self.query(call, self.signatures)?, Some(&asked))?;
                let (text, _) = self.open(&asked, endpoint)?;
                String::from_utf8(text).unwrap_or_default()
            }
        };
        if !is_plain(&text) {
            return Err(Refused::Malformed("text to echo").into());
        }
        Ok(Reply::echo("text/plain", text))
    }
}

impl sealed::Sealed for Framed {}

impl Scheme for Framed {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, _now: i64) -> Result<Proof, Failure> {
        if let Some(parameter) = self.bare_signature.filter(|_| self.is_plain(endpoint)) {
            self.token(endpoint, &self.query(call, &[parameter])?, None)?;
            return Ok(Proof::of(Assurance::Token, None));
        }
        let query = self.query(call, self.signatures)?;
        let ciphertext = self.ciphertext(call, body)?;
        self.token(endpoint, &query, Some(&ciphertext))?;
        let (text, _) = self.open(&ciphertext, endpoint)?;
        // Nothing but the encrypted text makes the event, and the signature covers all of it.
        Ok(Proof::of(Assurance::Signed, self.unit.read(&query.time)).showing(text))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        if let Some(parameter) = self.bare_signature.filter(|_| self.is_plain(endpoint)) {
            return self.sign_bare(draft, parameter, endpoint, now);
        }
        let signed = self.sample(endpoint, &draft.body, now)?;
        let as_json = draft.body.trim_ascii_start().starts_with(b"{");
        let body = self.wrapped(&signed.ciphertext, as_json);
        draft.body = body.ok_or(Fault::Event("the sample has another format than calls have"))?.into_bytes();
        self.add_signature(draft, &signed);
        Ok(())
    }

    fn describe(&self, endpoint: &Endpoint) -> Description {
        let bare = self.bare_signature.filter(|_| self.is_plain(endpoint));
        let parameters = match &bare {
            Some(parameter) => std::slice::from_ref(parameter),
            None => self.signatures,
        };
        Description {
            method: if bare.is_some() { "SHA-1 without the body" } else { "SHA-1, AES" }.into(),
            parameters: parameters.iter().map(ToString::to_string).collect(),
            assurance: Some(if bare.is_some() { Assurance::Token } else { Assurance::Signed }),
            ..Description::default()
        }
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        // A signature that says nothing of the body serves for any.
        (!self.is_plain(endpoint)).then(|| Evidence { headers: Vec::new(), url: true })
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        if self.bare_signature.is_some() && !matches!(endpoint.text(MODE), None | Some(ENCRYPTED | PLAIN)) {
            flaws.push(Flaw::fatal(MODE, "must be `encrypted` or `plain`"));
        }
        if self.is_plain(endpoint) {
            return flaws;
        }
        if endpoint.text(self.receiver).is_none() {
            flaws.push(Flaw::fatal(self.receiver, "is missing"));
        }
        match endpoint.secrets(self.key) {
            Err(_) if endpoint.has(self.key) => {}
            Err(_) => flaws.push(Flaw::fatal(self.key, "is missing")),
            Ok(keys) => match keys.iter().filter(|text| key(text).is_none()).count() {
                0 => {}
                bad if bad < keys.len() => {
                    flaws.push(Flaw::mistake(self.key, "has a value that is not 43 characters of base64"));
                }
                _ => flaws.push(Flaw::fatal(self.key, "must be 43 characters of base64")),
            },
        }
        flaws
    }
}

impl Handshake for Framed {
    fn method(&self) -> &'static str {
        "GET"
    }

    fn unsigned(&self, call: &Call<'_>, settings: Option<&Document>) -> Option<Outcome> {
        (call.method == "GET").then(|| self.give_back(call, settings).map_err(Rejected::from))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        if let Some(parameter) = self.bare_signature {
            return self.sign_bare(draft, parameter, endpoint, now);
        }
        const NONE: Fault = Fault::Event("the sample lacks the text that is given back");
        let text = form::field(draft.query.as_bytes(), self.echo).ok_or(NONE)?.into_owned();
        let signed = self.sample(endpoint, text.as_bytes(), now)?;
        draft.query.clear();
        self.add_signature(draft, &signed);
        draft.add_parameter(self.echo, &signed.ciphertext);
        Ok(())
    }

    fn describe(&self) -> &'static str {
        match self.bare_signature {
            Some(_) => "a signed GET with a text, echoed",
            None => "a signed GET with an encrypted text, echoed decrypted",
        }
    }
}

/// SHA-1 over the texts, sorted by their bytes, with nothing between them.
fn tag(token: &Secret, time: &str, nonce: &str, ciphertext: Option<&str>) -> Tag {
    let mut texts = vec![token.bytes(), time.as_bytes(), nonce.as_bytes()];
    texts.extend(ciphertext.map(str::as_bytes));
    texts.sort_unstable();
    SHA1.compute(&[], &texts)
}

fn key(text: &Secret) -> Option<aes::Key> {
    let mut key = aes::Key::default();
    let mut bytes = zeroize::Zeroizing::new([0_u8; aes::KEY + 1]);
    let length = KEY_TEXT.decode_slice(text.expose(), &mut *bytes).ok()?;
    key.copy_from_slice(bytes.get(..length)?.get(..aes::KEY)?);
    (length == aes::KEY).then_some(key)
}

/// The initialisation vector, which is a part of the key. The random bytes in front of each text make up for it.
fn iv(key: &aes::Key) -> [u8; BLOCK] {
    let mut iv = [0; BLOCK];
    iv.iter_mut().zip(key.iter()).for_each(|(to, from)| *to = *from);
    iv
}

/// The text of a frame that is for this receiver.
fn unframed(key: &aes::Key, ciphertext: &[u8], receiver: &str) -> Option<Vec<u8>> {
    let frame = aes::decrypt(key, &iv(key), ciphertext, PADDED_TO)?;
    let (length, rest) = frame.get(RANDOM..)?.split_first_chunk::<LENGTH>()?;
    let (text, to) = rest.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
    crypto::same(to, receiver.as_bytes()).then(|| text.to_vec())
}
