//! Where lines go: a thread of its own, so that a reader who stands still holds
//! up neither Ctrl-C nor what NATS is to be told.

use std::{
    io::{self, ErrorKind, Write},
    thread,
    time::Duration,
};
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};

/// Batches that wait for the reader.
const WAITING: usize = 4;
/// For what waits, once the process was asked to end.
const LAST_WORDS: Duration = Duration::from_secs(1);

pub(super) struct Output {
    batches: mpsc::Sender<Vec<u8>>,
    ended: watch::Receiver<Option<Result<(), ErrorKind>>>,
}

impl Output {
    pub(super) fn start(mut to: impl Write + Send + 'static) -> Self {
        let (batches, mut waiting) = mpsc::channel::<Vec<u8>>(WAITING);
        let (tell, ended) = watch::channel(None);
        thread::spawn(move || {
            let mut write = || -> io::Result<()> {
                while let Some(batch) = waiting.blocking_recv() {
                    to.write_all(&batch)?;
                    to.flush()?;
                }
                Ok(())
            };
            let outcome = write().map_err(|error| error.kind());
            tell.send(Some(outcome)).ok();
        });
        Self { batches, ended }
    }

    /// Hands lines on; false once nobody takes them.
    pub(super) async fn write(&self, lines: Vec<u8>) -> bool {
        lines.is_empty() || self.batches.send(lines).await.is_ok()
    }

    /// Resolves once no line can be written any more.
    ///
    /// # Errors
    /// Whatever kept one from being written, but for a reader who went away: that is theirs to decide.
    pub(super) async fn ended(&self) -> io::Result<()> {
        ended(self.ended.clone()).await
    }

    /// Waits until all is written.
    ///
    /// # Errors
    /// As [`Output::ended`].
    pub(super) async fn finish(self) -> io::Result<()> {
        drop(self.batches);
        ended(self.ended).await
    }

    /// The same, but not for long.
    ///
    /// # Errors
    /// As [`Output::ended`].
    pub(super) async fn give_up(self) -> io::Result<()> {
        timeout(LAST_WORDS, self.finish()).await.unwrap_or(Ok(()))
    }
}

async fn ended(mut ended: watch::Receiver<Option<Result<(), ErrorKind>>>) -> io::Result<()> {
    let outcome = ended.wait_for(Option::is_some).await.map_err(io::Error::other)?;
    match *outcome {
        Some(Err(kind)) if kind != ErrorKind::BrokenPipe => Err(kind.into()),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::Output;
    use std::io::{self, ErrorKind, Write};

    /// Takes nothing.
    struct Gone(ErrorKind);

    impl Write for Gone {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn a_reader_who_goes_away_is_no_failure_and_a_full_disk_is() {
        for (kind, fails) in [(ErrorKind::BrokenPipe, false), (ErrorKind::StorageFull, true)] {
            let output = Output::start(Gone(kind));
            assert!(output.write(b"line\n".to_vec()).await);
            assert_eq!(output.ended().await.is_err(), fails, "{kind}");
            while output.write(b"line\n".to_vec()).await {}
            assert_eq!(output.finish().await.is_err(), fails);
        }
    }
}
