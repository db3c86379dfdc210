//! The natives of a task's predictor.
#![expect(unsafe_code, reason = "addresses of Arrow structures")]

use std::sync::Arc;

use firesteel_core::spec::PredictorSpec;
use firesteel_data::{BatchAddress, export_batch, import_batch};
use firesteel_train::{LoadedWeights, Predictor};
use jni::Env;
use jni::objects::{JByteArray, JClass, JString};
use jni::sys::jlong;
use parking_lot::Mutex;

use crate::arguments::{address, bytes, document};
use crate::calls::CALLS;
use crate::errors::{BridgeError, ThrowCoded};
use crate::handles::Registry;
use crate::modules::attach_held;
use crate::weights::SharedByHash;

static SHARED: SharedByHash<LoadedWeights> = SharedByHash::new();

static PREDICTORS: Registry<OpenPredictor> = Registry::new("predictor");

/// The result of `predictor_open` if weights or a module are missing that this process does not hold.
const WEIGHTS_WANTED: jlong = 0;

struct OpenPredictor {
    spec: PredictorSpec,
    /// Keeps the weights shared: the predictor itself holds only their values.
    _weights: Arc<LoadedWeights>,
    predictor: Mutex<Predictor>,
}

native!(predictor_open(spec: JString, module: [jbyte], weights: [jbyte]) -> jlong);

fn predictor_open<'local>(
    env: &mut Env<'local>,
    _: JClass<'local>,
    spec: JString<'local>,
    module: JByteArray<'local>,
    weights: JByteArray<'local>,
) -> Result<jlong, BridgeError> {
    let _call = CALLS.enter()?;
    let mut spec: PredictorSpec = document(env, &spec, "predictor specification")?;
    if !attach_held(env, &mut spec.network, &module)? {
        return Ok(WEIGHTS_WANTED);
    }
    let loaded = match bytes(env, &weights)? {
        Some(given) => SHARED.share(&spec.weights, || LoadedWeights::open(&spec, &given))?,
        None => match SHARED.find(&spec.weights) {
            Some(loaded) => loaded,
            None => return Ok(WEIGHTS_WANTED),
        },
    };
    let predictor = Mutex::new(Predictor::open(&spec, Arc::clone(&loaded))?);
    Ok(PREDICTORS.insert(OpenPredictor { spec, _weights: loaded, predictor }))
}

native!(predictor_run(
    predictor: jlong,
    input_array: jlong,
    input_schema: jlong,
    output_array: jlong,
    output_schema: jlong,
));

fn predictor_run<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    predictor: jlong,
    input_array: jlong,
    input_schema: jlong,
    output_array: jlong,
    output_schema: jlong,
) -> Result<(), BridgeError> {
    let _call = CALLS.enter()?;
    let open = PREDICTORS.get(predictor)?;
    let input = BatchAddress { array: address(input_array), schema: address(input_schema) };
    let output = BatchAddress { array: address(output_array), schema: address(output_schema) };
    // SAFETY: Java gives the addresses of structures that it has just exported for this call.
    let batch = unsafe { import_batch(input, &open.spec.data) }?;
    let predictions = open.predictor.lock().predict(batch)?;
    // SAFETY: Java gives the addresses of empty structures that it has just allocated for this call.
    Ok(unsafe { export_batch(predictions, output) }?)
}

native!(predictor_close(predictor: jlong));

fn predictor_close<'local>(
    _: &mut Env<'local>,
    _: JClass<'local>,
    predictor: jlong,
) -> Result<(), BridgeError> {
    PREDICTORS.remove(predictor);
    Ok(())
}
