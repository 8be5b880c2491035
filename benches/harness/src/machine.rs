//! On what was measured: the machine, the versions, the day.

use crate::candidate::Built;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use std::process::Command;

/// The machine and what runs on it.
pub struct Machine {
    date: String,
    processor: String,
    cores: usize,
    kernel: String,
    load: String,
    commit: String,
    versions: Vec<(&'static str, String)>,
}

impl Machine {
    /// This machine, now.
    pub fn here(built: &Built) -> Machine {
        let python = built.python_environment.join("bin/python");
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let field = |name: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(name))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let mut processor = field("model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned());
        if field("flags").is_some_and(|flags| flags.split(' ').any(|flag| flag == "sha_ni")) {
            processor.push_str(" with SHA-NI");
        }
        let commit =
            std::env::var("HOOKGATE_BENCH_COMMIT").unwrap_or_else(|_| "an unknown commit".to_owned());
        let versions = [
            ("Rust", said("rustc", &["--version"]).and_then(|said| word(&said, 1))),
            ("Node", said("node", &["--version"]).map(|said| said.trim_start_matches('v').to_owned())),
            ("@aws-sdk/client-sqs", locked(&built.node.join("package-lock.json"), "@aws-sdk/client-sqs")),
            (
                "@octokit/webhooks-methods",
                locked(&built.node.join("package-lock.json"), "@octokit/webhooks-methods"),
            ),
            ("Python", said(&python.display().to_string(), &["--version"]).and_then(|said| word(&said, 1))),
            ("boto3", package(&python, "boto3")),
            ("awslambdaric", package(&python, "awslambdaric")),
            ("qhook", std::env::var("HOOKGATE_BENCH_QHOOK_VERSION").ok()),
        ];
        Machine {
            date: said("date", &["-u", "+%F"]).unwrap_or_default(),
            processor,
            cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            load: load(),
            commit,
            versions: versions.into_iter().filter_map(|(name, version)| Some((name, version?))).collect(),
        }
    }

    /// One sentence for people.
    pub fn sentence(&self) -> String {
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        format!(
            "Measured on {} at {} on {} cores of {}, Linux {} (load before: {}).\n{}.",
            self.date,
            self.commit,
            self.cores,
            self.processor,
            self.kernel,
            self.load,
            versions.join(", ")
        )
    }

    /// The load of the last minute, if it is so high that something else is at work.
    pub fn is_busy(&self) -> bool {
        self.load.parse::<f64>().is_ok_and(|load| load > 0.5)
    }

    /// The load of the last minute.
    pub fn load(&self) -> &str {
        &self.load
    }

    /// The same for a program.
    pub fn json(&self) -> Value {
        let versions: serde_json::Map<String, Value> =
            self.versions.iter().map(|(name, version)| ((*name).to_owned(), json!(version))).collect();
        json!({
            "date": self.date, "commit": self.commit, "processor": self.processor, "cores": self.cores,
            "kernel": self.kernel, "load_before": self.load, "versions": versions,
        })
    }
}

fn load() -> String {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split(' ').next().unwrap_or_default().to_owned()
}

fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

fn word(text: &str, place: usize) -> Option<String> {
    text.split_whitespace().nth(place).map(str::to_owned)
}

/// The version of a package of Node in the lock file.
fn locked(lock: &Path, package: &str) -> Option<String> {
    let lock: Value = serde_json::from_str(&fs::read_to_string(lock).ok()?).ok()?;
    let version = lock.get("packages")?.get(format!("node_modules/{package}"))?.get("version")?;
    version.as_str().map(str::to_owned)
}

/// The version of a package of Python that is installed.
fn package(python: &Path, package: &str) -> Option<String> {
    let program = format!("import importlib.metadata as m; print(m.version({package:?}))");
    said(&python.display().to_string(), &["-c", &program])
}
