//! Signed samples: what a provider would send, signed by its own row.

use crate::call::Call;
use crate::error::{Fault, Unreadable};
use crate::json;
use crate::provider::Provider;
use crate::settings::Endpoint;
use crate::trial;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A request on its way to being signed.
#[derive(Clone)]
pub struct Draft {
    /// `POST`
    pub method: String,
    /// Starts with `/`.
    pub path: String,
    /// Without `?`.
    pub query: String,
    /// In the order sent.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
    /// What the names of its own headers begin with, where a provider has several families.
    pub family: Option<String>,
    /// Signs with private keys, for rows of whose keys the settings have the public half.
    pub trial: Option<Trial>,
}

/// Signs a message with the throw-away private key of a kind. A function never has one, so that nothing that signs is
/// linked into it.
#[derive(Clone, Copy)]
pub struct Trial(pub fn(TrialKey, &[u8]) -> Option<Vec<u8>>);

/// The kinds of throw-away private keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TrialKey {
    /// Ed25519: 64 bytes.
    Ed25519,
    /// ECDSA over P-256 with SHA-256: ASN.1 DER.
    P256,
    /// RSA of 2048 bits with SHA-256, PKCS #1 v1.5.
    Rsa,
}

impl Draft {
    /// Reads a sample file: request line, headers, an empty line, the body without the file's last newline.
    pub fn parse(file: &str) -> Result<Draft, Fault> {
        const BAD: Fault = Fault::Event("not a sample: request line, headers, an empty line, body");
        let (head, body) = file.split_once("\n\n").ok_or(BAD)?;
        let mut lines = head.lines();
        let (method, target) = lines.next().and_then(|line| line.split_once(' ')).ok_or(BAD)?;
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let headers = lines
            .map(|line| {
                line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or(BAD)
            })
            .collect::<Result<_, _>>()?;
        Ok(Draft {
            method: method.to_owned(),
            path: path.to_owned(),
            query: query.to_owned(),
            headers,
            body: body.strip_suffix('\n').unwrap_or(body).into(),
            family: None,
            trial: None,
        })
    }

    /// Sets a header, in place of one of that name.
    pub fn set_header(&mut self, name: &str, value: &str) {
        self.headers.retain(|(n, _)| !n.eq_ignore_ascii_case(name));
        self.headers.push((name.to_owned(), value.to_owned()));
    }

    /// Sets a text in a JSON body by its JSON pointer.
    pub fn set_member(&mut self, pointer: &str, value: &str) -> Result<(), Unreadable> {
        let changed = json::with_text(&json::body(&self.body)?, pointer, &|_| Some(value.to_owned()))?;
        self.body = changed.into_bytes();
        Ok(())
    }

    /// Adds a parameter to the query.
    pub fn add_parameter(&mut self, name: &str, value: &str) {
        if !self.query.is_empty() {
            self.query.push('&');
        }
        let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        self.query.push_str(&format!("{}={}", encode(name), encode(value)));
    }

    /// The draft as a call.
    pub fn call(&self) -> Call<'_> {
        Call::new(&*self.method, &*self.path, &*self.query, self.headers.iter().cloned(), &*self.body)
    }

    /// Puts the texts of settings where the sample names them in braces (`{verify_token}`), in path and query.
    fn fill(&mut self, provider: &Provider, endpoint: &Endpoint) -> Result<(), Fault> {
        for setting in provider.settings {
            let name = format!("{{{}}}", setting.name);
            if !self.query.contains(&name) && !self.path.contains(&name) {
                continue;
            }
            let secret = || endpoint.secrets(setting.name).ok()?.first().map(|secret| secret.expose());
            let first = || endpoint.texts(setting.name).first().map(String::as_str);
            let value = endpoint.text(setting.name).or_else(first).or_else(secret);
            let value = value.ok_or(Fault::Setting(setting.name))?;
            self.query = self.query.replace(&name, &utf8_percent_encode(value, NON_ALPHANUMERIC).to_string());
            self.path = self.path.replace(&name, value);
        }
        Ok(())
    }
}

/// A sample file, signed at a time in Unix seconds with the endpoint's first secret. One that lacks what the signature
/// needs stays unsigned: a probe, which the provider does not sign either.
///
/// Where the settings have a public key, it is that of local trials, whose private half signs; for any other one,
/// [`Fault::Settings`].
pub fn signed(provider: &Provider, file: &str, endpoint: &Endpoint, now: i64) -> Result<Draft, Fault> {
    signed_draft(provider, Draft::parse(file)?, endpoint, now)
}

/// The same of a sample that has been read, and changed perhaps.
pub fn signed_draft(
    provider: &Provider,
    draft: Draft,
    endpoint: &Endpoint,
    now: i64,
) -> Result<Draft, Fault> {
    signed_with(Trial(trial::sign), provider, draft, endpoint, now)
}

/// The same, but where the settings have a public key, somebody else's private one signs.
pub fn signed_by_stranger(
    provider: &Provider,
    file: &str,
    endpoint: &Endpoint,
    now: i64,
) -> Result<Draft, Fault> {
    signed_with(Trial(trial::sign_as_stranger), provider, Draft::parse(file)?, endpoint, now)
}

fn signed_with(
    trial: Trial,
    provider: &Provider,
    draft: Draft,
    endpoint: &Endpoint,
    now: i64,
) -> Result<Draft, Fault> {
    let mut draft = Draft { trial: Some(trial), ..draft };
    draft.fill(provider, endpoint)?;
    if provider.methods.contains(&draft.method.as_str()) {
        let families = provider.scheme.describe(endpoint).headers;
        draft.family = family(&families, &draft).map(str::to_owned);
        match provider.scheme.sign(&mut draft, endpoint, now) {
            Err(Fault::Event(_)) | Ok(()) => {}
            Err(fault) => return Err(fault),
        }
    } else {
        let method = draft.method.clone();
        for handshake in provider.handshakes.iter().filter(|handshake| handshake.method() == method) {
            handshake.sign(&mut draft, endpoint, now)?;
        }
    }
    Ok(draft)
}

/// Of several headers for a signature, the one that shares the longest beginning with the sample's own headers.
fn family<'f>(families: &'f [String], draft: &Draft) -> Option<&'f str> {
    let shared =
        |a: &str, b: &str| a.bytes().zip(b.bytes()).take_while(|(a, b)| a.eq_ignore_ascii_case(b)).count();
    let best = |family: &&String| draft.headers.iter().map(|(name, _)| shared(family, name)).max();
    families.iter().max_by_key(best).map(String::as_str)
}
