//! Whose pages may open a socket: browsers send cookies and reach private
//! addresses for any page, and say only here which page it is.

use axum::http::{
    HeaderMap,
    header::{HOST, ORIGIN},
};

/// Whether the request is of no page, of a page of this very host, or of an allowed origin.
pub(super) fn is_welcome(headers: &HeaderMap, allowed: &[String]) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    let (origin, more) = (origins.next(), origins.next());
    let Some(origin) = origin else { return true };
    let Some(origin) = origin.to_str().ok().filter(|_| more.is_none()) else { return false };
    let host = headers.get(HOST).and_then(|host| host.to_str().ok());
    let of_this_host = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"))
        .zip(host)
        .is_some_and(|(origin, host)| origin.eq_ignore_ascii_case(host));
    of_this_host || allowed.iter().any(|allowed| allowed.trim_end_matches('/').eq_ignore_ascii_case(origin))
}

#[cfg(test)]
mod tests {
    use super::is_welcome;
    use axum::http::{HeaderMap, HeaderValue, header};

    #[test]
    fn only_no_page_this_host_and_allowed_origins_are_welcome() {
        let allowed = ["https://chat.example".to_owned()];
        let welcome = |origins: &[&'static str]| {
            let mut headers = HeaderMap::from_iter([(header::HOST, HeaderValue::from_static("127.0.0.1:8080"))]);
            for &origin in origins {
                headers.append(header::ORIGIN, HeaderValue::from_static(origin));
            }
            is_welcome(&headers, &allowed)
        };
        for origins in [&[][..], &["http://127.0.0.1:8080"], &["https://127.0.0.1:8080"], &["https://chat.example"]] {
            assert!(welcome(origins), "{origins:?}");
        }
        for origins in [
            &["null"][..],
            &[""],
            &["https://evil.example"],
            &["http://chat.example"],
            &["http://127.0.0.1"],
            &["http://127.0.0.1:8080.evil.example"],
            &["127.0.0.1:8080"],
            &["https://chat.example", "https://evil.example"],
        ] {
            assert!(!welcome(origins), "{origins:?}");
        }
    }
}
