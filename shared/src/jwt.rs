//! Signed tokens (JWT, RFC 7519) by RS256: in `Authorization: Bearer`, or in the body where they vouch for its items.
//!
//! A token says who sends, never what is sent: it does not cover the body, and whoever holds one can use it until it
//! expires. The algorithm is fixed, the key is one that the issuer publishes or the settings pin, and nothing that a
//! token names but its key's id is looked at to find it: `jku`, `jwk`, `x5u` and `x5c` are not read.
//!
//! What costs nothing comes first: spelling, header, claims. A key is looked for, and perhaps fetched, only for a token
//! that says all that a genuine one says.

use crate::call::Call;
use crate::error::{Failure, Fault, Refused};
use crate::json::{self, Members, Raw};
use crate::keys::{KeySet, Remote, RemoteKeys};
use crate::sample::{Draft, Trial, TrialKey};
use crate::settings::{Endpoint, Flaw};
use crate::trial::rsa as trial;
use crate::verify::{Assurance, Description, Evidence, Proof, Scheme, sealed};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use std::borrow::Cow;
use std::sync::Arc;

/// The setting with keys that are used in place of those that are published.
pub const PINNED: &str = "jwks";
/// The longest token that is looked at, in bytes.
const MAX_TOKEN: usize = 8 * 1024;
/// The most tokens of one body: one for each app and account whose items share a call.
const MAX_TOKENS: usize = 100;
/// How far a token's times may be off ours, in seconds.
const LEEWAY: i64 = 60;
/// For how long tokens of samples are valid, in seconds.
const SAMPLE_LIFE: i64 = 3600;
/// The place of an account in an issuer.
const ACCOUNT: &str = "{account}";

/// Who issues tokens, and what a token of his says.
pub struct Authority {
    /// The claim `iss` is one of these. `{account}` in it is the text of the claim [`Authority::account`].
    pub issuers: &'static [&'static str],
    /// Where the public keys are.
    pub keys: &'static Remote,
    /// The setting that the claim `aud` equals.
    pub audience: &'static str,
    /// What else has to be said.
    pub claims: &'static [Claim],
    /// The claim with the account that a token is for; empty where it is for none.
    pub account: &'static str,
}

/// What a claim has to be.
pub enum Claim {
    /// One of these claims is this text, and none of them another.
    Is(&'static [&'static str], &'static str),
    /// It is `true`, as a boolean.
    True(&'static str),
    /// It is the text of a setting, or where that is not given, this one.
    Setting {
        /// The claim.
        name: &'static str,
        /// The setting.
        setting: &'static str,
        /// In place of a setting that is not given; without it the setting is needed.
        otherwise: Option<&'static str>,
    },
}

impl Authority {
    /// Checks a token and gives the account that it is for, which is empty where it is for none.
    fn check(&self, token: &str, endpoint: &Endpoint, now: i64) -> Result<String, Failure> {
        let token = Token::read(token)?;
        let account = self.read_claims(&token.claims()?, endpoint, now)?;
        let (keys, unknown) = match endpoint.object(PINNED) {
            Some(set) => {
                (Arc::new(KeySet::read(set).ok_or(Fault::Setting(PINNED))?), Refused::Mismatch("key"))
            }
            None => (self.keys.known().ok_or(Refused::UnknownKey)?, Refused::UnknownKey),
        };
        if token.is_signed_by_one_of(&keys).ok_or(unknown)? {
            return Ok(account);
        }
        Err(Refused::Mismatch("signature").into())
    }

    /// Checks what a token says, and gives its account.
    fn read_claims(&self, claims: &Members<'_>, endpoint: &Endpoint, now: i64) -> Result<String, Failure> {
        let text = |name| text(claims, name);
        let number = |name| number(claims, name);
        let expires = number("exp")?.ok_or(Refused::Missing("exp"))?;
        if now >= expires.saturating_add(LEEWAY) {
            return Err(Refused::Stale.into());
        }
        for name in ["nbf", "iat"] {
            if number(name)?.is_some_and(|from| from > now.saturating_add(LEEWAY)) {
                return Err(Refused::Stale.into());
            }
        }
        let account = match self.account {
            "" => String::new(),
            name => text(name)?.filter(|text| is_plain(text)).ok_or(Refused::Missing("account"))?,
        };
        let issuer = text("iss")?.ok_or(Refused::Missing("iss"))?;
        if !self.issuers.iter().any(|known| known.replace(ACCOUNT, &account) == issuer) {
            return Err(Refused::Mismatch("iss").into());
        }
        let audience = endpoint.text(self.audience).ok_or(Fault::Setting(self.audience))?;
        if text("aud")?.ok_or(Refused::Missing("aud"))? != audience {
            return Err(Refused::Mismatch("aud").into());
        }
        for claim in self.claims {
            let (names, wanted) = match *claim {
                Claim::Is(names, wanted) => (names, wanted),
                Claim::Setting { ref name, setting, otherwise } => {
                    let wanted = endpoint.text(setting).or(otherwise);
                    (std::slice::from_ref(name), wanted.ok_or(Fault::Setting(setting))?)
                }
                Claim::True(name) => {
                    let said = json::member(claims, name).map_err(|_| Refused::Malformed("claims"))?;
                    if said != Some("true") {
                        return Err(Refused::Mismatch(name).into());
                    }
                    continue;
                }
            };
            let mut said = Vec::with_capacity(names.len());
            for name in names {
                said.extend(text(name)?);
            }
            if said.is_empty() || said.iter().any(|said| said != wanted) {
                return Err(Refused::Mismatch(names.first().copied().unwrap_or_default()).into());
            }
        }
        Ok(account)
    }

    /// A token for a sample, signed by the key of local trials.
    fn issue(&self, draft: &Draft, endpoint: &Endpoint, account: &str, now: i64) -> Result<String, Fault> {
        let is_ours =
            endpoint.object(PINNED).and_then(KeySet::read).is_some_and(|keys| trial::is_among(&keys));
        let Trial(sign) = draft.trial.filter(|_| is_ours).ok_or(Fault::Settings(
            "the provider alone can sign tokens; samples are signed for the throw-away `jwks` of local trials",
        ))?;
        let issuer = self.issuers.first().copied().unwrap_or_default().replace(ACCOUNT, account);
        let audience = endpoint.text(self.audience).ok_or(Fault::Setting(self.audience))?;
        let mut claims = vec![("iss", json::string(&issuer)), ("aud", json::string(audience))];
        for claim in self.claims {
            claims.extend(match *claim {
                Claim::Is(names, value) => names.first().map(|name| (*name, json::string(value))),
                Claim::True(name) => Some((name, "true".to_owned())),
                Claim::Setting { name, setting, otherwise } => {
                    let value = endpoint.text(setting).or(otherwise).ok_or(Fault::Setting(setting))?;
                    Some((name, json::string(value)))
                }
            });
        }
        if !self.account.is_empty() {
            claims.push((self.account, json::string(account)));
        }
        claims.push(("iat", now.to_string()));
        claims.push(("exp", now.saturating_add(SAMPLE_LIFE).to_string()));
        let object = |members: &[(&str, String)]| {
            let members: Vec<_> = members.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
            BASE64_URL_SAFE_NO_PAD.encode(format!("{{{}}}", members.join(",")))
        };
        let header =
            [("alg", json::string("RS256")), ("kid", json::string(trial::ID)), ("typ", json::string("JWT"))];
        let signed = format!("{}.{}", object(&header), object(&claims));
        let signature = sign(TrialKey::Rsa, signed.as_bytes());
        let signature = signature.ok_or(Fault::Event("local trials have no key for tokens"))?;
        Ok(format!("{signed}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature)))
    }

    /// See [`Scheme::remote`].
    fn remote(&self, endpoint: &Endpoint) -> Option<&'static dyn RemoteKeys> {
        endpoint.object(PINNED).is_none().then_some(self.keys as &dyn RemoteKeys)
    }

    /// See [`Scheme::flaws`].
    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        let mut flaws = Vec::new();
        let mut need = |setting: &'static str| {
            if endpoint.text(setting).is_none() {
                flaws.push(Flaw::fatal(setting, "is missing"));
            }
        };
        need(self.audience);
        for claim in self.claims {
            if let Claim::Setting { setting, otherwise: None, .. } = claim {
                need(setting);
            }
        }
        match endpoint.object(PINNED).map(KeySet::read) {
            None => {}
            Some(None) => {
                flaws.push(Flaw::fatal(PINNED, "is no JWK set with an RSA key for RS256 that has an id"));
            }
            Some(Some(keys)) if trial::is_among(&keys) => {
                flaws.push(Flaw::local(PINNED, "has the key of local trials, with which everybody can sign"));
            }
            Some(Some(_)) => {}
        }
        flaws
    }
}

/// A token as it was sent: three parts in base64url, of which the first two are objects (RFC 7515, section 7.1).
pub struct Token<'t> {
    /// The first two parts with the dot between, as they stand there.
    signed: &'t str,
    key: String,
    payload: Vec<u8>,
    signature: Vec<u8>,
}

impl Token<'_> {
    /// Reads a token. Nothing of it is checked yet but that its header names RS256 and a key, and nothing that we do not
    /// know but would have to (`crit`).
    pub fn read(token: &str) -> Result<Token<'_>, Refused> {
        const BAD: Refused = Refused::Malformed("token");
        if token.len() > MAX_TOKEN {
            return Err(BAD);
        }
        let (signed, signature) = token.rsplit_once('.').ok_or(BAD)?;
        let (header, payload) = signed.split_once('.').ok_or(BAD)?;
        // No padding, and no spare bits that are set: one token has one spelling.
        let decoded = |part: &str| BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| BAD);
        let header = decoded(header)?;
        let header = object(&header).ok_or(Refused::Malformed("header of the token"))?;
        if text(&header, "alg")?.as_deref() != Some("RS256") {
            return Err(Refused::Malformed("alg"));
        }
        if text(&header, "typ")?.is_some_and(|kind| kind != "JWT") {
            return Err(Refused::Malformed("typ"));
        }
        if header.iter().any(|(name, _)| name == "crit") {
            return Err(Refused::Malformed("crit"));
        }
        let key = text(&header, "kid")?.ok_or(Refused::Missing("kid"))?;
        Ok(Token { signed, key, payload: decoded(payload)?, signature: decoded(signature)? })
    }

    /// Whether a key of the id that the token names has signed it; `None` where there is no such key.
    pub fn is_signed_by_one_of(&self, keys: &KeySet) -> Option<bool> {
        let mut verdicts =
            keys.of(&self.key).map(|key| key.verifies(self.signed.as_bytes(), &self.signature)).peekable();
        verdicts.peek()?;
        Some(verdicts.any(|verdict| verdict))
    }

    /// What it says, as long as it is one object that says nothing twice.
    fn claims(&self) -> Result<Members<'_>, Refused> {
        object(&self.payload).ok_or(Refused::Malformed("claims"))
    }
}

/// The members of an object no name of which stands there twice.
fn object(bytes: &[u8]) -> Option<Members<'_>> {
    let text = std::str::from_utf8(bytes).ok()?;
    json::check(text).ok()?;
    let members = json::members(text).ok()?;
    members.iter().all(|(name, _)| json::member(&members, name).is_ok()).then_some(members)
}

/// The text of a member that has to be a text, if it is there.
fn text(members: &Members<'_>, name: &'static str) -> Result<Option<String>, Refused> {
    let bad = Refused::Malformed(name);
    let Some(raw) = json::member(members, name).map_err(|_| bad)? else { return Ok(None) };
    let text = raw.starts_with('"').then(|| json::scalar(raw)).flatten();
    text.map(|text| Some(text.into_owned())).ok_or(bad)
}

/// The whole number of a member that has to be one, if it is there: digits, since a time before 1970 is none of ours.
fn number(members: &Members<'_>, name: &'static str) -> Result<Option<i64>, Refused> {
    let bad = Refused::Malformed(name);
    let Some(raw) = json::member(members, name).map_err(|_| bad)? else { return Ok(None) };
    let digits = Some(raw).filter(|raw| raw.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse().ok()).map(Some).ok_or(bad)
}

/// Whether a text can stand in an issuer without changing its form.
fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// A token in the header `authorization`, as RFC 6750 sends it.
pub struct Bearer {
    /// Whose tokens an endpoint takes. A function, because some providers offer several at the operator's choice.
    pub authority: fn(&Endpoint) -> &'static Authority,
}

const AUTHORIZATION: &str = "authorization";

impl sealed::Sealed for Bearer {}

impl Scheme for Bearer {
    fn check(&self, call: &Call<'_>, _body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        let value = call.header(AUTHORIZATION).ok_or(Refused::Missing(AUTHORIZATION))?;
        // The name of the scheme has no case (RFC 9110); everything after it has.
        let (scheme, token) = value.split_once(' ').ok_or(Refused::Malformed(AUTHORIZATION))?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Refused::Malformed(AUTHORIZATION).into());
        }
        (self.authority)(endpoint).check(token, endpoint, now)?;
        Ok(Proof::of(Assurance::Token, None))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        let token = (self.authority)(endpoint).issue(draft, endpoint, "", now)?;
        draft.set_header(AUTHORIZATION, &format!("Bearer {token}"));
        Ok(())
    }

    fn describe(&self, _endpoint: &Endpoint) -> Description {
        Description { headers: vec![AUTHORIZATION.to_owned()], ..description() }
    }

    fn evidence(&self, _endpoint: &Endpoint) -> Option<Evidence> {
        None
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        (self.authority)(endpoint).flaws(endpoint)
    }

    fn remote(&self, endpoint: &Endpoint) -> Option<&'static dyn RemoteKeys> {
        (self.authority)(endpoint).remote(endpoint)
    }
}

/// Tokens in the body that vouch for items of it, one token for all items of an account. Every token has to be genuine;
/// an item that carries more than a hint needs one for its account.
pub struct Vouched {
    /// Whose tokens they are.
    pub authority: &'static Authority,
    /// The member of the body with the array of tokens.
    pub tokens: &'static str,
    /// The member of the body with the array of items.
    pub items: &'static str,
    /// The member of an item with its account.
    pub account: &'static str,
    /// The member that an item which needs a token has.
    pub needed_by: &'static str,
}

impl Vouched {
    /// The accounts of the items that need a token.
    fn accounts(&self, body: Raw<'_>) -> Result<Vec<String>, Refused> {
        let bad = |_| Refused::Malformed("a body that cannot hold tokens");
        let accounts = json::each(body, self.items, self.account).map_err(bad)?;
        let needed = json::each(body, self.items, self.needed_by).map_err(bad)?;
        let found = accounts.into_iter().zip(needed).filter(|(_, needed)| needed.is_some());
        found
            .map(|(account, _)| {
                let account = account.and_then(json::scalar).map(Cow::into_owned);
                account.ok_or(Refused::Missing("account"))
            })
            .collect()
    }

    /// The tokens of a body.
    fn offered(&self, body: Raw<'_>) -> Result<Vec<String>, Refused> {
        const BAD: Refused = Refused::Malformed("tokens");
        let Some(array) = json::at(body, &format!("/{}", self.tokens)).map_err(|_| BAD)? else {
            return Ok(Vec::new());
        };
        if array == "null" {
            return Ok(Vec::new());
        }
        let tokens = json::elements(array).map_err(|_| BAD)?;
        if tokens.len() > MAX_TOKENS {
            return Err(BAD);
        }
        let texts = tokens.into_iter().map(|raw| Some(raw).filter(|raw| raw.starts_with('"')));
        texts.map(|raw| raw.and_then(json::scalar).map(Cow::into_owned).ok_or(BAD)).collect()
    }
}

impl sealed::Sealed for Vouched {}

impl Scheme for Vouched {
    fn check(&self, _call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        let body = json::body(body).map_err(|_| Refused::Malformed("a body that cannot hold tokens"))?;
        let needed = self.accounts(&body)?;
        let mut vouched = Vec::new();
        for token in self.offered(&body)? {
            vouched.push(self.authority.check(&token, endpoint, now)?);
        }
        if needed.iter().any(|account| !vouched.contains(account)) {
            return Err(Refused::Missing("a token for an item").into());
        }
        Ok(Proof::of(Assurance::Token, None))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        const BAD: Fault = Fault::Event("the sample cannot hold tokens");
        let body = json::body(&draft.body).map_err(|_| BAD)?.into_owned();
        let mut accounts = self.accounts(&body).map_err(|_| BAD)?;
        accounts.sort();
        accounts.dedup();
        if accounts.is_empty() {
            return Ok(());
        }
        let mut tokens = Vec::new();
        for account in accounts {
            tokens.push(json::string(&self.authority.issue(draft, endpoint, &account, now)?));
        }
        let tokens = format!("[{}]", tokens.join(","));
        draft.body =
            json::with(&body, &format!("/{}", self.tokens), Some(&tokens)).map_err(|_| BAD)?.into_bytes();
        Ok(())
    }

    fn describe(&self, _endpoint: &Endpoint) -> Description {
        description()
    }

    fn evidence(&self, _endpoint: &Endpoint) -> Option<Evidence> {
        None
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        self.authority.flaws(endpoint)
    }

    fn remote(&self, endpoint: &Endpoint) -> Option<&'static dyn RemoteKeys> {
        self.authority.remote(endpoint)
    }
}

fn description() -> Description {
    Description { method: "RS256 JWT".into(), assurance: Some(Assurance::Token), ..Description::default() }
}
