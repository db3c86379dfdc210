//! The native that opens a shard server in an executor.

use firesteel_core::spec::ShardSpec;
use firesteel_ps::ShardServer;
use firesteel_train::layout;
use jni::Env;
use jni::objects::{JByteArray, JClass, JString};
use jni::sys::jint;

use crate::arguments::document;
use crate::calls::CALLS;
use crate::errors::{BridgeError, ThrowCoded};
use crate::logs;
use crate::modules::attach;

native!(shard_open(spec: JString, module: [jbyte]) -> jint);

/// Opens a shard server. It needs no handle: it ends with the driver's server, or with the process.
fn shard_open<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    spec: JString<'local>,
    module: JByteArray<'local>,
) -> Result<jint, BridgeError> {
    let _call = CALLS.enter()?;
    logs::update_level(env);
    let mut spec: ShardSpec = document(env, &spec, "shard specification")?;
    let context = tracing::error_span!("shard", fit = spec.fit, shard = spec.shard);
    let _context = context.enter();
    attach(env, &mut spec.network, &module)?;
    let layout = layout(&spec.network, &spec.data)?;
    Ok(jint::from(ShardServer::open(&spec, &layout)?.port()))
}
