//! The metrics that are reported for validation rows, output by output.

use std::collections::HashSet;

use super::{ControlSpec, Metric, Monitor, OutputMetric};
use crate::options::OptionError;
use crate::spec::{LabelKind, LabelSpec};

const OPTION: &str = "metrics";

/// A metric of one output on validation rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedMetric {
    /// The name: the metric's own for one output; `<output>_<metric>` or `<output>_loss` for several.
    pub name: String,
    /// The output's label.
    pub label: usize,
    /// The loss or a metric.
    pub kind: MetricKind,
}

/// The kind of a reported metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// The loss of the output, without its weight in the sum. A network with one output does not report it beside the
    /// whole loss.
    Loss,
    /// A metric.
    Metric(Metric),
}

impl ControlSpec {
    /// Returns the metrics of the validation rows beside the loss: for several outputs the loss of each, then the
    /// metrics in the requested order. A metric without an output applies to every output whose label it fits.
    ///
    /// # Errors
    /// Names the metric, the label that it needs and the one that is given; or the output that does not exist.
    pub fn reported_metrics(
        &self,
        labels: &[LabelSpec],
        outputs: &[String],
    ) -> Result<Vec<ReportedMetric>, OptionError> {
        let several = labels.len() > 1;
        let named = |label: usize, kind: MetricKind| {
            let own = match kind {
                MetricKind::Loss => Monitor::Loss.to_string(),
                MetricKind::Metric(metric) => metric.to_string(),
            };
            let name = match outputs.get(label) {
                Some(output) if several => format!("{output}_{own}"),
                _ => own,
            };
            ReportedMetric { name, label, kind }
        };
        let losses = (0..labels.len()).filter(|_| several);
        let mut all: Vec<_> = losses.map(|label| named(label, MetricKind::Loss)).collect();
        let mut seen = HashSet::new();
        for asked in &self.metrics {
            for label in labels_of(asked, labels, outputs)? {
                let measured = named(label, MetricKind::Metric(asked.metric));
                if !seen.insert((label, asked.metric)) {
                    return Err(OptionError::new(
                        OPTION,
                        format!("contains {} twice", measured.name),
                    ));
                }
                all.push(measured);
            }
        }
        Ok(all)
    }
}

/// Returns the labels that a requested metric applies to.
fn labels_of(
    asked: &OutputMetric,
    labels: &[LabelSpec],
    outputs: &[String],
) -> Result<Vec<usize>, OptionError> {
    let refused =
        |problem: String| Err(OptionError::new(OPTION, format!("contains {asked}, {problem}")));
    let candidates = match &asked.output {
        None => 0..labels.len(),
        Some(_) if labels.len() < 2 => {
            let own = asked.metric;
            return refused(format!("but the network has one output, whose metric is named {own}"));
        }
        Some(output) => match outputs.iter().position(|known| known == output) {
            Some(at) => at..at + 1,
            None => {
                let known = outputs.join(", ");
                return refused(format!(
                    "but the network has no output '{output}'; it has {known}"
                ));
            }
        },
    };
    let mut misfits = Vec::new();
    let mut fitting = Vec::new();
    for (at, label) in labels.iter().enumerate().filter(|(at, _)| candidates.contains(at)) {
        match asked.metric.misfit(label.kind) {
            None => fitting.push(at),
            Some(needs) => misfits.push((needs, label)),
        }
    }
    if !fitting.is_empty() {
        return Ok(fitting);
    }
    let Some((needs, _)) = misfits.first() else {
        return refused("but the data has no label".to_owned());
    };
    let held = misfits.iter().map(|(_, label)| {
        let holds = match label.kind {
            LabelKind::Class { classes } => format!("{classes} classes"),
            LabelKind::Values { size } => format!("{size} number(s)"),
        };
        format!("label '{}' holds {holds}", label.column)
    });
    refused(format!("which needs {needs}; {}", held.collect::<Vec<_>>().join(", ")))
}
