//! Several ways to check the calls of one provider, each where the endpoint has what it needs.

use crate::call::Call;
use crate::error::{Failure, Fault, Refused};
use crate::keys::RemoteKeys;
use crate::sample::Draft;
use crate::settings::{Endpoint, Flaw};
use crate::verify::{Description, Evidence, Proof, Scheme, sealed};

/// Schemes, each beside the setting that turns it on: its secret, as a rule. Those count whose setting the endpoint has, and one
/// of them has to pass. A secret serves for its own scheme only: a call that chooses the weaker one needs that one's secret.
pub struct BySecret(pub &'static [(&'static str, &'static dyn Scheme)]);

impl BySecret {
    /// Those that the endpoint has a secret for.
    fn given<'e>(&self, endpoint: &'e Endpoint) -> impl Iterator<Item = &'static dyn Scheme> + use<'e> {
        self.0.iter().filter(|(secret, _)| endpoint.has(secret)).map(|(_, scheme)| *scheme)
    }

    /// What is missing where the endpoint has none.
    fn missing(&self) -> Fault {
        Fault::Setting(self.0.first().map_or("", |(secret, _)| *secret))
    }
}

impl sealed::Sealed for BySecret {}

impl Scheme for BySecret {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        let checked = self.given(endpoint).map(|scheme| scheme.check(call, body, endpoint, now));
        first_passed(checked).unwrap_or(Err(self.missing().into()))
    }

    /// Signs as the one whose header for the time the sample has, else as the first.
    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        let is_meant = |scheme: &&dyn Scheme| {
            let header = scheme.describe(endpoint).timestamp_header;
            header.is_some_and(|name| draft.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(&name)))
        };
        let scheme = self.given(endpoint).find(is_meant).or_else(|| self.given(endpoint).next());
        scheme.ok_or(self.missing())?.sign(draft, endpoint, now)
    }

    /// That of the first one given; without settings what is true of each.
    fn describe(&self, endpoint: &Endpoint) -> Description {
        if let Some(scheme) = self.given(endpoint).next() {
            return scheme.describe(endpoint);
        }
        let all: Vec<Description> = self.0.iter().map(|(_, scheme)| scheme.describe(endpoint)).collect();
        let names = |of: fn(&Description) -> &Vec<String>| {
            let mut names: Vec<String> = all.iter().flat_map(of).cloned().collect();
            names.sort();
            names.dedup();
            names
        };
        Description {
            method: common(all.iter().map(|description| description.method.as_ref())).into(),
            headers: names(|description| &description.headers),
            parameters: names(|description| &description.parameters),
            assurance: all.iter().map(|description| description.assurance).min().flatten(),
            ..Description::default()
        }
    }

    /// That of all that are given, unless one of them has none.
    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        all_evidence(self.given(endpoint), endpoint)
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        self.given(endpoint).flat_map(|scheme| scheme.flaws(endpoint)).collect()
    }

    fn remote(&self, endpoint: &Endpoint) -> Option<&'static dyn RemoteKeys> {
        self.given(endpoint).find_map(|scheme| scheme.remote(endpoint))
    }

    fn covers_bytes(&self, endpoint: &Endpoint) -> bool {
        self.given(endpoint).all(|scheme| scheme.covers_bytes(endpoint))
    }
}

/// The first check that passed; else what says most about why none did. `None` where there is nothing to check by.
pub(crate) fn first_passed(
    checks: impl Iterator<Item = Result<Proof, Failure>>,
) -> Option<Result<Proof, Failure>> {
    let mut failed = None;
    for checked in checks {
        match checked {
            Ok(proof) => return Some(Ok(proof)),
            // What was made with another secret says more than what has another form.
            Err(failure @ (Failure::Refused(Refused::Mismatch(_)) | Failure::Fault(_))) => {
                failed = Some(failure);
            }
            Err(failure) => failed = failed.or(Some(failure)),
        }
    }
    failed.map(Err)
}

/// What all of them need for a later check, unless one of them has none.
pub(crate) fn all_evidence(
    schemes: impl Iterator<Item = &'static dyn Scheme>,
    endpoint: &Endpoint,
) -> Option<Evidence> {
    let mut whole = Evidence { headers: Vec::new(), url: false };
    for scheme in schemes {
        let Evidence { headers, url } = scheme.evidence(endpoint)?;
        whole.headers.extend(headers);
        whole.url |= url;
    }
    whole.headers.sort();
    whole.headers.dedup();
    Some(whole)
}

/// The same schemes, but a call must pass each whose secret the endpoint has: for defences that add to one another.
pub struct Every(pub BySecret);

impl sealed::Sealed for Every {}

impl Scheme for Every {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        let mut strongest = None;
        for scheme in self.0.given(endpoint) {
            let proof = scheme.check(call, body, endpoint, now)?;
            strongest = Some(proof.strongest(strongest));
        }
        strongest.ok_or(self.0.missing().into())
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        let mut signed = Err(self.0.missing());
        for scheme in self.0.given(endpoint) {
            scheme.sign(draft, endpoint, now)?;
            signed = Ok(());
        }
        signed
    }

    /// What all that are given ask for together; without settings that of the first one, which the others only stand in for.
    fn describe(&self, endpoint: &Endpoint) -> Description {
        let descriptions = self.0.given(endpoint).map(|scheme| scheme.describe(endpoint));
        let all = descriptions.reduce(|a, b| Description {
            method: format!("{}, {}", a.method, b.method).into(),
            headers: [a.headers, b.headers].concat(),
            parameters: [a.parameters, b.parameters].concat(),
            in_body: a.in_body.or(b.in_body),
            timestamp_header: a.timestamp_header.or(b.timestamp_header),
            tolerance: a.tolerance.or(b.tolerance),
            assurance: a.assurance.max(b.assurance),
        });
        all.or_else(|| Some(self.0.0.first()?.1.describe(endpoint))).unwrap_or_default()
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        self.0.evidence(endpoint)
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        self.0.flaws(endpoint)
    }

    fn remote(&self, endpoint: &Endpoint) -> Option<&'static dyn RemoteKeys> {
        self.0.remote(endpoint)
    }

    fn covers_bytes(&self, endpoint: &Endpoint) -> bool {
        self.0.given(endpoint).any(|scheme| scheme.covers_bytes(endpoint))
    }
}

/// What the names of methods have in common: `HMAC` of `HMAC-SHA1` and `HMAC-SHA256`.
fn common<'m>(methods: impl Iterator<Item = &'m str>) -> String {
    let mut common: Option<&str> = None;
    for method in methods {
        let family = method.split('-').next().unwrap_or_default();
        common = match common {
            None => Some(method),
            Some(before) if before == method => common,
            Some(before) if before.split('-').next() == Some(family) => Some(family),
            Some(_) => return "by settings".to_owned(),
        };
    }
    common.unwrap_or_default().to_owned()
}
