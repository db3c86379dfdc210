//! The element-wise layers.

use super::arguments::Arguments;
use crate::error::TrainError;

pub(super) const LEAKY_ARGUMENTS: &[&str] = &["negative_slope", "inplace"];
pub(super) const ELU_ARGUMENTS: &[&str] = &["alpha", "inplace"];
pub(super) const GELU_ARGUMENTS: &[&str] = &["approximate"];

/// A function of one value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Elementwise {
    Relu,
    Relu6,
    LeakyRelu { slope: f64 },
    Elu { alpha: f64 },
    Selu,
    Gelu { approximate: &'static str },
    Silu,
    Mish,
    Tanh,
    Hardtanh,
    Sigmoid,
    LogSigmoid,
    Hardsigmoid,
    Hardswish,
    Softplus,
    Softsign,
}

impl Elementwise {
    /// Reads the function of a layer's type, if it is element-wise.
    pub(super) fn read(op: &str, arguments: &Arguments<'_>) -> Result<Option<Self>, TrainError> {
        let function = match op {
            "ReLU" => Self::Relu,
            "ReLU6" => Self::Relu6,
            "LeakyReLU" => Self::LeakyRelu {
                slope: arguments.number("negative_slope", 0.01, "a number", |_| true)?,
            },
            "ELU" => Self::Elu { alpha: arguments.number("alpha", 1.0, "a number", |_| true)? },
            "SELU" => Self::Selu,
            "GELU" => Self::Gelu { approximate: arguments.word("approximate", &["none", "tanh"])? },
            "SiLU" => Self::Silu,
            "Mish" => Self::Mish,
            "Tanh" => Self::Tanh,
            "Hardtanh" => Self::Hardtanh,
            "Sigmoid" => Self::Sigmoid,
            "LogSigmoid" => Self::LogSigmoid,
            "Hardsigmoid" => Self::Hardsigmoid,
            "Hardswish" => Self::Hardswish,
            "Softplus" => Self::Softplus,
            "Softsign" => Self::Softsign,
            _ => return Ok(None),
        };
        // Accepted for compatibility with PyTorch; nothing is ever written in place.
        arguments.flag("inplace", false)?;
        Ok(Some(function))
    }
}
