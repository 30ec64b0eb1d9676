//! The report as text that fits a terminal: [`ReportText`].

use std::fmt;

use super::{
    Outage, Report, ReturnVisit, chart,
    report::{ClientReport, ClockWindowsReport, DeploymentReport, ReplicasReport, ratio},
};

/// The number of columns without a terminal.
const DEFAULT_WIDTH: usize = 80;

/// The smallest and the largest number of columns that are used.
const WIDTHS: std::ops::RangeInclusive<usize> = 60..=200;

/// The width of the numbers of the table.
const NUMBERS: usize = 53;

/// A report for display, in a number of columns.
#[derive(Debug)]
pub struct ReportText<'a> {
    report: &'a Report,
    width: usize,
    /// The deployments of the groups that calls have reached.
    rows: Vec<(String, &'a DeploymentReport)>,
}

impl Report {
    /// Returns the report for display in this many columns.
    #[must_use]
    pub fn text(&self, width: usize) -> ReportText<'_> {
        let width = width.clamp(*WIDTHS.start(), *WIDTHS.end());
        let is_reached =
            |group: &str| self.deployments.iter().any(|row| *row.group == *group && row.sent() > 0);
        let reached: Vec<_> = self.deployments.iter().filter(|row| is_reached(&row.group)).collect();
        let groups = reached.windows(2).any(|rows| rows[0].group != rows[1].group);
        let name = |row: &DeploymentReport| match groups {
            true => format!("{}/{}", row.group, row.id),
            false => row.id.to_string(),
        };
        let rows = reached.into_iter().map(|row| (shortened(&name(row), width - NUMBERS - 1), row)).collect();
        ReportText { report: self, width, rows }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(DEFAULT_WIDTH).fmt(f)
    }
}

/// Returns the name in at most this many characters. Its end is kept: ids differ there.
fn shortened(name: &str, longest: usize) -> String {
    match name.chars().count().checked_sub(longest) {
        Some(excess @ 1..) => format!("~{}", name.chars().skip(excess + 1).collect::<String>()),
        Some(0) | None => name.to_owned(),
    }
}

impl fmt::Display for ReportText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.table(f)?;
        let clients = &self.report.clients;
        let ClientReport { requests, served, refused, failed, .. } = clients;
        let share = 100.0 * clients.success();
        writeln!(
            f,
            "\nclients: {requests} requests, {served} served ({share:.2} %), {refused} refused, {failed} failed"
        )?;
        let wait = |part| clients.wait(part).as_millis();
        writeln!(f, "wait:    p50 {} ms, p99 {} ms", wait(0.5), wait(0.99))?;
        writeln!(f, "429s:    {:.1} per 1,000 upstream calls", self.report.refused_per_thousand())?;
        self.refusals(f)?;
        self.report.replicas.as_ref().map_or(Ok(()), |replicas| self.replicas(replicas, f))?;
        self.chart(f)
    }
}

impl ReportText<'_> {
    fn table(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.width - NUMBERS;
        writeln!(
            f,
            "{:<names$}{:>7}{:>9}{:>7}{:>8}{:>8}{:>7}{:>7}",
            "deployment", "rpm", "tpm", "sent", "share", "refused", "failed", "used"
        )?;
        let all: u64 = self.rows.iter().map(|(_, row)| row.sent()).sum();
        for (name, row) in &self.rows {
            let limit = |limit: Option<u64>| limit.map_or_else(|| "-".to_owned(), |limit| limit.to_string());
            let percent = |part: f64| format!("{:.1} %", 100.0 * part);
            writeln!(
                f,
                "{name:<names$}{:>7}{:>9}{:>7}{:>8}{:>8}{:>7}{:>7}",
                limit(row.rpm),
                limit(row.tpm),
                row.sent(),
                percent(ratio(row.sent(), all)),
                row.refused(),
                row.failed(),
                row.utilisation().map_or_else(|| "-".to_owned(), |used| format!("{:.0} %", 100.0 * used)),
            )?;
        }
        Ok(())
    }

    fn refusals(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClientReport { refused, without_retry_after, .. } = self.report.clients;
        if refused > 0 {
            writeln!(f, "refused: {} of {refused} had a Retry-After", refused - without_retry_after)?;
        }
        let Some(ReturnVisit { retry_after, waited }) = self.report.returned else { return Ok(()) };
        let seconds = retry_after.as_secs_f64();
        write!(f, "         one was repeated alone after its Retry-After of {seconds:.3} s:\n         ")?;
        match waited {
            Some(waited) => writeln!(f, "served, after {} ms", waited.as_millis()),
            None => writeln!(f, "not served"),
        }
    }

    fn replicas(&self, replicas: &ReplicasReport, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nreplica   load requests  served refused  failed")?;
        let loads: f64 = replicas.each.iter().map(|replica| replica.load).sum();
        for (number, replica) in (1..).zip(&replicas.each) {
            let load = format!("{:.0} %", 100.0 * replica.load / loads);
            let (requests, served) = (replica.requests, replica.served);
            write!(
                f,
                "{number:>7}{load:>7}{requests:>9}{served:>8}{:>8}{:>8}",
                replica.refused, replica.failed
            )?;
            let killed = replica.killed.map(|at| format!("   killed at {} s", at.as_secs_f64()));
            writeln!(f, "{}", killed.unwrap_or_default())?;
        }
        let rate = replicas.ledger_requests as f64 / self.report.duration.as_secs_f64();
        writeln!(f, "ledger:  {rate:.1} requests per second")?;
        let fullest = |fullest: f64| format!("{:.1} % of it in the fullest window", 100.0 * fullest);
        if let Some(own) = self.report.fullest() {
            writeln!(f, "limit:   {:.1} % used, {}", 100.0 * self.report.used_limit(), fullest(own))?;
        }
        let Some(ClockWindowsReport { window, fullest: Some(counted), used }) = replicas.clock_windows else {
            return Ok(());
        };
        let (used, seconds) = (100.0 * used, window.as_secs());
        writeln!(f, "counted in clock windows of {seconds} s: {used:.1} % used, {}", fullest(counted))
    }

    fn chart(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = self.rows.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let names = longest + 1;
        let seconds = self.rows.first().map_or(0, |(_, row)| row.seconds.len());
        let per = chart::seconds_per_column(seconds, self.width - names);
        writeln!(f, "\nload over time, {per} s per column; a full bar is the whole limit")?;
        for (name, row) in &self.rows {
            writeln!(f, "{name:<names$}{}", chart::line(&row.load(), per).trim_end())?;
            let refused: Vec<_> = row.seconds.iter().map(|second| second.refused).collect();
            let outages = chart::outages(&periods(row), seconds, per);
            for marks in [chart::marks(&refused, per), outages].iter().filter(|marks| !marks.is_empty()) {
                writeln!(f, "{:<names$}{marks}", "")?;
            }
        }
        writeln!(f, "{:<names$}{}", "", chart::axis(seconds, per))?;
        self.legend(f)
    }

    /// Explains the marks that the chart has.
    fn legend(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.rows.iter().any(|(_, row)| row.refused() > 0) {
            writeln!(f, "digits: 429s of the upstream")?;
        }
        let outages = || self.rows.iter().flat_map(|(_, row)| &row.outages);
        if outages().any(Outage::is_down) {
            writeln!(f, "x: outage, every call is a 503")?;
        }
        if outages().any(|outage| !outage.is_down()) {
            writeln!(f, "~: slow")?;
        }
        Ok(())
    }
}

/// Returns the outages of a deployment: first and last second, and the mark.
fn periods(row: &DeploymentReport) -> Vec<(usize, usize, char)> {
    let second = |time: std::time::Duration| usize::try_from(time.as_secs()).unwrap_or(usize::MAX);
    let outages = row.outages.iter();
    let mark = |outage: &Outage| if outage.is_down() { 'x' } else { '~' };
    outages.map(|outage| (second(outage.from), second(outage.until), mark(outage))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_in_a_report_keep_their_end() {
        assert_eq!(shortened("chat/eu-west-1", 20), "chat/eu-west-1");
        assert_eq!(shortened("chat/eu-west-1", 14), "chat/eu-west-1");
        assert_eq!(shortened("chat/eu-west-1", 8), "~-west-1");
    }
}
