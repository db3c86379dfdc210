//! What can go wrong in the parameter server and its clients.

use std::io;

use firesteel_core::compression::CompressionError;
use firesteel_core::spec::ControlError;
use firesteel_core::strategy::StrategyError;
use firesteel_core::{ChannelError, Coded, ErrorCode, WorkerId};

/// A failure of the server, of a client or of one exchange between them.
#[derive(Debug, thiserror::Error)]
pub enum PsError {
    /// A document that does not fit: the secret, the lengths, an address.
    #[error("parameter server: {0}")]
    Spec(String),
    /// The strategy is unknown or its options do not fit.
    #[error(transparent)]
    Strategy(#[from] StrategyError),
    /// An option of the training controls that does not fit.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The address to listen on is not one of this host's.
    #[error("the parameter server cannot listen on {address}: {cause}")]
    Bind {
        /// The configured address.
        address: String,
        /// What the system says.
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
        /// What the system said of the last one.
        cause: io::Error,
    },
    /// The operating system refused a thread or random bytes.
    #[error("parameter server: {action}: {cause}")]
    System {
        /// What was attempted.
        action: &'static str,
        /// What the system says.
        cause: io::Error,
    },
    /// The server could not be reached in time.
    #[error(
        "the parameter server at {server} did not answer for {seconds:.1} s; the last failure was: {cause}"
    )]
    Unreachable {
        /// Host and port.
        server: String,
        /// How long it was tried.
        seconds: f64,
        /// The last failure.
        cause: String,
    },
    /// The server of this process has been closed.
    #[error("the parameter server of fit {0} has been closed")]
    Closed(String),
    /// The peer did not prove that it knows the secret.
    #[error("{0} did not prove that it knows the fit's secret")]
    Authentication(String),
    /// A certificate of the server or of the worker that the other does not accept, or misses.
    #[error("TLS: {0}")]
    Certificate(String),
    /// A file of the TLS configuration that cannot be read.
    #[error("{key}: cannot read '{path}': {cause}")]
    PemFile {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// What the system says.
        cause: io::Error,
    },
    /// A file of the TLS configuration that does not hold what it must.
    #[error("{key}: '{path}' is no use: {problem}")]
    Pem {
        /// The configuration key that names it.
        key: &'static str,
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Bytes or messages that break the protocol.
    #[error("parameter server protocol: {0}")]
    Protocol(String),
    /// A newer attempt holds the lease, or Spark reported this one ended.
    #[error("worker {worker}: attempt {attempt} no longer holds its lease: {reason}")]
    Fenced {
        /// The worker.
        worker: WorkerId,
        /// The attempt that is fenced.
        attempt: i64,
        /// Who fenced it.
        reason: String,
    },
    /// A commit or the center variable holds NaN or infinity.
    #[error("training diverged: {0}")]
    Diverged(String),
    /// There is no trained model to give.
    #[error("the model is not trained: {0}")]
    Untrained(String),
    /// The task was cancelled.
    #[error("cancelled while talking to the parameter server")]
    Cancelled,
    /// Bytes that are no checkpoint, or one of another fit.
    #[error("{0}")]
    Checkpoint(String),
    /// An invariant does not hold.
    #[error("parameter server: {0}")]
    Internal(String),
    /// What the other side reported, or what a worker aborted the fit with.
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
            Self::Spec(_) | Self::Strategy(_) | Self::Control(_) | Self::Pem { .. } => {
                ErrorCode::InvalidSpec
            }
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
            CompressionError::Option { .. } | CompressionError::TooLong { .. } => {
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
