//! The natives that concern the whole process.
#![expect(unsafe_code, reason = "the exit handler and the version of the C library")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::time::Duration;

use firesteel_core::footprint::{Footprint, FootprintSpec};
use firesteel_core::spec::{ControlSpec, LabelSpec, NetworkDocument, TermSpec};
use firesteel_core::{ErrorCode, strategy};
use firesteel_train::inspect as inspect_network;
use firesteel_train::{
    check_losses, check_weights as check_weights_of, zero_weights as zero_weights_of,
};
use jni::Env;
use jni::objects::{JByteArray, JClass, JLongArray, JString};
use jni::sys::{jboolean, jint, jlong};
use serde::{Deserialize, Serialize};

use crate::arguments::{self, bytes, document, json, text};
use crate::calls::CALLS;
use crate::errors::{BridgeError, ThrowCoded};
use crate::modules::attach;
use crate::{server, worker};

/// The time that `release` waits for running calls before it stops the I/O threads.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

native!(describe() -> JString);

/// The loaded native library.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Description {
    /// The version of this library.
    version: &'static str,
    /// The version of the C library.
    glibc: String,
    /// libtorch's intra-op threads of the calling thread.
    threads: i32,
    /// True if libtorch finds a GPU.
    cuda: bool,
    /// The strategies whose workers wait for each other.
    strategies_in_rounds: Vec<&'static str>,
}

fn describe<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
) -> Result<JString<'local>, BridgeError> {
    // SAFETY: the C library returns a constant text.
    let glibc = unsafe { CStr::from_ptr(gnu_get_libc_version()) };
    let description = Description {
        version: env!("CARGO_PKG_VERSION"),
        glibc: glibc.to_string_lossy().into_owned(),
        threads: tch::get_num_threads(),
        cuda: tch::Cuda::is_available(),
        strategies_in_rounds: strategy::in_rounds().collect(),
    };
    json(env, &description)
}

native!(metrics() -> [jlong]);

/// The metrics in the order of `NativeMetrics.java`; values that are not counts are the bits of a double.
fn metrics<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
) -> Result<JLongArray<'local>, BridgeError> {
    let metrics = firesteel_ps::metrics();
    let counts = [
        metrics.commits,
        metrics.pulls,
        metrics.bytes_sent,
        metrics.bytes_received,
        metrics.staleness_sum,
        metrics.staleness_max,
        metrics.rows,
    ]
    .map(|count| jlong::try_from(count).unwrap_or(jlong::MAX));
    let numbers = [metrics.compression_ratio, metrics.compression_error]
        .map(|number| number.to_bits().cast_signed());
    let values = [&counts[..], &numbers].concat();
    let array = env.new_long_array(values.len())?;
    array.set_region(env, 0, &values)?;
    Ok(array)
}

native!(inspect(request: JString, module: [jbyte]) -> JString);

/// A network with the shapes of one row of its inputs, and optionally losses to check against its outputs, these labels
/// and the controls.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InspectRequest {
    network: NetworkDocument,
    inputs: Vec<InputShape>,
    losses: Option<Vec<TermSpec>>,
    #[serde(default)]
    labels: Vec<LabelSpec>,
    #[serde(default)]
    controls: ControlSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InputShape {
    name: String,
    shape: Vec<usize>,
}

fn inspect<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    request: JString<'local>,
    module: JByteArray<'local>,
) -> Result<JString<'local>, BridgeError> {
    let _call = CALLS.enter()?;
    let mut request: InspectRequest = document(env, &request, "network to inspect")?;
    attach(env, &mut request.network, &module)?;
    let inspection = inspect_network(&request.network, &shapes(request.inputs))?;
    if let Some(losses) = &request.losses {
        check_losses(&inspection, losses, &request.labels, &request.controls)?;
    }
    json(env, &inspection)
}

fn shapes(inputs: Vec<InputShape>) -> Vec<(String, Vec<usize>)> {
    inputs.into_iter().map(|input| (input.name, input.shape)).collect()
}

native!(footprint(request: JString) -> JString);

fn footprint<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    request: JString<'local>,
) -> Result<JString<'local>, BridgeError> {
    let request: FootprintSpec = document(env, &request, "size of a fit")?;
    json(env, &Footprint::of(&request)?)
}

native!(check_weights(request: JString, module: [jbyte], weights: [jbyte]));

fn check_weights<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    request: JString<'local>,
    module: JByteArray<'local>,
    weights: JByteArray<'local>,
) -> Result<(), BridgeError> {
    let _call = CALLS.enter()?;
    let mut request: InspectRequest = document(env, &request, "network to inspect")?;
    attach(env, &mut request.network, &module)?;
    let weights = bytes(env, &weights)?.unwrap_or_default();
    Ok(check_weights_of(&request.network, &shapes(request.inputs), &weights)?)
}

native!(zero_weights(request: JString, module: [jbyte]) -> [jbyte]);

fn zero_weights<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    request: JString<'local>,
    module: JByteArray<'local>,
) -> Result<JByteArray<'local>, BridgeError> {
    let _call = CALLS.enter()?;
    let mut request: InspectRequest = document(env, &request, "network without training")?;
    attach(env, &mut request.network, &module)?;
    let weights = zero_weights_of(&request.network, &shapes(request.inputs))?;
    Ok(env.byte_array_from_slice(&weights)?)
}

native!(self_test(code: jint, message: JString));

#[expect(clippy::panic, reason = "a real panic is what the test of a deployment asks for")]
fn self_test<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    code: jint,
    message: JString<'local>,
) -> Result<(), BridgeError> {
    let message = text(env, &message)?;
    match arguments::code(code) {
        Some(ErrorCode::Panic) => panic!("{message}"),
        Some(code) => Err(BridgeError::new(code, message)),
        None => Err(BridgeError::new(ErrorCode::Internal, format!("no error has the code {code}"))),
    }
}

native!(release());

fn release<'local>(_: &mut Env<'local>, _: JClass<'local>) -> Result<(), BridgeError> {
    worker::cancel_all();
    server::close_all();
    CALLS.wait_until_idle(RELEASE_TIMEOUT);
    firesteel_ps::runtime::shutdown();
    Ok(())
}

native!(stop_all());

fn stop_all<'local>(_: &mut Env<'local>, _: JClass<'local>) -> Result<(), BridgeError> {
    CALLS.leave();
    worker::cancel_all();
    Ok(())
}

native!(await_idle(millis: jlong) -> jboolean);

fn await_idle<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    millis: jlong,
) -> Result<jboolean, BridgeError> {
    Ok(CALLS.wait_until_idle(Duration::from_millis(millis.unsigned_abs())))
}

native!(exit_quietly());

fn exit_quietly<'local>(_: &mut Env<'local>, _: JClass<'local>) -> Result<(), BridgeError> {
    // SAFETY: the handler only calls `_exit`, and this library is never unmapped.
    let failed = unsafe { on_exit(leave_now, std::ptr::null_mut()) };
    if failed == 0 {
        Ok(())
    } else {
        Err(BridgeError::new(ErrorCode::Io, "no exit handler could be registered"))
    }
}

/// Runs before the handlers that were registered earlier, among them the static destructors of C++, and in place of them.
extern "C" fn leave_now(status: c_int, _: *mut c_void) {
    // SAFETY: ends the process without running anything further.
    unsafe { _exit(status) }
}

unsafe extern "C" {
    fn gnu_get_libc_version() -> *const c_char;
    fn on_exit(handler: extern "C" fn(c_int, *mut c_void), argument: *mut c_void) -> c_int;
    fn _exit(status: c_int) -> !;
}
