//! The variance of a label and the squared errors of its predictions.

/// Weight, mean and squared deviations of a label, and the squared errors of its predictions. Deviations are from the mean
/// and not from 0, so that labels far from 0 lose no digits (Chan, Golub and LeVeque, 1979).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Moments {
    weight: f64,
    mean: f64,
    deviations: f64,
    errors: f64,
}

impl Moments {
    pub(super) fn add(&mut self, label: f64, error: f64, weight: f64) {
        self.merge(&Self { weight, mean: label, deviations: 0.0, errors: weight * error * error });
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let weight = self.weight + other.weight;
        self.errors += other.errors;
        if other.weight == 0.0 {
            return;
        }
        let apart = other.mean - self.mean;
        let share = other.weight / weight;
        self.mean += apart * share;
        self.deviations += other.deviations + apart * apart * self.weight * share;
        self.weight = weight;
    }

    /// Returns `1 - errors / deviations`; `None` if all labels are equal.
    pub(super) fn explained(&self) -> Option<f64> {
        (self.deviations > 0.0).then(|| 1.0 - self.errors / self.deviations)
    }

    pub(super) fn slots(&mut self) -> impl Iterator<Item = &mut f64> {
        [&mut self.weight, &mut self.mean, &mut self.deviations, &mut self.errors].into_iter()
    }
}
