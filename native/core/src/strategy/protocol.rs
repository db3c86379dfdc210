//! The protocol of a strategy: the exchanges between its workers and the server.

use std::num::NonZeroU32;

/// The exchanges between the workers of a strategy and the server. The end of an epoch always ends a worker's window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// Every worker commits its windows independently of the other workers.
    Asynchronous {
        /// The mini-batches of a window.
        window: NonZeroU32,
        /// The order of pull and commit.
        pull: PullOrder,
        /// True if the server keeps the center variable of every worker's last pull for
        /// [`CommitRule::apply`](super::CommitRule::apply).
        remembers_pulls: bool,
        /// True if a worker trains during an exchange.
        overlap: bool,
    },
    /// Every worker contributes its windows to rounds, which all live workers close together.
    Rounds {
        /// The mini-batches of a window, [`Protocol::EPOCH`] for a round at the end of every epoch.
        window: NonZeroU32,
        /// The weight of a worker in a round in which it trained.
        weight: Weight,
        /// The update of the center variable.
        update: RoundUpdate,
        /// The center variable that workers receive.
        reply: RoundReply,
    },
    /// The workers commit nothing; their replicas are saved with the server at the end of every epoch.
    Local {
        /// True if every worker starts from its own weights and the server keeps all replicas. Otherwise there is one
        /// worker, and its replica is the model.
        keeps_members: bool,
    },
}

/// The order of pull and commit at the end of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PullOrder {
    /// The worker pulls before it commits and not after, because its message depends on the center variable.
    BeforeCommit,
    /// The worker pulls after it commits.
    AfterCommit,
}

/// The weight of a worker in a round in which it trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// By the rows of its window.
    Rows,
    /// The same for every worker.
    Worker,
}

/// The update of the center variable at the end of a round.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundUpdate {
    /// The server does not use the fit's learning rate.
    Unscheduled,
    /// The server's rule receives the scheduled learning rate of the fit.
    Scheduled,
    /// The workers send gradients to an optimizer on the server. The mean gradient is clipped and the learning rate
    /// scheduled there, not by the workers.
    ServerStep,
}

/// The center variable that workers receive when a round is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundReply {
    /// The updated one.
    Updated,
    /// The one from before the round.
    Former,
}

impl Protocol {
    /// The window that the end of an epoch ends.
    pub const EPOCH: NonZeroU32 = NonZeroU32::MAX;

    /// Returns the mini-batches of a window, `None` if a window is an epoch of local training.
    #[must_use]
    pub fn window(self) -> Option<NonZeroU32> {
        match self {
            Self::Asynchronous { window, .. } | Self::Rounds { window, .. } => Some(window),
            Self::Local { .. } => None,
        }
    }

    /// Returns true if a worker trains during an exchange.
    #[must_use]
    pub fn overlaps(self) -> bool {
        matches!(self, Self::Asynchronous { overlap: true, .. })
    }

    /// Returns true if the server keeps the center variable of every worker's last pull.
    #[must_use]
    pub fn remembers_pulls(self) -> bool {
        matches!(self, Self::Asynchronous { remembers_pulls: true, .. })
    }

    /// Returns true if the workers send gradients to an optimizer on the server.
    #[must_use]
    pub fn steps_on_server(self) -> bool {
        matches!(self, Self::Rounds { update: RoundUpdate::ServerStep, .. })
    }

    /// Returns true if the server's update follows the schedule of the fit's learning rate.
    #[must_use]
    pub fn follows_schedule(self) -> bool {
        matches!(
            self,
            Self::Rounds { update: RoundUpdate::Scheduled | RoundUpdate::ServerStep, .. }
        )
    }

    /// Returns true if a closed round returns the center variable from before it.
    #[must_use]
    pub fn returns_former_center(self) -> bool {
        matches!(self, Self::Rounds { reply: RoundReply::Former, .. })
    }

    /// Returns true if every worker starts from its own weights and the server keeps all replicas.
    #[must_use]
    pub fn keeps_members(self) -> bool {
        matches!(self, Self::Local { keeps_members: true })
    }

    /// Returns the largest number of workers, if there is one.
    #[must_use]
    pub fn max_workers(self) -> Option<u32> {
        matches!(self, Self::Local { keeps_members: false }).then_some(1)
    }
}
