//! The optimizers of workers and of the server: PyTorch's formulas, each as one pass over flat slices of parameters,
//! gradients and state.
//!
//! An optimizer is a [`Method`]: its hyperparameters, from which it makes the constants of a step, and the arithmetic of
//! one element as a [`Rule`]. [`Fused`] holds the state and runs the pass.

mod adadelta;
mod adagrad;
mod adam;
mod adamax;
mod fused;
mod nadam;
mod options;
mod rmsprop;
mod sgd;
mod yogi;

use crate::options::OptionError;
use crate::spec::OptimizerSpec;
use crate::state::{State, StateError};

use self::adadelta::Adadelta;
use self::adagrad::Adagrad;
use self::adam::Adam;
use self::adamax::Adamax;
use self::fused::{Fused, Method};
use self::nadam::NAdam;
use self::rmsprop::RmsProp;
use self::sgd::Sgd;
use self::yogi::Yogi;

/// A specification with checked options, from which any number of optimizers can be built.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CheckedOptimizer(OptimizerSpec);

impl CheckedOptimizer {
    /// Checks the options.
    ///
    /// # Errors
    /// As [`build`].
    pub fn new(spec: &OptimizerSpec) -> Result<Self, OptionError> {
        options::check(spec)?;
        Ok(Self(*spec))
    }

    /// The learning rate of the first step.
    #[must_use]
    pub fn learning_rate(&self) -> f64 {
        self.0.learning_rate()
    }

    /// An optimizer for a flat buffer of `parameters` elements.
    #[must_use]
    pub fn build(&self, parameters: usize) -> Box<dyn Optimizer> {
        match self.0 {
            OptimizerSpec::Sgd { learning_rate, momentum, dampening, nesterov, weight_decay } => {
                let method = Sgd { momentum, dampening, nesterov, weight_decay };
                if momentum == 0.0 {
                    fused::<_, 0>(method, learning_rate, parameters)
                } else {
                    fused::<_, 1>(method, learning_rate, parameters)
                }
            }
            OptimizerSpec::Adam { learning_rate, beta1, beta2, epsilon, weight_decay, amsgrad } => {
                let method = Adam { beta1, beta2, epsilon, weight_decay, decoupled: false };
                adam(method, amsgrad, learning_rate, parameters)
            }
            OptimizerSpec::AdamW {
                learning_rate,
                beta1,
                beta2,
                epsilon,
                weight_decay,
                amsgrad,
            } => {
                let method = Adam { beta1, beta2, epsilon, weight_decay, decoupled: true };
                adam(method, amsgrad, learning_rate, parameters)
            }
            OptimizerSpec::RmsProp {
                learning_rate,
                alpha,
                epsilon,
                weight_decay,
                momentum,
                centered,
            } => {
                let method = RmsProp { alpha, epsilon, weight_decay, momentum };
                if centered {
                    fused::<_, 3>(method, learning_rate, parameters)
                } else if momentum > 0.0 {
                    fused::<_, 2>(method, learning_rate, parameters)
                } else {
                    fused::<_, 1>(method, learning_rate, parameters)
                }
            }
            OptimizerSpec::Adagrad {
                learning_rate,
                learning_rate_decay,
                epsilon,
                weight_decay,
                initial_accumulator,
            } => {
                let method =
                    Adagrad { learning_rate_decay, epsilon, weight_decay, initial_accumulator };
                fused(method, learning_rate, parameters)
            }
            OptimizerSpec::Adadelta { learning_rate, rho, epsilon, weight_decay } => {
                fused(Adadelta { rho, epsilon, weight_decay }, learning_rate, parameters)
            }
            OptimizerSpec::Adamax { learning_rate, beta1, beta2, epsilon, weight_decay } => {
                fused(Adamax { beta1, beta2, epsilon, weight_decay }, learning_rate, parameters)
            }
            OptimizerSpec::NAdam {
                learning_rate,
                beta1,
                beta2,
                epsilon,
                weight_decay,
                momentum_decay,
            } => {
                let method = NAdam::new(beta1, beta2, epsilon, weight_decay, momentum_decay);
                fused(method, learning_rate, parameters)
            }
            OptimizerSpec::Yogi { learning_rate, beta1, beta2, epsilon, weight_decay } => {
                fused(Yogi { beta1, beta2, epsilon, weight_decay }, learning_rate, parameters)
            }
        }
    }
}

/// Updates a flat buffer of parameters by their gradients and keeps its state between steps.
pub trait Optimizer: Send {
    /// One step. Parameters and gradients lie in the same order and both have the length given to [`build`].
    ///
    /// # Panics
    /// When a length is another one.
    fn step(&mut self, parameters: &mut [f32], gradients: &[f32]);

    /// Begins a step that [`step_part`](Self::step_part) applies part by part, with the same result as [`step`](Self::step).
    fn begin_step(&mut self);

    /// Returns true if a gradient of 0 leaves a parameter and its state as they are, so that a step may leave it out.
    fn ignores_zeros(&self) -> bool;

    /// Applies the step that was begun last to the parameters from `offset` on. Every parameter belongs to one part,
    /// but for those that a step may leave out ([`ignores_zeros`](Self::ignores_zeros)).
    ///
    /// # Panics
    /// When the lengths differ, the part ends behind the last parameter, or no step was begun.
    fn step_part(&mut self, offset: usize, parameters: &mut [f32], gradients: &[f32]);

    /// The learning rate of the next step, before any decay of the optimizer's own.
    fn learning_rate(&self) -> f64;

    /// Sets the learning rate of the steps from now on.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// Resets the state to that of a new optimizer. The learning rate stays.
    fn reset(&mut self);

    /// Returns the learning rate and the state after the steps so far.
    fn state(&self) -> State;

    /// Continues from the state of an optimizer of the same specification and length.
    ///
    /// # Errors
    /// When the state is another optimizer's; this one is as it was then.
    fn restore(&mut self, state: &State) -> Result<(), StateError>;
}

/// The optimizer of this specification for a flat buffer of `parameters` elements.
///
/// # Errors
/// [`OptionError`] naming the optimizer, the option, its range and its value, if an option is outside of PyTorch's
/// range, not finite, or too large for an f32.
pub fn build(spec: &OptimizerSpec, parameters: usize) -> Result<Box<dyn Optimizer>, OptionError> {
    Ok(CheckedOptimizer::new(spec)?.build(parameters))
}

fn adam(method: Adam, amsgrad: bool, learning_rate: f64, parameters: usize) -> Box<dyn Optimizer> {
    if amsgrad {
        fused::<_, 3>(method, learning_rate, parameters)
    } else {
        fused::<_, 2>(method, learning_rate, parameters)
    }
}

fn fused<M: Method<STATES> + 'static, const STATES: usize>(
    method: M,
    learning_rate: f64,
    parameters: usize,
) -> Box<dyn Optimizer> {
    Box::new(Fused::<M, STATES>::new(method, learning_rate, parameters))
}

#[cfg(test)]
mod tests {
    use crate::spec::OptimizerSpec;

    use super::{Optimizer, build};

    /// One of each number of states, each with something that depends on the step's number.
    fn specs() -> Vec<OptimizerSpec> {
        let (learning_rate, epsilon, weight_decay) = (0.1, 1e-8, 0.01);
        let (beta1, beta2, momentum_decay) = (0.9, 0.999, 4e-3);
        let sgd = |momentum| OptimizerSpec::Sgd {
            learning_rate,
            momentum,
            dampening: 0.5,
            nesterov: false,
            weight_decay,
        };
        let adam = |amsgrad| OptimizerSpec::Adam {
            learning_rate,
            beta1,
            beta2,
            epsilon,
            weight_decay,
            amsgrad,
        };
        vec![
            sgd(0.0),
            sgd(0.9),
            adam(false),
            adam(true),
            OptimizerSpec::NAdam {
                learning_rate,
                beta1,
                beta2,
                epsilon,
                weight_decay,
                momentum_decay,
            },
            OptimizerSpec::Yogi { learning_rate, beta1, beta2, epsilon, weight_decay },
            OptimizerSpec::Adagrad {
                learning_rate,
                learning_rate_decay: 0.1,
                epsilon,
                weight_decay,
                initial_accumulator: 0.5,
            },
        ]
    }

    fn walk(optimizer: &mut dyn Optimizer, elements: usize) -> Vec<f32> {
        let mut parameters: Vec<f32> = (0..elements).map(|index| (index as f32).sin()).collect();
        for step in 1..6 {
            let gradients: Vec<f32> =
                (0..elements).map(|index| ((step * (index + 3)) as f32).cos()).collect();
            optimizer.step(&mut parameters, &gradients);
        }
        parameters
    }

    #[test]
    fn an_element_moves_the_same_wherever_it_lies_in_a_buffer_of_any_size() {
        for spec in specs() {
            let all = walk(&mut *build(&spec, 131).unwrap(), 131);
            for elements in [0, 1, 7, 8, 15, 16, 17, 33, 64] {
                let some = walk(&mut *build(&spec, elements).unwrap(), elements);
                assert_eq!(some, all[..elements], "{spec:?} of {elements}");
            }
        }
    }

    #[test]
    fn a_reset_optimizer_steps_like_a_new_one_at_its_present_learning_rate() {
        for spec in specs() {
            let mut optimizer = build(&spec, 40).unwrap();
            let first = walk(&mut *optimizer, 40);
            optimizer.reset();
            assert_eq!(walk(&mut *optimizer, 40), first, "{spec:?}");
            optimizer.set_learning_rate(0.25);
            optimizer.reset();
            assert_eq!(optimizer.learning_rate(), 0.25);
            assert_ne!(walk(&mut *optimizer, 40), first, "{spec:?}");
        }
    }

    #[test]
    fn without_a_reset_the_state_carries_on() {
        for spec in &specs()[1..] {
            let mut optimizer = build(spec, 40).unwrap();
            let first = walk(&mut *optimizer, 40);
            assert_ne!(walk(&mut *optimizer, 40), first, "{spec:?}");
        }
    }

    #[test]
    fn an_optimizer_goes_on_from_the_state_of_another_as_that_one_does() {
        for spec in specs() {
            let mut first = build(&spec, 40).unwrap();
            walk(&mut *first, 40);
            first.set_learning_rate(0.25);
            let state = first.state();
            let mut second = build(&spec, 40).unwrap();
            second.restore(&state).unwrap();
            assert_eq!(second.state(), state, "{spec:?}");
            assert_eq!(walk(&mut *second, 40), walk(&mut *first, 40), "{spec:?}");
        }
    }

    #[test]
    fn a_state_of_another_optimizer_or_length_is_refused_and_changes_nothing() {
        let specs = specs();
        for (index, spec) in specs.iter().enumerate() {
            let mut optimizer = build(spec, 40).unwrap();
            walk(&mut *optimizer, 40);
            let state = optimizer.state();
            let mut refused = vec![build(&specs[(index + 1) % 3], 40).unwrap().state()];
            if index > 0 {
                refused.push(build(spec, 41).unwrap().state());
            }
            refused.retain(|other| other.check_shape(&state).is_err());
            for (place, number) in [(0, f64::NAN), (0, -1.0), (1, 0.5), (1, f64::INFINITY)] {
                let mut other = state.clone();
                other.numbers[place] = number;
                refused.push(other);
            }
            for other in refused {
                optimizer.restore(&other).unwrap_err();
                assert_eq!(optimizer.state(), state, "{spec:?}");
            }
        }
    }

    #[test]
    fn a_learning_rate_of_zero_moves_nothing() {
        for spec in specs() {
            let mut optimizer = build(&spec, 40).unwrap();
            optimizer.set_learning_rate(0.0);
            let start: Vec<f32> = (0..40).map(|index| (index as f32).sin()).collect();
            assert_eq!(walk(&mut *optimizer, 40), start, "{spec:?}");
        }
    }

    #[test]
    #[should_panic(expected = "gradients of another length than built for")]
    fn gradients_of_another_length_are_a_defect() {
        build(&specs()[0], 4).unwrap().step(&mut [0.0; 4], &[0.0; 3]);
    }

    #[test]
    #[should_panic(expected = "parameters of another length than built for")]
    fn parameters_of_another_length_are_a_defect() {
        build(&specs()[0], 4).unwrap().step(&mut [0.0; 5], &[0.0; 5]);
    }

    #[test]
    fn a_step_in_parts_has_the_bits_of_a_whole_one() {
        let gradients: Vec<f32> = (0..83).map(|index| (index as f32 * 0.7).cos()).collect();
        for spec in specs() {
            let (mut whole, mut parts) = (build(&spec, 83).unwrap(), build(&spec, 83).unwrap());
            let (mut expected, mut found) = (vec![0.5_f32; 83], vec![0.5_f32; 83]);
            for _ in 0..5 {
                whole.step(&mut expected, &gradients);
                parts.begin_step();
                for part in [50..83, 0..1, 1..50] {
                    parts.step_part(part.start, &mut found[part.clone()], &gradients[part]);
                }
            }
            let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
            assert_eq!(bits(&found), bits(&expected), "{spec:?}");
            assert_eq!(parts.state(), whole.state(), "{spec:?}");
        }
    }

    #[test]
    fn an_optimizer_that_ignores_zeros_leaves_parameters_without_a_gradient_and_their_state_as_they_are()
     {
        let gradients: Vec<f32> =
            (0..40).map(|index| if index % 4 == 0 { (index as f32).cos() } else { 0.0 }).collect();
        let mut ignoring = 0;
        for spec in specs().into_iter().chain(without_decay()) {
            let mut whole = build(&spec, 40).unwrap();
            let mut parts = build(&spec, 40).unwrap();
            if !parts.ignores_zeros() {
                continue;
            }
            ignoring += 1;
            let (mut expected, mut found) = (vec![0.5_f32; 40], vec![0.5_f32; 40]);
            for _ in 0..5 {
                whole.step(&mut expected, &gradients);
                parts.begin_step();
                for at in (0..40).step_by(4) {
                    parts.step_part(at, &mut found[at..=at], &gradients[at..=at]);
                }
            }
            assert_eq!(found, expected, "{spec:?}");
            assert_eq!(parts.state(), whole.state(), "{spec:?}");
        }
        assert_eq!(ignoring, 2);
    }

    /// Optimizers without momentum and weight decay.
    fn without_decay() -> [OptimizerSpec; 2] {
        let (learning_rate, weight_decay) = (0.1, 0.0);
        [
            OptimizerSpec::Sgd {
                learning_rate,
                momentum: 0.0,
                dampening: 0.0,
                nesterov: false,
                weight_decay,
            },
            OptimizerSpec::Adagrad {
                learning_rate,
                learning_rate_decay: 0.1,
                epsilon: 1e-10,
                weight_decay,
                initial_accumulator: 0.0,
            },
        ]
    }

    #[test]
    #[should_panic(expected = "a part of a step that was not begun")]
    fn a_part_of_no_step_is_a_defect() {
        build(&specs()[0], 4).unwrap().step_part(0, &mut [0.0; 4], &[0.0; 4]);
    }
}
