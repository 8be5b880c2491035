//! A mirror of keys that providers publish, for `HOOKGATE_KEYS_URL`: it serves `https://HOST/PATH` as `/HOST/PATH`.

use crate::http::{Answer, Call, Reply, Server, lock};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The mirror. It is gone when dropped.
pub struct KeyServer {
    server: Server,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// By path.
    documents: BTreeMap<String, String>,
    cache_control: Option<String>,
    manner: Manner,
    requests: Vec<String>,
}

/// How it answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Manner {
    /// With the document, or 404.
    #[default]
    Serves,
    /// With the document, after so long.
    Hesitates(Duration),
    /// With this status and the document all the same.
    Status(u16),
    /// With a redirect to another of its own addresses, where the document is.
    Redirects,
    /// With this text in place of the document.
    Says(String),
    /// With the head and half of the document.
    Half,
    /// Not at all: the connection is reset.
    Resets,
    /// Not at all, until the client gives up.
    KeepsSilent,
}

impl KeyServer {
    /// A mirror of these documents, by their URLs.
    pub fn start(documents: impl IntoIterator<Item = (String, String)>) -> KeyServer {
        let state = Arc::new(Mutex::new(State::default()));
        let of_server = state.clone();
        let server = Server::start(move |call| {
            let reply = lock(&of_server).serve(call);
            let manner = lock(&of_server).manner.clone();
            if let Manner::Hesitates(pause) = manner {
                thread::sleep(pause);
            }
            reply
        });
        let mirror = KeyServer { server, state };
        for (url, document) in documents {
            mirror.publish(&url, &document);
        }
        mirror
    }

    /// For `HOOKGATE_KEYS_URL`.
    pub fn url(&self) -> String {
        format!("http://{}/mirror", self.server.address)
    }

    /// Puts a document in place of what is at that URL.
    pub fn publish(&self, url: &str, document: &str) {
        let path = url.strip_prefix("https://").expect("an https URL");
        lock(&self.state).documents.insert(format!("/mirror/{path}"), document.to_owned());
    }

    /// Sends this header with every document from now on.
    pub fn cache_control(&self, value: &str) {
        lock(&self.state).cache_control = Some(value.to_owned());
    }

    /// Answers in this manner from now on.
    pub fn manner(&self, manner: Manner) {
        lock(&self.state).manner = manner;
    }

    /// What it was asked for so far: methods and paths.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.state).requests.clone()
    }
}

impl State {
    fn serve(&mut self, call: &Call) -> Reply {
        self.requests.push(format!("{} {}", call.method, call.target));
        let moved = call.target.strip_prefix("/moved");
        let document = self.documents.get(moved.unwrap_or(&call.target));
        let answer = |status, body: &str| Answer {
            status,
            headers: self.cache_control.iter().map(|value| ("cache-control", value.clone())).collect(),
            body: body.as_bytes().to_vec(),
        };
        let Some(document) = document else { return Reply::Answer(answer(404, "")) };
        match &self.manner {
            Manner::Redirects if moved.is_none() => Reply::Answer(Answer {
                status: 302,
                headers: vec![("location", format!("/moved{}", call.target))],
                body: Vec::new(),
            }),
            Manner::Serves | Manner::Hesitates(_) | Manner::Redirects => Reply::Answer(answer(200, document)),
            Manner::Status(status) => Reply::Answer(answer(*status, document)),
            Manner::Says(text) => Reply::Answer(answer(200, text)),
            Manner::Half => Reply::Half(answer(200, document)),
            Manner::Resets => Reply::Reset,
            Manner::KeepsSilent => Reply::Silence,
        }
    }
}
