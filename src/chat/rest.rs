//! REST as a program of ours speaks it: what was too much is asked for again, as
//! late as the answer says, and a problem is told in its own words.

use anyhow::{Context, bail};
use events::Vector;
use reqwest::{Client, Method, StatusCode, Url};
use serde_json::Value;
use std::time::Duration;
use tokio::time::sleep;

const PATIENCE: Duration = Duration::from_secs(30);
/// Whoever is to wait longer is told so instead.
const LONGEST: Duration = Duration::from_mins(1);
/// How often what is refused as too much is asked for again.
const ATTEMPTS: u32 = 60;

/// A herald, by its address.
pub(crate) struct Rest {
    http: Client,
    url: Url,
}

/// What it answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// `Null` where there is none.
    pub(crate) body: Value,
    /// What the answer has seen, or where the fact lies that was written.
    pub(crate) seen: Vector,
}

/// It was asked and would not, and says why.
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub(crate) struct Refused {
    pub(crate) status: StatusCode,
    words: String,
}

impl Rest {
    /// # Errors
    /// When that is no address of a herald.
    pub(crate) fn new(url: &str) -> anyhow::Result<Self> {
        let url: Url =
            url.parse().with_context(|| format!("{url} is no address: give one as http://127.0.0.1:8080"))?;
        if url.scheme() != "http" || url.host().is_none() {
            bail!("{url} cannot be spoken to from here: give an address as http://127.0.0.1:8080");
        }
        Ok(Self { http: Client::builder().timeout(PATIENCE).build()?, url })
    }

    pub(crate) fn url(&self) -> &Url {
        &self.url
    }

    /// Asks as whoever holds the token, of views that have seen at least that.
    ///
    /// # Errors
    /// When nobody answers, or only that it is too much.
    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        after: &Vector,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let url = self.url.join(path).with_context(|| format!("{path} is no path"))?;
        for _ in 0..ATTEMPTS {
            let mut request = self.http.request(method.clone(), url.clone());
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            if !after.is_empty() {
                request = request.header("herald-after", after.to_string());
            }
            if let Some(body) = body {
                request = request.json(body);
            }
            let response = request.send().await.with_context(|| format!("no herald answers at {}", self.url))?;
            let (status, headers) = (response.status(), response.headers().clone());
            let seen = ["herald-position", "herald-as-of"].into_iter().find_map(|name| headers.get(name));
            let seen = seen.and_then(|seen| seen.to_str().ok()?.parse().ok()).unwrap_or_default();
            let body: Value = serde_json::from_slice(&response.bytes().await?).unwrap_or(Value::Null);
            match body["retry_after"].as_u64().map(Duration::from_secs) {
                Some(wait) if wait <= LONGEST => sleep(wait).await,
                Some(_) | None => return Ok(Answer { status, body, seen }),
            }
        }
        bail!("{path} was too much for {}, for too long", self.url)
    }
}

impl Answer {
    /// The body of an answer that grants what was asked for.
    ///
    /// # Errors
    /// The problem, as it is told to people.
    pub(crate) fn granted(self) -> anyhow::Result<Value> {
        if self.status.is_success() {
            return Ok(self.body);
        }
        Err(Refused { status: self.status, words: told(&self.body, self.status) }.into())
    }

    /// The slug of the problem, if it is one.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.body["type"].as_str()?.strip_prefix("urn:herald:")
    }
}

/// A problem (RFC 9457) in its own words: of fields, which and why.
fn told(problem: &Value, status: StatusCode) -> String {
    let text = |of: &Value, name: &str| of[name].as_str().unwrap_or_default().to_owned();
    let fields = problem["errors"].as_array().into_iter().flatten();
    let fields: Vec<_> = fields.map(|field| format!("{}: {}", text(field, "field"), text(field, "detail"))).collect();
    if !fields.is_empty() {
        return fields.join("; ");
    }
    let words = [text(problem, "detail"), text(problem, "title"), status.to_string()];
    words.into_iter().find(|words| !words.is_empty()).unwrap_or_default()
}
