//! Properties of frames and messages.

use firesteel_core::compression::{Coding, CompressionSpec, Distortion};
use firesteel_core::{Answer, ErrorCode, Granted, Position, Registration, Span, Tally, WorkerId};
use proptest::prelude::*;

use crate::model::{Decision, Flaw, PayloadShape, Share, WindowReport};
use crate::wire::frame::MAX_TEXT;
use crate::wire::{
    Caller, FrameHeader, FrameLimits, HEADER_LEN, MAX_DECISION_BYTES, Message, Reply, Request,
    ShardRequest, decision_len,
};

const SHAPE: PayloadShape =
    PayloadShape { message: 2031, center: 2000, sums: 300, ..PayloadShape::plain(1000, 3, 2) };

fn position() -> impl Strategy<Value = Position> {
    (any::<u32>(), any::<u32>()).prop_map(|(epoch, batch)| Position { epoch, batch })
}

fn tally() -> impl Strategy<Value = Tally> {
    (-1e300..1e300, 0.0..1e300).prop_map(|(loss, weight)| Tally { loss, weight })
}

fn window() -> impl Strategy<Value = WindowReport> {
    (any::<u64>(), position(), any::<u32>(), any::<u64>(), tally(), tally()).prop_map(
        |(sequence, start, batches, rows, tally, other)| WindowReport {
            sequence,
            span: Span { start, batches, rows },
            tally,
            distortion: Distortion { signal: other.loss, error: other.weight },
        },
    )
}

fn code() -> impl Strategy<Value = ErrorCode> {
    proptest::sample::select(ErrorCode::ALL.as_slice())
}

fn request() -> impl Strategy<Value = Request> {
    let registration = (any::<[u32; 3]>(), any::<i64>(), any::<[u64; 3]>()).prop_map(
        |([partition, index, batches], attempt, [rows, content, held_out])| {
            let worker = WorkerId { partition, index };
            Request::Register(Registration { worker, attempt, rows, content, batches, held_out })
        },
    );
    prop_oneof![
        registration,
        Just(Request::Pull),
        window().prop_map(Request::Commit),
        window().prop_map(Request::Exchange),
        window().prop_map(Request::Save),
        (position(), any::<u64>(), tally())
            .prop_map(|(position, rows, tally)| Request::Heartbeat { position, rows, tally }),
        (code(), ".{0,50}").prop_map(|(code, message)| Request::Abort { code, message }),
        Just(Request::Finish),
        window().prop_map(Request::Contribute),
        any::<u64>().prop_map(|sequence| Request::CloseRound { sequence }),
        Just(Request::Evaluate),
        (any::<u32>(), proptest::collection::vec(-1e9_f64..1e9, 0..20))
            .prop_map(|(epoch, sums)| Request::Score { epoch, sums }),
        (window(), flaw()).prop_map(|(window, flaw)| Request::Flawed { window, flaw }),
    ]
}

fn worker() -> impl Strategy<Value = WorkerId> {
    any::<[u32; 2]>().prop_map(|[partition, index]| WorkerId { partition, index })
}

fn flaw() -> impl Strategy<Value = Flaw> {
    (any::<u64>(), any::<u32>())
        .prop_map(|(index, bits)| Flaw { index, value: f32::from_bits(bits) })
}

fn decision() -> impl Strategy<Value = Decision> {
    let share = (worker(), any::<i64>(), any::<u64>(), 0.0..1e300).prop_map(
        |(worker, attempt, sequence, weight)| Share { worker, attempt, sequence, weight },
    );
    let rate = proptest::option::of(1e-9..1e3);
    let close = (proptest::collection::vec(share, 0..4), rate)
        .prop_map(|(shares, learning_rate)| Decision::Close { shares, learning_rate });
    prop_oneof![
        (worker(), any::<i64>(), any::<[u64; 2]>()).prop_map(
            |(worker, attempt, [sequence, staleness])| {
                Decision::Apply { worker, attempt, sequence, staleness }
            }
        ),
        close,
        (worker(), any::<bool>()).prop_map(|(worker, round)| Decision::Read { worker, round }),
        (worker(), any::<i64>()).prop_map(|(worker, attempt)| Decision::Forget { worker, attempt }),
    ]
}

fn shard_request() -> impl Strategy<Value = ShardRequest> {
    prop_oneof![
        (worker(), any::<i64>(), any::<u64>()).prop_map(|(worker, attempt, sequence)| {
            ShardRequest::Stage { worker, attempt, sequence }
        }),
        (worker(), any::<u64>())
            .prop_map(|(worker, decision)| ShardRequest::Fetch { worker, decision }),
        Just(ShardRequest::Load),
        (any::<u64>(), proptest::collection::vec(decision(), 0..5))
            .prop_map(|(first, decisions)| ShardRequest::Decide { first, decisions }),
        Just(ShardRequest::End),
    ]
}

fn compression() -> impl Strategy<Value = CompressionSpec> {
    prop_oneof![
        Just(CompressionSpec::None {}),
        Just(CompressionSpec::Bf16 {}),
        Just(CompressionSpec::F16 {}),
        Just(CompressionSpec::Int8 {}),
        (0.001..=1.0).prop_map(|ratio| CompressionSpec::TopK { ratio }),
    ]
}

fn reply() -> impl Strategy<Value = Reply> {
    let any_answer = || {
        (any::<[u64; 2]>(), any::<[bool; 2]>(), any::<u32>()).prop_map(
            |([version, staleness], [stop, evaluation], reductions)| Answer {
                version,
                staleness,
                stop,
                evaluation,
                reductions,
            },
        )
    };
    prop_oneof![
        (any::<[u64; 2]>(), compression(), compression()).prop_map(
            |([floats, integers], message, center)| Reply::Welcome {
                floats,
                integers,
                coding: Coding { message, center },
            }
        ),
        (position(), any::<u32>())
            .prop_map(|(position, workers)| Reply::Registered(Granted { position, workers })),
        any_answer().prop_map(Reply::Answer),
        any_answer().prop_map(Reply::Center),
        (any_answer(), any::<u32>()).prop_map(|(answer, epoch)| Reply::Frozen { answer, epoch }),
        (any_answer(), any::<bool>()).prop_map(|(answer, over)| Reply::Unassigned { answer, over }),
        Just(Reply::Done),
        Just(Reply::Waiting),
        (code(), ".{0,50}").prop_map(|(code, message)| Reply::Failure { code, message }),
        (any_answer(), any::<u64>())
            .prop_map(|(answer, decision)| Reply::Decided { answer, decision }),
        proptest::option::of(flaw()).prop_map(|flaw| Reply::Staged { flaw }),
        Just(Reply::Slice),
        Just(Reply::Exact),
        Just(Reply::Gone),
    ]
}

/// Splits encoded bytes into the header, and the kind with the fields.
fn split(bytes: &[u8]) -> (FrameHeader, &[u8]) {
    (FrameHeader::decode(bytes.first_chunk().unwrap()).unwrap(), &bytes[HEADER_LEN - 1..])
}

/// Encodes a message, checks that its header announces it, and decodes it again.
fn round_trip<M: Message>(
    message: &M,
    payload: u64,
    limits: impl Fn(u8) -> Option<FrameLimits>,
) -> Result<M, TestCaseError> {
    let mut bytes = vec![1, 2, 3];
    message.encode(payload, &mut bytes);
    let (header, fields) = split(&bytes);
    prop_assert_eq!(header.fields as usize, fields.len() - 1);
    prop_assert_eq!(header.payload, payload);
    prop_assert_eq!(header.kind, fields[0]);
    prop_assert_eq!(header.frame_len(), bytes.len() as u64 + payload);
    header.check(limits(header.kind), &SHAPE).unwrap();
    for other in [payload + 1, payload.wrapping_sub(1), 4000, u64::MAX] {
        let header = FrameHeader { payload: other, ..header };
        let allowed = header.check(limits(header.kind), &SHAPE).is_ok();
        prop_assert_eq!(allowed, other == payload, "a payload of another length");
    }
    Ok(M::decode(fields).unwrap())
}

/// Fails unless the fields of a message are refused with any byte more and with any byte less.
fn only_whole<M: Message>(message: &M, cut: usize) -> Result<(), TestCaseError> {
    let mut bytes = Vec::new();
    message.encode(0, &mut bytes);
    let (_, fields) = split(&bytes);
    prop_assert!(M::decode(&[fields, &vec![0; cut]].concat()).is_err());
    if let Some(shorter) = fields.len().checked_sub(cut) {
        prop_assert!(M::decode(&fields[..shorter]).is_err());
    }
    Ok(())
}

/// The caller that may send a request to a shard.
fn caller(request: &ShardRequest) -> Caller {
    match request {
        ShardRequest::Stage { .. } | ShardRequest::Fetch { .. } => Caller::Worker,
        _ => Caller::Driver,
    }
}

/// The limits of a kind for every receiver.
fn all_limits(kind: u8) -> [Option<FrameLimits>; 4] {
    [
        Request::limits(kind),
        ShardRequest::limits(kind, Caller::Worker),
        ShardRequest::limits(kind, Caller::Driver),
        Reply::limits(kind),
    ]
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was_and_its_header_announces_it(request in request()) {
        let payload = match request {
            Request::Commit(_) | Request::Exchange(_) | Request::Contribute(_) => 2031 + 28,
            Request::Save(_) => 4000 + 28,
            _ => 0,
        };
        prop_assert_eq!(round_trip(&request, payload, Request::limits)?, request);
    }

    #[test]
    fn a_request_to_a_shard_comes_back_as_it_was_and_its_header_announces_it(
        request in shard_request(),
    ) {
        let payload = match request {
            ShardRequest::Stage { .. } => 2031 + 28,
            ShardRequest::Load => 4000 + 28,
            _ => 0,
        };
        let caller = caller(&request);
        let limits = |kind| ShardRequest::limits(kind, caller);
        prop_assert_eq!(round_trip(&request, payload, limits)?, request);
    }

    #[test]
    fn a_reply_comes_back_as_it_was_and_its_header_announces_it(reply in reply()) {
        let payload = match reply {
            Reply::Center(_) | Reply::Decided { .. } | Reply::Slice => 2000 + 28,
            Reply::Exact | Reply::Frozen { .. } => 4000 + 28,
            _ => 0,
        };
        prop_assert_eq!(round_trip(&reply, payload, Reply::limits)?, reply);
    }

    #[test]
    fn a_shorter_or_longer_message_is_refused(
        request in request(), shard_request in shard_request(), reply in reply(), cut in 1..9_usize,
    ) {
        only_whole(&request, cut)?;
        only_whole(&shard_request, cut)?;
        only_whole(&reply, cut)?;
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        kind in 0..20_u8, fields in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let bytes = [&[kind], fields.as_slice()].concat();
        let _any = (Request::decode(&bytes), ShardRequest::decode(&bytes), Reply::decode(&bytes));
    }

    #[test]
    fn a_frame_beyond_the_limits_of_its_kind_is_refused(
        kind: u8, over in 1..1_000_000_u32, wrong in proptest::sample::select(vec![-1_i64, 1, 1 << 40]),
    ) {
        // A text, sums or decisions, with their lengths.
        let largest = MAX_TEXT.max(8 * SHAPE.sums).max(MAX_DECISION_BYTES) as u32 + 20;
        for limits in all_limits(kind) {
            let payload = limits.map_or(0, |limits| SHAPE.payload_len(limits.payload));
            let check = |fields, payload| FrameHeader { payload, fields, kind }.check(limits, &SHAPE);
            prop_assert_eq!(check(0, payload).is_ok(), limits.is_some());
            prop_assert!(check(largest.saturating_add(over), payload).is_err());
            prop_assert!(check(0, payload.wrapping_add_signed(wrong)).is_err());
        }
    }

    #[test]
    fn the_length_of_a_decision_is_known_before_it_is_encoded(decision in decision()) {
        let length = |decisions: Vec<Decision>| {
            let mut bytes = Vec::new();
            ShardRequest::Decide { first: 1, decisions }.encode(0, &mut bytes);
            bytes.len()
        };
        prop_assert_eq!(decision_len(&decision), length(vec![decision]) - length(vec![]));
    }
}

#[test]
fn exactly_the_kinds_of_messages_have_limits() {
    fn is_known<M: Message>(kind: u8) -> bool {
        // Ones are the beginning of fields of every kind.
        let error = M::decode(&[&[kind][..], &[1; 200]].concat()).err().unwrap();
        error.to_string().contains("bytes too many")
    }
    for kind in 0..=u8::MAX {
        let [request, worker, driver, reply] = all_limits(kind).map(|limits| limits.is_some());
        if kind < 128 {
            assert_eq!(request, is_known::<Request>(kind), "request {kind}");
            assert_eq!(worker || driver, is_known::<ShardRequest>(kind), "shard request {kind}");
            assert_eq!(reply, is_known::<Reply>(kind), "reply {kind}");
        } else {
            // It would be the first of two bytes of a larger number.
            assert!(!(request || worker || driver || reply), "kind {kind}");
        }
        let staging = (kind == 0, kind >= 2 && driver);
        assert_eq!((worker && !driver, driver && !worker), staging, "who may send {kind}");
    }
}

#[test]
fn the_largest_numbers_are_within_the_limits() {
    let window = WindowReport {
        sequence: u64::MAX,
        span: Span {
            start: Position { epoch: u32::MAX, batch: u32::MAX },
            batches: u32::MAX,
            rows: u64::MAX,
        },
        tally: Tally::default(),
        distortion: Distortion::default(),
    };
    let worker = WorkerId { partition: u32::MAX, index: u32::MAX };
    let sums = vec![0.0; SHAPE.sums];
    let share = Share { worker, attempt: i64::MIN, sequence: u64::MAX, weight: 0.0 };
    let close = |count| Decision::Close { shares: vec![share; count], learning_rate: Some(1.0) };
    let share_len = decision_len(&close(1)) - decision_len(&close(0));
    let close = close(MAX_DECISION_BYTES / share_len - 1);
    assert!(
        (MAX_DECISION_BYTES - 2 * share_len..=MAX_DECISION_BYTES).contains(&decision_len(&close))
    );
    let flaw = Flaw { index: u64::MAX, value: 0.0 };
    for request in [Request::Flawed { window, flaw }, Request::Score { epoch: u32::MAX, sums }] {
        assert_eq!(round_trip(&request, 0, Request::limits).unwrap(), request);
    }
    let decide = ShardRequest::Decide { first: u64::MAX, decisions: vec![close] };
    let limits = |kind| ShardRequest::limits(kind, Caller::Driver);
    assert_eq!(round_trip(&decide, 0, limits).unwrap(), decide);
}

#[test]
fn a_text_longer_than_a_frame_takes_is_cut_at_a_character() {
    let message = "ü".repeat(MAX_TEXT);
    let abort = Request::Abort { code: ErrorCode::Panic, message };
    let Request::Abort { message, .. } = round_trip(&abort, 0, Request::limits).unwrap() else {
        panic!("another request");
    };
    assert_eq!(message, "ü".repeat(MAX_TEXT / 2));
}

#[test]
fn a_text_that_is_too_long_and_a_list_longer_than_its_bytes_are_refused() {
    let length = |length: usize| {
        [(length & 0x7f | 0x80) as u8, (length >> 7 & 0x7f | 0x80) as u8, (length >> 14) as u8]
    };
    let abort = |bytes: usize| [&[6, 13][..], &length(bytes), &vec![b'a'; bytes]].concat();
    assert!(Request::decode(&abort(MAX_TEXT)).is_ok());
    assert!(Request::decode(&abort(MAX_TEXT + 1)).is_err());
    // A score and decisions that announce more elements than there are bytes, up to the largest length.
    for announced in [&[3][..], &[255; 4], &[255, 255, 255, 255, 255, 255, 255, 255, 255, 1]] {
        assert!(Request::decode(&[&[12, 0], announced, &[0; 16]].concat()).is_err());
        assert!(ShardRequest::decode(&[&[3, 1], announced, &[3, 0, 0, 0]].concat()).is_err());
        assert!(ShardRequest::decode(&[&[3, 1, 1, 1], announced].concat()).is_err());
    }
}
