//! The options of strategies, checked one by one.

use std::num::NonZeroU32;

use super::delta::Delta;
use super::elastic::{Alpha, Elastic};
use crate::optimizer::CheckedOptimizer;
use crate::options::{OptionError, Range};
use crate::spec::{OptimizerSpec, StrategySpec};

/// The inputs from which a strategy is built.
pub(super) struct Options<'a> {
    pub(super) spec: &'a StrategySpec,
    /// The fit's optimizer, if it is known.
    pub(super) optimizer: Option<&'a OptimizerSpec>,
}

impl Options<'_> {
    /// Creates the error of an option that does not fit.
    pub(super) fn error(&self, option: &'static str, problem: impl Into<String>) -> OptionError {
        OptionError::new(option, problem).of("strategy", &self.spec.name)
    }

    /// The communication window, or the strategy's default.
    pub(super) fn window(&self, default: u32) -> Result<NonZeroU32, OptionError> {
        NonZeroU32::new(self.spec.window.unwrap_or(default))
            .ok_or_else(|| self.error("window", "must be at least 1"))
    }

    /// Returns true if exchanges overlap with training, which makes every commit a window later than it could be. Default:
    /// false.
    pub(super) fn overlap(&self) -> bool {
        self.spec.overlap.unwrap_or(false)
    }

    /// Returns a number above 0.
    pub(super) fn positive(
        &self,
        option: &'static str,
        given: Option<f64>,
        default: f64,
    ) -> Result<f64, OptionError> {
        self.number(option, given.unwrap_or(default), Range::POSITIVE_F32)
    }

    /// Returns a number in [0, 1).
    pub(super) fn below_one(
        &self,
        option: &'static str,
        given: Option<f64>,
        default: f64,
    ) -> Result<f64, OptionError> {
        self.number(option, given.unwrap_or(default), Range::BELOW_ONE)
    }

    fn number(&self, option: &str, value: f64, range: Range) -> Result<f64, OptionError> {
        range.check(option, value).map_err(|error| error.of("strategy", &self.spec.name))?;
        Ok(value)
    }

    /// Returns the factor of commits.
    pub(super) fn scale(&self) -> Result<f32, OptionError> {
        Ok(self.positive("scale", self.spec.scale, 1.0)? as f32)
    }

    /// Returns the options of the strategies that commit a displacement.
    pub(super) fn delta(&self, window: u32) -> Result<Delta, OptionError> {
        let optimizer = self
            .spec
            .server_optimizer
            .as_ref()
            .map(|spec| self.checked_optimizer(spec))
            .transpose()?;
        let scale = self.scale()?;
        Ok(Delta { window: self.window(window)?, overlap: self.overlap(), scale, optimizer })
    }

    fn checked_optimizer(&self, spec: &OptimizerSpec) -> Result<CheckedOptimizer, OptionError> {
        CheckedOptimizer::new(spec)
            .map_err(|error| self.error("serverOptimizer", format!("is invalid: {error}")))
    }

    /// Returns the options of the elastic strategies.
    pub(super) fn elastic(&self, window: u32) -> Result<Elastic, OptionError> {
        let alpha = match (self.spec.alpha, self.spec.rho) {
            (None, None) => Alpha::ByWorkers,
            (given @ Some(_), None) => Alpha::Fixed(self.positive("alpha", given, 0.0)?),
            (None, given @ Some(_)) => Alpha::ByRate(self.positive("rho", given, 0.0)?),
            (Some(_), Some(_)) => {
                return Err(self.error("rho", "excludes 'alpha'; give one of them"));
            }
        };
        let learning_rate = self.optimizer.map(OptimizerSpec::learning_rate);
        Ok(Elastic { window: self.window(window)?, overlap: self.overlap(), alpha, learning_rate })
    }

    /// The fit's learning rate, which the server needs if the moving rate depends on it.
    pub(super) fn learning_rate_of_rho(&self) -> Result<f64, OptionError> {
        match (self.optimizer, self.spec.rho) {
            (Some(optimizer), _) => Ok(optimizer.learning_rate()),
            (None, None) => Ok(0.0),
            (None, Some(_)) => Err(self.error("rho", "needs the fit's optimizer")),
        }
    }

    /// The optimizer that `sync` steps with on the server.
    pub(super) fn fits_optimizer(&self) -> Result<CheckedOptimizer, OptionError> {
        let spec = self.spec.server_optimizer.as_ref().or(self.optimizer);
        let spec = spec.ok_or_else(|| {
            self.error("serverOptimizer", "must be given, since the fit has no optimizer")
        })?;
        self.checked_optimizer(spec)
    }

    /// DiLoCo's outer optimizer: SGD with Nesterov's momentum.
    pub(super) fn outer(&self) -> Result<CheckedOptimizer, OptionError> {
        let learning_rate = self.spec.outer_learning_rate.unwrap_or(0.7);
        let momentum = self.below_one("outerMomentum", self.spec.outer_momentum, 0.9)?;
        let spec = OptimizerSpec::Sgd {
            learning_rate,
            momentum,
            dampening: 0.0,
            nesterov: momentum > 0.0,
            weight_decay: 0.0,
        };
        CheckedOptimizer::new(&spec).map_err(|error| self.error("outerLearningRate", error.problem))
    }
}
