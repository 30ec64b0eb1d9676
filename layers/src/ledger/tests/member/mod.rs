//! Members of one ledger, each with meters and a queue, in paused time.

mod cluster;
mod events;
mod faults;
mod limits;
mod reports;
mod shutdown;
