//! Operations on AWS, behind the feature `aws`: events that no consumer has taken go back into the queue, and calls whose
//! signature did not match are checked again.
//!
//! Architecture invariant: what is moved is deleted where it was only after its new place has confirmed it. Whatever ends a
//! command may leave an event in both places, never in none.

mod bucket;
pub mod quarantine;
mod queue;
pub mod redrive;

use crate::Failed;
use crate::screen;
use crate::stop;
use aws_config::BehaviorVersion;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_smithy_runtime_api::client::http::http_client_fn;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use queue::Queue;
use shared::aws::Aws;
use shared::sqs::{self, Sqs};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::runtime;

/// How long a connection to a region on the other side of the earth may take.
const CONNECT: Duration = Duration::from_secs(5);
/// The most that is read before it is dealt with, in messages and in bytes.
const WINDOW: usize = 1000;
/// See [`WINDOW`].
const WINDOW_BYTES: usize = 64 * 1024 * 1024;

/// As whom and where AWS is called.
pub struct Account {
    aws: Arc<Aws>,
}

impl Account {
    /// As AWS's own tools find them: environment, profile, SSO, what the machine has. A queue's URL names a region where
    /// nothing else does.
    pub async fn resolve(url: &str) -> Result<Account, String> {
        let aws = Aws::from_env().from_afar(CONNECT);
        let connector = aws.connector();
        let client = http_client_fn(move |_, _| connector.clone());
        let config = aws_config::defaults(BehaviorVersion::latest()).http_client(client).load().await;
        let region = config.region().map(ToString::to_string);
        let region = region.or_else(|| sqs::region(url).map(str::to_owned)).ok_or_else(|| {
            "no region: set AWS_REGION, or AWS_PROFILE to a profile with one. An emulator takes any."
                .to_owned()
        })?;
        let provider = config.credentials_provider().ok_or_else(no_credentials)?;
        let credentials = provider.provide_credentials().await.map_err(|error| unresolved(&error))?;
        Ok(Account { aws: Arc::new(aws.with_credentials(region, credentials)) })
    }

    /// For what is no queue.
    pub fn aws(&self) -> &Arc<Aws> {
        &self.aws
    }

    /// A queue, as an operator uses it.
    pub fn queue(&self, url: &str) -> Result<Queue, String> {
        let (aws, endpoint) = self.place(url)?;
        Ok(Queue::new(&aws, &endpoint, url))
    }

    /// A queue as the store of events.
    pub fn store(&self, url: &str) -> Result<Sqs, String> {
        let (aws, endpoint) = self.place(url)?;
        Ok(Sqs::at(&aws, url, Some(endpoint)))
    }

    /// Where a queue is: the endpoint that the environment names is that of our own region.
    fn place(&self, url: &str) -> Result<(Arc<Aws>, String), String> {
        let origin = sqs::origin(url)
            .ok_or_else(|| format!("{} is no queue: its URL begins with https://", screen::harmless(url)))?;
        match sqs::region(url).filter(|region| *region != self.aws.region) {
            Some(region) => Ok((Arc::new(self.aws.in_region(region)), origin)),
            None => Ok((self.aws.clone(), Aws::endpoint_override("SQS").unwrap_or(origin))),
        }
    }
}

/// Says what to do. AWS's own text may repeat what a credential process wrote.
fn unresolved(error: &CredentialsError) -> String {
    let what = match error {
        CredentialsError::CredentialsNotLoaded(_) => return no_credentials(),
        CredentialsError::ProviderTimedOut(_) => "whoever has the credentials did not answer in time",
        CredentialsError::InvalidConfiguration(_) => "the profile, or AWS's configuration file, is not right",
        _ => "the credentials could not be had. With SSO, log in first: `aws sso login`",
    };
    format!("AWS: {what}. `aws sts get-caller-identity` tells more.")
}

fn no_credentials() -> String {
    "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY. An emulator takes any.".to_owned()
}

/// Whether the command is to end.
#[derive(Default)]
pub struct Stop(AtomicBool);

impl Stop {
    /// To be asked between two steps.
    pub fn is_asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Returns only when nothing is to be waited for any more.
    async fn watch(&self) {
        stop::asked().await;
        self.0.store(true, Ordering::Relaxed);
        screen::warn("ending after what is under way; Ctrl-C once more ends at once");
        stop::asked().await;
    }
}

/// Runs a command to its end, or until Ctrl-C came twice.
fn block_on<F: Future<Output = Result<(), Failed>>>(
    command: impl FnOnce(Arc<Stop>) -> F,
) -> Result<(), Failed> {
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    runtime.block_on(async {
        let stop = Arc::new(Stop::default());
        tokio::select! {
            outcome = command(stop.clone()) => outcome,
            () = stop.watch() => Err(Failed::Because(format!(
                "ended at once. What was read and not dealt with comes back within {}.",
                screen::count(queue::HIDDEN.as_secs() as usize / 60, "minute", "minutes"),
            ))),
        }
    })
}

/// Unix milliseconds for people.
fn shown_time(millis: i64) -> String {
    let second = DateTime::from_secs(millis.div_euclid(1000));
    second.fmt(Format::DateTime).unwrap_or_else(|_| "-".to_owned())
}
