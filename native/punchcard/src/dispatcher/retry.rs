//! The time between a failed attempt and the next.

use crate::clock::{Millis, SECOND};

/// The longest time, unless the configured first one is longer.
const LONGEST: u64 = 5 * 60;

/// Returns the time to wait after the failure of an attempt with this number: `first` seconds after attempt 1, and twice
/// as long after each further one.
pub(super) fn delay(first: u32, attempt: u32) -> Millis {
    let first = u64::from(first);
    let doubled = first.saturating_mul(1 << attempt.saturating_sub(1).min(31));
    let seconds = doubled.min(LONGEST.max(first));
    Millis::try_from(seconds).unwrap_or(Millis::MAX).saturating_mul(SECOND)
}

#[cfg(test)]
mod tests {
    use super::delay;

    #[test]
    fn each_wait_is_twice_as_long_as_the_one_before_up_to_five_minutes() {
        let waits: Vec<_> = (1..=5).map(|attempt| delay(1, attempt)).collect();
        assert_eq!(waits, [1000, 2000, 4000, 8000, 16_000]);
        for attempt in [10, 40, u32::MAX] {
            assert_eq!(delay(1, attempt), 300_000, "{attempt}");
        }
        assert_eq!((delay(0, 9), delay(600, 1), delay(600, 9)), (0, 600_000, 600_000));
    }
}
