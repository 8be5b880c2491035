//! One short JSON line for what an operator has to know. Never anything of a request, never anything of a secret.

use crate::error::{Fault, Refused, Unreadable};
use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most lines of one kind about calls in one [`WINDOW`]: a flood of calls must not become a flood of lines.
const LINES: u32 = 50;
/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(10);

const SILENT: u8 = 0;
const ERROR: u8 = 1;
const WARN: u8 = 2;
const INFO: u8 = 3;

static LEVEL: AtomicU8 = AtomicU8::new(WARN);
static REFUSED: Limit = Limit(Mutex::new(None));
static FAULTS: Limit = Limit(Mutex::new(None));
static UNREADABLE: Limit = Limit(Mutex::new(None));

/// Counts the lines of one kind.
struct Limit(Mutex<Option<Count>>);

struct Count {
    since: Instant,
    lines: u32,
    unsaid: u32,
}

impl Limit {
    /// How many lines were left out before this one, or `None` if this one is to be left out too.
    fn pass(&self) -> Option<u32> {
        let mut guard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = guard.get_or_insert_with(|| Count { since: Instant::now(), lines: 0, unsaid: 0 });
        let mut before = 0;
        if count.since.elapsed() >= WINDOW {
            before = count.unsaid;
            *count = Count { since: Instant::now(), lines: 0, unsaid: 0 };
        }
        if count.lines >= LINES {
            count.unsaid += 1;
            return None;
        }
        count.lines += 1;
        Some(before)
    }
}

/// Sets the level by the value of `HOOKGATE_LOG`: `off`, `error`, `warn` (the default) or `info`.
pub fn set_level(level: Option<&str>) {
    let level = match level {
        Some("off") => SILENT,
        Some("error") => ERROR,
        Some("info") => INFO,
        _ => WARN,
    };
    LEVEL.store(level, Ordering::Relaxed);
}

/// A refused call.
pub fn refused(provider: &str, reason: &Refused) {
    of_call("warn", WARN, "refused", &REFUSED, provider, reason);
}

/// A fault of ours or of the operator's.
pub fn fault(provider: &str, fault: &Fault) {
    of_call("error", ERROR, "fault", &FAULTS, provider, fault);
}

/// A genuine call that could not be read as its row says, and was queued as it came. Many of them say that a provider has
/// changed its format.
pub fn unreadable(provider: &str, reason: Unreadable) {
    of_call("warn", WARN, "unreadable", &UNREADABLE, provider, &reason.0);
}

fn of_call(name: &str, level: u8, what: &str, limit: &Limit, provider: &str, reason: &dyn Display) {
    if LEVEL.load(Ordering::Relaxed) < level {
        return;
    }
    let Some(unsaid) = limit.pass() else { return };
    let mut line = Line::new(name, what, provider);
    line.field("reason", reason);
    if unsaid > 0 {
        line.field("unsaid", &unsaid);
    }
    line.write();
}

/// Something wrong with a setting.
pub fn setting(provider: &str, endpoint: Option<&str>, name: &str, what: &str) {
    if LEVEL.load(Ordering::Relaxed) >= WARN {
        let mut line = Line::new("warn", "setting", provider);
        if let Some(endpoint) = endpoint {
            line.field("endpoint", &endpoint);
        }
        line.field("setting", &name);
        line.field("reason", &what);
        line.write();
    }
}

/// Something wrong with the environment of the function.
pub fn environment(name: &str, what: &str) {
    if LEVEL.load(Ordering::Relaxed) >= WARN {
        let mut line = Line::new("warn", "environment", "");
        line.field("name", &name);
        line.field("reason", &what);
        line.write();
    }
}

/// A call whose events are in the queue.
pub fn queued(provider: &str, events: usize) {
    if LEVEL.load(Ordering::Relaxed) >= INFO {
        let mut line = Line::new("info", "queued", provider);
        line.field("events", &events);
        line.write();
    }
}

/// A defect of ours. Only its place: a panic's message may hold what was being read.
pub fn panicked(file: &str, line_number: u32) {
    if LEVEL.load(Ordering::Relaxed) >= ERROR {
        let mut line = Line::new("error", "panic", "");
        line.field("place", &format_args!("{file}:{line_number}"));
        line.write();
    }
}

struct Line(String);

impl Line {
    fn new(level: &str, what: &str, provider: &str) -> Line {
        let mut line = Line(format!(r#"{{"level":"{level}","event":"{what}""#));
        if !provider.is_empty() {
            line.field("provider", &provider);
        }
        line
    }

    fn field(&mut self, name: &str, value: &dyn Display) {
        let value = crate::json::string(&value.to_string());
        self.0.push_str(&format!(r#","{name}":{value}"#));
    }

    fn write(mut self) {
        self.0.push_str("}\n");
        // In one write, so that lines do not mix. A closed stream is no reason to lose a call.
        let _ = std::io::stderr().lock().write_all(self.0.as_bytes());
    }
}
