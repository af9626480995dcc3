//! The sandbox's own clock: the system's plus an offset that the control API moves. Nothing else here reads the time.

use jiff::{Timestamp, tz::TimeZone};

/// Milliseconds in a day.
pub(crate) const DAY_MS: i64 = 86_400_000;

/// System time plus an offset.
#[derive(Default)]
pub(crate) struct Clock {
    pub(crate) offset_ms: i64,
}

impl Clock {
    pub(crate) fn now_ms(&self) -> i64 {
        Timestamp::now().as_millisecond() + self.offset_ms
    }
}

fn format(at_ms: i64, form: &str) -> String {
    let at = Timestamp::from_millisecond(at_ms).unwrap_or_default();
    at.to_zoned(TimeZone::UTC).strftime(form).to_string()
}

/// `Sun, 22 Nov 2026 09:00:00 GMT`
pub(crate) fn http_date(at_ms: i64) -> String {
    format(at_ms, "%a, %d %b %Y %H:%M:%S GMT")
}

/// Graph's time: an offset without a colon, which RFC 3339 parsers refuse.
pub(crate) fn graph_time(at_ms: i64) -> String {
    format(at_ms, "%Y-%m-%dT%H:%M:%S+0000")
}

/// X's time.
pub(crate) fn x_time(at_ms: i64) -> String {
    format(at_ms, "%Y-%m-%dT%H:%M:%S.000Z")
}

/// The date inside Facebook's "Session has expired on …".
pub(crate) fn session_date(at_ms: i64) -> String {
    const PACIFIC_STANDARD_MS: i64 = -8 * 3_600_000;
    format(at_ms + PACIFIC_STANDARD_MS, "%A, %d-%b-%y %H:%M:%S PST")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_each_platforms_own_form() {
        let at = 1_795_338_000_000; // 2026-11-22 09:00:00 UTC
        assert_eq!(http_date(at), "Sun, 22 Nov 2026 09:00:00 GMT");
        assert_eq!(graph_time(at), "2026-11-22T09:00:00+0000");
        assert_eq!(x_time(at), "2026-11-22T09:00:00.000Z");
        assert_eq!(session_date(at), "Sunday, 22-Nov-26 01:00:00 PST");
    }
}
