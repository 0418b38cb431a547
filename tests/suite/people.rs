//! People with a REST client, as tests know them.

use reqwest::{Client, Method, StatusCode, header::HeaderMap};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU32, Ordering};
use uuid::Uuid;

pub const PASSWORD: &str = "correct horse battery";

/// Somebody who signed up, and the session they hold.
#[derive(Clone)]
pub struct Person {
    pub url: String,
    pub username: String,
    pub user_id: String,
    pub access_token: String,
    pub refresh_token: String,
    http: Client,
}

/// What a herald answered.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// `Null` where the body was empty.
    pub body: Value,
}

impl Person {
    /// Somebody new.
    pub async fn sign_up(url: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let username = format!("person{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let body = json!({ "username": username, "password": PASSWORD, "display_name": "Some Body" });
        let http = Client::new();
        let answer = send(http.post(format!("{url}/v1/signup")).json(&body)).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{answer:?}");
        Self::holding(url, http, &username, &answer.body["tokens"])
    }

    /// The same person on another device or node.
    pub async fn log_in(&self, url: &str) -> Self {
        let body = json!({ "username": self.username, "password": PASSWORD });
        let answer = send(self.http.post(format!("{url}/v1/login")).json(&body)).await;
        assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
        Self::holding(url, self.http.clone(), &self.username, &answer.body)
    }

    /// The same person with tokens that they were given.
    pub fn with_tokens(&self, url: &str, tokens: &Value) -> Self {
        Self::holding(url, Client::new(), &self.username, tokens)
    }

    /// The same person and session, speaking to another node.
    pub fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), http: Client::new(), ..self.clone() }
    }

    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(&self.access_token)
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    /// Asks a view that has applied at least that.
    pub async fn get_after(&self, position: &str, path: &str) -> Answer {
        send(self.request(Method::GET, path).header("herald-after", position)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        send(self.request(Method::PATCH, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    /// Writes into a thread.
    pub async fn write_in(&self, thread_id: &str, text: &str) -> Answer {
        self.post(&format!("/v1/threads/{thread_id}/messages"), json!({ "key": key(), "body": text })).await
    }

    /// Creates a group with others.
    pub async fn create_group(&self, others: &[&Self]) -> String {
        let member_ids: Vec<_> = others.iter().map(|other| &other.user_id).collect();
        let body = json!({ "kind": "group", "title": "group", "member_ids": member_ids });
        let created = self.post("/v1/threads", body).await;
        assert_eq!(created.status, StatusCode::CREATED, "{created:?}");
        created.body["thread_id"].as_str().unwrap().to_owned()
    }

    /// Writes into the direct thread with somebody.
    pub async fn write(&self, to: &Self, text: &str) -> Answer {
        self.post("/v1/messages", json!({ "to": to.user_id, "key": key(), "body": text })).await
    }

    fn holding(url: &str, http: Client, username: &str, tokens: &Value) -> Self {
        let text = |name: &str| tokens[name].as_str().unwrap().to_owned();
        Self {
            url: url.to_owned(),
            username: username.to_owned(),
            user_id: text("user_id"),
            access_token: text("access_token"),
            refresh_token: text("refresh_token"),
            http,
        }
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {self:?}")).to_str().unwrap()
    }

    /// Where the command's fact lies.
    pub fn position(&self) -> &str {
        self.header("herald-position")
    }

    /// The problem's slug.
    pub fn problem(&self) -> &str {
        assert_eq!(self.header("content-type"), "application/problem+json");
        self.body["type"].as_str().unwrap().strip_prefix("urn:herald:").unwrap()
    }
}

pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await.unwrap();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
    Answer { status, headers, body }
}

/// A key for a message.
#[expect(clippy::disallowed_methods, reason = "a test's client mints its keys")]
pub fn key() -> String {
    Uuid::now_v7().to_string()
}
