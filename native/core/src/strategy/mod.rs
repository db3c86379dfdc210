//! The training strategies: what a worker sends at a window's end and what the server does with it.
//!
//! A strategy is one short file that reads like its equations and one line in [`resolve`]. The rules work on flat slices
//! and know neither sockets nor libtorch. Notation: `c` center variable, `x` replica, `d` what is committed.

mod adag;
mod downpour;
mod single;

use std::fmt;
use std::num::NonZeroU32;

use crate::error::{Coded, ErrorCode};
use crate::spec::StrategySpec;

/// When a worker's communication window ends. An epoch's end always ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rhythm {
    /// After this many mini-batches: the window is committed.
    Batches(NonZeroU32),
    /// Never committed: the replica is saved with the server at every epoch's end.
    Save,
}

/// The worker's side of a strategy, with its state.
pub trait WorkerRule: Send {
    /// Takes the center variable that the worker starts from.
    fn start(&mut self, center: &[f32]);

    /// Ends a window of `batches` mini-batches: writes what is committed to `message`, which has the replica's length.
    fn commit(&mut self, replica: &mut [f32], batches: u32, message: &mut [f32]);

    /// Takes the center variable pulled after a commit.
    fn receive(&mut self, center: &[f32], replica: &mut [f32]);
}

/// What the server knows of a commit beside its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitContext {
    /// Updates applied since this worker's last pull, not counting this one.
    pub staleness: u64,
    /// The fit's workers, `p`.
    pub workers: u32,
}

/// The server's side of a strategy. Called stripe by stripe, so it must work element by element.
pub trait ServerRule: Send + Sync {
    /// Applies `message` to `center`, the same stripe of both.
    fn apply(&self, center: &mut [f32], message: &[f32], context: CommitContext);
}

/// One training strategy with its options resolved.
pub trait Strategy: Send + Sync + fmt::Debug {
    /// The name by which users select it.
    fn name(&self) -> &'static str;

    /// When a window ends.
    fn rhythm(&self) -> Rhythm;

    /// The largest number of workers that the strategy can use, if there is one.
    fn max_workers(&self) -> Option<u32> {
        None
    }

    /// The rule of one worker over `parameters` flat parameters.
    fn worker(&self, parameters: usize) -> Box<dyn WorkerRule>;

    /// The server's rule.
    fn server(&self) -> Box<dyn ServerRule>;
}

/// The names that [`resolve`] knows.
pub const NAMES: [&str; 3] = ["single", "downpour", "adag"];

/// A strategy that is unknown or whose options do not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StrategyError {
    /// No strategy has this name.
    #[error("unknown strategy '{0}'; known are {list}", list = NAMES.join(", "))]
    Unknown(String),
    /// An option is out of its range.
    #[error("strategy '{strategy}': option '{option}' {problem}")]
    Option {
        /// The strategy's name.
        strategy: String,
        /// The option's name.
        option: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

impl Coded for StrategyError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidSpec
    }
}

/// The strategy that a specification names.
///
/// # Errors
/// When the name is unknown or an option does not fit.
pub fn resolve(spec: &StrategySpec) -> Result<Box<dyn Strategy>, StrategyError> {
    Ok(match spec.name.as_str() {
        "single" => {
            if spec.window.is_some() {
                return Err(option(spec, "window", "does not apply: it never commits"));
            }
            Box::new(single::Single)
        }
        "downpour" => Box::new(downpour::Downpour { window: window(spec, 5)? }),
        "adag" | "agn" => Box::new(adag::Adag { window: window(spec, 12)? }),
        unknown => return Err(StrategyError::Unknown(unknown.to_owned())),
    })
}

/// The communication window, or the strategy's default.
fn window(spec: &StrategySpec, default: u32) -> Result<NonZeroU32, StrategyError> {
    NonZeroU32::new(spec.window.unwrap_or(default))
        .ok_or_else(|| option(spec, "window", "must be at least 1"))
}

fn option(spec: &StrategySpec, option: &'static str, problem: &str) -> StrategyError {
    StrategyError::Option { strategy: spec.name.clone(), option, problem: problem.to_owned() }
}

/// `c += d`, the server rule that several strategies share.
#[derive(Debug)]
struct Add;

impl ServerRule for Add {
    fn apply(&self, center: &mut [f32], message: &[f32], _: CommitContext) {
        for (c, d) in center.iter_mut().zip(message) {
            *c += d;
        }
    }
}

/// What has been learnt since the last commit or pull: `d = x_now - x_at_pull`, with `x_at_pull` kept here.
struct Displacement {
    anchor: Vec<f32>,
}

impl Displacement {
    fn new(parameters: usize) -> Self {
        Self { anchor: vec![0.0; parameters] }
    }

    fn start(&mut self, center: &[f32]) {
        self.anchor.copy_from_slice(center);
    }

    /// Writes `scale * (x - anchor)` and counts from `x` on.
    fn take(&mut self, replica: &[f32], scale: f32, message: &mut [f32]) {
        for ((d, x), anchor) in message.iter_mut().zip(replica).zip(&mut self.anchor) {
            *d = (x - *anchor) * scale;
            *anchor = *x;
        }
    }

    /// `x = c`, and `x_at_pull = c`.
    fn receive(&mut self, center: &[f32], replica: &mut [f32]) {
        replica.copy_from_slice(center);
        self.anchor.copy_from_slice(center);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(name: &str, window: Option<u32>) -> StrategySpec {
        StrategySpec { name: name.to_owned(), window }
    }

    #[test]
    fn every_listed_strategy_resolves_to_its_own_name() {
        for name in NAMES {
            assert_eq!(resolve(&spec(name, None)).unwrap().name(), name);
        }
        assert_eq!(resolve(&spec("agn", None)).unwrap().name(), "adag");
    }

    #[test]
    fn an_unknown_strategy_is_refused_with_the_names_that_are_known() {
        let error = resolve(&spec("adagg", None)).unwrap_err();
        assert_eq!(error.code(), ErrorCode::InvalidSpec);
        assert_eq!(error.to_string(), "unknown strategy 'adagg'; known are single, downpour, adag");
    }

    #[test]
    fn a_window_of_zero_and_a_window_for_single_are_refused() {
        assert!(resolve(&spec("adag", Some(0))).is_err());
        assert!(resolve(&spec("single", Some(3))).is_err());
    }

    /// One worker's displacement is committed, another's commit lands in between, and the pull takes both.
    #[test]
    fn downpour_adds_the_displacement_and_adag_its_mean_over_the_window() {
        for (name, scale) in [("downpour", 1.0_f32), ("adag", 0.25)] {
            let strategy = resolve(&spec(name, Some(4))).unwrap();
            let (mut rule, server) = (strategy.worker(2), strategy.server());
            let mut center = vec![1.0_f32, -1.0];
            let mut replica = center.clone();
            rule.start(&center);
            replica[0] += 2.0;
            replica[1] -= 4.0;
            let mut message = vec![0.0; 2];
            rule.commit(&mut replica, 4, &mut message);
            assert_eq!(message, [2.0 * scale, -4.0 * scale]);
            let context = CommitContext { staleness: 0, workers: 2 };
            server.apply(&mut center, &[0.5, 0.5], context);
            server.apply(&mut center, &message, context);
            rule.receive(&center, &mut replica);
            assert_eq!(replica, center);
            rule.commit(&mut replica, 4, &mut message);
            assert_eq!(message, [0.0, 0.0], "nothing was learnt since the pull");
        }
    }

    #[test]
    fn a_commit_without_a_pull_counts_from_the_last_commit() {
        let strategy = resolve(&spec("downpour", None)).unwrap();
        let mut rule = strategy.worker(1);
        let mut message = [0.0];
        rule.start(&[0.0]);
        rule.commit(&mut [3.0], 1, &mut message);
        rule.commit(&mut [5.0], 1, &mut message);
        assert_eq!(message, [2.0]);
    }

    #[test]
    fn adag_divides_by_the_mini_batches_really_in_a_short_window() {
        let strategy = resolve(&spec("adag", Some(12))).unwrap();
        let mut rule = strategy.worker(1);
        let mut message = [0.0];
        rule.start(&[0.0]);
        rule.commit(&mut [6.0], 3, &mut message);
        assert_eq!(message, [2.0]);
    }
}
