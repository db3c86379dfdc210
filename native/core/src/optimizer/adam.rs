//! Adam and AdamW.

use super::fused::{Method, Rule, lerp, mean_square, multiply_add};

/// Adam (Kingma and Ba, 2015), with AMSGrad (Reddi et al., 2018) as its variant of three states. Weight decay is an L2 term
/// of the gradient, or decoupled from it (AdamW; Loshchilov and Hutter, 2019).
pub(super) struct Adam {
    pub beta1: f64,
    pub beta2: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    pub decoupled: bool,
}

/// The constants of a step.
#[derive(Clone, Copy)]
pub(super) struct AdamRule {
    rate: f32,
    root: f32,
    epsilon: f32,
    weight_decay: f32,
    shrink: f32,
    mean_weight: f32,
    beta2: f32,
    square_weight: f32,
}

impl<const STATES: usize> Method<STATES> for Adam
where
    AdamRule: Rule<STATES>,
{
    type Rule = AdamRule;

    fn rule(&mut self, step: u64, learning_rate: f64) -> AdamRule {
        let step = step as f64;
        let decoupled = if self.decoupled { learning_rate * self.weight_decay } else { 0.0 };
        AdamRule {
            rate: (learning_rate / (1.0 - self.beta1.powf(step))) as f32,
            root: (1.0 - self.beta2.powf(step)).sqrt() as f32,
            epsilon: self.epsilon as f32,
            weight_decay: if self.decoupled { 0.0 } else { self.weight_decay as f32 },
            shrink: (1.0 - decoupled) as f32,
            mean_weight: (1.0 - self.beta1) as f32,
            beta2: self.beta2 as f32,
            square_weight: (1.0 - self.beta2) as f32,
        }
    }
}

impl AdamRule {
    /// The shrunk parameter and both moments after the gradient.
    #[inline(always)]
    fn moments<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        mean: f32,
        square: f32,
    ) -> (f32, f32, f32) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let mean = lerp::<FMA>(mean, gradient, self.mean_weight);
        let square = mean_square::<FMA>(square, gradient, self.beta2, self.square_weight);
        (parameter * self.shrink, mean, square)
    }

    #[inline(always)]
    fn moved(self, parameter: f32, mean: f32, square: f32) -> f32 {
        parameter - self.rate * mean / (square.sqrt() / self.root + self.epsilon)
    }
}

/// The states are the means of gradient and squared gradient.
impl Rule<2> for AdamRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [mean, square]: [f32; 2],
    ) -> (f32, [f32; 2]) {
        let (parameter, mean, square) = self.moments::<FMA>(parameter, gradient, mean, square);
        (self.moved(parameter, mean, square), [mean, square])
    }
}

/// AMSGrad; the third state is the largest mean of squares so far.
impl Rule<3> for AdamRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [mean, square, largest]: [f32; 3],
    ) -> (f32, [f32; 3]) {
        let (parameter, mean, square) = self.moments::<FMA>(parameter, gradient, mean, square);
        let largest = largest.max(square);
        (self.moved(parameter, mean, largest), [mean, square, largest])
    }
}
