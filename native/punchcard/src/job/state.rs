//! The states of a job.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The state of a job. The last three are final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Recorded.
    Accepted,
    /// Waiting for its turn.
    Queued,
    /// An attempt is recorded, and its process may exist.
    Starting,
    /// The process of an attempt exists.
    Running,
    /// The last attempt ended with exit code 0.
    Succeeded,
    /// The last attempt ended in another way, or none could start.
    Failed,
    /// Cancelled by a user.
    Cancelled,
}

impl State {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Accepted,
        Self::Queued,
        Self::Starting,
        Self::Running,
        Self::Succeeded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// Returns the name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "ACCEPTED",
            Self::Queued => "QUEUED",
            Self::Starting => "STARTING",
            Self::Running => "RUNNING",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
        }
    }

    /// Returns the state with this name.
    #[must_use]
    pub fn of(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Returns true for a state that a job does not leave.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// Returns true while a process of the job may exist.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }

    /// Returns true if a job may go from this state to `next`. A failed attempt returns to the queue if retries are left.
    #[must_use]
    pub const fn may_become(self, next: Self) -> bool {
        match self {
            Self::Accepted => matches!(next, Self::Queued | Self::Failed | Self::Cancelled),
            Self::Queued => matches!(next, Self::Starting | Self::Failed | Self::Cancelled),
            Self::Starting => !matches!(next, Self::Accepted | Self::Starting),
            Self::Running => {
                matches!(next, Self::Queued | Self::Succeeded | Self::Failed | Self::Cancelled)
            }
            Self::Succeeded | Self::Failed | Self::Cancelled => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn no_state_follows_a_final_one() {
        for state in State::ALL {
            let followed = State::ALL.into_iter().any(|next| state.may_become(next));
            assert_eq!(followed, !state.is_final(), "{state:?}");
        }
    }

    #[test]
    fn every_state_is_found_by_its_name_and_has_the_same_name_in_json() {
        for state in State::ALL {
            assert_eq!(State::of(state.name()), Some(state));
            assert_eq!(serde_json::to_value(state).expect("JSON"), state.name());
        }
    }
}
