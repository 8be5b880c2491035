//! The pipeline of a webhook call and the vocabulary that provider rows are written in.
//!
//! A call goes one way: [`call`] reads it, [`handshake`] answers what is no event, [`verify`] checks it, [`event`] makes
//! CloudEvents of it, [`queue`] keeps them, [`reply`] answers. The types hold the order: only `verify` makes a
//! [`verify::Verified`], only that gives an [`event::Envelope`], only the queue's [`queue::Receipt`] for it makes a success.

mod attempts;
pub mod aws;
pub mod bucket;
pub mod by_secret;
pub mod call;
pub mod canonical;
pub mod challenge;
pub mod crypto;
pub mod declared;
pub mod duplicates;
pub mod encrypted;
pub mod error;
pub mod event;
pub mod form;
pub mod form_mac;
pub mod framed;
pub mod gate;
pub mod graph;
pub mod handshake;
pub mod json;
pub mod jwt;
pub mod keys;
pub mod log;
pub mod mac;
pub mod multipart;
pub mod one_of;
pub mod provider;
pub mod quarantine;
pub mod queue;
pub mod reply;
pub mod run;
pub mod sample;
pub mod secret;
pub mod settings;
pub mod signature;
pub mod sqs;
pub mod token;
pub mod trial;
pub mod url_form;
pub mod verify;
pub mod xml;

pub use run::run;
