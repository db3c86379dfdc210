//! Reception of frames: messages, and the parameters of payloads.

use firesteel_core::compression::Codec;

use super::{IoTimeouts, Link, LinkError, WITHIN_FRAME};
use crate::error::PsError;
use crate::model::{FiniteCheck, PayloadKind, PayloadShape};
use crate::wire::{FrameHeader, FrameLimits, HEADER_LEN, Message};

/// The number of parameters that are received before they are decoded and checked, while they are in the cache: 256
/// KiB.
const PIECE: usize = 64 * 1024;

/// A received message, whose payload is still to be received.
pub(crate) struct ReceivedMessage<M> {
    pub(crate) message: M,
    /// The payload behind the message.
    pub(crate) payload: PayloadKind,
    /// The length of the whole frame in bytes.
    pub(crate) frame_len: u64,
}

/// Receives a frame up to its payload. `limits` are those of each kind that the receiver accepts; lengths beyond them are refused
/// before memory is allocated. `first` are the timeouts of the header, `rest` those of the fields. `scratch` is reused memory.
pub(crate) fn receive_message<M: Message, E: From<LinkError> + From<PsError>>(
    link: &mut Link,
    [first, rest]: [IoTimeouts; 2],
    limits: impl Fn(u8) -> Option<FrameLimits>,
    shape: &PayloadShape,
    scratch: &mut Vec<u8>,
) -> Result<ReceivedMessage<M>, E> {
    let mut header = [0; HEADER_LEN];
    link.read_exact(&mut header, first)?;
    let header = FrameHeader::decode(&header)?;
    let limits = header.check(limits(header.kind), shape)?;
    // A message is decoded from its kind and fields.
    scratch.clear();
    scratch.push(header.kind);
    scratch.resize(1 + header.fields as usize, 0);
    link.read_exact(&mut scratch[1..], rest)?;
    let message = M::decode(scratch)?;
    Ok(ReceivedMessage { message, payload: limits.payload, frame_len: header.frame_len() })
}

/// Receives the parameters of a request, encoded by `codec` if they are compressed, and checks each piece for NaN and infinity
/// while it is in the cache. `code` is reused memory.
pub(crate) fn receive_parameters<E: From<LinkError> + From<PsError>>(
    link: &mut Link,
    codec: Option<&dyn Codec>,
    code: &mut Vec<u8>,
    values: &mut [f32],
) -> Result<FiniteCheck, E> {
    let mut finite = FiniteCheck::new();
    match codec {
        Some(codec) => receive_coded::<E>(link, WITHIN_FRAME, codec, code, values, |piece| {
            finite.update(piece);
        })?,
        None => {
            for piece in values.chunks_mut(PIECE) {
                link.read_exact(bytemuck::cast_slice_mut(piece), WITHIN_FRAME)?;
                finite.update(piece);
            }
        }
    }
    Ok(finite)
}

/// Receives and decodes compressed parameters, piece by piece where the codec allows it, and calls `on_piece` with each decoded
/// piece. `code` is reused memory.
pub(crate) fn receive_coded<E: From<LinkError> + From<PsError>>(
    link: &mut Link,
    timeouts: IoTimeouts,
    codec: &dyn Codec,
    code: &mut Vec<u8>,
    values: &mut [f32],
    mut on_piece: impl FnMut(&[f32]),
) -> Result<(), E> {
    let piece = match codec.grain() {
        Some(grain) => PIECE.next_multiple_of(grain),
        None => values.len().max(1),
    };
    for values in values.chunks_mut(piece) {
        code.resize(codec.encoded_len(values.len()), 0);
        link.read_exact(code, timeouts)?;
        codec.decode(code, values).map_err(PsError::from)?;
        on_piece(values);
    }
    Ok(())
}
