//! Adamax.

use super::fused::{Method, Rule, lerp, multiply_add};

/// Adamax: Adam on the infinity norm (Kingma and Ba, 2015).
pub(super) struct Adamax {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// The constants of a step.
#[derive(Clone, Copy)]
pub(super) struct AdamaxRule {
    rate: f32,
    mean_weight: f32,
    beta2: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl Method<2> for Adamax {
    type Rule = AdamaxRule;

    fn rule(&mut self, step: u64, learning_rate: f64) -> AdamaxRule {
        AdamaxRule {
            rate: (learning_rate / (1.0 - self.beta1.powf(step as f64))) as f32,
            mean_weight: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
        }
    }
}

/// The states are the mean of gradients and their decayed largest magnitude.
impl Rule<2> for AdamaxRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [mean, norm]: [f32; 2],
    ) -> (f32, [f32; 2]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let mean = lerp::<FMA>(mean, gradient, self.mean_weight);
        let norm = (self.beta2 * norm).max(gradient.abs() + self.epsilon);
        (parameter - self.rate * mean / norm, [mean, norm])
    }
}
