//! The deletion of a job, which a page of its own asks about.

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{Redirect, Response};

use super::error::PageError;
use super::form::{Empty, Form};
use super::layout::{Layout, page};
use super::session::Viewer;
use super::text::{Moment, size};
use crate::http::jobs::{find, remove};
use crate::http::{App, Problem, artifacts};
use crate::store::Job;

#[derive(Template)]
#[template(path = "delete.html")]
struct DeletePage {
    layout: Layout,
    job: Job,
    finished: Option<Moment>,
    /// The artefacts: their number and size.
    files: Option<(usize, String)>,
}

/// Asks whether to delete a job.
pub async fn ask(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Path(id): Path<String>,
) -> Result<Response, PageError> {
    let job = find(&app, &viewer, id).await?;
    if !job.state.is_final() {
        let problem = format!("the job is {}; cancel it first", job.state.name());
        return Err(Problem::conflict(problem).into());
    }
    let sizes = artifacts::sizes(&app, &job).await?;
    let bytes = sizes.iter().map(|(_, bytes)| bytes).sum();
    let template = DeletePage {
        layout: Layout::new(format!("Delete {}", job.name), "jobs", &viewer),
        finished: job.finished_at.map(Moment),
        files: (!sizes.is_empty()).then(|| (sizes.len(), size(bytes))),
        job,
    };
    Ok(page(StatusCode::OK, &template))
}

/// Deletes a job.
pub async fn delete(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Path(id): Path<String>,
    _: Form<Empty>,
) -> Result<Redirect, PageError> {
    remove(&app, &viewer, id).await?;
    Ok(Redirect::to("/jobs?done=delete"))
}
