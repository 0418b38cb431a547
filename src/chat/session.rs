//! The protocol of one socket after another, as a pure state machine: frames go
//! in, steps come out, to be carried out in their order. It owns the one vector
//! that a client keeps, so that nothing is missed and nothing is told twice; and
//! it knows how to come back once a socket has ended.

use super::frame::{Frame, Problem, What};
use events::{Position, Vector};
use serde_json::{Value, json};
use std::time::Duration;
use uuid::Uuid;

const SHORTEST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);

#[derive(Debug, Default)]
pub(super) struct Session {
    epoch: Option<Uuid>,
    vector: Vector,
    /// Whether what lies before the vector is known: only then can it be resumed from there.
    is_loaded: bool,
    held: Vec<Frame>,
}

/// What a frame makes necessary.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// Load all as of there, then call [`Session::loaded`]; frames wait meanwhile.
    Load(Vector),
    /// Show it, then call [`Session::shown`].
    Show(Frame),
    /// What became of a request.
    Answer(Uuid, Result<u32, Problem>),
    /// What was missed has been told: what waits can be said.
    Live,
    /// All that was said before the ping has been heard.
    Pong,
}

/// What to do about a socket that has ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    Wait(Duration),
    /// With another token.
    Renew,
    /// Once somebody does something.
    Sleep,
    /// To come back would end the same way.
    GiveUp,
}

impl Session {
    /// The first frame of a new socket.
    pub(super) fn hello(&mut self, token: &str) -> Value {
        self.held.clear();
        let mut hello = json!({ "type": "hello", "token": token });
        if self.is_loaded {
            hello["resume"] = json!(self.vector);
            hello["epoch"] = json!(self.epoch);
        }
        hello
    }

    /// Takes a frame in.
    pub(super) fn handle(&mut self, frame: Frame) -> Vec<Step> {
        match frame.what {
            What::Ack { id, number } => vec![Step::Answer(id, Ok(number))],
            What::Error { id, problem } => vec![Step::Answer(id, Err(problem))],
            What::Welcome { epoch, vector } => {
                self.epoch = Some(epoch);
                if self.is_loaded { Vec::new() } else { self.begin(vector) }
            }
            What::Reset { vector } => {
                self.is_loaded = false;
                self.begin(vector)
            }
            What::Live { .. }
            | What::Pong { .. }
            | What::Message(_)
            | What::MessageEdited { .. }
            | What::MessageDeleted { .. }
            | What::Reaction { .. }
            | What::Thread(_)
            | What::Receipt { .. }
            | What::Other => {
                if self.is_loaded {
                    return vec![self.tell(frame)];
                }
                self.held.push(frame);
                Vec::new()
            }
        }
    }

    /// All is loaded: what came meanwhile comes after it.
    pub(super) fn loaded(&mut self) -> Vec<Step> {
        self.is_loaded = true;
        std::mem::take(&mut self.held).into_iter().map(|frame| self.tell(frame)).collect()
    }

    /// Somebody has seen it: only now does the vector say so.
    pub(super) fn shown(&mut self, position: Option<Position>) {
        if let Some(position) = position {
            self.vector.raise(position);
        }
    }

    fn begin(&mut self, vector: Vector) -> Vec<Step> {
        self.vector = vector.clone();
        self.held.clear();
        vec![Step::Load(vector)]
    }

    fn tell(&mut self, frame: Frame) -> Step {
        // All up to the vector was sent before, and is shown before anything that follows.
        if let What::Live { vector } = frame.what {
            self.vector = vector;
            return Step::Live;
        }
        if let What::Pong { vector } = frame.what {
            self.vector = vector;
            return Step::Pong;
        }
        Step::Show(frame)
    }
}

/// What to do after a socket was closed so. `attempt` counts those in a row that did not go live, `chance` lies in 0..1.
pub(super) fn after(code: Option<u16>, reason: &str, attempt: u32, chance: f64) -> After {
    let backoff = || SHORTEST.saturating_mul(1 << attempt.min(10)).min(LONGEST).mul_f64(chance);
    match code {
        Some(4401) if attempt == 0 => After::Renew,
        Some(1000) => After::Sleep,
        // Another of the person's devices took the place; what is at fault stays so.
        Some(4409 | 4400 | 1002 | 1003 | 1007) => After::GiveUp,
        Some(1012) => {
            let asked = reason.split(' ').rev().find_map(|word| word.parse().ok());
            After::Wait(asked.map_or_else(backoff, Duration::from_millis))
        }
        Some(_) | None => After::Wait(backoff()),
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
