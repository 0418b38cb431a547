//! Who is in a thread, and in a group comes, goes and leads.

use super::{threads::role, users};
use crate::{
    app::App,
    auth::Caller,
    json::JsonOrNothing,
    openapi::{BodyProblem, CallerProblem, LimitProblem, NotAllowed, NotThere, QueryProblem, Unprocessable},
    params::{InPath, InQuery, ListPage},
    positions::{After, AsOf, At},
    problem::Problem,
    shapes,
    time::Time,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use events::{ThreadId, UserId, event::Role};
use query::{Paged, View, inbox};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct Member {
    #[schema(value_type = shapes::Id)]
    user_id: UserId,
    /// Null once the person was erased.
    #[schema(required = true)]
    display_name: Option<String>,
    #[schema(value_type = shapes::Role)]
    role: &'static str,
    joined_at: Time,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Members {
    members: Vec<Member>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true, value_type = Option<shapes::PageToken>)]
    next: Option<String>,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PutMember {
    /// Left out: as it is, and `member` for who is new.
    #[serde(default)]
    #[schema(value_type = Option<shapes::Role>)]
    role: Option<Role>,
}

/// Who is in a thread.
#[utoipa::path(get, path = "/v1/threads/{thread_id}/members", tag = "threads", operation_id = "list_members", security(("bearer" = [])),
    params(
        ("thread_id" = shapes::Id, Path),
        ListPage,
        After,
    ),
    responses(
        (status = 200, description = "A page of the members", body = Members,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        NotThere, QueryProblem, CallerProblem,
    ))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(thread_id): InPath<ThreadId>,
    InQuery(page): InQuery<ListPage>,
) -> Result<impl IntoResponse, Problem> {
    let (limit, cursor) = page.parse()?;
    let reader = caller.user_id();
    let question = || app.views.members(reader, thread_id, cursor, limit);
    let answer = after.ask(&app, View::Inbox, question).await?;
    let Paged { items, next } = answer.value.ok_or_else(Problem::not_found)?;
    let ids: Vec<_> = items.iter().map(|member| member.user_id).collect();
    let (as_of, mut known) = users::known(&app, &after, answer.as_of, reader, &ids).await?;
    let members = items.into_iter().map(|inbox::Member { user_id, role: their, joined_at }| Member {
        user_id,
        display_name: known.remove(&user_id).map(|user| user.display_name),
        role: role(their),
        joined_at: Time(joined_at),
    });
    let members = Members { members: members.collect(), next: next.map(|next| next.to_string()) };
    Ok((AsOf(as_of), Answer(members)))
}

/// Adds somebody to a group, or changes a member's role.
///
/// Admins add; nobody gives a role above their own, or takes one from who has as much, except owners.
#[utoipa::path(put, path = "/v1/threads/{thread_id}/members/{user_id}", tag = "threads", operation_id = "put_member",
    security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path), ("user_id" = shapes::Id, Path)),
    request_body(content = Option<PutMember>, content_type = "application/json"),
    responses(
        (status = 204, description = "A member in that role",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 409, description = "`last-owner`: a group has an owner; `group-full`", body = Problem,
            content_type = "application/problem+json"),
        NotAllowed, NotThere, CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn put(
    State(app): State<App>,
    caller: Caller,
    InPath((thread_id, user_id)): InPath<(ThreadId, UserId)>,
    JsonOrNothing(PutMember { role }): JsonOrNothing<PutMember>,
) -> Result<impl IntoResponse, Problem> {
    app.limits.send(caller.user_id())?;
    let position = app.threads.put_member(caller.user_id(), thread_id, user_id, role).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Removes somebody from a group; oneself: leaves it.
#[utoipa::path(delete, path = "/v1/threads/{thread_id}/members/{user_id}", tag = "threads",
    operation_id = "remove_member", security(("bearer" = [])),
    params(("thread_id" = shapes::Id, Path), ("user_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "No member any more",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 409, description = "`last-owner`: a group has an owner as long as it has members", body = Problem,
            content_type = "application/problem+json"),
        NotAllowed, NotThere, Unprocessable, CallerProblem, LimitProblem,
    ))]
pub(super) async fn remove(
    State(app): State<App>,
    caller: Caller,
    InPath((thread_id, user_id)): InPath<(ThreadId, UserId)>,
) -> Result<impl IntoResponse, Problem> {
    app.limits.send(caller.user_id())?;
    let position = app.threads.remove_member(caller.user_id(), thread_id, user_id).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}
