//! Threads of which a view applies nothing more, because a fact of theirs could
//! not be. In the view's rows nobody is a member of them; who was is told why.

use crate::{Answer, Error, View, Views, measures::Question};
use events::{Partition, Position, ThreadId, UserId};
use futures_util::future::join_all;
use sqlx::Row;

/// A fact that a view has set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SetAside {
    pub view: View,
    pub position: Position,
}

/// More are not listed.
const MOST: u8 = 100;

macro_rules! was_member {
    ($quarantine:literal, $members:literal) => {
        concat!(
            "SELECT FROM ",
            $quarantine,
            " q JOIN ",
            $members,
            " m ON m.thread_id = q.aggregate_id AND m.left_sequence = q.sequence \
             WHERE q.aggregate_id = $1 AND m.user_id = $2"
        )
    };
}

const OF_TIMELINE: &str = was_member!("timeline.quarantine", "timeline.members");
const OF_INBOX: &str = was_member!("inbox.quarantine", "inbox.memberships");
const OF_SEARCH: &str = was_member!("search.quarantine", "search.members");

const ALL: &str = "\
    SELECT 'directory' AS view, partition, sequence FROM directory.quarantine \
    UNION ALL SELECT 'timeline', partition, sequence FROM timeline.quarantine \
    UNION ALL SELECT 'inbox', partition, sequence FROM inbox.quarantine \
    UNION ALL SELECT 'search', partition, sequence FROM search.quarantine \
    UNION ALL SELECT 'presence', partition, sequence FROM presence.quarantine \
    UNION ALL SELECT 'audit', partition, sequence FROM audit.quarantine \
    ORDER BY 1, 2, 3 LIMIT $1";

impl Views {
    /// All that is set aside, the first hundred of it, in the databases that can be read.
    pub async fn set_aside(&self) -> Result<Vec<SetAside>, Error> {
        let shards = self.shards();
        let ask = |shard| self.rows(shard, Question::SetAside, sqlx::query(ALL).bind(i64::from(MOST)));
        let (read, failed): (Vec<_>, Vec<_>) =
            join_all(shards.iter().map(ask)).await.into_iter().partition(Result::is_ok);
        if let (true, Some(Err(error))) = (read.is_empty(), failed.into_iter().next()) {
            return Err(error);
        }
        let mut found = Vec::new();
        for row in read.iter().flatten().flat_map(|rows| rows.iter()) {
            let name: &str = row.try_get("view")?;
            let view = View::ALL.into_iter().find(|view| view.name() == name);
            let view = view.ok_or_else(|| Error::Inconsistent(format!("a view {name}").into()))?;
            let partition = u16::try_from(row.try_get::<i32, _>("partition")?).map_err(Error::inconsistent)?;
            let sequence = crate::answer::sequence(row.try_get("sequence")?)?;
            found.push(SetAside { view, position: Position { partition: Partition(partition), sequence } });
        }
        found.truncate(MOST.into());
        Ok(found)
    }

    /// An answer about a thread to one who may be no member only because it is set aside.
    pub(crate) async fn unless_set_aside<T>(
        &self,
        reader: UserId,
        thread_id: ThreadId,
        view: View,
        answer: Answer<Option<T>>,
    ) -> Result<Answer<Option<T>>, Error> {
        let statement = match view {
            View::Timeline => OF_TIMELINE,
            View::Inbox => OF_INBOX,
            View::Search => OF_SEARCH,
            // They show no threads.
            View::Directory | View::Presence | View::Audit => return Ok(answer),
        };
        if answer.value.is_some() {
            return Ok(answer);
        }
        let query = sqlx::query(statement).bind(thread_id.uuid()).bind(reader.uuid());
        let shards = self.shards();
        if self.rows(shards.of(thread_id.uuid()), Question::SetAside, query).await?.is_empty() {
            Ok(answer)
        } else {
            Err(Error::SetAside)
        }
    }
}
