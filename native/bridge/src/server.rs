//! The natives of the parameter server.

use firesteel_core::ErrorCode;
use firesteel_core::spec::ServerSpec;
use firesteel_core::{Buffers, ParamLayout};
use firesteel_ps::Server;
use firesteel_train::{initialise, members_to_bytes, weights_from_bytes, weights_to_bytes};
use jni::Env;
use jni::objects::{JByteArray, JClass, JString};
use jni::sys::{jint, jlong};

use crate::arguments::{bytes, document, json, text};
use crate::calls::CALLS;
use crate::errors::{BridgeError, ThrowCoded};
use crate::handles::Registry;

/// The open servers; usually one.
static SERVERS: Registry<OpenServer> = Registry::new("parameter server");

struct OpenServer {
    server: Server,
    layout: ParamLayout,
}

native!(server_open(spec: JString, initial_weights: [jbyte]) -> jlong);

fn server_open<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    spec: JString<'local>,
    initial_weights: JByteArray<'local>,
) -> Result<jlong, BridgeError> {
    let _call = CALLS.enter()?;
    let spec: ServerSpec = document(env, &spec, "server specification")?;
    let (layout, center, buffers) = initialise(&spec.network, &spec.data, spec.seed)?;
    let (center, buffers) = match bytes(env, &initial_weights)? {
        Some(given) => weights_from_bytes(&given, &layout)?,
        None => (center, buffers),
    };
    open(&spec, layout, center, buffers)
}

fn open(
    spec: &ServerSpec,
    layout: ParamLayout,
    center: Vec<f32>,
    buffers: Buffers,
) -> Result<jlong, BridgeError> {
    let server = Server::open(spec, layout.clone(), center, buffers)?;
    Ok(SERVERS.insert(OpenServer { server, layout }))
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
    code: jint,
    message: JString<'local>,
) -> Result<(), BridgeError> {
    let message = text(env, &message)?;
    let code =
        u16::try_from(code).ok().and_then(ErrorCode::from_number).unwrap_or(ErrorCode::Internal);
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
    Ok(env.byte_array_from_slice(&weights)?)
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
