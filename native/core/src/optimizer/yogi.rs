//! Yogi.

use super::fused::{Method, Rule, lerp, multiply_add};

/// Yogi (Zaheer et al., 2018) with Adam's bias correction: the mean of squares moves by no more than the new square, however
/// far off it is, so that a few large gradients do not raise the step at once when they have gone.
pub(super) struct Yogi {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
}

/// The constants of a step.
#[derive(Clone, Copy)]
pub(super) struct YogiRule {
    rate: f32,
    root: f32,
    epsilon: f32,
    weight_decay: f32,
    mean_weight: f32,
    square_weight: f32,
}

impl Method<2> for Yogi {
    type Rule = YogiRule;

    fn rule(&mut self, step: u64, learning_rate: f64) -> YogiRule {
        let step = step as f64;
        YogiRule {
            rate: (learning_rate / (1.0 - self.beta1.powf(step))) as f32,
            root: (1.0 - self.beta2.powf(step)).sqrt() as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
            mean_weight: (1.0 - self.beta1) as f32,
            square_weight: (1.0 - self.beta2) as f32,
        }
    }
}

/// The states are the means of gradient and squared gradient.
impl Rule<2> for YogiRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [mean, square]: [f32; 2],
    ) -> (f32, [f32; 2]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let mean = lerp::<FMA>(mean, gradient, self.mean_weight);
        let new = gradient * gradient;
        let towards = f32::from(i8::from(square > new) - i8::from(square < new));
        let square = square - self.square_weight * towards * new;
        let step = self.rate * mean / (square.sqrt() / self.root + self.epsilon);
        (parameter - step, [mean, square])
    }
}
