//! The errors of the parameter server and its clients.

use std::io;

use firesteel_core::OptionError;
use firesteel_core::compression::CompressionError;
use firesteel_core::{ChannelError, Coded, ErrorCode, WorkerId};

/// A failure of the server, of a client, or of one exchange between them.
#[derive(Debug, thiserror::Error)]
pub enum PsError {
    /// An invalid specification: the secret, the lengths, an address.
    #[error("parameter server: {0}")]
    Spec(String),
    /// An invalid option of the strategy or of the training controls.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A listening address that does not belong to this host.
    #[error("the parameter server cannot listen on {address}: {cause}")]
    Bind {
        /// The configured address.
        address: String,
        /// The operating system's error.
        cause: io::Error,
    },
    /// No port of the range is free.
    #[error(
        "the parameter server cannot listen on {address}: no free port in {ports}; the last one failed with: {cause}"
    )]
    Port {
        /// The configured address.
        address: String,
        /// The ports tried.
        ports: String,
        /// The operating system's error for the last port.
        cause: io::Error,
    },
    /// An operating system that refused a thread or random bytes.
    #[error("parameter server: {action}: {cause}")]
    System {
        /// The action that failed.
        action: &'static str,
        /// The operating system's error.
        cause: io::Error,
    },
    /// A server that could not be reached in time.
    #[error(
        "the parameter server at {server} did not answer for {seconds:.1} s; the last failure was: {cause}"
    )]
    Unreachable {
        /// Host and port.
        server: String,
        /// The time spent on the attempts.
        seconds: f64,
        /// The last failure.
        cause: String,
    },
    /// The server of this process has been closed.
    #[error("the parameter server of fit {0} has been closed")]
    Closed(String),
    /// A peer that did not prove knowledge of the secret.
    #[error("{0} did not prove that it knows the fit's secret")]
    Authentication(String),
    /// A certificate of the server or of the worker that is missing, or that the peer does not accept.
    #[error("TLS: {0}")]
    Certificate(String),
    /// A file of the TLS configuration that cannot be read.
    #[error("{key}: cannot read '{path}': {cause}")]
    PemFile {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// The operating system's error.
        cause: io::Error,
    },
    /// A file of the TLS configuration with unusable content.
    #[error("{key}: cannot use '{path}': {problem}")]
    Pem {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// The problem with the file.
        problem: String,
    },
    /// Bytes or messages that violate the protocol.
    #[error("parameter server protocol: {0}")]
    Protocol(String),
    /// A newer attempt holds the lease, or Spark reported this one ended.
    #[error("worker {worker}: attempt {attempt} no longer holds its lease: {reason}")]
    Fenced {
        /// The worker.
        worker: WorkerId,
        /// The attempt that is fenced.
        attempt: i64,
        /// The reason for the fencing.
        reason: String,
    },
    /// A commit or the center variable holds NaN or infinity.
    #[error("training diverged: {0}")]
    Diverged(String),
    /// A fit without a trained model.
    #[error("the model is not trained: {0}")]
    Untrained(String),
    /// The task was cancelled.
    #[error("cancelled during an exchange with the parameter server")]
    Cancelled,
    /// Bytes that are not a checkpoint, or the checkpoint of another fit.
    #[error("{0}")]
    Checkpoint(String),
    /// A violated invariant.
    #[error("parameter server: {0}")]
    Internal(String),
    /// An error that the peer reported, or with which a worker aborted the fit.
    #[error("{message}")]
    Reported {
        /// Its code.
        code: ErrorCode,
        /// Its text.
        message: String,
    },
}

impl Coded for PsError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Spec(_) | Self::Option(_) | Self::Pem { .. } => ErrorCode::InvalidSpec,
            Self::Port { .. } => ErrorCode::PortInUse,
            Self::Bind { .. } | Self::System { .. } | Self::PemFile { .. } => ErrorCode::Io,
            Self::Unreachable { .. } | Self::Closed(_) => ErrorCode::ServerUnreachable,
            Self::Authentication(_) | Self::Certificate(_) => ErrorCode::Authentication,
            Self::Protocol(_) => ErrorCode::Protocol,
            Self::Fenced { .. } => ErrorCode::Fenced,
            Self::Diverged(_) => ErrorCode::Diverged,
            Self::Untrained(_) => ErrorCode::Untrained,
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Checkpoint(_) => ErrorCode::Checkpoint,
            Self::Internal(_) => ErrorCode::Internal,
            Self::Reported { code, .. } => *code,
        }
    }
}

impl From<CompressionError> for PsError {
    fn from(error: CompressionError) -> Self {
        match error {
            CompressionError::Malformed { .. } => Self::Protocol(error.to_string()),
            CompressionError::Option(_) | CompressionError::TooLong { .. } => {
                Self::Spec(error.to_string())
            }
        }
    }
}

impl From<PsError> for ChannelError {
    fn from(error: PsError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
