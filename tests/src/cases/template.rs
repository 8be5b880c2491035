//! `template.yaml`: what it would create, for every provider that has a folder.

use crate::lambda;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs, process, thread};

/// What CloudFormation takes in one stack:
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>.
const MAX_RESOURCES: u64 = 500;
const MAX_PARAMETERS: u64 = 200;
const MAX_OUTPUTS: u64 = 200;
const MAX_ENTRIES_OF_A_MAPPING: u64 = 200;
const MAX_TEMPLATE_BYTES: u64 = 1_000_000;
/// What IAM takes of policies in one role, white space not counted:
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>.
const MAX_POLICY_CHARACTERS: usize = 10_240;
/// What Lambda takes of a function's environment, names and values:
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>.
const MAX_ENVIRONMENT_BYTES: usize = 4096;
/// An existing queue.
const QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:123456789012:events";
const QUEUE_URL: &str = "https://sqs.us-east-1.amazonaws.com/123456789012/events";
/// Another, elsewhere.
const FALLBACK_ARN: &str = "arn:aws:sqs:eu-west-1:123456789012:events-second.fifo";
const FALLBACK_URL: &str = "https://sqs.eu-west-1.amazonaws.com/123456789012/events-second.fifo";
/// An existing bucket.
const BUCKET: &str = "large-events";
/// An existing topic.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:operators";
/// The version of the policy language, in every policy.
const POLICY_VERSION: &str = "2012-10-17";

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder above this crate")
}

/// Cargo's target folder.
pub fn target() -> PathBuf {
    let test = env::current_exe().expect("the path of this test");
    // target/<profile>/deps/<test>
    test.ancestors().nth(3).expect("cargo's folder").to_owned()
}

/// A program of the Python environment with the deployment tools.
pub fn tool(name: &str) -> Command {
    let tools = env::var_os("HOOKGATE_TEST_DEPLOY_TOOLS").map(PathBuf::from).expect(
        "HOOKGATE_TEST_DEPLOY_TOOLS is missing: the folder of a Python environment with tests/tools/deploy.txt; \
         tests/run makes it",
    );
    let bin = tools.join("bin");
    let mut path = vec![bin.clone()];
    path.extend(env::split_paths(&env::var_os("PATH").expect("PATH")));
    let mut command = Command::new(bin.join(name));
    command.env("PATH", env::join_paths(path).expect("folders without a colon"));
    // Nothing of the operator's: no account, no profile, no file in the home folder, no report to the maker.
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
        command.env_remove(name);
    }
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    command.env("AWS_DEFAULT_REGION", "us-east-1");
    command.env("AWS_ACCESS_KEY_ID", lambda::ACCESS_KEY_ID);
    command.env("AWS_SECRET_ACCESS_KEY", lambda::SECRET_ACCESS_KEY);
    command.env("__SAM_CLI_APP_DIR", target().join("sam")).env("SAM_CLI_TELEMETRY", "0");
    command.current_dir(root());
    command
}

/// Runs it. Panics when it fails, with what it said.
#[track_caller]
pub fn succeed(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}{}",
        output.status,
        said(&output.stdout),
        said(&output.stderr)
    );
    output
}

/// The folders in `functions/`.
fn providers() -> BTreeSet<String> {
    let folders = fs::read_dir(root().join("functions")).expect("functions/");
    let names =
        folders.map(|folder| folder.expect("an entry").file_name().into_string().expect("a plain name"));
    names.collect()
}

/// What is created under each of some sets of parameters, in their order.
#[track_caller]
fn expand<N: AsRef<str>, V: AsRef<str>>(sets: &[Vec<(N, V)>]) -> Vec<Value> {
    let mut python = tool("python");
    python.arg(root().join("tests/tools/expand.py")).arg(root().join("template.yaml"));
    for (at, set) in sets.iter().enumerate() {
        python.args((at > 0).then_some("--"));
        python.args(set.iter().map(|(name, value)| format!("{}={}", name.as_ref(), value.as_ref())));
    }
    let output = succeed(&mut python).stdout;
    let lines = output.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
    let expanded: Vec<Value> =
        lines.map(|line| serde_json::from_slice(line).expect("a line of JSON")).collect();
    assert_eq!(expanded.len(), sets.len(), "one line for each set of parameters");
    expanded
}

/// What is created under some parameters.
struct Stack {
    resources: Map<String, Value>,
    outputs: Map<String, Value>,
    /// How many there are in the template, created or not.
    declared: BTreeMap<String, u64>,
    /// The size of the template at most, when it is transformed.
    bytes: u64,
}

impl From<Value> for Stack {
    #[track_caller]
    fn from(mut expanded: Value) -> Stack {
        assert_eq!(expanded["Refused"], Value::Null);
        let mut section = |name: &str| match expanded[name].take() {
            Value::Object(section) => section,
            other => panic!("{name}: {other}"),
        };
        let (resources, outputs) = (section("Resources"), section("Outputs"));
        let counts = section("Declared").into_iter();
        let declared = counts.map(|(name, count)| (name, count.as_u64().expect("a count"))).collect();
        Stack { resources, outputs, declared, bytes: expanded["Bytes"].as_u64().expect("a size") }
    }
}

impl Stack {
    #[track_caller]
    fn new(parameters: &[(&str, &str)]) -> Stack {
        Stack::from(expand(&[parameters.to_vec()]).remove(0))
    }

    /// With all providers there are, and else as the template has it.
    fn by_default() -> &'static Stack {
        static STACK: OnceLock<Stack> = OnceLock::new();
        STACK.get_or_init(|| Stack::of_all(&[]))
    }

    /// With all providers there are.
    #[track_caller]
    fn of_all(parameters: &[(&str, &str)]) -> Stack {
        let all = providers().into_iter().collect::<Vec<_>>().join(",");
        let parameters: Vec<_> = parameters.iter().copied().chain([("Providers", all.as_str())]).collect();
        Stack::new(&parameters)
    }

    /// Logical ids and properties of the resources of a type.
    fn all(&self, kind: &str) -> BTreeMap<&str, &Value> {
        let of_kind = self.resources.iter().filter(|(_, resource)| resource["Type"] == kind);
        of_kind.map(|(id, resource)| (id.as_str(), &resource["Properties"])).collect()
    }

    #[track_caller]
    fn properties(&self, id: &str) -> &Value {
        &self.resources.get(id).unwrap_or_else(|| panic!("no {id}"))["Properties"]
    }

    /// The providers that have a function.
    fn functions(&self) -> BTreeSet<String> {
        let ids = self.all("AWS::Lambda::Function").into_keys();
        ids.map(|id| id.strip_suffix("Function").unwrap_or_else(|| panic!("{id}")).to_owned()).collect()
    }

    /// The environment of a provider's function.
    #[track_caller]
    fn environment(&self, provider: &str) -> &Map<String, Value> {
        let function = self.properties(&format!("{provider}Function"));
        function["Environment"]["Variables"].as_object().expect("variables")
    }

    /// The statements of a provider's role.
    #[track_caller]
    fn statements(&self, provider: &str) -> &Vec<Value> {
        let role = self.properties(&format!("{provider}Role"));
        let policies = role["Policies"].as_array().expect("policies");
        assert_eq!(policies.len(), 1, "{provider}: one policy");
        assert_eq!(policies[0]["PolicyDocument"]["Version"], POLICY_VERSION);
        policies[0]["PolicyDocument"]["Statement"].as_array().expect("statements")
    }
}

fn get_att(id: &str, attribute: &str) -> Value {
    json!({ "Fn::GetAtt": [id, attribute] })
}

fn set(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// The ARN of objects in the bucket that is created.
fn in_bucket(keys: &str) -> Value {
    json!({ "Fn::Sub": format!("arn:aws:s3:::${{Bucket}}/{keys}") })
}

/// Actions and resources that a role allows, without their conditions.
fn allowed(statements: &[Value]) -> Vec<(Vec<&str>, Value)> {
    let each = statements.iter().map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        let actions = match &statement["Action"] {
            Value::String(action) => vec![action.as_str()],
            Value::Array(actions) => {
                actions.iter().map(|action| action.as_str().expect("an action")).collect()
            }
            other => panic!("{other}"),
        };
        (actions, statement["Resource"].clone())
    });
    each.collect()
}

#[test]
fn the_linters_find_nothing() {
    succeed(tool("cfn-lint").arg("template.yaml"));
    succeed(tool("sam").args(["validate", "--lint"]));
}

#[test]
fn only_the_chosen_providers_have_functions() {
    assert_eq!(Stack::by_default().functions(), providers());
    assert_eq!(Stack::new(&[("Providers", "stripe")]).functions(), set(&["stripe"]));
    assert_eq!(Stack::new(&[("Providers", "zalo,facebook")]).functions(), set(&["facebook", "zalo"]));
}

#[test]
fn a_function_is_small_arm64_and_outlasts_its_provider() {
    let stack = Stack::by_default();
    let named: BTreeSet<_> = registry::ENTRIES.iter().map(|entry| entry.provider.name.to_owned()).collect();
    assert_eq!(named, providers(), "the rows in registry/ and the folders in functions/");
    for entry in registry::ENTRIES {
        let name = entry.provider.name;
        let function = stack.properties(&format!("{name}Function"));
        assert_eq!(function["Architectures"], json!(["arm64"]), "{name}");
        assert_eq!(function["Runtime"], "provided.al2023", "{name}");
        assert_eq!(function["MemorySize"], 256, "{name}");
        assert_eq!(
            function["ReservedConcurrentExecutions"],
            Value::Null,
            "{name}: new accounts cannot deploy it"
        );
        let timeout = function["Timeout"].as_u64().expect("seconds");
        let deadline = entry.provider.deadline;
        assert!(
            timeout > deadline.as_secs(),
            "{name}: a Timeout of {timeout} s, but a deadline of {deadline:?}"
        );
        assert!(timeout <= 30, "{name}: a function that hangs is paid for {timeout} s");
    }
    let larger = Stack::of_all(&[("MemorySize", "512")]);
    for properties in larger.all("AWS::Lambda::Function").values() {
        assert_eq!(properties["MemorySize"].to_string().trim_matches('"'), "512");
    }
}

#[test]
fn anybody_may_call_a_function_by_its_url_only() {
    let stack = Stack::by_default();
    let mut permissions: BTreeMap<String, Vec<&Value>> = BTreeMap::new();
    for permission in stack.all("AWS::Lambda::Permission").values() {
        let function = permission["FunctionName"]["Ref"].as_str().expect("the function's id").to_owned();
        permissions.entry(function).or_default().push(permission);
    }
    for provider in providers() {
        let function = json!({ "Ref": format!("{provider}Function") });
        let url = stack.properties(&format!("{provider}FunctionUrl"));
        assert_eq!(*url, json!({ "AuthType": "NONE", "TargetFunctionArn": function }));
        let expected = [
            json!({
                "Action": "lambda:InvokeFunction",
                "FunctionName": function,
                "InvokedViaFunctionUrl": true,
                "Principal": "*",
            }),
            json!({
                "Action": "lambda:InvokeFunctionUrl",
                "FunctionName": function,
                "FunctionUrlAuthType": "NONE",
                "Principal": "*",
            }),
        ];
        let mut granted = permissions.remove(&format!("{provider}Function")).unwrap_or_default();
        granted.sort_by_key(|permission| permission["Action"].to_string());
        assert_eq!(granted, expected.iter().collect::<Vec<_>>(), "{provider}");
        let output = &stack.outputs[&format!("{provider}Url")]["Value"];
        assert_eq!(*output, get_att(&format!("{provider}FunctionUrl"), "FunctionUrl"));
    }
    assert!(permissions.is_empty(), "permissions for other functions: {permissions:?}");
}

#[test]
fn each_role_may_do_only_what_its_own_function_needs() {
    let ssm = Stack::by_default();
    let secrets = Stack::of_all(&[("ConfigSource", "secretsmanager"), ("ConfigPrefix", "gates/eu")]);
    assert_eq!(ssm.all("AWS::IAM::Role").len(), providers().len());
    for provider in providers() {
        let role = ssm.properties(&format!("{provider}Role"));
        assert_eq!(role["ManagedPolicyArns"], Value::Null, "{provider}");
        let trust = json!([{
            "Effect": "Allow",
            "Principal": { "Service": "lambda.amazonaws.com" },
            "Action": "sts:AssumeRole",
        }]);
        assert_eq!(role["AssumeRolePolicyDocument"]["Statement"], trust, "{provider}");
        let function = ssm.properties(&format!("{provider}Function"));
        assert_eq!(function["Role"], get_att(&format!("{provider}Role"), "Arn"), "{provider}");

        let parameter = json!(format!("arn:aws:ssm:us-east-1:123456789012:parameter/hookgate/{provider}"));
        let rest = |settings: &'static str, resource: &Value| {
            vec![
                (vec!["sqs:SendMessage"], get_att("Queue", "Arn")),
                (vec!["s3:PutObject"], in_bucket(&format!("data/{provider}/*"))),
                (vec![settings], resource.clone()),
                (
                    vec!["logs:CreateLogStream", "logs:PutLogEvents"],
                    get_att(&format!("{provider}Logs"), "Arn"),
                ),
            ]
        };
        assert_eq!(allowed(ssm.statements(&provider)), rest("ssm:GetParameter", &parameter), "{provider}");
        // The six characters that Secrets Manager adds to a name.
        let secret =
            format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:gates/eu/{provider}-??????");
        let expected = rest("secretsmanager:GetSecretValue", &json!(secret));
        assert_eq!(allowed(secrets.statements(&provider)), expected, "{provider}");
    }
}

#[test]
fn a_key_of_ones_own_may_be_used_through_its_service_only() {
    let config_key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000001";
    let queue_key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000002";
    let fallback_key = "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000003";
    let bucket_key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000004";
    let stack = Stack::new(&[
        ("Providers", "github"),
        ("ConfigSource", "secretsmanager"),
        ("ConfigKeyArn", config_key),
        ("QueueArn", QUEUE_ARN),
        ("QueueUrl", QUEUE_URL),
        ("QueueKeyArn", queue_key),
        ("FallbackQueueArn", FALLBACK_ARN),
        ("FallbackQueueUrl", FALLBACK_URL),
        ("FallbackQueueKeyArn", fallback_key),
        ("BucketName", BUCKET),
        ("BucketKeyArn", bucket_key),
    ]);
    let of_kms = |statement: &&Value| statement.to_string().contains("kms:");
    let found: Vec<&Value> = stack.statements("github").iter().filter(of_kms).collect();
    let via =
        |service: &str| json!({ "StringEquals": { "kms:ViaService": format!("{service}.amazonaws.com") } });
    let expected = [
        json!({
            "Sid": "EncryptWhatIsSent",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": queue_key,
            "Condition": via("sqs.us-east-1"),
        }),
        json!({
            "Sid": "EncryptForFallback",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": fallback_key,
            "Condition": via("sqs.eu-west-1"),
        }),
        json!({
            "Sid": "EncryptWhatIsStored",
            "Effect": "Allow",
            "Action": "kms:GenerateDataKey",
            "Resource": bucket_key,
            "Condition": via("s3.us-east-1"),
        }),
        json!({
            "Sid": "DecryptSettings",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": config_key,
            "Condition": via("secretsmanager.us-east-1"),
        }),
    ];
    assert_eq!(found, expected.iter().collect::<Vec<_>>());
}

#[test]
fn logs_are_the_functions_own_and_end() {
    for (parameters, days) in [(&[][..], "30"), (&[("LogRetentionDays", "7")][..], "7")] {
        let stack = Stack::of_all(parameters);
        let mut names = BTreeSet::new();
        for provider in providers() {
            let id = format!("{provider}Logs");
            let function = stack.properties(&format!("{provider}Function"));
            assert_eq!(function["LoggingConfig"]["LogGroup"], json!({ "Ref": id }), "{provider}");
            let group = stack.properties(&id);
            assert_eq!(group["RetentionInDays"].to_string().trim_matches('"'), days, "{provider}");
            names.insert(group["LogGroupName"].to_string());
        }
        assert_eq!(names.len(), providers().len(), "each has a name of its own: {names:?}");
        assert_eq!(stack.all("AWS::Logs::LogGroup").len(), providers().len());
    }
}

#[test]
fn events_are_encrypted_and_outlive_the_stack() {
    let stack = Stack::by_default();
    assert_eq!(stack.all("AWS::SQS::Queue").into_keys().collect::<Vec<_>>(), ["DeadLetterQueue", "Queue"]);
    for id in ["Queue", "DeadLetterQueue"] {
        assert_eq!(stack.resources[id]["DeletionPolicy"], "Retain", "{id}");
        assert_eq!(stack.resources[id]["UpdateReplacePolicy"], "Retain", "{id}");
        let properties = stack.properties(id);
        assert_eq!(properties["SqsManagedSseEnabled"], true, "{id}");
        assert_eq!(properties["MessageRetentionPeriod"], 14 * 24 * 3600, "{id}");
        assert_eq!(properties["MaximumMessageSize"], 1_048_576, "{id}");
        // With a name CloudFormation could not replace it, and two stacks could not stand side by side.
        assert_eq!(properties["QueueName"], Value::Null, "{id}");
    }
    let redrive = &stack.properties("Queue")["RedrivePolicy"];
    assert_eq!(redrive["deadLetterTargetArn"], get_att("DeadLetterQueue", "Arn"));
    assert_eq!(redrive["maxReceiveCount"], 5);

    for (name, value) in [
        ("QueueUrl", json!({ "Ref": "Queue" })),
        ("QueueArn", get_att("Queue", "Arn")),
        ("DeadLetterQueueUrl", json!({ "Ref": "DeadLetterQueue" })),
        ("DeadLetterQueueArn", get_att("DeadLetterQueue", "Arn")),
    ] {
        assert_eq!(stack.outputs[name]["Value"], value, "{name}");
    }
}

#[test]
fn an_existing_queue_takes_the_place_of_ours() {
    let stack = Stack::of_all(&[
        ("QueueArn", QUEUE_ARN),
        ("QueueUrl", QUEUE_URL),
        ("QueueMaximumMessageSize", "262144"),
    ]);
    assert_eq!(stack.all("AWS::SQS::Queue"), BTreeMap::new());
    for provider in providers() {
        assert_eq!(stack.environment(&provider)["QUEUE_URL"], QUEUE_URL);
        assert_eq!(stack.environment(&provider)["QUEUE_MAX_BYTES"], "262144");
        let send = &stack.statements(&provider)[0];
        assert_eq!(
            (&send["Action"], &send["Resource"]),
            (&json!("sqs:SendMessage"), &json!(QUEUE_ARN)),
            "{provider}"
        );
    }
    assert_eq!(stack.outputs["QueueUrl"]["Value"], QUEUE_URL);
    assert_eq!(stack.outputs["QueueArn"]["Value"], QUEUE_ARN);
    assert!(!stack.outputs.keys().any(|name| name.starts_with("DeadLetter")), "{:?}", stack.outputs);
}

#[test]
fn functions_get_every_variable_that_they_read() {
    let always = [
        "CLAIM_CHECK_BUCKET",
        "HOOKGATE_CONFIG",
        "HOOKGATE_CONFIG_TTL",
        "HOOKGATE_LOG",
        "HOOKGATE_METRICS",
        "QUEUE_MAX_BYTES",
        "QUEUE_URL",
    ];
    let stack = Stack::by_default();
    for provider in providers() {
        let environment = stack.environment(&provider);
        assert_eq!(environment.keys().collect::<Vec<_>>(), always, "{provider}");
        assert_eq!(environment["HOOKGATE_CONFIG"], format!("ssm:/hookgate/{provider}"));
        assert_eq!(environment["HOOKGATE_CONFIG_TTL"], 300);
        assert_eq!(environment["HOOKGATE_LOG"], "warn");
        assert_eq!(environment["HOOKGATE_METRICS"], "Hookgate/hookgate");
        assert_eq!(environment["CLAIM_CHECK_BUCKET"], json!({ "Ref": "Bucket" }));
        assert_eq!(environment["QUEUE_URL"], json!({ "Ref": "Queue" }));
        let queue = stack.properties("Queue");
        assert_eq!(environment["QUEUE_MAX_BYTES"], queue["MaximumMessageSize"], "one parameter for both");
    }
    let stack = Stack::of_all(&[("ConfigSource", "secretsmanager"), ("ConfigPrefix", "gates/eu")]);
    for provider in providers() {
        let environment = stack.environment(&provider);
        assert_eq!(environment["HOOKGATE_CONFIG"], format!("secretsmanager:gates/eu/{provider}"));
    }
}

/// The queue that events go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Standard,
    Fair,
    Fifo,
    Existing,
}

/// The bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Bucket {
    Created,
    Existing,
}

/// A position of every switch.
#[derive(Debug, Clone, Copy)]
struct Switches {
    target: Target,
    bucket: Bucket,
    claim_check: bool,
    spill: bool,
    fallback: bool,
    quarantine: bool,
    duplicates: bool,
    alarms: bool,
}

/// A name and what it stands for, where it is there.
fn where_so<N: Ord, V>(parts: impl IntoIterator<Item = (bool, N, V)>) -> BTreeMap<N, V> {
    parts.into_iter().filter_map(|(so, name, value)| so.then_some((name, value))).collect()
}

impl Switches {
    /// All positions that the rules let pass.
    fn all(target: Target) -> Vec<Switches> {
        let mut all = Vec::new();
        for bits in 0_u8..128 {
            let on = |bit: u8| bits & (1 << bit) != 0;
            let (claim_check, spill) = (on(0), on(1));
            let bucket = if on(6) { Bucket::Existing } else { Bucket::Created };
            if bucket == Bucket::Created || claim_check || spill {
                let (fallback, quarantine, duplicates, alarms) = (on(2), on(3), on(4), on(5));
                all.push(Switches {
                    target,
                    bucket,
                    claim_check,
                    spill,
                    fallback,
                    quarantine,
                    duplicates,
                    alarms,
                });
            }
        }
        all
    }

    /// As parameters of the template.
    fn parameters(self) -> Vec<(&'static str, &'static str)> {
        let switch = |on: bool| if on { "on" } else { "off" };
        let mut parameters = vec![
            ("Providers", "github"),
            ("ClaimCheck", switch(self.claim_check)),
            ("Spill", switch(self.spill)),
            ("Quarantine", switch(self.quarantine)),
            ("Duplicates", switch(self.duplicates)),
            ("Alarms", switch(self.alarms)),
        ];
        match self.target {
            Target::Standard => {}
            Target::Fair => parameters.push(("FairQueue", "on")),
            Target::Fifo => parameters.push(("QueueType", "fifo")),
            Target::Existing => parameters.extend([("QueueArn", QUEUE_ARN), ("QueueUrl", QUEUE_URL)]),
        }
        if self.bucket == Bucket::Existing {
            parameters.push(("BucketName", BUCKET));
        }
        if self.fallback {
            parameters.extend([("FallbackQueueArn", FALLBACK_ARN), ("FallbackQueueUrl", FALLBACK_URL)]);
        }
        parameters
    }

    fn creates_queue(self) -> bool {
        self.target != Target::Existing
    }

    fn creates_bucket(self) -> bool {
        self.bucket == Bucket::Created && (self.claim_check || self.spill)
    }

    /// The environment of the function.
    fn environment(self) -> BTreeMap<&'static str, Value> {
        let bucket = match self.bucket {
            Bucket::Created => json!({ "Ref": "Bucket" }),
            Bucket::Existing => json!(BUCKET),
        };
        let queue = if self.creates_queue() { json!({ "Ref": "Queue" }) } else { json!(QUEUE_URL) };
        where_so([
            (true, "HOOKGATE_CONFIG", json!("ssm:/hookgate/github")),
            (true, "HOOKGATE_CONFIG_TTL", json!(300)),
            (true, "HOOKGATE_LOG", json!("warn")),
            (true, "HOOKGATE_METRICS", json!("Hookgate/hookgate")),
            (true, "QUEUE_URL", queue),
            (true, "QUEUE_MAX_BYTES", json!(1_048_576)),
            (self.target == Target::Fair, "QUEUE_FAIR", json!("true")),
            (self.claim_check, "CLAIM_CHECK_BUCKET", bucket.clone()),
            (self.spill, "FALLBACK_BUCKET", bucket),
            (self.fallback, "FALLBACK_QUEUE_URL", json!(FALLBACK_URL)),
            (self.quarantine, "QUARANTINE_QUEUE_URL", json!({ "Ref": "QuarantineQueue" })),
            (self.quarantine, "QUARANTINE_MAX_BYTES", json!(262_144)),
            (self.duplicates, "DUPLICATES_TABLE", json!({ "Ref": "DuplicatesTable" })),
            (self.duplicates, "DUPLICATES_TTL", json!(604_800)),
        ])
    }

    /// What the function's role may do, and to what.
    fn allowed(self) -> Vec<(Vec<&'static str>, Value)> {
        let objects = |keys: &str| match self.bucket {
            Bucket::Created => in_bucket(keys),
            Bucket::Existing => json!(format!("arn:aws:s3:::{BUCKET}/{keys}")),
        };
        let queue = if self.creates_queue() { get_att("Queue", "Arn") } else { json!(QUEUE_ARN) };
        let send = || vec!["sqs:SendMessage"];
        let parts = [
            (true, send(), queue),
            (self.fallback, send(), json!(FALLBACK_ARN)),
            (self.claim_check, vec!["s3:PutObject"], objects("data/github/*")),
            (self.spill, vec!["s3:PutObject"], objects("spill/*")),
            (self.quarantine, send(), get_att("QuarantineQueue", "Arn")),
            (
                self.duplicates,
                vec!["dynamodb:DeleteItem", "dynamodb:PutItem"],
                get_att("DuplicatesTable", "Arn"),
            ),
            (
                true,
                vec!["ssm:GetParameter"],
                json!("arn:aws:ssm:us-east-1:123456789012:parameter/hookgate/github"),
            ),
            (true, vec!["logs:CreateLogStream", "logs:PutLogEvents"], get_att("githubLogs", "Arn")),
        ];
        parts.into_iter().filter_map(|(so, actions, resource)| so.then_some((actions, resource))).collect()
    }

    /// What is created beside the function, by logical id.
    fn created(self) -> BTreeMap<&'static str, &'static str> {
        let alarm = "AWS::CloudWatch::Alarm";
        where_so([
            (self.creates_queue(), "Queue", "AWS::SQS::Queue"),
            (self.creates_queue(), "DeadLetterQueue", "AWS::SQS::Queue"),
            (self.creates_bucket(), "Bucket", "AWS::S3::Bucket"),
            (self.creates_bucket(), "BucketPolicy", "AWS::S3::BucketPolicy"),
            (self.quarantine, "QuarantineQueue", "AWS::SQS::Queue"),
            (self.duplicates, "DuplicatesTable", "AWS::DynamoDB::Table"),
            (self.alarms, "FaultsAlarm", alarm),
            (self.alarms, "TooLargeAlarm", alarm),
            (self.alarms, "UnreadableAlarm", alarm),
            (self.alarms && (self.fallback || self.spill), "FallbacksAlarm", alarm),
            (self.alarms && self.quarantine, "QuarantineDroppedAlarm", alarm),
            (self.alarms && self.creates_queue(), "DeadLettersAlarm", alarm),
            (self.alarms && self.creates_queue(), "QueueAgeAlarm", alarm),
        ])
    }

    /// The names of the outputs beside the function's.
    fn outputs(self) -> BTreeSet<&'static str> {
        let names = where_so([
            (true, "QueueUrl", ()),
            (true, "QueueArn", ()),
            (true, "MetricsNamespace", ()),
            (self.creates_queue(), "DeadLetterQueueUrl", ()),
            (self.creates_queue(), "DeadLetterQueueArn", ()),
            (self.claim_check || self.spill, "BucketName", ()),
            (self.quarantine, "QuarantineQueueUrl", ()),
            (self.duplicates, "DuplicatesTable", ()),
        ]);
        names.into_keys().collect()
    }

    #[track_caller]
    fn check(self, stack: &Stack) {
        let environment: BTreeMap<&str, Value> =
            stack.environment("github").iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        assert_eq!(environment, self.environment(), "{self:?}");
        assert_eq!(allowed(stack.statements("github")), self.allowed(), "{self:?}");
        let beside = stack.resources.iter().filter(|(id, _)| !id.starts_with("github"));
        let created: BTreeMap<&str, &str> =
            beside.map(|(id, resource)| (id.as_str(), resource["Type"].as_str().expect("a type"))).collect();
        assert_eq!(created, self.created(), "{self:?}");
        let outputs: BTreeSet<&str> =
            stack.outputs.keys().map(String::as_str).filter(|name| !name.starts_with("github")).collect();
        assert_eq!(outputs, self.outputs(), "{self:?}");
        for id in ["Queue", "DeadLetterQueue"].into_iter().filter(|_| self.creates_queue()) {
            let fifo = self.target == Target::Fifo;
            let properties = stack.properties(id);
            // SQS refuses `FifoQueue` with any other value than true.
            for (name, value) in [
                ("FifoQueue", json!(true)),
                ("DeduplicationScope", json!("messageGroup")),
                ("FifoThroughputLimit", json!("perMessageGroupId")),
            ] {
                assert_eq!(properties[name], if fifo { value } else { Value::Null }, "{self:?}: {name}");
            }
            // Of the text, it would take two events that read alike for one.
            assert_eq!(properties["ContentBasedDeduplication"], Value::Null, "{self:?}");
        }
    }
}

#[test]
fn every_position_of_the_switches_gives_exactly_what_it_needs() {
    let targets = [Target::Standard, Target::Fair, Target::Fifo, Target::Existing];
    let of_target = |target: Target| {
        let all = Switches::all(target);
        let sets: Vec<_> = all.iter().map(|switches| switches.parameters()).collect();
        for (switches, expanded) in all.iter().zip(expand(&sets)) {
            switches.check(&Stack::from(expanded));
        }
        all.len()
    };
    let checked: usize = thread::scope(|scope| {
        let running = targets.map(|target| scope.spawn(move || of_target(target)));
        running.map(|thread| thread.join().expect("all are as they should be")).iter().sum()
    });
    // Three choices of bucket use with either bucket, and none; four switches; four queues.
    assert_eq!(checked, 7 * 16 * 4);
}

#[test]
fn what_is_created_passes_the_linter_too() {
    let off = [("ClaimCheck", "off"), ("Alarms", "off")];
    let all = [
        ("QueueType", "fifo"),
        ("Spill", "on"),
        ("FallbackQueueArn", FALLBACK_ARN),
        ("FallbackQueueUrl", FALLBACK_URL),
        ("Quarantine", "on"),
        ("Duplicates", "on"),
        ("AlarmTopicArn", TOPIC),
    ];
    let existing =
        [("QueueArn", QUEUE_ARN), ("QueueUrl", QUEUE_URL), ("BucketName", BUCKET), ("Spill", "on")];
    for (name, expanded) in
        ["off", "all", "existing"].into_iter().zip(expand(&[off.to_vec(), all.to_vec(), existing.to_vec()]))
    {
        let template = json!({ "Resources": expanded["Resources"], "Outputs": expanded["Outputs"] });
        let file = env::temp_dir().join(format!("hookgate-template-{name}-{}.json", process::id()));
        fs::write(&file, template.to_string()).expect("the template");
        let output = tool("cfn-lint").arg(&file).output().expect("cfn-lint");
        fs::remove_file(&file).expect("the template");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{name}: {said}");
    }
}

#[test]
fn parameters_that_contradict_each_other_are_refused() {
    for (parameters, reason) in [
        (vec![("QueueArn", QUEUE_ARN)], "QueueUrl has to be given too"),
        (vec![("QueueUrl", QUEUE_URL)], "QueueArn has to be given too"),
        (vec![("FallbackQueueArn", FALLBACK_ARN)], "FallbackQueueUrl has to be given too"),
        (vec![("FallbackQueueUrl", FALLBACK_URL)], "FallbackQueueArn has to be given too"),
        (vec![("FairQueue", "on"), ("QueueType", "fifo")], "FairQueue is for a standard queue"),
        (vec![("BucketName", BUCKET), ("ClaimCheck", "off")], "nothing would use it"),
        (
            vec![("BucketKeyArn", "arn:aws:kms:us-east-1:123456789012:key/1")],
            "BucketName has to be given too",
        ),
    ] {
        let refused = &expand(std::slice::from_ref(&parameters))[0]["Refused"];
        assert!(refused.as_str().is_some_and(|words| words.contains(reason)), "{parameters:?}: {refused}");
    }
}

#[test]
fn the_bucket_is_private_and_forgets_only_what_has_outlived_its_message() {
    let stack = Stack::by_default();
    for id in ["Bucket", "BucketPolicy"] {
        assert_eq!(stack.resources[id]["DeletionPolicy"], "Retain", "{id}");
        assert_eq!(stack.resources[id]["UpdateReplacePolicy"], "Retain", "{id}");
    }
    let expected = json!({
        "BucketEncryption": { "ServerSideEncryptionConfiguration": [
            { "ServerSideEncryptionByDefault": { "SSEAlgorithm": "AES256" } },
        ] },
        "OwnershipControls": { "Rules": [{ "ObjectOwnership": "BucketOwnerEnforced" }] },
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": true,
            "BlockPublicPolicy": true,
            "IgnorePublicAcls": true,
            "RestrictPublicBuckets": true,
        },
        // No rule touches spill/ but that for uploads that were never finished.
        "LifecycleConfiguration": { "Rules": [
            { "Id": "DataExpires", "Status": "Enabled", "Prefix": "data/", "ExpirationInDays": 60 },
            {
                "Id": "NoHalfUploads",
                "Status": "Enabled",
                "AbortIncompleteMultipartUpload": { "DaysAfterInitiation": 1 },
            },
        ] },
    });
    assert_eq!(*stack.properties("Bucket"), expected);
    let expected = json!({
        "Bucket": { "Ref": "Bucket" },
        "PolicyDocument": { "Version": POLICY_VERSION, "Statement": [{
            "Sid": "OnlyByTls",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": [{ "Fn::Sub": "arn:aws:s3:::${Bucket}" }, in_bucket("*")],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        }] },
    });
    assert_eq!(*stack.properties("BucketPolicy"), expected);
    assert_eq!(stack.outputs["BucketName"]["Value"], json!({ "Ref": "Bucket" }));

    // The longest that a message may stay: in a FIFO queue, in its dead-letter queue, where its age starts anew, and
    // in both again after a redrive.
    let fifo = Stack::new(&[("QueueType", "fifo")]);
    let days =
        |id: &str| fifo.properties(id)["MessageRetentionPeriod"].as_u64().expect("seconds").div_ceil(86_400);
    let longest = 2 * (days("Queue") + days("DeadLetterQueue"));
    let kept = &fifo.properties("Bucket")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"];
    assert!(
        kept.as_u64().expect("days") > longest,
        "data is gone after {kept} days, its message after {longest}"
    );
    let longer = Stack::new(&[("DataExpirationDays", "90")]);
    let kept = &longer.properties("Bucket")["LifecycleConfiguration"]["Rules"][0]["ExpirationInDays"];
    assert_eq!(kept.to_string().trim_matches('"'), "90");
}

#[test]
fn the_quarantine_is_a_queue_of_its_own() {
    let stack = Stack::new(&[
        ("Quarantine", "on"),
        ("QuarantineRetentionPeriod", "86400"),
        ("QuarantineMaximumMessageSize", "65536"),
    ]);
    let resource = &stack.resources["QuarantineQueue"];
    assert_eq!(resource["DeletionPolicy"], "Retain");
    assert_eq!(resource["UpdateReplacePolicy"], "Retain");
    let expected = json!({
        "MaximumMessageSize": "65536",
        "MessageRetentionPeriod": "86400",
        "SqsManagedSseEnabled": true,
    });
    assert_eq!(resource["Properties"], expected);
    for provider in stack.functions() {
        assert_eq!(stack.environment(&provider)["QUARANTINE_MAX_BYTES"], "65536", "one parameter for both");
    }
    assert_eq!(stack.outputs["QuarantineQueueUrl"]["Value"], json!({ "Ref": "QuarantineQueue" }));
}

#[test]
fn the_table_forgets_by_itself_and_goes_with_the_stack() {
    let stack = Stack::new(&[("Duplicates", "on"), ("DuplicatesTtl", "3600")]);
    let resource = &stack.resources["DuplicatesTable"];
    assert_eq!(resource["DeletionPolicy"], "Delete");
    let expected = json!({
        "BillingMode": "PAY_PER_REQUEST",
        "AttributeDefinitions": [{ "AttributeName": "id", "AttributeType": "S" }],
        "KeySchema": [{ "AttributeName": "id", "KeyType": "HASH" }],
        "TimeToLiveSpecification": { "AttributeName": "expires", "Enabled": true },
    });
    assert_eq!(resource["Properties"], expected);
    for provider in stack.functions() {
        assert_eq!(stack.environment(&provider)["DUPLICATES_TTL"], "3600");
    }
}

#[test]
fn an_alarm_watches_all_functions_together() {
    let stack = Stack::new(&[
        ("Spill", "on"),
        ("Quarantine", "on"),
        ("AlarmTopicArn", TOPIC),
        ("QueueAgeAlarmSeconds", "900"),
    ]);
    let alarms = stack.all("AWS::CloudWatch::Alarm");
    let of_queue = |id: &str| json!([{ "Name": "QueueName", "Value": get_att(id, "QueueName") }]);
    let ours = "Hookgate/hookgate";
    let expected = BTreeMap::from([
        ("FaultsAlarm", (ours, "Faults", "Sum", json!(1), Value::Null)),
        ("TooLargeAlarm", (ours, "TooLarge", "Sum", json!(1), Value::Null)),
        ("UnreadableAlarm", (ours, "Unreadable", "Sum", json!(1), Value::Null)),
        ("FallbacksAlarm", (ours, "Fallbacks", "Sum", json!(1), Value::Null)),
        ("QuarantineDroppedAlarm", (ours, "QuarantineDropped", "Sum", json!(1), Value::Null)),
        (
            "DeadLettersAlarm",
            (
                "AWS/SQS",
                "ApproximateNumberOfMessagesVisible",
                "Maximum",
                json!(1),
                of_queue("DeadLetterQueue"),
            ),
        ),
        (
            "QueueAgeAlarm",
            ("AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", json!("900"), of_queue("Queue")),
        ),
    ]);
    assert_eq!(alarms.keys().collect::<BTreeSet<_>>(), expected.keys().collect());
    for (id, (namespace, metric, statistic, threshold, dimensions)) in expected {
        let alarm = alarms[id];
        assert_eq!(alarm["Namespace"], namespace, "{id}");
        assert_eq!(alarm["MetricName"], metric, "{id}");
        assert_eq!(alarm["Statistic"], statistic, "{id}");
        assert_eq!(alarm["Threshold"], threshold, "{id}");
        assert_eq!(alarm["Dimensions"], dimensions, "{id}");
        assert_eq!(alarm["ComparisonOperator"], "GreaterThanOrEqualToThreshold", "{id}");
        assert_eq!(alarm["TreatMissingData"], "notBreaching", "{id}");
        assert_eq!(alarm["AlarmActions"], json!([TOPIC]), "{id}");
        assert_eq!(alarm["OKActions"], json!([TOPIC]), "{id}");
        assert!(alarm["AlarmDescription"].as_str().is_some_and(|words| words.len() > 40), "{id}");
    }
    for (id, alarm) in Stack::by_default().all("AWS::CloudWatch::Alarm") {
        assert_eq!(alarm["AlarmActions"], Value::Null, "{id}: there is no topic");
    }
}

#[test]
fn the_operators_document_has_every_variable_alarm_and_switch() {
    let document = fs::read_to_string(root().join("docs/operating.md")).expect("docs/operating.md");
    let everything = [
        ("Spill", "on"),
        ("Quarantine", "on"),
        ("Duplicates", "on"),
        ("FairQueue", "on"),
        ("FallbackQueueArn", FALLBACK_ARN),
        ("FallbackQueueUrl", FALLBACK_URL),
    ];
    let stack = Stack::new(&everything);
    for variable in stack.environment("github").keys() {
        assert!(document.contains(&format!("| `{variable}` |")), "{variable} has no line");
    }
    for id in stack.all("AWS::CloudWatch::Alarm").into_keys() {
        let name = id.strip_suffix("Alarm").expect("the name of an alarm");
        assert!(document.contains(&format!("| `{name}` | ")), "{name} has no line");
    }
    for switch in everything.map(|(name, _)| name).into_iter().chain(["ClaimCheck", "QueueType", "Alarms"]) {
        assert!(document.contains(&format!("`{switch}`")), "{switch} is not in it");
    }
}

#[test]
fn eighty_providers_with_everything_fit_into_one_stack() {
    // As long as a provider's name may well be.
    let names: Vec<_> = (0..80).map(|number| format!("standardwebhooks{number:02}")).collect();
    let names = names.join(",");
    let everything = |providers| {
        Stack::new(&[
            ("Providers", providers),
            ("Spill", "on"),
            ("FallbackQueueArn", FALLBACK_ARN),
            ("FallbackQueueUrl", FALLBACK_URL),
            (
                "FallbackQueueKeyArn",
                "arn:aws:kms:eu-west-1:123456789012:key/00000000-0000-4000-8000-000000000003",
            ),
            ("Quarantine", "on"),
            ("Duplicates", "on"),
            ("FairQueue", "on"),
            ("AlarmTopicArn", TOPIC),
        ])
    };
    let stack = everything(&names);
    assert_eq!(stack.functions().len(), 80);
    let limits = [
        ("Resources", MAX_RESOURCES),
        ("Outputs", MAX_OUTPUTS),
        ("Parameters", MAX_PARAMETERS),
        ("Mappings", MAX_ENTRIES_OF_A_MAPPING),
    ];
    assert_eq!(
        stack.declared.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        limits.map(|(name, _)| name).into()
    );
    for (name, limit) in limits {
        assert!(stack.declared[name] <= limit, "{name}: {} of {limit}", stack.declared[name]);
    }
    assert!(stack.bytes <= MAX_TEMPLATE_BYTES, "{} bytes", stack.bytes);

    let one = everything("standardwebhooks00");
    let for_each = 6;
    assert_eq!(
        stack.resources.len() - one.resources.len(),
        79 * for_each,
        "function, URL, two permissions, role, logs"
    );
    assert_eq!(Stack::new(&[]).functions(), set(&["github", "stripe"]), "the list of samconfig.toml");

    // A reference becomes a name, URL or ARN; none that is made here is longer.
    let resolved = |value: &Value| match value {
        Value::Object(_) => 160,
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    let environment = stack.environment("standardwebhooks00");
    let bytes: usize = environment.iter().map(|(name, value)| name.len() + resolved(value)).sum();
    assert!(bytes <= MAX_ENVIRONMENT_BYTES, "an environment of {bytes} bytes");
    let statements = stack.statements("standardwebhooks00");
    let policy = serde_json::to_string(statements).expect("JSON").len();
    let referred: usize = statements.iter().map(|statement| resolved(&statement["Resource"])).sum();
    assert!(policy + referred <= MAX_POLICY_CHARACTERS, "a policy of {policy} + {referred} characters");
}
