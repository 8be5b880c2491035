//! Amazon SQS: a standard queue, a FIFO queue and a quarantine behind its JSON protocol, with the service's own limits,
//! and with every fault between a function and a queue on demand.
//!
//! ```
//! use tests::sqs::{Fault, Sqs};
//! let sqs = Sqs::start();
//! // The next request is reset, the one after it answered, all later ones fail.
//! sqs.then(Fault::ResetBefore).then(Fault::None).always(Fault::Http500);
//! assert_eq!((sqs.requests(), sqs.messages().len()), (0, 0));
//! ```
//!
//! Limits and errors: <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessageBatch.html>.
//! What AWS does besides and this does not: delays, and forgetting a deduplication id after five minutes.

use crate::fault::{self, Plan, play};
pub use crate::fault::{Fault, Request, Victim};
use crate::http::{Answer, Call, Reply, Server, lock};
use crate::sigv4;
use base64::{Engine, prelude::BASE64_STANDARD};
use md5::{Digest, Md5};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Bytes that SQS takes at most, both for a message with its attributes and for a whole batch.
pub const MAX_BYTES: usize = 1_048_576;

const MAX_ATTRIBUTES: usize = 10;
const MAX_ENTRIES: usize = 10;
const STANDARD: &str = "123456789012/hookgate";
const FIFO: &str = "123456789012/hookgate.fifo";
const QUARANTINE: &str = "123456789012/hookgate-quarantine";

/// The service, gone when dropped.
pub struct Sqs {
    server: Server,
    desk: Arc<Desk>,
}

/// A message that SQS has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Given by SQS.
    pub id: String,
    /// It came to the FIFO queue.
    pub fifo: bool,
    /// It came to the quarantine.
    quarantine: bool,
    /// The text.
    pub body: String,
    /// By name.
    pub attributes: BTreeMap<String, Attribute>,
    /// `MessageGroupId`, which a standard queue takes too (fair queues).
    pub group_id: Option<String>,
    /// `MessageDeduplicationId`
    pub deduplication_id: Option<String>,
    /// The number of the connection it came on, from 1.
    pub connection: usize,
    /// The number of the request it came in, from 1.
    pub request: usize,
    /// Before any answer to that request went out.
    pub stored_at: Instant,
}

/// A message attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// `String`, `Number` or `Binary`, perhaps with a label of the sender's own: `Number.int`.
    pub data_type: String,
    /// The text in UTF-8, or the bytes of a `Binary`.
    pub value: Vec<u8>,
}

impl Sqs {
    /// Starts it with both queues empty.
    pub fn start() -> Sqs {
        let desk = Arc::new(Desk::default());
        let of_server = desk.clone();
        Sqs { server: Server::start(move |call| of_server.serve(call)), desk }
    }

    /// For `AWS_ENDPOINT_URL_SQS`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// The standard queue.
    pub fn queue_url(&self) -> String {
        format!("{}/{STANDARD}", self.endpoint())
    }

    /// The FIFO queue, which wants a deduplication id with every message.
    pub fn fifo_queue_url(&self) -> String {
        format!("{}/{FIFO}", self.endpoint())
    }

    /// Another standard queue, which is none of events.
    pub fn quarantine_url(&self) -> String {
        format!("{}/{QUARANTINE}", self.endpoint())
    }

    /// One fault more for the requests to come: each takes one, in the order they arrive.
    pub fn then(&self, fault: Fault) -> &Sqs {
        self.desk.plan.then(fault);
        self
    }

    /// The fault of every request that [`Sqs::then`] has none for. [`Fault::None`] heals.
    pub fn always(&self, fault: Fault) -> &Sqs {
        self.desk.plan.always(fault);
        self
    }

    /// Who is asked for the fault of every request that [`Sqs::then`] has none for, until [`Sqs::always`] says again.
    pub fn draw(&self, fault: impl FnMut() -> Fault + Send + 'static) -> &Sqs {
        self.desk.plan.draw(fault);
        self
    }

    /// All messages accepted so far in the queues of events, in the order stored.
    pub fn messages(&self) -> Vec<Message> {
        lock(&self.desk.state).messages.iter().filter(|message| !message.quarantine).cloned().collect()
    }

    /// The same, and forgets them: for a test that judges one call after another.
    pub fn take_messages(&self) -> Vec<Message> {
        lock(&self.desk.state).messages.extract_if(.., |message| !message.quarantine).collect()
    }

    /// All messages accepted so far in the quarantine, in the order stored.
    pub fn quarantined(&self) -> Vec<Message> {
        lock(&self.desk.state).messages.iter().filter(|message| message.quarantine).cloned().collect()
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

impl Message {
    /// An attribute's text. `None` when there is no such attribute, or it is not text.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.get(name).and_then(|attribute| str::from_utf8(&attribute.value).ok())
    }

    /// Bytes as SQS counts them: the body and, of each attribute, name, data type and value.
    pub fn size(&self) -> usize {
        size(&self.body, &self.attributes)
    }
}

#[derive(Default)]
struct Desk {
    plan: Plan,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    messages: Vec<Message>,
    /// How many messages were ever accepted: makes ids and sequence numbers.
    accepted: usize,
    /// By deduplication id: the message's id and its sequence number.
    deduplicated: HashMap<String, (String, String)>,
}

/// `SendMessage`, or an entry of `SendMessageBatch`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    id: Option<String>,
    message_body: Option<String>,
    message_attributes: Option<BTreeMap<String, AttributeValue>>,
    message_group_id: Option<String>,
    message_deduplication_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttributeValue {
    data_type: Option<String>,
    string_value: Option<String>,
    binary_value: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ToQueue {
    queue_url: Option<String>,
    entries: Option<Vec<Entry>>,
}

/// Where a message came from.
#[derive(Clone, Copy)]
struct Arrival {
    connection: usize,
    request: usize,
    fifo: bool,
    quarantine: bool,
}

/// An error of AWS.
#[derive(Debug)]
struct Refusal {
    status: u16,
    /// The shape's name in the JSON protocol.
    shape: &'static str,
    /// Its name in the older query protocol, which AWS sends along and its clients prefer.
    code: &'static str,
    message: String,
}

impl Desk {
    fn serve(&self, call: &Call) -> Reply {
        let target = call.header("x-amz-target");
        let action = target.strip_prefix("AmazonSQS.").unwrap_or(target);
        let (request, fault) = self.plan.arrive(action, call.connection);
        let process = |failing: &Fault| self.process(call, request, failing).unwrap_or_else(Refusal::answer);
        play(&fault, process, |refusal| {
            let refusal = match refusal {
                fault::Refusal::Failed => internal_failure(),
                fault::Refusal::Throttled => throttled(),
                fault::Refusal::Denied => access_denied(),
                fault::Refusal::Expired => expired(),
                fault::Refusal::Gone => no_queue(),
            };
            refusal.answer()
        })
    }

    fn process(&self, call: &Call, request: usize, failing: &Fault) -> Result<Answer, Refusal> {
        if let Err(reason) = sigv4::check(call, "sqs") {
            return Err(bad_signature(reason));
        }
        let is_json = call.header("content-type") == "application/x-amz-json-1.0";
        let action = call.header("x-amz-target").strip_prefix("AmazonSQS.").filter(|_| is_json);
        let to: ToQueue = parse(&call.body)?;
        let queue = to.queue_url.as_deref().and_then(path_of).unwrap_or_default();
        if ![STANDARD, FIFO, QUARANTINE].contains(&queue) {
            return Err(no_queue());
        }
        let (fifo, quarantine) = (queue == FIFO, queue == QUARANTINE);
        let arrival = Arrival { connection: call.connection, request, fifo, quarantine };
        let result = match (call.method.as_str(), action) {
            ("POST", Some("SendMessage")) => self.send(&parse(&call.body)?, arrival, failing)?.into(),
            ("POST", Some("SendMessageBatch")) => {
                self.send_batch(to.entries.as_deref().unwrap_or_default(), arrival, failing)?
            }
            _ => return Err(unknown_operation()),
        };
        Ok(answer(200, result.to_string().into_bytes()))
    }

    fn send(&self, entry: &Entry, arrival: Arrival, failing: &Fault) -> Result<Map<String, Value>, Refusal> {
        require_ids(entry, arrival.fifo)?;
        let message = message(entry, arrival)?;
        match failing {
            Fault::FailEntries { indices, sender_fault } if indices.contains(&0) => {
                Err(failed_entry(*sender_fault))
            }
            _ => Ok(self.store(message)),
        }
    }

    fn send_batch(&self, entries: &[Entry], arrival: Arrival, failing: &Fault) -> Result<Value, Refusal> {
        check_batch(entries, arrival.fifo)?;
        let (failing, blame): (&[usize], bool) = match failing {
            Fault::FailEntries { indices, sender_fault } => (indices, *sender_fault),
            _ => (&[], false),
        };
        let (mut successful, mut failed) = (Vec::new(), Vec::new());
        for (index, entry) in entries.iter().enumerate() {
            let id = entry.id.clone().unwrap_or_default();
            match message(entry, arrival) {
                Ok(_) if failing.contains(&index) => {
                    failed.push(failed_entry(blame).entry(&id, blame));
                }
                Ok(message) => {
                    let mut result = self.store(message);
                    result.insert("Id".into(), id.into());
                    successful.push(Value::from(result));
                }
                Err(refusal) => failed.push(refusal.entry(&id, true)),
            }
        }
        // AWS leaves an empty list out.
        let lists = [("Successful", successful), ("Failed", failed)];
        Ok(lists
            .into_iter()
            .filter(|(_, list)| !list.is_empty())
            .map(|(n, l)| (n.to_owned(), Value::from(l)))
            .collect())
    }

    /// Keeps a message and gives what SQS answers of it. A FIFO queue keeps one of each deduplication id.
    fn store(&self, mut message: Message) -> Map<String, Value> {
        let mut result = Map::new();
        result.insert("MD5OfMessageBody".into(), md5(message.body.as_bytes()).into());
        if !message.attributes.is_empty() {
            result.insert("MD5OfMessageAttributes".into(), md5_of_attributes(&message.attributes).into());
        }
        let mut state = lock(&self.state);
        let fifo_id = message.deduplication_id.clone().filter(|_| message.fifo);
        let known = fifo_id.as_ref().and_then(|id| state.deduplicated.get(id)).cloned();
        let is_new = known.is_none();
        let (id, sequence) = known.unwrap_or_else(|| {
            state.accepted += 1;
            (format!("00000000-0000-4000-9000-{:012}", state.accepted), format!("{:020}", state.accepted))
        });
        result.insert("MessageId".into(), id.clone().into());
        if let Some(fifo_id) = fifo_id {
            result.insert("SequenceNumber".into(), sequence.clone().into());
            state.deduplicated.insert(fifo_id, (id.clone(), sequence));
        }
        if is_new {
            message.id = id;
            message.stored_at = Instant::now();
            state.messages.push(message);
        }
        result
    }
}

impl Refusal {
    fn answer(self) -> Answer {
        let fault = if self.status < 500 { "Sender" } else { "Receiver" };
        let body = json!({ "__type": self.shape, "message": self.message });
        let mut answer = answer(self.status, body.to_string().into_bytes());
        answer.headers.push(("x-amzn-query-error", format!("{};{fault}", self.code)));
        answer
    }

    fn entry(&self, id: &str, sender_fault: bool) -> Value {
        json!({ "Id": id, "Code": self.code, "Message": self.message, "SenderFault": sender_fault })
    }
}

fn answer(status: u16, body: Vec<u8>) -> Answer {
    let headers = vec![
        ("content-type", "application/x-amz-json-1.0".into()),
        ("x-amzn-requestid", "7a62c49f-347e-4fc4-9331-6e8e7a96aa73".into()),
    ];
    Answer { status, headers, body }
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refusal> {
    serde_json::from_slice(body).map_err(|e| Refusal {
        status: 400,
        shape: "com.amazon.coral.service#SerializationException",
        code: "MalformedInput",
        message: e.to_string(),
    })
}

/// `https://HOST/ACCOUNT/NAME` -> `ACCOUNT/NAME`: all that AWS looks at.
fn path_of(queue_url: &str) -> Option<&str> {
    queue_url.split_once("://")?.1.split_once('/').map(|(_, path)| path)
}

/// What fails a batch as a whole.
fn check_batch(entries: &[Entry], fifo: bool) -> Result<(), Refusal> {
    let refusal = |shape, code, message: String| Err(Refusal { status: 400, shape, code, message });
    if entries.is_empty() {
        return refusal(
            "com.amazonaws.sqs#EmptyBatchRequest",
            "AWS.SimpleQueueService.EmptyBatchRequest",
            "There should be at least one SendMessageBatchRequestEntry in the request.".into(),
        );
    }
    if entries.len() > MAX_ENTRIES {
        return refusal(
            "com.amazonaws.sqs#TooManyEntriesInBatchRequest",
            "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
            format!(
                "Maximum number of entries per request are {MAX_ENTRIES}. You have sent {}.",
                entries.len()
            ),
        );
    }
    let mut ids = HashSet::new();
    for entry in entries {
        let id = entry.id.as_deref().unwrap_or_default();
        let word = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if id.is_empty() || id.len() > 80 || !id.chars().all(word) {
            return refusal(
                "com.amazonaws.sqs#InvalidBatchEntryId",
                "AWS.SimpleQueueService.InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. \
                 It can be at most 80 letters long."
                    .into(),
            );
        }
        if !ids.insert(id) {
            return refusal(
                "com.amazonaws.sqs#BatchEntryIdsNotDistinct",
                "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
                format!("Id {id} repeated."),
            );
        }
        require_ids(entry, fifo)?;
    }
    let sent: usize = entries.iter().map(Entry::size).sum();
    if sent > MAX_BYTES {
        return refusal(
            "com.amazonaws.sqs#BatchRequestTooLong",
            "AWS.SimpleQueueService.BatchRequestTooLong",
            format!("Batch requests cannot be longer than {MAX_BYTES} bytes. You have sent {sent} bytes."),
        );
    }
    Ok(())
}

/// A FIFO queue wants both ids, a standard one takes no deduplication id.
fn require_ids(entry: &Entry, fifo: bool) -> Result<(), Refusal> {
    match (fifo, &entry.message_group_id, &entry.message_deduplication_id) {
        (true, None, _) => Err(missing("MessageGroupId")),
        (true, Some(_), None) => Err(invalid(
            "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided \
             explicitly",
        )),
        (false, _, Some(_)) => Err(invalid(
            "The request include parameter MessageDeduplicationId which is not valid for this queue type",
        )),
        _ => Ok(()),
    }
}

/// The message of an entry, where SQS takes it.
fn message(entry: &Entry, arrival: Arrival) -> Result<Message, Refusal> {
    let body = entry.message_body.clone().filter(|b| !b.is_empty()).ok_or_else(|| missing("MessageBody"))?;
    if let Some(c) = body.chars().find(|c| !is_allowed(*c)) {
        return Err(Refusal {
            status: 400,
            shape: "com.amazonaws.sqs#InvalidMessageContents",
            code: "InvalidMessageContents",
            message: bad_character(c, "body"),
        });
    }
    for id in [&entry.message_group_id, &entry.message_deduplication_id].into_iter().flatten() {
        if id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(invalid(
                "MessageGroupId and MessageDeduplicationId can only include alphanumeric and punctuation \
                 characters. 1 to 128 in length.",
            ));
        }
    }
    let given = entry.message_attributes.as_ref();
    let number = given.map_or(0, BTreeMap::len);
    if number > MAX_ATTRIBUTES {
        let reason = format!(
            "Number of message attributes [{number}] exceeds the allowed maximum [{MAX_ATTRIBUTES}]."
        );
        return Err(invalid(&reason));
    }
    let attributes = given
        .into_iter()
        .flatten()
        .map(|(name, value)| Ok((name.clone(), attribute(name, value)?)))
        .collect::<Result<BTreeMap<_, _>, Refusal>>()?;
    if size(&body, &attributes) > MAX_BYTES {
        let reason = "One or more parameters are invalid. Reason: Message must be shorter than";
        return Err(invalid(&format!("{reason} {MAX_BYTES} bytes.")));
    }
    Ok(Message {
        id: String::new(),
        fifo: arrival.fifo,
        quarantine: arrival.quarantine,
        body,
        attributes,
        group_id: entry.message_group_id.clone(),
        deduplication_id: entry.message_deduplication_id.clone(),
        connection: arrival.connection,
        request: arrival.request,
        stored_at: Instant::now(),
    })
}

/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html>
fn attribute(name: &str, given: &AttributeValue) -> Result<Attribute, Refusal> {
    let of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    let lower = name.to_ascii_lowercase();
    let reserved = lower.starts_with("aws.") || lower.starts_with("amazon.");
    let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
    if name.is_empty() || name.len() > 256 || !name.chars().all(of_name) || reserved || dots {
        return Err(invalid(&format!("The message attribute name '{name}' is invalid.")));
    }
    let data_type = given.data_type.clone().unwrap_or_default();
    let value = match data_type.split('.').next() {
        Some("String" | "Number") => given.string_value.clone().map(String::into_bytes),
        Some("Binary") => given.binary_value.as_deref().and_then(|b| BASE64_STANDARD.decode(b).ok()),
        _ => {
            return Err(invalid(&format!(
                "The message attribute '{name}' has an invalid message attribute type."
            )));
        }
    };
    let value = value.filter(|v| !v.is_empty()).ok_or_else(|| {
        invalid(&format!(
            "The message attribute '{name}' must contain non-empty message attribute value for message attribute \
             type '{data_type}'."
        ))
    })?;
    let text = given.string_value.as_deref().unwrap_or_default();
    if let Some(c) = text.chars().find(|c| !is_allowed(*c)) {
        return Err(invalid(&bad_character(c, &format!("attribute '{name}'"))));
    }
    if data_type.starts_with("Number") && text.parse::<f64>().is_err() {
        return Err(invalid(&format!(
            "Can't cast the value of message (user) attribute '{name}' to a number."
        )));
    }
    Ok(Attribute { data_type, value })
}

impl Entry {
    fn size(&self) -> usize {
        let body = self.message_body.as_deref().unwrap_or_default().len();
        let attributes = self.message_attributes.iter().flatten();
        body + attributes.map(|(name, value)| name.len() + value.size()).sum::<usize>()
    }
}

impl AttributeValue {
    fn size(&self) -> usize {
        let binary = self.binary_value.as_deref().and_then(|b| BASE64_STANDARD.decode(b).ok());
        let text = self.string_value.as_deref().unwrap_or_default().len();
        self.data_type.as_deref().unwrap_or_default().len() + text + binary.unwrap_or_default().len()
    }
}

fn size(body: &str, attributes: &BTreeMap<String, Attribute>) -> usize {
    let of_one = |(name, a): (&String, &Attribute)| name.len() + a.data_type.len() + a.value.len();
    body.len() + attributes.iter().map(of_one).sum::<usize>()
}

/// `#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF`
fn is_allowed(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{FFFD}' | '\u{10000}'..)
}

fn bad_character(c: char, place: &str) -> String {
    format!(
        "Invalid binary character '#x{:X}' was found in the message {place}, the set of allowed characters is \
         #x9 | #xA | #xD | [#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF].",
        u32::from(c)
    )
}

fn md5(bytes: &[u8]) -> String {
    hex::encode(Md5::digest(bytes))
}

/// Over name, data type and value of each, in the order of names, every one behind its length in four bytes, and
/// one byte that tells text from binary: the guide's "Calculating the MD5 message digest for message attributes".
fn md5_of_attributes(attributes: &BTreeMap<String, Attribute>) -> String {
    let mut bytes = Vec::new();
    let put = |bytes: &mut Vec<u8>, part: &[u8]| {
        bytes.extend(u32::try_from(part.len()).expect("at most 1 MiB").to_be_bytes());
        bytes.extend(part);
    };
    for (name, attribute) in attributes {
        put(&mut bytes, name.as_bytes());
        put(&mut bytes, attribute.data_type.as_bytes());
        bytes.push(if attribute.data_type.starts_with("Binary") { 2 } else { 1 });
        put(&mut bytes, &attribute.value);
    }
    md5(&bytes)
}

fn missing(parameter: &str) -> Refusal {
    Refusal {
        status: 400,
        shape: "com.amazonaws.sqs#MissingParameter",
        code: "MissingParameter",
        message: format!("The request must contain the parameter {parameter}."),
    }
}

fn invalid(message: &str) -> Refusal {
    Refusal {
        status: 400,
        shape: "com.amazonaws.sqs#InvalidParameterValue",
        code: "InvalidParameterValue",
        message: message.into(),
    }
}

fn bad_signature(reason: &str) -> Refusal {
    Refusal {
        status: 403,
        shape: "com.amazon.coral.service#InvalidSignatureException",
        code: "SignatureDoesNotMatch",
        message: format!("The signature of this request is wrong: {reason}"),
    }
}

fn unknown_operation() -> Refusal {
    Refusal {
        status: 400,
        shape: "com.amazon.coral.service#UnknownOperationException",
        code: "InvalidAction",
        message: "Only SendMessage and SendMessageBatch are spoken here.".into(),
    }
}

fn no_queue() -> Refusal {
    Refusal {
        status: 400,
        shape: "com.amazonaws.sqs#QueueDoesNotExist",
        code: "AWS.SimpleQueueService.NonExistentQueue",
        message: "The specified queue does not exist.".into(),
    }
}

fn access_denied() -> Refusal {
    Refusal {
        status: 403,
        shape: "com.amazon.coral.service#AccessDeniedException",
        code: "AccessDenied",
        message: "User is not authorized to perform: sqs:sendmessage on resource: \
                  arn:aws:sqs:us-east-1:123456789012:hookgate"
            .into(),
    }
}

fn expired() -> Refusal {
    Refusal {
        status: 403,
        shape: "com.amazon.coral.service#ExpiredTokenException",
        code: "ExpiredToken",
        message: "The security token included in the request is expired".into(),
    }
}

fn throttled() -> Refusal {
    Refusal {
        status: 403,
        shape: "com.amazonaws.sqs#RequestThrottled",
        code: "RequestThrottled",
        message: "Rate exceeded".into(),
    }
}

fn internal_failure() -> Refusal {
    Refusal {
        status: 500,
        shape: "com.amazon.coral.service#InternalFailure",
        code: "InternalFailure",
        message: "We encountered an internal error. Please try again.".into(),
    }
}

fn failed_entry(sender_fault: bool) -> Refusal {
    if sender_fault { invalid("The entry is refused, as the test wishes.") } else { internal_failure() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lambda::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
    use aws_credential_types::Credentials;
    use aws_sdk_sqs::Client;
    use aws_sdk_sqs::config::timeout::TimeoutConfig;
    use aws_sdk_sqs::config::{BehaviorVersion, Region, retry::RetryConfig};
    use aws_sdk_sqs::error::ProvideErrorMetadata;
    use aws_sdk_sqs::operation::send_message::{SendMessageError, SendMessageOutput};
    use aws_sdk_sqs::primitives::Blob;
    use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
    use std::time::Duration;
    use tokio::runtime::Runtime;

    /// How long a client waits for an answer that comes.
    const PATIENCE: Duration = Duration::from_secs(10);

    /// AWS's own client, blocking, one attempt unless told otherwise.
    struct Sender {
        runtime: Runtime,
        client: Client,
    }

    impl Sender {
        fn new(sqs: &Sqs) -> Sender {
            Sender::with(sqs, SECRET_ACCESS_KEY, 1, PATIENCE)
        }

        fn with(sqs: &Sqs, secret: &str, attempts: u32, patience: Duration) -> Sender {
            let http = aws_smithy_http_client::Builder::new().build_http();
            let timeouts = TimeoutConfig::builder().operation_attempt_timeout(patience).build();
            let retries = RetryConfig::standard()
                .with_max_attempts(attempts)
                .with_initial_backoff(Duration::from_millis(1));
            let config = aws_sdk_sqs::Config::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new("us-east-1"))
                .credentials_provider(Credentials::new(ACCESS_KEY_ID, secret, None, None, "test"))
                .endpoint_url(sqs.endpoint())
                .http_client(http)
                .timeout_config(timeouts)
                .retry_config(retries)
                .build();
            let runtime =
                tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            Sender { runtime, client: Client::from_conf(config) }
        }

        fn send(&self, url: &str, body: &str) -> Result<SendMessageOutput, Failure> {
            let sending = self.client.send_message().queue_url(url).message_body(body).send();
            self.runtime.block_on(sending).map_err(Failure::of)
        }
    }

    /// The code that AWS's client reads from an error, or what happened on the way.
    #[derive(Debug, PartialEq)]
    enum Failure {
        Code(String),
        TimedOut,
        Connection,
        Unreadable,
    }

    impl Failure {
        fn of<E: ProvideErrorMetadata + std::fmt::Debug>(error: aws_sdk_sqs::error::SdkError<E>) -> Failure {
            use aws_sdk_sqs::error::SdkError;
            match error {
                SdkError::ServiceError(e) => Failure::Code(e.err().code().unwrap_or_default().into()),
                SdkError::TimeoutError(_) => Failure::TimedOut,
                SdkError::DispatchFailure(_) => Failure::Connection,
                _ => Failure::Unreadable,
            }
        }
    }

    fn text(value: &str) -> MessageAttributeValue {
        let attribute = MessageAttributeValue::builder().data_type("String").string_value(value);
        attribute.build().expect("a whole attribute")
    }

    fn entry(id: &str, body: &str) -> SendMessageBatchRequestEntry {
        SendMessageBatchRequestEntry::builder().id(id).message_body(body).build().expect("a whole entry")
    }

    #[test]
    fn a_message_is_kept_and_answered_with_its_digests() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        let binary = MessageAttributeValue::builder().data_type("Binary").binary_value(Blob::new([0, 255]));
        let sending = sender
            .client
            .send_message()
            .queue_url(sqs.queue_url())
            .message_body("a")
            .message_attributes("x", text("yyyyyyy"))
            .send();
        let sent = sender.runtime.block_on(sending).expect("accepted");
        // The digests by another implementation (Python's hashlib, over the bytes that the guide describes).
        assert_eq!(sent.md5_of_message_body(), Some("0cc175b9c0f1b6a831c399e269772661"));
        assert_eq!(sent.md5_of_message_attributes(), Some("a9cc5f245d20a7a39df2af4faa5d9d07"));
        let sending = sender
            .client
            .send_message()
            .queue_url(sqs.queue_url())
            .message_body("é\u{1F600}\n")
            .message_attributes("b", binary.build().expect("a whole attribute"))
            .message_group_id("acme")
            .send();
        sender.runtime.block_on(sending).expect("accepted");

        let messages = sqs.messages();
        let [first, second] = messages.as_slice() else { panic!("{messages:?}") };
        assert_eq!((first.body.as_str(), first.attribute("x")), ("a", Some("yyyyyyy")));
        assert_eq!(Some(first.id.as_str()), sent.message_id());
        assert_eq!((first.connection, first.request, first.size()), (1, 1, 1 + 1 + 6 + 7));
        assert_eq!((second.body.as_str(), second.group_id.as_deref()), ("é\u{1F600}\n", Some("acme")));
        assert_eq!(second.attributes["b"], Attribute { data_type: "Binary".into(), value: vec![0, 255] });
        assert_eq!((second.connection, second.request), (1, 2));
        assert!(first.stored_at <= second.stored_at);
        assert_eq!((sqs.requests(), sqs.connections()), (2, 1));
        assert_eq!(sqs.received()[0].action, "SendMessage");
        assert_eq!((sqs.take_messages().len(), sqs.messages().len()), (2, 0));
    }

    #[test]
    fn a_batch_is_answered_entry_by_entry() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        let sending = sender
            .client
            .send_message_batch()
            .queue_url(sqs.queue_url())
            .entries(entry("a", "one"))
            .entries(entry("b", "bad \u{FFFF}"))
            .entries(entry("c", "three"))
            .send();
        let sent = sender.runtime.block_on(sending).expect("an answer");
        let good: Vec<_> = sent.successful().iter().map(|s| s.id()).collect();
        assert_eq!(good, ["a", "c"]);
        let [bad] = sent.failed() else { panic!("{sent:?}") };
        assert_eq!((bad.id(), bad.code(), bad.sender_fault()), ("b", "InvalidMessageContents", true));
        let bodies: Vec<_> = sqs.messages().into_iter().map(|m| m.body).collect();
        assert_eq!(bodies, ["one", "three"]);

        for sender_fault in [true, false] {
            sqs.then(Fault::FailEntries { indices: vec![0, 2], sender_fault });
            let batch = sender.client.send_message_batch().queue_url(sqs.queue_url());
            let batch = batch.set_entries(Some(vec![entry("x", "1"), entry("y", "2"), entry("z", "3")]));
            let sent = sender.runtime.block_on(batch.send()).expect("an answer");
            let blamed: Vec<_> = sent.failed().iter().map(|f| (f.id(), f.sender_fault())).collect();
            assert_eq!(blamed, [("x", sender_fault), ("z", sender_fault)]);
            assert_eq!(sqs.messages().last().map(|m| m.body.clone()).as_deref(), Some("2"));
        }
    }

    #[test]
    fn a_batch_can_be_refused_as_a_whole() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        let half = "x".repeat(MAX_BYTES / 2);
        let eleven: Vec<_> = (0..11).map(|i| entry(&i.to_string(), "x")).collect();
        let cases = [
            (vec![], "AWS.SimpleQueueService.EmptyBatchRequest"),
            (eleven, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
            (vec![entry("a", "x"), entry("a", "y")], "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
            (vec![entry("a b", "x")], "AWS.SimpleQueueService.InvalidBatchEntryId"),
            (
                vec![entry("a", &half), entry("b", &half), entry("c", "x")],
                "AWS.SimpleQueueService.BatchRequestTooLong",
            ),
        ];
        for (entries, code) in cases {
            let batch =
                sender.client.send_message_batch().queue_url(sqs.queue_url()).set_entries(Some(entries));
            let refused = sender.runtime.block_on(batch.send()).map_err(Failure::of).map(drop);
            assert_eq!(refused, Err(Failure::Code(code.into())));
        }
        assert_eq!(sqs.messages(), []);
        let batch = sender.client.send_message_batch().queue_url(sqs.queue_url());
        let batch = batch.set_entries(Some(vec![entry("a", &half), entry("b", &half)]));
        sender.runtime.block_on(batch.send()).expect("exactly the limit");
        assert_eq!(sqs.messages().len(), 2);
    }

    #[test]
    fn a_message_may_fill_one_mebibyte_with_its_attributes() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        let attribute = "x".len() + "String".len() + "y".len();
        for (bytes, fits) in [(MAX_BYTES - attribute, true), (MAX_BYTES - attribute + 1, false)] {
            let message = sender.client.send_message().queue_url(sqs.queue_url());
            let message = message.message_body("b".repeat(bytes)).message_attributes("x", text("y"));
            let sent = sender.runtime.block_on(message.send()).map_err(Failure::of).map(drop);
            let refused = Err(Failure::Code("InvalidParameterValue".into()));
            assert_eq!(sent, if fits { Ok(()) } else { refused }, "{bytes}");
        }
        assert_eq!(sqs.messages().iter().map(Message::size).collect::<Vec<_>>(), [MAX_BYTES]);
    }

    #[test]
    fn attributes_have_their_own_rules() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        let number = |n: &str| {
            MessageAttributeValue::builder()
                .data_type("Number")
                .string_value(n)
                .build()
                .expect("an attribute")
        };
        let many = |n: usize| (0..n).map(|i| (format!("a{i}"), text("v"))).collect::<Vec<_>>();
        let one = |name: &str, value| vec![(name.to_owned(), value)];
        let cases = [
            (many(10), true),
            (many(11), false),
            (one("n", number("12.5")), true),
            (one("n", number("twelve")), false),
            (one("AWS.Trace", text("v")), false),
            (one("a..b", text("v")), false),
            (one("a b", text("v")), false),
            (one("a", text("")), false),
            (one("a", text("\u{1}")), false),
        ];
        for (attributes, fits) in cases {
            let names: Vec<_> = attributes.iter().map(|(name, _)| name.clone()).collect();
            let message = sender.client.send_message().queue_url(sqs.queue_url()).message_body("b");
            let message = message.set_message_attributes(Some(attributes.into_iter().collect()));
            let sent = sender.runtime.block_on(message.send()).map_err(Failure::of).map(drop);
            let refused = Err(Failure::Code("InvalidParameterValue".into()));
            assert_eq!(sent, if fits { Ok(()) } else { refused }, "{names:?}");
        }
    }

    #[test]
    fn the_alphabet_is_that_of_xml() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        let allowed = "\t\n\r \u{7F}\u{D7FF}\u{E000}\u{FFFD}\u{10000}\u{10FFFF}";
        sender.send(&sqs.queue_url(), allowed).expect("accepted");
        assert_eq!(sqs.messages()[0].body, allowed);
        for bad in ["\0", "\u{8}", "\u{B}", "\u{C}", "\u{E}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"] {
            let refused = sender.send(&sqs.queue_url(), &format!("x{bad}"));
            assert_eq!(refused.map(drop), Err(Failure::Code("InvalidMessageContents".into())), "{bad:?}");
        }
        let empty = sender.send(&sqs.queue_url(), "").map(drop);
        assert_eq!(empty, Err(Failure::Code("MissingParameter".into())));
    }

    #[test]
    fn fifo_wants_a_group_and_keeps_one_of_each_id() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        let send = |url: String, group: Option<&str>, id: Option<&str>| {
            let message = sender.client.send_message().queue_url(url).message_body("b");
            let message = message.set_message_group_id(group.map(Into::into));
            let message = message.set_message_deduplication_id(id.map(Into::into));
            sender.runtime.block_on(message.send()).map_err(Failure::of)
        };
        let code = |code: &str| Err(Failure::Code(code.into()));
        let first = send(sqs.fifo_queue_url(), Some("g"), Some("1")).expect("accepted");
        let again = send(sqs.fifo_queue_url(), Some("g"), Some("1")).expect("accepted");
        assert_eq!(first.message_id(), again.message_id());
        assert_eq!(first.sequence_number(), again.sequence_number());
        let second = send(sqs.fifo_queue_url(), Some("g"), Some("2")).expect("accepted");
        assert!(second.sequence_number() > first.sequence_number());
        assert_eq!(send(sqs.fifo_queue_url(), None, Some("3")).map(drop), code("MissingParameter"));
        assert_eq!(send(sqs.fifo_queue_url(), Some("g"), None).map(drop), code("InvalidParameterValue"));
        assert_eq!(
            send(sqs.fifo_queue_url(), Some("a b"), Some("3")).map(drop),
            code("InvalidParameterValue")
        );
        assert_eq!(send(sqs.queue_url(), Some("g"), Some("1")).map(drop), code("InvalidParameterValue"));
        let ids: Vec<_> = sqs.messages().into_iter().map(|m| (m.fifo, m.deduplication_id)).collect();
        assert_eq!(ids, [(true, Some("1".into())), (true, Some("2".into()))]);
    }

    #[test]
    fn another_key_or_queue_is_refused() {
        let sqs = Sqs::start();
        let refused = Sender::with(&sqs, "another-secret", 1, PATIENCE).send(&sqs.queue_url(), "b").map(drop);
        assert_eq!(refused, Err(Failure::Code("SignatureDoesNotMatch".into())));
        let elsewhere = format!("{}/123456789012/other", sqs.endpoint());
        let refused = Sender::new(&sqs).send(&elsewhere, "b").map(drop);
        assert_eq!(refused, Err(Failure::Code("AWS.SimpleQueueService.NonExistentQueue".into())));
        let unsigned = ureq::post(sqs.endpoint())
            .config()
            .http_status_as_error(false)
            .build()
            .header("x-amz-target", "AmazonSQS.SendMessage")
            .send("{}")
            .expect("an answer");
        assert_eq!(unsigned.status().as_u16(), 403);
        assert_eq!(sqs.messages(), []);
    }

    #[test]
    fn every_fault_looks_to_the_client_as_on_aws() {
        let code = |code: &str| Err(Failure::Code(code.into()));
        let cases = [
            (Fault::None, Ok(()), 1),
            (Fault::Http500, code("InternalFailure"), 0),
            (Fault::Throttle, code("RequestThrottled"), 0),
            (Fault::AccessDenied, code("AccessDenied"), 0),
            (Fault::ExpiredToken, code("ExpiredToken"), 0),
            (Fault::QueueDoesNotExist, code("AWS.SimpleQueueService.NonExistentQueue"), 0),
            (Fault::Delay(Duration::from_millis(50)), Ok(()), 1),
            (Fault::Hang, Err(Failure::TimedOut), 0),
            (Fault::ResetBefore, Err(Failure::Connection), 0),
            (Fault::StoreThenHang, Err(Failure::TimedOut), 1),
            (Fault::StoreThenReset, Err(Failure::Connection), 1),
            (Fault::AnswerThenClose, Ok(()), 1),
            (Fault::HalfAnswer, Err(Failure::Unreadable), 1),
            (Fault::Garbage200("{}"), Ok(()), 0),
            (Fault::Garbage200("<html>"), Err(Failure::Code(String::new())), 0),
            (Fault::FailEntries { indices: vec![0], sender_fault: true }, code("InvalidParameterValue"), 0),
            (Fault::FailEntries { indices: vec![0], sender_fault: false }, code("InternalFailure"), 0),
            (Fault::FailEntries { indices: vec![1], sender_fault: false }, Ok(()), 1),
        ];
        for (fault, outcome, stored) in cases {
            let sqs = Sqs::start();
            sqs.then(fault.clone());
            // Where no answer comes, there is nothing to be patient for.
            let is_silent = matches!(fault, Fault::Hang | Fault::StoreThenHang);
            let patience = if is_silent { Duration::from_secs(1) } else { PATIENCE };
            let sender = Sender::with(&sqs, SECRET_ACCESS_KEY, 1, patience);
            assert_eq!(sender.send(&sqs.queue_url(), "b").map(drop), outcome, "{fault:?}");
            assert_eq!((sqs.messages().len(), sqs.requests()), (stored, 1), "{fault:?}");
            // Only one request was to fail. A new client, as the old one's connection may be dead.
            Sender::new(&sqs).send(&sqs.queue_url(), "b").expect("healed");
            assert_eq!(sqs.messages().len(), stored + 1, "{fault:?}");
        }
    }

    #[test]
    fn faults_are_taken_in_order_and_the_last_word_stays() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        sqs.then(Fault::None).then(Fault::Throttle).always(Fault::Http500);
        let results: Vec<_> = (0..4).map(|_| sender.send(&sqs.queue_url(), "b").map(drop)).collect();
        let failed = |code: &str| Err(Failure::Code(code.into()));
        assert_eq!(
            results,
            [Ok(()), failed("RequestThrottled"), failed("InternalFailure"), failed("InternalFailure")]
        );
        sqs.always(Fault::None);
        sender.send(&sqs.queue_url(), "b").expect("healed");
        assert_eq!((sqs.messages().len(), sqs.requests()), (2, 5));
    }

    #[test]
    fn the_client_retries_what_is_worth_it() {
        let sqs = Sqs::start();
        let sender = Sender::with(&sqs, SECRET_ACCESS_KEY, 3, PATIENCE);
        sqs.then(Fault::Http500).then(Fault::Throttle);
        sender.send(&sqs.queue_url(), "b").expect("the third attempt");
        assert_eq!(sqs.messages()[0].request, 3);
        sqs.then(Fault::StoreThenReset);
        sender.send(&sqs.queue_url(), "c").expect("the second attempt");
        let messages = sqs.messages();
        let bodies: Vec<_> = messages.iter().map(|m| m.body.as_str()).collect();
        assert_eq!(bodies, ["b", "c", "c"]);
        assert_eq!(messages[2].connection, messages[1].connection + 1);
        assert_eq!(sqs.connections(), messages[2].connection);
        sqs.always(Fault::AccessDenied);
        sender.send(&sqs.queue_url(), "d").expect_err("refused");
        assert_eq!(sqs.requests(), 6);
    }

    #[test]
    fn the_typed_error_of_a_throttled_request() {
        let sqs = Sqs::start();
        let sender = Sender::new(&sqs);
        sqs.then(Fault::Throttle);
        let sending = sender.client.send_message().queue_url(sqs.queue_url()).message_body("b").send();
        let error = sender.runtime.block_on(sending).expect_err("throttled").into_service_error();
        assert!(matches!(error, SendMessageError::RequestThrottled(_)), "{error:?}");
    }
}
