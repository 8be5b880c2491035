//! A bucket of S3 as an operator uses it: listed, read, rewritten, deleted from.

use crate::screen;
use aws_smithy_types::body::SdkBody;
use serde_json::Value;
use shared::aws::{Answer, Ask, Aws, Operation};
use shared::xml;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a request may take with all its attempts: an object may be of many megabytes, the line slow.
const PATIENCE: Duration = Duration::from_secs(180);

/// A bucket.
pub struct Bucket {
    aws: Arc<Aws>,
    name: String,
}

/// One page of a listing.
pub struct Page {
    /// Keys, ascending.
    pub keys: Vec<String>,
    /// What to ask for the next one with.
    pub next: Option<String>,
}

impl Bucket {
    /// The bucket of that name.
    pub fn new(aws: &Arc<Aws>, name: &str) -> Bucket {
        Bucket { aws: aws.clone(), name: name.to_owned() }
    }

    /// `s3://bucket/key`
    pub fn url(&self, key: &str) -> String {
        screen::harmless(&format!("s3://{}/{key}", self.name))
    }

    /// Keys that begin so, in the order of their bytes.
    /// <https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html>
    pub async fn list(&self, prefix: &str, next: Option<&str>) -> Result<Page, String> {
        // In the order of names, as the signature has them.
        let token = next.map(|token| format!("continuation-token={}&", encoded(token))).unwrap_or_default();
        let query = format!("{token}list-type=2&prefix={}", encoded(prefix));
        let answer = self.ask("GET", "", &query, None).await?;
        self.expect(&answer, "s3:ListBucket", prefix)?;
        let listing = xml::body(&answer.body).ok().and_then(|json| serde_json::from_str::<Value>(&json).ok());
        let listing =
            listing.ok_or_else(|| format!("{}: S3 gave a listing that is none", self.url(prefix)))?;
        let at = |pointer| listing.pointer(pointer);
        let contents = match at("/ListBucketResult/Contents") {
            Some(Value::Array(contents)) => contents.as_slice(),
            Some(only) => std::slice::from_ref(only),
            None => &[],
        };
        let key = |object: &Value| object.get("Key")?.as_str().map(str::to_owned);
        let mut keys: Vec<String> = contents.iter().filter_map(key).collect();
        keys.sort();
        let is_cut = at("/ListBucketResult/IsTruncated").and_then(Value::as_str) == Some("true");
        let next = at("/ListBucketResult/NextContinuationToken").and_then(Value::as_str);
        let next = next.filter(|_| is_cut).map(str::to_owned);
        if is_cut && next.is_none() {
            return Err(format!("{}: S3 gave half a listing", self.url(prefix)));
        }
        Ok(Page { keys, next })
    }

    /// An object's bytes; `None` where it is gone.
    pub async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, String> {
        let answer = self.ask("GET", key, "", None).await?;
        if answer.status == 404 {
            return Ok(None);
        }
        self.expect(&answer, "s3:GetObject", key)?;
        Ok(Some(answer.body))
    }

    /// Puts an object in the place of the one that is there.
    pub async fn put(&self, key: &str, content_type: &str, body: &[u8]) -> Result<(), String> {
        let answer = self.ask("PUT", key, "", Some((content_type, body))).await?;
        self.expect(&answer, "s3:PutObject", key)
    }

    /// Deletes an object.
    pub async fn delete(&self, key: &str) -> Result<(), String> {
        let answer = self.ask("DELETE", key, "", None).await?;
        self.expect(&answer, "s3:DeleteObject", key)
    }

    async fn ask(
        &self,
        method: &'static str,
        key: &str,
        query: &str,
        put: Option<(&str, &[u8])>,
    ) -> Result<Answer, String> {
        let (content_type, body) =
            put.map_or((None, &[][..]), |(content_type, body)| (Some(content_type), body));
        let body = &SdkBody::from(body);
        let ask = Ask::S3 { method, bucket: &self.name, key, query, content_type, body, sha256: None };
        let operation = Operation { service: "s3", env: "S3", ask };
        let answer = self.aws.insist(&operation, Instant::now() + PATIENCE).await;
        answer.map_err(|why| format!("{}: {why}", self.url(key)))
    }

    fn expect(&self, answer: &Answer, action: &str, key: &str) -> Result<(), String> {
        if answer.is_success() {
            return Ok(());
        }
        let what = match answer.status {
            301 | 307 => format!("the bucket is not in {}: set AWS_REGION to its region", self.aws.region),
            403 => format!("these credentials may not do {action}, or there is no such bucket"),
            404 => "there is no such bucket".to_owned(),
            status => format!("{action} failed: S3 answered {status}"),
        };
        Err(format!("{}: {what}", self.url(key)))
    }
}

/// Whether a key needs no escaping, as all that Hookgate writes.
pub fn is_plain(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_./".contains(&b))
        && !key.split('/').any(|p| p == "..")
}

fn encoded(text: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    // What Signature Version 4 leaves as it is.
    const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, ESCAPED).to_string()
}
