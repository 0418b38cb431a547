//! What is done for a line that was typed.

use super::{
    conversation::Conversation,
    frame::Entry,
    known::Thread,
    typed::{HELP, Typed, read, usernames},
};
use anyhow::{Context, bail};
use chrono::Local;
use events::Timestamp;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const LISTED: u32 = 20;
/// Of one question for presence.
const ASKED_AT_ONCE: usize = 100;

#[derive(Deserialize)]
struct Member {
    user_id: Uuid,
    display_name: Option<String>,
    role: String,
}

#[derive(Deserialize)]
struct Presence {
    user_id: Uuid,
    online: bool,
    last_seen: Option<Timestamp>,
}

impl Conversation {
    /// Does what a line says; whether to go on.
    ///
    /// # Errors
    /// When it cannot be done.
    pub(super) async fn act(&mut self, line: &str) -> anyhow::Result<bool> {
        match read(line) {
            Typed::Nothing => {}
            Typed::Text(text) => self.send(text)?,
            Typed::Quit => return Ok(false),
            Typed::Help => {
                for line in HELP {
                    self.screen.show(line)?;
                }
            }
            Typed::Ticks => self.ticks = !self.ticks,
            Typed::Threads => self.list().await?,
            Typed::Open(name) => self.find(name).await?,
            Typed::Group { usernames, title } => {
                let usernames: Vec<_> = usernames.into_iter().map(ToOwned::to_owned).collect();
                self.begin_group(title, &usernames).await?;
            }
            Typed::Add(username) => {
                let path = format!("/v1/threads/{}/members/{}", self.opened()?, self.user(username).await?);
                self.account.act(Method::PUT, &path, json!({})).await?;
            }
            Typed::Members => {
                for member in self.members().await? {
                    let name = self.name_of(member.user_id).await?;
                    self.screen.show(&crate::operate::one_line(&format!("{name}, {}", member.role)))?;
                }
            }
            Typed::Who => self.tell_presence().await?,
            Typed::History(number) => {
                let path = format!("/v1/threads/{}/messages?limit={number}", self.opened()?);
                let mut page = self.account.get(&path).await?;
                let entries: Vec<Entry> = serde_json::from_value(page["entries"].take())?;
                for entry in entries.into_iter().rev() {
                    self.show_entry(entry).await?;
                }
            }
            Typed::Wrong(why) => bail!(why),
        }
        Ok(true)
    }

    /// Opens a conversation: what was not shown of it yet, is.
    ///
    /// # Errors
    /// When it is not there for one, or nobody reads.
    pub(super) async fn open(&mut self, thread_id: Uuid) -> anyhow::Result<()> {
        let thread: Thread = serde_json::from_value(self.account.get(&format!("/v1/threads/{thread_id}")).await?)?;
        self.screen.set_prompt(&crate::operate::printable(thread.title()));
        self.open = Some(thread_id);
        let last_number = thread.last_number;
        self.known.put(thread);
        if !self.has_begun {
            return Ok(());
        }
        if let Some(number) = self.known.see(thread_id) {
            self.show_after(thread_id, number).await?;
        }
        if last_number > 0 {
            self.owe(thread_id, last_number, true);
        }
        Ok(())
    }

    /// Opens the conversation with somebody.
    ///
    /// # Errors
    /// As [`Conversation::open`].
    pub(super) async fn open_with(&mut self, username: &str) -> anyhow::Result<()> {
        let user_id = self.user(username).await?;
        let opened =
            self.account.act(Method::POST, "/v1/threads", json!({ "kind": "direct", "user_id": user_id })).await?;
        let thread_id = opened["thread_id"].as_str().context("a conversation without an id")?.parse()?;
        self.open(thread_id).await
    }

    /// Begins a group, and opens it.
    ///
    /// # Errors
    /// When somebody cannot be found or added.
    pub(super) async fn begin_group(&mut self, title: &str, members: &[String]) -> anyhow::Result<()> {
        let mut member_ids = Vec::new();
        for username in members.iter().flat_map(|names| usernames(names)) {
            member_ids.push(self.user(username).await?);
        }
        let thread_id = self.ids.next();
        let group = json!({ "kind": "group", "thread_id": thread_id, "title": title, "member_ids": member_ids });
        self.account.act(Method::POST, "/v1/threads", group).await?;
        self.open(thread_id).await
    }

    async fn list(&mut self) -> anyhow::Result<()> {
        let mut page = self.account.get(&format!("/v1/threads?limit={LISTED}")).await?;
        let threads: Vec<Thread> = serde_json::from_value(page["threads"].take())?;
        self.listed = threads.iter().map(|thread| thread.thread_id).collect();
        for (place, thread) in (1..).zip(threads) {
            let unread = if thread.unread > 0 { format!(", {} unread", thread.unread) } else { String::new() };
            self.screen.show(&format!("{place}  {}{unread}", crate::operate::one_line(thread.title())))?;
            self.known.put(thread);
        }
        Ok(())
    }

    /// Opens what is meant: a place in the list, a title, a username.
    async fn find(&mut self, name: &str) -> anyhow::Result<()> {
        let place = name.parse().ok().and_then(|place: usize| self.listed.get(place.checked_sub(1)?).copied());
        match place.or_else(|| self.known.titled(name)) {
            Some(thread_id) => self.open(thread_id).await,
            None => self.open_with(name).await,
        }
    }

    async fn tell_presence(&mut self) -> anyhow::Result<()> {
        let me = self.account.id();
        let others = self.members().await?.into_iter().map(|member| member.user_id).filter(|id| *id != me);
        let others: Vec<Uuid> = others.take(ASKED_AT_ONCE).collect();
        let asked: Vec<_> = others.iter().map(|user_id| format!("user_id={user_id}")).collect();
        if asked.is_empty() {
            return Ok(self.screen.show("nobody else is in it")?);
        }
        let told = self.account.get(&format!("/v1/presence?{}", asked.join("&"))).await?;
        let told: Vec<Presence> = serde_json::from_value(told)?;
        let told: BTreeMap<Uuid, Presence> = told.into_iter().map(|presence| (presence.user_id, presence)).collect();
        for user_id in others {
            let name = self.name_of(user_id).await?;
            let how = match told.get(&user_id) {
                Some(Presence { online: true, .. }) => "is here".to_owned(),
                Some(Presence { last_seen: Some(at), .. }) => {
                    format!("was here at {}", at.with_timezone(&Local).format("%Y-%m-%d %H:%M"))
                }
                Some(_) | None => "is not here".to_owned(),
            };
            self.screen.show(&crate::operate::one_line(&format!("{name} {how}")))?;
        }
        Ok(())
    }

    async fn members(&mut self) -> anyhow::Result<Vec<Member>> {
        let members: Vec<Member> = self.all(&format!("/v1/threads/{}/members", self.opened()?), "members").await?;
        for Member { user_id, display_name, .. } in &members {
            self.known.names.insert(*user_id, display_name.clone().unwrap_or_else(|| "Somebody".to_owned()));
        }
        Ok(members)
    }

    fn opened(&self) -> anyhow::Result<Uuid> {
        self.open.context("nothing is open: /open it first, /help lists all")
    }

    /// Who has that username.
    async fn user(&mut self, username: &str) -> anyhow::Result<Uuid> {
        let mut path = self.account.url().join("/v1/users")?;
        path.query_pairs_mut().append_pair("username", username);
        let path = format!("{}?{}", path.path(), path.query().unwrap_or_default());
        let user: Value = self.account.get(&path).await.with_context(|| format!("{username} is nobody"))?;
        Ok(user["user_id"].as_str().context("somebody without an id")?.parse()?)
    }
}
