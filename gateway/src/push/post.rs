//! One request to the one address: signed, bounded in time, never redirected.

use super::{Endpoint, Secret, letter, letter::Verdict};
use events::Timestamp;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use std::{io, time::Duration};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

/// How long a receiver may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read, so that its connection can be used again.
const ANSWER: usize = 16 << 10;

/// The way to the receiver. Cheap to clone.
#[derive(Clone)]
pub(super) struct Post {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    endpoint: Endpoint,
    secret: Secret,
}

/// How a post ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) why: String,
}

impl Post {
    /// # Errors
    /// When the system has no certificates to trust.
    pub(super) fn new(endpoint: Endpoint, secret: Secret) -> io::Result<Self> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
            .https_or_http()
            .enable_http1()
            .build();
        let client = Client::builder(TokioExecutor::new()).build(connector);
        Ok(Self { client, endpoint, secret })
    }

    pub(super) async fn send(&self, id: Uuid, at: Timestamp, body: Vec<u8>) -> Ended {
        let again = |why| Ended { verdict: Verdict::Again(None), why };
        let second = at.timestamp();
        let request = Request::builder()
            .method(Method::POST)
            .uri(self.endpoint.uri())
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("herald/", env!("CARGO_PKG_VERSION")))
            .header("webhook-id", id.to_string())
            .header("webhook-timestamp", second)
            .header("webhook-signature", letter::signature(&self.secret, id, second, &body))
            .body(Full::from(body))
            .expect("an address that was parsed and headers of ASCII");
        let answer = async {
            let answer = self.client.request(request).await?;
            Ok::<_, hyper_util::client::legacy::Error>(answer.into_parts())
        };
        let until = Instant::now() + PATIENCE;
        match timeout_at(until, answer).await {
            Err(_) => again(format!("no answer within {} s", PATIENCE.as_secs())),
            Ok(Err(error)) => again(chain(&error)),
            Ok(Ok((head, body))) => {
                // What it means stands in the head, however long the rest takes.
                timeout_at(until, read_out(body)).await.ok();
                let retry_after = head.headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok());
                Ended {
                    verdict: letter::verdict(head.status, retry_after, at),
                    why: format!("answered {}", head.status),
                }
            }
        }
    }
}

/// What an answer says beyond its head is of no use; a long one costs its connection.
async fn read_out(body: Incoming) {
    Limited::new(body, ANSWER).collect().await.ok();
}

fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source()).skip(1);
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
