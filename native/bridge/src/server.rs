//! The natives of the parameter server.

use firesteel_core::ErrorCode;
use firesteel_core::ParamLayout;
use firesteel_core::spec::ServerSpec;
use firesteel_ps::{Checkpoint, Server};
use firesteel_train::{initialise, members_to_bytes, weights_from_bytes, weights_to_bytes};
use jni::Env;
use jni::objects::{JByteArray, JClass, JString};
use jni::sys::{jint, jlong};

use crate::arguments::{bytes, code, document, json, text};
use crate::calls::CALLS;
use crate::errors::{BridgeError, ThrowCoded};
use crate::handles::Registry;
use crate::logs;
use crate::modules::attach;

/// The open servers; usually one.
static SERVERS: Registry<OpenServer> = Registry::new("parameter server");

struct OpenServer {
    server: Server,
    layout: ParamLayout,
}

native!(server_open(
    spec: JString,
    module: [jbyte],
    initial_weights: [jbyte],
    checkpoint: [jbyte],
) -> jlong);

fn server_open<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    spec: JString<'local>,
    module: JByteArray<'local>,
    initial_weights: JByteArray<'local>,
    checkpoint: JByteArray<'local>,
) -> Result<jlong, BridgeError> {
    let _call = CALLS.enter()?;
    logs::update_level(env);
    let mut spec: ServerSpec = document(env, &spec, "server specification")?;
    let context = tracing::error_span!("server", fit = spec.fit);
    let _context = context.enter();
    attach(env, &mut spec.network, &module)?;
    let (layout, center, buffers) = initialise(&spec.network, &spec.data, spec.seed)?;
    let server = if let Some(checkpoint) = bytes(env, &checkpoint)? {
        let mut checkpoint = Checkpoint::read(&checkpoint)?;
        if let Some(tasks) = spec.tasks {
            checkpoint.spread_over(tasks);
        }
        Server::resume(&spec, layout.clone(), &checkpoint)?
    } else {
        let (center, buffers) = match bytes(env, &initial_weights)? {
            Some(given) => weights_from_bytes(&given, &layout)?,
            None => (center, buffers),
        };
        Server::open(&spec, layout.clone(), center, buffers)?
    };
    Ok(SERVERS.insert(OpenServer { server, layout }))
}

native!(server_checkpoint(server: jlong, fingerprint: JString) -> [jbyte]);

fn server_checkpoint<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    server: jlong,
    fingerprint: JString<'local>,
) -> Result<JByteArray<'local>, BridgeError> {
    let _call = CALLS.enter()?;
    let fingerprint = text(env, &fingerprint)?;
    let checkpoint = SERVERS.get(server)?.server.checkpoint(&fingerprint)?.to_bytes()?;
    check_array("a checkpoint", checkpoint.len())?;
    Ok(env.byte_array_from_slice(&checkpoint)?)
}

native!(checkpoint_status(checkpoint: [jbyte]) -> JString);

fn checkpoint_status<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    checkpoint: JByteArray<'local>,
) -> Result<JString<'local>, BridgeError> {
    let _call = CALLS.enter()?;
    let checkpoint = bytes(env, &checkpoint)?.unwrap_or_default();
    json(env, &Checkpoint::read(&checkpoint)?.status())
}

native!(server_status(server: jlong) -> JString);

fn server_status<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    server: jlong,
) -> Result<JString<'local>, BridgeError> {
    json(env, &SERVERS.get(server)?.server.status())
}

native!(server_summary(server: jlong) -> JString);

fn server_summary<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    server: jlong,
) -> Result<JString<'local>, BridgeError> {
    json(env, &SERVERS.get(server)?.server.summary())
}

native!(server_attempt_ended(server: jlong, partition: jint, attempt: jlong));

fn server_attempt_ended<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    server: jlong,
    partition: jint,
    attempt: jlong,
) -> Result<(), BridgeError> {
    let partition = u32::try_from(partition)
        .map_err(|_| BridgeError::new(ErrorCode::Internal, format!("partition {partition}")))?;
    SERVERS.get(server)?.server.attempt_ended(partition, attempt);
    Ok(())
}

native!(server_fail(server: jlong, code: jint, message: JString));

fn server_fail<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    server: jlong,
    number: jint,
    message: JString<'local>,
) -> Result<(), BridgeError> {
    let message = text(env, &message)?;
    let code = code(number).unwrap_or(ErrorCode::Internal);
    SERVERS.get(server)?.server.fail(code, &message);
    Ok(())
}

native!(server_weights(server: jlong) -> [jbyte]);

fn server_weights<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    server: jlong,
) -> Result<JByteArray<'local>, BridgeError> {
    let _call = CALLS.enter()?;
    let open = SERVERS.get(server)?;
    let members: Vec<_> = open
        .server
        .members()?
        .into_iter()
        .map(|(_, parameters, buffers)| (parameters, buffers))
        .collect();
    let weights = if members.is_empty() {
        let (center, buffers, _version) = open.server.snapshot()?;
        weights_to_bytes(&open.layout, &center, &buffers)?
    } else {
        members_to_bytes(&open.layout, &members)?
    };
    check_array("the trained weights", weights.len())?;
    Ok(env.byte_array_from_slice(&weights)?)
}

/// Fails if bytes do not fit an array of the JVM. The driver refuses such a fit at its start; its estimate does not
/// include the length of a checkpoint's ledger.
fn check_array(what: &str, length: usize) -> Result<(), BridgeError> {
    /// Some JVMs refuse the last few elements.
    const MOST: usize = jint::MAX as usize - 8;
    if length <= MOST {
        return Ok(());
    }
    let message = format!("{what} would have {length} bytes, but a JVM array holds at most {MOST}");
    Err(BridgeError::new(ErrorCode::Memory, message))
}

native!(server_close(server: jlong));

fn server_close<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    server: jlong,
) -> Result<(), BridgeError> {
    if let Some(open) = SERVERS.remove(server) {
        open.server.close();
    }
    Ok(())
}

/// Closes every server of the process.
pub(crate) fn close_all() {
    for open in SERVERS.take_all() {
        open.server.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_an_array_of_the_jvm_is_refused_with_its_length() {
        assert!(check_array("the trained weights", 2_147_483_639).is_ok());
        let error = check_array("the trained weights", 2_147_483_640).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the trained weights would have 2147483640 bytes, but a JVM array holds at most 2147483639"
        );
    }
}
