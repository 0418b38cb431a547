//! How NATS is reached: who logs in stands in the address, and what is answered
//! comes to an inbox of that user's, which others need not be allowed to hear.

use super::OpenError;
use async_nats::{Client, ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use std::time::Duration;

/// As an address tells it, before the host.
#[derive(Debug, PartialEq, Eq)]
enum Login {
    Password { user: String, password: String },
    Token(String),
}

pub(super) async fn connect(url: &str) -> Result<Client, OpenError> {
    let options = ConnectOptions::new()
        .name("herald")
        .reconnect_delay_callback(|attempts| Duration::from_millis(if attempts < 20 { 50 } else { 500 }))
        .client_capacity(16_384);
    let options = match login(url) {
        Some(Login::Password { user, password }) => {
            let options = if is_token(&user) { options.custom_inbox_prefix(format!("_INBOX.{user}")) } else { options };
            options.user_and_password(user, password)
        }
        Some(Login::Token(token)) => options.token(token),
        None => options,
    };
    let connected = options.connect(url.split(',').map(str::trim).collect::<Vec<_>>()).await;
    connected.map_err(|source| OpenError::Connect { url: without_secrets(url), source })
}

/// Who logs in, where an address tells it and it can be a part of a name.
pub(super) fn user(urls: &str) -> Option<String> {
    match login(urls) {
        Some(Login::Password { user, .. }) if is_token(&user) => Some(user),
        Some(Login::Password { .. } | Login::Token(_)) | None => None,
    }
}

/// URLs without who logs in with what.
pub(super) fn without_secrets(urls: &str) -> String {
    let host = |url: &str| url.rsplit_once('@').map_or(url, |(_, host)| host).to_owned();
    urls.split(',').map(host).collect::<Vec<_>>().join(",")
}

/// Of several addresses the first that tells one.
fn login(urls: &str) -> Option<Login> {
    let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    urls.split(',').filter_map(|url| url.trim().parse::<ServerAddr>().ok()).find_map(|server| {
        let name = decoded(server.username()?);
        Some(match server.password() {
            Some(password) => Login::Password { user: name, password: decoded(password) },
            None => Login::Token(name),
        })
    })
}

/// Whether it can be a part of a subject.
fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::{Login, login, without_secrets};

    #[test]
    fn who_logs_in_is_in_the_address() {
        let password =
            |user: &str, password: &str| Some(Login::Password { user: user.to_owned(), password: password.to_owned() });
        for (urls, told) in [
            ("nats://a:4222,nats://b", None),
            ("nats://edge:p1@a:4222,nats://edge:p1@b", password("edge", "p1")),
            ("nats://a, nats://edge:s%40crets@b", password("edge", "s@crets")),
            ("nats://token@a:4222", Some(Login::Token("token".to_owned()))),
        ] {
            assert_eq!(login(urls), told, "{urls}");
        }
        assert_eq!(without_secrets("nats://edge:p1@a:4222,nats://b"), "a:4222,nats://b");
    }
}
