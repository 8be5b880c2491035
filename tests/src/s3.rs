//! Amazon S3, addressed path-style: `PutObject`, `GetObject`, `ListObjectsV2` and `DeleteObject`, with every fault between
//! a function and a bucket on demand.
//!
//! ```
//! use tests::{fault::Fault, s3::S3};
//! let s3 = S3::start(&["claims"]);
//! s3.then(Fault::Throttle).always(Fault::Hang);
//! assert_eq!((s3.requests(), s3.objects("claims").len()), (0, 0));
//! ```
//!
//! It wants Signature Version 4 with `x-amz-content-sha256` of the body and every `x-amz-` header signed, as S3 does over
//! plain HTTP. <https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html>

use crate::fault::{self, Fault, Plan, Request, play};
use crate::http::{Answer, Call, Reply, Server, lock};
use crate::sigv4;
use md5::{Digest, Md5};
use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The most keys that one answer lists.
const MAX_KEYS: usize = 1000;
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html>
const MAX_KEY_BYTES: usize = 1024;

/// The service, gone when dropped.
pub struct S3 {
    server: Server,
    desk: Arc<Desk>,
}

/// An object in a bucket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// Without a slash before it.
    pub key: String,
    /// As put.
    pub bytes: Vec<u8>,
    /// As put; S3's own default where none was.
    pub content_type: String,
    /// When these bytes were first there, before any answer to their request went out.
    pub stored_at: Instant,
    /// How many times it was put.
    pub puts: usize,
}

impl S3 {
    /// Starts it with these buckets, all empty.
    pub fn start(buckets: &[&str]) -> S3 {
        let desk = Arc::new(Desk::default());
        lock(&desk.buckets).extend(buckets.iter().map(|name| ((*name).to_owned(), BTreeMap::new())));
        let of_server = desk.clone();
        S3 { server: Server::start(move |call| of_server.serve(call)), desk }
    }

    /// For `AWS_ENDPOINT_URL_S3`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// One fault more for the requests to come: each takes one, in the order they arrive.
    pub fn then(&self, fault: Fault) -> &S3 {
        self.desk.plan.then(fault);
        self
    }

    /// The fault of every request that [`S3::then`] has none for. [`Fault::None`] heals.
    pub fn always(&self, fault: Fault) -> &S3 {
        self.desk.plan.always(fault);
        self
    }

    /// Who is asked for the fault of every request that [`S3::then`] has none for, until [`S3::always`] says again.
    pub fn draw(&self, fault: impl FnMut() -> Fault + Send + 'static) -> &S3 {
        self.desk.plan.draw(fault);
        self
    }

    /// The objects of a bucket by key. Panics when there is no such bucket.
    #[track_caller]
    pub fn objects(&self, bucket: &str) -> Vec<Object> {
        let buckets = lock(&self.desk.buckets);
        buckets.get(bucket).expect("a bucket that the test has made").values().cloned().collect()
    }

    /// How many requests arrived so far, whatever became of them.
    pub fn requests(&self) -> usize {
        self.desk.plan.requests()
    }

    /// All requests so far, in the order they arrived.
    pub fn received(&self) -> Vec<Request> {
        self.desk.plan.received()
    }

    /// How many connections were opened so far.
    pub fn connections(&self) -> usize {
        self.server.connections()
    }
}

#[derive(Default)]
struct Desk {
    plan: Plan,
    buckets: Mutex<BTreeMap<String, BTreeMap<String, Object>>>,
}

/// An error of S3.
#[derive(Debug)]
struct Refusal {
    status: u16,
    code: &'static str,
    message: &'static str,
}

impl Desk {
    fn serve(&self, call: &Call) -> Reply {
        let action = match call.method.as_str() {
            "PUT" => "PutObject",
            "DELETE" => "DeleteObject",
            "GET" if call.target.contains("list-type=2") => "ListObjectsV2",
            "GET" => "GetObject",
            other => other,
        };
        let (_, fault) = self.plan.arrive(action, call.connection);
        let process = |failing: &Fault| match failing {
            Fault::FailEntries { indices, sender_fault } if indices.contains(&0) => {
                if *sender_fault { denied() } else { failed() }.answer()
            }
            _ => self.process(call, action).unwrap_or_else(Refusal::answer),
        };
        play(&fault, process, |refusal| {
            let refusal = match refusal {
                fault::Refusal::Failed => failed(),
                fault::Refusal::Throttled => slow_down(),
                fault::Refusal::Denied => denied(),
                fault::Refusal::Expired => expired(),
                fault::Refusal::Gone => no_bucket(),
            };
            refusal.answer()
        })
    }

    fn process(&self, call: &Call, action: &str) -> Result<Answer, Refusal> {
        check_signature(call)?;
        let (path, query) = call.target.split_once('?').unwrap_or((&call.target, ""));
        let path = path.strip_prefix('/').unwrap_or_default();
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let key = decoded(key).ok_or_else(|| invalid_uri("a key that is not UTF-8"))?;
        let mut buckets = lock(&self.buckets);
        let objects = buckets.get_mut(bucket).ok_or_else(no_bucket)?;
        if key.len() > MAX_KEY_BYTES {
            return Err(Refusal { status: 400, code: "KeyTooLongError", message: "Your key is too long" });
        }
        match (action, key.is_empty()) {
            ("PutObject", false) => Ok(put(objects, key, call)),
            ("GetObject", false) => objects.get(&key).map(get).ok_or_else(no_key),
            ("DeleteObject", false) => {
                // Deleting what is not there succeeds too.
                objects.remove(&key);
                Ok(Answer { status: 204, ..Answer::default() })
            }
            ("ListObjectsV2", true) => list(objects, bucket, query),
            _ => Err(Refusal {
                status: 405,
                code: "MethodNotAllowed",
                message: "The specified method is not allowed against this resource.",
            }),
        }
    }
}

fn check_signature(call: &Call) -> Result<(), Refusal> {
    if let Err(_part) = sigv4::check(call, "s3") {
        return Err(Refusal {
            status: 403,
            code: "SignatureDoesNotMatch",
            message: "The request signature we calculated does not match the signature you provided.",
        });
    }
    let digest = hex::encode(sha2::Sha256::digest(&call.body));
    match call.header("x-amz-content-sha256") {
        "" => {
            return Err(Refusal {
                status: 400,
                code: "InvalidRequest",
                message: "Missing required header for this request: x-amz-content-sha256",
            });
        }
        given if given == digest => {}
        _ => {
            return Err(Refusal {
                status: 400,
                code: "XAmzContentSHA256Mismatch",
                message: "The provided 'x-amz-content-sha256' header does not match what was computed.",
            });
        }
    }
    let signed = sigv4::signed_headers(call);
    let unsigned =
        |(name, _): &(String, String)| name.starts_with("x-amz-") && !signed.contains(&name.as_str());
    if call.headers.iter().any(unsigned) {
        return Err(Refusal {
            status: 403,
            code: "AccessDenied",
            message: "There were headers present in the request which were not signed",
        });
    }
    Ok(())
}

fn put(objects: &mut BTreeMap<String, Object>, key: String, call: &Call) -> Answer {
    let content_type = match call.header("content-type") {
        "" => "binary/octet-stream",
        given => given,
    };
    let before = objects.get(&key);
    let same = before.filter(|object| object.bytes == call.body);
    let object = Object {
        key: key.clone(),
        bytes: call.body.clone(),
        content_type: content_type.to_owned(),
        stored_at: same.map_or_else(Instant::now, |object| object.stored_at),
        puts: before.map_or(0, |object| object.puts) + 1,
    };
    let headers = vec![("etag", etag(&object.bytes))];
    objects.insert(key, object);
    Answer { status: 200, headers, body: Vec::new() }
}

fn get(object: &Object) -> Answer {
    let headers = vec![("content-type", object.content_type.clone()), ("etag", etag(&object.bytes))];
    Answer { status: 200, headers, body: object.bytes.clone() }
}

/// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>, without delimiters.
fn list(objects: &BTreeMap<String, Object>, bucket: &str, query: &str) -> Result<Answer, Refusal> {
    let parameters: BTreeMap<String, String> =
        form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let text = |name: &str| parameters.get(name).map_or("", String::as_str);
    let known = ["list-type", "prefix", "max-keys", "continuation-token", "start-after", "encoding-type"];
    if parameters.keys().any(|name| !known.contains(&name.as_str())) {
        return Err(invalid_uri("a parameter that is not known here"));
    }
    let most = match text("max-keys") {
        "" => MAX_KEYS,
        digits => digits.parse::<usize>().map_err(|_| invalid_uri("max-keys"))?.min(MAX_KEYS),
    };
    let prefix = text("prefix");
    // The token here is the last key of the page before.
    let after = if text("continuation-token").is_empty() { "start-after" } else { "continuation-token" };
    let after = Bound::Excluded(text(after).to_owned());
    let mut matching = objects.range((after, Bound::Unbounded)).filter(|(key, _)| key.starts_with(prefix));
    let page: Vec<&Object> = matching.by_ref().take(most).map(|(_, object)| object).collect();
    let more = matching.next().is_some();
    let encoded = |text: &str| match parameters.get("encoding-type").map(String::as_str) {
        Some("url") => form_urlencoded::byte_serialize(text.as_bytes()).collect(),
        _ => escaped(text),
    };
    let mut xml = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
         xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{}</Name><Prefix>{}</Prefix>\
         <KeyCount>{}</KeyCount><MaxKeys>{most}</MaxKeys><IsTruncated>{more}</IsTruncated>",
        escaped(bucket),
        encoded(prefix),
        page.len(),
    );
    if let (true, Some(last)) = (more, page.last()) {
        xml += &format!("<NextContinuationToken>{}</NextContinuationToken>", escaped(&last.key));
    }
    for object in page {
        xml += &format!(
            "<Contents><Key>{}</Key><LastModified>2026-11-24T06:00:00.000Z</LastModified><ETag>{}</ETag>\
             <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
            encoded(&object.key),
            escaped(&etag(&object.bytes)),
            object.bytes.len(),
        );
    }
    xml += "</ListBucketResult>";
    Ok(xml_answer(200, xml))
}

impl Refusal {
    fn answer(self) -> Answer {
        let Refusal { status, code, message } = self;
        xml_answer(
            status,
            format!(
                "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
                 <Message>{message}</Message><RequestId>4442587FB7D0A2F9</RequestId></Error>"
            ),
        )
    }
}

fn xml_answer(status: u16, xml: String) -> Answer {
    Answer { status, headers: vec![("content-type", "application/xml".into())], body: xml.into_bytes() }
}

fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", hex::encode(Md5::digest(bytes)))
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A percent-encoded path; `+` stands for itself there.
fn decoded(path: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [rest.next()?, rest.next()?];
        bytes.push(hex::decode(digits).ok()?.pop()?);
    }
    String::from_utf8(bytes).ok()
}

fn invalid_uri(message: &'static str) -> Refusal {
    Refusal { status: 400, code: "InvalidURI", message }
}

fn no_bucket() -> Refusal {
    Refusal { status: 404, code: "NoSuchBucket", message: "The specified bucket does not exist" }
}

fn no_key() -> Refusal {
    Refusal { status: 404, code: "NoSuchKey", message: "The specified key does not exist." }
}

fn denied() -> Refusal {
    Refusal { status: 403, code: "AccessDenied", message: "Access Denied" }
}

fn expired() -> Refusal {
    Refusal { status: 400, code: "ExpiredToken", message: "The provided token has expired." }
}

fn slow_down() -> Refusal {
    Refusal { status: 503, code: "SlowDown", message: "Please reduce your request rate." }
}

fn failed() -> Refusal {
    Refusal {
        status: 500,
        code: "InternalError",
        message: "We encountered an internal error. Please try again.",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4::Key;
    use std::time::Duration;

    /// A signed request: status and body, or `None` where no whole answer came.
    fn ask(
        s3: &S3,
        key: &Key,
        method: &str,
        target: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<(u16, String)> {
        let host = s3.endpoint().replace("http://", "");
        let signed: Vec<_> = headers.iter().copied().chain([("host", host.as_str())]).collect();
        let own = sigv4::sign(key, method, target, &signed, body, "s3");
        let mut request =
            ureq::http::Request::builder().method(method).uri(format!("{}{target}", s3.endpoint()));
        for (name, value) in signed.iter().copied().chain(own.iter().map(|(n, v)| (*n, v.as_str()))) {
            request = request.header(name, value);
        }
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(1)))
            .build()
            .into();
        let mut answer = agent.run(request.body(body).expect("valid parts")).ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        Some((answer.status().as_u16(), text))
    }

    fn put(s3: &S3, key: &str, body: &[u8]) -> Option<u16> {
        let target = format!("/bucket/{key}");
        let headers = [("content-type", "text/plain")];
        ask(s3, &Key::throw_away(), "PUT", &target, &headers, body).map(|(status, _)| status)
    }

    #[test]
    fn what_is_put_is_there_until_it_is_deleted() {
        let s3 = S3::start(&["bucket", "other"]);
        let key = Key::throw_away();
        assert_eq!(put(&s3, "data/a%20b", b"\0one"), Some(200));
        let first = s3.objects("bucket").remove(0);
        assert_eq!(
            (first.key.as_str(), first.content_type.as_str(), first.puts),
            ("data/a b", "text/plain", 1)
        );
        assert_eq!(put(&s3, "data/a%20b", b"\0one"), Some(200));
        let again = s3.objects("bucket").remove(0);
        assert_eq!((again.puts, again.stored_at), (2, first.stored_at), "the same bytes were there before");
        assert_eq!(put(&s3, "data/a%20b", b"two"), Some(200));
        assert!(s3.objects("bucket")[0].stored_at > first.stored_at);
        let got = ask(&s3, &key, "GET", "/bucket/data/a%20b", &[], b"");
        assert_eq!(got, Some((200, "two".into())));
        assert_eq!(s3.objects("other"), []);

        for (method, target, code) in [
            ("GET", "/bucket/none", "NoSuchKey"),
            ("GET", "/none/a", "NoSuchBucket"),
            ("PUT", "/none/a", "NoSuchBucket"),
            ("PUT", "/bucket", "MethodNotAllowed"),
        ] {
            let (status, text) = ask(&s3, &key, method, target, &[], b"").expect("an answer");
            assert!(
                status >= 400 && text.contains(&format!("<Code>{code}</Code>")),
                "{method} {target}: {text}"
            );
        }
        for _ in 0..2 {
            assert_eq!(ask(&s3, &key, "DELETE", "/bucket/data/a%20b", &[], b""), Some((204, String::new())));
        }
        assert_eq!(s3.objects("bucket"), []);
    }

    #[test]
    fn a_listing_comes_in_pages() {
        let s3 = S3::start(&["bucket"]);
        for name in ["spill/1", "spill/2&", "spill/3", "data/1"] {
            assert_eq!(put(&s3, name, b"x"), Some(200));
        }
        let list = |query: &str| {
            ask(&s3, &Key::throw_away(), "GET", &format!("/bucket?{query}"), &[], b"").expect("an answer").1
        };
        let keys = |text: &str| text.matches("<Key>").count();
        let first = list("encoding-type=url&list-type=2&max-keys=2&prefix=spill%2F");
        assert_eq!((keys(&first), first.contains("<IsTruncated>true</IsTruncated>")), (2, true), "{first}");
        assert!(first.contains("<Key>spill%2F2%26</Key>"), "{first}");
        let token = "<NextContinuationToken>spill/2&amp;</NextContinuationToken>";
        assert!(first.contains(token), "{first}");
        let second = list("continuation-token=spill%2F2%26&list-type=2&max-keys=2&prefix=spill%2F");
        assert_eq!(
            (keys(&second), second.contains("<IsTruncated>false</IsTruncated>")),
            (1, true),
            "{second}"
        );
        assert_eq!(keys(&list("list-type=2")), 4);
        assert_eq!(keys(&list("list-type=2&start-after=spill%2F2")), 2);
    }

    #[test]
    fn what_is_signed_is_checked() {
        let s3 = S3::start(&["bucket"]);
        let key = Key::throw_away();
        let wrong = Key { secret: "wrong".into(), ..key.clone() };
        let (status, text) = ask(&s3, &wrong, "PUT", "/bucket/a", &[], b"x").expect("an answer");
        assert!(status == 403 && text.contains("SignatureDoesNotMatch"), "{text}");
        // Another body under the same signature, and a header of S3's that is not signed.
        let host = s3.endpoint().replace("http://", "");
        for (body, header, code) in [
            ("y", ("x-a", "b"), "SignatureDoesNotMatch"),
            ("x", ("x-amz-acl", "public-read"), "which were not signed"),
        ] {
            let own = sigv4::sign(&key, "PUT", "/bucket/a", &[("host", &host)], b"x", "s3");
            let mut request = ureq::put(format!("{}/bucket/a", s3.endpoint()))
                .config()
                .http_status_as_error(false)
                .build()
                .header(header.0, header.1);
            for (name, value) in own {
                request = request.header(name, value);
            }
            let mut answer = request.send(body).expect("an answer");
            let text = answer.body_mut().read_to_string().expect("XML");
            assert!(text.contains(code), "{text}");
        }
        assert_eq!(s3.objects("bucket"), []);
    }

    #[test]
    fn faults_do_what_they_say() {
        for (fault, status, stored) in [
            (Fault::None, Some(200), 1),
            (Fault::Http500, Some(500), 0),
            (Fault::Throttle, Some(503), 0),
            (Fault::AccessDenied, Some(403), 0),
            (Fault::ExpiredToken, Some(400), 0),
            (Fault::QueueDoesNotExist, Some(404), 0),
            (Fault::Delay(Duration::from_millis(20)), Some(200), 1),
            (Fault::Hang, None, 0),
            (Fault::ResetBefore, None, 0),
            (Fault::StoreThenReset, None, 1),
            (Fault::StoreThenHang, None, 1),
            (Fault::AnswerThenClose, Some(200), 1),
            (Fault::Garbage200("<html>"), Some(200), 0),
            (Fault::FailEntries { indices: vec![0], sender_fault: false }, Some(500), 0),
        ] {
            let s3 = S3::start(&["bucket"]);
            s3.then(fault.clone());
            assert_eq!(put(&s3, "a", b"x"), status, "{fault:?}");
            assert_eq!(s3.objects("bucket").len(), stored, "{fault:?}");
            assert_eq!(put(&s3, "b", b"x"), Some(200), "{fault:?}");
            let actions: Vec<_> = s3.received().into_iter().map(|request| request.action).collect();
            assert_eq!(actions, ["PutObject", "PutObject"]);
        }
    }
}
