//! The settings by which replicas share their limits: [`ReplicaSettings`].

use std::{fmt, sync::Arc, time::Duration};

use secrecy::SecretString;

/// `redis_*`: the server through which replicas share limits, and the rules. Changes need a restart.
#[derive(Clone)]
pub struct ReplicaSettings {
    /// The server.
    pub server: RedisServer,
    /// The user, if the server has several.
    pub username: Option<SecretString>,
    /// The password.
    pub password: Option<SecretString>,
    /// The password of the sentinels.
    pub sentinel_password: Option<SecretString>,
    /// True if connections are encrypted.
    pub tls: bool,
    /// The number of the database.
    pub db: u32,
    /// `redis_namespace`: the part of the keys that distinguishes gateways on one server. Default: a hash of the groups'
    /// names.
    pub namespace: Arc<str>,
    /// `redis_replicas`: the number of replicas by which each limit is divided until the server is reached. Default: 1.
    pub replicas: u64,
    /// True for `when_isolated: stop`: a replica without the server for longer than its lease uses no further permits. By
    /// default it keeps its leases.
    pub stops_when_isolated: bool,
    /// `heartbeat`: the time between two syncs without demand. Default: 1 s.
    pub heartbeat: Duration,
    /// `lease`: the time without a sync after which the others take over the permits of a replica. Default: 5 s.
    pub lease: Duration,
}

/// The address of a server, a cluster, or sentinels.
#[derive(Clone)]
pub enum RedisServer {
    /// `redis_url`. It may contain a password.
    Url(SecretString),
    /// `redis_host` and `redis_port`.
    Single(RedisAddress),
    /// `redis_startup_nodes`: some nodes of a cluster.
    Cluster(Vec<RedisAddress>),
    /// `sentinel_nodes` and `service_name`.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<RedisAddress>,
        /// The name of the primary server.
        service_name: String,
    },
}

/// A host and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RedisAddress {
    /// The name or address.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl RedisServer {
    /// Returns a description without secrets: the number of nodes, or the address.
    fn describe(&self) -> String {
        match self {
            Self::Url(_) => "redis_url".into(),
            Self::Single(RedisAddress { host, port }) => format!("{host}:{port}"),
            Self::Cluster(nodes) => format!("a cluster of which {} nodes are named", nodes.len()),
            Self::Sentinel { sentinels, .. } => format!("{} sentinels", sentinels.len()),
        }
    }
}

impl fmt::Display for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl fmt::Debug for ReplicaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReplicaSettings")
            .field("server", &self.server.describe())
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}
