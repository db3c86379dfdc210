//! The training strategies: the message of a worker at a window's end and the server's use of it.
//!
//! A strategy is one short file that reads like its equations, one variant of
//! [`StrategySpec`](crate::spec::StrategySpec) and one arm of [`resolve`]. The rules work on flat slices and know neither
//! sockets nor libtorch; `docs/strategies.md` shows how to add one. Notation: `c` center variable, `x` replica, `d` what is
//! committed, `p` workers.

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
mod local_sgd;
mod mean;
mod options;
mod protocol;
mod resolve;
mod single;
mod sync;
#[cfg(test)]
mod tests;

use std::fmt;

pub use self::coding::coding;
pub use self::delta::Displacement;
pub use self::mean::weighted_mean;
pub use self::protocol::{Protocol, PullOrder, RoundReply, RoundUpdate, Weight};
pub use self::resolve::{in_rounds, names, resolve};
use crate::clipping::Bound;
use crate::optimizer::Optimizer;
use crate::state::{State, StateError};

/// The facts of a window beside its message.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowSummary {
    /// The number of mini-batches trained in it.
    pub batches: u32,
    /// The learning rate of the worker's optimizer at its end.
    pub learning_rate: f64,
}

/// The worker's side of a strategy, with its state.
pub trait WorkerRule: Send {
    /// Takes the center variable that the worker starts from.
    fn start(&mut self, center: &[f32]);

    /// Moves the replica to the point at which the next gradient is taken.
    fn look_ahead(&mut self, _replica: &mut [f32]) {}

    /// Returns true if [`step`](Self::step) is a step of the worker's optimizer and nothing else, which may then be applied
    /// part by part.
    fn steps_by_optimizer(&self) -> bool {
        true
    }

    /// Applies a mini-batch's gradient: a step of the worker's optimizer, unless the strategy has its own.
    fn step(&mut self, replica: &mut [f32], gradient: &[f32], optimizer: &mut dyn Optimizer) {
        optimizer.step(replica, gradient);
    }

    /// Ends a window: writes the commit to `message`, which has the replica's length.
    fn commit(&mut self, replica: &mut [f32], window: WindowSummary, message: &mut [f32]);

    /// Takes a pulled center variable, or the result of a round.
    fn receive(&mut self, center: &[f32], replica: &mut [f32]);

    /// Takes the center variable that answers the last commit, after the replica has been trained further.
    fn merge(&mut self, center: &[f32], replica: &mut [f32]) {
        self.receive(center, replica);
    }
}

/// The server's facts about a commit beside its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitContext {
    /// Updates applied since this worker's last pull, not counting this one.
    pub staleness: u64,
    /// The fit's workers, `p`.
    pub workers: u32,
}

/// The server's side of an asynchronous strategy for one stripe of the center variable, with its state.
pub trait CommitRule: Send {
    /// Applies `message` to `center`. `seen` is the center variable of the worker's last pull if
    /// the protocol remembers pulls, else empty. All are the same stripe.
    fn apply(&mut self, center: &mut [f32], message: &[f32], seen: &[f32], context: CommitContext);

    /// Returns the state between commits, for a checkpoint.
    fn state(&self) -> State {
        State::default()
    }

    /// Continues from a state that [`state`](Self::state) returned.
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
    /// The worker's message.
    pub message: &'a [f32],
    /// The weight of the message, above 0.
    pub weight: f64,
}

/// The server's facts about a round beside its parts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Round {
    /// The fit's learning rate after the schedule, for strategies that follow it; `None` if the rate stays as it is.
    pub learning_rate: Option<f64>,
    /// The clipping of the mean gradient.
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

    /// Returns the state between rounds, for a checkpoint.
    fn state(&self) -> State {
        State::default()
    }

    /// Continues from a state that [`state`](Self::state) returned.
    ///
    /// # Errors
    /// When the state is another rule's.
    fn restore(&mut self, state: &State) -> Result<(), StateError> {
        state.check_shape(&self.state())
    }
}

/// The server's side of a strategy for one stripe, by its protocol.
pub enum ServerRule {
    /// Of [`Protocol::Asynchronous`].
    Commit(Box<dyn CommitRule>),
    /// Of [`Protocol::Rounds`].
    Round(Box<dyn RoundRule>),
    /// Of [`Protocol::Local`]: `c = x`.
    Save,
}

impl ServerRule {
    /// Returns the rule's state, for a checkpoint.
    #[must_use]
    pub fn state(&self) -> State {
        match self {
            Self::Commit(rule) => rule.state(),
            Self::Round(rule) => rule.state(),
            Self::Save => State::default(),
        }
    }

    /// Continues from a state that [`state`](Self::state) returned.
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

/// One training strategy with its options resolved.
pub trait Strategy: Send + Sync + fmt::Debug {
    /// The name by which users select it.
    fn name(&self) -> &'static str;

    /// Returns the exchanges between workers and server.
    fn protocol(&self) -> Protocol;

    /// The rule of one of `workers` workers over `parameters` flat parameters.
    fn worker(&self, parameters: usize, workers: u32) -> Box<dyn WorkerRule>;

    /// The server's rule for one stripe of `parameters` parameters in a fit of `workers` workers.
    fn server(&self, parameters: usize, workers: u32) -> ServerRule;

    /// Returns a warning about these options with `workers` workers in `tasks` tasks, those of one task in turn.
    fn warning(&self, _workers: u32, _tasks: u32) -> Option<String> {
        None
    }
}
