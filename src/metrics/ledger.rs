//! The families about the ledger by which replicas share their limits.

use tollgate_layers::ledger::Member;

use super::text::{Kind, Writer};

/// Writes the families of a member.
pub(super) fn encode(member: &Member, writer: &mut Writer) {
    let snapshot = member.snapshot();
    let help = "1 if the last sync with the ledger of replicas succeeded.";
    writer.family("tollgate_ledger_up", Kind::Gauge, help).sample(&[], u8::from(snapshot.in_touch));
    let help = "Live replicas, at the last response of the ledger.";
    writer.family("tollgate_ledger_replicas", Kind::Gauge, help).sample(&[], snapshot.replicas);
    let help = "Time since the last response of the ledger.";
    let mut family = writer.family("tollgate_ledger_stale_seconds", Kind::Gauge, help);
    family.sample(&[], snapshot.stale.as_secs_f64());
    let help = "Syncs with the ledger, by result.";
    let mut family = writer.family("tollgate_ledger_syncs", Kind::Counter, help);
    for (result, count) in [("success", snapshot.syncs), ("failure", snapshot.failures)] {
        family.sample(&[("result", result)], count);
    }
    let help = "Duration of the last sync with the ledger. No request waits for one.";
    let mut family = writer.family("tollgate_ledger_sync_seconds", Kind::Gauge, help);
    family.sample(&[], snapshot.sync_time.as_secs_f64());
    let help = "1 if another replica has a smaller limit, which is in force.";
    let mut family = writer.family("tollgate_ledger_mismatch", Kind::Gauge, help);
    for limit in member.limits() {
        family.sample(&[("limit", limit.key.as_str())], u8::from(limit.in_force < limit.limit));
    }
}
