//! Where one types and reads: on a terminal with a prompt, in a pipe plain lines.
//! Input comes by a thread of its own, which waits for nobody but who types.

use std::{
    io::{self, IsTerminal, Write, stderr, stdin, stdout},
    thread,
};
use tokio::sync::mpsc;

pub(super) struct Screen {
    /// Whether somebody sits at it.
    pub(super) is_terminal: bool,
    prompt: String,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { is_terminal: stdin().is_terminal() && stdout().is_terminal(), prompt: "> ".to_owned() }
    }

    /// What stands before the place where one types.
    pub(super) fn set_prompt(&mut self, prompt: &str) {
        self.prompt = format!("{prompt}> ");
    }

    /// Shows a line, above what is being typed.
    ///
    /// # Errors
    /// When nobody reads it.
    pub(super) fn show(&self, line: &str) -> io::Result<()> {
        let mut to = stdout().lock();
        if self.is_terminal {
            write!(to, "\r\x1b[K{line}\n{}", self.prompt)?;
        } else {
            writeln!(to, "{line}")?;
        }
        to.flush()
    }

    /// Asks for the next line.
    ///
    /// # Errors
    /// When nobody reads it.
    pub(super) fn ask(&self) -> io::Result<()> {
        if self.is_terminal {
            let mut to = stdout().lock();
            write!(to, "\r\x1b[K{}", self.prompt)?;
            to.flush()?;
        }
        Ok(())
    }

    /// Says what went wrong, apart from what was written.
    pub(super) fn complain(&self, of: &str) {
        let clear = if self.is_terminal { "\r\x1b[K" } else { "" };
        // The error stream is the last place to say it: a failure there cannot be told.
        writeln!(stderr(), "{clear}! {of}").ok();
        self.ask().ok();
    }

    /// Leaves the line of the prompt.
    pub(super) fn leave(&self) {
        if self.is_terminal {
            write!(stdout(), "\r\x1b[K").ok();
            stdout().flush().ok();
        }
    }
}

/// The lines that are typed, each read once it is asked for: what comes after the last one is for somebody else.
pub(super) struct Lines {
    typed: mpsc::Receiver<io::Result<String>>,
    wanted: std::sync::mpsc::Sender<()>,
    is_awaited: bool,
}

impl Lines {
    pub(super) fn new() -> Self {
        let (tell, typed) = mpsc::channel(1);
        let (wanted, asked) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let mut lines = stdin().lines();
            while asked.recv().is_ok() {
                let Some(line) = lines.next() else { return };
                if tell.blocking_send(line).is_err() {
                    return;
                }
            }
        });
        Self { typed, wanted, is_awaited: false }
    }

    /// The next line; `None` at the end of input. Dropped half-way, it loses nothing.
    pub(super) async fn next(&mut self) -> Option<io::Result<String>> {
        if !self.is_awaited {
            self.wanted.send(()).ok();
            self.is_awaited = true;
        }
        let line = self.typed.recv().await;
        self.is_awaited = false;
        line
    }
}
