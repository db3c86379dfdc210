//! Properties of frames and messages.

use firesteel_core::compression::{Coding, CompressionSpec, Distortion};
use firesteel_core::{
    Answer, Assignment, ErrorCode, Granted, Position, Registration, Span, Tally, WorkerId,
};
use proptest::prelude::*;

use crate::model::{Decision, Flaw, PayloadShape, Share, WindowReport};
use crate::wire::frame::{HEADER_LEN, MAX_TEXT};
use crate::wire::{FrameHeader, MAX_DECISION_BYTES, Reply, Request};

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
        shard_request(),
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

fn shard_request() -> impl Strategy<Value = Request> {
    prop_oneof![
        (window(), flaw()).prop_map(|(window, flaw)| Request::Flawed { window, flaw }),
        (worker(), any::<i64>(), any::<u64>()).prop_map(|(worker, attempt, sequence)| {
            Request::Stage { worker, attempt, sequence }
        }),
        (worker(), any::<u64>()).prop_map(|(worker, decision)| Request::Fetch { worker, decision }),
        Just(Request::Load),
        (any::<u64>(), proptest::collection::vec(decision(), 0..5))
            .prop_map(|(first, decisions)| Request::Decide { first, decisions }),
        Just(Request::End),
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
    let answer = (any_answer(), any::<bool>())
        .prop_map(|(answer, payload)| Reply::Answer { answer, payload });
    let assignment = prop_oneof![
        any::<u32>().prop_map(|epoch| Assignment::Score { epoch }),
        Just(Assignment::Wait),
        Just(Assignment::Over),
    ];
    let assigned = (any_answer(), assignment)
        .prop_map(|(answer, assignment)| Reply::Assigned { answer, assignment });
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
        answer,
        assigned,
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

/// Splits encoded bytes into the header and the rest.
fn split(bytes: &[u8]) -> (FrameHeader, &[u8]) {
    let (header, fields) = bytes.split_at(HEADER_LEN);
    (FrameHeader::decode(header.try_into().unwrap()).unwrap(), fields)
}

proptest! {
    #[test]
    fn a_request_comes_back_as_it_was_and_its_header_announces_it(request in request()) {
        let payload = match request {
            Request::Commit(_)
            | Request::Exchange(_)
            | Request::Contribute(_)
            | Request::Stage { .. } => 2031 + 28,
            Request::Save(_) | Request::Load => 4000 + 28,
            _ => 0,
        };
        let mut bytes = vec![1, 2, 3];
        request.encode(payload, &mut bytes);
        let (header, fields) = split(&bytes);
        prop_assert_eq!(header.split(Request::body(header.kind).as_ref(), SHAPE).unwrap(), (fields.len(), payload > 0));
        prop_assert_eq!(Request::decode(header.kind, fields).unwrap(), request);
    }

    #[test]
    fn a_reply_comes_back_as_it_was_and_its_header_announces_it(reply in reply()) {
        let payload = match reply {
            Reply::Answer { payload: true, .. } | Reply::Decided { .. } | Reply::Slice => 2000 + 28,
            Reply::Exact | Reply::Assigned { assignment: Assignment::Score { .. }, .. } => {
                4000 + 28
            }
            _ => 0,
        };
        let mut bytes = Vec::new();
        reply.encode(payload, &mut bytes);
        let (header, fields) = split(&bytes);
        prop_assert_eq!(header.split(Reply::body(header.kind).as_ref(), SHAPE).unwrap(), (fields.len(), payload > 0));
        prop_assert_eq!(Reply::decode(header.kind, fields).unwrap(), reply);
    }

    #[test]
    fn a_shorter_or_longer_request_is_refused(request in request(), cut in 1..9_usize) {
        let mut bytes = Vec::new();
        request.encode(0, &mut bytes);
        let (header, fields) = split(&bytes);
        if !matches!(request, Request::Abort { .. } | Request::Score { .. }) {
            let longer = [fields, &vec![0; cut]].concat();
            prop_assert!(Request::decode(header.kind, &longer).is_err());
            if let Some(shorter) = fields.len().checked_sub(cut) {
                prop_assert!(Request::decode(header.kind, &fields[..shorter]).is_err());
            }
        }
    }

    #[test]
    fn any_bytes_are_a_message_or_an_error(
        header: [u8; HEADER_LEN], kind: u8, fields in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        let _any = (Request::decode(kind, &fields), Reply::decode(kind, &fields));
        if let Ok(header) = FrameHeader::decode(&header) {
            for body in [Request::body(header.kind), Reply::body(header.kind)] {
                if let Ok((length, _)) = header.split(body.as_ref(), SHAPE) {
                    let most = MAX_TEXT.max(8 * SHAPE.sums).max(MAX_DECISION_BYTES) + 8;
                    prop_assert!(length <= most, "more than a text, sums or decisions is never allocated");
                }
            }
        }
    }
}

#[test]
fn a_text_longer_than_a_frame_takes_is_cut_at_a_character() {
    let message = "ü".repeat(MAX_TEXT);
    let mut bytes = Vec::new();
    Request::Abort { code: ErrorCode::Panic, message }.encode(0, &mut bytes);
    let (header, fields) = split(&bytes);
    header.split(Request::body(header.kind).as_ref(), SHAPE).unwrap();
    let Request::Abort { message, .. } = Request::decode(header.kind, fields).unwrap() else {
        panic!("another request");
    };
    assert_eq!(message, "ü".repeat(MAX_TEXT / 2));
}
