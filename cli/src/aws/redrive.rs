//! `hookgate redrive`: events from a dead-letter queue, the second queue or the bucket back into the queue.
//!
//! Each step is receive, send, delete: a message is deleted only after SQS has confirmed that very message in its new place.

use super::bucket::{Bucket, is_plain};
use super::queue::{Message, Outgoing, Queue, Reader};
use super::{Account, Stop, WINDOW, WINDOW_BYTES, block_on, shown_time};
use crate::Failed;
use crate::screen::{self, FAINT, GOOD, STRONG, WARN, beginning, harmless, paint};
use aws_sdk_sqs::types::MessageAttributeValue;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use clap::Args;
use comfy_table::{Attribute, Cell, CellAlignment};
use futures_util::StreamExt as _;
use futures_util::stream;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::value::RawValue;
use shared::bucket::{BATCH, SPILL};
use shared::crypto;
use shared::event;
use shared::json;
use shared::sqs::{MAX_BATCH, MAX_ENTRIES};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::io::{IsTerminal as _, stderr};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How many objects are read at once.
const SIDE_BY_SIDE: usize = 8;
/// A line tells of progress each time that so many more were moved, where there is no terminal for a bar.
const A_LINE: usize = 100;
/// The longest provider's name and type that a table shows, in characters.
const LONGEST: usize = 48;
/// The mark of a moved event, as it stands in its text.
const MARK: &str = r#""replayed":true,"#;

/// The options of `hookgate redrive`.
#[derive(Args)]
pub struct Options {
    /// `dlq` (the dead-letter queue of --to), a queue's URL, or s3://bucket[/prefix]
    #[arg(long, value_name = "dlq|URL|s3://…")]
    from: String,
    /// The queue's URL
    #[arg(long, value_name = "URL")]
    to: String,
    /// Only events of this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only events whose type begins so
    #[arg(long = "type", value_name = "PREFIX")]
    kind: Option<String>,
    /// Only events received at this time or later: 2026-11-25, 2026-11-25T09:30:00Z, or 2h (ago; s, m, h, d)
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<i64>,
    /// Only events received before this time
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<i64>,
    /// At most so many events
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Move them; without it, nothing is changed and a table shows what would be moved
    #[arg(long)]
    apply: bool,
}

/// A time in Unix milliseconds.
fn time(text: &str) -> Result<i64, String> {
    let day = format!("{text}T00:00:00Z");
    for text in [text, &day] {
        if let Ok(time) = DateTime::from_str(text, Format::DateTimeWithOffset) {
            return time.to_millis().map_err(|_| "a time out of range".to_owned());
        }
    }
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).unwrap_or_default();
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => 0_i64,
    };
    let ago = number.parse::<u32>().ok().filter(|_| seconds > 0);
    let ago = ago.ok_or("a time is 2026-11-25, 2026-11-25T09:30:00Z or 2h")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    Ok(i64::try_from(now).unwrap_or(i64::MAX).saturating_sub(i64::from(ago) * seconds * 1000))
}

/// Moves what was asked for, or shows what would be moved.
pub fn run(options: &Options) -> Result<(), Failed> {
    block_on(|stop| async move { redrive(options, &stop).await })
}

async fn redrive(options: &Options, stop: &Stop) -> Result<(), Failed> {
    let account = Account::resolve(&options.to).await?;
    let queue = account.queue(&options.to)?;
    let about = queue.about().await?;
    let mut source =
        Source::open(&account, options, &queue, &about.arn, about.dead_letters.as_deref()).await?;
    let target = Target { is_fifo: queue.is_fifo(), max_bytes: about.max_bytes.min(MAX_BATCH), queue };
    let mut tally = Tally::default();
    let outcome = match options.apply {
        true => apply(options, &mut source, &target, &mut tally, stop).await,
        false => preview(options, &mut source, &target, &mut tally, stop).await,
    };
    // Whatever went wrong, what stays is there for others again.
    let released = source.end().await;
    tally.tell(options, &source, &target);
    for error in [outcome, released].into_iter().filter_map(Result::err) {
        tally.is_failed = true;
        screen::complain(&error);
    }
    if tally.is_failed { Err(Failed::Said) } else { Ok(()) }
}

/// What the text of an event says.
struct Facts {
    provider: String,
    kind: String,
    /// In Unix milliseconds.
    received: i64,
    /// What tells it from every other event.
    identity: String,
    /// What it keeps its order with.
    order: String,
    attributes: [(&'static str, String); 5],
    is_marked: bool,
}

impl Facts {
    /// `None` where a text is no envelope of Hookgate's.
    fn of(text: &str) -> Option<Facts> {
        let members = json::members(text).ok()?;
        let text = |name| {
            let value = json::member(&members, name).ok()??;
            value.starts_with('"').then(|| json::scalar(value).map(Cow::into_owned)).flatten()
        };
        let (id, source, kind, provider) = (text("id")?, text("source")?, text("type")?, text("provider")?);
        let is_ours = text("specversion")? == "1.0" && source.starts_with("/hookgate/");
        text("envelopeversion").filter(|_| is_ours)?;
        let received = DateTime::from_str(&text("receivedtime")?, Format::DateTimeWithOffset).ok()?;
        let content = if text("idsource")? == "header" { text("calldigest")? } else { String::new() };
        let content_type = text("datacontenttype").unwrap_or_default();
        Some(Facts {
            received: received.to_millis().ok()?,
            identity: event::identity(&source, &id, &content),
            order: event::order(&source, text("partitionkey").as_deref()),
            is_marked: members.iter().any(|(name, _)| name == "replayed"),
            attributes: [
                ("provider", provider.clone()),
                ("type", kind.clone()),
                ("source", source),
                ("assurance", text("assurance")?),
                ("datacontenttype", content_type),
            ],
            provider,
            kind,
        })
    }

    /// The message attributes that its function gives an event.
    fn message_attributes(&self) -> HashMap<String, MessageAttributeValue> {
        let value = |text: &str| {
            let text = event::attribute(text);
            MessageAttributeValue::builder().data_type("String").string_value(text).build().ok()
        };
        let found =
            self.attributes.iter().filter_map(|(name, text)| Some(((*name).to_owned(), value(text)?)));
        found.collect()
    }

    fn passes(&self, options: &Options) -> bool {
        options.provider.as_ref().is_none_or(|name| *name == self.provider)
            && options.kind.as_ref().is_none_or(|prefix| self.kind.starts_with(prefix))
            && options.since.is_none_or(|since| self.received >= since)
            && options.until.is_none_or(|until| self.received < until)
    }
}

/// An event that was asked for, where it is now.
struct Item {
    facts: Facts,
    text: String,
    attributes: HashMap<String, MessageAttributeValue>,
    group: Option<String>,
    /// The group whose order its source keeps.
    ordered: Option<String>,
    /// The order of its source within a group.
    sequence: Option<u128>,
    origin: Origin,
}

/// Where an event is.
#[derive(Clone)]
enum Origin {
    /// A message, by its id.
    Message(String),
    /// A place in an object.
    Object(String, usize),
}

impl Origin {
    /// What tells it from every other message that may carry the same event.
    fn own_id(&self) -> &str {
        match self {
            Origin::Message(id) | Origin::Object(id, _) => id,
        }
    }
}

/// Where events come from.
enum Source {
    /// A standard queue that has once given nothing is read to its end; a FIFO queue may have more once some of it is gone.
    Queue {
        reader: Reader,
        about: usize,
        is_fifo: bool,
        is_read: bool,
    },
    Spill(Spill),
}

/// Objects of a bucket, each of which holds the events of one call.
struct Spill {
    bucket: Bucket,
    prefix: String,
    waiting: VecDeque<String>,
    /// How the listing goes on; `None` once all of it was read.
    next: Option<Option<String>>,
    /// What was read and is not dealt with, by key.
    open: HashMap<String, Opened>,
}

/// An object that was read.
struct Opened {
    texts: Vec<Box<RawValue>>,
    moved: Vec<bool>,
    /// How many of its events were asked for, and nothing is known of them yet.
    undecided: usize,
}

impl Source {
    async fn open(
        account: &Account,
        options: &Options,
        to: &Queue,
        arn: &str,
        dead_letters: Option<&str>,
    ) -> Result<Source, String> {
        if let Some(place) = options.from.strip_prefix("s3://") {
            let (name, prefix) = place.split_once('/').unwrap_or((place, SPILL));
            if name.is_empty() || !is_plain(name) || !is_plain(prefix) {
                return Err(format!(
                    "{} is no place of a bucket: s3://bucket or s3://bucket/prefix",
                    harmless(place)
                ));
            }
            return Ok(Source::Spill(Spill {
                bucket: Bucket::new(account.aws(), name),
                prefix: if prefix.is_empty() { SPILL } else { prefix }.to_owned(),
                waiting: VecDeque::new(),
                next: Some(None),
                open: HashMap::new(),
            }));
        }
        let url = match (options.from.as_str(), dead_letters) {
            ("dlq", Some(arn)) => Cow::Owned(to.url_of(arn).await?),
            ("dlq", None) => {
                return Err(format!(
                    "{} has no redrive policy, so no dead-letter queue: name it by --from URL",
                    to.name()
                ));
            }
            (url, _) => Cow::Borrowed(url),
        };
        let queue = account.queue(&url)?;
        let about = queue.about().await?;
        if about.arn == arn {
            return Err("--from and --to are the same queue".to_owned());
        }
        if about.dead_letters.is_some() {
            screen::warn(&format!(
                "{} has a redrive policy of its own: each reading counts as a try of its messages",
                queue.name()
            ));
        }
        let is_fifo = queue.is_fifo();
        Ok(Source::Queue { reader: Reader::new(queue), about: about.messages, is_fifo, is_read: false })
    }

    /// The next events that were asked for, up to so many, in the order they were received; none at the end.
    async fn window(
        &mut self,
        options: &Options,
        most: usize,
        tally: &mut Tally,
    ) -> Result<Vec<Item>, String> {
        let (mut items, mut bytes) = (Vec::new(), 0);
        while items.len() < most && bytes < WINDOW_BYTES {
            let before = items.len();
            let is_end = match self {
                Source::Queue { is_read: true, .. } => true,
                Source::Queue { reader, is_fifo, is_read, .. } => {
                    let messages = reader.next().await?;
                    let is_end = messages.is_empty();
                    *is_read = is_end && !*is_fifo;
                    items
                        .extend(messages.into_iter().filter_map(|m| of_message(m, *is_fifo, options, tally)));
                    is_end
                }
                Source::Spill(spill) => spill.read(options, &mut items, tally).await?,
            };
            bytes += items.iter().skip(before).map(|item: &Item| item.text.len()).sum::<usize>();
            if is_end {
                break;
            }
        }
        sort(&mut items);
        Ok(items)
    }

    /// Notes what became of an event.
    fn note(&mut self, origin: &Origin, is_moved: bool) {
        if let (Source::Spill(spill), Origin::Object(key, place)) = (self, origin)
            && let Some(opened) = spill.open.get_mut(key)
        {
            opened.undecided = opened.undecided.saturating_sub(1);
            if let Some(moved) = opened.moved.get_mut(*place) {
                *moved = is_moved;
            }
        }
    }

    /// Deletes what was moved.
    async fn delete(&mut self, moved: &[Origin]) -> Result<(), String> {
        match self {
            Source::Queue { reader, .. } => {
                let ids: Vec<&str> = moved.iter().map(Origin::own_id).collect();
                reader.delete(&ids).await
            }
            Source::Spill(spill) => spill.settle(false).await,
        }
    }

    /// After everything, and whatever happened.
    async fn end(&mut self) -> Result<(), String> {
        match self {
            Source::Queue { reader, .. } => reader.release().await,
            Source::Spill(spill) => spill.settle(true).await,
        }
    }
}

/// By the time they were received. What a FIFO queue keeps in order stays so, whatever the times say.
fn sort(items: &mut [Item]) {
    items.sort_by_key(|item| item.sequence);
    let mut latest: HashMap<String, i64> = HashMap::new();
    let times: HashMap<String, i64> = items
        .iter()
        .filter_map(|item| {
            let time = latest.entry(item.ordered.clone()?).or_insert(item.facts.received);
            *time = (*time).max(item.facts.received);
            Some((item.origin.own_id().to_owned(), *time))
        })
        .collect();
    items.sort_by_key(|item| times.get(item.origin.own_id()).copied().unwrap_or(item.facts.received));
}

fn of_message(message: Message, is_fifo: bool, options: &Options, tally: &mut Tally) -> Option<Item> {
    let facts = tally.wanted(options, Facts::of(&message.body))?;
    Some(Item {
        facts,
        text: message.body,
        attributes: message.attributes,
        ordered: message.group.clone().filter(|_| is_fifo),
        group: message.group,
        sequence: message.sequence.filter(|_| is_fifo),
        origin: Origin::Message(message.id),
    })
}

impl Spill {
    /// Reads some objects. Says whether there are no more.
    async fn read(
        &mut self,
        options: &Options,
        items: &mut Vec<Item>,
        tally: &mut Tally,
    ) -> Result<bool, String> {
        while self.waiting.is_empty() {
            let Some(token) = self.next.take() else { return Ok(true) };
            let page = self.bucket.list(&self.prefix, token.as_deref()).await?;
            self.waiting.extend(page.keys);
            self.next = page.next.map(Some);
        }
        let keys = self.waiting.drain(..SIDE_BY_SIDE.min(self.waiting.len()));
        let (keys, others): (Vec<String>, Vec<String>) = keys.partition(|key| is_plain(key));
        tally.strangers += others.len();
        let bucket = &self.bucket;
        let read = stream::iter(keys).map(async |key| (bucket.get(&key).await, key)).buffered(SIDE_BY_SIDE);
        for (bytes, key) in read.collect::<Vec<_>>().await {
            let bytes = match bytes {
                Ok(Some(bytes)) => bytes,
                // Somebody else has moved it since it was listed.
                Ok(None) => continue,
                Err(error) => {
                    tally.fail(error);
                    continue;
                }
            };
            let Ok(texts) = serde_json::from_slice::<Vec<Box<RawValue>>>(&bytes) else {
                tally.strangers += 1;
                continue;
            };
            let before = items.len();
            for (place, text) in texts.iter().enumerate() {
                let Some(facts) = tally.wanted(options, Facts::of(text.get())) else { continue };
                items.push(Item {
                    attributes: facts.message_attributes(),
                    facts,
                    text: text.get().to_owned(),
                    group: None,
                    ordered: None,
                    sequence: None,
                    origin: Origin::Object(key.clone(), place),
                });
            }
            let moved = vec![false; texts.len()];
            self.open.insert(key, Opened { texts, moved, undecided: items.len() - before });
        }
        Ok(false)
    }

    /// Takes what was moved out of each object of which nothing is under way, or out of all.
    ///
    /// What is left of an object takes its place under the same name at once. Whoever else takes events out of it at the
    /// same time brings back some that were moved, and loses none.
    async fn settle(&mut self, at_end: bool) -> Result<(), String> {
        let is_done = |opened: &Opened| at_end || opened.undecided == 0;
        let keys: Vec<String> =
            self.open.iter().filter(|(_, o)| is_done(o)).map(|(key, _)| key.clone()).collect();
        let mut outcome = Ok(());
        for key in keys {
            let Some(Opened { texts, moved, .. }) = self.open.remove(&key) else { continue };
            let left: Vec<&str> =
                texts.iter().zip(&moved).filter(|(_, moved)| !**moved).map(|(text, _)| text.get()).collect();
            let done = if left.len() == texts.len() {
                Ok(())
            } else if left.is_empty() {
                self.bucket.delete(&key).await
            } else {
                self.bucket.put(&key, BATCH, format!("[{}]", left.join(",")).as_bytes()).await
            };
            if let Err(error) = done {
                outcome = Err(error);
            }
        }
        outcome
    }
}

/// Where events go.
struct Target {
    queue: Queue,
    is_fifo: bool,
    max_bytes: usize,
}

/// An event as it is to be sent.
struct Ready {
    message: Outgoing,
    is_marked: bool,
}

impl Target {
    /// `None` where it is too large for the queue.
    fn ready(&self, item: &Item) -> Option<Ready> {
        let group = self.message_group(item);
        // Not the event's own: what SQS took under that within five minutes it would accept and drop, and the only copy
        // would be deleted. The same message under way once more within five minutes is dropped.
        let deduplication = self.is_fifo.then(|| {
            crypto::sha256_hex(&[
                item.facts.identity.as_bytes(),
                b"\nreplayed\n",
                item.origin.own_id().as_bytes(),
            ])
        });
        let with = |body| Outgoing {
            body,
            attributes: item.attributes.clone(),
            group: group.clone(),
            deduplication: deduplication.clone(),
        };
        let marked = with(marked(&item.text, item.facts.is_marked));
        if marked.size() <= self.max_bytes {
            return Some(Ready { message: marked, is_marked: true });
        }
        let bare = with(item.text.clone());
        (bare.size() <= self.max_bytes).then_some(Ready { message: bare, is_marked: false })
    }

    /// Its own; where a FIFO queue needs one and its source kept no order, that of its function.
    fn message_group(&self, item: &Item) -> Option<String> {
        match &item.ordered {
            None if self.is_fifo => Some(crypto::sha256_hex(&[item.facts.order.as_bytes()])),
            None => item.group.clone(),
            group => group.clone(),
        }
    }

    /// The group that must not go on after an event that stays.
    fn order(&self, item: &Item) -> Option<String> {
        if self.is_fifo { self.message_group(item) } else { item.ordered.clone() }
    }
}

/// The text of an event with its mark. Nothing else of it changes.
fn marked(text: &str, is_marked: bool) -> String {
    match text.split_once('{') {
        Some((before, rest)) if !is_marked => format!("{before}{{{MARK}{rest}"),
        _ => text.to_owned(),
    }
}

/// What became of everything.
#[derive(Default)]
struct Tally {
    /// What is or would be moved, by provider and type: how many, the oldest and the newest in Unix milliseconds.
    rows: BTreeMap<(String, String), (usize, i64, i64)>,
    moved: usize,
    unmarked: usize,
    filtered: usize,
    strangers: usize,
    too_large: usize,
    behind: usize,
    /// Why others stay.
    failures: BTreeMap<String, usize>,
    is_failed: bool,
    is_stopped: bool,
}

impl Tally {
    /// The facts of an event that was asked for.
    fn wanted(&mut self, options: &Options, facts: Option<Facts>) -> Option<Facts> {
        match facts {
            None => self.strangers += 1,
            Some(facts) if facts.passes(options) => return Some(facts),
            Some(_) => self.filtered += 1,
        }
        None
    }

    fn add(&mut self, facts: &Facts, is_marked: bool) {
        self.moved += 1;
        self.unmarked += usize::from(!is_marked);
        let key = (facts.provider.clone(), facts.kind.clone());
        let row = self.rows.entry(key).or_insert((0, facts.received, facts.received));
        *row = (row.0 + 1, row.1.min(facts.received), row.2.max(facts.received));
    }

    fn fail(&mut self, why: String) {
        self.is_failed = true;
        *self.failures.entry(why).or_default() += 1;
    }

    fn tell(&self, options: &Options, source: &Source, target: &Target) {
        if !options.apply && self.moved > 0 {
            screen::say(&self.table());
        }
        let events = |number| screen::count(number, "event", "events");
        let to = target.queue.name();
        let line = match (options.apply, self.moved) {
            (true, moved) => format!("{} moved to {to}", paint(GOOD, events(moved))),
            (false, 0) => format!("nothing to move to {to}"),
            (false, moved) => {
                format!("{} would be moved to {to}; --apply moves them", paint(STRONG, events(moved)))
            }
        };
        screen::say(&line);
        let mut notes: Vec<(usize, &str)> = vec![
            (self.unmarked, "without the mark `replayed`, for which the queue has no room"),
            (self.filtered, "stay, not asked for"),
            (self.strangers, "stay, no events of Hookgate's"),
            (self.too_large, "stay, too large for the queue"),
            (self.behind, "stay behind one of their group"),
        ];
        notes.extend(self.failures.iter().map(|(why, number)| (*number, why.as_str())));
        for (number, what) in notes.into_iter().filter(|(number, _)| *number > 0) {
            screen::say(&format!("  {} {what}", paint(WARN, number)));
        }
        let stays = self.filtered + self.strangers + self.too_large + self.failures.len() > 0;
        if matches!(source, Source::Queue { is_fifo: true, .. }) && (stays || !options.apply) {
            screen::say(&paint(
                FAINT,
                "A FIFO queue shows nothing behind the first messages of a group until those are gone: there may be more.",
            ));
        }
        if self.is_stopped {
            screen::say(&paint(FAINT, "Ended early: what is left is where it was."));
        }
    }

    fn table(&self) -> String {
        let mut table = screen::table();
        let title = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
        table.set_header(["provider", "type", "events", "oldest", "newest"].map(title));
        screen::set_gaps(&mut table);
        for ((provider, kind), (number, oldest, newest)) in &self.rows {
            table.add_row([
                Cell::new(beginning(&harmless(provider), LONGEST)),
                Cell::new(beginning(&harmless(kind), LONGEST)),
                Cell::new(number).set_alignment(CellAlignment::Right),
                Cell::new(shown_time(*oldest)),
                Cell::new(shown_time(*newest)),
            ]);
        }
        format!("{table}\n")
    }
}

fn limit(options: &Options) -> usize {
    options.limit.map_or(usize::MAX, |limit| usize::try_from(limit).unwrap_or(usize::MAX))
}

/// Reads everything and changes nothing.
async fn preview(
    options: &Options,
    source: &mut Source,
    target: &Target,
    tally: &mut Tally,
    stop: &Stop,
) -> Result<(), String> {
    loop {
        let most = limit(options) - tally.moved;
        let items = source.window(options, most.min(WINDOW), tally).await?;
        if items.is_empty() {
            return Ok(());
        }
        for item in items.iter().take(most) {
            source.note(&item.origin, false);
            match target.ready(item) {
                Some(ready) => tally.add(&item.facts, ready.is_marked),
                None => tally.too_large += 1,
            }
        }
        // Forgets what was read: nothing of it was moved.
        source.delete(&[]).await?;
        tally.is_stopped = stop.is_asked();
        if tally.is_stopped || tally.moved >= limit(options) {
            return Ok(());
        }
    }
}

async fn apply(
    options: &Options,
    source: &mut Source,
    target: &Target,
    tally: &mut Tally,
    stop: &Stop,
) -> Result<(), String> {
    let about = match source {
        Source::Queue { about, .. } => Some((*about).min(limit(options))),
        Source::Spill(_) => options.limit.map(|_| limit(options)),
    };
    let mut progress = Progress::new(about);
    // Groups of which an event stays: nothing later of them may go before it.
    let mut held = HashSet::new();
    loop {
        let most = limit(options) - tally.moved;
        let items = source.window(options, most.min(WINDOW), tally).await?;
        if items.is_empty() {
            return Ok(());
        }
        let mut waiting: VecDeque<Item> = items.into_iter().take(most).collect();
        while !waiting.is_empty() {
            tally.is_stopped = stop.is_asked();
            if tally.is_stopped {
                return Ok(());
            }
            let chunk = chunk(&mut waiting, source, target, &mut held, tally);
            transfer(chunk, source, target, &mut held, tally).await?;
            progress.moved(tally.moved);
        }
        if tally.moved >= limit(options) {
            return Ok(());
        }
    }
}

/// What fits into one request. In order, it holds no two of one group: SQS may store the second and not the first.
fn chunk(
    waiting: &mut VecDeque<Item>,
    source: &mut Source,
    target: &Target,
    held: &mut HashSet<String>,
    tally: &mut Tally,
) -> Vec<(Item, Ready)> {
    let mut chunk = Vec::new();
    let (mut bytes, mut groups) = (0, HashSet::new());
    while let Some(item) = waiting.pop_front() {
        let Some(ready) = target.ready(&item) else {
            source.note(&item.origin, false);
            tally.too_large += 1;
            tally.is_failed = true;
            held.extend(target.order(&item));
            continue;
        };
        let group = target.order(&item);
        if group.as_ref().is_some_and(|group| held.contains(group)) {
            source.note(&item.origin, false);
            tally.behind += 1;
            continue;
        }
        let size = ready.message.size();
        let is_second = group.as_ref().is_some_and(|group| groups.contains(group));
        if chunk.len() == MAX_ENTRIES || bytes + size > MAX_BATCH || is_second {
            waiting.push_front(item);
            break;
        }
        bytes += size;
        groups.extend(group);
        chunk.push((item, ready));
    }
    chunk
}

/// Sends, then deletes what was confirmed.
async fn transfer(
    chunk: Vec<(Item, Ready)>,
    source: &mut Source,
    target: &Target,
    held: &mut HashSet<String>,
    tally: &mut Tally,
) -> Result<(), String> {
    let messages: Vec<Outgoing> = chunk.iter().map(|(_, ready)| ready.message.clone()).collect();
    if messages.is_empty() {
        return source.delete(&[]).await;
    }
    let results = target.queue.send(&messages).await?;
    let mut moved = Vec::new();
    for ((item, ready), result) in chunk.into_iter().zip(results) {
        source.note(&item.origin, result.is_ok());
        match result {
            Ok(()) => {
                tally.add(&item.facts, ready.is_marked);
                moved.push(item.origin);
            }
            Err(why) => {
                held.extend(target.order(&item));
                tally.fail(format!("stay: {why}"));
            }
        }
    }
    source
        .delete(&moved)
        .await
        .map_err(|error| format!("{error}. What was not deleted is in both places now."))
}

/// How far it is: a bar on a terminal, else now and then a line.
struct Progress {
    bar: Option<ProgressBar>,
    about: Option<usize>,
    said: usize,
}

impl Progress {
    fn new(about: Option<usize>) -> Progress {
        let bar = stderr().is_terminal().then(|| {
            let bar = match about {
                Some(about) => ProgressBar::new(u64::try_from(about).unwrap_or(u64::MAX)),
                None => ProgressBar::no_length(),
            };
            bar.set_draw_target(ProgressDrawTarget::stderr());
            let style = match about {
                Some(_) => "{bar:40} {pos} of about {len} moved, {per_sec}, {eta} left",
                None => "{spinner} {pos} moved, {per_sec}",
            };
            if let Ok(style) = ProgressStyle::with_template(style) {
                bar.set_style(style);
            }
            bar.enable_steady_tick(Duration::from_millis(200));
            bar
        });
        Progress { bar, about, said: 0 }
    }

    fn moved(&mut self, moved: usize) {
        if let Some(bar) = &self.bar {
            bar.set_position(u64::try_from(moved).unwrap_or(u64::MAX));
        } else if moved >= self.said + A_LINE {
            self.said = moved - moved % A_LINE;
            let about = self.about.map(|about| format!(" of about {about}")).unwrap_or_default();
            screen::say(&format!("{moved}{about} moved"));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
