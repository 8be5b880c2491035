//! What happens to calls, environments, settings reads and the queue at a rate of calls: the tables of `docs/scaling.md`,
//! and simulations of one's own.

mod document;
mod params;
mod random;
mod sim;
mod tables;

use params::{KEYS, SCENARIOS, Scenario};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match run(&arguments) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("scaling: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<String, String> {
    match arguments {
        ["tables"] => {
            let tables: Result<Vec<String>, String> = tables::TABLES
                .iter()
                .map(|name| Ok(format!("{name}\n\n{}\n", tables::table(name)?)))
                .collect();
            Ok(tables?.concat())
        }
        ["run", scenario, settings @ ..] => one(scenario, settings),
        ["check", path] => {
            let document = read(path)?;
            let renewed = document::renewed(&document)?;
            match document::first_difference(&document, &renewed) {
                None if document == renewed => Ok(format!("{path}: the tables are those of this program\n")),
                difference => {
                    Err(format!("{path}: the tables are behind; `write` renews them. {difference:#?}"))
                }
            }
        }
        ["write", path] => {
            let renewed = document::renewed(&read(path)?)?;
            std::fs::write(path, renewed).map_err(|error| format!("{path}: {error}"))?;
            Ok(String::new())
        }
        _ => Err(usage()),
    }
}

fn read(path: &str) -> Result<String, String> {
    std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// One scenario, with parameters of one's own.
fn one(name: &str, settings: &[&str]) -> Result<String, String> {
    let mut params = Scenario::of(name)?.params()?;
    for pair in settings.chunks(2) {
        match pair {
            [name, value] if name.starts_with("--") => params.set(name.trim_start_matches("--"), value)?,
            _ => return Err(usage()),
        }
    }
    let row = tables::outcome_row(name, &sim::simulate(&params));
    let rows: Vec<Vec<String>> =
        tables::OUTCOME.iter().zip(row).map(|(column, value)| vec![(*column).to_owned(), value]).collect();
    Ok(tables::markdown(&rows))
}

fn usage() -> String {
    let mut text = String::from(
        "usage\n  scaling tables                            all tables\
        \n  scaling run SCENARIO [--PARAMETER VALUE]…  one simulation\
        \n  scaling check DOCUMENT                    whether its tables are those of this program\
        \n  scaling write DOCUMENT                    renews them\n\nscenarios\n",
    );
    for scenario in SCENARIOS {
        text += &format!("  {:<22} {}\n", scenario.name, scenario.about);
    }
    text += "\nparameters\n";
    for key in KEYS {
        text += &format!("  --{:<20} {}\n", key.name, key.meaning);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_done_is_an_error() {
        for arguments in
            [&[][..], &["run"], &["run", "burst"], &["run", "storm", "--rate"], &["check", "/nowhere"]]
        {
            assert!(run(arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn a_simulation_of_ones_own_is_printed() {
        let text = run(&["run", "burst-1000", "--arrivals", "1", "--duration", "1"]).unwrap();
        assert!(text.contains("| accepted"), "{text}");
    }
}
