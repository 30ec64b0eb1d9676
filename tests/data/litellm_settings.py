#!/usr/bin/env python3
"""Lists the keys of LiteLLM's sections of settings, one on a line behind the name of the section.

Reads them in a wheel of LiteLLM without running it: the fields of `ConfigGeneralSettings` and the keys that the proxy looks
up in `general_settings`, the arguments of the router, the module's variables that `litellm_settings` sets, and the sections
of the file that the proxy looks up.

    python3 tests/data/litellm_settings.py litellm-1.110.2-*.whl > tests/data/litellm_settings.txt
"""

import ast
import re
import sys
import zipfile

# Variables of the module that are tables, caches and objects, not settings.
NOT_SETTINGS = re.compile(r"(_models|_llms|_key|_pattern|Config|_cache|_client|_aclient|_session|_mappings|_params_map)$|^_")
NAMES = {
    "api_base", "api_key", "api_version", "headers", "key", "logging", "organization", "project", "provider_list", "retry", "token",
    "model_cost", "models_by_provider", "model_list_set", "in_memory_llm_clients_cache", "initialized_langfuse_clients",
    "error_logs", "logged_real_time_event_types", "logging_callback_manager", "adapters", "guardrail_name_config_map",
    "prompt_name_config_map", "vector_store_index_registry", "config_path", "common_cloud_provider_auth_params", "network_mock",
    "caching_with_models", "all_embedding_models", "use_litellm_proxy", "openai_key", "model_list", "modify_integration",
}


def looked_up(source, name):
    """Returns the keys that the source reads from the map of this name."""
    return re.findall(rf"\b{name}(?:\.get\(|\[)\s*[\"'](\w+)[\"']", source)


def declared(source):
    """Returns the annotated variables of a module that are settings."""
    for node in ast.parse(source).body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name = node.target.id
            if name.islower() and not NOT_SETTINGS.search(name) and name not in NAMES:
                yield name


def fields(source, name):
    """Returns the fields of a class."""
    classes = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)}
    return [item.target.id for item in classes[name].body if isinstance(item, ast.AnnAssign)]


def constant(source, name):
    """Returns the value of a constant: a set or a tuple of strings."""
    for node in ast.walk(ast.parse(source)):
        target = getattr(node, "target", None) or (getattr(node, "targets", None) or [None])[0]
        if getattr(target, "id", None) == name:
            return [item.value for item in ast.walk(node.value) if isinstance(item, ast.Constant)]
    raise KeyError(name)


def main():
    wheel = zipfile.ZipFile(sys.argv[1])
    read = lambda path: wheel.read(f"litellm/{path}").decode()
    server = read("proxy/proxy_server.py")
    sources = [wheel.read(name).decode() for name in wheel.namelist() if name.startswith("litellm/proxy/") and name.endswith(".py")]
    outside = set(constant(read("constants.py"), "ROUTER_SETTINGS_MANAGED_OUTSIDE_CONFIG"))
    found = {
        "file": looked_up(server, "config") + fields(read("proxy/_types.py"), "ConfigYAML"),
        "general_settings": fields(read("proxy/_types.py"), "ConfigGeneralSettings")
        + [key for source in sources for key in looked_up(source, "general_settings")],
        "litellm_settings": list(declared(read("__init__.py"))) + re.findall(r'key == "(\w+)"', server),
        "router_settings": [name for name in constant(read("router_api.py"), "ROUTER_INIT_ARGS") if name not in outside],
    }
    version = sys.argv[1].rsplit("/", 1)[-1].split("-")[1]
    print(f"# The keys of the sections of LiteLLM {version}.")
    print("# Written by litellm_settings.py from its wheel.")
    lines = {f"{section} {name}" for section, names in found.items() for name in names if name != "undefined"}
    print("\n".join(sorted(lines)))


main()
