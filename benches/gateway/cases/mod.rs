//! What is measured.

mod connects;
mod crowd;
mod growth;
mod leaving;
mod memory;
mod observed;
mod tls;
mod traffic;
mod uploads;
mod workers;

use std::net::SocketAddr;

use crate::{
    Result,
    arguments::Arguments,
    machine::Pins,
    report::Report,
    side::{Kind, Side, Starter},
};

/// The context of every case.
#[derive(Debug)]
pub(crate) struct Bench {
    arguments: Arguments,
    starter: Starter,
    report: Report,
}

/// All cases, in the order in which they run.
pub(crate) fn names() -> Vec<&'static str> {
    let traffic = traffic::CASES.map(|case| case.name);
    [memory::RESIDENT]
        .into_iter()
        .chain(traffic)
        .chain([memory::IDLE, leaving::LEAVING])
        .chain(connects::names())
        .chain(tls::names())
        .chain(observed::names())
        .chain(workers::names())
        .chain([uploads::UPLOADS, growth::GROWTH])
        .collect()
}

/// Runs the cases that are wanted.
pub(crate) async fn run(arguments: &Arguments, pins: &Pins) -> Result<Report> {
    let (starter, _upstream) = Starter::with_upstream(pins.clone()).await?;
    let mut bench = Bench { arguments: arguments.clone(), starter, report: Report::default() };
    if !arguments.against.is_empty() {
        let builds = bench.start_builds().await?;
        traffic::run(&mut bench, &builds).await?;
        return Ok(bench.report);
    }
    bench.say_who_is_missing();
    let sides = bench.start_all().await?;
    // First, while they are fresh.
    memory::resident(&mut bench, &sides).await?;
    traffic::run(&mut bench, &sides).await?;
    drop(sides);
    memory::idle_streams(&mut bench).await?;
    leaving::run(&mut bench).await?;
    connects::run(&mut bench).await?;
    tls::run(&mut bench).await?;
    observed::run(&mut bench).await?;
    workers::run(&mut bench).await?;
    uploads::run(&mut bench).await?;
    growth::run(&mut bench).await?;
    crowd::run(&mut bench).await?;
    Ok(bench.report)
}

impl Bench {
    fn say_who_is_missing(&mut self) {
        for kind in [Kind::Nginx, Kind::Haproxy].into_iter().filter(|kind| !kind.is_here()) {
            self.report.note(format!("{} is not on this machine", kind.name()));
        }
    }

    /// Starts all sides. A side that does not start is reported and left out; without the base there is no comparison.
    async fn start_all(&mut self) -> Result<Vec<Side>> {
        let mut sides = Vec::new();
        for kind in self.arguments.kinds() {
            match self.starter.start(kind).await {
                Ok(process) => sides.push(Side { name: kind.name().to_owned(), kind, process }),
                Err(error) if kind == Kind::Floor => return Err(error),
                Err(error) => self.report.failures.push(error.to_string()),
            }
        }
        Ok(sides)
    }

    /// Starts this build of tollgate and the builds that it is compared with; the first is the base.
    async fn start_builds(&self) -> Result<Vec<Side>> {
        let kind = Kind::Tollgate;
        let mut builds = Vec::new();
        for program in &self.arguments.against {
            let name = program.display().to_string();
            builds.push(Side { process: self.starter.build(&name).await?, name, kind });
        }
        let process = self.starter.start(kind).await?;
        builds.insert(1, Side { name: kind.name().to_owned(), kind, process });
        Ok(builds)
    }

    const fn upstream(&self) -> SocketAddr {
        self.starter.upstream
    }

    /// Returns the fraction of the full time for a stretch: a quarter if quick, less if more than two sides share the
    /// time.
    fn share(&self, sides: usize) -> f64 {
        let quick = if self.arguments.quick { 0.25 } else { 1.0 };
        quick * (2.0 / sides.max(2) as f64)
    }
}
