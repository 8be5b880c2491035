//! One short JSON line for what an operator has to know. Never anything of a request, never anything of a secret.

use crate::error::{Fault, Refused};
use std::fmt::Display;
use std::io::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

/// The most lines about refused calls in one [`WINDOW`]; a flood of forged calls must not become a flood of lines.
const REFUSED_LINES: u32 = 50;
/// See [`REFUSED_LINES`].
const WINDOW: Duration = Duration::from_secs(10);

const SILENT: u8 = 0;
const ERROR: u8 = 1;
const WARN: u8 = 2;
const INFO: u8 = 3;

static LEVEL: AtomicU8 = AtomicU8::new(WARN);
static REFUSED: Mutex<Option<Refusals>> = Mutex::new(None);

struct Refusals {
    since: Instant,
    lines: u32,
    unsaid: u32,
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
    if LEVEL.load(Ordering::Relaxed) < WARN {
        return;
    }
    let unsaid = {
        let mut guard = REFUSED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let window = guard.get_or_insert_with(|| Refusals { since: Instant::now(), lines: 0, unsaid: 0 });
        let mut unsaid = 0;
        if window.since.elapsed() >= WINDOW {
            unsaid = window.unsaid;
            *window = Refusals { since: Instant::now(), lines: 0, unsaid: 0 };
        }
        if window.lines >= REFUSED_LINES {
            window.unsaid += 1;
            return;
        }
        window.lines += 1;
        unsaid
    };
    let mut line = Line::new("warn", "refused", provider);
    line.field("reason", reason);
    if unsaid > 0 {
        line.field("unsaid", &unsaid);
    }
    line.write();
}

/// A fault of ours or of the operator's.
pub fn fault(provider: &str, fault: &Fault) {
    if LEVEL.load(Ordering::Relaxed) >= ERROR {
        let mut line = Line::new("error", "fault", provider);
        line.field("reason", fault);
        line.write();
    }
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
