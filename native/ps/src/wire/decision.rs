//! The encoding of decisions.

use firesteel_core::WorkerId;

use crate::error::PsError;
use crate::model::{Decision, Flaw, Share};
use crate::wire::fields::{Field, Fields};

/// The maximum number of bytes of the decisions in one message.
pub(crate) const MAX_DECISION_BYTES: usize = 1 << 20;

impl Flaw {
    pub(super) const LEN: usize = 12;

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        self.index.put(out);
        self.value.to_bits().put(out);
    }

    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Self, PsError> {
        Ok(Self { index: fields.take()?, value: f32::from_bits(fields.take()?) })
    }
}

impl Share {
    const LEN: usize = 32;
}

impl Decision {
    const APPLY: u8 = 1;
    const CLOSE: u8 = 2;
    const READ: u8 = 3;
    const FORGET: u8 = 4;

    /// Appends the encoded decision.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Apply { worker, attempt, sequence, staleness } => {
                Self::APPLY.put(out);
                put_worker(*worker, out);
                attempt.put(out);
                sequence.put(out);
                staleness.put(out);
            }
            Self::Close { shares, learning_rate } => {
                Self::CLOSE.put(out);
                learning_rate.unwrap_or(0.0).put(out);
                u32::try_from(shares.len()).unwrap_or(u32::MAX).put(out);
                for share in shares {
                    put_worker(share.worker, out);
                    share.attempt.put(out);
                    share.sequence.put(out);
                    share.weight.put(out);
                }
            }
            Self::Read { worker, round } => {
                Self::READ.put(out);
                put_worker(*worker, out);
                u8::from(*round).put(out);
            }
            Self::Forget { worker, attempt } => {
                Self::FORGET.put(out);
                put_worker(*worker, out);
                attempt.put(out);
            }
        }
    }

    /// Returns the length of the encoded decision in bytes.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Apply { .. } => 33,
            Self::Close { shares, .. } => 13 + Share::LEN * shares.len(),
            Self::Read { .. } => 10,
            Self::Forget { .. } => 17,
        }
    }

    /// Decodes the next decision.
    pub(super) fn take(fields: &mut Fields<'_>) -> Result<Self, PsError> {
        Ok(match fields.take::<u8>()? {
            Self::APPLY => Self::Apply {
                worker: take_worker(fields)?,
                attempt: fields.take()?,
                sequence: fields.take()?,
                staleness: fields.take()?,
            },
            Self::CLOSE => {
                let learning_rate = Some(fields.take::<f64>()?).filter(|rate| *rate != 0.0);
                let count = fields.take::<u32>()?;
                // The announced count is trusted only as far as there are bytes for it.
                let mut shares =
                    Vec::with_capacity((count as usize).min(fields.0.len() / Share::LEN));
                for _ in 0..count {
                    shares.push(Share {
                        worker: take_worker(fields)?,
                        attempt: fields.take()?,
                        sequence: fields.take()?,
                        weight: fields.take()?,
                    });
                }
                Self::Close { shares, learning_rate }
            }
            Self::READ => Self::Read { worker: take_worker(fields)?, round: fields.take_bool()? },
            Self::FORGET => Self::Forget { worker: take_worker(fields)?, attempt: fields.take()? },
            other => return Err(PsError::Protocol(format!("unknown kind of decision: {other}"))),
        })
    }
}

fn put_worker(worker: WorkerId, out: &mut Vec<u8>) {
    worker.partition.put(out);
    worker.index.put(out);
}

fn take_worker(fields: &mut Fields<'_>) -> Result<WorkerId, PsError> {
    Ok(WorkerId { partition: fields.take()?, index: fields.take()? })
}
