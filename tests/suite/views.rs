//! The views on a real log and a real Postgres: rows are the same however they
//! came about, whatever is killed, wiped or run twice; answers are as written.

mod answers;
mod figures;
mod groups;
pub(crate) mod life;
mod people;
mod quarantine;
pub(crate) mod rebuild;

use crate::harness::Deployment;
use events::{
    Aggregate, DeploymentEvent, Event, EventId, EventLog, Ids, MessageKey, Partition, Position, Text, ThreadEvent,
    ThreadId, UserEvent, UserId, Vector,
    clock::millis,
    envelope::Draft,
    event::{Receipt, ReceiptEvent},
};
use projection::{Applied, Error, Runner, View};
use query::Views;
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, Row};
use std::time::Duration;
use tokio::{task::JoinSet, time::timeout};
use tokio_util::sync::CancellationToken;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Writes facts as the deciders would.
pub(crate) struct Scribe {
    pub(crate) log: EventLog,
    ids: Ids,
    facts: i64,
    pub(crate) written: Vector,
}

impl Scribe {
    pub(crate) fn new(log: &EventLog) -> Self {
        Self { log: log.clone(), ids: Ids::random(), facts: 0, written: Vector::default() }
    }

    /// When the newest fact was decided, in milliseconds after 1970.
    fn at(&self) -> i64 {
        1_790_000_000_000 + self.facts
    }

    async fn write(&mut self, aggregate: Aggregate, by: Option<UserId>, event: impl Into<Event>) -> Position {
        self.facts += 1;
        let (id, at) = (EventId::from_uuid(self.ids.next()), millis(self.at()));
        let draft = Draft { aggregate, id, by, at, event: event.into() };
        let position = self.log.append(&draft, None).await.unwrap();
        self.written.raise(position);
        position
    }

    pub(crate) async fn person(&mut self, name: &str) -> UserId {
        let user_id = UserId::from_uuid(self.ids.next());
        self.log.keyring().make(user_id).await.unwrap();
        let event = UserEvent::SignedUp { username: Text::new(name), display_name: Text::new(&name.to_uppercase()) };
        self.write(Aggregate::User(user_id), Some(user_id), event).await;
        user_id
    }

    pub(crate) async fn send(&mut self, by: UserId, to: UserId, number: u32, body: &str) -> (MessageKey, Position) {
        let key = MessageKey::from_uuid(self.ids.next());
        let (opens, reply_to) = ((number == 1).then_some(to), (number == 3).then_some(1));
        let event = ThreadEvent::MessageSent {
            number,
            key,
            body: Text::new(body),
            reply_to,
            opens,
            mentions: vec![],
            attachments: vec![],
        };
        (key, self.write(Aggregate::Thread(ThreadId::direct(by, to)), Some(by), event).await)
    }

    async fn receive(&mut self, thread_id: ThreadId, user_id: UserId, delivered: u32, read: u32) {
        let receipts = vec![Receipt { thread_id, user_id, delivered, read }];
        let partition = self.log.names().partition(thread_id.uuid());
        self.write(Aggregate::Receipts(partition), None, ReceiptEvent::ReceiptsAdvanced { receipts }).await;
    }

    /// Somebody reports a message, an operator sees to it, and somebody reports it again; what else operators do.
    async fn complain(&mut self, by: UserId, peer: UserId) {
        let (of, thread_id, reason) = (Aggregate::User(by), ThreadId::direct(by, peer), Text::new("rude\t\n"));
        for number in [1, 2] {
            let report = || UserEvent::MessageReported { thread_id, number, reason: reason.clone() };
            self.write(of, Some(by), report()).await;
            self.write(of, Some(peer), UserEvent::ReportResolved { thread_id, number, reason: reason.clone() }).await;
            self.write(of, Some(by), report()).await;
        }
        self.write(of, Some(peer), UserEvent::Suspended { reason: reason.clone(), ends: vec![] }).await;
        self.write(of, Some(peer), UserEvent::Restored { reason: reason.clone() }).await;
        for event in [
            DeploymentEvent::OperatorAdded { name: Text::new("Eve") },
            DeploymentEvent::SignUpClosed { reason },
            DeploymentEvent::UserAudited { user_id: by },
            DeploymentEvent::ThreadAudited { thread_id },
        ] {
            self.write(Aggregate::Deployment, Some(peer), event).await;
        }
    }

    /// What three people write to each other, with receipts that are early, late, out of order or a stranger's.
    pub(crate) async fn chatter(&mut self, messages: u32) {
        let people = [self.person("anna").await, self.person("ben").await, self.person("cara").await];
        let stranger = self.person("stranger").await;
        for number in 1..=messages {
            for (turn, [one, other]) in [[0, 1], [1, 2], [2, 0]].into_iter().enumerate() {
                let (one, other) = (people[one], people[other]);
                let (by, to) = if number % 3 == 0 { (other, one) } else { (one, other) };
                self.send(by, to, number, &format!("{number} ü\n\t😀")).await;
                let thread_id = ThreadId::direct(one, other);
                match number as usize % 5 + turn {
                    0 => self.receive(thread_id, other, number, number / 2).await,
                    1 => self.receive(thread_id, one, number + 3, 0).await,
                    2 => self.receive(thread_id, stranger, number, number).await,
                    3 => self.receive(thread_id, other, 0, number + 9).await,
                    _ => {}
                }
            }
        }
        self.complain(people[0], people[1]).await;
        // Claims more than there is, twice: the first time counts, and only what there is.
        let early = ThreadId::direct(people[0], people[1]);
        for claimed in [messages + 7, messages + 8] {
            for person in people {
                self.receive(early, person, claimed, claimed).await;
            }
        }
    }
}

/// Runners of views, stopped with the test.
pub(crate) struct Running {
    /// Of each runner that a scribe has anything for, and the streams that it applies.
    applied: Vec<(Applied, Vec<Partition>)>,
    stop: CancellationToken,
    tasks: JoinSet<Result<(), Error>>,
}

impl Running {
    pub(crate) fn start(deployment: &Deployment, batch: usize) -> Self {
        let mut running = Self { applied: Vec::new(), stop: CancellationToken::new(), tasks: JoinSet::new() };
        for (share, url) in deployment.map().shards() {
            for view in View::ALL {
                let runner = Runner::new(view, deployment.log.clone(), url).unwrap().of_share(share);
                let streams = view.streams(deployment.log.names(), share);
                // What a scribe writes lies in the partitions, of which presence has none.
                running.applied.extend((view != View::Presence).then(|| (runner.applied(), streams)));
                running.tasks.spawn(runner.with_batches_of(batch).run(running.stop.clone()));
            }
        }
        running
    }

    pub(crate) async fn reach(&mut self, wanted: &Vector) {
        for (applied, streams) in &mut self.applied {
            let wanted = wanted.iter().filter(|position| streams.contains(&position.partition)).collect();
            timeout(PATIENCE, applied.reach(&wanted)).await.expect("the view comes abreast");
        }
    }

    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap().unwrap();
        }
    }
}

async fn connect(deployment: &Deployment) -> PgConnection {
    PgConnection::connect(&deployment.database_url).await.unwrap()
}

/// All rows of all views but the generations' own names.
async fn rows(deployment: &Deployment) -> Vec<(String, i64, Option<String>)> {
    let mut connection = connect(deployment).await;
    let tables = sqlx::query(
        "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables \
         WHERE table_schema IN ('directory', 'timeline', 'inbox', 'search', 'audit', 'figures') \
           AND table_type = 'BASE TABLE' \
           AND table_name NOT IN ('generation', '_sqlx_migrations') ORDER BY 1",
    );
    let tables = tables.fetch_all(&mut connection).await.unwrap();
    let mut found = Vec::new();
    for table in tables {
        let name: String = table.get("name");
        let rows = format!("SELECT count(*), md5(string_agg(t::text, E'\\n' ORDER BY t::text)) FROM {name} t");
        let row = sqlx::query(AssertSqlSafe(rows)).fetch_one(&mut connection).await.unwrap();
        found.push((name, row.get(0), row.get(1)));
    }
    found
}

/// The rows of each table of a database's views, as Postgres writes them, in order.
pub(crate) async fn rows_in(url: &str) -> Vec<(String, Vec<String>)> {
    let mut connection = PgConnection::connect(url).await.unwrap();
    let tables = sqlx::query_scalar::<_, String>(
        "SELECT table_schema || '.' || table_name FROM information_schema.tables \
         WHERE table_schema IN ('directory', 'timeline', 'inbox', 'search') \
           AND table_name NOT IN ('generation', 'checkpoint', '_sqlx_migrations') ORDER BY 1",
    );
    let mut found = Vec::new();
    for table in tables.fetch_all(&mut connection).await.unwrap() {
        let rows = sqlx::query_scalar(AssertSqlSafe(format!("SELECT t::text FROM {table} t ORDER BY 1")));
        found.push((table.clone(), rows.fetch_all(&mut connection).await.unwrap()));
    }
    found
}

/// What a single runner makes of the whole log, beginning with nothing.
async fn rebuilt(deployment: &Deployment, batch: usize) -> Vec<(String, i64, Option<String>)> {
    let drop = "DROP SCHEMA directory, timeline, inbox, search, audit, figures CASCADE";
    connect(deployment).await.execute(drop).await.unwrap();
    let mut running = Running::start(deployment, batch);
    running.reach(&deployment.log.end().await.unwrap()).await;
    running.stop().await;
    rows(deployment).await
}

#[test]
fn what_projections_write_queries_read() {
    // Figures are read by dashboards alone.
    let written = View::ALL.into_iter().filter(|view| *view != View::Figures).map(|view| (view.name(), view.version()));
    let read = query::View::ALL.map(|view| (view.name(), view.version()));
    assert_eq!(written.collect::<Vec<_>>(), read);
}

fn views(deployment: &Deployment) -> Views {
    Views::new(deployment.log.names(), &deployment.map(), 4).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rebuild_is_identical_in_batches_of_any_size() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 5_000);
    scribe.chatter(150).await;
    for seed in 1..=3 {
        life::of_a_group(&mut scribe, seed, 300).await;
    }
    running.reach(&scribe.written).await;
    running.stop().await;
    let live = rows(&deployment).await;
    let messages = live.iter().find(|(name, ..)| name == "timeline.messages").unwrap();
    let is_filled = |(name, rows, _): &(String, i64, _)| *rows > 0 || name.ends_with(".quarantine");
    assert!(messages.1 > 450 && live.iter().all(is_filled), "{live:?}");
    for batch in [1, 7, 1000] {
        assert_eq!(rebuilt(&deployment, batch).await, live, "in batches of {batch}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runners_at_once_are_as_one_and_one_goes_on_when_the_other_ends() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let one = Running::start(&deployment, 5);
    let mut other = Running::start(&deployment, 7);
    scribe.chatter(20).await;
    other.reach(&scribe.written).await;
    drop(one);
    scribe.person("dora").await;
    other.reach(&scribe.written).await;
    other.stop().await;
    let both = rows(&deployment).await;
    assert_eq!(both, rebuilt(&deployment, 1000).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn views_come_back_when_postgres_is_wiped_under_them() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    scribe.chatter(10).await;
    running.reach(&scribe.written).await;
    let before = rows(&deployment).await;

    deployment.wipe_postgres().await;
    scribe.person("dora").await;
    running.reach(&scribe.written).await;
    let added = rows(&deployment).await;
    let users =
        |rows: &[(String, i64, Option<String>)]| rows.iter().find(|(name, ..)| name == "directory.users").unwrap().1;
    assert_eq!(users(&added), users(&before) + 1);

    connect(&deployment)
        .await
        .execute("DROP SCHEMA timeline CASCADE; DROP TABLE inbox.heads, search.postings")
        .await
        .unwrap();
    scribe.chatter(2).await;
    running.reach(&scribe.written).await;
    running.stop().await;
    let after = rows(&deployment).await;
    assert_eq!(after, rebuilt(&deployment, 1000).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_checkpoint_is_the_last_applied_event_however_often_connections_are_cut() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 20);
    running.reach(&Vector::default()).await;
    let mut killer = loop {
        if let Ok(connection) = PgConnection::connect(&deployment.database_url).await {
            break connection;
        }
        tokio::task::yield_now().await;
    };
    let kill = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name LIKE 'herald projection%'";
    let mut cut = 0;
    for round in 0..12 {
        let (row, ()) = tokio::join!(sqlx::query(kill).fetch_one(&mut killer), scribe.chatter(3));
        cut += row.unwrap().get::<i64, _>(0);
        if round % 3 == 0 {
            running.reach(&scribe.written).await;
        }
    }
    running.reach(&scribe.written).await;
    running.stop().await;
    assert!(cut > 0);
    let views = views(&deployment);
    for view in query::View::ALL.into_iter().filter(|view| *view != query::View::Presence) {
        assert_eq!(views.refresh(view).await.unwrap(), deployment.log.end().await.unwrap());
    }
    let live = rows(&deployment).await;
    assert_eq!(live, rebuilt(&deployment, 1000).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_generation_of_another_log_or_an_older_version_is_built_anew_and_a_newer_one_refused() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    scribe.chatter(2).await;
    running.reach(&scribe.written).await;
    running.stop().await;
    let rows_of_this_log = rows(&deployment).await;

    let another = Deployment::new().await;
    let another = Deployment { database_url: deployment.database_url.clone(), ..another };
    let mut dora = Scribe::new(&another.log);
    dora.person("dora").await;
    let mut running = Running::start(&another, 100);
    running.reach(&dora.written).await;
    running.stop().await;
    assert_ne!(rows(&deployment).await, rows_of_this_log);

    let mut connection = connect(&deployment).await;
    connection.execute("UPDATE directory.generation SET version = 0").await.unwrap();
    let mut running = Running::start(&deployment, 100);
    running.reach(&scribe.written).await;
    running.stop().await;
    assert_eq!(rows(&deployment).await, rows_of_this_log);

    connection.execute("UPDATE timeline.generation SET version = 99").await.unwrap();
    let runner = Runner::new(View::Timeline, deployment.log.clone(), &deployment.database_url).unwrap();
    let refused = timeout(PATIENCE, runner.run(CancellationToken::new())).await.unwrap();
    assert!(matches!(refused, Err(Error::NewerVersion { found: 99, .. })), "{refused:?}");
    let unreadable = views(&deployment).refresh(query::View::Timeline).await;
    assert!(matches!(unreadable, Err(query::Error::Unavailable(_))), "{unreadable:?}");
}
