//! The settings file: TOML, one table for each provider, in each what `HOOKGATE_CONFIG` holds for its function.
//!
//! A person wrote it and is there to mend it, so it is taken whole or not at all, and everything that is wrong is said at
//! once. No value is ever printed, and no name that may be a value in the wrong place.

use crate::screen::{self, FAINT, STRONG, paint};
use serde_json::{Map, Value};
use shared::provider::{Provider, Setting, Shape};
use shared::settings::{Document, Endpoint, Problem};
use shared::verify::Assurance;
use std::fmt::Write as _;
use std::io::ErrorKind;
use std::path::Path;
use std::{fs, io};

/// How near a misspelled name has to be to be offered, from 0 to 1.
const NEAR: f64 = 0.7;
/// How a provider is set up whose check is laid out by its settings.
const BY_SETTINGS: &str = "secret = \"…\"\nsignature = { header = \"x-signature\" }\n";

/// One provider's table.
#[derive(Clone)]
pub struct Configured {
    /// The row.
    pub provider: &'static Provider,
    /// The table as it was written.
    pub table: Map<String, Value>,
    /// The table as it was read.
    pub document: Document,
}

impl Configured {
    /// Reads a provider's table. What is wrong with it stands in the document.
    pub fn of(provider: &'static Provider, table: Map<String, Value>) -> Configured {
        let document = Document::of(provider, &table);
        Configured { provider, table, document }
    }
}

/// Something that is wrong with the file.
struct Complaint {
    /// `github.secret`
    place: String,
    what: String,
    help: Option<String>,
    provider: Option<&'static Provider>,
}

/// What was read, before anybody looked at its problems.
struct Reading {
    configured: Vec<Configured>,
    complaints: Vec<Complaint>,
}

/// Reads the whole file, or says everything that keeps it from being used. Advice is printed and stops nothing.
pub fn read(path: &Path) -> Result<Vec<Configured>, String> {
    let Reading { configured, mut complaints } = parse(path)?;
    for configured in &configured {
        complaints.extend(complaints_of(configured));
        advise(configured);
    }
    if complaints.is_empty() { Ok(configured) } else { Err(report(path, &complaints)) }
}

/// Reads one provider's table. What is wrong elsewhere in the file does not matter.
pub fn read_one(path: &Path, provider: &'static Provider) -> Result<Configured, String> {
    let reading = parse(path)?;
    let Some(configured) = reading.configured.into_iter().find(|c| c.provider.name == provider.name) else {
        let complaints: Vec<Complaint> =
            reading.complaints.into_iter().filter(|complaint| complaint.place == provider.name).collect();
        if !complaints.is_empty() {
            return Err(report(path, &complaints));
        }
        let shown = path.display();
        return Err(format!("{shown} has no table for {}. Write:\n\n{}", provider.name, example(provider)));
    };
    let complaints = complaints_of(&configured);
    if complaints.is_empty() { Ok(configured) } else { Err(report(path, &complaints)) }
}

fn parse(path: &Path) -> Result<Reading, String> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(|error| unreadable(path, &error))?;
    // The library's own text repeats the line, and with it a secret.
    let tables: toml::Table = toml::from_str(&text).map_err(|error| {
        let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        format!(
            "{shown} is not TOML: line {line}, column {column}: {}\n\nA table looks like this:\n\n{}",
            error.message(),
            first_example(),
        )
    })?;
    if tables.is_empty() {
        return Err(format!(
            "{shown} is empty: it needs a table for at least one provider.\n\n{}",
            how_to_start()
        ));
    }
    warn_if_open_to_others(path);

    let mut reading = Reading { configured: Vec::new(), complaints: Vec::new() };
    for (name, value) in tables {
        let Some(entry) = registry::find(&name) else {
            reading.complaints.push(unknown(&name, value.is_table()));
            continue;
        };
        match json(value) {
            Value::Object(table) => {
                let table =
                    if table.is_empty() { for_trials(entry.provider).unwrap_or_default() } else { table };
                reading.configured.push(Configured::of(entry.provider, table));
            }
            _ => reading.complaints.push(Complaint {
                place: name,
                what: "must be a table".to_owned(),
                help: None,
                provider: Some(entry.provider),
            }),
        }
    }
    Ok(reading)
}

/// What an empty table stands for: the examples of all that the provider needs, where it has one of each. So a provider
/// can be tried whose secret nobody but itself has.
fn for_trials(provider: &Provider) -> Option<Map<String, Value>> {
    let needed = || provider.settings.iter().filter(|setting| setting.required);
    let example = |setting: &Setting| Some((setting.name.to_owned(), setting.example_value()?));
    needed().next()?;
    needed().map(example).collect()
}

/// A TOML value as JSON. What JSON has no word for, a date or a number that is none, becomes null inside a list, which no
/// setting takes.
fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Datetime(_) => Value::Array(vec![Value::Null]),
        toml::Value::Array(values) => values.into_iter().map(json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(name, value)| (name, json(value))).collect(),
    }
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    let shown = path.display();
    match error.kind() {
        ErrorKind::NotFound => format!(
            "{shown} is not there. It holds the secrets of the providers that you want to serve.\n\n{}",
            how_to_start()
        ),
        ErrorKind::InvalidData => format!("{shown} is not text in UTF-8"),
        _ => format!("{shown}: {error}"),
    }
}

/// What is wrong with one provider's table, one complaint for each setting.
fn complaints_of(configured: &Configured) -> Vec<Complaint> {
    let provider = configured.provider;
    let serious = |problem: &&Problem| problem.flaw.weight.is_serious();
    let mut complaints: Vec<Complaint> = Vec::new();
    for problem in configured.document.problems().iter().filter(serious) {
        let place = place(provider, problem);
        if let Some(known) = complaints.iter_mut().find(|complaint| complaint.place == place) {
            // `is empty` says it all; that nothing usable is left is its consequence.
            if problem.flaw.what != "has no usable value" && known.what != problem.flaw.what {
                let _ = write!(known.what, "; {}", problem.flaw.what);
            }
            continue;
        }
        let setting = provider.settings.iter().find(|setting| setting.name == problem.flaw.setting);
        let help = match setting {
            Some(setting) => Some(format!("{}: {}", provider.title, setting.place)),
            None => nearest(&problem.flaw.setting, provider.settings.iter().map(|setting| setting.name))
                .map(|name| format!("did you mean `{name}`?")),
        };
        complaints.push(Complaint {
            place,
            what: problem.flaw.what.to_owned(),
            help,
            provider: Some(provider),
        });
    }
    complaints
}

fn advise(configured: &Configured) {
    for problem in configured.document.problems() {
        if !problem.flaw.weight.is_serious() {
            screen::warn(&format!("{} {}", place(configured.provider, problem), problem.flaw.what));
        }
    }
}

/// `stripe.endpoints.acme.secret`
fn place(provider: &Provider, problem: &Problem) -> String {
    let setting = &problem.flaw.setting;
    match problem.endpoint.as_deref().map(printable) {
        None => format!("{}.{setting}", provider.name),
        Some(endpoint) if setting == "endpoints" => format!("{}.endpoints.{endpoint}", provider.name),
        Some(endpoint) => format!("{}.endpoints.{endpoint}.{setting}", provider.name),
    }
}

/// A table of no provider, or a value outside every table.
fn unknown(name: &str, is_table: bool) -> Complaint {
    let names = || registry::ENTRIES.iter().map(|entry| entry.provider.name);
    let (what, help) = if is_table {
        let help = nearest(name, names()).map_or_else(
            || format!("there are {}", names().collect::<Vec<_>>().join(", ")),
            |name| format!("did you mean `{name}`?"),
        );
        ("is no provider", help)
    } else {
        (
            "stands outside a table",
            "a setting belongs below its provider's line, `[github]` for instance".to_owned(),
        )
    };
    Complaint { place: printable(name), what: what.to_owned(), help: Some(help), provider: None }
}

fn nearest<'n>(name: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let scored = names.map(|known| (strsim::jaro_winkler(name, known), known));
    scored.filter(|(score, _)| *score >= NEAR).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, known)| known)
}

/// A name from the file, unless it may be a value that was pasted into the wrong place.
fn printable(name: &str) -> String {
    let plain = name.len() <= 24 && name.bytes().all(|b| b.is_ascii_lowercase() || b"_-.".contains(&b));
    if plain { name.to_owned() } else { "(a name that is not shown, since it may be a secret)".to_owned() }
}

fn report(path: &Path, complaints: &[Complaint]) -> String {
    let problems = screen::count(complaints.len(), "problem", "problems");
    let mut text = format!("{} cannot be used, {problems}:\n", path.display());
    let mut providers: Vec<&'static Provider> = Vec::new();
    for Complaint { place, what, help, provider } in complaints {
        let _ = write!(text, "\n  {} {what}", paint(STRONG, place));
        if let Some(help) = help {
            let _ = write!(text, "\n    {}", paint(FAINT, help));
        }
        if let Some(provider) = provider.filter(|p| providers.iter().all(|known| known.name != p.name)) {
            providers.push(provider);
        }
    }
    if !providers.is_empty() {
        text.push_str("\n\nA table looks like this:\n");
        for provider in providers {
            let _ = write!(text, "\n{}", example(provider));
        }
    }
    text.trim_end().to_owned()
}

/// The table of a provider, to be filled in.
pub fn example(provider: &Provider) -> String {
    let mut text = format!("  [{}]\n", provider.name);
    let required = || provider.settings.iter().filter(|setting| setting.required);
    if required().next().is_none() {
        for line in BY_SETTINGS.lines() {
            let _ = writeln!(text, "  {line}");
        }
    }
    for setting in required() {
        let _ = writeln!(text, "  {}", assignment(setting));
    }
    if for_trials(provider).is_some() {
        let hint =
            "# left empty, the table serves for local trials: samples are signed with a throw-away key";
        let _ = writeln!(text, "  {}", paint(FAINT, hint));
    }
    text
}

/// `secret = "…"  # where it stands`
fn assignment(setting: &Setting) -> String {
    let value = match setting.shape {
        Shape::Object => "{ … }".to_owned(),
        Shape::Word(words) => format!("{:?}", words.first().copied().unwrap_or_default()),
        Shape::Texts => "[\"…\"]".to_owned(),
        Shape::Secret | Shape::Text => "\"…\"".to_owned(),
    };
    format!("{} = {value}  {}", setting.name, paint(FAINT, format_args!("# {}", setting.place)))
}

fn first_example() -> String {
    registry::ENTRIES
        .iter()
        .find(|entry| {
            let signed = entry.provider.scheme.describe(&Endpoint::default()).assurance;
            let one_secret = matches!(entry.provider.settings, [setting] if setting.required);
            one_secret && signed.is_some_and(Assurance::covers_body)
        })
        .map(|entry| example(entry.provider))
        .unwrap_or_default()
}

fn how_to_start() -> String {
    let names: Vec<&str> = registry::ENTRIES.iter().map(|entry| entry.provider.name).collect();
    let command = screen::command();
    format!(
        "For instance:\n\n{}\nProviders: {}.\n`{command} demo` needs no settings at all.",
        first_example(),
        names.join(", "),
    )
}

#[cfg(unix)]
fn warn_if_open_to_others(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    if fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0) {
        let shown = path.display();
        screen::warn(&format!("{shown} holds secrets and others can read it: chmod 600 {shown}"));
    }
}

#[cfg(not(unix))]
fn warn_if_open_to_others(_path: &Path) {}
