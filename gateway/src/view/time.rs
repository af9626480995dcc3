//! A moment in a view: RFC 3339 in JSON, milliseconds for those who format it for a person.

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

/// Unix milliseconds, written as RFC 3339 in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ToSchema)]
#[schema(as = Time, value_type = String, format = DateTime, example = "2026-08-12T09:00:00Z")]
pub struct Time(i64);

impl Time {
    /// The services write 0 for "none".
    pub fn of(ms: i64) -> Option<Self> {
        (ms > 0).then_some(Self(ms))
    }

    /// Unix milliseconds.
    pub fn ms(self) -> i64 {
        self.0
    }
}

impl std::fmt::Display for Time {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(at) => write!(f, "{at}"),
            Err(_) => f.write_str("unknown"),
        }
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn a_moment_is_written_as_utc_and_zero_is_none() {
        assert_eq!(Time::of(1_786_525_200_000).unwrap().to_string(), "2026-08-12T09:00:00Z");
        assert_eq!(Time::of(0), None);
    }
}
