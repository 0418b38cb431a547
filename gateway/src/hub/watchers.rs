//! Which sockets watch whose presence, and what each was told: pure. A socket is
//! told of somebody once it watches them, and then whenever that changes.

use events::UserId;
use query::presence::Shown;
use std::{
    collections::{BTreeSet, HashMap, HashSet},
    ops::Bound,
};

/// A socket, the person whose it is, and somebody whom it watches.
pub(super) type Look = (u64, UserId, UserId);

#[derive(Debug, Default)]
pub(super) struct Watchers {
    sockets: HashMap<u64, Watcher>,
    /// The sockets that watch somebody.
    watched: HashMap<UserId, HashSet<u64>>,
    /// Looks to be taken. What nobody watches any more is not among them.
    due: BTreeSet<Look>,
    /// From where on the next ones are taken: nobody waits for ever behind others.
    next: Option<Look>,
}

#[derive(Debug)]
struct Watcher {
    reader: UserId,
    /// What was told last of each; `None`: nothing yet.
    told: HashMap<UserId, Option<Shown>>,
}

impl Watchers {
    /// A socket watches those and nobody else, and knows of none of them yet.
    pub(super) fn watch(&mut self, socket: u64, reader: UserId, user_ids: Vec<UserId>) {
        self.leave(socket);
        for &user_id in &user_ids {
            self.watched.entry(user_id).or_default().insert(socket);
        }
        if !user_ids.is_empty() {
            let told = user_ids.into_iter().map(|user_id| (user_id, None)).collect();
            let watcher = Watcher { reader, told };
            self.due.extend(looks(socket, &watcher));
            self.sockets.insert(socket, watcher);
        }
    }

    pub(super) fn leave(&mut self, socket: u64) {
        let Some(watcher) = self.sockets.remove(&socket) else { return };
        for look in looks(socket, &watcher) {
            self.due.remove(&look);
        }
        for user_id in watcher.told.into_keys() {
            if let Some(sockets) = self.watched.get_mut(&user_id) {
                sockets.remove(&socket);
                if sockets.is_empty() {
                    self.watched.remove(&user_id);
                }
            }
        }
    }

    /// Whoever watches somebody is to look again; whether anybody does.
    pub(super) fn look_again(&mut self, user_id: UserId) -> bool {
        let Some(sockets) = self.watched.get(&user_id) else { return false };
        let reader = |socket: &u64| Some((*socket, self.sockets.get(socket)?.reader, user_id));
        self.due.extend(sockets.iter().filter_map(reader));
        true
    }

    /// Some who were connected are not any more: everybody is to look again at those whom they were told to be online.
    pub(super) fn look_at_all_online(&mut self) {
        for (&socket, watcher) in &self.sockets {
            let is_online = |told: &Option<Shown>| told.is_none_or(|shown| shown.online);
            let online = watcher.told.iter().filter(|(_, told)| is_online(told));
            self.due.extend(online.map(|(user_id, _)| (socket, watcher.reader, *user_id)));
        }
    }

    pub(super) fn is_anything_due(&self) -> bool {
        !self.due.is_empty()
    }

    /// Some of the looks that are to be taken; each stays due until it is [taken](Watchers::is_news).
    pub(super) fn due(&mut self, most: usize) -> Vec<Look> {
        let from = self.next.take().map_or(Bound::Unbounded, Bound::Excluded);
        let mut looks: Vec<_> = self.due.range((from, Bound::Unbounded)).copied().take(most).collect();
        if looks.is_empty() {
            looks = self.due.iter().copied().take(most).collect();
        }
        self.next = looks.last().copied();
        looks
    }

    /// A look was taken: whether what was seen has to be told; whoever asks does so.
    pub(super) fn is_news(&mut self, look: Look, shown: Shown) -> bool {
        self.due.remove(&look);
        let (socket, _, user_id) = look;
        let Some(told) = self.sockets.get_mut(&socket).and_then(|watcher| watcher.told.get_mut(&user_id)) else {
            return false;
        };
        // Another device that comes or goes moves the time and nothing else.
        let state = |shown: &Shown| (shown.online, shown.last_seen.is_some());
        let is_news = told.as_ref().map(state) != Some(state(&shown));
        if is_news {
            *told = Some(shown);
        }
        is_news
    }
}

fn looks(socket: u64, watcher: &Watcher) -> impl Iterator<Item = Look> {
    watcher.told.keys().map(move |user_id| (socket, watcher.reader, *user_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use events::clock::millis;
    use uuid::Uuid;

    const ADA: UserId = UserId::from_uuid(Uuid::from_u128(1));
    const BOB: UserId = UserId::from_uuid(Uuid::from_u128(2));
    const CYD: UserId = UserId::from_uuid(Uuid::from_u128(3));

    fn shown(online: bool, at: i64) -> Shown {
        Shown { online, last_seen: Some(millis(at)) }
    }

    #[test]
    fn a_state_is_told_at_once_and_then_only_as_it_changes() {
        let mut watchers = Watchers::default();
        watchers.watch(7, ADA, vec![BOB]);
        let look = (7, ADA, BOB);
        assert!(watchers.is_news(look, Shown::default()));
        assert!(!watchers.is_news(look, Shown::default()));
        assert!(watchers.is_news(look, shown(true, 1)));
        assert!(!watchers.is_news(look, shown(true, 2)));
        assert!(watchers.is_news(look, shown(false, 3)));
        // Not to be seen any more.
        assert!(watchers.is_news(look, Shown::default()));
    }

    #[test]
    fn a_watch_replaces_the_one_before_and_tells_anew() {
        let mut watchers = Watchers::default();
        watchers.watch(7, ADA, vec![BOB]);
        assert!(watchers.is_news((7, ADA, BOB), shown(true, 1)));
        watchers.watch(7, ADA, vec![CYD]);
        assert!(!watchers.look_again(BOB));
        assert!(!watchers.is_news((7, ADA, BOB), shown(false, 2)));
        watchers.watch(7, ADA, vec![BOB]);
        assert!(watchers.is_news((7, ADA, BOB), shown(true, 1)));
        assert!(watchers.due(9).is_empty() && watchers.look_again(BOB));
        assert_eq!(watchers.due(9), [(7, ADA, BOB)]);
    }

    #[test]
    fn nothing_is_left_of_who_leaves() {
        let mut watchers = Watchers::default();
        watchers.watch(7, ADA, vec![BOB, CYD]);
        watchers.watch(8, BOB, vec![CYD]);
        assert_eq!(watchers.due(9).len(), 3);
        watchers.leave(7);
        assert_eq!(watchers.due(9), [(8, BOB, CYD)]);
        watchers.watch(8, BOB, Vec::new());
        assert!(watchers.sockets.is_empty() && watchers.watched.is_empty() && !watchers.is_anything_due());
    }

    #[test]
    fn who_says_over_and_over_whom_they_watch_has_no_more_looked_up_for_it() {
        let mut watchers = Watchers::default();
        for user in 0..1_000 {
            watchers.watch(7, ADA, vec![UserId::from_uuid(Uuid::from_u128(user))]);
        }
        assert_eq!(watchers.due(9), [(7, ADA, UserId::from_uuid(Uuid::from_u128(999)))]);
    }

    #[test]
    fn a_look_stays_due_until_it_is_taken_and_then_until_something_changes() {
        let mut watchers = Watchers::default();
        watchers.watch(7, ADA, vec![BOB, CYD]);
        // One after the other, and from the beginning again.
        assert_eq!([watchers.due(1).len(), watchers.due(9).len(), watchers.due(9).len()], [1, 1, 2]);
        for look in watchers.due(9) {
            let (_, _, user_id) = look;
            assert!(watchers.is_news(look, shown(user_id == BOB, 1)));
        }
        assert!(!watchers.is_anything_due());
        // A gateway is lost: who was not online was not at it.
        watchers.look_at_all_online();
        assert_eq!(watchers.due(9), [(7, ADA, BOB)]);
    }
}
