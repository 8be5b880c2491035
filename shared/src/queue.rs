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
/// Why an event is not sent that could be.
const WAITS: Fault = Fault::Queue("an event before it in its group has to wait");
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

    /// Whether an event may be larger than a message.
    fn takes_any_size(&self) -> bool {
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
        // Data goes elsewhere before its event is sent, so it must not take all of the time.
        let time = until.saturating_duration_since(Instant::now());
        let for_data = if self.stand_ins.is_empty() { time * 3 / 4 } else { time / 2 };
        let carriable = self.carriable(events, claims, Instant::now() + for_data).await;

        // Why each event is not kept; of one that is, nothing.
        let mut faults = Vec::with_capacity(events.len());
        // Where order counts, what comes after one that has to wait waits with it.
        let keeps_order = self.store.keeps_order();
        let mut waiting = HashSet::new();
        let mut ready: Vec<&Envelope> = Vec::with_capacity(events.len());
        let mut places = Vec::with_capacity(events.len());
        for (place, ((event, claim), carriable)) in events.iter().zip(claims).zip(&carriable).enumerate() {
            let fault = match (claim, carriable) {
                (Claim::Done, _) => None,
                (Claim::Held, _) => Some(Fault::Held),
                (Claim::Ours, Err(fault)) => Some(*fault),
                (Claim::Ours, Ok(_)) if keeps_order && waiting.contains(&event.order()) => Some(WAITS),
                (Claim::Ours, Ok(carriable)) => {
                    ready.push(carriable);
                    places.push(place);
                    None
                }
            };
            if keeps_order && fault.is_some() {
                waiting.insert(event.order());
            }
            faults.push(fault);
        }

        if !ready.is_empty() {
            let put = self.store.put(&ready, share(until, self.stand_ins.len())).await;
            if let Err(Unkept { fault, left }) = put {
                for place in left.iter().filter_map(|i| places.get(*i)) {
                    if let Some(why) = faults.get_mut(*place) {
                        *why = Some(fault);
                    }
                }
            }
        }
        for (i, stand_in) in self.stand_ins.iter().enumerate() {
            let (mut rest, mut places) = (Vec::new(), Vec::new());
            for (place, (((event, claim), carriable), fault)) in
                events.iter().zip(claims).zip(&carriable).zip(&faults).enumerate()
            {
                let sent = match (claim, fault, carriable) {
                    (Claim::Ours, Some(fault), Ok(carriable)) if *fault != WAITS => &**carriable,
                    // Whole, which one is not whose bytes were to be stored apart.
                    (Claim::Ours, Some(_), _) if stand_in.takes_any_size() && event.fits(usize::MAX) => event,
                    _ => continue,
                };
                rest.push(sent);
                places.push(place);
            }
            if !rest.is_empty() {
                let others = self.stand_ins.len() - 1 - i;
                let put = stand_in.put(&rest, share(until, others)).await;
                stood_in(&rest, &places, put, &mut faults);
            }
        }
        let outcome = faults.iter().find_map(|fault| *fault).map_or(Ok(()), Err);
        (outcome, faults.iter().map(Option::is_none).collect())
    }

    /// The events as the queue can carry them, one that is too large with its data elsewhere.
    async fn carriable<'e>(
        &self,
        events: &'e [Envelope],
        claims: &[Claim],
        until: Instant,
    ) -> Vec<Result<Cow<'e, Envelope>, Fault>> {
        if let Some(claim_check) = &self.claim_check {
            return claim_check.carriable(events, claims, self.max_bytes, until).await;
        }
        let fits = |event: &'e Envelope| match event.fits(self.max_bytes) {
            true => Ok(Cow::Borrowed(event)),
            false => Err(Fault::TooLarge),
        };
        events.iter().map(fits).collect()
    }
}

/// Takes note of what a stand-in has kept of the events at these places. What the queue itself said stays the reason for
/// the others: that is what an operator has to mend.
fn stood_in(events: &[&Envelope], places: &[usize], put: Result<(), Unkept>, faults: &mut [Option<Fault>]) {
    let Some(provider) = events.first().map(|event| event.provider()) else { return };
    let mut is_left = vec![false; places.len()];
    if let Err(Unkept { fault, left }) = put {
        log::stood_in_vain(provider, &fault);
        for i in left {
            if let Some(is_left) = is_left.get_mut(i) {
                *is_left = true;
            }
        }
    }
    let (mut kept, mut why) = (0, None);
    for (place, _) in places.iter().zip(is_left).filter(|(_, is_left)| !is_left) {
        if let Some(fault) = faults.get_mut(*place).and_then(Option::take) {
            kept += 1;
            why = why.or(Some(fault));
        }
    }
    if let Some(why) = why {
        log::stood_in(provider, kept, &why);
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
