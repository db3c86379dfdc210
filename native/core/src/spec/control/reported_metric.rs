//! Which numbers validation rows come to, output by output.

use std::collections::HashSet;

use super::{ControlError, ControlSpec, Metric, Monitor, OutputMetric};
use crate::spec::{LabelKind, LabelSpec};

const OPTION: &str = "metrics";

/// A number that is computed of one output on validation rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportedMetric {
    /// Its name: the metric's where there is one output, `<output>_<metric>` or `<output>_loss` where there are several.
    pub name: String,
    /// The output's label.
    pub label: usize,
    /// What is computed.
    pub what: MetricKind,
}

/// What is computed of an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MetricKind {
    /// Its own loss, without its weight in the sum. Of the only output it is the loss itself and no number beside it.
    Loss,
    /// A metric.
    Metric(Metric),
}

impl ControlSpec {
    /// What is computed on validation rows beside the loss: of several outputs the loss of each, then the metrics in the
    /// order in which they are asked for. A metric without an output means every output whose label it fits.
    ///
    /// # Errors
    /// Names the metric, what it needs and what the label holds; or the output that there is not.
    pub fn reported_metrics(
        &self,
        labels: &[LabelSpec],
        outputs: &[String],
    ) -> Result<Vec<ReportedMetric>, ControlError> {
        let several = labels.len() > 1;
        let named = |label: usize, what: MetricKind| {
            let own = match what {
                MetricKind::Loss => Monitor::Loss.to_string(),
                MetricKind::Metric(metric) => metric.to_string(),
            };
            let name = match outputs.get(label) {
                Some(output) if several => format!("{output}_{own}"),
                _ => own,
            };
            ReportedMetric { name, label, what }
        };
        let losses = (0..labels.len()).filter(|_| several);
        let mut all: Vec<_> = losses.map(|label| named(label, MetricKind::Loss)).collect();
        let mut seen = HashSet::new();
        for asked in &self.metrics {
            for label in meant(asked, labels, outputs)? {
                let measured = named(label, MetricKind::Metric(asked.metric));
                if !seen.insert((label, asked.metric)) {
                    return Err(ControlError::new(
                        OPTION,
                        format!("names {} twice", measured.name),
                    ));
                }
                all.push(measured);
            }
        }
        Ok(all)
    }
}

/// The labels that a metric is asked for of.
fn meant(
    asked: &OutputMetric,
    labels: &[LabelSpec],
    outputs: &[String],
) -> Result<Vec<usize>, ControlError> {
    let refused =
        |problem: String| Err(ControlError::new(OPTION, format!("asks for {asked}, {problem}")));
    let candidates = match &asked.output {
        None => 0..labels.len(),
        Some(_) if labels.len() < 2 => {
            let own = asked.metric;
            return refused(format!("but there is one output, whose metric is called {own}"));
        }
        Some(output) => match outputs.iter().position(|known| known == output) {
            Some(at) => at..at + 1,
            None => {
                let known = outputs.join(", ");
                return refused(format!("but there is no output '{output}'; there are {known}"));
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
        return refused("but there is no label".to_owned());
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
