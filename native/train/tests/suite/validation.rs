//! Held-out rows over real tasks and a real server.

use std::ops::Range;
use std::sync::Arc;
use std::thread;

use crate::support::clouds_fit::{CLASSES, ROWS};
use crate::support::held_out::*;
use crate::support::{
    Fit, Task, batch, chain, clouds, data_spec, labelled, list, node, noise, sgd, worker_spec,
};
use arrow::array::{BooleanArray, Float32Array, Float64Array};
use firesteel_core::epoch_monitor::StopReason;
use firesteel_core::spec::{
    LabelKind, LabelSpec, LossSpec, NETWORK_FORMAT, NetworkSpec, PredictionColumn, PredictionTask,
    TermSpec, ValidationSpec, WorkerSpec,
};
use firesteel_core::strategy;
use serde_json::json;

#[test]
fn held_out_rows_are_scored_as_the_model_predicts_them_and_never_trained() {
    let document = json!({"metrics": ["accuracy", "top2"]});
    for (name, tasks, workers) in [("single", 1, 1), ("sync", 2, 4), ("averaging", 2, 2)] {
        let fit = Fit::open_for(
            WorkerSpec { network: regularised().into(), ..spec(name, document.clone()) },
            workers,
        );
        run(&fit, tasks, workers, true);
        let status = fit.server.status();
        assert!(status.epochs.iter().all(|epoch| epoch.rows == 480), "{name}");
        let found = validations(&fit).pop().unwrap();
        assert_eq!((found.rows, found.version), (120, status.version), "{name}");
        let (rows, labels) = held_out();
        let probabilities =
            predicted(&fit, PredictionColumn::Probability, PredictionTask::Classification, rows);
        let share = |hit: &dyn Fn(&[f64], usize) -> bool| {
            let hits = probabilities.iter().zip(&labels).filter(|(row, label)| hit(row, **label));
            hits.count() as f64 / labels.len() as f64
        };
        let ahead = |row: &[f64], label: usize| row.iter().filter(|&&p| p > row[label]).count();
        near(metric(&found, "accuracy"), share(&|row, label| ahead(row, label) == 0));
        near(metric(&found, "top2"), share(&|row, label| ahead(row, label) < 2));
        let entropy = probabilities.iter().zip(&labels).map(|(row, &label)| -row[label].ln());
        near(found.loss.unwrap(), entropy.sum::<f64>() / labels.len() as f64);
    }
}

#[test]
fn errors_of_numbers_are_those_of_the_predictions_by_their_weights() {
    let values = noise(4 * ROWS, 3);
    let target = |row: usize| f64::from(values[4 * row]) * 2.0 - f64::from(values[4 * row + 3]);
    let weight = |row: usize| (row % 3) as f32 + 0.5;
    let network = chain(&[("Linear", json!({"out_features": 1}))]);
    let mut spec =
        worker_spec(network, with_marks(data_spec(&[4], LabelKind::Values { size: 1 })), "single");
    spec.data.weight = Some("weight".to_owned());
    spec.losses = vec![LossSpec::L1Loss {}.into()];
    spec.controls = controls(json!({"metrics": ["mse", "mae", "r2"]}));
    let fit = Fit::open(spec);
    let labels: Vec<f64> = (0..ROWS).map(target).collect();
    let mut columns = labelled(values.clone(), 4, labels).columns().to_vec();
    columns.push(Arc::new(Float32Array::from((0..ROWS).map(weight).collect::<Vec<_>>())));
    columns.push(Arc::new(BooleanArray::from((0..ROWS).map(is_held_out).collect::<Vec<_>>())));
    fit.run(batch(columns)).unwrap();
    let rows: Vec<usize> = (0..ROWS).filter(|&row| is_held_out(row)).collect();
    let features =
        rows.iter().flat_map(|&row| values[4 * row..4 * row + 4].to_vec()).collect::<Vec<_>>();
    let features = batch(vec![list(Float32Array::from(features), 4)]);
    let found = validations(&fit).pop().unwrap();
    let predictions =
        predicted(&fit, PredictionColumn::Prediction, PredictionTask::Regression, features);
    let total: f64 = rows.iter().map(|&row| f64::from(weight(row))).sum();
    let mean = |of: &dyn Fn(f64, f64) -> f64| {
        let each = rows
            .iter()
            .zip(&predictions)
            .map(|(&row, x)| f64::from(weight(row)) * of(x[0], target(row)));
        each.sum::<f64>() / total
    };
    let center = mean(&|_, y| y);
    near(metric(&found, "mse"), mean(&|x, y| (x - y).powi(2)));
    near(metric(&found, "mae"), mean(&|x, y| (x - y).abs()));
    near(found.loss.unwrap(), mean(&|x, y| (x - y).abs()));
    let variance = mean(&|_, y| (y - center).powi(2));
    near(metric(&found, "r2"), 1.0 - mean(&|x, y| (x - y).powi(2)) / variance);
}

#[test]
fn each_of_two_outputs_has_its_own_loss_and_metrics_and_the_loss_is_their_weighted_sum() {
    let values = noise(4 * ROWS, 3);
    let features = |rows: &[usize]| {
        let of = |&row: &usize| values[4 * row..4 * row + 4].to_vec();
        list(rows.iter().flat_map(of).collect::<Float32Array>(), 4)
    };
    let number = |row: usize| f64::from(values[4 * row]) * 2.0 - f64::from(values[4 * row + 3]);
    let class = |row: usize| usize::from(number(row) > 0.0) + usize::from(number(row) > 1.0);
    let weight = |row: usize| (row % 3) as f32 + 0.5;
    let network = NetworkSpec {
        format: NETWORK_FORMAT.to_owned(),
        inputs: vec!["x".to_owned()],
        nodes: vec![
            node("hidden", "Linear", &["x"], json!({"out_features": 8})),
            node("bent", "Tanh", &["hidden"], json!({})),
            node("logits", "Linear", &["bent"], json!({"out_features": 3})),
            node("kind", "Softmax", &["logits"], json!({})),
            node("list_price", "Linear", &["bent"], json!({"out_features": 1})),
        ],
        outputs: vec!["kind".to_owned(), "list_price".to_owned()],
    };
    let mut data = with_marks(data_spec(&[4], CLASSES));
    let kind = LabelKind::Values { size: 1 };
    data.labels.push(LabelSpec { column: "price".to_owned(), kind });
    data.weight = Some("weight".to_owned());
    let mut spec = worker_spec(network, data, "single");
    spec.losses = vec![
        TermSpec { loss: LossSpec::CrossEntropy {}, weight: 0.25 },
        TermSpec { loss: LossSpec::L1Loss {}, weight: 3.0 },
    ];
    spec.controls = controls(json!({"metrics": ["list_price_mse", "accuracy", "mae"],
        "stopping": {"monitor": "list_price_mae", "targetMetric": 1000.0}}));
    let fit = Fit::open(spec);
    let all: Vec<usize> = (0..ROWS).collect();
    fit.run(batch(vec![
        features(&all),
        Arc::new(all.iter().map(|&row| class(row) as f64).collect::<Float64Array>()),
        Arc::new(all.iter().map(|&row| number(row)).collect::<Float64Array>()),
        Arc::new(all.iter().map(|&row| weight(row)).collect::<Float32Array>()),
        Arc::new(BooleanArray::from(all.iter().map(|&row| is_held_out(row)).collect::<Vec<_>>())),
    ]))
    .unwrap();
    assert_eq!(fit.server.status().stopped, Some(StopReason::TargetMetric));
    let found = validations(&fit).pop().unwrap();
    let names: Vec<&str> = found.metrics.iter().map(|metric| metric.name.as_str()).collect();
    assert_eq!(
        names,
        ["kind_loss", "list_price_loss", "list_price_mse", "kind_accuracy", "list_price_mae"]
    );
    let rows: Vec<usize> = (0..ROWS).filter(|&row| is_held_out(row)).collect();
    let output = |index| {
        let column = PredictionColumn::Output(index);
        predicted(&fit, column, PredictionTask::Outputs, batch(vec![features(&rows)]))
    };
    let (shares, prices) = (output(0), output(1));
    let total: f64 = rows.iter().map(|&row| f64::from(weight(row))).sum();
    let mean = |of: &dyn Fn(usize) -> f64| {
        let each = rows.iter().enumerate().map(|(at, &row)| f64::from(weight(row)) * of(at));
        each.sum::<f64>() / total
    };
    let error = |at: usize| prices[at][0] - number(rows[at]);
    let entropy = mean(&|at| -shares[at][class(rows[at])].ln());
    let absolute = mean(&|at| error(at).abs());
    near(metric(&found, "kind_loss"), entropy);
    near(metric(&found, "list_price_loss"), absolute);
    near(metric(&found, "list_price_mae"), absolute);
    near(metric(&found, "list_price_mse"), mean(&|at| error(at).powi(2)));
    near(found.loss.unwrap(), 0.25 * entropy + 3.0 * absolute);
    let right = |at: usize| {
        let own = shares[at][class(rows[at])];
        f64::from(u8::from(shares[at].iter().all(|&share| share <= own)))
    };
    near(metric(&found, "kind_accuracy"), mean(&right));
}

#[test]
fn every_strategy_scores_every_epoch_with_any_number_of_workers() {
    for name in strategy::names() {
        for (tasks, workers) in [(1, 1), (1, 3), (2, 2), (2, 4)] {
            if name == "single" && workers > 1 {
                continue;
            }
            for sockets in [false, true] {
                let fit = Fit::open_for(spec(name, json!({"metrics": ["accuracy"]})), workers);
                run(&fit, tasks, workers, sockets);
                let case =
                    format!("{name}: {workers} workers in {tasks} tasks, sockets: {sockets}");
                let status = fit.server.status();
                assert_eq!((status.failure, status.warnings.len()), (None, 0), "{case}");
                let found = validations(&fit);
                assert_eq!(found.len(), 6, "{case}");
                assert!(found.iter().all(|epoch| epoch.rows == 120), "{case}: {found:?}");
                assert!(found.windows(2).all(|pair| pair[0].version <= pair[1].version), "{case}");
                let loss = |epoch: usize| found[epoch].loss.unwrap();
                assert!(loss(5) < loss(0), "{case}: {found:?}");
                let ledger = fit.server.summary().ledger;
                assert!(ledger.iter().all(|epoch| epoch.validation.is_some()), "{case}");
            }
        }
    }
}

#[test]
fn a_share_of_the_rows_is_held_out_whatever_the_partitions() {
    let rows = |of: Range<usize>| marked(of).project(&[0, 1]).unwrap();
    let mut seen = Vec::new();
    for tasks in [1_u32, 2] {
        let mut spec = spec("averaging", json!({"metrics": ["accuracy"]}));
        spec.data.validation = Some(ValidationSpec::Fraction { fraction: 0.25, seed: 5 });
        let fit = Fit::open_for(spec, tasks);
        let size = ROWS / tasks as usize;
        thread::scope(|scope| {
            for partition in 0..tasks {
                let (fit, first) = (&fit, partition as usize * size);
                let task = Task::of(partition, 1, false);
                scope.spawn(move || fit.run_task(task, rows(first..first + size)).unwrap());
            }
        });
        let status = fit.server.status();
        let held_out = validations(&fit)[0].rows;
        assert_eq!(status.epochs[0].rows + held_out, ROWS as u64);
        assert!((100..200).contains(&held_out));
        seen.push(held_out);
    }
    assert_eq!(seen[0], seen[1]);
}

#[test]
fn a_network_with_batch_norm_evaluates_as_well_however_many_workers_trained_it() {
    let accuracy = |name: &str, tasks, workers| {
        let mut spec = spec(name, json!({"metrics": ["accuracy"]}));
        spec.network = regularised().into();
        spec.epochs = 30;
        if name == "adag" {
            spec.optimizer = sgd(1.0);
        }
        let fit = Fit::open_for(spec, workers);
        run(&fit, tasks, workers, true);
        let last = validations(&fit).pop().unwrap();
        (metric(&last, "accuracy"), last.loss.unwrap())
    };
    let (alone, loss) = accuracy("single", 1, 1);
    assert!(alone > 0.9, "{alone}");
    for name in ["adag", "sync", "averaging"] {
        for tasks in [1, 2] {
            let (together, other) = accuracy(name, tasks, 4);
            assert!(together > alone - 0.03, "{name}: {together}, alone {alone}");
            assert!(other < loss + 0.15, "{name}: loss {other}, alone {loss}");
        }
    }
}

#[test]
fn workers_drop_different_values() {
    let trained = |dropout: f64, tasks: u32| {
        let mut spec = worker_spec(
            chain(&[("Dropout", json!({"p": dropout})), ("Linear", json!({"out_features": 3}))]),
            data_spec(&[4], CLASSES),
            "sync",
        );
        spec.epochs = 1;
        let fit = Fit::open_for(spec, tasks);
        thread::scope(|scope| {
            for partition in 0..tasks {
                let fit = &fit;
                let rows = || marked(0..100).project(&[0, 1]).unwrap();
                scope.spawn(move || fit.run_task(Task::of(partition, 1, false), rows()).unwrap());
            }
        });
        fit.weights().0
    };
    let alike = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
    // Two workers with the same rows are one worker, unless each drops its own values.
    assert!(alike(&trained(0.0, 1), &trained(0.0, 2)));
    assert!(!alike(&trained(0.5, 1), &trained(0.5, 2)));
}

#[test]
fn weights_of_zero_and_rows_of_one_kind_are_scored_without_a_hitch() {
    let mut spec = spec("downpour", json!({"metrics": ["accuracy"]}));
    spec.data.weight = Some("weight".to_owned());
    let (features, labels) = clouds(60, 4, 3);
    let mut columns = labelled(features, 4, labels).columns().to_vec();
    let marks: Vec<bool> = (0..60).map(is_held_out).collect();
    let weigh = marks.iter().map(|&held_out| if held_out { 0.0 } else { 1.0 });
    columns.push(Arc::new(weigh.collect::<Float32Array>()));
    columns.push(Arc::new(BooleanArray::from(marks)));
    let fit = Fit::open_for(spec, 1);
    fit.run(batch(columns)).unwrap();
    let found = validations(&fit).pop().unwrap();
    assert_eq!((found.rows, found.loss, found.metrics[0].value), (12, None, None));
}
