//! Tables and targets, for a terminal and in Markdown.

use crate::candidate::Who;
use crate::figures::{Figures, Metric, Spread};
use crate::machine::Machine;
use crate::measure::{self, Burst, MANY, USUAL};
use serde_json::{Value, json};

/// What a value is divided by for tables, and the unit's name.
const MIB: (f64, &str) = (1_048_576.0, "MiB");
const MB: (f64, &str) = (1_000_000.0, "MB");
const MS: (f64, &str) = (1.0, "ms");
const MICROS: (f64, &str) = (1000.0, "µs");

const MISSED: &str = "missed";

/// A table.
pub struct Table {
    title: String,
    note: String,
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// What is asked of a figure.
pub struct Target {
    what: String,
    most: f64,
    /// Whether more is better, and `most` the least.
    is_least: bool,
    measured: Option<Spread>,
    unit: &'static str,
}

/// Everything that a reader sees.
pub struct Report {
    tables: Vec<Table>,
    targets: Vec<Target>,
}

impl Report {
    /// What the figures come to for these candidates, sizes in KiB and parts of a core.
    pub fn of(figures: &Figures, who: &[Who], sizes: &[usize], parts: &[u64], bursts: &[Burst]) -> Report {
        let rows = Rows { figures, who };
        let mut tables = vec![rows.cold(), rows.warm(sizes), rows.refused(sizes), rows.memory()];
        tables.extend(parts.iter().map(|part| rows.quota(*part)));
        tables.push(engine(figures, sizes));
        tables.push(burst(bursts));
        tables.push(rows.steadiness());
        tables.retain(|table| !table.rows.is_empty());
        let targets =
            targets(figures, sizes).into_iter().filter(|target| target.measured.is_some()).collect();
        Report { tables, targets }
    }

    /// For a terminal.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for table in &self.tables {
            text.push_str(&format!("\n{}\n", table.title));
            let all: Vec<&Vec<String>> = std::iter::once(&table.head).chain(&table.rows).collect();
            let widths: Vec<usize> = (0..table.head.len())
                .map(|column| {
                    let cells = all.iter().filter_map(|row| row.get(column));
                    cells.map(|cell| cell.chars().count()).max().unwrap_or_default()
                })
                .collect();
            for row in all {
                let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
                    0 => format!("{cell:<width$}"),
                    _ => format!("{cell:>width$}"),
                });
                text.push_str(&format!("  {}\n", cells.collect::<Vec<_>>().join("  ").trim_end()));
            }
            if !table.note.is_empty() {
                text.push_str(&format!("  {}\n", table.note));
            }
        }
        if !self.targets.is_empty() {
            text.push_str("\nTargets\n");
            for target in &self.targets {
                text.push_str(&format!("  {}\n", target.words().join(": ")));
            }
        }
        text
    }

    /// For the documentation.
    pub fn markdown(&self, machine: &Machine) -> String {
        let mut text = format!("{}\n", machine.sentence());
        let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        for table in &self.tables {
            text.push_str(&format!("\n### {}\n\n", table.title));
            text.push_str(&row(&table.head));
            text.push_str(&format!("|---|{}\n", "---:|".repeat(table.head.len().saturating_sub(1))));
            text.extend(table.rows.iter().map(|cells| row(cells)));
            if !table.note.is_empty() {
                text.push_str(&format!("\n{}\n", table.note));
            }
        }
        if !self.targets.is_empty() {
            text.push_str("\n### Targets\n\n| target | measured | |\n|---|---|---|\n");
            let bold = format!("**{MISSED}**");
            let words = self.targets.iter().map(Target::words);
            text.extend(words.map(|[what, is, verdict]| row(&[what, is, verdict.replace(MISSED, &bold)])));
        }
        text
    }

    /// The targets for a program.
    pub fn json(&self) -> Value {
        let targets = self.targets.iter().map(|target| {
            json!({
                "target": target.what, "limit": target.most, "limit_is_least": target.is_least,
                "measured": target.measured.map(|measured| measured.median), "met": target.is_met(),
            })
        });
        targets.collect()
    }
}

/// Rows with a column for each candidate, and how many times Hookgate's the others are.
struct Rows<'f> {
    figures: &'f Figures,
    who: &'f [Who],
}

impl Rows<'_> {
    fn table(&self, title: impl Into<String>, note: &str, rows: Vec<Option<Vec<String>>>) -> Table {
        let mut head = vec![String::new()];
        head.extend(self.who.iter().map(|who| who.title().to_owned()));
        head.extend(self.compared().map(|who| format!("{} ÷ Hookgate", who.title())));
        Table { title: title.into(), note: note.to_owned(), head, rows: rows.into_iter().flatten().collect() }
    }

    /// Those beside Hookgate that do the same job.
    fn compared(&self) -> impl Iterator<Item = Who> {
        let is_there = self.who.contains(&Who::Hookgate);
        self.who.iter().copied().filter(move |who| is_there && who.works() && *who != Who::Hookgate)
    }

    fn row(&self, label: &str, case: &str, metric: Metric, (unit, name): (f64, &str)) -> Option<Vec<String>> {
        let of = |who: &Who| self.figures.spread(case, metric, who.title());
        if !self.who.iter().any(|who| of(who).is_some()) {
            return None;
        }
        let mut row = vec![format!("{label}, {name}")];
        row.extend(
            self.who.iter().map(|who| of(who).map(|spread| spread.per(unit)).map_or_else(nothing, cell)),
        );
        row.extend(self.compared().map(|who| {
            let ratio = self.figures.ratio(case, metric, [who.title(), Who::Hookgate.title()]);
            ratio.map_or_else(nothing, |ratio| number(ratio.median))
        }));
        Some(row)
    }

    fn percentile(&self, label: &str, case: &str, percent: f64) -> Option<Vec<String>> {
        let of = |who: Who| self.figures.percentile(case, who, percent);
        if !self.who.iter().any(|who| of(*who).is_some()) {
            return None;
        }
        let mut row = vec![format!("{label}, ms")];
        row.extend(self.who.iter().map(|who| of(*who).map_or_else(nothing, number)));
        row.extend(self.compared().map(|who| match (of(who), of(Who::Hookgate)) {
            (Some(theirs), Some(ours)) => number(theirs / ours),
            _ => nothing(),
        }));
        Some(row)
    }

    fn cold(&self) -> Table {
        let mut rows = Vec::new();
        for ssm in [false, true] {
            let of = |step| measure::cold(1, ssm, step);
            let by = if ssm { "settings by `ssm:`: " } else { "" };
            for (step, label) in
                [("init", "init"), ("first call", "first call"), ("both", "init and first call")]
            {
                rows.push(self.row(&format!("{by}{label}"), &of(step), Metric::Wall, MS));
                rows.push(self.row(&format!("{by}{label}, CPU"), &of(step), Metric::Cpu, MS));
            }
        }
        let note = "A call of 20 KiB over TLS. Median of the rounds, in brackets the middle half of them; the same in all tables.";
        self.table("Cold start, all of a core", note, rows)
    }

    fn warm(&self, sizes: &[usize]) -> Table {
        let mut rows = Vec::new();
        let mut of = |label: &str, case: &str| {
            rows.push(self.percentile(&format!("{label}, p50"), case, 50.0));
            rows.push(self.percentile(&format!("{label}, p99"), case, 99.0));
            rows.push(self.row(&format!("{label}, CPU"), case, Metric::Cpu, MS));
        };
        for kib in sizes {
            of(&format!("{kib} KiB"), &measure::warm(*kib, false));
            if *kib == USUAL {
                of(&format!("{kib} KiB over TLS"), &measure::warm(*kib, true));
            }
        }
        of(&format!("{MANY} events"), &measure::many());
        let note = "Over plain HTTP where nothing else is said. p50 and p99 are of all calls of all rounds.";
        self.table("Warm calls, all of a core", note, rows)
    }

    fn refused(&self, sizes: &[usize]) -> Table {
        let rows = sizes
            .iter()
            .map(|kib| self.row(&format!("{kib} KiB, CPU"), &measure::forged(*kib), Metric::Cpu, MS));
        self.table("A refused forgery", "", rows.collect())
    }

    fn memory(&self) -> Table {
        let rows = vec![
            self.row("peak RSS, calls of 20 KiB", measure::MEMORY_USUAL, Metric::Memory, MIB),
            self.row("peak RSS, largest event, claim check", measure::MEMORY_CEILING, Metric::Memory, MIB),
            self.row(
                "peak RSS, largest event in a message",
                measure::MEMORY_CEILING_WHOLE,
                Metric::Memory,
                MIB,
            ),
            self.row("binary or bundle", measure::BINARY, Metric::Size, MB),
            self.row("zip", measure::ZIP, Metric::Size, MB),
        ];
        let note = "The largest event is of 6 MB, in base64. SQS takes no message of that size: what is in a message there shows \
                    what the same job costs, claim check is how Hookgate is deployed. A zip of Python has boto3 with what it \
                    needs, one of Node the bundle.";
        self.table("Memory and size", note, rows)
    }

    fn quota(&self, part: u64) -> Table {
        let cold = |step| measure::cold(part, false, step);
        let warm = measure::quota(part);
        let rows = vec![
            self.row("init", &cold("init"), Metric::Wall, MS),
            self.row("first call over TLS", &cold("first call"), Metric::Wall, MS),
            self.row("init and first call", &cold("both"), Metric::Wall, MS),
            self.percentile("warm, 20 KiB over TLS, p50", &warm, 50.0),
            self.percentile("warm, 20 KiB over TLS, p99", &warm, 99.0),
            self.row("warm, 20 KiB over TLS, CPU", &warm, Metric::Cpu, MS),
        ];
        // In steps as functions are given it.
        let memory = (1769.0 / f64::from(u32::try_from(part).unwrap_or(1)) / 64.0).round() * 64.0;
        let title = format!("With 1/{part} of a core, about what {memory} MB buy");
        self.table(
            title,
            "Wall time but for CPU. Calls come one right after the other, so each pays for those before it.",
            rows,
        )
    }

    /// How the rounds of the figures that most depends on lie.
    fn steadiness(&self) -> Table {
        let cases = [
            ("init", measure::cold(1, false, "init"), Metric::Wall),
            ("init, CPU", measure::cold(1, false, "init"), Metric::Cpu),
            ("init and first call", measure::cold(1, false, "both"), Metric::Wall),
            ("warm 20 KiB, p50", measure::warm(USUAL, false), Metric::Wall),
            ("warm 20 KiB, CPU", measure::warm(USUAL, false), Metric::Cpu),
        ];
        let mut rows = Vec::new();
        for (label, case, metric) in cases {
            for who in self.who {
                if let Some(spread) = self.figures.spread(&case, metric, who.title()) {
                    let Spread { min, p25, median, p75, max, rounds } = spread;
                    let mut row = vec![format!("{label}, ms: {}", who.title())];
                    row.extend([min, p25, median, p75, max].map(number));
                    row.push(rounds.to_string());
                    rows.push(row);
                }
            }
        }
        let head = ["", "min", "p25", "median", "p75", "max", "rounds"].map(str::to_owned).into();
        Table { title: "How steady it was".to_owned(), note: String::new(), head, rows }
    }
}

fn engine(figures: &Figures, sizes: &[usize]) -> Table {
    let parts = [
        ("HMAC-SHA256 alone", "hmac"),
        ("one pass over the JSON alone", "json"),
        ("both: the least", "bare"),
        ("Hookgate: verify", "verify"),
        ("qhook: verify", "qhook"),
        ("Hookgate: verify and envelope", "verify_envelope"),
        ("Hookgate: read the event, verify and envelope", "read_verify_envelope"),
    ];
    let mut rows = Vec::new();
    for kib in sizes.iter().filter(|kib| figures.has(&measure::engine(**kib))) {
        let case = measure::engine(*kib);
        for (label, part) in parts {
            let time = figures.spread(&case, Metric::Time, part).map(|spread| spread.per(MICROS.0));
            let ratio = figures.ratio(&case, Metric::Time, [part, "bare"]);
            rows.push(vec![
                format!("{kib} KiB, {label}"),
                time.map_or_else(nothing, cell),
                ratio.map_or_else(nothing, |ratio| number(ratio.median)),
            ]);
        }
    }
    let head = vec![String::new(), MICROS.1.to_owned(), "÷ the least".to_owned()];
    let note = "In one process, without a runtime and without a queue; qhook's in a process of its own, in turn with the other.";
    Table { title: "Checking and enveloping alone".to_owned(), note: note.to_owned(), head, rows }
}

fn burst(bursts: &[Burst]) -> Table {
    let rows = bursts.iter().map(|burst| {
        vec![
            format!(
                "{}, {}, calls at once: {}",
                burst.who.title(),
                processes(burst.processes),
                burst.pollers
            ),
            burst.calls.to_string(),
            number(burst.rate),
            number(burst.p50),
            number(burst.p99),
            number(burst.max),
            number(burst.cpu),
            number(burst.memory / MIB.0),
            format!("{} / {}", burst.failed, burst.lost),
        ]
    });
    let head = [
        "",
        "calls",
        "calls/s",
        "p50, ms",
        "p99, ms",
        "max, ms",
        "CPU/call, ms",
        "peak RSS, MiB",
        "failed / lost",
    ];
    let note = "Calls of 20 KiB over TLS, at a steady rate whether those before are answered or not; functions and doubles share \
                all cores. The time of a call counts from when it was due.";
    Table {
        title: format!("Bursts: {} calls/s", measure::BURST_RATE),
        note: note.to_owned(),
        head: head.map(str::to_owned).into(),
        rows: rows.collect(),
    }
}

fn processes(count: usize) -> String {
    if count == 1 { "one environment".to_owned() } else { format!("{count} environments") }
}

/// The targets, by what was measured.
fn targets(figures: &Figures, sizes: &[usize]) -> Vec<Target> {
    let [floor, ours, node, python] = [Who::Floor, Who::Hookgate, Who::Node, Who::Python].map(Who::title);
    let most = |what: &str, most: f64, measured: Option<Spread>, unit| Target {
        what: what.to_owned(),
        most,
        is_least: false,
        measured,
        unit,
    };
    let least = |what: &str, least: f64, case: &str, metric, who| Target {
        what: what.to_owned(),
        most: least,
        is_least: true,
        measured: figures.ratio(case, metric, [who, ours]),
        unit: "times",
    };
    let start = measure::cold(1, false, "both");
    let init = figures.ratio(&measure::cold(1, false, "init"), Metric::Cpu, [ours, floor]);
    let mut targets = vec![
        most("init CPU at most 1.4 times the floor's", 1.4, init, "times"),
        least(
            "init and first call over TLS at least 20 times faster than Node",
            20.0,
            &start,
            Metric::Wall,
            node,
        ),
        least(
            "init and first call over TLS at least 30 times faster than Python",
            30.0,
            &start,
            Metric::Wall,
            python,
        ),
    ];
    for (tls, by) in [(false, ""), (true, ", over TLS")] {
        let case = measure::warm(USUAL, tls);
        let what = |who: &str, times| {
            format!("CPU of a warm call of 20 KiB at least {times} times less than {who}'s{by}")
        };
        targets.push(least(&what(node, 9), 9.0, &case, Metric::Cpu, node));
        targets.push(least(&what(python, 5), 5.0, &case, Metric::Cpu, python));
    }
    for kib in sizes {
        let parts = [
            ("verify and envelope", "verify_envelope"),
            ("read, verify and envelope", "read_verify_envelope"),
        ];
        for (label, part) in parts {
            let ratio = figures.ratio(&measure::engine(*kib), Metric::Time, [part, "bare"]);
            let what =
                format!("{label} of {kib} KiB at most 1.5 times the bare HMAC and one pass over the JSON");
            targets.push(most(&what, 1.5, ratio, "times"));
        }
    }
    let memory = |case| figures.spread(case, Metric::Memory, ours).map(|spread| spread.per(MIB.0));
    let zip = figures.spread(measure::ZIP, Metric::Size, ours).map(|spread| spread.per(MB.0));
    targets.push(most("peak RSS at 20 KiB at most 9 MiB", 9.0, memory(measure::MEMORY_USUAL), MIB.1));
    targets.push(most(
        "peak RSS at the largest event under 40 MiB, claim check",
        40.0,
        memory(measure::MEMORY_CEILING),
        MIB.1,
    ));
    targets.push(most(
        "the same, all of it in a message",
        40.0,
        memory(measure::MEMORY_CEILING_WHOLE),
        MIB.1,
    ));
    targets.push(most("zip at most 2.2 MB", 2.2, zip, MB.1));
    for kib in sizes {
        // Each round has both, of the same candidate.
        let pairs = figures.rounds(&measure::forged(*kib), Metric::Cpu, ours).iter().zip(figures.rounds(
            &measure::warm(*kib, false),
            Metric::Cpu,
            ours,
        ));
        let ratios: Vec<f64> = pairs.map(|(refused, accepted)| refused / accepted).collect();
        let what = format!("CPU of a refused forgery of {kib} KiB less than half of an accepted call's");
        targets.push(most(&what, 0.5, Spread::of(&ratios), "times"));
    }
    targets
}

impl Target {
    fn is_met(&self) -> bool {
        self.measured.is_some_and(
            |Spread { median, .. }| {
                if self.is_least { median >= self.most } else { median <= self.most }
            },
        )
    }

    /// What is asked, what is, and what that means.
    fn words(&self) -> [String; 3] {
        let Some(measured) = self.measured else { return [self.what.clone(), nothing(), nothing()] };
        let off = 100.0 * (measured.median / self.most - 1.0).abs();
        let verdict = if self.is_met() { "met" } else { MISSED };
        let by = if self.is_met() {
            format!("{verdict}, {off:.0} % to spare")
        } else {
            format!("{verdict} by {off:.0} %")
        };
        [self.what.clone(), format!("{} {}", cell(measured), self.unit), by]
    }
}

fn nothing() -> String {
    "–".to_owned()
}

/// The median, and the middle half where there are several rounds.
fn cell(spread: Spread) -> String {
    let Spread { p25, median, p75, .. } = spread;
    let (median, p25, p75) = (number(median), number(p25), number(p75));
    if p25 == p75 { median } else { format!("{median} ({p25}–{p75})") }
}

/// Three digits.
pub fn number(value: f64) -> String {
    let decimals = match value.abs() {
        0.0..0.9995 => 3,
        0.9995..9.995 => 2,
        9.995..99.95 => 1,
        _ => 0,
    };
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        assert_eq!(
            [0.0123, 0.9999, 1.234, 9.999, 12.34, 99.99, 1234.5].map(number),
            ["0.012", "1.00", "1.23", "10.0", "12.3", "100", "1234"]
        );
    }

    #[test]
    fn a_target_says_by_how_much() {
        let target = |is_least, most, value| Target {
            what: "x".to_owned(),
            most,
            is_least,
            measured: Spread::of(&[value]),
            unit: "times",
        };
        assert_eq!(target(false, 1.4, 1.26).words(), ["x", "1.26 times", "met, 10 % to spare"]);
        assert_eq!(target(false, 1.0, 1.5).words()[2], "missed by 50 %");
        assert_eq!(target(true, 20.0, 30.0).words()[2], "met, 50 % to spare");
        assert_eq!(target(true, 20.0, 15.0).words()[2], "missed by 25 %");
    }
}
