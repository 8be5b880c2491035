//! Whatever has no function of its own yet: the check and the event are laid out by settings alone.
//!
//! `docs/generic.md` is the schema. What a call is worth is said by the strongest of the checks that are configured.

use shared::declared::{self, Declared};
use shared::provider::{Event, Facts, Provider, Setting};
use std::time::Duration;

/// The row.
pub static PROVIDER: Provider = Provider {
    name: "generic",
    title: "Any provider",
    docs: "https://www.rfc-editor.org/rfc/rfc2104",
    settings: &[
        Setting::secret("secret", "the key that the sender signs with; needs `signature`").optional(),
        Setting::object("signature", "how the sender signs"),
        Setting::secret("token", "the token that the sender sends; needs `token_header` or `token_query`")
            .optional(),
        Setting::text("token_header", "the header with the token").optional(),
        Setting::text("token_query", "the query parameter with the token").optional(),
        Setting::object("basic_auth", "user name and password of HTTP Basic"),
        Setting::object("event", "where type, id, time, subject and partition key stand"),
        Setting::text("url", "the URL that the sender signs, where it signs one").optional(),
    ],
    scheme: &Declared,
    format: declared::format,
    event: Event { unknown: "event", ..Event::of("generic") },
    event_by_settings: Some(declared::event),
    deadline: Duration::from_secs(5),
    facts: Facts {
        retries: "as the sender does",
        proof: "Python's hmac, RFC 4231, Wycheproof",
        checked: "2026-11-24",
    },
    ..Provider::DEFAULTS
};
