//! A memory of events, in DynamoDB, for longer than a FIFO queue's five minutes.
//!
//! An event's identity is claimed before the event is stored and called done after that, so that a crash at any point may
//! store it twice and never loses it: a claim that nobody came back to is taken over when its lease has run out, and where
//! the table does not answer the event is sent all the same. Only events of verified calls are looked up.

use crate::aws::{Answer, Ask, Aws, Operation};
use crate::crypto;
use crate::event::Envelope;
use crate::log;
use futures_util::StreamExt as _;
use futures_util::stream;
use serde_json::{Value, json};
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// How long an event is remembered if nobody says otherwise: longer than providers send again.
pub const TTL: Duration = Duration::from_secs(7 * 24 * 3600);
/// How long a claim outlives its call's deadline: what is under way then may still be stored.
const LEASE: Duration = Duration::from_secs(2);
/// The most that calling claims done, or giving them up, may take.
const SETTLING: Duration = Duration::from_millis(500);
/// The furthest from now that a lease of ours can end: no provider's deadline is longer.
const LONGEST: Duration = Duration::from_secs(60);
/// How long a table that did not answer is left alone: each call would wait for it in vain.
const RESTING: Duration = Duration::from_secs(5);
/// How many requests of one call are under way at once.
const SIDE_BY_SIDE: usize = 16;

/// Whose it is to store an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claim {
    /// This call's.
    Ours,
    /// It was stored before, or stands in this call once more.
    Done,
    /// Another call is about to.
    Held,
}

/// A table of identities.
pub struct Table {
    aws: Arc<Aws>,
    name: String,
    ttl: Duration,
    resting_since: Mutex<Option<Instant>>,
}

/// What was claimed for a call.
pub(crate) struct Claims {
    /// Of each event.
    pub each: Vec<Claim>,
    /// Keys that the table has as ours, or may have, by the event's place.
    keys: Vec<Option<String>>,
    owner: String,
}

impl Table {
    /// A table by its name, in which an event is remembered for so long.
    pub fn new(aws: &Arc<Aws>, name: &str, ttl: Duration) -> Table {
        Table { aws: aws.clone(), name: name.to_owned(), ttl, resting_since: Mutex::default() }
    }

    /// Claims the events of a call that is over at `end`. Gives up at `until`. An event that cannot be told from another
    /// occurrence of the same is claimed by nobody.
    pub(crate) async fn claim(&self, events: &[Envelope], until: Instant, end: Instant) -> Claims {
        let owner = owner();
        let lease = millis() + end.saturating_duration_since(Instant::now()).as_millis() + LEASE.as_millis();
        let mut seen = HashSet::new();
        let keys: Vec<String> = events.iter().map(key).collect();
        let resting = self.is_resting();
        let asked: Vec<_> = events
            .iter()
            .zip(&keys)
            .map(|(event, key)| {
                let known = match (event.is_told_apart(), resting) {
                    (false, _) => Some(Ok(Claim::Ours)),
                    _ if !seen.insert(key.as_str()) => Some(Ok(Claim::Done)),
                    (true, true) => Some(Err("the table did not answer a moment ago")),
                    (true, false) => None,
                };
                self.claim_one(known, key, &owner, lease, until)
            })
            .collect();
        let answers: Vec<Result<Claim, &'static str>> =
            stream::iter(asked).buffered(SIDE_BY_SIDE).collect().await;
        if let (Some(why), Some(event)) = (answers.iter().find_map(|answer| answer.err()), events.first()) {
            log::unclaimed(event.provider(), why);
        }
        // A claim whose answer was lost may be there all the same.
        let is_claimed = |answer: &Result<Claim, _>, event: &Envelope| {
            !resting && event.is_told_apart() && *answer != Ok(Claim::Done) && *answer != Ok(Claim::Held)
        };
        let keys = answers.iter().zip(events).zip(keys);
        Claims {
            each: answers.iter().map(|answer| answer.unwrap_or(Claim::Ours)).collect(),
            keys: keys.map(|((answer, event), key)| is_claimed(answer, event).then_some(key)).collect(),
            owner,
        }
    }

    async fn claim_one(
        &self,
        known: Option<Result<Claim, &'static str>>,
        key: &str,
        owner: &str,
        lease: u128,
        until: Instant,
    ) -> Result<Claim, &'static str> {
        if let Some(known) = known {
            return known;
        }
        let now = millis();
        // An item lives on for hours after it has expired, and an answer may be lost on its way to us.
        // <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/howitworks-ttl.html>
        let input = json!({
            "TableName": self.name,
            "Item": {
                "id": { "S": key },
                "state": { "S": "claimed" },
                "owner": { "S": owner },
                "lease": { "N": lease.to_string() },
                "expires": { "N": self.expires(now) },
            },
            "ConditionExpression":
                "attribute_not_exists(#id) OR #owner = :owner OR #expires < :seconds \
                 OR (#state = :claimed AND #lease < :now)",
            "ExpressionAttributeNames":
                { "#id": "id", "#owner": "owner", "#state": "state", "#lease": "lease", "#expires": "expires" },
            "ExpressionAttributeValues": {
                ":owner": { "S": owner },
                ":claimed": { "S": "claimed" },
                ":now": { "N": now.to_string() },
                ":seconds": { "N": (now / 1000).to_string() },
            },
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        });
        let answer = self.ask("PutItem", &input, until).await?;
        if answer.is_success() {
            return Ok(Claim::Ours);
        }
        match answer.error().as_str() {
            "ConditionalCheckFailedException" => {
                let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                let text = |pointer| answer.pointer(pointer).and_then(Value::as_str);
                let lease = text("/Item/lease/N").and_then(|digits| digits.parse::<u128>().ok());
                match (text("/Item/state/S"), lease) {
                    (Some("done"), _) => Ok(Claim::Done),
                    (Some("claimed"), Some(lease)) if lease <= now + LONGEST.as_millis() => Ok(Claim::Held),
                    // Whatever else is there must not keep an event out for good.
                    _ => Err("the table has an item that is none of a claim"),
                }
            }
            error => Err(meaning(error)),
        }
    }

    /// Calls claims of what is kept done, and gives up the others, so that the provider's next attempt need not wait.
    pub(crate) async fn settle(&self, claims: &Claims, kept: &[bool], until: Instant) {
        let until = until.min(Instant::now() + SETTLING);
        let each = claims.keys.iter().zip(kept).filter_map(|(key, kept)| Some((key.as_deref()?, *kept)));
        let asked: Vec<_> =
            each.map(|(key, kept)| self.settle_one(key, kept, &claims.owner, until)).collect();
        // Whatever becomes of it: a claim ends by itself.
        let _: Vec<Result<Answer, _>> = stream::iter(asked).buffer_unordered(SIDE_BY_SIDE).collect().await;
    }

    async fn settle_one(
        &self,
        key: &str,
        kept: bool,
        owner: &str,
        until: Instant,
    ) -> Result<Answer, &'static str> {
        if kept { self.call_done(key, owner, until).await } else { self.give_up(key, owner, until).await }
    }

    async fn call_done(&self, key: &str, owner: &str, until: Instant) -> Result<Answer, &'static str> {
        let now = millis();
        let input = json!({
            "TableName": self.name,
            "Item": {
                "id": { "S": key },
                "state": { "S": "done" },
                "owner": { "S": owner },
                "expires": { "N": self.expires(now) },
            },
        });
        self.ask("PutItem", &input, until).await
    }

    async fn give_up(&self, key: &str, owner: &str, until: Instant) -> Result<Answer, &'static str> {
        let input = json!({
            "TableName": self.name,
            "Key": { "id": { "S": key } },
            "ConditionExpression": "#owner = :owner AND #state = :claimed",
            "ExpressionAttributeNames": { "#owner": "owner", "#state": "state" },
            "ExpressionAttributeValues": { ":owner": { "S": owner }, ":claimed": { "S": "claimed" } },
        });
        self.ask("DeleteItem", &input, until).await
    }

    async fn ask(&self, operation: &str, input: &Value, until: Instant) -> Result<Answer, &'static str> {
        let target = &format!("DynamoDB_20120810.{operation}");
        let ask = Ask::Json { target, content_type: "application/x-amz-json-1.0", input };
        let answer = self.aws.insist(&Operation { service: "dynamodb", env: "DYNAMODB", ask }, until).await;
        if answer.is_err() {
            *self.resting_since.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        answer
    }

    fn is_resting(&self) -> bool {
        let since = self.resting_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() < RESTING)
    }

    /// When an event is forgotten, in Unix seconds.
    fn expires(&self, now: u128) -> String {
        (now / 1000 + u128::from(self.ttl.as_secs())).to_string()
    }
}

/// The key of an event: its identity, in a form that has one length.
fn key(event: &Envelope) -> String {
    crypto::sha256_hex(&[event.identity().as_bytes()])
}

/// A name for this call among all that might claim the same event.
fn owner() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", random(), random())
}

fn millis() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()
}

/// What an error of DynamoDB means, in words of ours.
fn meaning(error: &str) -> &'static str {
    match error {
        "AccessDeniedException" => "the function's role may not write to the table",
        "ResourceNotFoundException" => "there is no table of that name",
        "ProvisionedThroughputExceededException" | "ThrottlingException" | "RequestLimitExceeded" => {
            "DynamoDB throttles"
        }
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            "AWS does not take the function's credentials"
        }
        "ValidationException" => "the table's key is not the text `id`",
        _ => "DynamoDB failed",
    }
}
