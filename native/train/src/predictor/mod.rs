//! Predictions for Arrow batches.

mod input_buffer;
mod output_decoder;

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use firesteel_core::FlushDenormals;
use firesteel_core::spec::{PredictionColumn, PredictorSpec};
use firesteel_data as data;
use tch::Tensor;

use self::input_buffer::{Input, InputBuffer};
use self::output_decoder::OutputDecoder;
use crate::build::define_over;
use crate::error::TrainError;
use crate::input_column::InputColumn;
use crate::model::Definition;
use crate::network::{FlatTensors, Network, Views};
use crate::raw::{Shared, matrix};
use crate::torch;
use crate::weights::members_from_bytes;

/// The number of rows of one forward pass: enough for the matrix products, few enough for the processor's cache.
const ROWS: usize = 512;

/// A network's weights, shared by the predictors of a process; for an ensemble, those of each member.
#[derive(Debug)]
pub struct LoadedWeights {
    layout: u64,
    members: Vec<FlatWeights>,
}

/// Flat parameters and buffers.
#[derive(Debug)]
struct FlatWeights {
    parameters: Arc<[f32]>,
    floats: Arc<[f32]>,
    integers: Arc<[i64]>,
}

impl LoadedWeights {
    /// Reads the weights of the predictor's network from a safetensors file.
    ///
    /// # Errors
    /// As [`members_from_bytes`] and [`inspect`](crate::inspect()).
    pub fn open(spec: &PredictorSpec, bytes: &[u8]) -> Result<Self, TrainError> {
        let definition = define_over(&spec.network, &spec.data)?;
        let layout = definition.layout();
        let members =
            members_from_bytes(bytes, layout)?.into_iter().map(|(parameters, buffers)| {
                FlatWeights {
                    parameters: parameters.into(),
                    floats: buffers.floats.into(),
                    integers: buffers.integers.into(),
                }
            });
        Ok(Self { layout: layout.hash(), members: members.collect() })
    }
}

/// A network that predicts, for one thread at a time.
pub struct Predictor {
    spec: PredictorSpec,
    network: Box<dyn Network>,
    sources: Vec<InputColumn>,
    buffers: Vec<InputBuffer>,
    /// One for each output of the network.
    decoders: Vec<OutputDecoder>,
    members: Vec<EnsembleMember>,
}

/// The weights of one member as tensors.
struct EnsembleMember {
    views: Views,
    _parameters: Shared<f32>,
    _floats: Shared<f32>,
    _integers: Shared<i64>,
}

impl EnsembleMember {
    fn new(definition: &dyn Definition, weights: &FlatWeights) -> Result<Self, TrainError> {
        let parameters = Shared::new(Arc::clone(&weights.parameters))?;
        let floats = Shared::new(Arc::clone(&weights.floats))?;
        let integers = Shared::new(Arc::clone(&weights.integers))?;
        let flats = FlatTensors {
            parameters: parameters.tensor(),
            floats: floats.tensor(),
            integers: integers.tensor(),
        };
        let views = Views::new(definition, &flats)?;
        Ok(Self { views, _parameters: parameters, _floats: floats, _integers: integers })
    }
}

impl Predictor {
    /// Opens a predictor with these weights.
    ///
    /// # Errors
    /// [`TrainError::InvalidSpec`] or [`TrainError::Layer`] if the network, the requested columns or the thresholds do
    /// not fit; [`TrainError::Weights`] if the weights are another network's.
    pub fn open(spec: &PredictorSpec, weights: Arc<LoadedWeights>) -> Result<Self, TrainError> {
        let definition = define_over(&spec.network, &spec.data)?;
        if definition.layout().hash() != weights.layout {
            return Err(TrainError::Weights("the weights belong to another network".to_owned()));
        }
        let decoders = OutputDecoder::of_task(&definition.inspect(), spec)?;
        let members =
            weights.members.iter().map(|member| EnsembleMember::new(&*definition, member));
        Ok(Self {
            members: members.collect::<Result<_, _>>()?,
            sources: InputColumn::of(&*definition, &spec.data)?,
            buffers: definition.inputs().iter().map(InputBuffer::new).collect(),
            network: definition.network()?,
            spec: spec.clone(),
            decoders,
        })
    }

    /// Returns the requested columns for the rows of a batch, in the specification's order.
    ///
    /// # Errors
    /// [`TrainError::Data`] for a value that does not fit the network.
    pub fn predict(&mut self, batch: RecordBatch) -> Result<RecordBatch, TrainError> {
        torch::set_threads(self.spec.threads);
        let _flush = FlushDenormals::new();
        let batch = data::Batch::new(&batch, &self.spec.data)?;
        let rows = batch.rows();
        self.decoders.iter_mut().try_for_each(OutputDecoder::clear)?;
        for start in (0..rows).step_by(ROWS) {
            let length = ROWS.min(rows - start);
            // The values are converted just before they are used, while they are in the processor's cache.
            let inputs = self
                .buffers
                .iter_mut()
                .zip(&self.sources)
                .map(|(buffer, source)| buffer.input(&batch, source, start..start + length))
                .collect::<Result<Vec<_>, _>>()?;
            let chunk: Vec<&Tensor> = inputs.iter().map(Input::tensor).collect();
            let members = self.members.iter();
            let members = members.map(|member| self.network.forward(&member.views, &chunk));
            let members = members.collect::<Result<Vec<Vec<Tensor>>, TrainError>>()?;
            for (index, decoder) in self.decoders.iter_mut().enumerate() {
                let outputs = members.iter().map(|outputs| Ok(outputs[index].f_contiguous()?));
                let outputs = outputs.collect::<Result<Vec<Tensor>, TrainError>>()?;
                let outputs = outputs.iter().map(|output| matrix(output, length));
                decoder.push(&outputs.collect::<Result<Vec<_>, _>>()?)?;
            }
        }
        self.columns(rows)
    }

    fn columns(&self, rows: usize) -> Result<RecordBatch, TrainError> {
        let mut fields = Vec::new();
        let mut columns: Vec<ArrayRef> = Vec::new();
        for &wanted in &self.spec.outputs {
            // The columns and their indices were checked when the decoders were made.
            let (name, column) = match wanted {
                PredictionColumn::RawPrediction => {
                    ("rawPrediction".to_owned(), self.decoders[0].raw()?)
                }
                PredictionColumn::Probability => {
                    ("probability".to_owned(), self.decoders[0].probability()?)
                }
                PredictionColumn::Prediction => {
                    ("prediction".to_owned(), self.decoders[0].prediction()?)
                }
                PredictionColumn::Output(index) => {
                    (format!("output{index}"), self.decoders[index].prediction()?)
                }
            };
            fields.push(Field::new(name, column.data_type().clone(), false));
            columns.push(column);
        }
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), columns, &options)
            .map_err(|error| TrainError::Internal(error.to_string()))
    }
}

#[cfg(test)]
mod tests;
