//! `template.yaml`: what it would create, for every provider that has a folder.

use crate::lambda;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::{env, fs};

/// What CloudFormation takes in one stack.
const MAX_RESOURCES: usize = 500;
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

/// What is created under some parameters.
struct Stack {
    resources: Map<String, Value>,
    outputs: Map<String, Value>,
}

impl Stack {
    #[track_caller]
    fn new(parameters: &[(&str, &str)]) -> Stack {
        let mut python = tool("python");
        python.arg(root().join("tests/tools/expand.py")).arg(root().join("template.yaml"));
        python.args(parameters.iter().map(|(name, value)| format!("{name}={value}")));
        let mut stack: Value = serde_json::from_slice(&succeed(&mut python).stdout).expect("JSON");
        let mut section = |name: &str| match stack[name].take() {
            Value::Object(section) => section,
            other => panic!("{name}: {other}"),
        };
        Stack { resources: section("Resources"), outputs: section("Outputs") }
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

/// Actions and resources that a role allows, without their conditions.
fn allowed(statements: &[Value]) -> Vec<(Vec<&str>, &Value)> {
    let each = statements.iter().map(|statement| {
        assert_eq!(statement["Effect"], "Allow");
        let actions = match &statement["Action"] {
            Value::String(action) => vec![action.as_str()],
            Value::Array(actions) => {
                actions.iter().map(|action| action.as_str().expect("an action")).collect()
            }
            other => panic!("{other}"),
        };
        (actions, &statement["Resource"])
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

        let queue = get_att("Queue", "Arn");
        let log = get_att(&format!("{provider}Logs"), "Arn");
        let parameter = json!(format!("arn:aws:ssm:us-east-1:123456789012:parameter/hookgate/{provider}"));
        let rest = |settings: &'static str, resource| {
            vec![
                (vec!["sqs:SendMessage"], &queue),
                (vec![settings], resource),
                (vec!["logs:CreateLogStream", "logs:PutLogEvents"], &log),
            ]
        };
        assert_eq!(allowed(ssm.statements(&provider)), rest("ssm:GetParameter", &parameter), "{provider}");
        // The six characters that Secrets Manager adds to a name.
        let secret =
            format!("arn:aws:secretsmanager:us-east-1:123456789012:secret:gates/eu/{provider}-??????");
        let secret = json!(secret);
        let expected = rest("secretsmanager:GetSecretValue", &secret);
        assert_eq!(allowed(secrets.statements(&provider)), expected, "{provider}");
    }
}

#[test]
fn a_key_of_ones_own_may_be_used_through_its_service_only() {
    let config_key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000001";
    let queue_key = "arn:aws:kms:us-east-1:123456789012:key/00000000-0000-4000-8000-000000000002";
    let stack = Stack::new(&[
        ("Providers", "github"),
        ("ConfigSource", "secretsmanager"),
        ("ConfigKeyArn", config_key),
        ("QueueArn", "arn:aws:sqs:us-east-1:123456789012:events"),
        ("QueueUrl", "https://sqs.us-east-1.amazonaws.com/123456789012/events"),
        ("QueueKeyArn", queue_key),
    ]);
    let of_kms = |statement: &&Value| statement.to_string().contains("kms:");
    let found: Vec<&Value> = stack.statements("github").iter().filter(of_kms).collect();
    let via = |service: &str| json!({ "StringEquals": { "kms:ViaService": format!("{service}.us-east-1.amazonaws.com") } });
    let expected = [
        json!({
            "Sid": "EncryptWhatIsSent",
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": queue_key,
            "Condition": via("sqs"),
        }),
        json!({
            "Sid": "DecryptSettings",
            "Effect": "Allow",
            "Action": "kms:Decrypt",
            "Resource": config_key,
            "Condition": via("secretsmanager"),
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
    let arn = "arn:aws:sqs:us-east-1:123456789012:events";
    let url = "https://sqs.us-east-1.amazonaws.com/123456789012/events";
    let stack = Stack::of_all(&[("QueueArn", arn), ("QueueUrl", url), ("QueueMaximumMessageSize", "262144")]);
    assert_eq!(stack.all("AWS::SQS::Queue"), BTreeMap::new());
    for provider in providers() {
        assert_eq!(stack.environment(&provider)["QUEUE_URL"], url);
        assert_eq!(stack.environment(&provider)["QUEUE_MAX_BYTES"], "262144");
        let send = &stack.statements(&provider)[0];
        assert_eq!(
            (&send["Action"], &send["Resource"]),
            (&json!("sqs:SendMessage"), &json!(arn)),
            "{provider}"
        );
    }
    assert_eq!(stack.outputs["QueueUrl"]["Value"], url);
    assert_eq!(stack.outputs["QueueArn"]["Value"], arn);
    assert!(!stack.outputs.keys().any(|name| name.starts_with("DeadLetter")), "{:?}", stack.outputs);
}

#[test]
fn functions_get_every_variable_that_they_read() {
    let always = ["HOOKGATE_CONFIG", "HOOKGATE_CONFIG_TTL", "HOOKGATE_LOG", "QUEUE_MAX_BYTES", "QUEUE_URL"];
    let stack = Stack::by_default();
    for provider in providers() {
        let environment = stack.environment(&provider);
        assert_eq!(environment.keys().collect::<Vec<_>>(), always, "{provider}");
        assert_eq!(environment["HOOKGATE_CONFIG"], format!("ssm:/hookgate/{provider}"));
        assert_eq!(environment["HOOKGATE_CONFIG_TTL"], 300);
        assert_eq!(environment["HOOKGATE_LOG"], "warn");
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

#[test]
fn sixty_providers_fit_into_one_stack() {
    let one = Stack::new(&[("Providers", "github")]).resources.len();
    let two = Stack::new(&[("Providers", "github,stripe")]).resources.len();
    let for_each = two - one;
    let for_all = one - for_each;
    assert_eq!(for_each, 6, "function, URL, two permissions, role and log group");
    assert_eq!(Stack::by_default().resources.len(), for_all + for_each * providers().len());
    let fit = (MAX_RESOURCES - for_all) / for_each;
    assert!(fit >= 60, "only {fit} providers fit into one stack");
}
