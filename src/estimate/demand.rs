//! What people ask of a deployment: the seed's arithmetic, and what it leaves
//! out. Pure.

use clap::Args;
use serde::Serialize;

pub(crate) const DAY: f64 = 86_400.0;
const YEAR: f64 = 365.0 * DAY;

/// Who they are, and what they do. Numbers take K, M and B.
#[derive(Debug, Clone, PartialEq, Args, Serialize)]
pub(crate) struct People {
    /// People who use it on a day.
    #[arg(long, default_value = "100M", value_name = "NUMBER", value_parser = number)]
    pub(crate) dau: f64,
    /// Messages that each of them writes a day.
    #[arg(long, default_value = "20", value_name = "NUMBER", value_parser = number)]
    pub(crate) messages_per_user: f64,
    /// The busiest second beside the average one.
    #[arg(long, default_value = "5", value_name = "FACTOR", value_parser = factor)]
    pub(crate) peak: f64,
    /// Characters of a message.
    #[arg(long, default_value = "30", value_name = "BYTES", value_parser = number)]
    pub(crate) body: f64,
    /// For how long everything is kept.
    #[arg(long, default_value = "5", value_name = "YEARS", value_parser = number)]
    pub(crate) years: f64,
    /// The share of messages that go into groups.
    #[arg(long, default_value = "0.3", value_name = "SHARE", value_parser = share)]
    pub(crate) group_share: f64,
    /// How many members such a group has.
    #[arg(long, default_value = "12", value_name = "NUMBER", value_parser = factor)]
    pub(crate) group_size: f64,
    /// The share of the day's people who hold a socket in the busiest second.
    #[arg(long, default_value = "0.3", value_name = "SHARE", value_parser = share)]
    pub(crate) connected: f64,
    /// How often each of them connects a day.
    #[arg(long, default_value = "10", value_name = "NUMBER", value_parser = number)]
    pub(crate) connects: f64,
    /// How often each of them asks for a page of history or of the inbox a day.
    #[arg(long, default_value = "20", value_name = "NUMBER", value_parser = number)]
    pub(crate) reads: f64,
    /// How often each of them logs in a day.
    #[arg(long, default_value = "0.02", value_name = "NUMBER", value_parser = number)]
    pub(crate) log_ins: f64,
    /// Threads that each of them is in.
    #[arg(long, default_value = "20", value_name = "NUMBER", value_parser = number)]
    pub(crate) threads: f64,
}

/// What that is a second, on average or in the busiest one.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Rates {
    pub(crate) messages: f64,
    /// Frames to clients beyond those of the sender and one other.
    pub(crate) further_deliveries: f64,
    /// Watermarks that move.
    pub(crate) receipts: f64,
    pub(crate) hellos: f64,
    pub(crate) reads: f64,
    pub(crate) log_ins: f64,
    pub(crate) connections: f64,
}

/// The arithmetic of the seed, by which all else is judged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Seed {
    pub(crate) messages_a_second: f64,
    pub(crate) messages_a_second_at_peak: f64,
    pub(crate) gigabytes_a_day: f64,
    pub(crate) terabytes: f64,
}

impl People {
    pub(crate) fn seed(&self) -> Seed {
        let messages = self.dau * self.messages_per_user;
        let gigabytes_a_day = messages * self.body / 1e9;
        Seed {
            messages_a_second: messages / DAY,
            messages_a_second_at_peak: messages / DAY * self.peak,
            gigabytes_a_day,
            terabytes: gigabytes_a_day * self.years * 365.0 / 1e3,
        }
    }

    pub(crate) fn with_dau(&self, dau: f64) -> Self {
        Self { dau, ..self.clone() }
    }

    /// In a second of the average, times a factor.
    pub(crate) fn rates(&self, factor: f64) -> Rates {
        let each = self.dau / DAY * factor;
        let messages = each * self.messages_per_user;
        // Of a group, those who hold a socket; of a pair, the other one, as it is in a message's own cost.
        let others = self.group_share * (self.group_size - 2.0).max(0.0);
        // Each who did not write it gets it, and reads it; what moves in one quarter of a second is one.
        let hearing = 1.0 + others;
        Rates {
            messages,
            further_deliveries: messages * others * self.connected,
            receipts: messages * hearing * 2.0,
            hellos: each * self.connects,
            reads: each * self.reads,
            log_ins: each * self.log_ins,
            connections: self.dau * self.connected,
        }
    }

    pub(crate) fn at_peak(&self) -> Rates {
        self.rates(self.peak)
    }

    /// Messages and watermarks of all years.
    pub(crate) fn kept(&self) -> (f64, f64) {
        let Rates { messages, receipts, .. } = self.rates(1.0);
        (messages * self.years * YEAR, receipts * self.years * YEAR)
    }

    pub(crate) fn subjects(&self) -> f64 {
        // Of two who are in a thread each counts it.
        let in_a_thread = 2.0 * (1.0 - self.group_share) + self.group_size * self.group_share;
        self.dau * (1.0 + self.threads / in_a_thread)
    }
}

/// `1.5M` as a number that is not negative.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    let (digits, unit) = match text.char_indices().next_back() {
        Some((at, 'k' | 'K')) => (&text[..at], 1e3),
        Some((at, 'M')) => (&text[..at], 1e6),
        Some((at, 'B' | 'G')) => (&text[..at], 1e9),
        _ => (text, 1.0),
    };
    match digits.parse::<f64>() {
        Ok(number) if (0.0..=1e15).contains(&(number * unit)) => Ok(number * unit),
        Ok(_) | Err(_) => Err("must be a number, as 20, 0.5, 100K, 100M or 2B".to_owned()),
    }
}

pub(crate) fn share(text: &str) -> Result<f64, String> {
    number(text).and_then(|share| if share <= 1.0 { Ok(share) } else { Err("must be from 0 to 1".to_owned()) })
}

pub(crate) fn factor(text: &str) -> Result<f64, String> {
    number(text).and_then(|factor| if factor >= 1.0 { Ok(factor) } else { Err("must be 1 or more".to_owned()) })
}
