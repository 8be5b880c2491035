//! Microsoft Graph's notifications: each vouched for by a secret in the body, which must go no further.

use super::support::{Answered, Bench, entry};
use crate::event::Request;
use serde_json::{Value, json};
use shared::settings::Document;

const STATE: &str = "throw-away-state-0123456789";
const OTHER: &str = "throw-away-state-of-another-app";

fn bench(more: &Value) -> Bench {
    let mut config = json!({ "client_state": [STATE, OTHER] });
    config.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    Bench::new(entry("msgraph").provider, &config)
}

fn send(body: &str) -> Answered {
    bench(&json!({})).send(&Request::post("application/json", body))
}

/// One event for each notification, and what was written stays to the last byte but for the secret.
#[test]
fn each_notification_is_an_event_without_the_secret() {
    let body = format!(
        r#"{{ "value": [
            {{"id":"n1","subscriptionId":"s1","clientState":"{STATE}","changeType":"created","resource":"users/x/messages/1","tenantId":"t1","resourceData":{{"size":12345678901234567890, "clientState":"of the resource"}}}},
            {{"clientState" : "{OTHER}", "subscriptionId":"s2","lifecycleEvent":"missed","tenantId":"t2"}},
            {{"subscriptionId":"s3","changeType":"updated","resource":"me/drive/root","client\u0053tate":"{STATE}"}}
        ], "validationTokens":["e30.e30."] }}"#
    );
    let answered = send(&body);
    assert!(answered.is_accepted(3), "{answered:?}");
    assert_eq!((answered.status, answered.body.as_str()), (202, ""));
    let all = answered.envelopes();
    let facts = |i: usize| {
        ["type", "id", "idsource", "assurance", "subject", "account", "partitionkey"]
            .map(|name| all[i].get(name).map_or("-", |value| value.as_str().expect("text")))
    };
    let first = ["com.microsoft.graph.created", "s1:n1", "header", "token", "users/x/messages/1", "t1", "s1"];
    assert_eq!(facts(0), first);
    let [kind, _, source, rest @ ..] = facts(1);
    assert_eq!(
        (kind, source, rest),
        ("com.microsoft.graph.lifecycle.missed", "digest", ["token", "s2", "t2", "s2"])
    );
    let [kind, _, source, rest @ ..] = facts(2);
    assert_eq!(
        (kind, source, rest),
        ("com.microsoft.graph.updated", "digest", ["token", "me/drive/root", "-", "s3"])
    );
    for event in &answered.events {
        assert!(!event.text().contains(STATE) && !event.text().contains(OTHER), "{}", event.text());
        assert!(!event.text().contains("client\\u0053tate"));
        assert!(event.text().contains(r#""validationTokens":["e30.e30."]"#));
    }
    let resource = r#""resourceData":{"size":12345678901234567890, "clientState":"of the resource"}"#;
    assert!(answered.events[0].text().contains(resource));
    assert_eq!(all[1]["data"]["value"].as_array().map(Vec::len), Some(1));
}

/// The secret is no part of what tells events apart: a rotation makes no second event of a first.
#[test]
fn an_id_outlives_a_change_of_the_secret() {
    let with = |state: &str| {
        let body =
            json!({ "value": [{ "subscriptionId": "s", "changeType": "updated", "clientState": state }] });
        send(&body.to_string()).envelope()["id"].clone()
    };
    assert_eq!(with(STATE), with(OTHER));
}

/// All or nothing: who knows no secret adds nothing to a call of somebody who does.
#[test]
fn one_wrong_secret_refuses_the_whole_call() {
    let item = |state: Value| json!({ "subscriptionId": "s", "changeType": "created", "clientState": state });
    let call = |items: &[Value]| send(&json!({ "value": items }).to_string());
    let good = || item(STATE.into());
    assert!(call(&[good(), item(OTHER.into()), good()]).is_accepted(3));
    for bad in [
        item("guess".into()),
        item("".into()),
        item(STATE[1..].into()),
        item(format!("{STATE} ").into()),
        item(STATE.to_uppercase().into()),
        item("x".repeat(5000).into()),
        item(Value::Null),
        item(json!([STATE])),
        item(json!({ "a": STATE })),
        item(1.into()),
        item(true.into()),
        json!({ "subscriptionId": "s" }),
        json!({ "clientstate": STATE }),
        json!({}),
        json!(STATE),
        json!([STATE]),
        Value::Null,
    ] {
        for items in [vec![bad.clone()], vec![bad.clone(), good()], vec![good(), good(), bad.clone()]] {
            let answered = call(&items);
            assert!(answered.is_refused(), "{items:?}: {answered:?}");
        }
    }
    for body in [
        String::new(),
        "null".into(),
        "[]".into(),
        format!("[{}]", good()),
        good().to_string(),
        json!({ "value": [] }).to_string(),
        json!({ "value": good() }).to_string(),
        json!({ "value": STATE }).to_string(),
        json!({ "Value": [good()] }).to_string(),
        json!({ "clientState": STATE, "value": [{}] }).to_string(),
        format!(r#"{{"value":[{}],"value":[]}}"#, good()),
        format!(r#"{{"value":[{{"clientState":"{STATE}","clientState":"{STATE}"}}]}}"#),
        format!(r#"{{"value":[{}]"#, good()),
        format!(r#"{{"value":[{}]}}x"#, good()),
    ] {
        let answered = send(&body);
        assert!(answered.is_refused(), "{body}: {answered:?}");
    }
}

/// What of a call would be kept for a later check holds the secret: nothing is kept.
#[test]
fn nothing_is_kept_for_a_later_check() {
    let provider = entry("msgraph").provider;
    let document =
        Document::read(provider, &json!({ "client_state": STATE }).to_string()).expect("an object");
    assert_eq!(provider.scheme.evidence(&document.endpoints()[0]), None);
}
