//! The benchmark: Hookgate's function beside the floor and beside the same job in Node and Python, each under a Lambda
//! Runtime API and against an AWS on this machine. `benches/run` builds what is compared and starts this.

mod aws;
mod candidate;
mod figures;
mod http;
mod machine;
mod measure;
mod place;
mod plot;
mod progress;
mod report;
mod runtime;

use crate::aws::Aws;
use crate::candidate::{Built, Who};
use crate::figures::Figures;
use crate::machine::Machine;
use crate::measure::{Bench, Burst, USUAL};
use crate::place::{Cores, Quota};
use crate::progress::Progress;
use crate::report::Report;
use calls::BodyAs;
use clap::{Parser, ValueEnum};
use serde_json::json;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Parts of a core: what 256 and 128 MB buy.
const PARTS: [u64; 2] = [7, 14];

/// Compares Hookgate with the floor and with the same job in Node and Python.
#[derive(Parser)]
#[command(name = "benches/run", disable_version_flag = true)]
struct Options {
    /// Some two minutes instead of some twelve: fewer rounds, shorter turns.
    #[arg(long)]
    quick: bool,
    /// What to measure. Everything but bursts, if nothing is said.
    #[arg(long, value_delimiter = ',', value_name = "PART")]
    only: Vec<Part>,
    /// Whom to compare. All of them, if nothing is said.
    #[arg(long, value_delimiter = ',', value_name = "WHO")]
    who: Vec<Who>,
    /// Rounds of each measurement [default: 32, with --quick 4]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// Sizes of bodies in KiB; some things are always measured at 20.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 20, 200])]
    sizes: Vec<usize>,
    /// Bodies in base64, as AWS hands over what is no text. Otherwise JSON comes as text.
    #[arg(long)]
    base64: bool,
    /// Another build of the function `github`, compared in turn with the rest.
    #[arg(long, value_name = "BINARY")]
    against: Option<PathBuf>,
    /// Bursts as well: 500 calls a second for 30 s (10 s with --quick).
    #[arg(long)]
    burst: bool,
    /// Environments that a burst is spread over.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=16))]
    environments: u8,
    /// All figures for a program.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// The plot.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// The tables for the documentation.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Init and the first call over TLS.
    Cold,
    /// Warm calls, accepted and refused.
    Warm,
    /// Peak memory.
    Memory,
    /// Size of what ships.
    Size,
    /// Cold and warm with parts of a core.
    Quota,
    /// Checking and enveloping alone.
    Engine,
    /// Calls at a steady rate.
    Burst,
}

fn main() -> ExitCode {
    match run(Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\nbenches/run: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<(), Box<dyn Error>> {
    let built = built(options.against.clone())?;
    let is_wanted = |part| match part {
        Part::Burst => options.burst || options.only.contains(&part),
        _ => options.only.is_empty() || options.only.contains(&part),
    };
    let machine = Machine::here(&built);
    eprintln!("{}", machine.sentence());
    if machine.is_busy() {
        eprintln!("Something else is at work here (load {}): figures will be noisy.", machine.load());
    }
    let cores = Cores::divide();
    if cores.is_none() {
        eprintln!(
            "There is one core: the functions share it with the doubles of AWS, and wall times say little."
        );
    }
    let mut quotas = Vec::new();
    if is_wanted(Part::Quota) {
        for part in PARTS {
            match Quota::one_of(part) {
                Ok(quota) => quotas.push(quota),
                Err(why) => eprintln!("Nothing is measured with 1/{part} of a core: {why}"),
            }
        }
    }
    let aws = Aws::start(&built.scratch)?;
    let who = |who: &Who| match who {
        Who::Before => options.against.is_some(),
        _ => options.who.is_empty() || options.who.contains(who),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let bench = Bench {
        built: &built,
        aws: &aws,
        cores: cores.as_ref(),
        who: Who::ALL.into_iter().filter(who).collect(),
        sizes: options.sizes.clone(),
        rounds: usize::from(options.rounds.unwrap_or(if options.quick { 4 } else { 32 })),
        turn: Duration::from_millis(if options.quick { 60 } else { 150 }),
        body_as: if options.base64 { BodyAs::Base64 } else { BodyAs::AwsDecides },
        now: i64::try_from(now)?,
    };
    let mut figures = Figures::default();
    let progress = Progress::new();
    progress.begin("whether all do the same job");
    bench.same_job()?;
    if is_wanted(Part::Size) {
        progress.begin("sizes");
        bench.size(&mut figures)?;
    }
    if is_wanted(Part::Engine) {
        progress.begin("checking and enveloping alone");
        bench.engine(&mut figures, &progress)?;
    }
    if is_wanted(Part::Cold) {
        progress.begin("cold starts");
        bench.cold(&mut figures, &progress, &[])?;
    }
    if is_wanted(Part::Warm) {
        progress.begin("warm calls");
        bench.warm(&mut figures, &progress)?;
    }
    if is_wanted(Part::Memory) {
        progress.begin("memory");
        bench.memory(&mut figures, &progress)?;
    }
    if !quotas.is_empty() {
        progress.begin("parts of a core");
        bench.cold(&mut figures, &progress, &quotas)?;
    }
    let mut bursts = Vec::new();
    if is_wanted(Part::Burst) {
        progress.begin("bursts");
        let length = Duration::from_secs(if options.quick { 10 } else { 30 });
        let environments = usize::from(options.environments);
        for who in bench.who.iter().copied().filter(|who| matches!(who, Who::Hookgate | Who::Before)) {
            bursts.push(bench.burst(who, environments, None, length)?);
            bursts.push(bench.burst(who, 1, Some(10), length)?);
        }
    }
    progress.end();

    let parts: Vec<u64> = quotas.iter().map(|quota| quota.part).collect();
    let report = Report::of(&figures, &bench.who, &bench.sizes, &parts, &bursts);
    print!("{}", report.text());
    if let Some(path) = &options.json {
        let all = json!({
            "machine": machine.json(), "usual_kib": USUAL, "sizes_kib": bench.sizes, "rounds": bench.rounds,
            "figures": figures.json(), "bursts": bursts.iter().map(Burst::json).collect::<Vec<_>>(),
            "targets": report.json(),
        });
        fs::write(path, serde_json::to_string_pretty(&all)? + "\n")?;
    }
    if let Some(path) = &options.markdown {
        fs::write(path, report.markdown(&machine))?;
    }
    if let Some(path) = &options.svg {
        let svg = plot::svg(&figures, &bench.who, &machine.sentence());
        fs::write(path, svg.ok_or("too little was measured for a plot")?)?;
    }
    Ok(())
}

/// Where `benches/run` has put what it built.
fn built(before: Option<PathBuf>) -> Result<Built, String> {
    let at = |name: &str| {
        let name = format!("HOOKGATE_BENCH_{name}");
        std::env::var_os(&name)
            .map(PathBuf::from)
            .ok_or_else(|| format!("{name} is not set: start benches/run"))
    };
    Ok(Built {
        github: at("GITHUB")?,
        facebook: at("FACEBOOK")?,
        floor: at("FLOOR")?,
        before,
        node: at("NODE")?,
        python: at("PYTHON")?,
        python_environment: at("PYTHON_ENVIRONMENT")?,
        engine: at("ENGINE")?,
        qhook: at("QHOOK")?,
        scratch: at("SCRATCH")?,
    })
}
