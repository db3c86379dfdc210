//! Blocks of values, filled once and then only read: in anonymous maps within the budget, beyond it in mapped files.

use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::{Advice, Mmap, MmapMut};

use crate::budget::{CacheBudget, Reservation};
use crate::error::DataError;
use crate::mapped;

/// The size limit of a block, unless one row is larger. While a column is loaded, one block of this size is being
/// filled, even beyond the budget.
pub(crate) const BLOCK_BYTES: usize = 8 << 20;

/// The size of a column's first block; it doubles, so that small partitions take little memory.
const FIRST_BYTES: usize = 64 << 10;

/// The size of a huge page on x86-64 and, mostly, on ARM.
const HUGE_PAGE: usize = 2 << 20;

/// The memory and the directories that may hold blocks.
#[derive(Clone, Debug)]
pub(crate) struct BlockStore {
    pub(crate) budget: Arc<CacheBudget>,
    pub(crate) directories: Vec<PathBuf>,
}

impl BlockStore {
    /// Writes bytes to a file of the next directory in turn. A directory that fails is skipped; if all fail, the first
    /// failure is returned.
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

/// The position of an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ItemPosition {
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
struct OpenBlock {
    map: MmapMut,
    /// The bytes that may be filled.
    capacity: usize,
    /// The bytes that are filled.
    bytes: usize,
    /// `None` if the budget had no room: the block is spilled when it is full.
    reservation: Option<Reservation>,
}

/// Fills blocks, one after another.
#[derive(Debug)]
pub(crate) struct Writer<T> {
    finished: Vec<Block>,
    tail: Option<OpenBlock>,
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

    /// Returns the number of items that still fit into the block being filled.
    pub(crate) fn free_items(&self) -> usize {
        let filled = self.tail.as_ref().map_or(0, |tail| tail.bytes % self.block_bytes.max(1));
        (self.block_bytes - filled) / size_of::<T>()
    }

    /// Appends items that stay together in one block.
    pub(crate) fn push(
        &mut self,
        items: &[T],
        store: &BlockStore,
    ) -> Result<ItemPosition, DataError> {
        let source: &[u8] = bytemuck::cast_slice(items);
        let mut tail = self.tail_with_room(source.len(), store)?;
        let start = tail.bytes;
        tail.map[start..start + source.len()].copy_from_slice(source);
        tail.bytes += source.len();
        self.tail = Some(tail);
        Ok(ItemPosition { block: self.finished.len(), start: start / size_of::<T>() })
    }

    /// Takes the block being filled out of the writer, with at least `bytes` free bytes.
    fn tail_with_room(&mut self, bytes: usize, store: &BlockStore) -> Result<OpenBlock, DataError> {
        match self.tail.take() {
            Some(tail) if tail.bytes + bytes <= tail.capacity => Ok(tail),
            Some(tail) if tail.bytes + bytes <= self.block_bytes => self.grow(tail, bytes, store),
            Some(tail) => {
                self.seal(tail, store)?;
                self.tail(self.block_bytes.max(bytes), store)
            }
            None => self.tail(self.block_bytes.min(FIRST_BYTES).max(bytes), store),
        }
    }

    /// An empty block of `bytes` bytes.
    fn tail(&mut self, bytes: usize, store: &BlockStore) -> Result<OpenBlock, DataError> {
        let reservation = store.budget.reserve(bytes as u64);
        let map = match self.spare.take() {
            Some(map) if map.len() >= bytes && reservation.is_none() => map,
            _ => allocate(bytes)?,
        };
        Ok(OpenBlock { map, capacity: bytes, bytes: 0, reservation })
    }

    /// Moves the block being filled to one at least twice as large, up to the full size.
    fn grow(
        &mut self,
        tail: OpenBlock,
        bytes: usize,
        store: &BlockStore,
    ) -> Result<OpenBlock, DataError> {
        let larger = (tail.capacity * 2).max(tail.bytes + bytes).min(self.block_bytes);
        let mut grown = self.tail(larger, store)?;
        grown.map[..tail.bytes].copy_from_slice(&tail.map[..tail.bytes]);
        grown.bytes = tail.bytes;
        Ok(grown)
    }

    /// Finishes a block: in memory if the budget has room for it, else in a file.
    fn seal(&mut self, tail: OpenBlock, store: &BlockStore) -> Result<(), DataError> {
        let OpenBlock { map, bytes, reservation, .. } = tail;
        let block = if reservation.is_some() {
            Block { map: read_only(map)?, bytes, reservation }
        } else {
            let spilled = store.spill(&map[..bytes])?;
            self.spare = Some(map);
            Block { map: spilled, bytes, reservation: None }
        };
        self.finished.push(block);
        Ok(())
    }

    /// Finishes the last block, in no more memory than it needs.
    pub(crate) fn finish(mut self, store: &BlockStore) -> Result<Blocks<T>, DataError> {
        if let Some(mut tail) = self.tail.take() {
            self.spare = None;
            let bytes = tail.bytes;
            if (tail.reservation.is_none() || bytes < tail.capacity)
                && let Some(reservation) = store.budget.reserve(bytes as u64)
            {
                let mut map = allocate(bytes)?;
                map[..bytes].copy_from_slice(&tail.map[..bytes]);
                tail = OpenBlock { map, capacity: bytes, bytes, reservation: Some(reservation) };
            }
            self.seal(tail, store)?;
        }
        Ok(Blocks { blocks: self.finished, items: PhantomData })
    }
}

/// Allocates zeroed memory, in huge pages if the system has them: a fault for every small page would cost more than the
/// copy. Linux aligns a map to huge pages if its length is a multiple of theirs; pages that are never written take no
/// memory.
fn allocate(bytes: usize) -> Result<MmapMut, DataError> {
    let huge = bytes - bytes % HUGE_PAGE;
    let length = if huge == 0 { bytes.max(1) } else { bytes.next_multiple_of(HUGE_PAGE) };
    let map = MmapMut::map_anon(length).map_err(|error| {
        DataError::Memory(format!("no memory for {bytes} bytes of training data: {error}"))
    })?;
    if huge > 0 {
        // A kernel without huge pages refuses the advice, which is harmless.
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
pub(crate) struct BlockUsage {
    /// The bytes of the budget.
    pub(crate) memory: u64,
    /// The bytes in files.
    pub(crate) spilled: u64,
}

impl<T> Blocks<T> {
    /// The bytes that these blocks take.
    pub(crate) fn usage(&self) -> BlockUsage {
        self.blocks.iter().fold(BlockUsage::default(), |sum, block| match &block.reservation {
            Some(reservation) => BlockUsage { memory: sum.memory + reservation.bytes(), ..sum },
            None => BlockUsage { spilled: sum.spilled + block.bytes as u64, ..sum },
        })
    }
}

impl std::ops::Add for BlockUsage {
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
        let store = BlockStore { budget: CacheBudget::shared(u64::MAX), directories: Vec::new() };
        let mut writer = Writer::<u32>::new(10);
        let lengths = [4, 5, 3, 0, 12, 1, 9];
        let positions: Vec<_> = lengths
            .iter()
            .map(|&length| writer.push(&vec![length as u32; length], &store).unwrap())
            .collect();
        let blocks = writer.finish(&store).unwrap();
        for (&length, position) in lengths.iter().zip(positions) {
            let items = &blocks.items(position.block)[position.start..position.start + length];
            assert!(items.iter().all(|&item| item == length as u32));
        }
    }
}
