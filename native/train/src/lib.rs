//! Neural networks over flat buffers, trained and asked for predictions with libtorch.
//!
//! A [`NetworkDocument`](firesteel_core::spec::NetworkDocument) becomes a graph of layers or a TorchScript module whose shapes
//! are known ([`inspect()`]), its parameters one flat buffer ([`initialise()`]), and this a network that trains
//! ([`TaskTrainer`]) or predicts ([`Predictor`]).
//!
//! Everything that computes runs on the calling thread, with denormals flushed and libtorch's threads set for the length of
//! the call.

mod definition;
pub mod error;
mod graph;
mod initialise;
mod input_column;
pub mod inspect;
mod loss;
mod network;
mod predictor;
mod random;
mod raw;
mod script;
mod task;
mod torch;
mod weights;

pub use error::TrainError;
pub use initialise::{initialise, layout};
pub use inspect::{Inspection, inspect};
pub use loss::check_losses;
pub use network::DeadUnits;
pub use predictor::{LoadedWeights, Predictor};
pub use task::{
    Connect, Learning, OutputSample, Sample, Seconds, TaskReport, TaskTrainer, WorkerReport,
};
pub use weights::{
    Weights, check_weights, members_from_bytes, members_to_bytes, weights_from_bytes,
    weights_to_bytes, zero_weights,
};
