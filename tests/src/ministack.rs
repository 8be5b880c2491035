//! AWS as the emulator MiniStack plays it: what a test needs around a function beyond SQS's sending side.
//!
//! It checks the signatures of a user ([`Ministack::access_key_id`]). The credentials that functions have by default
//! are its root's, which it believes without a look at the signature; unknown ones it refuses.
//!
//! It is more lenient than AWS in sizes (attributes are not counted, a standard parameter of SSM may be over 4 KB, a
//! secret over 64 KB), in the number of attributes, and in deduplication ids on standard queues. [`crate::sqs`] holds
//! to SQS's own limits.

use crate::emulator::{Emulator, Program, text};
use crate::lambda::{ACCESS_KEY_ID, SECRET_ACCESS_KEY};
use crate::sigv4::Key;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

const PROGRAM: Program = Program {
    name: "ministack",
    arguments: |_| Vec::new(),
    environment: |port| {
        vec![
            ("BIND_HOST", "127.0.0.1".into()),
            ("GATEWAY_PORT", port.to_string().into()),
            ("LOG_LEVEL", "WARNING".into()),
            ("AUTH", "true".into()),
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID.into()),
            ("AWS_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.into()),
            ("MINISTACK_REGION", "us-east-1".into()),
        ]
    },
    health: ("/_ministack/health", "\"services\""),
};

/// The emulator, a process of its own.
pub struct Ministack {
    emulator: Emulator,
    /// A user's, once there is one.
    key: Key,
}

/// A message taken off a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Given by SQS.
    pub id: String,
    /// The text.
    pub body: String,
    /// Values by name; binary ones in base64.
    pub attributes: BTreeMap<String, String>,
    /// What SQS says of it by itself: `MessageGroupId`, `SentTimestamp`, `ApproximateReceiveCount`, …
    pub system: BTreeMap<String, String>,
}

impl Ministack {
    /// The one that all tests of this process share. Names of queues, parameters and buckets are therefore to be
    /// the test's own.
    pub fn shared() -> &'static Ministack {
        static SHARED: OnceLock<Ministack> = OnceLock::new();
        SHARED.get_or_init(Ministack::start)
    }

    /// Starts one and waits until it answers.
    ///
    /// Panics when `HOOKGATE_TEST_TOOLS` does not name a Python environment with it, or when it does not come up.
    pub fn start() -> Ministack {
        let emulator = Emulator::start(&PROGRAM);
        let mut ministack = Ministack { emulator, key: Key::throw_away() };
        ministack.key = ministack.create_user();
        ministack
    }

    /// A user who may do everything, and whose signatures are checked.
    fn create_user(&self) -> Key {
        let policy = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
        self.iam(&[("Action", "CreateUser"), ("UserName", "function")]);
        self.iam(&[
            ("Action", "PutUserPolicy"),
            ("UserName", "function"),
            ("PolicyName", "all"),
            ("PolicyDocument", policy),
        ]);
        let created = self.iam(&[("Action", "CreateAccessKey"), ("UserName", "function")]);
        let element = |name: &str| {
            let (_, rest) = created.split_once(&format!("<{name}>")).expect("an access key");
            rest.split('<').next().unwrap_or_default().to_owned()
        };
        Key { id: element("AccessKeyId"), secret: element("SecretAccessKey") }
    }

    /// IAM speaks forms and XML.
    fn iam(&self, parameters: &[(&str, &str)]) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        let form = form.append_pair("Version", "2010-05-08").extend_pairs(parameters).finish();
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        let (status, answer) =
            self.emulator.request(&self.key, "POST", "/", &headers, form.as_bytes(), "iam");
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert_eq!(status, 200, "{parameters:?}: {answer}");
        answer
    }

    /// For `AWS_ACCESS_KEY_ID`: a user whose signatures are checked.
    pub fn access_key_id(&self) -> &str {
        &self.key.id
    }

    /// For `AWS_SECRET_ACCESS_KEY`: of the same user.
    pub fn secret_access_key(&self) -> &str {
        &self.key.secret
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        self.emulator.endpoint()
    }

    /// Any operation of a service that speaks JSON: `("sqs", "AmazonSQS.ListQueues", …)`. `Err` is AWS's error as
    /// JSON text.
    pub fn call(&self, service: &str, target: &str, input: &Value) -> Result<Value, String> {
        self.emulator.call(&self.key, service, target, input)
    }

    /// Creates a queue, a FIFO one where the name ends in `.fifo`, with attributes such as
    /// `("VisibilityTimeout", "1")`, and gives its URL.
    #[track_caller]
    pub fn create_queue(&self, name: &str, attributes: &[(&str, &str)]) -> String {
        let attributes: BTreeMap<_, _> = attributes.iter().copied().collect();
        let created = self.must(
            "sqs",
            "AmazonSQS.CreateQueue",
            &json!({ "QueueName": name, "Attributes": attributes }),
        );
        text(&created["QueueUrl"])
    }

    /// The queue's ARN, for a redrive policy.
    #[track_caller]
    pub fn queue_arn(&self, url: &str) -> String {
        let input = json!({ "QueueUrl": url, "AttributeNames": ["QueueArn"] });
        text(&self.must("sqs", "AmazonSQS.GetQueueAttributes", &input)["Attributes"]["QueueArn"])
    }

    /// Takes all messages off a queue and deletes them. Waits for at least so many, but no longer than that;
    /// then also what else is there.
    #[track_caller]
    pub fn receive(&self, url: &str, at_least: usize, within: Duration) -> Vec<Message> {
        let until = Instant::now() + within;
        let mut messages = Vec::new();
        loop {
            let enough = messages.len() >= at_least || Instant::now() >= until;
            let input = json!({
                "QueueUrl": url,
                "MaxNumberOfMessages": 10,
                "WaitTimeSeconds": i32::from(!enough),
                "MessageAttributeNames": ["All"],
                "MessageSystemAttributeNames": ["All"],
            });
            let received = self.must("sqs", "AmazonSQS.ReceiveMessage", &input);
            let batch = received["Messages"].as_array().cloned().unwrap_or_default();
            if batch.is_empty() && enough {
                return messages;
            }
            for message in batch {
                let delete = json!({ "QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"] });
                self.must("sqs", "AmazonSQS.DeleteMessage", &delete);
                messages.push(Message {
                    id: text(&message["MessageId"]),
                    body: text(&message["Body"]),
                    attributes: members(&message["MessageAttributes"]),
                    system: members(&message["Attributes"]),
                });
            }
        }
    }

    /// A `SecureString` of Systems Manager, new or replaced.
    #[track_caller]
    pub fn put_parameter(&self, name: &str, value: &str) {
        let input = json!({ "Name": name, "Value": value, "Type": "SecureString", "Overwrite": true });
        self.must("ssm", "AmazonSSM.PutParameter", &input);
    }

    /// A new secret of Secrets Manager; gives its ARN.
    #[track_caller]
    pub fn create_secret(&self, name: &str, value: &str) -> String {
        let input = json!({ "Name": name, "SecretString": value, "ClientRequestToken": token(name, value) });
        text(&self.must("secretsmanager", "secretsmanager.CreateSecret", &input)["ARN"])
    }

    /// Another value for a secret, its current one from now on.
    #[track_caller]
    pub fn put_secret_value(&self, name: &str, value: &str) {
        let input =
            json!({ "SecretId": name, "SecretString": value, "ClientRequestToken": token(name, value) });
        self.must("secretsmanager", "secretsmanager.PutSecretValue", &input);
    }

    /// A new bucket of S3.
    #[track_caller]
    pub fn create_bucket(&self, bucket: &str) {
        self.emulator.s3(&self.key, "PUT", &format!("/{bucket}"), &[]);
    }

    /// Stores an object. The key is of letters that need no escape in a path.
    #[track_caller]
    pub fn put_object(&self, bucket: &str, key: &str, body: &[u8]) {
        self.emulator.s3(&self.key, "PUT", &format!("/{bucket}/{key}"), body);
    }

    /// The keys in a bucket, sorted. Panics over more than one page of them (1000).
    #[track_caller]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.emulator.keys(&self.key, bucket)
    }

    /// An object's bytes. The key is of letters that need no escape in a path.
    #[track_caller]
    pub fn object(&self, bucket: &str, key: &str) -> Vec<u8> {
        self.emulator.s3(&self.key, "GET", &format!("/{bucket}/{key}"), &[])
    }

    #[track_caller]
    fn must(&self, service: &str, target: &str, input: &Value) -> Value {
        self.call(service, target, input).unwrap_or_else(|error| panic!("{target}: {error}"))
    }
}

/// The version id of a secret: AWS wants 32 to 64 characters from a client that is not one of its SDKs.
fn token(name: &str, value: &str) -> String {
    use sha2::{Digest, Sha256};
    let now = jiff::Timestamp::now().as_nanosecond();
    hex::encode(Sha256::digest(format!("{name}\n{value}\n{now}").as_bytes()))
}

/// Attributes of both kinds: plain text, or an object with the value in it.
fn members(attributes: &Value) -> BTreeMap<String, String> {
    let value = |v: &Value| match v {
        Value::String(text) => text.clone(),
        v => text(v.get("StringValue").or_else(|| v.get("BinaryValue")).unwrap_or(&Value::Null)),
    };
    attributes.as_object().into_iter().flatten().map(|(name, v)| (name.clone(), value(v))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sigv4;
    use base64::{Engine, prelude::BASE64_STANDARD};
    use rustix::process::Pid;
    use std::thread;

    const SOON: Duration = Duration::from_secs(10);

    #[test]
    fn messages_come_off_a_queue_once() {
        let aws = Ministack::shared();
        let url = aws.create_queue("doubles-standard", &[("VisibilityTimeout", "30")]);
        assert_eq!(aws.receive(&url, 0, Duration::ZERO), []);
        for i in 0..12 {
            let attributes = json!({
                "n": { "DataType": "Number", "StringValue": i.to_string() },
                "b": { "DataType": "Binary", "BinaryValue": BASE64_STANDARD.encode([0, 255]) },
            });
            let input =
                json!({ "QueueUrl": url, "MessageBody": format!("m{i}"), "MessageAttributes": attributes });
            aws.call("sqs", "AmazonSQS.SendMessage", &input).expect("sent");
        }
        let messages = aws.receive(&url, 12, SOON);
        let mut bodies: Vec<_> = messages.iter().map(|m| m.body.as_str()).collect();
        bodies.sort_by_key(|body| body.len());
        assert_eq!((bodies.len(), bodies[0], bodies[11]), (12, "m0", "m11"));
        assert_eq!(messages[3].attributes["b"], "AP8=");
        assert_eq!(messages[3].system["ApproximateReceiveCount"], "1");
        assert_eq!(aws.receive(&url, 0, Duration::ZERO), []);
        assert_eq!(aws.queue_arn(&url), "arn:aws:sqs:us-east-1:000000000000:doubles-standard");
    }

    #[test]
    fn a_fifo_queue_keeps_the_order_of_a_group() {
        let aws = Ministack::shared();
        let url = aws.create_queue("doubles.fifo", &[("FifoQueue", "true")]);
        for (id, body) in [("1", "a"), ("2", "b"), ("2", "b"), ("3", "c")] {
            let input = json!({
                "QueueUrl": url,
                "MessageBody": body,
                "MessageGroupId": "g",
                "MessageDeduplicationId": id,
            });
            aws.call("sqs", "AmazonSQS.SendMessage", &input).expect("sent");
        }
        let messages = aws.receive(&url, 3, SOON);
        assert_eq!(messages.iter().map(|m| m.body.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
        assert_eq!(messages[0].system["MessageGroupId"], "g");
    }

    #[test]
    fn parameters_and_secrets_can_be_read_and_replaced() {
        let aws = Ministack::shared();
        for value in ["old", "new"] {
            aws.put_parameter("/doubles/config", value);
            let input = json!({ "Name": "/doubles/config", "WithDecryption": true });
            let read = aws.call("ssm", "AmazonSSM.GetParameter", &input).expect("a parameter");
            assert_eq!(read["Parameter"]["Value"], value);
        }
        let input = json!({ "Name": "/doubles/config", "WithDecryption": false });
        let read = aws.call("ssm", "AmazonSSM.GetParameter", &input).expect("a parameter");
        assert_ne!(read["Parameter"]["Value"], "new");
        let missing = aws.call("ssm", "AmazonSSM.GetParameter", &json!({ "Name": "/doubles/none" }));
        assert!(missing.as_ref().is_err_and(|e| e.contains("ParameterNotFound")), "{missing:?}");

        let arn = aws.create_secret("doubles", "old");
        aws.put_secret_value("doubles", "new");
        for id in ["doubles", &arn] {
            let read =
                aws.call("secretsmanager", "secretsmanager.GetSecretValue", &json!({ "SecretId": id }));
            assert_eq!(read.expect("a secret")["SecretString"], "new", "{id}");
        }
        let missing =
            aws.call("secretsmanager", "secretsmanager.GetSecretValue", &json!({ "SecretId": "none" }));
        assert!(missing.as_ref().is_err_and(|e| e.contains("ResourceNotFoundException")), "{missing:?}");
    }

    #[test]
    fn objects_can_be_listed_and_read() {
        let aws = Ministack::shared();
        aws.create_bucket("doubles");
        aws.put_object("doubles", "github/b.zip", &[0, 255]);
        aws.put_object("doubles", "a+b&c.zip", b"second");
        assert_eq!(aws.keys("doubles"), ["a+b&c.zip", "github/b.zip"]);
        assert_eq!(aws.object("doubles", "github/b.zip"), [0, 255]);
    }

    #[test]
    fn a_wrong_signature_is_refused() {
        let aws = Ministack::shared();
        aws.put_parameter("/doubles/signed", "value");
        let body = r#"{"Name":"/doubles/signed","WithDecryption":true}"#;
        let host = aws.endpoint().replace("http://", "");
        let status = |key: &Key, signed_host: &str| {
            let mut request =
                aws.emulator.agent.post(aws.endpoint()).header("x-amz-target", "AmazonSSM.GetParameter");
            for (name, value) in
                sigv4::sign(key, "POST", "/", &[("host", signed_host)], body.as_bytes(), "ssm")
            {
                request = request.header(name, value);
            }
            request.send(body).expect("an answer").status().as_u16()
        };
        let key = Key { id: aws.access_key_id().into(), secret: aws.secret_access_key().into() };
        assert_eq!(status(&key, &host), 200);
        assert_eq!(status(&Key::throw_away(), &host), 200);
        assert_eq!(status(&key, "elsewhere"), 400);
        assert_eq!(status(&Key { secret: "wrong".into(), ..key.clone() }, &host), 400);
        assert_eq!(status(&Key { id: "AKIATHROWAWAY1111111".into(), ..key }, &host), 400);
    }

    #[test]
    fn nothing_of_it_is_left_when_it_is_dropped() {
        let aws = Ministack::start();
        let (endpoint, folder) = (aws.endpoint(), aws.emulator.folder.clone());
        let group = Pid::from_child(&aws.emulator.keeper);
        assert!(folder.is_dir());
        assert!(rustix::process::test_kill_process_group(group).is_ok());
        drop(aws);
        assert!(!folder.exists());
        assert!(ureq::get(&endpoint).call().is_err());
        // What was killed may be a zombie for a moment, until its new parent has looked.
        let until = Instant::now() + Duration::from_secs(5);
        while rustix::process::test_kill_process_group(group).is_ok() {
            assert!(Instant::now() < until, "the group still lives");
            thread::sleep(Duration::from_millis(10));
        }
    }
}
