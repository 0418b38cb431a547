//! What the directory says of people to each other.

use super::{Running, Scribe, views};
use crate::harness::Deployment;
use events::{Aggregate, Text, ThreadEvent, ThreadId, UserEvent};
use query::Cursor;

#[tokio::test(flavor = "multi_thread")]
async fn who_blocks_somebody_is_not_there_for_them_and_shows_but_a_name_where_they_must() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let (anna, ben, cara) = (scribe.person("anna").await, scribe.person("ben").await, scribe.person("cara").await);
    let direct = Aggregate::Thread(ThreadId::direct(anna, ben));
    let saved = UserEvent::ContactSaved { user_id: ben, alias: Some(Text::new("Benny")) };
    scribe.write(Aggregate::User(anna), Some(anna), saved).await;
    scribe.write(direct, Some(ben), ThreadEvent::PeerBlocked { peer: anna }).await;
    running.reach(&scribe.written).await;
    let views = views(&deployment);
    assert_eq!(views.user(anna, ben).await.unwrap().value, None);
    assert_eq!(views.user_by_username(anna, "ben").await.unwrap().value, None);
    assert_eq!(views.user(cara, ben).await.unwrap().value.unwrap().display_name, "BEN");
    assert_eq!(views.user(ben, anna).await.unwrap().value.unwrap().display_name, "ANNA");
    let shown = views.users(anna, &[ben]).await.unwrap().value;
    assert_eq!((shown[0].username.as_str(), shown[0].display_name.as_str()), ("ben", "ben"));
    let contacts = views.contacts(anna, None, 9).await.unwrap().value.items;
    assert_eq!((contacts[0].alias.as_deref(), contacts[0].user.display_name.as_str()), (Some("Benny"), "ben"));
    let blocked = views.blocks(ben, None, 9).await.unwrap().value.items;
    assert_eq!((blocked.len(), blocked[0].user_id), (1, anna));
    assert_eq!(views.blocks(anna, None, 9).await.unwrap().value.items, []);

    scribe.write(direct, Some(ben), ThreadEvent::PeerUnblocked { peer: anna }).await;
    scribe.write(Aggregate::User(anna), Some(anna), UserEvent::ContactRemoved { user_id: ben }).await;
    running.reach(&scribe.written).await;
    assert_eq!(views.user(anna, ben).await.unwrap().value.unwrap().display_name, "BEN");
    assert_eq!(views.contacts(anna, None, 9).await.unwrap().value.items, []);
    assert_eq!(views.blocks(ben, None, 9).await.unwrap().value.items, []);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn contacts_and_blocks_come_in_pages_and_a_cursor_belongs_to_one_of_them() {
    let deployment = Deployment::new().await;
    let mut scribe = Scribe::new(&deployment.log);
    let mut running = Running::start(&deployment, 100);
    let anna = scribe.person("anna").await;
    let mut others = Vec::new();
    for number in 0..5 {
        let other = scribe.person(&format!("other{number}")).await;
        let saved = UserEvent::ContactSaved { user_id: other, alias: None };
        scribe.write(Aggregate::User(anna), Some(anna), saved).await;
        let direct = Aggregate::Thread(ThreadId::direct(anna, other));
        scribe.write(direct, Some(anna), ThreadEvent::PeerBlocked { peer: other }).await;
        others.push(other);
    }
    others.sort_unstable();
    running.reach(&scribe.written).await;
    let views = views(&deployment);
    let (mut contacts, mut blocks) = (Vec::new(), Vec::new());
    let (mut cursor, mut last) = (None, None);
    loop {
        let page = views.contacts(anna, cursor, 2).await.unwrap().value;
        contacts.extend(page.items.iter().map(|contact| contact.user.user_id));
        let Some(next) = page.next else { break };
        last = Some(next);
        cursor = Some(next.to_string().parse::<Cursor>().unwrap());
    }
    let mut cursor = None;
    loop {
        let page = views.blocks(anna, cursor, 2).await.unwrap().value;
        blocks.extend(page.items.iter().map(|user| user.user_id));
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    assert_eq!((&contacts, &blocks), (&others, &others));
    assert!(matches!(views.blocks(anna, last, 2).await, Err(query::Error::Cursor(_))));
    running.stop().await;
}
