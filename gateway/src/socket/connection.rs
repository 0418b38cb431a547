//! One socket's task: waits for what comes first, hands it to the session, and
//! carries out what that asks for. Reads, writes, requests and pushes do not
//! wait for one another.

use super::{commands::Commands, writing::Writing};
use crate::{
    app::App,
    frame::{Resume, ServerFrame},
    hub::{Ended, Outbox, Seat},
    measures::{self, OpenSocket},
    seam,
    session::{Close, Effect, Event, HEARTBEAT, Incoming, Limits, Session, Whose},
    time::Time,
};
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket};
use command::accounts::Identity;
use futures_util::{
    FutureExt, StreamExt,
    future::{BoxFuture, OptionFuture},
    stream::SplitStream,
};
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    sync::Arc,
    time::Duration,
};
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};

/// How long a closing socket waits for its client to close as well.
const CLOSING: Duration = Duration::from_secs(5);
/// As long for one that reads slowly: the close lies behind what was written before it.
const CLOSING_SLOW: Duration = Duration::from_secs(20);
/// How long the requests under way may take when the node or the client goes.
const ANSWERING: Duration = Duration::from_secs(10);
/// A connection dropped while the client still sends is reset, and the close may be lost with it.
const LINGER: Duration = Duration::from_secs(1);
/// Those who are sent away at once come back spread over that many milliseconds.
const SPREAD_MS: u64 = 5_000;

pub(super) struct Connection {
    app: App,
    began: Instant,
    session: Session,
    stream: SplitStream<WebSocket>,
    writing: Writing,
    outbox: Arc<Outbox>,
    entered: Option<(Identity, Arc<Seat>)>,
    attaching: OptionFuture<BoxFuture<'static, Event>>,
    commands: Commands,
    /// The stream gave an error, and gives nothing more.
    broken: bool,
}

enum Happening {
    Time,
    Event(Event),
    Message(Option<Result<Message, axum::Error>>),
    /// The outbox has something, or has ended.
    Outbox,
    Written(Result<(), axum::Error>),
    Answer(Option<Utf8Bytes>),
}

/// How the socket ends.
enum Last {
    Close(Close),
    End,
}

impl Connection {
    pub(super) fn new(app: App, socket: WebSocket) -> Box<Self> {
        let (sink, stream) = socket.split();
        let limits = Limits { flood: app.limits.flood(), idle: app.settings.idle_close };
        let session = Session::new(jitter(), limits);
        Box::new(Self {
            app,
            began: Instant::now(),
            session,
            stream,
            writing: Writing::to(sink),
            outbox: Arc::default(),
            entered: None,
            attaching: None.into(),
            commands: Commands::default(),
            broken: false,
        })
    }

    // On the heap, so that the task which waits for it is small: a future has room for each place where it is moved to.
    pub(super) async fn run(mut self: Box<Self>) {
        let _open = OpenSocket::new();
        loop {
            while let Some(effect) = self.session.poll_effect() {
                match self.carry_out(effect) {
                    None => {}
                    Some(Last::Close(close)) => return Box::pin(self.close(close)).await,
                    Some(Last::End) => return Box::pin(self.end()).await,
                }
            }
            self.writing.fill(&self.outbox);
            let happening = self.next().await;
            self.handle(happening);
        }
    }

    async fn next(&mut self) -> Happening {
        let deadline = self.began + self.session.poll_timeout().unwrap_or_default();
        tokio::select! {
            () = self.app.draining.cancelled() => Happening::Event(Event::Draining),
            () = sleep_until(deadline) => Happening::Time,
            () = self.outbox.changed() => Happening::Outbox,
            Some(event) = &mut self.attaching => Happening::Event(event),
            written = self.writing.write(), if self.writing.is_due() => Happening::Written(written),
            answer = self.commands.next(), if !self.commands.is_idle() => Happening::Answer(answer),
            message = self.stream.next(), if self.commands.has_room() => Happening::Message(message),
        }
    }

    fn handle(&mut self, happening: Happening) {
        match happening {
            Happening::Time => self.session.handle_timeout(self.began.elapsed()),
            Happening::Event(event) => {
                self.attaching = None.into();
                self.session.handle_event(event);
            }
            Happening::Message(message) => self.handle_message(message),
            Happening::Outbox => {
                if let Some(ended) = self.outbox.ended() {
                    self.writing.forget();
                    self.session.handle_event(told(ended));
                }
            }
            Happening::Written(Ok(())) | Happening::Answer(None) => {}
            Happening::Written(Err(_)) => self.session.handle_event(Event::Gone),
            Happening::Answer(Some(frame)) => self.session.handle_event(Event::Answered(frame)),
        }
    }

    fn handle_message(&mut self, message: Option<Result<Message, axum::Error>>) {
        let now = self.began.elapsed();
        match message {
            Some(Ok(Message::Text(text))) => {
                measures::received();
                self.session.handle_frame(now, Incoming::Text(&text));
            }
            Some(Ok(Message::Binary(_))) => self.session.handle_frame(now, Incoming::Binary),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => self.session.handle_frame(now, Incoming::Alive),
            Some(Ok(Message::Close(_))) | None => self.session.handle_event(Event::Gone),
            Some(Err(error)) => {
                self.broken = true;
                self.session.handle_event(unreadable(error));
            }
        }
    }

    fn carry_out(&mut self, effect: Effect) -> Option<Last> {
        match effect {
            Effect::Enter { token } => {
                let event = self.enter(&token);
                self.session.handle_event(event);
            }
            Effect::Refresh { token } => {
                let event = match self.app.accounts.authenticate(&token) {
                    Ok(identity) => Event::Refreshed(self.whose(&identity)),
                    Err(_) => Event::Unauthorized,
                };
                self.session.handle_event(event);
            }
            Effect::Attach { resume } => self.attach(resume),
            Effect::Execute(command) => {
                if let Some((identity, _)) = &self.entered {
                    self.commands.push(&self.app, identity.user_id, command);
                }
            }
            Effect::Watch { user_ids } => {
                if let Some((_, seat)) = &self.entered {
                    seat.watch(user_ids, Arc::clone(&self.outbox));
                }
            }
            Effect::Send(frame) => {
                self.outbox.push(frame);
            }
            Effect::Pong => {
                if let Some((_, seat)) = &self.entered {
                    seat.pong();
                }
            }
            Effect::Ping => self.writing.ping(),
            Effect::Close(close) => return Some(Last::Close(close)),
            Effect::End => return Some(Last::End),
        }
        None
    }

    fn enter(&mut self, token: &str) -> Event {
        let Ok(identity) = self.app.accounts.authenticate(token) else { return Event::Unauthorized };
        let seat = self.app.hub.enter(identity.user_id, identity.session_id, Arc::clone(&self.outbox));
        // If its session ended before the hub knew of this socket, accounts know by now; if later, the hub tells.
        if self.app.accounts.has_ended(identity.session_id) {
            return Event::Unauthorized;
        }
        let welcome = ServerFrame::Welcome {
            session_id: identity.session_id,
            user_id: identity.user_id,
            time: Time(self.app.clock.now()),
            heartbeat_s: HEARTBEAT.as_secs(),
            epoch: self.app.log.epoch(),
            vector: seat.entered(),
        };
        let event = Event::Entered { whose: self.whose(&identity), welcome: welcome.encode() };
        self.entered = Some((identity, Arc::new(seat)));
        event
    }

    fn attach(&mut self, resume: Option<Resume>) {
        if let Some((identity, seat)) = &self.entered {
            let (app, user_id, seat) = (self.app.clone(), identity.user_id, Arc::clone(seat));
            let attaching = async move {
                match seam::attach(&app, &seat, user_id, resume.as_ref()).await {
                    Ok(_) => Event::Attached,
                    Err(seam::Unavailable(why)) => Event::Unavailable(why),
                }
            };
            self.attaching = Some(attaching.boxed()).into();
        }
    }

    fn whose(&self, identity: &Identity) -> Whose {
        let Identity { user_id, session_id, expires_at } = *identity;
        let left = expires_at.signed_duration_since(self.app.clock.now()).to_std().unwrap_or_default();
        Whose { user_id, session_id, until: self.began.elapsed() + left }
    }

    async fn close(mut self: Box<Self>, close: Close) {
        self.leave();
        if self.app.draining.is_cancelled() {
            self.answer_the_rest().await;
        }
        measures::closed(close.code);
        tracing::debug!(code = close.code, reason = close.reason, "a socket is closed");
        let patience = if close.code == Close::SLOW { CLOSING_SLOW } else { CLOSING };
        let frame = CloseFrame { code: close.code, reason: close.reason.into() };
        let closed = async {
            if self.writing.finish(Message::Close(Some(frame))).await.is_ok() {
                while let Some(Ok(_)) = self.stream.next().await {}
            }
        };
        if timeout(patience, closed).await.is_ok() && self.broken {
            sleep(LINGER).await;
        }
    }

    /// What was asked for is done, and answered.
    async fn answer_the_rest(&mut self) {
        let answers = async {
            while let Some(answer) = self.commands.next().await {
                self.outbox.push(answer);
            }
        };
        if timeout(ANSWERING, answers).await.is_err() {
            tracing::debug!("requests are left unanswered");
        }
        self.writing.append(&self.outbox);
    }

    /// The client is gone or has closed. What it asked for before is done all the same; it is owed the answer to its
    /// close, at most.
    async fn end(mut self: Box<Self>) {
        self.leave();
        self.writing.forget();
        timeout(LINGER, self.writing.write()).await.ok();
        self.answer_the_rest().await;
    }

    /// The hub sends no more.
    fn leave(&mut self) {
        self.attaching = None.into();
        self.entered = None;
    }
}

fn told(ended: Ended) -> Event {
    match ended {
        Ended::Slow => Event::Slow,
        Ended::Revoked => Event::Revoked,
        Ended::Superseded => Event::Superseded,
        Ended::Deaf => Event::Unavailable("this node does not hear the log"),
        Ended::Lost => Event::Unavailable("this node was taken for dead"),
    }
}

fn unreadable(error: axum::Error) -> Event {
    let error = error.into_inner();
    let Some(error) = error.downcast_ref::<tungstenite::Error>() else { return Event::Gone };
    match error {
        tungstenite::Error::Utf8(_) => Event::NotUtf8,
        tungstenite::Error::Capacity(_) => Event::TooLong,
        tungstenite::Error::Protocol(error) if *error != ProtocolError::ResetWithoutClosingHandshake => {
            Event::NotWebSocket
        }
        tungstenite::Error::Protocol(_)
        | tungstenite::Error::ConnectionClosed
        | tungstenite::Error::AlreadyClosed
        | tungstenite::Error::Io(_)
        | tungstenite::Error::WriteBufferFull(_)
        | tungstenite::Error::AttackAttempt
        | tungstenite::Error::Url(_)
        | tungstenite::Error::Http(_)
        | tungstenite::Error::HttpFormat(_)
        | tungstenite::Error::Tls(_) => Event::Gone,
    }
}

/// Of the randomness that hash maps are seeded with.
fn jitter() -> Duration {
    Duration::from_millis(RandomState::new().build_hasher().finish() % SPREAD_MS)
}
