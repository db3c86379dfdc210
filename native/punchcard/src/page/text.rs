//! Values as text for people.

use std::fmt;

use crate::clock::{self, Millis};

/// A time as an element of HTML.
#[derive(Clone, Copy, Debug)]
pub struct Moment(pub Millis);

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = clock::format(self.0);
        let (date, rest) = time.split_once('T').unwrap_or((&time, ""));
        let seconds = rest.split('.').next().unwrap_or("");
        write!(formatter, "<time datetime=\"{time}\">{date} {seconds} UTC</time>")
    }
}

/// Returns a time span, such as `3 min 12 s`.
pub fn duration(millis: Millis) -> String {
    if millis < 1000 {
        return format!("{} ms", millis.max(0));
    }
    let seconds = millis / 1000;
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) if seconds < 10 => format!("{}.{} s", seconds, millis / 100 % 10),
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, ..) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}

/// Returns a size, such as `1.5 MiB`.
pub fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KiB", "MiB", "GiB", "TiB"];
    if bytes < 1024 {
        return format!("{bytes} B");
    }
    #[expect(clippy::cast_precision_loss, reason = "one digit after the point is shown")]
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < UNITS.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let text = format!("{value:.1}");
    format!("{} {}", text.strip_suffix(".0").unwrap_or(&text), UNITS[unit])
}

/// Returns a number with at most four significant digits.
pub fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude != 0.0 && !(1e-4..1e6).contains(&magnitude) {
        let text = format!("{value:.3e}");
        let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", digits.trim_end_matches('0').trim_end_matches('.'));
    }
    let digits = match magnitude {
        _ if magnitude >= 1000.0 => 0,
        _ if magnitude >= 100.0 => 1,
        _ if magnitude >= 10.0 => 2,
        _ if magnitude >= 1.0 => 3,
        _ if magnitude >= 0.1 => 4,
        _ if magnitude >= 0.01 => 5,
        _ => 6,
    };
    let text = format!("{value:.digits$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::{Moment, duration, number, size};

    #[test]
    fn values_are_short() {
        assert_eq!(duration(1234), "1.2 s");
        assert_eq!(duration(192_000), "3 min 12 s");
        assert_eq!(duration(7_380_000), "2 h 3 min");
        assert_eq!(duration(40), "40 ms");
        assert_eq!(duration(-1), "0 ms");
        assert_eq!(size(1023), "1023 B");
        assert_eq!(size(1536), "1.5 KiB");
        assert_eq!(size(16 << 30), "16 GiB");
        assert_eq!(number(0.0), "0");
        assert_eq!(number(0.25), "0.25");
        assert_eq!(number(0.077_343), "0.07734");
        assert_eq!(number(12.345), "12.35");
        assert_eq!(number(1234.5), "1234");
        assert_eq!(number(0.000_012_3), "1.23e-5");
        assert_eq!(number(2e8), "2e8");
    }

    #[test]
    fn a_time_is_readable_by_people_and_programs() {
        let expected = "<time datetime=\"1970-01-01T00:00:00.000Z\">1970-01-01 00:00:00 UTC</time>";
        assert_eq!(Moment(0).to_string(), expected);
    }
}
