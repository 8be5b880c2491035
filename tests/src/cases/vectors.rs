//! Every vector: in this process, and through the built functions under the vector's own clock.

use super::support::{Bench, CLOCK, entry};
use crate::clock::Clock;
use crate::event::BodyAs;
use crate::keys::KeyServer;
use crate::lambda::{self, Function};
use crate::sqs::Sqs;
use crate::vector::{self, Decision, Vector};
use std::collections::{BTreeMap, BTreeSet};

#[test]
fn every_vector_in_process() {
    let mut count = 0;
    let mut wrong = Vec::new();
    for entry in registry::ENTRIES {
        for vector in vector::of(entry.provider.name) {
            let bench = Bench::new(entry.provider, &vector.config());
            let answered = bench.send_at(&vector.request(), vector.clock.unwrap_or(CLOCK));
            let (status, headers, body) = (answered.status, &answered.headers, answered.body.as_bytes());
            if let Err(what) = vector.judge(status, headers, body, answered.events.len()) {
                wrong.push(format!("{what} ({:?})", answered.why));
            }
            count += 1;
        }
    }
    assert!(wrong.is_empty(), "{} of {count} vectors:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 300, "only {count} vectors");
}

/// One environment for all vectors of one configuration and one clock.
#[test]
fn every_vector_through_the_built_function() {
    let sqs = Sqs::start();
    let mut wrong = Vec::new();
    let mut count = 0;
    for entry in registry::ENTRIES {
        let provider = entry.provider.name;
        let mut groups: BTreeMap<(String, Option<i64>), Vec<Vector>> = BTreeMap::new();
        for vector in vector::of(provider) {
            groups.entry((vector.config_to_fetch().to_string(), vector.clock)).or_default().push(vector);
        }
        for ((config, clock), vectors) in groups {
            let second = clock.unwrap_or(CLOCK);
            let keys = KeyServer::start(vectors.iter().flat_map(Vector::documents));
            let function = Function::builder(lambda::binary(provider))
                .env("QUEUE_URL", sqs.queue_url())
                .env("QUEUE_MAX_BYTES", "1048576")
                .env("AWS_ENDPOINT_URL_SQS", sqs.endpoint())
                .env("HOOKGATE_CONFIG", config)
                .env("HOOKGATE_KEYS_URL", keys.url())
                .clock(Clock::StandsAt(second))
                .start();
            let named: Vec<String> = vectors.iter().flat_map(Vector::documents).map(|(url, _)| url).collect();
            for vector in vectors {
                let event = vector.request().function_url_event_at(BodyAs::AwsDecides, second);
                let outcome = function.invoke(&event);
                if let Err(what) = vector.judge_outcome(&outcome, sqs.take_messages().len()) {
                    wrong.push(what);
                }
                count += 1;
            }
            // What a row names is fetched, and nothing that a call names.
            let asked: BTreeSet<String> = keys.requests().into_iter().collect();
            let named = named.iter().map(|url| format!("GET {}", url.replacen("https:/", "/mirror", 1)));
            assert_eq!(asked, named.collect(), "{provider}");
        }
    }
    assert!(wrong.is_empty(), "{} of {count} vectors:\n{}", wrong.len(), wrong.join("\n"));
    assert!(count > 300, "only {count} vectors");
}

/// What a vector expects of the type and the id stands in the envelope so.
#[test]
fn facts_that_vectors_name_are_found() {
    let mut ids = 0;
    for entry in registry::ENTRIES {
        for vector in vector::of(entry.provider.name).iter().filter(|v| v.decision() == Decision::Accept) {
            let bench = Bench::new(entry.provider, &vector.config());
            let answered = bench.send_at(&vector.request(), vector.clock.unwrap_or(CLOCK));
            for envelope in answered.envelopes() {
                let kind = envelope["type"].as_str().unwrap();
                assert!(
                    kind.len() > 4 && !kind.ends_with(".unknown") || vector.expect.event_type.is_none(),
                    "{kind}"
                );
                if let Some(id) = &vector.expect.event_id {
                    assert_eq!(envelope["id"], id.as_str(), "{}", vector.id);
                    ids += 1;
                }
            }
        }
    }
    assert!(ids > 120, "only {ids} ids");
}

#[test]
fn a_vector_of_another_provider_is_no_pass() {
    // The same body and headers at a row that looks at none of them.
    let vector = vector::of("github").into_iter().find(|v| v.decision() == Decision::Accept).unwrap();
    let slack = serde_json::json!({ "signing_secret": vector.config()["secret"] });
    let answered = Bench::new(entry("slack").provider, &slack).send(&vector.request());
    assert!(answered.is_refused(), "{answered:?}");
}
