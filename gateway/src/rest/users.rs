//! Other people.

use crate::{
    app::App,
    auth::Caller,
    openapi::{CallerProblem, LimitProblem, QueryProblem},
    params::{InPath, InQuery},
    positions::{After, AsOf, both},
    problem::Problem,
    shapes,
};
use axum::{Json as Answer, extract::State, response::IntoResponse};
use events::{AttachmentId, UserId, Vector, name::Username};
use query::{View, directory};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use utoipa::{IntoParams, ToSchema};

/// A person, as others see them.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct User {
    #[schema(value_type = shapes::Id)]
    pub(super) user_id: UserId,
    #[schema(example = "ada")]
    pub(super) username: String,
    #[schema(example = "Ada Lovelace")]
    pub(super) display_name: String,
    pub(super) about: String,
    /// The attachment that shows what they look like.
    #[schema(required = true, value_type = Option<shapes::Id>)]
    pub(super) picture: Option<AttachmentId>,
}

impl From<directory::User> for User {
    fn from(user: directory::User) -> Self {
        let directory::User { user_id, username, display_name, about, picture } = user;
        Self { user_id, username, display_name, about, picture }
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Named {
    /// The whole name; its width and case do not matter.
    #[param(example = "ada")]
    username: String,
}

/// Finds a person by their whole username.
#[utoipa::path(get, path = "/v1/users", tag = "people", operation_id = "find_user", security(("bearer" = [])),
    params(Named, After),
    responses(
        (status = 200, description = "The person", body = User,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        (status = 404, description = "Nobody is called so, or they blocked the caller", body = Problem, content_type = "application/problem+json"),
        QueryProblem, CallerProblem, LimitProblem,
    ))]
pub(super) async fn by_username(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InQuery(Named { username }): InQuery<Named>,
) -> Result<impl IntoResponse, Problem> {
    let reader = caller.user_id();
    app.limits.look_up(reader)?;
    // What cannot be a username is nobody's.
    let username = Username::parse(&username).map_err(|_| Problem::not_found())?;
    let question = || app.views.user_by_username(reader, username.as_str());
    let answer = after.ask(&app, View::Directory, question).await?;
    let user = answer.value.ok_or_else(Problem::not_found)?;
    Ok((AsOf(answer.as_of), Answer(User::from(user))))
}

/// Tells who somebody is.
#[utoipa::path(get, path = "/v1/users/{user_id}", tag = "people", operation_id = "get_user", security(("bearer" = [])),
    params(
        ("user_id" = shapes::Id, Path),
        After,
    ),
    responses(
        (status = 200, description = "The person", body = User,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        (status = 404, description = "Nobody has that id, or they blocked the caller", body = Problem, content_type = "application/problem+json"),
        CallerProblem,
    ))]
pub(super) async fn by_id(
    State(app): State<App>,
    caller: Caller,
    after: After,
    InPath(user_id): InPath<UserId>,
) -> Result<impl IntoResponse, Problem> {
    let reader = caller.user_id();
    let question = || app.views.user(reader, user_id);
    let answer = after.ask(&app, View::Directory, question).await?;
    let user = answer.value.ok_or_else(Problem::not_found)?;
    Ok((AsOf(answer.as_of), Answer(User::from(user))))
}

/// Those of the people that there are, and what an answer with them has seen.
pub(super) async fn known(
    app: &App,
    after: &After,
    as_of: Vector,
    reader: UserId,
    ids: &[UserId],
) -> Result<(Vector, HashMap<UserId, User>), Problem> {
    if ids.is_empty() {
        return Ok((as_of, HashMap::new()));
    }
    let found = after.ask(app, View::Directory, || app.views.users(reader, ids)).await?;
    let users = found.value.into_iter().map(|user| (user.user_id, User::from(user))).collect();
    Ok((both(&as_of, &found.as_of), users))
}
