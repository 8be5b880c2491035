//! SQS as the store of events.
//!
//! The provider's deadline bounds everything. The first attempt of a small chunk is short, because a connection that was
//! open before the environment was frozen may be dead without a sign; a further attempt may take longer, and is on a fresh
//! connection unless SQS has answered on the old one.

use crate::aws::Aws;
use crate::crypto;
use crate::error::Fault;
use crate::event::Envelope;
use crate::queue::{Putting, Store};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::config::{BehaviorVersion, Region};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use aws_smithy_runtime_api::client::http::http_client_fn;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The most messages of a batch.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>
const MAX_ENTRIES: usize = 10;
/// The most bytes of a batch, attributes counted.
const MAX_BATCH: usize = 1_048_576;
/// How long the first attempt may take.
const FIRST_ATTEMPT: Duration = Duration::from_millis(600);
/// A chunk above this many KiB may take longer: the smallest functions have a fourteenth of a core.
const LIGHT_KIB: usize = 64;
/// How much longer, for each KiB above.
const PER_KIB: Duration = Duration::from_millis(2);
/// The first pause between two attempts; it doubles.
const PAUSE: Duration = Duration::from_millis(50);
/// How many batches of one call are under way at once.
const SIDE_BY_SIDE: usize = 8;

/// A queue of SQS.
pub struct Sqs {
    aws: Arc<Aws>,
    url: String,
    endpoint: Option<String>,
    client: Mutex<Client>,
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
        let first = Mutex::new(client(aws, endpoint.as_deref()));
        Sqs { aws: aws.clone(), url: url.to_owned(), endpoint, client: first }
    }

    fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    fn client(&self) -> Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A client whose connections are all new.
    fn reconnect(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) =
            client(&self.aws, self.endpoint.as_deref());
    }

    async fn put(&self, events: &[Envelope], until: Instant) -> Result<(), Fault> {
        let chunks = chunks(events, self.is_fifo());
        if self.is_fifo() {
            // After one that failed nothing later may be sent, or its group would be out of order.
            for chunk in chunks {
                self.send(chunk, until).await?;
            }
            return Ok(());
        }
        let mut outcome = Ok(());
        let mut waiting = chunks.into_iter();
        let mut under_way: FuturesUnordered<_> =
            waiting.by_ref().take(SIDE_BY_SIDE).map(|chunk| self.send(chunk, until)).collect();
        // One that failed fails the call, and keeps no other from being stored.
        while let Some(sent) = under_way.next().await {
            outcome = outcome.and(sent);
            if let Some(chunk) = waiting.next() {
                under_way.push(self.send(chunk, until));
            }
        }
        outcome
    }

    /// Sends the events of one chunk until each is confirmed, nothing helps any more or the time is up.
    async fn send(&self, chunk: &[Envelope], until: Instant) -> Result<(), Fault> {
        let mut left: Vec<&Envelope> = chunk.iter().collect();
        let kib = chunk.iter().map(Envelope::size).sum::<usize>() / 1024;
        let heavy = u32::try_from(kib.saturating_sub(LIGHT_KIB)).unwrap_or(u32::MAX);
        let (mut allowed, mut pause) = (FIRST_ATTEMPT + PER_KIB * heavy, PAUSE);
        loop {
            let remaining = until.saturating_duration_since(Instant::now());
            if remaining.is_zero() {
                return Err(Fault::Queue("no confirmation within the provider's deadline"));
            }
            let attempt = self.attempt(&mut left);
            let unsent = match tokio::time::timeout(allowed.min(remaining), attempt).await {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(unsent)) => unsent,
                Err(_) => Unsent::Reconnect("no answer in time"),
            };
            let why = match unsent {
                Unsent::Never(why) => return Err(Fault::Queue(why)),
                Unsent::Again(why) => why,
                Unsent::Reconnect(why) => {
                    self.reconnect();
                    why
                }
            };
            let remaining = until.saturating_duration_since(Instant::now());
            if remaining <= pause {
                return Err(Fault::Queue(why));
            }
            tokio::time::sleep(pause).await;
            (allowed, pause) = (allowed * 2, pause * 2);
        }
    }

    /// One request. What it confirms is taken out of `left`.
    async fn attempt(&self, left: &mut Vec<&Envelope>) -> Result<(), Unsent> {
        match left.as_slice() {
            [] => Ok(()),
            [event] => self.send_one(event).await,
            several => {
                let failed = self.send_batch(several).await?;
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

    async fn send_one(&self, event: &Envelope) -> Result<(), Unsent> {
        let (group, deduplication) = self.fifo_ids(event);
        let answer = self
            .client()
            .send_message()
            .queue_url(&self.url)
            .message_body(event.text())
            .set_message_attributes(Some(attributes(event)))
            .set_message_group_id(group)
            .set_message_deduplication_id(deduplication)
            .send()
            .await
            .map_err(|error| unsent(&error))?;
        // An answer that names no message confirms none.
        answer.message_id().map(drop).ok_or(Unsent::Again("an answer without a message id"))
    }

    /// Sends up to ten; gives those that were not confirmed, by their place.
    async fn send_batch(&self, events: &[&Envelope]) -> Result<HashMap<usize, Unsent>, Unsent> {
        let mut request = self.client().send_message_batch().queue_url(&self.url);
        for (place, event) in events.iter().enumerate() {
            let (group, deduplication) = self.fifo_ids(event);
            let entry = SendMessageBatchRequestEntry::builder()
                .id(place.to_string())
                .message_body(event.text())
                .set_message_attributes(Some(attributes(event)))
                .set_message_group_id(group)
                .set_message_deduplication_id(deduplication)
                .build()
                .map_err(|_| Unsent::Never("a message that cannot be sent"))?;
            request = request.entries(entry);
        }
        let answer = request.send().await.map_err(|error| unsent(&error))?;
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

    /// Group and deduplication id for a FIFO queue. Hashed, since SQS takes no more than 128 characters of ASCII.
    fn fifo_ids(&self, event: &Envelope) -> (Option<String>, Option<String>) {
        if !self.is_fifo() {
            return (None, None);
        }
        let hash = |text: &str| Some(crypto::sha256_hex(&[text.as_bytes()]));
        (hash(event.partition()), hash(&event.identity()))
    }
}

impl Store for Sqs {
    fn put<'a>(&'a self, events: &'a [Envelope], until: Instant) -> Putting<'a> {
        Box::pin(Sqs::put(self, events, until))
    }

    fn keeps_order(&self) -> bool {
        self.is_fifo()
    }
}

fn client(aws: &Aws, endpoint: Option<&str>) -> Client {
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

/// Events side by side in chunks that SQS takes as one batch. In order, no chunk holds two of one group: SQS may store the
/// second and not the first.
fn chunks(events: &[Envelope], in_order: bool) -> Vec<&[Envelope]> {
    let mut chunks = Vec::new();
    let mut rest = events;
    while !rest.is_empty() {
        let (mut size, mut count) = (0, 0);
        let mut groups = HashSet::new();
        for event in rest.iter().take(MAX_ENTRIES) {
            size += event.size();
            if count > 0 && (size > MAX_BATCH || (in_order && groups.contains(event.partition()))) {
                break;
            }
            groups.insert(event.partition());
            count += 1;
        }
        let (chunk, after) = rest.split_at(count.min(rest.len()));
        chunks.push(chunk);
        rest = after;
    }
    chunks
}

fn attributes(event: &Envelope) -> HashMap<String, MessageAttributeValue> {
    let value =
        |text: &str| MessageAttributeValue::builder().data_type("String").string_value(text).build().ok();
    let each = event.attributes().into_iter();
    each.filter_map(|(name, text)| Some((name.to_owned(), value(&text)?))).collect()
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
