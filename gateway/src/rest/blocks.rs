//! Blocks: from whom the caller wants nothing.

use super::users::User;
use crate::{
    app::App,
    auth::Caller,
    openapi::{CallerProblem, LimitProblem, NotThere, QueryProblem, Unprocessable},
    params::{InPath, InQuery, ListPage},
    positions::{After, AsOf, At},
    problem::Problem,
    shapes,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use events::UserId;
use query::{Paged, View};
use serde::Serialize;
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct Blocks {
    blocks: Vec<User>,
    /// The next page's `cursor`; null at the end.
    #[schema(required = true, value_type = Option<shapes::PageToken>)]
    next: Option<String>,
}

/// Whom the caller has blocked.
#[utoipa::path(get, path = "/v1/blocks", tag = "people", operation_id = "list_blocks", security(("bearer" = [])),
    params(ListPage, After),
    responses(
        (status = 200, description = "A page of the blocked", body = Blocks,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        QueryProblem, CallerProblem,
    ))]
pub(super) async fn list(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InQuery(page): InQuery<ListPage>,
) -> Result<impl IntoResponse, Problem> {
    let (limit, cursor) = page.parse()?;
    let reader = caller.user_id();
    let answer = after.ask(&app, View::Directory, || app.views.blocks(reader, cursor, limit)).await?;
    let Paged { items, next } = answer.value;
    let blocks = items.into_iter().map(User::from).collect();
    Ok((AsOf(answer.as_of), Answer(Blocks { blocks, next: next.map(|next| next.to_string()) })))
}

/// Blocks somebody: they can neither write to the caller nor look them up nor add them to groups.
#[utoipa::path(put, path = "/v1/blocks/{user_id}", tag = "people", operation_id = "block", security(("bearer" = [])),
    params(("user_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "Blocked",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, Unprocessable, LimitProblem,
    ))]
pub(super) async fn block(
    State(app): State<App>,
    caller: Caller,
    InPath(user_id): InPath<UserId>,
) -> Result<impl IntoResponse, Problem> {
    app.limits.send(caller.user_id())?;
    let position = app.people.block(caller.user_id(), user_id).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Blocks somebody no longer.
#[utoipa::path(delete, path = "/v1/blocks/{user_id}", tag = "people", operation_id = "unblock",
    security(("bearer" = [])),
    params(("user_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "Not blocked any more, or never",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        CallerProblem, LimitProblem,
    ))]
pub(super) async fn unblock(
    State(app): State<App>,
    caller: Caller,
    InPath(user_id): InPath<UserId>,
) -> Result<impl IntoResponse, Problem> {
    app.limits.send(caller.user_id())?;
    let position = app.people.unblock(caller.user_id(), user_id).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}
