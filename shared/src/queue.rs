//! Handing events over. A receipt exists only for what a store has confirmed, and only a receipt makes a success reply.

use crate::error::Fault;
use crate::event::Envelope;
use std::collections::HashSet;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

/// The largest message of a queue that nobody has set otherwise, in bytes.
pub const DEFAULT_MAX_BYTES: usize = 262_144;

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

/// What [`Store::put`] returns.
pub type Putting<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + Send + 'a>>;

/// Something that keeps events.
pub trait Store: Send + Sync {
    /// Keeps all of them, in order, or says why not every one is kept. `Ok` means that each is durable: it outlives this
    /// process. Gives up at `until`.
    fn put<'a>(&'a self, events: &'a [Envelope], until: Instant) -> Putting<'a>;

    /// Whether whoever reads it may count on the order of a group.
    fn keeps_order(&self) -> bool {
        false
    }
}

/// The queue of verified events.
pub struct Queue {
    store: Box<dyn Store>,
    max_bytes: usize,
}

impl Queue {
    /// A queue that takes messages of up to so many bytes, attributes counted.
    pub fn new(store: Box<dyn Store>, max_bytes: usize) -> Queue {
        Queue { store, max_bytes }
    }

    /// Hands over the events of one call. All or nothing is promised to the caller: one that is not confirmed means that
    /// the call is not answered 2xx and comes again, under the same ids. What can be stored is stored all the same: a call
    /// that never passes whole must not take its sound events with it when the provider gives up.
    pub async fn send(&self, events: &[Envelope], until: Instant) -> Result<Receipt, Fault> {
        if events.is_empty() {
            return Err(Fault::Queue("a call without an event"));
        }
        if events.iter().all(|event| event.size() <= self.max_bytes) {
            self.store.put(events, until).await?;
            return Ok(Receipt { events: events.len() });
        }
        // Where order counts, what comes after one that has to wait waits with it.
        let mut waiting = HashSet::new();
        let mut fit = Vec::new();
        for event in events {
            if event.size() > self.max_bytes {
                waiting.insert(event.partition());
            } else if !self.store.keeps_order() || !waiting.contains(event.partition()) {
                fit.push(event.clone());
            }
        }
        if !fit.is_empty() {
            self.store.put(&fit, until).await?;
        }
        Err(Fault::TooLarge)
    }
}
