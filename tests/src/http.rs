//! A small HTTP/1.1 server with one thread for each connection, for the doubles.
//!
//! It is written by hand because a double has to do what no proper server does: reset a connection,
//! stop in the middle of an answer, or keep silent.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const MAX_HEAD: u64 = 64 * 1024;
const MAX_BODY: u64 = 16 * 1024 * 1024;

/// One request, read whole.
#[derive(Debug)]
pub(crate) struct Call {
    pub method: String,
    /// Path and query as sent.
    pub target: String,
    /// Names in lower case, in the order sent.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Number of the connection it came on, from 1.
    pub connection: usize,
}

impl Call {
    /// The first header of that (lower-case) name, or an empty text.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, v)| v)
    }
}

/// An answer; `content-length` is added on the way out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Vec<(&'static str, String)>,
    pub body: Vec<u8>,
}

/// What happens on the wire after a request was read.
#[derive(Debug)]
pub(crate) enum Reply {
    /// The answer; the connection stays open.
    Answer(Answer),
    /// The whole answer, then the connection is closed without a word of it in the headers.
    AnswerThenClose(Answer),
    /// Head and half of the body, then the connection is closed.
    Half(Answer),
    /// A TCP reset instead of an answer.
    Reset,
    /// No answer at all until the client gives up.
    Silence,
}

/// A server on 127.0.0.1, gone when dropped, with all its connections.
pub(crate) struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Option<JoinHandle<()>>,
}

struct Shared {
    closed: AtomicBool,
    accepted: AtomicUsize,
    /// Weak, so that the connection's own thread is the last owner and its drop closes the socket.
    open: Mutex<Vec<Weak<TcpStream>>>,
}

impl Server {
    pub fn start(serve: impl Fn(&Call) -> Reply + Send + Sync + 'static) -> Server {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on 127.0.0.1");
        let address = listener.local_addr().expect("the address just bound");
        let shared = Arc::new(Shared {
            closed: AtomicBool::new(false),
            accepted: AtomicUsize::new(0),
            open: Mutex::default(),
        });
        let of_acceptor = shared.clone();
        let acceptor = thread::spawn(move || accept(&listener, &of_acceptor, &Arc::new(serve)));
        Server { address, shared, acceptor: Some(acceptor) }
    }

    /// How many connections were accepted so far.
    pub fn connections(&self) -> usize {
        self.shared.accepted.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        // Wakes the acceptor, which then sees `closed`.
        let woken = TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok();
        if let Some(acceptor) = self.acceptor.take().filter(|_| woken) {
            let _ = acceptor.join();
        }
        for stream in lock(&self.shared.open).drain(..).filter_map(|s| s.upgrade()) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

/// A lock that outlives a panic of another test thread.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn accept(
    listener: &TcpListener,
    shared: &Shared,
    serve: &Arc<impl Fn(&Call) -> Reply + Send + Sync + 'static>,
) {
    for stream in listener.incoming() {
        if shared.closed.load(Ordering::SeqCst) {
            return;
        }
        let Ok(stream) = stream else { continue };
        let stream = Arc::new(stream);
        let mut open = lock(&shared.open);
        open.retain(|s| s.strong_count() > 0);
        open.push(Arc::downgrade(&stream));
        drop(open);
        let connection = shared.accepted.fetch_add(1, Ordering::SeqCst) + 1;
        let serve = serve.clone();
        thread::spawn(move || {
            // A client may go away at any point; that ends its connection and nothing else.
            let _ = converse(&stream, connection, &*serve);
        });
    }
}

fn converse(stream: &TcpStream, connection: usize, serve: &impl Fn(&Call) -> Reply) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut input = BufReader::new(stream);
    while let Some(call) = read_call(&mut input, connection)? {
        match serve(&call) {
            Reply::Answer(answer) => send(stream, &answer, answer.body.len())?,
            Reply::AnswerThenClose(answer) => return send(stream, &answer, answer.body.len()),
            Reply::Half(answer) => return send(stream, &answer, answer.body.len() / 2),
            // With no time to linger, closing sends RST instead of FIN.
            Reply::Reset => return socket2::SockRef::from(stream).set_linger(Some(Duration::ZERO)),
            Reply::Silence => return io::copy(&mut input, &mut io::sink()).map(drop),
        }
        if call.header("connection").eq_ignore_ascii_case("close") {
            break;
        }
    }
    Ok(())
}

/// The next request, or `None` when the client has closed the connection between two requests.
fn read_call(input: &mut impl BufRead, connection: usize) -> io::Result<Option<Call>> {
    let mut head = input.by_ref().take(MAX_HEAD);
    let Some(first) = read_line(&mut head)? else { return Ok(None) };
    let mut words = first.split(' ').map(str::to_owned);
    let (Some(method), Some(target), Some(_version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(malformed("request line"));
    };
    let mut call = Call { method, target, headers: Vec::new(), body: Vec::new(), connection };
    loop {
        let line = read_line(&mut head)?.ok_or_else(|| malformed("head without an end"))?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed("header line"))?;
        call.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    // The clients driven here always know their length; a chunked body would be a surprise worth seeing.
    if !call.header("transfer-encoding").is_empty() {
        return Err(malformed("transfer-encoding is not spoken here"));
    }
    let length = match call.header("content-length") {
        "" => 0,
        digits => digits.parse().map_err(|_| malformed("content-length"))?,
    };
    if length > MAX_BODY {
        return Err(malformed("body over the double's limit"));
    }
    input.take(length).read_to_end(&mut call.body)?;
    if call.body.len() as u64 != length {
        return Err(malformed("body shorter than content-length"));
    }
    Ok(Some(call))
}

fn read_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\r\n").ok_or_else(|| malformed("line without CRLF"))?;
    String::from_utf8(line.to_vec()).map(Some).map_err(|_| malformed("head is not UTF-8"))
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn send(mut stream: &TcpStream, answer: &Answer, bytes_of_body: usize) -> io::Result<()> {
    let mut out = format!("HTTP/1.1 {} .\r\n", answer.status).into_bytes();
    for (name, value) in &answer.headers {
        out.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    out.extend(format!("content-length: {}\r\n\r\n", answer.body.len()).into_bytes());
    out.extend(&answer.body[..bytes_of_body]);
    stream.write_all(&out)
}
