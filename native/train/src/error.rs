//! The errors of checking, training and prediction.

use firesteel_core::OptionError;
use firesteel_core::{ChannelError, Coded, ErrorCode, WorkerId};
use firesteel_data::DataError;
use firesteel_script::ScriptError;
use ndarray::ShapeError;
use tch::TchError;

/// A failure of this crate.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A network, loss or optimizer that is unknown or does not fit.
    #[error("{0}")]
    InvalidSpec(String),
    /// An option of the strategy, of the training controls or of the optimizer that does not fit.
    #[error(transparent)]
    Option(#[from] OptionError),
    /// A layer that is unknown, has an argument that does not fit, or gets a shape that does not fit.
    #[error("layer '{layer}' ({op}): {problem}")]
    Layer {
        /// The layer's name.
        layer: String,
        /// Its type.
        op: String,
        /// The problem.
        problem: String,
    },
    /// The data cannot be read or holds a value that the network cannot take.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The loss, a parameter or a buffer became NaN or infinite.
    #[error(
        "worker {worker}: {what} in epoch {epoch}, mini-batch {batch}; lower the learning rate or scale the features"
    )]
    Diverged {
        /// The worker.
        worker: WorkerId,
        /// The value that diverged, such as `the loss became NaN`.
        what: String,
        /// The epoch, counted from 1.
        epoch: u32,
        /// The mini-batch within the epoch, counted from 1.
        batch: u32,
    },
    /// Weights that are not those of the network.
    #[error("{0}")]
    Weights(String),
    /// The parameter server refused or could not be reached.
    #[error(transparent)]
    Channel(#[from] ChannelError),
    /// The task was cancelled.
    #[error("training was cancelled")]
    Cancelled,
    /// A TorchScript module failed on a mini-batch.
    #[error("the TorchScript module failed on the data: {0}")]
    Script(String),
    /// libtorch failed.
    #[error("libtorch: {0}")]
    Libtorch(String),
    /// An invariant of this crate does not hold.
    #[error("{0}")]
    Internal(String),
}

impl Coded for TrainError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::InvalidSpec(_) | Self::Layer { .. } | Self::Option(_) => ErrorCode::InvalidSpec,
            Self::Data(error) => error.code(),
            Self::Weights(_) | Self::Script(_) => ErrorCode::InvalidData,
            Self::Diverged { .. } => ErrorCode::Diverged,
            Self::Channel(error) => error.code(),
            Self::Cancelled => ErrorCode::Cancelled,
            Self::Libtorch(_) => ErrorCode::Libtorch,
            Self::Internal(_) => ErrorCode::Internal,
        }
    }
}

impl From<TchError> for TrainError {
    /// Keeps the first line; the C++ frames below it go to the debug log.
    fn from(error: TchError) -> Self {
        let text = match error {
            TchError::Torch(text) => text,
            other => other.to_string(),
        };
        tracing::debug!(%text, "libtorch failed");
        Self::Libtorch(text.lines().next().unwrap_or_default().to_owned())
    }
}

impl From<ShapeError> for TrainError {
    fn from(error: ShapeError) -> Self {
        Self::Internal(error.to_string())
    }
}

impl From<ScriptError> for TrainError {
    fn from(error: ScriptError) -> Self {
        Self::Script(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use tch::Tensor;

    use super::*;

    #[test]
    fn a_failure_of_libtorch_shows_its_first_line_only() {
        let vector = Tensor::f_from_slice(&[1.0_f32, 2.0]).unwrap();
        let failure = vector.f_mm(&vector).unwrap_err();
        assert!(failure.to_string().lines().count() > 1, "the C++ frames: {failure}");
        let error = TrainError::from(failure);
        assert_eq!(error.code(), ErrorCode::Libtorch);
        assert_eq!(error.to_string(), "libtorch: self must be a matrix");
    }

    #[test]
    fn errors_of_other_crates_keep_their_code() {
        let channel = TrainError::from(ChannelError::new(ErrorCode::Fenced, "a newer attempt"));
        assert_eq!(
            (channel.code(), channel.to_string().as_str()),
            (ErrorCode::Fenced, "a newer attempt")
        );
        assert_eq!(TrainError::from(DataError::Cancelled).code(), ErrorCode::Cancelled);
    }
}
