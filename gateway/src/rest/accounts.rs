//! Accounts: sign-up, log-in, log-out and tokens.

use super::users::User;
use crate::{
    address::Client,
    app::App,
    auth::Caller,
    json::Json,
    limits::Account,
    openapi::{AnyProblem, BodyProblem, CallerProblem, LimitProblem},
    positions::At,
    problem::Problem,
    shapes,
};
use axum::{Json as Answer, extract::State, http::StatusCode, response::IntoResponse};
use command::accounts::{self, AccountError, SignedIn};
use events::{SessionId, UserId, name::Username, text::Line};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SignUp {
    /// 3 to 32 characters, brought into canonical form; unique among what looks alike.
    #[schema(example = "ada", min_length = 3, max_length = 128)]
    username: String,
    /// 8 to 1,024 bytes; neither common nor little more than the username.
    #[schema(format = Password, min_length = 2, max_length = 1024, example = "long sentences are best")]
    password: String,
    /// 1 to 64 characters.
    #[schema(example = "Ada Lovelace", min_length = 1, max_length = 256)]
    display_name: String,
    /// What the session is to be known by, at most 64 characters.
    #[serde(default)]
    #[schema(example = "Ada's telephone", max_length = 256)]
    device: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LogIn {
    #[schema(example = "ada")]
    username: String,
    #[schema(format = Password, example = "long sentences are best")]
    password: String,
    /// What the session is to be known by, at most 64 characters.
    #[serde(default)]
    #[schema(example = "Ada's telephone", max_length = 256)]
    device: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Refresh {
    #[schema(example = "SGVyYWxkIHJlZnJlc2ggdG9rZW4")]
    refresh_token: String,
}

/// What a client holds of its session.
#[derive(Serialize, ToSchema)]
pub(super) struct Tokens {
    #[schema(value_type = shapes::Id)]
    user_id: UserId,
    #[schema(value_type = shapes::Id)]
    session_id: SessionId,
    /// An EdDSA JWT, see `/.well-known/jwks.json`.
    access_token: String,
    #[schema(example = "Bearer")]
    token_type: &'static str,
    /// Seconds.
    #[schema(example = 300)]
    expires_in: u32,
    /// Good for one use.
    refresh_token: String,
}

#[derive(Serialize, ToSchema)]
pub(super) struct SignedUp {
    user: User,
    tokens: Tokens,
}

impl From<accounts::Tokens> for Tokens {
    fn from(tokens: accounts::Tokens) -> Self {
        let accounts::Tokens { user_id, session_id, access_token, expires_in, refresh_token } = tokens;
        Self { user_id, session_id, access_token, token_type: "Bearer", expires_in, refresh_token }
    }
}

/// Signs up, and logs in.
#[utoipa::path(post, path = "/v1/signup", tag = "accounts", operation_id = "sign_up", request_body = SignUp, responses(
    (status = 201, description = "Signed up and logged in", body = SignedUp,
        headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
    (status = 403, description = "`sign-up-closed`: by the operators", body = Problem,
        content_type = "application/problem+json"),
    (status = 409, description = "`username-taken`", body = Problem, content_type = "application/problem+json"),
    AnyProblem, BodyProblem, LimitProblem,
))]
pub(super) async fn sign_up(
    State(app): State<App>,
    client: Client,
    Json(request): Json<SignUp>,
) -> Result<impl IntoResponse, Problem> {
    let SignUp { username, password, display_name, device } = request;
    let request = accounts::SignUp {
        username: Username::parse(&username).map_err(|error| Problem::invalid("username", error))?,
        password,
        display_name: Line::parse(&display_name).map_err(|error| Problem::invalid("display_name", error))?,
        device: parse_device(device.as_deref())?,
    };
    let counts = app.limits.sign_up(client)?;
    let signed_up = app.accounts.sign_up(request).await;
    if matches!(signed_up, Err(AccountError::WeakPassword(_))) {
        counts.give_back();
    }
    let SignedIn { user, tokens, position } = signed_up?;
    let accounts::Named { user_id, username, display_name } = user;
    let user = User { user_id, username, display_name, about: String::new(), picture: None };
    Ok((StatusCode::CREATED, At(position), Answer(SignedUp { user, tokens: tokens.into() })))
}

/// Logs in.
#[utoipa::path(post, path = "/v1/login", tag = "accounts", operation_id = "log_in", request_body = LogIn, responses(
    (status = 200, description = "Logged in", body = Tokens,
        headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
    (status = 401, description = "`bad-credentials`: no such person, or another password", body = Problem,
        content_type = "application/problem+json"),
    (status = 403, description = "`suspended`: by the operators; told to who knows the password", body = Problem,
        content_type = "application/problem+json"),
    AnyProblem, BodyProblem, LimitProblem,
))]
pub(super) async fn log_in(
    State(app): State<App>,
    client: Client,
    Json(request): Json<LogIn>,
) -> Result<impl IntoResponse, Problem> {
    let LogIn { username, password, device } = request;
    let device = parse_device(device.as_deref())?;
    let counts = app.limits.log_in(client, Account::named(&username))?;
    let logged_in = app.accounts.log_in(accounts::LogIn { username, password, device }).await;
    if !matches!(logged_in, Err(AccountError::BadCredentials)) {
        counts.give_back();
    }
    let SignedIn { tokens, position, .. } = logged_in?;
    Ok((At(position), Answer(Tokens::from(tokens))))
}

/// Spends a refresh token for new tokens.
///
/// The same token again within 10 s, its successor unused, answers the same successor; later reuse ends the session.
#[utoipa::path(post, path = "/v1/token", tag = "accounts", operation_id = "refresh_tokens", request_body = Refresh, responses(
    (status = 200, description = "New tokens", body = Tokens),
    (status = 401, description = "The refresh token is unknown, over, or was used before", body = Problem,
        content_type = "application/problem+json"),
    AnyProblem, BodyProblem,
))]
pub(super) async fn refresh(
    State(app): State<App>,
    Json(request): Json<Refresh>,
) -> Result<impl IntoResponse, Problem> {
    Ok(Answer(Tokens::from(app.accounts.refresh(&request.refresh_token).await?)))
}

/// Ends the caller's session.
#[utoipa::path(post, path = "/v1/logout", tag = "accounts", operation_id = "log_out", security(("bearer" = [])), responses(
    (status = 204, description = "Ended, everywhere within 1 s",
        headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
    CallerProblem,
))]
pub(super) async fn log_out(State(app): State<App>, caller: Caller) -> Result<impl IntoResponse, Problem> {
    Ok((StatusCode::NO_CONTENT, At(app.accounts.log_out(&caller.0).await?), ()))
}

/// A device that says nothing is none.
fn parse_device(device: Option<&str>) -> Result<Option<Line>, Problem> {
    let device = device.filter(|device| !device.trim().is_empty());
    device.map(|device| Line::parse(device).map_err(|error| Problem::invalid("device", error))).transpose()
}
