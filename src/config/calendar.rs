//! Dates of the Gregorian calendar in UTC, from 1970 on.

use std::time::Duration;

/// Returns the number of days of a month.
pub(crate) const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date, or none for an earlier year.
pub(crate) fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if year < 1970 {
        return None;
    }
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    Some(years + (1..month).map(|month| days_of(year, month)).sum::<i64>() + day - 1)
}

/// Returns year, month and day of a number of days since 1970. The years are counted from March, so that a leap day is the
/// last of its year, and in eras of 400 years, which all have the same length.
pub(crate) const fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// Returns year, month, day, hour, minute and second of a time that is so long after the beginning of 1970.
pub(crate) fn date_and_time(since_1970: Duration) -> [i64; 6] {
    let seconds = i64::try_from(since_1970.as_secs()).unwrap_or_default();
    let (year, month, day) = date(seconds / 86_400);
    [year, month, day, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60]
}

/// Returns the days from 1970-01-01 to the first day of the month that comes `months` after that of `day`.
pub(crate) fn first_of_month_after(day: i64, months: i64) -> i64 {
    let (year, month, _) = date(day);
    let index = year * 12 + month - 1 + months;
    days_since_1970(index / 12, index % 12 + 1, 1).unwrap_or(day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_and_its_days_since_1970_belong_together() {
        for days in 0..200_000 {
            let (year, month, day) = date(days);
            assert_eq!(days_since_1970(year, month, day), Some(days), "{year}-{month}-{day}");
            assert!((1..=12).contains(&month) && (1..=days_of(year, month)).contains(&day));
        }
    }
}
