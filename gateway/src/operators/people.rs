//! People, looked up, suspended and let in again.

use super::{Acting, Because, Desk};
use crate::{
    json::Json,
    openapi::{BodyProblem, CallerProblem, NotThere, QueryProblem},
    params::{self, InPath, InQuery},
    positions::{After, AsOf, At},
    problem::Problem,
    rest::reason_of,
    shapes,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use command::operators::Standing;
use events::{UserId, name::Username};
use query::View;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

/// Somebody, and how their account is.
#[derive(Serialize, ToSchema)]
#[schema(as = Account)]
pub(super) struct Person {
    #[schema(value_type = shapes::Id)]
    user_id: UserId,
    username: String,
    display_name: String,
    suspended: bool,
    /// How many sessions are open.
    sessions: usize,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Who {
    /// The whole username.
    #[param(example = "ada")]
    username: Option<String>,
    /// Or the id.
    #[param(value_type = Option<shapes::Id>)]
    user_id: Option<String>,
}

/// Finds a person by their whole username, or by their id.
#[utoipa::path(get, path = "/operator/v1/users", tag = "people", operation_id = "find_account",
    security(("operator" = [])), params(Who, After),
    responses(
        (status = 200, description = "The person", body = Person,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        NotThere, QueryProblem, CallerProblem,
    ))]
pub(super) async fn find(
    State(desk): State<Desk>,
    _: Acting,
    after: After,
    InQuery(Who { username, user_id }): InQuery<Who>,
) -> Result<impl IntoResponse, Problem> {
    // Nobody's id: who blocks whom is nothing to an operator.
    let (nobody, views) = (UserId::from_uuid(Uuid::nil()), &desk.app.views);
    let found = match (username, user_id) {
        (Some(username), None) => {
            let username = Username::parse(&username).map_err(|_| Problem::not_found())?;
            let question = || views.user_by_username(nobody, username.as_str());
            after.ask(&desk.app, View::Directory, question).await?
        }
        (None, Some(user_id)) => {
            let user_id = params::id("user_id", &user_id)?;
            after.ask(&desk.app, View::Directory, || views.user(nobody, user_id)).await?
        }
        (None, None) | (Some(_), Some(_)) => {
            return Err(Problem::invalid("username", "or user_id must be given, and not both"));
        }
    };
    let user = found.value.ok_or_else(Problem::not_found)?;
    let Standing { suspended, sessions } = desk.operators.standing(user.user_id).await?;
    let (user_id, username, display_name) = (user.user_id, user.username, user.display_name);
    Ok((AsOf(found.as_of), Answer(Person { user_id, username, display_name, suspended, sessions })))
}

/// Lets a person in no more: all their sessions end, everywhere within 1 s. Suspended already is as good.
#[utoipa::path(post, path = "/operator/v1/users/{user_id}/suspend", tag = "people", operation_id = "suspend",
    security(("operator" = [])), request_body = Because,
    params(("user_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "Suspended",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem,
    ))]
pub(super) async fn suspend(
    State(desk): State<Desk>,
    acting: Acting,
    InPath(user_id): InPath<UserId>,
    Json(Because { reason }): Json<Because>,
) -> Result<impl IntoResponse, Problem> {
    let position = desk.operators.suspend(acting.id(), user_id, &reason_of(&reason)?).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}

/// Lets a person in again.
#[utoipa::path(post, path = "/operator/v1/users/{user_id}/restore", tag = "people", operation_id = "restore",
    security(("operator" = [])), request_body = Because,
    params(("user_id" = shapes::Id, Path)),
    responses(
        (status = 204, description = "They can log in",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        NotThere, CallerProblem, BodyProblem,
    ))]
pub(super) async fn restore(
    State(desk): State<Desk>,
    acting: Acting,
    InPath(user_id): InPath<UserId>,
    Json(Because { reason }): Json<Because>,
) -> Result<impl IntoResponse, Problem> {
    let position = desk.operators.restore(acting.id(), user_id, &reason_of(&reason)?).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}
