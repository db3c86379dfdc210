//! The handshake messages of fixed size that precede the first frame.

use crate::error::PsError;
use crate::secret::{Nonce, PROOF_LEN, Proof};
use crate::wire::PROTOCOL_VERSION;

/// The authenticated peer of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Worker,
    /// The fit's driver, which only shards authenticate.
    Driver,
}

const MAGIC: [u8; 4] = *b"FSPS";

/// The bytes of a [`Preamble`].
pub(crate) const PREAMBLE_LEN: usize = 8;
/// The bytes that follow the client's preamble: its nonce.
pub(crate) const OPENING_LEN: usize = PROOF_LEN;
/// The bytes that follow the server's preamble.
pub(crate) const CHALLENGE_LEN: usize = 2 * PROOF_LEN;
/// The bytes of a [`Response`].
pub(crate) const RESPONSE_LEN: usize = PROOF_LEN + 16;

/// The first message of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Preamble {
    /// The sender's protocol version.
    pub(crate) version: u16,
}

impl Preamble {
    /// The preamble of this library.
    pub(crate) const OURS: Self = Self { version: PROTOCOL_VERSION };

    /// Appends the encoded preamble.
    pub(crate) fn encode(self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&self.version.to_le_bytes());
        out.extend_from_slice(&[0; 2]);
    }

    /// Decodes the peer's preamble.
    pub(crate) fn decode(bytes: &[u8; PREAMBLE_LEN]) -> Result<Self, PsError> {
        match *bytes {
            [m0, m1, m2, m3, v0, v1, 0, 0] if [m0, m1, m2, m3] == MAGIC => {
                Ok(Self { version: u16::from_le_bytes([v0, v1]) })
            }
            _ => Err(PsError::Protocol(
                "the peer is not a Firesteel parameter server or worker".to_owned(),
            )),
        }
    }

    /// Fails if the peer has another version than this library.
    pub(crate) fn check(self) -> Result<(), PsError> {
        if self.version == PROTOCOL_VERSION {
            Ok(())
        } else {
            Err(PsError::Protocol(format!(
                "the peer has version {} of the protocol, this library has version {PROTOCOL_VERSION}: \
                 driver and executors must run the same version of Firesteel",
                self.version
            )))
        }
    }
}

/// The server's nonce and its proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Challenge {
    /// The server's nonce.
    pub(crate) nonce: Nonce,
    /// The server's proof.
    pub(crate) proof: Proof,
}

impl Challenge {
    /// Appends the encoded challenge.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.nonce);
        out.extend_from_slice(&self.proof);
    }

    /// Decodes a challenge.
    pub(crate) fn decode(bytes: &[u8; CHALLENGE_LEN]) -> Self {
        let mut challenge = Self { nonce: [0; PROOF_LEN], proof: [0; PROOF_LEN] };
        let (nonce, proof) = bytes.split_at(PROOF_LEN);
        challenge.nonce.copy_from_slice(nonce);
        challenge.proof.copy_from_slice(proof);
        challenge
    }
}

/// The client's proof, and the layout that the client exchanges, which is checked only after the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Response {
    /// The client's proof.
    pub(crate) proof: Proof,
    /// The layout's hash.
    pub(crate) layout_hash: u64,
    /// The number of trained parameters.
    pub(crate) parameters: u64,
}

impl Response {
    /// Appends the encoded response.
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.proof);
        out.extend_from_slice(&self.layout_hash.to_le_bytes());
        out.extend_from_slice(&self.parameters.to_le_bytes());
    }

    /// Decodes a response.
    pub(crate) fn decode(bytes: &[u8; RESPONSE_LEN]) -> Self {
        let (mut proof, mut layout_hash, mut parameters) = ([0; PROOF_LEN], [0; 8], [0; 8]);
        let (mac, rest) = bytes.split_at(PROOF_LEN);
        let (hash, count) = rest.split_at(layout_hash.len());
        proof.copy_from_slice(mac);
        layout_hash.copy_from_slice(hash);
        parameters.copy_from_slice(count);
        Self {
            proof,
            layout_hash: u64::from_le_bytes(layout_hash),
            parameters: u64::from_le_bytes(parameters),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_foreign_magic_and_another_version_are_told_apart() {
        let mut bytes = Vec::new();
        Preamble { version: PROTOCOL_VERSION + 1 }.encode(&mut bytes);
        let mut bytes: [u8; PREAMBLE_LEN] = bytes.try_into().unwrap();
        let error = Preamble::decode(&bytes).unwrap().check().unwrap_err();
        let text = format!("the peer has version {}", PROTOCOL_VERSION + 1);
        assert!(error.to_string().contains(&text), "{error}");
        bytes[0] = b'G';
        let error = Preamble::decode(&bytes).unwrap_err();
        assert!(error.to_string().contains("not a Firesteel"), "{error}");
    }

    proptest! {
        #[test]
        fn a_challenge_and_a_response_come_back_as_they_were(
            nonce: [u8; 32], proof: [u8; 32], layout_hash: u64, parameters: u64,
        ) {
            let (challenge, response) = (Challenge { nonce, proof }, Response { proof, layout_hash, parameters });
            let mut bytes = Vec::new();
            challenge.encode(&mut bytes);
            prop_assert_eq!(Challenge::decode(bytes.as_slice().try_into().unwrap()), challenge);
            bytes.clear();
            response.encode(&mut bytes);
            prop_assert_eq!(Response::decode(bytes.as_slice().try_into().unwrap()), response);
        }
    }
}
