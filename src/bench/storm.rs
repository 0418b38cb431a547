//! Many sockets that say hello, so many at once, and then are held: what each
//! was told, and how long it took to be live.

use super::{histogram::Histogram, people::Person, socket::Socket, transcript::Transcript};
use anyhow::Context;
use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
    time::{Instant, sleep, sleep_until},
};

/// Sockets that are held open.
pub(super) struct Storm {
    address: SocketAddr,
    live: Arc<AtomicUsize>,
    changed: Arc<tokio::sync::Notify>,
    turns: Arc<Semaphore>,
    end: watch::Sender<bool>,
    sockets: JoinSet<Held>,
    came: usize,
}

/// A socket's end.
struct Held {
    index: usize,
    live_after: Duration,
    told: anyhow::Result<Transcript>,
}

/// What all of them have seen.
#[derive(Default)]
pub(super) struct Passed {
    /// From its own beginning until a socket was live.
    pub(super) live: Histogram,
    /// What each was told, in the order of their coming.
    pub(super) told: Vec<Transcript>,
    pub(super) faults: Vec<String>,
}

impl Storm {
    /// None yet; so many are to say hello at once.
    pub(super) fn new(address: SocketAddr, at_once: usize) -> Self {
        Self {
            address,
            live: Arc::default(),
            changed: Arc::default(),
            turns: Arc::new(Semaphore::new(at_once)),
            end: watch::Sender::new(false),
            sockets: JoinSet::new(),
            came: 0,
        }
    }

    /// More come; how long it took until all were live.
    pub(super) async fn come(&mut self, people: &[Person], resume: Option<&str>) -> anyhow::Result<Duration> {
        self.come_in(Duration::ZERO, people, resume, false).await
    }

    /// The same without resuming, begun evenly over so long; whoever is asked to come later does so.
    pub(super) async fn come_within(&mut self, spread: Duration, people: &[Person]) -> anyhow::Result<Duration> {
        self.come_in(spread, people, None, true).await
    }

    async fn come_in(
        &mut self,
        spread: Duration,
        people: &[Person],
        resume: Option<&str>,
        is_patient: bool,
    ) -> anyhow::Result<Duration> {
        let began = Instant::now();
        let count = u32::try_from(people.len())?.max(1);
        let resume: Option<Arc<str>> = resume.map(Into::into);
        for (place, person) in (0_u32..).zip(people) {
            let begin = began + spread * place / count;
            let (token, resume, address) = (person.access_token.clone(), resume.clone(), self.address);
            let (live, changed, turns) = (Arc::clone(&self.live), Arc::clone(&self.changed), Arc::clone(&self.turns));
            let (index, end) = (self.came, self.end.subscribe());
            self.came += 1;
            self.sockets.spawn(async move {
                sleep_until(begin).await;
                let turn = turns.acquire_owned().await;
                let began = Instant::now();
                let mut socket = Socket::hello(address, &token, resume.as_deref()).await;
                while is_patient && let Some(wait) = socket.as_ref().err().and_then(asked_back) {
                    sleep(wait).await;
                    socket = Socket::hello(address, &token, resume.as_deref()).await;
                }
                let live_after = began.elapsed();
                live.fetch_add(1, Ordering::AcqRel);
                changed.notify_one();
                drop(turn);
                let told = match socket {
                    Ok(socket) => hold(socket, end).await,
                    Err(error) => Err(error),
                };
                Held { index, live_after, told }
            });
        }
        while self.live.load(Ordering::Acquire) < self.came {
            self.changed.notified().await;
        }
        Ok(began.elapsed())
    }

    /// Makes sure that each has been told everything, and closes them.
    pub(super) async fn pass(mut self) -> anyhow::Result<Passed> {
        self.end.send_replace(true);
        let mut passed = Passed { told: vec![Transcript::default(); self.came], ..Passed::default() };
        while let Some(held) = self.sockets.join_next().await {
            let Held { index, live_after, told } = held.context("a socket of the bench broke")?;
            match told {
                Ok(told) => {
                    passed.live.record(u64::try_from(live_after.as_micros())?);
                    passed.told[index] = told;
                }
                Err(error) => passed.faults.push(format!("socket {index}: {error:#}")),
            }
        }
        Ok(passed)
    }
}

/// After how long herald asks a socket to come back that it sent away.
fn asked_back(error: &anyhow::Error) -> Option<Duration> {
    let told = format!("{error:#}");
    let (_, reason) = told.split_once(" 1012 ")?;
    let (_, wait) = reason.rsplit_once("reconnect after ")?;
    wait.strip_suffix(" ms")?.parse().ok().map(Duration::from_millis)
}

async fn hold(mut socket: Socket, mut end: watch::Receiver<bool>) -> anyhow::Result<Transcript> {
    loop {
        tokio::select! {
            sent = socket.sent() => {
                sent?;
                socket.hear(|_| {})?;
            }
            ended = end.wait_for(|end| *end) => {
                ended?;
                break;
            }
        }
    }
    socket.finish().await?;
    Ok(socket.told)
}

#[cfg(test)]
mod tests {
    use super::asked_back;
    use anyhow::anyhow;
    use std::time::Duration;

    #[test]
    fn who_is_sent_away_is_asked_back_and_nobody_else() {
        let sent_away = anyhow!("herald closed the socket: 1012 the node is going; reconnect after 1234 ms");
        assert_eq!(asked_back(&sent_away.context("a socket did not go live")), Some(Duration::from_millis(1_234)));
        assert_eq!(asked_back(&anyhow!("herald closed the socket: 4401 the token is not valid")), None);
    }
}
