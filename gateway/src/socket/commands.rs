//! A socket's requests, carried out in their order and beside its pushes. Who
//! asks for more than is answered is not read any further until it is.

use crate::{
    amending,
    app::App,
    frame::{self, AmendFrame, RequestId, SendFrame},
    json, params,
    problem::{Kind, Problem},
    sending::{self, SendAnswer, SendRequest, Written},
    session::Command,
    trace,
};
use axum::extract::ws::Utf8Bytes;
use command::threads::Amendment;
use events::{Position, UserId};
use futures_util::{FutureExt, StreamExt, future::BoxFuture, stream::FuturesUnordered};
use schemars::JsonSchema;
use serde::Serialize;
use std::{collections::VecDeque, future::pending, time::Duration};
use tokio::time::timeout;
use tracing::{Instrument, Span, field::Empty};

/// Requests of one socket that are under way or wait.
const MOST: usize = 32;
/// As long as a handler of REST may take.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Default)]
pub(super) struct Commands {
    waiting: VecDeque<Answered>,
    /// Receipts and typing commute and are not answered: none waits for another.
    unanswered: FuturesUnordered<BoxFuture<'static, ()>>,
}

type Answered = BoxFuture<'static, Utf8Bytes>;

impl Commands {
    pub(super) fn push(&mut self, app: &App, by: UserId, command: Command) {
        let app = app.clone();
        match command {
            Command::Send(send) => self.waiting.push_back(
                async move {
                    let sending = carry_out(&app, by, &send);
                    let span = || tracing::info_span!("gateway.send", trace_id = Empty);
                    answer(&send.id, send.traceparent.as_deref(), span, Box::pin(sending)).await
                }
                .boxed(),
            ),
            Command::Amend(amend) => self.waiting.push_back(
                async move {
                    let amending = change(&app, by, &amend);
                    let span = || tracing::info_span!("gateway.amend", trace_id = Empty);
                    answer(&amend.id, amend.traceparent.as_deref(), span, amending).await
                }
                .boxed(),
            ),
            Command::Refuse { id, fault } => {
                self.waiting.push_back(
                    std::future::ready(frame::error(&id, &json::mismatch(&fault.path, &fault.error))).boxed(),
                );
            }
            Command::Receipt { delivered: None, read: None, .. } => {}
            // Nobody is told: the next one says as much, and more.
            Command::Receipt { .. } | Command::Typing { .. } if app.limits.receipt(by).is_err() => {}
            Command::Typing { thread_id } => self.unanswered.push(
                async move {
                    // To who may not, it is as if nobody were there.
                    if let Err(error) = app.threads.tell_typing(by, thread_id).await {
                        tracing::debug!(%error, "nobody is told who is writing");
                    }
                }
                .boxed(),
            ),
            Command::Receipt { thread_id, delivered, read } => self.unanswered.push(
                async move {
                    if let Err(error) = app.threads.advance_receipt(by, thread_id, delivered, read).await {
                        tracing::debug!(%error, "a receipt was not taken");
                    }
                }
                .boxed(),
            ),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.waiting.len() < MOST && self.unanswered.len() < MOST
    }

    pub(super) fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.unanswered.is_empty()
    }

    /// Goes on until a request is answered, or the last of the others is done. Dropped half-way, it loses nothing.
    pub(super) async fn next(&mut self) -> Option<Utf8Bytes> {
        while !self.is_idle() {
            let Self { waiting, unanswered } = self;
            let first = async {
                match waiting.front_mut() {
                    Some(first) => first.await,
                    None => pending().await,
                }
            };
            tokio::select! {
                answer = first => {
                    waiting.pop_front();
                    return Some(answer);
                }
                Some(()) = unanswered.next() => {}
            }
        }
        None
    }
}

/// The answer to a change of a message.
#[derive(Serialize, JsonSchema)]
pub(crate) struct ChangeAnswer {
    position: Position,
}

async fn answer<A: Serialize>(
    id: &RequestId,
    traceparent: Option<&str>,
    span: impl FnOnce() -> Span,
    carrying_out: impl Future<Output = Result<A, Problem>>,
) -> Utf8Bytes {
    let brought = trace::of_frame(traceparent);
    let span = {
        let _brought = brought.clone().attach();
        span()
    };
    let carrying_out = async {
        trace::tell(&brought);
        let answer = carrying_out.await;
        tracing::debug!("answered");
        answer
    };
    let answer = timeout(PATIENCE, carrying_out.instrument(span)).await;
    match answer.unwrap_or_else(|_| Err(Problem::outcome_unknown())) {
        Ok(answer) => frame::ack(id, &answer),
        Err(problem) => frame::error(id, &problem),
    }
}

async fn carry_out(app: &App, by: UserId, send: &SendFrame) -> Result<SendAnswer, Problem> {
    let SendFrame { thread_id, to, key, body, reply_to, attachments, .. } = send;
    let to = match (thread_id, to) {
        (Some(thread_id), None) => sending::thread("thread_id", thread_id)?,
        (None, Some(peer)) => sending::peer("to", peer)?,
        (Some(_), Some(_)) | (None, None) => {
            return Err(Problem::new(Kind::Validation, "either thread_id or to is needed")
                .with_field("thread_id", "is given, or to is, and not both")
                .with_field("to", "is given, or thread_id is, and not both"));
        }
    };
    let attachments = attachments.clone().unwrap_or_default();
    let written = Written { key: key.clone(), body: body.clone(), reply_to: *reply_to, attachments };
    sending::send(app, by, SendRequest::parse(to, &written)?).await
}

async fn change(app: &App, by: UserId, amend: &AmendFrame) -> Result<ChangeAnswer, Problem> {
    let AmendFrame { thread_id, number, change, .. } = amend;
    let (thread_id, number) = (params::id("thread_id", thread_id)?, *number);
    let emoji = |text: &str| text.parse().map_err(|error| Problem::invalid("emoji", error));
    let change = match change {
        frame::Amendment::Edit { body } => {
            let edited = amending::edit(app, by, thread_id, number, body).await?;
            return Ok(ChangeAnswer { position: edited.position });
        }
        frame::Amendment::Delete => Amendment::Delete,
        frame::Amendment::React { emoji: text } => Amendment::React(emoji(text)?),
        frame::Amendment::Unreact { emoji: text } => Amendment::Unreact(emoji(text)?),
    };
    let amended = amending::amend(app, by, thread_id, number, change).await?;
    Ok(ChangeAnswer { position: amended.position })
}
