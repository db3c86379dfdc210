//! The pass that all optimizers share: state in one allocation, a step as one vectorised loop.

use multiversion::multiversion;
use multiversion::target::target_cfg_f;

use super::Optimizer;
use crate::state::{State, StateError};

/// The arithmetic of one step for one element, with the step's constants. An element has `STATES` values of state; the
/// number of states selects the variant of a rule that has several.
///
/// `FMA` is true if the processor multiplies and adds in one instruction, with one rounding. Rules use it, through
/// [`multiply_add`], exactly as PyTorch's kernels do: otherwise parameters that pass zero after large steps would
/// differ.
pub(super) trait Rule<const STATES: usize>: Copy + Send {
    /// Returns the element's parameter and state after the step.
    fn apply<const FMA: bool>(
        self,
        parameter: f32,
        gradient: f32,
        state: [f32; STATES],
    ) -> (f32, [f32; STATES]);
}

/// The hyperparameters, from which the constants of each step are computed, in f64 as in PyTorch.
pub(super) trait Method<const STATES: usize>: Send {
    /// The arithmetic of one step for an element.
    type Rule: Rule<STATES>;

    /// The rule of this step, counted from 1. Called once for each, in order; a step 1 begins anew.
    fn rule(&mut self, step: u64, learning_rate: f64) -> Self::Rule;

    /// The value that every state begins with.
    fn initial_state(&self) -> f32 {
        0.0
    }

    /// Returns true if a gradient of 0 leaves a parameter and its state as they are.
    fn ignores_zeros(&self) -> bool {
        false
    }

    /// Returns the value that the method itself keeps between steps, if any.
    fn carried(&self) -> Option<f32> {
        None
    }

    /// Restores the value that [`carried`](Self::carried) returned.
    fn carry(&mut self, _carried: f32) {}
}

/// An optimizer that runs its method's rule over flat slices.
pub(super) struct Fused<M: Method<STATES>, const STATES: usize> {
    method: M,
    /// The rule of the step that was begun last.
    rule: Option<M::Rule>,
    learning_rate: f64,
    steps: u64,
    parameters: usize,
    /// All elements' first state, then all elements' second one, and so on.
    state: Vec<f32>,
}

impl<M: Method<STATES>, const STATES: usize> Fused<M, STATES> {
    /// The optimizer before its first step.
    pub(super) fn new(method: M, learning_rate: f64, parameters: usize) -> Self {
        let state = vec![method.initial_state(); STATES * parameters];
        Self { method, rule: None, learning_rate, steps: 0, parameters, state }
    }
}

impl<M: Method<STATES>, const STATES: usize> Optimizer for Fused<M, STATES> {
    fn step(&mut self, parameters: &mut [f32], gradients: &[f32]) {
        assert_eq!(
            parameters.len(),
            self.parameters,
            "parameters of another length than built for"
        );
        assert_eq!(gradients.len(), self.parameters, "gradients of another length than built for");
        self.begin_step();
        self.step_part(0, parameters, gradients);
    }

    fn begin_step(&mut self) {
        self.steps += 1;
        self.rule = Some(self.method.rule(self.steps, self.learning_rate));
    }

    fn ignores_zeros(&self) -> bool {
        self.method.ignores_zeros()
    }

    fn step_part(&mut self, offset: usize, parameters: &mut [f32], gradients: &[f32]) {
        assert_eq!(
            gradients.len(),
            parameters.len(),
            "gradients of another length than the parameters"
        );
        assert!(self.rule.is_some(), "a part of a step that was not begun");
        let Some(rule) = self.rule else { return };
        let part = offset..offset + parameters.len();
        let mut rest = &mut self.state[..];
        let states: [&mut [f32]; STATES] = std::array::from_fn(|_| {
            let (state, tail) = std::mem::take(&mut rest).split_at_mut(self.parameters);
            rest = tail;
            &mut state[part.clone()]
        });
        sweep(parameters, gradients, states, rule);
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn reset(&mut self) {
        self.steps = 0;
        self.state.fill(self.method.initial_state());
    }

    fn state(&self) -> State {
        let mut numbers = vec![self.learning_rate, self.steps as f64];
        numbers.extend(self.method.carried().map(f64::from));
        State { numbers, values: self.state.clone() }
    }

    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        state.check_shape(&self.state())?;
        let (learning_rate, steps) = (state.numbers[0], state.numbers[1]);
        if !learning_rate.is_finite() || learning_rate < 0.0 {
            return Err(StateError(format!("its learning rate is {learning_rate}")));
        }
        if !(0.0..MOST_STEPS).contains(&steps) || steps.fract() != 0.0 {
            return Err(StateError(format!("it has made {steps} steps")));
        }
        self.learning_rate = learning_rate;
        self.steps = steps as u64;
        if let Some(&carried) = state.numbers.get(2) {
            self.method.carry(carried as f32);
        }
        self.state.copy_from_slice(&state.values);
        Ok(())
    }
}

/// Steps are whole numbers as f64 below this.
const MOST_STEPS: f64 = (1_u64 << f64::MANTISSA_DIGITS) as f64;

/// Applies a rule to every element. Slices cut to one length leave no bounds check in the loop, which compiles to 16, 8 or
/// 4 lanes by what the processor has.
#[multiversion(targets("x86_64+avx512f+avx512vl+avx2+fma", "x86_64+avx2+fma"))]
fn sweep<R: Rule<STATES>, const STATES: usize>(
    parameters: &mut [f32],
    gradients: &[f32],
    states: [&mut [f32]; STATES],
    rule: R,
) {
    let elements = parameters.len();
    let gradients = &gradients[..elements];
    let states = states.map(|state| &mut state[..elements]);
    for element in 0..elements {
        let before = std::array::from_fn(|index| states[index][element]);
        let (parameter, after) = rule.apply::<{ target_cfg_f!(target_feature = "fma") }>(
            parameters[element],
            gradients[element],
            before,
        );
        parameters[element] = parameter;
        for index in 0..STATES {
            states[index][element] = after[index];
        }
    }
}

/// `a * b + c`, rounded once or twice.
#[inline(always)]
pub(super) fn multiply_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The weighted mean `from + weight * (to - from)`, from the nearer end as `torch.lerp` takes it.
#[inline(always)]
pub(super) fn lerp<const FMA: bool>(from: f32, to: f32, weight: f32) -> f32 {
    let (base, weight) = if weight < 0.5 { (from, weight) } else { (to, weight - 1.0) };
    multiply_add::<FMA>(weight, to - from, base)
}

/// The running mean of squares `beta * mean + (1 - beta) * value^2`, multiplied in PyTorch's order.
#[inline(always)]
pub(super) fn mean_square<const FMA: bool>(
    mean: f32,
    value: f32,
    beta: f32,
    complement: f32,
) -> f32 {
    multiply_add::<FMA>(complement * value, value, mean * beta)
}
