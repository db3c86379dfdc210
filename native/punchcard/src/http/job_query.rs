//! The query of a list of jobs.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use utoipa::IntoParams;

use crate::job::State as JobState;

/// The jobs that a request asks for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// A state. The parameter may be repeated, for jobs in any of the states.
    #[serde(default, deserialize_with = "listed_states")]
    #[param(inline)]
    pub(crate) state: Vec<JobState>,
    /// The user, for administrators.
    #[serde(default)]
    pub(crate) user: Option<String>,
    /// A part of the name.
    #[serde(default)]
    pub(crate) name: Option<String>,
    /// The largest number of jobs, at most 200.
    #[serde(default)]
    #[param(minimum = 1, maximum = 200)]
    pub(crate) limit: Option<u32>,
    /// The id of a job, which may have been removed; only earlier ones are listed.
    #[serde(default)]
    pub(crate) before: Option<String>,
}

/// Reads names of states, in any case, with commas between them.
///
/// # Errors
/// The error of a name that is not one of a state.
pub(crate) fn states(text: &str) -> Result<Vec<JobState>, String> {
    let state = |name: &str| {
        JobState::of(&name.to_ascii_uppercase()).ok_or_else(|| {
            let names = JobState::ALL.map(JobState::name).join(", ");
            format!("there is no state '{name}'; the states are {names}")
        })
    };
    text.split(',').filter(|name| !name.is_empty()).map(state).collect()
}

fn listed_states<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<JobState>, D::Error> {
    states(&String::deserialize(deserializer)?).map_err(D::Error::custom)
}
