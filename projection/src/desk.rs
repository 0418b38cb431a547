//! Where batches are written: one connection, one generation, and the part of its
//! checkpoint that is this writer's. Rows and checkpoint commit together; while
//! one batch is committed, the next is filled.

use crate::{
    View,
    database::answered,
    error::Error,
    generation::Generation,
    intake::{Batch, Intake},
    measures::Measures,
    quarantine::{self, Ease},
    store::{
        Store,
        checkpoint::{self, Checkpoint},
        quarantine as set_aside,
    },
};
use events::{Envelope, Trace};
use futures_util::FutureExt;
use sqlx::{Connection, PgConnection};
use std::{panic::AssertUnwindSafe, pin::pin};
use tokio::time::Instant;
use tracing::Instrument;

/// Who writes into a generation. After an error nothing is known of the connection: open another.
pub(crate) struct Desk {
    pub(crate) view: View,
    pub(crate) connection: PgConnection,
    pub(crate) generation: Generation,
    pub(crate) measures: Measures,
}

impl Desk {
    /// Commits what the intake has, and fills it meanwhile; tells how many facts that were. The one that is known to fail
    /// is parked instead.
    ///
    /// # Errors
    /// [`Error::Poisoned`] where a fact of the batch cannot be applied.
    pub(crate) async fn apply<P: Store>(&mut self, intake: &mut Intake<P>, ease: &mut Ease) -> Result<usize, Error> {
        let batch = intake.take();
        let alone = batch.last.as_ref().filter(|_| batch.events == 1);
        if let Some((fact, reason)) = alone.and_then(|fact| Some((fact, ease.take(fact.position)?))) {
            answered(self.park::<P>(fact, &reason)).await?;
            intake.park(fact.aggregate);
        } else {
            let written = match &batch.failure {
                Some(reason) => Err(reason.clone()),
                None => self.commit_while_filling(&batch, intake).await?,
            };
            if let Err(reason) = written {
                let last = batch.last.map(|fact| fact.position);
                let suspects = match (last, &batch.failure) {
                    (Some(position), Some(_)) => vec![position.partition],
                    (_, _) => batch.moved.partitions().collect(),
                };
                return Err(Error::Poisoned { events: batch.events, last, suspects, reason });
            }
            self.generation.checkpoint.advance(&batch.moved);
        }
        ease.committed();
        intake.keep_to(ease);
        Ok(batch.events)
    }

    /// Tells why the batch can never be committed, if it cannot.
    async fn commit_while_filling<P: Store>(
        &mut self,
        batch: &Batch<P>,
        next: &mut Intake<P>,
    ) -> Result<Result<(), String>, Error> {
        let commit = AssertUnwindSafe(answered(self.commit(batch))).catch_unwind();
        let mut commit = pin!(commit);
        let committed = loop {
            tokio::select! {
                biased;
                committed = &mut commit => break committed,
                () = next.more(), if !next.is_full() => {}
            }
        };
        match committed {
            Ok(Ok(())) => Ok(Ok(())),
            Ok(Err(error)) => error.of_data().map(Err).ok_or(error),
            Err(panic) => Ok(Err(quarantine::panicked(&*panic))),
        }
    }

    async fn commit<P: Store>(&mut self, batch: &Batch<P>) -> Result<(), Error> {
        let Self { view, connection, generation, measures } = self;
        let partitions = batch.moved.len();
        let span = tracing::info_span!("projection.commit", %view, events = batch.events, partitions);
        let transaction = async {
            Trace::link(&batch.traces);
            let began = Instant::now();
            let mut transaction = connection.begin().await?;
            checkpoint::fence(&mut transaction, generation).await?;
            batch.writes.write(&mut transaction).await?;
            checkpoint::advance(&mut transaction, generation, &batch.moved).await?;
            transaction.commit().await?;
            measures.committed(batch.events, began.elapsed());
            Ok(())
        };
        transaction.instrument(span).await
    }

    /// Sets a fact aside, and moves the checkpoint past it.
    async fn park<P: Store>(&mut self, fact: &Envelope, reason: &str) -> Result<(), Error> {
        let Self { view, connection, generation, measures: _ } = self;
        let mut moved = Checkpoint::default();
        moved.mark(fact.position, fact.id);
        let mut transaction = connection.begin().await?;
        checkpoint::fence(&mut transaction, generation).await?;
        set_aside::insert::<P>(&mut transaction, fact, reason).await?;
        checkpoint::advance(&mut transaction, generation, &moved).await?;
        transaction.commit().await?;
        tracing::error!(%view, position = %fact.position, aggregate = %fact.aggregate, reason, "a fact is set aside, and all later ones of its aggregate");
        generation.checkpoint.advance(&moved);
        generation.parked.park(fact.aggregate);
        Ok(())
    }
}
