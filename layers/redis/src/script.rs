//! Lua scripts, called by their hash: [`Script`], and their arguments.

use std::time::Duration;

use redis::{Cmd, ErrorKind, FromRedisValue, RedisResult, ServerErrorKind, cmd};

use crate::connection::Connection;

/// The definition of the time, which precedes each script.
const CLOCK: &str = include_str!("clock.lua");

/// A script, and its hash.
#[derive(Debug)]
pub(crate) struct Script {
    text: String,
    hash: String,
}

/// The keys and arguments of one call of a script.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) keys: Vec<String>,
    pub(crate) values: Vec<String>,
}

impl Script {
    /// Returns the script that syncs a replica.
    pub(crate) fn sync() -> Self {
        Self::new(CLOCK, include_str!("sync.lua"))
    }

    /// Returns the script that reads events.
    pub(crate) fn events() -> Self {
        Self::new(CLOCK, include_str!("events.lua"))
    }

    /// Returns the script that adds up totals.
    pub(crate) fn totals() -> Self {
        Self::new("", include_str!("totals.lua"))
    }

    pub(crate) fn new(clock: &str, body: &str) -> Self {
        let text = format!("{clock}{body}");
        let hash = redis::Script::new(&text).get_hash().to_owned();
        Self { text, hash }
    }

    /// Calls the script by its hash, or with its text if the server does not know the hash: after a restart, a failover,
    /// or `SCRIPT FLUSH`.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        connection: &mut Connection,
        arguments: &Arguments,
    ) -> RedisResult<T> {
        match connection.query(&self.by_hash(arguments)).await {
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                connection.query(&self.by_text(arguments)).await
            }
            result => result,
        }
    }

    fn by_hash(&self, arguments: &Arguments) -> Cmd {
        arguments.command("EVALSHA", &self.hash)
    }

    pub(crate) fn by_text(&self, arguments: &Arguments) -> Cmd {
        arguments.command("EVAL", &self.text)
    }
}

impl Arguments {
    fn command(&self, name: &str, script: &str) -> Cmd {
        let mut command = cmd(name);
        command.arg(script).arg(self.keys.len()).arg(&self.keys).arg(&self.values);
        command
    }
}

/// Returns the whole milliseconds of a duration.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
