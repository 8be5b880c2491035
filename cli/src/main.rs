//! `hookgate`: the gate on this machine. `dev` serves, `send` signs a sample and posts it, `demo` does both for every
//! provider, `providers` lists them. None of it needs AWS. The operations on AWS stand behind the feature `aws`.

#[cfg(feature = "aws")]
mod aws;
mod config;
mod demo;
mod dev;
mod file;
mod forge;
mod gateway;
mod providers;
mod screen;
mod send;
mod stop;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Webhooks in, verified CloudEvents out.
#[derive(Parser)]
#[command(name = "hookgate", version, arg_required_else_help = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve every configured provider on this machine, at /<provider> and /<provider>/<endpoint>
    Dev(dev::Options),
    /// Sign a sample as its provider would, and post it
    Send(send::Options),
    /// Start a gateway, send it every sample and some forgeries, and show what came of it
    Demo,
    /// List the providers and what is known of each
    Providers(providers::Options),
    /// Move events from the dead-letter queue, another queue or a bucket back into the queue
    #[cfg(feature = "aws")]
    Redrive(aws::redrive::Options),
    /// Look at calls whose signature did not match, check them again, send on those that pass now
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Quarantine(aws::quarantine::Command),
}

/// How a command ends that does not succeed.
pub enum Failed {
    /// Everything has been said already.
    Said,
    /// For the person, over one or more lines.
    Because(String),
}

impl From<String> for Failed {
    fn from(reason: String) -> Failed {
        Failed::Because(reason)
    }
}

fn main() -> ExitCode {
    // A panic's message may hold what was being read: only its place is told.
    std::panic::set_hook(Box::new(|info| {
        let (file, line) = info.location().map_or(("", 0), |place| (place.file(), place.line()));
        shared::log::panicked(file, line);
    }));
    let outcome = match Cli::parse().command {
        Command::Dev(options) => dev::run(&options),
        Command::Send(options) => send::run(&options),
        Command::Demo => demo::run(),
        Command::Providers(options) => providers::run(&options),
        #[cfg(feature = "aws")]
        Command::Redrive(options) => aws::redrive::run(&options),
        #[cfg(feature = "aws")]
        Command::Quarantine(command) => aws::quarantine::run(&command),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Said) => ExitCode::FAILURE,
        Err(Failed::Because(reason)) => {
            screen::complain(&reason);
            ExitCode::FAILURE
        }
    }
}
