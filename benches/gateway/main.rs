//! What tollgate costs beside a bare hyper proxy: `cargo bench --bench gateway`.
//!
//! One program, several processes. It starts itself again as a scripted [upstream](role::upstream) and as the
//! [floor](role::floor), a reverse proxy with nothing in it but hyper; it starts tollgate with the owner's kind of configuration, and
//! nginx and HAProxy where the machine has them. Then it drives each in turn, round after round, checks every answer, and asks
//! the kernel what each process used. Sides run on one half of the cores, load and upstream on the other.
//!
//! ```text
//! cargo bench --bench gateway                                  some minutes
//! cargo bench --bench gateway -- --quick                       under two
//! cargo bench --bench gateway -- --case burst --case paced     only these; --list names them all
//! cargo bench --bench gateway -- --full                        with 10,000 idle streams
//! cargo bench --bench gateway -- --against PATH --case chat    beside another build of tollgate
//! ```
//!
//! **Read the ratios.** They are medians over rounds of side / floor of the same round, and repeat to a few percent where absolute
//! figures follow the mood of the machine; beside each stands the interval that holds the true median with 95 % confidence. CPU is user and system time of the measured process alone. Open-loop latencies count
//! from the moment at which a request was due. Figures of single rounds are in the JSON.
//!
//! To see what a change costs, build the commit before it, copy its program away, and give that to `--against`: both builds
//! are then driven as pairs, 30 rounds of each case that is wanted, and the ratio is this build / the other. Profile
//! `profiling` builds in a fifth of the time (`cargo bench --profile profiling`); both must have the same one. A program
//! beside itself differs by a percent or two: so does one whose functions lie elsewhere.
//!
//! Without `--bench`, which cargo gives to benches and not to tests, it is a smoke test of a fraction of a second.

mod account;
mod arguments;
mod cases;
mod load;
mod machine;
mod measure;
mod report;
mod role;
mod scenario;
mod side;
mod smoke;
#[path = "../tools.rs"]
mod tools;

use std::{process::ExitCode, time::SystemTime};

use clap::Parser;
use serde_json::json;
use tokio::time::Instant;

use self::arguments::Arguments;

type Result<T> = std::result::Result<T, tollgate_layers::BoxError>;

/// The first argument of this program when it plays a part for itself.
const ROLE: &str = "role";

fn main() -> ExitCode {
    let given: Vec<String> = std::env::args().skip(1).collect();
    let done = match given.split_first() {
        Some((first, role)) if first == ROLE => role::play(role).map(|()| true),
        _ if given.iter().any(|one| one == "--test") || !given.iter().any(|one| one == "--bench") => {
            alone(smoke::run()).map(|()| true)
        }
        _ => bench(&Arguments::parse()),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Returns true if all responses were good; a missed goal is not a failure.
fn bench(arguments: &Arguments) -> Result<bool> {
    if arguments.list {
        println!("{}", cases::names().join("\n"));
        return Ok(true);
    }
    let pins = arguments.pins();
    pins.apply();
    machine::raise_open_files();
    let start = Instant::now();
    let report = alone(cases::run(arguments, &pins));
    side::config::clean();
    let report = report?;
    println!("{}", report.table());
    let path = arguments.json();
    let about = json!({
        "measured_at": SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs(),
        "seconds": start.elapsed().as_secs(),
        "options": { "quick": arguments.quick, "full": arguments.full },
        "machine": machine::describe(&pins),
        "versions": machine::versions(),
    });
    report.write(&path, about)?;
    println!("{} s in all; figures of every round are in {}", start.elapsed().as_secs(), path.display());
    Ok(report.failures.is_empty())
}

/// Runs on one thread, as the load should, until done or interrupted; what was started is ended either way.
fn alone<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        tokio::select! {
            done = work => done,
            _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
        }
    })
}
