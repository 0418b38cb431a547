//! The same pages by bare statements on the same Postgres: only the rows, by
//! their keys, without asking who may see them or as of when that is.

use anyhow::ensure;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const HISTORY: &str = "\
    SELECT number, sequence, sent_at, key, sender_id, body, reply_to FROM timeline.messages \
    WHERE thread_id = $1 ORDER BY number DESC LIMIT $2";
const INBOX: &str = "\
    SELECT h.thread_id, h.kind, h.title, h.last_number, h.last_sender_id, h.last_body, h.last_sent_at, h.updated_at, \
           h.member_count, m.role, m.peer_id, m.read_number, m.joined_number \
    FROM inbox.memberships m JOIN inbox.heads h ON h.thread_id = m.thread_id \
    WHERE m.user_id = $1 AND m.left_sequence IS NULL ORDER BY h.updated_at DESC LIMIT $2";
const PRESENCE: &str = "\
    SELECT s.user_id, s.at, EXISTS (SELECT FROM presence.connections c WHERE c.user_id = s.user_id) \
    FROM presence.seen s WHERE s.user_id = ANY($1)";

pub(super) struct Sql {
    connection: PgConnection,
}

impl Sql {
    pub(super) async fn connect(url: &str) -> anyhow::Result<Self> {
        Ok(Self { connection: PgConnection::connect(url).await? })
    }

    pub(super) async fn history(&mut self, thread_id: Uuid, limit: usize) -> anyhow::Result<()> {
        self.page(HISTORY, thread_id, limit).await
    }

    pub(super) async fn inbox(&mut self, user_id: Uuid, limit: usize) -> anyhow::Result<()> {
        self.page(INBOX, user_id, limit).await
    }

    pub(super) async fn presence(&mut self, user_ids: &[Uuid]) -> anyhow::Result<()> {
        let rows = sqlx::query(PRESENCE).bind(user_ids).fetch_all(&mut self.connection).await?.len();
        ensure!(rows == user_ids.len(), "{rows} rows instead of {}", user_ids.len());
        Ok(())
    }

    async fn page(&mut self, statement: &'static str, key: Uuid, limit: usize) -> anyhow::Result<()> {
        let query = sqlx::query(statement).bind(key).bind(i64::try_from(limit)?);
        let rows = query.fetch_all(&mut self.connection).await?.len();
        ensure!(rows == limit, "{rows} rows instead of {limit}");
        Ok(())
    }
}
