//! Linear over the entries of sparse rows.

use firesteel_data::SparseRows;
use firesteel_kernels::activation::Activation;
use firesteel_kernels::{linear, sparse};

use super::fused::Fused;
use super::step::{Backward, Forward, Parameter, Parts, Step, Weights};
use crate::error::TrainError;

/// A Linear layer over a sparse input of the network. Its weight lies in memory by inputs, so that an entry uses one run
/// of it.
pub(super) struct SparseLinear {
    /// The number of the network's input.
    input: usize,
    outputs: usize,
    weight: Parameter,
    bias: Option<Parameter>,
    fused: Fused,
}

impl SparseLinear {
    pub(super) fn new(
        input: usize,
        outputs: usize,
        weight: Parameter,
        bias: Option<Parameter>,
    ) -> Self {
        Self { input, outputs, weight, bias, fused: Fused::default() }
    }
}

fn rows(rows: &SparseRows) -> sparse::Rows<'_> {
    sparse::Rows { ends: rows.ends(), indices: rows.indices(), values: rows.values() }
}

impl Step for SparseLinear {
    fn forward(
        &self,
        pass: &mut Forward<'_>,
        _inputs: &[&[f32]],
        output: &mut [f32],
    ) -> Result<(), TrainError> {
        let x = pass.inputs.sparse(self.input)?;
        let weight = pass.weights.get(&self.weight)?;
        let bias = pass.weights.optional(self.bias.as_ref())?;
        sparse::forward(pass.gemm, &rows(x), weight, bias, self.outputs, output);
        self.fused.forward(output);
        Ok(())
    }

    fn fuse(&mut self, function: Activation) -> bool {
        self.fused.take(function)
    }

    fn prepare(&self, pass: &mut Backward<'_>, _weights: &Weights<'_>) -> Result<(), TrainError> {
        self.fused.backward(pass);
        Ok(())
    }

    fn input(
        &self,
        _pass: &mut Backward<'_>,
        _weights: &Weights<'_>,
        _number: usize,
        _adds: bool,
        _target: &mut [f32],
    ) -> Result<(), TrainError> {
        Err(TrainError::Internal("sparse rows have no gradient".to_owned()))
    }

    fn parameters(
        &self,
        pass: &mut Backward<'_>,
        parts: &mut Parts<'_, '_>,
    ) -> Result<(), TrainError> {
        let x = pass.network_inputs.sparse(self.input)?;
        let (of_weight, used) = parts.table(&self.weight);
        used.clear(of_weight, self.outputs);
        for &index in x.indices() {
            used.insert(index);
        }
        sparse::add_of_weight(pass.gemm, &rows(x), pass.of_output, self.outputs, of_weight);
        parts.complete_table(&self.weight);
        if let Some(bias) = &self.bias {
            linear::of_bias(pass.gemm, pass.of_output, parts.range(&bias.range));
        }
        Ok(())
    }
}
