//! Logs and events of jobs.

use std::ops::Range;

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::caller::Caller;
use super::jobs::find;
use super::query::Query;
use super::{App, Problem};
use crate::launch::Attempt;
use crate::log::{self, Chunk};
use crate::store::{Event, Job};

/// The largest number of bytes of a log in an answer.
const LARGEST_CHUNK: u32 = 1 << 20;
/// The largest number of events in an answer.
pub(super) const LARGEST_BATCH: u32 = 1000;

/// The part of a log that a request asks for.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct LogQuery {
    /// The offset of the first byte among all bytes of the log, from 0.
    #[serde(default, deserialize_with = "crate::json::count")]
    pub(crate) offset: u64,
    /// The largest number of bytes, at most 1048576.
    #[serde(default, deserialize_with = "limit")]
    #[param(minimum = 1, maximum = 1_048_576)]
    pub(crate) limit: Option<u32>,
    /// The attempt, from 1; by default the last.
    #[serde(default)]
    #[param(minimum = 1)]
    pub(crate) attempt: Option<u32>,
}

fn limit<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let limit = u32::deserialize(deserializer)?;
    if (1..=LARGEST_CHUNK).contains(&limit) {
        return Ok(Some(limit));
    }
    Err(D::Error::custom(format!("must be from 1 to {LARGEST_CHUNK}, not {limit}")))
}

/// The events that a request asks for.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EventQuery {
    /// The number of an event; only later ones are given.
    #[serde(default, deserialize_with = "crate::json::count")]
    pub(super) after: u64,
}

/// Events of a job, in their order, at most 1000.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    events: Vec<Event>,
}

/// Returns a part of what the job's driver printed, as text or any other bytes.
///
/// `X-Firesteel-Offset` is the offset of the first byte: it is higher than the one asked for if older bytes were dropped.
/// `X-Firesteel-Next` is the offset after the last byte. `X-Firesteel-End` is `true` if nothing will follow.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/log", tag = "logs", params(("id" = String, Path), LogQuery),
    responses(
        (status = 200, content_type = "text/plain", body = String, headers(
            ("X-Firesteel-Offset" = u64), ("X-Firesteel-Next" = u64), ("X-Firesteel-End" = bool),
        )),
        (status = "4XX", body = Problem),
    )
)]
pub async fn read(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Query(query): Query<LogQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(64 * 1024);
    // The state is older than the bytes: a final job's log is complete.
    let job = find(&app, &caller, id).await?;
    let chunk = chunk(&app, &job, &query, limit).await?;
    let end = job.state.is_final() && chunk.bytes.len() < limit as usize;
    let mut response = chunk.bytes.clone().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("x-firesteel-offset", chunk.offset.into());
    headers.insert("x-firesteel-next", chunk.next().into());
    headers.insert("x-firesteel-end", HeaderValue::from_static(if end { "true" } else { "false" }));
    Ok(response)
}

/// Reads a part of a job's log.
pub(crate) async fn chunk(
    app: &App,
    job: &Job,
    query: &LogQuery,
    limit: u32,
) -> Result<Chunk, Problem> {
    let number = query.attempt.unwrap_or(job.attempt);
    if query.attempt.is_some() && !(1..=job.attempt).contains(&number) {
        return Err(Problem::not_found("attempt"));
    }
    let folder = Attempt::new(app.layout().attempt(&job.id, number)).log();
    let offset = query.offset;
    let read = move || log::read(&folder, offset, limit as usize);
    let chunk =
        tokio::task::spawn_blocking(read).await.map_err(|error| Problem::internal(&error))?;
    Ok(chunk?)
}

/// Returns the offset of the oldest byte of an attempt's log, and the one after the newest.
pub(crate) async fn extent(app: &App, job: &Job, attempt: u32) -> Result<Range<u64>, Problem> {
    let folder = Attempt::new(app.layout().attempt(&job.id, attempt)).log();
    let extent = tokio::task::spawn_blocking(move || log::extent(&folder)).await;
    Ok(extent.map_err(|error| Problem::internal(&error))??)
}

/// Returns the events of a job.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}/events", tag = "logs", params(("id" = String, Path), EventQuery),
    responses((status = 200, body = EventList), (status = "4XX", body = Problem))
)]
pub async fn events(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    Query(EventQuery { after }): Query<EventQuery>,
) -> Result<Answer<EventList>, Problem> {
    let job = find(&app, &caller, id).await?;
    let events = app.store().run(move |store| store.events(&job.id, after, LARGEST_BATCH)).await?;
    Ok(Answer(EventList { events }))
}
