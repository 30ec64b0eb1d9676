//! Times in the form of RFC 3339, and durations.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use crate::config::calendar::date_and_time;

/// A time for display: UTC, with milliseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rfc3339(pub(super) SystemTime);

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.0.duration_since(UNIX_EPOCH).unwrap_or_default();
        let [year, month, day, hour, minute, second] = date_and_time(since);
        let mut text = *b"0000-00-00T00:00:00.000Z";
        digits(year, &mut text[0..4]);
        digits(month, &mut text[5..7]);
        digits(day, &mut text[8..10]);
        digits(hour, &mut text[11..13]);
        digits(minute, &mut text[14..16]);
        digits(second, &mut text[17..19]);
        digits(since.subsec_millis().into(), &mut text[20..23]);
        f.write_str(str::from_utf8(&text).unwrap_or_default())
    }
}

/// Writes the last digits of a number: `format!` with a width takes ten times as long, and each line of a log has eight.
fn digits(mut number: i64, text: &mut [u8]) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

/// A duration in milliseconds, for display.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Millis(pub(crate) Duration);

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut fraction = *b".000";
        digits((self.0.subsec_micros() % 1000).into(), &mut fraction[1..]);
        let millis = self.0.as_secs() * 1000 + u64::from(self.0.subsec_millis());
        write!(f, "{millis}{}", str::from_utf8(&fraction).unwrap_or_default())
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
