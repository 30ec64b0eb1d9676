//! Times in the form of RFC 3339, and durations.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::config::calendar::date;

/// A time for display: UTC, with milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rfc3339(pub(super) SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let seconds = since.as_secs();
        let (year, month, day) = date(i64::try_from(seconds / 86_400).unwrap_or_default());
        let (hour, minute, second) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        let millis = since.subsec_millis();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// A duration in milliseconds, for display.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.0.as_micros();
        write!(f, "{}.{:03}", micros / 1000, micros % 1000)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_the_log_agree_with_an_independent_implementation() {
        for seconds in
            (0..4_000_000_000_u64).step_by(7_654_321).chain([951_782_400, 951_868_799, 4_107_542_400])
        {
            let time = UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 7);
            let ours = Rfc3339(time).to_string();
            let http = httpdate::fmt_http_date(time);
            let (_, date) = http.split_once(", ").unwrap();
            let months = "JanFebMarAprMayJunJulAugSepOctNovDec";
            let month = months.find(&date[3..6]).unwrap() / 3 + 1;
            let theirs = format!("{}-{month:02}-{}T{}.007Z", &date[7..11], &date[..2], &date[12..20]);
            assert_eq!(ours, theirs);
        }
    }
}
