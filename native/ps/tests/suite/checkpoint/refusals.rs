//! Checkpoints of other fits, of failed ones, and damaged bytes.

use super::*;

#[test]
fn a_checkpoint_of_another_fit_is_refused_and_says_of_which() {
    let (spec, server, bytes) = two_workers("downpour");
    drop(server);
    let refused = |spec: &ServerSpec, parameters, text: &str| {
        let error = resumed(spec, parameters, &bytes).err().unwrap();
        assert_eq!(error.code(), ErrorCode::Checkpoint);
        assert!(error.to_string().contains(text), "{error}");
    };
    refused(&spec, SMALL + 1, "another network");
    refused(&ServerSpec { workers: 3, ..spec.clone() }, SMALL, "3, 3");
    refused(&ServerSpec { epochs: 4, ..spec.clone() }, SMALL, "4");
    let other = ServerSpec { strategy: StrategySpec::named("adag").unwrap(), ..spec.clone() };
    refused(&other, SMALL, "'downpour'");
    let mut other = spec.clone();
    set_options(&mut other.strategy, &json!({"serverOptimizer": server_optimizers()[1]}));
    refused(&other, SMALL, "stripe 0: the state belongs to another rule");
}

#[test]
fn where_the_center_variable_lies_on_several_servers_there_are_no_checkpoints() {
    let mut spec = server_spec(1, 2);
    let bytes = {
        let whole = open(&spec, PARAMETERS);
        written(&whole)
    };
    spec.fit = format!("{}-sharded", spec.fit);
    let cluster = Cluster::open(&spec, 2, &start(PARAMETERS));
    let error = cluster.server.checkpoint("").unwrap_err();
    assert_eq!(error.code(), ErrorCode::Checkpoint);
    assert!(error.to_string().contains("several servers"), "{error}");
    let (_opened, servers) = cluster::shards(&again(&spec), 2, PARAMETERS, |_| {});
    spec.shards = Some(servers);
    let error = resumed(&spec, PARAMETERS, &bytes).err().unwrap();
    assert!(error.to_string().contains("several servers"), "{error}");
}

#[test]
fn a_fit_that_has_failed_or_diverged_gives_no_checkpoint() {
    let spec = server_spec(1, 2);
    let server = open(&spec, SMALL);
    let client = client_spec(&spec, server.port());
    let mut peer = Peer::connect(Transport::Memory, &client, SMALL, registration(0, 1, 4));
    peer.commit(f32::MAX).unwrap();
    peer.commit(f32::MAX).unwrap();
    assert_eq!(server.checkpoint("").unwrap_err().code(), ErrorCode::Diverged);
    peer.channel.abort(ErrorCode::InvalidData, "no good").unwrap();
    assert_eq!(server.checkpoint("").unwrap_err().code(), ErrorCode::InvalidData);
    server.close();
    assert_eq!(server.checkpoint("").unwrap_err().code(), ErrorCode::ServerUnreachable);
}

/// Replaces the checksum by the right one.
fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len().saturating_sub(8);
    bytes.truncate(end);
    let hash = xxh3_64(&bytes);
    bytes.extend(hash.to_le_bytes());
    bytes
}

#[test]
fn what_is_damaged_is_said() {
    let (_, _, bytes) = two_workers("downpour");
    let refused = |bytes: &[u8], text: &str| {
        let error = Checkpoint::read(bytes).unwrap_err();
        assert_eq!(error.code(), ErrorCode::Checkpoint);
        assert!(error.to_string().contains(text), "{error}");
    };
    refused(&[], "0 bytes");
    refused(b"not one of ours", "not a Firesteel checkpoint");
    refused(&bytes[..bytes.len() - 1], "checksum");
    let with = |place: usize, value: &[u8]| {
        let mut changed = bytes.clone();
        changed[place..place + value.len()].copy_from_slice(value);
        changed
    };
    refused(&with(8, &[2]), "version 2");
    refused(&with(bytes.len() - 20, &[77]), "checksum");
    refused(&sealed(with(12, &[0xff; 8])), "header of 18446744073709551615 bytes");
    refused(&sealed(with(20, b"[")), "header cannot be read");
    let name = b"\"parameters\":";
    let place = bytes.windows(name.len()).position(|part| part == name).unwrap() + name.len();
    refused(&sealed(with(place, b"99")), "shorter than its header says");
    let mut longer = bytes.clone();
    longer.splice(bytes.len() - 8..bytes.len() - 8, [0; 3]);
    refused(&sealed(longer), "3 bytes follow");
}

proptest! {
    #[test]
    fn bytes_that_were_changed_or_cut_are_refused(place: prop::sample::Index, value in 1..=255_u8, cut: bool) {
        let (_, _, mut bytes) = two_workers("downpour");
        let place = place.index(bytes.len());
        if cut { bytes.truncate(place) } else { bytes[place] ^= value }
        prop_assert_eq!(Checkpoint::read(&bytes).unwrap_err().code(), ErrorCode::Checkpoint);
    }

    #[test]
    fn bytes_that_were_changed_by_somebody_who_knows_the_checksum_break_nothing(
        changes in prop::collection::vec((any::<prop::sample::Index>(), prop::sample::select(b"0123456789-,]}{e.".to_vec())), 1..4),
    ) {
        let (spec, server, mut bytes) = two_workers("adag");
        drop(server);
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        if let Ok(server) = resumed(&spec, SMALL, &sealed(bytes)) {
            let client = client_spec(&again(&spec), server.port());
            for worker in 0..2 {
                let cancel = firesteel_core::CancelFlag::new();
                let rows = Registration { content: 5, ..registration(worker, 0, 3) };
                if let Ok(mut peer) = Peer::try_connect(Transport::Memory, &client, SMALL, rows, &cancel) {
                    peer.pull();
                    let _ = peer.commit(1.0);
                    let _ = server.status();
                }
            }
            let _ = server.summary();
            let _ = server.checkpoint("").map(|checkpoint| checkpoint.to_bytes());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut ours = b"FSTLCKPT\x01\0\0\0".to_vec();
        ours.extend(&bytes);
        prop_assert!(Checkpoint::read(&bytes).is_err());
        prop_assert!(Checkpoint::read(&sealed(ours)).is_err());
    }
}
