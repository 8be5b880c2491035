//! The way of one call, the same for every provider: what may be refused cheaply, handshakes without a signature, the
//! check, handshakes with one, events, queue, answer.

use crate::call::{Call, MAX_BODY};
use crate::error::{Failure, Fault, Refused};
use crate::event;
use crate::handshake::Rejected;
use crate::log;
use crate::provider::Provider;
use crate::quarantine::Quarantine;
use crate::queue::Queue;
use crate::reply::Reply;
use crate::settings::{Document, Settings};
use crate::verify::{Verified, verify};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The least that is kept back of a provider's deadline for the way of our answer.
const MARGIN: Duration = Duration::from_millis(500);

/// How long init waits for the settings. Lambda gives it 10 s.
const WARM_UP: Duration = Duration::from_secs(5);

/// A provider's row at work: its settings, the queue that its events go to, and where calls are kept whose signature
/// does not match.
pub struct Gate {
    provider: &'static Provider,
    settings: Settings,
    queue: Queue,
    quarantine: Option<Quarantine>,
}

/// How a call ended.
#[derive(Debug)]
pub struct Outcome {
    /// The answer to the provider.
    pub reply: Reply,
    /// Why it is so.
    pub why: Why,
}

/// Why a call was answered as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// So many events are in the queue.
    Queued(usize),
    /// It was a documented question, and no event.
    Handshake,
    /// It cannot be what it claims, or we could not tell.
    Failed(Failure),
    /// No provider calls by this method.
    Method,
    /// Its body is over the ceiling.
    TooLarge,
}

/// A call of which it is known what it is.
enum Judged<'v> {
    /// Not an event, and this is the answer.
    Answered(Outcome),
    /// The provider's own.
    Genuine(Verified<'v>),
}

impl Gate {
    /// A gate for one provider.
    pub fn new(provider: &'static Provider, settings: Settings, queue: Queue) -> Gate {
        Gate { provider, settings, queue, quarantine: None }
    }

    /// The same with a quarantine.
    #[must_use]
    pub fn quarantine(self, quarantine: Quarantine) -> Gate {
        Gate { quarantine: Some(quarantine), ..self }
    }

    /// The row.
    pub fn provider(&self) -> &'static Provider {
        self.provider
    }

    /// Reads the settings ahead of the first call. What is wrong with them shows when a call needs them.
    pub async fn warm_up(&self) {
        let _ = self.settings.current(Instant::now() + WARM_UP).await;
    }

    /// Answers a call that was received at a time. `limit` is what the platform leaves us for it.
    pub async fn answer(&self, call: &Call<'_>, received: SystemTime, limit: Duration) -> Outcome {
        let deadline = self.provider.deadline;
        let budget = deadline.saturating_sub(MARGIN.max(deadline / 10)).min(limit);
        let until = Instant::now() + budget;
        match self.try_to_answer(call, received, until).await {
            Ok(outcome) => outcome,
            Err(Rejected { failure, status }) => Outcome {
                reply: match (failure, status) {
                    (Failure::Refused(_), None) => Reply::refused(self.provider.refused),
                    (Failure::Refused(_), Some(status)) => Reply::refused_with(status),
                    (Failure::Fault(_), _) => Reply::fault(),
                },
                why: Why::Failed(failure),
            },
        }
    }

    async fn try_to_answer(
        &self,
        call: &Call<'_>,
        received: SystemTime,
        until: Instant,
    ) -> Result<Outcome, Rejected> {
        if !self.provider.comes_by(&call.method) {
            return Ok(self.wrong_method());
        }
        if call.body().is_some_and(|body| body.len() > MAX_BODY) {
            return Ok(Outcome { reply: Reply::too_large(), why: Why::TooLarge });
        }
        let received = received.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = i64::try_from(received.as_secs()).unwrap_or(i64::MAX);
        let mut settings = self.settings.current(until).await;
        let (mut early, mut renewed) = (false, None);
        loop {
            let rejected = match self.judge(&settings, call, now) {
                Ok(Judged::Answered(outcome)) => return Ok(outcome),
                Ok(Judged::Genuine(verified)) => {
                    // Older keys serve on, and somebody has to know.
                    if let Some(Err(fault)) = &renewed {
                        log::fault(self.provider.name, fault);
                    }
                    return Ok(self.hand_over(&verified, received, until).await?);
                }
                Err(rejected) => rejected,
            };
            // A key that is not known, or not any more: it may have been published since the keys were fetched.
            if rejected.failure == Failure::Refused(Refused::UnknownKey) {
                match renewed {
                    None => {
                        renewed = Some(self.renew_keys(&settings, call, until).await);
                        continue;
                    }
                    // Nobody can tell whether the key exists.
                    Some(Err(fault)) => return Err(fault.into()),
                    Some(Ok(())) => {}
                }
            }
            // A secret that was changed, or an endpoint that was added, since the settings were read: read once more.
            if !early && is_of_settings(rejected.failure) {
                early = true;
                if let Some(newer) = self.settings.early(settings.as_ref().ok(), until).await {
                    settings = Ok(newer);
                    continue;
                }
            }
            if let (Some(quarantine), Ok(settings), Failure::Refused(Refused::Mismatch(_))) =
                (&self.quarantine, &settings, rejected.failure)
                && self.provider.methods.contains(&&*call.method)
                && let Ok(endpoint) = settings.endpoint(call)
            {
                quarantine.keep(self.provider, endpoint, call, millis(received), until).await;
            }
            return Err(rejected);
        }
    }

    /// What a call is under these settings.
    fn judge<'v>(
        &self,
        settings: &'v Result<Arc<Document>, Fault>,
        call: &'v Call<'v>,
        now: i64,
    ) -> Result<Judged<'v>, Rejected> {
        for handshake in self.provider.handshakes {
            if let Some(answer) = handshake.unsigned(call, settings.as_deref().ok()) {
                return answer.map(|reply| Judged::Answered(Outcome { reply, why: Why::Handshake }));
            }
        }
        if !self.provider.methods.contains(&&*call.method) {
            return Ok(Judged::Answered(self.wrong_method()));
        }
        let settings = settings.as_ref().map_err(|fault| *fault)?;
        Ok(Judged::Genuine(self.check(settings, call, now)?))
    }

    fn check<'v>(
        &self,
        settings: &'v Document,
        call: &'v Call<'v>,
        now: i64,
    ) -> Result<Verified<'v>, Failure> {
        let endpoint = settings.endpoint(call)?;
        endpoint.usable()?;
        verify(self.provider, call, endpoint, now)
    }

    /// Fetches the keys that the endpoint's calls are checked with, unless that was done a moment ago.
    async fn renew_keys(
        &self,
        settings: &Result<Arc<Document>, Fault>,
        call: &Call<'_>,
        until: Instant,
    ) -> Result<(), Fault> {
        let endpoint = settings.as_ref().ok().and_then(|settings| settings.endpoint(call).ok());
        match endpoint.and_then(|endpoint| self.provider.scheme.remote(endpoint)) {
            Some(keys) => keys.renew(until).await,
            None => Ok(()),
        }
    }

    async fn hand_over(
        &self,
        verified: &Verified<'_>,
        received: Duration,
        until: Instant,
    ) -> Result<Outcome, Failure> {
        for handshake in self.provider.handshakes {
            if let Some(reply) = handshake.signed(verified) {
                return Ok(Outcome { reply, why: Why::Handshake });
            }
        }
        let answer = match self.provider.reply_by {
            Some(answer) => answer(verified)?,
            None => self.provider.reply.into(),
        };
        let events = event::envelopes(verified, millis(received));
        let receipt = self.queue.send(&events, until).await?;
        let reply = Reply::queued(&receipt, answer);
        Ok(Outcome { reply, why: Why::Queued(receipt.events()) })
    }

    fn wrong_method(&self) -> Outcome {
        let allow = self.provider.all_methods().join(", ");
        Outcome { reply: Reply::method_not_allowed(allow), why: Why::Method }
    }
}

/// Unix milliseconds.
fn millis(since_1970: Duration) -> i64 {
    i64::try_from(since_1970.as_millis()).unwrap_or(i64::MAX)
}

/// Whether newer settings might make the call pass. A call that no settings could save must cost no reading.
fn is_of_settings(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::Refused(Refused::Mismatch(_) | Refused::UnknownEndpoint)
            | Failure::Fault(Fault::Setting(_) | Fault::Settings(_))
    )
}
