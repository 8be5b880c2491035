//! The house: every provider is complete, nobody else knows its name, and adding one is what the guide says.

use super::crypto::sources;
use super::envelope::{send_sample, throw_away};
use super::support::{Bench, CLOCK, entry};
use super::template::{root, succeed};
use crate::event::Request;
use crate::vector::{self, Decision};
use hmac::{Hmac, KeyInit, Mac};
use jiff::civil::Date;
use serde_json::Value;
use sha2::Sha256;
use shared::gate::Why;
use shared::sample::Draft;
use shared::settings::Document;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs};

/// The most lines of a row: what does not fit on a screen or two is not read.
const MAX_LINES: usize = 150;
/// What every README has, in this order.
const SECTIONS: [&str; 7] = [
    "## Set up",
    "## What is checked",
    "## Handshake",
    "## What arrives",
    "## Answers, deadline, retries",
    "## Not proven",
    "## Facts checked: ",
];

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn folders() -> BTreeSet<String> {
    let entries = fs::read_dir(root().join("functions")).expect("the functions");
    entries.map(|entry| entry.expect("a folder").file_name().into_string().expect("a plain name")).collect()
}

fn of(provider: &str) -> PathBuf {
    root().join("functions").join(provider)
}

#[test]
fn the_registry_has_each_provider_once() {
    let rows: Vec<&str> = registry::ENTRIES.iter().map(|entry| entry.provider.name).collect();
    let names: BTreeSet<String> = rows.iter().map(ToString::to_string).collect();
    assert_eq!(rows.len(), names.len(), "a name stands there twice");
    assert_eq!(names, folders());
    let manifest: toml::Table = read(&root().join("registry/Cargo.toml")).parse().expect("TOML");
    let paths: BTreeMap<&String, &str> = manifest["dependencies"]
        .as_table()
        .expect("a table")
        .iter()
        .filter_map(|(name, value)| Some((name, value.get("path")?.as_str()?)))
        .collect();
    assert_eq!(paths.len(), names.len());
    for (name, path) in paths {
        assert_eq!(path, format!("../functions/{name}"));
    }
}

#[test]
fn every_provider_is_complete() {
    let main = |name: &str| {
        format!(
            "//! The Lambda function.\n\nfn main() -> Result<(), shared::run::Error> {{\n    shared::run(&{name}::PROVIDER)\n}}\n"
        )
    };
    for entry in registry::ENTRIES {
        let provider = entry.provider;
        let (name, folder) = (provider.name, of(provider.name));
        assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{name}");
        assert_eq!(read(&folder.join("src/main.rs")), main(name), "{name}");
        let lines = read(&folder.join("src/lib.rs")).lines().count();
        assert!(lines <= MAX_LINES, "{name}: {lines} lines");
        let manifest: toml::Table = read(&folder.join("Cargo.toml")).parse().expect("TOML");
        assert_eq!(manifest["package"]["name"].as_str(), Some(name));
        let dependencies: Vec<&String> =
            manifest["dependencies"].as_table().expect("a table").keys().collect();
        assert_eq!(dependencies, ["shared"], "{name}");
        assert_eq!(manifest["lints"]["workspace"].as_bool(), Some(true), "{name}");

        assert!(!provider.title.is_empty() && provider.docs.starts_with("https://"), "{name}");
        assert!(provider.facts.checked.parse::<Date>().is_ok(), "{name}: {}", provider.facts.checked);
        assert!(!provider.facts.retries.is_empty() && !provider.facts.proof.is_empty(), "{name}");
        assert!(provider.deadline >= Duration::from_secs(1), "{name}");
        assert!(!provider.event.prefix.is_empty() && !provider.settings.is_empty(), "{name}");
        for setting in provider.settings {
            assert!(!setting.place.is_empty(), "{name}: {} says not where its value stands", setting.name);
        }
        let samples = entry.samples.iter().filter(|sample| !sample.is_handshake()).count();
        assert!(samples >= 1, "{name} has no sample of an event");
        assert!(folder.join("samples/SOURCES.md").is_file(), "{name}: where do its samples come from?");
        assert!(!vector::of(name).is_empty(), "{name}");
    }
}

#[test]
fn every_readme_says_what_an_operator_needs() {
    for entry in registry::ENTRIES {
        let provider = entry.provider;
        let name = provider.name;
        let text = read(&of(name).join("README.md"));
        assert!(text.starts_with("# "), "{name}: no title");
        let mut places = Vec::new();
        for section in SECTIONS {
            let found: Vec<usize> = text.match_indices(&format!("\n{section}")).map(|(at, _)| at).collect();
            assert_eq!(found.len(), 1, "{name}: {section}");
            places.extend(found);
        }
        assert!(places.is_sorted(), "{name}: its sections stand in another order");
        assert!(
            text.contains(&format!("\n## Facts checked: {}\n", provider.facts.checked)),
            "{name}: the row says another day"
        );
        for setting in provider.settings {
            assert!(
                text.contains(&format!("`{}`", setting.name)),
                "{name}: nothing about `{}`",
                setting.name
            );
        }
        let checked = &text[places[1]..places[2]];
        for word in ["ssurance", "eplay"] {
            assert!(checked.contains(word), "{name}: nothing about {word} in {}", SECTIONS[1]);
        }
        let proven = &text[places[5]..places[6]];
        assert!(proven.trim().lines().count() > 1, "{name}: {} is empty", SECTIONS[5]);
        let foreign = vector::of(name).iter().any(|vector| {
            let accepted = vector.decision() == Decision::Accept;
            accepted && ["sdk:", "docs:"].iter().any(|origin| vector.origin.starts_with(origin))
        });
        assert!(foreign || proven.contains("vectors"), "{name}: whose signatures are its vectors?");
    }
}

/// Each sample passes its own row's check and is what its name says.
#[test]
fn samples_are_accepted_by_their_own_row() {
    for entry in registry::ENTRIES {
        for sample in entry.samples {
            let answered = send_sample(entry, sample);
            let what = format!("{} {}: {answered:?}", entry.provider.name, sample.name);
            let is_right = match answered.status {
                // An answer that depends on the call is looked at where its row is.
                status if sample.is_handshake() || entry.provider.reply_by.is_some() => {
                    (200..300).contains(&status)
                }
                status => status == entry.provider.reply.status,
            };
            assert!(is_right, "{what}");
            if sample.is_handshake() {
                assert!(answered.why == Why::Handshake && answered.events.is_empty(), "{what}");
            } else {
                assert!(answered.is_accepted(answered.events.len()) && !answered.events.is_empty(), "{what}");
                let unread = |event: &Value| {
                    event.get("data").is_none()
                        || event["type"].as_str().is_some_and(|t| t.ends_with(".unknown"))
                };
                assert!(!answered.envelopes().iter().any(unread), "{what}");
            }
            // The throw-away settings are such as `dev` and `secrets` take.
            let config = throw_away(entry, sample.name);
            let document = Document::read(entry.provider, &config.to_string()).expect("a JSON object");
            let fatal = document.problems().iter().find(|problem| problem.flaw.weight.is_serious());
            assert_eq!(fatal, None, "{what}");
        }
    }
}

/// Rows whose MAC hashes its own key besides, as their providers document it.
const HASH_THEIR_KEY: [&str; 1] = ["dingtalk"];

/// A digest needs the secret among what is hashed, and a MAC must not have it there.
#[test]
fn only_a_plain_digest_hashes_its_secret() {
    let mut digests = 0;
    for name in folders() {
        let row = code(&read(&of(&name).join("src/lib.rs")));
        let plain = row.contains("algorithm: &SHA256") || row.contains("algorithm: &crypto::SHA256");
        let hashed = row.contains("Part::Secret") && !HASH_THEIR_KEY.contains(&name.as_str());
        assert_eq!(plain, hashed, "{name}");
        digests += usize::from(plain);
        let described = registry::find(&name).expect("a row").provider.scheme.describe(&Default::default());
        assert!(plain || !described.method.starts_with("SHA-256"), "{name}: {}", described.method);
    }
    assert!(digests > 0, "no row is looked at");
}

/// A source without comments and without its tests.
fn code(source: &str) -> String {
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    let lines = product.lines().map(|line| match line.split_once("//") {
        // Two slashes within a text are those of an address.
        Some((before, _)) if !before.ends_with(':') => before,
        _ => line,
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Providers whose names are words of the language. Such a word may name a variable of ours, but no text begins with it.
const WORDS: [&str; 2] = ["front", "line"];

/// No provider's name stands in `shared`, and the workspace has no list of them. A name of one letter may stand within texts
/// and names, such as `x-amz-date`, but is no text by itself.
#[test]
fn nobody_else_knows_a_provider() {
    let (letters, names): (BTreeSet<String>, BTreeSet<String>) =
        folders().into_iter().partition(|name| name.len() == 1);
    let mut seen = 0;
    for name in sources() {
        let path = root().join("shared/src").join(name);
        let text = code(&read(&path)).to_lowercase();
        for word in text.split(|c: char| !c.is_ascii_alphanumeric()) {
            assert!(!names.contains(word) || WORDS.contains(&word), "{}: {word}", path.display());
            seen += 1;
        }
        for word in WORDS {
            assert!(!text.contains(&format!("\"{word}")), "{}: {word}", path.display());
        }
        for letter in &letters {
            assert!(!text.contains(&format!("\"{letter}\"")), "{}: {letter}", path.display());
        }
    }
    assert!(seen > 5000, "only {seen} words");
    let manifest: toml::Table = read(&root().join("Cargo.toml")).parse().expect("TOML");
    let members = manifest["workspace"]["members"].as_array().expect("a list");
    assert!(members.iter().any(|member| member.as_str() == Some("functions/*")));
    let text = manifest.to_string();
    for name in names.iter().filter(|name| !WORDS.contains(&name.as_str())) {
        let named = text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == name);
        assert!(!named, "Cargo.toml names {name}");
    }
}

/// Files that belong to the repository: what git knows or would add, or, without git, all but what is built.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut command = Command::new("git");
    command.args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).current_dir(folder);
    match command.output() {
        Ok(output) if output.status.success() => {
            let names = String::from_utf8(output.stdout).expect("plain names");
            let names = names.split('\0').filter(|name| !name.is_empty()).map(PathBuf::from);
            names.filter(|name| folder.join(name).is_file()).collect()
        }
        _ => {
            let mut found = Vec::new();
            walk(folder, Path::new(""), &mut found);
            found
        }
    }
}

fn walk(root: &Path, below: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(root.join(below)).expect("a folder") {
        let entry = entry.expect("an entry");
        let name = below.join(entry.file_name());
        match entry.file_type().expect("a kind") {
            kind if kind.is_file() => found.push(name),
            kind if kind.is_dir() => {
                let built = ["target", ".git", ".aws-sam", "node_modules", "__pycache__"];
                if !built.iter().any(|folder| entry.file_name() == *folder) {
                    walk(root, &name, found);
                }
            }
            _ => {}
        }
    }
}

/// The repository says nothing about the machine that it was written on.
#[test]
fn no_file_names_a_machine() {
    // Made of two halves, so that this file does not hold what it looks for.
    let machine: Vec<String> =
        [("/wo", "rk/"), ("/ro", "ot/"), ("/ho", "me/"), ("/Use", "rs/"), ("bash", "_jobs")]
            .iter()
            .map(|(a, b)| format!("{a}{b}"))
            .collect();
    let all = files(root());
    assert!(all.len() > 100, "only {} files", all.len());
    for name in all {
        let bytes = fs::read(root().join(&name)).expect("a file");
        let text = String::from_utf8_lossy(&bytes);
        for word in &machine {
            // A path of a web page may have such a part.
            let found = text.match_indices(word.as_str()).find(|(at, _)| {
                let before = text[..*at].chars().next_back();
                before.is_none_or(|c| c.is_whitespace() || "\"'`(=:<[".contains(c))
            });
            assert!(found.is_none(), "{}: {word}", name.display());
        }
    }
}

fn is_of_package(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_CRATE_", "CARGO_BIN_"]
        .iter()
        .any(|prefix| variable.starts_with(prefix))
}

/// The guide's diff applies to this repository, compiles, and its vector was signed by somebody else than our code.
#[test]
fn the_guide_to_a_new_provider_still_holds() {
    let guide = read(&root().join("docs/adding-a-provider.md"));
    let (_, rest) = guide.split_once("```diff\n").expect("a diff in the guide");
    let (diff, _) = rest.split_once("\n```\n").expect("the end of the diff");
    // A place that stays, so that what has not changed is not compiled again.
    let test = env::current_exe().expect("the path of this test");
    // target/<profile>/deps/<test>
    let target = test.ancestors().nth(3).expect("cargo's folder");
    let copy = target.join("guide");
    // What is not there at the first time need not be removed.
    let _ = fs::remove_dir_all(copy.join("functions/acme"));
    for name in files(root()) {
        let (from, to) = (root().join(&name), copy.join(&name));
        let bytes = fs::read(from).expect("a file");
        if fs::read(&to).is_ok_and(|there| there == bytes) {
            continue;
        }
        fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
        fs::write(to, bytes).expect("a copy");
    }
    // `git apply` needs no repository, and must not find the one above this folder.
    let mut apply = Command::new("git");
    apply
        .args(["apply", "--whitespace=error-all", "-"])
        .current_dir(&copy)
        .env("GIT_CEILING_DIRECTORIES", target);
    let mut apply = apply.stdin(Stdio::piped()).spawn().expect("git");
    apply.stdin.take().expect("a pipe").write_all(format!("{diff}\n").as_bytes()).expect("the diff");
    assert!(apply.wait().expect("git").success(), "the diff of the guide does not apply");
    for part in
        ["Cargo.toml", "README.md", "src/lib.rs", "src/main.rs", "samples/SOURCES.md", "vectors.jsonl"]
    {
        assert!(copy.join("functions/acme").join(part).is_file(), "the guide lacks {part}");
    }

    let cargo = |arguments: &[&str]| {
        let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // In a folder of its own: what the registry's build script writes there is another's in ours.
        let own = copy.join("target");
        command.args(arguments).arg("--offline").current_dir(&copy).env("CARGO_TARGET_DIR", own);
        // What cargo tells this test about its own package would have others' build scripts run anew.
        for (name, _) in env::vars_os().filter(|(name, _)| is_of_package(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        succeed(&mut command)
    };
    let metadata: Value =
        serde_json::from_slice(&cargo(&["metadata", "--no-deps", "--format-version=1"]).stdout)
            .expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.iter().any(|package| package["name"] == "acme"), "the workspace does not see it");
    let format = ["fmt", "--check", "--package", "acme"];
    succeed(
        Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).args(format).current_dir(&copy),
    );
    cargo(&["check", "--quiet", "--package", "acme", "--package", "registry"]);

    let vectors = read(&copy.join("functions/acme/vectors.jsonl"));
    let mut accepted = 0;
    for line in vectors.lines() {
        let vector = vector::Vector::parse(line).expect("a vector");
        let key = vector.config()["secret"].as_str().expect("a secret").to_owned();
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_bytes()).expect("a key");
        mac.update(&vector.body);
        let tag = format!("sha256={}", hex::encode(mac.finalize().into_bytes()));
        let signed = vector.headers.iter().any(|(name, value)| name == "X-Acme-Signature" && *value == tag);
        assert_eq!(signed, vector.decision() == Decision::Accept, "{}", vector.id);
        accepted += usize::from(signed);
    }
    assert!(accepted > 0, "the guide has no genuine vector");
}

/// The settings that `docs/generic.md` shows work as they stand.
#[test]
fn the_settings_in_the_guide_to_generic_work() {
    let guide = read(&root().join("docs/generic.md"));
    let blocks: Vec<&str> =
        guide.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3);
    let provider = entry("generic").provider;
    for block in blocks {
        let config: Value = serde_json::from_str(block).expect("JSON");
        let document = Document::read(provider, block).expect("a JSON object");
        let problem = document.problems().iter().find(|problem| problem.flaw.weight.is_serious());
        assert_eq!(problem, None, "{block}");
        for endpoint in document.endpoints() {
            let path = format!("/{}", endpoint.name().unwrap_or_default());
            let mut draft = Draft::parse(&format!(
                "POST {path}\nContent-Type: application/json\nX-Example-Id: e-1\n\n{{}}\n"
            ))
            .expect("a sample");
            provider.scheme.sign(&mut draft, endpoint, CLOCK).expect("signed");
            let Draft { method, path, query, headers, body, .. } = draft;
            let request = Request { method, path, query, headers, body };
            let bench = Bench::new(provider, &config);
            assert!(bench.send(&request).is_accepted(1), "{block}");
            let bare = Request { headers: Vec::new(), query: String::new(), ..request };
            assert!(bench.send(&bare).is_refused(), "{block}");
        }
    }
}
