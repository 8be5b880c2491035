//! AWS on this machine: as much of SQS, Systems Manager and S3 as a gate calls, plain and through TLS. It keeps what it
//! is sent only where somebody asks for it, and looks at no signature: what it is for is to answer at once.

use crate::http::{self, Request, Stream};
use md5::{Digest as _, Md5};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde::Deserialize;
use serde_json::json;
use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// AWS for as long as the benchmark runs.
pub struct Aws {
    plain: SocketAddr,
    tls: SocketAddr,
    ca: PathBuf,
    kept: Arc<Kept>,
}

#[derive(Default)]
struct Kept {
    messages: AtomicU64,
    objects: AtomicU64,
    record: Mutex<Option<Vec<String>>>,
    parameters: Mutex<HashMap<String, String>>,
}

#[derive(Deserialize)]
struct Message<'r> {
    #[serde(borrow, rename = "MessageBody")]
    body: Cow<'r, str>,
    #[serde(borrow, rename = "Id", default)]
    id: Cow<'r, str>,
}

#[derive(Deserialize)]
struct Batch<'r> {
    #[serde(borrow, rename = "Entries")]
    entries: Vec<Message<'r>>,
}

#[derive(Deserialize)]
struct Parameter<'r> {
    #[serde(borrow, rename = "Name")]
    name: Cow<'r, str>,
}

impl Aws {
    /// Listens at two ports of its own; the certificate of whoever signed the server's goes into `folder`.
    pub fn start(folder: &Path) -> Result<Aws, Box<dyn Error>> {
        let kept = Arc::<Kept>::default();
        let (config, ca_pem) = certificates()?;
        let ca = folder.join("ca.pem");
        fs::write(&ca, ca_pem)?;
        let config = Arc::new(config);
        let for_tls = kept.clone();
        let plain = {
            let kept = kept.clone();
            listen(move |stream| serve(stream, &kept))?
        };
        let tls = listen(move |stream| {
            let connection = ServerConnection::new(config.clone()).map_err(io::Error::other)?;
            serve(StreamOwned::new(connection, stream), &for_tls)
        })?;
        Ok(Aws { plain, tls, ca, kept })
    }

    /// `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self, through_tls: bool) -> String {
        if through_tls { format!("https://{}", self.tls) } else { format!("http://{}", self.plain) }
    }

    /// `AWS_CA_BUNDLE`.
    pub fn ca(&self) -> &Path {
        &self.ca
    }

    /// How many messages it has confirmed.
    pub fn messages(&self) -> u64 {
        self.kept.messages.load(Ordering::Relaxed)
    }

    /// How many objects it has confirmed.
    pub fn objects(&self) -> u64 {
        self.kept.objects.load(Ordering::Relaxed)
    }

    /// Gives a parameter of Systems Manager a value.
    pub fn put_parameter(&self, name: &str, value: String) {
        lock(&self.kept.parameters).insert(name.to_owned(), value);
    }

    /// The bodies of the messages that come while `work` is done.
    pub fn recorded<R>(&self, work: impl FnOnce() -> R) -> (R, Vec<String>) {
        *lock(&self.kept.record) = Some(Vec::new());
        let result = work();
        (result, lock(&self.kept.record).take().unwrap_or_default())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An authority made now, and what a server at this machine's address needs that it has signed for.
fn certificates() -> Result<(ServerConfig, String), Box<dyn Error>> {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, "throw-away authority of a benchmark");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()])?;
    // OpenSSL takes a certificate whose subject is its issuer for one that signed itself.
    params.distinguished_name.push(DnType::CommonName, "127.0.0.1");
    let server = params.signed_by(&key, &authority)?;
    let private = PrivateKeyDer::try_from(key.serialize_der())?;
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![server.der().clone()], private)?;
    Ok((config, authority.pem()))
}

fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            // A connection ends when its function is ended, in whatever way.
            thread::spawn(move || drop(stream.set_nodelay(true).and_then(|()| serve(stream))));
        }
    });
    Ok(address)
}

fn serve(stream: impl Stream, kept: &Kept) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(65_536, stream);
    let mut request = Request::default();
    while request.read(&mut stream)? {
        let answer = answer(&request, kept);
        stream.get_mut().write_all(&answer)?;
        stream.get_mut().flush()?;
    }
    Ok(())
}

fn answer(request: &Request, kept: &Kept) -> Vec<u8> {
    const ID: &str = "x-amzn-requestid: 00000000-0000-4000-8000-000000000000\r\n";
    let answered = match (request.line().0, request.header("x-amz-target")) {
        ("PUT", None) => {
            kept.objects.fetch_add(1, Ordering::Relaxed);
            return http::answer("200 OK", "etag: \"0\"\r\nx-amz-request-id: 0\r\n", b"");
        }
        (_, Some("AmazonSQS.SendMessage")) => send(&request.body, kept).map(|sent| ("1.0", sent)),
        (_, Some("AmazonSQS.SendMessageBatch")) => send_batch(&request.body, kept).map(|sent| ("1.0", sent)),
        (_, Some("AmazonSSM.GetParameter")) => parameter(&request.body, kept).map(|found| ("1.1", found)),
        _ => None,
    };
    match answered {
        Some((version, body)) => http::answer(
            "200 OK",
            &format!("{ID}content-type: application/x-amz-json-{version}\r\n"),
            body.as_bytes(),
        ),
        None => {
            let headers = format!("{ID}content-type: application/x-amz-json-1.0\r\n");
            http::answer("400 Bad Request", &headers, br#"{"__type":"UnknownOperationException"}"#)
        }
    }
}

fn send(request: &[u8], kept: &Kept) -> Option<String> {
    let message: Message<'_> = serde_json::from_slice(request).ok()?;
    let (id, md5) = store(&message, kept);
    Some(json!({ "MessageId": id, "MD5OfMessageBody": md5 }).to_string())
}

fn send_batch(request: &[u8], kept: &Kept) -> Option<String> {
    let batch: Batch<'_> = serde_json::from_slice(request).ok()?;
    let successful = batch.entries.iter().map(|message| {
        let (id, md5) = store(message, kept);
        json!({ "Id": message.id, "MessageId": id, "MD5OfMessageBody": md5 })
    });
    let successful: Vec<_> = successful.collect();
    Some(json!({ "Successful": successful, "Failed": [] }).to_string())
}

fn store(message: &Message<'_>, kept: &Kept) -> (String, String) {
    let number = kept.messages.fetch_add(1, Ordering::Relaxed);
    if let Some(record) = lock(&kept.record).as_mut() {
        record.push(message.body.clone().into_owned());
    }
    let md5 = Md5::digest(message.body.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    (format!("00000000-0000-4000-8000-{number:012x}"), md5)
}

fn parameter(request: &[u8], kept: &Kept) -> Option<String> {
    let asked: Parameter<'_> = serde_json::from_slice(request).ok()?;
    let parameters = lock(&kept.parameters);
    let value = parameters.get(&*asked.name)?;
    Some(
        json!({ "Parameter": { "Name": asked.name, "Type": "SecureString", "Value": value, "Version": 1 } })
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body of the answer to a request for an operation.
    fn asked(aws: &Aws, target: &str, body: &str) -> serde_json::Value {
        let mut stream = BufReader::new(TcpStream::connect(aws.plain).unwrap());
        let length = body.len();
        let request =
            format!("POST / HTTP/1.1\r\nx-amz-target: {target}\r\ncontent-length: {length}\r\n\r\n{body}");
        io::Write::write_all(stream.get_mut(), request.as_bytes()).unwrap();
        let mut answer = Request::default();
        assert!(answer.read(&mut stream).unwrap());
        serde_json::from_slice(&answer.body).unwrap()
    }

    #[test]
    fn messages_are_confirmed_by_their_digest() {
        let folder = std::env::temp_dir().join(format!("hookgate-bench-test-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let aws = Aws::start(&folder).unwrap();
        let (sent, messages) = aws.recorded(|| {
            let one = asked(&aws, "AmazonSQS.SendMessage", r#"{"MessageBody":"a\"b","QueueUrl":"q"}"#);
            let entries = r#"{"Entries":[{"Id":"x","MessageBody":"hello"},{"Id":"y","MessageBody":""}]}"#;
            (one, asked(&aws, "AmazonSQS.SendMessageBatch", entries))
        });
        // By md5sum.
        assert_eq!(sent.0["MD5OfMessageBody"], "c8f88ec84680a7ec056720570290dd34");
        assert_eq!(sent.1["Successful"][0]["MD5OfMessageBody"], "5d41402abc4b2a76b9719d911017c592");
        assert_eq!(sent.1["Successful"][1]["Id"], "y");
        assert_eq!(messages, ["a\"b", "hello", ""]);
        assert_eq!(aws.messages(), 3);
        aws.put_parameter("/p", "v".to_owned());
        assert_eq!(asked(&aws, "AmazonSSM.GetParameter", r#"{"Name":"/p"}"#)["Parameter"]["Value"], "v");
        assert_eq!(
            asked(&aws, "AmazonSSM.GetParameter", r#"{"Name":"/q"}"#)["__type"],
            "UnknownOperationException"
        );
        fs::remove_dir_all(&folder).unwrap();
    }
}
