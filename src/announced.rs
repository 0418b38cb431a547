//! What runners announce, handed on to those who wait for a view.

use events::EventLog;
use query::{Freshness, Views};
use std::time::Duration;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

const PAUSE: Duration = Duration::from_millis(500);

/// Hands a view's announcements on; a lost one costs a waiter a look at the checkpoint.
pub(crate) async fn follow(
    log: EventLog,
    view: query::View,
    views: Views,
    freshness: Freshness,
    stop: CancellationToken,
) -> anyhow::Result<()> {
    let follow = async {
        loop {
            match log.announcements(view.name()).await {
                Ok(mut announcements) => {
                    // What was announced before anybody listened. Not readable yet: it will be announced.
                    if let Err(error) = views.refresh(view).await {
                        tracing::debug!(%view, %error, "how far the view has come is not known yet");
                    }
                    while let Some(applied) = announcements.next().await {
                        freshness.announced(view, &applied);
                    }
                }
                Err(error) => tracing::warn!(%view, %error, "announcements are not heard"),
            }
            sleep(PAUSE).await;
        }
    };
    stop.run_until_cancelled(follow).await;
    Ok(())
}
