//! The servers of the ledger, by the settings of the file.

use secrecy::{ExposeSecret, SecretString};
use tollgate_redis::{
    RedisLedger, RedisLedgerConfig, Servers,
    redis::{
        ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo, RedisResult, TlsMode,
        sentinel::SentinelNodeConnectionInfo,
    },
};

use crate::config::{RedisAddress, RedisServer, ReplicaSettings};

/// Returns the ledger of a configuration. It does not connect yet.
///
/// # Errors
/// If an address is invalid.
pub(crate) fn ledger(settings: &ReplicaSettings) -> RedisResult<RedisLedger> {
    let mut config = RedisLedgerConfig::new(&*settings.namespace);
    config.ledger.lease_time = settings.lease;
    Ok(RedisLedger::new(servers(settings)?, config))
}

fn servers(settings: &ReplicaSettings) -> RedisResult<Servers> {
    let node = |address: &RedisAddress| server(address, settings, credentials(settings));
    Ok(match &settings.server {
        RedisServer::Url(url) => Servers::Single(with_url(url, settings)?),
        RedisServer::Single(address) => Servers::Single(node(address)?),
        RedisServer::Cluster(nodes) => Servers::Cluster(nodes.iter().map(node).collect::<RedisResult<_>>()?),
        RedisServer::Sentinel { sentinels, service_name } => {
            let own = with_password(RedisConnectionInfo::default(), settings.sentinel_password.as_ref());
            let sentinel = |address: &RedisAddress| server(address, settings, own.clone());
            let mut primary =
                SentinelNodeConnectionInfo::default().set_redis_connection_info(credentials(settings));
            if settings.tls {
                primary = primary.set_tls_mode(TlsMode::Secure);
            }
            Servers::Sentinel {
                sentinels: sentinels.iter().map(sentinel).collect::<RedisResult<_>>()?,
                service_name: service_name.clone(),
                node: primary,
            }
        }
    })
}

/// Returns the server of a URL. A password that is set beside it applies if the URL has none.
fn with_url(url: &SecretString, settings: &ReplicaSettings) -> RedisResult<ConnectionInfo> {
    let info = url.expose_secret().into_connection_info()?;
    if info.redis_settings().password().is_some() || settings.password.is_none() {
        return Ok(info);
    }
    let db = info.redis_settings().db();
    Ok(info.set_redis_settings(credentials(settings).set_db(db)))
}

fn server(
    address: &RedisAddress,
    settings: &ReplicaSettings,
    credentials: RedisConnectionInfo,
) -> RedisResult<ConnectionInfo> {
    let (host, port) = (address.host.clone(), address.port);
    let address = if settings.tls {
        ConnectionAddr::TcpTls { host, port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host, port)
    };
    Ok(address.into_connection_info()?.set_redis_settings(credentials))
}

fn credentials(settings: &ReplicaSettings) -> RedisConnectionInfo {
    let info = RedisConnectionInfo::default().set_db(i64::from(settings.db));
    let info = with_password(info, settings.password.as_ref());
    match &settings.username {
        Some(username) => info.set_username(username.expose_secret()),
        None => info,
    }
}

fn with_password(info: RedisConnectionInfo, password: Option<&SecretString>) -> RedisConnectionInfo {
    match password {
        Some(password) => info.set_password(password.expose_secret()),
        None => info,
    }
}
