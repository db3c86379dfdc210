//! The encoding of checkpoints.
//!
//! The format is little-endian: the magic, the format version (u32), the length of the header (u64), the header as
//! JSON, the arrays that the header counts, and the xxh3 hash (u64) of everything before it. `docs/checkpoints.md`
//! describes the content.

mod arrays;
mod header;
mod spread;

use firesteel_core::{Buffers, State, WorkerId};
use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

use self::arrays::{ArrayReader, put};
use self::header::{CheckpointHeader, RuleShape};
use crate::error::PsError;
use crate::model::checkpoint::{Checkpoint, WorkerModel};

const MAGIC: [u8; 8] = *b"FSTLCKPT";

/// The format version, the only one that is written and read.
const VERSION: u32 = 1;

/// The length of magic, version and header length in bytes.
const PREFIX: usize = MAGIC.len() + size_of::<u32>() + size_of::<u64>();

/// The lengths of a model's arrays.
#[derive(Clone, Copy, Debug)]
struct Lengths {
    parameters: usize,
    floats: usize,
    integers: usize,
}

/// The description of a checkpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckpointStatus {
    /// The fingerprint with which it was written.
    pub fingerprint: String,
    /// The number of updates of the center variable.
    pub version: u64,
    /// The epoch of the slowest worker, counted from 0.
    pub epoch: u32,
    /// The rows that had been trained in all epochs.
    pub rows_trained: u64,
    /// The workers of the fit.
    pub workers: u32,
}

impl Checkpoint {
    /// Reads the bytes that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// # Errors
    /// [`PsError::Checkpoint`] with the damage found; nothing is allocated for arrays that the bytes do not hold.
    pub fn read(bytes: &[u8]) -> Result<Self, PsError> {
        let (header, arrays) = split(bytes)?;
        let CheckpointHeader { owner, progress, lengths, stripe, rules, members, best } =
            CheckpointHeader::parse(header)?;
        let mut arrays = ArrayReader::new(arrays);
        let checkpoint = Self {
            owner,
            center: arrays.f32s(lengths.parameters)?,
            buffers: arrays.buffers(lengths)?,
            rules: rules
                .into_iter()
                .map(|RuleShape { numbers, values }| {
                    Ok(State { numbers: arrays.f64s(numbers)?, values: arrays.f32s(values)? })
                })
                .collect::<Result<_, PsError>>()?,
            stripe,
            members: models(&mut arrays, lengths, members)?,
            best: models(&mut arrays, lengths, best)?,
            progress,
        };
        arrays.finish()?;
        checkpoint.progress.check(&checkpoint.owner)?;
        Ok(checkpoint)
    }

    /// Returns the checkpoint in the format of this module.
    ///
    /// # Errors
    /// [`PsError::Internal`] if the header cannot be written.
    pub fn to_bytes(&self) -> Result<Vec<u8>, PsError> {
        let header = CheckpointHeader {
            owner: self.owner.clone(),
            progress: self.progress.clone(),
            lengths: self.lengths(),
            stripe: self.stripe,
            rules: self.rules.iter().map(RuleShape::of).collect(),
            members: self.members.iter().map(|member| member.worker).collect(),
            best: self.best.iter().map(|member| member.worker).collect(),
        };
        let header = header.into_json()?;
        let mut out = Vec::with_capacity(PREFIX + header.len() + self.array_bytes() + 8);
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&(header.len() as u64).to_le_bytes());
        out.extend_from_slice(&header);
        put(&mut out, &self.center);
        put_buffers(&mut out, &self.buffers);
        for rule in &self.rules {
            put(&mut out, &rule.numbers);
            put(&mut out, &rule.values);
        }
        for member in self.members.iter().chain(&self.best) {
            put(&mut out, &member.parameters);
            put_buffers(&mut out, &member.buffers);
        }
        let hash = xxh3_64(&out);
        out.extend_from_slice(&hash.to_le_bytes());
        Ok(out)
    }

    /// Returns the description of the checkpoint.
    #[must_use]
    pub fn status(&self) -> CheckpointStatus {
        CheckpointStatus {
            fingerprint: self.owner.fingerprint.clone(),
            version: self.progress.version,
            epoch: self.progress.epoch(&self.owner),
            rows_trained: self.progress.rows_trained(),
            workers: self.owner.workers,
        }
    }

    fn lengths(&self) -> Lengths {
        Lengths {
            parameters: self.center.len(),
            floats: self.buffers.floats.len(),
            integers: self.buffers.integers.len(),
        }
    }

    fn array_bytes(&self) -> usize {
        let buffers = 4 * self.buffers.floats.len() + 8 * self.buffers.integers.len();
        let model = 4 * self.center.len() + buffers;
        let rule = |state: &State| 8 * state.numbers.len() + 4 * state.values.len();
        let models = 1 + self.members.len() + self.best.len();
        model * models + self.rules.iter().map(rule).sum::<usize>()
    }
}

/// Reads the models of these workers.
fn models(
    arrays: &mut ArrayReader<'_>,
    lengths: Lengths,
    workers: Vec<WorkerId>,
) -> Result<Vec<WorkerModel>, PsError> {
    let model = |worker| {
        Ok(WorkerModel {
            worker,
            parameters: arrays.f32s(lengths.parameters)?,
            buffers: arrays.buffers(lengths)?,
        })
    };
    workers.into_iter().map(model).collect()
}

fn put_buffers(out: &mut Vec<u8>, buffers: &Buffers) {
    put(out, &buffers.floats);
    put(out, &buffers.integers);
}

/// Returns the header and the arrays of complete, undamaged bytes.
fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), PsError> {
    let Some((magic, rest)) = bytes.split_first_chunk::<8>() else {
        return Err(damaged(format!("it has only {} bytes", bytes.len())));
    };
    if *magic != MAGIC {
        return Err(damaged("not a Firesteel checkpoint (bad magic)"));
    }
    let Some((version, _)) = rest.split_first_chunk::<4>() else {
        return Err(damaged(format!("it has only {} bytes", bytes.len())));
    };
    let version = u32::from_le_bytes(*version);
    if version != VERSION {
        return Err(damaged(format!(
            "its format has version {version}, but this version of Firesteel reads {VERSION}"
        )));
    }
    let Some((whole, hash)) =
        bytes.split_last_chunk::<8>().filter(|(whole, _)| whole.len() >= PREFIX)
    else {
        return Err(damaged(format!("it has only {} bytes", bytes.len())));
    };
    if xxh3_64(whole) != u64::from_le_bytes(*hash) {
        return Err(damaged("it is truncated or changed: the checksum does not match"));
    }
    let (prefix, rest) = whole.split_at(PREFIX);
    let length = prefix.last_chunk::<8>().map_or(0, |length| u64::from_le_bytes(*length));
    usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length)).ok_or_else(|| {
        damaged(format!("its header of {length} bytes is longer than the checkpoint"))
    })
}

/// Returns the error for bytes that are not a usable checkpoint.
fn damaged(problem: impl Into<String>) -> PsError {
    PsError::Checkpoint(problem.into())
}
