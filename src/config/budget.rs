//! Budgets of dollars and the periods after which they are renewed: [`BudgetLimit`].

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use super::calendar::first_of_month_after;

/// The seconds of a day.
const DAY: u64 = 86_400;

/// A limit of dollars.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BudgetLimit {
    /// `max_budget`: the limit in dollars.
    pub max: f64,
    /// `budget_duration`: the period after which the spent dollars count no more. None: they always count.
    pub period: Option<BudgetPeriod>,
}

/// A period of a budget, which ends as LiteLLM's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BudgetPeriod {
    /// A time from the first use on.
    Time(Duration),
    /// Whole days, until midnight in UTC.
    Days(u64),
    /// A week, until Monday.
    Week,
    /// Whole months, until the first of a month.
    Months(u64),
}

impl BudgetPeriod {
    /// Parses a number with a unit: `30s`, `15m`, `12h`, `1d`, `7d` (a week), `30d` (a month), `1w`, `1mo`. LiteLLM's words
    /// `hourly`, `daily`, `weekly` and `monthly` are `1h`, `1d`, `7d` and `30d`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let text = match &*text.to_ascii_lowercase() {
            "hourly" => "1h",
            "daily" => "1d",
            "weekly" => "7d",
            "monthly" => "30d",
            _ => text,
        };
        let unit = text.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = text.split_at(unit);
        let number: u64 = number.parse().ok().filter(|number| (1..=36_500).contains(number))?;
        match (number, unit) {
            (_, "s") => Some(Self::Time(Duration::from_secs(number))),
            (_, "m") => Some(Self::Time(Duration::from_secs(number * 60))),
            (_, "h") if !number.is_multiple_of(24) => Some(Self::Time(Duration::from_secs(number * 3600))),
            (_, "h") => Some(Self::Days(number / 24)),
            (7, "d") | (1, "w") => Some(Self::Week),
            (30, "d") => Some(Self::Months(1)),
            (_, "d") => Some(Self::Days(number)),
            (_, "w") => Some(Self::Days(number * 7)),
            (_, "mo") => Some(Self::Months(number)),
            _ => None,
        }
    }

    /// Returns the end of the period that contains `now`.
    #[must_use]
    pub fn end(self, now: SystemTime) -> SystemTime {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let today = since.as_secs() / DAY;
        let day = match self {
            Self::Time(time) => return now + time,
            Self::Days(days) => today + days,
            // 1970-01-05 was a Monday.
            Self::Week => today + 7 - (today + 3) % 7,
            Self::Months(months) => {
                let signed = |number| i64::try_from(number).unwrap_or(i64::MAX);
                u64::try_from(first_of_month_after(signed(today), signed(months))).unwrap_or(today + 30)
            }
        };
        SystemTime::UNIX_EPOCH + Duration::from_secs(day * DAY)
    }
}

impl fmt::Display for BudgetPeriod {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Time(time) => write!(f, "{}s", time.as_secs()),
            Self::Days(days) => write!(f, "{days}d"),
            Self::Week => f.write_str("1w"),
            Self::Months(months) => write!(f, "{months}mo"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_period_ends_at_the_borders_of_the_calendar() {
        // 2026-11-29, a Sunday, 10:00:00.
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_946_400);
        for (text, hours) in [
            ("30m", 0.5),
            ("12h", 12.0),
            ("24h", 14.0),
            ("1d", 14.0),
            ("2d", 38.0),
            ("7d", 14.0),
            ("1w", 14.0),
            ("30d", 38.0),
            ("1mo", 38.0),
            ("2mo", 38.0 + 31.0 * 24.0),
            ("4mo", 38.0 + (31.0 + 31.0 + 28.0) * 24.0),
            ("hourly", 1.0),
            ("daily", 14.0),
            ("weekly", 14.0),
            ("Monthly", 38.0),
        ] {
            let end = BudgetPeriod::parse(text).unwrap().end(now);
            assert_eq!(end.duration_since(now).unwrap().as_secs_f64() / 3600.0, hours, "{text}");
        }
        for text in
            ["", "d", "yearly", "30", "0d", "1.5h", "-1d", "1y", "30 d", "99999999999999999999d", "99999d"]
        {
            assert_eq!(BudgetPeriod::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_month_of_a_budget_ends_on_the_first_of_the_next_month_in_every_month() {
        for day in 0..50_000 {
            let first = first_of_month_after(day, 1);
            assert!((1..=31).contains(&(first - day)), "{day}: {first}");
            assert_eq!(first_of_month_after(first - 1, 1), first);
        }
    }
}
