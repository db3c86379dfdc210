//! Times in milliseconds since 1970-01-01 UTC.

use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;

/// Milliseconds since 1970-01-01 UTC.
pub type Millis = i64;

/// A second in milliseconds.
pub const SECOND: Millis = 1000;
/// A day in milliseconds.
pub const DAY: Millis = 24 * 60 * 60 * 1000;

/// Returns the present time.
#[must_use]
pub fn now() -> Millis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Millis::try_from(since.as_millis()).unwrap_or(Millis::MAX)
}

/// Formats a time by RFC 3339, in UTC with milliseconds.
#[must_use]
pub fn format(millis: Millis) -> String {
    let format =
        format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
        .ok()
        .and_then(|time| time.format(format).ok())
        .unwrap_or_else(|| "9999-12-31T23:59:59.999Z".to_owned())
}

/// Reads a time in the format of RFC 3339.
#[must_use]
pub fn parse(text: &str) -> Option<Millis> {
    let time = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    Millis::try_from(time.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::{format, parse};

    #[test]
    fn a_time_is_read_as_it_was_written() {
        let text = "2026-11-30T05:10:00.123Z";
        let millis = parse(text).expect("a time");
        assert_eq!(format(millis), text);
        assert_eq!(parse("2026-11-30T06:10:00.123+01:00"), Some(millis));
        assert_eq!(parse("yesterday"), None);
    }
}
