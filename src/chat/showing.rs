//! What is shown of frames and of history, and the names in it: whoever is not
//! known yet is looked up first.

use super::{
    account::SignedOut,
    conversation::Conversation,
    frame::{Entry, Message, Notice, What},
    known::Thread,
    rest::Refused,
    shown::Style,
    typed::MOST,
};
use anyhow::{Context, anyhow};
use chrono::Local;
use events::Vector;
use serde::de::DeserializeOwned;
use std::time::Duration;
use tokio::time::timeout;
use uuid::Uuid;

/// On a terminal, as much of an open conversation is shown as gives a context.
const CONTEXT: u32 = 10;
/// For the name of somebody or something: what they wrote does not wait longer.
const PATIENCE: Duration = Duration::from_secs(5);

impl Conversation {
    /// Loads what lies there, as of a vector: what is new since it was last heard is shown.
    ///
    /// # Errors
    /// When herald does not answer, or nobody reads.
    pub(super) async fn load(&mut self, vector: &Vector) -> anyhow::Result<()> {
        self.account.has_seen(vector);
        let mut threads: Vec<Thread> = Vec::new();
        for archived in [false, true] {
            threads.extend(self.all(&format!("/v1/threads?archived={archived}"), "threads").await?);
        }
        for thread in threads {
            self.known.put(thread.clone());
            let Thread { thread_id, last_number, read_number, .. } = thread;
            let context = if self.screen.is_terminal { last_number.saturating_sub(CONTEXT) } else { read_number };
            let from = match self.known.heard(thread_id) {
                Some(heard) => heard,
                None if self.open == Some(thread_id) => context.min(read_number),
                None if self.has_begun => read_number,
                None => {
                    self.known.pass_over(&thread);
                    continue;
                }
            };
            if last_number > from {
                self.show_after(thread_id, from).await?;
            }
            self.known.hear(thread_id, last_number);
        }
        Ok(())
    }

    /// Shows the messages of a conversation after a number.
    ///
    /// # Errors
    /// When herald does not answer, or nobody reads.
    pub(super) async fn show_after(&mut self, thread_id: Uuid, number: u32) -> anyhow::Result<()> {
        let entries: Vec<Entry> =
            match self.all(&format!("/v1/threads/{thread_id}/messages?after={number}"), "entries").await {
                Ok(entries) => entries,
                // Somebody who was removed meanwhile.
                Err(error) if error.is::<Refused>() => return Ok(()),
                Err(error) => return Err(error),
            };
        for entry in entries {
            if let Entry::Message(message) = entry {
                self.known.hear(thread_id, message.number);
                self.show_message(Message { thread_id, ..message }).await?;
            }
        }
        Ok(())
    }

    /// Shows a frame.
    ///
    /// # Errors
    /// When nobody reads.
    pub(super) async fn show(&mut self, what: What) -> anyhow::Result<()> {
        match what {
            What::Message(message) => {
                if self.known.hear(message.thread_id, message.number) {
                    self.show_message(message).await?;
                }
            }
            What::MessageEdited { thread_id, number, body } => {
                let body = body.unwrap_or_else(|| "(deleted)".to_owned());
                let at = self.place(thread_id, Uuid::nil()).await;
                self.screen.show(&self.style().deed(
                    &format!("message {number}"),
                    &format!("is now: {body}"),
                    at.as_deref(),
                ))?;
            }
            What::MessageDeleted { thread_id, number } => {
                let at = self.place(thread_id, Uuid::nil()).await;
                self.screen.show(&self.style().deed(&format!("message {number}"), "was deleted", at.as_deref()))?;
            }
            What::Reaction { thread_id, number, user_id, emoji, removed } if user_id != self.account.id() => {
                let (name, at) = (self.name_of(user_id).await?, self.place(thread_id, user_id).await);
                let deed = if removed { "takes back" } else { "reacts with" };
                self.screen.show(&self.style().deed(
                    &name,
                    &format!("{deed} {emoji} to message {number}"),
                    at.as_deref(),
                ))?;
            }
            What::Thread(notice) => self.show_change(notice).await?,
            What::Receipt { thread_id, user_id, delivered, read } => {
                if self.ticks && user_id != self.account.id() && self.open == Some(thread_id) {
                    let name = self.name_of(user_id).await?;
                    let told = read.map(|number| format!("has read {number}"));
                    if let Some(told) = told.or_else(|| delivered.map(|number| format!("has got {number}"))) {
                        self.screen.show(&self.style().deed(&name, &told, None))?;
                    }
                }
            }
            What::Reaction { .. }
            | What::Welcome { .. }
            | What::Live { .. }
            | What::Reset { .. }
            | What::Pong { .. }
            | What::Ack { .. }
            | What::Error { .. }
            | What::Other => {}
        }
        Ok(())
    }

    /// Shows an entry of a history that was asked for.
    ///
    /// # Errors
    /// When nobody reads.
    pub(super) async fn show_entry(&mut self, entry: Entry) -> anyhow::Result<()> {
        let line = match entry {
            Entry::Message(message) => {
                let sender = self.name_of(message.sender_id).await?;
                self.style().message(&message, &sender, None)
            }
            Entry::Notice(notice) => self.notice(&notice, None).await?,
        };
        Ok(self.screen.show(&line)?)
    }

    /// Everything of a list, page by page.
    ///
    /// # Errors
    /// When herald does not answer, or refuses.
    pub(super) async fn all<T: DeserializeOwned>(&mut self, path: &str, field: &str) -> anyhow::Result<Vec<T>> {
        let (bare, _) = path.split_once('?').unwrap_or((path, ""));
        let joint = if path.contains('?') { '&' } else { '?' };
        let mut page = self.account.get(&format!("{path}{joint}limit={MOST}")).await?;
        let mut found = Vec::new();
        loop {
            let items: Vec<T> =
                serde_json::from_value(page[field].take()).with_context(|| format!("a page without {field}"))?;
            found.extend(items);
            let Some(next) = page["next"].as_str() else { return Ok(found) };
            page = self.account.get(&format!("{bare}?limit={MOST}&cursor={next}")).await?;
        }
    }

    /// What somebody is called.
    ///
    /// # Errors
    /// When the session has ended.
    pub(super) async fn name_of(&mut self, user_id: Uuid) -> anyhow::Result<String> {
        if user_id == self.account.id() {
            return Ok("You".to_owned());
        }
        if let Some(name) = self.known.names.get(&user_id) {
            return Ok(name.clone());
        }
        let asked = timeout(PATIENCE, self.account.get(&format!("/v1/users/{user_id}"))).await;
        match asked.unwrap_or_else(|_| Err(anyhow!("nobody tells who that is"))) {
            Ok(user) => {
                let name = user["display_name"].as_str().unwrap_or_default().to_owned();
                self.known.names.insert(user_id, name.clone());
                Ok(name)
            }
            Err(error) if error.is::<SignedOut>() => Err(error),
            Err(_) => Ok("Somebody".to_owned()),
        }
    }

    async fn show_message(&mut self, message: Message) -> anyhow::Result<()> {
        let Message { thread_id, number, sender_id, key, .. } = message;
        let (is_mine, is_open) = (sender_id == self.account.id(), self.open == Some(thread_id));
        // What one has typed stands there already; a script knows what it sent.
        if self.known.keys.remove(&key) || is_mine && !self.screen.is_terminal {
            return Ok(());
        }
        let (sender, place) = (self.name_of(sender_id).await?, self.place(thread_id, sender_id).await);
        self.screen.show(&self.style().message(&message, &sender, place.as_deref()))?;
        if !is_mine {
            self.owe(thread_id, number, is_open);
            if is_open || self.open.is_none() {
                self.wait_for = self.wait_for.saturating_sub(1);
            }
        }
        Ok(())
    }

    async fn show_change(&mut self, notice: Notice) -> anyhow::Result<()> {
        let me = self.account.id();
        let is_me = notice.user_id == Some(me);
        let place = self.place(notice.thread_id, notice.by).await;
        if notice.change == "renamed" {
            self.known.rename(notice.thread_id, notice.title.as_deref());
        }
        // That two people may write to each other is shown by what they write.
        let is_told = notice.change != "created" || notice.title.is_some();
        if is_told && (notice.by != me || self.screen.is_terminal) {
            let line = self.notice(&notice, place.as_deref()).await?;
            self.screen.show(&line)?;
        }
        if is_me && matches!(notice.change.as_str(), "member_removed" | "member_left")
            || notice.by == me && notice.change == "member_left"
        {
            self.known.forget(notice.thread_id);
            if self.open == Some(notice.thread_id) {
                self.open = None;
                self.screen.set_prompt("");
            }
        }
        Ok(())
    }

    async fn notice(&mut self, notice: &Notice, place: Option<&str>) -> anyhow::Result<String> {
        let by = self.name_of(notice.by).await?;
        let whom = match notice.user_id {
            Some(user_id) if user_id == self.account.id() => "you".to_owned(),
            Some(user_id) => self.name_of(user_id).await?,
            None => String::new(),
        };
        Ok(self.style().notice(notice, &by, &whom, place))
    }

    /// Where something happened, unless it is the open conversation.
    async fn place(&mut self, thread_id: Uuid, by: Uuid) -> Option<String> {
        if self.open == Some(thread_id) {
            return None;
        }
        if !self.known.threads.contains_key(&thread_id) {
            let asked = timeout(PATIENCE, self.account.get(&format!("/v1/threads/{thread_id}"))).await;
            if let Ok(Ok(thread)) = asked.map(|asked| asked.and_then(|thread| Ok(serde_json::from_value(thread)?))) {
                self.known.put(thread);
            }
        }
        let Some(thread) = self.known.threads.get(&thread_id) else { return Some("elsewhere".to_owned()) };
        Some(match (thread.is_group(), by == self.account.id()) {
            (true, _) => thread.title().to_owned(),
            (false, true) => format!("to {}", thread.title()),
            (false, false) => "to you".to_owned(),
        })
    }

    fn style(&self) -> Style {
        Style { is_bold: self.screen.is_terminal, today: self.clock.now().with_timezone(&Local).date_naive() }
    }
}
