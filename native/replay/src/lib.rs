//! Replay: the store and the worker rules over the events of one JSON document, without sockets and without libtorch,
//! so that every strategy can be checked against an independent implementation of its equations.
//!
//! The format is the section "Replay" of `docs/algorithms.md`. The worker optimizer is plain SGD.

mod document;
mod run;

use std::io::{self, Write};

use firesteel_core::spec::OptimizerSpec;
use firesteel_core::strategy::resolve;
use firesteel_core::{FlushDenormals, Strategy};
use serde::Serialize;

use self::document::Document;
use self::run::Run;

/// The reason why a replay ends early.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// An invalid document, strategy or option.
    #[error("{0}")]
    Document(String),
    /// An event that is not possible.
    #[error("event {index}: {problem}")]
    Event {
        /// Its index, counted from 0.
        index: usize,
        /// The problem with the event.
        problem: String,
    },
    /// A failure to write the lines.
    #[error("writing: {0}")]
    Write(#[from] io::Error),
}

/// The state after an event.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Line {
    /// The event's index.
    pub event: usize,
    /// The number of updates of the center variable.
    pub version: u64,
    /// The staleness of a commit that was applied.
    pub staleness: Option<u64>,
    /// The center variable.
    pub center: Vec<f32>,
    /// The replica of the event's worker, unless the worker has left.
    pub replica: Option<Vec<f32>>,
}

/// Replays a document and writes one line of JSON for each event.
///
/// # Errors
/// [`ReplayError::Document`] before the first event; [`ReplayError::Event`] at the first event that is not possible,
/// after the lines of the events before it have been written.
pub fn replay(json: &str, out: &mut dyn Write) -> Result<(), ReplayError> {
    let document = Document::parse(json)?;
    let optimizer = document.worker_optimizer();
    let strategy = resolve(&document.strategy()?, Some(&optimizer))
        .map_err(|error| ReplayError::Document(error.to_string()))?;
    write(&document, &*strategy, &optimizer, out)
}

/// Replays a document with a given strategy instead of the one that the document names.
///
/// # Errors
/// As [`replay`].
pub fn replay_with(
    strategy: &dyn Strategy,
    json: &str,
    out: &mut dyn Write,
) -> Result<(), ReplayError> {
    let document = Document::parse(json)?;
    write(&document, strategy, &document.worker_optimizer(), out)
}

fn write(
    document: &Document,
    strategy: &dyn Strategy,
    optimizer: &OptimizerSpec,
    out: &mut dyn Write,
) -> Result<(), ReplayError> {
    // As on a worker's thread.
    let _flush = FlushDenormals::new();
    let mut run = Run::new(document, strategy, optimizer)?;
    for (index, event) in document.events.iter().enumerate() {
        let line =
            run.event(index, event).map_err(|problem| ReplayError::Event { index, problem })?;
        serde_json::to_writer(&mut *out, &line).map_err(io::Error::from)?;
        out.write_all(b"\n")?;
    }
    Ok(())
}
