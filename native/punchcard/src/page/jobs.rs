//! The list of jobs.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};

use super::error::PageError;
use super::layout::{Layout, page};
use super::session::Viewer;
use super::text::{Moment, duration, number};
use crate::clock;
use crate::http::job_query::{JobQuery, states};
use crate::http::jobs::listed;
use crate::http::{App, Problem};
use crate::store::{Job, Role};

/// The jobs of a page.
const LIMIT: u32 = 25;

/// The choices of states: the value in the query, and its name.
const STATES: [(&str, &str); 6] = [
    ("", "All states"),
    ("ACCEPTED,QUEUED", "Waiting"),
    ("STARTING,RUNNING", "Running"),
    ("SUCCEEDED", "Succeeded"),
    ("FAILED", "Failed"),
    ("CANCELLED", "Cancelled"),
];

/// The filters in the query. Empty ones are not applied.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Filters {
    #[serde(skip_serializing_if = "String::is_empty")]
    state: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    user: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    before: String,
}

impl Filters {
    fn path(&self) -> String {
        let query = serde_urlencoded::to_string(self).unwrap_or_default();
        if query.is_empty() { "/jobs".to_owned() } else { format!("/jobs?{query}") }
    }

    fn are_set(&self) -> bool {
        !(self.state.is_empty() && self.name.is_empty() && self.user.is_empty())
    }
}

#[derive(Template)]
#[template(path = "jobs.html")]
struct JobsPage {
    layout: Layout,
    filters: Filters,
    states: [(&'static str, &'static str); 6],
    /// The names of all users, for an administrator.
    users: Vec<String>,
    jobs: Vec<Row>,
    /// The path of this page.
    path: String,
    newest: Option<String>,
    older: Option<String>,
}

struct Row {
    id: String,
    name: String,
    user: String,
    cluster: String,
    kind: String,
    state: &'static str,
    progress: String,
    created: Moment,
    ran: String,
}

impl Row {
    fn new(job: Job) -> Self {
        let end = job.finished_at.unwrap_or_else(clock::now);
        Self {
            progress: progress(&job),
            ran: job.started_at.map_or_else(String::new, |start| duration(end - start)),
            created: Moment(job.created_at),
            state: job.state.name(),
            id: job.id,
            name: job.name,
            user: job.user,
            cluster: job.cluster,
            kind: job.kind,
        }
    }
}

/// Returns the progress of a job in a few words.
pub fn progress(job: &Job) -> String {
    if let Some(position) = job.position {
        return format!("place {position} in the queue");
    }
    let value = |key: &str| job.progress.as_ref().and_then(|progress| progress.get(key));
    let mut parts = Vec::new();
    if let Some(epoch) = value("epoch").and_then(serde_json::Value::as_u64) {
        let total = value("epochs").and_then(serde_json::Value::as_u64);
        let total = total.map_or_else(String::new, |total| format!(" of {total}"));
        parts.push(format!("epoch {epoch}{total}"));
    }
    if let Some(loss) = value("loss").and_then(serde_json::Value::as_f64) {
        parts.push(format!("loss {}", number(loss)));
    }
    parts.join(", ")
}

/// The action that led to the page.
#[derive(Debug, Deserialize)]
pub struct Done {
    #[serde(default)]
    done: String,
}

/// Shows the jobs that the filters admit.
pub async fn list(
    State(app): State<App>,
    Viewer(viewer): Viewer,
    Query(filters): Query<Filters>,
    Query(Done { done }): Query<Done>,
) -> Result<Response, PageError> {
    let mut layout = Layout::new("Jobs", "jobs", &viewer);
    layout.notice = (done == "delete").then_some("The job is deleted.");
    let given = |text: &String| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
    let state = states(filters.state.trim());
    let query = JobQuery {
        state: state.map_err(|problem| Problem::invalid_field("state", problem))?,
        user: given(&filters.user),
        name: given(&filters.name),
        limit: Some(LIMIT),
        before: given(&filters.before),
    };
    let list = listed(&app, &viewer, query).await?;
    let users = if viewer.user.role == Role::Admin {
        app.store().run(|store| store.users()).await?.into_iter().map(|user| user.name).collect()
    } else {
        Vec::new()
    };
    let at = |before: String| Filters { before, ..filters.clone() }.path();
    let template = JobsPage {
        layout,
        states: STATES,
        users,
        jobs: list.jobs.into_iter().map(Row::new).collect(),
        path: filters.path(),
        newest: (!filters.before.is_empty()).then(|| at(String::new())),
        older: list.next.map(at),
        filters,
    };
    Ok(page(StatusCode::OK, &template))
}
