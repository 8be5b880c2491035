//! Amazon DynamoDB: one table behind its JSON protocol, with `PutItem`, `DeleteItem` and `GetItem`, conditions that are
//! evaluated for what they say, and every fault between a function and a table on demand.
//!
//! ```
//! use tests::{dynamo::Dynamo, fault::Fault};
//! let dynamo = Dynamo::start("identities", "id");
//! dynamo.then(Fault::Throttle).always(Fault::Hang);
//! assert_eq!((dynamo.requests(), dynamo.items().len()), (0, 0));
//! ```
//!
//! Of conditions it knows comparisons, `attribute_exists`, `attribute_not_exists`, `AND`, `OR`, `NOT` and parentheses:
//! <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html>. Items do not
//! expire, as on AWS they may not for days.

use crate::fault::{self, Fault, Plan, Request, play};
use crate::http::{Answer, Call, Reply, Server, lock};
use crate::sigv4;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// The service, gone when dropped.
pub struct Dynamo {
    server: Server,
    desk: Arc<Desk>,
}

/// An item as the protocol has it: attribute values by name, `{"id":{"S":"…"}}`.
pub type Item = Map<String, Value>;

/// A change of the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// What was put; `None` where it was deleted.
    pub item: Option<Item>,
    /// Its key.
    pub key: String,
    /// Before any answer to its request went out.
    pub at: Instant,
}

impl Dynamo {
    /// Starts it with one empty table, whose only key is a text of that name.
    pub fn start(table: &str, key: &str) -> Dynamo {
        let desk = Arc::new(Desk {
            table: table.to_owned(),
            key: key.to_owned(),
            plan: Plan::default(),
            state: Mutex::default(),
        });
        let of_server = desk.clone();
        Dynamo { server: Server::start(move |call| of_server.serve(call)), desk }
    }

    /// For `AWS_ENDPOINT_URL_DYNAMODB`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address)
    }

    /// One fault more for the requests to come: each takes one, in the order they arrive.
    pub fn then(&self, fault: Fault) -> &Dynamo {
        self.desk.plan.then(fault);
        self
    }

    /// The fault of every request that [`Dynamo::then`] has none for. [`Fault::None`] heals.
    pub fn always(&self, fault: Fault) -> &Dynamo {
        self.desk.plan.always(fault);
        self
    }

    /// Who is asked for the fault of every request that [`Dynamo::then`] has none for, until [`Dynamo::always`] says
    /// again.
    pub fn draw(&self, fault: impl FnMut() -> Fault + Send + 'static) -> &Dynamo {
        self.desk.plan.draw(fault);
        self
    }

    /// All items, by key.
    pub fn items(&self) -> Vec<Item> {
        lock(&self.desk.state).items.values().cloned().collect()
    }

    /// All changes so far, in their order.
    pub fn writes(&self) -> Vec<Write> {
        lock(&self.desk.state).writes.clone()
    }

    /// Puts an item without a question, as somebody else might.
    #[track_caller]
    pub fn put(&self, item: Value) {
        let item = item.as_object().expect("attribute values by name").clone();
        let key = self.desk.key_of(&item).expect("an item with the table's key");
        lock(&self.desk.state).write(key, Some(item));
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

struct Desk {
    table: String,
    key: String,
    plan: Plan,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    items: BTreeMap<String, Item>,
    writes: Vec<Write>,
}

impl State {
    fn write(&mut self, key: String, item: Option<Item>) {
        match &item {
            Some(item) => self.items.insert(key.clone(), item.clone()),
            None => self.items.remove(&key),
        };
        self.writes.push(Write { item, key, at: Instant::now() });
    }
}

/// What `PutItem`, `DeleteItem` and `GetItem` have in common. A member that is not known here is refused, since it might
/// change what the request means.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Input {
    table_name: String,
    item: Option<Item>,
    key: Option<Item>,
    condition_expression: Option<String>,
    #[serde(default)]
    expression_attribute_names: BTreeMap<String, String>,
    #[serde(default)]
    expression_attribute_values: BTreeMap<String, Value>,
    return_values_on_condition_check_failure: Option<String>,
    #[serde(rename = "ConsistentRead")]
    _consistent_read: Option<bool>,
}

/// An error of DynamoDB.
#[derive(Debug)]
struct Refusal {
    status: u16,
    shape: &'static str,
    message: String,
    /// The item that was there, if the caller asked for it.
    item: Option<Item>,
}

impl Desk {
    fn serve(&self, call: &Call) -> Reply {
        let target = call.header("x-amz-target");
        let action = target.strip_prefix("DynamoDB_20120810.").unwrap_or(target);
        let (_, fault) = self.plan.arrive(action, call.connection);
        let process = |failing: &Fault| match failing {
            Fault::FailEntries { indices, sender_fault } if indices.contains(&0) => {
                if *sender_fault { invalid("as the test wishes") } else { failed() }.answer()
            }
            _ => self.process(call, action).map_or_else(Refusal::answer, |output| answer(200, &output)),
        };
        play(&fault, process, |refusal| {
            let refusal = match refusal {
                fault::Refusal::Failed => failed(),
                fault::Refusal::Throttled => throttled(),
                fault::Refusal::Denied => denied(),
                fault::Refusal::Expired => expired(),
                fault::Refusal::Gone => no_table(),
            };
            refusal.answer()
        })
    }

    fn process(&self, call: &Call, action: &str) -> Result<Value, Refusal> {
        if let Err(reason) = sigv4::check(call, "dynamodb") {
            return Err(bad_signature(reason));
        }
        if call.method != "POST" || call.header("content-type") != "application/x-amz-json-1.0" {
            return Err(unknown_operation());
        }
        let input: Input = serde_json::from_slice(&call.body).map_err(|e| Refusal {
            status: 400,
            shape: "com.amazon.coral.service#SerializationException",
            message: e.to_string(),
            item: None,
        })?;
        if input.table_name != self.table {
            return Err(no_table());
        }
        match (action, &input.item, &input.key) {
            ("PutItem", Some(item), None) => {
                check_values(item)?;
                self.write(self.key_of(item)?, Some(item.clone()), &input)
            }
            ("DeleteItem", None, Some(key)) => self.write(self.only_key_of(key)?, None, &input),
            ("GetItem", None, Some(key)) => {
                let found = lock(&self.state).items.get(&self.only_key_of(key)?).cloned();
                Ok(found.map_or_else(|| json!({}), |item| json!({ "Item": item })))
            }
            ("PutItem" | "DeleteItem" | "GetItem", ..) => {
                Err(invalid("Item or Key is missing, or both are there"))
            }
            _ => Err(unknown_operation()),
        }
    }

    /// Checks the condition and writes, with nothing in between.
    fn write(&self, key: String, item: Option<Item>, input: &Input) -> Result<Value, Refusal> {
        let mut state = lock(&self.state);
        let none = Item::new();
        let before = state.items.get(&key);
        if !condition(input, before.unwrap_or(&none))? {
            let returned = match input.return_values_on_condition_check_failure.as_deref() {
                None | Some("NONE") => None,
                Some("ALL_OLD") => before.cloned(),
                Some(_) => return Err(invalid("ReturnValuesOnConditionCheckFailure is ALL_OLD or NONE")),
            };
            return Err(Refusal {
                status: 400,
                shape: "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException",
                message: "The conditional request failed".into(),
                item: returned,
            });
        }
        state.write(key, item);
        Ok(json!({}))
    }

    fn key_of(&self, item: &Item) -> Result<String, Refusal> {
        let key = item.get(&self.key).and_then(|value| value.get("S")).and_then(Value::as_str);
        match key {
            None => Err(invalid(&format!(
                "One of the required keys was not given a value of its type: {}",
                self.key
            ))),
            Some("") => {
                Err(invalid("The AttributeValue for a key attribute cannot contain an empty string value."))
            }
            Some(key) => Ok(key.to_owned()),
        }
    }

    fn only_key_of(&self, key: &Item) -> Result<String, Refusal> {
        if key.len() != 1 {
            return Err(invalid("The provided key element does not match the schema"));
        }
        self.key_of(key)
    }
}

/// Of the types, texts and numbers are spoken here.
fn check_values(item: &Item) -> Result<(), Refusal> {
    item.values().try_for_each(|value| scalar(value).map(drop))
}

/// A text or a number.
#[derive(Debug, PartialEq, PartialOrd)]
enum Scalar<'a> {
    S(&'a str),
    N(f64),
}

fn scalar(value: &Value) -> Result<Scalar<'_>, Refusal> {
    let only = value.as_object().filter(|value| value.len() == 1).and_then(|value| value.iter().next());
    match only.map(|(kind, value)| (kind.as_str(), value.as_str())) {
        Some(("S", Some(text))) => Ok(Scalar::S(text)),
        // Numbers travel as texts, so that they keep their digits. Those compared here are below 2^53.
        Some(("N", Some(digits))) => digits
            .parse()
            .map(Scalar::N)
            .map_err(|_| invalid("The parameter cannot be converted to a numeric value")),
        _ => Err(invalid("Supplied AttributeValue has not exactly one of the types S and N")),
    }
}

/// Whether the item is as the request wants it to be.
fn condition(input: &Input, item: &Item) -> Result<bool, Refusal> {
    let (names, values) = (&input.expression_attribute_names, &input.expression_attribute_values);
    let Some(text) = &input.condition_expression else {
        return match names.is_empty() && values.is_empty() {
            true => Ok(true),
            false => Err(invalid("ExpressionAttributeNames or Values without an expression")),
        };
    };
    let words = words(text)?;
    let mut parser = Parser { words: &words, at: 0, names, values, item, used: BTreeSet::new() };
    let holds = parser.any_of()?;
    if parser.at != words.len() {
        return Err(syntax(text));
    }
    // What is given and not used is an error as well.
    if let Some(unused) = names.keys().chain(values.keys()).find(|name| !parser.used.contains(*name)) {
        return Err(invalid(&format!("Value provided in expression is unused: {unused}")));
    }
    Ok(holds)
}

/// Names of attributes that an expression may not have bare. Of the 573 reserved words those that come to mind for an
/// item of this kind: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/ReservedWords.html>
const RESERVED: &[&str] = &[
    "BEGIN",
    "COUNT",
    "DATE",
    "END",
    "HASH",
    "KEY",
    "NAME",
    "OWNER",
    "PARTITION",
    "STATE",
    "STATUS",
    "TIME",
    "TIMESTAMP",
    "TTL",
    "TYPE",
    "VALUE",
    "YEAR",
];

/// Cuts an expression: words, `#names`, `:values`, comparators, brackets and commas.
fn words(text: &str) -> Result<Vec<&str>, Refusal> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let of_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = match first {
            '<' if rest.starts_with("<>") || rest.starts_with("<=") => 2,
            '>' if rest.starts_with(">=") => 2,
            '<' | '>' | '=' | '(' | ')' | ',' => 1,
            '#' | ':' => 1 + rest[1..].find(|c| !of_word(c)).unwrap_or(rest.len() - 1),
            c if of_word(c) => rest.find(|c| !of_word(c)).unwrap_or(rest.len()),
            _ => return Err(syntax(text)),
        };
        words.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    Ok(words)
}

/// Reads an expression and evaluates it, whole: a mistake anywhere is one, whatever the rest comes to.
struct Parser<'a> {
    words: &'a [&'a str],
    at: usize,
    names: &'a BTreeMap<String, String>,
    values: &'a BTreeMap<String, Value>,
    item: &'a Item,
    used: BTreeSet<String>,
}

impl<'a> Parser<'a> {
    fn next(&mut self) -> Result<&'a str, Refusal> {
        let word = self.words.get(self.at).copied().ok_or_else(|| syntax("its end"))?;
        self.at += 1;
        Ok(word)
    }

    /// Takes the next word if it is this one. Words of the language have no case.
    fn takes(&mut self, word: &str) -> bool {
        let is_next = self.words.get(self.at).is_some_and(|next| next.eq_ignore_ascii_case(word));
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, word: &str) -> Result<(), Refusal> {
        if self.takes(word) { Ok(()) } else { Err(syntax(&format!("`{word}` is missing"))) }
    }

    /// `AND` binds closer than `OR`, and `NOT` closer than both.
    fn any_of(&mut self) -> Result<bool, Refusal> {
        let mut holds = self.all_of()?;
        while self.takes("OR") {
            holds |= self.all_of()?;
        }
        Ok(holds)
    }

    fn all_of(&mut self) -> Result<bool, Refusal> {
        let mut holds = self.one()?;
        while self.takes("AND") {
            holds &= self.one()?;
        }
        Ok(holds)
    }

    fn one(&mut self) -> Result<bool, Refusal> {
        if self.takes("NOT") {
            return Ok(!self.one()?);
        }
        if self.takes("(") {
            let holds = self.any_of()?;
            self.expect(")")?;
            return Ok(holds);
        }
        for (function, wanted) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            // Names of functions have a case.
            if self.words.get(self.at) == Some(&function) {
                self.at += 1;
                self.expect("(")?;
                let path = self.next()?;
                if path.starts_with(':') {
                    return Err(invalid("Operator or function requires a document path"));
                }
                let is_there = self.operand(path)?.is_some();
                self.expect(")")?;
                return Ok(is_there == wanted);
            }
        }
        let left = self.next()?;
        let left = self.operand(left)?;
        let comparator = self.next()?;
        let right = self.next()?;
        let right = self.operand(right)?;
        compare(left, comparator, right)
    }

    /// The value of a name, or of an attribute of the item, which may not be there.
    fn operand(&mut self, word: &str) -> Result<Option<&'a Value>, Refusal> {
        if word.starts_with(':') {
            self.used.insert(word.to_owned());
            let value = self.values.get(word).ok_or_else(|| {
                invalid(&format!("An expression attribute value used in expression is not defined: {word}"))
            })?;
            return Ok(Some(value));
        }
        if word.starts_with('#') {
            self.used.insert(word.to_owned());
            let name = self.names.get(word).ok_or_else(|| {
                invalid(&format!(
                    "An expression attribute name used in the document path is not defined: {word}"
                ))
            })?;
            return Ok(self.item.get(name));
        }
        if RESERVED.iter().any(|reserved| reserved.eq_ignore_ascii_case(word)) {
            return Err(invalid(&format!("Attribute name is a reserved keyword: {word}")));
        }
        if !word.starts_with(|c: char| c.is_ascii_alphabetic()) {
            return Err(syntax(word));
        }
        Ok(self.item.get(word))
    }
}

/// An attribute that is not there equals nothing and is less or greater than nothing; so is one of another type.
fn compare(left: Option<&Value>, comparator: &str, right: Option<&Value>) -> Result<bool, Refusal> {
    let operands = [left, right].map(|value| value.map(scalar).transpose());
    let [left, right] = operands;
    let (left, right) = (left?, right?);
    let order = match (&left, &right) {
        (Some(Scalar::S(left)), Some(Scalar::S(right))) => Some(left.as_bytes().cmp(right.as_bytes())),
        (Some(Scalar::N(left)), Some(Scalar::N(right))) => left.partial_cmp(right),
        _ => None,
    };
    match comparator {
        "=" => Ok(order == Some(Ordering::Equal)),
        "<>" => Ok(order != Some(Ordering::Equal)),
        "<" => Ok(order == Some(Ordering::Less)),
        ">" => Ok(order == Some(Ordering::Greater)),
        "<=" => Ok(matches!(order, Some(Ordering::Less | Ordering::Equal))),
        ">=" => Ok(matches!(order, Some(Ordering::Greater | Ordering::Equal))),
        other => Err(syntax(other)),
    }
}

impl Refusal {
    fn answer(self) -> Answer {
        let mut body = json!({ "__type": self.shape, "message": self.message });
        if let Some(item) = self.item {
            body["Item"] = item.into();
        }
        answer(self.status, &body)
    }
}

fn answer(status: u16, body: &Value) -> Answer {
    let headers = vec![("content-type", "application/x-amz-json-1.0".into())];
    Answer { status, headers, body: body.to_string().into_bytes() }
}

fn refusal(status: u16, shape: &'static str, message: &str) -> Refusal {
    Refusal { status, shape, message: message.to_owned(), item: None }
}

fn invalid(message: &str) -> Refusal {
    refusal(400, "com.amazon.coral.validate#ValidationException", message)
}

fn syntax(near: &str) -> Refusal {
    invalid(&format!("Invalid ConditionExpression: Syntax error; near: \"{near}\""))
}

fn bad_signature(reason: &str) -> Refusal {
    refusal(400, "com.amazon.coral.service#InvalidSignatureException", reason)
}

fn unknown_operation() -> Refusal {
    let message = "Only PutItem, DeleteItem and GetItem are spoken here.";
    refusal(400, "com.amazon.coral.service#UnknownOperationException", message)
}

fn no_table() -> Refusal {
    let shape = "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException";
    refusal(400, shape, "Requested resource not found")
}

fn denied() -> Refusal {
    let message = "User: arn:aws:sts::123456789012:assumed-role/hookgate is not authorized to perform: \
                   dynamodb:PutItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/hookgate";
    refusal(400, "com.amazon.coral.service#AccessDeniedException", message)
}

fn expired() -> Refusal {
    let message = "The security token included in the request is expired";
    refusal(400, "com.amazon.coral.service#ExpiredTokenException", message)
}

fn throttled() -> Refusal {
    let shape = "com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException";
    refusal(400, shape, "The level of configured provisioned throughput for the table was exceeded.")
}

fn failed() -> Refusal {
    let shape = "com.amazonaws.dynamodb.v20120810#InternalServerError";
    refusal(500, shape, "Internal server error")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::moto::Moto;
    use crate::sigv4::Key;
    use std::time::Duration;

    const TABLE: &str = "doubles";

    /// A signed request: `Ok` is the output, `Err` the error, or an empty one where no whole answer came.
    fn ask(endpoint: &str, key: &Key, action: &str, input: &Value) -> Result<Value, Value> {
        let body = input.to_string();
        let host = endpoint.replace("http://", "");
        let target = format!("DynamoDB_20120810.{action}");
        let signed = [
            ("content-type", "application/x-amz-json-1.0"),
            ("host", host.as_str()),
            ("x-amz-target", &target),
        ];
        let own = sigv4::sign(key, "POST", "/", &signed, body.as_bytes(), "dynamodb");
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(5)))
            .build();
        let mut request = ureq::Agent::from(config).post(endpoint);
        for (name, value) in signed.iter().copied().chain(own.iter().map(|(n, v)| (*n, v.as_str()))) {
            request = request.header(name, value);
        }
        let mut answer = request.send(&body).map_err(|_| Value::Null)?;
        let text = answer.body_mut().read_to_string().map_err(|_| Value::Null)?;
        let value: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
        if answer.status().as_u16() == 200 { Ok(value) } else { Err(value) }
    }

    /// What matters of an answer: the item, or the error's word and item.
    fn told(answer: &Result<Value, Value>) -> String {
        match answer {
            Ok(output) => format!("ok {}", output["Item"]),
            Err(error) => {
                let kind = error["__type"].as_str().unwrap_or_default();
                format!("{} {}", kind.rsplit('#').next().unwrap_or_default(), error["Item"])
            }
        }
    }

    /// One after another, against a table with the key `id`.
    fn script() -> Vec<(&'static str, Value)> {
        let item = |n: u32, state: &str| json!({ "id": { "S": "a" }, "n": { "N": n.to_string() }, "state": { "S": state } });
        let put = |item: Value, condition: &str, names: Value, values: Value| {
            let mut input = json!({
                "TableName": TABLE,
                "Item": item,
                "ConditionExpression": condition,
                "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            });
            // DynamoDB takes no empty lists of names and values.
            for (name, map) in [("ExpressionAttributeNames", names), ("ExpressionAttributeValues", values)] {
                if map.as_object().is_some_and(|map| !map.is_empty()) {
                    input[name] = map;
                }
            }
            ("PutItem", input)
        };
        let get = || ("GetItem", json!({ "TableName": TABLE, "Key": { "id": { "S": "a" } } }));
        let state = || json!({ "#s": "state" });
        let is = |text: &str| json!({ ":s": { "S": text } });
        let number = |n: &str| json!({ ":n": { "N": n } });
        let mut script = vec![
            get(),
            put(item(1, "x"), "n = :n", json!({}), number("1")),
            put(item(1, "x"), "attribute_exists(id)", json!({}), json!({})),
            put(item(1, "x"), "attribute_not_exists(id)", json!({}), json!({})),
            get(),
            put(item(2, "y"), "attribute_not_exists(id)", json!({}), json!({})),
            put(item(2, "y"), "#s = :s", state(), is("y")),
            put(item(2, "y"), "#s <> :s", state(), is("x")),
            put(item(2, "y"), "#s = :s", state(), is("x")),
            put(
                item(3, "y"),
                "attribute_not_exists(id) OR #s = :s AND n < :n",
                state(),
                json!({ ":s": { "S": "y" }, ":n": { "N": "2" } }),
            ),
            put(
                item(3, "y"),
                "attribute_not_exists(id) OR (#s = :s AND n < :n)",
                state(),
                json!({ ":s": { "S": "y" }, ":n": { "N": "10" } }),
            ),
            put(item(4, "y"), "n > :n", json!({}), number("3")),
            put(item(4, "y"), "n >= :n AND NOT n <> :n", json!({}), number("3.0")),
            put(item(5, "y"), "gone < :n", json!({}), number("3")),
            put(item(5, "y"), "gone = :n OR n < :n", json!({}), number("4")),
            // Another type is another value.
            put(item(5, "y"), "#s = :n", state(), number("4")),
            put(
                item(5, "y"),
                "(#s = :s OR n = :n) AND n = :n",
                state(),
                json!({ ":s": { "S": "y" }, ":n": { "N": "9" } }),
            ),
            // Mistakes.
            put(item(5, "y"), "state = :s", json!({}), is("y")),
            put(item(5, "y"), "#t = :s", state(), is("y")),
            put(item(5, "y"), "#s = :t", state(), is("y")),
            put(item(5, "y"), "#s = :s AND", state(), is("y")),
            put(item(5, "y"), "#s = ", state(), json!({})),
            put(item(5, "y"), "n = :n", json!({ "#s": "state" }), number("4")),
            put(json!({ "n": { "N": "1" } }), "attribute_not_exists(id)", json!({}), json!({})),
            get(),
        ];
        for condition in ["#s = :s", "attribute_exists(id) AND #s = :s", "#s = :s"] {
            for text in ["no", "y"] {
                script.push((
                    "DeleteItem",
                    json!({
                        "TableName": TABLE,
                        "Key": { "id": { "S": "a" } },
                        "ConditionExpression": condition,
                        "ExpressionAttributeNames": state(),
                        "ExpressionAttributeValues": is(text),
                        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
                    }),
                ));
            }
        }
        script.push(get());
        script.push(("GetItem", json!({ "TableName": "none", "Key": { "id": { "S": "a" } } })));
        script
    }

    /// Not what we believe of DynamoDB, but what somebody else's emulation of it does.
    #[test]
    fn conditions_hold_as_they_do_in_moto() {
        let moto = Moto::shared();
        moto.create_table(TABLE, "id");
        let dynamo = Dynamo::start(TABLE, "id");
        let mut kinds = BTreeSet::new();
        for (step, (action, input)) in script().iter().enumerate() {
            let ours = told(&ask(&dynamo.endpoint(), &Key::throw_away(), action, input));
            let theirs = told(&ask(&moto.endpoint(), &Key::throw_away(), action, input));
            kinds.insert(ours.split(' ').next().unwrap_or_default().to_owned());
            // moto itself falls over some mistakes, which AWS calls by their name.
            let theirs = if theirs == " null" { "ValidationException null" } else { &theirs };
            assert_eq!(ours, theirs, "step {step}: {action} {input}");
        }
        let expected =
            ["ConditionalCheckFailedException", "ResourceNotFoundException", "ValidationException", "ok"];
        assert_eq!(kinds.into_iter().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_key_of_somebody_else_and_unknown_requests_are_refused() {
        let dynamo = Dynamo::start(TABLE, "id");
        let input = json!({ "TableName": TABLE, "Item": { "id": { "S": "a" } } });
        // moto lets a value pass that no expression uses; AWS does not.
        let mut unused = input.clone();
        unused["ConditionExpression"] = "attribute_not_exists(id)".into();
        unused["ExpressionAttributeValues"] = json!({ ":s": { "S": "y" } });
        let wrong = Key { secret: "wrong".into(), ..Key::throw_away() };
        assert_eq!(
            told(&ask(&dynamo.endpoint(), &wrong, "PutItem", &input)),
            "InvalidSignatureException null"
        );
        for (action, input, kind) in [
            ("UpdateItem", input.clone(), "UnknownOperationException"),
            ("PutItem", unused, "ValidationException"),
            ("PutItem", json!({ "TableName": TABLE }), "ValidationException"),
            ("PutItem", json!({ "TableName": TABLE, "Item": {}, "Expected": {} }), "SerializationException"),
            (
                "PutItem",
                json!({ "TableName": TABLE, "Item": { "id": { "S": "a", "N": "1" } } }),
                "ValidationException",
            ),
        ] {
            let told = told(&ask(&dynamo.endpoint(), &Key::throw_away(), action, &input));
            assert!(told.starts_with(kind), "{action}: {told}");
        }
        assert_eq!((dynamo.items(), dynamo.requests()), (vec![], 6));
    }

    #[test]
    fn faults_do_what_they_say() {
        for (fault, kind, stored) in [
            (Fault::None, "ok", 1),
            (Fault::Http500, "InternalServerError", 0),
            (Fault::Throttle, "ProvisionedThroughputExceededException", 0),
            (Fault::AccessDenied, "AccessDeniedException", 0),
            (Fault::ExpiredToken, "ExpiredTokenException", 0),
            (Fault::QueueDoesNotExist, "ResourceNotFoundException", 0),
            (Fault::ResetBefore, "", 0),
            (Fault::StoreThenReset, "", 1),
            (Fault::AnswerThenClose, "ok", 1),
            (Fault::HalfAnswer, "", 1),
            (Fault::FailEntries { indices: vec![0], sender_fault: true }, "ValidationException", 0),
        ] {
            let dynamo = Dynamo::start(TABLE, "id");
            dynamo.then(fault.clone());
            let input = json!({ "TableName": TABLE, "Item": { "id": { "S": "a" }, "b": { "S": "c" } } });
            let told = told(&ask(&dynamo.endpoint(), &Key::throw_away(), "PutItem", &input));
            assert_eq!(told.split(' ').next(), Some(kind), "{fault:?}");
            assert_eq!((dynamo.items().len(), dynamo.writes().len()), (stored, stored), "{fault:?}");
        }
    }
}
