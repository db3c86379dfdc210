//! The curves of a job's training: a metric over the epochs of each fit.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::store::Event;

/// The fits of a curve that are drawn: the last ones.
const FITS: usize = 6;

/// A metric over the epochs.
#[derive(Debug, PartialEq)]
pub struct Curve {
    /// The name of the metric.
    pub name: String,
    /// The fits.
    pub fits: Vec<Fit>,
}

/// The values of a fit.
#[derive(Debug, PartialEq)]
pub struct Fit {
    /// The number of the fit, from 0.
    pub number: u64,
    /// The epochs with their values, which are finite.
    pub points: Vec<(f64, f64)>,
}

/// Collects the curves of events of the type `epoch`, the loss first.
///
/// Uploaded programs may write events, so that anything that is not a number is left out.
pub fn curves(events: &[Event]) -> Vec<Curve> {
    let mut losses = BTreeMap::new();
    let mut metrics: BTreeMap<String, BTreeMap<u64, Vec<(f64, f64)>>> = BTreeMap::new();
    for event in events {
        let Some(epoch) = event.data.get("epoch").and_then(Value::as_f64) else { continue };
        let fit = event.data.get("fit").and_then(Value::as_u64).unwrap_or(0);
        let add = |fits: &mut BTreeMap<u64, Vec<(f64, f64)>>, value: &Value| {
            if let Some(value) = value.as_f64() {
                fits.entry(fit).or_default().push((epoch, value));
            }
        };
        if let Some(loss) = event.data.get("loss") {
            add(&mut losses, loss);
        }
        for (name, value) in
            event.data.get("metrics").and_then(Value::as_object).unwrap_or(&Map::new())
        {
            add(metrics.entry(name.clone()).or_default(), value);
        }
    }
    std::iter::once(("loss".to_owned(), losses))
        .chain(metrics)
        .filter(|(_, fits)| !fits.is_empty())
        .map(|(name, fits)| {
            let left_out = fits.len().saturating_sub(FITS);
            let fits = fits.into_iter().skip(left_out);
            Curve { name, fits: fits.map(|(number, points)| Fit { number, points }).collect() }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{Curve, Fit, curves};
    use crate::store::Event;

    fn epoch(data: Value) -> Event {
        Event { seq: 1, time: 0, attempt: 1, kind: "epoch".to_owned(), data }
    }

    #[test]
    fn the_loss_comes_first_and_values_that_are_not_numbers_are_left_out() {
        let events = [
            epoch(
                json!({"fit": 0, "epoch": 1, "loss": 0.5, "metrics": {"accuracy": 0.9, "x": "<b>"}}),
            ),
            epoch(json!({"fit": 0, "epoch": 2, "loss": null, "metrics": {"accuracy": 0.95}})),
            epoch(json!({"fit": 1, "epoch": 1, "loss": 0.4})),
            epoch(json!({"fit": 1, "loss": 7})),
        ];
        let fit = |number, points: &[(f64, f64)]| Fit { number, points: points.to_vec() };
        let loss = vec![fit(0, &[(1.0, 0.5)]), fit(1, &[(1.0, 0.4)])];
        let accuracy = vec![fit(0, &[(1.0, 0.9), (2.0, 0.95)])];
        let expected = [("loss", loss), ("accuracy", accuracy)];
        let expected = expected.map(|(name, fits)| Curve { name: name.to_owned(), fits });
        assert_eq!(curves(&events), expected);
        assert!(curves(&[]).is_empty());
    }
}
