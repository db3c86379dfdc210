//! Curves as SVG: the places of lines, points and labels in a drawing of fixed size.

use super::curves::{Curve, Fit};
use super::text::number;

/// The width of a drawing; its height is given in the template.
const WIDTH: f64 = 440.0;
/// The area of the curves: left, right, top and bottom.
const AREA: [f64; 4] = [54.0, WIDTH - 12.0, 12.0, 194.0];
/// The largest number of points of a line.
const POINTS: usize = 300;
/// The largest number of points that are drawn as dots.
const DOTS: usize = 50;

/// A drawing.
#[derive(Debug)]
pub struct Chart {
    /// The name of the metric.
    pub name: String,
    /// The content in a sentence.
    pub summary: String,
    /// The lines.
    pub lines: Vec<Line>,
    /// The ticks below.
    pub epochs: Vec<Tick>,
    /// The ticks at the left.
    pub values: Vec<Tick>,
}

/// A tick: its place along the axis, and its label.
#[derive(Debug)]
pub struct Tick {
    /// The place.
    pub at: String,
    /// The label.
    pub label: String,
}

/// The line of a fit.
#[derive(Debug)]
pub struct Line {
    /// The name.
    pub label: String,
    /// The number of its colour.
    pub colour: usize,
    /// The points, as SVG writes them.
    pub points: String,
    /// The points to draw as dots.
    pub dots: Vec<Dot>,
    /// The epochs with their values.
    pub rows: Vec<(String, String)>,
}

/// A point.
#[derive(Debug)]
pub struct Dot {
    /// The place from the left.
    pub x: String,
    /// The place from the top.
    pub y: String,
    /// The epoch and value.
    pub label: String,
}

/// An axis.
struct Axis {
    low: f64,
    high: f64,
    start: f64,
    end: f64,
}

impl Axis {
    fn place(&self, value: f64) -> String {
        let part = (value - self.low) / (self.high - self.low);
        format!("{:.1}", part.mul_add(self.end - self.start, self.start))
    }

    fn ticks(&self, step: f64) -> Vec<Tick> {
        let first = (self.low / step).ceil();
        let values = (0..12).map(|index| (first + f64::from(index)) * step);
        values
            .take_while(|value| *value <= step.mul_add(1e-6, self.high))
            .map(|value| Tick {
                at: self.place(value),
                // Zero, despite rounding.
                label: number(if value.abs() < step / 1e6 { 0.0 } else { value }),
            })
            .collect()
    }
}

/// Returns a step of 1, 2 or 5 times a power of ten, for about `count` ticks.
fn step(range: f64, count: f64) -> f64 {
    let rough = range / count;
    let power = 10_f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough);
    factor.unwrap_or(10.0) * power
}

/// Draws a curve.
pub fn chart(curve: &Curve) -> Chart {
    let points = || curve.fits.iter().flat_map(|fit| &fit.points);
    let extent = |values: &mut dyn Iterator<Item = f64>| {
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    let [left, right, top, bottom] = AREA;
    let (first, last) = extent(&mut points().map(|(epoch, _)| *epoch));
    // A single epoch stands in the middle.
    let aside = if last > first { 0.0 } else { 0.5 };
    let epochs = Axis { low: first - aside, high: last + aside, start: left, end: right };
    let (low, high) = extent(&mut points().map(|(_, value)| *value));
    let room = if high > low { (high - low) * 0.05 } else { (high.abs() * 0.1).max(1e-6) };
    let values = Axis { low: low - room, high: high + room, start: bottom, end: top };
    let several = curve.fits.len() > 1;
    let lines = curve.fits.iter().enumerate();
    Chart {
        name: curve.name.clone(),
        summary: summary(curve, low, high),
        lines: lines.map(|(colour, fit)| line(fit, colour, &epochs, &values, several)).collect(),
        epochs: epochs.ticks(step(epochs.high - epochs.low, 6.0).max(1.0)),
        values: values.ticks(step(values.high - values.low, 4.0)),
    }
}

fn line(fit: &Fit, colour: usize, epochs: &Axis, values: &Axis, several: bool) -> Line {
    let stride = fit.points.len().div_ceil(POINTS).max(1);
    let last = fit.points.len().saturating_sub(1);
    let kept = fit.points.iter().enumerate();
    let kept = kept.filter(|(index, _)| index % stride == 0 || *index == last);
    let kept: Vec<_> = kept.map(|(_, point)| *point).collect();
    let places: Vec<_> = kept
        .iter()
        .map(|(epoch, value)| Dot {
            x: epochs.place(*epoch),
            y: values.place(*value),
            label: format!("epoch {}: {}", number(*epoch), number(*value)),
        })
        .collect();
    let points: Vec<_> = places.iter().map(|dot| format!("{},{}", dot.x, dot.y)).collect();
    Line {
        label: if several { format!("fit {}", fit.number + 1) } else { String::new() },
        colour,
        points: points.join(" "),
        dots: if places.len() <= DOTS { places } else { Vec::new() },
        rows: kept.iter().map(|(epoch, value)| (number(*epoch), number(*value))).collect(),
    }
}

fn summary(curve: &Curve, low: f64, high: f64) -> String {
    let last = curve.fits.last().and_then(|fit| fit.points.last());
    let last = last.map_or_else(String::new, |(epoch, value)| {
        format!("; {} after epoch {}", number(*value), number(*epoch))
    });
    format!("from {} to {}{last}", number(low), number(high))
}

#[cfg(test)]
mod tests {
    use super::{POINTS, chart, step};
    use crate::page::curves::{Curve, Fit};

    fn drawn(points: Vec<(f64, f64)>) -> super::Chart {
        chart(&Curve { name: "loss".to_owned(), fits: vec![Fit { number: 0, points }] })
    }

    #[test]
    fn points_lie_within_the_drawing() {
        for points in
            [vec![(1.0, 0.5)], vec![(1.0, 2.0), (2.0, 1.0), (3.0, 0.5)], vec![(3.0, 0.0); 4]]
        {
            let chart = drawn(points.clone());
            assert_eq!(chart.lines[0].dots.len(), points.len());
            for dot in &chart.lines[0].dots {
                let (x, y): (f64, f64) = (dot.x.parse().expect("x"), dot.y.parse().expect("y"));
                assert!((0.0..=440.0).contains(&x) && (0.0..=220.0).contains(&y), "{dot:?}");
            }
            assert!(!chart.values.is_empty() && !chart.epochs.is_empty(), "{chart:?}");
        }
    }

    #[test]
    fn a_single_epoch_stands_in_the_middle_and_labels_fit_beside_the_axis() {
        let chart = drawn(vec![(1.0, 0.000_012_34)]);
        let labels: Vec<_> = chart.epochs.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(labels, ["1"]);
        assert_eq!(chart.epochs[0].at, chart.lines[0].dots[0].x);
        for points in [vec![(1.0, 0.000_012_34)], vec![(1.0, 2e7), (2.0, 1.5e8)]] {
            for tick in drawn(points).values {
                assert!(tick.label.len() <= 6, "{}", tick.label);
            }
        }
    }

    #[test]
    fn a_long_line_is_thinned_and_keeps_its_last_point() {
        let points = (1..=5000_u16).map(|epoch| (f64::from(epoch), 1.0 / f64::from(epoch)));
        let chart = drawn(points.collect());
        assert!(chart.lines[0].rows.len() <= POINTS + 1);
        assert_eq!(chart.lines[0].rows.last().map(|row| row.0.as_str()), Some("5000"));
        assert_eq!(chart.summary, "from 0.0002 to 1; 0.0002 after epoch 5000");
    }

    #[test]
    fn steps_are_round() {
        for (range, expected) in [(1.0, 0.5), (9.0, 5.0), (0.03, 0.01), (100.0, 50.0)] {
            assert!((step(range, 4.0) - expected).abs() < 1e-9, "{range}: {}", step(range, 4.0));
        }
    }
}
