//! Jobs over HTTP.

use axum::Json as Answer;
use axum::extract::{Path, State};
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;

use super::caller::Caller;
use super::job_query::JobQuery;
use super::json::Json;
use super::query::Query;
use super::{App, Problem};
use crate::dispatcher::positions;
use crate::id::{is_id, new_id};
use crate::job::{JobRequest, Work, validate};
use crate::store::{Accepted, Filter, Identity, Job, NewJob};

/// The longest idempotency key.
const LONGEST_KEY: usize = 128;
/// The largest request of a job in bytes: it is kept as long as the job.
const LARGEST_REQUEST: usize = 64 * 1024;
/// The largest number of jobs in an answer.
const LARGEST_PAGE: u32 = 200;

/// Jobs, newest first.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobList {
    /// The jobs.
    pub(crate) jobs: Vec<Job>,
    /// The id for `before` that gives the next ones; null if there are none.
    pub(crate) next: Option<String>,
}

/// A job with its request.
#[derive(Debug, Serialize, ToSchema)]
pub struct JobDetail {
    #[serde(flatten)]
    job: Job,
    /// The request, as it was accepted.
    request: JobRequest,
}

/// Lists jobs: a user's own, or all for an administrator.
#[utoipa::path(
    get, path = "/api/v1/jobs", tag = "jobs", params(JobQuery),
    responses((status = 200, body = JobList), (status = "4XX", body = Problem))
)]
pub async fn list(
    State(app): State<App>,
    Caller(caller): Caller,
    Query(query): Query<JobQuery>,
) -> Result<Answer<JobList>, Problem> {
    Ok(Answer(listed(&app, &caller, query).await?))
}

/// Returns the jobs that a query asks for.
pub(crate) async fn listed(
    app: &App,
    caller: &Identity,
    query: JobQuery,
) -> Result<JobList, Problem> {
    let limit = query.limit.unwrap_or(50);
    if !(1..=LARGEST_PAGE).contains(&limit) {
        let problem = format!("must be from 1 to {LARGEST_PAGE}, not {limit}");
        return Err(Problem::invalid_field("limit", problem));
    }
    if let Some(before) = query.before.as_deref().filter(|before| !is_id(before)) {
        return Err(Problem::invalid_field("before", format!("'{before}' is not the id of a job")));
    }
    let user = match query.user {
        Some(user) if !caller.may_handle(&user) => {
            return Err(Problem::forbidden("user: you may list your own jobs only"));
        }
        Some(user) => Some(user),
        None if caller.may_handle("") => None,
        None => Some(caller.user.name.clone()),
    };
    let filter = Filter {
        user,
        states: query.state,
        name: query.name,
        before: query.before,
        limit: limit + 1,
    };
    let mut jobs = app.store().run(move |store| store.jobs(&filter)).await?;
    let more = jobs.len() > limit as usize;
    jobs.truncate(limit as usize);
    let next = more.then(|| jobs.last().map(|job| job.id.clone())).flatten();
    with_positions(app, &mut jobs).await?;
    Ok(JobList { jobs, next })
}

/// Submits a job. With the same `Idempotency-Key` and body, it is accepted once.
#[utoipa::path(
    post, path = "/api/v1/jobs", tag = "jobs", request_body = JobRequest,
    params(("Idempotency-Key" = Option<String>, Header, description = "At most 128 visible ASCII characters.")),
    responses(
        (status = 202, description = "The job is recorded.", body = Job),
        (status = 200, description = "The job was recorded before.", body = Job),
        (status = 408, description = "The request arrived too slowly.", body = Problem),
        (status = "4XX", body = Problem), (status = 503, body = Problem),
    )
)]
pub async fn submit(
    State(app): State<App>,
    Caller(caller): Caller,
    headers: HeaderMap,
    Json { value: request, bytes }: Json<JobRequest>,
) -> Result<Response, Problem> {
    if bytes.len() > LARGEST_REQUEST {
        return Err(Problem::too_large(format!(
            "the request has {} bytes, and that of a job at most {LARGEST_REQUEST}; send long values as uploads",
            bytes.len()
        )));
    }
    let hash = Sha256::digest(&bytes).into();
    accept(&app, &caller, key(&headers)?, hash, request, None).await.map(answer)
}

/// Returns a job with its request.
#[utoipa::path(
    get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 200, body = JobDetail), (status = "4XX", body = Problem))
)]
pub async fn get(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Answer<JobDetail>, Problem> {
    let job = found(&app, &caller, id).await?;
    let request = request_of(&app, &job).await?;
    Ok(Answer(JobDetail { job, request }))
}

/// Returns a job that the caller may handle, with its place in the queue.
pub(crate) async fn found(app: &App, caller: &Identity, id: String) -> Result<Job, Problem> {
    let mut jobs = [find(app, caller, id).await?];
    with_positions(app, &mut jobs).await?;
    let [job] = jobs;
    Ok(job)
}

/// Returns the request of a job.
pub(crate) async fn request_of(app: &App, job: &Job) -> Result<JobRequest, Problem> {
    let id = job.id.clone();
    let request = app.store().run(move |store| store.request(&id)).await?;
    request.ok_or_else(|| Problem::not_found("job"))
}

/// Cancels a job in any state that is not final.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = String, Path)),
    responses(
        (status = 202, description = "The job will be cancelled.", body = Job),
        (status = 200, description = "The job was final before, and stays as it is.", body = Job),
        (status = "4XX", body = Problem),
    )
)]
pub async fn cancel(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let job = request_cancel(&app, &caller, id).await?;
    let status = if job.state.is_final() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Answer(job)).into_response())
}

/// Records that the caller cancels a job.
pub(crate) async fn request_cancel(
    app: &App,
    caller: &Identity,
    id: String,
) -> Result<Job, Problem> {
    let job = find(app, caller, id).await?;
    let job = app.store().run(move |store| store.request_cancel(&job.id)).await?;
    let job = job.ok_or_else(|| Problem::not_found("job"))?;
    tracing::info!(job = job.id, by = caller.user.name, "a job is cancelled");
    app.wake();
    Ok(job)
}

/// Submits a job again, as a new one.
#[utoipa::path(
    post, path = "/api/v1/jobs/{id}/resubmit", tag = "jobs",
    params(
        ("id" = String, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "At most 128 visible ASCII characters."),
    ),
    responses(
        (status = 202, description = "The new job is recorded.", body = Job),
        (status = 200, description = "The new job was recorded before.", body = Job),
        (status = "4XX", body = Problem), (status = 503, body = Problem),
    )
)]
pub async fn resubmit(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    submit_again(&app, &caller, id, key(&headers)?).await.map(answer)
}

/// Submits a job of the caller again, once for each key.
pub(crate) async fn submit_again(
    app: &App,
    caller: &Identity,
    id: String,
    key: String,
) -> Result<Recorded, Problem> {
    let job = find(app, caller, id).await?;
    if job.user != caller.user.name {
        return Err(Problem::forbidden("you may submit your own jobs again, not those of others"));
    }
    let hash = Sha256::digest(format!("resubmit {}", job.id)).into();
    let request = request_of(app, &job).await?;
    accept(app, caller, key, hash, request, Some(job.id)).await
}

/// Removes a final job with its log and artefacts.
#[utoipa::path(
    delete, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem))
)]
pub async fn delete(
    State(app): State<App>,
    Caller(caller): Caller,
    Path(id): Path<String>,
) -> Result<StatusCode, Problem> {
    remove(&app, &caller, id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Removes a final job of the caller with its files.
pub(crate) async fn remove(app: &App, caller: &Identity, id: String) -> Result<(), Problem> {
    let job = find(app, caller, id).await?;
    let folder = app.layout().job(&job.id);
    let state = job.state;
    if !app.store().run(move |store| store.remove_job(&job.id)).await? {
        return Err(Problem::conflict(format!("the job is {}; cancel it first", state.name())));
    }
    // The sweeper removes what this leaves behind.
    if let Err(error) = tokio::fs::remove_dir_all(folder).await
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(%error, "the files of a removed job are left for now");
    }
    Ok(())
}

/// Returns a job that the caller may handle. A job of another user is not told from one that does not exist.
pub(crate) async fn find(app: &App, caller: &Identity, id: String) -> Result<Job, Problem> {
    if !is_id(&id) {
        return Err(Problem::not_found("job"));
    }
    let job = app.store().run(move |store| store.job(&id)).await?;
    job.filter(|job| caller.may_handle(&job.user)).ok_or_else(|| Problem::not_found("job"))
}

/// Gives waiting jobs their places in the queue.
async fn with_positions(app: &App, jobs: &mut [Job]) -> Result<(), Problem> {
    if jobs.iter().all(|job| job.state.is_final() || job.state.is_active()) {
        return Ok(());
    }
    let places = positions(&app.store().run(|store| store.unfinished()).await?);
    for job in jobs {
        job.position = places.get(&job.id).copied();
    }
    Ok(())
}

/// Returns the idempotency key of a request, or a new one.
fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = headers.get("idempotency-key") else {
        return Ok(new_id()?);
    };
    let key = value.to_str().ok().filter(|key| is_key(key)).ok_or_else(|| {
        Problem::invalid_field(
            "Idempotency-Key",
            format!("must be of 1 to {LONGEST_KEY} visible ASCII characters"),
        )
    })?;
    Ok(key.to_owned())
}

/// Returns true for the form of an idempotency key.
pub(crate) fn is_key(text: &str) -> bool {
    (1..=LONGEST_KEY).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

/// A job that is recorded.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) job: Box<Job>,
    /// False if it was recorded before.
    new: bool,
}

fn answer(Recorded { job, new }: Recorded) -> Response {
    if !new {
        return (StatusCode::OK, Answer(job)).into_response();
    }
    let headers = [(LOCATION, format!("/api/v1/jobs/{}", job.id))];
    (StatusCode::ACCEPTED, headers, Answer(job)).into_response()
}

async fn accept(
    app: &App,
    caller: &Identity,
    key: String,
    hash: [u8; 32],
    request: JobRequest,
    resubmitted_from: Option<String>,
) -> Result<Recorded, Problem> {
    // A repeated request has the answer of the first, whatever has changed since.
    let known = {
        let (user, key) = (caller.user.name.clone(), key.clone());
        app.store().run(move |store| store.known(&user, &key, &hash)).await?
    };
    if let Some(known) = known {
        return recorded(app, known);
    }
    if app.is_draining() {
        return Err(Problem::unavailable("the server is stopping; send the job again"));
    }
    let name = request.cluster.as_deref().or_else(|| app.config().default_cluster());
    let name = name.ok_or_else(|| {
        Problem::invalid_field("cluster", "must be given, since the server has no default")
    })?;
    let cluster = app.config().clusters.get(name).ok_or_else(|| {
        let known: Vec<_> = app.config().clusters.keys().map(String::as_str).collect();
        let problem = format!("must be one of {}, not '{name}'", known.join(", "));
        Problem::invalid_field("cluster", problem)
    })?;
    if matches!(request.work, Work::Program { .. }) && !caller.user.programs {
        return Err(Problem::forbidden(
            "work.kind: you may not run programs; ask an administrator for the right",
        ));
    }
    validate(&request, cluster)?;
    let quotas = caller.user.quotas(&app.config().quotas);
    let files_bytes = app.config().limits.files_bytes;
    let (user, token, name) = (caller.user.name.clone(), caller.token.clone(), name.to_owned());
    let accepted = app
        .store()
        .run(move |store| {
            let new = NewJob {
                user: &user,
                token: &token,
                cluster: &name,
                request: &request,
                key: &key,
                hash,
                resubmitted_from: resubmitted_from.as_deref(),
                files_bytes,
            };
            store.accept(&new, &quotas)
        })
        .await?;
    recorded(app, accepted)
}

fn recorded(app: &App, accepted: Accepted) -> Result<Recorded, Problem> {
    match accepted {
        Accepted::New(job) => {
            tracing::info!(job = job.id, user = job.user, name = job.name, "a job is accepted");
            app.wake();
            Ok(Recorded { job, new: true })
        }
        Accepted::Known(job) => Ok(Recorded { job, new: false }),
        Accepted::KeyReused => Err(Problem::conflict(
            "Idempotency-Key: was used before with another request; choose a new key",
        )),
        Accepted::QueueFull(queued) => Err(Problem::quota(format!(
            "you have {queued} waiting jobs, as many as your quota admits; wait for one to start, or cancel one"
        ))),
        Accepted::TooManyKept(kept) => Err(Problem::quota(format!(
            "you have {kept} jobs, as many as the server keeps for you; delete some that have ended"
        ))),
        Accepted::BadUpload { field, problem } => Err(Problem::invalid_field(field, problem)),
    }
}
