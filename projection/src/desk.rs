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
    store::{Store, checkpoint},
};
use events::Trace;
use sqlx::{Connection, PgConnection};
use std::pin::pin;
use tokio::time::Instant;
use tracing::Instrument;

/// Who writes into a generation. After an error nothing is known of the connection: open another.
pub(crate) struct Desk<'a> {
    pub(crate) view: View,
    pub(crate) connection: PgConnection,
    pub(crate) generation: Generation,
    pub(crate) measures: &'a Measures,
}

impl Desk<'_> {
    /// Commits what the intake has, and fills it meanwhile; tells how many facts that were.
    pub(crate) async fn apply<P: Store>(&mut self, intake: &mut Intake<P>) -> Result<usize, Error> {
        let batch = intake.take();
        {
            let mut commit = pin!(answered(self.commit(&batch)));
            loop {
                tokio::select! {
                    biased;
                    committed = &mut commit => {
                        committed?;
                        break;
                    }
                    () = intake.more(), if !intake.is_full() => {}
                }
            }
        }
        self.generation.checkpoint.advance(&batch.moved);
        Ok(batch.events)
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
}
