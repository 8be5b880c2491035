//! Shared credentials that say nothing about the body: tokens, and user name and password of HTTP Basic.

use crate::call::Call;
use crate::crypto;
use crate::error::{Failure, Fault, Refused};
use crate::form;
use crate::handshake::is_one_of;
use crate::json::{self, Raw};
use crate::sample::Draft;
use crate::settings::{Endpoint, Flaw};
use crate::verify::{Assurance, Description, Evidence, InBody, Proof, Scheme, sealed};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::Value;
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
    /// The value of a header after a beginning that must be there exactly so.
    After(&'a str, &'a str),
    /// A parameter of the query.
    Query(&'a str),
    /// A member of every object in an array of the body. Each of them needs the token: they may be told apart later.
    Each {
        /// The member of the body with the array.
        entries: &'static str,
        /// The member of each object.
        member: &'static str,
    },
}

impl Token<'_> {
    /// Checks a call; see [`Scheme::check`].
    pub fn check(&self, call: &Call<'_>, endpoint: &Endpoint) -> Result<Proof, Failure> {
        let offered = self.offered(call)?;
        if offered.is_empty() {
            return Err(Refused::Missing("token").into());
        }
        if offered.iter().any(|token| token.is_empty() || token.len() > MAX_CREDENTIAL) {
            return Err(Refused::Malformed("token").into());
        }
        let secrets = endpoint.secrets(self.secret)?;
        for token in &offered {
            if !is_one_of(secrets, token) {
                return Err(Refused::Mismatch("token").into());
            }
        }
        Ok(Proof::of(Assurance::Token, None))
    }

    /// Every token of the call: one, or as many as there are objects.
    fn offered<'c>(&self, call: &'c Call<'_>) -> Result<Vec<Cow<'c, str>>, Refused> {
        match self.place {
            Place::Header(name) => Ok(call.header(name).map(Cow::Borrowed).into_iter().collect()),
            Place::After(name, begin) => {
                let Some(value) = call.header(name) else { return Ok(Vec::new()) };
                let token = value.strip_prefix(begin).ok_or(Refused::Malformed("beginning of the token"))?;
                Ok(vec![Cow::Borrowed(token)])
            }
            Place::Query(name) => Ok(form::field(call.query.as_bytes(), name).into_iter().collect()),
            Place::Each { entries, member } => {
                let bad = |_| Refused::Malformed("a body that cannot hold tokens");
                let body = json::body(call.body().unwrap_or_default()).map_err(bad)?;
                let text = |value: Option<Raw<'_>>| {
                    let text = value.filter(|value| value.starts_with('"')).and_then(json::scalar);
                    text.map(|text| Cow::Owned(text.into_owned())).ok_or(Refused::Missing("token"))
                };
                json::each(&body, entries, member).map_err(bad)?.into_iter().map(text).collect()
            }
        }
    }

    /// Signs a draft; see [`Scheme::sign`].
    pub fn sign(&self, draft: &mut Draft, endpoint: &Endpoint) -> Result<(), Fault> {
        let secret = endpoint.secrets(self.secret)?.first().ok_or(Fault::Setting(self.secret))?;
        match self.place {
            Place::Header(name) => draft.set_header(name, secret.expose()),
            Place::After(name, begin) => draft.set_header(name, &format!("{begin}{}", secret.expose())),
            Place::Query(name) => draft.add_parameter(name, secret.expose()),
            Place::Each { entries, member } => {
                let signed = InBody::Each { entries, member }
                    .changed(&draft.body, &|_| Some(secret.expose().to_owned()));
                draft.body = signed.map_err(|_| Fault::Event("the sample cannot hold tokens"))?;
            }
        }
        Ok(())
    }

    /// Says how it works; see [`Scheme::describe`].
    pub fn describe(&self) -> Description {
        let mut description = Description {
            method: "token".into(),
            assurance: Some(Assurance::Token),
            ..Description::default()
        };
        match self.place {
            Place::Header(name) | Place::After(name, _) => description.headers.push(name.to_owned()),
            Place::Query(name) => description.parameters.push(name.to_owned()),
            Place::Each { entries, member } => description.in_body = Some(InBody::Each { entries, member }),
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

/// User name and password of HTTP Basic (RFC 7617), which say nothing about the body.
#[derive(Clone, Copy)]
pub struct Basic {
    /// The setting with an object of `username`, or `user`, and `password`.
    pub setting: &'static str,
}

/// One pair of user name and password, as it stands in a setting.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Login<'s> {
    #[serde(alias = "user")]
    username: &'s str,
    password: &'s str,
}

impl<'s> Login<'s> {
    /// Reads a setting. `Err` says what is wrong with it.
    pub(crate) fn of(setting: &'static str, value: &'s Value) -> Result<Login<'s>, Flaw> {
        let login = Login::deserialize(value);
        let login =
            login.map_err(|_| Flaw::fatal(setting, "must have the texts `username` and `password`"))?;
        if login.username.trim().is_empty() || login.password.trim().is_empty() {
            return Err(Flaw::fatal(setting, "`username` or `password` is empty"));
        }
        if login.username.contains(':') {
            return Err(Flaw::fatal(setting, "`username` must have no colon"));
        }
        Ok(login)
    }

    /// Checks a call.
    pub(crate) fn check(&self, call: &Call<'_>) -> Result<Proof, Failure> {
        let value = call.header("authorization").ok_or(Refused::Missing("authorization"))?;
        // The name of the scheme has no case (RFC 9110); everything after it has.
        let (scheme, encoded) = value.split_once(' ').ok_or(Refused::Malformed("authorization"))?;
        if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > MAX_CREDENTIAL {
            return Err(Refused::Malformed("authorization").into());
        }
        let offered = BASE64_STANDARD.decode(encoded).map_err(|_| Refused::Malformed("authorization"))?;
        if !crypto::same_text(self.pair().as_bytes(), &offered) {
            return Err(Refused::Mismatch("user name or password").into());
        }
        Ok(Proof::of(Assurance::Basic, None))
    }

    /// Puts it into a draft.
    pub(crate) fn sign(&self, draft: &mut Draft) {
        draft.set_header("authorization", &format!("Basic {}", BASE64_STANDARD.encode(self.pair())));
    }

    fn pair(&self) -> String {
        format!("{}:{}", self.username, self.password)
    }
}

impl Basic {
    fn login<'e>(&self, endpoint: &'e Endpoint) -> Result<Login<'e>, Fault> {
        let value = endpoint.object(self.setting).ok_or(Fault::Setting(self.setting))?;
        Login::of(self.setting, value).map_err(|_| Fault::Setting(self.setting))
    }
}

impl sealed::Sealed for Basic {}

impl Scheme for Basic {
    fn check(&self, call: &Call<'_>, _body: &[u8], endpoint: &Endpoint, _now: i64) -> Result<Proof, Failure> {
        self.login(endpoint)?.check(call)
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, _now: i64) -> Result<(), Fault> {
        self.login(endpoint)?.sign(draft);
        Ok(())
    }

    fn describe(&self, _endpoint: &Endpoint) -> Description {
        Description {
            method: "HTTP Basic".into(),
            headers: vec!["authorization".to_owned()],
            assurance: Some(Assurance::Basic),
            ..Description::default()
        }
    }

    fn evidence(&self, _endpoint: &Endpoint) -> Option<Evidence> {
        None
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        let login = endpoint.object(self.setting).map(|value| Login::of(self.setting, value));
        login.and_then(Result::err).into_iter().collect()
    }
}
