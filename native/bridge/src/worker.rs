//! The natives of a task's workers.
#![expect(unsafe_code, reason = "addresses of Arrow structures")]

use std::path::PathBuf;
use std::sync::{Arc, Weak};

use firesteel_core::spec::{DataSpec, WorkerSpec};
use firesteel_core::{CancelFlag, ChannelError, ErrorCode, ParamChannel, ParamLayout};
use firesteel_data::{CacheBudget, Digest, Partition, import_stream};
use firesteel_train::{TaskTrainer, layout};
use jni::Env;
use jni::objects::{JByteArray, JClass, JString};
use jni::sys::{jint, jlong};
use parking_lot::Mutex;

use crate::arguments::{address, code, document, json, text};
use crate::calls::CALLS;
use crate::errors::{BridgeError, ThrowCoded};
use crate::handles::Registry;
use crate::logs;
use crate::modules::attach;

static WORKERS: Registry<OpenWorker> = Registry::new("worker");

/// The memory budget of this process's tasks, while one of them has data.
static BUDGET: Mutex<Weak<CacheBudget>> = Mutex::new(Weak::new());

struct OpenWorker {
    spec: WorkerSpec,
    cancel: CancelFlag,
    /// The rows, from the load to the run.
    rows: Mutex<Option<Arc<Partition>>>,
}

/// Returns the budget that the running tasks share; its limit is that of the first of them.
fn budget(bytes: u64) -> Arc<CacheBudget> {
    let mut shared = BUDGET.lock();
    shared.upgrade().unwrap_or_else(|| {
        let budget = CacheBudget::shared(bytes);
        *shared = Arc::downgrade(&budget);
        budget
    })
}

/// A connection to the fit's server, through memory if it lives in this process.
fn connect(open: &OpenWorker, layout: &ParamLayout) -> Result<Box<dyn ParamChannel>, ChannelError> {
    Ok(firesteel_ps::connect(&open.spec.server, layout.hash(), layout.parameters(), &open.cancel)?)
}

fn no_rows() -> BridgeError {
    BridgeError::new(ErrorCode::Internal, "the worker has no rows: load them first")
}

native!(worker_open(spec: JString, module: [jbyte]) -> jlong);

fn worker_open<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    spec: JString<'local>,
    module: JByteArray<'local>,
) -> Result<jlong, BridgeError> {
    let _call = CALLS.enter()?;
    logs::update_level(env);
    let mut spec: WorkerSpec = document(env, &spec, "worker specification")?;
    attach(env, &mut spec.network, &module)?;
    Ok(WORKERS.insert(OpenWorker { spec, cancel: CancelFlag::new(), rows: Mutex::new(None) }))
}

native!(worker_load(worker: jlong, arrow_stream: jlong));

fn worker_load<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    worker: jlong,
    arrow_stream: jlong,
) -> Result<(), BridgeError> {
    // SAFETY: Java gives the address of a stream it has just exported for this call, on this thread. First of all, so that
    // the stream is released whatever fails afterwards.
    let stream = unsafe { import_stream(address(arrow_stream)) }?;
    let _call = CALLS.enter()?;
    let open = WORKERS.get(worker)?;
    let spec = &open.spec;
    let spill: Vec<PathBuf> = spec.spill_directories.iter().map(PathBuf::from).collect();
    let rows = Partition::load(stream, &spec.data, budget(spec.cache_bytes), &spill, &open.cancel)?;
    *open.rows.lock() = Some(Arc::new(rows));
    Ok(())
}

native!(worker_share(worker: jlong, other: jlong));

/// Shares the rows that another worker has loaded, which stay in memory once.
fn worker_share<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    worker: jlong,
    other: jlong,
) -> Result<(), BridgeError> {
    let _call = CALLS.enter()?;
    let (open, other) = (WORKERS.get(worker)?, WORKERS.get(other)?);
    let rows = other.rows.lock().clone().ok_or_else(no_rows)?;
    if *rows.spec() != open.spec.data {
        return Err(BridgeError::new(
            ErrorCode::Internal,
            "the worker reads other columns than the one whose rows it is to share",
        ));
    }
    *open.rows.lock() = Some(rows);
    Ok(())
}

native!(data_digest(spec: JString, arrow_stream: jlong) -> JString);

/// Computes the digest of a stream's rows. A killed task ends the stream from its own side.
fn data_digest<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    spec: JString<'local>,
    arrow_stream: jlong,
) -> Result<JString<'local>, BridgeError> {
    // SAFETY: as in `worker_load`.
    let stream = unsafe { import_stream(address(arrow_stream)) }?;
    let _call = CALLS.enter()?;
    let spec: DataSpec = document(env, &spec, "data specification")?;
    json(env, &Digest::of(stream, &spec, &CancelFlag::new())?)
}

native!(worker_run(worker: jlong, stage: jint) -> JString);

fn worker_run<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    worker: jlong,
    stage: jint,
) -> Result<JString<'local>, BridgeError> {
    let _call = CALLS.enter()?;
    let open = WORKERS.get(worker)?;
    let context = tracing::error_span!(
        "task",
        fit = open.spec.server.fit,
        stage = (stage >= 0).then_some(stage),
        partition = open.spec.partition,
        attempt = open.spec.attempt,
    );
    let _context = context.enter();
    let rows = open.rows.lock().take().ok_or_else(no_rows)?;
    let layout = layout(&open.spec.network, &open.spec.data)?;
    let mut connect = |_| connect(&open, &layout);
    let report = TaskTrainer::new(open.spec.clone(), rows).run(&mut connect, &open.cancel)?;
    json(env, &report)
}

native!(worker_abort(worker: jlong, code: jint, message: JString));

fn worker_abort<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    worker: jlong,
    number: jint,
    message: JString<'local>,
) -> Result<(), BridgeError> {
    let _call = CALLS.enter()?;
    let open = WORKERS.get(worker)?;
    let message = text(env, &message)?;
    let code = code(number).unwrap_or(ErrorCode::Internal);
    let layout = layout(&open.spec.network, &open.spec.data)?;
    Ok(connect(&open, &layout)?.abort(code, &message)?)
}

native!(worker_cancel(worker: jlong));

/// Cancels a worker. A closed worker is ignored, since the cancelling task and the ending one may race.
fn worker_cancel<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    worker: jlong,
) -> Result<(), BridgeError> {
    if let Ok(open) = WORKERS.get(worker) {
        open.cancel.cancel();
    }
    Ok(())
}

native!(worker_close(worker: jlong));

/// Closes a worker and frees its rows. A running worker is cancelled and frees them at its end.
fn worker_close<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    worker: jlong,
) -> Result<(), BridgeError> {
    if let Some(open) = WORKERS.remove(worker) {
        open.cancel.cancel();
    }
    Ok(())
}

/// Cancels every worker of the process.
pub(crate) fn cancel_all() {
    for open in WORKERS.all() {
        open.cancel.cancel();
    }
}
