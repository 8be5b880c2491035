//! The way to AWS as the README has it, `sam build` and `sam package`, into an emulated bucket; and what comes out of it,
//! run as an arm64 program.
//!
//! Functions are built as they ship but for the link-time optimisation, which changes no behaviour and takes minutes.

use super::template::{root, succeed, target, tool};
use crate::event::{BodyAs, Request};
use crate::lambda::Function;
use crate::ministack::Ministack;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs, process};

/// The list in `samconfig.toml`.
const CHOSEN: [&str; 2] = ["github", "stripe"];
const BUCKET: &str = "package-artifacts";
/// `e_machine` of 64-bit ARM.
const EM_AARCH64: u16 = 183;

/// A folder that is gone when the test ends.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let path = env::temp_dir().join(format!("hookgate-package-{}", process::id()));
        fs::create_dir(&path).expect("a new folder");
        Folder(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind in the folder for temporary files does no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Names in a folder.
fn names(folder: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a plain name")).collect()
}

/// A template as JSON, the short forms of its functions written out.
fn parsed(template: &Path) -> Value {
    let to_json = "import json, sys; from samcli.yamlhelper import yaml_parse; \
                   json.dump(yaml_parse(open(sys.argv[1]).read()), sys.stdout)";
    let json = succeed(tool("python").arg("-c").arg(to_json).arg(template)).stdout;
    serde_json::from_slice(&json).expect("JSON")
}

/// The packaged template's S3 addresses, by provider. What CloudFormation gets is what is written here but for them: SAM
/// CLI resolves conditions and functions for itself, and not always right.
fn artifacts(packaged: &Path) -> BTreeMap<String, String> {
    let mut packaged = parsed(packaged);
    let mut written = parsed(&root().join("template.yaml"));
    let mappings = packaged["Mappings"].as_object_mut().expect("mappings");
    let addresses = mappings.remove("SAMCodeUriFunctions").expect("the addresses of the artifacts");
    for template in [&mut packaged, &mut written] {
        let looped = &mut template["Resources"]["Fn::ForEach::Functions"][2];
        let code = looped["${Provider}Function"]["Properties"]["CodeUri"].take();
        assert_ne!(code, Value::Null, "the code of the functions");
    }
    assert_eq!(packaged, written);
    let address = |entry: &Value| entry["CodeUri"].as_str().expect("an address").to_owned();
    let addresses = addresses.as_object().expect("a mapping").iter();
    addresses.map(|(provider, entry)| (provider.clone(), address(entry))).collect()
}

/// A program that runs an arm64 binary here: the binary itself, or a script that calls QEMU.
fn runner(bootstrap: &Path, folder: &Path) -> PathBuf {
    if cfg!(target_arch = "aarch64") {
        return bootstrap.to_owned();
    }
    let script = folder.join("run");
    let text =
        format!("#!/bin/sh\nexec qemu-aarch64-static -L /usr/aarch64-linux-gnu '{}'\n", bootstrap.display());
    fs::write(&script, text).expect("the script");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("an executable script");
    let version = Command::new("qemu-aarch64-static").arg("--version").output();
    assert!(
        version.is_ok() && Path::new("/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1").exists(),
        "an arm64 program cannot be run here: install the packages `qemu-user-static` and `libc6-arm64-cross`"
    );
    script
}

#[test]
fn what_sam_uploads_are_the_chosen_functions_for_arm64() {
    // A copy of the template in a folder of its own, so that nobody's .aws-sam is touched.
    let folder = Folder::new();
    let at = folder.0.as_path();
    for file in ["template.yaml", "samconfig.toml"] {
        fs::copy(root().join(file), at.join(file)).expect("a copy");
    }
    symlink(root().join("functions"), at.join("functions")).expect("a link");

    let mut build = tool("sam");
    build.arg("build").current_dir(at).env("CARGO_TARGET_DIR", target().join("package"));
    build.env("CARGO_PROFILE_RELEASE_LTO", "off").env("CARGO_PROFILE_RELEASE_CODEGEN_UNITS", "16");
    succeed(&mut build);
    let built = at.join(".aws-sam/build");
    let folders = CHOSEN.map(|provider| format!("{provider}Function"));
    assert_eq!(names(&built), folders.iter().cloned().chain(["template.yaml".to_owned()]).collect());
    for function in &folders {
        assert_eq!(names(&built.join(function)), BTreeSet::from(["bootstrap".to_owned()]), "{function}");
    }

    let ministack = Ministack::shared();
    ministack.create_bucket(BUCKET);
    let mut package = tool("sam");
    package.args(["package", "--s3-bucket", BUCKET, "--output-template-file", "packaged.yaml"]);
    succeed(package.current_dir(at).env("AWS_ENDPOINT_URL", ministack.endpoint()));
    let artifacts = artifacts(&at.join("packaged.yaml"));
    assert_eq!(artifacts.keys().collect::<Vec<_>>(), CHOSEN.iter().collect::<Vec<_>>());
    let addresses: BTreeSet<_> = artifacts.values().cloned().collect();
    let uploaded: BTreeSet<_> =
        ministack.keys(BUCKET).iter().map(|key| format!("s3://{BUCKET}/{key}")).collect();
    assert_eq!(addresses, uploaded, "nothing else is uploaded, and each function has a zip of its own");

    for (provider, address) in &artifacts {
        let key = address.strip_prefix(&format!("s3://{BUCKET}/")).expect("an address in the bucket");
        let zip = at.join(format!("{provider}.zip"));
        fs::write(&zip, ministack.object(BUCKET, key)).expect("the zip");
        let unpacked = at.join(provider);
        let unzip = root().join("tests/tools/unzip.py");
        let listed = succeed(tool("python").arg(unzip).arg(&zip).arg(&unpacked)).stdout;
        let listed: Value = serde_json::from_slice(&listed).expect("JSON");
        assert_eq!(listed, json!({ "bootstrap": 0o100_755 }), "{provider}: one file, and Lambda may run it");

        let bootstrap = fs::read(unpacked.join("bootstrap")).expect("the unpacked file");
        assert!(bootstrap.starts_with(b"\x7fELF\x02\x01"), "{provider}: a 64-bit little-endian ELF file");
        assert_eq!(u16::from_le_bytes([bootstrap[18], bootstrap[19]]), EM_AARCH64, "{provider}");
        let function = built.join(format!("{provider}Function/bootstrap"));
        assert!(bootstrap == fs::read(function).expect("the built file"), "{provider}: uploaded as built");
    }

    let bootstrap = at.join("github/bootstrap");
    fs::set_permissions(&bootstrap, fs::Permissions::from_mode(0o755)).expect("an executable file");
    let github = Function::start(
        runner(&bootstrap, at),
        [("HOOKGATE_CONFIG", r#"{"secret":"throw-away"}"#), ("QUEUE_URL", "http://127.0.0.1:1/queue")],
    );
    let unsigned = Request::post("application/json", "{}").header("x-github-event", "push");
    assert_eq!(github.invoke(&unsigned.function_url_event(BodyAs::AwsDecides)).status(), 401);
}
