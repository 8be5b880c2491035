//! AWS without a service SDK: credentials, region and endpoints from the environment that Lambda gives, TLS, and the two
//! signed requests that read settings.

use crate::error::Fault;
use crate::log;
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
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
use std::time::{Duration, SystemTime};
use zeroize::Zeroizing;

/// The roots that AWS's endpoints are signed by: <https://www.amazontrust.com/repository/>. Reading the machine's store
/// instead costs some 3.5 ms of every cold start.
const ROOTS: &[u8] = include_bytes!("amazon-trust-services.pem");
/// For a connection to the same region: name look-up, TCP and TLS.
const CONNECT: Duration = Duration::from_millis(300);
/// For reading a settings document, whole.
const SETTINGS: Duration = Duration::from_millis(1500);
/// A settings document may be of 64 KB; the answer around it is not much larger.
const MAX_ANSWER: usize = 256 * 1024;

/// Where and as whom AWS is called.
pub struct Aws {
    /// `eu-central-1`
    pub region: String,
    /// Of the function's role.
    pub credentials: Credentials,
    roots: Vec<u8>,
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
            roots: ca_bundle().unwrap_or_else(|| ROOTS.into()),
        }
    }

    /// The endpoint that the environment names for a service (`SQS`), if any: `AWS_ENDPOINT_URL_SQS`, else
    /// `AWS_ENDPOINT_URL`.
    pub fn endpoint_override(service: &str) -> Option<String> {
        let named = |name: &str| env::var(name).ok().filter(|url| !url.is_empty());
        named(&format!("AWS_ENDPOINT_URL_{service}")).or_else(|| named("AWS_ENDPOINT_URL"))
    }

    /// A connector with a pool of its own: nothing that an older connector left behind can fail it.
    pub fn connector(&self) -> SharedHttpConnector {
        let trust = TrustStore::empty().with_pem_certificate(self.roots.clone());
        let builder = Connector::builder()
            .connector_settings(HttpConnectorSettings::builder().connect_timeout(CONNECT).build())
            .sleep_impl(TokioSleep::new());
        let connector = match TlsContext::builder().with_trust_store(trust).build() {
            Ok(tls) => builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build(),
            Err(_) => builder.build_http(),
        };
        SharedHttpConnector::new(connector)
    }

    /// The value of a parameter of Systems Manager, decrypted.
    pub async fn parameter(&self, name: &str) -> Result<Zeroizing<String>, Fault> {
        let request = serde_json::json!({ "Name": name, "WithDecryption": true });
        let answer = self.call("ssm", "SSM", "AmazonSSM.GetParameter", &request).await?;
        text_at(&answer, "/Parameter/Value").ok_or(Fault::Settings("the parameter has no value"))
    }

    /// The text of a secret of Secrets Manager.
    pub async fn secret(&self, name: &str) -> Result<Zeroizing<String>, Fault> {
        let request = serde_json::json!({ "SecretId": name });
        let answer =
            self.call("secretsmanager", "SECRETS_MANAGER", "secretsmanager.GetSecretValue", &request).await?;
        text_at(&answer, "/SecretString").ok_or(Fault::Settings("the secret has no text"))
    }

    async fn call(&self, service: &str, env: &str, target: &str, body: &Value) -> Result<Value, Fault> {
        let url = Aws::endpoint_override(env)
            .unwrap_or_else(|| format!("https://{service}.{}.{}", self.region, domain(&self.region)));
        let request =
            self.signed(service, &format!("{}/", url.trim_end_matches('/')), target, body.to_string())?;
        let answer = tokio::time::timeout(SETTINGS, async {
            let response =
                self.connector().call(request).await.map_err(|_| Fault::Settings("AWS did not answer"))?;
            let status = response.status();
            let mut stream = ByteStream::new(response.into_body());
            let mut body = Vec::new();
            while let Some(chunk) = stream.next().await {
                body.extend_from_slice(&chunk.map_err(|_| Fault::Settings("AWS stopped in its answer"))?);
                if body.len() > MAX_ANSWER {
                    return Err(Fault::Settings("AWS gave an answer of that length"));
                }
            }
            Ok((status, body))
        });
        let (status, body) = answer.await.map_err(|_| Fault::Settings("AWS did not answer in time"))??;
        if !status.is_success() {
            return Err(refusal(&body));
        }
        serde_json::from_slice(&body).map_err(|_| Fault::Settings("AWS gave an answer that is not JSON"))
    }

    /// A JSON request with Signature Version 4.
    fn signed(
        &self,
        service: &str,
        url: &str,
        target: &str,
        body: String,
    ) -> Result<Request<SdkBody>, Fault> {
        const BAD: Fault = Fault::Settings("the endpoint for AWS is not a URL");
        let mut request = http::Request::post(url)
            .header("content-type", "application/x-amz-json-1.1")
            .header("x-amz-target", target)
            .body(SdkBody::from(body.as_str()))
            .map_err(|_| BAD)?;
        let identity: Identity = self.credentials.clone().into();
        let signing = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|_| BAD)?;
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", target)];
        let signable =
            SignableRequest::new("POST", url, headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let (instructions, _) =
            sign(signable.map_err(|_| BAD)?, &signing.into()).map_err(|_| BAD)?.into_parts();
        instructions.apply_to_request_http1x(&mut request);
        Request::try_from(request).map_err(|_| BAD)
    }
}

/// Other roots than ours, if `AWS_CA_BUNDLE` names a file of certificates.
fn ca_bundle() -> Option<Vec<u8>> {
    let path = env::var("AWS_CA_BUNDLE").ok().filter(|path| !path.is_empty())?;
    let readable = fs::read(path).ok().filter(|pem| {
        let certificates = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>();
        certificates.is_ok_and(|certificates| !certificates.is_empty())
    });
    if readable.is_none() {
        log::environment("AWS_CA_BUNDLE", "names no readable file of certificates; Amazon's roots are used");
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
fn refusal(body: &[u8]) -> Fault {
    let error: Value = serde_json::from_slice(body).unwrap_or_default();
    let kind = error.get("__type").and_then(Value::as_str).unwrap_or_default();
    Fault::Settings(match kind.rsplit('#').next().unwrap_or_default() {
        "ParameterNotFound" | "ResourceNotFoundException" => "there is no parameter or secret of that name",
        "AccessDeniedException" => "the function's role may not read the parameter or secret",
        "ThrottlingException" => "AWS throttles the reading of settings",
        "UnrecognizedClientException" | "InvalidSignatureException" | "ExpiredTokenException" => {
            "AWS does not take the function's credentials"
        }
        _ => "AWS refused to give them",
    })
}
