//! Sending a message, for REST and sockets alike: once per sender and key, for
//! ever. What the thread's own memory does not reach back to, the `timeline`
//! view is asked for.

use crate::{
    app::App,
    measures, params,
    positions::{ask, deadline},
    problem::Problem,
    shapes,
    time::Time,
};
use command::threads::{Absent, Send, Sent, ThreadError, To};
use events::{AttachmentId, MessageKey, Position, ThreadId, UserId, event::Number, text::Body};
use query::{View, timeline};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use tokio::time::Instant;
use utoipa::ToSchema;

/// How often the view is asked before the caller is sent away to ask again.
const ATTEMPTS: u32 = 4;

/// Files that one message may have.
const MOST_FILES: usize = 10;

/// What a client wrote.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    /// Minted by the sender, a UUIDv7: the same key again answers what it answered first.
    #[schema(value_type = shapes::MintedId)]
    pub(crate) key: String,
    /// 1 to 32,768 bytes after NFC, whatever the characters it was composed of; may be empty beside attachments.
    #[schema(example = "Hello", max_length = 49152)]
    pub(crate) body: String,
    /// The number of a message in the same thread.
    #[serde(default)]
    pub(crate) reply_to: Option<u32>,
    /// Uploads of the sender's that nothing has used yet, at most 10.
    #[serde(default)]
    #[schema(value_type = Vec<shapes::Id>, max_items = 10)]
    pub(crate) attachments: Vec<String>,
}

/// A message to send, parsed.
#[derive(Debug, Clone)]
pub(crate) struct SendRequest {
    pub(crate) to: To,
    pub(crate) key: MessageKey,
    pub(crate) body: Body,
    pub(crate) reply_to: Option<Number>,
    pub(crate) attachments: Vec<AttachmentId>,
}

/// A message that is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema, JsonSchema)]
pub(crate) struct SendAnswer {
    #[schema(value_type = shapes::Id)]
    pub(crate) thread_id: ThreadId,
    #[schema(example = 42)]
    pub(crate) number: u32,
    #[schema(value_type = shapes::Id)]
    pub(crate) key: MessageKey,
    #[schema(value_type = shapes::Position)]
    pub(crate) position: Position,
    pub(crate) sent_at: Time,
    /// Whether it was there before.
    #[serde(skip)]
    pub(crate) repeated: bool,
}

impl SendRequest {
    /// Parses what a client wrote.
    ///
    /// # Errors
    /// 422 for a key that is no UUIDv7, or a text that may not be.
    pub(crate) fn parse(to: To, written: &Written) -> Result<Self, Problem> {
        let Written { key, body, reply_to, attachments } = written;
        let is_files = body.is_empty() && !attachments.is_empty();
        Ok(Self {
            to,
            key: MessageKey::parse_minted(key).map_err(|error| Problem::invalid("key", error))?,
            body: if is_files {
                Body::NONE
            } else {
                Body::parse(body).map_err(|error| Problem::invalid("body", error))?
            },
            reply_to: *reply_to,
            attachments: uploads(attachments)?,
        })
    }
}

/// Parses the id of a thread to send to, as the field of that name.
///
/// # Errors
/// 400 where it is none.
pub(crate) fn thread(field: &str, text: &str) -> Result<To, Problem> {
    params::id(field, text).map(To::Thread)
}

/// Parses the id of a person to send to, as the field of that name.
///
/// # Errors
/// 400 where it is none.
pub(crate) fn peer(field: &str, text: &str) -> Result<To, Problem> {
    params::id(field, text).map(To::Peer)
}

/// Sends a message; the same key again answers what it answered first.
///
/// # Errors
/// What the thread refuses, 409 for a key that was used for another message, 429; technical ones.
pub(crate) async fn send(app: &App, by: UserId, request: SendRequest) -> Result<SendAnswer, Problem> {
    let began = Instant::now();
    let answer = acknowledge(app, by, request).await?;
    measures::acknowledged(began.elapsed());
    Ok(answer)
}

async fn acknowledge(app: &App, by: UserId, request: SendRequest) -> Result<SendAnswer, Problem> {
    app.limits.send(by)?;
    let named = app.accounts.named_in(request.body.as_str()).await?;
    let mut absent = None;
    for _ in 0..ATTEMPTS {
        let SendRequest { to, key, body, reply_to, attachments } = request.clone();
        let mentions = named.clone();
        match app.threads.send(Send { by, to, key, body, reply_to, mentions, attachments, absent }).await {
            Ok(sent) => return Ok(first(request.key, &sent)),
            Err(ThreadError::KeyUnknown { thread_id, as_of }) => {
                let question = || app.views.find_key(thread_id, by, key);
                let found = ask(app, View::Timeline, &as_of.into(), deadline(), question).await?;
                let sequence = found.as_of.get(as_of.partition);
                match found.value {
                    Some(sent) => return repeated(&request, thread_id, as_of, &sent),
                    None => absent = Some(Absent { as_of: Position { sequence, ..as_of } }),
                }
            }
            Err(refusal) => return Err(refusal.into()),
        }
    }
    Err(Problem::unavailable("the thread is changing too fast, try again"))
}

/// The ids of uploads, as a client names them.
///
/// # Errors
/// 400 where one is no id, 422 where they are too many or one is named twice.
fn uploads(ids: &[String]) -> Result<Vec<AttachmentId>, Problem> {
    if ids.len() > MOST_FILES {
        return Err(Problem::invalid("attachments", format!("are more than {MOST_FILES}")));
    }
    let parsed: Vec<AttachmentId> = ids.iter().map(|id| params::id("attachments", id)).collect::<Result<_, _>>()?;
    if parsed.iter().collect::<BTreeSet<_>>().len() < parsed.len() {
        return Err(Problem::invalid("attachments", "name one file twice"));
    }
    Ok(parsed)
}

fn first(key: MessageKey, sent: &Sent) -> SendAnswer {
    let &Sent { thread_id, number, position, sent_at, repeated } = sent;
    SendAnswer { thread_id, number, key, position, sent_at: Time(sent_at), repeated }
}

/// The first answer, as the view has it, if this is the same message. What it said at first is not known of one that was
/// edited or deleted, or whose author was erased: then any text is taken for the same.
fn repeated(
    request: &SendRequest,
    thread_id: ThreadId,
    near: Position,
    sent: &timeline::Sent,
) -> Result<SendAnswer, Problem> {
    let is_another = sent.body.as_ref().is_some_and(|body| *body != request.body.as_str());
    // The files of a deleted message are gone with its text.
    let has_others = sent.body.is_some() && sent.attachments != request.attachments;
    if is_another || has_others || sent.reply_to != request.reply_to {
        return Err(ThreadError::KeyReused.into());
    }
    Ok(SendAnswer {
        thread_id,
        number: sent.number,
        key: request.key,
        position: Position { sequence: sent.sequence, ..near },
        sent_at: Time(sent.sent_at),
        repeated: true,
    })
}
