//! What came of a run: [`Report`], which a terminal can show.

use std::{fmt, sync::Arc, time::Duration};

use tollgate_layers::quota::Reading;

use super::{arrivals::count, chart, server::Second};

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    /// How long requests came.
    pub lasted: Duration,
    /// What the callers saw.
    pub clients: Clients,
    /// What each deployment's upstream saw, in the order of the file.
    pub deployments: Vec<Row>,
    /// What became of the one who was refused and came back alone.
    pub returned: Option<Returned>,
}

/// What the callers saw.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Requests that came.
    pub asked: u64,
    /// Those that were answered.
    pub served: u64,
    /// Those that were refused with a 429, as no deployment had room for them.
    pub refused: u64,
    /// Of those, the ones that were not told when to come back.
    pub untold: u64,
    /// Those that got another error.
    pub failed: u64,
    /// How long the served ones waited in the gateway, from arrival to the wire; the shortest first.
    pub waits: Vec<Duration>,
}

/// One deployment.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its group.
    pub group: Arc<str>,
    /// Its id.
    pub id: Arc<str>,
    /// What its provider calls the model.
    pub model: Arc<str>,
    /// Requests per minute that it may be asked for.
    pub rpm: Option<u64>,
    /// Tokens per minute.
    pub tpm: Option<u64>,
    /// What its upstream saw, second by second.
    pub seconds: Vec<Second>,
    /// What its meters showed after the last answer.
    pub meters: Reading,
    /// When it was taught a window: seconds after the beginning.
    pub lessons: Vec<u64>,
}

/// A caller who was refused, and came back when it was told to. Nobody else came meanwhile.
#[derive(Clone, Copy, Debug)]
pub struct Returned {
    /// After how long it was told to come back.
    pub told: Duration,
    /// Whether it was served then, and how long it waited for that.
    pub waited: Option<Duration>,
}

impl Clients {
    /// The part of all requests that was answered.
    #[must_use]
    pub fn success(&self) -> f64 {
        ratio(self.served, self.asked)
    }

    /// The wait that this part of the served requests did not exceed.
    #[must_use]
    pub fn wait(&self, part: f64) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        self.waits.get((count(last as u64) * part).round() as usize).copied().unwrap_or_default()
    }
}

impl Row {
    /// Calls that came.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sum(|second| u64::from(second.sent))
    }

    /// Calls beyond a limit.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.sum(|second| u64::from(second.refused))
    }

    /// Calls that met an outage.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.sum(|second| u64::from(second.failed))
    }

    /// Calls that were let in.
    #[must_use]
    pub fn admitted(&self) -> u64 {
        self.sent() - self.refused() - self.failed()
    }

    /// The part of its limit that was used: of the tighter one, where there are two.
    #[must_use]
    pub fn utilisation(&self) -> Option<f64> {
        let minutes = count(self.seconds.len() as u64) / 60.0;
        let part = |used: u64, limit: Option<u64>| limit.map(|limit| count(used) / (count(limit) * minutes));
        let tokens = part(self.sum(|second| second.tokens), self.tpm);
        [part(self.admitted(), self.rpm), tokens].into_iter().flatten().reduce(f64::max)
    }

    fn sum(&self, of: impl Fn(&Second) -> u64) -> u64 {
        self.seconds.iter().map(of).sum()
    }

    /// How much of the limit each second used, or of the busiest second where there is no limit.
    fn load(&self) -> Vec<f64> {
        let tokens = self.seconds.iter().map(|second| count(second.tokens));
        let calls = self.seconds.iter().map(|second| f64::from(second.sent));
        let (values, full): (Vec<_>, _) = match (self.rpm, self.tpm) {
            (Some(rpm), _) => (calls.collect(), count(rpm) / 60.0),
            (None, Some(tpm)) => (tokens.collect(), count(tpm) / 60.0),
            (None, None) => {
                let full = calls.clone().fold(1.0, f64::max);
                (calls.collect(), full)
            }
        };
        values.into_iter().map(|value| value / full).collect()
    }
}

impl Report {
    /// Calls that all upstreams refused, in a thousand.
    #[must_use]
    pub fn refused_in_a_thousand(&self) -> f64 {
        let refused: u64 = self.deployments.iter().map(Row::refused).sum();
        1_000.0 * ratio(refused, self.deployments.iter().map(Row::sent).sum())
    }

    /// Calls that were let in, against the sum of all limits of requests.
    #[must_use]
    pub fn part_of_the_limit(&self) -> f64 {
        let limited = || self.deployments.iter().filter(|row| row.rpm.is_some());
        let minutes = self.lasted.as_secs_f64() / 60.0;
        let limit = count(limited().filter_map(|row| row.rpm).sum());
        count(limited().map(Row::admitted).sum()) / (limit * minutes)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(f)?;
        let Clients { asked, served, refused, failed, .. } = &self.clients;
        writeln!(
            f,
            "\nclients: {asked} asked, {served} served ({:.2} %), {refused} refused, {failed} failed",
            100.0 * self.clients.success()
        )?;
        let wait = |part| self.clients.wait(part).as_millis();
        writeln!(f, "wait:    p50 {} ms, p99 {} ms", wait(0.5), wait(0.99))?;
        writeln!(f, "429s:    {:.1} in 1,000 calls of upstreams", self.refused_in_a_thousand())?;
        self.refusals(f)?;
        self.chart(f)
    }
}

impl Report {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<28}{:>8}{:>10}{:>8}{:>8}{:>9}{:>8}{:>13}",
            "deployment", "rpm", "tpm", "sent", "share", "refused", "failed", "utilisation"
        )?;
        let all: u64 = self.deployments.iter().map(Row::sent).sum();
        for (row, name) in self.deployments.iter().zip(self.names()) {
            let limit = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
            let used =
                row.utilisation().map_or_else(|| "-".to_owned(), |used| format!("{:.1} %", 100.0 * used));
            let share = format!("{:.1} %", 100.0 * ratio(row.sent(), all));
            writeln!(
                f,
                "{:<28}{:>8}{:>10}{:>8}{share:>8}{:>9}{:>8}{used:>13}",
                name,
                limit(row.rpm),
                limit(row.tpm),
                row.sent(),
                row.refused(),
                row.failed()
            )?;
        }
        Ok(())
    }

    fn refusals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clients { refused, untold, .. } = self.clients;
        if refused > 0 {
            writeln!(f, "refused: {} of {refused} were told when to come back", refused - untold)?;
        }
        let Some(Returned { told, waited }) = self.returned else { return Ok(()) };
        write!(f, "         one came back alone after {:.3} s, as told: ", told.as_secs_f64())?;
        match waited {
            Some(waited) => writeln!(f, "served, after {} ms", waited.as_millis()),
            None => writeln!(f, "not served"),
        }
    }

    fn chart(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.deployments.first().map_or(0, |row| row.seconds.len());
        let per = chart::seconds_per_column(seconds);
        writeln!(f, "\nload, a full bar is all of the limit; 429s below ({per} s a column)")?;
        for (row, name) in self.deployments.iter().zip(self.names()) {
            writeln!(f, "{name:<28}{}", chart::line(&row.load(), per))?;
            let refused: Vec<_> = row.seconds.iter().map(|second| second.refused).collect();
            if row.refused() > 0 {
                writeln!(f, "{:<28}{}", "", chart::marks(&refused, per))?;
            }
        }
        writeln!(f, "{:<28}{}", "", chart::axis(seconds))
    }
}

impl Report {
    /// What fits into the first column: the group, the place in it (by which an outage is told), and the model.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::with_capacity(self.deployments.len());
        let mut place = 0;
        for (index, row) in self.deployments.iter().enumerate() {
            let first = index == 0 || self.deployments[index - 1].group != row.group;
            place = if first { 1 } else { place + 1 };
            let group: String = row.group.chars().take(20).collect();
            names.push(format!("{group}/{place} {}", row.model).chars().take(27).collect());
        }
        names
    }
}

fn ratio(part: u64, all: u64) -> f64 {
    if all == 0 { 0.0 } else { count(part) / count(all) }
}
