//! Writes what people and groups look like: one table, the same in each view that
//! has one.

use super::array;
use crate::projection::size_column;
use events::{Attachment, UserId};
use sqlx::PgConnection;
use uuid::Uuid;

const SET: &str = "\
    INSERT INTO pictures (size, owner_id, attachment_id, author_id, media_type, name) \
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::text[]) \
    ON CONFLICT (owner_id) DO UPDATE SET \
        size = excluded.size, attachment_id = excluded.attachment_id, author_id = excluded.author_id, \
        media_type = excluded.media_type, name = excluded.name";

const REMOVE: &str = "DELETE FROM pictures WHERE owner_id = ANY($1)";

/// What somebody or something looks like now, and who says so.
pub(super) type Look<'a> = (Uuid, UserId, Option<&'a Attachment>);

pub(super) async fn write(
    connection: &mut PgConnection,
    looks: impl Iterator<Item = Look<'_>>,
) -> Result<(), sqlx::Error> {
    let (mut set, mut removed) = (Vec::new(), Vec::new());
    for (owner, author, picture) in looks {
        match picture {
            Some(picture) => set.push((owner, author, picture)),
            None => removed.push(owner),
        }
    }
    if !set.is_empty() {
        sqlx::query(SET)
            .bind(array(&set, |(.., picture)| size_column(picture.size)))
            .bind(array(&set, |(owner, ..)| *owner))
            .bind(array(&set, |(.., picture)| picture.attachment_id.uuid()))
            .bind(array(&set, |(_, author, _)| author.uuid()))
            .bind(array(&set, |(.., picture)| picture.media_type.as_str()))
            .bind(array(&set, |(.., picture)| picture.name.as_str()))
            .execute(&mut *connection)
            .await?;
    }
    if !removed.is_empty() {
        sqlx::query(REMOVE).bind(removed).execute(connection).await?;
    }
    Ok(())
}
