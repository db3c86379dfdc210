//! The handshake as the side that is connected to: who may speak.

use std::io::IoSlice;
use std::time::Duration;

use firesteel_core::Coded;

use crate::error::PsError;
use crate::link::{Link, LinkError, Patience};
use crate::secret::{Role, Secret, Transcript, nonce};
use crate::tls;
use crate::wire::handshake::{
    CHALLENGE_LEN, Challenge, OPENING_LEN, PREAMBLE_LEN, Preamble, RESPONSE_LEN, Response,
};
use crate::wire::{PROTOCOL_VERSION, Reply};

/// How long a peer may take for each message of the handshake.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(10);

/// How long a refused peer gets to read why.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

const IN_HANDSHAKE: Patience = Patience { first: Some(HANDSHAKE), stall: HANDSHAKE };

/// Why a connection ends.
pub(crate) enum End {
    /// The peer left, fell silent or may be anyone, or the server closes: nothing is said.
    Silent,
    /// The peer broke the rules, or the server cannot go on.
    Error(PsError),
}

impl From<LinkError> for End {
    fn from(_: LinkError) -> Self {
        Self::Silent
    }
}

impl From<PsError> for End {
    fn from(error: PsError) -> Self {
        Self::Error(error)
    }
}

/// Why a request is refused, as a reply. A server that closes says nothing: its peers see the connection end.
pub(crate) fn refusal(error: &PsError) -> Result<Reply, End> {
    match error {
        PsError::Closed(_) => Err(End::Silent),
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
pub(crate) struct Gate<'a> {
    pub(crate) fit: &'a str,
    /// The fit's secret, by which the server proves itself and workers do.
    pub(crate) secret: &'a Secret,
    /// What the driver proves itself with to a shard.
    pub(crate) driver: Option<&'a Secret>,
}

impl Gate<'_> {
    /// Refuses a peer of another version or without a secret; gives what it means to exchange. `sent` gets the bytes of
    /// every message that is sent.
    pub(crate) fn greet(
        &self,
        link: &mut Link,
        sent: &mut dyn FnMut(u64),
    ) -> Result<(Response, Caller), End> {
        let mut write = |link: &mut Link, bytes: &[u8]| -> Result<(), LinkError> {
            link.write_all(&mut [IoSlice::new(bytes)], HANDSHAKE)?;
            sent(bytes.len() as u64);
            Ok(())
        };
        let mut preamble = [0; PREAMBLE_LEN];
        link.read_exact(&mut preamble, IN_HANDSHAKE)?;
        let version = match Preamble::decode(&preamble) {
            Ok(preamble) => Some(preamble.version),
            // A worker that speaks TLS learns from the answer that this server does not.
            Err(_) if tls::is_hello(&preamble) => None,
            Err(_) => return Err(End::Silent),
        };
        let mut out = Vec::with_capacity(PREAMBLE_LEN + CHALLENGE_LEN);
        Preamble::OURS.encode(&mut out);
        if version != Some(PROTOCOL_VERSION) {
            write(link, &out)?;
            link.linger(LINGER);
            return Err(End::Silent);
        }
        let mut client = [0; OPENING_LEN];
        link.read_exact(&mut client, IN_HANDSHAKE)?;
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
        link.read_exact(&mut response, IN_HANDSHAKE)?;
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
