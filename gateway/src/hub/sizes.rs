//! How large a thread is that somebody was added to while none of its members
//! was here: no fact says it, so the `inbox` view is asked. Until it answers,
//! receipts in that thread reach everybody in it.

use super::{Hub, PAUSE};
use crate::positions::deadline;
use events::{Position, ThreadId, UserId, subject::Names};
use query::{Error, View, Views};
use tokio::time::sleep;

impl Hub {
    /// Looks up what is not known, whenever there is something.
    pub(super) async fn keep_sizes(self, names: Names, views: Views) {
        loop {
            self.0.unknown_size.notified().await;
            loop {
                let rooms = self.state().rooms.of_unknown_size();
                if rooms.is_empty() {
                    break;
                }
                for (thread_id, member) in rooms {
                    if let Err(error) = self.look_up_size(&names, &views, thread_id, member).await {
                        tracing::warn!(%error, "the size of a thread is not known");
                    }
                }
                if !self.state().rooms.has_unknown_size() {
                    break;
                }
                sleep(PAUSE).await;
            }
        }
    }

    async fn look_up_size(
        &self,
        names: &Names,
        views: &Views,
        thread_id: ThreadId,
        member: UserId,
    ) -> Result<(), Error> {
        let partition = names.partition(thread_id.uuid());
        let heard = Position { partition, sequence: self.vector().get(partition) };
        let question = || views.thread(member, thread_id);
        let answer = views.at_least(View::Inbox, &heard.into(), deadline(), question).await?;
        // Who was removed meanwhile is told nothing: another member may be, the next time.
        if let Some(thread) = answer.value {
            self.state().sized(thread_id, partition, thread.member_count, answer.as_of.get(partition));
        }
        Ok(())
    }
}
