//! Shared credentials that say nothing about the body: tokens, and user name and password of HTTP Basic.

use crate::call::Call;
use crate::crypto;
use crate::error::{Failure, Fault, Refused};
use crate::form;
use crate::sample::Draft;
use crate::settings::Endpoint;
use crate::verify::{Assurance, Description, Evidence, Proof, Scheme, sealed};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::borrow::Cow;

/// The longest credential that is looked at, in bytes.
const MAX_CREDENTIAL: usize = 4096;

/// A token that the provider sends with every call. It says nothing about the body.
#[derive(Clone, Copy)]
pub struct Token<'a> {
    /// The setting with the token or tokens.
    pub secret: &'static str,
    /// Where the call carries it.
    pub place: Place<'a>,
}

/// Where a call carries a token.
#[derive(Clone, Copy)]
pub enum Place<'a> {
    /// The whole value of a header.
    Header(&'a str),
    /// A parameter of the query.
    Query(&'a str),
}

impl Token<'_> {
    /// Checks a call; see [`Scheme::check`].
    pub fn check(&self, call: &Call<'_>, endpoint: &Endpoint) -> Result<Proof, Failure> {
        let offered = match self.place {
            Place::Header(name) => call.header(name).map(Cow::Borrowed),
            Place::Query(name) => form::field(call.query.as_bytes(), name),
        };
        let offered = offered.ok_or(Refused::Missing("token"))?;
        if offered.is_empty() || offered.len() > MAX_CREDENTIAL {
            return Err(Refused::Malformed("token").into());
        }
        let mut matched = false;
        for secret in endpoint.secrets(self.secret)? {
            matched |= crypto::same_text(secret.bytes(), offered.as_bytes());
        }
        if !matched {
            return Err(Refused::Mismatch("token").into());
        }
        Ok(Proof::of(Assurance::Token, None))
    }

    /// Signs a draft; see [`Scheme::sign`].
    pub fn sign(&self, draft: &mut Draft, endpoint: &Endpoint) -> Result<(), Fault> {
        let secret = endpoint.secrets(self.secret)?.first().ok_or(Fault::Setting(self.secret))?;
        match self.place {
            Place::Header(name) => draft.set_header(name, secret.expose()),
            Place::Query(name) => draft.add_parameter(name, secret.expose()),
        }
        Ok(())
    }

    /// Says how it works; see [`Scheme::describe`].
    pub fn describe(&self) -> Description {
        let mut description = Description {
            method: "token".into(),
            headers: Vec::new(),
            parameters: Vec::new(),
            timestamp_header: None,
            tolerance: None,
            assurance: Some(Assurance::Token),
        };
        match self.place {
            Place::Header(name) => description.headers.push(name.to_owned()),
            Place::Query(name) => description.parameters.push(name.to_owned()),
        }
        description
    }
}

impl sealed::Sealed for Token<'static> {}

impl Scheme for Token<'static> {
    fn check(&self, call: &Call<'_>, _body: &[u8], endpoint: &Endpoint, _now: i64) -> Result<Proof, Failure> {
        Token::check(self, call, endpoint)
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, _now: i64) -> Result<(), Fault> {
        Token::sign(self, draft, endpoint)
    }

    fn describe(&self, _endpoint: &Endpoint) -> Description {
        Token::describe(self)
    }

    fn evidence(&self, _endpoint: &Endpoint) -> Option<Evidence> {
        None
    }
}

/// User name and password as HTTP Basic (RFC 7617) sends them, checked against one pair.
pub(crate) fn check_basic(call: &Call<'_>, username: &str, password: &str) -> Result<Proof, Failure> {
    let value = call.header("authorization").ok_or(Refused::Missing("authorization"))?;
    // The name of the scheme has no case (RFC 9110); everything after it has.
    let (scheme, encoded) = value.split_once(' ').ok_or(Refused::Malformed("authorization"))?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > MAX_CREDENTIAL {
        return Err(Refused::Malformed("authorization").into());
    }
    let offered = BASE64_STANDARD.decode(encoded).map_err(|_| Refused::Malformed("authorization"))?;
    if !crypto::same_text(format!("{username}:{password}").as_bytes(), &offered) {
        return Err(Refused::Mismatch("user name or password").into());
    }
    Ok(Proof::of(Assurance::Basic, None))
}
