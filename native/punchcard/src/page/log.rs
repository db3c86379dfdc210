//! Logs as pages, for browsers without scripts and for old parts.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::error::PageError;
use super::layout::{Layout, page};
use super::session::Viewer;
use crate::http::jobs::find;
use crate::http::logs::{LogQuery, chunk, extent};
use crate::http::{App, Problem};
use crate::log::whole_characters;
use crate::store::Job;

/// The bytes of a page.
const BYTES: u32 = 64 * 1024;
/// The attempts to which a page has links: the last ones.
const ATTEMPTS: u32 = 10;

/// A part of a log.
#[derive(Debug)]
pub struct LogPart {
    /// The text; bytes that are not UTF-8 are replaced.
    pub text: String,
    /// The offset of the first byte.
    pub offset: u64,
    /// The offset after the last byte.
    pub next: u64,
    /// The offset of the oldest byte that is kept.
    pub oldest: u64,
    /// The offset after the newest byte.
    pub end: u64,
    /// The attempt.
    pub attempt: u32,
}

impl LogPart {
    /// Returns the offset of the part before this one, if there is one.
    pub fn earlier(&self) -> Option<u64> {
        let start = self.offset.saturating_sub(u64::from(BYTES)).max(self.oldest);
        (self.offset > self.oldest).then_some(start)
    }

    /// Returns the offset of the part after this one, if there is one.
    pub fn later(&self) -> Option<u64> {
        (self.next < self.end).then_some(self.next)
    }
}

/// Reads a part from an offset, or the last part.
pub async fn part(
    app: &App,
    job: &Job,
    attempt: u32,
    offset: Option<u64>,
) -> Result<LogPart, Problem> {
    let kept = extent(app, job, attempt).await?;
    let from = offset.unwrap_or_else(|| kept.end.saturating_sub(u64::from(BYTES)));
    let wanted = LogQuery { offset: from, attempt: (attempt > 0).then_some(attempt), limit: None };
    let chunk = chunk(app, job, &wanted, BYTES).await?;
    let skipped = if chunk.offset == kept.start {
        0
    } else if offset.is_none() {
        // The last part starts with a whole line.
        chunk.bytes.iter().position(|byte| *byte == b'\n').map_or(0, |at| at + 1)
    } else {
        cut_off(&chunk.bytes)
    };
    let last = chunk.next() >= kept.end;
    let length = if last { chunk.bytes.len() } else { whole_characters(&chunk.bytes) };
    let text = chunk.bytes.get(skipped..length).unwrap_or_default();
    Ok(LogPart {
        text: String::from_utf8_lossy(text).into_owned(),
        offset: chunk.offset + skipped as u64,
        next: chunk.offset + length as u64,
        oldest: kept.start,
        end: kept.end.max(chunk.next()),
        attempt,
    })
}

/// Returns the number of bytes at the start that belong to a character of the part before.
fn cut_off(bytes: &[u8]) -> usize {
    bytes.iter().take(3).take_while(|byte| matches!(byte, 0x80..=0xbf)).count()
}

#[derive(Template)]
#[template(path = "log.html")]
struct LogPage {
    layout: Layout,
    id: String,
    name: String,
    attempts: Vec<u32>,
    log: LogPart,
}

/// The part to show.
#[derive(Debug, Deserialize)]
pub struct Wanted {
    offset: Option<u64>,
    attempt: Option<u32>,
}

/// Shows a part of a log.
pub async fn show(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Response, PageError> {
    let job = find(&app, &viewer, id).await?;
    let attempt = wanted.attempt.unwrap_or(job.attempt);
    if attempt > job.attempt {
        return Err(Problem::not_found("attempt").into());
    }
    let template = LogPage {
        layout: Layout::new(format!("Log of {}", job.name), "jobs", &viewer),
        log: part(&app, &job, attempt, wanted.offset).await?,
        attempts: (job.attempt.saturating_sub(ATTEMPTS) + 1..=job.attempt).collect(),
        id: job.id,
        name: job.name,
    };
    Ok(page(StatusCode::OK, &template))
}
