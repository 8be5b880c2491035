//! What Hookgate promises, tried in this process and on the built binaries through the doubles. Numbers in comments are
//! those of the cases in `docs/cases.md`.

mod braintree;
mod challenges;
mod claim_check;
mod cli;
mod consumers;
mod crypto;
mod duplicates;
mod edges;
mod envelope;
mod fallback;
mod faults;
mod fields;
mod forgeries;
mod handshakes;
mod house;
mod msgraph;
mod nothing_lost;
mod octokit;
mod package;
mod parsing;
mod quarantine;
mod queue;
mod raw;
mod redrive;
mod release;
mod sealed;
mod settings;
mod signatures;
mod support;
mod template;
mod tokens;
mod transport;
mod vectors;
mod window;
mod words;
