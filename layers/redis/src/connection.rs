//! Connections to the servers: [`Servers`], [`Link`].

use std::{collections::HashMap, time::Duration};

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
    servers: Connector,
    connect_timeout: Duration,
    /// `None` before the first call and after a failure.
    connection: Option<Connection>,
}

enum Connector {
    Single(Client),
    Cluster(ClusterClient),
    Sentinel(SentinelClient),
}

/// An established connection. It has no timeout of its own, so that a blocking command may wait.
pub(crate) enum Connection {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Link {
    pub(crate) fn new(servers: &Servers, connect_timeout: Duration) -> RedisResult<Self> {
        let servers = match servers.clone() {
            Servers::Single(server) => Connector::Single(Client::open(server)?),
            Servers::Cluster(nodes) => Connector::Cluster(
                ClusterClient::builder(nodes)
                    .connection_timeout(connect_timeout)
                    // The callers have timeouts of their own.
                    .response_timeout(Duration::from_secs(3600))
                    .retries(1)
                    .build()?,
            ),
            Servers::Sentinel { sentinels, service_name, node } => Connector::Sentinel(
                SentinelClient::build(sentinels, service_name, Some(node), SentinelServerType::Master)?,
            ),
        };
        Ok(Self { servers, connect_timeout, connection: None })
    }

    /// Takes the connection, or connects. A caller that fails does not put it back, so that the next one asks again for
    /// the primary server.
    pub(crate) async fn take(&mut self) -> RedisResult<Connection> {
        if let Some(connection) = self.connection.take() {
            return Ok(connection);
        }
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_timeout))
            .set_response_timeout(None);
        Ok(match &mut self.servers {
            Connector::Single(client) => {
                Connection::Single(client.get_multiplexed_async_connection_with_config(&config).await?)
            }
            Connector::Cluster(client) => Connection::Cluster(client.get_async_connection().await?),
            Connector::Sentinel(client) => {
                Connection::Single(client.get_async_connection_with_config(&config).await?)
            }
        })
    }

    pub(crate) fn put_back(&mut self, connection: Connection) {
        self.connection = Some(connection);
    }
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
