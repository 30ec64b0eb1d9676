#!/usr/bin/env python3
"""Writes the table of models: what LiteLLM's file of prices and context windows states, in a compact form.

Reads the file in a wheel of LiteLLM without running it.

    python3 src/config/models/generate.py litellm-1.110.2-*.whl > src/config/models/table.tsv

A line is one model: name, provider, mode, largest input and output in tokens, prices in dollars per million tokens
(input, output, input read from a cache, input written to a cache), capabilities as a hexadecimal number. A fact that is
not known is empty. The lines are sorted by name, byte by byte.
"""

import json
import sys
import zipfile

FILE = "litellm/model_prices_and_context_window_backup.json"

# The letter of each mode that is served.
MODES = {
    "chat": "c",
    "completion": "t",
    "embedding": "e",
    "responses": "r",
    "moderation": "m",
    "rerank": "k",
    "image_generation": "i",
    "image_edit": "d",
    "audio_transcription": "a",
    "audio_speech": "s",
}

# The modes that may be paid by images, characters, seconds or queries: a price for tokens is not all of their cost.
OTHER_UNITS = ["rerank", "image_generation", "image_edit", "audio_speech"]

# The capabilities, from the lowest bit on: the names of `CAPABILITIES` in mod.rs.
CAPABILITIES = [
    "function_calling",
    "parallel_function_calling",
    "tool_choice",
    "vision",
    "pdf_input",
    "audio_input",
    "audio_output",
    "video_input",
    "embedding_image_input",
    "reasoning",
    "response_schema",
    "system_messages",
    "prompt_caching",
    "assistant_prefill",
    "web_search",
    "url_context",
    "computer_use",
]


def tokens(value):
    """Returns a number of tokens as text. Some are written as floats or as strings."""
    try:
        return str(int(float(value))) if float(value) > 0 else ""
    except (TypeError, ValueError):
        return ""


def price(value):
    """Returns a price for a million tokens as text, without noise behind the tenth digit."""
    try:
        return f"{float(value) * 1e6:.10g}" if float(value) >= 0 else ""
    except (TypeError, ValueError):
        return ""


def paid_by_tokens(model):
    mode = model["mode"]
    if mode == "audio_transcription":
        return bool(model.get("input_cost_per_token") and model.get("output_cost_per_token"))
    return mode not in OTHER_UNITS


def line(name, model):
    prices = ["input_cost_per_token", "output_cost_per_token", "cache_read_input_token_cost"]
    prices.append("cache_creation_input_token_cost")
    bits = sum(1 << bit for bit, name in enumerate(CAPABILITIES) if model.get(f"supports_{name}") is True)
    largest = model.get("max_input_tokens") or model.get("max_tokens")
    columns = [name, model.get("litellm_provider", ""), MODES[model["mode"]]]
    columns += [tokens(largest), tokens(model.get("max_output_tokens"))]
    columns += [price(model.get(name)) if paid_by_tokens(model) else "" for name in prices]
    return "\t".join(columns + [f"{bits:x}" if bits else ""])


def main():
    version = sys.argv[1].rsplit("/", 1)[-1].split("-")[1]
    models = json.loads(zipfile.ZipFile(sys.argv[1]).read(FILE))
    served = [(name, model) for name, model in models.items() if model.get("mode") in MODES]
    plain = [(name, model) for name, model in served if name.isprintable() and name == name.strip()]
    print(f"# Models of LiteLLM {version}, written by generate.py.")
    for name, model in sorted(plain, key=lambda entry: entry[0].encode()):
        print(line(name, model))


main()
