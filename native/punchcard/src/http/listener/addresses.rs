//! The connections of each address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// The bits of an IPv6 address that are its network's: a machine has all addresses below them.
const NETWORK: u128 = !0 << 64;

/// The connections of each address, of which each may have the same number.
#[derive(Debug)]
pub(super) struct Addresses {
    most: u32,
    counts: Mutex<HashMap<IpAddr, u32>>,
}

/// A connection of an address, which counts until it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    addresses: Arc<Addresses>,
    address: IpAddr,
}

impl Addresses {
    pub(super) fn new(most: u32) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// Counts a connection; returns none if the address has as many as it may have.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Share> {
        let address = machine(address);
        let mut counts = self.counts.lock();
        let count = counts.entry(address).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Share { addresses: Arc::clone(self), address })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut counts = self.addresses.counts.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

/// Returns the address that all addresses of a machine have in common.
fn machine(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::Addresses;

    #[test]
    fn each_machine_has_a_number_of_connections() {
        let addresses = Arc::new(Addresses::new(2));
        let enter = |address: &str| addresses.enter(address.parse().expect("an address"));
        let first = enter("192.0.2.1").expect("a place");
        let _second = enter("::ffff:192.0.2.1").expect("a place");
        assert!(enter("192.0.2.1").is_none());
        enter("192.0.2.2").expect("a place of another machine");
        drop(first);
        enter("192.0.2.1").expect("a place instead of the first");
        let _places = ["2001:db8::1", "2001:db8::2"].map(|one| enter(one).expect("a place"));
        assert!(enter("2001:db8::3").is_none());
        enter("2001:db8:0:1::1").expect("a place of another network");
    }

    #[test]
    fn addresses_without_connections_are_forgotten() {
        let addresses = Arc::new(Addresses::new(1));
        drop(addresses.enter("192.0.2.1".parse().expect("an address")));
        assert!(addresses.counts.lock().is_empty());
    }
}
