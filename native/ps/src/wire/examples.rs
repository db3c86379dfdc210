//! One example of every message with its exact bytes, which hold the protocol to the tables in [`wire`](super).

use firesteel_core::compression::{Coding, CompressionSpec, Distortion};
use firesteel_core::{Answer, ErrorCode, Granted, Position, Registration, Span, Tally, WorkerId};

use crate::model::{Decision, Flaw, Share, WindowReport};
use crate::wire::{Message, Reply, Request, ShardRequest};

const WORKER: WorkerId = WorkerId { partition: 3, index: 1 };
const START: Position = Position { epoch: 1, batch: 200 };
const TALLY: Tally = Tally { loss: 1.5, weight: 640.0 };
const FLAW: Flaw = Flaw { index: 70_000, value: f32::NEG_INFINITY };
const WINDOW: WindowReport = WindowReport {
    sequence: 300,
    span: Span { start: START, batches: 5, rows: 640 },
    tally: TALLY,
    distortion: Distortion { signal: 2.0, error: 0.25 },
};
const ANSWER: Answer =
    Answer { version: 70_000, staleness: 4, stop: true, evaluation: false, reductions: 2 };

/// The bytes of [`WINDOW`].
const WINDOW_BYTES: &str =
    "ac02 01 c801 05 8005 000000000000f83f 0000000000008440 0000000000000040 000000000000d03f";

/// Fails unless a message with a payload of this length has exactly these bytes, of which `header` are the payload's and
/// the fields' length, zeros and kind.
fn check<M: Message + PartialEq + std::fmt::Debug>(
    message: &M,
    payload: u64,
    header: &str,
    fields: &str,
) {
    let mut bytes = Vec::new();
    message.encode(payload, &mut bytes);
    let digits: String = format!("{header}{fields}").split_whitespace().collect();
    let encoded: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(encoded, digits, "{message:?}");
    assert_eq!(M::decode(&bytes[15..]).unwrap(), *message);
}

#[test]
fn every_request_has_these_bytes() {
    let registration = Registration {
        worker: WORKER,
        attempt: -2,
        rows: 1000,
        content: u64::MAX,
        batches: 32,
        held_out: 100,
    };
    let heartbeat = Request::Heartbeat { position: START, rows: 640, tally: TALLY };
    let abort = Request::Abort { code: ErrorCode::InvalidData, message: "bad row".to_owned() };
    let score = Request::Score { epoch: 2, sums: vec![1.5, 640.0] };
    check(
        &Request::Register(registration),
        0,
        "0000000000000000 11000000 000000 00",
        "03 01 03 e807 ffffffffffffffffff01 20 64",
    );
    check(&Request::Pull, 0, "0000000000000000 00000000 000000 01", "");
    check(&Request::Commit(WINDOW), 2059, "0b08000000000000 28000000 000000 02", WINDOW_BYTES);
    check(&Request::Exchange(WINDOW), 2059, "0b08000000000000 28000000 000000 03", WINDOW_BYTES);
    check(&Request::Save(WINDOW), 4028, "bc0f000000000000 28000000 000000 04", WINDOW_BYTES);
    check(
        &heartbeat,
        0,
        "0000000000000000 15000000 000000 05",
        "01 c801 8005 000000000000f83f 0000000000008440",
    );
    check(&abort, 0, "0000000000000000 09000000 000000 06", "02 07 62616420726f77");
    check(&Request::Finish, 0, "0000000000000000 00000000 000000 07", "");
    check(&Request::Contribute(WINDOW), 2059, "0b08000000000000 28000000 000000 08", WINDOW_BYTES);
    check(&Request::CloseRound { sequence: 300 }, 0, "0000000000000000 02000000 000000 09", "ac02");
    check(
        &Request::Flawed { window: WINDOW, flaw: FLAW },
        0,
        "0000000000000000 2f000000 000000 0a",
        &format!("{WINDOW_BYTES} f0a204 000080ff"),
    );
    check(&Request::Evaluate, 0, "0000000000000000 00000000 000000 0b", "");
    check(
        &score,
        0,
        "0000000000000000 12000000 000000 0c",
        "02 02 000000000000f83f 0000000000008440",
    );
}

#[test]
fn every_request_to_a_shard_has_these_bytes() {
    let nobody = WorkerId { partition: u32::MAX, index: u32::MAX };
    let share = Share { worker: WORKER, attempt: 7, sequence: 300, weight: 640.0 };
    let decisions = vec![
        Decision::Apply { worker: WORKER, attempt: 7, sequence: 300, staleness: 4 },
        Decision::Close { shares: vec![share], learning_rate: Some(0.25) },
        Decision::Close { shares: Vec::new(), learning_rate: None },
        Decision::Read { worker: WORKER, round: true },
        Decision::Forget { worker: WORKER, attempt: -2 },
    ];
    check(
        &ShardRequest::Stage { worker: WORKER, attempt: 7, sequence: 300 },
        2059,
        "0b08000000000000 05000000 000000 00",
        "03 01 0e ac02",
    );
    check(
        &ShardRequest::Fetch { worker: nobody, decision: 70_000 },
        0,
        "0000000000000000 0d000000 000000 01",
        "ffffffff0f ffffffff0f f0a204",
    );
    check(&ShardRequest::Load, 4028, "bc0f000000000000 00000000 000000 02", "");
    check(
        &ShardRequest::Decide { first: 70_000, decisions },
        0,
        "0000000000000000 2e000000 000000 03",
        "f0a204 05
         00 03 01 0e ac02 04
         01 01 03 01 0e ac02 0000000000008440 01 000000000000d03f
         01 00 00
         02 03 01 01
         03 03 01 03",
    );
    check(&ShardRequest::End, 0, "0000000000000000 00000000 000000 04", "");
}

#[test]
fn every_reply_has_these_bytes() {
    let welcome = |message, center| Reply::Welcome {
        floats: 3,
        integers: 2,
        coding: Coding { message, center },
    };
    let [none, bf16, f16, int8] = [
        CompressionSpec::None {},
        CompressionSpec::Bf16 {},
        CompressionSpec::F16 {},
        CompressionSpec::Int8 {},
    ];
    let failure = Reply::Failure { code: ErrorCode::Fenced, message: "gone".to_owned() };
    check(
        &welcome(CompressionSpec::TopK { ratio: 0.25 }, bf16),
        0,
        "0000000000000000 0c000000 000000 00",
        "03 02 04 000000000000d03f 01",
    );
    check(&welcome(none, f16), 0, "0000000000000000 04000000 000000 00", "03 02 00 02");
    check(&welcome(int8, none), 0, "0000000000000000 04000000 000000 00", "03 02 03 00");
    check(
        &Reply::Registered(Granted { position: START, workers: 8 }),
        0,
        "0000000000000000 04000000 000000 01",
        "01 c801 08",
    );
    check(&Reply::Answer(ANSWER), 0, "0000000000000000 07000000 000000 02", "f0a204 04 01 00 02");
    check(
        &Reply::Center(ANSWER),
        2028,
        "ec07000000000000 07000000 000000 03",
        "f0a204 04 01 00 02",
    );
    check(
        &Reply::Decided { answer: ANSWER, decision: 300 },
        2028,
        "ec07000000000000 09000000 000000 04",
        "f0a204 04 01 00 02 ac02",
    );
    check(&Reply::Done, 0, "0000000000000000 00000000 000000 05", "");
    check(&Reply::Waiting, 0, "0000000000000000 00000000 000000 06", "");
    check(&failure, 0, "0000000000000000 06000000 000000 07", "05 04 676f6e65");
    check(&Reply::Staged { flaw: None }, 0, "0000000000000000 01000000 000000 08", "00");
    check(
        &Reply::Staged { flaw: Some(FLAW) },
        0,
        "0000000000000000 08000000 000000 08",
        "01 f0a204 000080ff",
    );
    check(&Reply::Slice, 2028, "ec07000000000000 00000000 000000 09", "");
    check(&Reply::Exact, 4028, "bc0f000000000000 00000000 000000 0a", "");
    check(&Reply::Gone, 0, "0000000000000000 00000000 000000 0b", "");
    check(
        &Reply::Frozen { answer: ANSWER, epoch: 2 },
        4028,
        "bc0f000000000000 08000000 000000 0c",
        "f0a204 04 01 00 02 02",
    );
    check(
        &Reply::Unassigned { answer: ANSWER, over: true },
        0,
        "0000000000000000 08000000 000000 0d",
        "f0a204 04 01 00 02 01",
    );
}
