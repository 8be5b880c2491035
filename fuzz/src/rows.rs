//! Settings to run a row with.

use serde_json::{Map, Value, json};
use shared::provider::{Provider, Setting, Shape};
use shared::settings::Document;
use shared::trial;

/// The first live secret of every row. It signs.
pub const SECRET: &str = "throw-away-fuzz-secret-one";
/// The second one, from before a rotation.
pub const OLD_SECRET: &str = "throw-away-fuzz-secret-two";
/// The clock of every check, in Unix seconds.
pub const NOW: i64 = 1_795_500_000;

/// A document of [`settings`].
pub fn document(provider: &Provider) -> Document {
    Document::of(provider, &settings(provider))
}

/// Settings with both secrets for a row that has a fixed set of required ones; with its examples where not any text is a
/// secret.
pub fn settings(provider: &Provider) -> Map<String, Value> {
    let settings = settings_of(provider, false);
    let is_usable = Document::of(provider, &settings).endpoints()[0].usable().is_ok();
    if is_usable { settings } else { settings_of(provider, true) }
}

fn settings_of(provider: &Provider, by_example: bool) -> Map<String, Value> {
    // Keys that would have to be fetched are pinned.
    let is_pinned = |setting: &Setting| setting.shape == Shape::Object && setting.example.is_some();
    let given = provider.settings.iter().filter(|setting| setting.required || is_pinned(setting));
    let values = given.map(|setting| {
        let value = match setting.shape {
            // Not any text is a public key.
            Shape::Secret
                if setting.example.is_some_and(|text| by_example || trial::is_public_half(text)) =>
            {
                setting.example.into()
            }
            Shape::Secret => json!([SECRET, OLD_SECRET]),
            Shape::Object => setting.example_value().unwrap_or_default(),
            _ => setting.example.unwrap_or("1").into(),
        };
        (setting.name.to_owned(), value)
    });
    values.collect()
}

/// Settings of the row `generic`: every place of a signature, and events out of JSON, form, XML and headers.
pub fn generic(variant: u8, pointer: &str) -> Map<String, Value> {
    let event = json!({
        "prefix": "vn.example",
        "type": "header:x-kind",
        "id": pointer,
        "time": "/time",
        "subject": "/a/0",
        "partitionkey": "header:x-order",
    });
    let signature = match variant % 4 {
        0 => json!({ "header": "X-Sig" }),
        1 => json!({ "header": "x-sig", "algorithm": "sha1", "encoding": "base64", "prefix": "v1=" }),
        2 => json!({
            "header": "x-sig",
            "algorithm": "sha512",
            "encoding": "base64url",
            "signed": ["timestamp", ".", "body"],
            "timestamp_header": "x-sig-time",
        }),
        // With a text at each border: a call that could be cut elsewhere is refused, whatever its body.
        _ => {
            json!({ "header": "x-sig", "signed": ["url", "\n", "id", "\n", "body"], "id_header": "x-sig-id" })
        }
    };
    let mut all = Map::new();
    match variant / 4 % 3 {
        0 => {
            all.insert("secret".into(), json!([SECRET, OLD_SECRET]));
            all.insert("signature".into(), signature);
        }
        1 => {
            all.insert("token".into(), SECRET.into());
            all.insert("token_query".into(), "key & token".into());
        }
        _ => {
            all.insert("secret".into(), SECRET.into());
            all.insert("signature".into(), signature);
            all.insert("basic_auth".into(), json!({ "username": "fuzz", "password": SECRET }));
        }
    }
    if variant & 0x40 != 0 {
        all.insert("event".into(), event);
    }
    all
}
