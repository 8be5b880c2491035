//! `hookgate send`: one signed sample over HTTP, and whether the answer is the right one.

use crate::Failed;
use crate::config;
use crate::forge::{Kind, Signer};
use crate::screen::{self, BAD, FAINT, GOOD, harmless, paint};
use clap::Args;
use registry::{Entry, Sample};
use shared::sample::Draft;
use shared::settings::Document;
use shared::settings::Endpoint;
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use ureq::Agent;
use ureq::http::{Request, Uri};

/// How long an answer is waited for. The longest deadline of a provider is 30 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// How much of an answer is read, in bytes.
const MOST: u64 = 64 * 1024;

/// The options of `hookgate send`.
#[derive(Args)]
pub struct Options {
    /// A provider's name; `hookgate providers` lists them
    provider: String,
    /// A sample of that provider; the first one if left out
    sample: Option<String>,
    /// Where to post it; a URL of a deployed function works too
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// Send what must be refused
    #[arg(long, value_name = "KIND", value_enum)]
    forge: Option<Kind>,
    /// The settings file that `hookgate dev` reads; its first secret signs
    #[arg(long, value_name = "FILE", default_value = "hookgate.toml")]
    config: PathBuf,
    /// Which of the provider's endpoints
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// Ask what the provider asks when the URL is saved
    #[arg(long, conflicts_with_all = ["sample", "forge"])]
    handshake: bool,
    /// List the provider's samples
    #[arg(long, conflicts_with_all = ["sample", "forge", "handshake", "to", "endpoint"])]
    list: bool,
}

/// What came back.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body's beginning, as text.
    pub body: String,
    /// From the first byte sent to the last one read.
    pub took: Duration,
}

/// Sends what was asked for. An answer that is not the expected one is a failure.
pub fn run(options: &Options) -> Result<(), Failed> {
    let entry = find(&options.provider)?;
    if options.list {
        list(entry);
        return Ok(());
    }
    let samples = samples(options, entry)?;
    let configured = config::read_one(&options.config, entry.provider)?;
    let endpoint = endpoint(options, &configured.document)?;
    let signer = Signer { provider: entry.provider, endpoint, table: &configured.table };
    let base = options.to.clone().unwrap_or_else(|| format!("http://127.0.0.1:9000/{}", entry.provider.name));
    let base = match endpoint.name() {
        Some(name) => format!("{}/{name}", base.trim_end_matches('/')),
        None => base,
    };

    let agent = agent();
    let mut as_expected = true;
    for sample in samples {
        let draft = signer.draft(sample, options.forge, now())?;
        let url = url(&base, entry, sample, &draft)?;
        let answer = post(&agent, &url, draft)?;
        let fine = is_expected(answer.status, options.forge);
        as_expected &= fine;
        tell(sample, options.forge, &answer, fine);
    }
    if as_expected { Ok(()) } else { Err(Failed::Said) }
}

/// Whether a status is the right answer: 2xx to a genuine call, 401 to a forged one.
pub fn is_expected(status: u16, forged: Option<Kind>) -> bool {
    if forged.is_some() { status == 401 } else { (200..300).contains(&status) }
}

/// The time in Unix seconds.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

/// What sends: no redirects, and an answer of any status is an answer.
pub fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(PATIENCE))
        .user_agent("hookgate")
        .build()
        .new_agent()
}

/// Where a draft goes: to the base, or, if it asks for a page at the host's root, there.
pub fn url(base: &str, entry: &Entry, sample: &Sample, draft: &Draft) -> Result<String, String> {
    let uri: Uri = base.parse().map_err(|_| format!("{} is no URL", harmless(base)))?;
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.authority()) else {
        return Err(format!("{} is no URL: it must begin with http:// or https://", harmless(base)));
    };
    let own = sample
        .file
        .lines()
        .next()
        .and_then(|request| request.split_once(" /"))
        .map_or("", |(_, target)| target);
    let is_below = own.split(['/', '?']).next() == Some(entry.provider.name);
    let path = if is_below { uri.path() } else { &draft.path };
    let queries = [uri.query().unwrap_or_default(), &draft.query];
    let query = queries.into_iter().filter(|query| !query.is_empty()).collect::<Vec<_>>().join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    Ok(format!("{scheme}://{host}{path}{mark}{query}"))
}

/// Sends a draft and waits for the answer.
pub fn post(agent: &Agent, url: &str, draft: Draft) -> Result<Answer, String> {
    let mut request = Request::builder().method(draft.method.as_str()).uri(url);
    for (name, value) in &draft.headers {
        request = request.header(name, value);
    }
    let bad = |error: ureq::http::Error| format!("a request that cannot be sent: {error}");
    let start = Instant::now();
    let sent = if draft.method == "POST" {
        agent.run(request.body(draft.body).map_err(bad)?)
    } else {
        agent.run(request.body(()).map_err(bad)?)
    };
    let mut response = sent.map_err(|error| unanswered(url, &error))?;
    let body = response.body_mut().with_config().limit(MOST).read_to_vec();
    let body = body.map_err(|error| unanswered(url, &error))?;
    let body = String::from_utf8_lossy(&body).into_owned();
    Ok(Answer { status: response.status().as_u16(), body, took: start.elapsed() })
}

/// The host and no more: the query may hold a token.
fn unanswered(url: &str, error: &ureq::Error) -> String {
    let host = url.split(['/', '?']).take(3).collect::<Vec<_>>().join("/");
    let hint = match error {
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
            format!("\nIs the gateway running? {} dev", screen::command())
        }
        _ => String::new(),
    };
    format!("no answer from {}: {error}{hint}", harmless(&host))
}

/// The provider of that name.
pub fn find(name: &str) -> Result<&'static Entry, String> {
    registry::find(name).ok_or_else(|| {
        let names: Vec<&str> = registry::ENTRIES.iter().map(|entry| entry.provider.name).collect();
        format!("no provider is called `{}`. There are {}.", harmless(name), names.join(", "))
    })
}

fn samples(options: &Options, entry: &'static Entry) -> Result<Vec<&'static Sample>, String> {
    let all = entry.samples;
    let title = entry.provider.title;
    if options.handshake {
        let found: Vec<&Sample> = all.iter().filter(|sample| sample.is_handshake()).collect();
        return if found.is_empty() {
            Err(format!("{title} asks nothing when the URL is saved"))
        } else {
            Ok(found)
        };
    }
    let Some(name) = &options.sample else {
        let first = all.iter().find(|sample| !sample.is_handshake());
        return first.map(|sample| vec![sample]).ok_or_else(|| format!("there is no sample of {title}"));
    };
    let found = all.iter().find(|sample| sample.name == name || said(sample) == name);
    let found = found.ok_or_else(|| {
        let names: Vec<&str> = all.iter().map(|sample| sample.name).collect();
        format!("{title} has no sample `{}`. There are {}.", harmless(name), names.join(", "))
    })?;
    if options.forge.is_some() && found.is_handshake() {
        return Err(format!("{} is a handshake; only events are forged", found.name));
    }
    Ok(vec![found])
}

/// A sample's name for people.
pub fn said(sample: &Sample) -> &'static str {
    sample.name.strip_prefix(registry::HANDSHAKE).unwrap_or(sample.name)
}

fn endpoint<'d>(options: &Options, document: &'d Document) -> Result<&'d Endpoint, String> {
    let names = || document.endpoints().iter().filter_map(Endpoint::name).collect::<Vec<_>>().join(", ");
    match (&options.endpoint, document.endpoints()) {
        (None, [only]) => Ok(only),
        (None, _) => Err(format!("which endpoint? --endpoint with one of {}", names())),
        (Some(name), all) => {
            let found = all.iter().find(|endpoint| endpoint.name() == Some(name));
            found.ok_or_else(|| match names() {
                none if none.is_empty() => "no endpoints are configured: leave --endpoint out".to_owned(),
                names => format!("no endpoint is called `{}`. There are {names}.", harmless(name)),
            })
        }
    }
}

fn list(entry: &Entry) {
    for sample in entry.samples {
        let note = if sample.is_handshake() { paint(FAINT, "  handshake") } else { String::new() };
        screen::say(&format!("{}{note}", sample.name));
    }
}

fn tell(sample: &Sample, forged: Option<Kind>, answer: &Answer, fine: bool) {
    let (mark, style) = if fine { ("✓", GOOD) } else { ("✗", BAD) };
    let what = forged.map(|kind| format!(" (forged: {})", kind.said())).unwrap_or_default();
    let status = paint(style, format_args!("{mark} {}", answer.status));
    let took = paint(FAINT, format_args!("{:.1} ms", answer.took.as_secs_f64() * 1000.0));
    screen::say(&format!("{status}  {}{what}  {took}", sample.name));
    if !answer.body.is_empty() {
        for line in answer.body.lines() {
            screen::say(&format!("  {}", harmless(line)));
        }
    }
    if !fine {
        let expected = if forged.is_some() { "401" } else { "2xx" };
        screen::say(&format!("  expected {expected}"));
    }
}
