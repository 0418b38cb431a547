//! Messages: sending them, and reading a thread's history.

use crate::{
    app::App,
    auth::Caller,
    cursor::Cursor,
    json::Json,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotThere, QueryProblem},
    params::{self, InPath, InQuery},
    positions::{After, AsOf, At},
    problem::Problem,
    sending::{self, SendAnswer, SendRequest, Written},
    time::Time,
};
use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use command::threads::To;
use events::{MessageKey, ThreadId, UserId, event::Number};
use query::{
    View,
    timeline::{Message, Page},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WrittenTo {
    /// The person to write to.
    #[schema(value_type = Uuid)]
    to: String,
    /// Minted by the sender, a UUIDv7: the same key again answers what it answered first.
    #[schema(value_type = Uuid)]
    key: String,
    /// 1 to 32,768 bytes after NFC.
    #[schema(example = "Hello")]
    body: String,
    /// The number of a message in the same thread.
    #[serde(default)]
    reply_to: Option<u32>,
}

/// What lies in a thread's history.
#[derive(Serialize, ToSchema)]
pub(super) struct Entry {
    #[schema(value_type = String, example = "message")]
    kind: &'static str,
    number: u32,
    #[schema(value_type = Uuid)]
    key: MessageKey,
    #[schema(value_type = Uuid)]
    sender_id: UserId,
    /// Null once the message was deleted or its author erased.
    #[schema(required = true)]
    body: Option<String>,
    #[schema(required = true)]
    reply_to: Option<u32>,
    sent_at: Time,
    #[schema(required = true)]
    edited_at: Option<Time>,
    #[schema(required = true)]
    deleted_at: Option<Time>,
    /// Who reacted, by emoji.
    #[schema(value_type = BTreeMap<String, Vec<Uuid>>)]
    reactions: BTreeMap<String, Vec<UserId>>,
    /// Members written as `@username`.
    #[schema(value_type = Vec<Uuid>)]
    mentions: Vec<UserId>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct History {
    entries: Vec<Entry>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true)]
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct HistoryPage {
    /// Those below that number, newest first.
    #[param(value_type = Option<u32>)]
    before: Option<String>,
    /// Those above that number, oldest first.
    #[param(value_type = Option<u32>)]
    after: Option<String>,
    /// 1 to 100, 50 unless told otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
    /// The `next` of the page before, in place of `before` and `after`.
    cursor: Option<String>,
}

impl From<Message> for Entry {
    fn from(message: Message) -> Self {
        let Message { number, sequence: _, key, sender_id, body, reply_to, sent_at } = message;
        Self {
            kind: "message",
            number,
            key,
            sender_id,
            body,
            reply_to,
            sent_at: Time(sent_at),
            edited_at: None,
            deleted_at: None,
            reactions: BTreeMap::new(),
            mentions: Vec::new(),
        }
    }
}

/// Sends a message into a thread: once per key, for ever.
#[utoipa::path(post, path = "/v1/threads/{thread_id}/messages", tag = "messages", operation_id = "send_message", security(("bearer" = [])),
    params(("thread_id" = Uuid, Path)),
    request_body = Written,
    responses(
        (status = 201, description = "Sent: it is durable in the log", body = SendAnswer,
            headers(("Herald-Position" = String, description = "Where the fact lies"))),
        (status = 200, description = "It was sent before: the first answer", body = SendAnswer,
            headers(("Herald-Position" = String, description = "Where the fact lies"))),
        (status = 404, description = "The thread, or the message replied to, is not there or not for the caller",
            body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`key-reused`: the key was used for another message", body = Problem,
            content_type = "application/problem+json"),
        CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn send_to_thread(
    State(app): State<App>,
    caller: Caller,
    InPath(thread_id): InPath<ThreadId>,
    Json(written): Json<Written>,
) -> Result<Response, Problem> {
    let request = SendRequest::parse(To::Thread(thread_id), &written)?;
    Ok(sent(sending::send(&app, caller.user_id(), request).await?))
}

/// Sends a message to a person, into the direct thread, which is opened if need be.
#[utoipa::path(post, path = "/v1/messages", tag = "messages", operation_id = "send_message_to_person", security(("bearer" = [])), request_body = WrittenTo,
    responses(
        (status = 201, description = "Sent: it is durable in the log", body = SendAnswer,
            headers(("Herald-Position" = String, description = "Where the fact lies"))),
        (status = 200, description = "It was sent before: the first answer", body = SendAnswer,
            headers(("Herald-Position" = String, description = "Where the fact lies"))),
        (status = 404, description = "The person, or the message replied to, is not there", body = Problem,
            content_type = "application/problem+json"),
        (status = 409, description = "`key-reused`: the key was used for another message", body = Problem,
            content_type = "application/problem+json"),
        CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn send_to_person(
    State(app): State<App>,
    caller: Caller,
    Json(WrittenTo { to, key, body, reply_to }): Json<WrittenTo>,
) -> Result<Response, Problem> {
    let request = SendRequest::parse(sending::peer("to", &to)?, &Written { key, body, reply_to })?;
    Ok(sent(sending::send(&app, caller.user_id(), request).await?))
}

/// A page of a thread's history.
#[utoipa::path(get, path = "/v1/threads/{thread_id}/messages", tag = "messages", operation_id = "list_messages", security(("bearer" = [])),
    params(
        ("thread_id" = Uuid, Path),
        HistoryPage,
        After,
    ),
    responses(
        (status = 200, description = "Newest first with `before` or neither, oldest first with `after`",
            body = History, headers(("Herald-As-Of" = String, description = "What the answer has seen"))),
        NotThere, QueryProblem, CallerProblem,
    ))]
pub(super) async fn history(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(thread_id): InPath<ThreadId>,
    InQuery(page): InQuery<HistoryPage>,
) -> Result<impl IntoResponse, Problem> {
    let limit = params::limit(page.limit.as_deref())?;
    let page = parse_page(&page)?;
    let reader = caller.user_id();
    // One more than asked for tells whether there is a next page.
    let question = || app.views.history(reader, thread_id, page, limit + 1);
    let answer = after.ask(&app, View::Timeline, question).await?;
    let mut messages = answer.value.ok_or_else(Problem::not_found)?;
    let more = messages.len() > usize::from(limit);
    messages.truncate(limit.into());
    let last = messages.last().filter(|_| more).map(|message| message.number);
    let next = last.map(|number| Cursor::after(page, number).to_string());
    let entries = messages.into_iter().map(Entry::from).collect();
    Ok((AsOf(answer.as_of), Answer(History { entries, next })))
}

/// One message.
#[utoipa::path(get, path = "/v1/threads/{thread_id}/messages/{number}", tag = "messages", operation_id = "get_message", security(("bearer" = [])),
    params(
        ("thread_id" = Uuid, Path),
        ("number" = u32, Path),
        After,
    ),
    responses(
        (status = 200, description = "The message", body = Entry,
            headers(("Herald-As-Of" = String, description = "What the answer has seen"))),
        NotThere, CallerProblem,
    ))]
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath((thread_id, number)): InPath<(ThreadId, Number)>,
) -> Result<impl IntoResponse, Problem> {
    let reader = caller.user_id();
    let question = || app.views.message(reader, thread_id, number);
    let answer = after.ask(&app, View::Timeline, question).await?;
    let message = answer.value.ok_or_else(Problem::not_found)?;
    Ok((AsOf(answer.as_of), Answer(Entry::from(message))))
}

fn sent(answer: SendAnswer) -> Response {
    let status = if answer.repeated { StatusCode::OK } else { StatusCode::CREATED };
    (status, At(answer.position), Answer(answer)).into_response()
}

fn parse_page(page: &HistoryPage) -> Result<Page, Problem> {
    let before = params::number("before", page.before.as_deref())?;
    let after = params::number("after", page.after.as_deref())?;
    match (before, after, page.cursor.as_deref()) {
        (None, None, None) => Ok(Page::Latest),
        (Some(number), None, None) => Ok(Page::Before(number)),
        (None, Some(number), None) => Ok(Page::After(number)),
        (None, None, Some(cursor)) => cursor.parse::<Cursor>().map(Cursor::page),
        (None, Some(_), _) | (Some(_), _, _) => {
            Err(Problem::invalid("before", "excludes after and cursor, as they exclude each other"))
        }
    }
}
