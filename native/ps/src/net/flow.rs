//! The outcome of a request on the server's side of a connection.

use firesteel_core::Coded;

use crate::error::PsError;
use crate::net::LinkError;
use crate::wire::Reply;

/// The outcome of a request that succeeded.
pub(crate) enum Flow {
    /// This reply is to be sent.
    Reply(Reply),
    /// A reply of this number of bytes has been sent.
    Streamed(u64),
}

/// The failure of a request or of its connection.
pub(crate) enum ConnectionError {
    /// The request failed and has been read completely. A failure is sent, and the connection continues.
    Refused(PsError),
    /// The peer violated the protocol, or the server cannot continue. A failure is sent, and the connection ends.
    Fatal(PsError),
    /// The peer left, timed out or did not identify itself, or the server closes. The connection ends without a reply.
    Closed,
}

impl From<LinkError> for ConnectionError {
    fn from(_: LinkError) -> Self {
        Self::Closed
    }
}

impl From<PsError> for ConnectionError {
    fn from(error: PsError) -> Self {
        Self::Fatal(error)
    }
}

/// Logs a failed request and returns the reply. A closing server sends no reply: its peers see the connection end.
pub(crate) fn refusal(error: &PsError) -> Result<Reply, ConnectionError> {
    match error {
        PsError::Closed(_) => return Err(ConnectionError::Closed),
        PsError::Fenced { .. } => tracing::info!("refused: {error}"),
        _ => tracing::debug!("refused: {error}"),
    }
    Ok(Reply::Failure { code: error.code(), message: error.to_string() })
}
