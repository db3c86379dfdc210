//! The numbers, positions and rounds of resumed fits.

use super::*;

#[test]
fn one_worker_goes_on_from_a_checkpoint_bit_for_bit_as_if_nothing_had_happened() {
    for strategy in strategies() {
        // In these strategies the replica differs from the center variable, and a retry loses it.
        if matches!(strategy.name(), "aeasgd" | "eamsgd" | "easgd") {
            continue;
        }
        let spec = spec_of(strategy, 1, 3);
        let name = format!("{:?}", spec.strategy);
        let open =
            |spec| Server::open(spec, layout(PARAMETERS), start(PARAMETERS), buffers()).unwrap();
        let straight = open(&spec);
        train(&spec, &straight, 1, usize::MAX);
        let whole = straight.snapshot().unwrap();
        let ledger = straight.summary().ledger;
        drop(straight);

        let first = open(&spec);
        train(&spec, &first, 1, 2);
        let bytes = written(&first);
        drop(first);
        let second = resumed(&spec, PARAMETERS, &bytes).unwrap();
        train(&again(&spec), &second, 0, usize::MAX);
        assert_eq!(second.snapshot().unwrap(), whole, "{name}");
        for (one, other) in second.summary().ledger.iter().zip(&ledger) {
            assert_eq!((one.epoch, one.rows), (other.epoch, other.rows), "{name}");
            let batches: u32 = one.spans.iter().map(|span| span.batches).sum();
            assert_eq!(batches, 5, "{name}");
        }
    }
}

#[test]
fn the_workers_of_a_checkpoint_go_on_in_fewer_tasks_and_start_their_epochs_again_over_other_rows() {
    let spec = spec_of(StrategySpec::named("averaging").unwrap(), 4, 3);
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    let mut peers = [0, 1, 2, 3]
        .map(|task| Peer::connect(Transport::Memory, &client, SMALL, registration(task, 4, 3)));
    for _ in 0..4 {
        for peer in &mut peers {
            peer.contribute(1.0).unwrap();
        }
        for peer in &mut peers {
            peer.close_round().unwrap();
        }
    }
    let mut checkpoint = Checkpoint::read(&written(&server)).unwrap();
    assert_eq!(checkpoint.status().workers, 4);
    checkpoint.spread_over(2);
    let spec = again(&spec);
    let second = Server::resume(&spec, layout(SMALL), &checkpoint).unwrap();
    let client = client_spec(&spec, second.port());
    let mut peers = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(partition, index)| {
        let mut registration = registration(partition, 5, 3);
        registration.worker = WorkerId { partition, index };
        registration.content = 8;
        Peer::connect(Transport::Memory, &client, SMALL, registration)
    });
    assert!(peers.iter().all(|peer| peer.position == Position { epoch: 1, batch: 0 }));
    for _ in 0..6 {
        for peer in &mut peers {
            peer.contribute(1.0).unwrap();
        }
        for peer in &mut peers {
            peer.close_round().unwrap();
        }
    }
    peers.iter_mut().for_each(|peer| peer.channel.finish().unwrap());
    second.snapshot().unwrap();
    let ledger = second.summary().ledger;
    assert_eq!(ledger.len(), 4 * 3);
    assert!(ledger.iter().all(|entry| entry.rows == 30), "{ledger:?}");
}

#[test]
fn what_is_read_back_and_written_again_is_the_same_for_every_strategy() {
    for strategy in strategies() {
        let spec = spec_of(strategy, 1, 3);
        let server = Server::open(&spec, layout(PARAMETERS), start(PARAMETERS), buffers()).unwrap();
        train(&spec, &server, 1, 3);
        let checkpoint = server.checkpoint("of this test").unwrap();
        let bytes = checkpoint.to_bytes().unwrap();
        assert_eq!(Checkpoint::read(&bytes).unwrap(), checkpoint, "{:?}", spec.strategy);
        let (version, center) = (checkpoint.status().version, server.status());
        let second = resumed(&spec, PARAMETERS, &bytes).unwrap();
        let after = second.status();
        assert_eq!(
            (after.version, after.commits, after.pulls),
            (version, center.commits, center.pulls)
        );
        assert_eq!((after.epochs, after.rows_trained), (center.epochs, center.rows_trained));
        assert_eq!(second.summary().staleness_histogram, server.summary().staleness_histogram);
        let again = second.checkpoint("of this test").unwrap().to_bytes().unwrap();
        let arrays = |bytes: &[u8]| {
            let header = u64::from_le_bytes(bytes[12..20].try_into().unwrap()) as usize;
            bytes[20 + header..bytes.len() - 8].to_vec()
        };
        assert!(arrays(&again) == arrays(&bytes), "{:?}", spec.strategy);
    }
}

#[test]
fn a_resumed_fit_has_the_progress_and_no_lease_and_takes_attempts_with_lower_numbers() {
    let (spec, server, bytes) = two_workers("downpour");
    let status = Checkpoint::read(&bytes).unwrap().status();
    assert_eq!((status.epoch, status.version, status.rows_trained), (0, 5, 50));
    assert_eq!(status.fingerprint, "of this test");
    drop(server);
    let server = resumed(&spec, SMALL, &bytes).unwrap();
    let status = server.status();
    assert!(status.workers.iter().all(|worker| worker.state == WorkerState::Lost));
    assert_eq!(status.resumed.unwrap().epoch, 0);
    let warning = status.warnings.last().unwrap();
    assert!(warning.contains("resumed in epoch 1 of 3"), "{warning}");
    let client = client_spec(&again(&spec), server.port());
    let mut peers = [0, 1]
        .map(|worker| Peer::connect(Transport::Socket, &client, SMALL, registration(worker, 0, 3)));
    assert_eq!(peers[0].position, Position { epoch: 1, batch: 1 });
    assert_eq!(peers[1].position, Position { epoch: 0, batch: 1 });
    peers[0].pull();
    assert_eq!(peers[0].center, vec![4.5; SMALL]);
    assert_eq!(peers[0].commit(1.0).unwrap().staleness, 0);
    let ledger = server.summary().ledger;
    let spans: Vec<_> = ledger[1].spans.iter().map(|s| (s.attempt, s.start, s.batches)).collect();
    assert_eq!(spans, [(-1, 0, 1), (0, 1, 1)]);
}

#[test]
fn a_worker_whose_rows_are_others_than_in_the_interrupted_fit_starts_its_epoch_again() {
    let (spec, server, bytes) = two_workers("downpour");
    drop(server);
    let server = resumed(&spec, SMALL, &bytes).unwrap();
    let client = client_spec(&again(&spec), server.port());
    let other = Registration { content: 8, ..registration(0, 0, 3) };
    let peer = Peer::connect(Transport::Memory, &client, SMALL, other);
    assert_eq!(peer.position, Position { epoch: 1, batch: 0 });
    let warnings = server.status().warnings;
    assert!(
        warnings.last().unwrap().contains("than the interrupted fit: 30 rows with other contents"),
        "{warnings:?}"
    );
    assert_eq!(server.summary().ledger[1].superseded_rows, 10);
}

#[test]
fn a_checkpoint_holds_no_window_in_part_while_workers_go_on() {
    let spec = ServerSpec { epochs: 1, ..server_spec(2, 1) };
    let server = Server::open(&spec, layout(PARAMETERS), vec![0.0; PARAMETERS], buffers()).unwrap();
    let client = client_spec(&spec, server.port());
    thread::scope(|scope| {
        for worker in 0..2 {
            let client = &client;
            scope.spawn(move || {
                let registered = registration(worker, 1, 200);
                let mut peer = Peer::connect(Transport::Memory, client, PARAMETERS, registered);
                peer.buffers.floats.fill(1.0);
                for _ in 0..200 {
                    peer.commit(1.0).unwrap();
                }
            });
        }
        for _ in 0..20 {
            let bytes = written(&server);
            let checkpoint = Checkpoint::read(&bytes).unwrap();
            let version = checkpoint.status().version;
            assert_eq!(checkpoint.status().rows_trained, 10 * version);
            let resumed = resumed(&spec, PARAMETERS, &bytes).unwrap();
            let client = client_spec(&again(&spec), resumed.port());
            let mut reader =
                Peer::connect(Transport::Memory, &client, PARAMETERS, registration(0, 9, 200));
            assert_eq!(reader.pull().version, version);
            assert_eq!(reader.center, vec![version as f32; PARAMETERS]);
        }
    });
}

#[test]
fn the_first_round_after_a_resume_waits_for_all_workers_that_are_not_done() {
    let mut spec = spec_of(StrategySpec::named("sync").unwrap(), 2, 2);
    spec.start_timeout_millis = 300;
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    let mut peers = [0, 1]
        .map(|worker| Peer::connect(Transport::Memory, &client, SMALL, registration(worker, 4, 3)));
    for peer in &mut peers {
        peer.contribute(1.0).unwrap();
    }
    for peer in &mut peers {
        peer.close_round().unwrap();
    }
    peers[0].contribute(2.0).unwrap();
    let bytes = written(&server);
    assert_eq!(
        Checkpoint::read(&bytes).unwrap().status().version,
        1,
        "the open round is not in it"
    );
    let spec_again = ServerSpec { start_timeout_millis: 30_000, ..again(&spec) };
    let second =
        Server::resume(&spec_again, layout(SMALL), &Checkpoint::read(&bytes).unwrap()).unwrap();
    let client = client_spec(&spec_again, second.port());
    let mut first = Peer::connect(Transport::Memory, &client, SMALL, registration(0, 0, 3));
    assert_eq!(first.position.batch, 1);
    first.contribute(1.0).unwrap();
    assert_eq!(second.status().version, 1, "the other one is missing");
    let mut other = Peer::connect(Transport::Memory, &client, SMALL, registration(1, 1, 3));
    other.contribute(1.0).unwrap();
    assert_eq!(first.close_round().unwrap().version, 2);
    drop(second);

    let third = resumed(&spec, SMALL, &bytes).unwrap();
    let client = client_spec(&again(&spec), third.port());
    let _one = Peer::connect(Transport::Memory, &client, SMALL, registration(0, 0, 3));
    thread::sleep(Duration::from_millis(400));
    let failure = third.status().failure.unwrap();
    assert_eq!(failure.code, ErrorCode::StartTimeout.number());
}

#[test]
fn the_members_of_an_ensemble_are_kept() {
    let spec = spec_of(StrategySpec::named("ensemble").unwrap(), 2, 1);
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    for worker in 0..2 {
        let mut peer = Peer::connect(Transport::Memory, &client, SMALL, registration(worker, 1, 1));
        peer.pull();
        peer.save(worker as f32 + 1.0).unwrap();
        peer.channel.finish().unwrap();
    }
    let bytes = written(&server);
    let second = resumed(&spec, SMALL, &bytes).unwrap();
    assert_eq!(second.members().unwrap(), server.members().unwrap());
    assert_eq!(second.members().unwrap()[1].1, vec![2.0; SMALL]);
}
