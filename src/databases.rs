//! The databases of a node's views: the map that says what lies where, which may
//! change while the node runs, and the runners, one for each view in each of them.

use anyhow::{Context, ensure};
use events::{EventLog, Share, shard::Map};
use projection::{Applied, Runner, View, keep_generations};
use query::Views;
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::watch, task::JoinSet, time::sleep};
use tokio_util::sync::CancellationToken;

/// How often it is looked whether the databases were mapped anew: no longer than that questions wait for it.
const LOOK: Duration = Duration::from_millis(250);
const PAUSE: Duration = Duration::from_millis(500);

/// How far a node's runners have come, by the map that holds. Clones share it.
#[derive(Clone, Default)]
pub struct Progress(Arc<Mutex<Vec<(View, Share, Applied)>>>);

impl Progress {
    /// Each runner's view, its database, and how far it has come.
    pub fn of_runners(&self) -> Vec<(View, Share, Applied)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, applied: Vec<(View, Share, Applied)>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = applied;
    }
}

/// The map that holds: the one that was published, or that of the settings.
///
/// # Errors
/// When there are more databases than partitions.
pub(crate) fn holding(log: &EventLog, published: Option<Map>, database_url: &str) -> anyhow::Result<Map> {
    let of_settings = Map::of(database_url);
    if published.as_ref().is_some_and(|published| *published != of_settings) {
        tracing::warn!(
            "the databases were mapped anew by `herald reshard`: what the settings say of them is left aside"
        );
    }
    let map = published.unwrap_or(of_settings);
    let partitions = log.names().partitions().count();
    ensure!(
        usize::from(map.count()) <= partitions,
        "there are {} databases for {partitions} partitions: give as many or fewer",
        map.count()
    );
    Ok(map)
}

/// Tells of the map whenever it is another one.
pub(crate) async fn follow(log: EventLog, databases: watch::Sender<Map>, views: Option<Views>) -> anyhow::Result<()> {
    loop {
        sleep(LOOK).await;
        match log.published_map().await {
            Ok(Some((published, _))) if *databases.borrow() != published => {
                tracing::info!(databases = published.count(), "the databases are mapped anew");
                if let Some(views) = &views {
                    views.remap(&published)?;
                    for view in query::View::ALL {
                        views.refresh_each(view).await;
                    }
                }
                databases.send_replace(published);
            }
            Ok(_) => {}
            Err(error) => tracing::debug!(%error, "whether the databases were mapped anew is not known"),
        }
    }
}

/// Keeps all views in all databases abreast, by whatever map holds.
///
/// # Errors
/// When a view was built by a newer version of its projection.
pub(crate) async fn project(
    log: EventLog,
    mut databases: watch::Receiver<Map>,
    progress: Progress,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    loop {
        let map = databases.borrow_and_update().clone();
        let (remapped, mut tasks) = (stop.child_token(), JoinSet::new());
        let mut applied = Vec::new();
        for (share, url) in map.shards() {
            for view in View::ALL {
                let runner = Runner::new(view, log.clone(), url)?.of_share(share);
                applied.push((view, share, runner.applied()));
                let (log, url, stop) = (log.clone(), url.to_owned(), remapped.clone());
                let run = runner.run(stop.clone());
                tasks.spawn(async move { run.await.with_context(|| format!("view {view}")) });
                tasks.spawn(async move { Ok(keep_generations(view, share, log, &url, stop).await?) });
            }
        }
        progress.replace(applied);
        tokio::select! {
            () = stop.cancelled() => {}
            Ok(()) = databases.changed() => remapped.cancel(),
            Some(ended) = tasks.join_next() => ended.context("a runner panicked")??,
        }
        while let Some(ended) = tasks.join_next().await {
            ended.context("a runner panicked")??;
        }
        if stop.is_cancelled() {
            return Ok(());
        }
    }
}

/// Hands a view's announcements on; a lost one costs a waiter a look at the checkpoint.
pub(crate) async fn hear(log: EventLog, view: query::View, views: Views) {
    loop {
        match log.announcements(view.name()).await {
            Ok(mut announcements) => {
                // What was announced before anybody listened. Not readable yet: it will be announced.
                if let Err(error) = views.refresh(view).await {
                    tracing::debug!(%view, %error, "how far the view has come is not known yet");
                }
                while let Some((share, applied)) = announcements.next().await {
                    views.announced(view, share, &applied);
                }
            }
            Err(error) => tracing::warn!(%view, %error, "announcements are not heard"),
        }
        sleep(PAUSE).await;
    }
}
