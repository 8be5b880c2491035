//! The Lambda service around one function binary: the Runtime API, the environment, the process.
//!
//! ```no_run
//! use tests::{event::{BodyAs, Request}, lambda::{self, Function}, sqs::Sqs};
//! let sqs = Sqs::start();
//! let github = Function::start(lambda::binary("github"), [
//!     ("QUEUE_URL", sqs.queue_url()),
//!     ("AWS_ENDPOINT_URL_SQS", sqs.endpoint()),
//!     ("HOOKGATE_CONFIG", r#"{"secret":"throw-away"}"#.into()),
//! ]);
//! let call = Request::post("application/json", "{}");
//! assert_eq!(github.invoke(&call.function_url_event(BodyAs::AwsDecides)).status(), 401);
//! ```

use crate::clock::Clock;
use crate::http::{Answer, Call, Reply, Server, lock};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use std::{env, fmt, fs};

/// Throw-away credentials that every function gets and [`crate::sqs::Sqs`] knows.
pub const ACCESS_KEY_ID: &str = "AKIATHROWAWAY0000000";
/// The secret half of [`ACCESS_KEY_ID`].
pub const SECRET_ACCESS_KEY: &str = "throw-away-secret-access-key";
/// The time that [`Function::invoke`] gives a call.
pub const INVOKE_TIMEOUT: Duration = Duration::from_secs(20);

const INIT_TIMEOUT: Duration = Duration::from_secs(20);
/// How often a waiting call looks whether the process is still there.
const LIVENESS: Duration = Duration::from_millis(20);

/// The built binary of a provider: in `HOOKGATE_TEST_BINARIES`, or where cargo put it beside this test.
///
/// Panics when it is not there, saying how to build it.
pub fn binary(provider: &str) -> PathBuf {
    let folder = env::var_os("HOOKGATE_TEST_BINARIES").map_or_else(
        || {
            let test = env::current_exe().expect("the path of this test");
            // target/<profile>/deps/<test>
            test.ancestors().nth(2).expect("cargo's folder of binaries").to_owned()
        },
        PathBuf::from,
    );
    let path = folder.join(provider);
    assert!(path.is_file(), "{} is missing: run `cargo build -p {provider}` first", path.display());
    path
}

/// One environment of a function: a running process that answers one call at a time, or several where
/// [`Builder::calls_at_once`] says so. Killed when dropped.
pub struct Function {
    child: Mutex<Child>,
    pid: Pid,
    spawned: Instant,
    clock: Clock,
    desk: Arc<Desk>,
    calls_at_once: usize,
    logs: Arc<Mutex<Vec<u8>>>,
    log_reader: Option<JoinHandle<()>>,
    _server: Server,
}

/// How a function is to be started; see [`Function::builder`].
pub struct Builder {
    binary: PathBuf,
    env: Vec<(OsString, OsString)>,
    clock: Clock,
    memory_mb: u32,
    calls_at_once: usize,
}

/// How a call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The answer: `statusCode`, `headers`, `body`, `isBase64Encoded`.
    Response(Value),
    /// The error report that the function posted: `errorType`, `errorMessage`.
    Error(Value),
    /// Nothing within the time; the process is left running.
    TimedOut,
    /// The process ended before it answered, so.
    Exited(String),
}

/// Why a function never asked for its first call.
#[derive(Debug)]
pub struct StartFailure {
    /// The init error it posted, its exit status, or the time-out.
    pub reason: String,
    /// All it wrote to stdout and stderr.
    pub logs: String,
}

impl Outcome {
    /// The answer's `statusCode`. Panics when there is no answer, or none that a function URL takes.
    #[track_caller]
    pub fn status(&self) -> u16 {
        let status = self.response()["statusCode"].as_u64().and_then(|s| u16::try_from(s).ok());
        status.unwrap_or_else(|| panic!("no statusCode in {self:?}"))
    }

    /// A header of the answer, by its name in any case.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        let headers = self.response()["headers"].as_object()?;
        headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).and_then(|(_, v)| v.as_str())
    }

    /// All headers of the answer that are text.
    #[track_caller]
    pub fn headers(&self) -> Vec<(String, String)> {
        let headers = self.response()["headers"].as_object().into_iter().flatten();
        headers.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
    }

    /// The answer's body as the provider gets it.
    #[track_caller]
    pub fn body(&self) -> Vec<u8> {
        let response = self.response();
        let text = response["body"].as_str().unwrap_or_default();
        match response["isBase64Encoded"].as_bool() {
            Some(true) => BASE64_STANDARD.decode(text).expect("a base64 body"),
            _ => text.into(),
        }
    }

    /// The body as text. Panics when it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.body()).expect("a body of text")
    }

    /// The answer. Panics when there is none.
    #[track_caller]
    pub fn response(&self) -> &Value {
        match self {
            Outcome::Response(response) => response,
            other => panic!("the function gave no answer: {other:?}"),
        }
    }
}

impl fmt::Display for StartFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the function did not start: {}\n{}", self.reason, self.logs)
    }
}

impl Builder {
    /// One variable more.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Builder {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The wall clock of the process.
    #[must_use]
    pub fn clock(mut self, clock: Clock) -> Builder {
        self.clock = clock;
        self
    }

    /// What `AWS_LAMBDA_FUNCTION_MEMORY_SIZE` says; nothing enforces it. 128 by default.
    #[must_use]
    pub fn memory_mb(mut self, megabytes: u32) -> Builder {
        self.memory_mb = megabytes;
        self
    }

    /// How many calls it may have at once, as on Lambda Managed Instances. One by default, and then nothing tells it so.
    #[must_use]
    pub fn calls_at_once(mut self, calls: usize) -> Builder {
        self.calls_at_once = calls;
        self
    }

    /// Starts it and waits until it asks for its first call. Panics when it never does.
    #[track_caller]
    pub fn start(self) -> Function {
        self.try_start().unwrap_or_else(|failure| panic!("{failure}"))
    }

    /// Starts it and waits until it asks for its first call.
    pub fn try_start(self) -> Result<Function, StartFailure> {
        let desk = Arc::new(Desk::default());
        let of_server = desk.clone();
        let server = Server::start(move |call| of_server.serve(call));
        let (mut log_pipe, log_end) = io::pipe().expect("a pipe");
        let second_end = log_end.try_clone().expect("a second end of the pipe");

        let mut command = Command::new(&self.binary);
        command
            .env_clear()
            .envs(self.lambda_environment(&server))
            .envs(self.clock.environment())
            .envs(self.env);
        command.stdin(Stdio::null()).stdout(log_end).stderr(second_end);
        let spawned = Instant::now();
        let child =
            command.spawn().unwrap_or_else(|e| panic!("{} cannot be started: {e}", self.binary.display()));
        // Its ends of the pipe have to close, or the logs would never end.
        drop(command);

        let logs = Arc::new(Mutex::new(Vec::new()));
        let of_reader = logs.clone();
        let log_reader = thread::spawn(move || {
            let mut chunk = [0; 8192];
            while let Ok(n @ 1..) = log_pipe.read(&mut chunk) {
                lock(&of_reader).extend(&chunk[..n]);
            }
        });
        let function = Function {
            pid: Pid::from_child(&child),
            child: Mutex::new(child),
            spawned,
            clock: self.clock,
            desk,
            calls_at_once: self.calls_at_once,
            logs,
            log_reader: Some(log_reader),
            _server: server,
        };
        function.wait_for_first_next()
    }

    /// What Lambda sets for a function on `provided.al2023`.
    fn lambda_environment(&self, server: &Server) -> Vec<(&'static str, OsString)> {
        let name = self.binary.file_name().unwrap_or_default();
        let folder = self.binary.parent().unwrap_or(Path::new("/"));
        let memory = self.memory_mb.to_string();
        let several = self.calls_at_once > 1;
        let most = several.then(|| ("AWS_LAMBDA_MAX_CONCURRENCY", self.calls_at_once.to_string().into()));
        let mut environment = vec![
            ("AWS_LAMBDA_RUNTIME_API", server.address.to_string().into()),
            ("AWS_LAMBDA_FUNCTION_NAME", name.into()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".into()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", memory.into()),
            ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".into()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/test".into()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "test".into()),
            ("LAMBDA_TASK_ROOT", folder.into()),
            ("_HANDLER", "bootstrap".into()),
            ("AWS_REGION", "us-east-1".into()),
            ("AWS_DEFAULT_REGION", "us-east-1".into()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.into()),
            ("PATH", "/usr/local/bin:/usr/bin:/bin".into()),
            ("LANG", "en_US.UTF-8".into()),
            ("TZ", ":UTC".into()),
        ];
        environment.extend(most);
        environment
    }
}

impl Function {
    /// Starts a binary with these variables beside Lambda's own and waits until it asks for its first call.
    /// Nothing of the test's environment reaches it. Panics when it does not start, with its logs.
    #[track_caller]
    pub fn start<N: Into<OsString>, V: Into<OsString>>(
        binary: impl Into<PathBuf>,
        env: impl IntoIterator<Item = (N, V)>,
    ) -> Function {
        env.into_iter().fold(Function::builder(binary), |b, (name, value)| b.env(name, value)).start()
    }

    /// For more than [`Function::start`] offers.
    pub fn builder(binary: impl Into<PathBuf>) -> Builder {
        Builder {
            binary: binary.into(),
            env: Vec::new(),
            clock: Clock::Real,
            memory_mb: 128,
            calls_at_once: 1,
        }
    }

    /// Hands the function an event, any text, and waits for its answer.
    pub fn invoke(&self, event: &str) -> Outcome {
        self.invoke_within(event, INVOKE_TIMEOUT)
    }

    /// [`Function::invoke`] with another time-out, which is also the call's deadline.
    ///
    /// Calls from several threads take turns where the environment has as many as it serves at once.
    pub fn invoke_within(&self, event: &str, timeout: Duration) -> Outcome {
        let mut state = self.desk.lock();
        while state.running.len() >= self.calls_at_once {
            state = self.desk.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let until = Instant::now() + timeout;
        let deadline = self.clock.now(self.spawned.elapsed()) + timeout;
        state.calls += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", state.calls);
        state.running.insert(id.clone(), None);
        state.waiting.push_back(Invocation { id: id.clone(), event: event.to_owned(), deadline });
        self.desk.changed.notify_all();
        let has_ended = |state: &State| state.running.get(&id).is_some_and(Option::is_some);
        let (mut state, ended) = self.wait(state, until, has_ended);
        // Whatever comes later for this call is no answer any more.
        state.waiting.retain(|waiting| waiting.id != id);
        let answer = state.running.remove(&id).flatten();
        self.desk.changed.notify_all();
        match (answer, ended) {
            (Some(outcome), _) => outcome,
            (None, Some(status)) => Outcome::Exited(status.to_string()),
            (None, None) => Outcome::TimedOut,
        }
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        lock(&self.child).id()
    }

    /// What came so far from stdout and stderr, in the order written.
    ///
    /// Lines of the last call may still be on their way; [`Function::stop`] gives everything.
    pub fn logs(&self) -> String {
        String::from_utf8_lossy(&lock(&self.logs)).into_owned()
    }

    /// Waits until the function is idle, ends it, and gives all it ever wrote.
    pub fn stop(mut self) -> String {
        let until = Instant::now() + INVOKE_TIMEOUT;
        drop(self.wait(self.desk.lock(), until, |state| state.asking == self.calls_at_once));
        self.kill();
        if let Some(reader) = self.log_reader.take() {
            reader.join().expect("the thread that reads the logs");
        }
        self.logs()
    }

    /// Freezes the process, as Lambda does between calls.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Thaws it.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// The most memory it ever held, in KiB (`VmHWM`). Panics when the process has ended.
    pub fn peak_rss_kib(&self) -> u64 {
        let status = self.proc("status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("VmHWM");
        line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
    }

    /// The CPU time its present threads have used. Panics when the process has ended.
    pub fn cpu_time(&self) -> Duration {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.pid())).expect("a living process");
        let nanoseconds = |schedstat: String| schedstat.split(' ').next()?.parse::<u64>().ok();
        // A thread may end while we look; its file is then gone.
        let each = tasks.flatten().filter_map(|t| fs::read_to_string(t.path().join("schedstat")).ok());
        Duration::from_nanos(each.filter_map(nanoseconds).sum())
    }

    /// From the start of the process until it asked for its first call.
    pub fn init_time(&self) -> Duration {
        let first_next = self.desk.lock().first_next.expect("it has started");
        first_next - self.spawned
    }

    fn wait_for_first_next(self) -> Result<Function, StartFailure> {
        let until = self.spawned + INIT_TIMEOUT;
        let started = |state: &State| state.first_next.is_some() || state.init_error.is_some();
        let (state, ended) = self.wait(self.desk.lock(), until, started);
        let reason = match (&state.init_error, state.first_next, ended) {
            (Some(report), _, _) => format!("init error {report}"),
            (None, Some(_), _) => {
                drop(state);
                return Ok(self);
            }
            (None, None, Some(status)) => format!("the process ended with {status}"),
            (None, None, None) => format!("no call asked for within {INIT_TIMEOUT:?}"),
        };
        drop(state);
        // After an init error the process goes on to end by itself: its last words belong to the logs.
        let until = Instant::now() + Duration::from_secs(2);
        drop(self.wait(self.desk.lock(), until, |_| false));
        Err(StartFailure { reason, logs: self.kill_and_read() })
    }

    fn kill_and_read(mut self) -> String {
        self.kill();
        if let Some(reader) = self.log_reader.take() {
            reader.join().expect("the thread that reads the logs");
        }
        self.logs()
    }

    /// Waits until the condition holds, the process has ended (its status is then given) or the time is up.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
        condition: impl Fn(&State) -> bool,
    ) -> (MutexGuard<'a, State>, Option<ExitStatus>) {
        loop {
            // Looked at before the condition: an answer posted just before the end still counts.
            let ended = lock(&self.child).try_wait().expect("the state of our own child");
            let left = until.saturating_duration_since(Instant::now());
            if condition(&state) || ended.is_some() || left.is_zero() {
                return (state, ended);
            }
            let waited = self.desk.changed.wait_timeout(state, left.min(LIVENESS));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("a living process");
    }

    fn proc(&self, file: &str) -> String {
        fs::read_to_string(format!("/proc/{}/{file}", self.pid())).expect("a living process")
    }

    fn kill(&mut self) {
        let mut child = lock(&self.child);
        // Fails only when it has ended already. SIGKILL also ends a stopped process.
        let _ = child.kill();
        child.wait().expect("the end of our own child");
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        self.kill();
        self.desk.lock().closed = true;
        self.desk.changed.notify_all();
    }
}

/// The Runtime API's side of one environment.
#[derive(Default)]
struct Desk {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    calls: u64,
    /// The calls that wait to be fetched.
    waiting: VecDeque<Invocation>,
    /// The calls whose end is awaited, by their ids, with the answer that came.
    running: HashMap<String, Option<Outcome>>,
    /// How often the function is asking for a call right now.
    asking: usize,
    first_next: Option<Instant>,
    init_error: Option<Value>,
    closed: bool,
}

struct Invocation {
    id: String,
    event: String,
    /// Since 1970, by the function's clock.
    deadline: Duration,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    fn serve(&self, call: &Call) -> Reply {
        let path = call.target.strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
        let parts: Vec<&str> = path.split('/').collect();
        match (call.method.as_str(), parts.as_slice()) {
            ("GET", ["invocation", "next"]) => self.next(),
            ("POST", ["invocation", id, "response"]) => self.ended(id, response(&call.body)),
            ("POST", ["invocation", id, "error"]) => self.ended(id, Outcome::Error(report(&call.body))),
            ("POST", ["init", "error"]) => {
                self.lock().init_error = Some(report(&call.body));
                self.changed.notify_all();
                accepted()
            }
            _ => refused(404, "NotFound", "no such operation of the Runtime API"),
        }
    }

    /// Holds the request until there is a call to hand out.
    fn next(&self) -> Reply {
        let mut state = self.lock();
        state.first_next.get_or_insert_with(Instant::now);
        state.asking += 1;
        self.changed.notify_all();
        let invocation = loop {
            if state.closed {
                return Reply::Reset;
            }
            if let Some(invocation) = state.waiting.pop_front() {
                break invocation;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        state.asking -= 1;
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:test";
        Reply::Answer(Answer {
            status: 200,
            headers: vec![
                ("content-type", "application/json".into()),
                ("lambda-runtime-aws-request-id", invocation.id),
                ("lambda-runtime-deadline-ms", invocation.deadline.as_millis().to_string()),
                ("lambda-runtime-invoked-function-arn", arn.into()),
                ("lambda-runtime-trace-id", "Root=1-6b05f6a0-0123456789abcdef01234567;Sampled=0".into()),
            ],
            body: invocation.event.into_bytes(),
        })
    }

    fn ended(&self, id: &str, outcome: Outcome) -> Reply {
        let mut state = self.lock();
        match state.running.get_mut(id) {
            Some(answer @ None) => *answer = Some(outcome),
            _ => return refused(400, "InvalidRequestID", "not a call that is running"),
        }
        self.changed.notify_all();
        accepted()
    }
}

/// Lambda takes any bytes; a function URL answers 502 to what is not JSON.
fn response(body: &[u8]) -> Outcome {
    match serde_json::from_slice(body) {
        Ok(value) => Outcome::Response(value),
        Err(_) => Outcome::Error(report(body)),
    }
}

fn report(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| json!({ "notJson": String::from_utf8_lossy(body) }))
}

fn accepted() -> Reply {
    Reply::Answer(Answer {
        status: 202,
        headers: vec![("content-type", "application/json".into())],
        body: br#"{"status":"OK"}"#.to_vec(),
    })
}

fn refused(status: u16, kind: &str, message: &str) -> Reply {
    Reply::Answer(Answer {
        status,
        headers: vec![("content-type", "application/json".into())],
        body: json!({ "errorType": kind, "errorMessage": message }).to_string().into_bytes(),
    })
}
