//! The arguments of LiteLLM's command, so that its start scripts work: each is accepted with a warning that says what it means
//! here, or refused where the gateway would do less than it asks for.

use std::{ffi::OsString, process::ExitCode};

use super::environment::USAGE;

/// The meaning of an argument of LiteLLM's.
enum Meaning {
    /// No effect.
    Ignored,
    /// An alias of this argument.
    Replaced(&'static str),
    /// An error.
    Refused,
}

use Meaning::{Ignored, Refused, Replaced};

/// An argument: its names, true if it has a value, its meaning, and the text of the warning.
type Row = (&'static [&'static str], bool, Meaning, &'static str);

const ROWS: &[Row] = &[
    (&["--debug", "--detailed_debug"], false, Ignored, "set RUST_LOG=tollgate=info or tollgate=debug"),
    (&["--log_config"], true, Ignored, "RUST_LOG sets what is logged"),
    (
        &["--num_workers", "--granian_threads", "--timeout_worker_healthcheck"],
        true,
        Ignored,
        "one process uses all cores",
    ),
    (
        &["--run_gunicorn", "--run_hypercorn", "--run_granian", "--use_queue", "--local"],
        false,
        Ignored,
        "there is one server",
    ),
    (
        &["--max_requests_before_restart", "--max_requests_before_restart_jitter"],
        true,
        Ignored,
        "the process needs no restart",
    ),
    (&["--reload"], false, Ignored, "SIGHUP reloads the configuration"),
    (&["--keepalive_timeout"], true, Ignored, "write `keepalive_timeout` below `router_settings`"),
    (&["--limit_concurrency"], true, Ignored, "write `max_in_flight` below `router_settings`"),
    (&["--request_timeout"], true, Ignored, "write `request_timeout` below `litellm_settings`"),
    (&["--drop_params"], false, Ignored, "write `drop_params: true` below `litellm_settings`"),
    (
        &["--temperature", "--max_tokens"],
        true,
        Ignored,
        "write it below `default_litellm_params` in `router_settings`",
    ),
    (&["--add_function_to_prompt"], false, Ignored, "functions are sent as they are"),
    (&["--telemetry"], true, Ignored, "none is sent"),
    (&["--prometheus_metrics_port"], true, Ignored, "the metrics are at /metrics of the same port"),
    (&["--max_request_header_size"], true, Ignored, "the limit is fixed"),
    (
        &[
            "--azure_postgresql_auth",
            "--check_migrations_against_existing_data",
            "--enforce_prisma_migration_check",
            "--iam_token_db_auth",
            "--use_legacy_migration_resolver",
            "--use_prisma_db_push",
            "--use_v2_migration_resolver",
        ],
        false,
        Ignored,
        "there is no database",
    ),
    (&["--validate_config"], false, Replaced("--check"), "it is `--check`"),
    (&["-v"], false, Replaced("--version"), "it is `--version`"),
    (&["--ciphers"], true, Refused, "TLS is served with the ciphers of rustls"),
    (&["--max_budget"], true, Refused, "write `max_budget` below `litellm_settings`"),
    (
        &["--model", "-m", "--alias", "--api_base", "--api_version", "--add_key", "--headers"],
        true,
        Refused,
        "write the deployment in a configuration file",
    ),
    (&["--test", "--health", "--num_requests"], true, Refused, "start the gateway, and send it a request"),
    (
        &["--save", "--setup", "--skip_server_startup", "--test_async"],
        false,
        Refused,
        "there is nothing to set up: write a configuration file",
    ),
];

/// Returns the arguments of the process without those of LiteLLM, after printing a warning for each of them.
///
/// # Errors
///
/// Returns the exit code after printing the error, if an argument is refused.
pub(super) fn without(mut arguments: impl Iterator<Item = OsString>) -> Result<Vec<OsString>, ExitCode> {
    let mut kept = Vec::new();
    while let Some(argument) = arguments.next() {
        let text = argument.to_string_lossy();
        let name = text.split('=').next().unwrap_or_default();
        let Some((_, has_value, meaning, word)) = ROWS.iter().find(|(names, ..)| names.contains(&name))
        else {
            kept.push(argument);
            continue;
        };
        match meaning {
            Refused => {
                eprintln!("error: `{name}` of LiteLLM is not supported: {word}");
                return Err(USAGE.into());
            }
            Ignored => eprintln!("warning: `{name}` has no effect: {word}"),
            Replaced(own) => {
                eprintln!("warning: {word}");
                kept.push(own.into());
            }
        }
        if *has_value && !text.contains('=') {
            arguments.next();
        }
    }
    Ok(kept)
}
