//! The split of the center variable into shards.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::PsError;
use crate::model::STRIPE;

/// The range of parameters of one shard, or of the whole center variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ShardRange {
    shard: u32,
    shards: u32,
    range: Range<usize>,
}

impl ShardRange {
    /// Returns the range of shard `shard` of `shards`. The center variable of `parameters` parameters is split at the
    /// boundaries of stripes, so that the rules work on the same stripes as in one piece, and as evenly as that allows.
    pub(crate) fn new(parameters: usize, shard: u32, shards: u32) -> Result<Self, PsError> {
        let stripes = parameters.div_ceil(STRIPE);
        if shards == 0 || shard >= shards || (shards > 1 && shards as usize > stripes) {
            return Err(PsError::Spec(format!(
                "invalid shard {shard} of {shards}: the network's {parameters} parameters make {stripes} \
                 stripes of {STRIPE}, and every shard needs one"
            )));
        }
        let start = |shard: u32| {
            let stripe = stripes as u128 * u128::from(shard) / u128::from(shards);
            parameters.min(usize::try_from(stripe).unwrap_or(stripes) * STRIPE)
        };
        Ok(Self { shard, shards, range: start(shard)..start(shard + 1) })
    }

    /// True if there are other shards.
    pub(crate) fn is_part(&self) -> bool {
        self.shards > 1
    }

    /// The parameters of the shard.
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// The hash on which a server and its peers must agree: the layout's hash, combined with the shard's number and
    /// range if there is more than one shard.
    pub(crate) fn hash(&self, layout: u64) -> u64 {
        if self.shards == 1 {
            return layout;
        }
        let Range { start, end } = self.range;
        let numbers = [layout, self.shard.into(), self.shards.into(), start as u64, end as u64];
        xxh3_64(bytemuck::cast_slice(&numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn shards_follow_each_other_at_the_ends_of_stripes(
            parameters in 1_usize..20 * STRIPE, shards in 1_u32..12,
        ) {
            let stripes = parameters.div_ceil(STRIPE);
            prop_assume!(shards as usize <= stripes);
            let mut end = 0;
            for shard in 0..shards {
                let range = ShardRange::new(parameters, shard, shards).unwrap().range();
                prop_assert_eq!(range.start, end);
                prop_assert_eq!(range.start % STRIPE, 0);
                prop_assert!(!range.is_empty());
                prop_assert!(range.len() <= STRIPE * stripes.div_ceil(shards as usize));
                end = range.end;
            }
            prop_assert_eq!(end, parameters);
        }
    }

    #[test]
    fn every_shard_has_a_stripe_and_a_hash_of_its_own() {
        let error = ShardRange::new(2 * STRIPE, 0, 3).unwrap_err();
        assert!(error.to_string().contains("make 2 stripes"), "{error}");
        assert!(ShardRange::new(2 * STRIPE, 2, 2).is_err());
        let shard_range = |shard| ShardRange::new(3 * STRIPE, shard, 2).unwrap();
        assert_ne!(shard_range(0).hash(7), shard_range(1).hash(7));
        assert_ne!(shard_range(0).hash(7), shard_range(0).hash(8));
        assert_eq!(ShardRange::new(5, 0, 1).unwrap().hash(7), 7);
    }
}
