//! Who is compared, and how each is started.

use crate::aws::Aws;
use crate::place::Place;
use crate::runtime::{Api, Done};
use nix::time::{ClockId, clock_getcpuclockid};
use nix::unistd::Pid;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take, under a small quota too.
const MOST: Duration = Duration::from_secs(120);
/// What a function does after it has asked for the next call is over after so long.
const SETTLED: Duration = Duration::from_millis(3);
/// The parameter that holds the settings, where they come from Systems Manager.
const PARAMETER: &str = "/bench/settings";

/// Who is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Who {
    /// A function that answers 200 without looking.
    Floor,
    /// Hookgate as it is.
    Hookgate,
    /// Another build of Hookgate.
    Before,
    /// The same job in Node.
    Node,
    /// The same job in Python.
    Python,
}

impl Who {
    /// All of them, in the order of tables.
    pub const ALL: [Who; 5] = [Who::Floor, Who::Hookgate, Who::Before, Who::Node, Who::Python];

    /// The name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Who::Floor => "floor",
            Who::Hookgate => "Hookgate",
            Who::Before => "before",
            Who::Node => "Node",
            Who::Python => "Python",
        }
    }

    /// Whether it does the job. The floor does nothing.
    pub fn works(self) -> bool {
        self != Who::Floor
    }
}

/// Whose calls a function takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provider {
    /// One event in a call.
    Github,
    /// Many events in a call.
    Facebook,
}

impl Provider {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Github => "github",
            Provider::Facebook => "facebook",
        }
    }
}

/// Where what is compared lies.
pub struct Built {
    /// The functions as they ship.
    pub github: PathBuf,
    pub facebook: PathBuf,
    pub floor: PathBuf,
    /// Another build of `github`.
    pub before: Option<PathBuf>,
    /// The folder of the bundles.
    pub node: PathBuf,
    /// The folder of the handlers, and the environment with what they need.
    pub python: PathBuf,
    pub python_environment: PathBuf,
    /// Checking and enveloping alone; qhook's check.
    pub engine: PathBuf,
    pub qhook: PathBuf,
    /// For certificates and what functions print.
    pub scratch: PathBuf,
}

impl Built {
    /// The program with its arguments, and the folder it runs in.
    fn command(&self, who: Who, provider: Provider) -> Result<Command, String> {
        let name = provider.name();
        let mut command = match (who, provider) {
            (Who::Floor, _) => Command::new(&self.floor),
            (Who::Hookgate, Provider::Github) => Command::new(&self.github),
            (Who::Hookgate, Provider::Facebook) => Command::new(&self.facebook),
            (Who::Before, Provider::Github) => {
                Command::new(self.before.as_ref().ok_or("no other build is named")?)
            }
            (Who::Before, Provider::Facebook) => return Err("the other build is of github alone".to_owned()),
            (Who::Node, _) => {
                let mut command = Command::new("node");
                command.arg("runtime.mjs").arg(format!("{name}.mjs")).current_dir(&self.node);
                command
            }
            (Who::Python, _) => {
                let mut command = Command::new(self.python_environment.join("bin/python"));
                command.args(["-m", "awslambdaric", &format!("{name}.handler")]).current_dir(&self.python);
                command
            }
        };
        if who == Who::Floor || who == Who::Hookgate || who == Who::Before {
            command.current_dir(&self.scratch);
        }
        Ok(command)
    }
}

/// How a function is started.
#[derive(Clone, Copy)]
pub struct How<'h> {
    pub place: Place<'h>,
    pub provider: Provider,
    /// Whether AWS is called through TLS.
    pub tls: bool,
    /// Whether the settings come from Systems Manager.
    pub ssm: bool,
    /// Whether events too large for a message are put into a bucket, where the function can do that. Otherwise a
    /// message may be of any size.
    pub claim_check: bool,
    /// How many calls a function may take at once (`AWS_LAMBDA_MAX_CONCURRENCY`).
    pub at_once: Option<usize>,
}

impl Default for How<'_> {
    fn default() -> Self {
        How {
            place: Place::default(),
            provider: Provider::Github,
            tls: false,
            ssm: false,
            claim_check: false,
            at_once: None,
        }
    }
}

/// An environment: one process of a function. It ends when this is dropped.
pub struct Environment {
    child: Child,
    cpu: ClockId,
    log: PathBuf,
    who: Who,
    started: Instant,
}

impl Environment {
    /// Starts a function that takes its calls from this Runtime API.
    pub fn start(built: &Built, aws: &Aws, api: &Api, who: Who, how: How<'_>) -> Result<Environment, String> {
        let mut command = built.command(who, how.provider)?;
        let config = calls::config(how.provider.name())?;
        let config = if how.ssm {
            aws.put_parameter(PARAMETER, config);
            format!("ssm:{PARAMETER}")
        } else {
            config
        };
        let log = built.scratch.join(format!("{}-{}.log", who.title(), how.provider.name()));
        let told = |error: std::io::Error| format!("{}: {error}", who.title());
        let output = File::create(&log).map_err(told)?;
        let ca = aws.ca().display().to_string();
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("AWS_LAMBDA_RUNTIME_API", api.address().to_string())
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256")
            .env("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench")
            .env("AWS_LAMBDA_LOG_STREAM_NAME", "bench")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("LAMBDA_TASK_ROOT", ".")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", "AKIDTHROWAWAYOFBENCH")
            .env("AWS_SECRET_ACCESS_KEY", "throw-away-key-of-a-benchmark")
            .env("AWS_SESSION_TOKEN", "throw-away-token-of-a-benchmark")
            .env("AWS_ENDPOINT_URL", aws.endpoint(how.tls))
            .env("AWS_CA_BUNDLE", &ca)
            .env("HOOKGATE_CONFIG", config)
            // Node's SDK takes the endpoint from here.
            .env("QUEUE_URL", format!("{}/123456789012/bench", aws.endpoint(how.tls)))
            .stdin(Stdio::null())
            .stdout(output.try_clone().map_err(told)?)
            .stderr(output);
        match who {
            Who::Node => drop(command.env("NODE_EXTRA_CA_CERTS", &ca).env("NODE_NO_WARNINGS", "1")),
            Who::Python => drop(command.env("REQUESTS_CA_BUNDLE", &ca)),
            _ => {}
        }
        if how.claim_check {
            command.env("CLAIM_CHECK_BUCKET", "bench-claims");
        } else {
            command.env("QUEUE_MAX_BYTES", "16777216");
        }
        if let Some(at_once) = how.at_once {
            command.env("AWS_LAMBDA_MAX_CONCURRENCY", at_once.to_string());
        }
        let (started, child) = how
            .place
            .start(|| {
                let started = Instant::now();
                Ok((started, command.spawn()?))
            })
            .map_err(told)?;
        let pid = i32::try_from(child.id()).map_err(|_| "a process id that is none")?;
        let cpu = clock_getcpuclockid(Pid::from_raw(pid)).map_err(|error| told(error.into()))?;
        Ok(Environment { child, cpu, log, who, started })
    }

    /// What the function printed last, after what went wrong.
    fn told(&self, what: &str) -> String {
        let said = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = said.lines().collect();
        let last = lines.get(lines.len().saturating_sub(12)..).unwrap_or_default().join("\n");
        format!("{}: {what}\n{last}", self.who.title())
    }

    /// CPU time of all its threads so far, also of those that have ended.
    pub fn cpu(&self) -> Result<Duration, String> {
        self.cpu.now().map(Duration::from).map_err(|error| self.told(&error.to_string()))
    }

    /// The most memory that it has had, in bytes.
    pub fn peak_memory(&self) -> Result<f64, String> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.map_err(|error| self.told(&error.to_string()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<f64>().ok());
        kibibytes.map(|kibibytes| kibibytes * 1024.0).ok_or_else(|| self.told("it has ended"))
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        // It has ended by itself only where something failed, and that was said.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One environment with a Runtime API of its own.
pub struct Function {
    environment: Environment,
    api: Api,
}

impl Function {
    /// Starts a function.
    pub fn start(built: &Built, aws: &Aws, who: Who, how: How<'_>) -> Result<Function, String> {
        let api = Api::start().map_err(|error| error.to_string())?;
        let environment = Environment::start(built, aws, &api, who, how)?;
        Ok(Function { environment, api })
    }

    /// Waits for its init; gives wall and CPU time of that.
    pub fn init(&self) -> Result<Spent, String> {
        let ready = self.api.ready(1, MOST).map_err(|what| self.environment.told(&what))?;
        thread::sleep(SETTLED);
        Ok(Spent { wall: ready - self.environment.started, cpu: self.environment.cpu()? })
    }

    /// One call after another; each must be answered with this status. Gives the time of each, and all CPU time.
    pub fn calls(
        &self,
        event: &Arc<str>,
        status: u16,
        count: usize,
    ) -> Result<(Vec<Duration>, Duration), String> {
        self.settle()?;
        let before = self.environment.cpu()?;
        let mut times = Vec::with_capacity(count);
        for _ in 0..count {
            let Done { started, ended, status: is, .. } =
                self.api.call(event, MOST).map_err(|what| self.environment.told(&what))?;
            if is.as_ref().ok() != Some(&status) {
                let what = format!(
                    "answered {} instead of {status}",
                    is.map_or_else(|said| said, |is| is.to_string())
                );
                return Err(self.environment.told(&what));
            }
            times.push(ended - started);
        }
        self.settle()?;
        Ok((times, self.environment.cpu()?.saturating_sub(before)))
    }

    /// Waits until it waits for a call and has done what it does besides.
    fn settle(&self) -> Result<(), String> {
        self.api.ready(1, MOST).map_err(|what| self.environment.told(&what))?;
        thread::sleep(SETTLED);
        Ok(())
    }

    /// The most memory that it has had, in bytes.
    pub fn peak_memory(&self) -> Result<f64, String> {
        self.environment.peak_memory()
    }
}

/// What something took.
#[derive(Clone, Copy)]
pub struct Spent {
    pub wall: Duration,
    pub cpu: Duration,
}

/// All files below a folder, with their paths from it.
pub fn files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() { found.extend(files(&path)?) } else { found.push(path) }
    }
    Ok(found)
}
