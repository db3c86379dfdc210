//! The failure that a driver tells as an event.

use serde_json::Value;

/// The most characters of a reason.
const REASON: usize = 1500;
/// The most lines of a reason.
const LINES: usize = 12;

/// The content of an event `failure`, if the driver wrote one.
pub(super) struct Failure(pub Option<Value>);

impl Failure {
    /// Returns the reason, which may have several lines, without other control characters.
    pub(super) fn reason(&self) -> Option<String> {
        let text = self.0.as_ref()?.get("reason")?.as_str()?;
        let lines = text.lines().map(without_controls).filter(|line| !line.trim().is_empty());
        let reason = lines.take(LINES).collect::<Vec<_>>().join("\n");
        let reason: String = reason.chars().take(REASON).collect();
        Some(reason.trim().to_owned()).filter(|reason| !reason.is_empty())
    }

    /// Returns true unless the driver said that a further attempt would fail for the same reason.
    pub(super) fn repeatable(&self) -> bool {
        let retry = self.0.as_ref().and_then(|data| data.get("retry"));
        retry != Some(&Value::Bool(false))
    }
}

fn without_controls(line: &str) -> String {
    line.trim_end().chars().filter(|c| !c.is_control()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Failure, LINES, REASON};

    #[test]
    fn a_reason_is_a_text_of_bounded_lines_and_length() {
        let reason = |data: Value| Failure(Some(data)).reason();
        let text = "libtorch was not found:\r\n  LIBTORCH is not set\u{1b}\n\n\tAdd a jar.\n";
        let expected = "libtorch was not found:\n  LIBTORCH is not set\nAdd a jar.";
        assert_eq!(reason(json!({"reason": text})).as_deref(), Some(expected));
        let long = reason(json!({"reason": "x".repeat(5000)})).expect("a reason");
        assert_eq!(long.len(), REASON);
        let lines = reason(json!({"reason": "x\n".repeat(100)})).expect("a reason");
        assert_eq!(lines.lines().count(), LINES);
        for data in [json!({"reason": " \t\n\u{1b}"}), json!({"reason": 7}), json!({}), json!([])] {
            assert_eq!(reason(data.clone()), None, "{data}");
        }
        assert_eq!(Failure(None).reason(), None);
    }

    #[test]
    fn only_a_driver_that_says_so_ends_a_job_before_its_last_retry() {
        assert!(Failure(None).repeatable());
        for retry in [json!(true), json!(null), json!("false"), json!(0)] {
            assert!(Failure(Some(json!({"retry": retry}))).repeatable(), "{retry}");
        }
        assert!(!Failure(Some(json!({"retry": false}))).repeatable());
    }
}
