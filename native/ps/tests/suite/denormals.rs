//! Moments that decay to denormal numbers: the server flushes them on every thread that runs its update rules.

use crate::support::*;
use firesteel_core::FlushDenormals;
use firesteel_core::spec::{OptimizerSpec, StrategySpec};

const PARAMETERS: usize = 40_000;
const ROUNDS: u32 = 150;

/// With this epsilon a denormal first moment still moves a parameter visibly.
const ADAM: OptimizerSpec = OptimizerSpec::Adam {
    learning_rate: 1.0,
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-30,
    weight_decay: 0.0,
    amsgrad: false,
};

/// Returns the bits of the center variable after a round with a small gradient and many rounds without one. The
/// worker's thread flushes denormals as a task's thread does, or not.
fn trained(transport: Transport, flush: bool) -> Vec<u32> {
    let _flush = flush.then(FlushDenormals::new);
    let mut spec = server_spec(1, 1);
    spec.strategy = StrategySpec::named("sync").unwrap();
    spec.optimizer = Some(ADAM);
    let server = open(&spec, PARAMETERS);
    let client = client_spec(&spec, server.port());
    let mut peer = Peer::connect(transport, &client, PARAMETERS, registration(0, 1, 2 * ROUNDS));
    peer.round(1e-35).unwrap();
    for _ in 1..ROUNDS {
        peer.round(0.0).unwrap();
    }
    peer.center.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn adam_on_the_server_gives_the_same_bits_through_memory_and_through_a_socket() {
    let expected = trained(Transport::Memory, true);
    assert!(f32::from_bits(expected[0]) < 0.0);
    for (transport, flush) in
        [(Transport::Memory, false), (Transport::Socket, true), (Transport::Socket, false)]
    {
        let bits = trained(transport, flush);
        let differ = bits.iter().zip(&expected).filter(|(one, other)| one != other).count();
        assert_eq!(differ, 0, "{transport:?}, flushed by the worker: {flush}");
    }
}
