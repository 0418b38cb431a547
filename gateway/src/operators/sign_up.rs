//! Whether anybody can sign up: the same on every node, at once, and for as long as it is not changed.

use super::{Acting, Desk};
use crate::{
    json::Json,
    openapi::{BodyProblem, CallerProblem},
    positions::At,
    problem::Problem,
    rest::reason_of,
    shapes,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Serialize, ToSchema)]
pub(super) struct SignUpState {
    open: bool,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SetSignUp {
    open: bool,
    /// 1 to 256 characters, for the audit.
    #[schema(example = "a flood of accounts", min_length = 1, max_length = 1024)]
    reason: String,
}

/// Whether people can sign up.
#[utoipa::path(get, path = "/operator/v1/sign-up", tag = "sign-up", operation_id = "get_sign_up",
    security(("operator" = [])),
    responses((status = 200, description = "Whether they can", body = SignUpState), CallerProblem))]
pub(super) async fn get(State(desk): State<Desk>, _: Acting) -> Result<impl IntoResponse, Problem> {
    Ok(Answer(SignUpState { open: desk.operators.is_sign_up_open().await? }))
}

/// Lets people sign up, or nobody any more: they get 403 `sign-up-closed`.
#[utoipa::path(put, path = "/operator/v1/sign-up", tag = "sign-up", operation_id = "set_sign_up",
    security(("operator" = [])), request_body = SetSignUp,
    responses(
        (status = 204, description = "It is so",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        CallerProblem, BodyProblem,
    ))]
pub(super) async fn set(
    State(desk): State<Desk>,
    acting: Acting,
    Json(SetSignUp { open, reason }): Json<SetSignUp>,
) -> Result<impl IntoResponse, Problem> {
    let position = desk.operators.set_sign_up(acting.id(), open, &reason_of(&reason)?).await?;
    Ok((StatusCode::NO_CONTENT, At(position), ()))
}
