//! Handing events over. A receipt exists only for what a store has confirmed, and only a receipt makes a success reply.
//!
//! What a call's events go through shares the provider's deadline: claims of their identities, data that is too large for
//! the queue, the queue, what stands in for it, and the end of the claims. Each part but the queue exists only where it is
//! configured.

use crate::bucket::ClaimCheck;
use crate::duplicates::{Claim, Table};
use crate::error::Fault;
use crate::event::Envelope;
use crate::log;
use std::borrow::Cow;
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

/// The largest message of a queue that nobody has set otherwise, in bytes.
pub const DEFAULT_MAX_BYTES: usize = 262_144;
/// The most that claiming identities may take. A table that does not answer must not cost the queue its time.
const CLAIMING: Duration = Duration::from_millis(500);
/// The most that is kept back for the end of the claims.
const SETTLING: Duration = Duration::from_millis(250);

/// Says that every event of a call is stored.
#[derive(Debug)]
pub struct Receipt {
    events: usize,
}

impl Receipt {
    /// How many events.
    pub fn events(&self) -> usize {
        self.events
    }
}

/// Why not every event was kept, and which were not.
#[derive(Debug)]
pub struct Unkept {
    /// Why.
    pub fault: Fault,
    /// The places of the events that nothing has confirmed, ascending in a store that keeps order.
    pub left: Vec<usize>,
}

impl Unkept {
    /// This and what was not kept before: the first reason counts.
    pub(crate) fn and(self, before: Option<Unkept>) -> Unkept {
        let Some(mut before) = before else { return self };
        before.left.extend(self.left);
        before
    }
}

/// What [`Store::put`] returns.
pub type Putting<'a> = Pin<Box<dyn Future<Output = Result<(), Unkept>> + Send + 'a>>;

/// Something that keeps events.
pub trait Store: Send + Sync {
    /// Keeps all of them, in order, or says which are not kept. What is kept is durable: it outlives this process. Gives
    /// up at `until`.
    fn put<'a>(&'a self, events: &'a [&'a Envelope], until: Instant) -> Putting<'a>;

    /// Whether whoever reads it may count on the order of a group.
    fn keeps_order(&self) -> bool {
        false
    }
}

/// The queue of verified events.
pub struct Queue {
    store: Box<dyn Store>,
    max_bytes: usize,
    claim_check: Option<ClaimCheck>,
    stand_ins: Vec<Box<dyn Store>>,
    duplicates: Option<Table>,
}

impl Queue {
    /// A queue that takes messages of up to so many bytes, attributes counted.
    pub fn new(store: Box<dyn Store>, max_bytes: usize) -> Queue {
        Queue { store, max_bytes, claim_check: None, stand_ins: Vec::new(), duplicates: None }
    }

    /// The same with a place for the data of events that are larger.
    #[must_use]
    pub fn claim_check(self, claim_check: ClaimCheck) -> Queue {
        Queue { claim_check: Some(claim_check), ..self }
    }

    /// The same with one more store for what the ones before it do not confirm in time.
    #[must_use]
    pub fn stand_in(mut self, store: Box<dyn Store>) -> Queue {
        self.stand_ins.push(store);
        self
    }

    /// The same with a memory of what was stored before.
    #[must_use]
    pub fn duplicates(self, table: Table) -> Queue {
        Queue { duplicates: Some(table), ..self }
    }

    /// Hands over the events of one call. All or nothing is promised to the caller: one that is not confirmed means that
    /// the call is not answered 2xx and comes again, under the same ids. What can be stored is stored all the same: a call
    /// that never passes whole must not take its sound events with it when the provider gives up.
    pub async fn send(&self, events: &[Envelope], until: Instant) -> Result<Receipt, Fault> {
        if events.is_empty() {
            return Err(Fault::Queue("a call without an event"));
        }
        let Some(table) = &self.duplicates else {
            let none = vec![Claim::Ours; events.len()];
            self.store(events, &none, until).await.0?;
            return Ok(Receipt { events: events.len() });
        };
        let time = until.saturating_duration_since(Instant::now());
        let claims = table.claim(events, Instant::now() + CLAIMING.min(time / 5), until).await;
        let before_the_end = until.checked_sub(SETTLING.min(time / 10)).unwrap_or(until);
        let (outcome, kept) = self.store(events, &claims.each, before_the_end).await;
        table.settle(&claims, &kept, until).await;
        outcome?;
        Ok(Receipt { events: events.len() })
    }

    /// Stores what is ours to store. Says by place what is kept now, whatever the outcome.
    async fn store(
        &self,
        events: &[Envelope],
        claims: &[Claim],
        until: Instant,
    ) -> (Result<(), Fault>, Vec<bool>) {
        let keeps_order = self.store.keeps_order();
        let mut kept: Vec<bool> = claims.iter().map(|claim| *claim == Claim::Done).collect();
        let mut outcome = Ok(());
        // Half of the time at most for data that goes elsewhere: its event has to follow.
        let half = Instant::now() + until.saturating_duration_since(Instant::now()) / 2;
        let carriable = self.carriable(events, claims, half).await;

        // Where order counts, what comes after one that has to wait waits with it.
        let mut waiting = HashSet::new();
        let mut ready: Vec<&Envelope> = Vec::with_capacity(events.len());
        let mut places = Vec::with_capacity(events.len());
        for (place, ((event, claim), carriable)) in events.iter().zip(claims).zip(&carriable).enumerate() {
            let fault = match (claim, carriable) {
                (Claim::Done, _) => continue,
                (Claim::Held, _) => Fault::Held,
                (Claim::Ours, Err(fault)) => *fault,
                (Claim::Ours, Ok(_)) if keeps_order && waiting.contains(event.partition()) => continue,
                (Claim::Ours, Ok(carriable)) => {
                    ready.push(carriable);
                    places.push(place);
                    continue;
                }
            };
            outcome = outcome.and(Err(fault));
            waiting.insert(event.partition());
        }

        let left = self.store_ready(&ready, until).await;
        for (i, place) in places.iter().enumerate() {
            let is_left = left.as_ref().is_err_and(|unkept| unkept.left.contains(&i));
            if let Some(kept) = kept.get_mut(*place) {
                *kept = !is_left;
            }
        }
        (outcome.and(left.map_err(|unkept| unkept.fault)), kept)
    }

    /// The events as the queue can carry them, one that is too large with its data elsewhere.
    async fn carriable<'e>(
        &self,
        events: &'e [Envelope],
        claims: &[Claim],
        until: Instant,
    ) -> Vec<Result<Cow<'e, Envelope>, Fault>> {
        let is_too_large =
            |(event, claim): (&Envelope, &Claim)| *claim == Claim::Ours && !event.fits(self.max_bytes);
        let (true, Some(claim_check)) = (events.iter().zip(claims).any(is_too_large), &self.claim_check)
        else {
            let fits = |event: &'e Envelope| match event.fits(self.max_bytes) {
                true => Ok(Cow::Borrowed(event)),
                false => Err(Fault::TooLarge),
            };
            return events.iter().map(fits).collect();
        };
        claim_check.carriable(events, claims, self.max_bytes, until).await
    }

    /// Stores them in the queue, or in what stands in for it.
    async fn store_ready(&self, ready: &[&Envelope], until: Instant) -> Result<(), Unkept> {
        let Some(first) = ready.first() else { return Ok(()) };
        let mut stores_left = self.stand_ins.len();
        let mut result = self.store.put(ready, share(until, stores_left)).await;
        for stand_in in &self.stand_ins {
            let Err(Unkept { fault, left }) = result else { return Ok(()) };
            stores_left -= 1;
            let rest: Vec<&Envelope> = left.iter().filter_map(|i| ready.get(*i).copied()).collect();
            let put = stand_in.put(&rest, share(until, stores_left)).await;
            let still = put.err().map(|unkept| unkept.left).unwrap_or_default();
            if still.len() < rest.len() {
                log::stood_in(first.provider(), rest.len() - still.len(), &fault);
            }
            // What the queue itself said is what an operator has to mend.
            result = match still.as_slice() {
                [] => Ok(()),
                still => {
                    let left = still.iter().filter_map(|i| left.get(*i).copied()).collect();
                    Err(Unkept { fault, left })
                }
            };
        }
        result
    }
}

/// Until when a store may take that so many others have to follow in time.
fn share(until: Instant, others: usize) -> Instant {
    let now = Instant::now();
    let time = until.saturating_duration_since(now);
    match others {
        0 => until,
        _ => now + time * 3 / 5,
    }
}
