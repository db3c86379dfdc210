//! Every metric beside the plainest computation of it.

use ndarray::{Axis, aview1, aview2};
use proptest::prelude::*;

use super::*;
use crate::spec::OutputMetric;

/// A classified row: scores, class, weight.
type Row = (Vec<f32>, usize, f32);

/// A row with a class and a number: class, its score, prediction and number, weight.
type Both = (usize, f32, [f32; 2], f32);

fn set(metrics: &[Metric], kind: LabelKind) -> MetricSet {
    set_of(metrics.iter().map(|&metric| metric.into()).collect(), &[("y", kind)])
}

/// The metrics of outputs with these names and kinds of labels.
fn set_of(metrics: Vec<OutputMetric>, outputs: &[(&str, LabelKind)]) -> MetricSet {
    let label = |&(column, kind): &(&str, LabelKind)| LabelSpec { column: column.to_owned(), kind };
    let labels: Vec<_> = outputs.iter().map(label).collect();
    let names: Vec<_> = outputs.iter().map(|(name, _)| (*name).to_owned()).collect();
    let controls = ControlSpec { metrics, ..ControlSpec::default() };
    MetricSet::new(&controls, &labels, &names).unwrap()
}

fn of_classes(set: &MetricSet, rows: &[Row]) -> MetricSums {
    let mut sums = set.empty();
    for (scores, class, weight) in rows {
        sums.add_rows(&[*weight]);
        let scores = aview1(scores).insert_axis(Axis(0));
        sums.add_classes(0, scores, &[*class as i64], &[*weight]);
    }
    sums
}

fn value(set: &MetricSet, sums: &MetricSums, name: &str) -> Option<f64> {
    set.values(sums).iter().find(|value| value.name == name).unwrap().value
}

fn weighted_share(rows: &[Row], holds: impl Fn(&Row) -> bool) -> f64 {
    let total: f64 = rows.iter().map(|row| f64::from(row.2)).sum();
    rows.iter().filter(|row| holds(row)).map(|row| f64::from(row.2)).sum::<f64>() / total
}

fn rows(classes: usize, width: usize) -> impl Strategy<Value = Vec<Row>> {
    let scores = prop::collection::vec((-40_i32..40).prop_map(|x| x as f32 / 8.0), width);
    prop::collection::vec((scores, 0..classes, 0.25_f32..4.0), 1..80)
}

/// The area over all pairs.
fn exact_area(rows: &[Row]) -> Option<f64> {
    let score = |row: &Row| if row.0.len() == 1 { row.0[0] } else { row.0[1] - row.0[0] };
    let (mut ordered, mut pairs) = (0.0, 0.0);
    for one in rows.iter().filter(|row| row.1 == 1) {
        for zero in rows.iter().filter(|row| row.1 == 0) {
            let weight = f64::from(one.2) * f64::from(zero.2);
            pairs += weight;
            let (above, below) = (score(one), score(zero));
            ordered += weight
                * if above > below {
                    1.0
                } else if above == below {
                    0.5
                } else {
                    0.0
                };
        }
    }
    (pairs > 0.0).then(|| ordered / pairs)
}

fn near(found: f64, expected: f64, tolerance: f64) {
    assert!((found - expected).abs() <= tolerance, "{found} is not {expected}");
}

fn pair() -> impl Strategy<Value = [f32; 2]> {
    prop::array::uniform2(-5.0_f32..5.0)
}

const CLASSES: [Metric; 4] = [Metric::Accuracy, Metric::Top(2), Metric::Top(4), Metric::Confusion];
const VALUES: [Metric; 3] = [Metric::Mse, Metric::Mae, Metric::R2];

proptest! {
    #[test]
    fn shares_and_confusion_are_those_of_sorted_scores(rows in rows(4, 4)) {
        let set = set(&CLASSES, LabelKind::Class { classes: 4 });
        let sums = of_classes(&set, &rows);
        let order = |row: &Row| {
            let mut order: Vec<usize> = (0..4).collect();
            order.sort_by(|&a, &b| row.0[b].total_cmp(&row.0[a]).then(a.cmp(&b)));
            order
        };
        for (k, name) in [(1, "accuracy"), (2, "top2"), (4, "top4")] {
            let expected = weighted_share(&rows, |row| order(row)[..k].contains(&row.1));
            near(value(&set, &sums, name).unwrap(), expected, 1e-12);
        }
        let matrix = set.values(&sums)[3].matrix.clone().unwrap();
        let total: f64 = rows.iter().map(|row| f64::from(row.2)).sum();
        for (class, counts) in matrix.iter().enumerate() {
            for (predicted, &count) in counts.iter().enumerate() {
                let expected = weighted_share(&rows, |row| row.1 == class && order(row)[0] == predicted);
                near(count, expected * total, 1e-9);
            }
        }
        prop_assert_eq!(sums.rows(), rows.len() as u64);
    }

    #[test]
    fn the_area_is_exact_where_scores_are_apart_and_within_its_bound_elsewhere(
        one in rows(2, 1), two in rows(2, 2), squeeze in 1e-4_f32..1.0,
    ) {
        let set = set(&[Metric::Auc], LabelKind::Class { classes: 2 });
        let squeezed = one
            .iter()
            .map(|(scores, class, weight)| (vec![3.0 + scores[0] * squeeze], *class, *weight))
            .collect();
        for (rows, apart) in [(one, true), (two, true), (squeezed, false)] {
            let sums = of_classes(&set, &rows);
            let found = &set.values(&sums)[0];
            prop_assert_eq!(found.value.is_some(), exact_area(&rows).is_some());
            if let (Some(area), Some(exact)) = (found.value, exact_area(&rows)) {
                near(area, exact, 1e-12 + if apart { 0.0 } else { found.error_bound.unwrap() });
            }
        }
    }

    #[test]
    fn errors_are_those_of_the_plain_sums(
        rows in prop::collection::vec((pair(), pair(), 0.25_f32..4.0), 3..60),
        offset in prop::sample::select(vec![0.0_f32, 100.0]),
    ) {
        let set = set(&VALUES, LabelKind::Values { size: 2 });
        let far = |numbers: [f32; 2]| numbers.map(|number| number + offset);
        let rows: Vec<_> =
            rows.into_iter().map(|(x, y, w)| (far(x), far(y), f64::from(w))).collect();
        let mut sums = set.empty();
        for (x, y, w) in &rows {
            sums.add_rows(&[*w as f32]);
            sums.add_values(0, aview2(&[*x]), aview2(&[*y]), &[*w as f32]);
        }
        let total: f64 = rows.iter().map(|row| row.2).sum();
        let mean = |of: &dyn Fn(f64, f64) -> f64| {
            rows.iter().map(|(x, y, w)| {
                w * (0..2).map(|j| of(f64::from(x[j]), f64::from(y[j]))).sum::<f64>() / 2.0
            }).sum::<f64>() / total
        };
        near(value(&set, &sums, "mse").unwrap(), mean(&|x, y| (x - y).powi(2)), 1e-9);
        near(value(&set, &sums, "mae").unwrap(), mean(&|x, y| (x - y).abs()), 1e-9);
        let explained: f64 = (0..2).map(|j| {
            let center = rows.iter().map(|(_, y, w)| w * f64::from(y[j])).sum::<f64>() / total;
            let all: f64 = rows.iter().map(|(_, y, w)| w * (f64::from(y[j]) - center).powi(2)).sum();
            let left: f64 = rows.iter().map(|(x, y, w)| w * f64::from(x[j] - y[j]).powi(2)).sum();
            1.0 - left / all
        }).sum::<f64>() / 2.0;
        near(value(&set, &sums, "r2").unwrap(), explained, 1e-5 * explained.abs().max(1.0));
    }

    #[test]
    fn each_of_several_outputs_has_its_own_loss_and_metrics(
        rows in prop::collection::vec((0..2_usize, -3.0_f32..3.0, pair(), 0.25_f32..4.0), 1..40),
        cut in 0.0_f64..1.0,
    ) {
        let metrics = ["accuracy", "mae"].map(|name| name.parse().unwrap()).to_vec();
        let outputs =
            [("kind", LabelKind::Class { classes: 2 }), ("a_price", LabelKind::Values { size: 1 })];
        let set = set_of(metrics, &outputs);
        let over = |rows: &[Both]| {
            let mut sums = set.empty();
            for (class, score, [x, y], w) in rows {
                sums.add_rows(&[*w]);
                sums.add_classes(0, aview2(&[[*score]]), &[*class as i64], &[*w]);
                sums.add_values(1, aview2(&[[*x]]), aview2(&[[*y]]), &[*w]);
                for (label, loss) in [(0, *score), (1, *x)] {
                    let weight = f64::from(*w);
                    sums.add_loss_of(label, Tally { loss: f64::from(loss) * weight, weight });
                }
            }
            set.decode(&sums.encode()).unwrap()
        };
        let (before, after) = rows.split_at((cut * rows.len() as f64) as usize);
        let mut sums = over(before);
        sums.merge(&over(after));
        let total: f64 = rows.iter().map(|row| f64::from(row.3)).sum();
        let mean = |of: &dyn Fn(&Both) -> f64| {
            rows.iter().map(|row| f64::from(row.3) * of(row)).sum::<f64>() / total
        };
        let expected = [
            ("kind_loss", mean(&|row| f64::from(row.1))),
            ("a_price_loss", mean(&|row| f64::from(row.2[0]))),
            ("kind_accuracy", mean(&|row| f64::from(u8::from((row.1 > 0.0) == (row.0 == 1))))),
            ("a_price_mae", mean(&|row| (f64::from(row.2[0]) - f64::from(row.2[1])).abs())),
        ];
        let found = set.values(&sums);
        prop_assert_eq!(found.len(), expected.len());
        for (found, (name, value)) in found.iter().zip(expected) {
            prop_assert_eq!(&found.name, name);
            near(found.value.unwrap(), value, 1e-9);
            let monitor = Monitor::try_from(name.to_owned()).unwrap();
            prop_assert_eq!(set.monitored(&sums, &monitor), found.value);
        }
        prop_assert_eq!(sums.rows(), rows.len() as u64);
    }

    #[test]
    fn sums_merge_in_any_grouping_and_survive_the_wire(rows in rows(2, 2), cuts in prop::array::uniform2(0.0_f64..1.0)) {
        let set = set(&[Metric::Accuracy, Metric::Auc, Metric::Confusion], LabelKind::Class { classes: 2 });
        let mut cuts = cuts.map(|cut| (cut * rows.len() as f64) as usize);
        cuts.sort_unstable();
        let part = |range: std::ops::Range<usize>| {
            let sums = of_classes(&set, &rows[range]);
            let read = set.decode(&sums.clone().encode()).unwrap();
            assert_eq!(read, sums);
            read
        };
        let parts = [part(0..cuts[0]), part(cuts[0]..cuts[1]), part(cuts[1]..rows.len())];
        let (mut left, mut right) = (parts[0].clone(), parts[2].clone());
        left.merge(&parts[1]);
        left.merge(&parts[2]);
        right.merge(&parts[0]);
        right.merge(&parts[1]);
        let whole = of_classes(&set, &rows).encode();
        for merged in [left, right] {
            for (found, expected) in merged.encode().iter().zip(&whole) {
                near(*found, *expected, 1e-9);
            }
        }
    }
}

#[test]
fn moments_merge_to_those_of_all_rows_however_far_from_0_they_lie() {
    let set = set(&[Metric::R2], LabelKind::Values { size: 1 });
    let row = |i: usize| (1.0e6 + (i % 7) as f32, 1.0e6 + (i % 5) as f32);
    let over = |range: std::ops::Range<usize>| {
        let mut sums = set.empty();
        range
            .map(row)
            .for_each(|(x, y)| sums.add_values(0, aview2(&[[x]]), aview2(&[[y]]), &[1.0]));
        sums
    };
    let whole = over(0..700);
    let mut merged = over(350..700);
    merged.merge(&over(0..350));
    let exact = {
        let mean = (0..700).map(|i| f64::from(row(i).1)).sum::<f64>() / 700.0;
        let all: f64 = (0..700).map(|i| (f64::from(row(i).1) - mean).powi(2)).sum();
        let left: f64 = (0..700).map(|i| (f64::from(row(i).0) - f64::from(row(i).1)).powi(2)).sum();
        1.0 - left / all
    };
    near(value(&set, &whole, "r2").unwrap(), exact, 1e-9);
    near(value(&set, &merged, "r2").unwrap(), exact, 1e-9);
}

#[test]
fn what_is_undefined_has_no_value() {
    let classes = set(&[Metric::Accuracy, Metric::Auc], LabelKind::Class { classes: 2 });
    assert_eq!(value(&classes, &classes.empty(), "accuracy"), None);
    assert_eq!(classes.empty().loss(), None);
    let one_class = of_classes(&classes, &[(vec![1.0], 1, 1.0), (vec![2.0], 1, 1.0)]);
    assert_eq!(value(&classes, &one_class, "auc"), None);
    assert_eq!(value(&classes, &one_class, "accuracy"), Some(1.0));
    let numbers = set(&[Metric::R2], LabelKind::Values { size: 1 });
    let mut alike = numbers.empty();
    alike.add_values(0, aview2(&[[1.0], [2.0]]), aview2(&[[3.0], [3.0]]), &[1.0, 1.0]);
    assert_eq!(value(&numbers, &alike, "r2"), None);
}

#[test]
fn a_score_that_is_no_number_is_never_a_hit_and_equal_scores_go_to_the_first_class() {
    let set = set(&[Metric::Accuracy, Metric::Top(2)], LabelKind::Class { classes: 3 });
    let nan = of_classes(&set, &[(vec![1.0, f32::NAN, 0.0], 1, 1.0)]);
    assert_eq!((value(&set, &nan, "accuracy"), value(&set, &nan, "top2")), (Some(0.0), Some(0.0)));
    let equal = of_classes(&set, &[(vec![1.0; 3], 0, 1.0), (vec![1.0; 3], 1, 1.0)]);
    assert_eq!(
        (value(&set, &equal, "accuracy"), value(&set, &equal, "top2")),
        (Some(0.5), Some(1.0))
    );
}

#[test]
fn numbers_that_are_not_those_of_the_set_are_refused() {
    let set = set(&[Metric::Accuracy], LabelKind::Class { classes: 2 });
    let good = of_classes(&set, &[(vec![1.0], 1, 1.0)]).encode();
    assert_eq!(good.len(), set.encoded_len());
    assert!(set.decode(&good).is_some());
    assert!(set.decode(&good[1..]).is_none());
    assert!(set.decode(&[good.clone(), vec![0.0]].concat()).is_none());
    let mut wrong = good;
    wrong[0] = 0.5;
    assert!(set.decode(&wrong).is_none());
}

#[test]
fn monitors_read_loss_and_metrics() {
    let set = set(&[Metric::Accuracy], LabelKind::Class { classes: 2 });
    let mut sums = of_classes(&set, &[(vec![1.0], 1, 3.0), (vec![1.0], 0, 1.0)]);
    sums.add_loss(Tally { loss: 6.0, weight: 4.0 });
    assert_eq!(set.monitored(&sums, &Monitor::Loss), Some(1.5));
    assert_eq!(set.monitored(&sums, &Monitor::Metric(Metric::Accuracy.into())), Some(0.75));
    assert_eq!(set.monitored(&sums, &Monitor::Metric(Metric::Auc.into())), None);
    assert_eq!(set.monitored(&sums, &Monitor::TrainingLoss), None);
}
