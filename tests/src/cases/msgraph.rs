//! Microsoft Graph's notifications: each vouched for by a secret in the body, which must go no further.

use super::support::{Answered, Bench, CLOCK, entry};
use super::tokens;
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

const APP: &str = "8e460676-ae3f-4b1e-8790-ee0fb5d6148f";
const GRAPH: &str = "0bf30f3b-4a52-48df-9a82-234910c4a086";
const TENANT: &str = "84bd8158-6d4d-4958-8b9f-9d6445542f95";
const STRANGE: &str = "00000000-6d4d-4958-8b9f-9d6445542f95";

/// The claims that Microsoft documents, of a tenant.
fn claims(tenant: &str) -> Value {
    json!({
        "aud": APP, "iss": format!("https://sts.windows.net/{tenant}/"), "iat": CLOCK, "nbf": CLOCK, "exp": CLOCK + 29100,
        "aio": "42FgYKhZ+uOZrHa7p+7tfruauq1HAA==", "appid": GRAPH, "appidacr": "2",
        "idp": format!("https://sts.windows.net/{tenant}/"), "tid": tenant, "uti": "-KoJHevhgEGnN4kwuixpAA", "ver": "1.0",
    })
}

fn token(claims: &Value) -> Value {
    tokens::token(tokens::KEY, claims).into()
}

/// A notification with resource data, and one without.
fn rich(tenant: &str) -> Value {
    json!({ "clientState": STATE, "tenantId": tenant, "changeType": "created", "encryptedContent": { "data": "e30=" } })
}

fn basic(tenant: &str) -> Value {
    json!({ "clientState": STATE, "tenantId": tenant, "changeType": "created" })
}

fn send_with(items: &[Value], tokens: &Value) -> Answered {
    let bench = bench(&json!({ "app_id": APP, "jwks": tokens::jwks(tokens::KEY) }));
    bench.send(&Request::post(
        "application/json",
        json!({ "value": items, "validationTokens": tokens }).to_string(),
    ))
}

/// Resource data needs a token for its tenant; every token that is there has to be genuine.
#[test]
fn resource_data_is_vouched_for() {
    let good = token(&claims(TENANT));
    let of_other = token(&claims(STRANGE));
    assert!(send_with(&[rich(TENANT)], &json!([good])).is_accepted(1));
    assert!(send_with(&[rich(TENANT), rich(TENANT), basic(STRANGE)], &json!([good])).is_accepted(3));
    assert!(send_with(&[rich(TENANT), rich(STRANGE)], &json!([of_other, good])).is_accepted(2));
    assert!(send_with(&[basic(TENANT)], &json!([])).is_accepted(1));
    assert!(send_with(&[basic(TENANT)], &Value::Null).is_accepted(1));
    assert_eq!(send_with(&[rich(TENANT)], &json!([good])).envelope()["assurance"], "token");

    let mut no_tenant = rich(TENANT);
    no_tenant.as_object_mut().expect("an object").remove("tenantId");
    let too_many: Vec<_> = (0..101).map(|_| good.clone()).collect();
    for (items, tokens) in [
        (vec![rich(TENANT)], json!([])),
        (vec![rich(TENANT)], Value::Null),
        (vec![rich(TENANT)], json!([of_other])),
        (vec![rich(TENANT), rich(STRANGE)], json!([good])),
        (vec![rich(TENANT)], json!([good, "x"])),
        (vec![rich(TENANT)], json!([good, null])),
        (vec![rich(TENANT)], good.clone()),
        (vec![rich(TENANT)], json!({ "0": good })),
        (vec![rich(TENANT)], json!(too_many)),
        (vec![no_tenant], json!([good])),
        (vec![basic(TENANT)], json!(["e30.e30."])),
    ] {
        let answered = send_with(&items, &tokens);
        assert!(answered.is_refused(), "{items:?} {tokens}: {answered:?}");
    }
    // The token does not stand in for the secret.
    let mut no_secret = rich(TENANT);
    no_secret["clientState"] = "guess".into();
    assert!(send_with(&[no_secret], &json!([good])).is_refused());
}

/// Any app of any tenant can have a token made for ours: Graph alone sends notifications.
#[test]
fn a_token_is_of_graph_for_the_app_and_the_tenant() {
    let with = |changes: &[(&str, Value)]| {
        let mut claims = claims(TENANT);
        for (name, value) in changes {
            match value {
                Value::Null => drop(claims.as_object_mut().expect("an object").remove(*name)),
                value => claims[*name] = value.clone(),
            }
        }
        send_with(&[rich(TENANT)], &json!([token(&claims)]))
    };
    let second = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    assert!(
        with(&[("appid", Value::Null), ("azp", GRAPH.into()), ("iss", second.clone().into())]).is_accepted(1)
    );
    assert!(with(&[("azp", GRAPH.into())]).is_accepted(1));
    for changes in [
        vec![("appid", json!(APP))],
        vec![("appid", Value::Null)],
        vec![("azp", json!(APP))],
        vec![("appid", json!(APP)), ("azp", json!(GRAPH))],
        vec![("aud", json!("another app"))],
        vec![("aud", json!([APP]))],
        vec![("iss", json!(format!("https://sts.windows.net/{STRANGE}/")))],
        vec![("iss", json!(format!("https://sts.windows.net/{TENANT}")))],
        vec![("iss", json!("https://sts.windows.net/{account}/"))],
        vec![("tid", json!(STRANGE))],
        vec![("tid", Value::Null)],
        vec![("tid", json!("")), ("iss", json!("https://sts.windows.net//"))],
        vec![("tid", json!("a/../b")), ("iss", json!("https://sts.windows.net/a/../b/"))],
        vec![("exp", Value::Null)],
        vec![("exp", json!(CLOCK - 60))],
        vec![("nbf", json!(CLOCK + 61))],
    ] {
        assert!(with(&changes).is_refused(), "{changes:?}");
    }
}
