//! Cores that do not fall asleep: [`Awake`].

use crate::{
    Result,
    machine::Pins,
    side::process::{Starting, found},
};

/// A loop on each core, which whatever else wants to run interrupts at once. They end with this.
///
/// An idle core halts, and a virtual one takes 50 to 300 us to come back. At some hundred requests a second that is most
/// of what a client waits for, and the sooner a side is done with one request, the deeper its core sleeps when the next
/// one comes: the slower side would look like the faster one.
#[derive(Debug)]
pub(crate) struct Awake {
    _loops: Vec<Starting>,
}

impl Awake {
    /// None where the machine has no `chrt`, or nothing is pinned.
    pub(crate) fn keep(pins: &Pins) -> Result<Option<Self>> {
        let lists = [&pins.side, &pins.load];
        if found("chrt").is_none() || lists.iter().any(|list| list.is_none()) {
            return Ok(None);
        }
        let program = std::env::current_exe()?.display().to_string();
        let command = ["chrt", "--idle", "0", &*program, crate::ROLE, "awake"];
        let cores = lists.into_iter().flatten().flat_map(|list| list.split(','));
        let loops = cores.map(|core| Starting::new(&command, Some(core))).collect::<Result<_>>()?;
        Ok(Some(Self { _loops: loops }))
    }
}
