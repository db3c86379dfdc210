//! NAdam.

use super::fused::{Method, Rule, lerp, mean_square, multiply_add};

/// NAdam: Adam with Nesterov's momentum (Dozat, 2016).
pub(super) struct NAdam {
    beta1: f64,
    beta2: f64,
    epsilon: f64,
    weight_decay: f64,
    momentum_decay: f64,
    /// The product of all steps' momenta, an f32 in PyTorch.
    momenta: f32,
}

impl NAdam {
    /// The method before its first step.
    pub(super) fn new(
        beta1: f64,
        beta2: f64,
        epsilon: f64,
        weight_decay: f64,
        momentum_decay: f64,
    ) -> Self {
        Self { beta1, beta2, epsilon, weight_decay, momentum_decay, momenta: 1.0 }
    }

    /// The momentum of a step, which rises from half of beta1 towards it.
    fn momentum(&self, step: f64) -> f64 {
        self.beta1 * (1.0 - 0.5 * 0.96_f64.powf(step * self.momentum_decay))
    }
}

/// The constants of a step.
#[derive(Clone, Copy)]
pub(super) struct NAdamRule {
    gradient_rate: f32,
    mean_rate: f32,
    mean_weight: f32,
    beta2: f32,
    square_weight: f32,
    correction: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl Method<2> for NAdam {
    type Rule = NAdamRule;

    fn carried(&self) -> Option<f32> {
        Some(self.momenta)
    }

    fn carry(&mut self, carried: f32) {
        self.momenta = carried;
    }

    fn rule(&mut self, step: u64, learning_rate: f64) -> NAdamRule {
        if step == 1 {
            self.momenta = 1.0;
        }
        let step = step as f64;
        let (momentum, next) = (self.momentum(step), self.momentum(step + 1.0));
        self.momenta *= momentum as f32;
        let momenta = f64::from(self.momenta);
        NAdamRule {
            gradient_rate: (learning_rate * (1.0 - momentum) / (1.0 - momenta)) as f32,
            mean_rate: (learning_rate * next / (1.0 - momenta * next)) as f32,
            mean_weight: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            square_weight: (1.0 - self.beta2) as f32,
            correction: (1.0 - self.beta2.powf(step)) as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
        }
    }
}

/// The states are the means of gradient and squared gradient.
impl Rule<2> for NAdamRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [mean, square]: [f32; 2],
    ) -> (f32, [f32; 2]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let mean = lerp::<FMA>(mean, gradient, self.mean_weight);
        let square = mean_square::<FMA>(square, gradient, self.beta2, self.square_weight);
        let denominator = (square / self.correction).sqrt() + self.epsilon;
        let parameter = parameter - self.gradient_rate * gradient / denominator;
        (parameter - self.mean_rate * mean / denominator, [mean, square])
    }
}
