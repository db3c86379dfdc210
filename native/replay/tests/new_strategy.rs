//! The strategy that `docs/strategies.md` adds, copied from there, over the real store.

#![allow(clippy::unwrap_used, reason = "tests may be blunt")]

use std::num::NonZeroU32;

use firesteel_core::strategy::{
    CommitContext, CommitRule, Displacement, Protocol, PullOrder, ServerRule, Strategy,
    WindowSummary, WorkerRule,
};
use firesteel_replay::replay_with;
use serde_json::{Value, json};

// The example begins here.
/// `signsgd`: every window is a vote, `d = sign(x_now - x_at_pull)`, `c += rate d`.
#[derive(Debug)]
struct SignSgd {
    window: NonZeroU32,
    rate: f32,
}

impl Strategy for SignSgd {
    fn name(&self) -> &'static str {
        "signsgd"
    }

    fn protocol(&self) -> Protocol {
        Protocol::Asynchronous {
            window: self.window,
            pull: PullOrder::AfterCommit,
            remembers_pulls: false,
            overlap: false,
        }
    }

    fn worker(&self, parameters: usize, _workers: u32) -> Box<dyn WorkerRule> {
        Box::new(Voter(Displacement::new(parameters)))
    }

    fn server(&self, _parameters: usize, _workers: u32) -> ServerRule {
        ServerRule::Commit(Box::new(Poll { rate: self.rate }))
    }
}

struct Voter(Displacement);

impl WorkerRule for Voter {
    fn start(&mut self, center: &[f32]) {
        self.0.start(center);
    }

    fn commit(&mut self, replica: &mut [f32], _: WindowSummary, message: &mut [f32]) {
        self.0.take(replica, 1.0, message);
        for d in message {
            *d = if *d == 0.0 { 0.0 } else { d.signum() };
        }
    }

    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        self.0.receive(center, replica);
    }
}

struct Poll {
    rate: f32,
}

impl CommitRule for Poll {
    fn apply(&mut self, center: &mut [f32], message: &[f32], _: &[f32], _: CommitContext) {
        for (c, d) in center.iter_mut().zip(message) {
            *c += self.rate * d;
        }
    }
}
// The example ends here.

#[test]
fn the_example_of_the_documentation_is_this_one() {
    let source = include_str!("new_strategy.rs");
    let (_, rest) = source.split_once("// The example begins here.\n").unwrap();
    let (example, _) = rest.split_once("// The example ends here.\n").unwrap();
    assert!(
        include_str!("../../../docs/strategies.md").contains(example),
        "docs/strategies.md differs"
    );
}

#[test]
fn two_workers_vote_and_the_server_counts() {
    let strategy = SignSgd { window: NonZeroU32::MIN, rate: 0.5 };
    let event = |worker: u32, op: &str| json!({"worker": worker, "op": op, "gradient": [4.0, -0.25], "rows": 1});
    let document = json!({
        "strategy": "signsgd", "workers": 2, "center": [1.0, 1.0], "options": {"learningRate": 0.1},
        "events": [event(0, "step"), event(1, "step"), event(0, "commit"), event(1, "commit"), event(0, "pull"), event(0, "commit")],
    });
    let mut out = Vec::new();
    replay_with(&strategy, &document.to_string(), &mut out).unwrap();
    let lines: Vec<Value> = String::from_utf8(out)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines[2]["center"], json!([0.5, 1.5]));
    assert_eq!(lines[3]["center"], json!([0.0, 2.0]));
    assert_eq!((&lines[3]["staleness"], &lines[3]["version"]), (&json!(1), &json!(2)));
    assert_eq!(lines[4]["replica"], json!([0.0, 2.0]));
    assert_eq!(lines[5]["center"], json!([0.0, 2.0]), "nothing was learnt since the pull");
}
