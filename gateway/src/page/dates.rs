//! Moments in words, in the reader's language and time zone. Pure: now is given.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::texts::TimeWords;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;

/// A moment, in words and for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct When {
    /// RFC 3339.
    pub(crate) iso: String,
    /// "3 min ago", "today 07:12", "12 Aug 2026".
    pub(crate) text: String,
    /// Put before it, e.g. "checked ".
    pub(crate) before: String,
    /// Grows old while it is looked at: the page's script keeps it right.
    pub(crate) relative: bool,
}

/// A reader's clock.
#[derive(Clone)]
pub(crate) struct Calendar {
    pub(crate) zone: TimeZone,
    pub(crate) now_ms: i64,
    pub(crate) words: &'static TimeWords,
}

impl Calendar {
    /// "3 min ago", "2 hours ago", "5 days ago".
    pub(crate) fn ago(&self, ms: i64) -> When {
        let age = (self.now_ms - ms).max(0);
        let text = match age {
            ..MINUTE => self.words.just_now.to_owned(),
            MINUTE..HOUR => (self.words.minutes_ago)(age / MINUTE),
            HOUR..DAY => (self.words.hours_ago)(age / HOUR),
            _ => (self.words.days_ago)(age / DAY),
        };
        When {
            text,
            relative: true,
            ..plain(ms)
        }
    }

    /// "today 07:12", "yesterday 18:00", "Mon 09:00" within the coming week, "20 Nov 08:01", "12 Aug 2025 08:01".
    pub(crate) fn moment(&self, ms: i64) -> When {
        let time = self.clock(ms);
        let text = match self.days_from_today(ms) {
            0 => (self.words.today)(&time),
            -1 => (self.words.yesterday)(&time),
            1..=6 => format!("{} {time}", self.weekday(ms)),
            _ => format!("{} {time}", self.day_text(ms)),
        };
        When { text, ..plain(ms) }
    }

    /// "20 Nov", with the year when it is another.
    pub(crate) fn day(&self, ms: i64) -> When {
        When {
            text: self.day_text(ms),
            ..plain(ms)
        }
    }

    /// "12 Aug 2026".
    pub(crate) fn full_day(&self, ms: i64) -> String {
        let date = self.date(ms);
        format!("{} {} {}", date.day(), self.month(date), date.year())
    }

    /// "14:05".
    pub(crate) fn clock(&self, ms: i64) -> String {
        self.local(ms).strftime("%H:%M").to_string()
    }

    /// "in 41 days".
    pub(crate) fn in_days(&self, ms: i64) -> String {
        (self.words.in_days)(i64::from(self.days_from_today(ms).max(0)))
    }

    fn day_text(&self, ms: i64) -> String {
        let date = self.date(ms);
        let day = format!("{} {}", date.day(), self.month(date));
        if date.year() == self.date(self.now_ms).year() {
            day
        } else {
            format!("{day} {}", date.year())
        }
    }

    fn month(&self, date: Date) -> &'static str {
        usize::try_from(date.month() - 1)
            .ok()
            .and_then(|index| self.words.months.get(index))
            .copied()
            .unwrap_or("")
    }

    fn weekday(&self, ms: i64) -> &'static str {
        let index = usize::try_from(self.date(ms).weekday().to_monday_zero_offset()).unwrap_or_default();
        self.words.days.get(index).copied().unwrap_or("")
    }

    fn days_from_today(&self, ms: i64) -> i32 {
        (self.date(ms) - self.date(self.now_ms)).get_days()
    }

    fn date(&self, ms: i64) -> Date {
        self.local(ms).date()
    }

    fn local(&self, ms: i64) -> jiff::Zoned {
        timestamp(ms).to_zoned(self.zone.clone())
    }
}

fn plain(ms: i64) -> When {
    When {
        iso: timestamp(ms).to_string(),
        ..When::default()
    }
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::texts::texts;
    use crate::view::Locale;

    fn calendar(locale: Locale, zone: &str, now: &str) -> Calendar {
        Calendar {
            zone: TimeZone::get(zone).unwrap(),
            now_ms: at(now),
            words: &texts(locale).time,
        }
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    #[test]
    fn moments_are_told_in_the_readers_time_zone() {
        let berlin = calendar(Locale::English, "Europe/Berlin", "2026-11-22T12:00:00Z");
        assert_eq!(berlin.moment(at("2026-11-22T06:12:00Z")).text, "today 07:12");
        assert_eq!(berlin.moment(at("2026-11-21T23:30:00Z")).text, "today 00:30");
        assert_eq!(berlin.moment(at("2026-11-23T08:00:00Z")).text, "Mon 09:00");
        assert_eq!(berlin.moment(at("2026-11-25T08:00:00Z")).text, "Wed 09:00");
        assert_eq!(berlin.moment(at("2026-11-20T07:01:00Z")).text, "20 Nov 08:01");
        assert_eq!(berlin.day(at("2025-08-12T09:00:00Z")).text, "12 Aug 2025");
        assert_eq!(berlin.full_day(at("2026-08-12T09:00:00Z")), "12 Aug 2026");
    }

    #[test]
    fn ages_are_told_in_words_and_arabic_knows_the_dual() {
        let now = "2026-11-22T12:00:00Z";
        let english = calendar(Locale::English, "UTC", now);
        assert_eq!(english.ago(at("2026-11-22T11:57:00Z")).text, "3 min ago");
        assert_eq!(english.ago(at("2026-11-20T11:57:00Z")).text, "2 days ago");
        assert_eq!(english.ago(at("2026-11-22T12:00:10Z")).text, "just now");
        let arabic = calendar(Locale::Arabic, "UTC", now);
        assert_eq!(arabic.ago(at("2026-11-20T11:57:00Z")).text, "قبل يومين");
    }
}
