//! Threads: opening them, the inbox, and what groups are called.

use super::users::{self, User};
use crate::{
    app::App,
    auth::Caller,
    json::Json,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotAllowed, NotThere, QueryProblem},
    params::{self, InPath, InQuery},
    positions::{After, AsOf, At, written},
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use command::{thread::MAX_MEMBERS, threads::NewGroup};
use events::{AttachmentId, ThreadId, UserId, Vector, event::Role, text::Line};
use query::{
    Paged, View,
    inbox::{self, Kind, LastMessage},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum OpenThread {
    /// Two people: the caller and one other.
    Direct {
        #[schema(value_type = shapes::Id)]
        user_id: String,
    },
    /// The caller, who owns it, and others.
    Group {
        /// Minted by the client, a UUIDv7: asked for again, it is the same group.
        #[serde(default)]
        #[schema(value_type = Option<shapes::MintedId>)]
        thread_id: Option<String>,
        /// 1 to 64 characters.
        #[schema(example = "Analytical engines", min_length = 1, max_length = 256)]
        title: String,
        /// At most 1,023; the caller is a member anyway.
        #[serde(default)]
        #[schema(value_type = Vec<shapes::Id>, max_items = 1023)]
        member_ids: Vec<String>,
    },
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangeThread {
    /// 1 to 64 characters.
    #[serde(default)]
    #[schema(example = "Analytical engines", min_length = 1, max_length = 256)]
    title: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct OpenedThread {
    #[schema(value_type = shapes::Id)]
    thread_id: ThreadId,
    #[schema(value_type = shapes::ThreadKind)]
    kind: &'static str,
}

/// A thread as the caller sees it in their inbox.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct Thread {
    #[schema(value_type = shapes::Id)]
    thread_id: ThreadId,
    #[schema(value_type = shapes::ThreadKind)]
    kind: &'static str,
    /// Null in direct threads.
    #[schema(required = true)]
    title: Option<String>,
    /// The attachment that shows what a group looks like.
    #[schema(required = true, value_type = Option<shapes::Id>)]
    picture: Option<AttachmentId>,
    /// The other of a direct thread; absent in groups, and once they are gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    peer: Option<User>,
    /// 0 before the first message.
    last_number: u32,
    /// Null where nothing was written since the caller joined.
    #[schema(required = true)]
    last_message: Option<Last>,
    updated_at: Time,
    /// Others' messages since joining that the caller has not read.
    unread: u32,
    /// Those of them that mention the caller.
    mentions_unread: u32,
    read_number: u32,
    #[schema(required = true)]
    muted_until: Option<Time>,
    archived: bool,
    pinned: bool,
    #[schema(value_type = shapes::Role)]
    role: &'static str,
    member_count: u32,
}

/// A thread's last message.
#[derive(Serialize, ToSchema)]
pub(super) struct Last {
    number: u32,
    #[schema(value_type = shapes::Id)]
    sender_id: UserId,
    /// Null once the message was deleted or its author erased.
    #[schema(required = true)]
    body: Option<String>,
    sent_at: Time,
    #[schema(required = true)]
    deleted_at: Option<Time>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Inbox {
    threads: Vec<Thread>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true, value_type = Option<shapes::PageToken>)]
    next: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct InboxPage {
    /// 1 to 100, 50 unless told otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
    /// The `next` of the page before.
    #[param(value_type = Option<shapes::PageToken>)]
    cursor: Option<String>,
    /// Those that the caller archived, in place of the others.
    #[param(value_type = Option<bool>)]
    archived: Option<String>,
}

/// Opens a thread: two people have one, whoever of them asks; a group is its creator's.
#[utoipa::path(post, path = "/v1/threads", tag = "threads", operation_id = "open_thread", security(("bearer" = [])), request_body = OpenThread,
    responses(
        (status = 201, description = "Opened", body = OpenedThread,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 200, description = "It was there", body = OpenedThread,
            headers(("Herald-Position" = shapes::Position, description = "Where that state lies"))),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
        (status = 409, description = "`id-taken`: the id is of another thread; `group-full`", body = Problem,
            content_type = "application/problem+json"),
        NotAllowed, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn open(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<OpenThread>,
) -> Result<impl IntoResponse, Problem> {
    let by = caller.user_id();
    let (kind_of, opened) = match request {
        OpenThread::Direct { user_id } => {
            let peer = params::id("user_id", &user_id)?;
            app.limits.send(by)?;
            (Kind::Direct, app.threads.open_direct(by, peer).await?)
        }
        OpenThread::Group { thread_id, title, member_ids } => {
            let group = new_group(by, thread_id.as_deref(), &title, &member_ids)?;
            app.limits.send(by)?;
            (Kind::Group, app.threads.create_group(group).await?)
        }
    };
    let status = if opened.created { StatusCode::CREATED } else { StatusCode::OK };
    let thread = OpenedThread { thread_id: opened.thread_id, kind: kind(kind_of) };
    Ok((status, At(opened.position), Answer(thread)))
}

/// The caller's threads, newest activity first.
#[utoipa::path(get, path = "/v1/threads", tag = "threads", operation_id = "list_threads", security(("bearer" = [])),
    params(InboxPage,
        After),
    responses(
        (status = 200, description = "A page of the inbox", body = Inbox,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        QueryProblem, CallerProblem,
    ))]
pub(super) async fn inbox(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InQuery(page): InQuery<InboxPage>,
) -> Result<impl IntoResponse, Problem> {
    let (limit, cursor) = (params::limit(page.limit.as_deref())?, params::cursor(page.cursor.as_deref())?);
    let archived = params::flag("archived", page.archived.as_deref())?.unwrap_or(false);
    let reader = caller.user_id();
    let question = || app.views.threads(reader, archived, cursor, limit);
    let answer = after.ask(&app, View::Inbox, question).await?;
    let Paged { items, next } = answer.value;
    let (as_of, threads) = with_peers(&app, &after, answer.as_of, reader, items).await?;
    Ok((AsOf(as_of), Answer(Inbox { threads, next: next.map(|next| next.to_string()) })))
}

/// One of the caller's threads.
#[utoipa::path(get, path = "/v1/threads/{thread_id}", tag = "threads", operation_id = "get_thread", security(("bearer" = [])),
    params(
        ("thread_id" = shapes::Id, Path),
        After,
    ),
    responses(
        (status = 200, description = "The thread", body = Thread,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        NotThere, CallerProblem,
    ))]
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(thread_id): InPath<ThreadId>,
) -> Result<impl IntoResponse, Problem> {
    shown(&app, &after, caller.user_id(), thread_id).await
}

/// Gives a group another title.
#[utoipa::path(patch, path = "/v1/threads/{thread_id}", tag = "threads", operation_id = "change_thread",
    security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path)),
    request_body = ChangeThread,
    responses(
        (status = 200, description = "The thread as it is now", body = Thread,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 204, description = "Changed; how the thread looks now cannot be read at the moment",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotAllowed, NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    InPath(thread_id): InPath<ThreadId>,
    Json(ChangeThread { title }): Json<ChangeThread>,
) -> Result<Response, Problem> {
    let title = title.as_deref().map(Line::parse).transpose();
    let title = title.map_err(|error| Problem::invalid("title", error))?;
    let reader = caller.user_id();
    let Some(title) = title else {
        return Ok(shown(&app, &After::nothing(), reader, thread_id).await?.into_response());
    };
    app.limits.send(reader)?;
    let position = app.threads.rename(reader, thread_id, &title).await?;
    let app = &app;
    let written = written(position, |after| async move { shown(app, &after, reader, thread_id).await }).await;
    let Some(((as_of, Answer(mut thread)), is_newest)) = written else {
        return Ok((StatusCode::NO_CONTENT, At(position), ()).into_response());
    };
    if !is_newest {
        thread.title = Some(title.as_str().to_owned());
    }
    Ok((At(position), as_of, Answer(thread)).into_response())
}

fn new_group(by: UserId, thread_id: Option<&str>, title: &str, member_ids: &[String]) -> Result<NewGroup, Problem> {
    let minted = thread_id.map(ThreadId::parse_minted).transpose();
    let members = member_ids.iter().map(|id| params::id("member_ids", id)).collect::<Result<BTreeSet<_>, _>>()?;
    let members: Vec<_> = members.into_iter().filter(|member| *member != by).collect();
    if members.len() >= MAX_MEMBERS {
        return Err(Problem::invalid("member_ids", format!("names more than {} others", MAX_MEMBERS - 1)));
    }
    Ok(NewGroup {
        by,
        thread_id: minted.map_err(|error| Problem::invalid("thread_id", error))?,
        title: Line::parse(title).map_err(|error| Problem::invalid("title", error))?,
        members,
    })
}

async fn shown(
    app: &App,
    after: &After,
    reader: UserId,
    thread_id: ThreadId,
) -> Result<(AsOf, Answer<Thread>), Problem> {
    let answer = after.ask(app, View::Inbox, || app.views.thread(reader, thread_id)).await?;
    let (as_of, threads) = with_peers(app, after, answer.as_of, reader, answer.value.into_iter().collect()).await?;
    let thread = threads.into_iter().next().ok_or_else(Problem::not_found)?;
    Ok((AsOf(as_of), Answer(thread)))
}

pub(super) async fn with_peers(
    app: &App,
    after: &After,
    as_of: Vector,
    reader: UserId,
    threads: Vec<inbox::Thread>,
) -> Result<(Vector, Vec<Thread>), Problem> {
    let peers: Vec<_> = threads.iter().filter_map(|thread| thread.peer_id).collect();
    let (as_of, users) = users::known(app, after, as_of, reader, &peers).await?;
    let told = |thread: inbox::Thread| {
        let peer = thread.peer_id.and_then(|id| users.get(&id).cloned());
        told(thread, peer)
    };
    Ok((as_of, threads.into_iter().map(told).collect()))
}

fn told(thread: inbox::Thread, peer: Option<User>) -> Thread {
    Thread {
        thread_id: thread.thread_id,
        kind: kind(thread.kind),
        title: thread.title,
        picture: thread.picture,
        peer,
        last_number: thread.last_number,
        last_message: thread.last_message.map(last),
        updated_at: Time(thread.updated_at),
        unread: thread.unread,
        mentions_unread: thread.mentions_unread,
        read_number: thread.read_number,
        muted_until: thread.muted_until.map(Time),
        archived: thread.archived,
        pinned: thread.pinned,
        role: role(thread.role),
        member_count: thread.member_count,
    }
}

fn last(message: LastMessage) -> Last {
    let LastMessage { number, sender_id, body, sent_at, deleted_at } = message;
    Last { number, sender_id, body, sent_at: Time(sent_at), deleted_at: deleted_at.map(Time) }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Direct => "direct",
        Kind::Group => "group",
    }
}

pub(super) const fn role(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    }
}
