//! The settings document: what the operator gave, read leniently by a running function and strictly where a person is.
//!
//! A function never dies of a mistake in it. An endpoint without a usable value answers 503, all others go on, and what is
//! wrong is said once in the log, by the setting's name.

use crate::attempts::chance;
use crate::aws::{Aws, Unread};
use crate::call::Call;
use crate::error::{Fault, Refused};
use crate::log;
use crate::provider::{Provider, Setting, Shape};
use crate::secret::Secret;
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroizing;

/// Secrets below this length in bytes draw a warning.
const SHORT: usize = 16;
/// How long settings are used before they are read again, if nobody says otherwise.
const TTL: Duration = Duration::from_secs(300);
/// A check that fails under settings older than this has them read again early, at most once in as long.
const EARLY: Duration = Duration::from_secs(30);
/// How long a renewal may take.
const ONE_REQUEST: Duration = Duration::from_millis(1500);
/// A reading that failed for good is not repeated sooner.
const PAUSE: Duration = Duration::from_secs(1);

/// The setting that every provider has: whether its envelopes carry the exact bytes of the call too.
pub const RAW: &str = "raw";

/// The settings of one endpoint. One call is checked against one endpoint.
#[derive(Clone, Default)]
pub struct Endpoint {
    name: Option<String>,
    secrets: BTreeMap<&'static str, Vec<Secret>>,
    texts: BTreeMap<&'static str, String>,
    lists: BTreeMap<&'static str, Vec<String>>,
    objects: BTreeMap<&'static str, Value>,
    raw: bool,
    fault: Option<Fault>,
}

impl Endpoint {
    /// The name it is called by in the path, if it has one.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The usable values of a secret, at least one.
    pub fn secrets(&self, name: &'static str) -> Result<&[Secret], Fault> {
        match self.secrets.get(name) {
            Some(secrets) if !secrets.is_empty() => Ok(secrets),
            _ => Err(Fault::Setting(name)),
        }
    }

    /// Whether a setting was given; a secret also where it is unusable.
    pub fn has(&self, name: &str) -> bool {
        self.secrets.contains_key(name) || self.texts.contains_key(name) || self.objects.contains_key(name)
    }

    /// A text.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.texts.get(name).map(String::as_str)
    }

    /// The texts of a list; none where it was left out.
    pub fn texts(&self, name: &str) -> &[String] {
        self.lists.get(name).map_or(&[], Vec::as_slice)
    }

    /// An object.
    pub fn object(&self, name: &str) -> Option<&Value> {
        self.objects.get(name)
    }

    /// Whether its envelopes carry the exact bytes of the call too.
    pub fn raw(&self) -> bool {
        self.raw
    }

    /// Why calls to it cannot be served, if so.
    pub fn usable(&self) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), Err)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Something wrong with one setting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flaw {
    /// The setting.
    pub setting: Cow<'static, str>,
    /// What is wrong with it.
    pub what: &'static str,
    /// How much it matters.
    pub weight: Weight,
}

/// How much a flaw matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weight {
    /// The endpoint cannot be served.
    Fatal,
    /// A mistake of whoever wrote it; a running function gets along.
    Mistake,
    /// Right for a local trial. A function, which strangers reach, refuses it.
    Local,
    /// It works, and could be better.
    Advice,
}

impl Weight {
    /// Whether a person who is there has to mend it.
    pub fn is_serious(self) -> bool {
        matches!(self, Weight::Fatal | Weight::Mistake)
    }
}

impl Flaw {
    /// A flaw that keeps the endpoint from being served.
    pub fn fatal(setting: &'static str, what: &'static str) -> Flaw {
        Flaw { setting: setting.into(), what, weight: Weight::Fatal }
    }

    /// A mistake that the endpoint gets along with.
    pub fn mistake(setting: impl Into<Cow<'static, str>>, what: &'static str) -> Flaw {
        Flaw { setting: setting.into(), what, weight: Weight::Mistake }
    }

    /// A value that serves for local trials and for nothing else.
    pub fn local(setting: &'static str, what: &'static str) -> Flaw {
        Flaw { setting: setting.into(), what, weight: Weight::Local }
    }

    fn advice(setting: &'static str, what: &'static str) -> Flaw {
        Flaw { setting: setting.into(), what, weight: Weight::Advice }
    }
}

/// A flaw with the endpoint it was found in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The endpoint's name, if it has one.
    pub endpoint: Option<String>,
    /// The flaw.
    pub flaw: Flaw,
}

/// A settings document that has been read.
#[derive(Debug, Clone, Default)]
pub struct Document {
    endpoints: Vec<Endpoint>,
    problems: Vec<Problem>,
}

impl Document {
    /// Reads a document for a provider. Only a text that is no JSON object is a fault; the rest becomes problems.
    pub fn read(provider: &Provider, text: &str) -> Result<Document, Fault> {
        let document: Map<String, Value> =
            serde_json::from_str(text).map_err(|_| Fault::Settings("the document is not a JSON object"))?;
        Ok(Document::of(provider, &document))
    }

    /// The document of an object that is already parsed.
    pub fn of(provider: &Provider, document: &Map<String, Value>) -> Document {
        let mut read = Document::default();
        let common = document.iter().filter(|(name, _)| *name != "endpoints");
        match document.get("endpoints") {
            None => read.add(provider, None, common.collect()),
            Some(Value::Object(endpoints)) if !endpoints.is_empty() => {
                for (name, own) in endpoints {
                    // What stands beside `endpoints` holds for each of them, unless it says otherwise itself.
                    let mut values: BTreeMap<_, _> = common.clone().collect();
                    match own {
                        Value::Object(own) => values.extend(own),
                        _ => {
                            read.note(Some(name), Flaw::mistake("endpoints", "an endpoint must be an object"))
                        }
                    }
                    if !is_endpoint_name(name) {
                        let what = "an endpoint's name may have letters, digits, `-`, `_` and `.`";
                        read.note(Some(name), Flaw::mistake("endpoints", what));
                    }
                    read.add(provider, Some(name.clone()), values);
                }
            }
            Some(_) => {
                read.note(None, Flaw::mistake("endpoints", "must be an object with at least one endpoint"));
                read.add(provider, None, common.collect());
            }
        }
        read
    }

    /// The document for a function, which strangers reach: what is right for local trials only, is fatal there.
    #[must_use]
    pub fn deployed(mut self) -> Document {
        for Problem { endpoint: name, flaw } in &mut self.problems {
            if flaw.weight != Weight::Local {
                continue;
            }
            flaw.weight = Weight::Fatal;
            let fault = match flaw.setting {
                Cow::Borrowed(setting) => Fault::Setting(setting),
                Cow::Owned(_) => Fault::Settings(flaw.what),
            };
            for endpoint in self.endpoints.iter_mut().filter(|endpoint| endpoint.name == *name) {
                endpoint.fault.get_or_insert(fault);
            }
        }
        self
    }

    /// The endpoint that a call is for: the only one whatever the path says, or the one that the path ends with.
    pub fn endpoint(&self, call: &Call<'_>) -> Result<&Endpoint, Refused> {
        let name = call.last_segment();
        match self.endpoints.as_slice() {
            [only] if only.name.is_none() => Ok(only),
            several => {
                several.iter().find(|e| e.name.as_deref() == Some(name)).ok_or(Refused::UnknownEndpoint)
            }
        }
    }

    /// All endpoints.
    pub fn endpoints(&self) -> &[Endpoint] {
        &self.endpoints
    }

    /// What is wrong with it.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    fn note(&mut self, endpoint: Option<&String>, flaw: Flaw) {
        self.problems.push(Problem { endpoint: endpoint.cloned(), flaw });
    }

    fn add(&mut self, provider: &Provider, name: Option<String>, values: BTreeMap<&String, &Value>) {
        let mut endpoint = Endpoint { name, ..Endpoint::default() };
        let mut flaws = Vec::new();
        for setting in provider.settings {
            let given = |name: &str| values.get(&name.to_owned()).copied().filter(|value| !value.is_null());
            let is_needed = setting.required && !setting.unless.iter().any(|other| given(other).is_some());
            flaws.extend(endpoint.take(setting, given(setting.name), is_needed));
        }
        match values.get(&RAW.to_owned()) {
            None => {}
            Some(Value::Bool(raw)) => endpoint.raw = *raw,
            Some(_) => flaws.push(Flaw::mistake(RAW, "must be true or false")),
        }
        let is_known = |name: &str| name == RAW || provider.settings.iter().any(|s| s.name == name);
        for unknown in values.keys().filter(|name| !is_known(name)) {
            flaws.push(Flaw::mistake(printable(unknown), "is not a setting of this provider"));
        }
        flaws.extend(provider.scheme.flaws(&endpoint));
        let fatal = flaws.iter().find(|flaw| flaw.weight == Weight::Fatal);
        endpoint.fault = fatal.map(|flaw| {
            let known = provider.settings.iter().find(|setting| setting.name == flaw.setting);
            known.map_or(Fault::Settings(flaw.what), |setting| Fault::Setting(setting.name))
        });
        self.problems.extend(flaws.into_iter().map(|flaw| Problem { endpoint: endpoint.name.clone(), flaw }));
        self.endpoints.push(endpoint);
    }
}

impl Endpoint {
    /// Takes over one setting and says what is wrong with it.
    fn take(&mut self, setting: &Setting, value: Option<&Value>, is_needed: bool) -> Vec<Flaw> {
        let name = setting.name;
        let Some(value) = value else {
            return if is_needed { vec![Flaw::fatal(name, "is missing")] } else { Vec::new() };
        };
        let mut flaws = Vec::new();
        match setting.shape {
            Shape::Secret => {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                let mut usable = Vec::new();
                for value in values {
                    match text(value) {
                        Some(text) if text.trim().is_empty() => flaws.push(Flaw::mistake(name, "is empty")),
                        Some(text) => {
                            if text.trim() != text {
                                flaws.push(Flaw::mistake(name, "begins or ends with white space"));
                            }
                            if text.len() < SHORT {
                                flaws.push(Flaw::advice(name, "is shorter than 16 bytes"));
                            }
                            usable.push(Secret::new(text));
                        }
                        None => flaws.push(Flaw::mistake(name, "must be a text or a list of texts")),
                    }
                }
                if usable.is_empty() {
                    // One that was given and is unusable never counts as left out, or a check would be skipped.
                    flaws.push(Flaw::fatal(name, "has no usable value"));
                }
                self.secrets.insert(name, usable);
            }
            Shape::Text => match text(value) {
                Some(text) if !text.trim().is_empty() => {
                    if text.trim() != text {
                        flaws.push(Flaw::mistake(name, "begins or ends with white space"));
                    }
                    self.texts.insert(name, text);
                }
                Some(_) => flaws.push(Flaw::fatal(name, "is empty")),
                None => flaws.push(Flaw::fatal(name, "must be a text")),
            },
            Shape::Word(words) => match text(value) {
                Some(text) if words.contains(&text.as_str()) => {
                    self.texts.insert(name, text);
                }
                _ => flaws.push(Flaw::fatal(name, "is none of the words that may stand there")),
            },
            Shape::Texts => {
                let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
                let texts: Option<Vec<String>> =
                    values.iter().map(|value| text(value).filter(|text| !text.trim().is_empty())).collect();
                match texts {
                    Some(texts) if !texts.is_empty() => {
                        if texts.iter().any(|text| text.trim() != text) {
                            flaws.push(Flaw::mistake(name, "begins or ends with white space"));
                        }
                        self.lists.insert(name, texts);
                    }
                    Some(_) => flaws.push(Flaw::fatal(name, "is empty")),
                    None => flaws.push(Flaw::fatal(name, "must be a list of texts, none of them empty")),
                }
            }
            Shape::Object => match value {
                Value::Object(_) => {
                    self.objects.insert(name, value.clone());
                }
                _ => flaws.push(Flaw::fatal(name, "must be an object")),
            },
        }
        flaws
    }
}

/// A text, or a whole number's digits.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) if number.is_u64() || number.is_i64() => Some(number.to_string()),
        _ => None,
    }
}

fn is_endpoint_name(name: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    !name.is_empty() && name.len() <= 64 && name.bytes().all(legal)
}

/// The name of an unknown setting, unless it may be a value that was pasted into the wrong place.
fn printable(name: &str) -> String {
    let plain = name.len() <= 24 && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    if plain { name.to_owned() } else { "(a name that looks like no setting's)".to_owned() }
}

/// Where a function's settings come from.
#[derive(Clone, PartialEq, Eq)]
pub enum Source {
    /// The document itself.
    Inline(Zeroizing<String>),
    /// A parameter of Systems Manager, by its name.
    Ssm(String),
    /// A secret of Secrets Manager, by its name or ARN.
    SecretsManager(String),
}

impl Source {
    /// The source that `HOOKGATE_CONFIG` means.
    pub fn of(config: &str) -> Source {
        match config.split_once(':') {
            Some(("ssm", name)) => Source::Ssm(name.to_owned()),
            Some(("secretsmanager", name)) => Source::SecretsManager(name.to_owned()),
            _ => Source::Inline(Zeroizing::new(config.to_owned())),
        }
    }
}

/// A provider's settings, kept fresh.
pub struct Settings(Kind);

enum Kind {
    Fixed(Result<Arc<Document>, Fault>),
    Remote(Box<Remote>),
}

struct Remote {
    provider: &'static Provider,
    source: Source,
    aws: Arc<Aws>,
    ttl: Duration,
    state: Mutex<State>,
    turn: Turn,
}

/// Whoever has it reads. Calls that come meanwhile, where the platform hands over several at once, go on with what there
/// is, or wait where there is nothing.
type Turn = tokio::sync::Mutex<()>;

#[derive(Default)]
struct State {
    document: Option<Arc<Document>>,
    read: Option<Moment>,
    tried: Option<Moment>,
    tried_early: Option<Moment>,
    /// When the last try ended in what asking again does not mend.
    refused: Option<Moment>,
}

/// A point in time by two clocks. An environment can be frozen between two calls, and which clock then stands still is
/// the platform's affair: the one that ran further counts.
#[derive(Clone, Copy)]
pub(crate) struct Moment {
    steady: Instant,
    wall: SystemTime,
}

impl Moment {
    /// This one.
    pub fn now() -> Moment {
        Moment { steady: Instant::now(), wall: SystemTime::now() }
    }

    /// How long it is past.
    pub fn age(self) -> Duration {
        self.steady.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

fn older(moment: Option<Moment>, than: Duration) -> bool {
    moment.is_none_or(|moment| moment.age() >= than)
}

impl Settings {
    /// Settings that never change.
    pub fn fixed(document: Document) -> Settings {
        Settings(Kind::Fixed(Ok(Arc::new(document))))
    }

    /// Settings from a source; nothing is read yet. `ttl` is 300 s if not given.
    pub fn new(
        provider: &'static Provider,
        source: Source,
        ttl: Option<Duration>,
        aws: &Arc<Aws>,
    ) -> Settings {
        Settings(match source {
            Source::Inline(text) => Kind::Fixed(Document::read(provider, &text).map(|document| {
                let document = document.deployed();
                report(provider, &document);
                Arc::new(document)
            })),
            source => {
                let ttl = jittered(ttl.unwrap_or(TTL));
                let (state, turn) = (Mutex::default(), Turn::default());
                Kind::Remote(Box::new(Remote { provider, source, aws: aws.clone(), ttl, state, turn }))
            }
        })
    }

    /// The settings in force. Reads them where they are too old; keeps the last good ones where that fails, or takes more
    /// than a quarter of the time until `until`. Where there are none yet, the call waits for some, up to three quarters
    /// of it.
    pub async fn current(&self, until: Instant) -> Result<Arc<Document>, Fault> {
        match &self.0 {
            Kind::Fixed(document) => document.clone(),
            Kind::Remote(remote) => {
                let document = remote.current(until).await;
                document.ok_or(Fault::Settings("could not be read from HOOKGATE_CONFIG"))
            }
        }
    }

    /// Settings that are newer than those a check failed under: read anew, if they are old enough and were not just read so,
    /// or by another call meanwhile.
    pub async fn early(&self, under: Option<&Arc<Document>>, until: Instant) -> Option<Arc<Document>> {
        match &self.0 {
            Kind::Fixed(_) => None,
            Kind::Remote(remote) => remote.early(under, until).await,
        }
    }
}

impl Remote {
    /// See [`Settings::current`].
    async fn current(&self, until: Instant) -> Option<Arc<Document>> {
        match self.known() {
            None => self.first(until).await,
            Some((document, false)) => Some(document),
            Some((document, true)) => match self.turn.try_lock() {
                // Unless whoever had the turn has just done it.
                Ok(_turn) if self.known().is_some_and(|(_, due)| due) => {
                    let end = quarter(until);
                    self.in_time(end, self.read(end, true)).await.or(Some(document))
                }
                _ => self.known().map(|(document, _)| document),
            },
        }
    }

    /// The settings in memory, and whether it is time to read them again.
    fn known(&self) -> Option<(Arc<Document>, bool)> {
        let state = lock(&self.state);
        let due = older(state.read, self.ttl) && older(state.tried, EARLY.min(self.ttl));
        state.document.clone().map(|document| (document, due))
    }

    /// See [`Settings::early`].
    async fn early(&self, under: Option<&Arc<Document>>, until: Instant) -> Option<Arc<Document>> {
        let end = quarter(until);
        self.in_time(end, async {
            let _turn = self.turn.lock().await;
            {
                let mut state = lock(&self.state);
                let is_newer =
                    |document: &&Arc<Document>| under.is_none_or(|under| !Arc::ptr_eq(under, document));
                if let Some(newer) = state.document.as_ref().filter(is_newer) {
                    return Some(newer.clone());
                }
                if !older(state.read, EARLY) || !older(state.tried_early, EARLY) || !older(state.tried, PAUSE)
                {
                    return None;
                }
                state.tried_early = Some(Moment::now());
            }
            self.read(end, true).await
        })
        .await
    }

    /// The first settings. Without any a call can only fail, so it waits for its turn and tries until three quarters of its
    /// time have gone by; but not where AWS has said a moment ago that there is nothing to wait for.
    async fn first(&self, until: Instant) -> Option<Arc<Document>> {
        let now = Instant::now();
        let end = now + until.saturating_duration_since(now) / 4 * 3;
        let known = || {
            let state = lock(&self.state);
            let is_refused = !older(state.refused, PAUSE);
            (state.document.is_some() || is_refused).then(|| state.document.clone())
        };
        if let Some(known) = known() {
            return known;
        }
        self.in_time(end, async {
            let _turn = self.turn.lock().await;
            // What another call was told meanwhile holds for this one too.
            match known() {
                Some(known) => known,
                None => self.read(end, false).await,
            }
        })
        .await
    }

    /// What reads settings, which must end whatever it waits for.
    async fn in_time(
        &self,
        end: Instant,
        reading: impl Future<Output = Option<Arc<Document>>>,
    ) -> Option<Arc<Document>> {
        match tokio::time::timeout_at(end.into(), reading).await {
            Ok(document) => document,
            Err(_) => {
                lock(&self.state).tried = Some(Moment::now());
                log::fault(self.provider.name, &Fault::Settings("could not be read in time"));
                None
            }
        }
    }

    async fn read(&self, until: Instant, once: bool) -> Option<Arc<Document>> {
        lock(&self.state).tried = Some(Moment::now());
        let text = match &self.source {
            Source::Inline(text) => Ok(text.clone()),
            Source::Ssm(name) => self.aws.parameter(name, until, once).await,
            Source::SecretsManager(name) => self.aws.secret(name, until, once).await,
        };
        let read = text.and_then(|text| {
            Document::read(self.provider, &text).map_err(|fault| Unread { fault, passes: false })
        });
        // However long it took: a pause begins now.
        let now = Moment::now();
        let mut state = lock(&self.state);
        state.tried = Some(now);
        match read {
            Ok(document) => {
                let document = Arc::new(document.deployed());
                if state.document.as_ref().is_none_or(|before| before.problems != document.problems) {
                    report(self.provider, &document);
                }
                state.read = Some(now);
                state.document = Some(document.clone());
                Some(document)
            }
            Err(Unread { fault, passes }) => {
                state.refused = (!passes).then_some(now);
                log::fault(self.provider.name, &fault);
                None
            }
        }
    }
}

fn report(provider: &Provider, document: &Document) {
    for problem in &document.problems {
        let endpoint = problem.endpoint.as_deref();
        log::setting(provider.name, endpoint, &problem.flaw.setting, problem.flaw.what);
    }
}

/// When a quarter of the time until `until` has gone by, or what one request to a healthy service takes at most: the events
/// of the call need the rest.
fn quarter(until: Instant) -> Instant {
    let now = Instant::now();
    now + (until.saturating_duration_since(now) / 4).min(ONE_REQUEST)
}

/// Up to a tenth less, so that many environments do not read at once.
fn jittered(ttl: Duration) -> Duration {
    ttl.saturating_sub(ttl / 1000 * chance(100))
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
