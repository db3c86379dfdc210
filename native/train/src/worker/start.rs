//! How the workers of a task begin.

use firesteel_core::{Buffers, ParamChannel, Position, Registration, Rhythm, WorkerId, optimizer};

use super::Training;
use super::link::{Exchange, Link};
use super::member::{Member, State};
use super::report::MemberReport;
use crate::error::TrainError;
use crate::network::Replica;

impl Training<'_> {
    /// A worker with its lease.
    pub(super) fn member(
        &self,
        id: WorkerId,
        mut channel: Box<dyn ParamChannel>,
    ) -> Result<Member, TrainError> {
        let shard = self.partition.shard(id.index, self.spec.workers_in_task)?;
        let batches = u32::try_from(shard.len().div_ceil(self.spec.batch_size)).map_err(|_| {
            TrainError::Internal("more mini-batches than a position counts".to_owned())
        })?;
        let held_out = self.partition.held_out(id.index, self.spec.workers_in_task)?;
        let parameters = self.layout().parameters();
        let report = MemberReport {
            index: id.index,
            rows: shard.len() as u64,
            held_out: held_out.len() as u64,
            content: format!("{:016x}", shard.content(self.spec.shuffle)),
            ..MemberReport::default()
        };
        let optimizer = optimizer::build(&self.spec.optimizer, parameters)?;
        let granted = channel.register(&Registration {
            worker: id,
            attempt: self.spec.attempt,
            rows: shard.len() as u64,
            content: shard.content(self.spec.shuffle),
            batches,
            held_out: held_out.len() as u64,
        })?;
        let overlap = self.strategy.overlaps();
        let exchange = Exchange::new(if overlap { parameters } else { 0 }, &self.scratch.buffers);
        let pulls_after_commits = matches!(self.strategy.rhythm(), Rhythm::Window(_))
            && !overlap
            && !self.strategy.pulls_first();
        Ok(Member {
            id,
            link: Link::new(channel, exchange, overlap)?,
            replica: Replica::new(&*self.definition)?,
            optimizer,
            rule: self.strategy.worker(parameters, granted.workers),
            shard,
            held_out,
            batches,
            position: granted.position,
            order: None,
            sequence: 0,
            reductions: 0,
            state: State::Training,
            pulls_late: pulls_after_commits && self.spec.workers_in_task > 1,
            pull_due: false,
            report,
        })
    }

    /// The first weights of a worker that trains a model of its own and has not begun, unless all start from given ones.
    pub(super) fn own_weights(
        &self,
        member: &Member,
    ) -> Result<Option<(Vec<f32>, Buffers)>, TrainError> {
        let begins = member.position == Position::default();
        if !self.strategy.keeps_members() || !begins || self.spec.given_weights {
            return Ok(None);
        }
        // A number that no other worker has, however many share a task.
        let number = u64::from(member.id.partition) + (u64::from(member.id.index) << 32);
        let seed = self.spec.seed.wrapping_add(number);
        self.definition.initial(seed).map(Some)
    }
}
