//! Tokens: their hashes, and the comparison.

use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// The SHA-256 of a token. Tokens of the server have 256 random bits, so that their hashes need no salt and no slow
/// function. The secrets that are imported are as strong as whoever made them chose.
#[derive(Clone, Copy, Debug)]
pub struct TokenHash([u8; 32]);

impl TokenHash {
    /// Hashes a token.
    #[must_use]
    pub fn of(token: &str) -> Self {
        Self(Sha256::digest(token.as_bytes()).into())
    }

    /// Returns the bytes.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the first eight bytes as a number, by which the database finds a token. Whoever measures the time of the
    /// search learns bits of the hash of a guess, not of a token.
    #[must_use]
    pub fn prefix(&self) -> i64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        i64::from_le_bytes([a, b, c, d, e, f, g, h])
    }

    /// Compares with stored bytes, in a time that does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, stored: &[u8]) -> bool {
        self.0[..].ct_eq(stored).into()
    }
}

#[cfg(test)]
mod tests {
    use super::TokenHash;

    #[test]
    fn a_hash_matches_its_own_bytes_alone() {
        let hash = TokenHash::of("fsp_a");
        assert!(hash.matches(hash.bytes()));
        assert!(!hash.matches(TokenHash::of("fsp_b").bytes()));
        assert!(!hash.matches(&hash.bytes()[..31]));
        assert!(!hash.matches(&[]));
    }
}
