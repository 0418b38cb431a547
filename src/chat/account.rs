//! Somebody's session: signed in, its token renewed before it is over, and what
//! they have written read back wherever they ask. Tokens are kept nowhere.

use super::rest::{Answer, Rest};
use anyhow::{Context, bail};
use events::Vector;
use reqwest::{Method, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{Instant, timeout};
use uuid::Uuid;

const DEVICE: &str = "terminal";
/// For the last words.
const HASTE: Duration = Duration::from_secs(3);

pub(super) struct Account {
    rest: Rest,
    tokens: Tokens,
    /// When to renew them: well before they are over.
    pub(super) renewal: Instant,
    /// What the next answer has to have seen.
    seen: Vector,
}

#[derive(Deserialize)]
struct Tokens {
    user_id: Uuid,
    access_token: String,
    refresh_token: String,
    expires_in: u64,
}

impl Account {
    /// Logs in, or signs up under a display name.
    ///
    /// # Errors
    /// When herald does not answer, or refuses.
    pub(super) async fn enter(
        rest: Rest,
        username: &str,
        password: &str,
        sign_up: Option<&str>,
    ) -> anyhow::Result<Self> {
        let mut body = json!({ "username": username, "password": password, "device": DEVICE });
        let path = if let Some(name) = sign_up {
            body["display_name"] = json!(name);
            "/v1/signup"
        } else {
            "/v1/login"
        };
        let answer = rest.ask(Method::POST, path, None, &Vector::default(), Some(&body)).await?;
        if answer.problem() == Some("username-taken") {
            bail!("{username} is taken: leave out --sign-up if it is you");
        }
        let mut tokens = answer.granted()?;
        if sign_up.is_some() {
            tokens = tokens["tokens"].take();
        }
        let tokens: Tokens = serde_json::from_value(tokens).context("an answer without tokens")?;
        Ok(Self { rest, renewal: renewal(&tokens), tokens, seen: Vector::default() })
    }

    pub(super) fn id(&self) -> Uuid {
        self.tokens.user_id
    }

    pub(super) fn token(&self) -> &str {
        &self.tokens.access_token
    }

    pub(super) fn url(&self) -> &Url {
        self.rest.url()
    }

    /// Every later answer has seen that.
    pub(super) fn has_seen(&mut self, vector: &Vector) {
        vector.iter().for_each(|position| self.seen.raise(position));
    }

    /// Asks for something.
    ///
    /// # Errors
    /// When herald does not answer, or refuses.
    pub(super) async fn get(&mut self, path: &str) -> anyhow::Result<Value> {
        let after = self.seen.clone();
        let mut answer = self.ask(Method::GET, path, &after, None).await?;
        if answer.problem() == Some("invalid-position") {
            // Of a log that has been replaced since.
            self.seen = Vector::default();
            answer = self.ask(Method::GET, path, &Vector::default(), None).await?;
        }
        self.has_seen(&answer.seen);
        answer.granted()
    }

    /// Has something done.
    ///
    /// # Errors
    /// When herald does not answer, or refuses.
    pub(super) async fn act(&mut self, method: Method, path: &str, body: Value) -> anyhow::Result<Value> {
        let answer = self.ask(method, path, &Vector::default(), Some(&body)).await?;
        self.has_seen(&answer.seen);
        answer.granted()
    }

    /// Exchanges the tokens for new ones.
    ///
    /// # Errors
    /// When herald does not answer, or the session is over.
    pub(super) async fn renew(&mut self) -> anyhow::Result<()> {
        let body = json!({ "refresh_token": self.tokens.refresh_token });
        let answer = self.rest.ask(Method::POST, "/v1/token", None, &Vector::default(), Some(&body)).await?;
        if answer.status == StatusCode::UNAUTHORIZED {
            bail!(SignedOut);
        }
        self.tokens = serde_json::from_value(answer.granted()?).context("an answer without tokens")?;
        self.renewal = renewal(&self.tokens);
        Ok(())
    }

    /// Ends the session, if herald can be reached.
    pub(super) async fn log_out(self) {
        let nothing = Vector::default();
        let asked = self.rest.ask(Method::POST, "/v1/logout", Some(self.token()), &nothing, None);
        timeout(HASTE, asked).await.ok();
    }

    /// Asks, with another token where this one is over.
    async fn ask(
        &mut self,
        method: Method,
        path: &str,
        after: &Vector,
        body: Option<&Value>,
    ) -> anyhow::Result<Answer> {
        let answer = self.rest.ask(method.clone(), path, Some(self.token()), after, body).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        self.renew().await?;
        self.rest.ask(method, path, Some(self.token()), after, body).await
    }
}

/// The session was ended elsewhere.
#[derive(Debug, thiserror::Error)]
#[error("you were signed out")]
pub(super) struct SignedOut;

fn renewal(tokens: &Tokens) -> Instant {
    Instant::now() + Duration::from_secs(tokens.expires_in) * 4 / 5
}
