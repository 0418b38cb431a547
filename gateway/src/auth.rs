//! Who calls: the bearer of an access token, as this node's tail knows.

use crate::{
    app::App,
    problem::{Kind, Problem},
};
use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, header::AUTHORIZATION, request::Parts},
};
use command::accounts::Identity;
use events::UserId;

/// The caller, authenticated.
pub(crate) struct Caller(pub(crate) Identity);

impl Caller {
    pub(crate) fn user_id(&self) -> UserId {
        self.0.user_id
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        app.hearing()?;
        let token = bearer(&parts.headers).ok_or_else(|| unauthorized("an access token is needed"))?;
        // Why a token is refused is nothing its bearer needs to know.
        app.accounts.authenticate(token).map(Self).map_err(|_| unauthorized("the access token is not valid"))
    }
}

pub(crate) fn unauthorized(detail: &'static str) -> Problem {
    Problem::new(Kind::Unauthorized, detail)
}

/// The token of the one `Authorization: Bearer` header (RFC 6750, section 2.1).
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

#[cfg(test)]
mod tests {
    use super::bearer;
    use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};

    #[test]
    fn only_one_bearer_header_gives_a_token() {
        let headers = |values: &[&'static str]| -> HeaderMap {
            values.iter().map(|value| (AUTHORIZATION, HeaderValue::from_static(value))).collect()
        };
        assert_eq!(bearer(&headers(&["Bearer a.b.c"])), Some("a.b.c"));
        assert_eq!(bearer(&headers(&["bearer a.b.c"])), Some("a.b.c"));
        for refused in [&[][..], &["Basic YTpi"], &["a.b.c"], &["Bearer"]] {
            assert_eq!(bearer(&headers(refused)), None);
        }
        let mut twice = headers(&["Bearer a"]);
        twice.append(AUTHORIZATION, HeaderValue::from_static("Bearer b"));
        assert_eq!(bearer(&twice), None);
    }
}
