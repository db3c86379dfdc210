//! Neural networks over flat buffers, trained and asked for predictions with libtorch.
//!
//! A [`NetworkSpec`](firesteel_core::spec::NetworkSpec) becomes a graph whose shapes are known (`inspect`), its parameters
//! one flat buffer (`initialise`), and the graph a network that trains (`Worker`) or predicts (`Predictor`).

pub mod error;
mod graph;
mod initialise;
mod inspect;
mod loss;
mod network;
mod random;
mod raw;
pub mod optimizer;

pub use error::TrainError;
pub use initialise::initialise;
pub use inspect::{Activation, InputInspection, Inspection, LayerInspection, OutputInspection, inspect};
pub use loss::check_loss;
