//! Dates of the Gregorian calendar in UTC, as far as the file contains any.

/// Returns the number of days of a month.
pub(super) const fn days_of(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Returns the days from 1970-01-01 to a date, or none for an earlier year.
pub(super) fn days_since_1970(year: i64, month: i64, day: i64) -> Option<i64> {
    if year < 1970 {
        return None;
    }
    let leaps = |year: i64| year / 4 - year / 100 + year / 400;
    let years = (year - 1970) * 365 + leaps(year - 1) - leaps(1969);
    Some(years + (1..month).map(|month| days_of(year, month)).sum::<i64>() + day - 1)
}

/// Returns the days from 1970-01-01 to the first day of the month that comes `months` after that of `day`.
pub(super) fn first_of_month_after(day: i64, months: i64) -> i64 {
    // A year has at most 366 days, so the year is found within a few steps.
    let year = (1970 + day / 366..)
        .take_while(|year| days_since_1970(*year, 1, 1).is_some_and(|first| first <= day));
    let year = year.last().unwrap_or(1970);
    let starts = |month: &i64| days_since_1970(year, *month, 1).is_some_and(|first| first <= day);
    let month = (1..=12).take_while(starts).last().unwrap_or(1);
    let index = year * 12 + month - 1 + months;
    days_since_1970(index / 12, index % 12 + 1, 1).unwrap_or(day)
}
