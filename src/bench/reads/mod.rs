//! Pages of history and of the inbox, and who is online, over REST: one at a time and many at once,
//! in turns with the bare statements. Each answer is compared with one that was
//! taken apart before.

mod get;
mod report;
mod sql;

use super::{
    Options,
    histogram::Histogram,
    people::{self, People, Person, in_parallel},
    progress::Progress,
    report::{Check, Each, Finding, Latency, Setting, float},
    storm::Storm,
    target::Target,
    usage::Usage,
};
use anyhow::{Context, ensure};
use events::{Ids, Position, Vector};
use get::{Connection, request};
use report::{Read, Report, Runs, Settings};
use serde_json::Value;
use sql::Sql;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};
use uuid::Uuid;

/// Threads in the inbox, and in a page of it.
const THREADS: usize = 50;
/// Messages in each thread, twice a page.
const MESSAGES: usize = 100;
const PAGE: usize = 50;
/// People of whom one is told at once whether they are online.
const WATCHED: usize = 100;
/// Three kinds of answers, each by REST and by SQL, one at a time and many at once.
const TURNS: u32 = 12;
/// Hellos at once of those who are watched, and how long it may take until that is seen.
const AT_ONCE: usize = 8;
const COMING: Duration = Duration::from_secs(10);
const LOOK: Duration = Duration::from_millis(50);

/// A page, as it is asked for and as it must be answered.
struct Question {
    request: Vec<u8>,
    answer: Vec<u8>,
    /// Of what it asks: a thread, a person, or people.
    keys: Vec<Uuid>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    History,
    Inbox,
    Presence,
}

pub(super) async fn measure(options: &Options, target: &Target, progress: &Progress) -> anyhow::Result<Finding> {
    let setting = Setting::read(options, target);
    progress.step("people");
    let readers = usize::try_from(options.users)?;
    let mut people = people::gather(readers + WATCHED, options, target).await?;
    let watched = people.split_off(readers);
    progress.step("writing what is read");
    let (threads, after) = write(&people, usize::from(options.body)).await?;
    progress.step("taking the answers apart");
    let histories = Arc::new(histories(&people, target.address, &threads, &after).await?);
    let inboxes = Arc::new(inboxes(&people, target.address, &after).await?);
    let mut online = Storm::new(target.address, AT_ONCE);
    online.come(&watched, None).await?;
    let presences = Arc::new(presences(&people, target.address, &watched).await?);

    let asking = Asking { options, target, lasting: Duration::from_secs(options.seconds) / TURNS };
    let at_once = usize::try_from(options.at_once)?;
    progress.step("history, one page at a time and many at once");
    let history = asking.read(Kind::History, &histories, 1).await?;
    let history_at_once = asking.read(Kind::History, &histories, at_once).await?;
    progress.step("the inbox, one page at a time and many at once");
    let inbox = asking.read(Kind::Inbox, &inboxes, 1).await?;
    let inbox_at_once = asking.read(Kind::Inbox, &inboxes, at_once).await?;
    progress.step("presence, one at a time and many at once");
    let presence = asking.read(Kind::Presence, &presences, 1).await?;
    let presence_at_once = asking.read(Kind::Presence, &presences, at_once).await?;
    drop(online);

    let all = [&history, &history_at_once, &inbox, &inbox_at_once, &presence, &presence_at_once].map(|read| &read.rest);
    let (answers, wrong) =
        all.iter().fold((0, 0), |(answers, wrong), rest| (answers + rest.answers, wrong + rest.wrong));
    let faults = if wrong > 0 { vec![format!("{wrong} answers are not those of before")] } else { Vec::new() };
    let settings = Settings {
        setting,
        readers: people.all.len(),
        threads: THREADS,
        page: PAGE,
        body_bytes: options.body,
        at_once: options.at_once,
    };
    let check = Check::of(answers - wrong, faults);
    let report = Report { settings, history, history_at_once, inbox, inbox_at_once, presence, presence_at_once, check };
    Finding::of(&report, &report.check)
}

/// How it is asked.
struct Asking<'a> {
    options: &'a Options,
    target: &'a Target,
    lasting: Duration,
}

impl Asking<'_> {
    /// The same questions by bare statements, and over REST.
    async fn read(&self, kind: Kind, questions: &Arc<Vec<Question>>, at_once: usize) -> anyhow::Result<Read> {
        let sql = match &self.target.database_url {
            Some(url) if !self.options.no_floors => Some(self.by_sql(kind, questions, url, at_once).await?),
            Some(_) | None => None,
        };
        Ok(Read::new(self.by_rest(questions, at_once).await?, sql))
    }

    async fn by_rest(&self, questions: &Arc<Vec<Question>>, at_once: usize) -> anyhow::Result<Runs> {
        let round = Round::new();
        let mut askers = JoinSet::new();
        for _ in 0..at_once {
            let (mut connection, round, questions) =
                (Connection::open(self.target.address).await?, Arc::clone(&round), Arc::clone(questions));
            askers.spawn(async move {
                let mut latency = Histogram::default();
                while let Some(question) = round.next(&questions) {
                    let began = Instant::now();
                    let answer = connection.get(&question.request).await?;
                    latency.record(u64::try_from(began.elapsed().as_micros())?);
                    if answer != question.answer {
                        round.wrong.fetch_add(1, Ordering::Relaxed);
                    }
                }
                anyhow::Ok(latency)
            });
        }
        self.runs(askers, &round).await
    }

    async fn by_sql(
        &self,
        kind: Kind,
        questions: &Arc<Vec<Question>>,
        url: &str,
        at_once: usize,
    ) -> anyhow::Result<Runs> {
        let round = Round::new();
        let mut askers = JoinSet::new();
        for _ in 0..at_once {
            let (mut sql, round, questions) = (Sql::connect(url).await?, Arc::clone(&round), Arc::clone(questions));
            askers.spawn(async move {
                let mut latency = Histogram::default();
                while let Some(question) = round.next(&questions) {
                    let began = Instant::now();
                    match kind {
                        Kind::History => sql.history(question.keys[0], PAGE).await?,
                        Kind::Inbox => sql.inbox(question.keys[0], PAGE).await?,
                        Kind::Presence => sql.presence(&question.keys).await?,
                    }
                    latency.record(u64::try_from(began.elapsed().as_micros())?);
                }
                anyhow::Ok(latency)
            });
        }
        self.runs(askers, &round).await
    }

    /// Lets them ask for so long.
    async fn runs(&self, mut askers: JoinSet<anyhow::Result<Histogram>>, round: &Round) -> anyhow::Result<Runs> {
        let (began, before) = (Instant::now(), Usage::read(self.target.pids));
        sleep(self.lasting).await;
        round.stopped.store(true, Ordering::Relaxed);
        let mut latency = Histogram::default();
        while let Some(asker) = askers.join_next().await {
            latency.add(&asker??);
        }
        let (seconds, used) = (began.elapsed().as_secs_f64(), Each::cpu(&before, &Usage::read(self.target.pids)));
        let answers = latency.total();
        Ok(Runs {
            per_second: float(answers) / seconds,
            ms: Latency::of(&latency),
            us_each: used.scaled(1_000_000.0 / float(answers.max(1))),
            answers,
            wrong: round.wrong.load(Ordering::Relaxed),
        })
    }
}

/// Groups of everybody and what is written there, and after what all of it can be read.
async fn write(people: &People, body: usize) -> anyhow::Result<(Vec<String>, String)> {
    let People { http, all, .. } = people;
    let (http, all, ids) = (http.clone(), Arc::new(all.clone()), Ids::random());
    let threads = {
        let (http, all) = (http.clone(), Arc::clone(&all));
        in_parallel(THREADS, move |_| {
            let (http, all) = (http.clone(), Arc::clone(&all));
            async move { http.create_group(&all).await }
        })
        .await?
    };
    let positions = {
        let threads = Arc::new(threads.clone());
        in_parallel(THREADS * MESSAGES, move |index| {
            let (http, all, threads, key) = (http.clone(), Arc::clone(&all), Arc::clone(&threads), ids.next());
            async move {
                let text = "x".repeat(body);
                http.write(&all[index % all.len()], &threads[index % THREADS], key, &text).await
            }
        })
        .await?
    };
    let mut after = Vector::default();
    for position in positions {
        let Position { partition, sequence } = position.parse().context("a position")?;
        after.set(partition, sequence.max(after.get(partition)));
    }
    Ok((threads, after.to_string()))
}

async fn histories(
    people: &People,
    address: SocketAddr,
    threads: &[String],
    after: &str,
) -> anyhow::Result<Vec<Question>> {
    let mut questions = Vec::new();
    for (thread_id, person) in threads.iter().zip(people.all.iter().cycle()) {
        let path = format!("/v1/threads/{thread_id}/messages?limit={PAGE}");
        let (answer, page) = asked(people, person, &path, after).await?;
        let entries = page["entries"].as_array().context("a page without entries")?;
        let numbers = entries.iter().map(|entry| entry["number"].as_u64());
        let expected = (MESSAGES - PAGE + 1..=MESSAGES).rev().map(|number| u64::try_from(number).ok());
        ensure!(numbers.eq(expected), "history is not the newest {PAGE} of {MESSAGES}: {page}");
        let request = request(address, &path, &person.access_token);
        questions.push(Question { request, answer, keys: vec![thread_id.parse()?] });
    }
    Ok(questions)
}

async fn inboxes(people: &People, address: SocketAddr, after: &str) -> anyhow::Result<Vec<Question>> {
    let mut questions = Vec::new();
    for person in &people.all {
        let path = format!("/v1/threads?limit={PAGE}");
        let (answer, page) = asked(people, person, &path, after).await?;
        let threads = page["threads"].as_array().context("a page without threads")?;
        let are_last = threads.iter().all(|thread| thread["last_number"].as_u64() == u64::try_from(MESSAGES).ok());
        ensure!(threads.len() == PAGE && are_last, "the inbox has not all threads as they are: {page}");
        let request = request(address, &path, &person.access_token);
        questions.push(Question { request, answer, keys: vec![person.user_id.parse()?] });
    }
    Ok(questions)
}

/// Once all who are watched are seen to be online.
async fn presences(people: &People, address: SocketAddr, watched: &[Person]) -> anyhow::Result<Vec<Question>> {
    let asked_for: Vec<_> = watched.iter().map(|person| format!("user_id={}", person.user_id)).collect();
    let path = format!("/v1/presence?{}", asked_for.join("&"));
    let keys = watched.iter().map(|person| person.user_id.parse()).collect::<Result<Vec<Uuid>, _>>()?;
    let mut questions = Vec::new();
    for person in &people.all {
        let began = Instant::now();
        let answer = loop {
            let (answer, told) = asked(people, person, &path, "").await?;
            let told = told.as_array().context("who is online is no list")?;
            if told.len() == WATCHED && told.iter().all(|of| of["online"] == true) {
                break answer;
            }
            ensure!(began.elapsed() < COMING, "not all are seen to be online");
            sleep(LOOK).await;
        };
        questions.push(Question { request: request(address, &path, &person.access_token), answer, keys: keys.clone() });
    }
    Ok(questions)
}

async fn asked(people: &People, person: &Person, path: &str, after: &str) -> anyhow::Result<(Vec<u8>, Value)> {
    let answer = people.http.get(person, path, after).await?;
    let page = serde_json::from_slice(&answer)?;
    Ok((answer, page))
}

/// What goes round a set of questions, shared by all who ask.
struct Round {
    next: AtomicU64,
    stopped: AtomicBool,
    wrong: AtomicU64,
}

impl Round {
    fn new() -> Arc<Self> {
        Arc::new(Self { next: AtomicU64::new(0), stopped: AtomicBool::new(false), wrong: AtomicU64::new(0) })
    }

    /// The next question, while there is time.
    fn next<'a>(&self, questions: &'a [Question]) -> Option<&'a Question> {
        let next = usize::try_from(self.next.fetch_add(1, Ordering::Relaxed)).ok()?;
        (!self.stopped.load(Ordering::Relaxed)).then(|| &questions[next % questions.len()])
    }
}
