//! Parsing of times and durations as servers write them: `6m0s`, `7 seconds`, RFC 3339, HTTP dates.
//!
//! A duration is never zero, and at most [`LONGEST`]: a server may send anything, and a client should neither sleep for a
//! year nor fail because of it. Text that is not a duration gives `None`, and no text makes a function panic.
//!
//! ```
//! use std::time::Duration;
//! use tollgate_http::times;
//!
//! assert_eq!(times::duration("2m59.56s"), Some(Duration::from_millis(179_560)));
//! assert_eq!(times::leading_duration("7 seconds. Contact us for more."), Some(Duration::from_secs(7)));
//! assert_eq!(times::duration("200h"), Some(times::LONGEST));
//! assert_eq!(times::duration("-1s"), None);
//! ```

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, header};

/// The longest duration that is accepted, one hour: a header with more is more likely wrong than helpful.
pub const LONGEST: Duration = Duration::from_secs(3600);

/// Returns a duration of this many seconds, at most [`LONGEST`]. Returns `None` for a negative number, NaN, and less than a
/// nanosecond.
#[must_use]
pub fn seconds(count: f64) -> Option<Duration> {
    // `max` of NaN is zero.
    let bounded = Duration::try_from_secs_f64(count.max(0.0).min(LONGEST.as_secs_f64())).ok();
    bounded.filter(|duration| !duration.is_zero())
}

/// Parses a plain, finite number, whole or with a fraction.
pub(crate) fn number(text: &str) -> Option<f64> {
    text.trim().parse::<f64>().ok().filter(|number| number.is_finite())
}

/// Returns the time of the response in Unix seconds, from its `date` header, so that a difference between the clocks
/// has no effect. Without the header it is the time of this host's clock.
pub(crate) fn now(headers: &HeaderMap) -> f64 {
    let stated = headers.get(header::DATE).and_then(|date| date.to_str().ok()).and_then(http_date);
    stated.unwrap_or_else(|| unix(SystemTime::now()))
}

/// Parses an absolute time. Returns Unix seconds.
pub(crate) fn date(text: &str) -> Option<f64> {
    http_date(text).or_else(|| rfc3339(text))
}

/// Parses the whole text as a duration with units: `12ms`, `2m59.56s`, `1h0m0s`. Returns `None` for zero, and for text that
/// is not a duration.
#[must_use]
pub fn duration(text: &str) -> Option<Duration> {
    let (length, rest) = spans(text.trim())?;
    rest.is_empty().then(|| seconds(length)).flatten()
}

/// Parses the duration at the beginning of a sentence: `7 seconds.`, `1 minute 30 seconds or`. Returns `None` for zero, and
/// for text that does not begin with a duration.
#[must_use]
pub fn leading_duration(text: &str) -> Option<Duration> {
    spans(text).and_then(|(length, _)| seconds(length))
}

/// Parses as many pairs of number and unit as possible. Returns their sum in seconds, and the rest of the text.
fn spans(text: &str) -> Option<(f64, &str)> {
    let mut sum = None;
    let mut rest = text;
    while let Some((length, after)) = span(rest) {
        sum = Some(sum.unwrap_or(0.0) + length);
        rest = after;
    }
    sum.map(|sum| (sum, rest))
}

fn span(text: &str) -> Option<(f64, &str)> {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, rest) = text.split_at(end);
    let rest = rest.trim_start();
    let end = rest.find(|c: char| !c.is_alphabetic()).unwrap_or(rest.len());
    let (unit, rest) = rest.split_at(end);
    Some((number.parse::<f64>().ok()? * scale(unit)?, rest))
}

/// Returns the number of seconds in a unit.
fn scale(unit: &str) -> Option<f64> {
    Some(match unit.to_ascii_lowercase().as_str() {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" | "millisecond" | "milliseconds" => 1e-3,
        "s" | "sec" | "secs" | "second" | "seconds" => 1.0,
        "m" | "min" | "mins" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hrs" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86400.0,
        _ => return None,
    })
}

fn http_date(text: &str) -> Option<f64> {
    httpdate::parse_http_date(text.trim()).ok().map(unix)
}

fn unix(at: SystemTime) -> f64 {
    at.duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

/// Parses `1994-11-06T08:49:37.5Z`, or a time with an offset, as in Anthropic's resets.
fn rfc3339(text: &str) -> Option<f64> {
    let (day, time) = text.trim().split_once(['T', 't', ' '])?;
    let mut parts = day.splitn(3, '-');
    let day = day_number(integer(parts.next()?)?, integer(parts.next()?)?, integer(parts.next()?)?)?;
    let (time, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => time.split_at(at),
        None => return None,
    };
    let offset = match offset.split_at_checked(1)? {
        ("+", ahead) => clock(ahead)?,
        ("-", behind) => -clock(behind)?,
        (_, "") => 0.0,
        _ => return None,
    };
    Some(day + clock(time)? - offset)
}

/// Returns the seconds since midnight for `08:49`, `08:49:37` or `08:49:37.25`.
fn clock(text: &str) -> Option<f64> {
    let mut parts = text.splitn(3, ':');
    let (hour, minute) = (integer(parts.next()?)?, integer(parts.next()?)?);
    let second = parts.next().map_or(Some(0.0), number)?;
    let sane = (0..24).contains(&hour) && (0..60).contains(&minute) && (0.0..61.0).contains(&second);
    sane.then_some((hour * 3600 + minute * 60) as f64 + second)
}

fn integer(text: &str) -> Option<i64> {
    text.parse().ok()
}

/// Returns the Unix seconds of midnight, in the Gregorian calendar. Years begin in March, so that the leap day is the
/// last of its year.
fn day_number(year: i64, month: i64, day: i64) -> Option<f64> {
    let sane = (1970..=9999).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    sane.then_some(())?;
    let year = if month > 2 { year } else { year - 1 };
    let months_since_march = (month + 9) % 12;
    let days = 365 * year + year / 4 - year / 100 + year / 400 + (153 * months_since_march + 2) / 5 + day - 1;
    Some(((days - 719_468) * 86400) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_providers_write_them() {
        for (text, millis) in
            [("12ms", 12), ("1s", 1000), ("6m0s", 360_000), ("2m59.56s", 179_560), ("1h0m0s", 3_600_000)]
        {
            assert_eq!(duration(text).map(|d| d.as_millis()), Some(millis), "{text}");
        }
        for text in ["", "s", "7", "-1s", "0s", "1.2.3s", "1x", "1s!"] {
            assert_eq!(duration(text), None, "{text}");
        }
        for (text, millis) in
            [("7 seconds.", 7000), ("1 minute 30 seconds or", 90_000), ("5.289s. Visit", 5289)]
        {
            assert_eq!(leading_duration(text).map(|d| d.as_millis()), Some(millis), "{text}");
        }
    }

    #[test]
    fn dates_are_unix_seconds() {
        for (text, unix) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777.0),
            ("1994-11-06T08:49:37Z", 784_111_777.0),
            ("1994-11-06T09:49:37.5+01:00", 784_111_777.5),
            ("Thu, 29 Feb 2024 00:00:00 GMT", 1_709_164_800.0),
            ("1970-01-01T00:00:00Z", 0.0),
        ] {
            assert_eq!(date(text), Some(unix), "{text}");
        }
        for text in [
            "",
            "soon",
            "Sun, 06 Nov 1994 08:49:37 PST",
            "1994-13-06T08:49:37Z",
            "1994-11-06T08:49:37",
            "T:+",
        ] {
            assert_eq!(date(text), None, "{text}");
        }
    }

    #[test]
    fn no_wait_is_negative_zero_or_longer_than_an_hour() {
        assert_eq!(seconds(-1.0), None);
        assert_eq!(seconds(0.0), None);
        assert_eq!(seconds(f64::NAN), None);
        assert_eq!(seconds(1e-62), None);
        assert_eq!(seconds(f64::INFINITY), Some(LONGEST));
        assert_eq!(seconds(1e300), Some(LONGEST));
        assert_eq!(duration("200h"), Some(LONGEST));
    }
}
