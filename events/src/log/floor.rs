//! What the log's server does when nothing of ours is in the way: equal records,
//! appended at an expectation, to a stream of their own that is deleted after.
//! A yardstick for the bench. It holds no facts and touches none.

use super::{ANSWER_TIMEOUT, EventLog, LogError, topology::bare_stream};
use async_nats::{
    HeaderMap,
    header::NATS_EXPECTED_LAST_SUBJECT_SEQUENCE,
    jetstream::{context::DeleteStreamError, context::PublishAckFuture},
};
use std::{collections::VecDeque, time::Duration};
use tokio::time::{Instant, timeout};

/// How the server is loaded.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// The bytes of a record.
    pub bytes: usize,
    /// The subjects that are appended to in turn.
    pub subjects: u64,
    /// Appends under way at once; 1 waits for each.
    pub window: usize,
    pub lasting: Duration,
}

/// What it did.
#[derive(Debug, Clone, Copy)]
pub struct Appended {
    pub records: u64,
    pub took: Duration,
}

impl EventLog {
    /// Appends bare records for a while, each with the expectation that a fact has.
    ///
    /// # Errors
    /// When NATS does not answer or refuses.
    pub async fn measure_floor(&self, load: Load) -> Result<Appended, LogError> {
        let name = self.0.names.floor_stream();
        // One that an interrupted run left behind would be another length than is expected.
        self.0.context.delete_stream(&name).await.ok();
        let config = bare_stream(name.clone(), self.0.names.floor_subject("*"), self.0.durability);
        self.0.context.create_stream(config).await.map_err(unavailable)?;
        let appended = self.append_bare(load).await;
        self.0.context.delete_stream(&name).await.map_err(|error: DeleteStreamError| unavailable(error))?;
        appended
    }

    /// The bytes of all partitions as the server counts them: records with their subjects and headers.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn stored_bytes(&self) -> Result<u64, LogError> {
        let mut bytes = 0;
        for partition in self.0.names.partitions() {
            bytes += self.stream(partition).get_info().await?.state.bytes;
        }
        Ok(bytes)
    }

    async fn append_bare(&self, load: Load) -> Result<Appended, LogError> {
        let payload = bytes::Bytes::from(noise(load.bytes));
        let subjects: Vec<String> =
            (0..load.subjects).map(|index| self.0.names.floor_subject(&index.to_string())).collect();
        let began = Instant::now();
        let mut under_way = VecDeque::with_capacity(load.window);
        let mut records = 0_u64;
        while began.elapsed() < load.lasting {
            for subject in &subjects {
                // Nobody else appends: the last record of this subject lies one round back.
                let expected = (records + 1).saturating_sub(load.subjects);
                let mut headers = HeaderMap::new();
                headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
                let published = self.0.context.publish_with_headers(subject.clone(), headers, payload.clone());
                under_way.push_back(published.await.map_err(unavailable)?);
                records += 1;
                if under_way.len() >= load.window {
                    acknowledged(&mut under_way).await?;
                }
            }
        }
        while !under_way.is_empty() {
            acknowledged(&mut under_way).await?;
        }
        Ok(Appended { records, took: began.elapsed() })
    }
}

async fn acknowledged(under_way: &mut VecDeque<PublishAckFuture>) -> Result<(), LogError> {
    if let Some(oldest) = under_way.pop_front() {
        timeout(ANSWER_TIMEOUT, oldest.into_future()).await.map_err(unavailable)?.map_err(unavailable)?;
    }
    Ok(())
}

/// Bytes that do not compress, as sealed text does not.
fn noise(length: usize) -> Vec<u8> {
    let step = |state: &mut u64| {
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Some(state.to_be_bytes()[0])
    };
    (0..length).scan(0x9e37_79b9_7f4a_7c15, |state, _| step(state)).collect()
}

fn unavailable(error: impl std::error::Error + Send + Sync + 'static) -> LogError {
    LogError::Unavailable(error.into())
}
