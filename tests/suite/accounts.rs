//! Accounts with a clock of the test's: tokens that end, refresh tokens that
//! are spent, stolen and lost, and every forged token that we could think of.

use crate::harness::{self, Deployment};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta};
use command::{
    Accounts,
    accounts::{AccountError, InvalidToken, LogIn, SignUp, SignedIn},
    handler::Handler,
    policy::Promises,
};
use events::{
    Aggregate, Clock, Event, Ids, Position, SessionId, Timestamp, UserEvent, UserId,
    log::{History, LogError},
    name::Username,
    text::Line,
};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::timeout;

const PASSWORD: &str = "correct horse battery";

fn noon() -> Timestamp {
    DateTime::from_timestamp(1_795_000_000, 0).unwrap()
}

async fn node(deployment: &Deployment, clock: &Clock) -> Accounts {
    let (log, ids) = (deployment.log.clone(), Ids::random());
    let users = Handler::new(log.clone(), clock.clone(), ids.clone(), 1 << 20);
    let attachments = harness::attachments(&log, clock).await;
    Accounts::open(log, clock.clone(), ids, users, attachments).await.unwrap()
}

async fn sign_up(accounts: &Accounts, username: &str) -> Result<SignedIn, AccountError> {
    let username = Username::parse(username).unwrap();
    let display_name = Line::parse("Some Body").unwrap();
    accounts.sign_up(SignUp { username, password: PASSWORD.to_owned(), display_name, device: None }).await
}

async fn log_in(accounts: &Accounts, username: &str, password: &str) -> Result<SignedIn, AccountError> {
    accounts.log_in(LogIn { username: username.to_owned(), password: password.to_owned(), device: None }).await
}

#[tokio::test]
async fn an_access_token_lasts_five_minutes_and_five_seconds_of_skew() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let accounts = node(&deployment, &clock).await;
    let token = sign_up(&accounts, "ada").await.unwrap().tokens.access_token;
    let at = |seconds| {
        clock.set(noon() + TimeDelta::seconds(seconds));
        accounts.authenticate(&token).map(|identity| identity.expires_at)
    };
    assert_eq!(at(0), Ok(noon() + TimeDelta::minutes(5)));
    assert!(at(304).is_ok());
    assert_eq!(at(305), Err(InvalidToken::Expired));
    assert!(at(-5).is_ok());
    assert_eq!(at(-6), Err(InvalidToken::Expired), "a clock an hour behind revives no token");
}

#[tokio::test]
async fn a_spent_refresh_token_is_a_lost_answer_for_ten_seconds_and_a_theft_afterwards() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let accounts = node(&deployment, &clock).await;
    let other = node(&deployment, &clock).await;
    let first = sign_up(&accounts, "ada").await.unwrap().tokens.refresh_token;
    let second = accounts.refresh(&first).await.unwrap().refresh_token;
    clock.set(noon() + TimeDelta::seconds(10));
    assert_eq!(other.refresh(&first).await.unwrap().refresh_token, second);
    let third = other.refresh(&second).await.unwrap();
    assert_ne!(third.refresh_token, second);

    // Its successor was used: whoever comes with the first one now has stolen it.
    let Err(AccountError::InvalidRefreshToken) = accounts.refresh(&first).await.map(drop) else { panic!("reuse") };
    assert!(matches!(other.refresh(&third.refresh_token).await, Err(AccountError::InvalidRefreshToken)));
    assert_eq!(accounts.authenticate(&third.access_token), Err(InvalidToken::Revoked));

    let second_session = log_in(&accounts, "ada", PASSWORD).await.unwrap().tokens;
    accounts.refresh(&second_session.refresh_token).await.unwrap();
    clock.set(noon() + TimeDelta::seconds(21));
    assert!(matches!(accounts.refresh(&second_session.refresh_token).await, Err(AccountError::InvalidRefreshToken)));
}

#[tokio::test]
async fn a_session_ends_when_it_is_idle_or_old() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let accounts = node(&deployment, &clock).await;
    let idle = sign_up(&accounts, "ada").await.unwrap().tokens.refresh_token;
    let mut used = log_in(&accounts, "ada", PASSWORD).await.unwrap().tokens.refresh_token;
    for days in [29, 58, 87] {
        clock.set(noon() + TimeDelta::days(days));
        used = accounts.refresh(&used).await.unwrap().refresh_token;
    }
    assert!(matches!(accounts.refresh(&idle).await, Err(AccountError::InvalidRefreshToken)));
    clock.set(noon() + TimeDelta::days(91));
    assert!(matches!(accounts.refresh(&used).await, Err(AccountError::InvalidRefreshToken)));
}

#[tokio::test]
async fn fifty_refreshes_of_one_token_at_once_have_one_successor() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let nodes = [node(&deployment, &clock).await, node(&deployment, &clock).await];
    let first = sign_up(&nodes[0], "ada").await.unwrap().tokens.refresh_token;
    let refreshes = (0..50).map(|index| nodes[index % 2].refresh(&first));
    let mut successors: Vec<_> = futures_util::future::join_all(refreshes)
        .await
        .into_iter()
        .map(|tokens| tokens.unwrap().refresh_token)
        .collect();
    successors.dedup();
    assert_eq!(successors.len(), 1);
}

#[tokio::test]
async fn a_name_is_claimed_once_by_whoever_was_first_and_by_its_looks() {
    let deployment = Deployment::new().await;
    let clock = Clock::system();
    let nodes = [node(&deployment, &clock).await, node(&deployment, &clock).await];
    let outcomes = futures_util::future::join_all((0..6).map(|index| sign_up(&nodes[index % 2], "paypal"))).await;
    assert_eq!(outcomes.iter().filter(|outcome| outcome.is_ok()).count(), 1);
    assert!(matches!(sign_up(&nodes[0], "paypa1").await, Err(AccountError::UsernameTaken)));
    log_in(&nodes[1], "PayPal", PASSWORD).await.unwrap();
}

#[tokio::test]
async fn who_does_not_know_the_password_learns_nothing() {
    let deployment = Deployment::new().await;
    let accounts = node(&deployment, &Clock::system()).await;
    sign_up(&accounts, "ada").await.unwrap();
    for (username, password) in [("ada", "wrong horse"), ("nobody", PASSWORD), ("no name!", PASSWORD), ("", "")] {
        let refused = log_in(&accounts, username, password).await;
        assert!(matches!(refused, Err(AccountError::BadCredentials)), "{username}: {refused:?}");
    }
}

#[tokio::test]
async fn forged_tokens_are_refused() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let accounts = node(&deployment, &clock).await;
    let tokens = sign_up(&accounts, "ada").await.unwrap().tokens;
    accounts.authenticate(&tokens.access_token).unwrap();
    let [header, claims, signature] = tokens.access_token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let read = |part: &str| serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    let (header_json, claims_json) = (read(header), read(claims));
    let write = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let with = |value: &Value, name: &str, to: Value| {
        let mut changed = value.clone();
        changed[name] = to;
        write(&changed)
    };
    let public_key = URL_SAFE_NO_PAD.decode(accounts.jwks()["keys"][0]["x"].as_str().unwrap()).unwrap();
    let hs256 = {
        let message = format!("{}.{claims}", with(&header_json, "alg", json!("HS256")));
        let key = jsonwebtoken::EncodingKey::from_secret(&public_key);
        let mac = jsonwebtoken::crypto::sign(message.as_bytes(), &key, jsonwebtoken::Algorithm::HS256).unwrap();
        format!("{message}.{mac}")
    };
    let none = with(&header_json, "alg", json!("none"));
    let forged = [
        format!("{none}.{claims}."),
        format!("{none}.{claims}.{signature}"),
        hs256,
        format!("{}.{claims}.{signature}", with(&header_json, "kid", json!("another"))),
        format!("{}.{claims}.{signature}", with(&header_json, "typ", json!("JWT"))),
        format!("{header}.{}.{signature}", with(&claims_json, "sub", json!("01900000-0000-7000-8000-00000000000a"))),
        format!("{header}.{}.{signature}", with(&claims_json, "exp", json!("9999999999"))),
        format!("{header}.{claims}."),
        format!("{header}.{claims}"),
        tokens.refresh_token.clone(),
        String::new(),
        "..".to_owned(),
    ];
    for token in forged {
        assert_eq!(accounts.authenticate(&token), Err(InvalidToken::Malformed), "{token}");
    }
    for token in ["", "x", &tokens.access_token] {
        assert!(matches!(accounts.refresh(token).await, Err(AccountError::InvalidRefreshToken)), "{token}");
    }

    // A token of another deployment, signed as well as ours.
    let stranger = node(&Deployment::new().await, &clock).await;
    let theirs = sign_up(&stranger, "ada").await.unwrap().tokens;
    assert_eq!(accounts.authenticate(&theirs.access_token), Err(InvalidToken::Malformed));
    assert!(matches!(accounts.refresh(&theirs.refresh_token).await, Err(AccountError::InvalidRefreshToken)));
}

#[tokio::test]
async fn a_sign_up_that_was_cut_off_is_finished_by_whoever_finds_it() {
    let deployment = Deployment::new().await;
    let accounts = node(&deployment, &Clock::system()).await;
    let ada = sign_up(&accounts, "ada").await.unwrap();
    // As if the process had ended between the claim and the fact: the same claim in a log without the fact.
    let cut_off = Deployment::new().await;
    copy_claims(&deployment, &cut_off, &ada).await.unwrap();
    let found = node(&cut_off, &Clock::system()).await;
    assert!(matches!(sign_up(&found, "ada").await, Err(AccountError::UsernameTaken)));
    assert_eq!(log_in(&found, "ada", PASSWORD).await.unwrap().user, ada.user);
}

#[tokio::test]
async fn a_sign_up_that_nobody_comes_back_to_is_finished_by_the_policy() {
    let deployment = Deployment::new().await;
    let accounts = node(&deployment, &Clock::system()).await;
    let ada = sign_up(&accounts, "ada").await.unwrap();
    let cut_off = Deployment::new().await;
    copy_claims(&deployment, &cut_off, &ada).await.unwrap();
    // Two nodes at once do what one does.
    for _ in 0..2 {
        follow_promises(&cut_off, |facts| facts.iter().any(|fact| matches!(fact, UserEvent::SignedUp { .. })), &ada)
            .await;
    }
    assert_eq!(facts(&cut_off, ada.user.user_id).await.len(), 1);
}

#[tokio::test]
async fn a_changed_password_ends_the_other_sessions_though_whoever_changed_it_was_cut_off() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let accounts = node(&deployment, &clock).await;
    let ada = sign_up(&accounts, "ada").await.unwrap();
    let other = log_in(&accounts, "ada", PASSWORD).await.unwrap().tokens;
    change_credential(&deployment, ada.tokens.session_id).await;

    // The write alone decides who goes on, before any fact is there.
    assert!(matches!(accounts.refresh(&other.refresh_token).await, Err(AccountError::InvalidRefreshToken)));
    let kept = accounts.refresh(&ada.tokens.refresh_token).await.unwrap();
    // What the changed password opens is not ended by the fact, though that is written late.
    let late = log_in(&node(&deployment, &clock).await, "ada", PASSWORD).await.unwrap().tokens;
    let changed = |facts: &[UserEvent]| facts.iter().any(|fact| matches!(fact, UserEvent::PasswordChanged { .. }));
    follow_promises(&deployment, changed, &ada).await;
    let facts = facts(&deployment, ada.user.user_id).await;
    let ends: Vec<_> = facts
        .iter()
        .filter_map(|fact| {
            let UserEvent::PasswordChanged { epoch: 1, ends } = fact else { return None };
            Some(ends.clone())
        })
        .collect();
    assert_eq!(ends, [[other.session_id]]);
    for token in [kept.refresh_token, late.refresh_token] {
        accounts.refresh(&token).await.unwrap();
    }
}

#[tokio::test]
async fn a_password_is_changed_once_by_whoever_was_first_and_a_repeated_change_is_done() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let nodes = [node(&deployment, &clock).await, node(&deployment, &clock).await];
    let tokens = [
        sign_up(&nodes[0], "ada").await.unwrap().tokens.access_token,
        log_in(&nodes[1], "ada", PASSWORD).await.unwrap().tokens.access_token,
    ];
    let identities = [0, 1].map(|index: usize| nodes[index].authenticate(&tokens[index]).unwrap());
    let change = async |index: usize| {
        let new = format!("another battery {index}");
        nodes[index].change_password(&identities[index], PASSWORD.to_owned(), new).await
    };
    let outcomes = futures_util::future::join(change(0), change(1)).await;
    let (winner, loser) = if outcomes.0.is_ok() { (0, outcomes.1) } else { (1, outcomes.0) };
    assert!(loser.is_err(), "{loser:?}");
    let first: Position = change(winner).await.unwrap();
    assert_eq!(change(winner).await.unwrap(), first, "it was done already");
    assert!(matches!(log_in(&nodes[0], "ada", PASSWORD).await, Err(AccountError::BadCredentials)));
    log_in(&nodes[0], "ada", &format!("another battery {winner}")).await.unwrap();
}

#[tokio::test]
async fn signing_keys_turn_without_any_token_being_refused() {
    let deployment = Deployment::new().await;
    let clock = Clock::fixed(noon());
    let nodes = [node(&deployment, &clock).await, node(&deployment, &clock).await];
    let mut refresh_token = sign_up(&nodes[0], "ada").await.unwrap().tokens.refresh_token;
    let key_ids = |node: &Accounts| -> Vec<String> {
        let keys = node.jwks()["keys"].clone();
        keys.as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    };
    let signed_by = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let [first] = key_ids(&nodes[0]).try_into().unwrap();
    let mut seen = vec![first.clone()];
    // Past the first turn, by half days: whatever either node issues, both take, and no key signs that was not told.
    for half_days in 0..=66 {
        clock.set(noon() + TimeDelta::hours(12 * half_days));
        for index in [half_days % 2, (half_days + 1) % 2] {
            let index = usize::try_from(index).unwrap();
            let before = key_ids(&nodes[index]);
            let tokens = nodes[index].refresh(&refresh_token).await.unwrap();
            let signer = signed_by(&tokens.access_token);
            assert!(before.contains(&signer), "published first");
            for node in &nodes {
                node.authenticate(&tokens.access_token).unwrap();
            }
            if seen.last() != Some(&signer) {
                assert_eq!(half_days, 62, "a day after the thirtieth");
                seen.push(signer);
            }
            refresh_token = tokens.refresh_token;
        }
        for node in &nodes {
            node.turn_keys().await.unwrap();
        }
        assert_eq!(key_ids(&nodes[0]), key_ids(&nodes[1]), "one makes the key that both have");
        let published = key_ids(&nodes[0]).len();
        assert_eq!(published, if (60..64).contains(&half_days) { 2 } else { 1 }, "after {half_days} half days");
    }
    assert_eq!(seen.len(), 2);
    assert!(!key_ids(&nodes[0]).contains(&first));
}

/// Runs the policy until the person's facts are as expected.
async fn follow_promises(deployment: &Deployment, enough: impl Fn(&[UserEvent]) -> bool, person: &SignedIn) {
    let accounts = node(deployment, &Clock::system()).await;
    let promises = Promises::open(deployment.log.clone(), accounts).await.unwrap();
    let seen = async { while !enough(&facts(deployment, person.user.user_id).await) {} };
    let followed = async {
        tokio::select! {
            () = promises.run(Duration::from_millis(20)) => unreachable!("it never ends"),
            () = seen => {}
        }
    };
    timeout(Duration::from_secs(20), followed).await.unwrap();
}

async fn facts(deployment: &Deployment, user_id: UserId) -> Vec<UserEvent> {
    let History::Since(facts) = deployment.log.history(Aggregate::User(user_id), None).await.unwrap() else {
        panic!("nothing was known before")
    };
    let of_users = facts.iter().map(|envelope| match &envelope.event {
        Event::User(event) => event.clone(),
        Event::Thread(_) | Event::Receipts(_) | Event::Presence(_) | Event::Deployment(_) => {
            panic!("another aggregate's")
        }
    });
    of_users.collect()
}

/// As if the process had ended between the credential's change and its fact; the password stays the same.
async fn change_credential(deployment: &Deployment, keeps: SessionId) {
    let claim = Username::parse("ada").unwrap().claim();
    let buckets = deployment.log.partitioned_bucket("CREDENTIALS", Duration::ZERO).await.unwrap();
    let bucket = buckets.of(deployment.log.names().partition_of_record(&claim));
    let entry = bucket.get(&claim).await.unwrap().unwrap();
    let mut credential: Value = serde_json::from_slice(&entry.value).unwrap();
    credential["epoch"] = json!(1);
    credential["keeps"] = json!(keeps);
    bucket.update(&claim, credential.to_string().into(), entry.revision).await.unwrap();
}

async fn copy_claims(from: &Deployment, to: &Deployment, person: &SignedIn) -> Result<(), LogError> {
    let claim = Username::parse(&person.user.username).unwrap().claim();
    let user_id = person.user.user_id;
    for (kind, key, partition) in [
        ("CREDENTIALS", claim.clone(), from.log.names().partition_of_record(&claim)),
        ("KEYS", user_id.to_string(), from.log.names().partition(user_id.uuid())),
    ] {
        let never = std::time::Duration::ZERO;
        let source = from.log.partitioned_bucket(kind, never).await?;
        let target = to.log.partitioned_bucket(kind, never).await?;
        let record = source.of(partition).get(&key).await?.unwrap();
        target.of(partition).create(&key, record.value).await?;
    }
    Ok(())
}
