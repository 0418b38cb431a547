//! Gateways that die with many people on them, and gateways that only sleep: who
//! was there has gone by one fact, and no ghost of it comes back.

use super::{
    rig::{Rig, Victim},
    story::Story,
};
use crate::{people::Person, socket::client::Client};
use events::{Aggregate, Event, EventLog, Partition, PresenceEvent};
use futures_util::{StreamExt, future::join_all, stream};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use std::{collections::HashSet, time::Duration};
use tokio::time::{Instant, timeout};

const PEOPLE: usize = 20;
/// The lease, a look at it, and what is not due to either.
const NOTICED: Duration = Duration::from_secs(20);

/// People with a socket each at the first herald, watched from the second.
async fn crowd(rig: &Rig) -> (Vec<Client>, Client) {
    let urls = rig.urls();
    let people = join_all((0..PEOPLE).map(|_| Person::sign_up(&urls[0]))).await;
    let ada = Person::sign_up(&urls[1]).await;
    let sockets = join_all(people.iter().map(Client::live)).await;
    let mut watcher = Client::live(&ada).await;
    let user_ids: Vec<_> = people.iter().map(|person| &person.user_id).collect();
    watcher.say(&json!({ "type": "watch", "user_ids": user_ids })).await;
    until(&mut watcher, true).await;
    (sockets, watcher)
}

/// Until a watcher was told of everybody that they are online, or not.
async fn until(watcher: &mut Client, online: bool) {
    let mut told = HashSet::new();
    while told.len() < PEOPLE {
        let frame = watcher.expect("presence").await;
        let user_id = frame["user_id"].as_str().unwrap().to_owned();
        if frame["online"] == online {
            told.insert(user_id)
        } else {
            told.remove(&user_id)
        };
    }
}

async fn facts(log: &EventLog) -> Vec<(Aggregate, PresenceEvent)> {
    let end = log.end_of(Partition::PRESENCE).await.unwrap();
    let (mut facts, mut last, mut found) = (log.subscribe(Partition::PRESENCE, 0), 0, Vec::new());
    while last < end {
        for fact in facts.next_batch(500).await {
            last = fact.position.sequence;
            if let Event::Presence(event) = &fact.event {
                found.push((fact.aggregate, event.clone()));
            }
        }
    }
    found
}

/// The gateways that are lost, each as often as it was said.
fn lost(facts: &[(Aggregate, PresenceEvent)]) -> Vec<Aggregate> {
    facts.iter().filter(|(_, fact)| *fact == PresenceEvent::GatewayLost {}).map(|(of, _)| *of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_people_of_a_killed_gateway_go_by_one_fact() {
    let story = Story::new("a killed gateway");
    let mut rig = Rig::start(&story, 1, 2).await;
    let (_sockets, mut watcher) = crowd(&rig).await;
    rig.kill(Victim::Herald(0)).await;
    timeout(NOTICED, until(&mut watcher, false)).await.expect("a gateway that died is noticed in time");
    let facts = facts(&rig.log().await).await;
    assert_eq!(lost(&facts).len(), 1, "{facts:?}");
    let went = |fact: &PresenceEvent| matches!(fact, PresenceEvent::PresenceChanged { went, .. } if !went.is_empty());
    assert!(!facts.iter().any(|(_, fact)| went(fact)), "{facts:?}");
    // What the view has is what the facts say, built at once or as they came.
    let live = rows(&rig).await;
    let mut database = PgConnection::connect(&rig.database_url()).await.unwrap();
    sqlx::query("DROP SCHEMA presence CASCADE").execute(&mut database).await.unwrap();
    rig.revive(Victim::Herald(0)).await;
    rig.ready().await;
    let rebuilt = async { while rows(&rig).await != live {} };
    timeout(NOTICED, rebuilt).await.expect("the view is built again, with the same rows");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "opens ten thousand sockets"]
async fn ten_thousand_sockets_of_a_killed_gateway_go_by_one_fact() {
    let story = Story::new("a killed gateway of ten thousand sockets");
    let mut rig = Rig::start(&story, 1, 2).await;
    let url = rig.urls().swap_remove(0);
    let people: Vec<_> = stream::iter(0..2_000).map(|_| Person::sign_up(&url)).buffered(8).collect().await;
    let owners = people.iter().cycle().take(10_000);
    let sockets: Vec<_> = stream::iter(owners).map(Client::live).buffered(16).collect().await;
    timeout(NOTICED, seen(&rig, people.len())).await.expect("all are seen to be there");
    let before = facts(&rig.log().await).await.len();
    rig.kill(Victim::Herald(0)).await;
    let began = Instant::now();
    timeout(NOTICED, seen(&rig, 0)).await.expect("all are seen to be gone in time");
    story.tell(format!("{} sockets are gone after {:?}", sockets.len(), began.elapsed()));
    let facts = facts(&rig.log().await).await;
    assert_eq!((lost(&facts[before..]).len(), facts.len()), (1, before + 1), "{:?}", &facts[before..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_slept_brings_no_ghosts_back() {
    let story = Story::new("a sleeping gateway");
    let rig = Rig::start(&story, 1, 2).await;
    let (sockets, mut watcher) = crowd(&rig).await;
    rig.freeze(Victim::Herald(0), true);
    let began = Instant::now();
    timeout(NOTICED, until(&mut watcher, false)).await.expect("a gateway that sleeps is noticed in time");
    story.tell(format!("noticed after {:?}", began.elapsed()));
    rig.freeze(Victim::Herald(0), false);
    // Whoever is still connected there has to come again.
    for mut socket in sockets {
        assert_eq!(socket.closed().await.code, 1012);
    }
    let log = rig.log().await;
    let lost = lost(&facts(&log).await);
    assert_eq!(lost.len(), 1);
    let said = facts(&log).await;
    let last = said.iter().rfind(|(of, _)| *of == lost[0]).unwrap();
    assert_eq!(last.1, PresenceEvent::GatewayLost {}, "nothing is said after it");
    // The sockets are gone for good by now: whatever was told for a moment, nobody stays.
    timeout(NOTICED, seen(&rig, 1)).await.expect("nobody but the watcher stays");
}

/// Until the view has so many connections.
async fn seen(rig: &Rig, connections: usize) {
    while rows(rig).await["connections"] != json!(connections) {}
}

/// Who is connected and who was seen when, as the view has it.
async fn rows(rig: &Rig) -> Value {
    let statement = "SELECT json_build_object('connections', (SELECT count(*) FROM presence.connections), \
        'seen', (SELECT json_agg(s ORDER BY user_id) FROM presence.seen s), \
        'where', (SELECT json_agg(c ORDER BY user_id, gateway_id) FROM presence.connections c))";
    let mut database = PgConnection::connect(&rig.database_url()).await.unwrap();
    sqlx::query_scalar(statement).fetch_one(&mut database).await.unwrap_or_default()
}
