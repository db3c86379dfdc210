//! Every strategy against its equations in float64, over random schedules.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may be blunt")]

mod reference;

use std::process::{Command, Stdio};

use firesteel_core::spec::StrategySpec;
use firesteel_replay::{ReplayError, replay};
use proptest::prelude::*;
use reference::Reference;
use serde_json::{Value, json};

const STRATEGIES: [&str; 14] = [
    "single",
    "averaging",
    "ensemble",
    "downpour",
    "adag",
    "agn",
    "agn-adaptive",
    "dynsgd",
    "aeasgd",
    "eamsgd",
    "easgd",
    "sync",
    "local-sgd",
    "diloco",
];

fn lines(document: &Value) -> Result<Vec<Value>, ReplayError> {
    let mut out = Vec::new();
    replay(&document.to_string(), &mut out)?;
    Ok(String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect())
}

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

fn close(ours: &Value, theirs: &Value, doubt: f64) -> bool {
    if theirs.is_null() || ours.is_null() {
        return ours == theirs;
    }
    let (a, b) = (numbers(ours), numbers(theirs));
    let most = b.iter().fold(1.0_f64, |most, b| most.max(b.abs()));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() <= 1e-5 * most + doubt)
}

/// Keeps the allowed events and compares the results of each.
fn agrees(document: &mut Value) -> Result<(), TestCaseError> {
    let mut reference = Reference::new(document);
    let (mut events, mut expected) = (Vec::new(), Vec::new());
    for event in document["events"].as_array().unwrap() {
        if reference.allows(event) {
            let line = reference.event(events.len(), event);
            expected.push((line, reference.doubt()));
            events.push(event.clone());
        }
    }
    document["events"] = Value::Array(events);
    let lines =
        lines(document).map_err(|error| TestCaseError::fail(format!("{error}: {document}")))?;
    prop_assert_eq!(lines.len(), expected.len());
    for (ours, (theirs, doubt)) in lines.iter().zip(&expected) {
        let same =
            ["event", "version", "staleness"].iter().all(|field| ours[field] == theirs[field]);
        let near = close(&ours["center"], &theirs["center"], *doubt)
            && close(&ours["replica"], &theirs["replica"], *doubt);
        prop_assert!(same && near, "{}\n{}\nof {}", ours, theirs, document);
    }
    Ok(())
}

/// Events of `workers` workers over `len` parameters with gradients of these sizes.
fn events(
    workers: u32,
    len: usize,
    size: std::ops::Range<f64>,
    signed: bool,
) -> impl Strategy<Value = Vec<Value>> {
    let gradient = proptest::collection::vec((size, any::<bool>()), len).prop_map(move |values| {
        let sign = |index: usize, flip: bool| {
            if (signed && flip) || (!signed && index % 2 == 1) { -1.0 } else { 1.0 }
        };
        values
            .into_iter()
            .enumerate()
            .map(|(index, (value, flip))| value * sign(index, flip))
            .collect::<Vec<f64>>()
    });
    let event =
        (0..workers, 0..100_u32, gradient, 0..9_u64).prop_map(|(worker, op, gradient, rows)| {
            match op {
                0..45 => {
                    json!({"worker": worker, "op": "step", "gradient": gradient, "rows": rows})
                }
                45..75 => json!({"worker": worker, "op": "commit"}),
                75..98 => json!({"worker": worker, "op": "pull"}),
                _ => json!({"worker": worker, "op": "leave"}),
            }
        });
    proptest::collection::vec(event, 1..80)
}

fn start(len: usize) -> impl Strategy<Value = Vec<f64>> {
    proptest::collection::vec(-2.0..2.0_f64, len)
}

/// A document without a server optimizer.
fn plain() -> impl Strategy<Value = Value> {
    (proptest::sample::select(STRATEGIES.to_vec()), 1..5_u32, 1..6_usize).prop_flat_map(|(strategy, workers, len)| {
        let options = (0.01..0.3_f64, 0.0..0.95_f64, 0.05..1.0_f64, 1e-4..1.0_f64, any::<bool>());
        (start(len), options, events(workers, len, 0.0..3.0, true)).prop_map(
            move |(center, (rate, momentum, share, gamma, given), events)| {
                let mut options = json!({"learningRate": rate});
                if given {
                    options = json!({"learningRate": rate, "momentum": momentum, "alpha": 0.9 * share / f64::from(workers),
                        "gamma": gamma, "outerLearningRate": share, "outerMomentum": momentum, "serverOptimizer": null});
                }
                json!({"strategy": strategy, "workers": workers, "center": center, "options": options, "events": events})
            },
        )
    })
}

/// A document with a server optimizer. The gradients of a parameter have one sign, so that no update is nearly 0.
fn served() -> impl Strategy<Value = Value> {
    let servers = [
        json!({"name": "sgd", "learningRate": 0.5}),
        json!({"name": "sgd", "learningRate": 0.1, "momentum": 0.9}),
        json!({"name": "sgd", "learningRate": 0.1, "momentum": 0.8, "nesterov": true}),
        json!({"name": "adagrad", "learningRate": 0.05, "epsilon": 1e-10}),
        json!({"name": "adam", "learningRate": 0.01}),
        json!({"name": "yogi", "learningRate": 0.01}),
    ];
    let strategies = ["downpour", "adag", "agn", "dynsgd", "sync", "agn-adaptive", "aeasgd"];
    (
        proptest::sample::select(strategies.to_vec()),
        proptest::sample::select(servers.to_vec()),
        1..5_u32,
        1..6_usize,
    )
        .prop_flat_map(|(strategy, server, workers, len)| {
            (start(len), events(workers, len, 1.0..3.0, false)).prop_map(move |(center, events)| {
                json!({"strategy": strategy, "workers": workers, "center": center, "events": events,
                       "options": {"learningRate": 0.2, "serverOptimizer": server}})
            })
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn every_strategy_agrees_with_its_equations(mut document in plain()) {
        agrees(&mut document)?;
    }

    #[test]
    fn every_server_optimizer_agrees_with_its_formula(mut document in served()) {
        agrees(&mut document)?;
    }
}

/// More parameters than a stripe holds.
#[test]
fn stripes_keep_their_state_apart() {
    let len = 70_000;
    let gradient = |seed: usize| -> Vec<f64> {
        (0..len).map(|i| 1.0 + ((i * seed) % 17) as f64 / 8.0).collect()
    };
    for (strategy, server) in [
        ("downpour", json!({"name": "adam", "learningRate": 0.01})),
        ("agn-adaptive", Value::Null),
        ("easgd", Value::Null),
        ("diloco", Value::Null),
    ] {
        let mut events = Vec::new();
        for round in 1..4 {
            for worker in 0..2 {
                let gradient = gradient(3 * round + worker);
                events.push(json!({"worker": worker, "op": "pull"}));
                events
                    .push(json!({"worker": worker, "op": "step", "gradient": gradient, "rows": 2}));
            }
            events.extend([1, 0].map(|worker| json!({"worker": worker, "op": "commit"})));
        }
        agrees(&mut json!({"strategy": strategy, "workers": 2, "center": vec![0.5; len], "events": events,
            "options": {"learningRate": 0.1, "gamma": 0.1, "serverOptimizer": server}}))
        .unwrap();
    }
}

fn example() -> Value {
    json!({"strategy": "dynsgd", "workers": 2, "center": [0.5, -1.0],
     "options": {"learningRate": 0.1, "momentum": 0.9, "alpha": 0.45, "gamma": 1e-4,
                 "outerLearningRate": 0.7, "outerMomentum": 0.9,
                 "serverOptimizer": {"name": "adagrad", "learningRate": 0.05, "epsilon": 1e-10}},
     "events": [{"worker": 0, "op": "pull"},
                {"worker": 0, "op": "step", "gradient": [0.1, 0.2], "rows": 4},
                {"worker": 0, "op": "commit"},
                {"worker": 1, "op": "leave"}]})
}

/// An update of a window is applied in full, as by the estimators; `sync` sends gradients, scaled by the fit's learning
/// rate.
#[test]
fn a_server_optimizer_sgd_without_a_rate_takes_what_the_estimators_take() {
    let given = |strategy: &str, server: Value| {
        let mut out = Vec::new();
        let document = json!({"strategy": strategy, "workers": 1, "center": [1.0],
            "options": {"learningRate": 0.1, "scale": 1.0, "serverOptimizer": server},
            "events": [{"worker": 0, "op": "pull"},
                       {"worker": 0, "op": "step", "gradient": [2.0], "rows": 1},
                       {"worker": 0, "op": "commit"}]});
        replay(&document.to_string(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    for strategy in ["downpour", "dynsgd", "sync"] {
        let whole = given(strategy, Value::Null);
        assert_eq!(given(strategy, json!({"name": "sgd"})), whole, "{strategy}");
    }
}

#[test]
fn the_example_of_the_format_gives_its_lines() {
    let mut out = Vec::new();
    replay(&example().to_string(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines[0],
        r#"{"event":0,"version":0,"staleness":null,"center":[0.5,-1.0],"replica":[0.5,-1.0]}"#
    );
    assert_eq!(lines.len(), 4);
    assert!(lines[2].starts_with(r#"{"event":2,"version":1,"staleness":0,"#), "{}", lines[2]);
    assert!(lines[3].ends_with(r#""replica":null}"#), "{}", lines[3]);
    agrees(&mut example()).unwrap();
}

#[test]
fn options_that_only_other_strategies_have_are_ignored() {
    let options = json!({"learningRate": 0.1, "window": 3, "alpha": 0.2, "scale": 0.5, "momentum": 0.5,
        "gamma": 0.1, "outerLearningRate": 0.5, "outerMomentum": 0.5, "overlap": true,
        "serverOptimizer": {"name": "sgd"}, "compression": {"name": "bf16"}, "compressPull": true});
    for name in STRATEGIES {
        let own = StrategySpec::named(name).unwrap().options();
        let mut fewer = options.clone();
        fewer
            .as_object_mut()
            .unwrap()
            .retain(|option, _| option == "learningRate" || own.contains(option));
        let replayed = |options: &Value| {
            let events = [
                json!({"worker": 0, "op": "pull"}),
                json!({"worker": 0, "op": "step", "gradient": [1.0, -2.0], "rows": 3}),
                json!({"worker": 0, "op": "commit"}),
                json!({"worker": 0, "op": "pull"}),
            ];
            lines(&json!({"strategy": name, "workers": 1, "center": [0.5, 1.5], "options": options,
                "events": events}))
            .unwrap()
        };
        assert_ne!(fewer, options, "{name}");
        assert_eq!(replayed(&fewer), replayed(&options), "{name}");
    }
}

/// Returns the index and the text of the refused event.
fn refused(strategy: &str, events: Value) -> (usize, String) {
    let document =
        json!({"strategy": strategy, "workers": 2, "center": [0.0, 0.0], "events": events});
    match lines(&document) {
        Err(ReplayError::Event { index, problem }) => (index, problem),
        other => panic!("{other:?} of {document}"),
    }
}

#[test]
fn an_event_that_cannot_be_is_named_by_its_index() {
    let step =
        |worker: u32| json!({"worker": worker, "op": "step", "gradient": [1.0, 1.0], "rows": 1});
    let op = |worker: u32, op: &str| json!({"worker": worker, "op": op});
    for strategy in ["downpour", "sync", "single"] {
        for (events, index, words) in [
            (json!([op(1, "leave"), op(1, "pull")]), 1, "worker 1 has left"),
            (json!([op(1, "leave"), op(0, "pull"), op(1, "leave")]), 2, "worker 1 has left"),
            (json!([op(2, "pull")]), 0, "unknown worker 2"),
            (
                json!([step(0), {"worker": 1, "op": "step", "gradient": [1.0], "rows": 1}]),
                1,
                "1 numbers",
            ),
            (json!([{"worker": 0, "op": "step", "rows": 1}]), 0, "without a gradient"),
            (json!([{"worker": 0, "op": "step", "gradient": [1.0, 1.0]}]), 0, "without rows"),
            (json!([op(0, "pull"), op(0, "push")]), 1, "unknown variant `push`"),
            (
                json!([op(0, "pull"), {"worker": 0, "op": "pull", "row": 1}]),
                1,
                "unknown field `row`",
            ),
            (
                json!([{"worker": 0, "op": "step", "gradient": [1.0, 1.0], "rows": -1}]),
                0,
                "invalid value",
            ),
            (json!([7]), 0, "invalid type"),
        ] {
            let (at, problem) = refused(strategy, events);
            assert!(at == index && problem.contains(words), "{strategy}: {at}: {problem}");
        }
    }
    for strategy in ["averaging", "easgd", "sync", "local-sgd", "diloco"] {
        let (at, problem) = refused(strategy, json!([step(0), op(0, "commit"), step(0)]));
        assert!(at == 2 && problem.contains("a step while"), "{problem}");
        let (at, problem) = refused(strategy, json!([op(0, "commit"), op(0, "commit")]));
        assert!(at == 1 && problem.contains("a second commit"), "{problem}");
    }
    assert_eq!(refused("sync", json!([step(0), step(1), step(0)])).0, 2);
}

#[test]
fn a_document_that_does_not_fit_is_refused_before_its_first_event() {
    let refused = |change: &dyn Fn(&mut Value)| {
        let mut document = example();
        change(&mut document);
        match lines(&document) {
            Err(ReplayError::Document(text)) => text,
            other => panic!("{other:?} of {document}"),
        }
    };
    assert!(
        refused(&|all| all["strategy"] = json!("dynsgdd")).contains("unknown strategy 'dynsgdd'")
    );
    assert!(refused(&|all| all["workers"] = json!(0)).contains("workers"));
    assert!(refused(&|all| all["extra"] = json!(0)).contains("unknown field `extra`"));
    assert!(
        refused(&|all| all["options"]["gama"] = json!(0))
            .contains("option 'gama' does not apply: it has ")
    );
    assert!(refused(&|all| all["options"]["learningRate"] = json!(-1)).contains("learningRate"));
    let text = refused(&|all| all["options"]["serverOptimizer"]["name"] = json!("adagrat"));
    assert!(text.contains("adagrat"), "{text}");
}

#[test]
fn the_program_prints_the_lines_before_an_error_and_ends_with_status_2() {
    let run = |document: &Value| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_replay"))
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        std::io::Write::write_all(
            &mut child.stdin.take().unwrap(),
            document.to_string().as_bytes(),
        )
        .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout).lines().count(), text(output.stderr))
    };
    assert_eq!(run(&example()), (Some(0), 4, String::new()));
    let mut wrong = example();
    wrong["events"][2]["worker"] = json!(9);
    let (status, lines, text) = run(&wrong);
    assert_eq!((status, lines), (Some(2), 2));
    assert!(text.contains("event 2: unknown worker 9"), "{text}");
    wrong["strategy"] = json!("none");
    assert_eq!(run(&wrong).0, Some(2));
}
