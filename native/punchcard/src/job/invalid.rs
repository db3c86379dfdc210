//! The error of a request that does not fit.

/// A field of a request that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {problem}")]
pub struct Invalid {
    /// The field, such as `work.data.path`.
    pub field: String,
    /// The problem, and what to do.
    pub problem: String,
}

pub(super) fn invalid<T>(field: &str, problem: impl Into<String>) -> Result<T, Invalid> {
    Err(Invalid { field: field.to_owned(), problem: problem.into() })
}
