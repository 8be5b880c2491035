//! The measurements. In each, the candidates take turns round by round, and the order of a round is another each time.

use crate::aws::Aws;
use crate::candidate::{Built, Environment, Function, How, Provider, Who, files};
use crate::figures::{Figures, Metric, quantile};
use crate::place::{Cores, Place, Quota};
use crate::progress::Progress;
use crate::runtime::{Api, Done};
use calls::{BodyAs, Made};
use flate2::Compression;
use flate2::write::DeflateEncoder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

/// The sample that calls of one event are made of.
const SAMPLE: &str = "pull-request-opened";
/// How many events the call of many has.
pub const MANY: usize = 100;
/// The size of most measurements, in KiB.
pub const USUAL: usize = 20;
/// Calls of a turn that do not count: other candidates had the caches meanwhile.
const UNCOUNTED: usize = 3;
/// A turn has at least so many calls, and at most that many.
const TURN_CALLS: (usize, usize) = (8, 200);
/// Calls before the first turn: at least, at most.
const WARM_UP_CALLS: (usize, usize) = (20, 600);
/// Calls before memory is looked at, at the usual size and at the ceiling.
const MEMORY_CALLS: usize = 50;
const CEILING_CALLS: usize = 3;
/// Calls a second in a burst.
pub const BURST_RATE: u32 = 500;

/// What everything needs.
pub struct Bench<'b> {
    pub built: &'b Built,
    pub aws: &'b Aws,
    pub cores: Option<&'b Cores>,
    pub who: Vec<Who>,
    /// Of bodies, in KiB.
    pub sizes: Vec<usize>,
    pub rounds: usize,
    /// Wall time of a turn of one case.
    pub turn: Duration,
    pub body_as: BodyAs,
    pub now: i64,
}

/// A call to be measured.
struct Case {
    name: String,
    event: Arc<str>,
    status: u16,
    provider: Provider,
    tls: bool,
}

/// The name of a warm case.
pub fn warm(kib: usize, tls: bool) -> String {
    format!("warm {kib} KiB{}", if tls { " over TLS" } else { "" })
}

/// The name of the case of a refused call.
pub fn forged(kib: usize) -> String {
    format!("forged {kib} KiB")
}

/// The name of the case of many events.
pub fn many() -> String {
    format!("warm {MANY} events")
}

/// The name of a cold case: a part of a core, and where the settings are.
pub fn cold(part: u64, ssm: bool, step: &str) -> String {
    format!("cold 1/{part}, settings {}, {step}", if ssm { "by ssm:" } else { "inline" })
}

/// The name of the case of warm calls under a quota.
pub fn quota(part: u64) -> String {
    format!("warm {USUAL} KiB, 1/{part}")
}

/// The name of a case of the engine.
pub fn engine(kib: usize) -> String {
    format!("engine {kib} KiB")
}

/// Cases of memory and size.
pub const MEMORY_USUAL: &str = "memory 20 KiB";
pub const MEMORY_CEILING: &str = "memory at the ceiling, claim check";
pub const MEMORY_CEILING_WHOLE: &str = "memory at the ceiling, sent whole";
pub const ZIP: &str = "zip";
pub const BINARY: &str = "binary";

impl Bench<'_> {
    fn place(&self) -> Place<'_> {
        Place { cores: self.cores, quota: None }
    }

    fn made(&self, kib: usize) -> Result<Made, String> {
        calls::call("github", SAMPLE, kib * 1024, self.body_as, self.now)
    }

    /// Those who take part in a round, in its order.
    fn order(&self, round: usize, takes_part: impl Fn(Who) -> bool) -> Vec<Who> {
        let mut who: Vec<Who> = self.who.iter().copied().filter(|who| takes_part(*who)).collect();
        let first = round.checked_rem(who.len()).unwrap_or_default();
        who.rotate_left(first);
        who
    }

    /// That all do the same job, but for the floor: every event has the same attributes and the same data, and a forged
    /// call gives none.
    pub fn same_job(&self) -> Result<(), String> {
        let one = self.made(USUAL)?;
        let many = calls::batch("facebook", MANY, self.now)?;
        let jobs = [(Provider::Github, &one, 1), (Provider::Facebook, &many, MANY)];
        for (provider, made, wanted) in jobs {
            let event: Arc<str> = made.event.as_str().into();
            let forged: Arc<str> = calls::forged(made)?.event.as_str().into();
            let mut first: Option<(Who, Vec<Value>)> = None;
            for who in self.order(0, |who| who.works() && has(who, provider)) {
                let how = How { place: self.place(), provider, ..How::default() };
                let function = Function::start(self.built, self.aws, who, how)?;
                function.init()?;
                let (refused, sent) = self.aws.recorded(|| function.calls(&forged, 401, 1));
                refused?;
                let (accepted, messages) = self.aws.recorded(|| function.calls(&event, 200, 1));
                accepted?;
                let title = who.title();
                if !sent.is_empty() || messages.len() != wanted {
                    return Err(format!("{title}: {} events instead of {wanted}", messages.len()));
                }
                let mut events = messages
                    .iter()
                    .map(|message| comparable(message))
                    .collect::<Option<Vec<Value>>>()
                    .ok_or_else(|| format!("{title}: an event that is no JSON object"))?;
                // Batches may be sent side by side.
                events.sort_by_key(Value::to_string);
                match &first {
                    None => first = Some((who, events)),
                    Some((before, wanted)) => {
                        if let Some((is, wanted)) =
                            events.iter().zip(wanted).find(|(is, wanted)| is != wanted)
                        {
                            let different = differences(is, wanted).join(", ");
                            return Err(format!(
                                "{title} and {} do not send the same: {different}",
                                before.title()
                            ));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Init, and the first call over TLS.
    pub fn cold(&self, figures: &mut Figures, progress: &Progress, quotas: &[Quota]) -> Result<(), String> {
        let event: Arc<str> = self.made(USUAL)?.event.as_str().into();
        let whole = [(1, self.place())];
        let parts = quotas.iter().map(|quota| (quota.part, Place { quota: Some(quota), ..self.place() }));
        let places: Vec<(u64, Place<'_>)> = if quotas.is_empty() { whole.into() } else { parts.collect() };
        // Under a quota everything takes long, and what is measured is far above the noise.
        let rounds = if quotas.is_empty() { self.rounds } else { (self.rounds / 4).max(2).min(self.rounds) };
        for round in 0..rounds {
            progress.step(round, rounds);
            for (part, place) in &places {
                // Under a quota the settings are inline: what reading them costs is known from the whole core.
                for ssm in [false, true].into_iter().filter(|ssm| !ssm || *part == 1) {
                    for who in self.order(round, |who| who.works() || !ssm) {
                        let how = How { place: *place, tls: true, ssm, ..How::default() };
                        let function = Function::start(self.built, self.aws, who, how)?;
                        let init = function.init()?;
                        let (times, cpu) = function.calls(&event, 200, 1)?;
                        let wall = times.iter().sum::<Duration>();
                        let steps = [
                            ("init", init.wall, init.cpu),
                            ("first call", wall, cpu),
                            ("both", init.wall + wall, init.cpu + cpu),
                        ];
                        for (step, wall, cpu) in steps {
                            let case = cold(*part, ssm, step);
                            figures.add(&case, Metric::Wall, who.title(), millis(wall));
                            figures.add(&case, Metric::Cpu, who.title(), millis(cpu));
                        }
                        if *part > 1 {
                            let (times, _) = function.calls(&event, 200, 10)?;
                            let (times, cpu) =
                                function.calls(&event, 200, turn_calls(self.turn * 3, &times).min(100))?;
                            add_turn(figures, &quota(*part), who, &times, cpu);
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Warm calls, accepted and refused.
    pub fn warm(&self, figures: &mut Figures, progress: &Progress) -> Result<(), String> {
        let cases = self.warm_cases()?;
        let mut functions = BTreeMap::new();
        for (n, who) in self.who.iter().copied().enumerate() {
            progress.note(&format!("warming up {} ({} of {})", who.title(), n + 1, self.who.len()));
            for (at, case) in cases.iter().enumerate().filter(|(_, case)| takes(who, case)) {
                let key = (who, case.provider.name(), case.tls);
                let function = match functions.entry(key) {
                    Entry::Occupied(is_there) => is_there.into_mut(),
                    Entry::Vacant(place) => {
                        let (provider, tls) = (case.provider, case.tls);
                        let how = How { place: self.place(), provider, tls, ..How::default() };
                        let function = Function::start(self.built, self.aws, who, how)?;
                        function.init()?;
                        place.insert(function)
                    }
                };
                let (least, most) = WARM_UP_CALLS;
                let (times, _) = function.calls(&case.event, case.status, least)?;
                // Just-in-time compilers are given some hundred calls, of which the first case has most.
                let budget = self.turn * if at == 0 { 10 } else { 4 };
                function.calls(&case.event, case.status, turn_calls(budget, &times).min(most))?;
            }
        }
        for round in 0..self.rounds {
            progress.step(round, self.rounds);
            for case in &cases {
                for who in self.order(round, |who| takes(who, case)) {
                    let Some(function) = functions.get(&(who, case.provider.name(), case.tls)) else {
                        continue;
                    };
                    let (times, _) = function.calls(&case.event, case.status, UNCOUNTED)?;
                    let before = self.aws.messages();
                    let count = turn_calls(self.turn, &times);
                    let (times, cpu) = function.calls(&case.event, case.status, count)?;
                    let sent = self.aws.messages() - before;
                    let each = match (case.status, case.provider) {
                        _ if !who.works() => 0,
                        (200, Provider::Github) => 1,
                        (200, Provider::Facebook) => MANY,
                        _ => 0,
                    };
                    if usize::try_from(sent) != Ok(each * count) {
                        return Err(format!(
                            "{}: {sent} messages of {count} calls ({})",
                            who.title(),
                            case.name
                        ));
                    }
                    add_turn(figures, &case.name, who, &times, cpu);
                }
            }
        }
        Ok(())
    }

    fn warm_cases(&self) -> Result<Vec<Case>, String> {
        let mut cases = Vec::new();
        let of = |name: String, event: &str, status, provider, tls| Case {
            name,
            event: event.into(),
            status,
            provider,
            tls,
        };
        for kib in &self.sizes {
            let made = self.made(*kib)?;
            let refused = calls::forged(&made)?;
            cases.push(of(warm(*kib, false), &made.event, 200, Provider::Github, false));
            cases.push(of(forged(*kib), &refused.event, 401, Provider::Github, false));
            if *kib == USUAL {
                cases.push(of(warm(*kib, true), &made.event, 200, Provider::Github, true));
            }
        }
        // What is warmed up first is what most is said about.
        cases.sort_by_key(|case| case.name != warm(USUAL, false));
        let batch = calls::batch("facebook", MANY, self.now)?;
        cases.push(of(many(), &batch.event, 200, Provider::Facebook, false));
        Ok(cases)
    }

    /// Peak memory, at the usual size and at the largest event.
    pub fn memory(&self, figures: &mut Figures, progress: &Progress) -> Result<(), String> {
        let usual: Arc<str> = self.made(USUAL)?.event.as_str().into();
        let largest: Arc<str> = calls::ceiling("github", self.now)?.event.as_str().into();
        let cases = [
            (MEMORY_USUAL, &usual, MEMORY_CALLS, false),
            (MEMORY_CEILING, &largest, CEILING_CALLS, true),
            (MEMORY_CEILING_WHOLE, &largest, CEILING_CALLS, false),
        ];
        // Memory varies little.
        let rounds = self.rounds.min(3);
        for round in 0..rounds {
            progress.step(round, rounds);
            for (case, event, count, claim_check) in cases {
                // Only ours has a bucket for what no message holds.
                let ours = |who| !claim_check || matches!(who, Who::Hookgate | Who::Before);
                for who in self.order(round, ours) {
                    let how = How { place: self.place(), tls: true, claim_check, ..How::default() };
                    let function = Function::start(self.built, self.aws, who, how)?;
                    function.init()?;
                    let objects = self.aws.objects();
                    function.calls(event, 200, count)?;
                    if claim_check && self.aws.objects() == objects {
                        return Err(format!("{}: nothing is in the bucket", who.title()));
                    }
                    figures.add(case, Metric::Memory, who.title(), function.peak_memory()?);
                }
            }
        }
        Ok(())
    }

    /// How large what ships is, as it is and as a zip.
    pub fn size(&self, figures: &mut Figures) -> Result<(), String> {
        let mut of = |who: Who, packed: &[(PathBuf, &Path)], binary: Option<&Path>| -> Result<(), String> {
            let told = |error: std::io::Error| format!("{}: {error}", who.title());
            let bytes = zipped(packed).map_err(told)?;
            figures.add(ZIP, Metric::Size, who.title(), bytes);
            if let Some(binary) = binary {
                let bytes = fs::metadata(binary).map_err(told)?.len() as f64;
                figures.add(BINARY, Metric::Size, who.title(), bytes);
            }
            Ok(())
        };
        for who in &self.who {
            match who {
                Who::Floor => of(*who, &[("bootstrap".into(), &self.built.floor)], Some(&self.built.floor))?,
                Who::Hookgate => {
                    of(*who, &[("bootstrap".into(), &self.built.github)], Some(&self.built.github))?
                }
                Who::Before => {
                    let before = self.built.before.as_deref().ok_or("no other build is named")?;
                    of(*who, &[("bootstrap".into(), before)], Some(before))?;
                }
                Who::Node => {
                    // The managed runtime has the loop.
                    let bundle = self.built.node.join("github.mjs");
                    of(*who, &[("github.mjs".into(), &bundle)], Some(&bundle))?;
                }
                Who::Python => {
                    let packages = python_packages(self.built)?;
                    let handlers = ["gate.py", "github.py"].map(|name| self.built.python.join(name));
                    let mut packed: Vec<(PathBuf, &Path)> = Vec::new();
                    for (root, file) in &packages {
                        packed.push((file.strip_prefix(root).unwrap_or(file).to_owned(), file));
                    }
                    for handler in &handlers {
                        packed.push((handler.file_name().unwrap_or_default().into(), handler));
                    }
                    of(*who, &packed, None)?;
                }
            }
        }
        Ok(())
    }

    /// Checking and enveloping alone.
    pub fn engine(&self, figures: &mut Figures, progress: &Progress) -> Result<(), String> {
        let millis = (self.turn.as_millis() * 2).to_string();
        let settings: Value =
            serde_json::from_str(&calls::config("github")?).map_err(|error| error.to_string())?;
        let secret = settings.get("secret").and_then(Value::as_str).ok_or("no secret")?;
        for round in 0..self.rounds {
            progress.step(round, self.rounds);
            for kib in &self.sizes {
                let case = engine(*kib);
                let made = self.made(*kib)?;
                let said = self.output(&self.built.engine, &[&(kib * 1024).to_string(), &millis], b"")?;
                let parts: BTreeMap<String, f64> =
                    serde_json::from_str(&said).map_err(|error| error.to_string())?;
                for name in ["hmac", "json", "bare", "verify", "verify_envelope", "read_verify_envelope"] {
                    let value = parts.get(name).ok_or("a part that the engine does not know")?;
                    figures.add(&case, Metric::Time, name, *value);
                }
                let signature = made
                    .draft
                    .headers
                    .iter()
                    .find(|(name, _)| name.eq_ignore_ascii_case("x-hub-signature-256"));
                let (_, signature) = signature.ok_or("a call without a signature")?;
                let said = self.output(&self.built.qhook, &[secret, signature, &millis], &made.draft.body)?;
                let value = said.trim().parse().map_err(|_| format!("qhook-verify: {said}"))?;
                figures.add(&case, Metric::Time, "qhook", value);
            }
        }
        Ok(())
    }

    /// What a program prints on a function's core.
    fn output(&self, program: &Path, arguments: &[&str], input: &[u8]) -> Result<String, String> {
        let told = |error: std::io::Error| format!("{}: {error}", program.display());
        let mut command = Command::new(program);
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = self.place().start(|| command.spawn()).map_err(told)?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(input).map_err(told)?;
        }
        let output = child.wait_with_output().map_err(told)?;
        if !output.status.success() {
            return Err(format!("{}: {}", program.display(), output.status));
        }
        String::from_utf8(output.stdout).map_err(|error| error.to_string())
    }

    /// Calls that come at a steady rate, whether those before are answered or not.
    pub fn burst(
        &self,
        who: Who,
        processes: usize,
        at_once: Option<usize>,
        length: Duration,
    ) -> Result<Burst, String> {
        let event: Arc<str> = self.made(USUAL)?.event.as_str().into();
        let api = Api::start().map_err(|error| error.to_string())?;
        // On all cores, as the doubles: they share them.
        let how = How { tls: true, at_once, ..How::default() };
        let environments = (0..processes)
            .map(|_| Environment::start(self.built, self.aws, &api, who, how))
            .collect::<Result<Vec<_>, _>>()?;
        api.ready(processes, Duration::from_secs(60))?;
        // All of them, where one environment has several.
        thread::sleep(Duration::from_millis(200));
        let pollers = api.pollers();
        let (done, answers) = channel();
        let most = Duration::from_secs(60);
        for _ in 0..50 * processes {
            api.call(&event, most)?;
        }
        let before = environments.iter().map(Environment::cpu).sum::<Result<Duration, _>>()?;
        let sent_before = self.aws.messages();
        let count = u32::try_from(length.as_millis()).map_err(|_| "too long a burst")? * BURST_RATE / 1000;
        let start = Instant::now();
        for n in 0..count {
            let due = start + Duration::from_secs(1) * n / BURST_RATE;
            thread::sleep(due.saturating_duration_since(Instant::now()));
            // From when it should have come: what makes the benchmark late makes nothing look quicker.
            api.invoke(&event, due, &done);
        }
        let mut times = Vec::with_capacity(count as usize);
        let mut failed = 0;
        for _ in 0..count {
            let Done { came, ended, status, .. } =
                answers.recv_timeout(most).map_err(|_| "calls of the burst were not answered")?;
            failed += usize::from(status != Ok(200));
            times.push(millis(ended - came));
        }
        let took = start.elapsed();
        let cpu =
            environments.iter().map(Environment::cpu).sum::<Result<Duration, _>>()?.saturating_sub(before);
        let memory = environments.iter().map(Environment::peak_memory).collect::<Result<Vec<_>, _>>()?;
        let lost = u64::from(count) - (self.aws.messages() - sent_before).min(u64::from(count));
        times.sort_by(f64::total_cmp);
        let at = |part| quantile(&times, part).unwrap_or_default();
        Ok(Burst {
            who,
            processes,
            pollers,
            calls: count,
            failed,
            lost,
            rate: f64::from(count) / took.as_secs_f64(),
            p50: at(0.5),
            p99: at(0.99),
            max: at(1.0),
            cpu: millis(cpu) / f64::from(count),
            memory: memory.into_iter().fold(0.0, f64::max),
        })
    }
}

/// What came of a burst.
pub struct Burst {
    pub who: Who,
    pub processes: usize,
    /// How many calls could be under way at once.
    pub pollers: usize,
    pub calls: u32,
    /// Answered otherwise than 200.
    pub failed: usize,
    /// Answered, and not in the queue.
    pub lost: u64,
    /// Calls answered in a second.
    pub rate: f64,
    /// Milliseconds from when a call came until it was answered.
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
    /// CPU milliseconds of a call.
    pub cpu: f64,
    /// The most memory of a process, in bytes.
    pub memory: f64,
}

impl Burst {
    /// The same for a program.
    pub fn json(&self) -> Value {
        json!({
            "of": self.who.title(), "environments": self.processes, "at_once": self.pollers, "calls": self.calls,
            "calls_per_second": self.rate, "p50_ms": self.p50, "p99_ms": self.p99, "max_ms": self.max,
            "cpu_ms": self.cpu, "peak_rss_bytes": self.memory, "failed": self.failed, "lost": self.lost,
        })
    }
}

/// Whether there is a build of it for this provider.
fn has(who: Who, provider: Provider) -> bool {
    who != Who::Before || provider == Provider::Github
}

/// Whether a candidate takes part in a case. The floor has one: what it does not look at costs it the reading alone.
fn takes(who: Who, case: &Case) -> bool {
    match who {
        Who::Floor => case.status == 200 && case.provider == Provider::Github && !case.tls,
        _ => has(who, case.provider),
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// So many calls as take about a turn, by what the last ones took.
fn turn_calls(turn: Duration, times: &[Duration]) -> usize {
    let (least, most) = TURN_CALLS;
    let each = times.iter().sum::<Duration>() / u32::try_from(times.len()).unwrap_or(1).max(1);
    let count = turn.as_nanos() / each.as_nanos().max(1);
    usize::try_from(count).unwrap_or(most).clamp(least, most)
}

fn add_turn(figures: &mut Figures, case: &str, who: Who, times: &[Duration], cpu: Duration) {
    let mut sorted: Vec<f64> = times.iter().map(|time| millis(*time)).collect();
    figures.add_calls(case, who, sorted.iter().copied());
    sorted.sort_by(f64::total_cmp);
    figures.add(case, Metric::Wall, who.title(), quantile(&sorted, 0.5).unwrap_or_default());
    let count = u32::try_from(times.len()).unwrap_or(1);
    figures.add(case, Metric::Cpu, who.title(), millis(cpu) / f64::from(count));
}

/// An envelope without what may differ: when it was received, ids that are digests made by whoever sends it, and how a
/// time is written.
fn comparable(message: &str) -> Option<Value> {
    let mut event: Value = serde_json::from_str(message).ok()?;
    let attributes = event.as_object_mut()?;
    attributes.remove("receivedtime")?;
    if attributes.get("idsource").and_then(Value::as_str) == Some("digest") {
        attributes.remove("id")?;
    }
    if let Some(Value::String(time)) = attributes.get_mut("time") {
        time.truncate("2026-11-24T05:59:57".len());
    }
    Some(event)
}

/// The names of attributes that are not the same.
fn differences(one: &Value, other: &Value) -> Vec<String> {
    let empty = serde_json::Map::new();
    let (one, other) = (one.as_object().unwrap_or(&empty), other.as_object().unwrap_or(&empty));
    let names = one.keys().chain(other.keys().filter(|name| !one.contains_key(*name)));
    names.filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
}

/// The files of the packages that a user would ship with the handlers: all but the runtime's client, which AWS has.
fn python_packages(built: &Built) -> Result<Vec<(PathBuf, PathBuf)>, String> {
    let told = |error: std::io::Error| format!("packages of Python: {error}");
    let found = files(&built.python_environment.join("lib")).map_err(told)?;
    let shipped = ["boto3", "botocore", "dateutil", "jmespath", "s3transfer", "six.py", "urllib3"];
    let files = found.into_iter().filter_map(|file| {
        let at = file.ancestors().find(|above| above.ends_with("site-packages"))?.to_owned();
        let first = file.strip_prefix(&at).ok()?.components().next()?.as_os_str().to_str()?.to_owned();
        let cached = file.components().any(|part| part.as_os_str() == "__pycache__");
        (shipped.contains(&&*first) && !cached).then_some((at, file))
    });
    let files: Vec<_> = files.collect();
    if files.is_empty() { Err("no packages of Python were found".to_owned()) } else { Ok(files) }
}

/// How large a zip of these files is, in bytes, deflated at the usual level.
fn zipped(files: &[(PathBuf, &Path)]) -> std::io::Result<f64> {
    // Of each file: a local header, an entry of the directory, the name in both. At the end: the directory's own end.
    const EACH: usize = 30 + 46;
    const END: usize = 22;
    let mut bytes = END;
    for (name, file) in files {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&fs::read(file)?)?;
        bytes += EACH + 2 * name.as_os_str().len() + encoder.finish()?.len();
    }
    Ok(bytes as f64)
}
