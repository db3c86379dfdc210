//! The errors of TorchScript.

/// A failure of TorchScript or of libtorch under it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ScriptError(String);

/// The prefix of the cause in an error of the interpreter, after a trace of the module's code.
const CAUSE: &str = "RuntimeError: ";

impl ScriptError {
    /// Takes the line of a C++ message that states the cause.
    pub(crate) fn new(text: &str) -> Self {
        let cause = text.lines().rev().find_map(|line| line.strip_prefix(CAUSE));
        let first = text.lines().find(|line| !line.trim().is_empty());
        Self(cause.or(first).unwrap_or("it failed without a message").trim().to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::ScriptError;

    #[test]
    fn an_error_is_the_line_that_tells_the_cause() {
        let text = "The following operation failed in the TorchScript interpreter.\nTraceback of TorchScript (most \
                    recent call last):\n  File \"net.py\", line 3, in forward\n    return torch.mm(x, w)\n           \
                    ~~~~~~~~ <--- HERE\nRuntimeError: mat1 and mat2 shapes cannot be multiplied (2x4 and 5x3)\n";
        let error = ScriptError::new(text);
        assert_eq!(error.to_string(), "mat1 and mat2 shapes cannot be multiplied (2x4 and 5x3)");
        let error = ScriptError::new("\nforward() is missing value for argument 'y'.\nframe #0");
        assert_eq!(error.to_string(), "forward() is missing value for argument 'y'.");
        assert_eq!(ScriptError::new("").to_string(), "it failed without a message");
    }
}
