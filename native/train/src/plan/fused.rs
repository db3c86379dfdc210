//! A function that a step computes in the memory of its output.

use firesteel_kernels::activation::Activation;

use super::step::Backward;

/// The function of a step's output, if one was fused.
#[derive(Default)]
pub(super) struct Fused(Option<Activation>);

impl Fused {
    /// Takes a function whose slope follows from its result, unless there is one. Returns false if it cannot.
    pub(super) fn take(&mut self, function: Activation) -> bool {
        let fuses = self.0.is_none() && !function.needs_input();
        if fuses {
            self.0 = Some(function);
        }
        fuses
    }

    pub(super) fn function(&self) -> Option<Activation> {
        self.0
    }

    /// Turns the output into that of the function.
    pub(super) fn forward(&self, output: &mut [f32]) {
        if let Some(function) = self.0 {
            function.forward_in_place(output);
        }
    }

    /// Turns the gradient of the output into that before the function.
    pub(super) fn backward(&self, pass: &mut Backward<'_>) {
        if let Some(function) = self.0 {
            function.backward_in_place(pass.output, pass.of_output);
        }
    }
}
