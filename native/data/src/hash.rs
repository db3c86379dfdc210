//! Hashes of row contents.

use xxhash_rust::xxh3::xxh3_64;

/// A bijection that spreads every bit over all bits (the finaliser of splitmix64).
pub(crate) fn mix(mut key: u64) -> u64 {
    key = (key ^ (key >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    key = (key ^ (key >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    key ^ (key >> 31)
}

/// Extends the hash of a row by its next value.
pub(crate) fn combine(hash: u64, value: u64) -> u64 {
    mix(hash.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(value))
}

/// Extends the hash of a row by its next bytes.
pub(crate) fn combine_bytes(hash: u64, bytes: &[u8]) -> u64 {
    combine(hash, xxh3_64(bytes))
}

/// Combines the hashes of rows into one that does not depend on their order.
pub(crate) fn content(rows: impl ExactSizeIterator<Item = u64>) -> u64 {
    let count = rows.len() as u64;
    mix(rows.fold(mix(count), |sum, key| sum.wrapping_add(mix(key))))
}
