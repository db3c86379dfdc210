//! Adadelta.

use super::fused::{Method, Rule, mean_square, multiply_add};

/// Adadelta (Zeiler, 2012).
pub(super) struct Adadelta {
    pub rho: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// The constants of a step.
#[derive(Clone, Copy)]
pub(super) struct AdadeltaRule {
    rate: f32,
    rho: f32,
    complement: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl Method<2> for Adadelta {
    type Rule = AdadeltaRule;

    fn rule(&mut self, _step: u64, learning_rate: f64) -> AdadeltaRule {
        AdadeltaRule {
            rate: learning_rate as f32,
            rho: self.rho as f32,
            complement: (1.0 - self.rho) as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
        }
    }
}

/// The states are the means of squared gradients and of squared updates.
impl Rule<2> for AdadeltaRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [square, updates]: [f32; 2],
    ) -> (f32, [f32; 2]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let square = mean_square::<FMA>(square, gradient, self.rho, self.complement);
        let update = (updates + self.epsilon).sqrt() / (square + self.epsilon).sqrt() * gradient;
        let updates = mean_square::<FMA>(updates, update, self.rho, self.complement);
        (multiply_add::<FMA>(-self.rate, update, parameter), [square, updates])
    }
}
