//! As much of HTTP/1.1 as clients of the Runtime API and SDKs speak, over connections that are kept. Lean, since what it
//! costs is time that the functions wait.

use std::io::{self, BufRead as _, BufReader, Read, Write};

/// The longest head of a request in bytes.
const MAX_HEAD: usize = 65_536;

/// A connection, plain or through TLS.
pub trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// A request.
#[derive(Default)]
pub struct Request {
    head: Vec<u8>,
    pub body: Vec<u8>,
}

impl Request {
    /// The method and the target.
    pub fn line(&self) -> (&str, &str) {
        let line = self.head.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let mut words = std::str::from_utf8(line).unwrap_or_default().split(' ');
        (words.next().unwrap_or_default(), words.next().unwrap_or_default())
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split(|byte| *byte == b'\n').skip(1);
        lines.find_map(|line| {
            let (is, value) = line.split_at_checked(name.len())?;
            let value = value.strip_prefix(b":").filter(|_| is.eq_ignore_ascii_case(name.as_bytes()))?;
            Some(std::str::from_utf8(value).ok()?.trim())
        })
    }

    /// Reads the next request in place of this one. `false` at the end of the connection.
    pub fn read(&mut self, stream: &mut BufReader<impl Stream>) -> io::Result<bool> {
        self.head.clear();
        self.body.clear();
        loop {
            let before = self.head.len();
            if stream.read_until(b'\n', &mut self.head)? == 0 {
                return Ok(false);
            }
            if self.head.get(before..) == Some(b"\r\n") {
                break;
            }
            if self.head.len() > MAX_HEAD {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "a head without an end"));
            }
        }
        if self.header("expect").is_some() {
            stream.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            stream.get_mut().flush()?;
        }
        if let Some(length) = self.header("content-length").and_then(|value| value.parse().ok()) {
            self.body.resize(length, 0);
            stream.read_exact(&mut self.body)?;
        } else if self.header("transfer-encoding").is_some() {
            self.read_chunks(stream)?;
        }
        Ok(true)
    }

    fn read_chunks(&mut self, stream: &mut BufReader<impl Stream>) -> io::Result<()> {
        let mut line = String::new();
        loop {
            line.clear();
            stream.read_line(&mut line)?;
            let size = line.trim().split(';').next().unwrap_or_default();
            let size = usize::from_str_radix(size, 16)
                .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "a chunk without a length"))?;
            let at = self.body.len();
            self.body.resize(at + size, 0);
            stream.read_exact(self.body.get_mut(at..).unwrap_or_default())?;
            // What ends the chunk; after the last one there may be trailers.
            line.clear();
            stream.read_line(&mut line)?;
            if size == 0 {
                while line.trim() != "" {
                    line.clear();
                    stream.read_line(&mut line)?;
                }
                return Ok(());
            }
        }
    }
}

/// An answer in one piece.
pub fn answer(status: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(256 + body.len());
    bytes.extend_from_slice(
        format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n", body.len()).as_bytes(),
    );
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    /// What comes in, and what is written.
    struct Both(Cursor<Vec<u8>>, Vec<u8>);

    impl Read for Both {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(buffer)
        }
    }

    impl Write for Both {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.1.write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn requests_follow_one_another() {
        let sent = "POST /a HTTP/1.1\r\nContent-Length: 3\r\nX-Amz-Target: AmazonSQS.SendMessage\r\n\r\nabc\
            POST /b HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n\
            GET /c HTTP/1.1\r\nexpect: 100-continue\r\n\r\n";
        let mut stream = BufReader::new(Both(Cursor::new(sent.into()), Vec::new()));
        let mut request = Request::default();
        assert!(request.read(&mut stream).unwrap());
        assert_eq!((request.line(), &*request.body), (("POST", "/a"), &b"abc"[..]));
        assert_eq!(request.header("x-amz-target"), Some("AmazonSQS.SendMessage"));
        assert_eq!(request.header("x-amz"), None);
        assert!(request.read(&mut stream).unwrap());
        assert_eq!((request.line(), &*request.body), (("POST", "/b"), &b"def"[..]));
        assert!(request.read(&mut stream).unwrap());
        assert_eq!((request.line(), &*request.body), (("GET", "/c"), &b""[..]));
        assert!(!request.read(&mut stream).unwrap());
        assert!(stream.get_ref().1.starts_with(b"HTTP/1.1 100 "));
    }
}
