//! S3 beside the queue: the data of events that are larger than a message may be (claim check), and whole events for which
//! no queue was there (spill).

use crate::aws::{Ask, Aws, Operation};
use crate::crypto;
use crate::duplicates::Claim;
use crate::error::Fault;
use crate::event::{Envelope, Object};
use crate::queue::{Putting, Store, Unkept};
use aws_smithy_types::body::SdkBody;
use futures_util::StreamExt as _;
use futures_util::stream;
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where data of events stands in a bucket. The template lets it expire.
pub const DATA: &str = "data/";
/// Where events that no queue has taken stand in a bucket. They wait there until somebody moves them.
pub const SPILL: &str = "spill/";
/// The type of an object of several CloudEvents.
/// <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md#4-json-batch-format>
pub const BATCH: &str = "application/cloudevents-batch+json";
/// How many objects of one call are under way at once.
const SIDE_BY_SIDE: usize = 8;

/// A bucket of S3.
#[derive(Clone)]
pub struct Bucket {
    aws: Arc<Aws>,
    name: String,
}

impl Bucket {
    /// A bucket of the function's own region.
    pub fn new(aws: &Arc<Aws>, name: &str) -> Bucket {
        Bucket { aws: aws.clone(), name: name.to_owned() }
    }

    /// Puts an object whose digest, SHA-256 in hex, is known.
    async fn put(
        &self,
        key: &str,
        content_type: &str,
        body: &SdkBody,
        sha256: &str,
        until: Instant,
    ) -> Result<(), Fault> {
        let content_type = Some(content_type);
        let (bucket, sha256) = (self.name.as_str(), Some(sha256));
        let ask = Ask::S3 { method: "PUT", bucket, key, query: "", content_type, body, sha256 };
        let answer = self.aws.insist(&Operation { service: "s3", env: "S3", ask }, until).await;
        let answer = answer.map_err(Fault::Bucket)?;
        match answer.status {
            200..300 => Ok(()),
            300..400 => Err(Fault::Bucket("it is in another region")),
            403 => Err(Fault::Bucket("the function's role may not put objects into it")),
            404 => Err(Fault::Bucket("there is none of that name")),
            400 if answer.says("ExpiredToken") => {
                Err(Fault::Bucket("AWS does not take the function's credentials"))
            }
            400..500 => Err(Fault::Bucket("S3 refuses the object")),
            _ => Err(Fault::Bucket("S3 failed")),
        }
    }

    fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.name)
    }
}

/// Keeps the data of an event that is larger than a message may be, and leaves in the event where it is.
///
/// An object's key is the digest of its content: what is sent again is the same object, and the consumer can tell whether
/// it has what was put.
pub struct ClaimCheck {
    bucket: Bucket,
}

impl ClaimCheck {
    /// A claim check with this bucket.
    pub fn new(bucket: Bucket) -> ClaimCheck {
        ClaimCheck { bucket }
    }

    /// The events as messages of up to so many bytes can carry them, by place; each object that they refer to is stored.
    pub(crate) async fn carriable<'e>(
        &self,
        events: &'e [Envelope],
        claims: &[Claim],
        max_bytes: usize,
        until: Instant,
    ) -> Vec<Result<Cow<'e, Envelope>, Fault>> {
        let mut objects: HashMap<String, Object<'e>> = HashMap::new();
        let mut planned = Vec::with_capacity(events.len());
        for (event, claim) in events.iter().zip(claims) {
            if event.fits(max_bytes) || *claim != Claim::Ours {
                planned.push(Ok((Cow::Borrowed(event), Vec::new())));
                continue;
            }
            let (light, parts) = event.referring(max_bytes, |object| self.bucket.url(&key(event, object)));
            let keys: Vec<String> = parts.iter().map(|object| key(event, object)).collect();
            objects.extend(keys.iter().cloned().zip(parts));
            planned.push(match light.fits(max_bytes) {
                true => Ok((Cow::Owned(light), keys)),
                false => Err(Fault::TooLarge),
            });
        }
        let put: Vec<_> = objects.into_iter().map(|(key, object)| self.put(key, object, until)).collect();
        let stored: HashMap<String, Result<(), Fault>> =
            stream::iter(put).buffer_unordered(SIDE_BY_SIDE).collect().await;
        let confirmed =
            |keys: &[String]| keys.iter().try_for_each(|key| stored.get(key).copied().unwrap_or(Ok(())));
        planned
            .into_iter()
            .map(|planned| planned.and_then(|(event, keys)| confirmed(&keys).map(|()| event)))
            .collect()
    }

    async fn put(&self, key: String, object: Object<'_>, until: Instant) -> (String, Result<(), Fault>) {
        let Object { bytes, content_type, sha256 } = object;
        let body = SdkBody::from(bytes.into_owned());
        let put = self.bucket.put(&key, &content_type, &body, &sha256, until).await;
        (key, put)
    }
}

fn key(event: &Envelope, object: &Object<'_>) -> String {
    format!("{DATA}{}/{}", event.provider(), object.sha256)
}

/// Keeps events that no queue has confirmed, one object for each call.
pub struct Spill {
    bucket: Bucket,
}

impl Spill {
    /// Keeps them in this bucket.
    pub fn new(bucket: Bucket) -> Spill {
        Spill { bucket }
    }

    async fn put(&self, events: &[&Envelope], until: Instant) -> Result<(), Unkept> {
        let Some(first) = events.first() else { return Ok(()) };
        let size = events.iter().map(|event| event.text().len() + 1).sum::<usize>() + 2;
        let mut body = String::with_capacity(size);
        for event in events {
            body.push(if body.is_empty() { '[' } else { ',' });
            body.push_str(event.text());
        }
        body.push(']');
        let sha256 = crypto::sha256_hex(&[body.as_bytes()]);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let short = sha256.get(..16).unwrap_or_default();
        // Names in the order of time, so that a listing is in it too.
        let key = format!("{SPILL}{now:013}-{}-{short}.json", first.provider());
        self.bucket
            .put(&key, BATCH, &SdkBody::from(body), &sha256, until)
            .await
            .map_err(|fault| Unkept { fault, left: (0..events.len()).collect() })
    }
}

impl Store for Spill {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], until: Instant) -> Putting<'a> {
        Box::pin(Spill::put(self, events, until))
    }

    fn takes_any_size(&self) -> bool {
        true
    }
}
