//! Answers. A success for an event can be made only from the receipt that the queue returned.

use crate::provider::{Answer, Response};
use crate::queue::Receipt;
use std::borrow::Cow;

/// After how many seconds the provider may try again.
const RETRY_AFTER: &str = "5";

/// An answer to the provider.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    status: u16,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    body: Cow<'static, str>,
}

impl Reply {
    /// HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Headers, names in lower case.
    pub fn headers(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.headers.iter().map(|(name, value)| (*name, value.as_ref()))
    }

    /// The exact body.
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The events are in the queue.
    pub(crate) fn queued(_: &Receipt, response: Response) -> Reply {
        Reply::of(response)
    }

    /// A documented answer to what is no event.
    pub(crate) fn handshake(answer: Answer) -> Reply {
        Reply::of(answer)
    }

    /// A text that a handshake gives back. A browser must take it for nothing but text.
    pub(crate) fn echo(content_type: &'static str, text: String) -> Reply {
        let mut reply = Reply::plain(200, text);
        reply.headers.push(("content-type", content_type.into()));
        reply.headers.push(("x-content-type-options", "nosniff".into()));
        reply.headers.push(("cache-control", "no-store".into()));
        reply
    }

    /// The check did not pass. The same bytes for every reason.
    pub(crate) fn refused(answer: Answer) -> Reply {
        Reply::of(answer)
    }

    /// The check did not pass, and the provider's documentation demands this status.
    pub(crate) fn refused_with(status: u16) -> Reply {
        Reply::plain(status, "")
    }

    /// Our fault: send it again.
    pub(crate) fn fault() -> Reply {
        let mut reply = Reply::plain(503, "");
        reply.headers.push(("retry-after", RETRY_AFTER.into()));
        reply
    }

    /// The body is over the ceiling.
    pub(crate) fn too_large() -> Reply {
        Reply::plain(413, "")
    }

    /// No call comes by this method.
    pub(crate) fn method_not_allowed(allow: String) -> Reply {
        let mut reply = Reply::plain(405, "");
        reply.headers.push(("allow", allow.into()));
        reply
    }

    fn of(answer: impl Into<Response>) -> Reply {
        let answer = answer.into();
        let mut reply = Reply::plain(answer.status, answer.body);
        reply.headers.extend(answer.content_type.map(|value| ("content-type", value.into())));
        reply
    }

    fn plain(status: u16, body: impl Into<Cow<'static, str>>) -> Reply {
        Reply { status, headers: Vec::new(), body: body.into() }
    }
}
