//! What is posted, and what its answer means: the body, its signature, and which
//! answers are worth another try. Pure. Bodies and signatures are those of Standard
//! Webhooks, so that receivers find a library that checks them.

use super::Secret;
use axum::http::StatusCode;
use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::DateTime;
use events::{ThreadId, Timestamp, UserId, event::Number};
use hmac::{Hmac, KeyInit, Mac};
use query::{inbox::Kind, waiting::Undelivered};
use serde::Serialize;
use sha2::Sha256;
use std::{collections::BTreeMap, time::Duration};
use uuid::Uuid;

/// What a letter says it is.
const TYPE: &str = "messages.undelivered";
/// Characters of a message that are told: a phone's notification has room for no more.
const SHOWN: usize = 240;

#[derive(Serialize)]
struct Letter {
    r#type: &'static str,
    timestamp: String,
    data: Data,
}

#[derive(Serialize)]
struct Data {
    pushes: Vec<Push>,
}

/// What one person is to be told.
#[derive(Serialize)]
struct Push {
    user_id: UserId,
    /// Over the threads that are named.
    unread: u32,
    threads: Vec<InThread>,
}

#[derive(Serialize)]
struct InThread {
    thread_id: ThreadId,
    kind: &'static str,
    last_number: Number,
    count: u32,
    unread: u32,
    mentioned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_message: Option<LastMessage>,
}

#[derive(Serialize)]
struct LastMessage {
    sender_id: UserId,
    sender_name: Option<String>,
    text: Option<String>,
    sent_at: String,
}

/// What an answer means for a letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Taken,
    /// To be posted again, no sooner than the receiver asks for.
    Again(Option<Duration>),
    /// No other try would end better.
    Refused,
}

/// The body of a letter about those people.
pub(super) fn body(at: Timestamp, undelivered: Vec<Undelivered>) -> Vec<u8> {
    let mut people: BTreeMap<UserId, Vec<InThread>> = BTreeMap::new();
    for one in undelivered {
        people.entry(one.user_id).or_default().push(thread(one));
    }
    let push = |(user_id, threads): (UserId, Vec<InThread>)| Push {
        user_id,
        unread: threads.iter().map(|thread| thread.unread).sum(),
        threads,
    };
    let data = Data { pushes: people.into_iter().map(push).collect() };
    serde_json::to_vec(&Letter { r#type: TYPE, timestamp: time(at), data }).expect("a letter is plain data")
}

/// `webhook-signature` of a body that is posted at that second after 1970 (Standard Webhooks, "Signature scheme").
pub(super) fn signature(secret: &Secret, id: Uuid, second: i64, body: &[u8]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{id}.{second}.").as_bytes());
    mac.update(body);
    format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
}

/// What that status and `Retry-After` mean. A redirect is not followed: it is an answer like another failure.
pub(super) fn verdict(status: StatusCode, retry_after: Option<&str>, now: Timestamp) -> Verdict {
    let asked = retry_after.and_then(|text| asked(text.trim(), now));
    match status {
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Verdict::Again(asked),
        _ if status.is_success() => Verdict::Taken,
        _ if status.is_client_error() => Verdict::Refused,
        _ => Verdict::Again(asked),
    }
}

/// Seconds, or a date of HTTP (RFC 9110, section 10.2.3).
fn asked(text: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let until = DateTime::parse_from_rfc2822(text).ok()?;
    (until.to_utc() - now).to_std().ok()
}

fn thread(one: Undelivered) -> InThread {
    let Undelivered { user_id: _, thread_id, kind, last_number, count, unread, mentioned, preview } = one;
    let kind = match kind {
        Kind::Direct => "direct",
        Kind::Group => "group",
    };
    let (title, last_message) = match preview {
        None => (None, None),
        Some(preview) => (
            preview.title,
            Some(LastMessage {
                sender_id: preview.sender_id,
                sender_name: preview.sender_name,
                text: preview.body.map(|body| shortened(&body)),
                sent_at: time(preview.sent_at),
            }),
        ),
    };
    InThread { thread_id, kind, last_number, count, unread, mentioned, title, last_message }
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

fn time(at: Timestamp) -> String {
    at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::clock::millis;

    #[test]
    fn a_signature_is_that_of_the_convention() {
        // The example of Standard Webhooks' own libraries, but for the id, which is a UUID here.
        let secret: Secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".parse().unwrap();
        let signed = signature(&secret, Uuid::nil(), 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed, EXPECTED);
    }

    /// By OpenSSL: `openssl dgst -sha256 -mac HMAC -macopt hexkey:… -binary | base64` of the id, the second and the body.
    const EXPECTED: &str = "v1,Y5/uRWupLQOPxe4D5mBYrd9dRGhY+xtWrnxDwy59WDE=";

    #[test]
    fn who_refuses_is_not_asked_again_and_who_is_away_is() {
        let now = millis(784_111_777_000);
        let of = |status: u16, retry_after| verdict(StatusCode::from_u16(status).unwrap(), retry_after, now);
        assert_eq!([of(200, None), of(204, None)], [Verdict::Taken; 2]);
        assert_eq!([of(400, None), of(401, None), of(410, Some("5"))], [Verdict::Refused; 3]);
        assert_eq!([of(500, None), of(302, None), of(408, None), of(503, Some("soon"))], [Verdict::Again(None); 4]);
        assert_eq!(of(429, Some("7")), Verdict::Again(Some(Duration::from_secs(7))));
        let date = Some("Sun, 06 Nov 1994 08:50:37 GMT");
        assert_eq!(of(503, date), Verdict::Again(Some(Duration::from_mins(1))));
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(shortened("é"), "é");
        assert_eq!(shortened(&"é".repeat(SHOWN)), "é".repeat(SHOWN));
        assert_eq!(shortened(&"é".repeat(SHOWN + 1)), format!("{}…", "é".repeat(SHOWN)));
    }
}
