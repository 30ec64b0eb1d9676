//! Connections to the servers: [`Servers`], [`Link`].

use std::{collections::HashMap, future::Future, pin::Pin, time::Duration};

use redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, FromRedisValue, IntoConnectionInfo, RedisResult,
    Value,
    aio::MultiplexedConnection,
    cluster::ClusterClient,
    cluster_async::ClusterConnection,
    cmd, from_redis_value,
    sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType},
};

/// The servers of a ledger.
#[derive(Clone, Debug)]
pub enum Servers {
    /// A single server.
    Single(ConnectionInfo),
    /// A cluster, by some of its nodes. All keys of one ledger are in one slot.
    Cluster(Vec<ConnectionInfo>),
    /// The primary server that sentinels name.
    Sentinel {
        /// The sentinels.
        sentinels: Vec<ConnectionInfo>,
        /// The name of the primary server.
        service_name: String,
        /// The credentials and the TLS of the primary server.
        node: SentinelNodeConnectionInfo,
    },
}

impl Servers {
    /// Returns the server of a URL: `redis://`, `rediss://`, or `unix://`.
    ///
    /// # Errors
    /// If the URL is invalid.
    pub fn single(url: &str) -> RedisResult<Self> {
        Ok(Self::Single(url.into_connection_info()?))
    }
}

/// A description of a server, for messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerInfo {
    /// The name and version: "Redis 7.0.15".
    pub version: String,
    /// The value of `maxmemory-policy`, if the server states it. With `allkeys-...` the server may evict the ledger's data,
    /// which costs a part of the limits for the grace of a loss.
    pub eviction: Option<String>,
}

/// A connection that is used by one call at a time, and the means to make it.
pub(crate) struct Link {
    servers: Servers,
    connect_timeout: Duration,
    /// The attempt to connect. It goes on with the next call if a caller has given up: a timeout of one call may be shorter
    /// than the handshake.
    connecting: Option<Connecting>,
    /// `None` before the first call and after a failure.
    connection: Option<Connection>,
}

type Connecting = Pin<Box<dyn Future<Output = RedisResult<Connection>> + Send>>;

/// An established connection. It has no timeout of its own, so that a blocking command may wait.
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(crate) const fn new(servers: Servers, connect_timeout: Duration) -> Self {
        Self { servers, connect_timeout, connecting: None, connection: None }
    }

    /// Takes the connection, or connects. A caller that fails does not put it back, so that the next one asks again for
    /// the primary server.
    pub(crate) async fn take(&mut self) -> RedisResult<Connection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let connect = || -> Connecting { Box::pin(connect(self.servers.clone(), self.connect_timeout)) };
        let result = self.connecting.get_or_insert_with(connect).as_mut().await;
        self.connecting = None;
        result
    }

    pub(crate) fn put_back(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }
}

async fn connect(servers: Servers, connect_timeout: Duration) -> RedisResult<Connection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(connect_timeout)).set_response_timeout(None);
    Ok(match servers {
        Servers::Single(server) => {
            let client = Client::open(server)?;
            Connection::Single(client.get_multiplexed_async_connection_with_config(&config).await?)
        }
        Servers::Cluster(nodes) => {
            let client = cluster(nodes, connect_timeout)?;
            Connection::Cluster(client.get_async_connection().await?)
        }
        Servers::Sentinel { sentinels, service_name, node } => {
            let mut client =
                SentinelClient::build(sentinels, service_name, Some(node), SentinelServerType::Master)?;
            Connection::Single(client.get_async_connection_with_config(&config).await?)
        }
    })
}

fn cluster(nodes: Vec<ConnectionInfo>, connect_timeout: Duration) -> RedisResult<ClusterClient> {
    let builder = ClusterClient::builder(nodes).connection_timeout(connect_timeout).retries(1);
    // The callers have timeouts of their own.
    builder.response_timeout(Duration::from_secs(3600)).build()
}

impl Connection {
    pub(crate) async fn query<T: FromRedisValue>(&mut self, command: &Cmd) -> RedisResult<T> {
        match self {
            Self::Single(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Returns the description of the server, or of one node of a cluster.
    pub(crate) async fn info(&mut self) -> RedisResult<ServerInfo> {
        let mut fields = HashMap::new();
        for section in ["server", "memory"] {
            let response: Value = self.query(cmd("INFO").arg(section)).await?;
            for line in text_of(response)?.lines() {
                if let Some((name, value)) = line.trim().split_once(':') {
                    fields.insert(name.to_owned(), value.to_owned());
                }
            }
        }
        let name = if fields.contains_key("valkey_version") { "Valkey" } else { "Redis" };
        let version = fields.get("valkey_version").or_else(|| fields.get("redis_version"));
        let version = version.map_or_else(String::new, |version| format!(" {version}"));
        Ok(ServerInfo { version: format!("{name}{version}"), eviction: fields.remove("maxmemory_policy") })
    }
}

/// Returns the text of a response, or of one node's among those of a cluster.
fn text_of(response: Value) -> RedisResult<String> {
    match response {
        Value::Map(nodes) => {
            let first = nodes.into_iter().next().map_or(Value::Nil, |(_, text)| text);
            Ok(from_redis_value(first)?)
        }
        text => Ok(from_redis_value(text)?),
    }
}
