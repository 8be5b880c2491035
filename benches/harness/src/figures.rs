//! What was measured, and what it comes to.

use crate::candidate::Who;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What is measured of a case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Milliseconds of wall time.
    Wall,
    /// Milliseconds of CPU time.
    Cpu,
    /// Bytes of memory at most.
    Memory,
    /// Bytes of a file.
    Size,
    /// Nanoseconds.
    Time,
}

impl Metric {
    /// Its name in JSON, with the unit.
    pub fn name(self) -> &'static str {
        match self {
            Metric::Wall => "wall_ms",
            Metric::Cpu => "cpu_ms",
            Metric::Memory => "peak_rss_bytes",
            Metric::Size => "bytes",
            Metric::Time => "ns",
        }
    }
}

/// Case, metric, and a name of who: a candidate's title, or that of a part.
type Key = (String, Metric, &'static str);

/// All that was measured.
#[derive(Default)]
pub struct Figures {
    /// One value for each round.
    rounds: BTreeMap<Key, Vec<f64>>,
    /// The wall time of every single call of all rounds, in milliseconds.
    calls: BTreeMap<Key, Vec<f64>>,
}

/// How the values of several rounds lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    pub min: f64,
    pub p25: f64,
    pub median: f64,
    pub p75: f64,
    pub max: f64,
    pub rounds: usize,
}

impl Figures {
    /// Adds the value of a round.
    pub fn add(&mut self, case: &str, metric: Metric, who: &'static str, value: f64) {
        self.rounds.entry((case.to_owned(), metric, who)).or_default().push(value);
    }

    /// Adds the wall times of single calls, in milliseconds.
    pub fn add_calls(&mut self, case: &str, who: Who, times: impl IntoIterator<Item = f64>) {
        self.calls.entry((case.to_owned(), Metric::Wall, who.title())).or_default().extend(times);
    }

    /// The values of the rounds.
    pub fn rounds(&self, case: &str, metric: Metric, who: &'static str) -> &[f64] {
        self.rounds.get(&(case.to_owned(), metric, who)).map_or(&[], Vec::as_slice)
    }

    /// How the values of the rounds lie.
    pub fn spread(&self, case: &str, metric: Metric, who: &'static str) -> Option<Spread> {
        Spread::of(self.rounds(case, metric, who))
    }

    /// How many times one is the other, round by round: what disturbs a round disturbs both.
    pub fn ratio(&self, case: &str, metric: Metric, [over, under]: [&'static str; 2]) -> Option<Spread> {
        let pairs = self.rounds(case, metric, over).iter().zip(self.rounds(case, metric, under));
        let ratios: Vec<f64> =
            pairs.filter(|(_, under)| **under > 0.0).map(|(over, under)| over / under).collect();
        Spread::of(&ratios)
    }

    /// A percentile of all single calls.
    pub fn percentile(&self, case: &str, who: Who, percent: f64) -> Option<f64> {
        let times = self.calls.get(&(case.to_owned(), Metric::Wall, who.title()))?;
        let mut sorted = times.clone();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, percent / 100.0)
    }

    /// The cases that begin so, in the order of their names.
    pub fn has(&self, case: &str) -> bool {
        self.rounds.keys().any(|(is, ..)| is == case)
    }

    /// All of it.
    pub fn json(&self) -> Value {
        let mut all = Vec::new();
        for (key @ (case, metric, who), values) in &self.rounds {
            let spread = Spread::of(values);
            let mut one = json!({
                "case": case, "metric": metric.name(), "of": who, "rounds": values,
                "min": spread.map(|spread| spread.min), "p25": spread.map(|spread| spread.p25),
                "median": spread.map(|spread| spread.median), "p75": spread.map(|spread| spread.p75),
                "max": spread.map(|spread| spread.max),
            });
            if let (Some(times), Some(one)) = (self.calls.get(key), one.as_object_mut()) {
                let mut sorted = times.clone();
                sorted.sort_by(f64::total_cmp);
                one.insert("calls".into(), sorted.len().into());
                for (name, at) in
                    [("call_min", 0.0), ("call_p50", 0.5), ("call_p99", 0.99), ("call_max", 1.0)]
                {
                    one.insert(name.into(), json!(quantile(&sorted, at)));
                }
            }
            all.push(one);
        }
        all.into()
    }
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: &[f64]) -> Option<Spread> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let at = |part| quantile(&sorted, part);
        Some(Spread {
            min: at(0.0)?,
            p25: at(0.25)?,
            median: at(0.5)?,
            p75: at(0.75)?,
            max: at(1.0)?,
            rounds: sorted.len(),
        })
    }

    /// The same in another unit.
    pub fn per(self, unit: f64) -> Spread {
        let per = |value: f64| value / unit;
        Spread {
            min: per(self.min),
            p25: per(self.p25),
            median: per(self.median),
            p75: per(self.p75),
            max: per(self.max),
            ..self
        }
    }
}

/// The value below which a part of the sorted values lies, between two neighbours in proportion.
pub fn quantile(sorted: &[f64], part: f64) -> Option<f64> {
    let place = part * sorted.len().checked_sub(1)? as f64;
    let low = place.floor() as usize;
    let value = sorted.get(low)?;
    let next = sorted.get(low + 1).unwrap_or(value);
    Some(value + (next - value) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_lie_between_neighbours() {
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        assert_eq!(quantile(&sorted, 0.5), Some(4.0));
        assert_eq!(quantile(&sorted, 0.25), Some(2.0));
        assert_eq!(quantile(&sorted, 0.125), Some(1.5));
        assert_eq!(quantile(&sorted, 1.0), Some(16.0));
        assert_eq!(quantile(&[], 0.5), None);
    }

    #[test]
    fn ratios_are_of_the_same_round() {
        let mut figures = Figures::default();
        for (over, under) in [(2.0, 1.0), (40.0, 10.0), (9.0, 3.0)] {
            figures.add("case", Metric::Wall, "Node", over);
            figures.add("case", Metric::Wall, "Hookgate", under);
        }
        let ratio = figures.ratio("case", Metric::Wall, ["Node", "Hookgate"]).unwrap();
        assert_eq!((ratio.min, ratio.median, ratio.max), (2.0, 3.0, 4.0));
        assert_eq!(figures.ratio("case", Metric::Cpu, ["Node", "Hookgate"]), None);
    }
}
