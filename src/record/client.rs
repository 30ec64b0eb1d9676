//! The address of a client behind proxies: [`TrustedProxies`].

use std::net::IpAddr;

use http::{HeaderMap, HeaderName};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The networks of the proxies that are believed when they report the address of a client.
#[derive(Clone, Debug, Default)]
pub(crate) struct TrustedProxies(Vec<Network>);

/// A network: an address, and the number of bits that all its addresses share.
#[derive(Clone, Copy, Debug)]
struct Network {
    address: IpAddr,
    bits: u8,
}

impl TrustedProxies {
    /// Returns the networks of these addresses, each with the number of bits that count.
    pub(crate) fn new(networks: impl IntoIterator<Item = (IpAddr, u8)>) -> Self {
        Self(
            networks
                .into_iter()
                .map(|(address, bits)| Network { address: address.to_canonical(), bits })
                .collect(),
        )
    }

    /// Returns the address of the client. Each proxy adds the address of its own client at the end of `X-Forwarded-For`;
    /// the last one that is not a trusted proxy is the client, as anything before it may be invented.
    pub(super) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let mut client = peer.to_canonical();
        let values: Vec<_> =
            headers.get_all(FORWARDED_FOR).iter().filter_map(|value| value.to_str().ok()).collect();
        let mut reported = values.iter().rev().flat_map(|value| value.rsplit(','));
        while self.contains(client) {
            match reported.next().and_then(address) {
                Some(address) => client = address,
                None => break,
            }
        }
        client
    }

    fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        let shift = |all: u32| all.saturating_sub(self.bits.into());
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let different = u32::from(network) ^ u32::from(address);
                different.checked_shr(shift(32)).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let different = u128::from(network) ^ u128::from(address);
                different.checked_shr(shift(128)).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Reads an entry of `X-Forwarded-For`: an address, perhaps with a port.
fn address(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim();
    let with_port = || entry.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bare = entry.trim_matches(['[', ']']).parse().ok().or_else(with_port)?;
    Some(bare.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(networks: &[(&str, u8)], peer: &str, forwarded: &[&str]) -> String {
        let networks = networks.iter().map(|(address, bits)| (address.parse().unwrap(), *bits));
        let headers = forwarded.iter().map(|value| (FORWARDED_FOR, value.parse().unwrap())).collect();
        TrustedProxies::new(networks).client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_a_trusted_proxy() {
        let networks = [("10.0.0.0", 8), ("fd00::", 8), ("192.0.2.7", 32)];
        for (peer, forwarded, expected) in [
            ("10.1.2.3", &["203.0.113.9"][..], "203.0.113.9"),
            ("10.1.2.3", &["198.51.100.1, 203.0.113.9, 10.9.9.9"], "203.0.113.9"),
            ("10.1.2.3", &["198.51.100.1", "203.0.113.9:4711"], "203.0.113.9"),
            ("::ffff:10.1.2.3", &["[2001:db8::1]:443"], "2001:db8::1"),
            ("fd12::1", &["192.0.2.7"], "192.0.2.7"),
            ("10.1.2.3", &[], "10.1.2.3"),
            ("10.1.2.3", &["not an address"], "10.1.2.3"),
            ("203.0.113.9", &["198.51.100.1"], "203.0.113.9"),
            ("192.0.2.8", &["198.51.100.1"], "192.0.2.8"),
        ] {
            assert_eq!(client(&networks, peer, forwarded), expected, "{peer} {forwarded:?}");
        }
        assert_eq!(client(&[("0.0.0.0", 0)], "203.0.113.9", &["198.51.100.1"]), "198.51.100.1");
        assert_eq!(client(&[], "10.1.2.3", &["198.51.100.1"]), "10.1.2.3");
    }
}
