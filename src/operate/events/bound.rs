//! Where reading begins or ends, as somebody says it.

use events::{
    Partition, Timestamp, Vector,
    log::{LogError, Reading},
};
use std::{fmt, str::FromStr};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Bound {
    Start,
    /// Where the log ends when it is asked for.
    End,
    Vector(Vector),
    Time(Timestamp),
}

impl Bound {
    /// The last sequence before it in a partition; `None` where that is none.
    pub(super) async fn sequence(&self, reading: &Reading, partition: Partition) -> Result<Option<u64>, LogError> {
        Ok(Some(match self {
            Self::Start => 0,
            Self::End => reading.end_of(partition).await?,
            Self::Vector(vector) => vector.get(partition),
            Self::Time(time) => reading.sequence_at(partition, *time).await?,
        }))
    }
}

impl FromStr for Bound {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "start" => return Ok(Self::Start),
            "end" => return Ok(Self::End),
            _ => {}
        }
        let time = || text.parse().map(Self::Time);
        text.parse()
            .map(Self::Vector)
            .or_else(|_| time())
            .map_err(|_| "must be a vector as 0:17,3:1289, a time as 2026-01-31T12:00:00Z, `start` or `end`".to_owned())
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start => f.write_str("start"),
            Self::End => f.write_str("end"),
            Self::Vector(vector) => vector.fmt(f),
            Self::Time(time) => time.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Bound;

    #[test]
    fn a_bound_is_a_place_or_a_time() {
        assert_eq!("start".parse(), Ok(Bound::Start));
        assert_eq!("end".parse(), Ok(Bound::End));
        assert_eq!("3:1289".parse(), Ok(Bound::Vector("3:1289".parse().unwrap())));
        assert_eq!("0:17,3:1289".parse(), Ok(Bound::Vector("0:17,3:1289".parse().unwrap())));
        assert_eq!(
            "".parse(),
            Ok(Bound::Vector(events::Vector::default())),
            "what was never begun begins at the start"
        );
        assert!(matches!("2026-01-31T12:00:00Z".parse(), Ok(Bound::Time(_))));
        assert_eq!("2026-01-31T13:00:00+01:00".parse::<Bound>(), "2026-01-31T12:00:00Z".parse());
        for wrong in ["3", "3:", "begin", "2026-01-31", "1:2,1:3", "-1:2"] {
            assert!(wrong.parse::<Bound>().is_err(), "{wrong}");
        }
    }
}
