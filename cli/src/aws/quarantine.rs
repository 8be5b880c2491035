//! `hookgate quarantine`: calls whose signature did not match, looked at, checked again, and sent on where they pass now.
//!
//! Architecture invariant: the check is [`verify`], the same as a function's, at the time when the call was received. There
//! is no other way out of the quarantine.

use super::queue::{Message, Reader};
use super::{Account, Stop, WINDOW, WINDOW_BYTES, block_on, shown_time};
use crate::Failed;
use crate::config;
use crate::screen::{self, FAINT, GOOD, STRONG, WARN, beginning, harmless, paint};
use clap::{Args, Subcommand};
use comfy_table::{Attribute, Cell, CellAlignment};
use shared::bucket::{Bucket, ClaimCheck};
use shared::call::Call;
use shared::duplicates::{self, Table};
use shared::error::{Failure, Fault};
use shared::event;
use shared::provider::Provider;
use shared::quarantine::Suspect;
use shared::queue::Queue;
use shared::settings::{Document, Source};
use shared::verify::verify;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// How long a call's events may take to be confirmed, and settings to be read.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest provider's and endpoint's name that a table shows, in characters.
const LONGEST: usize = 24;

/// What is to be done with a quarantine.
#[derive(Subcommand)]
pub enum Command {
    /// List what is there; nothing is changed
    List(ListOptions),
    /// Check each call again at the time when it was received; nothing is changed
    Verify(VerifyOptions),
    /// Send those that pass to the queue of events, and delete them here
    Release(ReleaseOptions),
}

/// The options of `hookgate quarantine list`.
#[derive(Args)]
pub struct ListOptions {
    /// The quarantine queue's URL
    #[arg(long, value_name = "URL")]
    queue: String,
    /// Only calls that claim to come from this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// At most so many calls; all if left out
    #[arg(long, value_name = "NUMBER")]
    limit: Option<usize>,
}

/// The options of `hookgate quarantine verify`.
#[derive(Args)]
pub struct VerifyOptions {
    #[command(flatten)]
    list: ListOptions,
    /// The settings file: a table for each provider
    #[arg(long, value_name = "FILE", default_value = "hookgate.toml", conflicts_with = "settings")]
    config: PathBuf,
    /// Where the functions have their settings: ssm:/hookgate/{provider} or secretsmanager:…; {provider} stands for each
    /// provider's name
    #[arg(long, value_name = "SOURCE")]
    settings: Option<String>,
}

/// The options of `hookgate quarantine release`.
#[derive(Args)]
pub struct ReleaseOptions {
    #[command(flatten)]
    verify: VerifyOptions,
    /// The URL of the queue of events
    #[arg(long, value_name = "URL")]
    to: String,
    /// The largest event that it takes, in bytes; what the queue says itself if left out
    #[arg(long, value_name = "BYTES")]
    max_bytes: Option<usize>,
    /// The bucket for data of larger events
    #[arg(long, value_name = "NAME")]
    claim_check_bucket: Option<String>,
    /// The table in which the functions remember events
    #[arg(long, value_name = "NAME")]
    duplicates_table: Option<String>,
    /// Give each event a message group in a standard queue too, as with QUEUE_FAIR
    #[arg(long)]
    fair: bool,
}

/// Does what was asked for.
pub fn run(command: &Command) -> Result<(), Failed> {
    block_on(|stop| async move {
        match command {
            Command::List(options) => list(options, &stop).await,
            Command::Verify(options) => check(options, &stop).await,
            Command::Release(options) => release(options, &stop).await,
        }
    })
}

/// A call of the quarantine, by the id of its message.
struct Kept {
    id: String,
    suspect: Suspect,
}

/// A quarantine that is being read.
struct Quarantine<'o> {
    reader: Reader,
    options: &'o ListOptions,
    stop: &'o Stop,
    /// How many may still be read.
    left: usize,
    filtered: usize,
    strangers: usize,
}

impl<'o> Quarantine<'o> {
    async fn open(
        account: &Account,
        options: &'o ListOptions,
        stop: &'o Stop,
    ) -> Result<Quarantine<'o>, String> {
        let queue = account.queue(&options.queue)?;
        // Says what is wrong with the queue before anything is read.
        queue.about().await?;
        let reader = Reader::new(queue);
        Ok(Quarantine {
            reader,
            options,
            stop,
            left: options.limit.unwrap_or(usize::MAX),
            filtered: 0,
            strangers: 0,
        })
    }

    /// The next calls, by the time they were received; none at the end.
    async fn window(&mut self) -> Result<Vec<Kept>, String> {
        let (mut kept, mut bytes) = (Vec::new(), 0);
        while kept.len() < self.left.min(WINDOW) && bytes < WINDOW_BYTES && !self.stop.is_asked() {
            let messages = self.reader.next().await?;
            if messages.is_empty() {
                break;
            }
            for Message { id, body, .. } in messages {
                bytes += body.len();
                match Suspect::read(&body) {
                    Err(_) => self.strangers += 1,
                    Ok(suspect) if self.options.provider.as_ref().is_some_and(|p| *p != suspect.provider) => {
                        self.filtered += 1;
                    }
                    Ok(suspect) => kept.push(Kept { id, suspect }),
                }
            }
        }
        kept.sort_by_key(|kept| kept.suspect.received);
        kept.truncate(self.left);
        self.left -= kept.len();
        Ok(kept)
    }

    /// What else is there, and everything visible again.
    async fn end(&mut self) -> Result<(), String> {
        for (number, what) in
            [(self.filtered, "of other providers"), (self.strangers, "that are no calls of a quarantine")]
        {
            if number > 0 {
                screen::say(&format!("  {} messages {what} stay", paint(WARN, number)));
            }
        }
        if self.left == 0 {
            screen::say(&paint(FAINT, "  there may be more: --limit"));
        }
        self.reader.release().await
    }
}

/// A table with one line for each call.
fn table(rows: &[[String; 5]], titles: [&str; 5]) -> String {
    let mut table = screen::table();
    table.set_header(titles.map(|text| Cell::new(text).add_attribute(Attribute::Bold)));
    screen::set_gaps(&mut table);
    for row in rows {
        let [provider, endpoint, received, size, word] = row.each_ref().map(Cell::new);
        let size = size.set_alignment(CellAlignment::Right);
        table.add_row([provider, endpoint, received, size, word]);
    }
    table.to_string()
}

/// What can be seen of a call, and a word about it. Nothing of its body, its path or its headers.
fn row(suspect: &Suspect, word: String) -> [String; 5] {
    let shown = |text: &str| beginning(&harmless(text), LONGEST);
    // Base64 has four characters for three bytes.
    let padding = suspect.body.bytes().rev().take_while(|b| *b == b'=').count();
    let size = (suspect.body.len() / 4 * 3).saturating_sub(padding);
    [
        shown(&suspect.provider),
        shown(suspect.endpoint.as_deref().unwrap_or("-")),
        shown_time(suspect.received),
        format!("{size} B"),
        word,
    ]
}

async fn list(options: &ListOptions, stop: &Stop) -> Result<(), Failed> {
    let account = Account::resolve(&options.queue).await?;
    let mut quarantine = Quarantine::open(&account, options, stop).await?;
    let mut rows = Vec::new();
    let outcome = async {
        loop {
            let window = quarantine.window().await?;
            if window.is_empty() {
                return Ok::<_, String>(());
            }
            rows.extend(window.iter().map(|kept| row(&kept.suspect, String::new())));
        }
    }
    .await;
    if !rows.is_empty() {
        screen::say(&format!("{}\n", table(&rows, ["provider", "endpoint", "received", "body", ""])));
    }
    screen::say(&format!("{} in quarantine", paint(STRONG, calls(rows.len()))));
    let released = quarantine.end().await;
    Ok(outcome.and(released)?)
}

fn calls(number: usize) -> String {
    screen::count(number, "call", "calls")
}

/// The settings that calls are checked under, read once for each provider.
struct Given<'o> {
    options: &'o VerifyOptions,
    account: &'o Account,
    read: BTreeMap<String, Result<(&'static Provider, Document), String>>,
}

impl<'o> Given<'o> {
    fn new(options: &'o VerifyOptions, account: &'o Account) -> Result<Given<'o>, String> {
        match options.settings.as_deref().map(Source::of) {
            // What was given may be a secret.
            Some(Source::Inline(_)) => Err("--settings is ssm:NAME or secretsmanager:NAME".to_owned()),
            _ => Ok(Given { options, account, read: BTreeMap::new() }),
        }
    }

    /// Those of a provider, or a word why there are none.
    async fn of(&mut self, provider: &str) -> Result<&(&'static Provider, Document), String> {
        if !self.read.contains_key(provider) {
            let read = self.fetch(provider).await;
            self.read.insert(provider.to_owned(), read);
        }
        match self.read.get(provider) {
            Some(Ok(read)) => Ok(read),
            Some(Err(why)) => Err(why.clone()),
            None => Err("no settings".to_owned()),
        }
    }

    async fn fetch(&self, name: &str) -> Result<(&'static Provider, Document), String> {
        let provider = registry::find(name).ok_or("no provider is called so")?.provider;
        let Some(source) = &self.options.settings else {
            let configured = config::read_one(&self.options.config, provider).map_err(|report| {
                screen::warn(&report);
                "its settings cannot be used".to_owned()
            })?;
            return Ok((provider, configured.document));
        };
        let until = Instant::now() + PATIENCE;
        let text = match Source::of(&source.replace("{provider}", provider.name)) {
            Source::Ssm(name) => self.account.aws().parameter(&name, until, false).await,
            Source::SecretsManager(name) => self.account.aws().secret(&name, until, false).await,
            Source::Inline(_) => return Err(Fault::Settings("no source").to_string()),
        };
        let text = text.map_err(|unread| unread.fault.to_string())?;
        let document = Document::read(provider, &text).map_err(|fault| fault.to_string())?;
        Ok((provider, document))
    }
}

/// A call that passed, as its function would send it on.
fn events(
    provider: &'static Provider,
    document: &Document,
    suspect: &Suspect,
    call: &Call<'_>,
) -> Result<Vec<event::Envelope>, String> {
    let said = |failure: Failure| match failure {
        Failure::Refused(refused) => refused.to_string(),
        Failure::Fault(fault) => fault.to_string(),
    };
    let endpoint = document.endpoint(call).map_err(|refused| refused.to_string())?;
    endpoint.usable().map_err(|fault| fault.to_string())?;
    let verified = verify(provider, call, endpoint, suspect.received.div_euclid(1000)).map_err(said)?;
    if provider.handshakes.iter().any(|handshake| handshake.signed(&verified).is_some()) {
        return Err("a handshake, no event".to_owned());
    }
    Ok(event::envelopes(&verified, suspect.received))
}

async fn check(options: &VerifyOptions, stop: &Stop) -> Result<(), Failed> {
    let account = Account::resolve(&options.list.queue).await?;
    let mut given = Given::new(options, &account)?;
    let mut quarantine = Quarantine::open(&account, &options.list, stop).await?;
    let (mut rows, mut passing) = (Vec::new(), 0);
    let outcome = async {
        loop {
            let window = quarantine.window().await?;
            if window.is_empty() {
                return Ok::<_, String>(());
            }
            for Kept { suspect, .. } in &window {
                let events = match given.of(&suspect.provider).await {
                    Ok((provider, document)) => events(provider, document, suspect, &suspect.call()),
                    Err(why) => Err(why),
                };
                passing += usize::from(events.is_ok());
                let word = match events {
                    Ok(events) => {
                        let events = screen::count(events.len(), "event", "events");
                        paint(GOOD, format_args!("passes, {events}"))
                    }
                    Err(why) => paint(WARN, harmless(&why)),
                };
                rows.push(row(suspect, word));
            }
        }
    }
    .await;
    if !rows.is_empty() {
        screen::say(&format!("{}\n", table(&rows, ["provider", "endpoint", "received", "body", "check"])));
    }
    screen::say(&format!("{passing} of {} would pass", paint(STRONG, calls(rows.len()))));
    let released = quarantine.end().await;
    Ok(outcome.and(released)?)
}

/// What became of the calls that were to be released.
#[derive(Default)]
struct Released {
    calls: usize,
    events: usize,
    /// Why others stay.
    staying: BTreeMap<String, usize>,
    is_failed: bool,
}

async fn release(options: &ReleaseOptions, stop: &Stop) -> Result<(), Failed> {
    let list = &options.verify.list;
    let account = Account::resolve(&options.to).await?;
    let mut given = Given::new(&options.verify, &account)?;
    let about = account.queue(&options.to)?.about().await?;
    let mut quarantine = Quarantine::open(&account, list, stop).await?;
    if quarantine.reader.queue().about().await?.arn == about.arn {
        return Err("--queue and --to are the same queue".to_owned().into());
    }
    let store = account.store(&options.to)?.fair(options.fair);
    let mut queue = Queue::new(Box::new(store), options.max_bytes.unwrap_or(about.max_bytes));
    if let Some(bucket) = &options.claim_check_bucket {
        queue = queue.claim_check(ClaimCheck::new(Bucket::new(account.aws(), bucket)));
    }
    if let Some(table) = &options.duplicates_table {
        queue = queue.duplicates(Table::new(account.aws(), table, duplicates::TTL));
    }
    let mut released = Released::default();
    let outcome = release_all(&mut quarantine, &mut given, &queue, &mut released).await;
    screen::say(&format!(
        "{} released, {}",
        paint(GOOD, calls(released.calls)),
        screen::count(released.events, "event", "events")
    ));
    for (why, number) in &released.staying {
        screen::say(&format!("  {} stay: {}", paint(WARN, number), harmless(why)));
    }
    let shown = quarantine.end().await;
    for error in [outcome, shown].into_iter().filter_map(Result::err) {
        released.is_failed = true;
        screen::complain(&error);
    }
    if released.is_failed { Err(Failed::Said) } else { Ok(()) }
}

async fn release_all(
    quarantine: &mut Quarantine<'_>,
    given: &mut Given<'_>,
    queue: &Queue,
    released: &mut Released,
) -> Result<(), String> {
    loop {
        let window = quarantine.window().await?;
        if window.is_empty() {
            return Ok(());
        }
        for Kept { id, suspect } in &window {
            if quarantine.stop.is_asked() {
                return Ok(());
            }
            let events = match given.of(&suspect.provider).await {
                Ok((provider, document)) => events(provider, document, suspect, &suspect.call()),
                Err(why) => Err(why),
            };
            let events = match events {
                Ok(events) => events,
                Err(why) => {
                    *released.staying.entry(why).or_default() += 1;
                    continue;
                }
            };
            match queue.send(&events, Instant::now() + PATIENCE).await {
                Ok(receipt) => {
                    released.calls += 1;
                    released.events += receipt.events();
                    quarantine.reader.delete(&[id]).await?;
                }
                Err(fault) => {
                    released.is_failed = true;
                    *released.staying.entry(fault.to_string()).or_default() += 1;
                    // With these it is the call's own trouble; with others the next one would have the same.
                    if !matches!(fault, Fault::TooLarge | Fault::Held) {
                        return Err("ended early: the queue of events does not take them".to_owned());
                    }
                }
            }
        }
    }
}
