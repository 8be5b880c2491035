//! The simulation: one event after another, calls one by one.
//!
//! *Invariant:* a call that is neither accepted nor given up has exactly one event ahead. What is left of them at the end
//! is what is pending.
//!
//! What a function does is taken from its code: settings from `shared/src/settings.rs`, the attempts at reading them and
//! at SQS from `shared/src/attempts.rs`, the time for init and for a call from `shared/src/gate.rs`.

use crate::params::{MILLI, Params, REQUESTS_PER_ENVIRONMENT, SECOND};
use crate::random::Random;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// The time of init, three quarters of which the settings may take.
const INIT: u64 = 5 * SECOND;
/// Settings that serve on after a reading that failed are read again no sooner.
const EARLY: u64 = 30 * SECOND;
/// How long a renewal may take, and no longer than a quarter of the call's time.
const ONE_REQUEST: u64 = 1500 * MILLI;
/// How long the first attempt at AWS may take; each further one twice as long.
const FIRST: u64 = 600 * MILLI;
/// The first pause between two attempts; each further one is twice as long, and each up to half shorter by chance.
const FIRST_PAUSE: u64 = 50 * MILLI;
/// None is longer.
const LONGEST_PAUSE: u64 = 1600 * MILLI;

/// What became of the calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Calls, each counted once however often it was sent.
    pub calls: u64,
    /// Calls whose events are in the queue.
    pub accepted: u64,
    /// Answers 429, given by Lambda.
    pub throttled: u64,
    /// Answers 503, given by the function.
    pub faults: u64,
    /// Answers for which the provider did not wait. What they answer may be in the queue all the same.
    pub late: u64,
    /// Calls that the provider will not send again.
    pub lost: u64,
    /// Calls under way, or waiting for their provider's next attempt.
    pub pending: u64,
    /// Nanoseconds from the first attempt to the first 2xx, of the calls accepted, in no order.
    pub waits: Vec<u64>,
    /// The most environments at once.
    pub environments: u64,
    /// Environments that were started.
    pub cold_starts: u64,
    /// Reads of settings in the busiest second, refused ones among them.
    pub reads_peak: u64,
    /// Reads of settings that were refused.
    pub reads_refused: u64,
    /// Requests to SQS in the busiest second, refused ones among them.
    pub sends_peak: u64,
    /// The most messages waiting for the consumer.
    pub backlog_peak: u64,
    /// Environments at work on average, in thousandths.
    pub busy_milli: u64,
}

impl Outcome {
    /// The wait that so many per thousand of the accepted calls do not exceed, in nanoseconds.
    pub fn wait(&self, per_mille: usize) -> Option<u64> {
        let mut waits = self.waits.clone();
        let place = (waits.len() * per_mille / 1000).min(waits.len().checked_sub(1)?);
        Some(*waits.select_nth_unstable(place).1)
    }
}

/// One attempt of the provider at one call.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Call {
    /// When the provider first sent it.
    first: u64,
    /// When it sent it this time.
    delivered: u64,
    /// How often it had sent it before.
    delivery: usize,
    /// Until when the function is to answer.
    until: u64,
    group: usize,
    /// Whether an earlier attempt, answered too late, has left its event in the queue.
    is_kept: bool,
}

/// How attempts at AWS follow one another until a time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Attempts {
    allowed: u64,
    pause: u64,
    until: u64,
}

impl Attempts {
    fn new(now: u64, until: u64) -> Attempts {
        Attempts { allowed: FIRST.min(until.saturating_sub(now) * 2 / 5), pause: FIRST_PAUSE, until }
    }

    fn is_first(&self) -> bool {
        self.pause == FIRST_PAUSE
    }

    /// How long an attempt may take.
    fn allowed(&self, now: u64) -> u64 {
        self.allowed.min(self.until.saturating_sub(now))
    }

    /// When a further one follows; `None` where no time would be left for it.
    fn next(&mut self, now: u64, random: &mut Random) -> Option<u64> {
        let at = now + self.pause - self.pause / 200 * random.below(100);
        (self.allowed, self.pause) = (self.allowed * 2, (self.pause * 2).min(LONGEST_PAUSE));
        (at < self.until).then_some(at)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// The provider sends the call.
    Delivered(Call),
    /// An environment has started for the call.
    Started { environment: usize, call: Call },
    /// An environment takes up the call.
    Begun { environment: usize, call: Call },
    /// An environment without settings asks for them, in its init before the call or for the call.
    Asked { environment: usize, call: Call, attempts: Attempts, is_init: bool },
    /// A call has its settings and asks SQS.
    Sent { environment: usize, call: Call, attempts: Attempts },
    /// An environment answers the call.
    Answered { environment: usize, call: Call, accepted: bool },
}

impl Event {
    fn call(&self) -> &Call {
        match self {
            Event::Delivered(call)
            | Event::Started { call, .. }
            | Event::Begun { call, .. }
            | Event::Asked { call, .. }
            | Event::Sent { call, .. }
            | Event::Answered { call, .. } => call,
        }
    }
}

#[derive(Default)]
struct Environment {
    /// When it had its settings.
    read: Option<u64>,
    /// When it last had an answer to that, or none in time.
    tried: Option<u64>,
    ttl: u64,
    /// When it was last at work.
    used: u64,
}

/// At most so many in each second.
struct PerSecond {
    limit: u64,
    second: u64,
    count: u64,
}

impl PerSecond {
    fn new(limit: u64) -> PerSecond {
        PerSecond { limit, second: 0, count: 0 }
    }

    fn take(&mut self, now: u64) -> bool {
        if now / SECOND != self.second {
            (self.second, self.count) = (now / SECOND, 0);
        }
        let is_free = self.count < self.limit;
        self.count += u64::from(is_free);
        is_free
    }
}

/// How fast a function may gain environments: so many at once, and as many again in ten seconds, continuously.
struct Scaling {
    most: u64,
    /// In billionths of an environment.
    left: u64,
    at: u64,
}

impl Scaling {
    fn take(&mut self, now: u64) -> bool {
        let gained = (now - self.at).saturating_mul(self.most) / 10;
        (self.left, self.at) = ((self.left + gained).min(self.most * SECOND), now);
        let is_free = self.left >= SECOND;
        self.left -= if is_free { SECOND } else { 0 };
        is_free
    }
}

/// Counts by the second.
#[derive(Default)]
struct Seconds(Vec<u64>);

impl Seconds {
    fn count(&mut self, now: u64) {
        let second = usize::try_from(now / SECOND).unwrap_or(usize::MAX);
        if self.0.len() <= second {
            self.0.resize(second + 1, 0);
        }
        if let Some(count) = self.0.get_mut(second) {
            *count += 1;
        }
    }

    fn peak(&self) -> u64 {
        self.0.iter().copied().max().unwrap_or_default()
    }
}

struct Simulation<'p> {
    params: &'p Params,
    random: Random,
    ahead: BinaryHeap<Reverse<(u64, u64, Event)>>,
    events: u64,
    environments: Vec<Environment>,
    /// Those without a call, the one used last at the end.
    idle: VecDeque<usize>,
    alive: u64,
    requests: PerSecond,
    scaling: Scaling,
    settings: PerSecond,
    groups: Vec<PerSecond>,
    reads: Seconds,
    sends: Seconds,
    accepted: Seconds,
    busy: u64,
    busy_since: u64,
    busy_time: u128,
    outcome: Outcome,
}

/// Simulates these parameters. The same ones have the same outcome, on every machine.
pub fn simulate(params: &Params) -> Outcome {
    let end = params.duration * SECOND;
    let mut sources = [
        Arrivals::new(params, params.rate, 0, u64::MAX, params.ramp * SECOND, 1),
        Arrivals::new(params, params.storm_rate, params.storm_start * SECOND, params.storm_calls, 0, 2),
    ];
    let mut simulation = Simulation::new(params);
    loop {
        let [steady, storm] = &sources;
        let source = usize::from(storm.next < steady.next);
        let arrival = steady.next.min(storm.next);
        let event = simulation.ahead.peek().map_or(u64::MAX, |Reverse((at, ..))| *at);
        if arrival.min(event) >= end {
            break;
        }
        if arrival <= event {
            simulation.arrive(arrival);
            if let Some(source) = sources.get_mut(source) {
                source.advance();
            }
        } else if let Some(Reverse((now, _, event))) = simulation.ahead.pop() {
            simulation.happen(event, now);
        }
    }
    simulation.close(end)
}

/// When new calls come: independently of each other.
struct Arrivals {
    random: Random,
    interval: u64,
    next: u64,
    left: u64,
    ramp: u64,
    end: u64,
}

impl Arrivals {
    fn new(params: &Params, rate: u64, start: u64, calls: u64, ramp: u64, stream: u64) -> Arrivals {
        let mut arrivals = Arrivals {
            random: Random::new(params.seed.wrapping_mul(1000).wrapping_add(stream)),
            interval: SECOND / rate.max(1),
            next: start,
            left: if rate == 0 { 0 } else { calls },
            ramp,
            end: params.arrivals * SECOND,
        };
        arrivals.advance();
        arrivals
    }

    /// On to the next one.
    fn advance(&mut self) {
        loop {
            self.next = self.next.saturating_add(self.random.exponential(self.interval));
            if self.left == 0 || self.next >= self.end {
                self.next = u64::MAX;
                return;
            }
            // In the ramp each is as likely as the rate has grown.
            if self.next >= self.ramp || self.random.below(self.ramp) < self.next {
                self.left -= 1;
                return;
            }
        }
    }
}

impl<'p> Simulation<'p> {
    fn new(params: &'p Params) -> Simulation<'p> {
        let limit = if params.is_fifo { params.group_rate } else { u64::MAX };
        Simulation {
            params,
            random: Random::new(params.seed.wrapping_mul(1000)),
            ahead: BinaryHeap::new(),
            events: 0,
            environments: Vec::new(),
            idle: VecDeque::new(),
            alive: 0,
            requests: PerSecond::new(params.concurrency * REQUESTS_PER_ENVIRONMENT),
            scaling: Scaling { most: params.scaling, left: params.scaling * SECOND, at: 0 },
            settings: PerSecond::new(params.settings_rate),
            groups: (0..params.groups).map(|_| PerSecond::new(limit)).collect(),
            reads: Seconds::default(),
            sends: Seconds::default(),
            accepted: Seconds::default(),
            busy: 0,
            busy_since: 0,
            busy_time: 0,
            outcome: Outcome::default(),
        }
    }

    fn plan(&mut self, at: u64, event: Event) {
        self.events += 1;
        self.ahead.push(Reverse((at, self.events, event)));
    }

    fn arrive(&mut self, now: u64) {
        self.outcome.calls += 1;
        let group = usize::try_from(self.random.below(self.params.groups)).unwrap_or_default();
        let call = Call { first: now, delivered: now, delivery: 0, until: 0, group, is_kept: false };
        self.deliver(call, now);
    }

    fn happen(&mut self, event: Event, now: u64) {
        match event {
            Event::Delivered(call) => self.deliver(call, now),
            Event::Started { environment, call } => self.start(environment, call, now),
            Event::Begun { environment, call } => self.begin(environment, call, now),
            Event::Asked { environment, call, attempts, is_init } => {
                self.ask(environment, call, attempts, is_init, now);
            }
            Event::Sent { environment, call, attempts } => self.send(environment, call, attempts, now),
            Event::Answered { environment, call, accepted } => self.answer(environment, call, accepted, now),
        }
    }

    /// Lambda finds an environment for a call, or answers 429.
    fn deliver(&mut self, call: Call, now: u64) {
        let call = Call { delivered: now, ..call };
        let gone = self.params.idle * SECOND;
        while let Some(&oldest) = self.idle.front()
            && self.environments.get(oldest).is_some_and(|environment| environment.used + gone <= now)
        {
            self.idle.pop_front();
            self.alive -= 1;
        }
        if !self.requests.take(now) {
            self.throttle(call, now);
        } else if let Some(environment) = self.pick() {
            self.occupy(1, now);
            self.begin(environment, call, now);
        } else if self.alive < self.params.concurrency && self.scaling.take(now) {
            let ttl = self.params.ttl * SECOND;
            // Up to a tenth less, so that many do not read at once.
            let ttl = ttl - ttl / 1000 * self.random.below(100);
            self.environments.push(Environment { ttl, ..Environment::default() });
            self.alive += 1;
            self.outcome.cold_starts += 1;
            self.outcome.environments = self.outcome.environments.max(self.alive);
            self.occupy(1, now);
            let environment = self.environments.len() - 1;
            self.plan(now + self.params.cold_start * MILLI, Event::Started { environment, call });
        } else {
            self.throttle(call, now);
        }
    }

    fn pick(&mut self) -> Option<usize> {
        if self.params.picks_last || self.idle.is_empty() {
            return self.idle.pop_back();
        }
        let any = self.random.below(u64::try_from(self.idle.len()).unwrap_or(1));
        self.idle.remove(usize::try_from(any).unwrap_or_default())
    }

    fn throttle(&mut self, call: Call, now: u64) {
        self.outcome.throttled += 1;
        self.again(call, now);
    }

    /// The provider sends the call once more, or gives it up. It counts from the answer, or from when it stopped to wait.
    fn again(&mut self, call: Call, now: u64) {
        match self.params.retries.get(call.delivery) {
            Some(seconds) => {
                let from = now.min(call.delivered + self.params.deadline * MILLI);
                let call = Call { delivery: call.delivery + 1, ..call };
                self.plan((from + seconds * SECOND).max(now), Event::Delivered(call));
            }
            None => self.outcome.lost += u64::from(!call.is_kept),
        }
    }

    /// An environment reads its settings before its first call. What is wrong with that shows when the call needs them.
    fn start(&mut self, environment: usize, call: Call, now: u64) {
        if self.params.is_remote {
            self.ask(environment, call, Attempts::new(now, now + INIT / 4 * 3), true, now);
        } else {
            self.begin(environment, call, now);
        }
    }

    /// Asks for the settings. When that is over, and whether they were given.
    fn read(&mut self, environment: usize, allowed: u64, now: u64) -> (u64, bool) {
        let time = self.params.settings_read * MILLI;
        self.reads.count(now);
        let is_taken = self.settings.take(now);
        self.outcome.reads_refused += u64::from(!is_taken);
        let over = now + time.min(allowed);
        let is_given = is_taken && time <= allowed;
        if let Some(environment) = self.environments.get_mut(environment) {
            environment.tried = Some(over);
            environment.read = if is_given { Some(over) } else { environment.read };
        }
        (over, is_given)
    }

    /// A call needs settings: those in force, or a new reading where they are too old or there are none.
    fn begin(&mut self, environment: usize, call: Call, now: u64) {
        let budget = self.params.budget();
        let call = Call { until: now + budget, ..call };
        let Some(Environment { read, tried, ttl, .. }) = self.environments.get(environment) else { return };
        let is_older = |moment: &Option<u64>, than| moment.is_none_or(|moment| now - moment >= than);
        if !self.params.is_remote {
            self.send(environment, call, Attempts::new(now, call.until), now);
        } else if read.is_none() {
            // *Invariant:* nothing here is refused for good, so no call is answered without asking.
            self.ask(environment, call, Attempts::new(now, now + budget / 4 * 3), false, now);
        } else if is_older(read, *ttl) && is_older(tried, EARLY.min(*ttl)) {
            // One try. Where it fails, the older ones serve.
            let (over, _) = self.read(environment, ONE_REQUEST.min(budget / 4), now);
            let attempts = Attempts::new(over, call.until);
            self.plan(over, Event::Sent { environment, call, attempts });
        } else {
            self.send(environment, call, Attempts::new(now, call.until), now);
        }
    }

    /// An environment without settings asks for them, again and again while it may.
    fn ask(&mut self, environment: usize, call: Call, mut attempts: Attempts, is_init: bool, now: u64) {
        let (over, is_given) = self.read(environment, attempts.allowed(now), now);
        let further = if is_given { None } else { attempts.next(over, &mut self.random) };
        if let Some(at) = further {
            self.plan(at, Event::Asked { environment, call, attempts, is_init });
        } else if is_init {
            self.plan(over, Event::Begun { environment, call });
        } else if is_given {
            let attempts = Attempts::new(over, call.until);
            self.plan(over, Event::Sent { environment, call, attempts });
        } else {
            self.plan(over, Event::Answered { environment, call, accepted: false });
        }
    }

    /// A request to SQS, and a further one after a pause where SQS has refused it and there is time.
    fn send(&mut self, environment: usize, call: Call, mut attempts: Attempts, now: u64) {
        self.sends.count(now);
        let mean = self.params.sqs * MILLI;
        let work = if attempts.is_first() { self.params.work() } else { 0 };
        let answered = now + work + mean / 2 + self.random.exponential(mean - mean / 2);
        let is_taken = self.groups.get_mut(call.group).is_some_and(|group| group.take(now));
        let further = if is_taken { None } else { attempts.next(answered, &mut self.random) };
        match further {
            Some(at) => self.plan(at, Event::Sent { environment, call, attempts }),
            None => self.plan(answered, Event::Answered { environment, call, accepted: is_taken }),
        }
    }

    fn answer(&mut self, environment: usize, call: Call, accepted: bool, now: u64) {
        self.occupy(-1, now);
        if let Some(environment) = self.environments.get_mut(environment) {
            environment.used = now;
        }
        self.idle.push_back(environment);
        let is_late = now - call.delivered > self.params.deadline * MILLI;
        self.outcome.late += u64::from(is_late);
        self.outcome.faults += u64::from(!accepted);
        if accepted {
            self.accepted.count(now);
            if !call.is_kept {
                self.outcome.accepted += 1;
                self.outcome.waits.push(now - call.first);
            }
        }
        if is_late || !accepted {
            self.again(Call { is_kept: call.is_kept || accepted, ..call }, now);
        }
    }

    /// One more environment is at work, or one less.
    fn occupy(&mut self, change: i64, now: u64) {
        self.busy_time += u128::from(self.busy) * u128::from(now - self.busy_since);
        self.busy_since = now;
        self.busy = self.busy.saturating_add_signed(change);
    }

    fn close(mut self, end: u64) -> Outcome {
        self.occupy(0, end);
        let busy = self.busy_time * 1000 / u128::from(end.max(1));
        let pending = self.ahead.iter().filter(|Reverse((_, _, event))| !event.call().is_kept);
        Outcome {
            pending: u64::try_from(pending.count()).unwrap_or(u64::MAX),
            reads_peak: self.reads.peak(),
            sends_peak: self.sends.peak(),
            backlog_peak: backlog(self.params, &self.accepted.0),
            busy_milli: u64::try_from(busy).unwrap_or(u64::MAX),
            ..self.outcome
        }
    }
}

/// The most messages waiting at the end of a second, for a consumer that begins with some batches at once and gets more
/// while there is work.
fn backlog(params: &Params, accepted: &[u64]) -> u64 {
    let (mut waiting, mut peak) = (0_u64, 0);
    // In sixtieths of a batch, so that what is gained in a second is whole.
    let mut consumers = params.consumers * 60;
    for messages in accepted {
        waiting += messages;
        waiting = waiting.saturating_sub(consumers * params.batch * 1000 / (60 * params.consumer_batch));
        peak = peak.max(waiting);
        if waiting > 0 {
            consumers =
                (consumers + params.consumers_growth).min(params.consumers_max.max(params.consumers) * 60);
        }
    }
    peak
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::SCENARIOS;

    /// The defaults with these differences.
    fn params(settings: &[(&str, &str)]) -> Params {
        let mut params = Params::default();
        for (name, value) in settings {
            params.set(name, value).unwrap();
        }
        params
    }

    fn check_conservation(name: &str, outcome: &Outcome) {
        let known = outcome.accepted + outcome.lost + outcome.pending;
        assert_eq!(outcome.calls, known, "{name}: a call is accepted, lost or pending, and only one of them");
        assert_eq!(outcome.accepted, u64::try_from(outcome.waits.len()).unwrap(), "{name}: each waited once");
    }

    #[test]
    fn no_call_vanishes_and_none_is_counted_twice() {
        for scenario in SCENARIOS.iter().filter(|scenario| !scenario.name.contains("100000")) {
            check_conservation(scenario.name, &simulate(&scenario.params().unwrap()));
        }
        // Cut off while calls are under way and while providers wait.
        let cut = params(&[("arrivals", "5"), ("duration", "5"), ("retries", "3,30"), ("queue", "fifo")]);
        let outcome = simulate(&cut);
        check_conservation("cut", &outcome);
        assert!(outcome.pending > 0);
    }

    #[test]
    fn environments_at_work_are_calls_a_second_times_their_time() {
        // Little's law: 2,000 calls/s of 3 ms of work at 256 MB and 7 ms of SQS.
        let settings = [("rate", "2000"), ("settings", "inline"), ("cold-start", "0")];
        let outcome = simulate(&params(&settings));
        let time = params(&settings).work() + 7 * MILLI;
        let expected = 2000 * time / 1_000_000;
        let difference = outcome.busy_milli.abs_diff(expected);
        assert!(
            difference * 50 < expected,
            "{} thousandths at work, {expected} expected",
            outcome.busy_milli
        );
        assert_eq!(outcome.accepted + outcome.pending, outcome.calls);
    }

    #[test]
    fn environments_never_exceed_the_limit_and_the_rest_is_throttled() {
        let outcome = simulate(&params(&[("rate", "5000"), ("concurrency", "20"), ("settings", "inline")]));
        assert_eq!(outcome.environments, 20);
        // Ten requests a second for each environment of the limit.
        assert!(outcome.accepted <= 200 * 60, "{} accepted", outcome.accepted);
        assert!(outcome.throttled > outcome.accepted);
        check_conservation("limit", &outcome);
    }

    #[test]
    fn a_function_gains_environments_no_faster_than_it_may() {
        // Each call takes a second, so that each needs an environment of its own.
        let slow = [
            ("rate", "3000"),
            ("sqs", "1000"),
            ("concurrency", "100000"),
            ("settings", "inline"),
            ("arrivals", "20"),
            ("duration", "20"),
        ];
        let outcome = simulate(&params(&slow));
        assert!((2980..=3000).contains(&outcome.cold_starts), "{} in 20 s", outcome.cold_starts);
        assert!(outcome.throttled > 0);
    }

    #[test]
    fn settings_are_given_no_faster_than_the_service_gives_them() {
        let outcome = simulate(&params(&[("rate", "2000"), ("arrivals", "1"), ("duration", "1")]));
        assert!(outcome.reads_peak > 40);
        assert_eq!(outcome.reads_peak - outcome.reads_refused, 40);
    }

    #[test]
    fn pauses_double_up_to_the_longest_and_each_is_up_to_half_shorter_by_chance() {
        let mut random = Random::new(7);
        let (mut shortest, mut longest) = ([u64::MAX; 7], [0; 7]);
        for _ in 0..1000 {
            let mut attempts = Attempts::new(0, 1000 * SECOND);
            for (shortest, longest) in shortest.iter_mut().zip(&mut longest) {
                let pause = attempts.next(0, &mut random).unwrap();
                (*shortest, *longest) = (pause.min(*shortest), pause.max(*longest));
            }
        }
        // By hundredths of the half, from none of them to 99.
        assert_eq!(longest.map(|pause| pause / MILLI), [50, 100, 200, 400, 800, 1600, 1600]);
        assert_eq!(shortest.map(|pause| pause * 200 / 101 / MILLI), [50, 100, 200, 400, 800, 1600, 1600]);
    }

    #[test]
    fn an_attempt_that_would_come_after_the_end_is_not_made() {
        let mut random = Random::new(7);
        let mut next = |end| Attempts::new(0, end).next(SECOND, &mut random);
        assert_eq!([SECOND, SECOND + 25 * MILLI].map(&mut next), [None, None]);
        assert!(next(SECOND + 51 * MILLI).is_some());
    }

    /// One environment that never gets settings, and what is sent to it in the first second; by the seed, with the
    /// milliseconds that it is at work.
    fn refused(settings: &[(&str, &str)]) -> Vec<(Outcome, u64)> {
        let mut params = params(&[("arrivals", "1"), ("duration", "20"), ("concurrency", "1")]);
        params.settings_rate = 0;
        for (name, value) in settings {
            params.set(name, value).unwrap();
        }
        let simulated = |seed| {
            let outcome = simulate(&Params { seed, ..params.clone() });
            let time = outcome.busy_milli * params.duration;
            (outcome, time)
        };
        (0..500).map(simulated).collect()
    }

    #[test]
    fn init_and_the_call_after_it_ask_for_settings_in_three_quarters_of_their_time() {
        let (mut least, mut most) = (u64::MAX, 0);
        for (outcome, time) in refused(&[]) {
            // In init seven or eight times, each time refused after 30 ms: it has 3750 ms. The call has 6750 ms and does the
            // same, mostly ten times.
            assert_eq!(outcome.faults, 1);
            assert!(time <= 150 + 3750 + 6750, "{time} ms");
            (least, most) = (least.min(outcome.reads_refused), most.max(outcome.reads_refused));
        }
        assert_eq!((least, most), (16, 19));
    }

    #[test]
    fn a_call_after_an_init_that_gave_up_asks_at_once() {
        let (mut sum, mut count) = (0, 0);
        for (outcome, time) in refused(&[("deadline", "1500")]) {
            // Of 1500 ms it has 1000 for itself, and 750 for the settings: four or five attempts after those of init.
            assert!((11..=14).contains(&outcome.reads_refused), "{} reads", outcome.reads_refused);
            assert_eq!((outcome.faults, outcome.late), (1, 1));
            assert!(time <= 150 + 3750 + 750, "{time} ms");
            (sum, count) = (sum + time, count + 1);
        }
        // The start, 3.1 s of init and 0.64 s of the call, with nothing between them.
        let mean = sum / count;
        assert!((3800..3950).contains(&mean), "{mean} ms");
    }

    #[test]
    fn a_renewal_takes_a_quarter_of_the_time_of_a_call_and_no_more_than_one_request_may() {
        // Of 10 s a call has 9, and a quarter of that is too long; of 3 s it has 2.5.
        for (deadline, most) in [("10000", 1500), ("3000", 625)] {
            let slow = [
                ("settings-read", "1600"),
                ("ttl", "1"),
                ("rate", "1"),
                ("arrivals", "30"),
                ("duration", "60"),
            ];
            let outcome = simulate(&params(&[slow.as_slice(), &[("deadline", deadline)]].concat()));
            let waits = |from, to| {
                let is_between = |wait: &&u64| (from..to).contains(&(**wait / MILLI));
                outcome.waits.iter().filter(is_between).count()
            };
            assert!(waits(most, most + 100) > 5, "{deadline}");
            // Only the first readings take longer: after two attempts that were too short, of 600 and 1200 ms.
            assert_eq!(waits(most + 100, 150 + 600 + 1200), 0, "{deadline}");
            assert_eq!((outcome.faults, outcome.accepted), (0, outcome.calls), "{deadline}");
        }
    }

    #[test]
    fn a_reading_that_takes_too_long_is_tried_again_with_more_time() {
        let slow = [("settings-read", "700"), ("concurrency", "1"), ("arrivals", "1"), ("duration", "20")];
        let outcome = simulate(&params(&slow));
        // The start, 600 ms without an answer, a pause of 25 to 50, and 700 with one; then work and SQS.
        let wait = outcome.waits.first().unwrap() / MILLI;
        assert!((1475..1600).contains(&wait), "{wait} ms");
        // And one that is longer than what the last attempt may take, never.
        let longer = simulate(&params(&[slow.as_slice(), &[("settings-read", "3000")]].concat()));
        assert_eq!((longer.accepted, longer.faults, longer.pending), (0, 1, 0));
    }

    #[test]
    fn an_answer_that_is_too_late_is_none_for_the_provider_but_its_event_is_kept() {
        let burst = [("arrivals", "5"), ("duration", "30"), ("deadline", "3000")];
        let once = simulate(&params(&burst));
        assert!(once.late > 0);
        assert_eq!((once.faults, once.lost, once.accepted), (0, 0, once.calls));
        let again = simulate(&params(&[burst.as_slice(), &[("retries", "5")]].concat()));
        assert_eq!((again.calls, again.accepted), (once.calls, once.accepted));
        check_conservation("late", &again);
        // What was late is sent a second time, and so are its events: 5 s after the provider stopped to wait.
        let cut = simulate(&params(&[burst.as_slice(), &[("retries", "5"), ("duration", "8")]].concat()));
        assert_eq!((cut.accepted, cut.pending), (cut.calls, 0), "a repetition is nothing to wait for");
    }

    #[test]
    fn settings_that_are_there_serve_on_when_a_reading_fails() {
        // Some fifty environments, ten readings a second: enough while their number grows, not for one every two seconds.
        let crowd =
            [("rate", "300"), ("ramp", "40"), ("sqs", "100"), ("settings-rate", "10"), ("pick", "any")];
        let seldom = simulate(&params(&crowd));
        let often = simulate(&params(&[crowd.as_slice(), &[("ttl", "2")]].concat()));
        assert!(often.reads_refused > seldom.reads_refused + 100, "{} refused", often.reads_refused);
        assert_eq!((seldom.faults, often.faults), (0, 0));
        assert_eq!(often.accepted + often.pending, often.calls);
    }

    #[test]
    fn environments_that_start_together_get_their_settings_within_the_time_of_their_first_calls() {
        let outcome = simulate(&params(&[("arrivals", "5"), ("duration", "20")]));
        assert!(outcome.reads_refused > 0 && outcome.environments > 40);
        assert_eq!((outcome.faults, outcome.lost, outcome.pending), (0, 0, 0));
        assert!(outcome.wait(1000).unwrap() > SECOND);
    }

    #[test]
    fn environments_without_calls_go_and_come_back_cold() {
        // A burst of two seconds, and one call now and then for long after.
        let quiet = [
            ("settings", "inline"),
            ("arrivals", "2"),
            ("duration", "60"),
            ("retries", "40"),
            ("idle", "10"),
        ];
        let mut params = params(&quiet);
        params.concurrency = 50;
        params.rate = 2000;
        let outcome = simulate(&params);
        assert!(
            outcome.environments <= 50 && outcome.cold_starts > outcome.environments,
            "{}",
            outcome.cold_starts
        );
    }

    #[test]
    fn a_message_group_takes_no_more_than_its_rate() {
        let outcome = simulate(&params(&[("queue", "fifo"), ("settings", "inline")]));
        assert!(outcome.accepted <= 300 * 60);
        assert!(outcome.accepted > 290 * 59, "{} accepted", outcome.accepted);
        assert!(outcome.faults > 0 && outcome.wait(990).unwrap() > SECOND);
        let spread = simulate(&params(&[("queue", "fifo"), ("settings", "inline"), ("groups", "100")]));
        assert_eq!((spread.faults, spread.lost), (0, 0));
    }

    #[test]
    fn a_provider_that_sends_again_loses_less() {
        let burst = [("rate", "10000"), ("arrivals", "10"), ("duration", "40")];
        let once = simulate(&params(&burst));
        let again = simulate(&params(&[burst.as_slice(), &[("retries", "10")]].concat()));
        assert!(once.lost > 0 && again.lost < once.lost, "{} then {}", once.lost, again.lost);
        assert_eq!(once.lost, once.throttled + once.faults);
    }

    #[test]
    fn a_backlog_grows_by_what_the_consumer_does_not_do() {
        let params = params(&[("consumers-growth", "0"), ("consumers", "5"), ("consumer-batch", "100")]);
        // 500 messages a second.
        assert_eq!(backlog(&params, &[400, 500, 500]), 0);
        assert_eq!(backlog(&params, &[700, 700, 0, 0]), 400);
    }

    #[test]
    fn the_same_parameters_have_the_same_outcome() {
        let short = params(&[("arrivals", "3"), ("duration", "3")]);
        assert_eq!(simulate(&short), simulate(&short));
        assert_ne!(simulate(&short), simulate(&Params { seed: 2, ..short.clone() }));
    }
}
