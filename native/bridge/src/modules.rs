//! Archives of TorchScript modules. A document comes without, and what is open in this process shares them.

use firesteel_core::ErrorCode;
use firesteel_core::spec::NetworkDocument;
use jni::Env;
use jni::objects::JByteArray;

use crate::arguments::bytes;
use crate::errors::BridgeError;
use crate::weights::SharedByHash;

static SHARED: SharedByHash<Vec<u8>> = SharedByHash::new();

/// Gives a network the archive that came beside its document, copied only if nobody holds it; nothing to a graph of layers.
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

/// As [`attach`], but where the archive is null only if somebody holds it; gives whether the network has what it needs.
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
