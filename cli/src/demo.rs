//! `hookgate demo`: a gateway with throw-away secrets, every sample and some forgeries over real HTTP, and what came of it.
//!
//! What the table says of an event was read from the events file after the answer had come: the file is what counts.

use crate::Failed;
use crate::config::Configured;
use crate::file::EventsFile;
use crate::forge::{self, Kind, Signer};
use crate::gateway::Gateway;
use crate::screen::{self, BAD, GOOD, STRONG, WARN, harmless, paint};
use crate::send;
use clap::ValueEnum as _;
use comfy_table::{Attribute, Cell, CellAlignment, Color, Table};
use registry::{ENTRIES, Entry, Sample};
use serde_json::{Map, Value};
use shared::provider::Provider;
use shared::queue::{DEFAULT_MAX_BYTES, Store};
use shared::settings::Endpoint;
use std::fs::{DirBuilder, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::{env, process};
use tokio::net::TcpListener;
use tokio::runtime;

/// Settings for a provider whose check they lay out: one endpoint for each defence. A sample goes to the endpoint that
/// its name begins with.
const BY_SETTINGS: &str = r#"{
    "courier": {
        "secret": "RANDOM",
        "signature": {"header": "x-signature"},
        "event": {"prefix": "com.example.courier", "type": "/event", "id": "/id", "time": "/at", "subject": "/shipment/number"}
    },
    "bank": {
        "token": "RANDOM",
        "token_header": "x-token",
        "event": {"prefix": "com.example.bank", "type": "/kind", "id": "/txn", "time": "/time", "subject": "/account"}
    },
    "shop": {
        "basic_auth": {"username": "shop", "password": "RANDOM"},
        "event": {"prefix": "com.example.shop", "type": "/Notification/Kind", "id": "/Notification/Id", "time": "/Notification/At"}
    }
}"#;
/// Below so many columns the table leaves out the ids.
const ROOM_FOR_IDS: usize = 66;

/// One line of the table.
struct Row {
    provider: &'static str,
    sample: &'static str,
    status: u16,
    fine: bool,
    outcome: Outcome,
    took: Duration,
}

/// What came of a call.
enum Outcome {
    Events(Vec<(String, String)>),
    Handshake,
    Refused(Kind),
}

/// Starts, sends, shows. A failure if anything was not as it should be.
pub fn run() -> Result<(), Failed> {
    let start = Instant::now();
    let folder = folder()?;
    let path = folder.join("events.jsonl");
    let (file, _) = EventsFile::open(&path)?;
    let store: Arc<dyn Store> = Arc::new(file);
    let mut events = Events::open(&path)?;
    let configured = ENTRIES.iter().map(|entry| throw_away(entry.provider)).collect::<Result<Vec<_>, _>>()?;

    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let listener =
        runtime.block_on(TcpListener::bind(("127.0.0.1", 0))).map_err(|error| error.to_string())?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let gateway = Arc::new(Gateway::new(configured.clone(), &store, DEFAULT_MAX_BYTES, None));
    runtime.spawn(gateway.serve(listener, std::future::pending()));

    screen::say(&format!(
        "{} with throw-away secrets for {} on http://{address}\n",
        paint(STRONG, "A gateway"),
        screen::count(configured.len(), "provider", "providers"),
    ));
    let name_width = ENTRIES.iter().map(|entry| entry.provider.name.len()).max().unwrap_or_default();
    let mut sender = Sender {
        agent: send::agent(),
        events: &mut events,
        address: address.to_string(),
        turn: 0,
        rows: Vec::new(),
    };
    for (entry, configured) in ENTRIES.iter().zip(&configured) {
        screen::say_on(&format!("  {:<name_width$}  ", entry.provider.name));
        sender.provider(entry, configured)?;
        screen::say("");
    }
    let rows = sender.rows;
    runtime.shutdown_background();

    screen::say(&format!("\n{}\n", table(&rows, screen::width()).trim_fmt()));
    closing(&rows, &path, start.elapsed())
}

/// The file as whoever reads it sees it, from where it was last looked at.
struct Events {
    reader: BufReader<File>,
}

impl Events {
    fn open(path: &Path) -> Result<Events, String> {
        let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Events { reader: BufReader::new(file) })
    }

    /// Type and id of each event that was added since.
    fn added(&mut self) -> Result<Vec<(String, String)>, String> {
        let mut added = Vec::new();
        let mut line = String::new();
        while self.reader.read_line(&mut line).map_err(|error| format!("the events file: {error}"))? > 0 {
            let event: Value =
                serde_json::from_str(&line).map_err(|_| "a line of the events file is no JSON")?;
            let text = |name| event.get(name).and_then(Value::as_str).map(harmless);
            let (Some(kind), Some(id)) = (text("type"), text("id")) else {
                return Err("a line of the events file is no CloudEvent".to_owned());
            };
            added.push((kind, id));
            line.clear();
        }
        Ok(added)
    }
}

struct Sender<'s> {
    agent: ureq::Agent,
    events: &'s mut Events,
    address: String,
    /// Which kind of forgery is next; they take turns, so that each is seen.
    turn: usize,
    rows: Vec<Row>,
}

impl Sender<'_> {
    /// Every sample of a provider, and one forgery at each of its endpoints.
    fn provider(&mut self, entry: &'static Entry, configured: &Configured) -> Result<(), String> {
        for sample in entry.samples {
            self.call(entry, configured, sample, None)?;
        }
        for endpoint in configured.document.endpoints() {
            let mut samples = entry.samples.iter().filter(|sample| !sample.is_handshake());
            let goes_here = |sample: &&Sample| {
                self::endpoint(configured, sample).is_ok_and(|other| other.name() == endpoint.name())
            };
            let Some(sample) = samples.find(goes_here) else { continue };
            let kinds = Kind::value_variants();
            let mut in_turn = kinds.iter().enumerate().cycle().skip(self.turn).take(kinds.len());
            if let Some((at, kind)) =
                in_turn.find(|(_, kind)| kind.makes_sense(entry.provider, endpoint).is_ok())
            {
                self.turn = (at + 1) % kinds.len();
                self.call(entry, configured, sample, Some(*kind))?;
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        entry: &'static Entry,
        configured: &Configured,
        sample: &'static Sample,
        forged: Option<Kind>,
    ) -> Result<(), String> {
        let endpoint = endpoint(configured, sample)?;
        let signer = Signer { provider: entry.provider, endpoint, table: &configured.table };
        let below = endpoint.name().map(|name| format!("/{name}")).unwrap_or_default();
        let base = format!("http://{}/{}{below}", self.address, entry.provider.name);
        let draft = signer.draft(sample, forged, send::now())?;
        let url = send::url(&base, entry, sample, &draft)?;
        let answer = send::post(&self.agent, &url, draft)?;
        let added = self.events.added()?;
        let wants_events = forged.is_none() && !sample.is_handshake();
        let fine = send::is_expected(answer.status, forged) && wants_events != added.is_empty();
        screen::say_on(&if fine { paint(GOOD, "✓") } else { paint(BAD, "✗") });
        let outcome = match forged {
            Some(kind) if added.is_empty() => Outcome::Refused(kind),
            None if sample.is_handshake() && added.is_empty() => Outcome::Handshake,
            _ => Outcome::Events(added),
        };
        let provider = entry.provider.name;
        self.rows.push(Row {
            provider,
            sample: send::said(sample),
            status: answer.status,
            fine,
            outcome,
            took: answer.took,
        });
        Ok(())
    }
}

/// A folder of the demo's own, for nobody else's eyes. It stays.
fn folder() -> Result<PathBuf, String> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    let path = env::temp_dir().join(format!(
        "hookgate-demo-{}-{}",
        process::id(),
        forge::random()?.get(..8).unwrap_or_default()
    ));
    builder.create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

/// Settings for a provider with which its samples can be signed, and that nobody else knows.
fn throw_away(provider: &'static Provider) -> Result<Configured, String> {
    let mut table = Map::new();
    for setting in provider.settings.iter().filter(|setting| setting.required || setting.example.is_some()) {
        let value = match setting.example_value() {
            Some(example) => example,
            None => forge::random()?.into(),
        };
        table.insert(setting.name.to_owned(), value);
    }
    if provider.event_by_settings.is_some() {
        let mut settings = BY_SETTINGS.to_owned();
        while settings.contains("RANDOM") {
            settings = settings.replacen("RANDOM", &forge::random()?, 1);
        }
        let endpoints = serde_json::from_str(&settings).map_err(|error| error.to_string())?;
        table.insert("endpoints".to_owned(), endpoints);
    }
    let configured = Configured::of(provider, table);
    let mut problems = configured.document.problems().iter();
    match problems.find(|problem| problem.flaw.weight.is_serious()) {
        None => Ok(configured),
        Some(problem) => Err(format!("{}.{} {}", provider.name, problem.flaw.setting, problem.flaw.what)),
    }
}

/// The endpoint that a sample is for: the one its name begins with, else the first.
fn endpoint<'c>(configured: &'c Configured, sample: &Sample) -> Result<&'c Endpoint, String> {
    let endpoints = configured.document.endpoints();
    let named =
        endpoints.iter().find(|endpoint| endpoint.name().is_some_and(|name| sample.name.starts_with(name)));
    named.or(endpoints.first()).ok_or_else(|| format!("{} has no endpoint", configured.provider.name))
}

fn table(rows: &[Row], width: usize) -> Table {
    let with_ids = width >= ROOM_FOR_IDS;
    let widest = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or_default();
    let provider = widest(&mut rows.iter().map(|row| row.provider.len()));
    // What is left beside the columns of fixed width and two spaces before each.
    let columns = if with_ids { 6 } else { 5 };
    let room = width.saturating_sub(2 * columns + provider + "answer".len() + "999.9".len());
    let sample = widest(&mut rows.iter().map(|row| row.sample.len())).min(room * 35 / 100);
    let id = if with_ids { room / 7 } else { 0 };
    let event = room.saturating_sub(sample + id);

    let mut table = screen::table();
    let title = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
    let mut header = vec![title("provider"), title("sample"), title("answer"), title("event")];
    if with_ids {
        header.push(title("id"));
    }
    header.push(title("ms").set_alignment(CellAlignment::Right));
    table.set_header(header);
    screen::set_gaps(&mut table);
    let mut before = "";
    for row in rows {
        let name = if row.provider == before { "" } else { row.provider };
        before = row.provider;
        let mut lines = match &row.outcome {
            Outcome::Events(events) if !events.is_empty() => events
                .iter()
                .map(|(kind, text)| {
                    (
                        Cell::new(screen::end(kind, event)),
                        Cell::new(screen::beginning(text, id)).add_attribute(Attribute::Dim),
                    )
                })
                .collect(),
            Outcome::Events(_) => vec![(Cell::new("no event").fg(Color::DarkRed), Cell::new(""))],
            Outcome::Handshake => {
                vec![(Cell::new("handshake answered").add_attribute(Attribute::Dim), Cell::new(""))]
            }
            Outcome::Refused(kind) => {
                let text = screen::beginning(&format!("forged: {}", kind.said()), event);
                vec![(Cell::new(text).fg(Color::DarkYellow), Cell::new(""))]
            }
        }
        .into_iter();
        let answer = if row.fine {
            Cell::new(format!("✓ {}", row.status)).fg(Color::DarkGreen)
        } else {
            Cell::new(format!("✗ {}", row.status)).fg(Color::DarkRed).add_attribute(Attribute::Bold)
        };
        let took =
            Cell::new(format!("{:.1}", row.took.as_secs_f64() * 1000.0)).set_alignment(CellAlignment::Right);
        let Some((first, first_id)) = lines.next() else { continue };
        let mut cells = vec![title(name), Cell::new(screen::beginning(row.sample, sample)), answer, first];
        cells.extend(with_ids.then_some(first_id));
        cells.push(took);
        table.add_row(cells);
        // Further events of the same call.
        for (event, id) in lines {
            let mut cells = vec![Cell::new(""), Cell::new(""), Cell::new(""), event];
            cells.extend(with_ids.then_some(id));
            cells.push(Cell::new(""));
            table.add_row(cells);
        }
    }
    table
}

fn closing(rows: &[Row], path: &Path, took: Duration) -> Result<(), Failed> {
    let fine = || rows.iter().filter(|row| row.fine);
    let events: usize =
        fine().map(|row| if let Outcome::Events(events) = &row.outcome { events.len() } else { 0 }).sum();
    let refused = fine().filter(|row| matches!(row.outcome, Outcome::Refused(_))).count();
    let handshakes = fine().filter(|row| matches!(row.outcome, Outcome::Handshake)).count();
    let wrong = rows.iter().filter(|row| !row.fine).count();
    let command = screen::command();
    screen::say(&format!(
        "  {}, {}, {} in {:.1} s\n",
        paint(GOOD, screen::count(events, "event accepted", "events accepted")),
        paint(WARN, screen::count(refused, "forgery refused", "forgeries refused")),
        screen::count(handshakes, "handshake answered", "handshakes answered"),
        took.as_secs_f64(),
    ));
    screen::say(&format!("  The events, one CloudEvent a line:\n  {}\n", paint(STRONG, path.display())));
    screen::say(&format!(
        "  Next\n  {}  your secrets in hookgate.toml, real webhooks, this machine\n  {}  the same gates as functions on AWS: see README.md",
        paint(STRONG, format_args!("{:<17}", format!("{command} dev"))),
        paint(STRONG, format_args!("{:<17}", "sam deploy")),
    ));
    if wrong == 0 {
        return Ok(());
    }
    Err(format!("{} not as it should be", screen::count(wrong, "answer was", "answers were")).into())
}
