//! A queue of SQS as an operator uses it: read without taking away, sent to, deleted from.

use crate::screen;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::retry::RetryConfig;
use aws_sdk_sqs::config::timeout::TimeoutConfig;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageAttributeValue,
    MessageSystemAttributeName, QueueAttributeName, SendMessageBatchRequestEntry,
};
use futures_util::future::join_all;
use serde_json::Value;
use shared::aws::Aws;
use shared::queue::DEFAULT_MAX_BYTES;
use shared::sqs::{self, MAX_ENTRIES};
use std::collections::{HashMap, HashSet};
use std::time::Duration;

/// How long a message that was read stays hidden from everybody else, unless it is released before.
pub const HIDDEN: Duration = Duration::from_secs(15 * 60);
/// How long one attempt at a request may take: a megabyte over a slow line, or a poll.
const ATTEMPT: Duration = Duration::from_secs(30);
/// How often a request, or an entry of a batch that SQS failed with, is tried.
const ATTEMPTS: u32 = 4;
/// The first pause between two attempts at an entry; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);
/// How many requests read a standard queue at once.
const SIDE_BY_SIDE: usize = 4;
/// A poll that waits asks every server of SQS, so that its empty answer means an empty queue; in seconds.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const POLL: i32 = 1;

/// A queue.
pub struct Queue {
    client: Client,
    url: String,
}

/// What a queue says of itself.
pub struct About {
    /// Its name for AWS.
    pub arn: String,
    /// The largest message that it takes, in bytes, attributes counted.
    pub max_bytes: usize,
    /// How many messages can be read, about.
    pub messages: usize,
    /// The ARN of where it puts what nobody could handle.
    pub dead_letters: Option<String>,
}

/// A message that was read.
pub struct Message {
    /// Given by SQS.
    pub id: String,
    /// The text.
    pub body: String,
    /// By name.
    pub attributes: HashMap<String, MessageAttributeValue>,
    /// `MessageGroupId`
    pub group: Option<String>,
    /// `SequenceNumber`: the order of a FIFO queue.
    pub sequence: Option<u128>,
}

/// A message to be sent.
#[derive(Clone)]
pub struct Outgoing {
    /// The text.
    pub body: String,
    /// By name.
    pub attributes: HashMap<String, MessageAttributeValue>,
    /// `MessageGroupId`
    pub group: Option<String>,
    /// `MessageDeduplicationId`, for a FIFO queue.
    pub deduplication: Option<String>,
}

impl Outgoing {
    /// Bytes as SQS counts them: the body and, of each attribute, name, data type and value.
    pub fn size(&self) -> usize {
        let value = |value: &MessageAttributeValue| {
            let text = value.string_value().map_or(0, str::len);
            value.data_type().len() + text + value.binary_value().map_or(0, |bytes| bytes.as_ref().len())
        };
        self.body.len() + self.attributes.iter().map(|(name, v)| name.len() + value(v)).sum::<usize>()
    }
}

impl Queue {
    /// The queue at a URL and an endpoint.
    pub fn new(aws: &Aws, endpoint: &str, url: &str) -> Queue {
        let client = sqs::client(aws, Some(endpoint));
        let timeouts = TimeoutConfig::builder().operation_attempt_timeout(ATTEMPT).build();
        let config = client.config().to_builder();
        let config =
            config.retry_config(RetryConfig::standard().with_max_attempts(ATTEMPTS)).timeout_config(timeouts);
        Queue { client: Client::from_conf(config.build()), url: url.to_owned() }
    }

    /// The part of its URL that a person knows it by.
    pub fn name(&self) -> String {
        screen::harmless(self.url.rsplit('/').next().unwrap_or_default())
    }

    /// Whether it keeps order.
    pub fn is_fifo(&self) -> bool {
        self.url.ends_with(".fifo")
    }

    /// Asks for what it is.
    pub async fn about(&self) -> Result<About, String> {
        let request = self.client.get_queue_attributes().queue_url(&self.url);
        let answer = request.attribute_names(QueueAttributeName::All).send().await;
        let answer = answer.map_err(|error| self.failed("sqs:GetQueueAttributes", &error))?;
        let attributes = answer.attributes();
        let text = |name| attributes.and_then(|all| all.get(&name)).map(String::as_str);
        let number = |name| text(name).and_then(|digits| digits.parse().ok());
        let policy = text(QueueAttributeName::RedrivePolicy);
        let policy: Option<Value> = policy.and_then(|policy| serde_json::from_str(policy).ok());
        let dead_letters = policy.as_ref().and_then(|policy| policy.get("deadLetterTargetArn")?.as_str());
        Ok(About {
            arn: text(QueueAttributeName::QueueArn).unwrap_or_default().to_owned(),
            max_bytes: number(QueueAttributeName::MaximumMessageSize).unwrap_or(DEFAULT_MAX_BYTES),
            messages: number(QueueAttributeName::ApproximateNumberOfMessages).unwrap_or_default(),
            dead_letters: dead_letters.map(str::to_owned),
        })
    }

    /// The URL of a queue of the same region, by its ARN.
    pub async fn url_of(&self, arn: &str) -> Result<String, String> {
        // arn:aws:sqs:REGION:ACCOUNT:NAME
        let mut parts = arn.rsplit(':');
        let (Some(name), Some(account)) = (parts.next(), parts.next()) else {
            return Err("the redrive policy names no queue".to_owned());
        };
        let request = self.client.get_queue_url().queue_name(name).queue_owner_aws_account_id(account);
        let answer = request.send().await.map_err(|error| self.failed("sqs:GetQueueUrl", &error))?;
        answer
            .queue_url()
            .map(str::to_owned)
            .ok_or_else(|| "AWS gives no URL of the dead-letter queue".to_owned())
    }

    async fn receive(&self, wait: i32) -> Result<Vec<aws_sdk_sqs::types::Message>, String> {
        let mut request = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .wait_time_seconds(wait)
            .visibility_timeout(i32::try_from(HIDDEN.as_secs()).unwrap_or(i32::MAX))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::MessageGroupId)
            .message_system_attribute_names(MessageSystemAttributeName::SequenceNumber);
        if self.is_fifo() {
            // With the same id a repeated request gets the same messages; without one, those of a lost answer would
            // stay hidden and block their groups.
            request = request.receive_request_attempt_id(random_id()?);
        }
        let answer = request.send().await.map_err(|error| self.failed("sqs:ReceiveMessage", &error))?;
        Ok(answer.messages.unwrap_or_default())
    }

    /// Sends up to ten messages; says of each whether SQS has confirmed it. An error: it is not known of any.
    pub async fn send(&self, messages: &[Outgoing]) -> Result<Vec<Result<(), String>>, String> {
        let mut results: Vec<Result<(), String>> =
            vec![Err("SQS did not confirm it".to_owned()); messages.len()];
        let mut left: Vec<usize> = (0..messages.len()).collect();
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let mut request = self.client.send_message_batch().queue_url(&self.url);
            for (place, message) in left.iter().filter_map(|place| Some((*place, messages.get(*place)?))) {
                let entry = SendMessageBatchRequestEntry::builder()
                    .id(place.to_string())
                    .message_body(&message.body)
                    .set_message_attributes(Some(message.attributes.clone()).filter(|all| !all.is_empty()))
                    .set_message_group_id(message.group.clone())
                    .set_message_deduplication_id(message.deduplication.clone())
                    .build();
                request = request.entries(entry.map_err(|error| error.to_string())?);
            }
            let answer = request.send().await.map_err(|error| self.failed("sqs:SendMessage", &error))?;
            for entry in answer.successful() {
                // An answer that names no message confirms none.
                if !entry.message_id().is_empty() {
                    settle(&mut results, &mut left, entry.id(), Ok(()));
                }
            }
            for entry in answer.failed() {
                if entry.sender_fault() {
                    let reason = format!("SQS refuses it: {}", screen::harmless(entry.code()));
                    settle(&mut results, &mut left, entry.id(), Err(reason));
                }
            }
            if left.is_empty() || attempt == ATTEMPTS {
                break;
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Ok(results)
    }

    /// What went wrong, for an operator. SQS's own text is left out: it repeats account and queue, not the cause.
    fn failed<E: ProvideErrorMetadata, R>(&self, action: &str, error: &SdkError<E, R>) -> String {
        let queue = self.name();
        let SdkError::ServiceError(answer) = error else {
            let what = match error {
                SdkError::ConstructionFailure(_) => "the request cannot be made",
                SdkError::TimeoutError(_) => "SQS did not answer in time",
                SdkError::DispatchFailure(_) => "no connection to SQS",
                _ => "SQS gave an answer that is none",
            };
            return format!("{queue}: {what}");
        };
        let code = answer.err().code().unwrap_or("an error without a name");
        match code.rsplit(['#', '.']).next().unwrap_or_default() {
            "AccessDenied" | "AccessDeniedException" => {
                format!("{queue}: these credentials may not do {action}")
            }
            "QueueDoesNotExist" | "NonExistentQueue" => format!("{queue}: there is no such queue"),
            "ExpiredToken" | "ExpiredTokenException" => {
                format!("{queue}: the credentials have expired: get new ones and run it again")
            }
            "InvalidClientTokenId" | "SignatureDoesNotMatch" | "UnrecognizedClientException" => {
                format!("{queue}: AWS does not take these credentials")
            }
            code => format!("{queue}: {action} failed: {}", screen::harmless(code)),
        }
    }
}

/// Notes what became of an entry of a batch.
fn settle(results: &mut [Result<(), String>], left: &mut Vec<usize>, id: &str, outcome: Result<(), String>) {
    let Ok(place) = id.parse::<usize>() else { return };
    if let Some(result) = results.get_mut(place) {
        *result = outcome;
        left.retain(|p| *p != place);
    }
}

fn random_id() -> Result<String, String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|_| "this machine has no random numbers".to_owned())?;
    Ok(hex::encode(bytes))
}

/// Reads a queue: what it gives is hidden from everybody else until it is deleted or [`Reader::release`]d, or [`HIDDEN`]
/// has passed.
pub struct Reader {
    queue: Queue,
    /// Receipt handles of what is hidden, by the message's id.
    held: HashMap<String, String>,
    deleted: HashSet<String>,
    was_full: bool,
}

impl Reader {
    /// Of this queue.
    pub fn new(queue: Queue) -> Reader {
        Reader { queue, held: HashMap::new(), deleted: HashSet::new(), was_full: false }
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The next messages, each once; none where there are no more, or none that a FIFO queue gives before those that it
    /// gave are deleted.
    pub async fn next(&mut self) -> Result<Vec<Message>, String> {
        // Once a FIFO queue has given something, an empty answer costs no waiting: the next round waits.
        let is_fifo = self.queue.is_fifo();
        let wait = if is_fifo && self.was_full { 0 } else { POLL };
        let side_by_side = if is_fifo { 1 } else { SIDE_BY_SIDE };
        let answers = join_all((0..side_by_side).map(|_| self.queue.receive(wait))).await;
        let mut messages = Vec::new();
        let mut again = Vec::new();
        let mut outcome = Ok(());
        for answer in answers {
            match answer {
                Ok(received) => {
                    for message in received {
                        self.take(message, &mut messages, &mut again);
                    }
                }
                Err(error) => outcome = Err(error),
            }
        }
        // What one request has got is dealt with although another one failed.
        if messages.is_empty() {
            outcome?;
        }
        // A standard queue may give a message once more after it was deleted.
        let again: Vec<&str> = again.iter().map(String::as_str).collect();
        self.delete(&again).await?;
        self.was_full = !messages.is_empty();
        Ok(messages)
    }

    fn take(
        &mut self,
        message: aws_sdk_sqs::types::Message,
        new: &mut Vec<Message>,
        again: &mut Vec<String>,
    ) {
        let (Some(id), Some(handle)) = (message.message_id, message.receipt_handle) else { return };
        let is_known = self.held.insert(id.clone(), handle).is_some();
        if self.deleted.contains(&id) {
            again.push(id);
        } else if !is_known {
            let system = |name| message.attributes.as_ref().and_then(|all| all.get(&name)).cloned();
            let sequence = system(MessageSystemAttributeName::SequenceNumber);
            new.push(Message {
                id,
                body: message.body.unwrap_or_default(),
                group: system(MessageSystemAttributeName::MessageGroupId),
                sequence: sequence.and_then(|digits| digits.parse().ok()),
                attributes: message.message_attributes.unwrap_or_default(),
            });
        }
    }

    /// Deletes messages by their ids. An error: some are still there after several attempts.
    pub async fn delete(&mut self, ids: &[&str]) -> Result<(), String> {
        let mut left: Vec<String> = ids.iter().map(|id| (*id).to_owned()).collect();
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            let mut failed = Vec::new();
            for some in left.chunks(MAX_ENTRIES) {
                let mut request = self.queue.client.delete_message_batch().queue_url(&self.queue.url);
                for (place, id) in some.iter().enumerate() {
                    let handle = self.held.get(id).cloned().unwrap_or_default();
                    let entry = DeleteMessageBatchRequestEntry::builder()
                        .id(place.to_string())
                        .receipt_handle(handle);
                    request = request.entries(entry.build().map_err(|error| error.to_string())?);
                }
                let answer = request.send().await;
                let answer = answer.map_err(|error| self.queue.failed("sqs:DeleteMessage", &error))?;
                let gone: HashSet<&str> = answer.successful().iter().map(|entry| entry.id()).collect();
                for (place, id) in some.iter().enumerate() {
                    if gone.contains(place.to_string().as_str()) {
                        self.held.remove(id);
                        self.deleted.insert(id.clone());
                    } else {
                        failed.push(id.clone());
                    }
                }
            }
            left = failed;
            if left.is_empty() {
                return Ok(());
            }
            if attempt < ATTEMPTS {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        Err(format!(
            "{}: SQS does not delete {}",
            self.queue.name(),
            screen::count(left.len(), "message", "messages")
        ))
    }

    /// Shows everybody again what was read and not deleted.
    pub async fn release(&mut self) -> Result<(), String> {
        let handles: Vec<String> = self.held.drain().map(|(_, handle)| handle).collect();
        let mut outcome = Ok(());
        for some in handles.chunks(MAX_ENTRIES) {
            let mut request = self.queue.client.change_message_visibility_batch().queue_url(&self.queue.url);
            for (place, handle) in some.iter().enumerate() {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder()
                    .id(place.to_string())
                    .receipt_handle(handle)
                    .visibility_timeout(0)
                    .build();
                request = request.entries(entry.map_err(|error| error.to_string())?);
            }
            let answer = request.send().await;
            if let Err(error) = answer {
                outcome = Err(self.queue.failed("sqs:ChangeMessageVisibility", &error));
            }
        }
        outcome
    }
}
