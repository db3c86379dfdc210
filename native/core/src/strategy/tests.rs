//! The table, the options, and the rules one by one.

use serde_json::{Value, json};

use super::*;
use crate::compression::{Coding, CompressionSpec};
use crate::error::{Coded, ErrorCode};
use crate::spec::{AgnAdaptiveOptions, ElasticOptions, OptimizerSpec, StrategySpec};

const SGD: OptimizerSpec = OptimizerSpec::Sgd {
    learning_rate: 0.1,
    momentum: 0.0,
    dampening: 0.0,
    nesterov: false,
    weight_decay: 0.0,
};

const ONE: WindowSummary = WindowSummary { batches: 1, learning_rate: 0.1 };

fn made(spec: &StrategySpec) -> Box<dyn Strategy> {
    resolve(spec, Some(&SGD)).unwrap()
}

fn named(name: &str) -> StrategySpec {
    StrategySpec::named(name).unwrap()
}

/// Reads a strategy with these options.
fn read(name: &str, options: &Value) -> Result<StrategySpec, String> {
    let mut document = options.clone();
    document["name"] = json!(name);
    serde_json::from_value(document).map_err(|error| error.to_string())
}

fn with(name: &str, options: &Value) -> StrategySpec {
    read(name, options).unwrap()
}

/// Returns the error of reading or of building a strategy with these options.
fn refusal(name: &str, options: &Value) -> String {
    read(name, options).map_or_else(|error| error, |spec| unresolved(&spec))
}

fn unresolved(spec: &StrategySpec) -> String {
    let error = resolve(spec, Some(&SGD)).unwrap_err();
    assert_eq!(error.code(), ErrorCode::InvalidSpec);
    error.to_string()
}

fn committed(rule: ServerRule, center: &mut [f32], message: &[f32], seen: &[f32], staleness: u64) {
    let ServerRule::Commit(mut rule) = rule else { panic!("it does not commit") };
    rule.apply(center, message, seen, CommitContext { staleness, workers: 2 });
}

#[test]
fn every_listed_strategy_resolves_to_its_own_name_and_its_rule_fits_its_rhythm() {
    assert_eq!(names().count(), 13);
    for name in names() {
        let strategy = made(&named(name));
        assert_eq!(strategy.name(), name);
        assert!(matches!(
            (strategy.protocol(), strategy.server(3, 2)),
            (Protocol::Asynchronous { .. }, ServerRule::Commit(_))
                | (Protocol::Rounds { .. }, ServerRule::Round(_))
                | (Protocol::Local { .. }, ServerRule::Save)
        ));
    }
    assert_eq!(made(&named("agn")).name(), "adag");
}

#[test]
fn those_with_rounds_are_known_by_name() {
    let rounds =
        names().filter(|name| matches!(made(&named(name)).protocol(), Protocol::Rounds { .. }));
    assert!(in_rounds().eq(rounds));
    assert!(in_rounds().eq(["averaging", "easgd", "sync", "local-sgd", "diloco"]));
}

#[test]
fn the_six_asynchronous_strategies_overlap_if_told_to() {
    for name in names() {
        let plain = named(name);
        assert!(!made(&plain).protocol().overlaps(), "{name}");
        if matches!(made(&plain).protocol(), Protocol::Asynchronous { .. }) {
            assert!(made(&with(name, &json!({"overlap": true}))).protocol().overlaps(), "{name}");
        }
    }
}

#[test]
fn an_unknown_strategy_is_refused_with_the_names_that_are_known() {
    assert_eq!(
        refusal("adagg", &json!({})),
        "unknown strategy 'adagg'; use one of single, averaging, ensemble, downpour, adag, agn-adaptive, dynsgd, aeasgd, \
         eamsgd, easgd, sync, local-sgd, diloco"
    );
}

#[test]
fn an_option_that_a_strategy_does_not_have_is_refused_by_name() {
    assert_eq!(
        refusal("single", &json!({"window": 3})),
        "strategy 'single': option 'window' does not apply: it has none"
    );
    assert_eq!(
        refusal("aeasgd", &json!({"gamma": 3.0})),
        "strategy 'aeasgd': option 'gamma' does not apply: it has alpha, compression, overlap, rho, \
         window"
    );
    assert!(refusal("sync", &json!({"overlap": true})).contains("option 'overlap'"));
    assert!(refusal("agn", &json!({"gama": null})).contains("strategy 'agn': option 'gama' does"));
}

#[test]
fn an_option_of_another_strategy_is_accepted_if_it_has_no_effect() {
    let options = json!({"gamma": null, "serverOptimizer": null, "overlap": false,
        "compression": {"name": "none"}, "compressPull": false});
    for name in names() {
        let spec = with(name, &options);
        assert_eq!(made(&spec).name(), name);
        assert_eq!(super::coding(&spec).unwrap(), Coding::PLAIN);
    }
}

#[test]
fn a_strategy_is_written_with_its_own_options_and_read_again() {
    for spec in StrategySpec::all() {
        let document = json!(spec);
        assert_eq!(document["name"], spec.name());
        assert_eq!(document.as_object().unwrap().len(), spec.options().len() + 1);
        assert_eq!(serde_json::from_value::<StrategySpec>(document).unwrap(), spec);
    }
    let text = r#"{"name":"adag","compressPull":true,"compression":{"name":"bf16"},"overlap":true,"scale":0.1,"window":7}"#;
    let spec: StrategySpec = serde_json::from_str(text).unwrap();
    let document = json!(spec);
    assert_eq!((&document["scale"], &document["window"]), (&json!(0.1), &json!(7)));
    assert_eq!(document["compression"], json!({"name": "bf16"}));
    assert_eq!(serde_json::from_value::<StrategySpec>(document).unwrap(), spec);
    let text = refusal("downpour", &json!({"window": -1}));
    assert!(text.contains("strategy 'downpour': ") && text.contains("-1"), "{text}");
}

#[test]
fn options_outside_their_range_are_refused_by_name() {
    assert_eq!(
        refusal("adag", &json!({"window": 0})),
        "strategy 'adag': option 'window' must be at least 1"
    );
    assert_eq!(
        refusal("eamsgd", &json!({"momentum": 1})),
        "strategy 'eamsgd': option 'momentum' must be from 0 to below 1, not 1"
    );
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let easgd = |alpha, rho| {
            unresolved(&StrategySpec::Easgd(ElasticOptions { alpha, rho, window: None }))
        };
        assert!(easgd(Some(value), None).contains("option 'alpha' must be"));
        assert!(easgd(None, Some(value)).contains("option 'rho' must be"));
        let options = AgnAdaptiveOptions { gamma: Some(value), ..AgnAdaptiveOptions::default() };
        let text = unresolved(&StrategySpec::AgnAdaptive(options));
        assert!(text.contains("option 'gamma' must be"), "{text}");
    }
    assert!(refusal("diloco", &json!({"outerMomentum": -0.1})).contains("'outerMomentum'"));
    let text = refusal("diloco", &json!({"outerLearningRate": -0.1}));
    assert!(text.contains("option 'outerLearningRate' must be at least 0"), "{text}");
    let both = refusal("aeasgd", &json!({"alpha": 0.1, "rho": 0.1}));
    assert!(both.contains("option 'rho' cannot be combined with 'alpha'; set only one of them"));
}

#[test]
fn a_server_optimizer_with_a_wrong_option_is_refused_with_the_optimizers_words() {
    let mut wrong = SGD;
    if let OptimizerSpec::Sgd { momentum, .. } = &mut wrong {
        *momentum = -1.0;
    }
    let text = refusal("downpour", &json!({"serverOptimizer": wrong}));
    assert!(
        text.starts_with(
            "strategy 'downpour': option 'serverOptimizer' is invalid: optimizer 'sgd'"
        )
    );
    let error = resolve(&named("sync"), None).unwrap_err();
    assert!(error.to_string().contains("option 'serverOptimizer' must be given"), "{error}");
}

/// One worker's displacement is committed, another's commit lands in between, and the pull takes both.
#[test]
fn downpour_adds_the_displacement_and_adag_its_mean_over_the_window() {
    for (name, scale) in [("downpour", 1.0_f32), ("adag", 0.25)] {
        let strategy = made(&named(name));
        let mut rule = strategy.worker(2, 2);
        let mut center = vec![1.0_f32, -1.0];
        let mut replica = center.clone();
        rule.start(&center);
        replica[0] += 2.0;
        replica[1] -= 4.0;
        let mut message = vec![0.0; 2];
        let window = WindowSummary { batches: 4, ..ONE };
        rule.commit(&mut replica, window, &mut message);
        assert_eq!(message, [2.0 * scale, -4.0 * scale]);
        committed(strategy.server(2, 2), &mut center, &[0.5, 0.5], &[], 0);
        committed(strategy.server(2, 2), &mut center, &message, &[], 1);
        rule.receive(&center, &mut replica);
        assert_eq!(replica, center);
        rule.commit(&mut replica, window, &mut message);
        assert_eq!(message, [0.0, 0.0], "nothing was learnt since the pull");
    }
}

#[test]
fn a_scale_multiplies_what_is_committed() {
    for (name, expected) in [("downpour", 3.0), ("adag", 0.75), ("agn-adaptive", 0.75)] {
        let spec = with(name, &json!({"scale": 0.5}));
        let mut rule = made(&spec).worker(1, 16);
        let mut message = [0.0];
        rule.start(&[1.0]);
        rule.commit(&mut [7.0], WindowSummary { batches: 4, ..ONE }, &mut message);
        assert_eq!(message, [expected], "{name}");
    }
    assert_eq!(
        refusal("downpour", &json!({"scale": 0.0})),
        "strategy 'downpour': option 'scale' must be above 0 and finite, not 0"
    );
    assert!(refusal("dynsgd", &json!({"scale": 0.5})).contains("does not apply"));
}

#[test]
fn adag_scaled_up_moves_by_the_same_share_in_a_short_window() {
    for (scale, expected) in [(4.0, 1.5), (0.5, 3.0)] {
        let spec = with("adag", &json!({"scale": scale, "window": 16}));
        let mut rule = made(&spec).worker(1, 16);
        let mut message = [0.0];
        rule.start(&[1.0]);
        rule.commit(&mut [7.0], ONE, &mut message);
        assert_eq!(message, [expected], "{scale}");
    }
}

#[test]
fn a_commit_without_a_pull_counts_from_the_last_commit() {
    let mut rule = made(&named("downpour")).worker(1, 1);
    let mut message = [0.0];
    rule.start(&[0.0]);
    rule.commit(&mut [3.0], ONE, &mut message);
    rule.commit(&mut [5.0], ONE, &mut message);
    assert_eq!(message, [2.0]);
}

#[test]
fn what_is_learnt_while_a_commit_is_on_its_way_belongs_to_the_next_one() {
    for name in ["downpour", "adag", "dynsgd", "agn-adaptive"] {
        let mut rule = made(&named(name)).worker(1, 1);
        let mut message = [0.0];
        let mut replica = [3.0];
        rule.start(&[0.0]);
        rule.commit(&mut replica, ONE, &mut message);
        replica[0] += 0.5;
        rule.merge(&[10.0], &mut replica);
        assert_eq!(replica, [10.5]);
        rule.commit(&mut replica, ONE, &mut message);
        assert_eq!(message, [0.5]);
    }
}

#[test]
fn dynsgd_divides_by_the_updates_since_the_pull_and_one() {
    let mut center = [1.0];
    committed(made(&named("dynsgd")).server(1, 2), &mut center, &[6.0], &[], 2);
    assert_eq!(center, [3.0]);
}

#[test]
fn agn_adaptive_halves_an_update_where_the_center_has_moved_by_the_root_of_gamma() {
    let spec = with("agn-adaptive", &json!({"gamma": 4.0}));
    let mut center = [1.0, 3.0];
    committed(made(&spec).server(2, 2), &mut center, &[6.0, 6.0], &[1.0, 1.0], 0);
    assert_eq!(center, [7.0, 6.0]);
}

#[test]
fn a_server_optimizer_takes_the_opposite_of_the_update_as_its_gradient() {
    let spec = with("dynsgd", &json!({"serverOptimizer": SGD}));
    let mut center = [1.0];
    committed(made(&spec).server(1, 2), &mut center, &[30.0], &[], 2);
    assert_eq!(center, [2.0]);
}

#[test]
fn the_elastic_force_is_a_share_of_the_workers_unless_it_is_given() {
    let given =
        |alpha: Option<f64>, rho: Option<f64>| with("aeasgd", &json!({"alpha": alpha, "rho": rho}));
    for (spec, alpha) in [
        (given(None, None), 0.9_f32 / 3.0),
        (given(Some(0.5), None), 0.5),
        (given(None, Some(2.0)), 0.2),
    ] {
        let mut rule = made(&spec).worker(1, 3);
        let (mut replica, mut message) = ([2.0], [0.0]);
        rule.start(&[0.0]);
        rule.receive(&[1.0], &mut replica);
        assert_eq!(replica, [2.0], "only the next commit uses it");
        rule.commit(&mut replica, ONE, &mut message);
        assert!((message[0] - alpha).abs() < 1e-6 && (replica[0] - 2.0 + alpha).abs() < 1e-6);
    }
    assert_eq!(made(&given(None, None)).warning(8, 8), None);
    let half = made(&given(Some(0.5), None));
    let warning = half.warning(4, 4).unwrap();
    assert!(warning.contains("'aeasgd'") && warning.contains("4 workers that"), "{warning}");
    assert!(warning.contains("it is 2,"), "{warning}");
    assert_eq!(half.warning(4, 2), None, "two of them exchange at the same time");
    assert!(made(&given(None, Some(5.0))).warning(4, 4).is_some());
}

#[test]
fn eamsgd_looks_ahead_by_its_momentum_and_steps_from_where_it_stood() {
    let spec = with("eamsgd", &json!({"momentum": 0.5}));
    let mut rule = made(&spec).worker(1, 1);
    let mut optimizer = crate::optimizer::build(&SGD, 1).unwrap();
    let mut replica = [1.0];
    rule.start(&[1.0]);
    rule.look_ahead(&mut replica);
    rule.step(&mut replica, &[2.0], &mut *optimizer);
    assert!((replica[0] - 0.8).abs() < 1e-6);
    rule.look_ahead(&mut replica);
    assert!((replica[0] - 0.7).abs() < 1e-6, "x + mu v = 0.8 - 0.5 * 0.2");
    rule.step(&mut replica, &[1.0], &mut *optimizer);
    assert!((replica[0] - 0.6).abs() < 1e-6, "v = -0.1 - 0.1");
}

#[test]
fn a_round_rule_weighs_its_parts() {
    let parts =
        [Part { message: &[1.0, 0.0], weight: 3.0 }, Part { message: &[5.0, -4.0], weight: 1.0 }];
    let closed = |name: &str| {
        let ServerRule::Round(mut rule) = made(&named(name)).server(2, 2) else {
            panic!("no rounds")
        };
        let mut center = [1.0, 1.0];
        rule.close(&mut center, &parts, &Round::PLAIN);
        center
    };
    assert_eq!(closed("averaging"), [2.0, -1.0]);
    let near = |center: [f32; 2], expected: [f32; 2]| {
        assert!(center.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{center:?}");
    };
    near(closed("sync"), [0.8, 1.1]);
    near(closed("local-sgd"), [1.0 + 2.0, 1.0 - 1.0]);
    near(closed("easgd"), [1.0 + 0.45 * 4.0, 1.0 - 0.45 * 6.0]);
    near(closed("diloco"), [1.0 - 0.7 * 1.9 * 2.0, 1.0 + 0.7 * 1.9]);
}

#[test]
fn strategies_that_send_replicas_are_not_compressed_and_elastic_ones_only_one_way() {
    for name in names() {
        let compressed = json!({"compression": {"name": "bf16"}});
        let both = json!({"compression": {"name": "bf16"}, "compressPull": true});
        let ways = match name {
            "single" | "averaging" | "ensemble" | "easgd" => 0,
            "aeasgd" | "eamsgd" => 1,
            _ => 2,
        };
        let read: Vec<_> =
            [&compressed, &both].iter().filter_map(|options| read(name, options).ok()).collect();
        assert_eq!(read.len(), ways, "{name}");
        for (index, spec) in read.iter().enumerate() {
            made(spec);
            let coding = spec.coding();
            assert!(coding.compression.is_some() && coding.compress_pull.is_some() == (index > 0));
        }
    }
    let text = refusal("averaging", &json!({"compression": {"name": "bf16"}}));
    assert_eq!(text, "strategy 'averaging': option 'compression' does not apply: it has none");
}

#[test]
fn the_options_of_compression_are_checked_by_name() {
    let topk = |ratio| json!({"name": "topk", "ratio": ratio});
    assert_eq!(
        refusal("adag", &json!({"compression": topk(2.0)})),
        "strategy 'adag': option 'compression' is invalid: compression 'topk': option 'ratio' must be above 0 and at most 1, not 2"
    );
    let pull = |compression: Option<Value>| {
        refusal("adag", &json!({"compression": compression, "compressPull": true}))
    };
    let start =
        "strategy 'adag': option 'compressPull' needs the compression 'bf16' or 'f16', not ";
    assert_eq!(pull(Some(topk(0.1))), format!("{start}'topk'"));
    assert_eq!(pull(None), format!("{start}'none'"));
    let spec = with("adag", &json!({"compression": {"name": "bf16"}, "compressPull": true}));
    let coding = coding(&spec).unwrap();
    assert_eq!(
        (coding.message, coding.center),
        (CompressionSpec::Bf16 {}, CompressionSpec::Bf16 {})
    );
    assert_eq!(super::coding(&named("adag")).unwrap(), Coding::PLAIN);
}
