//! What was set aside, and a second try at it: by a build that can apply it, all
//! facts of the aggregate since then are applied in one transaction, in order.

use crate::{
    Error, View,
    database::Database,
    generation,
    intake::project,
    place::Schema,
    quarantine, rebuild,
    source::Source,
    store::{
        Store,
        checkpoint::{self, Checkpoint},
        quarantine as set_aside,
    },
    view::with_projection,
};
use events::{
    Envelope, Event, EventLog, Partition, Position, Share, Vector,
    event::ReceiptEvent,
    shard::{Map, Part},
};
use sqlx::{Connection, PgConnection, Row};
use std::sync::Arc;
use uuid::Uuid;

const PORTION: usize = 1_000;

/// A fact that a view could not apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarantined {
    pub view: View,
    /// Of which database.
    pub share: Share,
    pub position: Position,
    /// The thread, person or gateway of which nothing is applied since; `None`: of facts without an order only this one.
    pub aggregate_id: Option<Uuid>,
    pub reason: String,
}

/// What was set aside, in the views that serve.
///
/// # Errors
/// When Postgres does not answer.
pub async fn quarantined(databases: &Map) -> Result<Vec<Quarantined>, Error> {
    let mut all = Vec::new();
    for (share, url) in databases.shards() {
        list(&Database::new(url)?, share, &mut all).await?;
    }
    Ok(all)
}

async fn list(database: &Database, share: Share, all: &mut Vec<Quarantined>) -> Result<(), Error> {
    for view in View::ALL {
        let schema = Schema::living(view);
        let mut connection = database.connect(schema).await?;
        if generation::version(&mut connection, schema).await?.is_none() {
            continue;
        }
        let list = "SELECT partition, sequence, aggregate_id, reason FROM quarantine ORDER BY partition, sequence";
        for row in sqlx::query(list).fetch_all(&mut connection).await? {
            let partition =
                u16::try_from(row.try_get::<i32, _>(0)?).map_err(|error| sqlx::Error::Decode(error.into()))?;
            let sequence = row.try_get::<i64, _>(1)?.unsigned_abs();
            let position = Position { partition: Partition(partition), sequence };
            all.push(Quarantined { view, share, position, aggregate_id: row.try_get(2)?, reason: row.try_get(3)? });
        }
    }
    Ok(())
}

/// Tries again to apply what was set aside; tells how many facts that were.
///
/// # Errors
/// [`Error::Poisoned`] where it still cannot be applied: then nothing has changed.
pub async fn redrive(log: &EventLog, databases: &Map, one: &Quarantined) -> Result<u64, Error> {
    let mut shards = databases.shards();
    let (_, url) = shards.find(|(share, _)| *share == one.share).ok_or(Error::Gone)?;
    let mut connection = Database::new(url)?.connect(Schema::living(one.view)).await?;
    let applied = with_projection!(one.view, P => redrive_as::<P>(log, &mut connection, one).await);
    // Who comes next need not wait until the server has heard that the connection is closed; that ends the lock in any case.
    drop(sqlx::query("SELECT pg_advisory_unlock_all()").execute(&mut connection).await);
    applied
}

async fn redrive_as<P: Store>(log: &EventLog, connection: &mut PgConnection, one: &Quarantined) -> Result<u64, Error> {
    let partition = one.position.partition;
    let schema = Schema::living(one.view);
    // Nothing is swapped meanwhile; the lock goes with the connection.
    if !rebuild::lock(connection, one.view).await? {
        return Err(Error::Busy(one.view));
    }
    let (version, known) = (generation::version(connection, schema).await?, one.view.version());
    match version {
        Some(version) if version == known => {}
        Some(found) if found > known => return Err(Error::NewerVersion { view: one.view, found, known }),
        Some(found) => return Err(Error::Outdated { view: one.view, found }),
        None => return Err(Error::Gone),
    }
    let mut transaction = connection.begin().await?;
    if !set_aside::remove::<P>(&mut transaction, one.position, one.aggregate_id).await? {
        return Err(Error::Gone);
    }
    let mut applied = 0;
    let mut from = one.position.sequence - 1;
    // First what the view has passed by now, then, while it is held, what came meanwhile.
    let passed = checkpoint::load(&mut transaction).await?;
    let mut until = match one.aggregate_id {
        Some(_) => passed.vector().get(partition),
        None => one.position.sequence,
    };
    for held in [false, true] {
        if held {
            let now = checkpoint::hold(&mut transaction, schema).await?;
            if one.aggregate_id.is_some() {
                until = now.vector().get(partition);
            }
        }
        applied += apply::<P>(log, &mut transaction, one, from, until).await?;
        from = until;
    }
    // Whoever writes finds out, and looks anew at what is set aside.
    sqlx::query("UPDATE generation SET id = gen_random_uuid()").execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(applied)
}

/// Applies the aggregate's facts between two sequences.
async fn apply<P: Store>(
    log: &EventLog,
    connection: &mut PgConnection,
    one: &Quarantined,
    mut from: u64,
    until: u64,
) -> Result<u64, Error> {
    let partition = one.position.partition;
    let part = Part::new(log.names(), one.share);
    let mut applied = 0;
    let mut checkpoint = Checkpoint::default();
    checkpoint.set(partition, from);
    let end: Vector = [Position { partition, sequence: until }].into_iter().collect();
    let mut source = Source::up_to(&checkpoint, log, &end).remove(0);
    while from < until {
        let facts = source.next_batch(PORTION).await;
        from = facts.last().map_or(until, |fact| fact.position.sequence);
        let mut writes = P::default();
        let mut some = 0;
        // A stream with gaps may give more than lies between.
        let facts = facts.iter().filter(|fact| fact.position.sequence <= until);
        for fact in facts.filter_map(|fact| of(one, fact)) {
            if let Some(fact) = P::part_of(&part, &fact) {
                project(&mut writes, &fact).map_err(|reason| still(one, reason))?;
            }
            some += 1;
        }
        if some > 0 {
            let written = writes.write(connection).await.map_err(Error::from);
            written.map_err(|error| error.of_data().map_or(error, |reason| still(one, reason)))?;
            applied += some;
        }
    }
    Ok(applied)
}

fn still(one: &Quarantined, reason: String) -> Error {
    Error::Poisoned { events: 1, last: Some(one.position), suspects: vec![one.position.partition], reason }
}

/// As much of a fact as is about what was set aside.
fn of(one: &Quarantined, fact: &Arc<Envelope>) -> Option<Envelope> {
    let Some(aggregate_id) = one.aggregate_id else {
        return (fact.position == one.position).then(|| Envelope::clone(fact));
    };
    if let Event::Receipts(ReceiptEvent::ReceiptsAdvanced { receipts }) = &fact.event {
        let mut receipts = receipts.clone();
        receipts.retain(|receipt| receipt.thread_id.uuid() == aggregate_id);
        let event = ReceiptEvent::ReceiptsAdvanced { receipts }.into();
        return Some(Envelope { event, ..Envelope::clone(fact) });
    }
    (quarantine::id(fact.aggregate) == Some(aggregate_id)).then(|| Envelope::clone(fact))
}
