//! The failure that a driver tells as an event.

use serde_json::Value;

/// The most characters of a reason.
const REASON: usize = 1000;

/// The content of an event `failure`, if the driver wrote one.
pub(super) struct Failure(pub Option<Value>);

impl Failure {
    /// Returns the reason, without control characters.
    pub(super) fn reason(&self) -> Option<String> {
        let text = self.0.as_ref()?.get("reason")?.as_str()?;
        let reason: String = text.chars().filter(|c| !c.is_control()).take(REASON).collect();
        Some(reason).filter(|reason| !reason.trim().is_empty())
    }

    /// Returns true unless the driver said that a further attempt would fail for the same reason.
    pub(super) fn repeatable(&self) -> bool {
        let retry = self.0.as_ref().and_then(|data| data.get("retry"));
        retry != Some(&Value::Bool(false))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::Failure;

    #[test]
    fn a_reason_is_a_line_of_bounded_length() {
        let reason = |data: Value| Failure(Some(data)).reason();
        assert_eq!(reason(json!({"reason": "no\ncolumn\u{1b}"})).as_deref(), Some("nocolumn"));
        assert_eq!(reason(json!({"reason": "x".repeat(5000)})).map(|text| text.len()), Some(1000));
        for data in [json!({"reason": " \t"}), json!({"reason": 7}), json!({}), json!([])] {
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
