//! Neural networks over flat buffers, trained and asked for predictions with libtorch.
//!
//! A [`NetworkSpec`](firesteel_core::spec::NetworkSpec) becomes a graph whose shapes are known (`inspect`), its parameters
//! one flat buffer (`initialise`), and the graph a network that trains (`Worker`) or predicts (`Predictor`).

pub mod error;
pub mod optimizer;

pub use error::TrainError;
