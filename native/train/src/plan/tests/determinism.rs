//! The bits of planned networks.

use proptest::prelude::*;

use super::random::graph;
use super::sequences::trained_for;
use crate::plan::Planned;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]
    #[test]
    fn the_same_seed_trains_a_random_graph_to_the_same_bits(
        choices in prop::collection::vec(any::<u8>(), 0..8),
        width in 1_usize..40,
    ) {
        let graph = graph(&choices, width, 4, None);
        let bits = |planned: &mut Planned| {
            let (losses, parameters) = trained_for(&graph, planned, 6);
            let losses: Vec<u64> = losses.into_iter().map(f64::to_bits).collect();
            let parameters: Vec<u32> = parameters.into_iter().map(f32::to_bits).collect();
            (losses, parameters)
        };
        let mut planned = Planned::new(&graph).unwrap();
        let expected = bits(&mut planned);
        prop_assert_eq!(&bits(&mut planned), &expected, "memory of an earlier training");
        prop_assert_eq!(&bits(&mut Planned::new(&graph).unwrap()), &expected, "new memory");
    }
}
