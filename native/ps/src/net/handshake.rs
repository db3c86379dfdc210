//! The server's side of the handshake: authentication of the peer.

use std::io::IoSlice;
use std::time::Duration;

use crate::error::PsError;
use crate::net::{ConnectionError, IoTimeouts, Link, LinkError, tls};
use crate::secret::{Role, Secret, Transcript, nonce};
use crate::wire::PROTOCOL_VERSION;
use crate::wire::handshake::{
    CHALLENGE_LEN, Caller, Challenge, OPENING_LEN, PREAMBLE_LEN, Preamble, RESPONSE_LEN, Response,
};

/// The time limit of each message of the handshake.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// The time that a refused peer has to read the reason.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

const HANDSHAKE_TIMEOUTS: IoTimeouts = IoTimeouts { first: Some(HANDSHAKE), stall: HANDSHAKE };

/// The credentials that a server expects.
#[derive(Debug)]
pub(crate) struct Authenticator<'a> {
    pub(crate) fit: &'a str,
    /// The fit's secret, by which server and workers authenticate themselves.
    pub(crate) secret: &'a Secret,
    /// The secret by which the driver authenticates itself to a shard.
    pub(crate) driver: Option<&'a Secret>,
}

impl Authenticator<'_> {
    /// Runs the handshake. Refuses a peer of another version or without a secret, and returns the peer's response.
    /// `sent` is called with the length of every message that is sent.
    pub(crate) fn accept(
        &self,
        link: &mut Link,
        sent: &mut dyn FnMut(u64),
    ) -> Result<(Response, Caller), ConnectionError> {
        let mut write = |link: &mut Link, bytes: &[u8]| -> Result<(), LinkError> {
            link.write_all(&mut [IoSlice::new(bytes)], HANDSHAKE)?;
            sent(bytes.len() as u64);
            Ok(())
        };
        let mut preamble = [0; PREAMBLE_LEN];
        link.read_exact(&mut preamble, HANDSHAKE_TIMEOUTS)?;
        let version = match Preamble::decode(&preamble) {
            Ok(preamble) => Some(preamble.version),
            // A worker that uses TLS learns from the answer that this server does not.
            Err(_) if tls::is_hello(&preamble) => None,
            Err(error) => {
                tracing::debug!("closed the connection of {}: {error}", link.peer());
                return Err(ConnectionError::Closed);
            }
        };
        let mut out = Vec::with_capacity(PREAMBLE_LEN + CHALLENGE_LEN);
        Preamble::OURS.encode(&mut out);
        if version != Some(PROTOCOL_VERSION) {
            tracing::debug!(
                version,
                "closed the connection of {}, which has another version of the protocol or uses TLS",
                link.peer()
            );
            write(link, &out)?;
            link.linger(LINGER);
            return Err(ConnectionError::Closed);
        }
        let mut client = [0; OPENING_LEN];
        link.read_exact(&mut client, HANDSHAKE_TIMEOUTS)?;
        let server = nonce()?;
        let transcript = Transcript {
            version: PROTOCOL_VERSION,
            fit: self.fit,
            client: &client,
            server: &server,
        };
        let proof = self.secret.prove(Role::Server, &transcript)?;
        Challenge { nonce: server, proof }.encode(&mut out);
        write(link, &out)?;

        let mut response = [0; RESPONSE_LEN];
        link.read_exact(&mut response, HANDSHAKE_TIMEOUTS)?;
        let response = Response::decode(&response);
        let knows = |secret: &Secret| secret.verify(Role::Client, &transcript, &response.proof);
        if knows(self.secret)? {
            return Ok((response, Caller::Worker));
        }
        match self.driver {
            Some(driver) if knows(driver)? => Ok((response, Caller::Driver)),
            _ => {
                tracing::debug!("{} does not know the secret of the fit", link.peer());
                Err(PsError::Authentication("the worker".to_owned()).into())
            }
        }
    }
}
