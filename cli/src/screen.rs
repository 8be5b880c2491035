//! What a person sees: colours where the stream takes them, lines that fit, and texts from outside made harmless.

use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use std::env;
use std::fmt::Display;
use std::io::Write as _;

/// The widest that anything is laid out, in columns.
const WIDEST: usize = 100;
/// The narrowest that anything is laid out for; below it, lines wrap.
const NARROWEST: usize = 40;

/// As it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Refused, and worth a look.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// Not as it should be.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// What the eye should find first.
pub const STRONG: Style = Style::new().bold();
/// What stands beside.
pub const FAINT: Style = Style::new().dimmed();

/// A text in a style. What the stream does not take is left out when it is written.
pub fn paint(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// Writes text and a line break to stdout. A closed stream is no reason to stop serving.
pub fn say(text: &str) {
    let _ = anstream::stdout().write_all(format!("{text}\n").as_bytes());
}

/// Writes text to stdout, at once and without a line break.
pub fn say_on(text: &str) {
    let mut out = anstream::stdout();
    let _ = out.write_all(text.as_bytes());
    let _ = out.flush();
}

/// Writes an error to stderr.
pub fn complain(text: &str) {
    let _ = anstream::stderr().write_all(format!("{} {text}\n", paint(BAD, "hookgate:")).as_bytes());
}

/// Writes a warning to stderr.
pub fn warn(text: &str) {
    let _ = anstream::stderr().write_all(format!("{} {text}\n", paint(WARN, "warning:")).as_bytes());
}

/// How many columns there are to fill: `COLUMNS`, else the terminal's, never more than [`WIDEST`].
pub fn width() -> usize {
    let named = env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let measured = || terminal_size::terminal_size().map(|(width, _)| usize::from(width.0));
    named.or_else(measured).unwrap_or(WIDEST).clamp(NARROWEST, WIDEST)
}

/// A text from outside, without what could move the cursor, colour the terminal or turn the direction of a line.
pub fn harmless(text: &str) -> String {
    let harmful = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    text.chars().map(|c| if harmful(c) { '\u{fffd}' } else { c }).collect()
}

/// The beginning of a text that is longer than so many characters.
pub fn beginning(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

/// The end of a text that is longer than so many characters.
pub fn end(text: &str, most: usize) -> String {
    let count = text.chars().count();
    if count <= most {
        return text.to_owned();
    }
    ['…'].into_iter().chain(text.chars().skip(count - most.saturating_sub(1))).collect()
}

/// `1 event`, `2 events`
pub fn count(number: usize, one: &str, several: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { several })
}

/// How this command is called here: by its name, or through cargo by whoever has just cloned the repository.
pub fn command() -> &'static str {
    if env::var_os("CARGO_MANIFEST_DIR").is_some() { "cargo run --" } else { "hookgate" }
}

/// An empty table: a line below its titles and no other. What is in its cells has to fit.
pub fn table() -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')));
    table.set_content_arrangement(ContentArrangement::Disabled);
    // Colours are in the text whatever the stream is; they are left out as it is written.
    table.enforce_styling();
    table
}

/// Two spaces before each column, for a table that has its titles.
pub fn set_gaps(table: &mut Table) {
    for (i, column) in table.column_iter_mut().enumerate() {
        // One of the two stands in the place of a border, which the first column has none of.
        column.set_padding((if i == 0 { 2 } else { 1 }, 0));
    }
}
