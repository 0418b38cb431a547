//! `herald demo`: people who talk, on a herald that runs. They come over REST as
//! anybody would, and what they say stands in `demo.json`; asked for again, it is
//! only told who they are.

use crate::chat::{Answer, Rest};
use anyhow::Context;
use clap::Args;
use events::{Ids, Vector};
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    io::{Write, stdout},
    process::ExitCode,
};

const STORY: &str = include_str!("demo.json");
/// No secret: whoever reads this can log in as any of them.
const PASSWORD: &str = "everybody may know this";

#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Where it serves.
    #[arg(long, env = "HERALD_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Deserialize)]
struct Story {
    people: Vec<Somebody>,
    groups: Vec<Group>,
    pairs: Vec<Pair>,
}

#[derive(Deserialize)]
struct Somebody {
    username: String,
    display_name: String,
    about: String,
}

#[derive(Deserialize)]
struct Group {
    title: String,
    owner: String,
    #[serde(default)]
    admins: Vec<String>,
    members: Vec<String>,
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Pair {
    between: [String; 2],
    lines: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    by: String,
    text: String,
    #[serde(default)]
    reply_to: Option<u32>,
    /// Who reacts, by emoji.
    #[serde(default)]
    reactions: BTreeMap<String, Vec<String>>,
}

/// Those who have come, on that herald.
struct Cast {
    rest: Rest,
    by_name: BTreeMap<String, Session>,
}

struct Session {
    user_id: String,
    access_token: String,
}

/// Does it.
///
/// # Errors
/// When the herald does not answer, or somebody else has one of the names.
pub(crate) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let story: Story = serde_json::from_str(STORY).context("the story of the demo is JSON")?;
    let mut cast = Cast { rest: Rest::new(&options.url)?, by_name: BTreeMap::new() };
    if cast.come(&story.people).await? {
        for group in &story.groups {
            cast.play_group(group).await?;
        }
        for pair in &story.pairs {
            cast.play_pair(pair).await?;
        }
    }
    print(cast.rest.url().as_str().trim_end_matches('/'), &story.people, options.json)?;
    Ok(ExitCode::SUCCESS)
}

fn print(url: &str, people: &[Somebody], as_json: bool) -> anyhow::Result<()> {
    let mut to = stdout().lock();
    if as_json {
        let usernames: Vec<_> = people.iter().map(|somebody| &somebody.username).collect();
        writeln!(to, "{}", json!({ "url": url, "usernames": usernames, "password": PASSWORD }))?;
        return Ok(());
    }
    writeln!(to, "Open {url}/ and sign in as one of these, with the password “{PASSWORD}”:")?;
    for Somebody { username, display_name, .. } in people {
        writeln!(to, "  {username:<8} {display_name}")?;
    }
    Ok(())
}

impl Cast {
    /// Signs everybody up; whether they are new.
    async fn come(&mut self, people: &[Somebody]) -> anyhow::Result<bool> {
        for Somebody { username, display_name, about } in people {
            let body = json!({
                "username": username, "password": PASSWORD, "display_name": display_name, "device": "demo",
            });
            let answer = self.ask(Method::POST, "/v1/signup", None, Some(body)).await?;
            if answer.status == StatusCode::CONFLICT {
                return self.are_there(username).await.map(|()| false);
            }
            let tokens = answer.granted()?["tokens"].take();
            let text = |name: &str| tokens[name].as_str().map(ToOwned::to_owned).context("a sign-up without tokens");
            let session = Session { user_id: text("user_id")?, access_token: text("access_token")? };
            self.by_name.insert(username.clone(), session);
            self.act(username, Method::PATCH, "/v1/me", Some(json!({ "about": about }))).await?;
        }
        Ok(true)
    }

    /// Whether it is they who have the name.
    async fn are_there(&self, username: &str) -> anyhow::Result<()> {
        let body = json!({ "username": username, "password": PASSWORD, "device": "demo" });
        let answer = self.ask(Method::POST, "/v1/login", None, Some(body)).await?;
        answer.granted().map(drop).with_context(|| format!("somebody else is called {username} at {}", self.rest.url()))
    }

    async fn play_group(&self, group: &Group) -> anyhow::Result<()> {
        let member_ids = group.members.iter().map(|name| self.id(name)).collect::<Result<Vec<_>, _>>()?;
        let body = json!({ "kind": "group", "title": group.title, "member_ids": member_ids });
        let opened = self.act(&group.owner, Method::POST, "/v1/threads", Some(body)).await?;
        let thread = format!("/v1/threads/{}", opened["thread_id"].as_str().context("a thread without an id")?);
        for admin in &group.admins {
            let path = format!("{thread}/members/{}", self.id(admin)?);
            self.act(&group.owner, Method::PUT, &path, Some(json!({ "role": "admin" }))).await?;
        }
        self.play(&thread, &group.lines).await
    }

    async fn play_pair(&self, pair: &Pair) -> anyhow::Result<()> {
        let [one, other] = &pair.between;
        let body = json!({ "kind": "direct", "user_id": self.id(other)? });
        let opened = self.act(one, Method::POST, "/v1/threads", Some(body)).await?;
        let thread = format!("/v1/threads/{}", opened["thread_id"].as_str().context("a thread without an id")?);
        for [one, other] in [[one, other], [other, one]] {
            self.act(one, Method::PUT, &format!("/v1/contacts/{}", self.id(other)?), None).await?;
        }
        self.play(&thread, &pair.lines).await
    }

    async fn play(&self, thread: &str, lines: &[Line]) -> anyhow::Result<()> {
        let messages = format!("{thread}/messages");
        for Line { by, text, reply_to, reactions } in lines {
            let body = json!({ "key": Ids::random().next(), "body": text, "reply_to": reply_to });
            let sent = self.act(by, Method::POST, &messages, Some(body)).await?;
            for (emoji, those) in reactions {
                let mut path = self.rest.url().clone();
                path.set_path(&format!("{messages}/{}/reactions/{emoji}", sent["number"]));
                for name in those {
                    self.act(name, Method::PUT, path.path(), None).await?;
                }
            }
        }
        Ok(())
    }

    fn id(&self, name: &str) -> anyhow::Result<&str> {
        self.session(name).map(|session| session.user_id.as_str())
    }

    fn session(&self, name: &str) -> anyhow::Result<&Session> {
        self.by_name.get(name).with_context(|| format!("{name} is not one of the people"))
    }

    /// What somebody does, which must succeed.
    async fn act(&self, by: &str, method: Method, path: &str, body: Option<Value>) -> anyhow::Result<Value> {
        let answer = self.ask(method, path, Some(self.session(by)?), body).await?;
        answer.granted().with_context(|| format!("{path} was refused to {by}"))
    }

    async fn ask(
        &self,
        method: Method,
        path: &str,
        session: Option<&Session>,
        body: Option<Value>,
    ) -> anyhow::Result<Answer> {
        let token = session.map(|session| session.access_token.as_str());
        self.rest.ask(method, path, token, &Vector::default(), body.as_ref()).await
    }
}
