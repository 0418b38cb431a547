//! How things look in a line of a terminal, purely: what others have written can
//! move no cursor and begin no line of its own.

use super::frame::{Message, Notice};
use crate::operate::one_line;
use chrono::{DateTime, Local, NaiveDate};
use events::Timestamp;

/// How lines are made: for whom, and on what day.
#[derive(Debug, Clone, Copy)]
pub(super) struct Style {
    /// Whether names are bold.
    pub(super) is_bold: bool,
    pub(super) today: NaiveDate,
}

impl Style {
    /// A message, and in what other conversation than the open one, if it is.
    pub(super) fn message(self, message: &Message, sender: &str, elsewhere: Option<&str>) -> String {
        let text = text(message);
        format!("{}  {}: {text}", self.time(message.sent_at), self.name(sender, elsewhere))
    }

    /// What happened to a conversation.
    pub(super) fn notice(self, notice: &Notice, by: &str, whom: &str, elsewhere: Option<&str>) -> String {
        let title = one_line(notice.title.as_deref().unwrap_or_default());
        let whom = one_line(whom);
        let what = match notice.change.as_str() {
            "created" if notice.title.is_some() => format!("began “{title}”"),
            "created" => "began this conversation".to_owned(),
            "renamed" => format!("called it “{title}”"),
            "member_added" => format!("added {whom}"),
            "member_removed" => format!("removed {whom}"),
            "member_left" => "left".to_owned(),
            "role_changed" => format!("made {whom} {}", one_line(notice.role.as_deref().unwrap_or("something"))),
            "picture_changed" => "changed the picture".to_owned(),
            other => one_line(other),
        };
        format!("{}  {} {what}", self.time(notice.time), self.name(by, elsewhere))
    }

    /// Something that somebody did to a message.
    pub(super) fn deed(self, by: &str, what: &str, elsewhere: Option<&str>) -> String {
        format!("{} {}", self.name(by, elsewhere), one_line(what))
    }

    fn name(self, name: &str, elsewhere: Option<&str>) -> String {
        let name = one_line(name);
        let name = if self.is_bold { format!("\x1b[1m{name}\x1b[0m") } else { name };
        elsewhere.map_or_else(|| name.clone(), |place| format!("{name} ({})", one_line(place)))
    }

    fn time(self, at: Timestamp) -> impl std::fmt::Display + use<> {
        let at: DateTime<Local> = at.into();
        at.format(if at.date_naive() == self.today { "%H:%M" } else { "%Y-%m-%d %H:%M" })
    }
}

fn text(message: &Message) -> String {
    let Some(body) = &message.body else { return "(deleted)".to_owned() };
    let files =
        message.attachments.iter().map(|file| format!("[{}]", one_line(file.name.as_deref().unwrap_or("file"))));
    let words = Some(one_line(body)).filter(|body| !body.is_empty());
    words.into_iter().chain(files).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::Style;
    use crate::chat::frame::Message;
    use chrono::Local;
    use serde_json::{Value, json};

    fn message(body: &Value, attachments: &Value) -> Message {
        let id = "01a20fbf-da5b-706e-a8df-ad8925c37c00";
        let message = json!({ "number": 1, "key": id, "sender_id": id, "body": body, "attachments": attachments,
            "sent_at": "2026-01-31T12:00:00.000Z" });
        serde_json::from_value(message).unwrap()
    }

    fn shown(body: &Value, attachments: &Value, sender: &str) -> String {
        let message = message(body, attachments);
        let today = message.sent_at.with_timezone(&Local).date_naive();
        let line = Style { is_bold: false, today }.message(&message, sender, None);
        line.split_once("  ").unwrap().1.to_owned()
    }

    #[test]
    fn a_message_is_one_line_whatever_it_holds() {
        let none = json!([]);
        let files = json!([{ "attachment_id": "1", "name": "a\tb.png", "media_type": "image/png", "size": 1 }]);
        let long = "x".repeat(1_000);
        for (body, attachments, sender, expected) in [
            (json!("Hello"), &none, "Ada", "Ada: Hello".to_owned()),
            (json!("one\ntwo"), &none, "Ada", "Ada: one\\ntwo".to_owned()),
            (json!("\u{1b}[2J"), &none, "A\u{7}da", "A\\u{7}da: \\u{1b}[2J".to_owned()),
            (Value::Null, &none, "Ada", "Ada: (deleted)".to_owned()),
            (json!(""), &files, "Ada", "Ada: [a\\tb.png]".to_owned()),
            (json!("See"), &files, "Ada", "Ada: See [a\\tb.png]".to_owned()),
            (json!(long), &none, "Ada", format!("Ada: {long}")),
        ] {
            assert_eq!(shown(&body, attachments, sender), expected);
        }
    }

    #[test]
    fn a_day_is_told_when_it_is_another_one() {
        let message = message(&json!("Hello"), &json!([]));
        let today = message.sent_at.with_timezone(&Local).date_naive();
        let tells = |today| Style { is_bold: false, today }.message(&message, "Ada", Some("Trip"));
        assert!(!tells(today).contains("2026"));
        assert!(tells(today.succ_opt().unwrap()).contains("2026-01-3"));
        assert!(tells(today).ends_with("Ada (Trip): Hello"));
    }
}
