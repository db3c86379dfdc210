//! RMSprop.

use super::fused::{Method, Rule, lerp, mean_square, multiply_add};

/// RMSprop (Hinton, 2012), centered (Graves, 2013) or not, with or without momentum.
pub(super) struct RmsProp {
    pub alpha: f64,
    pub epsilon: f64,
    pub weight_decay: f64,
    pub momentum: f64,
}

/// The constants of a step.
#[derive(Clone, Copy)]
pub(super) struct RmsPropRule {
    rate: f32,
    alpha: f32,
    complement: f32,
    epsilon: f32,
    weight_decay: f32,
    momentum: f32,
}

impl<const STATES: usize> Method<STATES> for RmsProp
where
    RmsPropRule: Rule<STATES>,
{
    type Rule = RmsPropRule;

    fn rule(&mut self, _step: u64, learning_rate: f64) -> RmsPropRule {
        RmsPropRule {
            rate: learning_rate as f32,
            alpha: self.alpha as f32,
            complement: (1.0 - self.alpha) as f32,
            epsilon: self.epsilon as f32,
            weight_decay: self.weight_decay as f32,
            momentum: self.momentum as f32,
        }
    }
}

/// Neither centered nor with momentum; the state is the mean of squared gradients.
impl Rule<1> for RmsPropRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [square]: [f32; 1],
    ) -> (f32, [f32; 1]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let square = mean_square::<FMA>(square, gradient, self.alpha, self.complement);
        (parameter - self.rate * gradient / (square.sqrt() + self.epsilon), [square])
    }
}

/// With momentum; the second state is the velocity.
impl Rule<2> for RmsPropRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [square, velocity]: [f32; 2],
    ) -> (f32, [f32; 2]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let square = mean_square::<FMA>(square, gradient, self.alpha, self.complement);
        let velocity = self.momentum * velocity + gradient / (square.sqrt() + self.epsilon);
        (multiply_add::<FMA>(-self.rate, velocity, parameter), [square, velocity])
    }
}

/// Centered, with a momentum that may be 0; the third state is the mean gradient.
impl Rule<3> for RmsPropRule {
    #[inline(always)]
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        [square, velocity, mean]: [f32; 3],
    ) -> (f32, [f32; 3]) {
        let gradient = multiply_add::<FMA>(self.weight_decay, parameter, gradient);
        let square = mean_square::<FMA>(square, gradient, self.alpha, self.complement);
        let mean = lerp::<FMA>(mean, gradient, self.complement);
        let deviation = (multiply_add::<FMA>(-mean, mean, square)).sqrt();
        let velocity = self.momentum * velocity + gradient / (deviation + self.epsilon);
        (multiply_add::<FMA>(-self.rate, velocity, parameter), [square, velocity, mean])
    }
}
