//! The handshake as the side that is connected to: who may speak.

use std::io::IoSlice;
use std::time::Duration;

use firesteel_core::Coded;

use crate::error::PsError;
use crate::net::{IoTimeouts, Link, LinkError, tls};
use crate::secret::{Role, Secret, Transcript, nonce};
use crate::wire::handshake::{
    CHALLENGE_LEN, Challenge, OPENING_LEN, PREAMBLE_LEN, Preamble, RESPONSE_LEN, Response,
};
use crate::wire::{PROTOCOL_VERSION, Reply};

/// How long a peer may take for each message of the handshake.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a refused peer gets to read why.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

const HANDSHAKE_TIMEOUTS: IoTimeouts = IoTimeouts { first: Some(HANDSHAKE), stall: HANDSHAKE };

/// Why a connection ends.
pub(crate) enum ConnectionError {
    /// The peer left, fell silent or may be anyone, or the server closes: nothing is said.
    Closed,
    /// The peer broke the rules, or the server cannot go on.
    Refused(PsError),
}

impl From<LinkError> for ConnectionError {
    fn from(_: LinkError) -> Self {
        Self::Closed
    }
}

impl From<PsError> for ConnectionError {
    fn from(error: PsError) -> Self {
        Self::Refused(error)
    }
}

/// Why a request is refused, as a reply. A server that closes says nothing: its peers see the connection end.
pub(crate) fn refusal(error: &PsError) -> Result<Reply, ConnectionError> {
    match error {
        PsError::Closed(_) => Err(ConnectionError::Closed),
        _ => Ok(Reply::Failure { code: error.code(), message: error.to_string() }),
    }
}

/// Who has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Worker,
    /// Of a shard: the fit's driver.
    Driver,
}

/// What a peer must know.
#[derive(Debug)]
pub(crate) struct Authenticator<'a> {
    pub(crate) fit: &'a str,
    /// The fit's secret, by which the server proves itself and workers do.
    pub(crate) secret: &'a Secret,
    /// What the driver proves itself with to a shard.
    pub(crate) driver: Option<&'a Secret>,
}

impl Authenticator<'_> {
    /// Refuses a peer of another version or without a secret; gives what it means to exchange. `sent` gets the bytes of
    /// every message that is sent.
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
            // A worker that speaks TLS learns from the answer that this server does not.
            Err(_) if tls::is_hello(&preamble) => None,
            Err(_) => return Err(ConnectionError::Closed),
        };
        let mut out = Vec::with_capacity(PREAMBLE_LEN + CHALLENGE_LEN);
        Preamble::OURS.encode(&mut out);
        if version != Some(PROTOCOL_VERSION) {
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
        let response = Response::decode(&response)?;
        let knows = |secret: &Secret| secret.verify(Role::Client, &transcript, &response.proof);
        if knows(self.secret)? {
            return Ok((response, Caller::Worker));
        }
        match self.driver {
            Some(driver) if knows(driver)? => Ok((response, Caller::Driver)),
            _ => Err(PsError::Authentication("the worker".to_owned()).into()),
        }
    }
}
