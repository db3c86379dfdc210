//! The state of the server, and what a caller may do.

use std::fmt::Write as _;

use axum::Json as Answer;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use serde::Serialize;
use utoipa::ToSchema;

use super::caller::Caller;
use super::{App, Problem};
use crate::clock::{self, Millis};
use crate::store::{Role, Usage};

/// The time without a look at the jobs after which the server is not ready.
const SILENT: Millis = 30_000;

/// The caller.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// The name.
    name: String,
    /// The role.
    role: Role,
    /// True if the user may run uploaded programs.
    programs: bool,
    /// The quotas.
    quota: Quota,
    /// The parts of the quotas in use.
    usage: Usage,
}

/// The quotas of a user.
#[derive(Debug, Serialize, ToSchema)]
pub struct Quota {
    /// The jobs that run at a time.
    running: u32,
    /// The jobs of one token that run at a time.
    running_per_token: u32,
    /// The jobs that wait at a time.
    queued: u32,
    /// The jobs that are kept, in all states.
    kept: u32,
    /// The bytes of uploads.
    upload_bytes: u64,
    /// The bytes of the log of each attempt that are kept.
    log_bytes: u64,
    /// The days for which finished jobs are kept.
    retention_days: u32,
}

/// The clusters.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClusterList {
    clusters: Vec<ClusterInfo>,
}

/// A cluster.
#[derive(Debug, Serialize, ToSchema)]
pub struct ClusterInfo {
    /// The name.
    name: String,
    /// The master.
    master: String,
    /// True for the cluster of jobs that name none.
    default: bool,
    /// The configuration keys of Spark that a job may set.
    allowed_conf: Vec<String>,
    /// The folders that contain the data of jobs.
    data: Vec<String>,
    /// The formats that a job may read.
    formats: Vec<String>,
}

/// Returns the caller, with quotas.
#[utoipa::path(
    get, path = "/api/v1/me", tag = "status",
    responses((status = 200, body = Me), (status = "4XX", body = Problem))
)]
pub async fn me(State(app): State<App>, Caller(caller): Caller) -> Result<Answer<Me>, Problem> {
    let quotas = caller.user.quotas(&app.config().quotas);
    let name = caller.user.name.clone();
    let usage = app.store().run(move |store| store.usage(&name)).await?;
    let quota = Quota {
        running: quotas.running,
        running_per_token: quotas.running_per_token,
        queued: quotas.queued,
        kept: quotas.kept,
        upload_bytes: quotas.upload_bytes,
        log_bytes: quotas.log_bytes,
        retention_days: quotas.retention_days,
    };
    let user = caller.user;
    Ok(Answer(Me { name: user.name, role: user.role, programs: user.programs, quota, usage }))
}

/// Lists the clusters.
#[utoipa::path(
    get, path = "/api/v1/clusters", tag = "status",
    responses((status = 200, body = ClusterList), (status = "4XX", body = Problem))
)]
pub async fn clusters(State(app): State<App>, _: Caller) -> Answer<ClusterList> {
    let default = app.config().default_cluster();
    let clusters = app.config().clusters.iter().map(|(name, cluster)| ClusterInfo {
        name: name.clone(),
        master: cluster.master.clone(),
        default: default == Some(name),
        allowed_conf: cluster.allowed_conf.iter().cloned().collect(),
        data: cluster.data.clone(),
        formats: cluster.formats.iter().cloned().collect(),
    });
    Answer(ClusterList { clusters: clusters.collect() })
}

/// Answers while the process lives.
#[utoipa::path(get, path = "/healthz", tag = "status", security(()), responses((status = 200, body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Answers while the server takes jobs.
#[utoipa::path(
    get, path = "/readyz", tag = "status", security(()),
    responses((status = 200, body = String), (status = 503, body = Problem))
)]
pub async fn readyz(State(app): State<App>) -> Result<&'static str, Problem> {
    if app.is_draining() {
        return Err(Problem::unavailable("the server is stopping"));
    }
    let silent = clock::now() - app.last_dispatch();
    if silent > SILENT {
        return Err(Problem::unavailable(format!(
            "jobs have not been looked at for {} s",
            silent / 1000
        )));
    }
    app.store().run(|store| store.counts()).await?;
    Ok("ready\n")
}

/// Returns metrics in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "status", security(()), responses((status = 200, body = String)))]
pub async fn metrics(State(app): State<App>) -> Result<Response, Problem> {
    let counts = app.store().run(|store| store.counts()).await?;
    let mut text =
        "# HELP punchcard_jobs Jobs in each state.\n# TYPE punchcard_jobs gauge\n".to_owned();
    for (state, count) in counts {
        // Writing to a string does not fail.
        let _ = writeln!(text, "punchcard_jobs{{state=\"{}\"}} {count}", state.name());
    }
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response())
}

/// Returns the description of this interface.
#[utoipa::path(
    get, path = "/api/v1/openapi.json", tag = "status", security(()), responses((status = 200, body = Object))
)]
pub async fn openapi(State(app): State<App>) -> Response {
    ([(CONTENT_TYPE, "application/json")], app.openapi().to_owned()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use axum::extract::State;

    use super::{SILENT, readyz};
    use crate::clock::now;
    use crate::http::testing::app;

    #[tokio::test]
    async fn a_server_whose_dispatcher_is_silent_is_not_ready() {
        let (_folder, app) = app();
        assert_eq!(readyz(State(app.clone())).await, Ok("ready\n"));
        app.shared.dispatched.store(now() - SILENT - 1000, Ordering::Relaxed);
        let problem = readyz(State(app.clone())).await.expect_err("no dispatcher");
        assert_eq!(problem.status, 503);
        assert!(problem.detail.starts_with("jobs have not been looked at for 3"), "{problem:?}");
        app.note_dispatch();
        assert_eq!(readyz(State(app)).await, Ok("ready\n"));
    }
}
