//! The event that AWS makes of an HTTP request to a function URL.
//!
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;
use shared::sample::Draft;
use std::collections::BTreeMap;

const HOST: &str = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws";
const SOURCE_IP: &str = "203.0.113.7";

/// How a body travels in an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyAs {
    /// As text where its type is one of text (JSON, XML), in base64 otherwise (forms): what AWS does.
    AwsDecides,
    /// In base64.
    Base64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'d> {
    version: &'static str,
    route_key: &'static str,
    raw_path: &'d str,
    raw_query_string: &'d str,
    headers: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    query_string_parameters: BTreeMap<String, String>,
    request_context: Context<'d>,
    #[serde(skip_serializing_if = "String::is_empty")]
    body: String,
    is_base64_encoded: bool,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<'d> {
    account_id: &'static str,
    api_id: &'static str,
    domain_name: &'static str,
    domain_prefix: &'static str,
    http: Http<'d>,
    request_id: &'static str,
    route_key: &'static str,
    stage: &'static str,
    time: &'static str,
    time_epoch: i64,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Http<'d> {
    method: &'d str,
    path: &'d str,
    protocol: &'static str,
    source_ip: &'static str,
    user_agent: String,
}

/// The event of a request that was received at a time in Unix seconds.
pub fn text(draft: &Draft, body_as: BodyAs, now: i64) -> String {
    let headers = headers(draft);
    let as_text = match body_as {
        BodyAs::AwsDecides if is_of_text(headers.get("content-type")) => {
            std::str::from_utf8(&draft.body).ok()
        }
        _ => None,
    };
    let prefix = HOST.split('.').next().unwrap_or_default();
    let event = Event {
        version: "2.0",
        route_key: "$default",
        raw_path: &draft.path,
        raw_query_string: &draft.query,
        query_string_parameters: parameters(&draft.query),
        request_context: Context {
            account_id: "anonymous",
            api_id: prefix,
            domain_name: HOST,
            domain_prefix: prefix,
            http: Http {
                method: &draft.method,
                path: &draft.path,
                protocol: "HTTP/1.1",
                source_ip: SOURCE_IP,
                user_agent: headers.get("user-agent").cloned().unwrap_or_default(),
            },
            request_id: "3f0a2c7e-5f4b-4d7c-9d55-0c8f6f1b2a90",
            route_key: "$default",
            stage: "$default",
            time: "24/Nov/2026:05:59:57 +0000",
            time_epoch: now * 1000,
        },
        headers,
        body: as_text.map_or_else(|| BASE64_STANDARD.encode(&draft.body), str::to_owned),
        is_base64_encoded: as_text.is_none() && !draft.body.is_empty(),
    };
    serde_json::to_string(&event).unwrap_or_default()
}

/// Lower-case names, values of one name joined with a comma, and what AWS adds by itself.
fn headers(draft: &Draft) -> BTreeMap<String, String> {
    let own = [
        ("host", HOST),
        ("x-forwarded-for", SOURCE_IP),
        ("x-forwarded-port", "443"),
        ("x-forwarded-proto", "https"),
        ("x-amzn-tls-cipher-suite", "TLS_AES_128_GCM_SHA256"),
        ("x-amzn-tls-version", "TLSv1.3"),
        ("x-amzn-trace-id", "Root=1-6b05f6a0-0123456789abcdef01234567"),
    ];
    let mut headers = joined(draft.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), value)));
    headers.extend(own.map(|(name, value)| (name.to_owned(), value.to_owned())));
    if !draft.body.is_empty() {
        headers.insert("content-length".to_owned(), draft.body.len().to_string());
    }
    headers
}

fn parameters(query: &str) -> BTreeMap<String, String> {
    joined(form_urlencoded::parse(query.as_bytes()).map(|(name, value)| (name.into_owned(), value)))
}

fn joined<V: AsRef<str>>(pairs: impl Iterator<Item = (String, V)>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::<String, String>::new();
    for (name, value) in pairs {
        all.entry(name)
            .and_modify(|before| {
                before.push(',');
                before.push_str(value.as_ref());
            })
            .or_insert_with(|| value.as_ref().to_owned());
    }
    all
}

/// Whether AWS hands a body of this type over as text.
fn is_of_text(content_type: Option<&String>) -> bool {
    let essence = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
    essence.to_ascii_lowercase().starts_with("text/")
        || ["application/json", "application/xml", "application/javascript"]
            .iter()
            .any(|known| essence.eq_ignore_ascii_case(known))
}
