//! Files: whose they are, what they are called and taken for, and that none
//! outlives its message or waits for ever.

use super::{raw, told};
use crate::{
    harness::{Deployment, Herald},
    people::{Answer, Person, key, send},
    socket::client::Client as Socket,
};
use reqwest::{
    Method, StatusCode,
    header::{CONTENT_DISPOSITION, CONTENT_TYPE, RANGE},
};
use serde_json::{Value, json};
use std::path::Path;

const PNG: &[u8] = b"\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x02\x80\x00\x00\x01\xe0\x08\x02\x00\x00\x00";
const MIB: usize = 1 << 20;

async fn upload_as(by: &Person, bytes: &[u8], media_type: &str, disposition: &str) -> Answer {
    let request = by.request(Method::POST, "/v1/attachments").body(bytes.to_vec());
    send(request.header(CONTENT_TYPE, media_type).header(CONTENT_DISPOSITION, disposition)).await
}

async fn upload(by: &Person, bytes: &[u8]) -> String {
    let uploaded = upload_as(by, bytes, "image/png", "attachment; filename=\"beach.png\"").await;
    assert_eq!(uploaded.status, StatusCode::CREATED, "{uploaded:?}");
    uploaded.body["attachment_id"].as_str().unwrap().to_owned()
}

async fn send_files(by: &Person, thread: &str, files: &[&str]) -> Answer {
    let body = json!({ "key": key(), "body": "look", "attachments": files });
    by.post(&format!("/v1/threads/{thread}/messages"), body).await
}

async fn download(by: &Person, after: &str, id: &str) -> (StatusCode, Vec<u8>) {
    let request = by.request(Method::GET, &format!("/v1/attachments/{id}")).header("herald-after", after);
    let response = request.send().await.unwrap();
    (response.status(), response.bytes().await.unwrap().to_vec())
}

async fn range(by: &Person, id: &str, range: &str) -> (u16, String, Vec<u8>) {
    let request = by.request(Method::GET, &format!("/v1/attachments/{id}")).header(RANGE, range);
    let response = request.send().await.unwrap();
    let told = response.headers().get("content-range").map(|value| value.to_str().unwrap().to_owned());
    (response.status().as_u16(), told.unwrap_or_default(), response.bytes().await.unwrap().to_vec())
}

/// The files of a folder, with all below it.
fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path());
    let entries = entries.filter(|path| !path.ends_with("store"));
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

/// Bytes that compress to nothing and are not alike.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..count).map(|_| next()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_goes_with_its_message_to_who_may_see_that_and_to_nobody_else() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let [ada, bob, eve] = [(); 3].map(|()| Person::sign_up(&herald.url));
    let (ada, bob, eve) = tokio::join!(ada, bob, eve);
    let thread = ada.create_group(&[&bob]).await;
    let mut socket = Socket::live(&bob).await;
    let bytes = [PNG, &noise(2 * MIB + 77)].concat();
    let file = upload(&ada, &bytes).await;
    // Until it is sent it is hers alone.
    assert_eq!(download(&ada, "", &file).await, (StatusCode::OK, bytes.clone()));
    assert_eq!(download(&bob, "", &file).await.0, StatusCode::NOT_FOUND);
    // Nobody sends another's, and it is sent once.
    assert_eq!(told(&send_files(&bob, &thread, &[&file]).await), (404, "not-found"));
    let sent = send_files(&ada, &thread, &[&file]).await;
    assert_eq!(sent.status, StatusCode::CREATED, "{sent:?}");
    assert_eq!(told(&send_files(&ada, &thread, &[&file]).await), (404, "not-found"));

    let shown = json!([{ "attachment_id": file, "name": "beach.png", "media_type": "image/png",
        "size": bytes.len(), "width": 640, "height": 480 }]);
    assert_eq!(socket.expect("message").await["attachments"], shown);
    let history = bob.get_after(sent.position(), &format!("/v1/threads/{thread}/messages/1")).await;
    assert_eq!(history.body["attachments"], shown);
    let resumed = bob.get(&format!("/v1/threads/{thread}/messages")).await;
    assert_eq!(resumed.body["entries"][0]["attachments"], shown);
    assert_eq!(download(&bob, sent.position(), &file).await, (StatusCode::OK, bytes.clone()));
    assert_eq!(download(&eve, sent.position(), &file).await.0, StatusCode::NOT_FOUND);
    // At rest nothing of it can be read.
    let stored: Vec<u8> = files(&deployment.files()).iter().flat_map(|file| std::fs::read(file).unwrap()).collect();
    assert_eq!(stored.len(), bytes.len() + 3 * 16, "sealed parts");
    assert!(!stored.windows(PNG.len()).any(|window| window == PNG));

    // Who joins later does not see it, and who left neither.
    let added = ada.put(&format!("/v1/threads/{thread}/members/{}", eve.user_id), json!({})).await;
    assert_eq!(download(&eve, added.position(), &file).await.0, StatusCode::NOT_FOUND);
    let left = bob.delete(&format!("/v1/threads/{thread}/members/{}", bob.user_id)).await;
    assert_eq!(download(&bob, left.position(), &file).await.0, StatusCode::NOT_FOUND);

    // It goes with its message.
    let deleted = ada.delete(&format!("/v1/threads/{thread}/messages/1")).await;
    assert_eq!(deleted.status, StatusCode::NO_CONTENT);
    assert_eq!(download(&ada, deleted.position(), &file).await.0, StatusCode::NOT_FOUND);
    let message = ada.get(&format!("/v1/threads/{thread}/messages/1")).await;
    assert_eq!(message.body["attachments"], json!([]));
    while !files(&deployment.files()).is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_with_files_that_is_asked_again_is_the_first_however_late() {
    let deployment = Deployment::new().await;
    let (one, other) = (deployment.herald().await, deployment.herald().await);
    let (ada, bob) = (Person::sign_up(&one.url).await, Person::sign_up(&one.url).await);
    let file = upload(&ada, PNG).await;
    let second = upload(&ada, PNG).await;
    let body = json!({ "to": bob.user_id, "key": key(), "body": "", "attachments": [file] });
    let again = |url: &str| {
        let (ada, body) = (ada.at(url), body.clone());
        async move { ada.post("/v1/messages", body).await }
    };
    let answers = futures_util::future::join_all((0..20).map(|turn| again([&one.url, &other.url][turn % 2]))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.body["number"] == 1), "{answers:?}");
    let thread = answers[0].body["thread_id"].as_str().unwrap();
    for number in 0..300 {
        assert_eq!(ada.write_in(thread, &format!("{number}")).await.status, StatusCode::CREATED);
    }
    let late = again(&other.url).await;
    assert_eq!((late.status, &late.body["number"]), (StatusCode::OK, &json!(1)));
    let mut different = body.clone();
    different["attachments"] = json!([second]);
    assert_eq!(told(&ada.post("/v1/messages", different).await), (409, "key-reused"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_what_its_bytes_say_and_no_browser_runs_it() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let svg = b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>";
    let html = b"<!DOCTYPE html><script>alert(1)</script>";
    for (bytes, media_type, name, found, called) in [
        (PNG, "text/html", "../../../etc/passwd.png", "image/png", "passwd.png"),
        (&svg[..], "image/svg+xml", "pic.svg", "application/octet-stream", "pic.svg"),
        (&html[..], "image/png", "C:\\pic.png", "application/octet-stream", "pic.png"),
        (&html[..], "text/html", "index.html", "application/octet-stream", "index.html"),
        (b"hello", "text/plain; charset=utf-8", "Grüße.txt", "text/plain", "Gr%C3%BC%C3%9Fe.txt"),
    ] {
        let uploaded = upload_as(&ada, bytes, media_type, &format!("attachment; filename=\"{name}\"")).await;
        assert_eq!(uploaded.body["media_type"], found, "{uploaded:?}");
        let path = format!("/v1/attachments/{}", uploaded.body["attachment_id"].as_str().unwrap());
        let got = ada.request(Method::GET, &path).send().await.unwrap();
        let header = |name: &str| got.headers()[name].to_str().unwrap();
        assert_eq!(header("content-type"), found);
        assert_eq!(header("content-disposition"), format!("attachment; filename*=UTF-8''{called}"));
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'; sandbox");
    }
    for name in ["..", "a%00b", "x%0D%0AEvil:1", "photo%E2%80%AEgpj.exe"] {
        let refused = upload_as(&ada, PNG, "image/png", &format!("attachment; filename*=UTF-8''{name}")).await;
        assert_eq!(told(&refused), (422, "validation"), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_file_can_be_asked_for() {
    let herald = Herald::start().await;
    let ada = Person::sign_up(&herald.url).await;
    let bytes = noise(2 * MIB + 10);
    let file = upload(&ada, &bytes).await;
    let all = bytes.len();
    for (asked, from, to) in [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, all),
        ("bytes=-7", all - 7, all),
        (&format!("bytes={}-{}", MIB - 3, MIB + 3), MIB - 3, MIB + 4),
        (&format!("bytes={}-{}", MIB, 2 * MIB - 1), MIB, 2 * MIB),
        ("bytes=10-999999999", 10, all),
    ] {
        let content_range = format!("bytes {from}-{}/{all}", to - 1);
        assert_eq!(range(&ada, &file, asked).await, (206, content_range, bytes[from..to].to_vec()), "{asked}");
    }
    for asked in ["bytes=0-1,3-4", "items=0-1", "bytes=x"] {
        assert_eq!(range(&ada, &file, asked).await, (200, String::new(), bytes.clone()), "{asked}");
    }
    assert_eq!(range(&ada, &file, &format!("bytes={all}-")).await.0, 416);
    let head = ada.request(Method::HEAD, &format!("/v1/attachments/{file}")).send().await.unwrap();
    assert_eq!(head.headers()["content-length"], all.to_string().as_str());
    assert_eq!(head.headers()["accept-ranges"], "bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_at_most_64_mib_and_at_least_a_byte() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let ada = Person::sign_up(&herald.url).await;
    assert_eq!(told(&upload_as(&ada, b"", "image/png", "attachment").await), (422, "validation"));
    let mut bomb = vec![0; 64 * MIB];
    bomb[..PNG.len()].copy_from_slice(PNG);
    bomb[16..24].fill(0xff);
    assert_eq!(upload_as(&ada, &bomb, "image/png", "attachment").await.status, StatusCode::CREATED);
    bomb.push(0);
    let refused = upload_as(&ada, &bomb, "image/png", "attachment").await;
    assert_eq!(told(&refused), (413, "too-large"));
    assert_eq!(refused.header("connection"), "close");
    // Of what was refused nothing stays.
    while files(&deployment.files()).len() > 64 {
        tokio::task::yield_now().await;
    }
    let head = format!(
        "POST /v1/attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n",
        ada.access_token,
        100 * MIB
    );
    assert!(raw(&herald.url, &head).await.starts_with("HTTP/1.1 413"), "known from its length");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_nothing_is_sent_away_and_leaves_nothing() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let ada = Person::sign_up(&herald.url).await;
    let half = format!(
        "POST /v1/attachments HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Length: {}\r\n\r\n{}",
        ada.access_token,
        3 * MIB,
        "x".repeat(MIB + 5)
    );
    let answer = raw(&herald.url, &half).await;
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("connection: close"), "{answer}");
    while !files(&deployment.files()).is_empty() {
        tokio::task::yield_now().await;
    }
    let stranger = format!("POST /v1/attachments HTTP/1.1\r\nHost: x\r\nContent-Length: {MIB}\r\n\r\n");
    assert!(raw(&herald.url, &stranger).await.starts_with("HTTP/1.1 401"), "before anything of it is read");
}

#[tokio::test(flavor = "multi_thread")]
async fn so_many_files_a_day_and_no_more() {
    let herald = Deployment::new().await.limited(&[]).await;
    let ada = Person::sign_up(&herald.url).await;
    let mut limited = None;
    for _ in 0..300 {
        let answer = upload_as(&ada, b"x", "text/plain", "attachment").await;
        if answer.status != StatusCode::CREATED {
            limited = Some(answer);
            break;
        }
    }
    let limited = limited.unwrap();
    assert_eq!(told(&limited), (429, "too-many-requests"));
    assert!(limited.header("retry-after").parse::<u32>().unwrap() >= 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_cannot_be_are_refused_and_a_message_has_ten_at_most() {
    let herald = Herald::start().await;
    let (ada, bob) = (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let file = upload(&ada, PNG).await;
    let eleven: Vec<String> = (0..11).map(|_| key()).collect();
    let write = |attachments: Value, body: &str| json!({ "to": bob.user_id, "key": key(), "body": body, "attachments": attachments });
    for (attachments, body, expected) in [
        (json!(["nonsense"]), "x", (400, "malformed")),
        (json!([file, file]), "x", (422, "validation")),
        (json!(eleven), "x", (422, "validation")),
        (json!([key()]), "x", (404, "not-found")),
        (json!([]), "", (422, "validation")),
        (json!("x"), "x", (422, "validation")),
    ] {
        assert_eq!(told(&ada.post("/v1/messages", write(attachments.clone(), body)).await), expected, "{attachments}");
    }
    let alone = ada.post("/v1/messages", write(json!([file]), "")).await;
    assert_eq!(alone.status, StatusCode::CREATED, "a picture needs no words: {alone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_and_groups_look_like_uploads_that_those_see_who_see_them() {
    let deployment = Deployment::new().await;
    let herald = deployment.herald().await;
    let (ada, bob, eve) =
        (Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await, Person::sign_up(&herald.url).await);
    let thread = ada.create_group(&[&bob]).await;
    let (mine, groups) = ("/v1/me/picture".to_owned(), format!("/v1/threads/{thread}/picture"));
    let picture = |id: &str| json!({ "attachment_id": id });

    let first = upload(&ada, PNG).await;
    assert_eq!(told(&bob.put(&mine, picture(&first)).await), (404, "not-found"), "another's");
    let set = ada.put(&mine, picture(&first)).await;
    assert_eq!(told(&set), (204, ""));
    assert_eq!(told(&ada.put(&mine, picture(&first)).await), (204, ""), "it is that already");
    assert_eq!(told(&send_files(&ada, &thread, &[&first]).await), (404, "not-found"), "it is used");
    let seen = eve.get_after(set.position(), &format!("/v1/users/{}", ada.user_id)).await;
    assert_eq!(seen.body["picture"], first);
    assert_eq!(download(&eve, set.position(), &first).await, (StatusCode::OK, PNG.to_vec()));
    let text = upload_as(&ada, b"hello", "text/plain", "attachment").await;
    let text = text.body["attachment_id"].as_str().unwrap();
    assert_eq!(told(&ada.put(&mine, picture(text)).await), (422, "validation"), "no image");
    // Who is blocked sees neither the person nor the picture.
    let blocked = ada.put(&format!("/v1/blocks/{}", eve.user_id), json!({})).await;
    assert_eq!(download(&eve, blocked.position(), &first).await.0, StatusCode::NOT_FOUND);

    let second = upload(&ada, PNG).await;
    let replaced = ada.put(&mine, picture(&second)).await;
    assert_eq!(download(&bob, replaced.position(), &first).await.0, StatusCode::NOT_FOUND, "the former is gone");
    assert_eq!(told(&ada.put(&mine, picture(&first)).await), (404, "not-found"), "what was replaced is used up");
    let removed = ada.delete(&mine).await;
    let seen = bob.get_after(removed.position(), &format!("/v1/users/{}", ada.user_id)).await;
    assert_eq!(seen.body["picture"], Value::Null);

    let mut socket = Socket::live(&bob).await;
    let look = upload(&ada, PNG).await;
    let bobs = upload(&bob, PNG).await;
    assert_eq!(told(&bob.put(&groups, picture(&bobs)).await), (403, "forbidden"), "a member does not lead");
    assert_eq!(told(&eve.put(&groups, picture(&bobs)).await), (404, "not-found"));
    let set = ada.put(&groups, picture(&look)).await;
    assert_eq!(told(&set), (204, ""));
    let frame = socket.expect("thread").await;
    assert_eq!((&frame["change"], &frame["picture"]), (&json!("picture_changed"), &json!(look)));
    let seen = bob.get_after(set.position(), &format!("/v1/threads/{thread}")).await;
    assert_eq!(seen.body["picture"], look);
    let history = bob.get_after(set.position(), &format!("/v1/threads/{thread}/messages")).await;
    assert_eq!(history.body["entries"][0]["event"], "picture_changed");
    assert_eq!(download(&bob, set.position(), &look).await.0, StatusCode::OK);
    assert_eq!(download(&eve, set.position(), &look).await.0, StatusCode::NOT_FOUND);
    let removed = ada.delete(&groups).await;
    assert_eq!(download(&bob, removed.position(), &look).await.0, StatusCode::NOT_FOUND);
    // What nothing shows any more is not kept: the text and bob's picture wait for their use.
    while files(&deployment.files()).len() > 2 {
        tokio::task::yield_now().await;
    }
}
