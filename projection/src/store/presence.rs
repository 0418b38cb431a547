//! Writes `presence`.

use super::{Store, array};
use crate::presence::Presence;
use sqlx::PgConnection;

/// The time that is told is never earlier than one that was.
const SEE: &str = "\
    INSERT INTO seen (at, user_id) SELECT * FROM unnest($1::timestamptz[], $2::uuid[]) \
    ON CONFLICT (user_id) DO UPDATE SET at = excluded.at WHERE seen.at < excluded.at";

const DISCONNECT: &str = "\
    DELETE FROM connections c USING unnest($1::uuid[], $2::uuid[]) AS gone(gateway_id, user_id) \
    WHERE c.user_id = gone.user_id AND c.gateway_id = gone.gateway_id";

const CONNECT: &str = "\
    INSERT INTO connections (gateway_id, user_id) SELECT * FROM unnest($1::uuid[], $2::uuid[]) \
    ON CONFLICT DO NOTHING";

const LOSE: &str = "\
    WITH gone AS ( \
        DELETE FROM connections c USING unnest($1::uuid[], $2::timestamptz[]) AS lost(gateway_id, at) \
        WHERE c.gateway_id = lost.gateway_id RETURNING c.user_id, lost.at) \
    INSERT INTO seen (at, user_id) SELECT max(at), user_id FROM gone GROUP BY user_id \
    ON CONFLICT (user_id) DO UPDATE SET at = excluded.at WHERE seen.at < excluded.at";

impl Store for Presence {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.seen.is_empty() {
            sqlx::query(SEE)
                .bind(array(self.seen.values(), |at| *at))
                .bind(array(self.seen.keys(), |user_id| user_id.uuid()))
                .execute(&mut *connection)
                .await?;
        }
        for (statement, wanted) in [(DISCONNECT, false), (CONNECT, true)] {
            let pairs: Vec<_> =
                self.connections.iter().filter(|(_, is)| **is == wanted).map(|(pair, _)| pair).collect();
            if !pairs.is_empty() {
                sqlx::query(statement)
                    .bind(array(&pairs, |(gateway_id, _)| gateway_id.uuid()))
                    .bind(array(&pairs, |(_, user_id)| user_id.uuid()))
                    .execute(&mut *connection)
                    .await?;
            }
        }
        if !self.lost.is_empty() {
            sqlx::query(LOSE)
                .bind(array(self.lost.keys(), |gateway_id| gateway_id.uuid()))
                .bind(array(self.lost.values(), |at| *at))
                .execute(&mut *connection)
                .await?;
        }
        Ok(())
    }
}
