//! Adagrad.

use super::fused::{Method, Rule, multiply_add};

/// Adagrad (Duchi et al., 2011).
pub(super) struct Adagrad {
    pub learning_rate_decay: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    pub initial_accumulator: f64,
}

/// The constants of a step.
#[derive(Clone, Copy)]
pub(super) struct AdagradRule {
    rate: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl Method<1> for Adagrad {
    type Rule = AdagradRule;

    fn rule(&mut self, step: u64, learning_rate: f64) -> AdagradRule {
        let decay = 1.0 + (step - 1) as f64 * self.learning_rate_decay;
        AdagradRule {
            rate: (learning_rate / decay) as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
        }
    }

    fn initial_state(&self) -> f32 {
        self.initial_accumulator as f32
    }

    fn ignores_zeros(&self) -> bool {
        // Without an epsilon, a parameter that never had a gradient becomes 0 / 0.
        self.weight_decay == 0.0 && self.epsilon as f32 > 0.0
    }
}

/// The state is the sum of squared gradients.
impl Rule<1> for AdagradRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [sum]: [f32; 1],
    ) -> (f32, [f32; 1]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let sum = multiply_add::<FMA>(gradient, gradient, sum);
        (parameter - self.rate * gradient / (sum.sqrt() + self.epsilon), [sum])
    }
}
