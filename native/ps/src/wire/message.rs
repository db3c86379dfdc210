//! Requests, without their payloads.

use firesteel_core::compression::Distortion;
use firesteel_core::{ErrorCode, Position, Registration, Span, Tally, WorkerId};

use crate::error::PsError;
use crate::model::{Decision, Flaw, PayloadKind, WindowReport};
use crate::wire::fields::{Field, Fields};
use crate::wire::frame::{Body, HEADER_LEN, MAX_TEXT};
use crate::wire::{FrameHeader, MAX_DECISION_BYTES};

impl WindowReport {
    const LEN: usize = 8 + 4 + 4 + 4 + 8 + 8 + 8 + 8 + 8;

    fn put(&self, out: &mut Vec<u8>) {
        self.sequence.put(out);
        self.span.start.epoch.put(out);
        self.span.start.batch.put(out);
        self.span.batches.put(out);
        self.span.rows.put(out);
        self.tally.loss.put(out);
        self.tally.weight.put(out);
        self.distortion.signal.put(out);
        self.distortion.error.put(out);
    }

    fn take(fields: &mut Fields<'_>) -> Result<Self, PsError> {
        Ok(Self {
            sequence: fields.take()?,
            span: Span {
                start: Position { epoch: fields.take()?, batch: fields.take()? },
                batches: fields.take()?,
                rows: fields.take()?,
            },
            tally: Tally { loss: fields.take()?, weight: fields.take()? },
            distortion: Distortion { signal: fields.take()?, error: fields.take()? },
        })
    }
}

/// A request of a worker or of the driver.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Takes the lease.
    Register(Registration),
    /// Reads the center variable.
    Pull,
    /// Commits the payload.
    Commit(WindowReport),
    /// Commits the payload and reads the center variable.
    Exchange(WindowReport),
    /// Saves the payload, a replica.
    Save(WindowReport),
    /// Renews the lease and reports the progress since the last commit or save.
    Heartbeat { position: Position, rows: u64, tally: Tally },
    /// Fails the fit.
    Abort { code: ErrorCode, message: String },
    /// Releases the lease.
    Finish,
    /// Adds the payload to the open round.
    Contribute(WindowReport),
    /// Reads the result of the round of the contribution of this number, once the round is closed.
    CloseRound { sequence: u64 },
    /// Reports a number in this window's message that is NaN or infinite, found by a shard.
    Flawed { window: WindowReport, flaw: Flaw },
    /// Stages the payload, a part of a message, on a shard until the driver decides.
    Stage { worker: WorkerId, attempt: i64, sequence: u64 },
    /// Fetches a shard's part of the center variable that this decision of the driver holds for the worker.
    Fetch { worker: WorkerId, decision: u64 },
    /// Loads a shard with the payload.
    Load,
    /// Sends decisions to a shard, in order; `first` is the number of the first one.
    Decide { first: u64, decisions: Vec<Decision> },
    /// Closes a shard at the end of the fit.
    End,
    /// Asks for the worker's evaluation assignment.
    Evaluate,
    /// Sends the sums over the held-out rows.
    Score { epoch: u32, sums: Vec<f64> },
}

impl Request {
    const REGISTER: u8 = 1;
    const PULL: u8 = 2;
    const COMMIT: u8 = 3;
    const EXCHANGE: u8 = 4;
    const SAVE: u8 = 5;
    const HEARTBEAT: u8 = 6;
    const ABORT: u8 = 7;
    const FINISH: u8 = 8;
    const CONTRIBUTE: u8 = 9;
    const CLOSE_ROUND: u8 = 10;
    const FLAWED: u8 = 11;
    const STAGE: u8 = 12;
    const FETCH: u8 = 13;
    const LOAD: u8 = 14;
    const DECIDE: u8 = 15;
    const END: u8 = 16;
    const EVALUATE: u8 = 17;
    const SCORE: u8 = 18;

    /// Returns the body of this kind of request; `None` if there is no such kind.
    pub(crate) fn body(kind: u8) -> Option<Body> {
        Some(match kind {
            Self::REGISTER => Body::fixed(44, PayloadKind::None),
            Self::PULL | Self::FINISH | Self::EVALUATE | Self::END => {
                Body::fixed(0, PayloadKind::None)
            }
            Self::COMMIT | Self::EXCHANGE | Self::CONTRIBUTE => {
                Body::fixed(WindowReport::LEN, PayloadKind::Message)
            }
            Self::SAVE => Body::fixed(WindowReport::LEN, PayloadKind::Replica),
            Self::CLOSE_ROUND => Body::fixed(u64::LEN, PayloadKind::None),
            Self::HEARTBEAT => Body::fixed(32, PayloadKind::None),
            Self::ABORT => Body::text(),
            Self::FLAWED => Body::fixed(WindowReport::LEN + Flaw::LEN, PayloadKind::None),
            Self::STAGE => Body::fixed(24, PayloadKind::Message),
            Self::FETCH => Body::fixed(16, PayloadKind::None),
            Self::LOAD => Body::fixed(0, PayloadKind::Replica),
            Self::DECIDE => Body::between(u64::LEN..=u64::LEN + MAX_DECISION_BYTES),
            Self::SCORE => Body::sums(),
            _ => return None,
        })
    }

    /// Encodes header and fields of the frame; `payload` is the length of the payload behind them.
    pub(crate) fn encode(&self, payload: u64, out: &mut Vec<u8>) {
        let kind = match self {
            Self::Register(_) => Self::REGISTER,
            Self::Pull => Self::PULL,
            Self::Commit(_) => Self::COMMIT,
            Self::Exchange(_) => Self::EXCHANGE,
            Self::Save(_) => Self::SAVE,
            Self::Heartbeat { .. } => Self::HEARTBEAT,
            Self::Abort { .. } => Self::ABORT,
            Self::Evaluate => Self::EVALUATE,
            Self::Score { .. } => Self::SCORE,
            Self::Finish => Self::FINISH,
            Self::Contribute(_) => Self::CONTRIBUTE,
            Self::CloseRound { .. } => Self::CLOSE_ROUND,
            Self::Flawed { .. } => Self::FLAWED,
            Self::Stage { .. } => Self::STAGE,
            Self::Fetch { .. } => Self::FETCH,
            Self::Load => Self::LOAD,
            Self::Decide { .. } => Self::DECIDE,
            Self::End => Self::END,
        };
        frame(kind, payload, out, |out| match self {
            Self::Register(registration) => {
                registration.worker.partition.put(out);
                registration.worker.index.put(out);
                registration.attempt.put(out);
                registration.rows.put(out);
                registration.content.put(out);
                registration.batches.put(out);
                registration.held_out.put(out);
            }
            Self::Commit(window)
            | Self::Exchange(window)
            | Self::Save(window)
            | Self::Contribute(window) => window.put(out),
            Self::CloseRound { sequence } => sequence.put(out),
            Self::Heartbeat { position, rows, tally } => {
                position.epoch.put(out);
                position.batch.put(out);
                rows.put(out);
                tally.loss.put(out);
                tally.weight.put(out);
            }
            Self::Abort { code, message } => put_text(*code, message, out),
            Self::Flawed { window, flaw } => {
                window.put(out);
                flaw.put(out);
            }
            Self::Stage { worker, attempt, sequence } => {
                worker.partition.put(out);
                worker.index.put(out);
                attempt.put(out);
                sequence.put(out);
            }
            Self::Fetch { worker, decision } => {
                worker.partition.put(out);
                worker.index.put(out);
                decision.put(out);
            }
            Self::Decide { first, decisions } => {
                first.put(out);
                decisions.iter().for_each(|decision| decision.put(out));
            }
            Self::Score { epoch, sums } => {
                epoch.put(out);
                sums.iter().for_each(|sum| sum.put(out));
            }
            Self::Pull | Self::Finish | Self::Evaluate | Self::Load | Self::End => {}
        });
    }

    /// Decodes the fields of a request.
    pub(crate) fn decode(kind: u8, fields: &[u8]) -> Result<Self, PsError> {
        let mut fields = Fields(fields);
        let request = match kind {
            Self::REGISTER => Self::Register(Registration {
                worker: WorkerId { partition: fields.take()?, index: fields.take()? },
                attempt: fields.take()?,
                rows: fields.take()?,
                content: fields.take()?,
                batches: fields.take()?,
                held_out: fields.take()?,
            }),
            Self::PULL => Self::Pull,
            Self::COMMIT => Self::Commit(WindowReport::take(&mut fields)?),
            Self::EXCHANGE => Self::Exchange(WindowReport::take(&mut fields)?),
            Self::SAVE => Self::Save(WindowReport::take(&mut fields)?),
            Self::HEARTBEAT => Self::Heartbeat {
                position: Position { epoch: fields.take()?, batch: fields.take()? },
                rows: fields.take()?,
                tally: Tally { loss: fields.take()?, weight: fields.take()? },
            },
            Self::ABORT => {
                let (code, message) = take_text(&mut fields)?;
                Self::Abort { code, message }
            }
            Self::FINISH => Self::Finish,
            Self::EVALUATE => Self::Evaluate,
            Self::SCORE => Self::Score { epoch: fields.take()?, sums: fields.take_all()? },
            Self::CONTRIBUTE => Self::Contribute(WindowReport::take(&mut fields)?),
            Self::CLOSE_ROUND => Self::CloseRound { sequence: fields.take()? },
            Self::FLAWED => Self::Flawed {
                window: WindowReport::take(&mut fields)?,
                flaw: Flaw::take(&mut fields)?,
            },
            Self::STAGE => Self::Stage {
                worker: WorkerId { partition: fields.take()?, index: fields.take()? },
                attempt: fields.take()?,
                sequence: fields.take()?,
            },
            Self::FETCH => Self::Fetch {
                worker: WorkerId { partition: fields.take()?, index: fields.take()? },
                decision: fields.take()?,
            },
            Self::LOAD => Self::Load,
            Self::DECIDE => {
                let first = fields.take()?;
                let mut decisions = Vec::new();
                while !fields.0.is_empty() {
                    decisions.push(Decision::take(&mut fields)?);
                }
                Self::Decide { first, decisions }
            }
            Self::END => Self::End,
            other => return Err(unknown(other)),
        };
        fields.end()?;
        Ok(request)
    }
}

/// Encodes a header with the right length, and the fields.
pub(super) fn frame(kind: u8, payload: u64, out: &mut Vec<u8>, fields: impl FnOnce(&mut Vec<u8>)) {
    out.clear();
    out.resize(HEADER_LEN, 0);
    fields(out);
    let length = (out.len() - HEADER_LEN) as u64 + payload;
    let mut header = Vec::with_capacity(HEADER_LEN);
    FrameHeader { length, kind }.encode(&mut header);
    out[..HEADER_LEN].copy_from_slice(&header);
}

/// Encodes a code and as much of a text as a frame allows.
pub(super) fn put_text(code: ErrorCode, text: &str, out: &mut Vec<u8>) {
    code.number().put(out);
    out.extend_from_slice(&text.as_bytes()[..text.floor_char_boundary(MAX_TEXT)]);
}

pub(super) fn take_text(fields: &mut Fields<'_>) -> Result<(ErrorCode, String), PsError> {
    let number = fields.take()?;
    let code = ErrorCode::from_number(number)
        .ok_or_else(|| PsError::Protocol(format!("unknown error code {number}")))?;
    Ok((code, fields.take_text()?))
}

pub(super) fn unknown(kind: u8) -> PsError {
    PsError::Protocol(format!("unknown kind of frame: {kind}"))
}
