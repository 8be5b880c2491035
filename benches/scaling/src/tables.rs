//! The tables of the document.

use crate::params::{MILLI, Params, REQUESTS_PER_ENVIRONMENT, SCENARIOS, SECOND, Scenario, VARIATIONS};
use crate::sim::{Outcome, simulate};

/// The names of the tables, as the document marks their places.
pub const TABLES: &[&str] = &["steady", "cost", "bursts", "variations"];

/// The table of a name.
pub fn table(name: &str) -> Result<String, String> {
    match name {
        "steady" => Ok(steady()),
        "cost" => Ok(cost()),
        "bursts" => bursts(),
        "variations" => variations(),
        _ => Err(format!("there is no table {name}")),
    }
}

/// What a steady rate needs, by calculation.
fn steady() -> String {
    let params = Params::default();
    let rates = [10_u64, 1_000, 100_000];
    let mut rows = Vec::new();
    let mut row = |name: String, value: &dyn Fn(u64) -> String| {
        let mut cells = vec![name];
        cells.extend(rates.map(value));
        rows.push(cells);
    };
    row("calls a second".into(), &thousands);
    for busy in [5, 10, 15] {
        row(format!("environments at work, at {busy} ms a call"), &|rate| hundredths(rate * busy / 10));
    }
    row("concurrency that Lambda wants for the rate of requests".into(), &|rate| {
        thousands(rate.div_ceil(REQUESTS_PER_ENVIRONMENT))
    });
    row("cores at work".into(), &|rate| {
        let micros = rate * params.cpu;
        if micros < 100_000 { format!("{:.3}", exact(micros) / 1e6) } else { hundredths(micros / 10_000) }
    });
    row(format!("reads of settings a second, ConfigTtl {}", params.ttl), &|rate| {
        let environments = rate * 10;
        format!("{:.2}", exact(environments) / 1000.0 / exact(params.ttl))
    });
    row("the same while forged calls come to every environment".into(), &|rate| {
        format!("{:.2}", exact(rate * 10) / 1000.0 / 30.0)
    });
    row("sends to SQS a second, one event a call".into(), &thousands);
    row("message groups that a FIFO queue needs at least".into(), &|rate| {
        thousands(rate.div_ceil(params.group_rate))
    });
    row(
        format!("batches at once of a consumer, {} messages in {} ms", params.batch, params.consumer_batch),
        &|rate| thousands((rate * params.consumer_batch).div_ceil(params.batch * 1000)),
    );
    markdown(&rows)
}

/// US dollars for a million requests of Lambda.
const LAMBDA_REQUESTS: f64 = 0.20;
/// For a GB-second on arm64.
const LAMBDA_GB_SECOND: f64 = 0.000_013_333_4;
/// For a million requests to a standard queue.
const SQS_REQUESTS: f64 = 0.40;
/// For a GB of log.
const LOG_GB: f64 = 0.50;
/// Bytes of the three lines that Lambda itself writes of each call, with the 26 that CloudWatch counts for each.
const LOG_BYTES: f64 = 340.0;

/// What a million calls cost, by the memory of the function.
fn cost() -> String {
    let mut rows = vec![
        ["MemorySize", "work ms", "billed ms", "requests", "duration", "log", "sends to SQS", "sum"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for memory in [128, 256, 512, 1024, 1769] {
        let params = Params { memory, ..Params::default() };
        let billed = (params.work() + params.sqs * MILLI).div_ceil(MILLI);
        let duration = exact(billed) / 1000.0 * 1e6 * exact(memory) / 1024.0 * LAMBDA_GB_SECOND;
        let log = LOG_BYTES * 1e6 / 1e9 * LOG_GB;
        let sum = LAMBDA_REQUESTS + duration + log + SQS_REQUESTS;
        let mut row = vec![thousands(memory), tenths(params.work() / (MILLI / 10)), billed.to_string()];
        row.extend(
            [LAMBDA_REQUESTS, duration, log, SQS_REQUESTS, sum].map(|dollars| format!("${dollars:.3}")),
        );
        rows.push(row);
    }
    markdown(&rows)
}

/// All scenarios, simulated.
fn bursts() -> Result<String, String> {
    let mut rows = vec![OUTCOME.map(str::to_owned).to_vec()];
    for scenario in SCENARIOS {
        rows.push(outcome_row(scenario.name, &simulate(&scenario.params()?)));
    }
    Ok(markdown(&rows))
}

/// Scenarios with one parameter otherwise.
fn variations() -> Result<String, String> {
    let mut rows = vec![OUTCOME.map(str::to_owned).to_vec()];
    for (scenario, name, value) in VARIATIONS {
        let mut params = Scenario::of(scenario)?.params()?;
        params.set(name, value)?;
        rows.push(outcome_row(&format!("{scenario} --{name} {value}"), &simulate(&params)));
    }
    Ok(markdown(&rows))
}

/// The columns of an outcome.
pub const OUTCOME: [&str; 16] = [
    "scenario",
    "calls",
    "accepted",
    "429",
    "503",
    "late",
    "lost",
    "pending",
    "wait p50",
    "wait p99",
    "longest",
    "environments",
    "cold starts",
    "settings reads/s",
    "sends/s",
    "backlog",
];

/// The row of an outcome.
pub fn outcome_row(name: &str, outcome: &Outcome) -> Vec<String> {
    let wait = |per_mille| outcome.wait(per_mille).map_or_else(|| "–".to_owned(), time);
    let mut row = vec![name.to_owned()];
    row.extend([outcome.calls, outcome.accepted, outcome.throttled, outcome.faults].map(thousands));
    row.extend([outcome.late, outcome.lost, outcome.pending].map(thousands));
    row.extend([wait(500), wait(990), wait(1000)]);
    row.extend([outcome.environments, outcome.cold_starts, outcome.reads_peak].map(thousands));
    row.extend([outcome.sends_peak, outcome.backlog_peak].map(thousands));
    row
}

/// A table in Markdown that is one in a terminal too.
pub fn markdown(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count())
            .max()
            .unwrap_or_default()
    };
    let widths: Vec<usize> = (0..columns).map(|column| width(column).max(3)).collect();
    let mut text = String::new();
    for (i, row) in rows.iter().enumerate() {
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            text += &if column == 0 { format!("| {cell:<width$} ") } else { format!("| {cell:>width$} ") };
        }
        text += "|\n";
        if i == 0 {
            for (column, width) in widths.iter().enumerate() {
                let line = "-".repeat(width + 1);
                text += &if column == 0 { format!("|{line}-") } else { format!("|{line}:") };
            }
            text += "|\n";
        }
    }
    text
}

fn time(nanos: u64) -> String {
    let millis = nanos / MILLI;
    match millis {
        0..1000 => format!("{millis} ms"),
        _ => format!("{} s", tenths(nanos / (SECOND / 10))),
    }
}

fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn tenths(number: u64) -> String {
    match number % 10 {
        0 => thousands(number / 10),
        rest => format!("{}.{rest}", thousands(number / 10)),
    }
}

fn hundredths(number: u64) -> String {
    match number % 100 {
        0 => thousands(number / 100),
        rest => format!("{}.{}", thousands(number / 100), format!("{rest:02}").trim_end_matches('0')),
    }
}

/// A number as a fraction; those here are far below 2⁵³.
fn exact(number: u64) -> f64 {
    u32::try_from(number).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_as_people_write_them() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([5, 10, 10_005].map(tenths), ["0.5", "1", "1,000.5"]);
        assert_eq!([5, 100, 150, 100_025].map(hundredths), ["0.05", "1", "1.5", "1,000.25"]);
        assert_eq!([MILLI * 7, SECOND * 61 + 1].map(time), ["7 ms", "61 s"]);
    }

    #[test]
    fn a_table_has_a_cell_for_each_column() {
        for name in ["steady", "cost"] {
            let table = table(name).unwrap();
            let columns: Vec<usize> = table.lines().map(|line| line.matches('|').count()).collect();
            assert!(columns.windows(2).all(|pair| pair[0] == pair[1]), "{table}");
        }
        assert!(table("burst").is_err());
    }

    #[test]
    fn more_memory_costs_more_once_the_work_is_short_beside_sqs() {
        let cost = cost();
        let sums: Vec<f64> = cost
            .lines()
            .skip(2)
            .map(|line| line.rsplit('$').next().unwrap().trim_matches([' ', '|']).parse().unwrap())
            .collect();
        assert!(sums.is_sorted(), "{cost}");
    }
}
