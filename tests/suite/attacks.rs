//! What attackers try at sign-up, log-in and tokens, over REST: each row of
//! these is an attack, and what it gets.

use crate::{
    harness::{Deployment, Herald},
    people::{Answer, PASSWORD, Person, key, send},
    socket::client::Client,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

async fn post(url: &str, path: &str, body: &Value) -> Answer {
    send(reqwest::Client::new().post(format!("{url}{path}")).json(body)).await
}

async fn sign_up(url: &str, username: &str, password: &str) -> (u16, String) {
    let body = json!({ "username": username, "password": password, "display_name": "Some Body" });
    told(&post(url, "/v1/signup", &body).await)
}

async fn log_in(url: &str, username: &str, password: &str, forwarded: &str) -> Answer {
    let body = json!({ "username": username, "password": password });
    let request = reqwest::Client::new().post(format!("{url}/v1/login")).header("x-forwarded-for", forwarded);
    send(request.json(&body)).await
}

/// The status, and the field at fault or the problem's slug.
fn told(answer: &Answer) -> (u16, String) {
    let what = match answer.body["errors"][0]["field"].as_str() {
        Some(field) => field.to_owned(),
        None if answer.status.is_success() => String::new(),
        None => answer.problem().to_owned(),
    };
    (answer.status.as_u16(), what)
}

fn is_limited(answer: &Answer) -> bool {
    let limited = answer.status == StatusCode::TOO_MANY_REQUESTS;
    assert!(!limited || answer.header("retry-after").parse::<u64>().unwrap() > 0, "{answer:?}");
    limited
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_signs_up_as_somebody_else_or_with_a_bad_password() {
    let herald = Herald::start().await;
    let url = &herald.url;
    assert_eq!(sign_up(url, "paypal", PASSWORD).await.0, 201);
    let name = |status| (status, "username".to_owned());
    for username in [
        "admin",
        "ＡＤＭＩＮ",
        "Admin",
        "аdmin",
        "аdmіn",
        "root",
        "ro\u{200b}ot",
        "gra\u{202e}ecg",
        "gra\u{2066}ce",
        "gra\u{200d}ce",
        "gra\u{feff}ce",
        "grαce",
        "gr\u{430}ce",
        "gra ce",
        "",
        "ab",
    ] {
        assert_eq!(sign_up(url, username, PASSWORD).await, name(422), "{username:?}");
    }
    for lookalike in ["paypal", "PayPal", "ｐａｙｐａｌ", "paypa1", "раураӏ"] {
        assert_eq!(sign_up(url, lookalike, PASSWORD).await, name(409), "{lookalike:?}");
    }
    for password in
        ["", "1234567", "password", "PASSWORD", "iloveyou", "12345678", "grace123", "Grace!Grace!", "gracepassword"]
    {
        assert_eq!(sign_up(url, "grace", password).await, (422, "password".to_owned()), "{password:?}");
    }
    assert_eq!(sign_up(url, "grace", &"x".repeat(1_025)).await.0, 422);
    assert_eq!(sign_up(url, "grace", &"x".repeat(1 << 20)).await, (413, "too-large".to_owned()));
    assert_eq!(sign_up(url, "grace", PASSWORD).await.0, 201, "the name was free all the time");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_in_does_not_tell_who_is_there() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let mut fastest = [Duration::MAX; 3];
    let mut answers = Vec::new();
    for _ in 0..12 {
        let attempts = [(ada.username.as_str(), "a wrong horse"), ("nobody-at-all", PASSWORD), ("no name!", PASSWORD)];
        for (index, (username, password)) in attempts.into_iter().enumerate() {
            let began = Instant::now();
            let answer = log_in(&herald.url, username, password, "").await;
            fastest[index] = fastest[index].min(began.elapsed());
            answers.push((answer.status, answer.body));
        }
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert_eq!(answers[0].0, StatusCode::UNAUTHORIZED);
    // Without a hash it would be a small part of that.
    let (least, most) = (fastest.iter().min().unwrap(), fastest.iter().max().unwrap());
    assert!(*least * 2 > *most, "{fastest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sixth_guess_waits_whatever_the_guesser_says_of_its_address() {
    let deployment = Deployment::new().await;
    let herald = deployment.limited(&[]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    for guess in 0..5 {
        let answer = log_in(&herald.url, &ada.username, "a wrong horse", &format!("192.0.2.{guess}")).await;
        assert_eq!(answer.problem(), "bad-credentials");
    }
    for (forwarded, username, password) in [
        ("192.0.2.77", &ada.username, "a wrong horse"),
        ("192.0.2.78", &ada.username, PASSWORD),
        ("192.0.2.79, 192.0.2.80", &bob.username, PASSWORD),
        ("", &"nobody-at-all".to_owned(), PASSWORD),
    ] {
        assert!(is_limited(&log_in(&herald.url, username, password, forwarded).await), "{forwarded}");
    }
    // A stolen access token guesses no more often.
    let guess = ada.post("/v1/me/password", json!({ "current": "a wrong horse", "new": "another battery" })).await;
    assert!(is_limited(&guess));
    assert_eq!(ada.get("/v1/me").await.status, StatusCode::OK, "who is in stays in");

    // Behind a trusted proxy the address is the one that the proxy saw, and an account is limited from everywhere.
    let behind = deployment.limited(&["127.0.0.0/8"]).await;
    for guess in 0..5 {
        let forwarded = format!("198.51.100.{guess}, 203.0.113.{guess}");
        assert_eq!(log_in(&behind.url, &ada.username, "a wrong horse", &forwarded).await.problem(), "bad-credentials");
    }
    assert!(is_limited(&log_in(&behind.url, &ada.username, PASSWORD, "203.0.113.99").await));
    for guess in 0..6 {
        let forwarded = format!("198.51.100.{guess}, 203.0.113.200");
        let answer = log_in(&behind.url, &format!("somebody{guess}"), PASSWORD, &forwarded).await;
        assert_eq!(is_limited(&answer), guess == 5, "{answer:?}");
    }
    assert_eq!(log_in(&behind.url, &bob.username, PASSWORD, "203.0.113.201").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_are_stopped_at_their_rates() {
    let deployment = Deployment::new().await;
    let herald = deployment.limited(&[]).await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let sends = join_all((0..90).map(|number| ada.write(&bob, if number % 2 == 0 { "spam" } else { "more" }))).await;
    let taken = sends.iter().filter(|answer| answer.status == StatusCode::CREATED).count();
    assert!(sends.iter().all(|answer| answer.status == StatusCode::CREATED || is_limited(answer)));
    assert!((60..90).contains(&taken), "{taken}");
    assert_eq!(bob.write(&ada, "hello").await.status, StatusCode::CREATED, "each has their own");

    let mut socket = Client::live(&ada).await;
    for id in 0..90 {
        let send = json!({ "type": "send", "id": id.to_string(), "to": bob.user_id, "key": key(), "body": "spam" });
        socket.say(&send).await;
    }
    let refused = loop {
        let frame = socket.next().await.unwrap();
        if frame["type"] == "error" {
            break frame;
        }
    };
    assert_eq!(refused["problem"]["type"], "urn:herald:too-many-requests");

    let path = format!("/v1/users?username={}", bob.username);
    let looks = join_all((0..130).map(|_| ada.get(&path))).await;
    let found = looks.iter().filter(|answer| answer.status == StatusCode::OK).count();
    assert!((100..130).contains(&found) && looks.iter().any(is_limited), "{found}");

    // Two signed up already; what is refused for its form does not count.
    for index in 0..4 {
        assert_eq!(sign_up(&herald.url, &format!("crowd{index}"), "password").await.0, 422);
        assert_eq!(sign_up(&herald.url, &format!("crowd{index}"), PASSWORD).await.0, 201);
    }
    assert_eq!(sign_up(&herald.url, "crowd9", PASSWORD).await, (429, "too-many-requests".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wave_of_log_ins_is_sent_away_rather_than_queued_without_end() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let wave = join_all((0..300).map(|_| log_in(&herald.url, &ada.username, "a wrong horse", ""))).await;
    let busy = wave.iter().filter(|answer| answer.status == StatusCode::SERVICE_UNAVAILABLE).collect::<Vec<_>>();
    assert!(!busy.is_empty(), "300 hashes at once");
    assert!(busy.iter().all(|answer| answer.problem() == "busy" && answer.header("retry-after") == "1"));
    assert!(wave.iter().all(|answer| [401, 503].contains(&answer.status.as_u16())));
    assert_eq!(log_in(&herald.url, &ada.username, PASSWORD, "").await.status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_says_something_else_than_ours_opens_nothing_though_it_is_signed_with_our_key() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let ada = Person::sign_up(&herald.url).await;
    let [header, claims] = [0, 1].map(|part: usize| {
        let part = ada.access_token.split('.').nth(part).unwrap();
        serde_json::from_slice::<Value>(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
    });
    let signer = Signer::of(&deployment, &herald).await;
    let with = |value: &Value, field: &str, to: Value| {
        let mut changed = value.clone();
        changed[field] = to;
        changed
    };
    let without = |value: &Value, field: &str| {
        let mut changed = value.clone();
        changed.as_object_mut().unwrap().remove(field);
        changed
    };
    let open = async |token: &str| {
        let request = reqwest::Client::new().get(format!("{}/v1/me", herald.url)).bearer_auth(token);
        send(request).await.status.as_u16()
    };
    assert_eq!(open(&signer.sign(&header, &claims)).await, 200, "as ours");
    let (now, late) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    let forged = [
        (with(&header, "alg", json!("none")), claims.clone()),
        (with(&header, "alg", json!("HS256")), claims.clone()),
        (with(&header, "alg", json!("ES256")), claims.clone()),
        (with(&header, "typ", json!("JWT")), claims.clone()),
        (without(&header, "typ"), claims.clone()),
        (with(&header, "kid", json!("another")), claims.clone()),
        (with(&header, "kid", json!("../../keys")), claims.clone()),
        (without(&header, "kid"), claims.clone()),
        (header.clone(), with(&claims, "aud", json!("another"))),
        (header.clone(), without(&claims, "aud")),
        (header.clone(), with(&claims, "iss", json!("another"))),
        (header.clone(), without(&claims, "iss")),
        (header.clone(), with(&claims, "exp", json!(late.to_string()))),
        (header.clone(), with(&claims, "exp", json!(now - 6))),
        (header.clone(), without(&claims, "exp")),
        (header.clone(), with(&claims, "iat", json!(now + 3_600))),
        (header.clone(), with(&claims, "sub", json!("ada"))),
        (header.clone(), without(&claims, "sid")),
    ];
    for (header, claims) in forged {
        assert_eq!(open(&signer.sign(&header, &claims)).await, 401, "{header} {claims}");
    }
    let [head, body, signature] = ada.access_token.split('.').collect::<Vec<_>>().try_into().unwrap();
    let none = URL_SAFE_NO_PAD.encode(with(&header, "alg", json!("none")).to_string());
    for token in [
        format!("{none}.{body}."),
        format!("{head}.{body}."),
        format!("{head}.{body}.{}", &signature[1..]),
        signer.sign_as_secret(&with(&header, "alg", json!("HS256")), &claims),
        ada.refresh_token.clone(),
    ] {
        assert_eq!(open(&token).await, 401, "{token}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stolen_refresh_token_ends_its_session_and_a_made_up_one_ends_nothing() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let refresh = async |token: &str| post(&herald.url, "/v1/token", &json!({ "refresh_token": token })).await;
    let text = |answer: &Answer, name: &str| answer.body[name].as_str().unwrap().to_owned();
    let mut made_up = URL_SAFE_NO_PAD.decode(&ada.refresh_token).unwrap();
    for place in [3, 20, 40, made_up.len() - 1] {
        made_up[place] ^= 1;
        assert_eq!(refresh(&URL_SAFE_NO_PAD.encode(&made_up)).await.status, StatusCode::UNAUTHORIZED);
        made_up[place] ^= 1;
    }
    let second = refresh(&ada.refresh_token).await;
    let lost = refresh(&ada.refresh_token).await;
    assert_eq!(text(&second, "refresh_token"), text(&lost, "refresh_token"), "the same successor");
    let third = refresh(&text(&second, "refresh_token")).await;
    assert_eq!(third.status, StatusCode::OK);

    assert_eq!(refresh(&ada.refresh_token).await.status, StatusCode::UNAUTHORIZED, "the thief");
    assert_eq!(refresh(&text(&third, "refresh_token")).await.status, StatusCode::UNAUTHORIZED, "and its owner");
    for tokens in [&second, &third] {
        let me = ada.with_tokens(&herald.url, &tokens.body).get("/v1/me").await;
        assert_eq!(me.status, StatusCode::UNAUTHORIZED);
    }
}

/// The deployment's own key, as only its bucket has it.
struct Signer {
    secret: jsonwebtoken::EncodingKey,
    public: jsonwebtoken::EncodingKey,
}

impl Signer {
    async fn of(deployment: &Deployment, herald: &Herald) -> Self {
        let keys = send(reqwest::Client::new().get(format!("{}/.well-known/jwks.json", herald.url))).await;
        let public = URL_SAFE_NO_PAD.decode(keys.body["keys"][0]["x"].as_str().unwrap()).unwrap();
        let entry = deployment.log.bucket("SIGNING").await.unwrap().get("secrets").await.unwrap().unwrap();
        let secrets: Value = serde_json::from_slice(&entry.value).unwrap();
        let seed: Vec<u8> = serde_json::from_value(secrets["keys"][0]["seed"].clone()).unwrap();
        // An Ed25519 key in PKCS #8 (RFC 8410, section 7).
        let prefix = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let secret = jsonwebtoken::EncodingKey::from_ed_der(&[&prefix, seed.as_slice()].concat());
        Self { secret, public: jsonwebtoken::EncodingKey::from_secret(&public) }
    }

    fn sign(&self, header: &Value, claims: &Value) -> String {
        Self::token(&self.secret, jsonwebtoken::Algorithm::EdDSA, header, claims)
    }

    fn sign_as_secret(&self, header: &Value, claims: &Value) -> String {
        Self::token(&self.public, jsonwebtoken::Algorithm::HS256, header, claims)
    }

    fn token(
        key: &jsonwebtoken::EncodingKey,
        algorithm: jsonwebtoken::Algorithm,
        header: &Value,
        claims: &Value,
    ) -> String {
        let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part.to_string()));
        let message = format!("{header}.{claims}");
        let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
        format!("{message}.{signature}")
    }
}
