//! Whole partitions: round trips, order, spilling and what is left behind.

use arrow::array::RecordBatch;
use arrow::datatypes::{Float32Type, Int16Type, UInt8Type};
use firesteel_core::spec::{ElementType, LabelKind};
use firesteel_core::{Coded, ErrorCode};
use ndarray::Array2;
use proptest::prelude::*;

use super::*;
use crate::import::tests::through_stream;
use crate::testing::{
    all, batch, csr, dense, doubles, floats, label, lists, load, load_within, sparse, spec,
};

/// A row with every kind of column.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    floats: Vec<f32>,
    bytes: Vec<u8>,
    entries: Vec<(i32, f32)>,
    class: u32,
    weight: f32,
}

const FLOATS: usize = 5;
const BYTES: usize = 3;
const SPARSE: usize = 40;

fn everything() -> DataSpec {
    let inputs = vec![
        dense("floats", ElementType::F32, FLOATS),
        dense("bytes", ElementType::U8, BYTES),
        sparse("entries", SPARSE),
    ];
    spec(inputs, vec![label("class", LabelKind::Class { classes: 4 })], Some("weight"))
}

fn row() -> impl Strategy<Value = Row> {
    let entries = prop::collection::btree_map(0..SPARSE as i32, -9.0_f32..9.0, 0..8);
    (
        prop::collection::vec(-1e3_f32..1e3, FLOATS),
        prop::collection::vec(any::<u8>(), BYTES),
        entries.prop_map(|entries| entries.into_iter().collect()),
        0_u32..4,
        0.0_f32..5.0,
    )
        .prop_map(|(floats, bytes, entries, class, weight)| Row {
            floats,
            bytes,
            entries,
            class,
            weight,
        })
}

fn record(rows: &[Row]) -> RecordBatch {
    let [indices, values] = csr(&rows.iter().map(|row| row.entries.clone()).collect::<Vec<_>>());
    batch(vec![
        lists::<Float32Type>(FLOATS, rows.iter().flat_map(|row| row.floats.clone()).collect()),
        lists::<UInt8Type>(BYTES, rows.iter().flat_map(|row| row.bytes.clone()).collect()),
        indices,
        values,
        doubles(rows.iter().map(|row| f64::from(row.class)).collect()),
        floats(rows.iter().map(|row| row.weight).collect()),
    ])
}

/// Rows as a partition gives them back.
fn gathered(partition: &Partition, rows: &[u32]) -> Vec<Row> {
    let count = rows.len();
    let (mut dense, mut bytes) = (Array2::zeros((count, FLOATS)), Array2::zeros((count, BYTES)));
    let (mut wide, mut classes, mut weights) =
        (Array2::zeros((count, SPARSE)), vec![0; count], vec![0.0; count]);
    partition.gather_f32(0, rows, dense.view_mut()).unwrap();
    partition.gather_i64(1, rows, bytes.view_mut()).unwrap();
    partition.gather_f32(2, rows, wide.view_mut()).unwrap();
    partition.gather_classes(0, rows, &mut classes).unwrap();
    partition.gather_weights(rows, &mut weights).unwrap();
    (0..count)
        .map(|i| Row {
            floats: dense.row(i).to_vec(),
            bytes: bytes.row(i).iter().map(|&byte| byte as u8).collect(),
            entries: (0..SPARSE as i32)
                .zip(wide.row(i).iter().copied())
                .filter(|entry| entry.1 != 0.0)
                .collect(),
            class: classes[i] as u32,
            weight: weights[i],
        })
        .collect()
}

fn without_zeros(rows: &[Row]) -> Vec<Row> {
    let mut rows = rows.to_vec();
    rows.iter_mut().for_each(|row| row.entries.retain(|entry| entry.1 != 0.0));
    rows
}

#[test]
fn a_partition_without_rows_is_no_error() {
    let partition = load(vec![record(&[])], &everything()).unwrap();
    assert_eq!((partition.rows(), partition.bytes_in_memory()), (0, 0));
    assert!(partition.worker_rows(0, 2).unwrap().order(1, 0, true).is_empty());
}

#[test]
fn each_worker_of_a_task_has_a_fair_sample_of_rows_sorted_by_class_and_by_feature() {
    let rows: Vec<Row> = (0..4000_u32)
        .map(|i| Row {
            floats: vec![i as f32; FLOATS],
            bytes: vec![7; BYTES],
            entries: Vec::new(),
            class: i / 1000,
            weight: 1.0,
        })
        .collect();
    let partition = load(rows.chunks(500).map(record).collect(), &everything()).unwrap();
    for workers in [2, 3, 4, 8] {
        for index in 0..workers {
            let order = partition.worker_rows(index, workers).unwrap().order(1, 0, false);
            let rows = gathered(&partition, &order);
            let count = rows.len() as f32;
            for class in 0..4 {
                let share = rows.iter().filter(|row| row.class == class).count() as f32 / count;
                assert!((0.17..0.33).contains(&share), "{index} of {workers}: {class} is {share}");
            }
            let mean = rows.iter().map(|row| row.floats[0]).sum::<f32>() / count;
            assert!((1700.0..2300.0).contains(&mean), "{index} of {workers}: {mean}");
        }
    }
}

#[test]
fn a_worker_outside_of_its_task_is_refused() {
    let partition = load(vec![record(&[])], &everything()).unwrap();
    assert!(partition.worker_rows(2, 2).is_err());
    assert!(partition.worker_rows(0, 0).is_err());
}

#[test]
fn a_cancelled_task_stops_loading_and_keeps_nothing() {
    let cancel = CancelFlag::new();
    let (schema, flag) = (record(&[]).schema(), cancel.clone());
    let endless = std::iter::repeat_with(move || {
        flag.cancel();
        Ok(record(&[]))
    });
    let reader = Box::new(arrow::array::RecordBatchIterator::new(endless, schema));
    let budget = CacheBudget::shared(1 << 30);
    let error =
        Partition::load(reader, &everything(), Arc::clone(&budget), &[], &cancel).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Cancelled);
    assert_eq!(budget.used(), 0);
}

#[test]
fn a_specification_that_no_row_fits_is_refused() {
    let mut empty = everything();
    empty.inputs[0].shape = vec![0];
    let mut huge = everything();
    huge.inputs[1].shape = vec![usize::MAX, 2];
    let mut scaled = everything();
    scaled.inputs[0].scale = f32::NAN;
    let mut classless = everything();
    classless.labels[0].kind = LabelKind::Class { classes: 0 };
    for spec in [empty, huge, scaled, classless] {
        let error = load(vec![record(&[])], &spec).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSpec, "{error}");
    }
}

#[test]
fn a_missing_column_is_a_schema_error_with_both_lists() {
    let columns = record(&[]).project(&[0, 1, 2, 3, 4]).unwrap();
    let error = load(vec![columns], &everything()).unwrap_err();
    assert_eq!(error.code(), ErrorCode::Internal);
    assert!(
        error.to_string().contains("5 columns (c0, c1, c2, c3, c4) where 6 are expected (floats"),
        "{error}"
    );
}

#[test]
fn spilled_rows_equal_those_in_memory_and_nothing_is_left_of_them() {
    let directory = tempfile::tempdir().unwrap();
    let directories = [directory.path().to_path_buf()];
    let size = 3000;
    let spec = spec(vec![dense("wave", ElementType::I16, size)], vec![], None);
    let batches: Vec<_> = (0..20)
        .map(|i| {
            batch(vec![lists::<Int16Type>(
                size,
                (0..size * 300).map(|v| (v * 7 + i) as i16).collect(),
            )])
        })
        .collect();
    let whole = load(batches.clone(), &spec).unwrap();
    assert_eq!(whole.bytes_spilled(), 0);
    for limit in [0, 20 << 20] {
        let budget = CacheBudget::shared(limit);
        let spilled = load_within(batches.clone(), &spec, &budget, &directories).unwrap();
        assert!(spilled.bytes_spilled() > 0);
        assert_eq!(spilled.bytes_in_memory(), budget.used());
        assert_eq!(
            spilled.bytes_in_memory() + spilled.bytes_spilled(),
            (size * 2 + 12) as u64 * 6000
        );
        assert_eq!(
            std::fs::read_dir(directory.path()).unwrap().count(),
            0,
            "spilled files have no names"
        );
        assert!(held_in(directory.path()) > 0, "spilled files are mapped");
        assert_eq!(spilled.content(), whole.content());
        let order = whole.worker_rows(0, 1).unwrap().order(5, 0, true);
        let (mut one, mut other) = (Array2::zeros((600, size)), Array2::ones((600, size)));
        for rows in order.chunks(600) {
            spilled.gather_i64(0, rows, one.view_mut()).unwrap();
            whole.gather_i64(0, rows, other.view_mut()).unwrap();
            assert!(one == other);
        }
        drop(spilled);
        assert_eq!((budget.used(), held_in(directory.path())), (0, 0));
    }
}

#[test]
fn a_failed_load_leaves_no_byte_and_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let directories = [directory.path().to_path_buf()];
    let spec = spec(vec![dense("wave", ElementType::F32, 1000)], vec![], None);
    let good = batch(vec![lists::<Float32Type>(1000, vec![0.5; 5_000_000])]);
    let bad = batch(vec![lists::<Float32Type>(1000, vec![f32::NAN; 1000])]);
    let budget = CacheBudget::shared(10 << 20);
    let error = load_within(vec![good, bad], &spec, &budget, &directories).unwrap_err();
    assert!(error.to_string().contains("row 5000 of the partition, position 0"), "{error}");
    assert_eq!((budget.used(), held_in(directory.path())), (0, 0));
}

/// The maps and open files of this process that lie in a directory.
fn held_in(directory: &std::path::Path) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let mapped = maps.lines().filter(|line| line.contains(&*directory.to_string_lossy())).count();
    let open = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let open = open
        .flat_map(|file| std::fs::read_link(file.path()))
        .filter(|path| path.starts_with(directory));
    mapped + open.count()
}

#[test]
fn a_partition_may_move_to_another_thread() {
    fn assert_send<T: Send + Sync>() {}
    assert_send::<Partition>();
    assert_send::<WorkerRows>();
    assert_send::<DataError>();
}

proptest! {
    #[test]
    fn rows_come_back_through_a_stream_however_they_are_cut(
        rows in prop::collection::vec(row(), 0..60), cut in 1_usize..20,
    ) {
        let mut batches: Vec<_> = rows.chunks(cut).map(|rows| Ok(record(rows))).collect();
        batches.push(Ok(record(&[])));
        let reader = through_stream(record(&[]).schema(), batches);
        let budget = CacheBudget::shared(1 << 30);
        let partition =
            Partition::load(reader, &everything(), Arc::clone(&budget), &[], &CancelFlag::new()).unwrap();
        prop_assert_eq!(partition.rows(), rows.len());
        prop_assert_eq!(gathered(&partition, &all(&partition)), without_zeros(&rows));
        prop_assert_eq!(partition.bytes_in_memory(), budget.used());
        drop(partition);
        prop_assert_eq!(budget.used(), 0);
    }

    #[test]
    fn the_trained_sequence_does_not_depend_on_arrival_or_batches(
        (arrived, shuffled) in prop::collection::vec(row(), 1..40).prop_flat_map(|rows| {
            let twice: Vec<Row> = rows.iter().chain(&rows[..rows.len() / 2]).cloned().collect();
            (Just(twice.clone()), Just(twice).prop_shuffle())
        }),
        cut in 1_usize..20, seed: u64,
    ) {
        let one = load(vec![record(&arrived)], &everything()).unwrap();
        let other = load(shuffled.chunks(cut).map(record).collect(), &everything()).unwrap();
        prop_assert_eq!(one.content(), other.content());
        for worker in 0..3 {
            let (a, b) = (one.worker_rows(worker, 3).unwrap(), other.worker_rows(worker, 3).unwrap());
            prop_assert_eq!(a.content(true), b.content(true));
            for epoch in 0..2 {
                prop_assert_eq!(
                    gathered(&one, &a.order(seed, epoch, true)),
                    gathered(&other, &b.order(seed, epoch, true))
                );
            }
        }
    }

    #[test]
    fn any_changed_column_changes_the_content(rows in prop::collection::vec(row(), 1..10), column in 0..5) {
        let mut changed = rows.clone();
        match column {
            0 => changed[0].floats[4] += 1.0,
            1 => changed[0].bytes[0] ^= 1,
            2 => changed[0].entries = vec![(3, 77.0)],
            3 => changed[0].class = (changed[0].class + 1) % 4,
            _ => changed[0].weight += 1.0,
        }
        let content = |rows: &[Row]| load(vec![record(rows)], &everything()).unwrap().content();
        prop_assert_ne!(content(&rows), content(&changed));
    }
}
