//! A driver's server with shards, each of which can be put behind a proxy.

use firesteel_core::spec::{ClientSpec, ServerShards, ServerSpec, ShardAddress, ShardSpec};
use firesteel_core::{CancelFlag, ChannelError, Registration};
use firesteel_ps::{Server, ShardServer};

use super::proxy::Proxy;
use super::{Peer, SECRET, Transport, buffers, client_spec, layout};

pub const DRIVER_SECRET: &str = "5500112233445566778899aabbccddeeff00112233445566778899aabbccddee";

/// The number of parameters of a stripe.
pub const STRIPE: usize = 32 * 1024;

pub struct Cluster {
    pub server: Server,
    pub shards: Vec<ShardServer>,
    pub client: ClientSpec,
    pub parameters: usize,
}

pub fn shard_spec(spec: &ServerSpec, shard: u32, shards: u32) -> ShardSpec {
    ShardSpec {
        fit: spec.fit.clone(),
        shard,
        shards,
        network: spec.network.clone(),
        data: spec.data.clone(),
        strategy: spec.strategy.clone(),
        optimizer: spec.optimizer,
        workers: spec.workers,
        bind_address: "127.0.0.1".to_owned(),
        port: 0,
        port_max_retries: 0,
        secret: SECRET.to_owned(),
        driver_secret: DRIVER_SECRET.to_owned(),
        silence_millis: 20_000,
        tls: spec.tls.clone(),
    }
}

pub fn at(port: u16) -> ShardAddress {
    ShardAddress { host: "127.0.0.1".to_owned(), port, executor: None }
}

/// Opens the shards except the driver's; also returns their part of the driver's specification.
pub fn shards(
    spec: &ServerSpec,
    count: u32,
    parameters: usize,
    change: impl Fn(&mut ShardSpec),
) -> (Vec<ShardServer>, ServerShards) {
    let opened: Vec<_> = (1..count)
        .map(|shard| {
            let mut spec = shard_spec(spec, shard, count);
            change(&mut spec);
            ShardServer::open(&spec, &layout(parameters)).unwrap()
        })
        .collect();
    let servers = opened.iter().map(|shard| at(shard.port())).collect();
    let driver_secret = DRIVER_SECRET.to_owned();
    (opened, ServerShards { servers, driver_secret, timeout_millis: 1_500, tls: None })
}

impl Cluster {
    /// Opens a fit with `count` servers; with one it is the server of all other tests.
    pub fn open(spec: &ServerSpec, count: u32, center: &[f32]) -> Self {
        let parameters = center.len();
        let (opened, servers) = shards(spec, count, parameters, |_| {});
        let mut spec = spec.clone();
        spec.shards = (count > 1).then_some(servers);
        let server = Server::open(&spec, layout(parameters), center.to_vec(), buffers()).unwrap();
        let mut client = client_spec(&spec, server.port());
        client.shards = spec.shards.map(|shards| shards.servers).unwrap_or_default();
        Self { server, shards: opened, client, parameters }
    }

    /// Puts a proxy before each of the servers, the driver's first; also returns the client's specification.
    pub fn proxies(&self) -> (Vec<Proxy>, ClientSpec) {
        let ports =
            std::iter::once(self.server.port()).chain(self.shards.iter().map(ShardServer::port));
        let proxies: Vec<_> = ports.map(Proxy::new).collect();
        let mut client = self.client.clone();
        client.port = proxies[0].port;
        client.shards = proxies[1..].iter().map(|proxy| at(proxy.port)).collect();
        (proxies, client)
    }

    pub fn peer(&self, registration: Registration) -> Peer {
        Peer::connect(Transport::Socket, &self.client, self.parameters, registration)
    }

    pub fn try_peer(
        &self,
        client: &ClientSpec,
        registration: Registration,
        cancel: &CancelFlag,
    ) -> Result<Peer, ChannelError> {
        Peer::try_connect(Transport::Socket, client, self.parameters, registration, cancel)
    }
}
