//! An emulator of AWS as a process of its own on a free port of 127.0.0.1, and the signed requests that a test makes to it.

use crate::sigv4::{self, Key};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::Value;
use std::ffi::OsString;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, io, process, thread};
use ureq::Body;
use ureq::http::{Request, Response};

const START_TIMEOUT: Duration = Duration::from_secs(60);
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// Below it stand services with numbers of their own.
const LOWEST_PORT: u16 = 10_240;

/// Ends the emulator, all it started and its folder, when standard input closes: so it goes when the double is dropped,
/// and also when the test's process dies of anything. A job in the background would read from /dev/null, hence 3.
/// What the shell says at the end has no reader any more.
const KEEPER: &str = r#"
exec 3<&0
folder=$1
shift
"$@" </dev/null 3<&- & emulator=$!
exec >/dev/null 2>&1
{ read -r nothing; kill -s KILL $emulator; } <&3 & reader=$!
wait $emulator
kill -s KILL $reader
wait
rm -rf "$folder"
kill -s KILL -$$
"#;

/// What is to be known of an emulator to start it.
pub(crate) struct Program {
    /// Of its executable in the folder that `HOOKGATE_TEST_TOOLS` names.
    pub name: &'static str,
    pub arguments: fn(port: u16) -> Vec<String>,
    /// Beside `PATH`, `HOME` and `TMPDIR`.
    pub environment: fn(port: u16) -> Vec<(&'static str, OsString)>,
    /// A path that is answered with a text that holds the second, once the emulator is up.
    pub health: (&'static str, &'static str),
}

/// A running emulator, gone when dropped.
pub(crate) struct Emulator {
    pub keeper: Child,
    pub folder: PathBuf,
    pub agent: ureq::Agent,
    port: u16,
}

impl Emulator {
    /// Starts one and waits until it answers.
    ///
    /// Panics when `HOOKGATE_TEST_TOOLS` does not name a Python environment with it, or when it does not come up.
    pub fn start(program: &Program) -> Emulator {
        let tools = env::var_os("HOOKGATE_TEST_TOOLS").map(PathBuf::from).expect(
            "HOOKGATE_TEST_TOOLS is missing: the folder of a Python environment with tests/tools/emulate.txt; \
             tests/run makes it",
        );
        let path = tools.join("bin").join(program.name);
        assert!(path.is_file(), "{} is missing: tests/run makes it", path.display());
        // The port is free when we look; somebody else may take it before the emulator does.
        let mut failure = String::new();
        for _ in 0..3 {
            match Emulator::try_start(program, &path) {
                Ok(started) => return started,
                Err(reason) => failure = reason,
            }
        }
        panic!("{} did not start: {failure}", program.name)
    }

    fn try_start(program: &Program, path: &Path) -> Result<Emulator, String> {
        let port = free_port().map_err(|e| e.to_string())?;
        let folder = env::temp_dir().join(format!("hookgate-{}-{}-{port}", program.name, process::id()));
        fs::create_dir_all(&folder).map_err(|e| e.to_string())?;
        let (mut log, log_end) = io::pipe().map_err(|e| e.to_string())?;
        let second_end = log_end.try_clone().map_err(|e| e.to_string())?;
        let mut command = Command::new("/bin/sh");
        command.args(["-c", KEEPER, "sh"]).arg(&folder).arg(path).args((program.arguments)(port));
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("HOME", &folder).env("TMPDIR", &folder).envs((program.environment)(port));
        command.process_group(0).stdin(Stdio::piped()).stdout(log_end).stderr(second_end);
        let keeper = command.spawn().map_err(|e| e.to_string())?;
        drop(command);
        let log_reader = thread::spawn(move || {
            let mut text = Vec::new();
            // What cannot be read any more is not needed.
            let _ = log.read_to_end(&mut text);
            String::from_utf8_lossy(&text).into_owned()
        });
        let config =
            ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(CALL_TIMEOUT));
        let mut emulator = Emulator { keeper, port, folder, agent: config.build().into() };
        match emulator.wait_until_ready(program.health) {
            Ok(()) => Ok(emulator),
            Err(reason) => {
                drop(emulator);
                Err(format!("{reason}\n{}", log_reader.join().unwrap_or_default()))
            }
        }
    }

    fn wait_until_ready(&mut self, (path, sign): (&str, &str)) -> Result<(), String> {
        let until = Instant::now() + START_TIMEOUT;
        loop {
            let health = self.agent.get(format!("{}{path}", self.endpoint())).call();
            if health.is_ok_and(|mut h| h.body_mut().read_to_string().is_ok_and(|t| t.contains(sign))) {
                return Ok(());
            }
            if let Ok(Some(status)) = self.keeper.try_wait() {
                return Err(format!("it ended with {status}"));
            }
            if Instant::now() > until {
                return Err(format!("no answer within {START_TIMEOUT:?}"));
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Any operation of a service that speaks JSON. `Err` is AWS's error as JSON text.
    pub fn call(&self, key: &Key, service: &str, target: &str, input: &Value) -> Result<Value, String> {
        let version = if service == "sqs" || service == "dynamodb" { "1.0" } else { "1.1" };
        let content_type = format!("application/x-amz-json-{version}");
        let headers = [("content-type", content_type.as_str()), ("x-amz-target", target)];
        let input = input.to_string();
        let (status, body) = self.request(key, "POST", "/", &headers, input.as_bytes(), service);
        let text = String::from_utf8_lossy(&body).into_owned();
        if status != 200 {
            return Err(text);
        }
        if text.is_empty() { Ok(Value::Null) } else { serde_json::from_str(&text).map_err(|e| e.to_string()) }
    }

    /// An operation of S3 that has to succeed.
    #[track_caller]
    pub fn s3(&self, key: &Key, method: &str, target: &str, body: &[u8]) -> Vec<u8> {
        let (status, answer) = self.request(key, method, target, &[], body, "s3");
        assert_eq!(status, 200, "{method} {target}: {}", String::from_utf8_lossy(&answer));
        answer
    }

    /// The keys in a bucket, sorted. Panics over more than one page of them (1000).
    #[track_caller]
    pub fn keys(&self, key: &Key, bucket: &str) -> Vec<String> {
        let listed = self.s3(key, "GET", &format!("/{bucket}?encoding-type=url&list-type=2"), &[]);
        let listed = String::from_utf8(listed).expect("XML");
        assert!(
            listed.to_ascii_lowercase().contains("<istruncated>false</istruncated>"),
            "more than one page of keys"
        );
        let keys = listed.split("<Key>").skip(1).filter_map(|rest| rest.split("</Key>").next());
        // The key is encoded as in a form, so that it needs no XML escapes.
        keys.filter_map(|key| Some(form_urlencoded::parse(key.as_bytes()).next()?.0.into_owned())).collect()
    }

    /// An object's content type and bytes.
    #[track_caller]
    pub fn object(&self, key: &Key, target: &str) -> (String, Vec<u8>) {
        let answer = self.ask(key, "GET", target, &[], &[], "s3");
        assert_eq!(answer.status().as_u16(), 200, "{target}");
        let content_type = answer.headers().get("content-type").and_then(|value| value.to_str().ok());
        (content_type.unwrap_or_default().to_owned(), body_of(answer))
    }

    /// Status and body of the answer to a signed request; the headers given are signed with it.
    pub fn request(
        &self,
        key: &Key,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        service: &str,
    ) -> (u16, Vec<u8>) {
        let answer = self.ask(key, method, target, headers, body, service);
        (answer.status().as_u16(), body_of(answer))
    }

    fn ask(
        &self,
        key: &Key,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
        service: &str,
    ) -> Response<Body> {
        let host = format!("127.0.0.1:{}", self.port);
        let signed: Vec<_> = headers.iter().copied().chain([("host", host.as_str())]).collect();
        let signature = sigv4::sign(key, method, target, &signed, body, service);
        let mut request = Request::builder().method(method).uri(format!("{}{target}", self.endpoint()));
        for (name, value) in signed.iter().copied().chain(signature.iter().map(|(n, v)| (*n, v.as_str()))) {
            request = request.header(name, value);
        }
        let request = request.body(body).expect("a request of valid parts");
        self.agent.run(request).expect("the emulator's answer")
    }
}

fn body_of(mut answer: Response<Body>) -> Vec<u8> {
    let body = answer.body_mut().with_config().limit(256 * 1024 * 1024).read_to_vec();
    body.expect("the whole answer")
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // Closes its standard input, at which the keeper tidies up and ends itself last.
        drop(self.keeper.stdin.take());
        let until = Instant::now() + Duration::from_secs(5);
        while matches!(self.keeper.try_wait(), Ok(None)) {
            if Instant::now() > until {
                let _ = kill_process_group(Pid::from_child(&self.keeper), Signal::KILL);
                let _ = self.keeper.wait();
                let _ = fs::remove_dir_all(&self.folder);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A port that is free now, outside of the range from which the system gives ports by itself: between now and the
/// emulator's start a double must not get it.
fn free_port() -> io::Result<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let first = range.split_whitespace().next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(32768);
    let span = u64::from(first.saturating_sub(LOWEST_PORT)).max(1);
    let mut last = None;
    for _ in 0..100 {
        let offset = u16::try_from(RandomState::new().build_hasher().finish() % span).unwrap_or_default();
        match TcpListener::bind((Ipv4Addr::LOCALHOST, LOWEST_PORT + offset)) {
            Ok(listener) => return Ok(listener.local_addr()?.port()),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| io::ErrorKind::AddrInUse.into()))
}

/// A member that has to be a text.
#[track_caller]
pub(crate) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text but {value}")).to_owned()
}
