//! Frozen center variables, and the scoring of held-out rows on them.

use std::collections::BTreeMap;
use std::time::Instant;

use firesteel_core::{Answer, Assignment};

use super::{FailOnPanic, LeaseHolder, Store};
use crate::error::PsError;
use crate::model::{CenterReader, CenterView};
use crate::store::center::Center;
use crate::store::control::FreezeTicket;
use crate::store::frozen::FrozenModel;

impl Store {
    /// Says what is asked of a worker's held-out rows, and gives the frozen center variable to the reader that `reader`
    /// makes of the answer where they are to be scored.
    pub(crate) fn evaluate<R: CenterReader>(
        &self,
        holder: LeaseHolder,
        reader: impl FnOnce(Answer, Assignment) -> R,
    ) -> Result<R, PsError> {
        self.advance()?;
        let asked = self.open()?.assign(holder, &self.terms, Instant::now())?;
        let mut reader = reader(asked.answer, asked.assignment);
        if let Some(frozen) = asked.frozen {
            frozen.read(holder.worker, &mut reader);
        }
        Ok(reader)
    }

    /// Takes a worker's scores, and judges the epoch if they were the last ones missing.
    pub(crate) fn score(
        &self,
        holder: LeaseHolder,
        epoch: u32,
        numbers: &[f64],
    ) -> Result<Answer, PsError> {
        self.open()?.score(holder, epoch, numbers, Instant::now())?;
        self.advance()?;
        self.open()?.answer_to(holder, Instant::now())
    }

    /// Judges what is scored and freezes what is due.
    pub(super) fn advance(&self) -> Result<(), PsError> {
        loop {
            let freeze = self.open()?.advance(&self.terms, Instant::now());
            match freeze {
                Some(freeze) => self.freeze(freeze),
                None => return Ok(()),
            }
        }
    }

    /// Freezes the center variable.
    pub(super) fn freeze(&self, freeze: FreezeTicket) {
        let failure = FailOnPanic(self);
        let FreezeTicket { ticket, epoch } = freeze;
        let frozen = match &self.replicas {
            Some(replicas) => {
                let mut all = BTreeMap::new();
                Center::with_ticket(ticket, || all.extend(replicas.all()));
                FrozenModel::Replicas(all)
            }
            None => {
                let mut view = CenterView::default();
                self.center.read(ticket, &mut view);
                FrozenModel::Center(view)
            }
        };
        self.control.lock().frozen(epoch, frozen);
        drop(failure);
    }
}
