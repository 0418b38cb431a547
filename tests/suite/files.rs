//! What becomes of uploads that nothing uses, and of those that something does.

use crate::harness::Deployment;
use chrono::TimeDelta;
use command::{
    Attachments, Threads,
    attachments::Uploaded,
    handler::Handler,
    policy::Files,
    threads::{Send, To},
    user::{self, User},
};
use events::{
    Aggregate, AttachmentId, Blobs, Clock, Ids, MessageKey, Text, UserId,
    clock::millis,
    text::{Body, FileName},
};
use std::{path::Path, time::Duration};

const NOON: i64 = 1_795_000_000_000;

/// A deployment with two people, at a time of the test's choosing.
struct Scene {
    clock: Clock,
    attachments: Attachments,
    threads: Threads,
    ada: UserId,
    bob: UserId,
}

impl Scene {
    async fn new(deployment: &Deployment) -> Self {
        let (log, clock, ids) = (deployment.log.clone(), Clock::fixed(millis(NOON)), Ids::random());
        let users: Handler<User> = Handler::new(log.clone(), clock.clone(), ids.clone(), 1 << 20);
        let blobs = Blobs::open(deployment.files().to_str().unwrap(), true).unwrap();
        let attachments = Attachments::open(log.clone(), clock.clone(), ids.clone(), blobs).await.unwrap();
        let threads = Threads::new(log.clone(), &clock, &ids, users.clone(), attachments.clone());
        let [ada, bob] = [(); 2].map(|()| UserId::from_uuid(ids.next()));
        for somebody in [ada, bob] {
            log.keyring().make(somebody).await.unwrap();
            let (username, display_name) = (Text::new("somebody"), Text::new("Some Body"));
            let sign_up = user::Command::SignUp { username, display_name };
            users.handle(Aggregate::User(somebody), somebody, &sign_up, |_| ()).await.unwrap();
        }
        Self { clock, attachments, threads, ada, bob }
    }

    async fn upload(&self, by: UserId) -> AttachmentId {
        let mut upload = self.attachments.begin(by, FileName::parse("file").unwrap(), None).await.unwrap();
        upload.write(b"something").await.unwrap();
        let Uploaded { attachment_id, .. } = upload.finish().await.unwrap();
        attachment_id
    }

    async fn send(&self, file: AttachmentId) {
        let key = MessageKey::from_uuid(Ids::random().next());
        let send = Send {
            by: self.ada,
            to: To::Peer(self.bob),
            key,
            body: Body::parse("look").unwrap(),
            reply_to: None,
            mentions: Vec::new(),
            attachments: vec![file],
            absent: None,
        };
        self.threads.send(send).await.unwrap();
    }
}

fn is_stored(folder: &Path, file: AttachmentId) -> bool {
    let id = file.to_string();
    folder.join(&id[id.len() - 2..]).join(id).exists()
}

fn count(folder: &Path) -> usize {
    let parts = std::fs::read_dir(folder).unwrap().map(|part| part.unwrap().path());
    let parts = parts.filter(|part| !part.ends_with("store"));
    parts.filter_map(|part| std::fs::read_dir(part).ok()).flatten().count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_uses_for_a_day_is_removed_and_what_is_used_stays() {
    let deployment = Deployment::new().await;
    let scene = Scene::new(&deployment).await;
    let folder = deployment.files();
    let (unused, used) = (scene.upload(scene.ada).await, scene.upload(scene.ada).await);
    let mut half = scene.attachments.begin(scene.ada, FileName::parse("half").unwrap(), None).await.unwrap();
    half.write(&vec![7; (1 << 20) + 1]).await.unwrap();
    // As if its node had been killed: nobody tidies up after it.
    std::mem::forget(half);
    scene.send(used).await;
    scene.clock.set(millis(NOON) + TimeDelta::hours(20));
    let later = scene.upload(scene.ada).await;
    scene.clock.set(millis(NOON) + TimeDelta::hours(28));
    assert!(scene.attachments.unused(scene.ada, unused).await.unwrap().is_none(), "too old to be used");

    let files = Files::open(deployment.log.clone(), scene.clock.clone(), scene.attachments.clone()).await.unwrap();
    let gone = async {
        while is_stored(&folder, unused) || count(&folder) > 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = files.run(Duration::from_millis(20)) => unreachable!("it never ends"),
        () = gone => {}
    }
    assert!(is_stored(&folder, used) && is_stored(&folder, later));
    assert!(scene.attachments.unused(scene.ada, later).await.unwrap().is_some());
    assert_eq!(count(&folder), 2, "the half one is gone too");
    assert_eq!(scene.attachments.all_unused(scene.ada).await.unwrap().len(), 1);
}
