//! One connection of a client, for tests that look at each frame of it: it holds
//! the vector against every position that comes.

use crate::{asyncapi, people::Person};
use events::{Position, Vector};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest, http::HeaderValue},
};

/// Longer than anything that is waited for takes.
const PATIENCE: Duration = Duration::from_secs(20);

/// A connection, whatever is said over it.
pub struct Client {
    pub stream: WebSocketStream<TcpStream>,
    pub vector: Vector,
    pub welcome: Value,
}

/// How a connection ended.
#[derive(Debug, PartialEq, Eq)]
pub struct Closed {
    pub code: u16,
    pub reason: String,
}

impl Client {
    /// A connection on which nothing has been said. A small window lets a client seem slow.
    pub async fn connect(url: &str, window: Option<u32>) -> Self {
        let authority = url.strip_prefix("http://").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        if let Some(window) = window {
            socket.set_recv_buffer_size(window).unwrap();
        }
        let stream = socket.connect(authority.parse().unwrap()).await.unwrap();
        let mut request = format!("ws://{authority}/v1/socket").into_client_request().unwrap();
        request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static("herald.v1"));
        let (stream, _) = client_async(request, stream).await.unwrap();
        Self { stream, vector: Vector::default(), welcome: Value::Null }
    }

    /// Connects and says hello; the frames that come next may be those that were missed.
    pub async fn hello(person: &Person, resume: Option<&Vector>) -> Self {
        let mut client = Self::connect(&person.url, None).await;
        client.greet(person, resume).await;
        client
    }

    pub async fn greet(&mut self, person: &Person, resume: Option<&Vector>) {
        let mut hello = json!({ "type": "hello", "token": person.access_token });
        if let Some(resume) = resume {
            hello["resume"] = json!(resume.to_string());
        }
        self.say(&hello).await;
        let welcome = self.next().await.unwrap_or_else(|closed| panic!("{closed:?} before the welcome"));
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        self.vector = resume.cloned().unwrap_or_else(|| vector(&welcome));
        self.welcome = welcome;
    }

    /// Connects without resuming, and is live.
    pub async fn live(person: &Person) -> Self {
        let mut client = Self::hello(person, None).await;
        // What was written just before may be heard meanwhile.
        client.until("live").await;
        client
    }

    pub async fn say(&mut self, frame: &Value) {
        self.send(Message::text(frame.to_string())).await;
    }

    /// Says it, unless the other side has closed.
    pub async fn try_say(&mut self, frame: &Value) -> Result<(), Error> {
        self.stream.send(Message::text(frame.to_string())).await
    }

    pub async fn send(&mut self, message: Message) {
        self.stream.send(message).await.unwrap();
    }

    /// The next frame, processed: the vector is raised by its position.
    pub async fn next(&mut self) -> Result<Value, Closed> {
        let frame = self.next_unprocessed().await?;
        match frame["type"].as_str().unwrap() {
            "live" | "reset" | "pong" => self.vector = vector(&frame),
            // What is answered raises nothing.
            "ack" => {}
            _ if frame["position"].is_string() => {
                let position: Position = frame["position"].as_str().unwrap().parse().unwrap();
                let before = self.vector.get(position.partition);
                assert!(position.sequence > before, "{frame} again, or out of order: {}", self.vector);
                self.vector.raise(position);
            }
            _ => {}
        }
        Ok(frame)
    }

    async fn next_unprocessed(&mut self) -> Result<Value, Closed> {
        loop {
            let message = timeout(PATIENCE, self.stream.next()).await.expect("a message or the end in time");
            match message {
                Some(Ok(Message::Text(text))) => {
                    let frame = serde_json::from_str(&text).unwrap();
                    asyncapi::told(&frame);
                    return Ok(frame);
                }
                Some(Ok(Message::Close(Some(close)))) => {
                    asyncapi::closed(close.code.into());
                    return Err(Closed { code: close.code.into(), reason: close.reason.to_string() });
                }
                Some(Ok(Message::Ping(_))) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// All frames up to the first of a type, that one left out.
    pub async fn until(&mut self, last: &str) -> Vec<Value> {
        let mut frames = Vec::new();
        loop {
            let frame = self.next().await.unwrap_or_else(|closed| panic!("{closed:?} before {last}"));
            if frame["type"] == last {
                return frames;
            }
            frames.push(frame);
        }
    }

    /// The next frame of a type.
    pub async fn expect(&mut self, expected: &str) -> Value {
        let frame = self.next().await.unwrap_or_else(|closed| panic!("{closed:?} before {expected}"));
        assert_eq!(frame["type"], expected, "{frame}");
        frame
    }

    /// Everything that has been sent to this socket by now.
    pub async fn drain(&mut self) -> Vec<Value> {
        self.say(&json!({ "type": "ping" })).await;
        self.until("pong").await
    }

    /// How it ends, whatever is said before.
    pub async fn closed(&mut self) -> Closed {
        loop {
            if let Err(closed) = self.next().await {
                return closed;
            }
        }
    }
}

fn vector(frame: &Value) -> Vector {
    frame["vector"].as_str().unwrap().parse().unwrap()
}
