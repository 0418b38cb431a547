//! Writes `directory`.

use super::{Store, array};
use crate::directory::Directory;
use sqlx::PgConnection;

const ADD_USERS: &str = "\
    INSERT INTO users (created_at, user_id, username, display_name) \
    SELECT * FROM unnest($1::timestamptz[], $2::uuid[], $3::text[], $4::text[])";

impl Store for Directory {
    async fn write(&self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        if self.users.is_empty() {
            return Ok(());
        }
        sqlx::query(ADD_USERS)
            .bind(array(&self.users, |user| user.created_at))
            .bind(array(&self.users, |user| user.user_id.uuid()))
            .bind(array(&self.users, |user| user.username.as_str()))
            .bind(array(&self.users, |user| user.display_name.as_str()))
            .execute(connection)
            .await?;
        Ok(())
    }
}
