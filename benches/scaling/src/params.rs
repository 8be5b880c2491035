//! What a simulation is of: a load, a function, the limits around it. Each has a name by which the command line sets it.

use std::str::FromStr;

/// Nanoseconds, the unit of every time in here.
pub const SECOND: u64 = 1_000_000_000;
/// Nanoseconds of a millisecond.
pub const MILLI: u64 = 1_000_000;

/// The parameters of a simulation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Params {
    /// Calls a second, once the ramp is over.
    pub rate: u64,
    /// Seconds in which the rate grows from nothing; 0 is a burst.
    pub ramp: u64,
    /// Seconds in which new calls come.
    pub arrivals: u64,
    /// Seconds that are simulated.
    pub duration: u64,
    /// Calls that a provider kept back and sends on top.
    pub storm_calls: u64,
    /// Calls a second in which it sends them.
    pub storm_rate: u64,
    /// The second in which it begins.
    pub storm_start: u64,
    /// Seconds from an answer that is not 2xx to the provider's next attempt, for each attempt; empty: it has only one.
    pub retries: Vec<u64>,
    /// Milliseconds that the provider waits for an answer.
    pub deadline: u64,
    /// Memory of the function in MB.
    pub memory: u64,
    /// Microseconds of a whole core that a call takes.
    pub cpu: u64,
    /// Milliseconds of a request to SQS, on average; half of it is always taken, the other half is exponential.
    pub sqs: u64,
    /// Milliseconds until a new environment takes a call, but for reading its settings.
    pub cold_start: u64,
    /// Seconds after which an environment without calls is gone.
    pub idle: u64,
    /// Whether the environment that was used last gets the next call; otherwise any one does.
    pub picks_last: bool,
    /// The most environments at once: the account's limit, or what is reserved for the function.
    pub concurrency: u64,
    /// The most new environments of a function in ten seconds.
    pub scaling: u64,
    /// Whether settings are read from a service; otherwise they are in the environment of the function.
    pub is_remote: bool,
    /// The most reads of settings a second, the account's.
    pub settings_rate: u64,
    /// Milliseconds of such a read.
    pub settings_read: u64,
    /// Seconds after which settings are read again (`ConfigTtl`).
    pub ttl: u64,
    /// Whether the queue is FIFO; a standard queue has no limit here.
    pub is_fifo: bool,
    /// Message groups that calls spread over.
    pub groups: u64,
    /// The most sends a second in a message group.
    pub group_rate: u64,
    /// Batches that the consumer works on at once in the beginning.
    pub consumers: u64,
    /// By how many more a minute while there is work.
    pub consumers_growth: u64,
    /// The most batches at once.
    pub consumers_max: u64,
    /// Milliseconds of a consumer's batch.
    pub consumer_batch: u64,
    /// Messages of a batch.
    pub batch: u64,
    /// The seed of the random numbers.
    pub seed: u64,
}

/// The most requests a second for each environment that the limit allows.
/// <https://docs.aws.amazon.com/lambda/latest/dg/lambda-concurrency.html>
pub const REQUESTS_PER_ENVIRONMENT: u64 = 10;
/// The memory in MB that buys a whole core.
/// <https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html>
pub const CORE: u64 = 1769;

impl Default for Params {
    fn default() -> Params {
        Params {
            rate: 1000,
            ramp: 0,
            arrivals: 60,
            duration: 60,
            storm_calls: 0,
            storm_rate: 0,
            storm_start: 0,
            retries: Vec::new(),
            deadline: 10_000,
            memory: 256,
            cpu: 440,
            sqs: 7,
            cold_start: 150,
            idle: 300,
            picks_last: true,
            concurrency: 1000,
            scaling: 1000,
            is_remote: true,
            settings_rate: 40,
            settings_read: 30,
            ttl: 300,
            is_fifo: false,
            groups: 1,
            group_rate: 300,
            consumers: 5,
            consumers_growth: 300,
            consumers_max: 1250,
            consumer_batch: 100,
            batch: 10,
            seed: 1,
        }
    }
}

/// A parameter on the command line.
pub struct Key {
    /// Without the hyphens.
    pub name: &'static str,
    /// Its meaning, with the unit.
    pub meaning: &'static str,
    value: Value,
}

/// What a parameter takes.
enum Value {
    /// A whole number, no less than this, and where it goes.
    Number(u64, fn(&mut Params) -> &mut u64),
    /// Words, which this reads; or it says what may stand there.
    Text(fn(&mut Params, &str) -> Result<(), &'static str>),
}

const fn number(
    name: &'static str,
    meaning: &'static str,
    least: u64,
    place: fn(&mut Params) -> &mut u64,
) -> Key {
    Key { name, meaning, value: Value::Number(least, place) }
}

const fn text(
    name: &'static str,
    meaning: &'static str,
    set: fn(&mut Params, &str) -> Result<(), &'static str>,
) -> Key {
    Key { name, meaning, value: Value::Text(set) }
}

/// All parameters.
pub const KEYS: &[Key] = &[
    number("rate", "calls a second, once the ramp is over", 1, |params| &mut params.rate),
    number("ramp", "seconds in which the rate grows from nothing; 0 is a burst", 0, |params| {
        &mut params.ramp
    }),
    number("arrivals", "seconds in which new calls come", 1, |params| &mut params.arrivals),
    number("duration", "seconds that are simulated", 1, |params| &mut params.duration),
    number("storm-calls", "calls that a provider kept back and sends on top", 0, |params| {
        &mut params.storm_calls
    }),
    number("storm-rate", "calls a second in which it sends them", 1, |params| &mut params.storm_rate),
    number("storm-start", "the second in which it begins", 0, |params| &mut params.storm_start),
    text(
        "retries",
        "seconds until each further attempt of the provider, as 10,60; none",
        Params::set_retries,
    ),
    number("deadline", "milliseconds that the provider waits for an answer", 1, |params| {
        &mut params.deadline
    }),
    number("memory", "MB of the function (MemorySize)", 128, |params| &mut params.memory),
    number("cpu", "microseconds of a whole core that a call takes", 0, |params| &mut params.cpu),
    number("sqs", "milliseconds of a request to SQS, on average", 1, |params| &mut params.sqs),
    number(
        "cold-start",
        "milliseconds until a new environment takes a call, but for reading its settings",
        0,
        |params| &mut params.cold_start,
    ),
    number("idle", "seconds after which an environment without calls is gone", 1, |params| &mut params.idle),
    text("pick", "which environment gets a call: last, the one used last; any", Params::set_pick),
    number("concurrency", "the most environments at once: the account's, or what is reserved", 1, |params| {
        &mut params.concurrency
    }),
    number("scaling", "the most new environments of a function in ten seconds", 1, |params| {
        &mut params.scaling
    }),
    text("settings", "inline; ssm (40 reads a second); secretsmanager (10,000)", Params::set_settings),
    number("settings-rate", "the most reads of settings a second", 1, |params| &mut params.settings_rate),
    number("settings-read", "milliseconds of such a read", 0, |params| &mut params.settings_read),
    number("ttl", "seconds after which settings are read again (ConfigTtl)", 1, |params| &mut params.ttl),
    text("queue", "standard; fifo (QueueType)", Params::set_queue),
    number("groups", "message groups that calls spread over", 1, |params| &mut params.groups),
    number("group-rate", "the most sends a second in a message group", 1, |params| &mut params.group_rate),
    number("consumers", "batches that the consumer works on at once in the beginning", 1, |params| {
        &mut params.consumers
    }),
    number("consumers-growth", "by how many more a minute while there is work", 0, |params| {
        &mut params.consumers_growth
    }),
    number("consumers-max", "the most batches at once", 1, |params| &mut params.consumers_max),
    number("consumer-batch", "milliseconds of a consumer's batch", 1, |params| &mut params.consumer_batch),
    number("batch", "messages of a batch", 1, |params| &mut params.batch),
    number("seed", "of the random numbers", 0, |params| &mut params.seed),
];

impl Params {
    /// Sets the parameter of a name, or says what is wrong with name or value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        let key = KEYS.iter().find(|key| key.name == name);
        match key.ok_or_else(|| format!("there is no parameter --{name}"))?.value {
            Value::Number(least, place) => match u64::from_str(value) {
                Ok(number) if (least..=1_000_000_000).contains(&number) => *place(self) = number,
                _ => return Err(format!("--{name} has to be a whole number from {least} to 1000000000")),
            },
            Value::Text(set) => set(self, value).map_err(|what| format!("--{name} has to be {what}"))?,
        }
        Ok(())
    }

    fn set_retries(&mut self, value: &str) -> Result<(), &'static str> {
        let seconds = |text: &str| u64::from_str(text).ok().filter(|number| *number <= 1_000_000);
        let list: Option<Vec<u64>> = match value {
            "none" => Some(Vec::new()),
            list => list.split(',').map(seconds).collect(),
        };
        self.retries = list.ok_or("none, or seconds as 10,60")?;
        Ok(())
    }

    fn set_pick(&mut self, value: &str) -> Result<(), &'static str> {
        self.picks_last = match value {
            "last" => true,
            "any" => false,
            _ => return Err("last or any"),
        };
        Ok(())
    }

    fn set_settings(&mut self, value: &str) -> Result<(), &'static str> {
        (self.is_remote, self.settings_rate) = match value {
            "inline" => (false, self.settings_rate),
            "ssm" => (true, 40),
            "secretsmanager" => (true, 10_000),
            _ => return Err("inline, ssm or secretsmanager"),
        };
        Ok(())
    }

    fn set_queue(&mut self, value: &str) -> Result<(), &'static str> {
        self.is_fifo = match value {
            "standard" => false,
            "fifo" => true,
            _ => return Err("standard or fifo"),
        };
        Ok(())
    }

    /// Nanoseconds of an environment that a call's own work takes, at the share of a core that the memory buys.
    pub fn work(&self) -> u64 {
        self.cpu * 1000 * CORE.max(self.memory) / self.memory
    }

    /// Nanoseconds in which a call is to be answered: what the function keeps of the deadline is its own margin.
    pub fn budget(&self) -> u64 {
        let deadline = self.deadline * MILLI;
        deadline.saturating_sub((deadline / 10).max(500 * MILLI))
    }
}

/// A simulation that the document quotes.
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is of.
    pub about: &'static str,
    /// What differs from the defaults.
    pub settings: &'static [(&'static str, &'static str)],
}

/// All of them, in the order of the document.
pub const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "steady-10",
        about: "10 calls/s for ten minutes",
        settings: &[("rate", "10"), ("arrivals", "600"), ("duration", "600")],
    },
    Scenario {
        name: "steady-1000",
        about: "1,000 calls/s after a minute's ramp",
        settings: &[("ramp", "60"), ("arrivals", "120"), ("duration", "120")],
    },
    Scenario {
        name: "steady-100000",
        about: "100,000 calls/s after a ramp of 20 s, with the limits of a new account",
        settings: &[("rate", "100000"), ("ramp", "20"), ("arrivals", "30"), ("duration", "30")],
    },
    Scenario {
        name: "steady-100000-raised",
        about: "the same with a concurrency of 12,000 and settings from Secrets Manager",
        settings: &[
            ("rate", "100000"),
            ("ramp", "20"),
            ("arrivals", "30"),
            ("duration", "30"),
            ("concurrency", "12000"),
            ("settings", "secretsmanager"),
        ],
    },
    Scenario {
        name: "burst-1000",
        about: "from nothing to 1,000 calls/s; nobody sends again",
        settings: &[],
    },
    Scenario {
        name: "burst-1000-raised",
        about: "the same with settings from Secrets Manager",
        settings: &[("settings", "secretsmanager")],
    },
    Scenario {
        name: "burst-10000",
        about: "from nothing to 10,000 calls/s; nobody sends again",
        settings: &[("rate", "10000"), ("arrivals", "30"), ("duration", "30")],
    },
    Scenario {
        name: "burst-10000-retried",
        about: "the same from a provider that sends again after 10 s and after a minute",
        settings: &[("rate", "10000"), ("arrivals", "30"), ("duration", "110"), ("retries", "10,60")],
    },
    Scenario {
        name: "burst-10000-raised",
        about: "burst-10000 with a concurrency of 3,000 and settings from Secrets Manager",
        settings: &[
            ("rate", "10000"),
            ("arrivals", "30"),
            ("duration", "30"),
            ("concurrency", "3000"),
            ("settings", "secretsmanager"),
        ],
    },
    Scenario {
        name: "storm",
        about: "1,000 calls/s, and on top 60,000 that a provider kept back, at 20,000 calls/s",
        settings: &[
            ("ramp", "10"),
            ("duration", "140"),
            ("storm-calls", "60000"),
            ("storm-rate", "20000"),
            ("storm-start", "20"),
            ("retries", "10,60"),
        ],
    },
    Scenario {
        name: "storm-raised",
        about: "the same with a concurrency of 3,000 and settings from Secrets Manager",
        settings: &[
            ("ramp", "10"),
            ("duration", "140"),
            ("storm-calls", "60000"),
            ("storm-rate", "20000"),
            ("storm-start", "20"),
            ("retries", "10,60"),
            ("concurrency", "3000"),
            ("settings", "secretsmanager"),
        ],
    },
    Scenario {
        name: "fifo-1-group",
        about: "1,000 calls/s into one message group, or into a FIFO queue without high throughput",
        settings: &[("ramp", "10"), ("queue", "fifo")],
    },
    Scenario {
        name: "fifo-100-groups",
        about: "1,000 calls/s into a hundred message groups",
        settings: &[("ramp", "10"), ("queue", "fifo"), ("groups", "100")],
    },
];

/// What an assumption is worth: a scenario with one parameter otherwise.
pub const VARIATIONS: &[(&str, &str, &str)] = &[
    ("burst-1000", "seed", "2"),
    ("burst-1000", "sqs", "3"),
    ("burst-1000", "sqs", "12"),
    ("burst-1000", "memory", "128"),
    ("burst-1000", "cold-start", "50"),
    ("burst-1000", "cold-start", "300"),
    ("burst-1000", "pick", "any"),
    ("burst-1000", "settings-read", "100"),
    ("burst-1000", "settings-rate", "20"),
    ("burst-1000", "settings-rate", "10"),
    ("burst-1000", "deadline", "5000"),
    ("burst-1000", "deadline", "3000"),
    ("burst-1000", "deadline", "1500"),
    ("burst-10000", "seed", "2"),
    ("burst-10000", "pick", "any"),
    ("burst-10000", "deadline", "5000"),
];

impl Scenario {
    /// The scenario of a name.
    pub fn of(name: &str) -> Result<&'static Scenario, String> {
        SCENARIOS.iter().find(|scenario| scenario.name == name).ok_or(format!("there is no scenario {name}"))
    }

    /// Its parameters.
    pub fn params(&self) -> Result<Params, String> {
        let mut params = Params::default();
        for (name, value) in self.settings {
            params.set(name, value)?;
        }
        Ok(params)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_can_be_set_and_a_wrong_value_is_refused() {
        for key in KEYS {
            let value = match key.name {
                "retries" => "7,8",
                "settings" => "inline",
                "queue" => "fifo",
                "pick" => "any",
                _ => "777",
            };
            let mut params = Params::default();
            params.set(key.name, value).unwrap();
            assert_ne!(params, Params::default(), "--{} sets nothing", key.name);
            assert!(params.set(key.name, "-1").is_err(), "--{} takes -1", key.name);
        }
        assert!(Params::default().set("size", "1").is_err());
    }

    #[test]
    fn every_scenario_can_be_read_under_a_name_of_its_own() {
        for (i, scenario) in SCENARIOS.iter().enumerate() {
            scenario.params().unwrap();
            assert!(SCENARIOS.iter().take(i).all(|other| other.name != scenario.name), "{}", scenario.name);
        }
    }

    #[test]
    fn every_variation_is_one() {
        for (scenario, name, value) in VARIATIONS {
            let plain = Scenario::of(scenario).unwrap().params().unwrap();
            let mut varied = plain.clone();
            varied.set(name, value).unwrap();
            assert_ne!(varied, plain, "{scenario} --{name} {value}");
        }
    }

    #[test]
    fn work_takes_longer_on_a_part_of_a_core() {
        let mut params = Params { cpu: 440, memory: 128, ..Params::default() };
        assert_eq!(params.work() / 1000, 6080);
        params.memory = 1769;
        assert_eq!(params.work() / 1000, 440);
        // A call has one thread: more than a core does not help it.
        params.memory = 3538;
        assert_eq!(params.work() / 1000, 440);
    }
}
