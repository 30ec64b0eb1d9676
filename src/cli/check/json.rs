//! The result of a check as JSON.

use serde_json::{Value, json};

use super::summary::{address, has_no_key};
use crate::config::{
    Alias, Config, Deployment, Diagnostic, Diagnostics, FallbackTarget, Fallbacks, Grade, Severity,
};

/// Returns the report on a file that was read. `config` is none if it has errors.
pub(super) fn report(
    (verdict, starts): (&str, bool),
    config: Option<&Config>,
    diagnostics: &Diagnostics,
) -> Value {
    let list = |entries: Vec<&Diagnostic>| entries.into_iter().map(diagnostic).collect::<Value>();
    let count = |grade| diagnostics.count(grade);
    json!({
        "verdict": verdict,
        "starts": starts,
        "counts": {
            "errors": diagnostics.errors().count(),
            "left_out": diagnostics.left_out().count(),
            "unsafe": count(Grade::Unsafe),
            "lost": count(Grade::Lost),
            "harmless": count(Grade::Harmless),
        },
        "errors": list(diagnostics.errors().collect()),
        "left_out": list(diagnostics.left_out().collect()),
        "warnings": list(diagnostics.warnings().collect()),
        "config": config.map(summary),
    })
}

/// Returns the report on a file that cannot be read.
pub(super) fn unreadable(verdict: &str, message: &str) -> Value {
    json!({"verdict": verdict, "starts": false, "errors": [{"message": message.trim()}]})
}

fn diagnostic(d: &Diagnostic) -> Value {
    let grade = match d.severity {
        Severity::Warning(grade) => Some(grade.to_string()),
        Severity::Error | Severity::LeftOut => None,
    };
    json!({
        "grade": grade,
        "key": d.hazard.as_deref(),
        "accepted": d.accepted,
        "message": d.message,
        "help": d.help,
        "file": &*d.file,
        "line": d.line,
        "column": d.column,
        "path": &*d.path,
    })
}

fn summary(config: &Config) -> Value {
    let settings = &config.settings;
    let groups = config.groups.iter().map(|group| {
        let deployments: Value = group.deployments.iter().map(deployment).collect();
        json!({"name": &*group.name, "deployments": deployments})
    });
    let alias = |alias: &Alias| json!({"name": &*alias.name, "group": &*alias.group, "hidden": alias.hidden});
    json!({
        "groups": groups.collect::<Value>(),
        "aliases": config.aliases.iter().map(alias).collect::<Value>(),
        "fallbacks": fallbacks(Some(&settings.fallbacks)),
        "context_window_fallbacks": fallbacks(settings.context_window_fallbacks.as_ref()),
        "content_policy_fallbacks": fallbacks(settings.content_policy_fallbacks.as_ref()),
        "needs_key": !config.is_open(),
        "settings": {
            "routing_strategy": settings.strategy.name(),
            "num_retries": settings.num_retries,
            "request_timeout": settings.timeout.as_secs_f64(),
            "stream_timeout": settings.stream_timeout.map(|time| time.as_secs_f64()),
            "stream_idle_timeout": settings.stream_idle_timeout.as_secs_f64(),
            "cooldown_time": settings.cooldown_time.as_secs_f64(),
            "max_fallbacks": settings.max_fallbacks,
            "queue_timeout": settings.queue_timeout.as_secs_f64(),
            "max_queue": settings.max_queue,
            "max_in_flight": settings.max_in_flight,
        },
    })
}

fn deployment(d: &Deployment) -> Value {
    let limits = &d.limits;
    json!({
        "id": &*d.id,
        "provider": d.target.vendor.prefix,
        "model": &*d.target.model,
        "address": address(d),
        "mock": d.mock.is_some(),
        "has_key": !has_no_key(d),
        "rpm": limits.rpm,
        "tpm": limits.tpm,
        "itpm": limits.itpm,
        "otpm": limits.otpm,
        "rpd": limits.rpd,
        "tpd": limits.tpd,
        "max_parallel_requests": limits.parallel,
        "weight": limits.weight,
        "order": limits.order,
        "sends": d.defaults.iter().map(|(name, _)| &**name).collect::<Vec<_>>(),
    })
}

fn fallbacks(fallbacks: Option<&Fallbacks>) -> Value {
    let targets = |list: &[FallbackTarget]| list.iter().map(|target| &*target.model).collect::<Value>();
    let Some(fallbacks) = fallbacks else { return Value::Null };
    let groups = fallbacks.by_group.iter().map(|(group, list)| (group.to_string(), targets(list)));
    let default =
        Some(("*".to_owned(), targets(&fallbacks.default))).filter(|_| !fallbacks.default.is_empty());
    Value::Object(groups.chain(default).collect())
}
