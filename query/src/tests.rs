use crate::{Cursor, Freshness, InvalidCursor, View};
use events::{ThreadId, UserId, Vector, clock::millis};
use uuid::Uuid;

fn vector(text: &str) -> Vector {
    text.parse().unwrap()
}

#[test]
fn a_cursor_reads_back_what_it_was_written_from() {
    let id = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001);
    let thread = Cursor::Thread { updated_at: millis(1_790_000_000_123), thread_id: ThreadId::from_uuid(id) };
    let member = Cursor::Member { user_id: UserId::from_uuid(id) };
    let hit = Cursor::Hit { sent_at: millis(7), thread_id: ThreadId::from_uuid(id), number: 300 };
    for cursor in [thread, member, hit] {
        assert_eq!(cursor.to_string().parse(), Ok(cursor));
    }
}

#[test]
fn a_forged_cursor_is_refused() {
    let id = Uuid::from_u128(7);
    let cursor = Cursor::Member { user_id: UserId::from_uuid(id) }.to_string();
    let mut changed = cursor.clone().into_bytes();
    changed[9] = if changed[9] == b'A' { b'B' } else { b'A' };
    let changed = String::from_utf8(changed).unwrap();
    for forged in ["", "AAAA", "not base64!", &changed, &cursor[..cursor.len() - 2], &format!("{cursor}AA")] {
        assert_eq!(forged.parse::<Cursor>(), Err(InvalidCursor), "{forged}");
    }
}

#[test]
fn what_is_announced_late_lowers_nothing() {
    let freshness = Freshness::default();
    freshness.announced(View::Inbox, &vector("0:5,1:3"));
    freshness.announced(View::Inbox, &vector("0:4,1:9"));
    assert_eq!(freshness.applied(View::Inbox), vector("0:5,1:9"));
    assert_eq!(freshness.applied(View::Timeline), vector(""));
}

#[tokio::test]
async fn who_waits_is_woken_by_the_announcement() {
    let freshness = Freshness::default();
    let wanted = vector("1:3");
    let waiting = freshness.reach(View::Inbox, &wanted);
    let announcing = async { freshness.announced(View::Inbox, &vector("0:1,1:3")) };
    tokio::join!(waiting, announcing);
}
