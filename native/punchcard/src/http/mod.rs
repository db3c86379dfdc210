//! The HTTP interface.

pub(crate) mod artifacts;
pub(crate) mod body;
mod caller;
mod guard;
mod hashes;
pub(crate) mod job_query;
pub(crate) mod jobs;
mod json;
mod listener;
pub(crate) mod logs;
mod misfit;
mod open;
mod openapi;
mod problem;
mod query;
pub(crate) mod session;
mod status;
mod stream;
#[cfg(test)]
pub(crate) mod testing;
mod uploads;
pub(crate) mod users;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::SyncSender;

use axum::Router;
use axum::middleware;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::clock::{self, Millis};
use crate::config::Config;
use crate::files::Layout;
use crate::store::Store;
use hashes::Hashes;
use open::Open;

pub use guard::Hosts;
pub use listener::{serve, tls};
pub use problem::{Problem, WRONG_TOKEN};

/// The part of a server that all requests share.
#[derive(Clone, Debug)]
pub struct App {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    config: Arc<Config>,
    layout: Layout,
    store: Store,
    hosts: Hosts,
    wake: SyncSender<()>,
    draining: AtomicBool,
    /// The time of the dispatcher's last look at the jobs.
    dispatched: AtomicI64,
    openapi: std::sync::OnceLock<String>,
    open: Arc<Open>,
    hashes: Arc<Hashes>,
}

impl App {
    /// Creates the shared part of a server. A message to `wake` makes the dispatcher look at the jobs.
    #[must_use]
    pub fn new(
        config: Arc<Config>,
        layout: Layout,
        store: Store,
        hosts: Hosts,
        wake: SyncSender<()>,
    ) -> Self {
        let shared = Shared {
            config,
            layout,
            store,
            hosts,
            wake,
            draining: AtomicBool::new(false),
            dispatched: AtomicI64::new(clock::now()),
            openapi: std::sync::OnceLock::new(),
            open: Arc::default(),
            hashes: Arc::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    pub(crate) fn config(&self) -> &Config {
        &self.shared.config
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    pub(crate) fn store(&self) -> &Store {
        &self.shared.store
    }

    pub(crate) fn hosts(&self) -> &Hosts {
        &self.shared.hosts
    }

    fn open(&self) -> &Arc<Open> {
        &self.shared.open
    }

    fn hashes(&self) -> &Arc<Hashes> {
        &self.shared.hashes
    }

    fn openapi(&self) -> &str {
        self.shared.openapi.get().map_or("{}", String::as_str)
    }

    /// Makes the dispatcher look at the jobs.
    fn wake(&self) {
        // A full channel holds a message already.
        let _ = self.shared.wake.try_send(());
    }

    /// Ends streams and refuses new jobs, before the server stops.
    pub fn drain(&self) {
        self.shared.draining.store(true, Ordering::Relaxed);
    }

    /// Notes that the dispatcher looks at the jobs.
    pub fn note_dispatch(&self) {
        self.shared.dispatched.store(clock::now(), Ordering::Relaxed);
    }

    fn last_dispatch(&self) -> Millis {
        self.shared.dispatched.load(Ordering::Relaxed)
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.shared.draining.load(Ordering::Relaxed)
    }
}

/// The description of the interface.
#[derive(OpenApi)]
#[openapi(
    info(title = "Firesteel Punchcard", description = "Deep learning jobs on Spark clusters."),
    security(("token" = []))
)]
struct Description;

/// Returns the routes of a server, with those of its web page, which also answers for unknown paths.
pub fn router(app: &App, page: Router<App>) -> Router {
    let (router, mut openapi) = OpenApiRouter::with_openapi(Description::openapi())
        .routes(routes!(jobs::list, jobs::submit))
        .routes(routes!(jobs::get, jobs::delete))
        .routes(routes!(jobs::cancel))
        .routes(routes!(jobs::resubmit))
        .routes(routes!(logs::read))
        .routes(routes!(stream::log))
        .routes(routes!(logs::events))
        .routes(routes!(stream::events))
        .routes(routes!(artifacts::list))
        .routes(routes!(artifacts::download))
        .routes(routes!(uploads::create))
        .routes(routes!(uploads::delete))
        .routes(routes!(status::me))
        .routes(routes!(status::clusters))
        .routes(routes!(users::list, users::create))
        .routes(routes!(users::get, users::change, users::delete))
        .routes(routes!(users::tokens, users::new_token))
        .routes(routes!(users::revoke_token))
        .routes(routes!(status::healthz))
        .routes(routes!(status::readyz))
        .routes(routes!(status::metrics))
        .routes(routes!(status::openapi))
        .split_for_parts();
    openapi::complete(&mut openapi, session::name(app));
    let _ = app.shared.openapi.set(openapi.to_json().unwrap_or_default());
    router
        .merge(page)
        .method_not_allowed_fallback(async || Problem::method_not_allowed())
        .layer(middleware::from_fn_with_state(app.clone(), guard::guard))
        .with_state(app.clone())
}
