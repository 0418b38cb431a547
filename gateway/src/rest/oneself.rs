//! Oneself: what one is called, what others may, and one's password.

use super::users::User;
use crate::{
    address::Client,
    app::App,
    auth::Caller,
    json::Json,
    limits::Account,
    openapi::{BodyProblem, CallerProblem, LimitProblem},
    positions::{After, AsOf, At, ask, deadline, written},
    problem::{Kind, Problem},
    shapes,
};
use axum::{
    Json as Answer,
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use command::accounts::{AccountError, ProfileChange};
use events::{
    UserId,
    event::{Adders, Viewers},
    text::{About, Line},
};
use query::{View, directory::Oneself};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A person, as they see themselves.
#[derive(Serialize, ToSchema)]
#[expect(clippy::struct_field_names, reason = "the contract's names")]
pub(super) struct Me {
    #[serde(flatten)]
    user: User,
    #[schema(value_type = shapes::LastSeenVisibleTo)]
    last_seen_visible_to: String,
    #[schema(value_type = shapes::MayAddMe)]
    may_add_me: String,
}

/// What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Change {
    /// 1 to 64 characters.
    #[serde(default)]
    #[schema(example = "Ada Lovelace", min_length = 1, max_length = 256)]
    display_name: Option<String>,
    /// At most 256 characters.
    #[serde(default)]
    #[schema(example = "Enchantress of numbers", max_length = 1024)]
    about: Option<String>,
    #[serde(default)]
    #[schema(value_type = Option<shapes::LastSeenVisibleTo>)]
    last_seen_visible_to: Option<Viewers>,
    #[serde(default)]
    #[schema(value_type = Option<shapes::MayAddMe>)]
    may_add_me: Option<Adders>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ChangePassword {
    #[schema(format = Password, example = "long sentences are best")]
    current: String,
    /// 8 to 1,024 bytes; neither common nor little more than the username.
    #[schema(format = Password, min_length = 2, max_length = 1024, example = "longer sentences are better")]
    new: String,
}

impl From<Oneself> for Me {
    fn from(oneself: Oneself) -> Self {
        let Oneself { user, last_seen_visible_to, may_add_me } = oneself;
        Self { user: user.into(), last_seen_visible_to, may_add_me }
    }
}

impl Me {
    /// What a view shows that has not seen the change yet, with it.
    fn changed(mut self, change: ProfileChange) -> Self {
        let ProfileChange { display_name, about, last_seen_visible_to, may_add_me } = change;
        if let Some(name) = display_name {
            name.as_str().clone_into(&mut self.user.display_name);
        }
        if let Some(about) = about {
            about.as_str().clone_into(&mut self.user.about);
        }
        if let Some(viewers) = last_seen_visible_to {
            self.last_seen_visible_to = word(&viewers);
        }
        if let Some(adders) = may_add_me {
            self.may_add_me = word(&adders);
        }
        self
    }
}

/// A setting as the events, and hence the view, spell it.
fn word(setting: &impl Serialize) -> String {
    let word = serde_json::to_value(setting).expect("a setting is a word");
    word.as_str().expect("a setting is a word").to_owned()
}

/// Tells who the caller is.
#[utoipa::path(get, path = "/v1/me", tag = "accounts", operation_id = "get_me", security(("bearer" = [])),
    params(After),
    responses(
        (status = 200, description = "The caller", body = Me,
            headers(("Herald-As-Of" = shapes::Vector, description = "What the answer has seen"))),
        CallerProblem,
    ))]
pub(super) async fn get(State(app): State<App>, caller: Caller, after: After) -> Result<impl IntoResponse, Problem> {
    let answer = oneself(&app, &after, caller.user_id()).await?;
    Ok((AsOf(answer.as_of), Answer(answer.value)))
}

/// Who the caller is. Who bears a token has signed up: the view has only to hear of it.
pub(super) async fn oneself(app: &App, after: &After, user_id: UserId) -> Result<query::Answer<Me>, Problem> {
    let question = || app.views.oneself(user_id);
    let mut answer = after.ask(app, View::Directory, question).await?;
    if answer.value.is_none() {
        let end = app.log.end().await.map_err(|error| Problem::out_of_reach(&error))?;
        answer = ask(app, View::Directory, &end, deadline(), question).await?;
    }
    Ok(answer.found().ok_or_else(Problem::not_found)?.map(Me::from))
}

/// Changes what the caller is called, and what others may.
#[utoipa::path(patch, path = "/v1/me", tag = "accounts", operation_id = "change_me", security(("bearer" = [])),
    request_body = Change,
    responses(
        (status = 200, description = "The caller as they are now", body = Me,
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        (status = 204, description = "Changed; how the caller looks now cannot be read at the moment",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        CallerProblem, BodyProblem,
    ))]
pub(super) async fn change(
    State(app): State<App>,
    caller: Caller,
    Json(request): Json<Change>,
) -> Result<Response, Problem> {
    let Change { display_name, about, last_seen_visible_to, may_add_me } = request;
    let display_name = display_name.map(|name| Line::parse(&name)).transpose();
    let about = about.map(|about| About::parse(&about)).transpose();
    let change = ProfileChange {
        display_name: display_name.map_err(|error| Problem::invalid("display_name", error))?,
        about: about.map_err(|error| Problem::invalid("about", error))?,
        last_seen_visible_to,
        may_add_me,
    };
    let position = app.accounts.change_profile(&caller.0, change.clone()).await?;
    let (app, user_id) = (&app, caller.user_id());
    let shown = |after: After| async move {
        let answer = after.ask(app, View::Directory, || app.views.oneself(user_id)).await?;
        Ok((answer.as_of, Me::from(answer.value.ok_or_else(Problem::not_found)?)))
    };
    let Some(((as_of, me), is_newest)) = written(position, shown).await else {
        return Ok((StatusCode::NO_CONTENT, At(position), ()).into_response());
    };
    let me = if is_newest { me } else { me.changed(change) };
    Ok((At(position), AsOf(as_of), Answer(me)).into_response())
}

/// Sets another password, and ends all other sessions.
#[utoipa::path(post, path = "/v1/me/password", tag = "accounts", operation_id = "change_password",
    security(("bearer" = [])),
    request_body = ChangePassword,
    responses(
        (status = 204, description = "Set; every other session is ended, everywhere within 1 s",
            headers(("Herald-Position" = shapes::Position, description = "Where the fact lies"))),
        CallerProblem, BodyProblem, LimitProblem,
    ))]
pub(super) async fn change_password(
    State(app): State<App>,
    caller: Caller,
    client: Client,
    Json(request): Json<ChangePassword>,
) -> Result<impl IntoResponse, Problem> {
    let ChangePassword { current, new } = request;
    let counts = app.limits.log_in(client, Account::of(caller.user_id()))?;
    let changed = app.accounts.change_password(&caller.0, current, new).await;
    if let Err(AccountError::BadCredentials) = changed {
        return Err(Problem::new(Kind::BadCredentials, "the current password is another"));
    }
    counts.give_back();
    if let Err(AccountError::WeakPassword(weak)) = changed {
        return Err(Problem::invalid("new", weak));
    }
    Ok((StatusCode::NO_CONTENT, At(changed?), ()))
}
