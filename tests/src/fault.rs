//! What goes wrong between a function and a service, the same for every double.

use crate::http::{Answer, Reply, lock};
use rustix::fd::OwnedFd;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

/// What goes wrong with a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// The service's own internal error, status 500; nothing is stored.
    Http500,
    /// The service's own way to say `too fast`; nothing is stored.
    Throttle,
    /// 403: the role lacks the permission.
    AccessDenied,
    /// The role's credentials are no longer good.
    ExpiredToken,
    /// 400 `QueueDoesNotExist`: somebody has deleted the queue. Of other services, that the bucket or the table is gone.
    QueueDoesNotExist,
    /// The request waits so long before it is looked at; then all goes well.
    Delay(Duration),
    /// Never an answer, nothing stored.
    Hang,
    /// A TCP reset; nothing is stored.
    ResetBefore,
    /// Stored, but never an answer.
    StoreThenHang,
    /// Stored, but the client gets a TCP reset.
    StoreThenReset,
    /// Stored and answered; then the connection is closed without a word, as one that idled too long.
    AnswerThenClose,
    /// Stored, but the connection closes in the middle of the answer.
    HalfAnswer,
    /// 200 with this body; nothing is stored.
    Garbage200(&'static str),
    /// These entries of a batch fail, the others are stored. A request that is no batch counts as a batch of one.
    FailEntries {
        /// From 0.
        indices: Vec<usize>,
        /// Whose fault the service says it is.
        sender_fault: bool,
    },
    /// The client is killed when the request has been read; nothing is stored.
    KillBefore(Victim),
    /// Stored; then the client is killed before it has an answer.
    KillAfter(Victim),
}

/// A process that a double may kill: this one and no later one of the same number.
#[derive(Clone)]
pub struct Victim(Arc<OwnedFd>);

impl Victim {
    /// A child of ours that has not been waited for. Panics when there is none of that id.
    pub fn new(pid: u32) -> Victim {
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process id");
        Victim(Arc::new(pidfd_open(pid, PidfdFlags::empty()).expect("a child of ours")))
    }

    /// Freezes it, as Lambda does between calls; nothing where it has ended already.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Thaws it.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn kill(&self) {
        self.signal(Signal::KILL);
    }

    fn signal(&self, signal: Signal) {
        // Fails only when it has ended already.
        let _ = pidfd_send_signal(&*self.0, signal);
    }
}

impl PartialEq for Victim {
    fn eq(&self, other: &Victim) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Victim {}

impl fmt::Debug for Victim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Victim(…)")
    }
}

/// A request that arrived, whatever became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The operation: `SendMessage`, `PutItem`, `PutObject`, or whatever was named.
    pub action: String,
    /// The number of the connection it came on, from 1.
    pub connection: usize,
    /// When it had been read whole.
    pub at: Instant,
}

/// What a service says by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Refusal {
    Failed,
    Throttled,
    Denied,
    Expired,
    Gone,
}

/// The faults to come and the requests that came.
#[derive(Default)]
pub(crate) struct Plan(Mutex<State>);

#[derive(Default)]
struct State {
    next: VecDeque<Fault>,
    always: Fault,
    drawn: Option<Box<dyn FnMut() -> Fault + Send>>,
    requests: Vec<Request>,
}

impl Plan {
    /// One fault more for the requests to come.
    pub fn then(&self, fault: Fault) {
        lock(&self.0).next.push_back(fault);
    }

    /// The fault of every request that there is no other for.
    pub fn always(&self, fault: Fault) {
        let mut state = lock(&self.0);
        state.drawn = None;
        state.always = fault;
    }

    /// Asked for the fault of every request that there is no other for.
    pub fn draw(&self, fault: impl FnMut() -> Fault + Send + 'static) {
        lock(&self.0).drawn = Some(Box::new(fault));
    }

    pub fn requests(&self) -> usize {
        lock(&self.0).requests.len()
    }

    pub fn received(&self) -> Vec<Request> {
        lock(&self.0).requests.clone()
    }

    /// Notes a request: its number from 1, and what shall go wrong with it.
    pub fn arrive(&self, action: &str, connection: usize) -> (usize, Fault) {
        let mut state = lock(&self.0);
        state.requests.push(Request { action: action.to_owned(), connection, at: Instant::now() });
        let number = state.requests.len();
        if let Some(fault) = state.next.pop_front() {
            return (number, fault);
        }
        let drawn = state.drawn.as_mut().map(|draw| draw());
        (number, drawn.unwrap_or_else(|| state.always.clone()))
    }
}

/// What the client sees of a request. `process` stores and answers; it is told which entries are to fail.
pub(crate) fn play(
    fault: &Fault,
    process: impl FnOnce(&Fault) -> Answer,
    refuse: impl FnOnce(Refusal) -> Answer,
) -> Reply {
    match fault {
        Fault::None => Reply::Answer(process(fault)),
        Fault::Delay(time) => {
            thread::sleep(*time);
            Reply::Answer(process(fault))
        }
        Fault::FailEntries { .. } => Reply::Answer(process(fault)),
        Fault::Http500 => Reply::Answer(refuse(Refusal::Failed)),
        Fault::Throttle => Reply::Answer(refuse(Refusal::Throttled)),
        Fault::AccessDenied => Reply::Answer(refuse(Refusal::Denied)),
        Fault::ExpiredToken => Reply::Answer(refuse(Refusal::Expired)),
        Fault::QueueDoesNotExist => Reply::Answer(refuse(Refusal::Gone)),
        Fault::Hang => Reply::Silence,
        Fault::ResetBefore => Reply::Reset,
        Fault::StoreThenHang => {
            process(fault);
            Reply::Silence
        }
        Fault::StoreThenReset => {
            process(fault);
            Reply::Reset
        }
        Fault::AnswerThenClose => Reply::AnswerThenClose(process(fault)),
        Fault::HalfAnswer => Reply::Half(process(fault)),
        Fault::Garbage200(body) => {
            Reply::Answer(Answer { status: 200, body: (*body).into(), ..Answer::default() })
        }
        Fault::KillBefore(victim) => {
            victim.kill();
            Reply::Reset
        }
        Fault::KillAfter(victim) => {
            process(fault);
            victim.kill();
            Reply::Reset
        }
    }
}
