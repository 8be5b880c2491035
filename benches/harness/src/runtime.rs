//! The Lambda Runtime API on this machine: hands events over and takes answers.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>
//!
//! A call's time is taken by the thread of its connection: from just before the event is written until the answer has
//! been read. Any number of environments may ask one API for calls, over any number of connections.

use crate::http::{self, Request};
use std::collections::{HashMap, VecDeque};
use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What a function has for a call.
const DEADLINE: Duration = Duration::from_secs(300);
const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:bench";

/// A call that was answered, or failed.
pub struct Done {
    /// When the event began to be written.
    pub started: Instant,
    /// When the answer had been read.
    pub ended: Instant,
    /// When it had come, which is before it started if nobody was free.
    pub came: Instant,
    /// The HTTP status in the function's answer, or what the function said of its failure.
    pub status: Result<u16, String>,
}

struct Pending {
    event: Arc<str>,
    came: Instant,
    done: Sender<Done>,
}

struct UnderWay {
    started: Instant,
    pending: Pending,
}

#[derive(Default)]
struct State {
    pending: VecDeque<Pending>,
    under_way: HashMap<String, UnderWay>,
    /// How many requests for a call wait for one.
    waiting: usize,
    /// When the first one came.
    ready: Option<Instant>,
    failed: Option<String>,
    last: u64,
    is_closed: bool,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A Runtime API. Its threads end when it is dropped.
pub struct Api {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Api {
    /// Listens at a port of its own.
    pub fn start() -> io::Result<Api> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let address = listener.local_addr()?;
        let shared = Arc::<Shared>::default();
        let of_listener = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if of_listener.state().is_closed {
                    break;
                }
                let shared = of_listener.clone();
                // A connection that breaks is the end of its environment, and who waits for an answer is told so.
                thread::spawn(move || drop(serve(stream, &shared)));
            }
        });
        Ok(Api { address, shared })
    }

    /// `AWS_LAMBDA_RUNTIME_API`.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits until so many requests for a call wait for one. Gives when the first one came.
    pub fn ready(&self, pollers: usize, most: Duration) -> Result<Instant, String> {
        let until = Instant::now() + most;
        let mut state = self.shared.state();
        loop {
            if let Some(failed) = state.failed.take() {
                return Err(failed);
            }
            if let (true, Some(ready)) = (state.waiting >= pollers, state.ready) {
                return Ok(ready);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err("no function asked for a call in time".to_owned());
            }
            state = self.shared.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many requests for a call wait for one now.
    pub fn pollers(&self) -> usize {
        self.shared.state().waiting
    }

    /// Hands a call over to whoever asks next. What came of it goes to `done`.
    pub fn invoke(&self, event: &Arc<str>, came: Instant, done: &Sender<Done>) {
        let pending = Pending { event: event.clone(), came, done: done.clone() };
        self.shared.state().pending.push_back(pending);
        self.shared.changed.notify_all();
    }

    /// One call after another: hands it over and waits.
    pub fn call(&self, event: &Arc<str>, most: Duration) -> Result<Done, String> {
        let (done, answered): (_, Receiver<Done>) = channel();
        self.invoke(event, Instant::now(), &done);
        answered.recv_timeout(most).map_err(|_| "no answer to a call in time".to_owned())
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.shared.state().is_closed = true;
        self.shared.changed.notify_all();
        // So that the listener's thread looks.
        drop(TcpStream::connect(self.address));
    }
}

fn serve(stream: TcpStream, shared: &Shared) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = BufReader::with_capacity(65_536, stream);
    let mut request = Request::default();
    while request.read(&mut stream)? {
        let read = Instant::now();
        let (_, path) = request.line();
        let path = path.strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
        if path == "invocation/next" {
            let Some(pending) = next(shared, read) else { return Ok(()) };
            let id = {
                let mut state = shared.state();
                state.last += 1;
                format!("00000000-0000-4000-8000-{:012x}", state.last)
            };
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let headers = format!(
                "content-type: application/json\r\nlambda-runtime-aws-request-id: {id}\r\n\
                 lambda-runtime-deadline-ms: {}\r\nlambda-runtime-invoked-function-arn: {ARN}\r\n\
                 lambda-runtime-trace-id: Root=1-6b05f6a0-0123456789abcdef01234567;Sampled=0\r\n",
                (now + DEADLINE).as_millis()
            );
            let answer = http::answer("200 OK", &headers, pending.event.as_bytes());
            let started = Instant::now();
            shared.state().under_way.insert(id, UnderWay { started, pending });
            stream.get_mut().write_all(&answer)?;
            continue;
        }
        let said = || String::from_utf8_lossy(&request.body).into_owned();
        match path.strip_prefix("invocation/").and_then(|rest| rest.split_once('/')) {
            Some((id, what)) => {
                let status = match what {
                    "response" => status(&request.body).ok_or_else(said),
                    _ => Err(said()),
                };
                if let Some(UnderWay { started, pending }) = shared.state().under_way.remove(id) {
                    let Pending { came, done, .. } = pending;
                    // Who asked may have given up.
                    drop(done.send(Done { started, ended: read, came, status }));
                }
            }
            None => {
                shared.state().failed = Some(said());
                shared.changed.notify_all();
            }
        }
        stream.get_mut().write_all(&http::answer("202 Accepted", "", b""))?;
    }
    Ok(())
}

/// Waits for a call. `None` when there will be none any more.
fn next(shared: &Shared, asked: Instant) -> Option<Pending> {
    let mut state = shared.state();
    state.ready.get_or_insert(asked);
    state.waiting += 1;
    shared.changed.notify_all();
    loop {
        if state.is_closed {
            return None;
        }
        if let Some(pending) = state.pending.pop_front() {
            state.waiting -= 1;
            return Some(pending);
        }
        state = shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
    }
}

/// The status in a function's answer.
fn status(answer: &[u8]) -> Option<u16> {
    #[derive(serde::Deserialize)]
    struct Answer {
        #[serde(rename = "statusCode")]
        status: u16,
    }
    serde_json::from_slice::<Answer>(answer).ok().map(|answer| answer.status)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An environment's connection.
    struct Poller(BufReader<TcpStream>);

    impl Poller {
        fn new(api: &Api) -> Poller {
            Poller(BufReader::new(TcpStream::connect(api.address()).unwrap()))
        }

        fn send(&mut self, method: &str, path: &str, body: &str) {
            let length = body.len();
            let request = format!(
                "{method} /2018-06-01/runtime/{path} HTTP/1.1\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            self.0.get_mut().write_all(request.as_bytes()).unwrap();
        }

        /// The id of the next call and its event.
        fn take(&mut self) -> (String, String) {
            let mut answer = Request::default();
            assert!(answer.read(&mut self.0).unwrap());
            let id = answer.header("lambda-runtime-aws-request-id").unwrap_or_default().to_owned();
            (id, String::from_utf8(answer.body).unwrap())
        }
    }

    #[test]
    fn several_calls_are_under_way_at_once() {
        let most = Duration::from_secs(10);
        let api = Api::start().unwrap();
        let mut pollers = [Poller::new(&api), Poller::new(&api)];
        for poller in &mut pollers {
            poller.send("GET", "invocation/next", "");
        }
        api.ready(2, most).unwrap();
        assert_eq!(api.pollers(), 2);
        let (done, answers) = channel();
        for event in ["\"first\"", "\"second\""] {
            api.invoke(&event.into(), Instant::now(), &done);
        }
        let mut taken = pollers.each_mut().map(|poller| (poller.take(), poller));
        taken.sort_by(|((_, one), _), ((_, other), _)| one.cmp(other));
        let [((first, event), poller), ((second, _), other)] = taken;
        assert_eq!(event, "\"first\"");
        other.send("POST", &format!("invocation/{second}/response"), r#"{"statusCode":401}"#);
        let answered = answers.recv_timeout(most).unwrap();
        assert_eq!(answered.status, Ok(401));
        assert!(answered.came <= answered.started && answered.started <= answered.ended);
        poller.send("POST", &format!("invocation/{first}/error"), "what went wrong");
        assert_eq!(answers.recv_timeout(most).unwrap().status, Err("what went wrong".to_owned()));
    }

    #[test]
    fn an_init_that_failed_is_told() {
        let api = Api::start().unwrap();
        Poller::new(&api).send("POST", "init/error", "no settings");
        assert_eq!(api.ready(1, Duration::from_secs(10)).unwrap_err(), "no settings");
    }
}
