//! Rows of equal width in blocks.

use bytemuck::Pod;

use crate::blocks::{BlockStore, BlockUsage, Blocks, Writer};
use crate::error::DataError;

/// Fills blocks with rows of equal width.
#[derive(Debug)]
pub(crate) struct TableWriter<T> {
    writer: Writer<T>,
    width: usize,
}

impl<T: Pod> TableWriter<T> {
    /// A writer of rows of `width` items.
    pub(crate) fn new(width: usize) -> Self {
        Self { writer: Writer::new(Writer::<T>::rows_per_block(width) * width), width }
    }

    /// Appends whole rows.
    pub(crate) fn extend(&mut self, mut rows: &[T], store: &BlockStore) -> Result<(), DataError> {
        while !rows.is_empty() {
            let (now, later) = rows.split_at(rows.len().min(self.writer.free_items()));
            self.writer.push(now, store)?;
            rows = later;
        }
        Ok(())
    }

    pub(crate) fn finish(self, store: &BlockStore) -> Result<Table<T>, DataError> {
        let shift = Writer::<T>::rows_per_block(self.width).ilog2();
        Ok(Table { blocks: self.writer.finish(store)?, width: self.width, shift })
    }
}

/// Rows of equal width in blocks that each hold the same power of two of rows.
#[derive(Debug)]
pub(crate) struct Table<T> {
    blocks: Blocks<T>,
    width: usize,
    shift: u32,
}

impl<T: Pod> Table<T> {
    /// Consecutive rows from `row` on, as many of `count` as lie in one block, and at least one.
    pub(crate) fn run(&self, row: usize, count: usize) -> &[T] {
        let first = row & ((1 << self.shift) - 1);
        let count = count.min((1 << self.shift) - first);
        &self.blocks.items(row >> self.shift)[first * self.width..(first + count) * self.width]
    }

    pub(crate) fn usage(&self) -> BlockUsage {
        self.blocks.usage()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::blocks::BLOCK_BYTES;
    use crate::budget::CacheBudget;
    use firesteel_core::{Coded, ErrorCode};

    fn store(bytes: u64, directories: &[PathBuf]) -> BlockStore {
        BlockStore { budget: CacheBudget::shared(bytes), directories: directories.to_vec() }
    }

    fn table(rows: usize, width: usize, store: &BlockStore) -> Result<Table<u32>, DataError> {
        let mut writer = TableWriter::new(width);
        for row in 0..rows {
            let row: Vec<u32> = (0..width).map(|i| (row * width + i) as u32).collect();
            writer.extend(&row, store)?;
        }
        writer.finish(store)
    }

    fn check(table: &Table<u32>, rows: usize, width: usize) {
        let mut row = 0;
        while row < rows {
            let run = table.run(row, rows - row);
            assert!(run.len() >= width);
            assert!(
                run.iter().enumerate().all(|(i, &item)| item as usize == row * width + i),
                "row {row}"
            );
            row += run.len() / width;
        }
    }

    #[test]
    fn a_small_table_takes_exactly_its_bytes() {
        let store = store(1 << 20, &[]);
        let table = table(100, 7, &store).unwrap();
        check(&table, 100, 7);
        assert_eq!(table.usage(), BlockUsage { memory: 2800, spilled: 0 });
        assert_eq!(store.budget.used(), 2800);
        drop(table);
        assert_eq!(store.budget.used(), 0);
    }

    #[test]
    fn rows_of_many_blocks_read_back_whether_in_memory_in_files_or_in_both() {
        let directory = tempfile::tempdir().unwrap();
        let (rows, width) = (50_000, 100);
        for limit in [u64::MAX, 0, 10 << 20] {
            let store = store(limit, &[directory.path().to_path_buf()]);
            let table = table(rows, width, &store).unwrap();
            check(&table, rows, width);
            let usage = table.usage();
            assert_eq!(usage.memory, store.budget.used());
            assert_eq!(usage.memory + usage.spilled, (rows * width * 4) as u64, "limit {limit}");
            assert_eq!(usage.spilled == 0, limit == u64::MAX);
            assert_eq!(usage.memory == 0, limit == 0);
            assert!(usage.memory <= limit);
            assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
            drop(table);
            assert_eq!(store.budget.used(), 0);
        }
    }

    #[test]
    fn a_row_larger_than_a_block_has_a_block_of_its_own() {
        let store = store(u64::MAX, &[]);
        let width = BLOCK_BYTES / 4 + 5;
        check(&table(3, width, &store).unwrap(), 3, width);
    }

    #[test]
    fn without_room_and_directories_the_error_names_the_limit() {
        let error = table(10, 10, &store(5, &[])).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Memory);
        assert!(
            error.to_string().contains("the 5 bytes of spark.firesteel.cache.memory"),
            "{error}"
        );
    }

    #[test]
    fn a_directory_that_fails_is_passed_over_and_named_if_all_fail() {
        let directory = tempfile::tempdir().unwrap();
        let gone = directory.path().join("gone");
        let some = store(0, &[gone.clone(), directory.path().to_path_buf()]);
        check(&table(10, 10, &some).unwrap(), 10, 10);
        let error = table(10, 10, &store(0, std::slice::from_ref(&gone))).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Io);
        assert!(error.to_string().contains(&*gone.to_string_lossy()), "{error}");
    }
}
