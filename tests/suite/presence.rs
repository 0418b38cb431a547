//! Who is online, and who is writing: first those who may not know, then those
//! who may; gateways that die, that sleep and come back, and views built anew.

use crate::{
    harness::{Deployment, Herald},
    people::{Answer, Person},
    socket::client::Client,
};
use events::{
    Aggregate, Event, EventId, EventLog, GatewayId, Ids, Partition, PresenceEvent, UserId, clock::millis,
    envelope::Draft, log::AppendError,
};
use reqwest::StatusCode;
use serde_json::{Value, json};

/// What the view says of somebody, as one sees them.
async fn seen(by: &Person, whom: &Person) -> Value {
    let answer = by.get(&format!("/v1/presence?user_id={}", whom.user_id)).await;
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.body[0].clone()
}

/// Asks until somebody is seen to be online, or not.
async fn until_seen(by: &Person, whom: &Person, online: bool) -> Value {
    loop {
        let seen = seen(by, whom).await;
        if seen["online"] == online {
            return seen;
        }
    }
}

async fn watch(client: &mut Client, people: &[&Person]) {
    let user_ids: Vec<_> = people.iter().map(|person| &person.user_id).collect();
    client.say(&json!({ "type": "watch", "user_ids": user_ids })).await;
}

/// The next that a watcher is told, whatever else comes before.
async fn told(client: &mut Client) -> Value {
    loop {
        let frame = client.next().await.unwrap();
        if frame["type"] == "presence" {
            return frame;
        }
    }
}

fn nothing(of: &Person) -> Value {
    json!({ "user_id": of.user_id, "online": false, "last_seen": null })
}

fn succeeds(answer: &Answer) -> String {
    assert!(answer.status.is_success(), "{answer:?}");
    answer.position().to_owned()
}

/// The facts of presence so far.
async fn facts(log: &EventLog) -> Vec<(GatewayId, PresenceEvent)> {
    let end = log.end_of(Partition::PRESENCE).await.unwrap();
    let (mut facts, mut last) = (log.subscribe(Partition::PRESENCE, 0), 0);
    let mut found = Vec::new();
    while last < end {
        for fact in facts.next_batch(100).await {
            last = fact.position.sequence;
            if let (Aggregate::Gateway(id), Event::Presence(event)) = (fact.aggregate, &fact.event) {
                found.push((id, event.clone()));
            }
        }
    }
    found
}

fn draft(gateway_id: GatewayId, event: PresenceEvent) -> Draft {
    let id = EventId::from_uuid(Ids::random().next());
    Draft { aggregate: Aggregate::Gateway(gateway_id), id, by: None, at: millis(0), event: event.into() }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_see_it_sees_somebody_who_never_was_online() {
    let herald = Herald::start().await;
    let url = &herald.url;
    let (ada, bob, cyd) = tokio::join!(Person::sign_up(url), Person::sign_up(url), Person::sign_up(url));
    let _socket = Client::live(&bob).await;
    until_seen(&ada, &bob, true).await;
    let mut socket = Client::live(&cyd).await;
    watch(&mut socket, &[&bob]).await;
    assert_eq!(told(&mut socket).await["online"], true);

    // Contacts are Bob's: that Cyd keeps him opens nothing.
    succeeds(&cyd.put(&format!("/v1/contacts/{}", bob.user_id), json!({})).await);
    succeeds(&bob.put(&format!("/v1/contacts/{}", ada.user_id), json!({})).await);
    let at = bob.patch("/v1/me", json!({ "last_seen_visible_to": "contacts" })).await;
    let hidden = nothing(&bob);
    let path = format!("/v1/presence?user_id={}", bob.user_id);
    assert_eq!(cyd.get_after(at.position(), &path).await.body[0], hidden);
    assert_eq!(ada.get_after(at.position(), &path).await.body[0]["online"], true);
    // Who watched is told as if he had gone, and nothing after that.
    let gone = told(&mut socket).await;
    assert_eq!((&gone["online"], &gone["last_seen"]), (&json!(false), &Value::Null));

    let at = bob.patch("/v1/me", json!({ "last_seen_visible_to": "nobody" })).await;
    assert_eq!(ada.get_after(at.position(), &path).await.body[0], hidden);
    assert_eq!(bob.get_after(at.position(), &path).await.body[0]["online"], true);

    bob.patch("/v1/me", json!({ "last_seen_visible_to": "everyone" })).await;
    assert_eq!(told(&mut socket).await["online"], true);
    let at = succeeds(&bob.put(&format!("/v1/blocks/{}", cyd.user_id), json!({})).await);
    assert_eq!(cyd.get_after(&at, &path).await.body[0], hidden);
    assert_eq!(told(&mut socket).await["online"], false);
    // One who is not there looks the same.
    let nobody = "0190b5a0-0000-7000-8000-000000000000";
    let answer = cyd.get(&format!("/v1/presence?user_id={nobody}")).await;
    assert_eq!(answer.body, json!([{ "user_id": nobody, "online": false, "last_seen": null }]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_question_names_one_to_a_hundred_people() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let query = |count: u128| {
        let id =
            |index| format!("user_id={}", uuid::Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0000 + index));
        (0..count).map(id).collect::<Vec<_>>().join("&")
    };
    let ask = async |query: &str| ada.get(&format!("/v1/presence?{query}")).await;
    assert_eq!(ask(&query(100)).await.body.as_array().unwrap().len(), 100);
    let twice = ask(&format!("{}&{}", query(2), query(2))).await;
    assert_eq!(twice.body.as_array().unwrap().len(), 2);
    for (query, status) in [
        (query(101), StatusCode::UNPROCESSABLE_ENTITY),
        (String::new(), StatusCode::UNPROCESSABLE_ENTITY),
        (format!("{}&limit=1", query(1)), StatusCode::UNPROCESSABLE_ENTITY),
        ("user_id=x".to_owned(), StatusCode::BAD_REQUEST),
    ] {
        assert_eq!(ask(&query).await.status, status, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_reaches_the_other_members_who_are_here_and_nobody_else() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob, cyd) = tokio::join!(Person::sign_up(&a.url), Person::sign_up(&a.url), Person::sign_up(&a.url));
    let thread = ada.create_group(&[&bob, &cyd]).await;
    let typing = json!({ "type": "typing", "thread_id": thread });
    let mut sockets = [Client::live(&ada).await, Client::live(&bob.at(&b.url)).await, Client::live(&cyd).await];
    let [phone, bobs, cyds] = &mut sockets;
    // More than once in three seconds is once.
    for _ in 0..3 {
        phone.say(&typing).await;
    }
    let told = bobs.expect("typing").await;
    assert_eq!((&told["thread_id"], &told["user_id"]), (&json!(thread), &json!(ada.user_id)));
    assert_eq!(cyds.expect("typing").await["user_id"], json!(ada.user_id));

    // Who was removed neither hears it nor is heard, nor is a stranger; what they say last is told last.
    let members = format!("/v1/threads/{thread}/members/{}", cyd.user_id);
    succeeds(&ada.delete(&members).await);
    assert_eq!(cyds.expect("thread").await["change"], "member_removed");
    cyds.say(&typing).await;
    bobs.say(&typing).await;
    let only_thread = |frames: &[Value]| frames.iter().all(|frame| frame["type"] == "thread");
    assert!(only_thread(&phone.until("typing").await));
    assert!(cyds.drain().await.is_empty());
    assert!(phone.drain().await.is_empty());
    assert!(only_thread(&bobs.drain().await));

    // In a direct thread a block ends it, both ways.
    let other = ada.create_group(&[&bob]).await;
    ada.write(&bob, "hi").await;
    bobs.until("message").await;
    phone.until("message").await;
    succeeds(&bob.put(&format!("/v1/blocks/{}", ada.user_id), json!({})).await);
    let ids = (ada.user_id.parse::<UserId>().unwrap(), bob.user_id.parse::<UserId>().unwrap());
    let direct = events::ThreadId::direct(ids.0, ids.1);
    let typing = json!({ "type": "typing", "thread_id": direct });
    phone.say(&typing).await;
    bobs.say(&typing).await;
    // What is said on another thread after it has overtaken nothing.
    phone.say(&json!({ "type": "typing", "thread_id": other })).await;
    let frames = bobs.until("typing").await;
    assert!(frames.iter().all(|frame| frame["type"] != "typing"), "{frames:?}");
    assert!(phone.drain().await.iter().all(|frame| frame["type"] != "typing"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_is_told_what_is_so_and_then_what_changes() {
    let deployment = Deployment::new().await;
    let (a, b) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob, cyd) = tokio::join!(Person::sign_up(&a.url), Person::sign_up(&a.url), Person::sign_up(&a.url));
    let mut client = Client::live(&ada).await;
    watch(&mut client, &[&bob, &ada]).await;
    let mut told = [client.expect("presence").await, client.expect("presence").await];
    told.sort_by_key(|frame| frame["user_id"] != bob.user_id.as_str());
    assert_eq!((&told[0]["online"], &told[0]["last_seen"]), (&json!(false), &Value::Null));

    // Two devices on two nodes: the second says nothing new, nor does the first that goes.
    let phone = Client::live(&bob).await;
    loop {
        let frame = client.expect("presence").await;
        if frame["user_id"] == bob.user_id.as_str() {
            assert_eq!(frame["online"], true);
            break;
        }
    }
    let desk = Client::live(&bob.at(&b.url)).await;
    let mut facts = deployment.log.subscribe(Partition::PRESENCE, 0);
    let mut until = async |count: usize, is_here: bool| {
        let mut found = 0;
        while found < count {
            let batch = facts.next_batch(1).await;
            found += batch
                .iter()
                .filter(|fact| matches!(&fact.event, Event::Presence(event) if tells(event, &bob, is_here)))
                .count();
        }
    };
    until(2, true).await;
    drop(phone);
    until(1, false).await;
    assert!(seen(&ada, &bob).await["online"] == true);
    drop(desk);
    let gone = client.expect("presence").await;
    assert_eq!((&gone["user_id"], &gone["online"]), (&json!(bob.user_id), &json!(false)));
    assert!(gone["last_seen"].is_string());
    assert_eq!(until_seen(&cyd, &bob, false).await["last_seen"], gone["last_seen"]);

    // Another set replaces the former one.
    watch(&mut client, &[&cyd]).await;
    assert_eq!(client.expect("presence").await["user_id"], json!(cyd.user_id));
    let _phone = Client::live(&bob).await;
    until(1, true).await;
    let _cyds = Client::live(&cyd).await;
    let next = client.expect("presence").await;
    assert_eq!((&next["user_id"], &next["online"]), (&json!(cyd.user_id), &json!(true)));
}

fn tells(fact: &PresenceEvent, whom: &Person, is_here: bool) -> bool {
    let user_id = whom.user_id.parse().unwrap();
    match fact {
        PresenceEvent::PresenceChanged { came, went } => (if is_here { came } else { went }).contains(&user_id),
        PresenceEvent::GatewayLost {} => false,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_back_within_the_grace_was_never_away() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let mut client = Client::live(&ada).await;
    until_seen(&bob, &ada, true).await;
    for _ in 0..5 {
        drop(client);
        client = Client::live(&ada).await;
    }
    // What is told later shows that nothing was told before.
    let _bobs = Client::live(&bob).await;
    until_seen(&ada, &bob, true).await;
    let told: Vec<_> = facts(&deployment.log).await.into_iter().filter(|(_, fact)| tells(fact, &ada, false)).collect();
    assert!(told.is_empty(), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_gateway_can_say_nothing_more() {
    let deployment = Deployment::new().await;
    let log = &deployment.log;
    let gateway_id = GatewayId::from_uuid(Ids::random().next());
    let ada = UserId::from_uuid(Ids::random().next());
    let changed = || PresenceEvent::PresenceChanged { came: vec![ada], went: vec![] };
    let first = log.append(&draft(gateway_id, changed()), Some(0)).await.unwrap();
    log.append(&draft(gateway_id, PresenceEvent::GatewayLost {}), Some(first.sequence)).await.unwrap();
    let ghost = log.append(&draft(gateway_id, changed()), Some(first.sequence)).await;
    assert!(matches!(ghost, Err(AppendError::Conflict)), "{ghost:?}");
}
