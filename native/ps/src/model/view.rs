//! Versions of the center variable, and their readers.

use std::sync::Arc;

use firesteel_core::Buffers;

use super::STRIPE;

/// A reader of one version of the center variable, which receives its parts in order.
pub(crate) trait CenterReader {
    /// Receives the next stripe.
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>);

    /// Receives the buffers, after the last stripe.
    fn buffers(&mut self, buffers: &Arc<Buffers>);
}

/// One version of the center variable, shared with the store until it is dropped.
#[derive(Debug, Default)]
pub(crate) struct CenterView {
    stripes: Vec<Arc<Vec<f32>>>,
    buffers: Arc<Buffers>,
}

impl CenterView {
    /// Creates a view of a flat center variable.
    pub(crate) fn of(center: &[f32], buffers: &Buffers) -> Self {
        Self {
            stripes: center.chunks(STRIPE).map(|stripe| Arc::new(stripe.to_vec())).collect(),
            buffers: Arc::new(buffers.clone()),
        }
    }

    /// Returns the flat center variable.
    pub(crate) fn to_center(&self) -> Vec<f32> {
        let mut center = Vec::with_capacity(self.stripes.iter().map(|stripe| stripe.len()).sum());
        self.stripes.iter().for_each(|stripe| center.extend_from_slice(stripe));
        center
    }

    /// Passes the whole version to a reader.
    pub(crate) fn give(&self, reader: &mut dyn CenterReader) {
        self.stripes.iter().for_each(|stripe| reader.stripe(stripe));
        reader.buffers(&self.buffers);
    }

    /// Returns one stripe; empty if there is none.
    pub(crate) fn stripe_at(&self, index: usize) -> &[f32] {
        self.stripes.get(index).map_or(&[], |stripe| stripe.as_slice())
    }

    /// Returns the buffers.
    pub(crate) fn to_buffers(&self) -> Buffers {
        Buffers::clone(&self.buffers)
    }
}

/// A reader that passes everything to another reader and keeps it in a view.
pub(crate) struct TeeReader<'a> {
    pub(crate) reader: &'a mut dyn CenterReader,
    pub(crate) view: &'a mut CenterView,
}

impl CenterReader for TeeReader<'_> {
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>) {
        self.reader.stripe(stripe);
        self.view.stripe(stripe);
    }

    fn buffers(&mut self, buffers: &Arc<Buffers>) {
        self.reader.buffers(buffers);
        self.view.buffers(buffers);
    }
}

impl CenterReader for CenterView {
    fn stripe(&mut self, stripe: &Arc<Vec<f32>>) {
        self.stripes.push(Arc::clone(stripe));
    }

    fn buffers(&mut self, buffers: &Arc<Buffers>) {
        self.buffers = Arc::clone(buffers);
    }
}
