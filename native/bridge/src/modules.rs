//! The archives of TorchScript modules, which travel beside documents and are shared by all open objects of the
//! process.

use firesteel_core::ErrorCode;
use firesteel_core::spec::NetworkDocument;
use jni::Env;
use jni::objects::JByteArray;

use crate::arguments::bytes;
use crate::errors::BridgeError;
use crate::weights::SharedByHash;

static SHARED: SharedByHash<Vec<u8>> = SharedByHash::new();

/// Attaches the archive that came beside a network's document, copied only if the process does not hold it. A graph of
/// layers needs none.
pub(crate) fn attach(
    env: &Env<'_>,
    network: &mut NetworkDocument,
    archive: &JByteArray<'_>,
) -> Result<(), BridgeError> {
    if attach_held(env, network, archive)? {
        return Ok(());
    }
    Err(BridgeError::new(ErrorCode::Internal, "the archive of the TorchScript module is null"))
}

/// As [`attach`], but the archive may be null; returns false if it is and the process does not hold it.
pub(crate) fn attach_held(
    env: &Env<'_>,
    network: &mut NetworkDocument,
    archive: &JByteArray<'_>,
) -> Result<bool, BridgeError> {
    let Some(hash) = network.module_hash() else { return Ok(true) };
    let held = match SHARED.find(hash) {
        Some(held) => held,
        None => match bytes(env, archive)? {
            Some(given) => SHARED.share(hash, || Ok::<_, BridgeError>(given))?,
            None => return Ok(false),
        },
    };
    network.set_module(held);
    Ok(true)
}
