//! All provider rows in one array, with their samples. For the command line tool and the tests; a function links its own
//! row alone.

use shared::provider::Provider;

/// A provider with its samples.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The row.
    pub provider: &'static Provider,
    /// What the provider sends, by name; [`shared::sample::signed`] signs one.
    pub samples: &'static [Sample],
}

/// One request as a provider sends it, without its signature.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// `push`; that of a handshake begins with [`HANDSHAKE`].
    pub name: &'static str,
    /// The file: request line, headers, an empty line, body.
    pub file: &'static str,
}

/// How the name of a sample begins that is a handshake.
pub const HANDSHAKE: &str = "handshake-";

impl Sample {
    /// Whether it is a handshake and no event.
    pub fn is_handshake(&self) -> bool {
        self.name.starts_with(HANDSHAKE)
    }
}

/// All of them, by name.
pub static ENTRIES: &[Entry] = include!(concat!(env!("OUT_DIR"), "/entries.rs"));

/// The one of that name.
pub fn find(name: &str) -> Option<&'static Entry> {
    ENTRIES.iter().find(|entry| entry.provider.name == name)
}
