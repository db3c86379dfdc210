//! The search for units of rectifiers that are 0 for all rows.

use crate::graph::{Elementwise, Layer, Node};
use crate::network::DeadUnits;

/// A rectifier whose units are looked at. A unit is a feature or a channel.
pub(super) struct Rectifier {
    layer: String,
    units: usize,
    /// The values that follow each other for one unit.
    inner: usize,
}

impl Rectifier {
    /// Returns the rectifier that a layer is, if it is one.
    pub(super) fn of(node: &Node) -> Option<Self> {
        let Layer::Elementwise(Elementwise::Relu | Elementwise::Relu6) = node.layer else {
            return None;
        };
        // Channels come first in an image, features last in a sequence.
        let unit = if node.shape.len() == 2 { 1 } else { 0 };
        Some(Self {
            layer: node.name.clone(),
            units: *node.shape.get(unit)?,
            inner: node.shape[unit + 1..].iter().product(),
        })
    }

    /// Returns the units that are 0 in all rows, if there are any.
    pub(super) fn dead_units(&self, values: &[f32]) -> Option<DeadUnits> {
        let mut alive = vec![false; self.units];
        for group in values.chunks_exact((self.units * self.inner).max(1)) {
            for (alive, unit) in alive.iter_mut().zip(group.chunks_exact(self.inner.max(1))) {
                *alive |= unit.iter().any(|&value| value != 0.0);
            }
        }
        let dead = alive.iter().filter(|alive| !**alive).count() as u64;
        let units = self.units as u64;
        (dead > 0).then(|| DeadUnits { layer: self.layer.clone(), dead, units })
    }
}
