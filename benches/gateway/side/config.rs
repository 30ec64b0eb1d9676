//! The configurations that the sides run with.

use std::{
    fmt::Write,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU32, Ordering},
};

use tokio::net::TcpListener;

use crate::{Result, scenario::Scenario};

/// The group with one deployment of three that fails.
pub(crate) const FLAKY: &str = "flaky";

/// A limit that is counted but never met.
const RPM: u32 = 1_000_000_000;

/// A path of its own for each that asks; the name comes last.
pub(crate) fn path(name: &str) -> Result<PathBuf> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let directory = directory();
    std::fs::create_dir_all(&directory)?;
    Ok(directory.join(format!("{}-{name}", NEXT.fetch_add(1, Ordering::Relaxed))))
}

/// Removes what [`path`] led to.
pub(crate) fn clean() {
    // What cannot be removed is in a build's directory for temporary files.
    let _removed = std::fs::remove_dir_all(directory());
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("gateway-{}", std::process::id()))
}

/// An address that was free a moment ago.
pub(crate) async fn free_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0").await?.local_addr()?)
}

/// The owner's kind of configuration: three deployments a group, each with a limit; retries, timeout, cooldown, fallbacks.
/// Metrics are always on.
///
/// `upstream` is a URL without a path.
pub(crate) fn owners(upstream: &str) -> String {
    let mut yaml = Yaml::new(upstream);
    for scenario in Scenario::ALL.into_iter().filter(|scenario| *scenario != Scenario::Fail) {
        for n in 0..3 {
            yaml.deployment(scenario.name(), scenario, n);
        }
    }
    for (n, scenario) in [Scenario::Chat, Scenario::Chat, Scenario::Fail].into_iter().enumerate() {
        yaml.deployment(FLAKY, scenario, n);
    }
    let yaml = yaml.policies("[{\"chat\": [\"burst\"]}, {\"paced\": [\"burst\"]}, {\"flaky\": [\"chat\"]}]");
    // Ten thousand clients who hardly ask need few upstreams, so that the open files of a small machine do.
    yaml + "router_settings:\n  max_connections: 15000\n"
}

/// A configuration of a given size: groups named `group-0`, `group-1`, ..., each of so many deployments.
pub(crate) fn sized(upstream: SocketAddr, groups: impl Iterator<Item = usize>) -> String {
    let mut yaml = Yaml::new(&format!("http://{upstream}"));
    for (group, deployments) in groups.enumerate() {
        for n in 0..deployments {
            yaml.deployment(&format!("group-{group}"), Scenario::Chat, n);
        }
    }
    yaml.policies("[]")
}

struct Yaml {
    upstream: String,
    text: String,
}

impl Yaml {
    fn new(upstream: &str) -> Self {
        Self { upstream: upstream.to_owned(), text: "model_list:\n".to_owned() }
    }

    fn deployment(&mut self, group: &str, scenario: Scenario, n: usize) {
        let Self { upstream, text } = self;
        // Writing to a String cannot fail.
        let _written = write!(
            text,
            "  - model_name: {group}\n    litellm_params:\n      model: openai/gpt-4o-mini\n      \
             api_base: {upstream}/{}/{n}/v1\n      api_key: sk-bench-{n}\n      rpm: {RPM}\n",
            scenario.name()
        );
    }

    fn policies(self, fallbacks: &str) -> String {
        self.text
            + "litellm_settings:\n  num_retries: 2\n  request_timeout: 60\n  allowed_fails: 3\n  cooldown_time: 5\n  fallbacks: "
            + fallbacks
            + "\n"
    }
}

/// nginx as a reverse proxy that streams, with connections kept on both sides.
pub(crate) fn nginx(at: SocketAddr, upstream: SocketAddr, directory: impl AsRef<Path>) -> String {
    let directory = directory.as_ref().display();
    format!(
        "daemon off;\nmaster_process off;\npid {directory}/pid;\nerror_log stderr crit;\n\
         events {{ worker_connections 30000; }}\n\
         http {{\n  access_log off;\n  client_max_body_size 0;\n  client_body_buffer_size 8m;\n  keepalive_requests 1000000000;\n\
         client_body_temp_path {directory}/body;\n  proxy_temp_path {directory}/proxy;\n\
         fastcgi_temp_path {directory}/fastcgi;\n  uwsgi_temp_path {directory}/uwsgi;\n  scgi_temp_path {directory}/scgi;\n\
         upstream to {{ server {upstream}; keepalive 512; keepalive_requests 1000000000; }}\n\
         server {{\n    listen {at};\n    location / {{\n      proxy_pass http://to;\n      proxy_http_version 1.1;\n\
         proxy_set_header Connection \"\";\n      proxy_buffering off;\n      proxy_request_buffering off;\n    }}\n  }}\n}}\n"
    )
}

/// HAProxy as a reverse proxy, with connections kept on both sides; it tells upstreams when clients leave, as the others do.
pub(crate) fn haproxy(at: SocketAddr, upstream: SocketAddr) -> String {
    format!(
        "defaults\n  mode http\n  option http-no-delay\n  option abortonclose\n  timeout connect 5s\n  \
         timeout client 60s\n  timeout server 60s\nfrontend in\n  bind {at}\n  default_backend out\n\
         backend out\n  http-reuse always\n  server upstream {upstream}\n"
    )
}
