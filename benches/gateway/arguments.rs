//! The command line.

use std::path::PathBuf;

use clap::Parser;

use crate::{cases, machine::Pins, side::Kind};

/// Measures the cost of tollgate beside a bare hyper proxy, in one run.
#[derive(Clone, Debug, Parser)]
#[command(name = "gateway", bin_name = "cargo bench --bench gateway --")]
pub(crate) struct Arguments {
    /// Only this case (may be given more than once)
    #[arg(long = "case", value_name = "NAME", value_parser = known_case)]
    cases: Vec<String>,
    /// Only this side beside the floor (may be given more than once)
    #[arg(long = "side", value_name = "NAME", value_parser = known_side)]
    sides: Vec<String>,
    /// Compare this build of tollgate with another one, a program at PATH, instead of with the floor: 30 rounds of each
    /// traffic case (may be given more than once; the first is the base)
    #[arg(long, value_name = "PATH", conflicts_with = "sides")]
    pub(crate) against: Vec<PathBuf>,
    /// Rounds of each traffic case, instead of its own number
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<usize>,
    /// Short rounds: under two minutes in all
    #[arg(long)]
    pub(crate) quick: bool,
    /// 10,000 idle streams instead of 2,000
    #[arg(long, conflicts_with = "quick")]
    pub(crate) full: bool,
    /// Leave the cores to the scheduler
    #[arg(long)]
    no_pin: bool,
    /// Where the figures go as JSON
    #[arg(long, value_name = "PATH")]
    pub(crate) json: Option<PathBuf>,
    /// Name the cases and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

impl Arguments {
    pub(crate) fn wants(&self, case: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|wanted| wanted == case)
    }

    /// The sides of this run that can be started here, the floor first.
    pub(crate) fn kinds(&self) -> Vec<Kind> {
        let wanted = |kind: &Kind| self.sides.is_empty() || self.sides.iter().any(|side| side == kind.name());
        let others = [Kind::Tollgate, Kind::Nginx, Kind::Haproxy].into_iter();
        [Kind::Floor].into_iter().chain(others.filter(wanted).filter(|kind| kind.is_here())).collect()
    }

    /// To be asked once, before any is applied: afterwards this process sees only its own cores.
    pub(crate) fn pins(&self) -> Pins {
        if self.no_pin { Pins::default() } else { Pins::halves() }
    }

    pub(crate) fn json(&self) -> PathBuf {
        self.json.clone().unwrap_or_else(|| {
            // Beside the directory for temporary files lies the one of the build.
            let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).parent();
            target.unwrap_or_else(|| ".".as_ref()).join("bench").join("gateway.json")
        })
    }

    /// Returns the number of idle streams.
    pub(crate) const fn idle_streams(&self) -> usize {
        match (self.quick, self.full) {
            (true, _) => 500,
            (_, true) => 10_000,
            (false, false) => 2_000,
        }
    }
}

fn known_case(name: &str) -> Result<String, String> {
    known(name, &cases::names())
}

fn known_side(name: &str) -> Result<String, String> {
    known(name, &["floor", "tollgate", "nginx", "haproxy"])
}

fn known(name: &str, names: &[&str]) -> Result<String, String> {
    if names.contains(&name) { Ok(name.to_owned()) } else { Err(format!("one of {}", names.join(", "))) }
}
