//! What can go wrong, sorted by whose fault it is. Every payload is `&'static str`: nothing of a request and nothing
//! of a secret can travel in an error.

use std::fmt;

/// The caller's fault. All of it is answered with the same 401; the reason goes to the log only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Something that the check needs is not in the call.
    Missing(&'static str),
    /// Something is there but cannot be what the provider sends.
    Malformed(&'static str),
    /// The signed time is outside the window.
    Stale,
    /// The signature, token or password is a different one.
    Mismatch(&'static str),
    /// The path names no configured endpoint.
    UnknownEndpoint,
    /// The call names a key that its provider has not published, as far as is known.
    UnknownKey,
}

/// Our fault, or the operator's. Answered 503 with `Retry-After`, so that the provider sends the call again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// No usable value for the setting of that name.
    Setting(&'static str),
    /// The settings document could not be read or is not one.
    Settings(&'static str),
    /// The keys that the provider publishes could not be fetched.
    Keys(&'static str),
    /// The event is larger than the queue takes.
    TooLarge,
    /// The queue did not confirm every message in time.
    Queue(&'static str),
    /// The bucket did not confirm every object in time.
    Bucket(&'static str),
    /// Another call is about to store the same event.
    Held,
    /// The event that started the function is not one of payload format 2.0.
    Event(&'static str),
    /// The answer that the provider asks for could not be made.
    Answer(&'static str),
    /// A defect of ours.
    Panic,
}

/// Why a check did not pass: the caller's fault or ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Answered 401.
    Refused(Refused),
    /// Answered 503.
    Fault(Fault),
}

/// A body that does not read as the format its row names. It is queued as it is, never refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unreadable(pub &'static str);

impl Failure {
    /// The fault of what we made ourselves: where a call like it would be refused, this one.
    pub(crate) fn of_ours(self, otherwise: Fault) -> Fault {
        match self {
            Failure::Fault(fault) => fault,
            Failure::Refused(_) => otherwise,
        }
    }
}

impl From<Refused> for Failure {
    fn from(refused: Refused) -> Failure {
        Failure::Refused(refused)
    }
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Failure {
        Failure::Fault(fault)
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refused::Missing(what) => write!(f, "missing: {what}"),
            Refused::Malformed(what) => write!(f, "malformed: {what}"),
            Refused::Stale => f.write_str("the signed time is outside the window"),
            Refused::Mismatch(what) => write!(f, "does not match: {what}"),
            Refused::UnknownEndpoint => f.write_str("no such endpoint"),
            Refused::UnknownKey => f.write_str("no such key"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Setting(name) => write!(f, "no usable value for the setting `{name}`"),
            Fault::Settings(what) => write!(f, "settings: {what}"),
            Fault::Keys(what) => write!(f, "keys: {what}"),
            Fault::TooLarge => f.write_str("the event is larger than QUEUE_MAX_BYTES"),
            Fault::Queue(what) => write!(f, "queue: {what}"),
            Fault::Bucket(what) => write!(f, "bucket: {what}"),
            Fault::Held => f.write_str("another call is storing the same event"),
            Fault::Event(what) => write!(f, "event: {what}"),
            Fault::Answer(what) => write!(f, "answer: {what}"),
            Fault::Panic => f.write_str("a defect in the function; see the line `panic` before this one"),
        }
    }
}
