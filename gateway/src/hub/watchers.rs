//! Which sockets watch whose presence, and what each was told: pure. A socket is
//! told of somebody once it watches them, and then whenever that changes.

use events::UserId;
use query::presence::Shown;
use std::collections::{HashMap, HashSet};

/// A socket, the person whose it is, and somebody whom it watches.
pub(super) type Look = (u64, UserId, UserId);

#[derive(Debug, Default)]
pub(super) struct Watchers {
    sockets: HashMap<u64, Watcher>,
    /// The sockets that watch somebody.
    watched: HashMap<UserId, HashSet<u64>>,
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
            self.sockets.insert(socket, Watcher { reader, told });
        }
    }

    pub(super) fn leave(&mut self, socket: u64) {
        let Some(watcher) = self.sockets.remove(&socket) else { return };
        for user_id in watcher.told.into_keys() {
            if let Some(sockets) = self.watched.get_mut(&user_id) {
                sockets.remove(&socket);
                if sockets.is_empty() {
                    self.watched.remove(&user_id);
                }
            }
        }
    }

    /// Who looks at somebody.
    pub(super) fn of_person(&self, user_id: UserId) -> impl Iterator<Item = Look> {
        let sockets = self.watched.get(&user_id).into_iter().flatten();
        sockets.filter_map(move |socket| Some((*socket, self.sockets.get(socket)?.reader, user_id)))
    }

    /// At whom a socket looks.
    pub(super) fn of_socket(&self, socket: u64) -> impl Iterator<Item = Look> {
        let watcher = self.sockets.get(&socket).into_iter();
        watcher.flat_map(move |watcher| watcher.told.keys().map(move |user_id| (socket, watcher.reader, *user_id)))
    }

    pub(super) fn all(&self) -> impl Iterator<Item = Look> {
        self.sockets.keys().flat_map(|socket| self.of_socket(*socket))
    }

    /// Whether that has to be told; whoever asks does so.
    pub(super) fn is_news(&mut self, (socket, _, user_id): Look, shown: Shown) -> bool {
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
        assert_eq!(watchers.of_person(BOB).count(), 0);
        assert!(!watchers.is_news((7, ADA, BOB), shown(false, 2)));
        watchers.watch(7, ADA, vec![BOB]);
        assert!(watchers.is_news((7, ADA, BOB), shown(true, 1)));
        assert_eq!(watchers.of_person(BOB).collect::<Vec<_>>(), [(7, ADA, BOB)]);
    }

    #[test]
    fn nothing_is_left_of_who_leaves() {
        let mut watchers = Watchers::default();
        watchers.watch(7, ADA, vec![BOB, CYD]);
        watchers.watch(8, BOB, vec![CYD]);
        assert_eq!((watchers.all().count(), watchers.of_person(CYD).count()), (3, 2));
        watchers.leave(7);
        watchers.watch(8, BOB, Vec::new());
        assert!(watchers.sockets.is_empty() && watchers.watched.is_empty());
    }
}
