//! The training strategies: what a worker sends at a window's end and what the server does with it.
//!
//! A strategy is one short file that reads like its equations and one line in the table of [`resolve`]. The rules work
//! on flat slices and know neither sockets nor libtorch; `docs/strategies.md` shows how to add one. Notation: `c` center
//! variable, `x` replica, `d` what is committed, `p` workers.

mod adag;
mod aeasgd;
mod agn_adaptive;
mod averaging;
mod coding;
mod delta;
mod diloco;
mod downpour;
mod dynsgd;
mod eamsgd;
mod easgd;
mod elastic;
mod ensemble;
mod error;
mod local_sgd;
mod mean;
mod options;
mod resolve;
mod single;
mod sync;
#[cfg(test)]
mod tests;

use std::fmt;
use std::num::NonZeroU32;

pub use self::coding::coding;
pub use self::delta::Displacement;
pub use self::error::StrategyError;
pub use self::mean::weighted_mean;
use self::options::Options;
pub use self::resolve::{in_rounds, names, resolve, restrict};
use crate::clipping::Bound;
use crate::optimizer::Optimizer;
use crate::state::{State, StateError};

/// When a worker's communication window ends. An epoch's end always ends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitSchedule {
    /// After this many mini-batches: the window is committed, whatever the others do.
    Window(NonZeroU32),
    /// After this many mini-batches: the window is contributed to a round, which all live workers close together.
    Round(NonZeroU32),
    /// Never committed: the replica is saved with the server at every epoch's end.
    Save,
}

impl CommitSchedule {
    /// A round at every epoch's end.
    pub const EPOCH: Self = Self::Round(NonZeroU32::MAX);
}

/// What a window holds beside its message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowSummary {
    /// The mini-batches trained in it.
    pub batches: u32,
    /// The learning rate of the worker's optimizer at its end.
    pub learning_rate: f64,
}

/// The worker's side of a strategy, with its state.
pub trait WorkerRule: Send {
    /// Takes the center variable that the worker starts from.
    fn start(&mut self, center: &[f32]);

    /// Moves the replica to where the next gradient is to be taken.
    fn look_ahead(&mut self, _replica: &mut [f32]) {}

    /// Takes a mini-batch's gradient: a step of the worker's optimizer, unless the strategy has its own.
    fn step(&mut self, replica: &mut [f32], gradient: &[f32], optimizer: &mut dyn Optimizer) {
        optimizer.step(replica, gradient);
    }

    /// Ends a window: writes what is committed to `message`, which has the replica's length.
    fn commit(&mut self, replica: &mut [f32], window: WindowSummary, message: &mut [f32]);

    /// Takes a center variable that was pulled, or what a round gave.
    fn receive(&mut self, center: &[f32], replica: &mut [f32]);

    /// Takes the center variable that answers the last commit, after the replica has been trained further.
    fn merge(&mut self, center: &[f32], replica: &mut [f32]) {
        self.receive(center, replica);
    }
}

/// What the server knows of a commit beside its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitContext {
    /// Updates applied since this worker's last pull, not counting this one.
    pub staleness: u64,
    /// The fit's workers, `p`.
    pub workers: u32,
}

/// The server's side of an asynchronous strategy for one stripe of the center variable, with its state.
pub trait CommitRule: Send {
    /// Applies `message` to `center`. `seen` is the center variable of the worker's last pull where
    /// [`Strategy::remembers_pulls`], else empty. All are the same stripe.
    fn apply(&mut self, center: &mut [f32], message: &[f32], seen: &[f32], context: CommitContext);

    /// What the rule keeps from commit to commit, for a checkpoint.
    fn state(&self) -> State {
        State::default()
    }

    /// Goes on from what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// When the state is another rule's.
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        state.check_shape(&self.state())
    }
}

/// One worker's part in a round: the same stripe of its message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Part<'a> {
    /// What the worker sent.
    pub message: &'a [f32],
    /// How much it counts, above 0.
    pub weight: f64,
}

/// What the server knows of a round beside its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// What the schedule makes of the fit's learning rate, for strategies that follow it; `None` where the rate stays as it is.
    pub learning_rate: Option<f64>,
    /// How the mean gradient is bounded.
    pub bound: Bound,
}

impl Round {
    /// A round with nothing to know.
    pub const PLAIN: Self = Self { learning_rate: None, bound: Bound::NONE };
}

/// The server's side of a strategy with rounds for one stripe of the center variable, with its state.
pub trait RoundRule: Send {
    /// Closes a round over the parts of all workers that trained, at least one, in the order of the workers.
    fn close(&mut self, center: &mut [f32], parts: &[Part<'_>], round: &Round);

    /// What the rule keeps from round to round, for a checkpoint.
    fn state(&self) -> State {
        State::default()
    }

    /// Goes on from what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// When the state is another rule's.
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        state.check_shape(&self.state())
    }
}

/// The server's side of a strategy for one stripe, by its commit schedule.
pub enum ServerRule {
    /// Of [`CommitSchedule::Window`].
    Commit(Box<dyn CommitRule>),
    /// Of [`CommitSchedule::Round`].
    Round(Box<dyn RoundRule>),
    /// Of [`CommitSchedule::Save`]: `c = x`.
    Save,
}

impl ServerRule {
    /// What the rule keeps, for a checkpoint.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Commit(rule) => rule.state(),
            Self::Round(rule) => rule.state(),
            Self::Save => State::default(),
        }
    }

    /// Goes on from what [`state`](Self::state) gave.
    ///
    /// # Errors
    /// When the state is another rule's.
    pub fn restore(&mut self, state: &State) -> Result<(), StateError> {
        match self {
            Self::Commit(rule) => rule.restore(state),
            Self::Round(rule) => rule.restore(state),
            Self::Save => state.check_shape(&State::default()),
        }
    }
}

/// What a worker counts in a round in which it trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// As much as the rows of its window.
    Rows,
    /// As much as every other.
    Worker,
}

/// One training strategy with its options resolved.
pub trait Strategy: Send + Sync + fmt::Debug {
    /// The name by which users select it.
    fn name(&self) -> &'static str;

    /// When a window ends.
    fn commit_schedule(&self) -> CommitSchedule;

    /// The rule of one of `workers` workers over `parameters` flat parameters.
    fn worker(&self, parameters: usize, workers: u32) -> Box<dyn WorkerRule>;

    /// The server's rule for one stripe of `parameters` parameters in a fit of `workers` workers.
    fn server(&self, parameters: usize, workers: u32) -> ServerRule;

    /// The largest number of workers that the strategy can use, if there is one.
    fn max_workers(&self) -> Option<u32> {
        None
    }

    /// Whether a worker exchanges while it trains on.
    fn overlaps(&self) -> bool {
        false
    }

    /// Whether a worker pulls before it commits and not after: its message depends on the center variable.
    fn pulls_first(&self) -> bool {
        false
    }

    /// Whether the server keeps the center variable of every worker's last pull for [`CommitRule::apply`].
    fn remembers_pulls(&self) -> bool {
        false
    }

    /// Whether workers send gradients, which an optimizer on the server steps on: their mean is clipped and the learning
    /// rate scheduled there, and not by the workers.
    fn steps_on_server(&self) -> bool {
        false
    }

    /// Whether the server's side of a round follows the schedule of the fit's learning rate.
    fn follows_schedule(&self) -> bool {
        self.steps_on_server()
    }

    /// What a worker counts in a round.
    fn weight(&self) -> Weight {
        Weight::Rows
    }

    /// Whether a closed round gives the center variable from before it.
    fn gives_former_center(&self) -> bool {
        false
    }

    /// Whether every worker starts from weights of its own and the server keeps all replicas.
    fn keeps_members(&self) -> bool {
        false
    }

    /// What the user should know of these options with `workers` workers.
    fn warning(&self, _workers: u32) -> Option<String> {
        None
    }
}
