//! Threads: opening them, the inbox, and who is in them.

use super::users::User;
use crate::{
    app::App,
    auth::Caller,
    json::Json,
    openapi::{BodyProblem, CallerProblem, NotThere, QueryProblem},
    params::{self, InPath, InQuery},
    positions::{After, AsOf, At, both},
    problem::Problem,
    time::Time,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use events::{ThreadId, UserId, Vector};
use query::{
    Cursor, View,
    inbox::{self, Kind, LastMessage, Paged, Role},
};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

#[derive(Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum OpenThread {
    /// Two people: the caller and one other.
    Direct {
        #[schema(value_type = Uuid)]
        user_id: String,
    },
}

#[derive(Serialize, ToSchema)]
pub(super) struct OpenedThread {
    #[schema(value_type = Uuid)]
    thread_id: ThreadId,
    #[schema(value_type = String, example = "direct")]
    kind: &'static str,
}

/// A thread as the caller sees it in their inbox.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct Thread {
    #[schema(value_type = Uuid)]
    thread_id: ThreadId,
    /// `direct` or `group`.
    #[schema(value_type = String, example = "direct")]
    kind: &'static str,
    /// Null in direct threads.
    #[schema(required = true)]
    title: Option<String>,
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
    /// `owner`, `admin` or `member`.
    #[schema(value_type = String, example = "member")]
    role: &'static str,
    member_count: u32,
}

/// A thread's last message.
#[derive(Serialize, ToSchema)]
pub(super) struct Last {
    number: u32,
    #[schema(value_type = Uuid)]
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
    #[schema(required = true)]
    next: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    #[schema(value_type = Uuid)]
    user_id: UserId,
    /// Null once the person was erased.
    #[schema(required = true)]
    display_name: Option<String>,
    /// `owner`, `admin` or `member`.
    #[schema(value_type = String, example = "member")]
    role: &'static str,
    joined_at: Time,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Members {
    members: Vec<Member>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true)]
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
    cursor: Option<String>,
    /// Only threads that are archived, or only those that are not.
    #[param(value_type = Option<bool>)]
    archived: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct MembersPage {
    /// 1 to 100, 50 unless told otherwise.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 50)]
    limit: Option<String>,
    /// The `next` of the page before.
    cursor: Option<String>,
}

/// Opens a thread: two people have one, whoever of them asks.
#[utoipa::path(post, path = "/v1/threads", tag = "threads", operation_id = "open_thread", security(("bearer" = [])), request_body = OpenThread,
    responses(
        (status = 201, description = "Opened", body = OpenedThread,
            headers(("Herald-Position" = String, description = "Where the fact lies"))),
        (status = 200, description = "It was there", body = OpenedThread,
            headers(("Herald-Position" = String, description = "Where that state lies"))),
        (status = 404, description = "No such person", body = Problem, content_type = "application/problem+json"),
        CallerProblem, BodyProblem,
    ))]
pub(super) async fn open(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<OpenThread>,
) -> Result<impl IntoResponse, Problem> {
    let OpenThread::Direct { user_id } = request;
    let peer = params::id("user_id", &user_id)?;
    let opened = app.threads.open_direct(caller.user_id(), peer).await?;
    let status = if opened.created { StatusCode::CREATED } else { StatusCode::OK };
    let thread = OpenedThread { thread_id: opened.thread_id, kind: kind(Kind::Direct) };
    Ok((status, At(opened.position), Answer(thread)))
}

/// The caller's threads, newest activity first.
#[utoipa::path(get, path = "/v1/threads", tag = "threads", operation_id = "list_threads", security(("bearer" = [])),
    params(InboxPage,
        After),
    responses(
        (status = 200, description = "A page of the inbox", body = Inbox,
            headers(("Herald-As-Of" = String, description = "What the answer has seen"))),
        QueryProblem, CallerProblem,
    ))]
pub(super) async fn inbox(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InQuery(page): InQuery<InboxPage>,
) -> Result<impl IntoResponse, Problem> {
    let (limit, cursor) = (params::limit(page.limit.as_deref())?, parse_cursor(page.cursor.as_deref())?);
    let archived = params::flag("archived", page.archived.as_deref())?;
    let reader = caller.user_id();
    let question = || app.views.threads(reader, cursor, limit);
    let answer = after.ask(&app, View::Inbox, question).await?;
    let Paged { mut items, mut next } = answer.value;
    // No thread can be archived yet.
    if archived == Some(true) {
        (items, next) = (Vec::new(), None);
    }
    let (as_of, threads) = with_peers(&app, &after, answer.as_of, items).await?;
    Ok((AsOf(as_of), Answer(Inbox { threads, next: next.map(|next| next.to_string()) })))
}

/// One of the caller's threads.
#[utoipa::path(get, path = "/v1/threads/{thread_id}", tag = "threads", operation_id = "get_thread", security(("bearer" = [])),
    params(
        ("thread_id" = Uuid, Path),
        After,
    ),
    responses(
        (status = 200, description = "The thread", body = Thread,
            headers(("Herald-As-Of" = String, description = "What the answer has seen"))),
        NotThere, CallerProblem,
    ))]
pub(super) async fn one(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(thread_id): InPath<ThreadId>,
) -> Result<impl IntoResponse, Problem> {
    let reader = caller.user_id();
    let question = || app.views.thread(reader, thread_id);
    let answer = after.ask(&app, View::Inbox, question).await?;
    let (as_of, threads) = with_peers(&app, &after, answer.as_of, answer.value.into_iter().collect()).await?;
    let thread = threads.into_iter().next().ok_or_else(Problem::not_found)?;
    Ok((AsOf(as_of), Answer(thread)))
}

/// Who is in a thread.
#[utoipa::path(get, path = "/v1/threads/{thread_id}/members", tag = "threads", operation_id = "list_members", security(("bearer" = [])),
    params(
        ("thread_id" = Uuid, Path),
        MembersPage,
        After,
    ),
    responses(
        (status = 200, description = "A page of the members", body = Members,
            headers(("Herald-As-Of" = String, description = "What the answer has seen"))),
        NotThere, QueryProblem, CallerProblem,
    ))]
pub(super) async fn members(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(thread_id): InPath<ThreadId>,
    InQuery(page): InQuery<MembersPage>,
) -> Result<impl IntoResponse, Problem> {
    let (limit, cursor) = (params::limit(page.limit.as_deref())?, parse_cursor(page.cursor.as_deref())?);
    let reader = caller.user_id();
    let question = || app.views.members(reader, thread_id, cursor, limit);
    let answer = after.ask(&app, View::Inbox, question).await?;
    let Paged { items, next } = answer.value.ok_or_else(Problem::not_found)?;
    let ids: Vec<_> = items.iter().map(|member| member.user_id).collect();
    let (as_of, mut users) = people(&app, &after, answer.as_of, &ids).await?;
    let members = items.into_iter().map(|inbox::Member { user_id, role: their, joined_at }| Member {
        user_id,
        display_name: users.remove(&user_id).map(|user| user.display_name),
        role: role(their),
        joined_at: Time(joined_at),
    });
    let members = Members { members: members.collect(), next: next.map(|next| next.to_string()) };
    Ok((AsOf(as_of), Answer(members)))
}

fn parse_cursor(text: Option<&str>) -> Result<Option<Cursor>, Problem> {
    text.map(|text| text.parse().map_err(|_| Problem::invalid_cursor())).transpose()
}

async fn with_peers(
    app: &App,
    after: &After,
    as_of: Vector,
    threads: Vec<inbox::Thread>,
) -> Result<(Vector, Vec<Thread>), Problem> {
    let peers: Vec<_> = threads.iter().filter_map(|thread| thread.peer_id).collect();
    let (as_of, users) = people(app, after, as_of, &peers).await?;
    let told = |thread: inbox::Thread| {
        let peer = thread.peer_id.and_then(|id| users.get(&id).cloned());
        told(thread, peer)
    };
    Ok((as_of, threads.into_iter().map(told).collect()))
}

/// Those of the people that there are, and what an answer with them has seen.
async fn people(
    app: &App,
    after: &After,
    as_of: Vector,
    ids: &[UserId],
) -> Result<(Vector, HashMap<UserId, User>), Problem> {
    if ids.is_empty() {
        return Ok((as_of, HashMap::new()));
    }
    let found = after.ask(app, View::Directory, || app.views.users(ids)).await?;
    let users = found.value.into_iter().map(|user| (user.user_id, User::from(user))).collect();
    Ok((both(&as_of, &found.as_of), users))
}

fn told(thread: inbox::Thread, peer: Option<User>) -> Thread {
    Thread {
        thread_id: thread.thread_id,
        kind: kind(thread.kind),
        title: thread.title,
        peer,
        last_number: thread.last_number,
        last_message: thread.last_message.map(last),
        updated_at: Time(thread.updated_at),
        unread: thread.unread,
        mentions_unread: 0,
        read_number: thread.read_number,
        muted_until: None,
        archived: false,
        pinned: false,
        role: role(thread.role),
        member_count: thread.member_count,
    }
}

fn last(message: LastMessage) -> Last {
    let LastMessage { number, sender_id, body, sent_at } = message;
    Last { number, sender_id, body, sent_at: Time(sent_at), deleted_at: None }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Direct => "direct",
        Kind::Group => "group",
    }
}

const fn role(role: Role) -> &'static str {
    match role {
        Role::Owner => "owner",
        Role::Admin => "admin",
        Role::Member => "member",
    }
}
