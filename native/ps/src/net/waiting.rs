//! `Waiting` frames, which tell a peer that its request is still being worked on.

use std::io::IoSlice;
use std::time::{Duration, Instant};

use firesteel_core::ErrorCode;

use super::{Link, STALL};
use crate::error::PsError;
use crate::wire::{Message, Reply};

/// The interval of `Waiting` frames.
const INTERVAL: Duration = Duration::from_millis(500);

/// Returns a closure that sends a `Waiting` frame every 500 ms, and fails if the peer is gone.
pub(crate) fn waiting_notifier(link: &mut Link) -> impl FnMut() -> Result<(), PsError> {
    let mut sent_at = Instant::now();
    move || {
        if sent_at.elapsed() >= INTERVAL {
            sent_at = Instant::now();
            send_waiting(link)?;
        }
        Ok(())
    }
}

fn send_waiting(link: &mut Link) -> Result<(), PsError> {
    let mut frame = Vec::new();
    Reply::Waiting.encode(0, &mut frame);
    link.write_all(&mut [IoSlice::new(&frame)], STALL).map_err(|_| PsError::Reported {
        code: ErrorCode::Cancelled,
        message: "the worker has gone".to_owned(),
    })
}
