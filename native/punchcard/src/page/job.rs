//! A job.

use askama::Template;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};
use serde::Deserialize;

use super::chart::{Chart, chart};
use super::curves::curves;
use super::error::{PageError, sentence};
use super::form::{Empty, Form};
use super::jobs::progress;
use super::layout::{Layout, page};
use super::log::{LogPart, part};
use super::request::{Group, groups};
use super::session::Viewer;
use super::text::{Moment, duration, size};
use crate::clock;
use crate::http::jobs::{found, is_key, request_cancel, request_of, submit_again};
use crate::http::{App, Problem, artifacts};
use crate::id::new_id;
use crate::store::{Event, Job};

/// The epochs of the curves: the last ones.
const EPOCHS: u32 = 5000;
/// The states of the timeline: the last ones.
const STATES: u32 = 200;

#[derive(Template)]
#[template(path = "job.html")]
struct JobPage {
    layout: Layout,
    job: Job,
    reason: Option<String>,
    progress: String,
    /// The finished epochs, and all of them.
    epochs: Option<(u64, u64)>,
    created: Moment,
    /// The time before which the next attempt does not start.
    next_attempt: Option<Moment>,
    started: Option<Moment>,
    finished: Option<Moment>,
    ran: String,
    may_cancel: bool,
    may_resubmit: bool,
    /// The idempotency key of the form that resubmits the job.
    key: String,
    charts: Vec<Chart>,
    steps: Vec<Step>,
    groups: Vec<Group>,
    files: Vec<(String, String)>,
    log: LogPart,
    /// The number of the last event that the page contains.
    seq: u64,
}

/// A change of the state.
struct Step {
    state: String,
    reason: Option<String>,
    attempt: u32,
    time: Moment,
    /// The time since the change before.
    after: String,
}

/// The parts of the page to show.
#[derive(Debug, Deserialize)]
pub struct Show {
    /// The name of the action that led to the page.
    #[serde(default)]
    done: String,
    /// Present if the page's script updates what has changed.
    live: Option<String>,
}

/// Shows a job.
pub async fn show(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Path(id): Path<String>,
    Query(show): Query<Show>,
) -> Result<Response, PageError> {
    // The events are older than the job and its files, so that the script learns of each change.
    let id = Some(id).filter(|id| crate::id::is_id(id)).ok_or_else(|| Problem::not_found("job"))?;
    let seq = {
        let id = id.clone();
        app.store().run(move |store| store.last_event(&id)).await?
    };
    let job = found(&app, &viewer, id).await?;
    let request = request_of(&app, &job).await?;
    let (id, attempt) = (job.id.clone(), job.attempt);
    let (epochs, states) = app
        .store()
        .run(move |store| {
            let epochs = store.last_events(&id, "epoch", Some(attempt), EPOCHS)?;
            Ok((epochs, store.last_events(&id, "state", None, STATES)?))
        })
        .await?;
    // The script follows the log by itself.
    let from = show.live.map(|_| u64::MAX);
    let log = part(&app, &job, job.attempt, from).await?;
    let files = artifacts::sizes(&app, &job).await?;
    let mut layout = Layout::new(&job.name, "jobs", &viewer);
    layout.notice = match show.done.as_str() {
        "cancel" => Some("The job is being cancelled."),
        "resubmit" => Some("The job was submitted again; this is the new one."),
        _ => None,
    };
    let end = job.finished_at.unwrap_or_else(clock::now);
    let template = JobPage {
        layout,
        reason: job.reason.as_deref().map(sentence),
        progress: progress(&job),
        epochs: epochs_done(&job),
        created: Moment(job.created_at),
        next_attempt: job.not_before.map(Moment),
        started: job.started_at.map(Moment),
        finished: job.finished_at.map(Moment),
        ran: job.started_at.map_or_else(String::new, |start| duration(end - start)),
        may_cancel: !job.state.is_final() && !job.cancel_requested,
        may_resubmit: job.user == viewer.user.name,
        key: new_id()?,
        charts: curves(&epochs).iter().map(chart).collect(),
        steps: steps(&states),
        groups: groups(&request),
        files: files.into_iter().map(|(name, bytes)| (name, size(bytes))).collect(),
        log,
        seq,
        job,
    };
    Ok(page(StatusCode::OK, &template))
}

/// Returns the finished epochs and all of them, while the job trains.
fn epochs_done(job: &Job) -> Option<(u64, u64)> {
    let value = |key: &str| job.progress.as_ref()?.get(key)?.as_u64();
    let (done, all) = (value("epoch")?, value("epochs")?);
    (all > 0 && !job.state.is_final()).then_some((done.min(all), all))
}

fn steps(events: &[Event]) -> Vec<Step> {
    let mut before = None;
    let step = |event: &Event| {
        let text = |key: &str| event.data.get(key).and_then(serde_json::Value::as_str);
        let after = before.map_or_else(String::new, |time| duration(event.time - time));
        before = Some(event.time);
        Step {
            state: text("state").unwrap_or("").to_owned(),
            reason: text("reason").map(sentence),
            attempt: event.attempt,
            time: Moment(event.time),
            after,
        }
    };
    events.iter().map(step).collect()
}

/// Cancels a job.
pub async fn cancel(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Path(id): Path<String>,
    _: Form<Empty>,
) -> Result<Redirect, PageError> {
    let job = request_cancel(&app, &viewer, id).await?;
    let done = if job.state.is_final() { "" } else { "?done=cancel" };
    Ok(Redirect::to(&format!("/jobs/{}{done}", job.id)))
}

/// The form that submits a job again.
#[derive(Debug, Deserialize)]
pub struct Resubmit {
    /// The idempotency key, so that a form that is sent twice gives one job.
    key: String,
}

/// Submits a job again.
pub async fn resubmit(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Path(id): Path<String>,
    Form(Resubmit { key }): Form<Resubmit>,
) -> Result<Redirect, PageError> {
    if !is_key(&key) {
        return Err(Problem::invalid("key: is not one that the page gave").into());
    }
    let recorded = submit_again(&app, &viewer, id, key).await?;
    Ok(Redirect::to(&format!("/jobs/{}?done=resubmit", recorded.job.id)))
}
