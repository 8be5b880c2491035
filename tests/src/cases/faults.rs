//! Nothing lost, nothing forged let in: thousands of calls of every provider through built functions, while the services
//! around them fail in every way, environments are frozen and killed, and refused calls come again as providers send them.
//!
//! Every event carries a mark of its own in what the provider sends, so that what is in the stores is told by its
//! content and not by what the product says of it. Faults, calls and kills are drawn from a seed, which is printed;
//! `HOOKGATE_TEST_SEED` repeats a run as far as a run of many processes can be repeated.

use super::support::{entry, now, signed_at};
use super::transport::{SECRET, ZALO_APP};
use crate::dynamo::Dynamo;
use crate::event::{BodyAs, Request};
use crate::fault::{Fault, Victim};
use crate::lambda::{self, Function, Outcome};
use crate::ministack::Ministack;
use crate::s3::S3;
use crate::sqs::Sqs;
use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::process::{Pid, setpriority_process};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, io, thread};

/// Calls of the whole suite, at least.
const CALLS: usize = 20_000;
/// Two environments of each configuration, each with services of its own.
const LANES: usize = 2 * CONFIGURATIONS.len();
/// What the platform gives a call here: less than most providers, so that an outage does not take the whole time.
const PLATFORM: Duration = Duration::from_secs(4);
/// How often a provider sends a call again at once. What is refused still comes again at the end.
const AT_ONCE: usize = 3;
/// Longer than any claim of an identity lives: the call's time and two seconds.
const LATER: Duration = Duration::from_secs(12);
/// The queue's limit where there is a claim check.
const SMALL: usize = 8192;
const TABLE: &str = "identities";
const MARK: &str = "mark-";
const FORGED: &str = "mark-forged-";

/// One of each way to sign, to batch and to name an event.
const PROVIDERS: [&str; 10] = [
    "braintree",
    "facebook",
    "generic",
    "github",
    "msgraph",
    "shopify",
    "slack",
    "stripe",
    "telegram",
    "zalo",
];
/// Those whose forged calls cannot be a genuine signature on another body: a token says nothing of the body, or the
/// signature stands in it.
const WITHIN: [&str; 3] = ["braintree", "msgraph", "telegram"];

/// What a function has around it.
struct Configuration {
    fifo: bool,
    claim_check: bool,
    fallback: bool,
    spill: bool,
    duplicates: bool,
    quarantine: bool,
    /// Settings from Systems Manager rather than inline.
    ssm: bool,
}

const PLAIN: Configuration = Configuration {
    fifo: false,
    claim_check: false,
    fallback: false,
    spill: false,
    duplicates: false,
    quarantine: false,
    ssm: false,
};

const CONFIGURATIONS: [Configuration; 8] = [
    PLAIN,
    Configuration { fifo: true, ssm: true, ..PLAIN },
    Configuration { claim_check: true, ..PLAIN },
    Configuration { fallback: true, ..PLAIN },
    Configuration { spill: true, ssm: true, ..PLAIN },
    Configuration { fifo: true, claim_check: true, fallback: true, spill: true, ..PLAIN },
    Configuration { duplicates: true, quarantine: true, ..PLAIN },
    Configuration {
        fifo: false,
        claim_check: true,
        fallback: true,
        spill: true,
        duplicates: true,
        quarantine: true,
        ssm: true,
    },
];

/// SplitMix64: <https://prng.di.unimi.it/splitmix64.c>.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.roll() % limit
    }

    fn index(&mut self, limit: usize) -> usize {
        usize::try_from(self.below(limit as u64)).expect("below a usize")
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.index(from.len())].clone()
    }
}

/// Draws the faults of one service.
struct Weather {
    dice: Dice,
    service: Service,
    /// The environment that calls it now.
    victim: Arc<Mutex<Option<Victim>>>,
    /// Requests for which an outage still lasts.
    outage: Option<(Fault, u64)>,
    drawn: Arc<Mutex<BTreeMap<&'static str, usize>>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Service {
    Sqs,
    S3,
    Dynamo,
}

impl Weather {
    fn draw(&mut self) -> Fault {
        if let Some((fault, left)) = self.outage.take() {
            if left > 1 {
                self.outage = Some((fault.clone(), left - 1));
            }
            return fault;
        }
        let (name, fault) = self.one();
        if fault != Fault::None {
            *self.drawn.lock().unwrap().entry(name).or_default() += 1;
        }
        fault
    }

    fn one(&mut self) -> (&'static str, Fault) {
        let dice = &mut self.dice;
        let kill =
            |fault: fn(Victim) -> Fault| self.victim.lock().unwrap().clone().map_or(Fault::None, fault);
        match dice.below(1000) {
            0..20 => ("delay", Fault::Delay(Duration::from_millis(5 + dice.below(60)))),
            20..28 => ("500", Fault::Http500),
            28..36 => ("throttle", Fault::Throttle),
            36..42 => ("reset before storing", Fault::ResetBefore),
            42..48 => ("reset after storing", Fault::StoreThenReset),
            48..58 => ("close on idle", Fault::AnswerThenClose),
            58..64 => ("truncated answer", Fault::HalfAnswer),
            // Of S3 the status is the answer: a false one would be a lie and no fault.
            64..72 if self.service != Service::S3 => {
                ("garbage answer", Fault::Garbage200(dice.pick(&["", "{}", "<html>", "null", "[1]"])))
            }
            72..86 => {
                let indices = (0..10).filter(|_| dice.below(3) == 0).collect();
                ("partial batch failure", Fault::FailEntries { indices, sender_fault: false })
            }
            86 => ("refused entry", Fault::FailEntries { indices: vec![0], sender_fault: true }),
            87 => ("hang", Fault::Hang),
            88 => ("hang after storing", Fault::StoreThenHang),
            91..93 => ("kill before storing", kill(Fault::KillBefore)),
            93..95 => ("kill after storing", kill(Fault::KillAfter)),
            95..99 => {
                let lasting =
                    [Fault::Http500, Fault::Throttle, Fault::ResetBefore, Fault::AccessDenied, Fault::Hang];
                let fault = dice.pick(&lasting);
                // Each hang takes the time of an attempt.
                let most = if fault == Fault::Hang { 4 } else { 20 };
                self.outage = Some((fault.clone(), 2 + dice.below(most)));
                ("outage", fault)
            }
            _ => ("", Fault::None),
        }
    }
}

/// A call as a provider means to send it; it is signed anew each time.
#[derive(Clone)]
struct Call {
    provider: &'static str,
    request: Request,
    /// What is in it, one mark for each event.
    marks: Vec<String>,
    /// Not by the provider.
    forgery: Option<Forgery>,
}

/// How a forger goes about it.
#[derive(Debug, Clone, Copy)]
enum Forgery {
    /// With a secret that is none.
    WrongSecret,
    /// A genuine signature on another body.
    OtherBody,
    /// None at all.
    Unsigned,
}

fn config(provider: &str, secret: &str) -> Value {
    match provider {
        "braintree" => json!({ "public_key": "throw_away", "private_key": secret }),
        "facebook" => json!({ "app_secret": secret, "verify_token": secret }),
        "msgraph" => json!({ "client_state": secret }),
        "slack" => json!({ "signing_secret": secret }),
        "telegram" => json!({ "secret_token": secret.replace(' ', "_") }),
        "zalo" => json!({ "app_id": ZALO_APP, "oa_secret_key": secret }),
        "generic" => json!({
            "secret": secret,
            "signature": { "header": "x-signature", "algorithm": "sha256", "encoding": "hex" },
            "event": { "prefix": "test", "type": "/kind", "id": "/id", "partitionkey": "/account" },
        }),
        _ => json!({ "secret": secret }),
    }
}

impl Call {
    /// A call of a provider with events of its own; `large` bytes are added to one of them.
    fn new(provider: &'static str, name: &str, events: usize, large: usize, dice: &mut Dice) -> Call {
        let padding = "x".repeat(large);
        let marks: Vec<String> = match provider {
            "facebook" | "msgraph" => (0..events).map(|i| format!("{name}-{i}-")).collect(),
            _ => vec![format!("{name}-")],
        };
        let (mark, of) = (&marks[0], dice.below(20));
        // The first of several is the large one.
        let padding_of = |i: usize| if i == 0 { padding.as_str() } else { "" };
        if provider == "braintree" {
            let xml = format!(
                "<notification><kind>check</kind><timestamp>2026-11-24T05:59:57Z</timestamp><subject><subscription>\
                 <id>{mark}</id><more>{padding}</more></subscription></subject></notification>"
            );
            let mut form = form_urlencoded::Serializer::new(String::new());
            let form = form.append_pair("bt_payload", &BASE64_STANDARD.encode(xml)).finish();
            let request = Request::post("application/x-www-form-urlencoded", form);
            return Call { provider, request, marks, forgery: None };
        }
        let body = match provider {
            "facebook" => {
                let change = |(i, mark): (usize, &String)| {
                    let padding = padding_of(i);
                    let value = json!({
                        "item": "comment", "verb": "add", "message": mark, "post_id": of.to_string(), "more": padding,
                    });
                    json!({ "field": "feed", "value": value })
                };
                let changes: Vec<Value> = marks.iter().enumerate().map(change).collect();
                json!({ "object": "page", "entry": [{ "id": "12345", "time": 1_795_500_000, "changes": changes }] })
            }
            "generic" => json!({ "id": mark, "kind": "paid", "account": of, "more": padding }),
            "github" => {
                json!({ "action": "opened", "repository": { "id": of }, "text": mark, "more": padding })
            }
            "msgraph" => {
                let item = |(i, mark): (usize, &String)| json!({ "id": mark, "subscriptionId": "s", "changeType": "updated", "more": padding_of(i) });
                json!({ "value": marks.iter().enumerate().map(item).collect::<Vec<_>>() })
            }
            "shopify" => json!({ "id": of, "note": mark, "more": padding }),
            "slack" => {
                let event = json!({ "type": "message", "channel": format!("C{of}"), "text": mark });
                json!({
                    "type": "event_callback", "team_id": "T1", "event_id": format!("Ev{name}"),
                    "event": event, "more": padding,
                })
            }
            "stripe" => {
                let object =
                    json!({ "id": "in_1", "customer": format!("cus_{of}"), "text": mark, "more": padding });
                json!({ "id": format!("evt_{name}"), "type": "invoice.paid", "data": { "object": object } })
            }
            "telegram" => {
                let message = json!({ "message_id": 1, "chat": { "id": of }, "text": mark, "more": padding });
                json!({ "update_id": dice.roll() >> 12, "message": message })
            }
            _ => json!({
                "app_id": ZALO_APP, "event_name": "user_send_text", "timestamp": "1795500000000",
                "sender": { "id": of.to_string() }, "recipient": { "id": "2" },
                "message": { "msg_id": format!("m{name}"), "text": mark }, "more": padding,
            }),
        };
        let request = Request::post("application/json", body.to_string());
        let request = match provider {
            "github" => request.header("X-GitHub-Event", "issues").header("X-GitHub-Delivery", name),
            "shopify" => request
                .header("X-Shopify-Topic", "orders/paid")
                .header("X-Shopify-Shop-Domain", "shop.example")
                .header("X-Shopify-Webhook-Id", name),
            _ => request,
        };
        Call { provider, request, marks, forgery: None }
    }

    /// The event of AWS for it, signed now.
    fn event(&self) -> String {
        let sign = |secret: &str, request: Request| {
            signed_at(entry(self.provider).provider, &config(self.provider, secret), request, now())
        };
        let request = match self.forgery {
            None => sign(SECRET, self.request.clone()),
            Some(Forgery::WrongSecret) => {
                sign("a secret that is not that of the provider", self.request.clone())
            }
            Some(Forgery::OtherBody) => {
                let other =
                    Request { body: br#"{"timestamp":"1795500000000"}"#.into(), ..self.request.clone() };
                Request { body: self.request.body.clone(), ..sign(SECRET, other) }
            }
            Some(Forgery::Unsigned) => self.request.clone(),
        };
        request.function_url_event(BodyAs::AwsDecides)
    }
}

/// One environment at a time, and the services around it.
struct Lane {
    configuration: &'static Configuration,
    name: String,
    dice: Dice,
    queue: Sqs,
    second: Sqs,
    s3: S3,
    dynamo: Dynamo,
    victim: Arc<Mutex<Option<Victim>>>,
    function: Option<(&'static str, Function)>,
    log: Log,
}

/// What was sent, and what came of it.
#[derive(Default)]
struct Log {
    calls: usize,
    forged: usize,
    /// Marks of what was answered 2xx, and when the first such answer was there.
    accepted: HashMap<String, Instant>,
    /// Marks of what a provider meant to send.
    sent: HashSet<String>,
    /// Genuine calls that were never answered 2xx.
    never: usize,
    /// Answered 2xx although forged.
    let_in: usize,
    /// What no call may ever come to, in words.
    wrong: Vec<String>,
    again: usize,
    faults: usize,
    kills: usize,
    stops: usize,
    timeouts: usize,
}

impl Lane {
    fn new(number: usize, seed: u64, drawn: &Arc<Mutex<BTreeMap<&'static str, usize>>>) -> Lane {
        let victim = Arc::<Mutex<Option<Victim>>>::default();
        let mut dice = Dice(seed ^ (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut weather = |service| {
            let mut weather = Weather {
                dice: Dice(dice.roll()),
                service,
                victim: victim.clone(),
                outage: None,
                drawn: drawn.clone(),
            };
            move || weather.draw()
        };
        let (queue, second, s3, dynamo) =
            (Sqs::start(), Sqs::start(), S3::start(&["claims", "spill"]), Dynamo::start(TABLE, "id"));
        queue.draw(weather(Service::Sqs));
        second.draw(weather(Service::Sqs));
        s3.draw(weather(Service::S3));
        dynamo.draw(weather(Service::Dynamo));
        Lane {
            configuration: &CONFIGURATIONS[number % CONFIGURATIONS.len()],
            name: format!("{MARK}{number:02}"),
            dice,
            queue,
            second,
            s3,
            dynamo,
            victim,
            function: None,
            log: Log::default(),
        }
    }

    fn heal(&self) {
        self.queue.always(Fault::None);
        self.second.always(Fault::None);
        self.s3.always(Fault::None);
        self.dynamo.always(Fault::None);
    }

    /// So many calls of every provider in turn, then what was refused until then.
    fn run(mut self, each: usize, progress: &AtomicUsize) -> Lane {
        let mut refused = Vec::new();
        // Lanes start at different providers.
        let first = self.dice.index(PROVIDERS.len());
        for i in 0..PROVIDERS.len() {
            let provider = PROVIDERS[(first + i) % PROVIDERS.len()];
            // In turn: stopped between two calls, as Lambda does it, or in the middle of one.
            let (stopped_at, within) = (self.dice.index(each), i % 2 == 0);
            for n in 0..each {
                let call = self.next_call(provider, &format!("{}-{i}-{n}", self.name));
                if n == stopped_at && !within {
                    self.freeze(provider);
                }
                if !self.send(&call, n == stopped_at && within) {
                    refused.push(call);
                }
                progress.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.heal();
        let until = Instant::now() + LATER;
        for call in refused {
            while !self.send(&call, false) {
                if Instant::now() > until {
                    self.log.never += 1;
                    break;
                }
                thread::sleep(Duration::from_millis(200));
            }
        }
        *self.victim.lock().unwrap() = None;
        self.function = None;
        self
    }

    fn next_call(&mut self, provider: &'static str, name: &str) -> Call {
        let Lane { dice, configuration, log, .. } = self;
        log.calls += 1;
        let large = match (dice.below(20), configuration.claim_check) {
            (0 | 1, true) => SMALL + dice.index(3 * SMALL),
            (0, false) => dice.index(60_000),
            _ => dice.index(300),
        };
        if dice.below(8) == 0 {
            log.forged += 1;
            let name = name.replace(MARK, FORGED);
            let mut call = Call::new(provider, &name, 1 + dice.index(3), large, dice);
            let forgeries = [Forgery::WrongSecret, Forgery::Unsigned, Forgery::OtherBody];
            let known = if WITHIN.contains(&provider) { 2 } else { 3 };
            call.forgery = Some(dice.pick(&forgeries[..known]));
            return call;
        }
        let events = if dice.below(3) == 0 { 1 + dice.index(24) } else { 1 };
        let call = Call::new(provider, name, events, large, dice);
        log.sent.extend(call.marks.iter().cloned());
        call
    }

    /// Sends a call until it is answered for good, or too often. Says whether it is.
    fn send(&mut self, call: &Call, stop: bool) -> bool {
        for attempt in 0..=AT_ONCE {
            if attempt > 0 {
                self.log.again += 1;
            }
            match self.send_once(call, stop && attempt == 0) {
                None => continue,
                Some(false) => {}
                Some(true) if call.forgery.is_none() => {
                    // Now and then our answer is lost on its way, and the provider sends what is in the queue.
                    if self.dice.below(50) == 0 {
                        self.log.again += 1;
                        self.send_once(call, false);
                    }
                    return true;
                }
                Some(true) => return true,
            }
            thread::sleep(Duration::from_millis(5));
        }
        false
    }

    /// Whether the call was answered for good; `None` where its environment ended.
    fn send_once(&mut self, call: &Call, stop: bool) -> Option<bool> {
        let event = call.event();
        let wait = Duration::from_millis(self.dice.below(15));
        self.environment(call.provider);
        let victim = self.victim.lock().unwrap().clone();
        let function = &self.function.as_ref().expect("just started").1;
        let outcome = match stop {
            true => thread::scope(|scope| {
                scope.spawn(|| {
                    thread::sleep(wait);
                    stop_for_a_second(victim.as_ref());
                });
                function.invoke_within(&event, PLATFORM)
            }),
            false => function.invoke_within(&event, PLATFORM),
        };
        let answered = Instant::now();
        let log = &mut self.log;
        log.stops += usize::from(stop);
        match outcome {
            Outcome::Response(_) => {}
            Outcome::Exited(_) => {
                log.kills += 1;
                self.function = None;
                return None;
            }
            Outcome::TimedOut => {
                log.timeouts += 1;
                // The platform ends such an environment.
                self.function = None;
                return None;
            }
            Outcome::Error(report) => {
                log.wrong.push(format!("{}: {report}", call.provider));
                return Some(false);
            }
        }
        match (outcome.status(), call.forgery) {
            (200..300, None) => {
                for mark in &call.marks {
                    log.accepted.entry(mark.clone()).or_insert(answered);
                }
                Some(true)
            }
            (200..300, Some(_)) => {
                log.let_in += 1;
                Some(true)
            }
            (401, Some(_)) => Some(true),
            (503, None) => {
                log.faults += 1;
                Some(false)
            }
            (status, forgery) => {
                log.wrong.push(format!("{} {forgery:?}: {status}", call.provider));
                Some(forgery.is_some())
            }
        }
    }

    /// The environment of a provider's function, a new one where there is none.
    fn environment(&mut self, provider: &'static str) {
        if self.function.as_ref().is_none_or(|(of, _)| *of != provider) {
            let function = self.start(provider);
            // What else is tried at the same time has the processor first.
            if let Some(pid) = i32::try_from(function.pid()).ok().and_then(Pid::from_raw) {
                let _ = setpriority_process(Some(pid), 5);
            }
            *self.victim.lock().unwrap() = Some(Victim::new(function.pid()));
            self.function = Some((provider, function));
        }
    }

    fn start(&self, provider: &str) -> Function {
        let with = self.configuration;
        let limit = if with.claim_check { SMALL } else { crate::sqs::MAX_BYTES };
        let url = if with.fifo { self.queue.fifo_queue_url() } else { self.queue.queue_url() };
        let second = if with.fifo { self.second.fifo_queue_url() } else { self.second.queue_url() };
        let mut function = Function::builder(lambda::binary(provider))
            .env("QUEUE_URL", url)
            .env("QUEUE_MAX_BYTES", limit.to_string())
            .env("AWS_ENDPOINT_URL_SQS", self.queue.endpoint())
            .env("AWS_ENDPOINT_URL_S3", self.s3.endpoint())
            .env("AWS_ENDPOINT_URL_DYNAMODB", self.dynamo.endpoint())
            .env("HOOKGATE_LOG", "off");
        let settings = config(provider, SECRET);
        function = match with.ssm {
            true => {
                let aws = Ministack::shared();
                let name = format!("/hookgate/faults/{provider}");
                aws.put_parameter(&name, &settings.to_string());
                function
                    .env("HOOKGATE_CONFIG", format!("ssm:{name}"))
                    .env("AWS_ENDPOINT_URL_SSM", aws.endpoint())
            }
            false => function.env("HOOKGATE_CONFIG", settings.to_string()),
        };
        let parts = [
            (with.claim_check, "CLAIM_CHECK_BUCKET", "claims".to_owned()),
            (with.fallback, "FALLBACK_QUEUE_URL", second),
            (with.spill, "FALLBACK_BUCKET", "spill".into()),
            (with.duplicates, "DUPLICATES_TABLE", TABLE.into()),
            (with.quarantine, "QUARANTINE_QUEUE_URL", self.queue.quarantine_url()),
        ];
        let set = parts.into_iter().filter(|(is_set, ..)| *is_set);
        set.fold(function, |function, (_, name, value)| function.env(name, value)).start()
    }

    /// Between two calls.
    fn freeze(&mut self, provider: &'static str) {
        self.log.stops += 1;
        self.environment(provider);
        stop_for_a_second(self.victim.lock().unwrap().clone().as_ref());
    }

    /// All that is stored, wherever it is.
    fn stored(&self, tally: &mut Tally) {
        let objects: HashMap<String, (Vec<u8>, Instant)> = self
            .s3
            .objects("claims")
            .into_iter()
            .map(|object| (format!("s3://claims/{}", object.key), (object.bytes, object.stored_at)))
            .collect();
        for (place, messages) in [("queue", self.queue.messages()), ("second queue", self.second.messages())]
        {
            for message in messages {
                tally.add(place, &message.body, message.stored_at, &objects);
            }
        }
        for object in self.s3.objects("spill") {
            let batch: Vec<Box<serde_json::value::RawValue>> =
                serde_json::from_slice(&object.bytes).expect("an array of envelopes");
            for envelope in batch {
                tally.add("spill", envelope.get(), object.stored_at, &objects);
            }
        }
        // What is not referred to is stored as well: nothing forged may be there.
        for (bytes, _) in objects.values() {
            tally.forged +=
                marks(&String::from_utf8_lossy(bytes)).iter().filter(|m| m.starts_with(FORGED)).count();
        }
        for message in self.queue.quarantined() {
            let suspect: Value = serde_json::from_str(&message.body).expect("a suspect");
            let body = BASE64_STANDARD.decode(suspect["body"].as_str().unwrap_or_default()).expect("base64");
            let marks = marks(&String::from_utf8_lossy(&body));
            tally.quarantined += 1;
            tally.genuine_in_quarantine += usize::from(marks.iter().any(|mark| !mark.starts_with(FORGED)));
        }
    }
}

/// For a second, or until it is killed.
fn stop_for_a_second(environment: Option<&Victim>) {
    environment.inspect(|environment| environment.pause());
    thread::sleep(Duration::from_secs(1));
    environment.inspect(|environment| environment.resume());
}

/// What is in the stores.
#[derive(Default)]
struct Tally {
    /// Of each mark: under which identities it is stored, in how many copies, and since when.
    events: HashMap<String, Stored>,
    places: BTreeMap<&'static str, usize>,
    by_reference: usize,
    dangling: usize,
    forged: usize,
    /// Envelopes with no mark or several.
    unclear: usize,
    quarantined: usize,
    genuine_in_quarantine: usize,
}

struct Stored {
    identities: BTreeSet<String>,
    copies: usize,
    since: Instant,
}

impl Tally {
    fn add(
        &mut self,
        place: &'static str,
        text: &str,
        stored_at: Instant,
        objects: &HashMap<String, (Vec<u8>, Instant)>,
    ) {
        *self.places.entry(place).or_default() += 1;
        let envelope: Value = serde_json::from_str(text).expect("an envelope");
        let (mut found, mut since) = (marks(text), stored_at);
        if let Some(reference) = envelope["dataref"].as_str() {
            self.by_reference += 1;
            let Some((bytes, at)) = objects.get(reference) else {
                self.dangling += 1;
                return;
            };
            found.extend(marks(&String::from_utf8_lossy(bytes)));
            since = since.max(*at);
        }
        self.forged += found.iter().filter(|mark| mark.starts_with(FORGED)).count();
        // The same mark may stand in id and data.
        let [mark] = found.into_iter().collect::<Vec<_>>().try_into().unwrap_or_else(|_| [String::new()]);
        if mark.is_empty() {
            self.unclear += 1;
            return;
        }
        let part = |name: &str| envelope[name].as_str().unwrap_or_default();
        let digest = if part("idsource") == "header" { part("calldigest") } else { "" };
        let identity = format!("{}\n{}\n{digest}", part("source"), part("id"));
        let stored = self.events.entry(mark).or_insert_with(|| Stored {
            identities: BTreeSet::new(),
            copies: 0,
            since,
        });
        stored.identities.insert(identity);
        stored.copies += 1;
        stored.since = stored.since.min(since);
    }
}

/// The marks of events in a text: those that end as one does.
fn marks(text: &str) -> BTreeSet<String> {
    let of_mark = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let starts = text.match_indices(MARK).map(|(at, _)| &text[at..]);
    let whole = starts.map(|rest| &rest[..rest.find(|c| !of_mark(c)).unwrap_or(rest.len())]);
    whole.filter(|mark| mark.ends_with('-')).map(str::to_owned).collect()
}

fn seed() -> u64 {
    let given = env::var("HOOKGATE_TEST_SEED").ok();
    given.map_or_else(|| RandomState::new().build_hasher().finish(), |seed| seed.parse().expect("a number"))
}

/// Past the test harness, which keeps what a test prints until it fails.
fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// 82, 83, 86–90, 108, 113 and all parts together.
#[test]
fn nothing_is_lost_and_nothing_forged_let_in() {
    let seed = seed();
    let each = CALLS.div_ceil(LANES * PROVIDERS.len());
    let all = each * LANES * PROVIDERS.len();
    say(&format!("faults: {all} calls in {LANES} environments, HOOKGATE_TEST_SEED={seed}"));
    let started = Instant::now();
    let (progress, drawn) = (AtomicUsize::new(0), Arc::default());
    let lanes: Vec<Lane> = thread::scope(|scope| {
        let running: Vec<_> = (0..LANES)
            .map(|number| {
                let (progress, drawn) = (&progress, &drawn);
                scope.spawn(move || Lane::new(number, seed, drawn).run(each, progress))
            })
            .collect();
        let mut said = Instant::now();
        while running.iter().any(|lane| !lane.is_finished()) {
            thread::sleep(Duration::from_millis(50));
            if said.elapsed() > Duration::from_secs(10) {
                said = Instant::now();
                let sent = progress.load(Ordering::Relaxed);
                say(&format!("faults: {:>3} s, {sent} of {all} calls", started.elapsed().as_secs()));
            }
        }
        running.into_iter().map(|lane| lane.join().expect("a lane that ran to its end")).collect()
    });

    let mut tally = Tally::default();
    for lane in &lanes {
        lane.stored(&mut tally);
    }
    let report = Report::new(&lanes, &tally, &drawn.lock().unwrap());
    say(&format!("{report}\nfaults: {} s, seed {seed}", started.elapsed().as_secs()));
    report.judge();
}

/// The figures of a run.
struct Report {
    rows: Vec<(String, usize)>,
    never_more_than_zero: Vec<&'static str>,
    at_least_one: Vec<String>,
    examples: Vec<String>,
}

impl Report {
    fn new(lanes: &[Lane], tally: &Tally, drawn: &BTreeMap<&'static str, usize>) -> Report {
        let sum = |of: fn(&Log) -> usize| lanes.iter().map(|lane| of(&lane.log)).sum::<usize>();
        let accepted = lanes.iter().flat_map(|lane| &lane.log.accepted);
        let lost: Vec<&String> = accepted
            .clone()
            .filter(|(mark, _)| !tally.events.contains_key(*mark))
            .map(|(mark, _)| mark)
            .collect();
        let early =
            accepted.clone().filter(|(mark, at)| tally.events.get(*mark).is_some_and(|s| s.since >= **at));
        let early: Vec<&String> = early.map(|(mark, _)| mark).collect();
        let split: Vec<&String> = tally
            .events
            .iter()
            .filter(|(_, stored)| stored.identities.len() != 1)
            .map(|(mark, _)| mark)
            .collect();
        let sent: HashSet<&String> = lanes.iter().flat_map(|lane| &lane.log.sent).collect();
        let unknown: Vec<&String> = tally.events.keys().filter(|mark| !sent.contains(mark)).collect();
        let copies: usize = tally.events.values().map(|stored| stored.copies).sum();
        let wrong: Vec<&String> = lanes.iter().flat_map(|lane| &lane.log.wrong).collect();
        let mut rows = vec![
            ("calls".to_owned(), sum(|log| log.calls)),
            ("forged among them".into(), sum(|log| log.forged)),
            ("events acknowledged".into(), accepted.count()),
            ("sent again".into(), sum(|log| log.again)),
            ("answered 503".into(), sum(|log| log.faults)),
            ("environments killed".into(), sum(|log| log.kills)),
            ("environments stopped".into(), sum(|log| log.stops)),
            ("ended by the platform's limit".into(), sum(|log| log.timeouts)),
            ("data by reference".into(), tally.by_reference),
            ("in quarantine".into(), tally.quarantined),
            ("duplicates".into(), copies - tally.events.len()),
        ];
        rows.extend(["queue", "second queue", "spill"].map(|place| {
            (format!("messages: {place}"), tally.places.get(place).copied().unwrap_or_default())
        }));
        rows.extend(drawn.iter().map(|(name, times)| (format!("fault: {name}"), *times)));
        let at_least_one = rows
            .iter()
            .map(|(name, _)| name.clone())
            .filter(|name| !["ended by the platform's limit"].contains(&name.as_str()))
            .collect();
        let zeros = [
            ("lost", lost.len()),
            ("forged let in", tally.forged + sum(|log| log.let_in)),
            ("acknowledged before stored", early.len()),
            ("one event under two ids", split.len()),
            ("never accepted", sum(|log| log.never)),
            ("stored and never sent", unknown.len()),
            ("envelopes without one event", tally.unclear),
            ("references to nothing", tally.dangling),
            ("genuine in quarantine", tally.genuine_in_quarantine),
            ("answers that are none", wrong.len()),
        ];
        rows.extend(zeros.map(|(name, count)| (name.to_owned(), count)));
        let examples =
            [("lost", lost), ("early", early), ("two ids", split), ("unknown", unknown), ("wrong", wrong)];
        Report {
            rows,
            never_more_than_zero: zeros.map(|(name, _)| name).into(),
            at_least_one,
            examples: examples
                .into_iter()
                .filter(|(_, marks)| !marks.is_empty())
                .map(|(name, marks)| format!("{name}: {:?}", marks.iter().take(5).collect::<Vec<_>>()))
                .collect(),
        }
    }

    #[track_caller]
    fn judge(&self) {
        let of = |name: &str| self.rows.iter().find(|(row, _)| row == name).map_or(0, |(_, count)| *count);
        for name in &self.never_more_than_zero {
            assert_eq!(of(name), 0, "{name}: {:?}", self.examples);
        }
        // A run in which nothing went wrong shows nothing.
        for name in &self.at_least_one {
            assert!(of(name) > 0, "{name}");
        }
        assert!(of("calls") >= CALLS && of("forged among them") * 10 >= of("calls"));
        let kinds = self.rows.iter().filter(|(name, _)| name.starts_with("fault: ")).count();
        assert_eq!(kinds, 15, "every kind of fault");
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (name, count) in &self.rows {
            writeln!(f, "    {name:<32}{count:>8}")?;
        }
        Ok(())
    }
}
