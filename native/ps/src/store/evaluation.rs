//! The scoring of held-out rows on frozen models.

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
    /// Returns the worker's evaluation assignment. If rows are due, streams the frozen model into the reader that
    /// `reader` builds.
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

    /// Stores a worker's scores, and evaluates the epoch if no others are missing.
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

    /// Evaluates the open epoch if it is due, and freezes the next one.
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
