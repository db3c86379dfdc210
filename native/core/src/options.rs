//! Ranges of numeric options, and the error of an option that does not fit.

use std::fmt;

use crate::error::{Coded, ErrorCode};

/// An option that is unknown or does not fit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OptionError {
    /// The kind and the name of the owner, such as `("optimizer", "sgd")`; `None` for a training control.
    owner: Option<(&'static str, String)>,
    option: String,
    pub(crate) problem: String,
}

impl OptionError {
    /// Creates the error of a training control: the option by its name in the document, and the problem.
    #[must_use]
    pub fn new(option: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { owner: None, option: option.into(), problem: problem.into() }
    }

    /// Adds the kind and the name of the option's owner.
    pub(crate) fn of(self, kind: &'static str, name: impl Into<String>) -> Self {
        Self { owner: Some((kind, name.into())), ..self }
    }
}

impl fmt::Display for OptionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((kind, name)) = &self.owner {
            write!(f, "{kind} '{name}': ")?;
        }
        write!(f, "option '{}' {}", self.option, self.problem)
    }
}

impl std::error::Error for OptionError {}

impl Coded for OptionError {
    fn code(&self) -> ErrorCode {
        ErrorCode::InvalidSpec
    }
}

/// The values that a numeric option may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Range {
    text: &'static str,
    contains: fn(f64) -> bool,
}

impl Range {
    pub(crate) const FINITE: Self = Self { text: "finite", contains: f64::is_finite };
    pub(crate) const POSITIVE: Self =
        Self { text: "above 0 and finite", contains: |value| value > 0.0 && value.is_finite() };
    pub(crate) const NOT_NEGATIVE: Self =
        Self { text: "at least 0 and finite", contains: |value| value >= 0.0 && value.is_finite() };
    /// Numbers above 0 and below 1.
    pub(crate) const FRACTION: Self =
        Self { text: "above 0 and below 1", contains: |value| value > 0.0 && value < 1.0 };
    /// Numbers above 0, and 1.
    pub(crate) const SHARE: Self =
        Self { text: "above 0 and at most 1", contains: |value| value > 0.0 && value <= 1.0 };
    /// Numbers from 0 to 1.
    pub(crate) const UP_TO_ONE: Self =
        Self { text: "from 0 to 1", contains: |value| (0.0..=1.0).contains(&value) };
    /// Numbers from 0 to below 1.
    pub(crate) const BELOW_ONE: Self =
        Self { text: "from 0 to below 1", contains: |value| (0.0..1.0).contains(&value) };
    /// Numbers that are finite as an `f32` too.
    pub(crate) const FINITE_F32: Self =
        Self { contains: |value| (value as f32).is_finite(), ..Self::FINITE };
    /// Numbers that are above 0 and finite as an `f32` too.
    pub(crate) const POSITIVE_F32: Self = Self {
        contains: |value| value as f32 > 0.0 && (value as f32).is_finite(),
        ..Self::POSITIVE
    };
    /// Numbers that are at least 0, and finite as an `f32` too.
    pub(crate) const NOT_NEGATIVE_F32: Self =
        Self { contains: |value| value >= 0.0 && (value as f32).is_finite(), ..Self::NOT_NEGATIVE };

    /// Fails if the value is outside of the range.
    pub(crate) fn check(self, option: &str, value: f64) -> Result<(), OptionError> {
        if (self.contains)(value) {
            return Ok(());
        }
        Err(OptionError::new(option, format!("must be {}, not {value}", self.text)))
    }
}
