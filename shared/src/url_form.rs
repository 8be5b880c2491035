//! A MAC over the public URL and the fields of a form, one after another without borders; of a call with another body over
//! the URL alone, in which the body's digest stands.
//!
//! Whoever has a recorded call of a form can divide what was signed in another way: `a=bc` and `ab=c` have one signature. So
//! that of a form says no more than [`Assurance::SignedFields`].

use crate::call::Call;
use crate::crypto::{self, Algorithm};
use crate::error::{Failure, Fault, Refused};
use crate::form::{self, Field};
use crate::mac::{Encoding, MAX_SIGNATURE_HEADER};
use crate::sample::Draft;
use crate::settings::{Endpoint, Flaw};
use crate::verify::{Assurance, Description, Evidence, Proof, Scheme, sealed};

/// The setting with the public URL, without its query.
const URL: &str = "url";
/// What stands in a URL's query as it was given out and escaped as browsers do it. Some senders sign the one and send the
/// other.
const ESCAPED: [(&str, &str); 4] = [("\"", "%22"), ("'", "%27"), ("<", "%3C"), (">", "%3E")];

/// The scheme. The tag is spelled in base64.
pub struct UrlForm {
    /// How the tag is computed.
    pub algorithm: &'static Algorithm,
    /// The setting with the secret or secrets.
    pub secret: &'static str,
    /// The header with the signature.
    pub header: &'static str,
    /// The parameter of the query with the SHA-256 of a body that is no form, in lower-case hex.
    pub digest: &'static str,
}

/// What of a call is signed beside its URL, and what that is worth.
struct Content {
    /// Every field of the form, in the order of their names.
    fields: String,
    assurance: Assurance,
    /// What the event is read from, where that is not the body.
    shown: Option<Vec<u8>>,
}

impl UrlForm {
    fn content(&self, call: &Call<'_>, body: &[u8]) -> Result<Content, Refused> {
        let query = form::fields(call.query.as_bytes()).map_err(|_| Refused::Malformed("query"))?;
        let is_digest = |(name, _): &&Field<'_>| name == self.digest;
        if query.iter().any(|field| is_digest(&field)) {
            // Another digest is another body: no other secret could make it pass.
            let digest = form::only(&query, self.digest).ok_or(Refused::Malformed("a second digest"))?;
            if !crypto::same(digest.as_bytes(), crypto::sha256_hex(&[body]).as_bytes()) {
                return Err(Refused::Malformed("digest of the body"));
            }
            // The sender appends it. Elsewhere it could be what somebody wrote into a field of a form that was signed.
            let is_last = query.last().is_some_and(|field| is_digest(&field));
            let assurance = if is_last { Assurance::Signed } else { Assurance::SignedFields };
            return Ok(Content { fields: String::new(), assurance, shown: None });
        }
        let assurance = Assurance::SignedFields;
        if call.method == "GET" {
            if !body.is_empty() {
                return Err(Refused::Malformed("a body that is not signed"));
            }
            let shown = Some(call.query.as_bytes().to_vec());
            return Ok(Content { fields: String::new(), assurance, shown });
        }
        // JSON is signed by its digest only, and would otherwise be one odd field.
        if body.is_empty() || matches!(body.trim_ascii_start().first(), Some(b'{' | b'[' | 0xef)) {
            return Err(Refused::Missing("digest of the body"));
        }
        let fields = form::fields(body).map_err(|_| Refused::Malformed("form"))?;
        Ok(Content { fields: concatenated(fields), assurance, shown: None })
    }

    /// The URL as the sender may have signed it: without a port, and with its own or that of its protocol; the query as it
    /// came, and escaped. Each of them is the same place.
    fn urls(&self, call: &Call<'_>, endpoint: &Endpoint) -> Vec<String> {
        let ours = format!("https://{}{}", call.domain, call.path);
        let base = endpoint.text(URL).unwrap_or(&ours);
        let base = base.split(['?', '#']).next().unwrap_or_default();
        let (protocol, rest) = base.split_once("://").unwrap_or(("https", base));
        let (authority, path) = rest.find('/').and_then(|at| rest.split_at_checked(at)).unwrap_or((rest, ""));
        let host_start = authority.rfind('@').map_or(0, |at| at + 1);
        let port_start = authority.rfind(':').filter(|at| *at >= host_start && !authority.ends_with(']'));
        let (host, port) =
            port_start.and_then(|at| authority.split_at_checked(at)).unwrap_or((authority, ""));
        let standard = if protocol.eq_ignore_ascii_case("http") { ":80" } else { ":443" };
        let port = if port.is_empty() { standard } else { port };
        let escaped =
            ESCAPED.iter().fold(call.query.to_string(), |query, (raw, code)| query.replace(raw, code));
        let mut queries = vec![call.query.to_string()];
        queries.extend((escaped != call.query).then_some(escaped));
        let mut urls = Vec::new();
        for query in queries {
            let query = if query.is_empty() { query } else { format!("?{query}") };
            urls.extend(["", port].map(|port| format!("{protocol}://{host}{port}{path}{query}")));
        }
        urls
    }
}

impl sealed::Sealed for UrlForm {}

impl Scheme for UrlForm {
    fn check(&self, call: &Call<'_>, body: &[u8], endpoint: &Endpoint, _now: i64) -> Result<Proof, Failure> {
        let value = call.header(self.header).ok_or(Refused::Missing("signature header"))?;
        if value.len() > MAX_SIGNATURE_HEADER {
            return Err(Refused::Malformed("a signature header of that length").into());
        }
        let tag = Encoding::Base64.decode(value, self.algorithm.len)?;
        let content = self.content(call, body)?;
        let urls = self.urls(call, endpoint);
        let mut matched = false;
        for secret in endpoint.secrets(self.secret)? {
            for url in &urls {
                let parts = [url.as_bytes(), content.fields.as_bytes()];
                matched |= crypto::same(self.algorithm.compute(secret.bytes(), &parts).bytes(), &tag);
            }
        }
        if !matched {
            return Err(Refused::Mismatch("signature").into());
        }
        let proof = Proof::of(content.assurance, None);
        Ok(match content.shown {
            Some(shown) => proof.showing(shown),
            None => proof,
        })
    }

    fn sign(&self, draft: &mut Draft, endpoint: &Endpoint, _now: i64) -> Result<(), Fault> {
        let secret = endpoint.secrets(self.secret)?.first().ok_or(Fault::Setting(self.secret))?;
        if matches!(draft.body.first(), Some(b'{' | b'['))
            && form::field(draft.query.as_bytes(), self.digest).is_none()
        {
            let digest = crypto::sha256_hex(&[&draft.body]);
            draft.add_parameter(self.digest, &digest);
        }
        let tag = {
            let call = draft.call();
            let content = self.content(&call, &draft.body);
            let fields = content.map_err(|_| Fault::Event("the sample cannot be signed"))?.fields;
            let url = self.urls(&call, endpoint).into_iter().next().unwrap_or_default();
            self.algorithm.compute(secret.bytes(), &[url.as_bytes(), fields.as_bytes()])
        };
        draft.set_header(self.header, &Encoding::Base64.encode(tag.bytes()));
        Ok(())
    }

    /// What is true of a form; that of another body covers all of it.
    fn describe(&self, _endpoint: &Endpoint) -> Description {
        Description {
            method: self.algorithm.name.into(),
            headers: vec![self.header.to_owned()],
            assurance: Some(Assurance::SignedFields),
            ..Description::default()
        }
    }

    fn evidence(&self, endpoint: &Endpoint) -> Option<Evidence> {
        // A URL may hold a user name and a password.
        let has_password = endpoint.text(URL).is_some_and(|url| url.contains('@'));
        (!has_password).then(|| Evidence { headers: vec![self.header.to_owned()], url: true })
    }

    fn url(&self, call: &Call<'_>, endpoint: &Endpoint) -> String {
        self.urls(call, endpoint).into_iter().next().unwrap_or_default()
    }

    /// Of a form what it says is signed.
    fn covers_bytes(&self, _endpoint: &Endpoint) -> bool {
        false
    }

    fn flaws(&self, endpoint: &Endpoint) -> Vec<Flaw> {
        let is_url = |url: &str| url.starts_with("https://") || url.starts_with("http://");
        let flawed = endpoint.text(URL).is_some_and(|url| !is_url(url));
        flawed.then(|| Flaw::fatal(URL, "must begin with https://")).into_iter().collect()
    }
}

/// Names and values, one after another: names in the order of their UTF-16 code units, and of a name each value once, in the
/// same order.
fn concatenated(mut fields: Vec<Field<'_>>) -> String {
    fields.sort_by(|(a, x), (b, y)| {
        a.encode_utf16().cmp(b.encode_utf16()).then_with(|| x.encode_utf16().cmp(y.encode_utf16()))
    });
    fields.dedup();
    fields.iter().flat_map(|(name, value)| [name.as_ref(), value.as_ref()]).collect()
}
