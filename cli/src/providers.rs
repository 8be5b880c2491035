//! `hookgate providers`: what is known of each, from its row.

use crate::Failed;
use crate::screen::{self, FAINT, STRONG, paint};
use crate::send;
use clap::Args;
use comfy_table::{Attribute, Cell, Table};
use registry::{ENTRIES, Entry};
use serde_json::{Value, json};
use shared::provider::{Field, Shape};
use shared::settings::Endpoint;
use shared::verify::{Assurance, Description};

/// From so many columns on, the table has all of its columns.
const ROOM_FOR_ALL: usize = 95;
/// Of what no row says, because the operator does.
const BY_SETTINGS: &str = "by settings";
/// Longer titles are cut.
const LONGEST_TITLE: usize = 17;

/// The options of `hookgate providers`.
#[derive(Args)]
pub struct Options {
    /// All that is known of one provider
    #[arg(conflicts_with_all = ["json", "markdown"])]
    provider: Option<String>,
    /// As JSON
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// As a table in Markdown
    #[arg(long)]
    markdown: bool,
}

/// What is said of a provider.
struct Facts {
    entry: &'static Entry,
    description: Description,
    handshakes: Vec<&'static str>,
}

/// Prints the list, or one provider.
pub fn run(options: &Options) -> Result<(), Failed> {
    if let Some(name) = &options.provider {
        screen::say(&details(&Facts::of(send::find(name)?)));
        return Ok(());
    }
    let all: Vec<Facts> = ENTRIES.iter().map(Facts::of).collect();
    let text = if options.json {
        let all = all.iter().map(Facts::json).collect();
        format!("{:#}", Value::Array(all))
    } else if options.markdown {
        markdown(&all)
    } else {
        let command = screen::command();
        let more =
            format!("  {command} providers NAME: all that is known of one; --markdown and --json: of each");
        format!("{}\n\n{}", table(&all).trim_fmt(), paint(FAINT, more))
    };
    screen::say(&text);
    Ok(())
}

impl Facts {
    fn of(entry: &'static Entry) -> Facts {
        let handshakes = entry.provider.handshakes.iter().map(|handshake| handshake.describe()).collect();
        Facts { entry, description: entry.provider.scheme.describe(&Endpoint::default()), handshakes }
    }

    /// Where the signature or token stands.
    fn places(&self) -> String {
        let headers = self.description.headers.iter().cloned();
        let parameters = self.description.parameters.iter().map(|name| format!("?{name}="));
        let in_body = self.description.in_body.map(|place| place.to_string());
        headers.chain(parameters).chain(in_body).collect::<Vec<_>>().join(" or ")
    }

    fn assurance(&self) -> &'static str {
        self.description.assurance.map_or(BY_SETTINGS, Assurance::name)
    }

    /// How far the ids can be trusted; a digest where the provider sends none.
    fn id_source(&self) -> &'static str {
        let provider = self.entry.provider;
        let from_header = provider.event.id.iter().flat_map(|way| way.iter()).any(is_header);
        match self.description.assurance {
            _ if provider.event_by_settings.is_some() => BY_SETTINGS,
            _ if provider.event.id.is_empty() => "digest",
            Some(assurance) if assurance.covers_body() && !from_header => "signed, else digest",
            _ => "header, else digest",
        }
    }

    fn window(&self) -> String {
        match self.description.tolerance {
            Some(seconds) => format!("{seconds} s"),
            None if self.description.assurance.is_none() => BY_SETTINGS.to_owned(),
            None => "none".to_owned(),
        }
    }

    fn handshakes(&self) -> String {
        if self.handshakes.is_empty() { "none".to_owned() } else { self.handshakes.join("; ") }
    }

    fn json(&self) -> Value {
        let provider = self.entry.provider;
        let settings: Vec<Value> = provider
            .settings
            .iter()
            .map(|setting| {
                let shape = match setting.shape {
                    Shape::Secret => "secret",
                    Shape::Text => "text",
                    Shape::Word(_) => "word",
                    Shape::Texts => "texts",
                    Shape::Object => "object",
                };
                json!({"name": setting.name, "shape": shape, "required": setting.required, "place": setting.place})
            })
            .collect();
        json!({
            "name": provider.name,
            "title": provider.title,
            "docs": provider.docs,
            "method": self.description.method,
            "headers": self.description.headers,
            "parameters": self.description.parameters,
            "in_body": self.description.in_body.map(|place| place.to_string()),
            "handshakes": self.handshakes,
            "assurance": self.description.assurance.map(Assurance::name),
            "id_source": self.id_source(),
            "replay_window_seconds": self.description.tolerance,
            "deadline_seconds": provider.deadline.as_secs_f64(),
            "retries": provider.facts.retries,
            "proof": provider.facts.proof,
            "checked": provider.facts.checked,
            "settings": settings,
            "samples": self.entry.samples.iter().map(|sample| sample.name).collect::<Vec<_>>(),
        })
    }
}

fn is_header(field: &Field<'_>) -> bool {
    match field {
        Field::Header(_) => true,
        Field::Maybe(field) | Field::Where(field, _) => is_header(field),
        _ => false,
    }
}

fn markdown(all: &[Facts]) -> String {
    let titles = [
        "Provider",
        "Name",
        "Check",
        "Where",
        "Handshake",
        "Assurance",
        "Id",
        "Replay window",
        "Deadline",
        "Retries",
        "Proof",
        "Checked",
    ];
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | "))
    };
    let mut lines = vec![line(&titles.map(str::to_owned)), format!("|{}", "---|".repeat(titles.len()))];
    for facts in all {
        let provider = facts.entry.provider;
        lines.push(line(&[
            format!("[{}]({})", provider.title, provider.docs),
            format!("`{}`", provider.name),
            facts.description.method.to_string(),
            if facts.places().is_empty() { BY_SETTINGS.to_owned() } else { format!("`{}`", facts.places()) },
            facts.handshakes(),
            facts.assurance().to_owned(),
            facts.id_source().to_owned(),
            facts.window(),
            format!("{} s", provider.deadline.as_secs_f64()),
            provider.facts.retries.to_owned(),
            provider.facts.proof.to_owned(),
            provider.facts.checked.to_owned(),
        ]));
    }
    lines.join("\n")
}

/// One line for each; what has no room stands in [`details`].
fn table(all: &[Facts]) -> Table {
    let roomy = screen::width() >= ROOM_FOR_ALL;
    let mut table = screen::table();
    let title = |text: &str| Cell::new(text).add_attribute(Attribute::Bold);
    let mut titles = vec!["provider", "title", "check", "assurance", "id", "window", "deadline", "handshake"];
    if !roomy {
        titles.retain(|title| !matches!(*title, "title" | "handshake"));
    }
    table.set_header(titles.into_iter().map(title));
    screen::set_gaps(&mut table);
    for facts in all {
        let provider = facts.entry.provider;
        let mut row = vec![title(provider.name)];
        if roomy {
            row.push(Cell::new(screen::beginning(provider.title, LONGEST_TITLE)));
        }
        row.push(Cell::new(&facts.description.method));
        // Where settings lay everything out, the check says so already.
        let unless_by_settings = |text: &str| Cell::new(if text == BY_SETTINGS { "" } else { text });
        row.push(unless_by_settings(facts.assurance()));
        row.push(unless_by_settings(facts.id_source().split(',').next().unwrap_or_default()));
        row.push(unless_by_settings(&facts.window()));
        row.push(Cell::new(format!("{} s", provider.deadline.as_secs_f64())));
        if roomy {
            row.push(Cell::new(if facts.handshakes.is_empty() { "" } else { "yes" }));
        }
        table.add_row(row);
    }
    table
}

/// All that is known of one provider.
fn details(facts: &Facts) -> String {
    let provider = facts.entry.provider;
    let place = if facts.places().is_empty() { String::new() } else { format!(" in {}", facts.places()) };
    let mut lines = vec![
        ("check", format!("{}{place}", facts.description.method)),
        ("assurance", facts.assurance().to_owned()),
        ("id", facts.id_source().to_owned()),
        ("window", facts.window()),
        ("deadline", format!("{} s", provider.deadline.as_secs_f64())),
        ("retries", provider.facts.retries.to_owned()),
        ("handshake", facts.handshakes()),
        ("proof", provider.facts.proof.to_owned()),
        ("checked", provider.facts.checked.to_owned()),
        ("docs", provider.docs.to_owned()),
    ];
    for setting in provider.settings {
        let optional = if setting.required { "" } else { ", optional" };
        lines.push(("setting", format!("{}{optional}: {}", paint(STRONG, setting.name), setting.place)));
    }
    lines.push((
        "samples",
        facts.entry.samples.iter().map(|sample| sample.name).collect::<Vec<_>>().join(", "),
    ));
    let lines = lines
        .into_iter()
        .map(|(name, text)| format!("  {}  {text}", paint(FAINT, format_args!("{name:<9}"))));
    let title = format!("{}, {}", paint(STRONG, provider.name), provider.title);
    [title].into_iter().chain(lines).collect::<Vec<_>>().join("\n")
}
