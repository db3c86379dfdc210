//! A seeded random generator, separate for each task of a process, with the same values for a seed on every machine.

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// xoshiro256++ (Blackman and Vigna, 2019), seeded through SplitMix64.
#[derive(Clone, Debug)]
pub(crate) struct Generator {
    state: [u64; 4],
    /// The second value of the last pair of normal values.
    spare: Option<f64>,
}

impl Generator {
    pub(crate) fn new(seed: u64) -> Self {
        let mut mix = seed;
        let state = std::array::from_fn(|_| {
            mix = mix.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = mix;
            z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            z ^ (z >> 31)
        });
        Self { state, spare: None }
    }

    /// The generator of one named stream of a seed.
    pub(crate) fn of_stream(seed: u64, stream: &[u8]) -> Self {
        Self::new(xxh3_64_with_seed(stream, seed))
    }

    pub(crate) fn next(&mut self) -> u64 {
        let [a, b, c, d] = self.state;
        let result = a.wrapping_add(d).rotate_left(23).wrapping_add(a);
        let (c, d) = (c ^ a, d ^ b);
        self.state = [a ^ d, b ^ c, c ^ (b << 17), d.rotate_left(45)];
        result
    }

    /// Uniform in `0..1`, with 53 bits.
    pub(crate) fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 * (1.0 / (1_u64 << 53) as f64)
    }

    /// Standard normal (Marsaglia's polar method).
    pub(crate) fn normal(&mut self) -> f64 {
        if let Some(value) = self.spare.take() {
            return value;
        }
        loop {
            let (x, y) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let square = x * x + y * y;
            if square > 0.0 && square < 1.0 {
                let factor = (-2.0 * square.ln() / square).sqrt();
                self.spare = Some(y * factor);
                return x * factor;
            }
        }
    }

    /// Fills with 0 at this probability, else with the reciprocal of the complement: a dropout mask.
    pub(crate) fn mask(&mut self, probability: f64, mask: &mut [f32]) {
        let kept = if probability < 1.0 { (1.0 / (1.0 - probability)) as f32 } else { 0.0 };
        let threshold = (probability * (1_u64 << 32) as f64) as u64;
        for pair in mask.chunks_mut(2) {
            let bits = self.next();
            for (value, half) in pair.iter_mut().zip([bits >> 32, bits & 0xFFFF_FFFF]) {
                *value = if half < threshold { 0.0 } else { kept };
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Generator;

    /// The reference implementation's first outputs for the state 1, 2, 3, 4.
    #[test]
    fn the_generator_is_xoshiro256_plus_plus() {
        let mut generator = Generator { state: [1, 2, 3, 4], spare: None };
        let values: Vec<u64> = (0..4).map(|_| generator.next()).collect();
        assert_eq!(values, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
    }

    #[test]
    fn normal_values_have_mean_zero_and_variance_one() {
        let mut generator = Generator::new(7);
        let values: Vec<f64> = (0..100_000).map(|_| generator.normal()).collect();
        let mean = values.iter().sum::<f64>() / 1e5;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 1e5;
        assert!(mean.abs() < 0.01 && (variance - 1.0).abs() < 0.02, "{mean} {variance}");
    }

    #[test]
    fn a_dropout_mask_keeps_the_expected_share_and_its_mean() {
        let mut mask = vec![0.0; 100_001];
        Generator::new(3).mask(0.3, &mut mask);
        let kept = mask.iter().filter(|&&value| value > 0.0).count() as f64 / 100_001.0;
        assert!((kept - 0.7).abs() < 0.01, "{kept}");
        assert!(mask.iter().all(|&value| value == 0.0 || (value - 1.0 / 0.7).abs() < 1e-6));
        Generator::new(3).mask(1.0, &mut mask);
        assert!(mask.iter().all(|&value| value == 0.0));
        Generator::new(3).mask(0.0, &mut mask);
        assert!(mask.iter().all(|&value| value == 1.0));
    }

    #[test]
    fn streams_of_one_seed_differ_and_repeat() {
        let first = Generator::of_stream(1, b"0.weight").next();
        assert_eq!(first, Generator::of_stream(1, b"0.weight").next());
        assert_ne!(first, Generator::of_stream(1, b"1.weight").next());
        assert_ne!(first, Generator::of_stream(2, b"0.weight").next());
    }
}
