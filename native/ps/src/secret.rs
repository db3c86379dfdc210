//! The fit's secret, and the proofs by which two peers show each other that they know it.

use std::fmt;
use std::io;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::PsError;

/// The length of a nonce and of a proof in bytes.
pub(crate) const PROOF_LEN: usize = 32;

/// A number used once.
pub(crate) type Nonce = [u8; PROOF_LEN];

/// The HMAC-SHA256 of the transcript of a connection.
pub(crate) type Proof = [u8; PROOF_LEN];

/// The side that proves itself, so that a peer cannot be answered with its own proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// The server's side.
    Server,
    /// The worker's side.
    Client,
}

/// The 256-bit secret of one fit. It is never printed.
#[derive(Clone)]
pub(crate) struct Secret([u8; 32]);

impl Secret {
    /// Reads 64 hexadecimal digits.
    pub(crate) fn parse(text: &str) -> Result<Self, PsError> {
        let refused = || PsError::Spec("the secret must be 64 hexadecimal digits".to_owned());
        let digits = text.as_bytes();
        let mut bytes = [0_u8; 32];
        if digits.len() != 2 * bytes.len() {
            return Err(refused());
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = hex(pair[0])
                .zip(hex(pair[1]))
                .map(|(high, low)| high << 4 | low)
                .ok_or_else(refused)?;
        }
        Ok(Self(bytes))
    }

    /// Compares two secrets in constant time.
    pub(crate) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }

    /// Returns the proof of `role` for a connection.
    pub(crate) fn prove(&self, role: Role, transcript: &Transcript<'_>) -> Result<Proof, PsError> {
        Ok(self.mac(role, transcript)?.finalize().into_bytes().into())
    }

    /// Compares `proof` with the expected proof of `role` in constant time.
    pub(crate) fn verify(
        &self,
        role: Role,
        transcript: &Transcript<'_>,
        proof: &Proof,
    ) -> Result<bool, PsError> {
        Ok(self.mac(role, transcript)?.verify_slice(proof).is_ok())
    }

    fn mac(&self, role: Role, transcript: &Transcript<'_>) -> Result<Hmac<Sha256>, PsError> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).map_err(|_| {
            PsError::Internal("the secret is not a valid key for HMAC-SHA256".to_owned())
        })?;
        mac.update(match role {
            Role::Server => b"firesteel parameter server, server side",
            Role::Client => b"firesteel parameter server, client side",
        });
        mac.update(&transcript.version.to_le_bytes());
        mac.update(&(transcript.fit.len() as u64).to_le_bytes());
        mac.update(transcript.fit.as_bytes());
        mac.update(transcript.client);
        mac.update(transcript.server);
        Ok(mac)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// The data of a connection that both peers know and to which they bind their proofs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Transcript<'a> {
    /// The protocol version.
    pub(crate) version: u16,
    /// The fit's identity.
    pub(crate) fit: &'a str,
    /// The client's nonce.
    pub(crate) client: &'a Nonce,
    /// The server's nonce.
    pub(crate) server: &'a Nonce,
}

/// Returns a fresh nonce from the operating system.
pub(crate) fn nonce() -> Result<Nonce, PsError> {
    let mut nonce = [0; PROOF_LEN];
    getrandom::fill(&mut nonce).map_err(|error| PsError::System {
        action: "reading random bytes",
        cause: io::Error::other(error),
    })?;
    Ok(nonce)
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(digit: &str) -> Secret {
        Secret::parse(&digit.repeat(64)).unwrap()
    }

    #[test]
    fn a_proof_holds_only_for_its_role_secret_fit_version_and_nonces() {
        let (client, server) = ([1; 32], [2; 32]);
        let transcript = Transcript { version: 1, fit: "fit", client: &client, server: &server };
        let proof = secret("a").prove(Role::Client, &transcript).unwrap();
        let holds =
            |secret: &Secret, role, transcript| secret.verify(role, &transcript, &proof).unwrap();
        assert!(holds(&secret("a"), Role::Client, transcript));
        assert!(!holds(&secret("b"), Role::Client, transcript));
        assert!(!holds(&secret("a"), Role::Server, transcript));
        assert!(!holds(&secret("a"), Role::Client, Transcript { version: 2, ..transcript }));
        assert!(!holds(&secret("a"), Role::Client, Transcript { fit: "fi", ..transcript }));
        assert!(!holds(
            &secret("a"),
            Role::Client,
            Transcript { client: &server, server: &client, ..transcript }
        ));
    }

    #[test]
    fn a_secret_is_64_hexadecimal_digits_and_never_printed() {
        assert!(Secret::parse("").is_err());
        assert!(Secret::parse(&"a".repeat(63)).is_err());
        assert!(Secret::parse(&"g".repeat(64)).is_err());
        assert!(Secret::parse(&"é".repeat(32)).is_err());
        assert!(secret("A").matches(&secret("a")));
        assert!(!secret("a").matches(&secret("b")));
        assert_eq!(format!("{:?}", secret("a")), "Secret");
    }

    #[test]
    fn two_nonces_differ() {
        assert_ne!(nonce().unwrap(), nonce().unwrap());
    }
}
