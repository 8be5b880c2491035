//! The plot: a panel for each figure, a bar for each candidate. It has a ground of its own and colours for both, so it
//! is readable on light pages and on dark ones.

use crate::candidate::Who;
use crate::figures::{Figures, Metric};
use crate::measure::{self, MANY, USUAL};
use crate::report::number;
use std::fmt::Write as _;

const WIDTH: usize = 880;
const MARGIN: usize = 24;
const GAP: usize = 40;
const TOP: usize = 64;
const TITLE: usize = 26;
const BAR: usize = 18;
const STEP: usize = 26;
const FOOT: usize = 16;
/// Where bars begin within a panel, and what is kept right of the longest for its value.
const LABEL: usize = 76;
const VALUE: usize = 112;

/// So many characters of small text fit beside one another.
const FOOT_CHARACTERS: usize = 130;

struct Panel {
    title: String,
    bars: Vec<Bar>,
}

struct Bar {
    who: Who,
    value: f64,
    /// How many times Hookgate's it is, as in the tables.
    times: Option<f64>,
}

/// An SVG image of what was measured; `None` where that is too little for one.
///
/// Below it stand the lines of `footer`.
pub fn svg(figures: &Figures, who: &[Who], footer: &str) -> Option<String> {
    let panel = |title: String, case: &str, metric, unit: f64| {
        let bar = |who: &Who| {
            let is_compared = who.works() && *who != Who::Hookgate;
            let ratio =
                figures.ratio(case, metric, [who.title(), Who::Hookgate.title()]).filter(|_| is_compared);
            let value = figures.spread(case, metric, who.title())?.median / unit;
            Some(Bar { who: *who, value, times: ratio.map(|ratio| ratio.median) })
        };
        Panel { title, bars: who.iter().filter_map(bar).collect() }
    };
    let many = format!("Warm call of {MANY} events: CPU, ms");
    let panels = [
        panel("Init and first call over TLS, ms".into(), &measure::cold(1, false, "both"), Metric::Wall, 1.0),
        panel(
            "The same with 1/14 of a core, ms".into(),
            &measure::cold(14, false, "both"),
            Metric::Wall,
            1.0,
        ),
        panel("Warm call of 20 KiB: CPU, ms".into(), &measure::warm(USUAL, false), Metric::Cpu, 1.0),
        panel(many, &measure::many(), Metric::Cpu, 1.0),
        panel("Peak memory, calls of 20 KiB, MiB".into(), measure::MEMORY_USUAL, Metric::Memory, 1_048_576.0),
        panel("Zip, MB".into(), measure::ZIP, Metric::Size, 1_000_000.0),
    ];
    let panels: Vec<Panel> = panels.into_iter().filter(|panel| panel.bars.len() > 1).collect();
    if panels.is_empty() {
        return None;
    }
    let mut body = String::new();
    let mut top = TOP;
    for pair in panels.chunks(2) {
        for (column, panel) in pair.iter().enumerate() {
            let width = (WIDTH - 2 * MARGIN - GAP) / 2;
            draw(&mut body, panel, MARGIN + column * (width + GAP), top, width);
        }
        let rows = pair.iter().map(|panel| panel.bars.len()).max().unwrap_or_default();
        top += TITLE + rows * STEP + GAP / 2;
    }
    let lines: Vec<String> = footer.lines().flat_map(wrapped).collect();
    let foot: String = lines
        .iter()
        .enumerate()
        .map(|(n, line)| {
            let y = top + FOOT + n * FOOT;
            format!("<text class=\"small\" x=\"{MARGIN}\" y=\"{y}\">{}</text>\n", escaped(line))
        })
        .collect();
    let height = top + (lines.len() + 1) * FOOT + FOOT / 2;
    Some(format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img" aria-label="Hookgate beside the same job in Node and Python">
<style>
text {{ font: 13px system-ui, -apple-system, "Segoe UI", "DejaVu Sans", sans-serif; fill: #1f2328 }}
.head {{ font-size: 17px; font-weight: 600 }}
.title {{ font-weight: 600 }}
.small {{ font-size: 11px; fill: #59636e }}
.ground {{ fill: #ffffff; stroke: #d1d9e0 }}
.floor {{ fill: #8c959f }} .Hookgate {{ fill: #1a7f37 }} .before {{ fill: #9a6700 }} .Node {{ fill: #0969da }} .Python {{ fill: #8250df }}
@media (prefers-color-scheme: dark) {{
text {{ fill: #e6edf3 }} .small {{ fill: #9198a1 }} .ground {{ fill: #0d1117; stroke: #3d444d }}
.floor {{ fill: #7d8590 }} .Hookgate {{ fill: #3fb950 }} .before {{ fill: #d29922 }} .Node {{ fill: #4493f8 }} .Python {{ fill: #ab7df8 }}
}}
</style>
<rect class="ground" x="0.5" y="0.5" width="{ground_width}" height="{ground_height}" rx="8"/>
<text class="head" x="{MARGIN}" y="36">The same job side by side: less is better</text>
{body}{foot}</svg>
"##,
        ground_width = WIDTH - 1,
        ground_height = height - 1,
    ))
}

fn draw(body: &mut String, panel: &Panel, left: usize, top: usize, width: usize) {
    let most = panel.bars.iter().map(|bar| bar.value).fold(0.0, f64::max);
    // Writing into memory has no way to fail.
    let _ =
        writeln!(body, r#"<text class="title" x="{left}" y="{}">{}</text>"#, top + 14, escaped(&panel.title));
    for (row, Bar { who, value, times }) in panel.bars.iter().enumerate() {
        let y = top + TITLE + row * STEP;
        let start = left + LABEL;
        let length = (value / most * (width - LABEL - VALUE) as f64).max(1.5);
        let times = times.map_or_else(String::new, |times| format!(" ({} ×)", number(times)));
        let title = who.title();
        let _ = writeln!(body, r#"<text x="{left}" y="{}">{title}</text>"#, y + 14);
        let _ = writeln!(
            body,
            r#"<rect class="{title}" x="{start}" y="{y}" width="{length:.1}" height="{BAR}" rx="2"/>"#
        );
        let end = start as f64 + length + 6.0;
        let _ = writeln!(body, r#"<text x="{end:.1}" y="{}">{}{times}</text>"#, y + 14, number(*value));
    }
}

/// A line in lines that fit, broken where a space is.
fn wrapped(line: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in line.split(' ') {
        match lines.last_mut() {
            Some(last) if last.is_empty() => last.push_str(word),
            Some(last) if last.chars().count() + 1 + word.chars().count() <= FOOT_CHARACTERS => {
                last.push(' ');
                last.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
