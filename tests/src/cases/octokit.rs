//! GitHub's published examples (npm `@octokit/webhooks-examples`), signed by GitHub's own `@octokit/webhooks-methods` and
//! sent through the built function: input and signatures that nobody here wrote.

use super::envelope::{folder, lines, tool_file};
use crate::event::{BodyAs, Request};
use crate::lambda::{self, Function};
use crate::sqs::Sqs;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::process::Command;

const SECRET: &str = "throw-away secret of the published examples";
/// How many payloads version 7.6.1 of the package holds for github.com.
const EXAMPLES: usize = 329;
/// Of how many one is sent as a form as well.
const AS_FORM: usize = 10;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Example {
    event: String,
    payload: String,
    signature: String,
    form: String,
    form_signature: String,
}

#[test]
fn every_published_example_arrives_unchanged() {
    let signed = lines(
        Command::new("node")
            .arg(tool_file("sign-examples.mjs"))
            .arg(folder("HOOKGATE_TEST_NODE_MODULES"))
            .arg(SECRET),
    );
    let examples: Vec<Example> =
        signed.into_iter().map(|example| serde_json::from_value(example).expect("an example")).collect();
    assert_eq!(examples.len(), EXAMPLES);
    let sqs = Sqs::start();
    let function = Function::builder(lambda::binary("github"))
        .env("QUEUE_URL", sqs.queue_url())
        .env("QUEUE_MAX_BYTES", "1048576")
        .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint())
        .env("HOOKGATE_CONFIG", json!({ "secret": SECRET }).to_string())
        .start();
    let (mut kinds, mut forms) = (BTreeSet::new(), 0);
    for (i, example) in examples.iter().enumerate() {
        let action = serde_json::from_str::<Value>(&example.payload).expect("JSON")["action"].clone();
        let kind = match action.as_str() {
            Some(action) => format!("com.github.{}.{action}", example.event),
            None => format!("com.github.{}", example.event),
        };
        let send = |content_type: &str, body: &str, signature: &str| {
            let delivery = format!("00000000-0000-4000-8000-{i:012}");
            let request = Request::post(content_type, body)
                .header("X-GitHub-Event", &example.event)
                .header("X-GitHub-Delivery", &delivery)
                .header("X-Hub-Signature-256", signature);
            let outcome = function.invoke(&request.function_url_event(BodyAs::AwsDecides));
            assert_eq!((outcome.status(), outcome.text()), (200, String::new()), "{i} {kind}");
            let messages = sqs.take_messages();
            let [message] = messages.as_slice() else { panic!("{i} {kind}: {} messages", messages.len()) };
            let envelope: Value = serde_json::from_str(&message.body).expect("JSON");
            assert_eq!((&envelope["type"], &envelope["id"]), (&json!(kind), &json!(delivery)));
            assert_eq!(message.attribute("type"), Some(kind.as_str()));
            assert_eq!(envelope["assurance"], "signed");
            // Unchanged to the last byte: the data is the last member.
            assert!(message.body.ends_with(&format!(",\"data\":{}}}", example.payload)), "{i} {kind}");
        };
        send("application/json", &example.payload, &example.signature);
        if i % AS_FORM == 0 {
            send("application/x-www-form-urlencoded", &example.form, &example.form_signature);
            forms += 1;
        }
        let other = &examples[(i + 1) % EXAMPLES];
        if other.payload != example.payload {
            let request = Request::post("application/json", example.payload.as_str())
                .header("X-GitHub-Event", &example.event)
                .header("X-Hub-Signature-256", &other.signature);
            assert_eq!(
                function.invoke(&request.function_url_event(BodyAs::AwsDecides)).status(),
                401,
                "{i} {kind}"
            );
            assert!(sqs.take_messages().is_empty(), "{i} {kind}");
        }
        kinds.insert(kind);
    }
    println!("{EXAMPLES} examples, {forms} of them as forms too, {} types", kinds.len());
    assert!(kinds.len() > 150 && forms > 30, "{} types, {forms} forms", kinds.len());
}
