//! Losses beside PyTorch.

use firesteel_core::spec::{LabelKind, LossSpec};
use serde_json::json;

use super::{Case, check_all, layer, noise};

/// A Linear layer with this many outputs, followed by these layers.
fn ends(outputs: usize, ops: &[&str]) -> Case {
    let args = json!({"in_features": 4, "out_features": outputs});
    let mut nodes = vec![layer("0", "Linear", &["x"], args)];
    for (index, op) in ops.iter().enumerate() {
        let args = if op.ends_with("Softmax") { json!({"dim": -1}) } else { json!({}) };
        nodes.push(layer(&(index + 1).to_string(), op, &[&index.to_string()], args));
    }
    Case::new(&format!("{outputs} outputs, {ops:?}"), &[("x", &[4])], nodes, 6)
}

#[test]
fn class_weights_and_label_smoothing_compute_and_differentiate_as_pytorch() {
    let (class, classes) = (LabelKind::Class { classes: 3 }, [0.0, 2.0, 1.0, 1.0, 0.0, 2.0]);
    let (two, bits) = (LabelKind::Class { classes: 2 }, [0.0, 1.0, 1.0, 0.0, 1.0, 1.0]);
    let shares: Vec<f64> = [0.2, 0.3, 0.5].repeat(6);
    let (entropy, likelihood) = (LossSpec::CrossEntropy {}, LossSpec::NllLoss {});
    let binary = LossSpec::BinaryCrossEntropyWithLogits {};
    let cases = || {
        let mut cases = Vec::new();
        for (weights, smoothing) in
            [(vec![], 0.1), (vec![0.5, 2.0, 1.25], 0.0), (vec![0.5, 0.0, 1.25], 0.2)]
        {
            let of = |ends: Case, spec: &LossSpec, name, at| {
                ends.with_loss(spec, class, (name, at), &[6], &classes)
                    .with_classes(spec, &weights, smoothing)
            };
            cases.push(of(ends(3, &["Softmax"]), &entropy, "cross_entropy", "0"));
            cases.push(of(ends(3, &["Softmax"]), &likelihood, "cross_entropy", "0"));
            cases.push(of(ends(3, &["LogSoftmax"]), &likelihood, "nll_loss", "1"));
        }
        let name = ("cross_entropy", "0");
        cases.push(
            ends(3, &[])
                .with_loss(&entropy, LabelKind::Values { size: 3 }, name, &[6, 3], &shares)
                .with_classes(&entropy, &[], 0.1),
        );
        for (weights, smoothing) in [(vec![], 0.1), (vec![0.5, 2.0], 0.0)] {
            let name = ("binary_cross_entropy_with_logits", "0");
            cases.push(
                ends(1, &["Sigmoid"])
                    .with_loss(&binary, two, name, &[6, 1], &bits)
                    .with_classes(&binary, &weights, smoothing),
            );
        }
        cases
    };
    let mut all = cases();
    all.extend(cases().into_iter().map(Case::with_weights));
    check_all(&all);
}

#[test]
fn every_loss_computes_and_differentiates_as_pytorch() {
    let (class, classes) = (LabelKind::Class { classes: 3 }, [0.0, 2.0, 1.0, 1.0, 0.0, 2.0]);
    let two = LabelKind::Class { classes: 2 };
    let bits = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0];
    let signs = [-1.0, 1.0, 1.0, -1.0, 1.0, 1.0];
    let real: Vec<f64> = noise(18, 5).into_iter().map(f64::from).collect();
    let counts: Vec<f64> = real.iter().map(|x| (x.abs() * 4.0).floor()).collect();
    let shares: Vec<f64> = real
        .chunks(3)
        .flat_map(|row| {
            let sum: f64 = row.iter().map(|x| x.abs()).sum();
            row.iter().map(move |x| x.abs() / sum)
        })
        .collect();
    let one_hot: Vec<f64> = classes
        .iter()
        .flat_map(|&class| (0..3).map(move |k| f64::from(f64::from(k) == class)))
        .collect();
    let of = |size| LabelKind::Values { size };
    let margins: Vec<f64> = real.iter().map(|x| x.signum()).collect();
    let cases = || {
        use LossSpec as L;
        vec![
            ends(3, &[]).with_loss(
                &L::CrossEntropy {},
                class,
                ("cross_entropy", "0"),
                &[6],
                &classes,
            ),
            ends(3, &["Softmax"]).with_loss(
                &L::CrossEntropy {},
                class,
                ("cross_entropy", "0"),
                &[6],
                &classes,
            ),
            ends(3, &["Softmax"]).with_loss(
                &L::CrossEntropy {},
                of(3),
                ("cross_entropy", "0"),
                &[6, 3],
                &shares,
            ),
            ends(3, &["LogSoftmax"]).with_loss(
                &L::NllLoss {},
                class,
                ("nll_loss", "1"),
                &[6],
                &classes,
            ),
            ends(3, &["Softmax"]).with_loss(
                &L::NllLoss {},
                class,
                ("cross_entropy", "0"),
                &[6],
                &classes,
            ),
            ends(3, &["Softmax"]).with_loss(&L::KlDiv {}, of(3), ("kl_div", "0"), &[6, 3], &shares),
            ends(3, &[]).with_loss(&L::KlDiv {}, class, ("kl_div", "0"), &[6, 3], &one_hot),
            ends(1, &["Sigmoid"]).with_loss(
                &L::BinaryCrossEntropyWithLogits {},
                two,
                ("binary_cross_entropy_with_logits", "0"),
                &[6, 1],
                &bits,
            ),
            ends(3, &[]).with_loss(
                &L::BinaryCrossEntropyWithLogits {},
                of(3),
                ("binary_cross_entropy_with_logits", "0"),
                &[6, 3],
                &shares,
            ),
            ends(3, &[]).with_loss(&L::MseLoss {}, of(3), ("mse_loss", "0"), &[6, 3], &real),
            ends(1, &["Sigmoid"]).with_loss(&L::MseLoss {}, two, ("mse_loss", "1"), &[6, 1], &bits),
            ends(3, &["Softmax"]).with_loss(
                &L::MseLoss {},
                class,
                ("mse_loss", "1"),
                &[6, 3],
                &one_hot,
            ),
            ends(3, &[]).with_loss(&L::L1Loss {}, of(3), ("l1_loss", "0"), &[6, 3], &real),
            ends(3, &[]).with_loss(
                &L::HuberLoss { delta: 0.7 },
                of(3),
                ("huber_loss", "0"),
                &[6, 3],
                &real,
            ),
            ends(3, &[]).with_loss(
                &L::PoissonNllLoss {},
                of(3),
                ("poisson_nll_loss", "0"),
                &[6, 3],
                &counts,
            ),
            ends(3, &[]).with_loss(&L::Hinge {}, class, ("multi_margin_loss", "0"), &[6], &classes),
            ends(1, &["Tanh"]).with_loss(&L::Hinge {}, two, ("margin", "1"), &[6, 1], &signs),
            ends(3, &[]).with_loss(&L::Hinge {}, of(3), ("margin", "0"), &[6, 3], &margins),
        ]
    };
    let mut all = cases();
    all.extend(cases().into_iter().map(Case::with_weights));
    check_all(&all);
}
