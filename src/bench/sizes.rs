//! How many bytes the log and the views take, and how many people's messages
//! made them, so that growth can be told for each message.

use super::target::Target;
use anyhow::Context;
use events::EventLog;
use sqlx::{Connection, PgConnection, Row};
use std::{collections::BTreeMap, fs, os::unix::fs::MetadataExt, path::Path};

/// The sizes at a moment; what cannot be known is absent.
#[derive(Debug, Clone, Default)]
pub(super) struct Sizes {
    /// As JetStream counts: before compression.
    pub(super) log: Option<u64>,
    /// On the disk.
    pub(super) log_files: Option<u64>,
    /// Tables and their indexes, by `view.table`.
    pub(super) tables: BTreeMap<String, u64>,
}

const TABLES: &str = "\
    SELECT n.nspname || '.' || c.relname AS name, pg_total_relation_size(c.oid) AS bytes \
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
    WHERE c.relkind = 'r' AND n.nspname = ANY($1)";

impl Sizes {
    pub(super) async fn read(target: &Target) -> anyhow::Result<Self> {
        let mut sizes = Self::default();
        if let Some(log) = &target.log {
            sizes.log = Some(log.stored_bytes().await?);
            sizes.log_files = target.data.as_deref().map(|folder| files(log, folder));
        }
        if let Some(url) = &target.database_url {
            sizes.tables = tables(url).await.context("the sizes of the views")?;
        }
        Ok(sizes)
    }
}

async fn tables(url: &str) -> anyhow::Result<BTreeMap<String, u64>> {
    let mut connection = PgConnection::connect(url).await?;
    let schemas = projection::View::ALL.map(projection::View::name);
    let rows = sqlx::query(TABLES).bind(&schemas[..]).fetch_all(&mut connection).await?;
    connection.close().await?;
    rows.iter().map(|row| Ok((row.try_get("name")?, u64::try_from(row.try_get::<i64, _>("bytes")?)?))).collect()
}

/// The blocks of all files of the log's streams.
fn files(log: &EventLog, folder: &Path) -> u64 {
    let streams: Vec<String> = log.names().partitions().map(|partition| log.names().stream(partition)).collect();
    let mut folders = vec![(folder.to_owned(), false)];
    let mut bytes = 0;
    while let Some((folder, inside)) = folders.pop() {
        // A block may be removed while this looks.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let inside = inside || streams.iter().any(|stream| entry.file_name() == stream.as_str());
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() => folders.push((entry.path(), inside)),
                Ok(metadata) if inside => bytes += metadata.blocks() * 512,
                Ok(_) | Err(_) => {}
            }
        }
    }
    bytes
}
