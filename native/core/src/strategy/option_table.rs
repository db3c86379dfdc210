//! The table of options: each with its name and its field of a specification.

use crate::compression::CompressionSpec;
use crate::spec::StrategySpec;

/// An option that some strategies have.
#[derive(Clone, Copy, Debug)]
pub(super) struct StrategyOption {
    /// The name in the document.
    pub(super) name: &'static str,
    is_given: fn(&StrategySpec) -> bool,
    clear: fn(&mut StrategySpec),
}

/// Builds the option of a field. It is given if the field is not absent, or by the last argument.
macro_rules! option {
    ($name:literal, $field:ident) => {
        option!($name, $field, |spec| spec.$field.is_some())
    };
    ($name:literal, $field:ident, $is_given:expr) => {
        StrategyOption { name: $name, is_given: $is_given, clear: |spec| spec.$field = None }
    };
}

pub(super) const WINDOW: StrategyOption = option!("window", window);
pub(super) const ALPHA: StrategyOption = option!("alpha", alpha);
pub(super) const RHO: StrategyOption = option!("rho", rho);
pub(super) const SCALE: StrategyOption = option!("scale", scale);
pub(super) const MOMENTUM: StrategyOption = option!("momentum", momentum);
pub(super) const GAMMA: StrategyOption = option!("gamma", gamma);
pub(super) const OUTER_LEARNING_RATE: StrategyOption =
    option!("outerLearningRate", outer_learning_rate);
pub(super) const OUTER_MOMENTUM: StrategyOption = option!("outerMomentum", outer_momentum);
pub(super) const SERVER_OPTIMIZER: StrategyOption = option!("serverOptimizer", server_optimizer);
pub(super) const OVERLAP: StrategyOption =
    option!("overlap", overlap, |spec| spec.overlap == Some(true));
pub(super) const COMPRESSION: StrategyOption = option!("compression", compression, |spec| {
    spec.compression.is_some_and(|spec| spec != CompressionSpec::None {})
});
pub(super) const COMPRESS_PULL: StrategyOption =
    option!("compressPull", compress_pull, |spec| spec.compress_pull == Some(true));

const ALL: [StrategyOption; 12] = [
    WINDOW,
    ALPHA,
    RHO,
    SCALE,
    MOMENTUM,
    GAMMA,
    OUTER_LEARNING_RATE,
    OUTER_MOMENTUM,
    SERVER_OPTIMIZER,
    OVERLAP,
    COMPRESSION,
    COMPRESS_PULL,
];

impl StrategyOption {
    /// Returns the options that a specification gives and `own` does not contain.
    pub(super) fn foreign(spec: &StrategySpec, own: &[Self]) -> impl Iterator<Item = Self> {
        ALL.into_iter().filter(move |option| {
            (option.is_given)(spec) && !own.iter().any(|own| own.name == option.name)
        })
    }

    /// Removes the option from a specification.
    pub(super) fn clear(self, spec: &mut StrategySpec) {
        (self.clear)(spec);
    }
}
