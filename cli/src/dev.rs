//! `hookgate dev`: the gateway, until Ctrl-C.

use crate::Failed;
use crate::config::{self, Configured};
use crate::file::EventsFile;
use crate::gateway::Gateway;
use crate::screen::{self, FAINT, STRONG, paint};
use crate::stop;
use clap::Args;
use shared::aws::Aws;
use shared::queue::{DEFAULT_MAX_BYTES, Store};
use shared::sqs::{Sqs, origin};
use std::env;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::runtime;

/// How many lines may wait for a terminal that is held.
const LINES: usize = 4096;
/// How long calls that are under way may take when the gateway is to end.
const ENDING: Duration = Duration::from_secs(20);

/// The options of `hookgate dev`.
#[derive(Args)]
pub struct Options {
    /// The settings file: a table for each provider
    #[arg(long, value_name = "FILE", default_value = "hookgate.toml")]
    config: PathBuf,
    /// The port on 127.0.0.1; 0 takes any that is free
    #[arg(long, default_value_t = 9000)]
    port: u16,
    /// An SQS queue to send the events to, in place of the file
    #[arg(long, value_name = "URL", conflicts_with = "events")]
    queue_url: Option<String>,
    /// The file that events are appended to, one CloudEvent a line
    #[arg(long, value_name = "FILE", default_value = "hookgate-events.jsonl")]
    events: PathBuf,
    /// The largest event that the queue takes, in bytes
    #[arg(long, value_name = "BYTES", env = "QUEUE_MAX_BYTES", default_value_t = DEFAULT_MAX_BYTES)]
    max_bytes: usize,
}

/// Serves until Ctrl-C.
pub fn run(options: &Options) -> Result<(), Failed> {
    let configured = config::read(&options.config)?;
    let store = store(options)?;
    let runtime = runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;

    let (told, lines) = sync_channel::<String>(LINES);
    let printer = thread::spawn(move || lines.into_iter().for_each(|line| screen::say(&line)));
    let outcome = runtime.block_on(async {
        let asked = SocketAddr::from((Ipv4Addr::LOCALHOST, options.port));
        let listener = TcpListener::bind(asked).await.map_err(|error| {
            format!(
                "{asked} cannot be listened on: {error}. Another port: --port {}",
                options.port.wrapping_add(1)
            )
        })?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        screen::say(&greeting(options, &configured, address));
        let gateway = Arc::new(Gateway::new(configured, &store, options.max_bytes, Some(told)));
        let (ended, ending) = tokio::sync::oneshot::channel();
        let stop = async move {
            stop::asked().await;
            let _ = ended.send(());
        };
        let overdue = async {
            let _ = ending.await;
            // A second Ctrl-C ends what the first one waits for.
            tokio::select! {
                () = stop::asked() => {}
                () = tokio::time::sleep(ENDING) => {}
            }
        };
        tokio::select! {
            served = gateway.serve(listener, stop) => served.map_err(|error| error.to_string()),
            () = overdue => Ok(()),
        }
    });
    runtime.shutdown_timeout(ENDING);
    let _ = printer.join();
    outcome?;
    screen::say("\nStopped. Every event that was answered 2xx is kept.");
    Ok(())
}

fn store(options: &Options) -> Result<Arc<dyn Store>, String> {
    if let Some(url) = &options.queue_url {
        return queue(url);
    }
    let shown = options.events.display();
    let (file, found) = EventsFile::open(&options.events)?;
    if found.cut {
        screen::warn(&format!("the last line of {shown} was cut short; it was ended, what follows is whole"));
    }
    if found.open_to_others {
        screen::warn(&format!("others can read the events: chmod 600 {shown}"));
    }
    Ok(Arc::new(file))
}

fn queue(url: &str) -> Result<Arc<dyn Store>, String> {
    let is_set = |name: &&str| env::var(name).is_ok_and(|value| !value.trim().is_empty());
    let mut missing: Vec<&str> = Vec::new();
    missing.extend(["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].iter().filter(|name| !is_set(name)));
    if !["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(is_set) {
        missing.push("AWS_REGION");
    }
    if !missing.is_empty() {
        let (missing, are) = (missing.join(", "), if missing.len() == 1 { "is" } else { "are" });
        return Err(format!(
            "--queue-url needs credentials, and {missing} {are} not set. An emulator takes any values; real ones come \
             from `aws configure export-credentials --format env`."
        ));
    }
    let endpoint = Aws::endpoint_override("SQS").or_else(|| origin(url));
    let endpoint = endpoint.ok_or_else(|| "--queue-url must begin with http:// or https://".to_owned())?;
    Ok(Arc::new(Sqs::at(&Arc::new(Aws::from_env()), url, Some(endpoint))))
}

fn greeting(options: &Options, configured: &[Configured], address: SocketAddr) -> String {
    let mut text =
        format!("Hookgate listens on {}; Ctrl-C ends it.\n", paint(STRONG, format_args!("http://{address}")));
    let width = configured
        .iter()
        .map(|configured| configured.provider.title.chars().count())
        .max()
        .unwrap_or_default();
    for Configured { provider, document, .. } in configured {
        for endpoint in document.endpoints() {
            let below = endpoint.name().map(|name| format!("/{name}")).unwrap_or_default();
            let url = format!("http://{address}/{}{below}", provider.name);
            text.push_str(&format!("\n  {:<width$}  {url}", provider.title));
        }
    }
    let events = match &options.queue_url {
        Some(url) => url.clone(),
        None => options.events.display().to_string(),
    };
    let (command, config) = (screen::command(), options.config.display());
    let mut try_it = String::new();
    let mut name = "";
    if let Some(first) = configured.first() {
        name = first.provider.name;
        try_it = format!("{command} send {name}");
        if let [endpoint, _, ..] = first.document.endpoints() {
            try_it.push_str(&format!(" --endpoint {}", endpoint.name().unwrap_or_default()));
        }
    }
    if options.config != Path::new("hookgate.toml") {
        try_it.push_str(&format!(" --config {config}"));
    }
    if address.port() != 9000 {
        try_it.push_str(&format!(" --to http://{address}/{name}"));
    }
    text.push_str(&format!(
        "\n\n  {}  {events}\n  {}  {try_it}\n",
        paint(FAINT, "events"),
        paint(FAINT, "try it")
    ));
    text
}
