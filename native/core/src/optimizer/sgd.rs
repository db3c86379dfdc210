//! Stochastic gradient descent.

use super::fused::{Method, Rule, multiply_add};

/// SGD with momentum, which is heavy-ball (Polyak, 1964) or Nesterov's (Sutskever et al., 2013); no state without it.
pub(super) struct Sgd {
    pub momentum: f64,
    pub dampening: f64,
    pub nesterov: bool,
    pub weight_decay: f64,
}

/// The constants of a step: velocity `v = keep v + take g`, then `x -= rate (gradient g + velocity v)`.
#[derive(Clone, Copy)]
pub(super) struct SgdRule {
    rate: f32,
    weight_decay: f32,
    keep: f32,
    take: f32,
    gradient: f32,
    velocity: f32,
}

impl<const STATES: usize> Method<STATES> for Sgd
where
    SgdRule: Rule<STATES>,
{
    type Rule = SgdRule;

    fn rule(&mut self, step: u64, learning_rate: f64) -> SgdRule {
        SgdRule {
            rate: learning_rate as f32,
            weight_decay: self.weight_decay as f32,
            keep: self.momentum as f32,
            // The first gradient is not dampened.
            take: if step == 1 { 1.0 } else { (1.0 - self.dampening) as f32 },
            gradient: if self.nesterov { 1.0 } else { 0.0 },
            velocity: if self.nesterov { self.momentum as f32 } else { 1.0 },
        }
    }

    fn ignores_zeros(&self) -> bool {
        self.momentum == 0.0 && self.weight_decay == 0.0
    }
}

/// Without momentum.
impl Rule<0> for SgdRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        state: [f32; 0],
    ) -> (f32, [f32; 0]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        (multiply_add::<FMA>(-self.rate, gradient, parameter), state)
    }
}

/// With momentum; the state is the velocity.
impl Rule<1> for SgdRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [velocity]: [f32; 1],
    ) -> (f32, [f32; 1]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let velocity = multiply_add::<FMA>(self.take, gradient, self.keep * velocity);
        let direction = multiply_add::<FMA>(self.velocity, velocity, self.gradient * gradient);
        (multiply_add::<FMA>(-self.rate, direction, parameter), [velocity])
    }
}
