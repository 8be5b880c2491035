//! Several forms of one signature.

use crate::by_secret::{all_evidence, first_passed};
use crate::call::Call;
use crate::error::{Failure, Fault, Refused};
use crate::sample::Draft;
use crate::settings::{Endpoint, Flaw};
use crate::verify::{Description, Evidence, InBody, Proof, Scheme, sealed};

/// Several forms of one provider's signature, all with the same secret: of several kinds of call, or of senders that differ.
pub struct OneOf {
    /// The form that is tried first. Of the forms the first that can signs a sample.
    pub first: &'static dyn Scheme,
    /// The other forms. One of all has to pass.
    pub others: &'static [&'static dyn Scheme],
    /// Where they stand in the body, if they do.
    pub in_body: Option<InBody>,
}

impl OneOf {
    fn forms(&self) -> impl Iterator<Item = &'static dyn Scheme> {
        [self.first].into_iter().chain(self.others.iter().copied())
    }
}

impl sealed::Sealed for OneOf {}

impl Scheme for OneOf {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, now: i64) -> Result<Proof, Failure> {
        let checked = self.forms().map(|form| form.check(call, body, endpoint, now));
        first_passed(checked).unwrap_or(Err(Refused::Missing("signature").into()))
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, now: i64) -> Result<(), Fault> {
        let mut failed = Fault::Event("the sample cannot be signed");
        for form in self.forms() {
            let mut signed = draft.clone();
            match form.sign(&mut signed, endpoint, now) {
                Ok(()) => {
                    *draft = signed;
                    return Ok(());
                }
                Err(fault) => failed = fault,
            }
        }
        Err(failed)
    }

    /// That of the first, in all of the places.
    fn describe(&self, endpoint: &Endpoint) -> Description {
        let assurance = self.forms().map(|form| form.describe(endpoint).assurance).min().flatten();
        Description { in_body: self.in_body, assurance, ..self.first.describe(endpoint) }
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        all_evidence(self.forms(), endpoint)
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        self.first.flaws(endpoint)
    }

    fn covers_bytes(&self, endpoint: &Endpoint) -> bool {
        self.forms().all(|form| form.covers_bytes(endpoint))
    }
}
