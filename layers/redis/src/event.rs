//! Events as text in the stream.

use std::time::Duration;

use tollgate_layers::ledger::{Event, EventId, LimitKey, ListenRequest, ListenResponse, ReplicaId};

use crate::script::millis;

/// Returns the text of an event: its kind, its numbers, and the key, which may contain spaces.
pub(crate) fn encode(event: &Event) -> String {
    match event {
        Event::ServerHold { key, remaining } => format!("hold {} {key}", millis(*remaining)),
        Event::CoolingDown { key, remaining, doublings } => {
            format!("cooldown {} {doublings} {key}", millis(*remaining))
        }
        Event::Recovered { key } => format!("recovered {key}"),
        Event::Outcomes { key, successes, failures } => format!("outcomes {successes} {failures} {key}"),
        Event::SyncDue { key } => format!("sync {key}"),
    }
}

/// Returns the event of a text; `None` for one that a later version has sent.
fn decode(text: &str) -> Option<Event> {
    let (kind, rest) = text.split_once(' ')?;
    let key = |text: &str| LimitKey::from(text);
    Some(match kind {
        "hold" => {
            let (remaining, rest) = number(rest)?;
            Event::ServerHold { key: key(rest), remaining: Duration::from_millis(remaining) }
        }
        "cooldown" => {
            let (remaining, rest) = number(rest)?;
            let (doublings, rest) = number(rest)?;
            let remaining = Duration::from_millis(remaining);
            Event::CoolingDown { key: key(rest), remaining, doublings }
        }
        "recovered" => Event::Recovered { key: key(rest) },
        "outcomes" => {
            let (successes, rest) = number(rest)?;
            let (failures, rest) = number(rest)?;
            Event::Outcomes { key: key(rest), successes, failures }
        }
        "sync" => Event::SyncDue { key: key(rest) },
        _ => return None,
    })
}

/// An entry of the stream: its id, and its fields and their values in turn.
pub(crate) type Entry = (String, Vec<String>);

/// Returns the response of entries that were read at a time of the server's clock: those for the replica that have not
/// expired.
pub(crate) fn read(request: &ListenRequest, now: u64, entries: Vec<Entry>) -> ListenResponse {
    let mut response = ListenResponse { events: Vec::new(), last: request.after };
    for (id, fields) in entries {
        let Some(id) = entry_id(&id) else { continue };
        response.last = id;
        if let [direction, ids, _, text] = &fields[..]
            && is_for(request.replica, direction, ids)
        {
            let age = Duration::from_millis(now.saturating_sub(id.millis()));
            response.events.extend(decode(text).and_then(|event| event.after(age)));
        }
    }
    response
}

fn entry_id(text: &str) -> Option<EventId> {
    let (millis, number) = text.split_once('-')?;
    Some(EventId::new(millis.parse().ok()?, number.parse().ok()?))
}

/// Returns true if the event is for the replica: `from` another one, or `to` this one among others.
fn is_for(replica: ReplicaId, direction: &str, ids: &str) -> bool {
    let mut ids = ids.split(',').map(str::parse::<u64>);
    let contained = ids.any(|id| id == Ok(replica.get()));
    if direction == "from" { !contained } else { contained }
}

fn number<N: std::str::FromStr>(text: &str) -> Option<(N, &str)> {
    let (number, rest) = text.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}
