//! History: what was written in a thread and what happened to it, to those who
//! may see it.

use super::threads::role;
use crate::{
    app::App,
    auth::Caller,
    cursor::Cursor,
    frame::Attached,
    openapi::{CallerProblem, NotThere, QueryProblem},
    params::{self, InPath, InQuery},
    positions::{After, AsOf},
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{Json as Answer, extract::State, response::IntoResponse};
use events::{AttachmentId, MessageKey, ThreadId, UserId, event::Number};
use query::{
    View,
    timeline::{self, Change, Page, Place},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::{IntoParams, ToSchema};

/// What lies in a thread's history.
#[derive(Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(super) enum Entry {
    Message(Message),
    Notice(Notice),
}

/// What somebody wrote.
#[derive(Serialize, ToSchema)]
pub(super) struct Message {
    number: u32,
    #[schema(value_type = shapes::Id)]
    key: MessageKey,
    #[schema(value_type = shapes::Id)]
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
    #[schema(value_type = BTreeMap<String, Vec<shapes::Id>>)]
    reactions: BTreeMap<String, Vec<UserId>>,
    /// Members written as `@username`.
    #[schema(value_type = Vec<shapes::Id>)]
    mentions: Vec<UserId>,
    attachments: Vec<Attached<'static>>,
}

/// What happened to a group after the message of that number.
#[derive(Serialize, ToSchema)]
pub(super) struct Notice {
    number: u32,
    #[schema(value_type = shapes::ThreadEvent)]
    event: &'static str,
    /// Who did it.
    #[schema(value_type = shapes::Id)]
    by: UserId,
    /// Whom it concerns.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Id>)]
    user_id: Option<UserId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Role>)]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// What the group looks like since.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<shapes::Id>)]
    picture: Option<AttachmentId>,
    time: Time,
}

#[derive(Serialize, ToSchema)]
pub(super) struct History {
    entries: Vec<Entry>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true, value_type = Option<shapes::PageToken>)]
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
    #[param(value_type = Option<shapes::PageToken>)]
    cursor: Option<String>,
}

impl From<timeline::Message> for Message {
    fn from(message: timeline::Message) -> Self {
        Self {
            number: message.number,
            key: message.key,
            sender_id: message.sender_id,
            body: message.body,
            reply_to: message.reply_to,
            sent_at: Time(message.sent_at),
            edited_at: message.edited_at.map(Time),
            deleted_at: message.deleted_at.map(Time),
            reactions: message.reactions,
            mentions: message.mentions,
            attachments: message.attachments.iter().map(|file| Attached::from(file).into_owned()).collect(),
        }
    }
}

impl From<timeline::Notice> for Notice {
    fn from(notice: timeline::Notice) -> Self {
        let timeline::Notice { number, by, at, change, sequence: _ } = notice;
        let told =
            |event| Self { number, event, by, user_id: None, role: None, title: None, picture: None, time: Time(at) };
        match change {
            Change::Created { title } => Self { title, ..told("created") },
            Change::Renamed { title } => Self { title, ..told("renamed") },
            Change::MemberAdded { user_id, role: their } => {
                Self { user_id: Some(user_id), role: Some(role(their)), ..told("member_added") }
            }
            Change::MemberRemoved { user_id } => Self { user_id: Some(user_id), ..told("member_removed") },
            Change::MemberLeft => Self { user_id: Some(by), ..told("member_left") },
            Change::RoleChanged { user_id, role: their } => {
                Self { user_id: Some(user_id), role: Some(role(their)), ..told("role_changed") }
            }
            Change::PictureChanged { picture } => Self { picture, ..told("picture_changed") },
        }
    }
}

impl From<timeline::Entry> for Entry {
    fn from(entry: timeline::Entry) -> Self {
        match entry {
            timeline::Entry::Message(message) => Self::Message(message.into()),
            timeline::Entry::Notice(notice) => Self::Notice(notice.into()),
        }
    }
}

/// A page of a thread's history.
#[utoipa::path(get, path = "/v1/threads/{thread_id}/messages", tag = "messages", operation_id = "list_messages", security(("bearer" = [])),
    params(
        ("thread_id" = shapes::Id, Path),
        HistoryPage,
        After,
    ),
    responses(
        (status = 200, description = "Newest first with `before` or neither, oldest first with `after`",
            body = History, headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        NotThere, QueryProblem, CallerProblem,
    ))]
pub(super) async fn page(
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
    let mut entries = answer.value.ok_or_else(Problem::not_found)?;
    let more = entries.len() > usize::from(limit);
    entries.truncate(limit.into());
    let last = entries.last().filter(|_| more).map(timeline::Entry::place);
    let next = last.map(|last| Cursor::after(page, last).to_string());
    let entries = entries.into_iter().map(Entry::from).collect();
    Ok((AsOf(answer.as_of), Answer(History { entries, next })))
}

/// One message.
#[utoipa::path(get, path = "/v1/threads/{thread_id}/messages/{number}", tag = "messages", operation_id = "get_message", security(("bearer" = [])),
    params(
        ("thread_id" = shapes::Id, Path),
        ("number" = u32, Path),
        After,
    ),
    responses(
        (status = 200, description = "The message", body = Entry,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
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
    Ok((AsOf(answer.as_of), Answer(Entry::Message(message.into()))))
}

fn parse_page(page: &HistoryPage) -> Result<Page, Problem> {
    let before = params::number("before", page.before.as_deref())?;
    let after = params::number("after", page.after.as_deref())?;
    match (before, after, page.cursor.as_deref()) {
        (None, None, None) => Ok(Page::Latest),
        (Some(number), None, None) => Ok(Page::Before(Place { number, sequence: 0 })),
        (None, Some(number), None) => Ok(Page::After(Place { number, sequence: 0 })),
        (None, None, Some(cursor)) => cursor.parse::<Cursor>().map(Cursor::page),
        (None, Some(_), _) | (Some(_), _, _) => {
            Err(Problem::invalid("before", "excludes after and cursor, as they exclude each other"))
        }
    }
}
