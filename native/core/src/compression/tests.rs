//! Properties that hold for every codec, and those of each one.

use proptest::collection::vec;
use proptest::prelude::*;

use super::int8::BLOCK;
use super::{Codec, CompressionError, CompressionSpec, ErrorFeedback, encode_into};

const DENSE: [CompressionSpec; 4] = [
    CompressionSpec::None {},
    CompressionSpec::Bf16 {},
    CompressionSpec::F16 {},
    CompressionSpec::Int8 {},
];

fn specs() -> impl Strategy<Value = CompressionSpec> {
    prop_oneof![
        proptest::sample::select(DENSE.as_slice()),
        (0.001..=1.0).prop_map(|ratio| CompressionSpec::TopK { ratio }),
    ]
}

/// Values as messages hold them, and some that are zero, denormal or huge.
fn value() -> impl Strategy<Value = f32> {
    prop_oneof![
        8 => -0.1_f32..0.1,
        4 => proptest::num::f32::NORMAL,
        1 => proptest::num::f32::SUBNORMAL,
        1 => Just(0.0_f32),
        1 => proptest::sample::select(vec![f32::MAX, f32::MIN, f32::MIN_POSITIVE, -0.0]),
    ]
}

fn codec(spec: CompressionSpec, elements: usize) -> Box<dyn Codec> {
    spec.codec(elements).unwrap()
}

fn round_trip(spec: CompressionSpec, values: &[f32]) -> Vec<f32> {
    let mut codec = codec(spec, values.len());
    let mut bytes = Vec::new();
    encode_into(&mut *codec, values, &mut bytes);
    let mut decoded = vec![f32::NAN; values.len()];
    codec.decode(&bytes, &mut decoded).unwrap();
    decoded
}

fn malformed(codec: &dyn Codec, bytes: &[u8], elements: usize) -> String {
    match codec.decode(bytes, &mut vec![0.0; elements]).unwrap_err() {
        CompressionError::Malformed { problem, .. } => problem,
        other => panic!("{other}"),
    }
}

/// The largest error that a codec may make at one of these values.
fn bound(spec: CompressionSpec, values: &[f32], index: usize) -> f64 {
    let size = f64::from(values[index].abs());
    match spec {
        CompressionSpec::None {} => 0.0,
        CompressionSpec::Bf16 {} => (size / 256.0).max(f64::from(f32::from_bits(0x8000))),
        CompressionSpec::F16 {} if size > 65504.0 => size - 65504.0,
        CompressionSpec::F16 {} => (size / 2048.0).max(2.0_f64.powi(-25)),
        CompressionSpec::Int8 {} => {
            let block =
                &values[index / BLOCK * BLOCK..values.len().min((index / BLOCK + 1) * BLOCK)];
            let largest = block.iter().fold(0.0_f64, |most, x| most.max(f64::from(x.abs())));
            (largest / 253.9).max(127.0 * f64::from(f32::MIN_POSITIVE))
        }
        CompressionSpec::TopK { .. } => size,
    }
}

proptest! {
    #[test]
    fn what_is_decoded_is_finite_and_within_the_codecs_bound(spec in specs(), values in vec(value(), 0..1500)) {
        let decoded = round_trip(spec, &values);
        for (index, (value, decoded)) in values.iter().zip(&decoded).enumerate() {
            prop_assert!(decoded.is_finite(), "{value} became {decoded}");
            let off = (f64::from(*value) - f64::from(*decoded)).abs();
            prop_assert!(off <= bound(spec, &values, index), "{value} became {decoded}");
        }
    }

    #[test]
    fn what_is_decoded_is_coded_as_itself_again(values in vec(value(), 0..1500), spec in specs()) {
        // A block's scale may move by a rounding.
        prop_assume!(spec != CompressionSpec::Int8 {});
        let decoded = round_trip(spec, &values);
        prop_assert_eq!(round_trip(spec, &decoded), decoded);
    }

    #[test]
    fn pieces_that_begin_at_a_grain_are_coded_to_the_bytes_of_the_whole(
        spec in specs(), values in vec(value(), 0..1500), grains in 1..4_usize,
    ) {
        let mut codec = codec(spec, values.len());
        let Some(grain) = codec.grain() else { return Ok(()) };
        let mut whole = Vec::new();
        encode_into(&mut *codec, &values, &mut whole);
        let (mut joined, mut piece) = (Vec::new(), Vec::new());
        for values in values.chunks(grain * grains) {
            encode_into(&mut *codec, values, &mut piece);
            joined.extend_from_slice(&piece);
        }
        prop_assert_eq!(whole, joined);
    }

    #[test]
    fn nan_and_infinity_are_seen_by_the_receiver(
        spec in specs(), mut values in vec(value(), 1..1500), place: proptest::sample::Index, negative: bool,
    ) {
        for other in [f32::NAN, f32::INFINITY] {
            let index = place.index(values.len());
            values[index] = if negative { -other } else { other };
            prop_assert!(!round_trip(spec, &values)[index].is_finite());
        }
    }

    #[test]
    fn a_message_of_another_length_is_refused(spec in specs(), elements in 0..1500_usize, off in 1..20_usize) {
        let codec = codec(spec, elements);
        let length = codec.encoded_len(elements);
        malformed(&*codec, &vec![0; length + off], elements);
        if let Some(shorter) = length.checked_sub(off) {
            malformed(&*codec, &vec![0; shorter], elements);
        }
    }

    #[test]
    fn any_bytes_are_values_or_an_error(spec in specs(), elements in 0..1500_usize, bytes in vec(any::<u8>(), 12_000)) {
        let codec = codec(spec, elements);
        let _any = codec.decode(&bytes[..codec.encoded_len(elements)], &mut vec![0.0; elements]);
    }

    #[test]
    fn the_largest_magnitudes_are_kept_and_of_equal_ones_the_earlier(
        ratio in 0.001..=1.0, values in vec(prop_oneof![value(), (-3..3_i8).prop_map(f32::from)], 1..1500),
    ) {
        let spec = CompressionSpec::TopK { ratio };
        let kept = codec(spec, values.len()).encoded_len(values.len()) / 8;
        prop_assert_eq!(kept, (ratio * values.len() as f64).ceil() as usize);
        prop_assert_eq!(round_trip(spec, &values), sorted_top(&values, kept));
    }

    #[test]
    fn what_is_sent_and_what_is_kept_make_up_what_was_to_be_sent(
        spec in specs(), messages in vec(vec(-1.0_f32..1.0, 700), 1..6),
    ) {
        let mut feedback = ErrorFeedback::new(codec(spec, 700), 700);
        let mut sent = vec![0.0; 700];
        for message in messages {
            let before = feedback.residual().to_vec();
            let distortion = feedback.compress(&message).unwrap();
            codec(spec, 700).decode(feedback.bytes(), &mut sent).unwrap();
            let (mut signal, mut error) = (0.0, 0.0);
            for (index, d) in message.iter().enumerate() {
                let wanted = f64::from(*d) + f64::from(before[index]);
                let (sent, kept) = (f64::from(sent[index]), f64::from(feedback.residual()[index]));
                prop_assert!((sent + kept - wanted).abs() <= 1e-6 * wanted.abs().max(1e-6));
                signal += wanted * wanted;
                error += kept * kept;
            }
            prop_assert!((distortion.signal - signal).abs() <= 1e-5 * signal);
            prop_assert!((distortion.error - error).abs() <= 1e-5 * error.max(1e-9));
            prop_assert_eq!(feedback.ratio(), 2800.0 / feedback.bytes().len() as f64);
        }
    }
}

/// The values of the `kept` largest magnitudes by a stable sort, zero elsewhere.
fn sorted_top(values: &[f32], kept: usize) -> Vec<f32> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[b].abs().total_cmp(&values[a].abs()));
    let mut top = vec![0.0; values.len()];
    for &index in &order[..kept] {
        top[index] = values[index];
    }
    top
}

/// A sequence of numbers in [-1, 1) that looks random.
fn noise(length: usize, seed: u64) -> impl Iterator<Item = f32> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    })
    .take(length)
}

/// With a steady direction which the codec alone would lose: too small beside its neighbours.
#[test]
fn over_many_messages_all_that_was_to_be_sent_arrives() {
    const ELEMENTS: usize = 1000;
    for spec in DENSE.into_iter().chain([CompressionSpec::TopK { ratio: 0.02 }]) {
        let mut feedback = ErrorFeedback::new(codec(spec, ELEMENTS), ELEMENTS);
        let (mut wanted, mut arrived) = (vec![0.0_f64; ELEMENTS], vec![0.0_f64; ELEMENTS]);
        let mut received = vec![0.0; ELEMENTS];
        for step in 0..1000 {
            let message: Vec<f32> = noise(ELEMENTS, step)
                .enumerate()
                .map(|(index, noise)| 1e-3 + noise * if index % 100 == 0 { 1.0 } else { 1e-3 })
                .collect();
            for (wanted, d) in wanted.iter_mut().zip(&message) {
                *wanted += f64::from(*d);
            }
            feedback.compress(&message).unwrap();
            feedback.codec().decode(feedback.bytes(), &mut received).unwrap();
            for (arrived, d) in arrived.iter_mut().zip(&received) {
                *arrived += f64::from(*d);
            }
        }
        for (index, (wanted, arrived)) in wanted.iter().zip(&arrived).enumerate() {
            let open = f64::from(feedback.residual()[index]);
            assert!((wanted - arrived - open).abs() < 1e-3, "{spec:?}: {wanted} {arrived} {open}");
            assert!((wanted - arrived).abs() < 0.15, "{spec:?} at {index}: {wanted} {arrived}");
        }
    }
}

/// Large messages find their threshold by a sample, which must not decide what is kept.
#[test]
fn the_largest_of_a_long_message_are_found_whatever_the_sample_says() {
    const ELEMENTS: usize = 300_000;
    let spread: Vec<f32> = noise(ELEMENTS, 1).map(|x| x * x * x).collect();
    let mut clustered = spread.clone();
    clustered[5000..9000].iter_mut().for_each(|x| *x *= 1e6);
    let equal = vec![0.5; ELEMENTS];
    let zero = vec![0.0; ELEMENTS];
    let mut spike = zero.clone();
    spike[123_456] = -1.0;
    for values in [spread, clustered, equal, zero, spike] {
        for ratio in [1e-6, 0.001, 0.01, 0.3, 1.0] {
            let kept = (ratio * ELEMENTS as f64).ceil() as usize;
            let top = sorted_top(&values, kept);
            assert!(round_trip(CompressionSpec::TopK { ratio }, &values) == top, "{ratio}");
        }
    }
}

#[test]
fn indices_that_repeat_descend_or_lie_beyond_the_message_are_refused() {
    let codec = codec(CompressionSpec::TopK { ratio: 0.2 }, 10);
    let bytes = |indices: [u32; 2]| {
        let mut bytes: Vec<u8> = indices.iter().flat_map(|index| index.to_le_bytes()).collect();
        bytes.extend([1.0_f32, 2.0].iter().flat_map(|value| value.to_le_bytes()));
        bytes
    };
    codec.decode(&bytes([3, 9]), &mut [0.0; 10]).unwrap();
    for (indices, wrong) in [([3, 3], 3), ([4, 3], 3), ([3, 10], 10), ([u32::MAX, 1], u32::MAX)] {
        let problem = malformed(&*codec, &bytes(indices), 10);
        assert_eq!(problem, format!("index {wrong} is out of order or beyond the parameters"));
    }
}

#[test]
fn a_scale_that_no_block_has_is_refused_and_one_that_is_not_finite_is_seen() {
    let codec = codec(CompressionSpec::Int8 {}, 3);
    let bytes = |scale: f32, number: i8| {
        let mut bytes = scale.to_le_bytes().to_vec();
        bytes.extend([1, 2, number as u8]);
        bytes
    };
    let mut out = [0.0; 3];
    codec.decode(&bytes(0.5, -127), &mut out).unwrap();
    assert_eq!(out, [0.5, 1.0, -63.5]);
    for scale in [-1.0, -0.0, f32::MIN_POSITIVE / 2.0, f32::MAX] {
        malformed(&*codec, &bytes(scale, 1), 3);
    }
    malformed(&*codec, &bytes(0.5, -128), 3);
    for scale in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        codec.decode(&bytes(scale, 0), &mut out).unwrap();
        assert!(out.iter().all(|value| value.is_nan()));
    }
}

#[test]
fn half_precision_rounds_to_nearest_even_and_saturates() {
    let cases = |spec, cases: &[(f32, f32)]| {
        for &(value, expected) in cases {
            for sign in [1.0, -1.0] {
                let decoded = round_trip(spec, &[sign * value])[0];
                assert_eq!(decoded.to_bits(), (sign * expected).to_bits(), "{spec:?} of {value}");
            }
        }
    };
    let tiny = 2.0_f32.powi(-24);
    let bf16 = |bits: u32| f32::from_bits(bits << 16);
    cases(
        CompressionSpec::Bf16 {},
        &[
            (1.0, 1.0),
            (f32::from_bits(0x3f80_8000), 1.0),
            (f32::from_bits(0x3f81_8000), bf16(0x3f82)),
            (f32::from_bits(0x3f80_8001), bf16(0x3f81)),
            (f32::MAX, bf16(0x7f7f)),
            (f32::INFINITY, f32::INFINITY),
            (f32::from_bits(0x0001_8000), bf16(2)),
        ],
    );
    cases(
        CompressionSpec::F16 {},
        &[
            (1.0, 1.0),
            (2049.0, 2048.0),
            (2051.0, 2052.0),
            (65504.0, 65504.0),
            (65519.0, 65504.0),
            (65520.0, 65504.0),
            (f32::MAX, 65504.0),
            (f32::INFINITY, f32::INFINITY),
            (tiny, tiny),
            (tiny * 0.5, 0.0),
            (tiny * 0.50001, tiny),
            (tiny * 1.5, tiny * 2.0),
            (tiny * 1023.0, tiny * 1023.0),
            (tiny * 1023.75, tiny * 1024.0),
            (f32::MIN_POSITIVE, 0.0),
        ],
    );
}

#[test]
fn every_code_of_half_precision_is_the_code_of_its_own_value() {
    for spec in [CompressionSpec::Bf16 {}, CompressionSpec::F16 {}] {
        let mut codec = codec(spec, 1 << 16);
        let bytes: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_le_bytes).collect();
        let mut values = vec![0.0; 1 << 16];
        codec.decode(&bytes, &mut values).unwrap();
        let mut again = Vec::new();
        encode_into(&mut *codec, &values, &mut again);
        for (index, value) in values.iter().enumerate() {
            let code = u16::from_le_bytes([again[2 * index], again[2 * index + 1]]);
            assert!(value.is_nan() || usize::from(code) == index, "{value} of {index:04x}");
        }
    }
}

#[test]
fn the_relative_error_is_that_of_all_messages() {
    let mut distortion = super::Distortion::default();
    assert_eq!(distortion.relative_error(), 0.0);
    let codec = codec(CompressionSpec::TopK { ratio: 0.25 }, 8);
    let mut feedback = ErrorFeedback::new(codec, 8);
    assert_eq!(feedback.ratio(), 2.0);
    distortion.add(feedback.compress(&[4.0, 0.0, -3.0, 0.0, 0.0, 0.0, 0.0, 12.0]).unwrap());
    assert_eq!(distortion.relative_error(), 3.0 / 13.0);
    distortion.add(feedback.compress(&[0.0; 8]).unwrap());
    assert_eq!(distortion.relative_error(), 3.0 / 178.0_f64.sqrt());
    let before = distortion;
    distortion.add(feedback.compress(&[f32::NAN; 8]).unwrap());
    assert_eq!(distortion, before, "what is not finite is for the receiver to refuse");
}

#[test]
fn denormal_numbers_are_neither_sent_nor_kept() {
    let tiny = f32::MIN_POSITIVE / 2.0;
    for spec in DENSE.into_iter().chain([CompressionSpec::TopK { ratio: 0.5 }]) {
        let mut feedback = ErrorFeedback::new(codec(spec, 3), 3);
        let mut received = [1.0; 3];
        for message in [[tiny, -tiny, 0.0], [f32::MIN_POSITIVE * 1.25, -f32::MIN_POSITIVE, tiny]] {
            feedback.compress(&message).unwrap();
            feedback.codec().decode(feedback.bytes(), &mut received).unwrap();
            for value in received.iter().chain(feedback.residual()) {
                assert!(value.is_normal() || *value == 0.0, "{spec:?}: {value}");
            }
        }
    }
}

#[test]
fn an_empty_message_is_coded_as_nothing() {
    for spec in DENSE.into_iter().chain([CompressionSpec::TopK { ratio: 0.5 }]) {
        let mut feedback = ErrorFeedback::new(codec(spec, 0), 0);
        feedback.compress(&[]).unwrap();
        assert!(feedback.bytes().is_empty());
        feedback.codec().decode(feedback.bytes(), &mut []).unwrap();
    }
}
