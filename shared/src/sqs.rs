//! SQS as the store of events.
//!
//! The provider's deadline bounds everything. A further attempt is on a fresh connection unless SQS has answered on the
//! old one.

use crate::attempts::Attempts;
use crate::aws::Aws;
use crate::crypto;
use crate::error::Fault;
use crate::event::Envelope;
use crate::queue::{Putting, Store, Unkept};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use serde::{Serialize, Serializer};
use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

/// The most messages of a batch.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
pub const MAX_ENTRIES: usize = 10;
/// The most bytes of a batch, attributes counted.
pub const MAX_BATCH: usize = 1_048_576;
/// How many batches of one call are under way at once.
const SIDE_BY_SIDE: usize = 8;

/// A queue of SQS.
pub struct Sqs {
    aws: Arc<Aws>,
    url: String,
    endpoint: Option<String>,
    is_fair: bool,
    connected: Mutex<Connected>,
}

/// A client with its connections, and how many there were before it.
#[derive(Clone)]
struct Connected {
    client: Client,
    count: usize,
}

/// Whether another attempt may help.
enum Unsent {
    /// On a fresh connection.
    Reconnect(&'static str),
    /// On the same one: SQS has answered.
    Again(&'static str),
    Never(&'static str),
}

impl Sqs {
    /// The queue at a URL, at the endpoint that the environment names or that of the region. Nothing is sent yet.
    pub fn new(aws: &Arc<Aws>, url: &str) -> Sqs {
        Sqs::at(aws, url, Aws::endpoint_override("SQS"))
    }

    /// The queue at a URL and an endpoint (`http://127.0.0.1:4566`). Nothing is sent yet.
    pub fn at(aws: &Arc<Aws>, url: &str, endpoint: Option<String>) -> Sqs {
        let connected = Mutex::new(Connected { client: client(aws, endpoint.as_deref()), count: 0 });
        Sqs { aws: aws.clone(), url: url.to_owned(), endpoint, is_fair: false, connected }
    }

    /// The same with a message group of each event in a standard queue too, so that a busy group does not hold up the
    /// others.
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-fair-queues.html>
    #[must_use]
    pub fn fair(self, is_fair: bool) -> Sqs {
        Sqs { is_fair, ..self }
    }

    fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    fn connected(&self) -> MutexGuard<'_, Connected> {
        self.connected.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client whose connections are all new, unless another call has put one in place of that which failed.
    fn reconnect(&self, failed: &Connected) {
        let mut connected = self.connected();
        if connected.count == failed.count {
            let client = client(&self.aws, self.endpoint.as_deref());
            *connected = Connected { client, count: failed.count + 1 };
        }
    }

    async fn put(&self, events: &[&Envelope], until: Instant) -> Result<(), Unkept> {
        let chunks = chunks(events, self.is_fifo());
        if self.is_fifo() {
            for chunk in chunks {
                let end = chunk.end;
                if let Err(mut unkept) = self.send(events, chunk, until).await {
                    // After one that failed nothing later may be sent, or its group would be out of order.
                    unkept.left.extend(end..events.len());
                    return Err(unkept);
                }
            }
            return Ok(());
        }
        let mut outcome = Ok(());
        let mut waiting = chunks.into_iter();
        let mut under_way: FuturesUnordered<_> =
            waiting.by_ref().take(SIDE_BY_SIDE).map(|chunk| self.send(events, chunk, until)).collect();
        // One that failed fails the call, and keeps no other from being stored.
        while let Some(sent) = under_way.next().await {
            if let Err(unkept) = sent {
                outcome = Err(unkept.and(outcome.err()));
            }
            if let Some(chunk) = waiting.next() {
                under_way.push(self.send(events, chunk, until));
            }
        }
        outcome
    }

    /// Sends the events of one chunk until each is confirmed, nothing helps any more or the time is up.
    async fn send(&self, events: &[&Envelope], chunk: Range<usize>, until: Instant) -> Result<(), Unkept> {
        let place = |i: usize| Some((i, *events.get(i)?));
        let mut left: Vec<(usize, &Envelope)> = chunk.filter_map(place).collect();
        let size = left.iter().map(|(_, event)| event.size()).sum();
        let mut attempts = Attempts::new(size, until);
        let mut why = "no confirmation within the provider's deadline";
        while let Some(allowed) = attempts.allowed() {
            let connected = self.connected().clone();
            let attempt = self.attempt(&connected.client, &mut left);
            match tokio::time::timeout(allowed, attempt).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(Unsent::Never(never))) => {
                    why = never;
                    break;
                }
                Ok(Err(Unsent::Again(again))) => why = again,
                Ok(Err(Unsent::Reconnect(lost))) => {
                    self.reconnect(&connected);
                    why = lost;
                }
                Err(_) => {
                    self.reconnect(&connected);
                    why = "no answer in time";
                }
            }
            if !attempts.pause().await {
                break;
            }
        }
        Err(Unkept { fault: Fault::Queue(why), left: left.into_iter().map(|(place, _)| place).collect() })
    }

    /// One request. What it confirms is taken out of `left`.
    async fn attempt(&self, client: &Client, left: &mut Vec<(usize, &Envelope)>) -> Result<(), Unsent> {
        match left.as_slice() {
            [] => Ok(()),
            [(_, event)] => self.send_one(client, event).await,
            several => {
                let failed = self.send_batch(client, several).await?;
                let (mut again, mut never) = (None, None);
                let mut place = 0;
                left.retain(|_| {
                    let outcome = failed.get(&place);
                    place += 1;
                    match outcome {
                        None => return false,
                        Some(Unsent::Again(why) | Unsent::Reconnect(why)) => again = Some(*why),
                        Some(Unsent::Never(why)) => never = Some(*why),
                    }
                    true
                });
                match (never, again) {
                    (Some(why), _) => Err(Unsent::Never(why)),
                    (None, Some(why)) => Err(Unsent::Again(why)),
                    (None, None) => Ok(()),
                }
            }
        }
    }

    async fn send_one(&self, client: &Client, event: &Envelope) -> Result<(), Unsent> {
        let message = self.message(event, None);
        let request = client.send_message().customize();
        let answer = request
            .mutate_request(with_body(&message, event.size())?)
            .send()
            .await
            .map_err(|error| unsent(&error))?;
        // An answer that names no message confirms none.
        answer.message_id().map(drop).ok_or(Unsent::Again("an answer without a message id"))
    }

    /// Sends up to ten; gives those that were not confirmed, by their place.
    async fn send_batch(
        &self,
        client: &Client,
        events: &[(usize, &Envelope)],
    ) -> Result<HashMap<usize, Unsent>, Unsent> {
        let messages = events.iter().enumerate().map(|(place, (_, event))| self.message(event, Some(place)));
        let entries = messages.collect();
        let size = events.iter().map(|(_, event)| event.size()).sum();
        let request = client.send_message_batch().customize();
        let answer = request
            .mutate_request(with_body(&Batch { queue_url: &self.url, entries }, size)?)
            .send()
            .await
            .map_err(|error| unsent(&error))?;
        let unnamed = |_| Unsent::Again("an entry that the answer does not confirm");
        let mut failed: HashMap<usize, Unsent> =
            (0..events.len()).map(|place| (place, unnamed(place))).collect();
        for entry in answer.successful() {
            if !entry.message_id().is_empty()
                && let Ok(place) = entry.id().parse()
            {
                failed.remove(&place);
            }
        }
        for entry in answer.failed() {
            if let Ok(place) = entry.id().parse() {
                let never = Unsent::Never("SQS refuses a message for good");
                failed.insert(place, if entry.sender_fault() { never } else { unnamed(place) });
            }
        }
        Ok(failed)
    }

    /// An event on its own, or at its place in a batch.
    fn message<'m>(&'m self, event: &'m Envelope, place: Option<usize>) -> Message<'m> {
        let (group, deduplication) = self.fifo_ids(event);
        Message {
            queue_url: place.is_none().then_some(self.url.as_str()),
            id: place.map(|place| place.to_string()),
            message_body: event.text(),
            message_attributes: event.attributes(),
            message_group_id: group,
            message_deduplication_id: deduplication,
        }
    }

    /// Group and deduplication id, where the queue is to have them. Hashed, since SQS takes no more than 128 characters
    /// of ASCII.
    fn fifo_ids(&self, event: &Envelope) -> (Option<String>, Option<String>) {
        let hash = |text: &str| crypto::sha256_hex(&[text.as_bytes()]);
        if self.is_fifo() {
            return (Some(hash(&event.order())), Some(hash(&event.occurrence())));
        }
        (self.is_fair.then(|| hash(&event.tenant())), None)
    }
}

impl Store for Sqs {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], until: Instant) -> Putting<'a> {
        Box::pin(Sqs::put(self, events, until))
    }

    fn keeps_order(&self) -> bool {
        self.is_fifo()
    }
}

/// A queue that is called only when another one fails: its client is made then.
pub struct SecondSqs {
    aws: Arc<Aws>,
    url: String,
    made: OnceLock<Sqs>,
}

impl SecondSqs {
    /// The queue at a URL, which may be of another region.
    pub fn new(aws: &Arc<Aws>, url: &str) -> SecondSqs {
        SecondSqs { aws: aws.clone(), url: url.to_owned(), made: OnceLock::new() }
    }

    fn queue(&self) -> &Sqs {
        self.made.get_or_init(|| {
            let aws = match region(&self.url) {
                Some(region) => Arc::new(self.aws.in_region(region)),
                None => self.aws.clone(),
            };
            Sqs::at(&aws, &self.url, origin(&self.url))
        })
    }
}

impl Store for SecondSqs {
    fn put<'a>(&'a self, events: &'a [&'a Envelope], until: Instant) -> Putting<'a> {
        Box::pin(self.queue().put(events, until))
    }
}

/// `https://sqs.eu-central-1.amazonaws.com` of a queue's URL.
pub fn origin(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let host = rest.split('/').next().filter(|host| !host.is_empty())?;
    matches!(scheme, "http" | "https").then(|| format!("{scheme}://{host}"))
}

/// `eu-central-1` of `https://sqs.eu-central-1.amazonaws.com/…`, also where the name says `sqs-fips` or is that of a VPC
/// endpoint.
pub fn region(url: &str) -> Option<&str> {
    let host = url.split_once("://")?.1.split('/').next()?;
    let (before, _) = host.split_once(".amazonaws.com").or_else(|| host.split_once(".vpce.amazonaws.com"))?;
    let mut labels = before.split('.').skip_while(|label| !label.starts_with("sqs"));
    labels.next().and(labels.next())
}

/// A client for an endpoint, or for that of the region.
pub fn client(aws: &Aws, endpoint: Option<&str>) -> Client {
    let connector = aws.connector();
    let mut config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(aws.region.clone()))
        .credentials_provider(aws.credentials.clone())
        .http_client(http_client_fn(move |_, _| connector.clone()))
        // Attempts and their time are this file's affair: the SDK knows nothing of a provider's deadline.
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::disabled());
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Client::from_conf(config.build())
}

/// A message as SQS reads it. It is written here, because the SDK keeps a copy of the text, and makes another one to escape
/// it, before it writes the request.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html>
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Message<'m> {
    /// Of a message on its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    queue_url: Option<&'m str>,
    /// Of one in a batch.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    message_body: &'m str,
    #[serde(serialize_with = "texts")]
    message_attributes: [(&'static str, Cow<'m, str>); 5],
    #[serde(skip_serializing_if = "Option::is_none")]
    message_group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_deduplication_id: Option<String>,
}

/// Up to ten messages.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Batch<'m> {
    queue_url: &'m str,
    entries: Vec<Message<'m>>,
}

/// Writes texts by name as message attributes.
fn texts<S: Serializer>(texts: &[(&'static str, Cow<'_, str>)], to: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Text<'t> {
        data_type: &'static str,
        string_value: &'t str,
    }
    to.collect_map(texts.iter().map(|(name, text)| (name, Text { data_type: "String", string_value: text })))
}

/// Gives a request of the SDK a body of our own, before it is signed. What it says comes to so many bytes without escapes.
fn with_body(
    body: &impl Serialize,
    size: usize,
) -> Result<impl Fn(&mut HttpRequest) + Send + Sync + 'static, Unsent> {
    // JSON within JSON: a quote in seven characters or so is escaped.
    let mut bytes = Vec::with_capacity(size + size / 4 + 1024);
    serde_json::to_writer(&mut bytes, body).map_err(|_| Unsent::Never("a message that cannot be sent"))?;
    let (length, body) = (bytes.len().to_string(), SdkBody::from(bytes));
    Ok(move |request: &mut HttpRequest| {
        // One in memory can be had again, and shares its bytes.
        if let Some(body) = body.try_clone() {
            *request.body_mut() = body;
            request.headers_mut().insert("content-length", length.clone());
        }
    })
}

/// Events side by side in chunks that SQS takes as one batch, by their places. In order, no chunk holds two of one group:
/// SQS may store the second and not the first.
fn chunks(events: &[&Envelope], in_order: bool) -> Vec<Range<usize>> {
    let mut chunks = Vec::new();
    let mut start = 0;
    while start < events.len() {
        let (mut size, mut count) = (0, 0);
        let mut groups = HashSet::new();
        for event in events.iter().skip(start).take(MAX_ENTRIES) {
            size += event.size();
            if count > 0 && (size > MAX_BATCH || (in_order && groups.contains(&event.order()))) {
                break;
            }
            groups.insert(event.order());
            count += 1;
        }
        chunks.push(start..start + count);
        start += count;
    }
    chunks
}

/// What an error means. Words of ours: AWS's own repeat the account and the queue.
fn unsent<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> Unsent {
    let SdkError::ServiceError(answer) = error else {
        return match error {
            SdkError::ConstructionFailure(_) => {
                Unsent::Never("the request cannot be made: look at QUEUE_URL")
            }
            SdkError::TimeoutError(_) => Unsent::Reconnect("no answer in time"),
            SdkError::DispatchFailure(_) => Unsent::Reconnect("no connection"),
            _ => Unsent::Reconnect("an answer that is none"),
        };
    };
    let code = answer.err().code().unwrap_or_default();
    match code.rsplit(['#', '.']).next().unwrap_or_default() {
        "AccessDenied" | "AccessDeniedException" => Unsent::Never("the function's role may not send to it"),
        "QueueDoesNotExist" | "NonExistentQueue" => Unsent::Never("there is none at QUEUE_URL"),
        "InvalidMessageContents" | "InvalidParameterValue" => Unsent::Never("SQS refuses the message"),
        "ExpiredToken" | "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException" => {
            Unsent::Never("AWS does not take the function's credentials")
        }
        "RequestThrottled" | "ThrottlingException" => Unsent::Again("SQS throttles"),
        _ => Unsent::Again("SQS failed"),
    }
}
