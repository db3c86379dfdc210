//! Replies, without their payloads.

use firesteel_core::compression::{Coding, CompressionSpec};
use firesteel_core::{Answer, Assignment, ErrorCode, Granted, Position};

use crate::error::PsError;
use crate::model::{Flaw, PayloadKind};
use crate::wire::fields::{Field, Fields};
use crate::wire::frame::Body;
use crate::wire::message::{frame, put_text, take_text, unknown};

/// A reply of a server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Reply {
    /// Authentication has succeeded and the layouts agree. The layout has these numbers of buffers, and the codecs are
    /// these.
    Welcome { floats: u64, integers: u64, coding: Coding },
    /// The lease is granted.
    Registered(Granted),
    /// The state after the request; the center variable follows if `payload`.
    Answer { answer: Answer, payload: bool },
    /// The request is done.
    Done,
    /// The request is still being worked on; the reply follows later.
    Waiting,
    /// An answer with a payload from a server with shards, which hold the other parts by the decision of this number.
    Decided { answer: Answer, decision: u64 },
    /// A part of a message is staged, unless one of its numbers is NaN or infinite; the first of them, if any.
    Staged { flaw: Option<Flaw> },
    /// The payload is the part that a worker fetches.
    Slice,
    /// The payload is the part that the driver fetches, never compressed.
    Exact,
    /// The part has already been fetched, or a later decision has replaced it.
    Gone,
    /// The request failed.
    Failure { code: ErrorCode, message: String },
    /// The worker's evaluation assignment; the frozen model follows if it is to be scored.
    Assigned { answer: Answer, assignment: Assignment },
}

impl Reply {
    const WELCOME: u8 = 129;
    const REGISTERED: u8 = 130;
    const ANSWER: u8 = 131;
    const DONE: u8 = 132;
    const WAITING: u8 = 133;
    const FAILURE: u8 = 134;
    const DECIDED: u8 = 135;
    const STAGED: u8 = 136;
    const SLICE: u8 = 137;
    const GONE: u8 = 138;
    const EXACT: u8 = 139;
    const ASSIGNED: u8 = 140;

    /// Returns the body of this kind of reply; `None` if there is no such kind.
    pub(crate) fn body(kind: u8) -> Option<Body> {
        Some(match kind {
            Self::WELCOME => Body::fixed(16 + 2 * CODE_LEN, PayloadKind::None),
            Self::REGISTERED => Body::fixed(12, PayloadKind::None),
            Self::ANSWER => Body::fixed(ANSWER_LEN + 1, PayloadKind::Center),
            Self::ASSIGNED => Body::fixed(ANSWER_LEN + 5, PayloadKind::Frozen),
            Self::DONE | Self::WAITING | Self::GONE => Body::fixed(0, PayloadKind::None),
            Self::DECIDED => Body::fixed(ANSWER_LEN + u64::LEN, PayloadKind::Center),
            Self::STAGED => Body::between(0..=Flaw::LEN),
            Self::SLICE => Body::fixed(0, PayloadKind::Center),
            Self::EXACT => Body::fixed(0, PayloadKind::Replica),
            Self::FAILURE => Body::text(),
            _ => return None,
        })
    }

    /// Encodes header and fields of the frame; `payload` is the length of the payload behind them.
    pub(crate) fn encode(&self, payload: u64, out: &mut Vec<u8>) {
        let kind = match self {
            Self::Welcome { .. } => Self::WELCOME,
            Self::Registered(_) => Self::REGISTERED,
            Self::Answer { .. } => Self::ANSWER,
            Self::Done => Self::DONE,
            Self::Waiting => Self::WAITING,
            Self::Failure { .. } => Self::FAILURE,
            Self::Decided { .. } => Self::DECIDED,
            Self::Staged { .. } => Self::STAGED,
            Self::Slice => Self::SLICE,
            Self::Gone => Self::GONE,
            Self::Exact => Self::EXACT,
            Self::Assigned { .. } => Self::ASSIGNED,
        };
        frame(kind, payload, out, |out| match self {
            Self::Welcome { floats, integers, coding } => {
                floats.put(out);
                integers.put(out);
                put_code(coding.message, out);
                put_code(coding.center, out);
            }
            Self::Registered(Granted { position, workers }) => {
                position.epoch.put(out);
                position.batch.put(out);
                workers.put(out);
            }
            Self::Answer { answer, payload } => {
                put_answer(answer, out);
                u8::from(*payload).put(out);
            }
            Self::Assigned { answer, assignment } => {
                put_answer(answer, out);
                let (kind, epoch) = match assignment {
                    Assignment::Score { epoch } => (1_u8, *epoch),
                    Assignment::Wait => (2, 0),
                    Assignment::Over => (3, 0),
                };
                kind.put(out);
                epoch.put(out);
            }
            Self::Failure { code, message } => put_text(*code, message, out),
            Self::Decided { answer, decision } => {
                put_answer(answer, out);
                decision.put(out);
            }
            Self::Staged { flaw } => flaw.iter().for_each(|flaw| flaw.put(out)),
            Self::Done | Self::Waiting | Self::Slice | Self::Exact | Self::Gone => {}
        });
    }

    /// Decodes the fields of a reply.
    pub(crate) fn decode(kind: u8, fields: &[u8]) -> Result<Self, PsError> {
        let mut fields = Fields(fields);
        let reply = match kind {
            Self::WELCOME => Self::Welcome {
                floats: fields.take()?,
                integers: fields.take()?,
                coding: Coding {
                    message: take_code(&mut fields)?,
                    center: take_code(&mut fields)?,
                },
            },
            Self::REGISTERED => Self::Registered(Granted {
                position: Position { epoch: fields.take()?, batch: fields.take()? },
                workers: fields.take()?,
            }),
            Self::ANSWER => {
                Self::Answer { answer: take_answer(&mut fields)?, payload: fields.take_bool()? }
            }
            Self::ASSIGNED => {
                let answer = take_answer(&mut fields)?;
                let (kind, epoch) = (fields.take::<u8>()?, fields.take()?);
                let assignment = match kind {
                    1 => Assignment::Score { epoch },
                    2 => Assignment::Wait,
                    3 => Assignment::Over,
                    other => {
                        let text = format!("unknown assignment: {other}");
                        return Err(PsError::Protocol(text));
                    }
                };
                Self::Assigned { answer, assignment }
            }
            Self::DONE => Self::Done,
            Self::WAITING => Self::Waiting,
            Self::FAILURE => {
                let (code, message) = take_text(&mut fields)?;
                Self::Failure { code, message }
            }
            Self::DECIDED => {
                Self::Decided { answer: take_answer(&mut fields)?, decision: fields.take()? }
            }
            Self::STAGED if fields.0.is_empty() => Self::Staged { flaw: None },
            Self::STAGED => Self::Staged { flaw: Some(Flaw::take(&mut fields)?) },
            Self::SLICE => Self::Slice,
            Self::GONE => Self::Gone,
            Self::EXACT => Self::Exact,
            other => return Err(unknown(other)),
        };
        fields.end()?;
        Ok(reply)
    }
}

/// The length of an answer in bytes.
const ANSWER_LEN: usize = 8 + 8 + 1 + 1 + 4;

fn put_answer(answer: &Answer, out: &mut Vec<u8>) {
    answer.version.put(out);
    answer.staleness.put(out);
    u8::from(answer.stop).put(out);
    u8::from(answer.evaluation).put(out);
    answer.reductions.put(out);
}

fn take_answer(fields: &mut Fields<'_>) -> Result<Answer, PsError> {
    Ok(Answer {
        version: fields.take()?,
        staleness: fields.take()?,
        stop: fields.take_bool()?,
        evaluation: fields.take_bool()?,
        reductions: fields.take()?,
    })
}

/// The length of a codec's description in bytes.
const CODE_LEN: usize = u8::LEN + f64::LEN;

fn put_code(spec: CompressionSpec, out: &mut Vec<u8>) {
    let (number, ratio): (u8, f64) = match spec {
        CompressionSpec::None {} => (0, 1.0),
        CompressionSpec::Bf16 {} => (1, 1.0),
        CompressionSpec::F16 {} => (2, 1.0),
        CompressionSpec::Int8 {} => (3, 1.0),
        CompressionSpec::TopK { ratio } => (4, ratio),
    };
    number.put(out);
    ratio.put(out);
}

fn take_code(fields: &mut Fields<'_>) -> Result<CompressionSpec, PsError> {
    let (number, ratio): (u8, f64) = (fields.take()?, fields.take()?);
    Ok(match number {
        0 => CompressionSpec::None {},
        1 => CompressionSpec::Bf16 {},
        2 => CompressionSpec::F16 {},
        3 => CompressionSpec::Int8 {},
        4 => CompressionSpec::TopK { ratio },
        _ => return Err(PsError::Protocol(format!("unknown compression {number}"))),
    })
}
