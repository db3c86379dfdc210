//! The metrics' names.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::options::OptionError;
use crate::spec::LabelKind;

/// The most classes of a confusion matrix.
const MAX_CONFUSION: usize = 512;

/// A metric of validation rows, by its name in documents and for users.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Metric {
    /// `accuracy`: the share of rows whose largest score is that of their class.
    Accuracy,
    /// `top<k>`, such as `top5`: the share of rows whose class is among the `k` largest scores.
    Top(u32),
    /// `auc`: the area under the receiver operating characteristic, of two classes.
    Auc,
    /// `confusion`: how many rows of each class were taken for each.
    Confusion,
    /// `mse`: the mean of squared errors.
    Mse,
    /// `mae`: the mean of absolute errors.
    Mae,
    /// `r2`: the coefficient of determination, the mean over the outputs.
    R2,
}

impl Metric {
    /// The names, for errors.
    pub const NAMES: &'static str = "accuracy, top<k>, auc, confusion, mse, mae, r2";

    /// Returns the direction of better values; `None` if there is no order.
    #[must_use]
    pub fn direction(self) -> Option<Direction> {
        match self {
            Self::Accuracy | Self::Top(_) | Self::Auc | Self::R2 => Some(Direction::Max),
            Self::Mse | Self::Mae => Some(Direction::Min),
            Self::Confusion => None,
        }
    }

    /// Returns the kind of label that this metric needs, if a label of this kind does not fit.
    pub(crate) fn misfit(self, kind: LabelKind) -> Option<String> {
        let (needs, fits) = match (self, kind) {
            (Self::Accuracy, LabelKind::Class { .. }) => return None,
            (Self::Auc, kind) => {
                ("two classes".to_owned(), matches!(kind, LabelKind::Class { classes: 2 }))
            }
            (Self::Top(k), LabelKind::Class { classes }) => {
                (format!("at least {k} classes"), k as usize <= classes)
            }
            (Self::Confusion, LabelKind::Class { classes }) => {
                (format!("at most {MAX_CONFUSION} classes"), classes <= MAX_CONFUSION)
            }
            (Self::Accuracy | Self::Top(_) | Self::Confusion, LabelKind::Values { .. }) => {
                ("a class".to_owned(), false)
            }
            (Self::Mse | Self::Mae | Self::R2, kind) => {
                ("numbers".to_owned(), matches!(kind, LabelKind::Values { .. }))
            }
        };
        (!fits).then_some(needs)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accuracy => f.write_str("accuracy"),
            Self::Top(k) => write!(f, "top{k}"),
            Self::Auc => f.write_str("auc"),
            Self::Confusion => f.write_str("confusion"),
            Self::Mse => f.write_str("mse"),
            Self::Mae => f.write_str("mae"),
            Self::R2 => f.write_str("r2"),
        }
    }
}

impl FromStr for Metric {
    type Err = OptionError;

    fn from_str(name: &str) -> Result<Self, OptionError> {
        Ok(match name {
            "accuracy" => Self::Accuracy,
            "auc" => Self::Auc,
            "confusion" => Self::Confusion,
            "mse" => Self::Mse,
            "mae" => Self::Mae,
            "r2" => Self::R2,
            _ => {
                let k = name.strip_prefix("top").and_then(|k| k.parse().ok()).filter(|&k| k > 0);
                Self::Top(k.ok_or_else(|| {
                    OptionError::new(
                        "metrics",
                        format!(
                            "contains the unknown metric '{name}'; use one of {}, each also as <output>_<metric>",
                            Self::NAMES
                        ),
                    )
                })?)
            }
        })
    }
}

impl TryFrom<String> for Metric {
    type Error = OptionError;

    fn try_from(name: String) -> Result<Self, OptionError> {
        name.parse()
    }
}

impl From<Metric> for String {
    fn from(metric: Metric) -> Self {
        metric.to_string()
    }
}

/// A requested metric: by its own name, or as `<output>_<metric>` for one output of a network with several, such as
/// `price_mae`. No metric has an underscore in its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OutputMetric {
    /// The output; `None` for the only one, and for every one whose label the metric fits.
    pub output: Option<String>,
    /// The metric.
    pub metric: Metric,
}

impl From<Metric> for OutputMetric {
    fn from(metric: Metric) -> Self {
        Self { output: None, metric }
    }
}

impl fmt::Display for OutputMetric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.output {
            Some(output) => write!(f, "{output}_{}", self.metric),
            None => self.metric.fmt(f),
        }
    }
}

impl FromStr for OutputMetric {
    type Err = OptionError;

    fn from_str(name: &str) -> Result<Self, OptionError> {
        name.parse::<Metric>().map(Self::from).or_else(|unknown| {
            let (output, metric) = name.rsplit_once('_').ok_or_else(|| unknown.clone())?;
            let metric = metric.parse().map_err(|_| unknown)?;
            Ok(Self { output: Some(output.to_owned()), metric })
        })
    }
}

impl TryFrom<String> for OutputMetric {
    type Error = OptionError;

    fn try_from(name: String) -> Result<Self, OptionError> {
        name.parse()
    }
}

impl From<OutputMetric> for String {
    fn from(metric: OutputMetric) -> Self {
        metric.to_string()
    }
}

/// The value that early stopping and the plateau schedule monitor, by its name in documents and for users.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Monitor {
    /// `trainingLoss`: the mean loss of the epoch's rows while they were trained.
    TrainingLoss,
    /// `loss`: the mean loss of the validation rows.
    Loss,
    /// `<output>_loss`: of the validation rows, the mean loss of this output of a network of several.
    OutputLoss(String),
    /// A metric of the validation rows, which must be among the computed ones.
    Metric(OutputMetric),
}

impl Monitor {
    /// Returns the direction of better values; `None` if there is no order.
    #[must_use]
    pub fn direction(&self) -> Option<Direction> {
        match self {
            Self::TrainingLoss | Self::Loss | Self::OutputLoss(_) => Some(Direction::Min),
            Self::Metric(of) => of.metric.direction(),
        }
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TrainingLoss => f.write_str("trainingLoss"),
            Self::Loss => f.write_str("loss"),
            Self::OutputLoss(output) => write!(f, "{output}_loss"),
            Self::Metric(metric) => metric.fmt(f),
        }
    }
}

impl TryFrom<String> for Monitor {
    type Error = OptionError;

    fn try_from(name: String) -> Result<Self, OptionError> {
        Ok(match name.as_str() {
            "trainingLoss" => Self::TrainingLoss,
            "loss" => Self::Loss,
            _ => match name.rsplit_once('_') {
                Some((output, "loss")) => Self::OutputLoss(output.to_owned()),
                _ => Self::Metric(name.parse().map_err(|_| {
                    let known = Metric::NAMES;
                    OptionError::new(
                        "monitor",
                        format!(
                            "is '{name}', which is unknown; use one of trainingLoss, loss, {known}, and for one of several outputs \
                             <output>_loss, <output>_<metric>"
                        ),
                    )
                })?),
            },
        })
    }
}

impl From<Monitor> for String {
    fn from(monitor: Monitor) -> Self {
        monitor.to_string()
    }
}

/// The direction of better values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Direction {
    /// Smaller values are better.
    Min,
    /// Larger values are better.
    Max,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for name in ["accuracy", "top1", "top5", "auc", "confusion", "mse", "mae", "r2"] {
            assert_eq!(name.parse::<Metric>().unwrap().to_string(), name);
            assert_eq!(Monitor::try_from(name.to_owned()).unwrap().to_string(), name);
        }
        for name in ["loss", "trainingLoss"] {
            assert_eq!(Monitor::try_from(name.to_owned()).unwrap().to_string(), name);
            assert!(name.parse::<Metric>().is_err());
        }
    }

    #[test]
    fn the_metric_of_an_output_is_named_by_both_whatever_the_output_is_called() {
        for (name, output, metric) in [
            ("price_mae", "price", Metric::Mae),
            ("log_price_top5", "log_price", Metric::Top(5)),
            ("0_r2", "0", Metric::R2),
            ("mae_mae", "mae", Metric::Mae),
        ] {
            let read: OutputMetric = name.parse().unwrap();
            assert_eq!(read, OutputMetric { output: Some(output.to_owned()), metric });
            assert_eq!(read.to_string(), name);
            assert_eq!(Monitor::try_from(name.to_owned()).unwrap(), Monitor::Metric(read));
        }
        for (name, better) in [("shares_accuracy", Direction::Max), ("price_mae", Direction::Min)] {
            assert_eq!(Monitor::try_from(name.to_owned()).unwrap().direction(), Some(better));
        }
        let loss = Monitor::try_from("log_price_loss".to_owned()).unwrap();
        assert_eq!(loss, Monitor::OutputLoss("log_price".to_owned()));
        assert_eq!(
            (loss.to_string().as_str(), loss.direction()),
            ("log_price_loss", Some(Direction::Min))
        );
        assert!("price_cost".parse::<OutputMetric>().is_err());
        assert!("price_loss".parse::<OutputMetric>().is_err());
    }

    #[test]
    fn an_unknown_name_is_refused_with_those_that_are_known() {
        for name in ["acc", "top", "top0", "top-1", "topk"] {
            let error = name.parse::<Metric>().unwrap_err().to_string();
            assert_eq!(
                error,
                format!(
                    "option 'metrics' contains the unknown metric '{name}'; use one of accuracy, top<k>, auc, confusion, mse, mae, r2, each also as \
                     <output>_<metric>"
                )
            );
        }
    }
}
