//! The events that AWS makes of an HTTP request (payload format 2.0) for a function URL or an HTTP API.
//!
//! What a test wants to send beyond that, an event no gateway would make, is any text: `Function::invoke`
//! takes it as it is.

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// The id of the function URL in every event made here.
pub const URL_ID: &str = "abcdefghijklmnopqrstuvwxyz012345";
/// The host name of the function URL in every event made here.
pub const URL_HOST: &str = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.us-east-1.on.aws";
/// The host name of the HTTP API in every event made here.
pub const API_HOST: &str = "abcdefghij.execute-api.us-east-1.amazonaws.com";

const SOURCE_IP: &str = "203.0.113.7";

/// A request as the provider sends it to the public address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// `POST`
    pub method: String,
    /// Starts with `/`, percent-encoded as on the wire.
    pub path: String,
    /// Without the `?`, as on the wire.
    pub query: String,
    /// In the order sent; a name may stand there twice.
    pub headers: Vec<(String, String)>,
    /// The exact bytes.
    pub body: Vec<u8>,
}

/// How the body travels inside the event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyAs {
    /// As AWS decides: text when the content type is one of text and the bytes are UTF-8, else base64.
    AwsDecides,
    /// As text. Panics when the body is not UTF-8.
    Text,
    /// As base64.
    Base64,
}

impl Default for Request {
    /// `POST /` with nothing in it.
    fn default() -> Request {
        Request {
            method: "POST".into(),
            path: "/".into(),
            query: String::new(),
            headers: Vec::new(),
            body: Vec::new(),
        }
    }
}

impl Request {
    /// `POST /` with a body and its content type.
    pub fn post(content_type: &str, body: impl Into<Vec<u8>>) -> Request {
        Request { body: body.into(), ..Request::default() }.header("content-type", content_type)
    }

    /// `GET /` with a query.
    pub fn get(query: &str) -> Request {
        Request { method: "GET".into(), query: query.into(), ..Request::default() }
    }

    /// The same with one header more.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Request {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// The same at another path.
    #[must_use]
    pub fn at(mut self, path: &str) -> Request {
        self.path = path.into();
        self
    }

    /// The event of a function URL, received now.
    pub fn function_url_event(&self, body_as: BodyAs) -> String {
        self.function_url_event_at(body_as, Timestamp::now().as_second())
    }

    /// The event of a function URL, received at that Unix second: for a function under a chosen clock.
    pub fn function_url_event_at(&self, body_as: BodyAs, second: i64) -> String {
        let gateway = Gateway { account: "anonymous", api_id: URL_ID, host: URL_HOST, stage: "$default" };
        self.event(&gateway, body_as, second)
    }

    /// The event of an HTTP API's `$default` route in that stage: any stage but `$default` is the first
    /// segment of the path.
    pub fn http_api_event(&self, stage: &str) -> String {
        let gateway = Gateway { account: "123456789012", api_id: "abcdefghij", host: API_HOST, stage };
        self.event(&gateway, BodyAs::AwsDecides, Timestamp::now().as_second())
    }

    fn event(&self, gateway: &Gateway, body_as: BodyAs, second: i64) -> String {
        let path = match gateway.stage {
            "$default" => self.path.clone(),
            stage => format!("/{stage}{}", self.path),
        };
        let mut headers = self.joined_headers(gateway);
        // AWS moves cookies from the headers to a list of their own.
        let cookies = headers.remove("cookie");
        let user_agent = headers.get("user-agent").cloned().unwrap_or_default();
        let mut event = json!({
            "version": "2.0",
            "routeKey": "$default",
            "rawPath": path,
            "rawQueryString": self.query,
            "headers": headers,
            "requestContext": {
                "accountId": gateway.account,
                "apiId": gateway.api_id,
                "domainName": gateway.host,
                "domainPrefix": gateway.host.split('.').next(),
                "http": {
                    "method": self.method,
                    "path": path,
                    "protocol": "HTTP/1.1",
                    "sourceIp": SOURCE_IP,
                    "userAgent": user_agent,
                },
                "requestId": "3f0a2c7e-5f4b-4d7c-9d55-0c8f6f1b2a90",
                "routeKey": "$default",
                "stage": gateway.stage,
                "time": clf_time(second),
                "timeEpoch": second * 1000,
            },
            "isBase64Encoded": false,
        });
        if let Some(cookies) = cookies {
            event["cookies"] = cookies.split(';').map(|c| json!(c.trim())).collect();
        }
        if !self.query.is_empty() {
            event["queryStringParameters"] = joined_query(&self.query);
        }
        if !self.body.is_empty() {
            let (text, is_base64) = self.body_text(body_as);
            event["body"] = text.into();
            event["isBase64Encoded"] = is_base64.into();
        }
        event.to_string()
    }

    /// Lower-case names, values of one name joined with a comma, and what the gateway adds by itself.
    fn joined_headers(&self, gateway: &Gateway) -> BTreeMap<String, String> {
        let mut headers = BTreeMap::<String, String>::new();
        for (name, value) in &self.headers {
            headers
                .entry(name.to_ascii_lowercase())
                .and_modify(|before| {
                    before.push(',');
                    before.push_str(value);
                })
                .or_insert_with(|| value.clone());
        }
        // The public name is the gateway's own, whatever the client wrote.
        headers.insert("host".into(), gateway.host.into());
        headers.insert("x-forwarded-for".into(), SOURCE_IP.into());
        headers.insert("x-forwarded-port".into(), "443".into());
        headers.insert("x-forwarded-proto".into(), "https".into());
        headers.insert("x-amzn-trace-id".into(), "Root=1-6b05f6a0-0123456789abcdef01234567".into());
        if !self.body.is_empty() {
            headers.insert("content-length".into(), self.body.len().to_string());
        }
        headers
    }

    fn body_text(&self, body_as: BodyAs) -> (String, bool) {
        let text = String::from_utf8(self.body.clone());
        match (body_as, text) {
            (BodyAs::Text, Ok(text)) => (text, false),
            (BodyAs::Text, Err(_)) => panic!("a body that is not UTF-8 cannot travel as text"),
            (BodyAs::AwsDecides, Ok(text)) if self.is_of_text() => (text, false),
            _ => (BASE64_STANDARD.encode(&self.body), true),
        }
    }

    fn is_of_text(&self) -> bool {
        let name = |n: &str| n.eq_ignore_ascii_case("content-type");
        let value = self.headers.iter().find(|(n, _)| name(n)).map_or("", |(_, v)| v);
        let essence = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        essence.starts_with("text/")
            || ["application/json", "application/xml", "application/javascript"].contains(&essence.as_str())
    }
}

struct Gateway<'a> {
    account: &'a str,
    api_id: &'a str,
    host: &'a str,
    stage: &'a str,
}

/// Decoded parameters, values of one name joined with a comma.
fn joined_query(query: &str) -> Value {
    let mut joined = Map::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        let whole = match joined.get(name.as_ref()).and_then(Value::as_str) {
            Some(before) => format!("{before},{value}"),
            None => value.into_owned(),
        };
        joined.insert(name.into_owned(), whole.into());
    }
    joined.into()
}

/// `12/Mar/2020:19:03:58 +0000`
fn clf_time(second: i64) -> String {
    let time = Timestamp::from_second(second).expect("a second within the calendar");
    time.strftime("%d/%b/%Y:%H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(event: &str) -> Value {
        serde_json::from_str(event).expect("JSON")
    }

    #[test]
    fn headers_and_parameters_are_joined() {
        let request = Request { query: "a=1&b=x%20y+z&a=2".into(), ..Request::post("text/plain", "hi") }
            .header("X-Sig", "good")
            .header("x-sig", "bad")
            .header("Cookie", "k=v; l=w")
            .header("Host", "evil.example")
            .at("/hook");
        let event = parsed(&request.function_url_event_at(BodyAs::AwsDecides, 1_583_348_638));
        assert_eq!(event["headers"]["x-sig"], "good,bad");
        assert_eq!(event["headers"]["host"], URL_HOST);
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["cookies"], json!(["k=v", "l=w"]));
        assert_eq!(event["queryStringParameters"], json!({"a": "1,2", "b": "x y z"}));
        assert_eq!(event["rawQueryString"], "a=1&b=x%20y+z&a=2");
        assert_eq!(event["rawPath"], "/hook");
        assert_eq!(event["requestContext"]["time"], "04/Mar/2020:19:03:58 +0000");
        assert_eq!(event["requestContext"]["timeEpoch"], 1_583_348_638_000_i64);
        assert_eq!((&event["body"], &event["isBase64Encoded"]), (&json!("hi"), &json!(false)));
    }

    #[test]
    fn the_body_travels_as_aws_lets_it() {
        let cases: [(&str, &[u8], bool); 8] = [
            ("application/json", b"{}", false),
            ("Application/JSON; charset=utf-8", b"{}", false),
            ("text/xml", b"<a/>", false),
            ("application/x-www-form-urlencoded", b"a=b", true),
            ("application/cloudevents+json", b"{}", true),
            ("application/octet-stream", b"{}", true),
            ("", b"{}", true),
            ("application/json", b"\xff", true),
        ];
        for (content_type, body, is_base64) in cases {
            let event = parsed(&Request::post(content_type, body).function_url_event(BodyAs::AwsDecides));
            assert_eq!(event["isBase64Encoded"], is_base64, "{content_type} {body:?}");
            let text = event["body"].as_str().expect("a body");
            let back = if is_base64 { BASE64_STANDARD.decode(text).expect("base64") } else { text.into() };
            assert_eq!(back, body, "{content_type}");
        }
        let forced = parsed(&Request::post("application/json", "{}").function_url_event(BodyAs::Base64));
        assert_eq!((&forced["body"], &forced["isBase64Encoded"]), (&json!("e30="), &json!(true)));
        let empty = parsed(&Request::get("a=b").function_url_event(BodyAs::AwsDecides));
        assert_eq!((empty.get("body"), &empty["isBase64Encoded"]), (None, &json!(false)));
    }

    #[test]
    fn an_http_api_puts_its_stage_before_the_path() {
        let event = parsed(&Request::get("").at("/acme").http_api_event("prod"));
        assert_eq!(event["rawPath"], "/prod/acme");
        assert_eq!(event["requestContext"]["http"]["path"], "/prod/acme");
        assert_eq!(event["requestContext"]["stage"], "prod");
        assert_eq!(event["requestContext"]["domainName"], API_HOST);
        assert_eq!(event.get("queryStringParameters"), None);
        let event = parsed(&Request::get("").at("/acme").http_api_event("$default"));
        assert_eq!(event["rawPath"], "/acme");
    }
}
