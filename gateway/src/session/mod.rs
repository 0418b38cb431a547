//! One socket's protocol as a pure state machine: frames, events and time in,
//! effects out. No I/O, no clock. After each `handle_…` the shell polls effects
//! until there are none, then waits for what comes first: a frame, an event or
//! the time of `poll_timeout`. What the hub pushes does not pass through here.

mod close;
mod flood;
#[cfg(test)]
mod tests;

pub(crate) use close::{CODES, Close};
pub(crate) use flood::Flood;

use crate::frame::{AmendFrame, ClientFrame, Fault, RequestId, Resume, SendFrame};
use axum::extract::ws::Utf8Bytes;
use events::{SessionId, ThreadId, UserId, event::Number};
use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    time::Duration,
};

/// How long a client may take to say hello.
pub(crate) const HELLO: Duration = Duration::from_secs(5);
/// How often the server pings; told to the client as `heartbeat_s`.
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(25);
/// How long a client may be silent.
pub(crate) const DEAD: Duration = Duration::from_mins(1);
/// How often somebody is told to be writing in one thread.
const TYPING: Duration = Duration::from_secs(3);
/// How long a token is good for beyond its end, for clocks that differ.
const LEEWAY: Duration = Duration::from_secs(5);

/// A socket's state. Times are durations since its beginning.
#[derive(Debug)]
pub(crate) struct Session {
    state: State,
    heard: Duration,
    ping: Duration,
    /// How long this client is asked to wait before it comes back, where all are sent away at once.
    jitter: Duration,
    limits: Limits,
    /// When the person last did something.
    acted: Duration,
    /// When it was last told of each thread that somebody writes there: what comes sooner again is dropped.
    typed: HashMap<ThreadId, Duration>,
    effects: VecDeque<Effect>,
}

/// What one socket is kept to.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// `None`: it may say as much as it likes.
    pub(crate) flood: Option<Flood>,
    /// How long a person may do nothing; `None`: for as long as they like.
    pub(crate) idle: Option<Duration>,
}

#[derive(Debug)]
enum State {
    AwaitingHello,
    /// The shell is asked who it is; it answers before it hands over another frame.
    Entering {
        resume: Option<Resume>,
    },
    /// `pongs` are owed: what they say holds only once the missed frames are on their way.
    Attaching {
        whose: Whose,
        pongs: usize,
    },
    Live {
        whose: Whose,
    },
    Closed,
}

/// Whose token it was, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whose {
    pub(crate) user_id: UserId,
    pub(crate) session_id: SessionId,
    pub(crate) until: Duration,
}

/// A message from the client.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Incoming<'a> {
    Text(&'a str),
    Binary,
    /// A ping or a pong: it lives.
    Alive,
}

/// What the shell has to tell.
#[derive(Debug)]
pub(crate) enum Event {
    /// The token of the hello is good, and the hub knows of the session.
    Entered { whose: Whose, welcome: Utf8Bytes },
    /// A later token is good.
    Refreshed(Whose),
    /// A token is not good.
    Unauthorized,
    /// What was missed is on its way, and so is what happens from now on.
    Attached,
    /// The views or the log do not answer.
    Unavailable(&'static str),
    /// A request was carried out, or was not: the frame that says so.
    Answered(Utf8Bytes),
    /// The log-in of this socket was ended.
    Revoked,
    /// The same person has opened too many others since.
    Superseded,
    /// The client does not read what it is sent.
    Slow,
    /// The message cannot be read as text.
    NotUtf8,
    /// The message is longer than any may be.
    TooLong,
    /// It does not keep to the protocol below the frames.
    NotWebSocket,
    /// The node is going.
    Draining,
    /// The connection has ended.
    Gone,
}

/// What the shell has to do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Check a token and enter at the hub; answered by `Entered` or `Unauthorized`, at once.
    Enter {
        token: String,
    },
    /// Check a later token; answered by `Refreshed` or `Unauthorized`, at once.
    Refresh {
        token: String,
    },
    /// Send what was missed and go live; answered by `Attached` or `Unavailable`.
    Attach {
        resume: Option<Resume>,
    },
    /// Carry out a request, after those before it.
    Execute(Command),
    /// Tell of those people's presence from now on, and of nobody else's.
    Watch {
        user_ids: Vec<UserId>,
    },
    Send(Utf8Bytes),
    /// Say up to where everything has been sent.
    Pong,
    Ping,
    /// Say why and end; the last effect.
    Close(Close),
    /// End without a word; the last effect.
    End,
}

/// What a client asks for.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Command {
    Send(SendFrame),
    Amend(AmendFrame),
    Receipt {
        thread_id: ThreadId,
        delivered: Option<Number>,
        read: Option<Number>,
    },
    Typing {
        thread_id: ThreadId,
    },
    /// A request that only has to be answered, in its turn.
    Refuse {
        id: RequestId,
        fault: Fault,
    },
}

impl Session {
    pub(crate) fn new(jitter: Duration, limits: Limits) -> Self {
        Self {
            state: State::AwaitingHello,
            heard: Duration::ZERO,
            ping: HEARTBEAT,
            jitter,
            limits,
            acted: Duration::ZERO,
            typed: HashMap::new(),
            effects: VecDeque::new(),
        }
    }

    pub(crate) fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When [`Session::handle_timeout`] has to be called at the latest; `None` once it is over.
    pub(crate) fn poll_timeout(&self) -> Option<Duration> {
        let silent = self.heard + DEAD;
        match &self.state {
            State::AwaitingHello | State::Entering { .. } => Some(HELLO),
            State::Attaching { whose, .. } | State::Live { whose } => {
                let first = silent.min(self.ping).min(whose.until + LEEWAY);
                Some(self.idle_end().map_or(first, |idle| first.min(idle)))
            }
            State::Closed => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Duration) {
        match &self.state {
            State::AwaitingHello | State::Entering { .. } if now >= HELLO => self.close(Close::NO_HELLO, "no hello"),
            State::Attaching { whose, .. } | State::Live { whose } => {
                if now >= whose.until + LEEWAY {
                    self.close(Close::UNAUTHORIZED, "the token has expired");
                } else if now >= self.heard + DEAD {
                    self.end(Effect::End);
                } else if self.idle_end().is_some_and(|end| now >= end) {
                    self.close(Close::NORMAL, "nothing was done for long");
                } else if now >= self.ping {
                    self.ping = now + HEARTBEAT;
                    self.effects.push_back(Effect::Ping);
                }
            }
            State::AwaitingHello | State::Entering { .. } | State::Closed => {}
        }
    }

    pub(crate) fn handle_frame(&mut self, now: Duration, incoming: Incoming<'_>) {
        if self.is_closed() {
            return;
        }
        self.heard = now;
        if self.limits.flood.as_mut().is_some_and(|flood| !flood.takes_frame(now)) {
            return self.close(Close::FLOOD, "too many frames");
        }
        match incoming {
            Incoming::Text(text) => match ClientFrame::parse(text) {
                Ok(frame)
                    if frame.is_request()
                        && self.limits.flood.as_mut().is_some_and(|flood| !flood.takes_request(now)) =>
                {
                    self.close(Close::FLOOD, "too many requests");
                }
                Ok(frame) => self.handle_client_frame(now, frame),
                Err(bad) => self.close(Close::BAD_FRAME, &bad.to_string()),
            },
            Incoming::Binary => self.close(Close::BINARY, "text only"),
            Incoming::Alive => {}
        }
    }

    fn handle_client_frame(&mut self, now: Duration, frame: ClientFrame) {
        if frame.is_deed() {
            self.acted = now;
        }
        match (&mut self.state, frame) {
            (State::AwaitingHello, ClientFrame::Hello { token, resume }) => {
                self.state = State::Entering { resume };
                self.effects.push_back(Effect::Enter { token });
            }
            (State::AwaitingHello | State::Entering { .. }, _) => self.close(Close::BAD_FRAME, "hello comes first"),
            (_, ClientFrame::Hello { .. }) => self.close(Close::BAD_FRAME, "hello comes once"),
            (_, ClientFrame::Refresh { token }) => self.effects.push_back(Effect::Refresh { token }),
            (State::Attaching { pongs, .. }, ClientFrame::Ping) => *pongs += 1,
            (_, ClientFrame::Ping) => self.effects.push_back(Effect::Pong),
            (_, ClientFrame::Send(send)) => self.execute(Command::Send(send)),
            (_, ClientFrame::Amend(amend)) => self.execute(Command::Amend(amend)),
            (_, ClientFrame::Receipt { thread_id, delivered, read }) => {
                self.execute(Command::Receipt { thread_id, delivered, read });
            }
            (_, ClientFrame::Refused { id, fault }) => self.execute(Command::Refuse { id, fault }),
            (_, ClientFrame::Typing { thread_id }) => {
                self.typed.retain(|_, at| now < *at + TYPING);
                if let Entry::Vacant(entry) = self.typed.entry(thread_id) {
                    entry.insert(now);
                    self.execute(Command::Typing { thread_id });
                }
            }
            (_, ClientFrame::Watch { user_ids }) => self.effects.push_back(Effect::Watch { user_ids }),
        }
    }

    pub(crate) fn handle_event(&mut self, event: Event) {
        if self.is_closed() {
            return;
        }
        match event {
            Event::Entered { whose, welcome } => {
                if let State::Entering { resume } = &mut self.state {
                    let resume = resume.take();
                    self.state = State::Attaching { whose, pongs: 0 };
                    self.effects.extend([Effect::Send(welcome), Effect::Attach { resume }]);
                }
            }
            Event::Refreshed(new) => match &mut self.state {
                State::Attaching { whose, .. } | State::Live { whose } if whose.is_same(&new) => *whose = new,
                State::Attaching { .. } | State::Live { .. } => {
                    self.close(Close::UNAUTHORIZED, "the token is of another session");
                }
                State::AwaitingHello | State::Entering { .. } | State::Closed => {}
            },
            Event::Attached => {
                if let State::Attaching { whose, pongs } = self.state {
                    self.state = State::Live { whose };
                    self.effects.extend(std::iter::repeat_n(Effect::Pong, pongs));
                }
            }
            Event::Answered(frame) => self.effects.push_back(Effect::Send(frame)),
            Event::Unauthorized => self.close(Close::UNAUTHORIZED, "the token is not valid"),
            Event::Revoked => self.close(Close::UNAUTHORIZED, "the session was ended"),
            Event::Superseded => self.close(Close::TOO_MANY, "too many sockets"),
            Event::Slow => self.close(Close::SLOW, "reads too slowly"),
            Event::NotUtf8 => self.close(Close::NOT_UTF8, "not UTF-8"),
            Event::TooLong => self.close(Close::TOO_LONG, "longer than 256 KiB"),
            Event::NotWebSocket => self.close(Close::PROTOCOL, "not WebSocket"),
            Event::Unavailable(why) => self.send_away(why),
            Event::Draining => self.send_away("the node is going"),
            Event::Gone => self.end(Effect::End),
        }
    }

    /// When it has been idle for too long.
    fn idle_end(&self) -> Option<Duration> {
        self.limits.idle.map(|idle| self.acted + idle)
    }

    fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    fn execute(&mut self, command: Command) {
        self.effects.push_back(Effect::Execute(command));
    }

    fn send_away(&mut self, why: &str) {
        let wait = self.jitter.as_millis();
        self.close(Close::COME_BACK, &format!("{why}; reconnect after {wait} ms"));
    }

    fn close(&mut self, code: u16, reason: &str) {
        self.end(Effect::Close(Close::new(code, reason)));
    }

    fn end(&mut self, last: Effect) {
        self.state = State::Closed;
        self.effects.push_back(last);
    }
}

impl Whose {
    fn is_same(&self, other: &Self) -> bool {
        (self.user_id, self.session_id) == (other.user_id, other.session_id)
    }
}
