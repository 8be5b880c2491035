//! AWS as the emulator moto plays it: DynamoDB with its conditions, Secrets Manager, S3.
//!
//! It checks no signatures; [`crate::dynamo`], [`crate::s3`] and [`crate::ministack`] do.

use crate::emulator::{Emulator, Program, text};
use crate::sigv4::Key;
use serde_json::{Value, json};
use std::sync::OnceLock;

const PROGRAM: Program = Program {
    name: "moto_server",
    arguments: |port| ["-H", "127.0.0.1", "-p", &port.to_string()].map(str::to_owned).into(),
    environment: |_| vec![("AWS_DEFAULT_REGION", "us-east-1".into())],
    health: ("/moto-api/", "Moto"),
};

/// The emulator, a process of its own.
pub struct Moto(Emulator);

impl Moto {
    /// The one that all tests of this process share. Names of tables, secrets and buckets are therefore to be the
    /// test's own.
    pub fn shared() -> &'static Moto {
        static SHARED: OnceLock<Moto> = OnceLock::new();
        SHARED.get_or_init(Moto::start)
    }

    /// Starts one and waits until it answers.
    ///
    /// Panics when `HOOKGATE_TEST_TOOLS` does not name a Python environment with it, or when it does not come up.
    pub fn start() -> Moto {
        Moto(Emulator::start(&PROGRAM))
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> String {
        self.0.endpoint()
    }

    /// Any operation of a service that speaks JSON. `Err` is AWS's error as JSON text.
    pub fn call(&self, service: &str, target: &str, input: &Value) -> Result<Value, String> {
        self.0.call(&Key::throw_away(), service, target, input)
    }

    /// A new table with one key, a text.
    #[track_caller]
    pub fn create_table(&self, name: &str, key: &str) {
        let input = json!({
            "TableName": name,
            "AttributeDefinitions": [{ "AttributeName": key, "AttributeType": "S" }],
            "KeySchema": [{ "AttributeName": key, "KeyType": "HASH" }],
            "BillingMode": "PAY_PER_REQUEST",
        });
        self.must("dynamodb", "DynamoDB_20120810.CreateTable", &input);
    }

    /// All items of a table, each a map of attribute values (`{"id":{"S":"…"}}`).
    #[track_caller]
    pub fn items(&self, table: &str) -> Vec<Value> {
        let scanned = self.must("dynamodb", "DynamoDB_20120810.Scan", &json!({ "TableName": table }));
        scanned["Items"].as_array().cloned().unwrap_or_default()
    }

    /// A new secret of Secrets Manager; gives its ARN.
    #[track_caller]
    pub fn create_secret(&self, name: &str, value: &str) -> String {
        let input = json!({
            "Name": name,
            "SecretString": value,
            "ClientRequestToken": "11111111-2222-4333-8444-555555555555",
        });
        text(&self.must("secretsmanager", "secretsmanager.CreateSecret", &input)["ARN"])
    }

    /// A new bucket of S3.
    #[track_caller]
    pub fn create_bucket(&self, bucket: &str) {
        self.0.s3(&Key::throw_away(), "PUT", &format!("/{bucket}"), &[]);
    }

    /// The keys in a bucket, sorted. Panics over more than one page of them (1000).
    #[track_caller]
    pub fn keys(&self, bucket: &str) -> Vec<String> {
        self.0.keys(&Key::throw_away(), bucket)
    }

    /// An object's content type and bytes. The key is of letters that need no escape in a path.
    #[track_caller]
    pub fn object(&self, bucket: &str, key: &str) -> (String, Vec<u8>) {
        self.0.object(&Key::throw_away(), &format!("/{bucket}/{key}"))
    }

    #[track_caller]
    fn must(&self, service: &str, target: &str, input: &Value) -> Value {
        self.call(service, target, input).unwrap_or_else(|error| panic!("{target}: {error}"))
    }
}
