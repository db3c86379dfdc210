//! Fills a partition, record batch by record batch.

use arrow::array::RecordBatch;
use firesteel_core::spec::{DataSpec, ElementType, InputFormat, InputSpec, ValidationSpec};

use super::Partition;
use crate::blocks::{BlockStore, BlockUsage};
use crate::column_context::ColumnContext;
use crate::dense::DenseWriter;
use crate::error::{DataError, Scope};
use crate::input::InputWriter;
use crate::label::{LabelWriter, WeightWriter};
use crate::order::RowKeys;
use crate::schema;
use crate::sparse::SparseWriter;
use crate::validation::HoldOut;

/// A partition that is being loaded.
pub(crate) struct Loader<'a> {
    spec: &'a DataSpec,
    store: BlockStore,
    inputs: Vec<Box<dyn InputWriter>>,
    labels: Vec<LabelWriter>,
    weights: Option<WeightWriter>,
    hold_out: HoldOut,
    /// The hash of each row.
    hashes: Vec<u64>,
    /// The rows of the partition that went before, for errors.
    before: usize,
}

impl<'a> Loader<'a> {
    pub(crate) fn new(spec: &'a DataSpec, store: BlockStore) -> Self {
        Self {
            spec,
            store,
            inputs: spec.inputs.iter().map(writer).collect(),
            labels: spec.labels.iter().map(|label| LabelWriter::new(label.kind)).collect(),
            weights: spec.weight.as_ref().map(|_| WeightWriter::new()),
            hold_out: HoldOut::new(spec.validation.as_ref()),
            hashes: Vec::new(),
            before: 0,
        }
    }

    /// Sets the number of rows before this loader's first one, for errors.
    pub(crate) fn after_rows(mut self, before: u64) -> Self {
        self.before = usize::try_from(before).unwrap_or(usize::MAX);
        self
    }

    /// The hashes of the rows so far.
    pub(crate) fn hashes(&self) -> &[u64] {
        &self.hashes
    }

    /// Checks and copies the rows of a record batch, whose schema is that of the specification.
    pub(crate) fn append(&mut self, batch: &RecordBatch) -> Result<(), DataError> {
        let first_row = self.hashes.len();
        if first_row + batch.num_rows() > u32::MAX as usize {
            return Err(DataError::TooManyRows);
        }
        self.hashes.resize(first_row + batch.num_rows(), 0);
        let (hashes, store) = (&mut self.hashes[first_row..], &self.store);
        let first_row = self.before.saturating_add(first_row);
        let context = |column| ColumnContext { column, scope: Scope::Partition, first_row };
        let mut column = 0;
        for (writer, spec) in self.inputs.iter_mut().zip(&self.spec.inputs) {
            writer.append(&context(&spec.column), &batch.columns()[column..], hashes, store)?;
            column += schema::columns_of(spec);
        }
        for (writer, spec) in self.labels.iter_mut().zip(&self.spec.labels) {
            writer.append(&context(&spec.column), batch.column(column), hashes, store)?;
            column += 1;
        }
        if let (Some(writer), Some(name)) = (&mut self.weights, &self.spec.weight) {
            writer.append(&context(name), batch.column(column), hashes, store)?;
            column += 1;
        }
        if let Some(ValidationSpec::Column { column: name }) = &self.spec.validation {
            self.hold_out.append(&context(name), batch.column(column), hashes)?;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Result<Partition, DataError> {
        let Self { spec, store, inputs, labels, weights, hold_out, hashes, .. } = self;
        let rows = hashes.len();
        let mut usage = BlockUsage::default();
        let mut finished = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (input, bytes) = input.finish(&store)?;
            finished.push(input);
            usage = usage + bytes;
        }
        let labels =
            labels.into_iter().map(|label| label.finish(&store)).collect::<Result<Vec<_>, _>>()?;
        let weights = weights.map(|weights| weights.finish(&store)).transpose()?;
        for bytes in labels
            .iter()
            .map(|label| label.usage())
            .chain(weights.iter().map(|table| table.usage()))
        {
            usage = usage + bytes;
        }
        Ok(Partition {
            spec: spec.clone(),
            rows,
            inputs: finished,
            labels,
            weights,
            keys_reservation: store.budget.force(RowKeys::bytes(rows)),
            keys: RowKeys::new(hashes, |row, hash| hold_out.is_held_out(row, hash)),
            usage,
        })
    }
}

/// Returns the writer of an input of a stream.
fn writer(input: &InputSpec) -> Box<dyn InputWriter> {
    let (size, scale) = (input.size(), input.scale);
    match (input.format, input.element) {
        (InputFormat::Sparse, _) => Box::new(SparseWriter::new(size, scale)),
        (InputFormat::Dense, ElementType::U8) => Box::new(DenseWriter::<u8>::new(size, scale)),
        (InputFormat::Dense, ElementType::I8) => Box::new(DenseWriter::<i8>::new(size, scale)),
        (InputFormat::Dense, ElementType::I16) => Box::new(DenseWriter::<i16>::new(size, scale)),
        (InputFormat::Dense, ElementType::I32) => Box::new(DenseWriter::<i32>::new(size, scale)),
        (InputFormat::Dense, ElementType::I64) => Box::new(DenseWriter::<i64>::new(size, scale)),
        (InputFormat::Dense, ElementType::F32) => Box::new(DenseWriter::<f32>::new(size, scale)),
    }
}
