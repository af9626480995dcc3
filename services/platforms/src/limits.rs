//! What a platform's headers say about our pace: how long to wait, and for whom. Pure; the waiting is done by `pace`.
//! A wait is never longer than an hour, whatever a header says (FAULTS H3).

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::time::Duration;

use serde_json::Value;

/// Longest wait that a header can make.
pub(crate) const LONGEST: Duration = Duration::from_secs(3600);
/// Wait after a 429 that says nothing.
const UNSAID: Duration = Duration::from_secs(60);

/// Who has to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Whom {
    /// Every call of our app.
    App,
    /// Calls for this Page, person or organisation.
    Subject,
}

/// How long the platform asked to wait before the next call, if it did.
pub(crate) fn wait<S: BuildHasher>(
    status: u32,
    headers: &HashMap<String, String, S>,
    now_ms: i64,
) -> Option<(Whom, Duration)> {
    let header = |name: &str| headers.get(name).map(String::as_str);
    if let Some(wait) = header("retry-after")
        .filter(|_| status >= 400)
        .and_then(|value| retry_after(value, now_ms))
    {
        return Some((if status == 503 { Whom::App } else { Whom::Subject }, wait));
    }
    if let Some(full) = header("x-app-usage")
        .and_then(percent)
        .filter(|percent| *percent >= 100.0)
    {
        // Graph's window is an hour and rolls: after a minute some of it may be free again.
        tracing::warn!(percent = full, "the app's call limit is used up");
        return Some((Whom::App, UNSAID));
    }
    if let Some(wait) = header("x-business-use-case-usage").and_then(regain) {
        return Some((Whom::Subject, wait));
    }
    let used_up = status == 429 || header("x-rate-limit-remaining").is_some_and(|left| left.trim() == "0");
    let reset = header("x-rate-limit-reset")
        .or_else(|| header("x-ratelimit-reset"))
        .filter(|_| used_up);
    let reset = reset.and_then(|reset| reset.trim().parse::<i64>().ok());
    reset.map(|at| (Whom::Subject, capped(at.saturating_mul(1000).saturating_sub(now_ms))))
}

/// `Retry-After` in seconds or as a date.
fn retry_after(value: &str, now_ms: i64) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<f64>() {
        #[allow(clippy::cast_possible_truncation, reason = "float to integer casts saturate")]
        return seconds.is_finite().then(|| capped((seconds * 1000.0) as i64));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?;
    Some(capped(date.timestamp().as_millisecond().saturating_sub(now_ms)))
}

/// Wait after a limit that says nothing about its end.
pub(crate) fn unsaid(daily: bool, now_ms: i64) -> Duration {
    const DAY_MS: i64 = 86_400_000;
    if daily {
        capped(DAY_MS - now_ms.rem_euclid(DAY_MS))
    } else {
        UNSAID
    }
}

/// At least a second, at most `LONGEST`.
pub(crate) fn capped(ms: i64) -> Duration {
    Duration::from_millis(ms.max(1000).unsigned_abs()).min(LONGEST)
}

/// The fullest of `{"call_count": 28, "total_time": 25, "total_cputime": 25}`.
fn percent(usage: &str) -> Option<f64> {
    let usage: HashMap<String, Value> = serde_json::from_str(usage).ok()?;
    usage.values().filter_map(Value::as_f64).reduce(f64::max)
}

/// Minutes until a business use case is free again; none when it is.
fn regain(usage: &str) -> Option<Duration> {
    let usage: HashMap<String, Vec<Value>> = serde_json::from_str(usage).ok()?;
    let minutes = usage
        .values()
        .flatten()
        .filter_map(|item| item["estimated_time_to_regain_access"].as_i64())
        .max()?;
    (minutes > 0).then(|| capped(minutes.saturating_mul(60_000)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_795_338_000_000; // Sun, 22 Nov 2026 09:00:00 GMT

    fn of(status: u32, name: &str, value: &str) -> Option<(Whom, u64)> {
        let headers = HashMap::from([(name.to_owned(), value.to_owned())]);
        wait(status, &headers, NOW).map(|(whom, wait)| (whom, wait.as_secs()))
    }

    #[test]
    fn h3_retry_after_is_read_in_every_form_and_capped() {
        assert_eq!(of(429, "retry-after", "30"), Some((Whom::Subject, 30)));
        assert_eq!(
            of(429, "retry-after", "Sun, 22 Nov 2026 09:02:00 GMT"),
            Some((Whom::Subject, 120))
        );
        assert_eq!(
            of(429, "retry-after", "Sun, 22 Nov 2020 09:02:00 GMT"),
            Some((Whom::Subject, 1))
        );
        assert_eq!(of(429, "retry-after", "1000000000"), Some((Whom::Subject, 3600)));
        assert_eq!(of(503, "retry-after", "30"), Some((Whom::App, 30)));
        assert_eq!(of(400, "retry-after", "30"), Some((Whom::Subject, 30)));
        assert_eq!(of(429, "retry-after", "soon"), None);
        assert_eq!(of(200, "retry-after", "30"), None);
    }

    #[test]
    fn a_daily_limit_ends_at_midnight_utc() {
        assert_eq!(unsaid(true, NOW + 14 * 3_600_000 + 1_800_000).as_secs(), 1800);
        assert_eq!(unsaid(true, NOW).as_secs(), 3600);
        assert_eq!(unsaid(false, NOW).as_secs(), 60);
    }

    #[test]
    fn metas_usage_headers_count_from_full() {
        assert_eq!(
            of(
                200,
                "x-app-usage",
                r#"{"call_count":28,"total_time":25,"total_cputime":25}"#
            ),
            None
        );
        assert_eq!(
            of(
                200,
                "x-app-usage",
                r#"{"call_count":28,"total_time":100,"total_cputime":25}"#
            ),
            Some((Whom::App, 60))
        );
        let business = |minutes| {
            format!(r#"{{"104":[{{"type":"pages","call_count":95,"estimated_time_to_regain_access":{minutes}}}]}}"#)
        };
        assert_eq!(of(200, "x-business-use-case-usage", &business(0)), None);
        assert_eq!(
            of(400, "x-business-use-case-usage", &business(7)),
            Some((Whom::Subject, 420))
        );
        assert_eq!(of(400, "x-business-use-case-usage", "nonsense"), None);
    }

    #[test]
    fn x_says_when_its_window_ends() {
        assert_eq!(of(429, "x-rate-limit-reset", "1795338090"), Some((Whom::Subject, 90)));
        assert_eq!(of(200, "x-rate-limit-reset", "1795338090"), None);
        assert_eq!(
            of(429, "x-rate-limit-reset", "99999999999999999"),
            Some((Whom::Subject, 3600))
        );
    }
}
