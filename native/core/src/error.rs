//! Stable error codes. The table from code to Java exception class lives in `bridge` and in `NativeErrors.java`; a test on
//! each side holds them together.

use serde::{Deserialize, Serialize};

/// The kind of failure of an error. The numbers are part of the wire protocol and of the JVM boundary: never reuse one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[repr(u16)]
pub enum ErrorCode {
    /// A network, strategy, loss, optimizer or option that is unknown or does not fit.
    InvalidSpec = 1,
    /// A value in the user's data that cannot be trained on or predicted from.
    InvalidData = 2,
    /// The loss or a parameter became NaN or infinite.
    Diverged = 3,
    /// Nothing was trained: no rows or no commits.
    Untrained = 4,
    /// A newer attempt holds this worker's lease.
    Fenced = 5,
    /// The task was cancelled.
    Cancelled = 6,
    /// The parameter server did not answer within its timeout.
    ServerUnreachable = 7,
    /// The peer's proof of the fit's secret is wrong, or its certificate is not accepted.
    Authentication = 8,
    /// A frame that breaks the wire protocol, or another version of it.
    Protocol = 9,
    /// No port of the allowed range could be bound.
    PortInUse = 10,
    /// libtorch failed, is missing or has another version.
    Libtorch = 11,
    /// The operating system refused a file or a socket.
    Io = 12,
    /// A Rust panic: always a defect of Firesteel.
    Panic = 13,
    /// A memory limit would be exceeded.
    Memory = 14,
    /// The workers did not all start in time.
    StartTimeout = 15,
    /// The Arrow stream failed while native code pulled it; the JVM keeps the cause.
    Stream = 16,
    /// An invariant of Firesteel does not hold.
    Internal = 17,
    /// A checkpoint that is damaged, or of another fit.
    Checkpoint = 18,
}

impl ErrorCode {
    /// Every code, in the order of its number.
    pub const ALL: [Self; 18] = [
        Self::InvalidSpec,
        Self::InvalidData,
        Self::Diverged,
        Self::Untrained,
        Self::Fenced,
        Self::Cancelled,
        Self::ServerUnreachable,
        Self::Authentication,
        Self::Protocol,
        Self::PortInUse,
        Self::Libtorch,
        Self::Io,
        Self::Panic,
        Self::Memory,
        Self::StartTimeout,
        Self::Stream,
        Self::Internal,
        Self::Checkpoint,
    ];

    /// The stable number of this code.
    #[must_use]
    pub const fn number(self) -> u16 {
        self as u16
    }

    /// The code with this number, if there is one.
    #[must_use]
    pub fn from_number(number: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.number() == number)
    }
}

/// An error with a stable code, implemented by the error enum of every crate.
pub trait Coded: std::error::Error {
    /// Returns the kind of failure, for decisions by callers; the text is for people only.
    fn code(&self) -> ErrorCode;
}

#[cfg(test)]
mod tests {
    use super::ErrorCode;

    #[test]
    fn every_code_is_found_by_its_number_and_numbers_are_dense() {
        for (index, code) in ErrorCode::ALL.into_iter().enumerate() {
            assert_eq!(usize::from(code.number()), index + 1);
            assert_eq!(ErrorCode::from_number(code.number()), Some(code));
        }
        assert_eq!(ErrorCode::from_number(0), None);
        assert_eq!(ErrorCode::from_number(19), None);
    }
}
