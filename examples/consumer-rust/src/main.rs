//! Handles the events that Hookgate queues, as a Lambda function or as a loop on any machine:
//!
//! ```text
//! QUEUE_URL=https://sqs.… HANDLED_TABLE=handled cargo run
//! ```
//!
//! `handle` is yours, the rest can stay as it is; docs/consuming.md says why it is so. For an emulator set
//! `AWS_ENDPOINT_URL`, with an IP address in it.

use aws_config::BehaviorVersion;
use aws_lambda_events::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure::AllOld};
use aws_sdk_sqs::types::{DeleteMessageBatchRequestEntry, MessageSystemAttributeName};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use sha2::{Digest, Sha256};
use std::collections::{HashMap, HashSet};
use std::env;
use std::time::{SystemTime, UNIX_EPOCH};

/// What an event has to be worth. With `token` and `basic` the body could be anything.
const ACCEPTED: [&str; 2] = ["signed-fresh", "signed"];
/// In milliseconds. Longer than an event takes, shorter than the queue's visibility timeout.
const LEASE: u64 = 20_000;
/// In seconds. Longer than providers send again and queues keep messages.
const REMEMBERED: u64 = 30 * 24 * 60 * 60;

/// The attributes that are used here; there are more, and there will be further ones.
#[derive(Deserialize)]
struct Event {
    specversion: String,
    envelopeversion: String,
    id: String,
    idsource: String,
    source: String,
    r#type: String,
    datacontenttype: String,
    provider: String,
    assurance: String,
    calldigest: String,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
    dataref: Option<String>,
    rawbody: Option<String>,
    rawref: Option<String>,
    rawheaders: Option<String>,
}

struct Consumer {
    sqs: aws_sdk_sqs::Client,
    s3: aws_sdk_s3::Client,
    dynamodb: aws_sdk_dynamodb::Client,
    /// Partition key `id`, a string; TTL attribute `expires`.
    handled: String,
    /// GitHub's secret, where its signatures are to be checked once more.
    github_secret: Option<String>,
}

// region: numbers
enum Data {
    /// The text, byte for byte. Read it into a struct of yours in which an id is a `u64`; `f64` would round it, and so does
    /// `Value` beyond 64 bits.
    Json(Box<RawValue>),
    Bytes(Vec<u8>),
    None,
}

#[derive(Deserialize)]
struct Push {
    repository: Repository,
}

#[derive(Deserialize)]
struct Repository {
    id: u64,
}

#[derive(Serialize)]
struct Line<'a> {
    handled: &'a str,
    r#type: &'a str,
    key: &'a str,
    data: Box<RawValue>,
}

/// What you want done. Whatever is called that can tell duplicates by itself gets `key`: an event whose handling was cut
/// off comes again.
async fn handle(event: &Event, data: &Data, key: &str) -> Result<(), Error> {
    let data = match data {
        Data::Json(text) if event.r#type == "com.github.push" => {
            to_raw_value(&serde_json::from_str::<Push>(text.get())?.repository.id)?
        }
        Data::Json(text) => text.clone(),
        Data::Bytes(bytes) => to_raw_value(&BASE64_STANDARD.encode(bytes))?,
        Data::None => RawValue::NULL.to_owned(),
    };
    let line = Line { handled: &event.id, r#type: &event.r#type, key, data };
    println!("{}", serde_json::to_string(&line)?);
    Ok(())
}
// endregion

// region: identity
/// What tells an event from all others, in a form that fits every key.
fn identity(event: &Event) -> String {
    let digest = if event.idsource == "header" { event.calldigest.as_str() } else { "" };
    sha256(format!("{}\n{}\n{digest}", event.source, event.id).as_bytes())
}
// endregion

fn sha256(data: &[u8]) -> String {
    hex::encode(Sha256::digest(data))
}

// region: raw
/// Checks GitHub's signature (content type application/json) once more.
fn verify(event: &Event, raw: &[u8], secret: &str) -> Result<(), Error> {
    let headers: HashMap<String, String> =
        serde_json::from_str(event.rawheaders.as_deref().ok_or("rawheaders is missing")?)?;
    let sent = headers.get("x-hub-signature-256").and_then(|sent| sent.strip_prefix("sha256="));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(raw);
    Ok(mac.verify_slice(&hex::decode(sent.ok_or("no signature")?)?)?)
}
// endregion

impl Consumer {
    // region: data
    async fn data(&self, event: &Event) -> Result<Data, Error> {
        let json = |bytes: Vec<u8>| Ok(Data::Json(RawValue::from_string(String::from_utf8(bytes)?)?));
        if let (Some(secret), "github") = (&self.github_secret, event.provider.as_str()) {
            // What carries no raw bytes is refused.
            let raw = match &event.rawref {
                Some(reference) => self.fetch(reference).await?,
                None => BASE64_STANDARD.decode(event.rawbody.as_deref().ok_or("rawbody is missing")?)?,
            };
            verify(event, &raw, secret)?;
            return json(raw);
        }
        if let Some(reference) = &event.dataref {
            let bytes = self.fetch(reference).await?;
            let is_json =
                event.datacontenttype == "application/json" && !event.r#type.ends_with(".unreadable");
            return if is_json { json(bytes) } else { Ok(Data::Bytes(bytes)) };
        }
        Ok(match (&event.data, &event.data_base64) {
            (Some(text), _) => Data::Json(text.clone()),
            (None, Some(base64)) => Data::Bytes(BASE64_STANDARD.decode(base64)?),
            (None, None) => Data::None,
        })
    }

    /// The object that `s3://bucket/key` names. The key ends with the SHA-256 of its bytes.
    async fn fetch(&self, reference: &str) -> Result<Vec<u8>, Error> {
        let path = reference.strip_prefix("s3://").and_then(|path| path.split_once('/'));
        let (bucket, key) = path.ok_or("not a reference to an object")?;
        let object = self.s3.get_object().bucket(bucket).key(key).send().await?;
        let bytes = object.body.collect().await?.to_vec();
        if key.rsplit('/').next() != Some(&sha256(&bytes)) {
            return Err("the object is not the one that was put".into());
        }
        Ok(bytes)
    }
    // endregion

    // region: once
    /// Does the work unless it has been done. An item with a lease is being worked on, one without has been done.
    async fn once(&self, key: &str, work: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let number = |n: u64| AttributeValue::N(n.to_string());
        let now = u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis())?;
        let lease = number(now + LEASE);
        let id = AttributeValue::S(key.into());
        let done = self.dynamodb.put_item().table_name(&self.handled).item("id", id);
        let done = done.item("expires", number(now / 1000 + REMEMBERED));
        let claim = done.clone().item("lease", lease.clone());
        let claim = claim.condition_expression("attribute_not_exists(id) OR lease < :now");
        let claim = claim.expression_attribute_values(":now", number(now));
        let claim = claim.return_values_on_condition_check_failure(AllOld);
        match claim.send().await.map_err(SdkError::into_service_error) {
            Ok(_) => {}
            Err(PutItemError::ConditionalCheckFailedException(found)) => {
                let leased = found.item.is_some_and(|item| item.contains_key("lease"));
                return if leased { Err("somebody else is at it".into()) } else { Ok(()) };
            }
            Err(error) => return Err(error.into()),
        }
        if let Err(error) = work.await {
            self.give_back(key, lease).await;
            return Err(error);
        }
        done.send().await?;
        Ok(())
    }

    /// So that the next attempt need not wait for the lease to end. Another's lease is left alone.
    async fn give_back(&self, key: &str, lease: AttributeValue) {
        let item =
            self.dynamodb.delete_item().table_name(&self.handled).key("id", AttributeValue::S(key.into()));
        let item = item.condition_expression("lease = :lease").expression_attribute_values(":lease", lease);
        if let Err(error) = item.send().await {
            eprintln!("not given back: {}", error.into_service_error());
        }
    }
    // endregion

    // region: message
    /// Every error sends the message back, and in the end to the dead-letter queue.
    async fn handle_message(&self, body: &str) -> Result<(), Error> {
        let event: Event = serde_json::from_str(body)?;
        if event.specversion != "1.0" || !event.envelopeversion.starts_with("1.") {
            return Err("an envelope of another version".into());
        }
        if !ACCEPTED.contains(&event.assurance.as_str()) {
            return Err("not worth enough".into());
        }
        let (data, key) = (self.data(&event).await?, identity(&event));
        self.once(&key, handle(&event, &data, &key)).await
    }
    // endregion

    // region: batch
    /// The ids of the messages that have to come back.
    async fn handle_batch(&self, messages: &[Message]) -> HashSet<String> {
        let (mut failed, mut stopped) = (HashSet::new(), HashSet::new());
        for message in messages {
            if message.group.as_ref().is_some_and(|group| stopped.contains(group)) {
                failed.insert(message.id.clone());
            } else if let Err(error) = self.handle_message(&message.body).await {
                eprintln!("message {}: {error}", message.id);
                failed.insert(message.id.clone());
                stopped.extend(message.group.clone());
            }
        }
        failed
    }
    // endregion

    // region: lambda
    async fn on_event(&self, event: LambdaEvent<SqsEvent>) -> Result<SqsBatchResponse, Error> {
        let messages: Vec<Message> = event
            .payload
            .records
            .into_iter()
            .map(|record| {
                let attribute = |name: &str| record.attributes.get(name).cloned();
                let group = attribute("SequenceNumber").and_then(|_| attribute("MessageGroupId"));
                let (id, body) = (record.message_id.unwrap_or_default(), record.body.unwrap_or_default());
                Message { id, group, body }
            })
            .collect();
        let mut response = SqsBatchResponse::default();
        for id in self.handle_batch(&messages).await {
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = id;
            response.batch_item_failures.push(failure);
        }
        Ok(response)
    }
    // endregion

    // region: loop
    async fn run(&self, queue_url: &str) -> Result<(), Error> {
        use MessageSystemAttributeName::{MessageGroupId, SequenceNumber};
        loop {
            let received = self.sqs.receive_message().queue_url(queue_url);
            let received = received.max_number_of_messages(10).wait_time_seconds(20);
            let received = received.message_system_attribute_names(MessageGroupId);
            let received = received.message_system_attribute_names(SequenceNumber).send().await?.messages;
            let (mut messages, mut receipts) = (Vec::new(), Vec::new());
            for message in received.unwrap_or_default() {
                let attribute = |name| message.attributes.as_ref().and_then(|all| all.get(&name)).cloned();
                let group = attribute(SequenceNumber).and_then(|_| attribute(MessageGroupId));
                receipts.push(message.receipt_handle.unwrap_or_default());
                let (id, body) = (message.message_id.unwrap_or_default(), message.body.unwrap_or_default());
                messages.push(Message { id, group, body });
            }
            let failed = self.handle_batch(&messages).await;
            let mut entries = Vec::new();
            for (i, (message, receipt)) in messages.iter().zip(receipts).enumerate() {
                if !failed.contains(&message.id) {
                    let entry = DeleteMessageBatchRequestEntry::builder().id(i.to_string());
                    entries.push(entry.receipt_handle(receipt).build()?);
                }
            }
            // What is not deleted comes back when the visibility timeout ends: what failed, and what this call missed.
            if !entries.is_empty() {
                self.sqs
                    .delete_message_batch()
                    .queue_url(queue_url)
                    .set_entries(Some(entries))
                    .send()
                    .await?;
            }
        }
    }
    // endregion
}

struct Message {
    id: String,
    /// Of a FIFO queue only. A standard queue may have groups too, for fairness, but does not number its messages.
    group: Option<String>,
    body: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let http =
        aws_smithy_http_client::Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https();
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(http).load().await;
    let consumer = Consumer {
        sqs: aws_sdk_sqs::Client::new(&config),
        s3: aws_sdk_s3::Client::new(&config),
        dynamodb: aws_sdk_dynamodb::Client::new(&config),
        handled: env::var("HANDLED_TABLE")?,
        github_secret: env::var("GITHUB_SECRET").ok().filter(|secret| !secret.is_empty()),
    };
    if env::var_os("AWS_LAMBDA_RUNTIME_API").is_some() {
        lambda_runtime::run(service_fn(|event| consumer.on_event(event))).await
    } else {
        consumer.run(&env::var("QUEUE_URL")?).await
    }
}
