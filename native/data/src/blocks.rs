//! Blocks of values that are filled once and then only read: in anonymous maps within the budget, past it in mapped files.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::{Advice, Mmap, MmapMut};

use crate::budget::{CacheBudget, Reservation};
use crate::error::DataError;
use crate::mapped;

/// The size that blocks stay below, unless one row is larger. Each column has one block of this size in work while it is
/// loaded, whether the budget has room for it or not.
pub(crate) const BLOCK_BYTES: usize = 8 << 20;

/// The size that a column's first block starts with; it doubles, so that small partitions take little.
const FIRST_BYTES: usize = 64 << 10;

/// The size of a huge page on x86-64 and, mostly, on ARM.
const HUGE_PAGE: usize = 2 << 20;

/// Where blocks may live.
#[derive(Clone, Debug)]
pub(crate) struct Keeper {
    pub(crate) budget: Arc<CacheBudget>,
    pub(crate) directories: Vec<PathBuf>,
}

impl Keeper {
    /// Puts bytes into a file of the next directory in the round. A directory that fails is passed over; the first failure
    /// is reported if all do.
    fn spill(&self, bytes: &[u8]) -> Result<Mmap, DataError> {
        let (start, count) = (self.budget.next_spill(), self.directories.len());
        let mut failure = None;
        for offset in 0..count {
            let directory = &self.directories[start.wrapping_add(offset) % count];
            match mapped::spill(directory, bytes) {
                Ok(map) => return Ok(map),
                Err(source) => {
                    failure
                        .get_or_insert(DataError::Spill { directory: directory.clone(), source });
                }
            }
        }
        Err(failure.unwrap_or_else(|| {
            DataError::Memory(format!(
                "the training data does not fit in the {} bytes of spark.firesteel.cache.memory and there is no directory to \
                 spill to",
                self.budget.limit()
            ))
        }))
    }
}

/// Where an item lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Position {
    pub(crate) block: usize,
    pub(crate) start: usize,
}

/// A filled block.
#[derive(Debug)]
struct Block {
    map: Mmap,
    /// The bytes that are filled.
    bytes: usize,
    /// The block's share of the budget; `None` if it was spilled.
    reservation: Option<Reservation>,
}

/// The block being filled.
#[derive(Debug)]
struct Tail {
    map: MmapMut,
    /// The bytes that may be filled.
    capacity: usize,
    /// The bytes that are filled.
    bytes: usize,
    /// `None` if the budget had no room: the block is spilled once full.
    reservation: Option<Reservation>,
}

/// Fills blocks, one after another.
#[derive(Debug)]
pub(crate) struct Writer<T> {
    finished: Vec<Block>,
    tail: Option<Tail>,
    /// The memory of a spilled block, for the next one.
    spare: Option<MmapMut>,
    /// The bytes of a block.
    block_bytes: usize,
    items: PhantomData<T>,
}

impl<T: Pod> Writer<T> {
    /// A writer whose blocks hold `block_items` items.
    pub(crate) fn new(block_items: usize) -> Self {
        let block_bytes = block_items * size_of::<T>();
        Self { finished: Vec::new(), tail: None, spare: None, block_bytes, items: PhantomData }
    }

    /// The largest power of two of rows of `width` items that keeps a block below its size, and at least one.
    pub(crate) fn rows_per_block(width: usize) -> usize {
        let rows = BLOCK_BYTES / (width * size_of::<T>()).max(1);
        1 << rows.max(1).ilog2()
    }

    /// The items that the block being filled still takes.
    pub(crate) fn room(&self) -> usize {
        let filled = self.tail.as_ref().map_or(0, |tail| tail.bytes % self.block_bytes.max(1));
        (self.block_bytes - filled) / size_of::<T>()
    }

    /// Appends items that stay together in one block.
    pub(crate) fn push(&mut self, items: &[T], keeper: &Keeper) -> Result<Position, DataError> {
        let source: &[u8] = bytemuck::cast_slice(items);
        let mut tail = self.tail_with_room(source.len(), keeper)?;
        let start = tail.bytes;
        tail.map[start..start + source.len()].copy_from_slice(source);
        tail.bytes += source.len();
        self.tail = Some(tail);
        Ok(Position { block: self.finished.len(), start: start / size_of::<T>() })
    }

    /// Takes the block being filled out of the writer, with at least `bytes` free bytes.
    fn tail_with_room(&mut self, bytes: usize, keeper: &Keeper) -> Result<Tail, DataError> {
        match self.tail.take() {
            Some(tail) if tail.bytes + bytes <= tail.capacity => Ok(tail),
            Some(tail) if tail.bytes + bytes <= self.block_bytes => self.grow(tail, bytes, keeper),
            Some(tail) => {
                self.seal(tail, keeper)?;
                self.tail(self.block_bytes.max(bytes), keeper)
            }
            None => self.tail(self.block_bytes.min(FIRST_BYTES).max(bytes), keeper),
        }
    }

    /// An empty block of `bytes` bytes.
    fn tail(&mut self, bytes: usize, keeper: &Keeper) -> Result<Tail, DataError> {
        let reservation = keeper.budget.reserve(bytes as u64);
        let map = match self.spare.take() {
            Some(map) if map.len() >= bytes && reservation.is_none() => map,
            _ => allocate(bytes)?,
        };
        Ok(Tail { map, capacity: bytes, bytes: 0, reservation })
    }

    /// Moves the block being filled to one at least twice as large, up to the full size.
    fn grow(&mut self, tail: Tail, bytes: usize, keeper: &Keeper) -> Result<Tail, DataError> {
        let larger = (tail.capacity * 2).max(tail.bytes + bytes).min(self.block_bytes);
        let mut grown = self.tail(larger, keeper)?;
        grown.map[..tail.bytes].copy_from_slice(&tail.map[..tail.bytes]);
        grown.bytes = tail.bytes;
        Ok(grown)
    }

    /// Ends a block: in memory if the budget has room for it, else in a file.
    fn seal(&mut self, tail: Tail, keeper: &Keeper) -> Result<(), DataError> {
        let Tail { map, bytes, reservation, .. } = tail;
        let block = if reservation.is_some() {
            Block { map: read_only(map)?, bytes, reservation }
        } else {
            let spilled = keeper.spill(&map[..bytes])?;
            self.spare = Some(map);
            Block { map: spilled, bytes, reservation: None }
        };
        self.finished.push(block);
        Ok(())
    }

    /// Ends the last block, in no more memory than it needs.
    pub(crate) fn finish(mut self, keeper: &Keeper) -> Result<Blocks<T>, DataError> {
        if let Some(mut tail) = self.tail.take() {
            self.spare = None;
            let bytes = tail.bytes;
            if (tail.reservation.is_none() || bytes < tail.capacity)
                && let Some(reservation) = keeper.budget.reserve(bytes as u64)
            {
                let mut map = allocate(bytes)?;
                map[..bytes].copy_from_slice(&tail.map[..bytes]);
                tail = Tail { map, capacity: bytes, bytes, reservation: Some(reservation) };
            }
            self.seal(tail, keeper)?;
        }
        Ok(Blocks { blocks: self.finished, items: PhantomData })
    }
}

/// Zeroed memory of its own, in huge pages where the system has them: a fault for every small page would cost more than the
/// copy. Linux aligns a map to huge pages if its length is a multiple of theirs; what is never written takes no memory.
fn allocate(bytes: usize) -> Result<MmapMut, DataError> {
    let huge = bytes - bytes % HUGE_PAGE;
    let length = if huge == 0 { bytes.max(1) } else { bytes.next_multiple_of(HUGE_PAGE) };
    let map = MmapMut::map_anon(length).map_err(|error| {
        DataError::Memory(format!("no memory for {bytes} bytes of training data: {error}"))
    })?;
    if huge > 0 {
        // A kernel without huge pages refuses the advice, and nothing is lost.
        let _ = map.advise_range(Advice::HugePage, 0, huge);
    }
    Ok(map)
}

fn read_only(map: MmapMut) -> Result<Mmap, DataError> {
    map.make_read_only()
        .map_err(|error| DataError::Memory(format!("cannot protect training data: {error}")))
}

/// Filled blocks.
#[derive(Debug)]
pub(crate) struct Blocks<T> {
    blocks: Vec<Block>,
    items: PhantomData<T>,
}

impl<T: Pod> Blocks<T> {
    /// The items of a block.
    pub(crate) fn items(&self, block: usize) -> &[T] {
        let block = &self.blocks[block];
        bytemuck::cast_slice(&block.map[..block.bytes])
    }
}

/// The bytes that blocks take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Footprint {
    /// The bytes of the budget.
    pub(crate) memory: u64,
    /// The bytes in files.
    pub(crate) spilled: u64,
}

impl<T> Blocks<T> {
    /// The bytes that these blocks take.
    pub(crate) fn footprint(&self) -> Footprint {
        self.blocks.iter().fold(Footprint::default(), |sum, block| match &block.reservation {
            Some(reservation) => Footprint { memory: sum.memory + reservation.bytes(), ..sum },
            None => Footprint { spilled: sum.spilled + block.bytes as u64, ..sum },
        })
    }
}

impl std::ops::Add for Footprint {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { memory: self.memory + other.memory, spilled: self.spilled + other.spilled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pushed_items_stay_together() {
        let keeper = Keeper { budget: CacheBudget::shared(u64::MAX), directories: Vec::new() };
        let mut writer = Writer::<u32>::new(10);
        let lengths = [4, 5, 3, 0, 12, 1, 9];
        let positions: Vec<_> = lengths
            .iter()
            .map(|&length| writer.push(&vec![length as u32; length], &keeper).unwrap())
            .collect();
        let blocks = writer.finish(&keeper).unwrap();
        for (&length, position) in lengths.iter().zip(positions) {
            let items = &blocks.items(position.block)[position.start..position.start + length];
            assert!(items.iter().all(|&item| item == length as u32));
        }
    }
}
