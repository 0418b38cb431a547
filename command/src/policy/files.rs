//! Files follow the facts: one that a fact uses is no upload any more, one that a
//! fact lets go is removed, and one that no fact has used for a day as well.

use super::progress::Progress;
use crate::attachments::{AttachmentError, Attachments, USABLE_FOR, parse};
use chrono::TimeDelta;
use events::{
    AttachmentId, Clock, Envelope, Event, EventLog, Partition, Position, ThreadEvent, UserEvent, Vector,
    log::BucketError,
};
use futures_util::{future::join_all, join};
use std::{sync::Mutex, time::Duration};
use tokio::time::{Instant, sleep};

/// Facts that are looked at before the progress is kept, at the most.
const STRETCH: usize = 1_024;
/// How long facts that say nothing of files may pass before the progress is kept.
const STALE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_secs(1);
/// For clocks that differ, each by an hour, and a send that was claimed at the last moment.
const GRACE: TimeDelta = TimeDelta::hours(3);

/// Sees to the files.
pub struct Files {
    log: EventLog,
    clock: Clock,
    attachments: Attachments,
    progress: Progress,
    /// Up to where this node has seen to what the facts say.
    followed: Mutex<Vector>,
}

/// What a fact says of files.
#[derive(Debug, Default, PartialEq, Eq)]
struct Said {
    used: Vec<AttachmentId>,
    gone: Vec<AttachmentId>,
}

impl Files {
    /// Opens the bucket of the policies' positions.
    ///
    /// # Errors
    /// When NATS does not answer.
    pub async fn open(log: EventLog, clock: Clock, attachments: Attachments) -> Result<Self, BucketError> {
        let progress = Progress::open(log.clone()).await?;
        Ok(Self { log, clock, attachments, progress, followed: Mutex::default() })
    }

    /// Follows the facts, and every now and then looks for uploads that none of them has used.
    pub async fn run(self, pause: Duration) {
        let follow = join_all(self.log.names().partitions().map(|partition| self.follow(partition)));
        let sweep = async {
            loop {
                sleep(pause).await;
                if let Err(error) = self.sweep().await {
                    tracing::warn!(%error, "unused uploads are not removed yet");
                }
            }
        };
        join!(follow, sweep);
    }

    /// Follows a partition. What fails is tried again; another node may be faster.
    async fn follow(&self, partition: Partition) {
        loop {
            if let Err(error) = self.follow_from_kept(partition).await {
                tracing::warn!(%partition, %error, "files do not follow the facts yet");
            }
            sleep(PAUSE).await;
        }
    }

    async fn follow_from_kept(&self, partition: Partition) -> Result<(), AttachmentError> {
        let mut kept = self.progress.find(format!("files.{partition}")).await?;
        self.followed(Position { partition, sequence: kept.reached });
        let mut facts = self.log.subscribe(partition, kept.reached);
        let mut kept_at = Instant::now();
        loop {
            let batch = facts.next_batch(STRETCH).await;
            let mut spoke = false;
            for envelope in &batch {
                let Said { used, gone } = said(envelope);
                spoke |= !used.is_empty() || !gone.is_empty();
                let Some(by) = envelope.by else { continue };
                for id in used {
                    self.attachments.settle(by, id).await?;
                }
                for id in gone {
                    // What cannot be removed now is left to the sweep: the facts go on.
                    if self.attachments.remove(by, id).await.is_err() {
                        self.attachments.leave(by, id).await?;
                    }
                }
            }
            let Some(last) = batch.last() else { continue };
            if spoke || batch.len() == STRETCH || kept_at.elapsed() > STALE {
                match self.progress.keep(&mut kept, last.position.sequence).await {
                    // Another node was faster: it has seen to this.
                    Err(BucketError::Conflict) => kept = self.progress.find(format!("files.{partition}")).await?,
                    done => done?,
                }
                kept_at = Instant::now();
            }
            self.followed(last.position);
        }
    }

    fn followed(&self, position: Position) {
        self.followed.lock().expect("nobody panics with it").raise(position);
    }

    fn has_followed(&self, end: &Vector) -> bool {
        self.followed.lock().expect("nobody panics with it").covers(end)
    }

    /// Removes the uploads of a day ago that no fact uses.
    async fn sweep(&self) -> Result<(), AttachmentError> {
        let now = self.clock.now();
        let end = self.log.end().await?;
        // What is claimed from now on is not as old as what is looked for; a claimed upload may be in a fact that was not looked at: then it is no upload any more a moment later.
        while !self.has_followed(&end) {
            sleep(PAUSE).await;
        }
        for partition in self.log.names().partitions() {
            let uploads = self.attachments.uploads().of(partition);
            let mut after = 0;
            while let Some((key, entry)) = uploads.next(after).await? {
                let Some((id, record)) = parse(&key, &entry.value) else {
                    tracing::error!(key, "a record of an upload is broken");
                    after = entry.revision;
                    continue;
                };
                // Records lie in the order of their last change, and none is changed before it began.
                if now - record.began_at < USABLE_FOR + GRACE {
                    break;
                }
                after = entry.revision;
                if let Err(error) = self.attachments.remove(record.owner, id).await {
                    tracing::warn!(%id, %error, "an unused upload is not removed yet");
                }
            }
        }
        Ok(())
    }
}

fn said(envelope: &Envelope) -> Said {
    match &envelope.event {
        Event::Thread(ThreadEvent::MessageSent { attachments, .. }) => {
            Said { used: attachments.iter().map(|attachment| attachment.attachment_id).collect(), gone: Vec::new() }
        }
        Event::Thread(ThreadEvent::MessageDeleted { attachments, .. }) => {
            Said { used: Vec::new(), gone: attachments.clone() }
        }
        Event::Thread(ThreadEvent::PictureChanged { picture, replaces, .. })
        | Event::User(UserEvent::PictureChanged { picture, replaces }) => Said {
            used: picture.iter().map(|picture| picture.attachment_id).collect(),
            gone: replaces.iter().copied().collect(),
        },
        Event::Thread(
            ThreadEvent::DirectOpened { .. }
            | ThreadEvent::MessageEdited { .. }
            | ThreadEvent::ReactionAdded { .. }
            | ThreadEvent::ReactionRemoved { .. }
            | ThreadEvent::GroupCreated { .. }
            | ThreadEvent::Renamed { .. }
            | ThreadEvent::MemberAdded { .. }
            | ThreadEvent::MemberRemoved { .. }
            | ThreadEvent::MemberLeft { .. }
            | ThreadEvent::RoleChanged { .. }
            | ThreadEvent::PeerBlocked { .. }
            | ThreadEvent::PeerUnblocked { .. },
        )
        | Event::User(
            UserEvent::SignedUp { .. }
            | UserEvent::SessionOpened { .. }
            | UserEvent::SessionRevoked { .. }
            | UserEvent::PasswordChanged { .. }
            | UserEvent::ProfileChanged { .. }
            | UserEvent::ContactSaved { .. }
            | UserEvent::ContactRemoved { .. }
            | UserEvent::ThreadSettingsChanged { .. }
            | UserEvent::DataExported {}
            | UserEvent::MessageReported { .. }
            | UserEvent::ReportResolved { .. }
            | UserEvent::Suspended { .. }
            | UserEvent::Restored { .. },
        )
        | Event::Receipts(_)
        | Event::Presence(_)
        | Event::Deployment(_) => Said::default(),
    }
}
