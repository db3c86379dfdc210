//! The blocks in which the steps of recurrent cells are computed.

use std::ops::Range;

use crate::simd::Simd;

/// Some units of a row, at most a vector.
#[derive(Clone, Copy)]
pub(crate) struct Block {
    row: usize,
    first: usize,
    count: usize,
    units: usize,
}

/// The blocks of rows.
pub(crate) struct Blocks {
    next: Block,
    rows: usize,
    lanes: usize,
}

/// Returns the blocks of rows of `units`, which have `length` values together.
#[inline(always)]
pub(crate) fn blocks(units: usize, length: usize, lanes: usize) -> Blocks {
    let next = Block { row: 0, first: 0, count: lanes.min(units), units };
    Blocks { next, rows: length / units.max(1), lanes }
}

impl Iterator for Blocks {
    type Item = Block;

    #[inline(always)]
    fn next(&mut self) -> Option<Block> {
        let block = self.next;
        if block.row >= self.rows {
            return None;
        }
        let first = block.first + block.count;
        let (row, first) =
            if first < block.units { (block.row, first) } else { (block.row + 1, 0) };
        self.next = Block { row, first, count: self.lanes.min(block.units - first), ..block };
        Some(block)
    }
}

impl Block {
    /// The place of the block in values of one for each unit.
    #[inline(always)]
    pub(crate) fn values(&self) -> Range<usize> {
        let start = self.row * self.units + self.first;
        start..start + self.count
    }

    /// The place of the block in a gate, of `gates` that lie side by side in each row.
    #[inline(always)]
    pub(crate) fn of_gate(&self, number: usize, gates: usize) -> Range<usize> {
        let start = (self.row * gates + number) * self.units + self.first;
        start..start + self.count
    }
}

/// The slope of a sigmoid from its value.
#[inline(always)]
pub(crate) fn of_sigmoid<S: Simd>(simd: S, y: S::V) -> S::V {
    simd.mul(y, simd.sub(simd.splat(1.0), y))
}

/// The slope of tanh from its value.
#[inline(always)]
pub(crate) fn of_tanh<S: Simd>(simd: S, y: S::V) -> S::V {
    simd.sub(simd.splat(1.0), simd.mul(y, y))
}
