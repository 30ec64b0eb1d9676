//! Resolves the settings of logs: `json_logs`, `set_verbose`, `trusted_proxies` and the callbacks.

use std::net::IpAddr;

use super::callbacks;
use crate::config::{
    LogSettings,
    error::DiagnosticSink,
    raw::RawConfig,
    read,
    yaml::{Node, Value},
};

pub(super) fn resolve(raw: &RawConfig<'_>, sink: &mut DiagnosticSink<'_>) -> LogSettings {
    let mut flag = |name| raw.read(name, sink, read::boolean).unwrap_or_default();
    let (json, verbose) = (flag("json_logs"), flag("set_verbose"));
    let trusted_proxies = raw.read("trusted_proxies", sink, networks).unwrap_or_default();
    LogSettings { json, verbose, trusted_proxies, collectors: callbacks::resolve(raw, sink) }
}

fn networks(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<Vec<(IpAddr, u8)>> {
    let list = read::list(node, sink)?;
    Some(list.iter().filter_map(|node| network(node, sink)).collect())
}

/// Reads an address, or a network as `ADDRESS/BITS`.
fn network(node: &Node, sink: &mut DiagnosticSink<'_>) -> Option<(IpAddr, u8)> {
    let parse = |text: &str| {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().ok()?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(all), |bits| bits.trim().parse().ok().filter(|bits| *bits <= all))?;
        Some((address, bits))
    };
    match &node.value {
        Value::Text(text) => parse(text).or_else(|| read::invalid(node, MUST, sink)),
        _ => read::invalid(node, MUST, sink),
    }
}

const MUST: &str = "a string with an address or a network, such as `10.0.0.0/8`";
