//! The exchanges of this process with parameter servers, its own and others', for Spark's metric system.

use std::sync::atomic::{AtomicU64, Ordering};

use firesteel_core::compression::Distortion;
use parking_lot::Mutex;
use serde::Serialize;

use crate::model::Codecs;

static COMMITS: AtomicU64 = AtomicU64::new(0);
static PULLS: AtomicU64 = AtomicU64::new(0);
static BYTES_SENT: AtomicU64 = AtomicU64::new(0);
static BYTES_RECEIVED: AtomicU64 = AtomicU64::new(0);
static STALENESS_SUM: AtomicU64 = AtomicU64::new(0);
static STALENESS_MAX: AtomicU64 = AtomicU64::new(0);
static ROWS: AtomicU64 = AtomicU64::new(0);
static COMPRESSED: Mutex<Compressed> = Mutex::new(Compressed {
    original: 0,
    bytes: 0,
    distortion: Distortion { signal: 0.0, error: 0.0 },
});

/// The compressed messages.
struct Compressed {
    /// Their uncompressed size in bytes.
    original: u64,
    /// Their compressed size in bytes.
    bytes: u64,
    distortion: Distortion,
}

/// Counters since the process started. A server counts the updates it applies, a worker of another process its own
/// applied updates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Metrics {
    /// Commits and saves.
    pub commits: u64,
    /// Pulls, including those of exchanges.
    pub pulls: u64,
    /// Bytes sent over sockets.
    pub bytes_sent: u64,
    /// Bytes received over sockets.
    pub bytes_received: u64,
    /// The sum of the commits' staleness.
    pub staleness_sum: u64,
    /// The largest staleness of a commit.
    pub staleness_max: u64,
    /// Rows trained in the committed or saved windows.
    pub rows: u64,
    /// The uncompressed size of the compressed messages divided by their compressed size; 1 before the first message.
    pub compression_ratio: f64,
    /// The relative error of the compressed messages, as a root mean square.
    pub compression_error: f64,
}

/// Returns the current counters.
#[must_use]
pub fn metrics() -> Metrics {
    let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let compressed = COMPRESSED.lock();
    Metrics {
        commits: read(&COMMITS),
        pulls: read(&PULLS),
        bytes_sent: read(&BYTES_SENT),
        bytes_received: read(&BYTES_RECEIVED),
        staleness_sum: read(&STALENESS_SUM),
        staleness_max: read(&STALENESS_MAX),
        rows: read(&ROWS),
        compression_ratio: match compressed.bytes {
            0 => 1.0,
            bytes => compressed.original as f64 / bytes as f64,
        },
        compression_error: compressed.distortion.relative_error(),
    }
}

pub(crate) fn count_pull() {
    PULLS.fetch_add(1, Ordering::Relaxed);
}

pub(crate) fn count_commit(staleness: u64, rows: u64, pull: bool) {
    COMMITS.fetch_add(1, Ordering::Relaxed);
    PULLS.fetch_add(u64::from(pull), Ordering::Relaxed);
    STALENESS_SUM.fetch_add(staleness, Ordering::Relaxed);
    STALENESS_MAX.fetch_max(staleness, Ordering::Relaxed);
    ROWS.fetch_add(rows, Ordering::Relaxed);
}

pub(crate) fn count_compression(codecs: &Codecs, distortion: Distortion) {
    if codecs.message().is_some() {
        let mut compressed = COMPRESSED.lock();
        compressed.original += codecs.parameters() as u64 * 4;
        compressed.bytes += codecs.message_len() as u64;
        compressed.distortion.add(distortion);
    }
}

pub(crate) fn count_sent(bytes: u64) {
    BYTES_SENT.fetch_add(bytes, Ordering::Relaxed);
}

pub(crate) fn count_received(bytes: u64) {
    BYTES_RECEIVED.fetch_add(bytes, Ordering::Relaxed);
}
