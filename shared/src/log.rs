//! One short JSON line for what an operator has to know. Never anything of a request, never anything of a secret.

use crate::error::{Fault, Refused, Unreadable};
use std::fmt::Display;
use std::io::Write as _;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The most lines of one kind about calls in one [`WINDOW`]: a flood of calls must not become a flood of lines.
const LINES: u32 = 50;
/// See [`LINES`].
const WINDOW: Duration = Duration::from_secs(10);

const SILENT: u8 = 0;
const ERROR: u8 = 1;
const WARN: u8 = 2;
const INFO: u8 = 3;

static LEVEL: AtomicU8 = AtomicU8::new(WARN);
static NAMESPACE: OnceLock<String> = OnceLock::new();

/// Lines about calls, of which there may be as many as there are calls.
struct Kind {
    name: &'static str,
    level: u8,
    /// What is counted by it in CloudWatch.
    metric: Option<&'static str>,
    count: Mutex<Option<Count>>,
}

static REFUSED: Kind = Kind::new("refused", WARN, None);
static FAULT: Kind = Kind::new("fault", ERROR, Some("Faults"));
/// Two deliveries of one event at once are no fault to be alarmed at.
static HELD: Kind = Kind::new("fault", WARN, None);
static TOO_LARGE: Kind = Kind::new("fault", ERROR, Some("TooLarge"));
static UNREADABLE: Kind = Kind::new("unreadable", WARN, Some("Unreadable"));
static FALLBACK: Kind = Kind::new("fallback", WARN, Some("Fallbacks"));
static NOT_THERE_EITHER: Kind = Kind::new("fallback", ERROR, None);
static DUPLICATES: Kind = Kind::new("duplicates", WARN, None);
static QUARANTINED: Kind = Kind::new("quarantine", WARN, Some("Quarantined"));
static DROPPED: Kind = Kind::new("quarantine", WARN, Some("QuarantineDropped"));

struct Count {
    since: Instant,
    lines: u32,
    unsaid: usize,
}

impl Kind {
    const fn new(name: &'static str, level: u8, metric: Option<&'static str>) -> Kind {
        Kind { name, level, metric, count: Mutex::new(None) }
    }

    /// How much was left out before this line, which is about so much, or `None` if it is to be left out too.
    fn pass(&self, amount: usize) -> Option<usize> {
        let mut guard = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        let count = guard.get_or_insert_with(|| Count { since: Instant::now(), lines: 0, unsaid: 0 });
        let mut before = 0;
        if count.since.elapsed() >= WINDOW {
            before = count.unsaid;
            *count = Count { since: Instant::now(), lines: 0, unsaid: 0 };
        }
        if count.lines >= LINES {
            count.unsaid += amount;
            return None;
        }
        count.lines += 1;
        Some(before)
    }

    /// Writes a line about so many calls or events, unless there were too many lines.
    fn say(&self, provider: &str, amount: usize, reason: &dyn Display) {
        let namespace = NAMESPACE.get().filter(|_| self.metric.is_some());
        // What is counted is counted whatever else is to be logged.
        if namespace.is_none() && LEVEL.load(Ordering::Relaxed) < self.level {
            return;
        }
        let Some(unsaid) = self.pass(amount) else { return };
        let mut line = Line::new(if self.level == ERROR { "error" } else { "warn" }, self.name, provider);
        line.field("reason", reason);
        if amount > 1 {
            line.field("amount", &amount);
        }
        if unsaid > 0 {
            line.field("unsaid", &unsaid);
        }
        if let (Some(namespace), Some(metric)) = (namespace, self.metric) {
            line.metric(namespace, metric, amount + unsaid);
        }
        line.write();
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

/// Has lines carry metrics for CloudWatch, in this namespace.
pub fn set_metrics(namespace: String) {
    // A process has one namespace: that of its first call.
    let _ = NAMESPACE.set(namespace);
}

/// A refused call.
pub fn refused(provider: &str, reason: &Refused) {
    REFUSED.say(provider, 1, reason);
}

/// A fault of ours or of the operator's.
pub fn fault(provider: &str, fault: &Fault) {
    let kind = match fault {
        Fault::TooLarge => &TOO_LARGE,
        Fault::Held => &HELD,
        _ => &FAULT,
    };
    kind.say(provider, 1, fault);
}

/// A genuine call that could not be read as its row says, and was queued as it came. Many of them say that a provider has
/// changed its format.
pub fn unreadable(provider: &str, reason: Unreadable) {
    UNREADABLE.say(provider, 1, &reason.0);
}

/// So many events are where they can be fetched from, since the queue did not take them.
pub fn stood_in(provider: &str, events: usize, fault: &Fault) {
    FALLBACK.say(provider, events, fault);
}

/// What stands in for the queue does not take events either.
pub fn stood_in_vain(provider: &str, fault: &Fault) {
    NOT_THERE_EITHER.say(provider, 1, &format_args!("not there either: {fault}"));
}

/// Events that were sent without knowing whether they had been sent before.
pub fn unclaimed(provider: &str, reason: &str) {
    DUPLICATES.say(provider, 1, &format_args!("sent all the same: {reason}"));
}

/// A call whose signature did not match is in quarantine, or why not.
pub fn quarantine(provider: &str, kept: Result<(), &str>) {
    match kept {
        Ok(()) => QUARANTINED.say(provider, 1, &"kept"),
        Err(why) => DROPPED.say(provider, 1, &format_args!("not kept: {why}")),
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

    /// A count for CloudWatch, in the embedded metric format, without dimensions: it is summed over all functions.
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
    fn metric(&mut self, namespace: &str, name: &str, value: usize) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let namespace = crate::json::string(namespace);
        self.0.push_str(&format!(
            r#","_aws":{{"Timestamp":{now},"CloudWatchMetrics":[{{"Namespace":{namespace},"Dimensions":[[]],"Metrics":[{{"Name":"{name}","Unit":"Count"}}]}}]}},"{name}":{value}"#
        ));
    }

    fn write(mut self) {
        self.0.push_str("}\n");
        // In one write, so that lines do not mix. A closed stream is no reason to lose a call.
        let _ = std::io::stderr().lock().write_all(self.0.as_bytes());
    }
}
