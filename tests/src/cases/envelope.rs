//! The envelope as consumers get it: by its schema, in official SDKs, by snapshots, and by the facts of each provider.
//!
//! `HOOKGATE_RENEW_SNAPSHOTS=1 cargo test -p tests --lib envelope` writes the snapshots and the examples in the providers'
//! READMEs anew. What changes then changes for consumers: a new attribute is a minor version of the contract, anything
//! else a major one (`docs/envelope.md`).

use super::support::{Answered, Bench, CLOCK, entry, signed};
use super::template::{root, succeed};
use crate::event::Request;
use crate::vector::{self, Decision};
use jiff::Timestamp;
use registry::{Entry, Sample};
use serde_json::{Map, Value, json};
use shared::event::{ENVELOPE_VERSION, MAX_FIELD};
use shared::provider::Shape;
use shared::sample::{self, Draft};
use shared::settings::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

const JSON: &str = "application/json";
const RENEW: &str = "HOOKGATE_RENEW_SNAPSHOTS";

/// Throw-away settings for a sample: of every setting its example, or a text that says what it is.
pub fn throw_away(entry: &Entry, sample: &str) -> Value {
    match (entry.provider.name, sample) {
        ("generic", "courier-json") => json!({
            "secret": "throw-away secret of a courier",
            "signature": { "header": "X-Signature", "prefix": "sha256=" },
            "event": {
                "prefix": "com.example.courier", "type": "/event", "id": "/id", "time": "/at", "subject": "/shipment/number"
            },
        }),
        ("generic", "bank-form") => json!({
            "basic_auth": { "username": "bank", "password": "throw-away password" },
            "event": { "prefix": "com.example.bank", "type": "/kind", "id": "/txn", "time": "/time" },
        }),
        ("generic", "shop-xml") => json!({
            "token": "throw-away token of a shop",
            "token_query": "key",
            "event": {
                "prefix": "com.example.shop", "type": "/Notification/Kind", "id": "/Notification/Id",
                "subject": "/Notification/Order/@currency"
            },
        }),
        ("generic", _) => panic!("a sample without settings: {sample}"),
        (name, _) => {
            let mut settings = Map::new();
            for setting in entry.provider.settings {
                let text = setting
                    .example
                    .map_or_else(|| format!("throw-away {} of {name}", setting.name), Into::into);
                let value = match setting.shape {
                    Shape::Object if setting.example.is_none() && !setting.required => continue,
                    Shape::Object => serde_json::from_str(&text).expect("an example that is an object"),
                    _ => text.into(),
                };
                settings.insert(setting.name.to_owned(), value);
            }
            settings.into()
        }
    }
}

/// What becomes of a sample that is signed and sent at [`CLOCK`].
pub fn send_sample(entry: &Entry, sample: &Sample) -> Answered {
    let config = throw_away(entry, sample.name);
    let document = Document::read(entry.provider, &config.to_string()).expect("a JSON object");
    let signed = sample::signed(entry.provider, sample.file, &document.endpoints()[0], CLOCK);
    let Draft { method, path, query, headers, body, .. } =
        signed.unwrap_or_else(|fault| panic!("{} {}: {fault}", entry.provider.name, sample.name));
    Bench::new(entry.provider, &config).send(&Request { method, path, query, headers, body })
}

fn samples() -> impl Iterator<Item = (&'static Entry, &'static Sample)> {
    let of = |entry: &'static Entry| entry.samples.iter().map(move |sample| (entry, sample));
    registry::ENTRIES.iter().flat_map(of).filter(|(_, sample)| !sample.is_handshake())
}

/// The envelopes of every accepted vector and of every sample, and of some calls that are no JSON.
fn all_envelopes() -> Vec<String> {
    let mut all = Vec::new();
    for entry in registry::ENTRIES {
        for vector in vector::of(entry.provider.name).iter().filter(|v| v.decision() == Decision::Accept) {
            let bench = Bench::new(entry.provider, &vector.config());
            let answered = bench.send_at(&vector.request(), vector.clock.unwrap_or(CLOCK));
            assert!(!answered.events.is_empty(), "{}", vector.id);
            all.extend(answered.events.iter().map(|event| event.text().to_owned()));
        }
    }
    for (entry, sample) in samples() {
        all.extend(send_sample(entry, sample).events.iter().map(|event| event.text().to_owned()));
    }
    let config = json!({ "secret": "throw-away secret of stripe" });
    let stripe = entry("stripe").provider;
    for (content_type, body) in [
        (JSON, b"\x00\xff\xfe".to_vec()),
        (JSON, b"{\"id\":1,\"id\":2}".to_vec()),
        (JSON, Vec::new()),
        ("", b"x".to_vec()),
        ("a\u{1}/b", b"x".to_vec()),
        ("no-slash", b"x".to_vec()),
        ("text/xml; charset=utf-8", b"<a/>".to_vec()),
        (JSON, r#"{"id":"\u0000\ud83c\udf89","type":"a b/c","data":{"object":{"id":"\u001b[31m"}}}"#.into()),
        (JSON, "{\"id\":\"\u{ffff}\u{2028}\",\"type\":\"\u{202e}x\",\"created\":99999999999999}".into()),
        (JSON, r#"{"id":123456789012345678901234567890,"type":"x","created":-1}"#.into()),
    ] {
        let request = signed(stripe, &config, Request::post(content_type, body));
        let answered = Bench::new(stripe, &config).send(&request);
        assert!(answered.is_accepted(1), "{answered:?}");
        all.push(answered.events[0].text().to_owned());
    }
    all
}

/// A folder of packages that `tests/run` sets up.
pub fn folder(variable: &str) -> PathBuf {
    let folder = env::var_os(variable).map(PathBuf::from);
    folder.unwrap_or_else(|| panic!("{variable} is missing: `tests/run` sets up what it names"))
}

/// A file among the tests' own tools.
pub fn tool_file(name: &str) -> PathBuf {
    root().join("tests/tools").join(name)
}

/// What a program wrote, a JSON value a line.
pub fn lines(command: &mut Command) -> Vec<Value> {
    let output = String::from_utf8(succeed(command).stdout).expect("text");
    output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

/// Numbers as JavaScript has them.
fn lossy(value: &Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(all) => all.iter().map(lossy).collect(),
        Value::Object(members) => members.iter().map(|(name, value)| (name.clone(), lossy(value))).collect(),
        other => other.clone(),
    }
}

/// Every envelope is valid by `docs/envelope.schema.json`, and two official SDKs find in it what we put there.
#[test]
fn every_envelope_is_read_by_schema_and_official_sdks() {
    let all = all_envelopes();
    assert!(all.len() >= 240, "only {} envelopes", all.len());
    let file = env::temp_dir().join(format!("hookgate-envelopes-{}.json", process::id()));
    fs::write(&file, json!(all).to_string()).expect("a file");
    let python = lines(
        Command::new(folder("HOOKGATE_TEST_TOOLS").join("bin/python"))
            .arg(tool_file("read-envelopes.py"))
            .args([&root().join("docs/envelope.schema.json"), &file]),
    );
    let node = lines(
        Command::new("node")
            .arg(tool_file("read-envelopes.mjs"))
            .args([&folder("HOOKGATE_TEST_NODE_MODULES"), &file]),
    );
    fs::remove_file(&file).expect("the file");
    assert_eq!((python.len(), node.len()), (all.len(), all.len()));
    for ((text, python), node) in all.iter().zip(&python).zip(&node) {
        let mut envelope: Map<String, Value> = serde_json::from_str(text).expect("JSON");
        let data = envelope.remove("data").unwrap_or_else(|| match envelope.remove("data_base64") {
            Some(base64) => json!({ "base64": base64 }),
            None => Value::Null,
        });
        envelope.remove("data_base64");
        assert_eq!(python["data"], data, "{text}");
        assert_eq!(lossy(&node["data"]), lossy(&data), "{text}");
        let time = envelope.remove("time");
        for (name, value) in &envelope {
            assert_eq!(python["attributes"][name], *value, "Python: {name} in {text}");
            if name != "receivedtime" {
                assert_eq!(node["attributes"][name], *value, "JavaScript: {name} in {text}");
            }
        }
        assert_eq!(python["attributes"].as_object().map(Map::len), Some(envelope.len()), "{text}");
        let time = time.map(|time| time.as_str().expect("text").parse::<Timestamp>().expect("a time"));
        // Where there is none, this SDK puts its own clock's.
        if let Some(time) = time {
            let (ours, theirs) =
                (time.as_microsecond() as f64 / 1e6, python["time"].as_f64().expect("seconds"));
            assert!((ours - theirs).abs() < 1e-4, "{theirs} in {text}");
        }
    }
    println!("{} envelopes read by the schema and by two SDKs", all.len());
}

/// The schema refuses what the contract forbids: a schema that takes anything would prove nothing.
#[test]
fn the_schema_is_no_rubber_stamp() {
    let sample = entry("github").samples.iter().find(|sample| sample.name == "ping").expect("the sample");
    let good = send_sample(entry("github"), sample).envelope();
    let schema = root().join("docs/envelope.schema.json");
    let is_valid = |envelope: &Value, name: &str| {
        let file = env::temp_dir().join(format!("hookgate-envelope-{name}-{}.json", process::id()));
        fs::write(&file, json!([envelope.to_string()]).to_string()).expect("a file");
        let python = folder("HOOKGATE_TEST_TOOLS").join("bin/python");
        let mut command = Command::new(python);
        let output =
            command.arg(tool_file("read-envelopes.py")).args([&schema, &file]).output().expect("Python");
        fs::remove_file(&file).expect("the file");
        output.status.success()
    };
    assert!(is_valid(&good, "good"));
    for (name, value) in [
        ("id", json!("")),
        ("source", json!("github")),
        ("type", json!("com.github.")),
        ("time", json!("yesterday")),
        ("assurance", json!("certain")),
        ("idsource", json!("unknown")),
        ("calldigest", json!("abc")),
        ("attempt", json!("1")),
        ("data_base64", json!("AAAA")),
        ("datacontenttype", json!("text/plain")),
        ("Not_A_Name", json!("x")),
        ("envelopeversion", json!("2.0")),
        ("provider", Value::Null),
    ] {
        let mut bad = good.clone();
        match value {
            Value::Null => drop(bad.as_object_mut().expect("an object").remove(name)),
            value => bad[name] = value,
        }
        assert!(!is_valid(&bad, name), "{name}: {bad}");
    }
}

/// Writes a file anew if that was asked for, else compares.
fn snapshot(path: &Path, text: &str) -> Result<(), String> {
    if env::var_os(RENEW).is_some_and(|value| value == "1") {
        fs::write(path, text).expect("a file to write");
        return Ok(());
    }
    match fs::read_to_string(path) {
        Ok(kept) if kept == text => Ok(()),
        Ok(kept) => Err(format!("{} differs\n  kept {kept}\n  now  {text}", path.display())),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

/// Case 94: envelopes stay as they are, to the last byte.
#[test]
fn envelopes_stay_as_they_are() {
    let folder = root().join("tests/src/cases/snapshots");
    let mut names = BTreeSet::new();
    let mut wrong = Vec::new();
    for (entry, sample) in samples() {
        let answered = send_sample(entry, sample);
        assert!(!answered.events.is_empty(), "{} {}: {answered:?}", entry.provider.name, sample.name);
        for (i, event) in answered.events.iter().enumerate() {
            let number = if answered.events.len() == 1 { String::new() } else { format!(".{}", i + 1) };
            let name = format!("{}.{}{number}.json", entry.provider.name, sample.name);
            wrong.extend(snapshot(&folder.join(&name), &format!("{}\n", event.text())).err());
            names.insert(name);
        }
    }
    let kept = fs::read_dir(&folder).expect("the snapshots").map(|file| file.expect("a file").file_name());
    for name in
        kept.map(|name| name.into_string().expect("a plain name")).filter(|name| !names.contains(name))
    {
        wrong.push(format!("{name} belongs to no sample"));
    }
    let how = format!("{RENEW}=1 writes them anew; what changed has changed for consumers");
    assert!(wrong.is_empty(), "{}\n{how}", wrong.join("\n"));
    assert!(names.len() > 30, "only {} snapshots", names.len());
}

/// JSON text without the spaces between its parts.
fn compact(text: &str) -> String {
    let (mut in_string, mut escaped) = (false, false);
    text.chars()
        .filter(|c| {
            let space = c.is_ascii_whitespace() && !in_string;
            match *c {
                _ if escaped => escaped = false,
                '\\' => escaped = in_string,
                '"' => in_string = !in_string,
                _ => {}
            }
            !space
        })
        .collect()
}

/// JSON text with a line for each member, everything else as it was.
fn pretty(text: &str) -> String {
    let text: Vec<char> = compact(text).chars().collect();
    let (mut out, mut depth, mut in_string, mut escaped) = (String::new(), 0, false, false);
    for (i, c) in text.iter().enumerate() {
        let next = text.get(i + 1);
        match *c {
            c if in_string => {
                out.push(c);
                match c {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    '"' => in_string = false,
                    _ => {}
                }
            }
            '"' => {
                out.push('"');
                in_string = true;
            }
            c @ ('{' | '[') => {
                out.push(c);
                if !matches!(next, Some('}' | ']' | '…')) {
                    depth += 1;
                    out.push('\n');
                    out.push_str(&"  ".repeat(depth));
                }
            }
            c @ ('}' | ']') => {
                if !matches!(text.get(i.wrapping_sub(1)), Some('{' | '[' | '…')) {
                    depth -= 1;
                    out.push('\n');
                    out.push_str(&"  ".repeat(depth));
                }
                out.push(c);
            }
            ',' => {
                out.push_str(",\n");
                out.push_str(&"  ".repeat(depth));
            }
            ':' => out.push_str(": "),
            c => out.push(c),
        }
    }
    out
}

/// The example in each README, and in the contract, is what the sample gives. `<!-- example: NAME -->` says which, and
/// whether its data, often longer than anybody reads, is left out.
#[test]
fn readmes_show_what_samples_give() {
    let mut wrong = Vec::new();
    let readme =
        |entry: &'static Entry| (entry, root().join("functions").join(entry.provider.name).join("README.md"));
    let contract = (entry("facebook"), root().join("docs/envelope.md"));
    for (entry, path) in registry::ENTRIES.iter().map(readme).chain([contract]) {
        let name = path.display();
        let text = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        let Some((before, rest)) = text.split_once("<!-- example: ") else {
            wrong.push(format!("{name}: no example"));
            continue;
        };
        let (which, rest) = rest.split_once(" -->\n```json\n").expect("a block of JSON after the mark");
        let (shown, after) = rest.split_once("```\n").expect("the end of the block");
        let (sample, without_data) = match which.strip_suffix(", without data") {
            Some(sample) => (sample, true),
            None => (which, false),
        };
        let sample = entry
            .samples
            .iter()
            .find(|s| s.name == sample)
            .unwrap_or_else(|| panic!("{name}: no sample {sample}"));
        let answered = send_sample(entry, sample);
        let mut envelope = compact(answered.events[0].text());
        if without_data {
            let (attributes, _) = envelope.split_once(",\"data\":").expect("data");
            envelope = format!("{attributes},\"data\":{{…}}}}");
        }
        if env::var_os(RENEW).is_some_and(|value| value == "1") {
            let block = format!("<!-- example: {which} -->\n```json\n{}\n```\n", pretty(&envelope));
            fs::write(&path, format!("{before}{block}{after}")).expect("a file to write");
        } else if compact(shown) != envelope {
            wrong.push(format!("{name}: README shows\n{}\nthe sample gives\n{envelope}", compact(shown)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Case 95: no row passes a credential or a signature on, and no envelope holds one.
#[test]
fn no_credential_is_passed_on() {
    const NEVER: [&str; 8] =
        ["authorization", "cookie", "signature", "hmac", "secret", "token", "password", "x-api-key"];
    let mut headers = 0;
    for entry in registry::ENTRIES {
        let provider = entry.provider;
        for sample in entry.samples.iter().filter(|sample| !sample.is_handshake()) {
            let config = throw_away(entry, sample.name);
            let document = Document::read(provider, &config.to_string()).expect("a JSON object");
            let checked = provider.scheme.describe(&document.endpoints()[0]).headers;
            for name in provider.event.headers {
                assert_eq!(*name, name.to_lowercase(), "{}", provider.name);
                assert!(
                    !checked.contains(&(*name).to_owned()),
                    "{}: {name} is what is checked",
                    provider.name
                );
                assert!(NEVER.iter().all(|word| !name.contains(word)), "{}: {name}", provider.name);
                headers += 1;
            }
            let mut draft =
                sample::signed(provider, sample.file, &document.endpoints()[0], CLOCK).expect("signed");
            let genuine = draft.headers.clone();
            let of_signature = |(name, _): &&(String, String)| checked.contains(&name.to_lowercase());
            let secret: Vec<String> =
                genuine.iter().filter(of_signature).map(|(_, value)| value.clone()).collect();
            for name in
                ["Authorization", "Cookie", "Proxy-Authorization", "X-Api-Key", "X-Hub-Signature", "X-Other"]
            {
                if !genuine.iter().any(|(n, _)| n.eq_ignore_ascii_case(name)) {
                    draft.headers.push((name.to_owned(), "canary-0123456789".to_owned()));
                }
            }
            let Draft { method, path, query, headers, body, .. } = draft;
            let answered =
                Bench::new(provider, &config).send(&Request { method, path, query, headers, body });
            assert!(!answered.events.is_empty(), "{} {}: {answered:?}", provider.name, sample.name);
            for event in &answered.events {
                let text = event.text();
                assert!(!text.contains("canary"), "{text}");
                for value in &secret {
                    let tag = value.rsplit('=').find(|part| part.len() > 8).unwrap_or(value);
                    assert!(!text.contains(tag), "{tag} in {text}");
                }
                assert!(!text.contains("throw-away"), "a secret in {text}");
            }
        }
    }
    assert!(headers > 50, "only {headers} headers looked at");
}

fn facebook(body: &str) -> Answered {
    let config = json!({ "app_secret": "throw-away secret", "verify_token": "throw-away token" });
    let row = entry("facebook").provider;
    Bench::new(row, &config).send(&signed(row, &config, Request::post(JSON, body)))
}

fn of_each(answered: &Answered, name: &str) -> Vec<String> {
    let text = |envelope: &Value| envelope[name].as_str().unwrap_or_default().to_owned();
    answered.envelopes().iter().map(text).collect()
}

const COMMENT: &str = r#"{"field":"feed","value":{"item":"comment","verb":"add","comment_id":"c1","message":"Còn hàng \u1ec5?"}}"#;
const LIKE: &str = r#"{"field":"feed","value":{"item":"like","verb":"add"}}"#;
const MESSAGE: &str = r#"{"sender":{"id":"9"},"recipient":{"id":"1"},"timestamp":1458692752478,"message":{"mid":"m1","text":"x"}}"#;
const READ: &str = r#"{"sender":{"id":"9"},"timestamp":1458692752478,"read":{"watermark":1}}"#;

fn page(entries: &[String]) -> String {
    format!(r#"{{"object":"page","entry":[{}]}}"#, entries.join(","))
}

fn changes(id: &str, time: u64, items: &[&str]) -> String {
    format!(r#"{{"id":"{id}","time":{time},"changes":[{}]}}"#, items.join(","))
}

/// A call with several events gives one each; its data is the call with that one item.
#[test]
fn a_batch_is_cut_into_calls_of_one_item() {
    let messaging = format!(r#"{{"messaging":[{MESSAGE},{READ}],"id":"1","time":1458692752500}}"#);
    let answered = facebook(&page(&[changes("1", 1_511_951_016, &[COMMENT, LIKE]), messaging]));
    assert!(answered.is_accepted(4), "{answered:?}");
    let data: Vec<String> = answered
        .events
        .iter()
        .map(|event| {
            event
                .text()
                .split_once(",\"data\":")
                .expect("data")
                .1
                .strip_suffix('}')
                .expect("an end")
                .to_owned()
        })
        .collect();
    assert_eq!(
        data,
        [
            page(&[changes("1", 1_511_951_016, &[COMMENT])]),
            page(&[changes("1", 1_511_951_016, &[LIKE])]),
            page(&[format!(r#"{{"messaging":[{MESSAGE}],"id":"1","time":1458692752500}}"#)]),
            page(&[format!(r#"{{"messaging":[{READ}],"id":"1","time":1458692752500}}"#)]),
        ]
    );
    assert_eq!(
        of_each(&answered, "type"),
        [
            "com.facebook.page.feed.comment.add",
            "com.facebook.page.feed.like.add",
            "com.facebook.page.messaging.message",
            "com.facebook.page.messaging.read",
        ]
    );
    assert_eq!(of_each(&answered, "calldigest").into_iter().collect::<BTreeSet<_>>().len(), 1);
    assert_eq!(of_each(&answered, "idsource"), ["digest", "digest", "signed", "digest"]);
    assert_eq!(of_each(&answered, "id")[2], "m1");
    // Of several arrays in one entry each gives its events, and none of them sees the others.
    let both = format!(r#"{{"id":"1","time":1,"changes":[{LIKE}],"messaging":[{READ}]}}"#);
    let answered = facebook(&page(&[both]));
    assert_eq!(
        answered.envelopes().iter().map(|e| e["data"]["entry"][0].clone()).collect::<Vec<_>>(),
        [
            json!({ "id": "1", "time": 1, "changes": [serde_json::from_str::<Value>(LIKE).unwrap()] }),
            json!({ "id": "1", "time": 1, "messaging": [serde_json::from_str::<Value>(READ).unwrap()] }),
        ]
    );
}

/// An item may hold arrays itself. Their elements are the events then, each in a call of its own.
#[test]
fn what_an_item_holds_is_cut_too() {
    let object = |entries: &str| format!(r#"{{"object":"o","entry":[{entries}]}}"#);
    let of_change =
        |value: &str| object(&format!(r#"{{"id":"1","changes":[{{"value":{{{value}}},"field":"f"}}]}}"#));
    let (one, two) = (r#"{"id":"a","type":"text","from":"9"}"#, r#"{"id":"b","type":"image","from":"8"}"#);
    let read = r#"{"id":"a","status":"read","recipient_id":"9"}"#;
    let meta = r#""metadata":{"phone_number_id":"7"},"contacts":[1,2]"#;
    let answered = facebook(&of_change(&format!(r#"{meta},"statuses":[{read}],"messages":[{one},{two}]"#)));
    let data: Vec<String> =
        answered.envelopes().iter().map(|envelope| envelope["data"].to_string()).collect();
    let parts = [("messages", one), ("messages", two), ("statuses", read)];
    let wanted = parts.map(|(array, item)| of_change(&format!(r#"{meta},"{array}":[{item}]"#)));
    let sorted = |text: &String| serde_json::from_str::<Value>(text).expect("JSON").to_string();
    assert_eq!(data, wanted.iter().map(sorted).collect::<Vec<_>>());
    assert_eq!(
        of_each(&answered, "type"),
        ["com.facebook.o.messages.text", "com.facebook.o.messages.image", "com.facebook.o.statuses.read"]
    );
    assert_eq!(of_each(&answered, "partitionkey"), ["7:9", "7:8", "7:9"]);
    assert_eq!(of_each(&answered, "idsource"), ["signed", "signed", "digest"]);

    // A digest depends on what stands around the item, and not on what stands beside it.
    let id = |value: &str| of_each(&facebook(&of_change(value)), "id");
    let alone = id(&format!(r#"{meta},"statuses":[{read}]"#));
    assert_eq!(alone[0], of_each(&answered, "id")[2]);
    assert_ne!(alone, id(&format!(r#""x":1,{meta},"statuses":[{read}]"#)));
    let other =
        of_change(&format!(r#"{meta},"statuses":[{read}]"#)).replace(r#""field":"f""#, r#""field":"g""#);
    assert_ne!(alone, of_each(&facebook(&other), "id"));

    // Without such an array, or with an empty one, the item around it is the event.
    for value in ["", r#""messages":[]"#, r#""messages":{}"#, r#""messages":null"#] {
        assert_eq!(of_each(&facebook(&of_change(value)), "type"), ["com.facebook.o.f"], "{value}");
    }
    for value in ["null", "7", r#""messages""#, "[{}]"] {
        let body = object(&format!(r#"{{"id":"1","changes":[{{"value":{value},"field":"f"}}]}}"#));
        assert_eq!(of_each(&facebook(&body), "type"), ["com.facebook.o.f"], "{value}");
    }
    // Of two values two readers may see two.
    for body in
        [of_change(r#""messages":[],"messages":[]"#), object(r#"{"changes":[{"value":{},"value":{}}]}"#)]
    {
        assert_eq!(of_each(&facebook(&body), "type"), ["com.facebook.unreadable"], "{body}");
    }
}

/// What has no items is an event itself, so that nothing verified is lost.
#[test]
fn what_has_no_items_is_one_event() {
    for (body, kinds) in [
        (r#"{"object":"page"}"#, vec!["com.facebook.page"]),
        ("{}", vec!["com.facebook.unknown"]),
        (r#"{"object":"page","entry":[]}"#, vec!["com.facebook.page"]),
        (r#"{"object":"page","entry":{}}"#, vec!["com.facebook.page"]),
        (r#"{"object":"page","entry":null}"#, vec!["com.facebook.page"]),
        (
            r#"{"object":"page","entry":[{"id":"1"},{"id":"2"}]}"#,
            vec!["com.facebook.page", "com.facebook.page"],
        ),
        (r#"{"object":"page","entry":[{"id":"1","changes":[]}]}"#, vec!["com.facebook.page"]),
        (r#"{"object":"page","entry":[{"id":"1","changes":{}}]}"#, vec!["com.facebook.page"]),
        (r#"{"object":"page","entry":[{"id":"1","changes":["x"]}]}"#, vec!["com.facebook.page.x"]),
        (r#"{"object":"page","entry":[{"id":"1","changes":[{}]}]}"#, vec!["com.facebook.page"]),
        (
            r#"{"object":"user","entry":[{"uid":"1","id":"1","changed_fields":["name","picture"]}]}"#,
            vec!["com.facebook.user.name", "com.facebook.user.picture"],
        ),
        (
            r#"{"object":"page","entry":[{"id":"1","changes":[{"field":"feed","value":{"item":"timeline cover","verb":"add"}}]}]}"#,
            vec!["com.facebook.page.feed.timeline_cover.add"],
        ),
    ] {
        let answered = facebook(body);
        assert_eq!(of_each(&answered, "type"), kinds, "{body}");
    }
    for body in [r#"{"object":"page","entry":[1]}"#, r#"{"object":"page","entry":[{"id":"1"},[]]}"#] {
        assert_eq!(of_each(&facebook(body), "type"), ["com.facebook.unreadable"], "{body}");
    }
}

/// A retry may be batched in another way: an id depends on the item, its account and its time, and on nothing else.
#[test]
fn digests_do_not_depend_on_the_batch() {
    let ids = |entries: &[String]| of_each(&facebook(&page(entries)), "id");
    let (first, second) = (changes("1", 100, &[COMMENT]), changes("1", 100, &[LIKE]));
    let alone = [ids(std::slice::from_ref(&first)), ids(std::slice::from_ref(&second))].concat();
    assert_ne!(alone[0], alone[1]);
    assert_eq!(ids(&[changes("1", 100, &[COMMENT, LIKE])]), alone);
    assert_eq!(ids(&[first.clone(), second.clone()]), alone);
    assert_eq!(ids(&[second, first]), [alone[1].clone(), alone[0].clone()]);
    // The order of the members around it is the sender's affair, and so are spaces there.
    let turned = format!(r#"{{ "changes" : [{COMMENT}] , "time" : 100 , "id" : "1" }}"#);
    assert_eq!(ids(&[turned])[0], alone[0]);
    let body = format!(r#"{{"entry":[{}],"object":"page"}}"#, changes("1", 100, &[COMMENT]));
    assert_eq!(of_each(&facebook(&body), "id")[0], alone[0]);
    // Another account, another time, another object, another item or another array is another event.
    let other_object = page(&[changes("1", 100, &[COMMENT])]).replace("\"page\"", "\"user\"");
    let other_array = changes("1", 100, &[COMMENT]).replace("changes", "standby");
    let others = [
        ids(&[changes("2", 100, &[COMMENT])])[0].clone(),
        ids(&[changes("1", 101, &[COMMENT])])[0].clone(),
        of_each(&facebook(&other_object), "id")[0].clone(),
        ids(&[other_array])[0].clone(),
        ids(&[changes("1", 100, &[&COMMENT.replace("c1", "c2")])])[0].clone(),
    ];
    let different: BTreeSet<&String> = others.iter().chain(&alone).collect();
    assert_eq!(different.len(), 7);
    // Items that are alike to the last byte are told apart by their count, and only they.
    let alike = ids(&[changes("1", 100, &[LIKE, COMMENT, LIKE, LIKE])]);
    let like = &alone[1];
    assert_eq!(alike, [like.clone(), alone[0].clone(), format!("{like}:2"), format!("{like}:3")]);
}

/// Cases 83 and 84: what comes again is known again, and nobody can take an event's place.
#[test]
fn a_call_that_comes_again_is_known_again() {
    for (entry, sample) in samples() {
        let (first, again) = (send_sample(entry, sample), send_sample(entry, sample));
        let ids = |answered: &Answered| answered.events.iter().map(|e| e.identity()).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&again), "{} {}", entry.provider.name, sample.name);
        let different: BTreeSet<String> = ids(&first).into_iter().collect();
        assert_eq!(different.len(), first.events.len(), "{} {}", entry.provider.name, sample.name);
        for envelope in first.envelopes() {
            assert!(envelope["calldigest"].as_str().is_some_and(|digest| digest.len() == 64));
            assert_eq!(envelope["envelopeversion"], ENVELOPE_VERSION);
            assert_eq!(envelope["receivedtime"], "2026-11-24T06:00:00Z");
        }
    }
    // An id that no signature covers suppresses nothing under another body; one that a signature covers is enough.
    let identity = |name: &str, config: &Value, request: Request, second: i64| {
        let row = entry(name).provider;
        let request = super::support::signed_at(row, config, request, second);
        let answered = Bench::new(row, config).send_at(&request, second);
        assert!(answered.is_accepted(1), "{answered:?}");
        answered.events[0].identity()
    };
    let config = json!({ "secret": "throw-away secret, 16+" });
    let github = |body: &str| {
        identity("github", &config, Request::post(JSON, body).header("X-GitHub-Delivery", "d-1"), CLOCK)
    };
    assert_eq!(github("{}"), github("{}"));
    assert_ne!(github("{}"), github(r#"{"a":1}"#));
    // A retry of Stripe's is signed anew, later, and may say less of its own sending.
    let stripe = |body: &str, second| identity("stripe", &config, Request::post(JSON, body), second);
    assert_eq!(
        stripe(r#"{"id":"evt_1","type":"x","pending_webhooks":2}"#, CLOCK),
        stripe(r#"{"id":"evt_1","type":"x","pending_webhooks":1}"#, CLOCK + 3600)
    );
    let telegram = json!({ "secret_token": "throw-away-token-0000" });
    let update = |body: &str| identity("telegram", &telegram, Request::post(JSON, body), CLOCK);
    assert_ne!(
        update(r#"{"update_id":1,"message":{"text":"a"}}"#),
        update(r#"{"update_id":1,"message":{"text":"b"}}"#),
        "whoever knows the token alone could suppress an update"
    );
    // Without the header the id is made from the content, and says so.
    let row = entry("github").provider;
    let answered = Bench::new(row, &config).send(&signed(row, &config, Request::post(JSON, "{}")));
    assert_eq!(answered.envelope()["idsource"], "digest");
}

/// The same id at two endpoints is two events.
#[test]
fn the_source_names_the_endpoint() {
    let secret = "throw-away secret, 16+";
    let config = json!({ "endpoints": { "acme": { "secret": secret }, "Other-1": { "secret": secret } } });
    let row = entry("stripe").provider;
    let body = r#"{"id":"evt_1","type":"x"}"#;
    let sources = ["acme", "Other-1"].map(|name| {
        let request = Request::post(JSON, body).at(&format!("/{name}"));
        let signed = signed(row, &json!({ "secret": secret }), request);
        let answered = Bench::new(row, &config).send(&signed);
        assert_eq!(answered.envelope()["source"], format!("/hookgate/stripe/{name}"));
        answered.events[0].identity()
    });
    assert_ne!(sources[0], sources[1]);
}

/// The provider's count of retries is a small number, or it is left out.
#[test]
fn an_attempt_is_a_number_or_nothing() {
    let config = json!({ "signing_secret": "throw-away secret, 16+" });
    let row = entry("slack").provider;
    for (told, attempt) in [
        ("1", Some(1)),
        ("3", Some(3)),
        ("0", Some(0)),
        ("999999999", Some(999_999_999)),
        ("1000000000", None),
        ("-1", None),
        ("1.0", None),
        ("1,1", None),
        ("one", None),
        ("", None),
        (" 1", None),
    ] {
        let request = Request::post(JSON, r#"{"event_id":"E1"}"#).header("X-Slack-Retry-Num", told);
        let envelope = Bench::new(row, &config).send(&signed(row, &config, request)).envelope();
        assert_eq!(envelope.get("attempt").and_then(Value::as_i64), attempt, "{told:?}");
    }
}

/// Headers of the allow-list travel as the text of a JSON object, and none that is longer than any has reason to be.
/// 83: what is about a message carries its id, and is another event: a queue that drops duplicates must keep both.
#[test]
fn what_is_about_a_message_has_an_id_of_its_own() {
    let zalo = json!({"app_id": "1", "oa_secret_key": "a throw-away secret"});
    let of_zalo = |name: &str| {
        let body = json!({
            "app_id": "1", "event_name": name, "sender": {"id": "2"}, "recipient": {"id": "3"},
            "message": {"msg_id": "m"}, "timestamp": "1795500000000",
        });
        (entry("zalo").provider, &zalo, body)
    };
    let meta = json!({"app_secret": "a throw-away secret", "verify_token": "a throw-away token"});
    let of_meta = |object: &str, what: Value| {
        let item = json!({"sender": {"id": "2"}, "recipient": {"id": "3"}, "timestamp": 1, "message": what});
        let body = json!({"object": object, "entry": [{"id": "3", "time": 1, "messaging": [item]}]});
        (entry("facebook").provider, &meta, body)
    };
    let events = [
        of_zalo("user_send_text"),
        of_zalo("user_received_message"),
        of_zalo("user_reacted_message"),
        of_meta("instagram", json!({"mid": "m", "text": "x"})),
        of_meta("instagram", json!({"mid": "m", "is_deleted": true})),
    ];
    let mut identities = BTreeSet::new();
    for (provider, config, body) in &events {
        let request = signed(provider, config, Request::post("application/json", body.to_string()));
        let answered = Bench::new(provider, config).send(&request);
        let [event] = answered.events.as_slice() else { panic!("{answered:?}") };
        identities.insert(event.identity());
    }
    assert_eq!(identities.len(), events.len(), "{identities:?}");
    assert!(identities.contains("/hookgate/zalo\nm\n") && identities.contains("/hookgate/facebook\nm\n"));
}

/// 84: an id in a header is as good as the signature where that covers the header, and no better elsewhere.
#[test]
fn an_id_in_a_header_counts_for_what_covers_it() {
    let rule = |signed: Value| {
        json!({
            "secret": "a throw-away secret",
            "signature": {"header": "x-signature", "signed": signed, "id_header": "X-Id"},
            "event": {"id": "header:x-id"},
        })
    };
    let request = Request::post("application/json", "{}").header("X-Id", "42");
    let config = rule(json!(["id", ".", "body"]));
    let signed_id = signed(entry("generic").provider, &config, request.clone());
    let envelope = Bench::new(entry("generic").provider, &config).send(&signed_id).envelope();
    assert_eq!((&envelope["id"], &envelope["idsource"]), (&json!("42"), &json!("signed")));

    let mut config = rule(json!(["body"]));
    config["signature"].as_object_mut().expect("an object").remove("id_header");
    let plain = signed(entry("generic").provider, &config, request);
    let envelope = Bench::new(entry("generic").provider, &config).send(&plain).envelope();
    assert_eq!((&envelope["id"], &envelope["idsource"]), (&json!("42"), &json!("header")));
}

#[test]
fn headers_travel_as_text() {
    let config = json!({ "secret": "throw-away secret, 16+" });
    let row = entry("github").provider;
    let request = Request::post(JSON, "{}")
        .header("X-GitHub-Event", "ping")
        .header("X-GitHub-Hook-ID", "quo\"te\u{1}")
        .header("User-Agent", &"u".repeat(MAX_FIELD + 1))
        .header("X-Unknown", "x");
    let envelope = Bench::new(row, &config).send(&signed(row, &config, request)).envelope();
    let headers: BTreeMap<String, String> =
        serde_json::from_str(envelope["headers"].as_str().expect("text")).expect("a JSON object of texts");
    let expected = [("x-github-event", "ping"), ("x-github-hook-id", "quo\"te\u{1}")];
    assert_eq!(headers, expected.map(|(n, v)| (n.to_owned(), v.to_owned())).into());
}

/// What stands in each sample's envelope, as its README says and as somebody read in the sample: type, id (`-` for a
/// digest), idsource, assurance, time, account, subject, partition key. A snapshot renewed without a look is caught here.
const FACTS: &[(&str, [&str; 8])] = &[
    (
        "facebook.batch.1",
        [
            "com.facebook.page.feed.comment.add",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:38Z",
            "137542570280222",
            "139560936744456_139620233405727",
            "137542570280222:137542570280222_139560936744456",
        ],
    ),
    (
        "facebook.batch.2",
        [
            "com.facebook.page.feed.reaction.add",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:39Z",
            "137542570280222",
            "137542570280222_139560936744456",
            "137542570280222:137542570280222_139560936744456",
        ],
    ),
    (
        "facebook.batch.3",
        [
            "com.facebook.page.feed.reaction.remove",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:39Z",
            "137542570280222",
            "137542570280222_139560936744456",
            "137542570280222:137542570280222_139560936744456",
        ],
    ),
    (
        "facebook.batch.4",
        [
            "com.facebook.page.feed.status.add",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:37Z",
            "208770550911373",
            "208770550911373_244445617083583",
            "208770550911373:208770550911373_244445617083583",
        ],
    ),
    (
        "facebook.batch.5",
        [
            "com.facebook.page.mention.post.add",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:38Z",
            "208770550911373",
            "139560936744123_244445617083584",
            "208770550911373:139560936744123_244445617083584",
        ],
    ),
    (
        "facebook.feed-comment",
        [
            "com.facebook.page.feed.comment.add",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:35Z",
            "137542570280222",
            "139560936744456_139620233405726",
            "137542570280222:137542570280222_139560936744456",
        ],
    ),
    (
        "facebook.feed-like",
        [
            "com.facebook.page.feed.like.add",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:38Z",
            "137542570280222",
            "-",
            "137542570280222",
        ],
    ),
    (
        "facebook.feed-post",
        [
            "com.facebook.page.feed.post.add",
            "-",
            "digest",
            "signed",
            "2018-03-08T21:33:34Z",
            "137542570280222",
            "137542570280222_139560936744456",
            "137542570280222:137542570280222_139560936744456",
        ],
    ),
    (
        "facebook.feed-reaction",
        [
            "com.facebook.page.feed.reaction.add",
            "-",
            "digest",
            "signed",
            "2017-11-29T10:23:35Z",
            "137542570280222",
            "137542570280222_139560936744456",
            "137542570280222:137542570280222_139560936744456",
        ],
    ),
    (
        "facebook.message-reaction",
        [
            "com.facebook.page.messaging.reaction",
            "-",
            "digest",
            "signed",
            "2016-03-22T17:47:36.463Z",
            "137542570280222",
            "6829103746582013",
            "137542570280222:6829103746582013",
        ],
    ),
    (
        "facebook.message-read",
        [
            "com.facebook.page.messaging.read",
            "-",
            "digest",
            "signed",
            "2016-03-22T17:47:36.463Z",
            "137542570280222",
            "6829103746582013",
            "137542570280222:6829103746582013",
        ],
    ),
    (
        "facebook.message",
        [
            "com.facebook.page.messaging.message",
            "m_1457764197618:41d102a3e1ae206a38",
            "signed",
            "signed",
            "2016-03-23T00:25:52.467Z",
            "137542570280222",
            "6829103746582013",
            "137542570280222:6829103746582013",
        ],
    ),
    (
        "facebook.postback",
        [
            "com.facebook.page.messaging.postback",
            "m_AG5Hz2U7tcwNEhXfFYKJezkyrpMHRx",
            "signed",
            "signed",
            "2016-03-23T00:25:52.478Z",
            "137542570280222",
            "6829103746582013",
            "137542570280222:6829103746582013",
        ],
    ),
    (
        "facebook.standby-message",
        [
            "com.facebook.page.standby.message",
            "m_1457764197618:41d102a3e1ae206a39",
            "signed",
            "signed",
            "2016-03-23T00:25:52.467Z",
            "137542570280222",
            "6829103746582013",
            "137542570280222:6829103746582013",
        ],
    ),
    (
        "facebook.user-photos",
        [
            "com.facebook.user.photos.update",
            "-",
            "digest",
            "signed",
            "2018-03-07T00:46:11Z",
            "10210299214172187",
            "-",
            "10210299214172187",
        ],
    ),
    (
        "generic.bank-form",
        [
            "com.example.bank.credit",
            "778812345678901234567",
            "header",
            "basic",
            "2026-11-24T05:59:58Z",
            "-",
            "-",
            "-",
        ],
    ),
    (
        "generic.courier-json",
        [
            "com.example.courier.shipment.delivered",
            "evt_0192",
            "signed",
            "signed",
            "2026-11-24T05:59:58Z",
            "-",
            "VN1042",
            "-",
        ],
    ),
    ("generic.shop-xml", ["com.example.shop.order.paid", "N-77", "header", "token", "-", "-", "VND", "-"]),
    (
        "github.installation-created",
        [
            "com.github.installation.created",
            "77d3162e-cc78-11e3-81ab-4c9367dc0958",
            "header",
            "signed",
            "-",
            "Codertocat",
            "-",
            "957387",
        ],
    ),
    (
        "github.issues-opened",
        [
            "com.github.issues.opened",
            "74d3162e-cc78-11e3-81ab-4c9367dc0958",
            "header",
            "signed",
            "-",
            "Codertocat",
            "Codertocat/Hello-World",
            "186853002",
        ],
    ),
    (
        "github.ping",
        [
            "com.github.ping",
            "76d3162e-cc78-11e3-81ab-4c9367dc0958",
            "header",
            "signed",
            "-",
            "Octocoders",
            "Octocoders/Hello-World",
            "186853261",
        ],
    ),
    (
        "github.pull-request-opened",
        [
            "com.github.pull_request.opened",
            "75d3162e-cc78-11e3-81ab-4c9367dc0958",
            "header",
            "signed",
            "-",
            "Codertocat",
            "Codertocat/Hello-World",
            "186853002",
        ],
    ),
    (
        "github.push-form",
        [
            "com.github.push",
            "73d3162e-cc78-11e3-81ab-4c9367dc0958",
            "header",
            "signed",
            "-",
            "Codertocat",
            "Codertocat/Hello-World",
            "186853002",
        ],
    ),
    (
        "github.push",
        [
            "com.github.push",
            "72d3162e-cc78-11e3-81ab-4c9367dc0958",
            "header",
            "signed",
            "-",
            "Codertocat",
            "Codertocat/Hello-World",
            "186853002",
        ],
    ),
    (
        "shopify.app-uninstalled",
        [
            "com.shopify.app.uninstalled",
            "4d3ed0de-edc5-48dd-b110-fdff73769187",
            "header",
            "signed",
            "2024-08-07T22:48:27.480992003Z",
            "shop.myshopify.com",
            "548380009",
            "shop.myshopify.com:548380009",
        ],
    ),
    (
        "shopify.events-product-update",
        [
            "com.shopify.Product.update",
            "0b7cdd51-33a5-4a2e-9f5e-1f9d6fd2b001",
            "header",
            "signed",
            "2026-11-24T05:59:59.480992003Z",
            "shop.myshopify.com",
            "-",
            "shop.myshopify.com",
        ],
    ),
    (
        "shopify.orders-create",
        [
            "com.shopify.orders.create",
            "8a95126f-859a-4db9-b8f1-350e299e9ea0",
            "header",
            "signed",
            "2024-08-07T22:57:57.290670248Z",
            "shop.myshopify.com",
            "gid://shopify/Order/820982911946154508",
            "shop.myshopify.com:820982911946154508",
        ],
    ),
    (
        "shopify.products-update",
        [
            "com.shopify.products.update",
            "3681f22b-c354-40f5-a12d-692d1bc7f61c",
            "header",
            "signed",
            "2024-08-07T22:59:26.372189411Z",
            "shop.myshopify.com",
            "gid://shopify/Product/788032119674292922",
            "shop.myshopify.com:788032119674292922",
        ],
    ),
    (
        "slack.block-actions",
        [
            "com.slack.interaction.block_actions",
            "12321423423.333649436676.d8c1bb837935619ccad0f624c448ffb3",
            "signed",
            "signed-fresh",
            "2026-11-24T06:00:00Z",
            "T9TK3CUKW",
            "UA8RXUSPL",
            "T9TK3CUKW:UA8RXUSPL",
        ],
    ),
    (
        "slack.event-message",
        [
            "com.slack.message",
            "Ev0PV52K21",
            "signed",
            "signed-fresh",
            "2012-12-14T20:38:43Z",
            "T061EG9R6",
            "C024BE91L",
            "T061EG9R6:C024BE91L",
        ],
    ),
    (
        "slack.slash-command",
        [
            "com.slack.command.webhook-collect",
            "398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c",
            "signed",
            "signed-fresh",
            "2026-11-24T06:00:00Z",
            "T1DC2JH3J",
            "U2CERLKJA",
            "T1DC2JH3J:G8PSS9T3V",
        ],
    ),
    (
        "stripe.checkout-session-completed",
        [
            "com.stripe.checkout.session.completed",
            "evt_1MhUT6E0b6fckueSlc4GyvIi",
            "signed",
            "signed-fresh",
            "2023-03-03T09:00:00Z",
            "-",
            "cs_test_a1CagZ1XmCLIZb3ME6r06G1h8ygwbbbMw8Nqk0R86MWMT4dmCjDiUYfQDr",
            "cus_NSPHp4fOlXGw8P",
        ],
    ),
    (
        "stripe.customer-subscription-created",
        [
            "com.stripe.customer.subscription.created",
            "evt_1MhUZtE0b6fckueSDaOf1oJ8",
            "signed",
            "signed-fresh",
            "2023-03-03T09:07:00Z",
            "-",
            "sub_1MhUZrE0b6fckueSZfQ2Ytz6",
            "cus_NSPOMxl5eL01qM",
        ],
    ),
    (
        "stripe.invoice-paid",
        [
            "com.stripe.invoice.paid",
            "evt_1MhUT7E0b6fckueShdwYrsWN",
            "signed",
            "signed-fresh",
            "2023-03-03T08:59:59Z",
            "-",
            "in_1MhUT5E0b6fckueSfPlY05Fw",
            "cus_NSPHp4fOlXGw8P",
        ],
    ),
    (
        "stripe.thin-billing-meter-error",
        [
            "com.stripe.v1.billing.meter.error_report_triggered",
            "evt_notif_test_789",
            "signed",
            "signed-fresh",
            "2024-03-07T18:27:56.000Z",
            "-",
            "mtr_123",
            "mtr_123",
        ],
    ),
    (
        "telegram.callback-query",
        ["org.telegram.callback_query", "10001", "header", "token", "-", "-", "1111111", "1111111"],
    ),
    (
        "telegram.message",
        [
            "org.telegram.message",
            "10000",
            "header",
            "token",
            "2015-09-07T17:05:32Z",
            "-",
            "1111111",
            "1111111",
        ],
    ),
    (
        "telegram.my-chat-member",
        [
            "org.telegram.my_chat_member",
            "10002",
            "header",
            "token",
            "2015-09-07T17:05:33Z",
            "-",
            "-1001234567890",
            "-1001234567890",
        ],
    ),
    (
        "zalo.follow",
        [
            "me.zalo.follow",
            "-",
            "digest",
            "signed",
            "2026-11-24T05:59:40.1Z",
            "388613280878808645",
            "246845883529197922",
            "388613280878808645:246845883529197922",
        ],
    ),
    (
        "zalo.oa-send-text",
        [
            "me.zalo.oa_send_text",
            "96d3cdf3af150460910",
            "signed",
            "signed",
            "2026-11-24T05:59:55.1Z",
            "388613280878808645",
            "246845883529197922",
            "388613280878808645:246845883529197922",
        ],
    ),
    (
        "zalo.unfollow",
        [
            "me.zalo.unfollow",
            "-",
            "digest",
            "signed",
            "2026-11-24T05:59:59.1Z",
            "388613280878808645",
            "246845883529197922",
            "388613280878808645:246845883529197922",
        ],
    ),
    (
        "zalo.user-send-image",
        [
            "me.zalo.user_send_image",
            "96d3cdf3af150460908",
            "signed",
            "signed",
            "2026-11-24T05:59:51.1Z",
            "388613280878808645",
            "246845883529197922",
            "388613280878808645:246845883529197922",
        ],
    ),
    (
        "zalo.user-send-text",
        [
            "me.zalo.user_send_text",
            "96d3cdf3af150460909",
            "signed",
            "signed",
            "2026-11-24T05:59:50.1Z",
            "388613280878808645",
            "246845883529197922",
            "388613280878808645:246845883529197922",
        ],
    ),
    (
        "instagram.comment",
        [
            "com.facebook.instagram.comments",
            "-",
            "digest",
            "signed",
            "2019-09-23T18:14:46Z",
            "17841405793187218",
            "17865799348089039",
            "17841405793187218:17895695668004550",
        ],
    ),
    (
        "line.group-message-image",
        [
            "me.line.message.image",
            "01FZ74A0TDDPYRVKNK77XKC3ZS",
            "signed",
            "signed",
            "2023-08-17T05:54:26.728Z",
            "U708aa90aa8c9345260de3911b90482ea",
            "U604961a723afb1b1eea6b2458e08ef53",
            "U708aa90aa8c9345260de3911b90482ea:Ca56f94637cc4347f90a25382909b24b9",
        ],
    ),
    (
        "tiktok.authorization-removed",
        [
            "com.tiktok.authorization.removed",
            "-",
            "digest",
            "signed",
            "2021-03-10T01:10:10Z",
            "bwo2m45353a6k85",
            "act.example12345Example12345Example",
            "bwo2m45353a6k85:act.example12345Example12345Example",
        ],
    ),
    (
        "messenger.message-echo",
        [
            "com.facebook.page.messaging.message_echo",
            "m_1457764197700:51d102a3e1ae206a39",
            "signed",
            "signed",
            "2016-03-23T00:25:53.267Z",
            "682498302938465",
            "1254477777772919",
            "682498302938465:1254477777772919",
        ],
    ),
    (
        "whatsapp.batch.2",
        [
            "com.facebook.whatsapp_business_account.messages.image",
            "wamid.HBgLODQ5MDEyMzQ1NjcVAgASGBQzQTRBNjU5OUFFRTAzODEwMTQ0RwA=",
            "signed",
            "signed",
            "2025-06-08T20:59:44Z",
            "102290129340398",
            "84901234567",
            "106540352242922:84901234567",
        ],
    ),
    (
        "whatsapp.batch.4",
        [
            "com.facebook.whatsapp_business_account.statuses.read",
            "-",
            "digest",
            "signed",
            "2025-06-18T16:22:55Z",
            "102290129340398",
            "16505551234",
            "106540352242922:16505551234",
        ],
    ),
];

#[test]
fn each_sample_has_the_facts_of_its_readme() {
    let mut seen = 0;
    for (entry, sample) in samples() {
        let answered = send_sample(entry, sample);
        for (i, envelope) in answered.envelopes().iter().enumerate() {
            let number = if answered.events.len() == 1 { String::new() } else { format!(".{}", i + 1) };
            let name = format!("{}.{}{number}", entry.provider.name, sample.name);
            // A provider that is added later has its snapshots; who adds it may add its facts here.
            let Some((_, facts)) = FACTS.iter().find(|(n, _)| **n == name) else { continue };
            let names = ["type", "id", "idsource", "assurance", "time", "account", "subject", "partitionkey"];
            for (attribute, fact) in names.iter().zip(facts) {
                let text = envelope.get(attribute).map_or("-", |value| value.as_str().expect("text"));
                let is_digest = *attribute == "id" && *fact == "-" && text.len() == 64;
                assert!(text == *fact || is_digest, "{name}: {attribute} is {text}, not {fact}");
            }
            // The delivery's own id, where the provider sends one in a header.
            let is_told = ["github", "shopify"].contains(&entry.provider.name);
            let delivery = if is_told { envelope.get("id") } else { None };
            assert_eq!(envelope.get("deliveryid"), delivery, "{name}");
            assert_eq!(envelope.get("attempt"), None, "{name} is a first attempt");
            seen += 1;
        }
    }
    assert_eq!(seen, FACTS.len());
}
