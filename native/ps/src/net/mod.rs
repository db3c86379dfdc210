//! Connections: sockets, TLS, the server's side of the handshake, listening, and the payloads that are received and sent.

mod flow;
mod handshake;
mod inbox;
mod link;
pub(crate) mod listener;
mod outbox;
mod receive;
mod socket;
pub(crate) mod tls;
mod waiting;

use std::time::Duration;

pub(crate) use flow::{ConnectionError, Flow, refusal};
pub(crate) use handshake::{Authenticator, LINGER};
pub(crate) use inbox::{Inbox, InboxPool};
pub(crate) use link::{IoTimeouts, Link, LinkError};
pub(crate) use listener::{Listener, Service, thread_name};
pub(crate) use outbox::Outbox;
pub(crate) use receive::{ReceivedMessage, receive_coded, receive_message, receive_parameters};
pub(crate) use waiting::waiting_notifier;

/// The longest time for which a peer may stop in the middle of a frame, or accept no bytes.
pub(crate) const STALL: Duration = Duration::from_secs(30);

/// The timeouts of a server that reads the header of a request: the first byte may take as long as the peer wants.
pub(crate) const BETWEEN_FRAMES: IoTimeouts = IoTimeouts { first: None, stall: STALL };

/// The timeouts of a server that reads the rest of a request.
pub(crate) const WITHIN_FRAME: IoTimeouts = IoTimeouts { first: Some(STALL), stall: STALL };
