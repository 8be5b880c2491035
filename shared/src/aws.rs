//! AWS without a service SDK: credentials, region and endpoints from the environment that Lambda gives, TLS, and signed
//! requests to the services of which a function needs one or two operations.

use crate::attempts::Attempts;
use crate::crypto;
use crate::error::Fault;
use crate::log;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings,
    UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_http_client::Connector;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::http::Request;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use lambda_http::http;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;
use serde_json::Value;
use std::env;
use std::fs;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use zeroize::Zeroizing;

/// The roots that AWS's endpoints are signed by: <https://www.amazontrust.com/repository/>. Reading the machine's store
/// instead costs some 3.5 ms of every cold start.
const ROOTS: &[u8] = include_bytes!("amazon-trust-services.pem");
/// For a connection to the same region: name look-up, TCP and TLS.
const CONNECT: Duration = Duration::from_millis(300);
/// The same for another region, on the other side of the earth and with a slice of a core.
const CONNECT_FAR: Duration = Duration::from_secs(3);
/// What Systems Manager and Secrets Manager say to more requests than they answer in a second.
const THROTTLED: &str = "ThrottlingException";
/// A settings document may be of 64 KB; the answer around it is not much larger.
const MAX_ANSWER: usize = 256 * 1024;
/// The largest object that is read back: the events of one call, and what is around them.
const MAX_OBJECT: usize = 64 * 1024 * 1024;

/// Where and as whom AWS is called.
pub struct Aws {
    /// `eu-central-1`
    pub region: String,
    /// Of the function's role.
    pub credentials: Credentials,
    connect: Duration,
    roots: Vec<u8>,
    pool: Pool,
}

/// A connector once one was needed, and until an answer did not come.
type Pool = Mutex<Option<SharedHttpConnector>>;

/// An operation of a service.
pub struct Operation<'o> {
    /// The service's name in a signature and in its host: `dynamodb`.
    pub service: &'static str,
    /// How the environment names its endpoint: `DYNAMODB` for `AWS_ENDPOINT_URL_DYNAMODB`.
    pub env: &'static str,
    /// What is asked of it.
    pub ask: Ask<'o>,
}

/// What is asked of a service.
pub enum Ask<'o> {
    /// An operation of the AWS JSON protocols.
    Json {
        /// `DynamoDB_20120810.PutItem`
        target: &'o str,
        /// `application/x-amz-json-1.0` or `…-1.1`
        content_type: &'static str,
        /// The input.
        input: &'o Value,
    },
    /// An operation on a bucket or an object of S3. Names that need no escaping only.
    S3 {
        /// `PUT`
        method: &'static str,
        /// The bucket.
        bucket: &'o str,
        /// The object's key; empty for the bucket itself.
        key: &'o str,
        /// The query, without `?`.
        query: &'o str,
        /// The type of what is put.
        content_type: Option<&'o str>,
        /// What is put, in memory.
        body: &'o SdkBody,
        /// Its SHA-256 in hex, where it is known.
        sha256: Option<&'o str>,
    },
}

/// Why settings could not be read.
pub struct Unread {
    /// In words for the operator.
    pub fault: Fault,
    /// Whether the same request may be answered otherwise in a moment.
    pub passes: bool,
}

impl Unread {
    fn for_good(why: &'static str) -> Unread {
        Unread { fault: Fault::Settings(why), passes: false }
    }
}

/// What a service answered.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Vec<u8>,
}

impl Answer {
    /// Whether the service did what it was asked for.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The word for an error of the AWS JSON protocols, without its namespace.
    pub fn error(&self) -> String {
        let error: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let kind = error.get("__type").and_then(Value::as_str).unwrap_or_default();
        kind.rsplit('#').next().unwrap_or_default().to_owned()
    }

    /// Whether an error of S3 has this code.
    pub fn says(&self, code: &str) -> bool {
        let code = format!("<Code>{code}</Code>");
        self.body.windows(code.len()).any(|part| part == code.as_bytes())
    }

    /// Whether the same request may be answered otherwise in a moment.
    fn is_passing(&self) -> bool {
        // What S3 says where a body was slow to come, with a status that blames the sender.
        self.status >= 500 || self.status == 429 || (self.status == 400 && self.says("RequestTimeout"))
    }
}

impl Aws {
    /// From the environment: `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`,
    /// `AWS_CA_BUNDLE`. What is missing shows when AWS refuses the first call, so that a function still starts.
    pub fn from_env() -> Aws {
        let text = |name| env::var(name).unwrap_or_default();
        let token = env::var("AWS_SESSION_TOKEN").ok().filter(|token| !token.is_empty());
        let region = env::var("AWS_REGION").or_else(|_| env::var("AWS_DEFAULT_REGION"));
        let (id, secret) = (text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY"));
        Aws {
            region: region.unwrap_or_else(|_| "us-east-1".into()),
            credentials: Credentials::new(id, secret, token, None, "environment"),
            connect: CONNECT,
            roots: ca_bundle().unwrap_or_else(|| ROOTS.into()),
            pool: Mutex::default(),
        }
    }

    /// The same with connections of its own, in a region that may be another.
    pub fn in_region(&self, region: &str) -> Aws {
        Aws {
            region: region.to_owned(),
            credentials: self.credentials.clone(),
            connect: if region == self.region { self.connect } else { self.connect.max(CONNECT_FAR) },
            roots: self.roots.clone(),
            pool: Mutex::default(),
        }
    }

    /// The same as somebody else.
    pub fn with_credentials(self, region: String, credentials: Credentials) -> Aws {
        Aws { region, credentials, ..self }
    }

    /// The same from afar: a connection may take so long.
    #[must_use]
    pub fn from_afar(self, connect: Duration) -> Aws {
        Aws { connect, ..self }
    }

    /// The endpoint that the environment names for a service (`SQS`), if any: `AWS_ENDPOINT_URL_SQS`, else
    /// `AWS_ENDPOINT_URL`.
    pub fn endpoint_override(service: &str) -> Option<String> {
        let named = |name: &str| env::var(name).ok().filter(|url| !url.is_empty());
        named(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| named("AWS_ENDPOINT_URL"))
    }

    /// A connector with a pool of its own: nothing that an older connector left behind can fail it.
    pub fn connector(&self) -> SharedHttpConnector {
        connector(self.roots.clone(), self.connect)
    }

    /// The value of a parameter of Systems Manager, decrypted; asked for until a time, or once.
    pub async fn parameter(
        &self,
        name: &str,
        until: Instant,
        once: bool,
    ) -> Result<Zeroizing<String>, Unread> {
        let request = serde_json::json!({ "Name": name, "WithDecryption": true });
        let answer = self.call("ssm", "SSM", "AmazonSSM.GetParameter", &request, until, once).await?;
        text_at(&answer, "/Parameter/Value").ok_or(Unread::for_good("the parameter has no value"))
    }

    /// The text of a secret of Secrets Manager; asked for until a time, or once.
    pub async fn secret(&self, name: &str, until: Instant, once: bool) -> Result<Zeroizing<String>, Unread> {
        let request = serde_json::json!({ "SecretId": name });
        let target = "secretsmanager.GetSecretValue";
        let answer = self.call("secretsmanager", "SECRETS_MANAGER", target, &request, until, once).await?;
        text_at(&answer, "/SecretString").ok_or(Unread::for_good("the secret has no text"))
    }

    /// The answer to a request for settings. Many environments that start at once are more than Systems Manager answers in
    /// a second, so one that is throttled asks again.
    /// <https://docs.aws.amazon.com/general/latest/gr/ssm.html>
    async fn call(
        &self,
        service: &'static str,
        env: &'static str,
        target: &str,
        input: &Value,
        until: Instant,
        once: bool,
    ) -> Result<Value, Unread> {
        let ask = Ask::Json { target, content_type: "application/x-amz-json-1.1", input };
        let operation = Operation { service, env, ask };
        let is_passing =
            |answer: &Answer| answer.is_passing() || (!answer.is_success() && answer.error() == THROTTLED);
        // Minutes after the last reading no connection is worth keeping.
        let answer = if once {
            let connector = self.connector();
            let attempt = tokio::time::timeout_at(until.into(), self.attempt(&connector, &operation)).await;
            attempt.unwrap_or(Err("AWS did not answer in time"))
        } else {
            self.repeat(&Pool::default(), &operation, until, is_passing).await
        };
        let answer = answer.map_err(|why| Unread { fault: Fault::Settings(why), passes: true })?;
        if !answer.is_success() {
            return Err(Unread { fault: refusal(&answer.error()), passes: is_passing(&answer) });
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| Unread::for_good("AWS gave an answer that is not JSON"))
    }

    /// Does an operation that may be repeated: again on a fresh connection where there was no answer, and again where
    /// the service had none ready. The reason why there is no answer is in words of ours.
    pub async fn insist(&self, operation: &Operation<'_>, until: Instant) -> Result<Answer, &'static str> {
        self.repeat(&self.pool, operation, until, Answer::is_passing).await
    }

    async fn repeat(
        &self,
        pool: &Pool,
        operation: &Operation<'_>,
        until: Instant,
        is_passing: impl Fn(&Answer) -> bool,
    ) -> Result<Answer, &'static str> {
        let bytes = match operation.ask {
            Ask::Json { .. } => 0,
            Ask::S3 { body, .. } => body.bytes().map_or(0, <[u8]>::len),
        };
        let mut attempts = Attempts::new(bytes, until);
        let mut last = Err("no answer in time");
        while let Some(allowed) = attempts.allowed() {
            let connector = self.pooled(pool);
            last = match tokio::time::timeout(allowed, self.attempt(&connector, operation)).await {
                Ok(answer) => answer,
                Err(_) => Err("no answer in time"),
            };
            match &last {
                Ok(answer) if !is_passing(answer) => return last,
                Ok(_) => {}
                Err(_) => *pool.lock().unwrap_or_else(PoisonError::into_inner) = None,
            }
            if !attempts.pause().await {
                break;
            }
        }
        last
    }

    /// The connector that keeps its connections from attempt to attempt.
    fn pooled(&self, pool: &Pool) -> SharedHttpConnector {
        let mut pool = pool.lock().unwrap_or_else(PoisonError::into_inner);
        pool.get_or_insert_with(|| self.connector()).clone()
    }

    async fn attempt(
        &self,
        connector: &SharedHttpConnector,
        operation: &Operation<'_>,
    ) -> Result<Answer, &'static str> {
        let request = self.signed(operation).ok_or("the endpoint for AWS is not a URL")?;
        let response = connector.call(request).await.map_err(|_| "AWS did not answer")?;
        let status = response.status().as_u16();
        let most = match operation.ask {
            Ask::S3 { method: "GET", .. } => MAX_OBJECT,
            _ => MAX_ANSWER,
        };
        let mut stream = ByteStream::new(response.into_body());
        let mut body = Vec::new();
        while let Some(chunk) = stream.next().await {
            body.extend_from_slice(&chunk.map_err(|_| "AWS stopped in its answer")?);
            if body.len() > most {
                return Err("AWS gave an answer of that length");
            }
        }
        Ok(Answer { status, body })
    }

    /// The request for an operation, with Signature Version 4.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>
    fn signed(&self, operation: &Operation<'_>) -> Option<Request<SdkBody>> {
        let service = operation.service;
        let host = || format!("{service}.{}.{}", self.region, domain(&self.region));
        let named = Aws::endpoint_override(operation.env).map(|url| url.trim_end_matches('/').to_owned());
        let mut headers = Vec::new();
        let mut settings = SigningSettings::default();
        let json;
        let (method, url, body, sha256) = match operation.ask {
            Ask::Json { target, content_type, input } => {
                headers.extend([("content-type", content_type), ("x-amz-target", target)]);
                json = SdkBody::from(input.to_string());
                let url = named.unwrap_or_else(|| format!("https://{}", host()));
                ("POST", format!("{url}/"), &json, None)
            }
            Ask::S3 { method, bucket, key, query, content_type, body, sha256 } => {
                // S3 signs paths as they are, and wants the digest of the body said.
                settings.percent_encoding_mode = PercentEncodingMode::Single;
                settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
                settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
                headers.extend(content_type.map(|value| ("content-type", value)));
                // A name with dots has no certificate as a host.
                let url = match named {
                    Some(url) => format!("{url}/{bucket}"),
                    None if bucket.contains('.') => format!("https://{}/{bucket}", host()),
                    None => format!("https://{bucket}.{}", host()),
                };
                let query = if query.is_empty() { String::new() } else { format!("?{query}") };
                let sha256 = sha256
                    .map_or_else(|| crypto::sha256_hex(&[body.bytes().unwrap_or_default()]), str::to_owned);
                (method, format!("{url}/{key}{query}"), body, Some(sha256))
            }
        };
        let mut request = http::Request::builder().method(method).uri(&url);
        for (name, value) in &headers {
            request = request.header(*name, *value);
        }
        let mut request = request.body(body.try_clone()?).ok()?;
        let identity: Identity = self.credentials.clone().into();
        let signing = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .ok()?;
        let signable = sha256.map_or(SignableBody::Bytes(body.bytes()?), SignableBody::Precomputed);
        let signable = SignableRequest::new(method, url.as_str(), headers.into_iter(), signable).ok()?;
        let (instructions, _) = sign(signable, &signing.into()).ok()?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Request::try_from(request).ok()
    }
}

/// A connector that trusts certificates signed by one of these roots, in PEM, and waits so long for a connection.
pub(crate) fn connector(roots: Vec<u8>, connect: Duration) -> SharedHttpConnector {
    let trust = TrustStore::empty().with_pem_certificate(roots);
    let builder = Connector::builder()
        .connector_settings(HttpConnectorSettings::builder().connect_timeout(connect).build())
        .sleep_impl(TokioSleep::new());
    let connector = match TlsContext::builder().with_trust_store(trust).build() {
        Ok(tls) => builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build(),
        Err(_) => builder.build_http(),
    };
    SharedHttpConnector::new(connector)
}

/// Other roots than ours, if `AWS_CA_BUNDLE` names a file of certificates.
pub(crate) fn ca_bundle() -> Option<Vec<u8>> {
    let path = env::var("AWS_CA_BUNDLE").ok().filter(|path| !path.is_empty())?;
    let readable = fs::read(path).ok().filter(|pem| {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        certificates.is_ok_and(|certificates| !certificates.is_empty())
    });
    if readable.is_none() {
        log::environment("AWS_CA_BUNDLE", "names no readable file of certificates; it is not used");
    }
    readable
}

/// AWS's domain for a region's partition.
fn domain(region: &str) -> &'static str {
    if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" }
}

fn text_at(answer: &Value, pointer: &str) -> Option<Zeroizing<String>> {
    answer.pointer(pointer)?.as_str().map(|text| Zeroizing::new(text.to_owned()))
}

/// What AWS means by an error, in words of ours: its own text repeats names of the account.
fn refusal(error: &str) -> Fault {
    Fault::Settings(match error {
        "ParameterNotFound" | "ResourceNotFoundException" => "there is no parameter or secret of that name",
        "AccessDeniedException" => "the function's role may not read the parameter or secret",
        THROTTLED => "AWS throttles the reading of settings",
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            "AWS does not take the function's credentials"
        }
        _ => "AWS refused to give them",
    })
}
