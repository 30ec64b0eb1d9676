"""An upstream that speaks the dialects of OpenAI, Azure, Anthropic and Gemini, for the scripts of the clients.

`dialects.py TOLLGATE COMMAND...` starts the gateway over it, and runs the command with the address of the gateway.
"""

import json
import re
import subprocess
import sys

from scripted import ScriptedUpstream, gateway

ARGUMENTS = ['{"city":', '"Oslo"}']
WORDS = ["Hel", "lo"]
THOUGHT = "Hm"
VENDORS = ["openai", "azure", "claude", "gemini"]
STATUSES = [400, 401, 404, 429, 500]


def deployment(group, vendor, prefix="", more=""):
    """Returns the entry of a deployment at this vendor, whose paths have this prefix."""
    model, base = {
        "openai": ("openai/gpt-4o", f"{prefix}/v1"),
        "own": ("openai/responses/gpt-5", f"{prefix}/v1"),
        "azure": ("azure/gpt-4o", prefix),
        "claude": ("anthropic/claude-sonnet-4-5", prefix),
        "gemini": ("gemini/gemini-2.5-flash", prefix),
    }[vendor]
    params = f'{{{{model: {model}, api_base: "{{upstream}}{base}", api_key: k{more}}}}}'
    return f'  - {{{{model_name: "{group}", litellm_params: {params}, model_info: {{{{id: "{group} at {vendor}"}}}}}}}}'


def mixed(group, failing, how="/fails"):
    """Returns the entries of a group of all vendors, of which some fail, each in its own way, and are tried first."""
    def entry(vendor):
        fails = vendor in failing
        return deployment(group, vendor, how if fails else "", f", weight: {1000 if fails else 1}")

    return "\n".join(entry(vendor) for vendor in VENDORS)


def config():
    """Returns the configuration: a group of each vendor, groups that fail, and groups of all vendors."""
    entries = [deployment(vendor, vendor) for vendor in [*VENDORS, "own"]]
    entries += [deployment("gpt-*", "openai"), deployment("claude-*", "openai"), deployment("text-embedding-*", "openai")]
    entries.append(deployment("openai-too-long", "openai", "/too-long"))
    for vendor in ["openai", "own", "claude"]:
        entries.append(deployment(f"{vendor}-breaks", vendor, "/breaks", ", num_retries: 0"))
        for status in STATUSES:
            entries.append(deployment(f"{vendor}-{status}", vendor, f"/refuses/{status}", ", num_retries: 0"))
    for vendor in VENDORS:
        entries.append(mixed(f"without-{vendor}", [vendor]))
        entries.append(mixed(f"after-{vendor}", [vendor], "/breaks"))
        entries.append(mixed(f"only-{vendor}", [other for other in VENDORS if other != vendor]))
    router = "router_settings: {{num_retries: 3, disable_cooldowns: true, retry_budget: {{reserve: 10000}}}}"
    return "\n".join(["model_list:", *entries, router, "general_settings: {{master_key: master}}"])


class Openai:
    """Chat completions. The first `BEGUN` events of a stream end with its first content. All ids match `ID`."""

    BEGUN = 2
    ID = r".{1,40}"

    @staticmethod
    def kind(body):
        if body.get("tools") and body["messages"][-1]["role"] != "tool":
            return "tool"
        if body["messages"][-1]["role"] == "assistant":
            return "rest"
        return "json" if body.get("response_format", {}).get("type", "text") != "text" else "text"

    @staticmethod
    def usage():
        return {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}

    @classmethod
    def whole(cls, kind, body):
        call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "".join(ARGUMENTS)}}
        message = {"role": "assistant", "content": None if kind == "tool" else text(kind)}
        if kind == "tool":
            message["tool_calls"] = [call]
        choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if kind == "tool" else "stop"}
        return {"id": "chatcmpl-1", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [choice],
                "usage": cls.usage()}

    @classmethod
    def events(cls, kind, body):
        def chunk(choices, **more):
            return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o",
                    "choices": choices, **more}

        def delta(delta, reason=None):
            return chunk([{"index": 0, "delta": delta, "finish_reason": reason}])

        yield delta({"role": "assistant", "content": None if kind == "tool" else ""})
        if kind == "tool":
            called = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "weather", "arguments": ""}}
            yield delta({"tool_calls": [called]})
            for piece in ARGUMENTS:
                yield delta({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
        else:
            yield from (delta({"content": piece}) for piece in pieces(kind))
        yield delta({}, "tool_calls" if kind == "tool" else "stop")
        if (body.get("stream_options") or {}).get("include_usage"):
            yield chunk([], usage=cls.usage())
        yield "[DONE]"

    @staticmethod
    def error(status):
        return {"error": {"message": f"refused with {status}", "type": "an_error", "param": None, "code": None}}


class Own(Openai):
    """Responses."""

    BEGUN = 4
    ID = r".{1,64}"

    @staticmethod
    def kind(body):
        last = body["input"][-1] if isinstance(body["input"], list) else {}
        if body.get("tools") and last.get("type") != "function_call_output":
            return "tool"
        return "json" if body.get("text", {}).get("format", {}).get("type", "text") != "text" else "text"

    @staticmethod
    def items(kind, body):
        """Returns the items of a response: its reasoning if it was requested, and its content."""
        if kind == "tool":
            item = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather",
                    "status": "completed", "arguments": "".join(ARGUMENTS)}
        else:
            part = {"type": "output_text", "text": text(kind), "annotations": [], "logprobs": []}
            item = {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}
        summary = [{"type": "summary_text", "text": THOUGHT}]
        thought = {"type": "reasoning", "id": "rs_1", "summary": summary}
        return [thought, item] if body.get("reasoning") else [item]

    @classmethod
    def response(cls, kind, body, status="completed"):
        usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
                 "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 17}
        done = status == "completed"
        return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-5",
                "output": cls.items(kind, body) if done else [], "usage": usage if done else None,
                "previous_response_id": body.get("previous_response_id"), "parallel_tool_calls": True,
                "tool_choice": "auto", "tools": []}

    @classmethod
    def whole(cls, kind, body):
        return cls.response(kind, body)

    @classmethod
    def events(cls, kind, body):
        events = [{"type": "response.created", "response": cls.response(kind, body, "in_progress")}]
        for index, item in enumerate(cls.items(kind, body)):
            events += cls.item_events(kind, item, {"output_index": index, "item_id": item["id"]})
        events.append({"type": "response.completed", "response": cls.response(kind, body)})
        return [{**event, "sequence_number": number} for number, event in enumerate(events)]

    @staticmethod
    def item_events(kind, item, place):
        added = {"type": "response.output_item.added", "output_index": place["output_index"]}
        if item["type"] == "reasoning":
            part = {"type": "summary_text", "text": THOUGHT}
            deltas = [{"type": "response.reasoning_summary_text.delta", "summary_index": 0, "delta": THOUGHT, **place}]
            begin = [{**added, "item": {**item, "summary": []}},
                     {"type": "response.reasoning_summary_part.added", "summary_index": 0,
                      "part": {**part, "text": ""}, **place}]
            end = [{"type": "response.reasoning_summary_part.done", "summary_index": 0, "part": part, **place}]
        elif item["type"] == "function_call":
            begin = [{**added, "item": {**item, "arguments": "", "status": "in_progress"}}]
            deltas = [{"type": "response.function_call_arguments.delta", "delta": piece, **place} for piece in ARGUMENTS]
            end = [{"type": "response.function_call_arguments.done", "arguments": item["arguments"],
                    "name": item["name"], **place}]
        else:
            part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
            begin = [{**added, "item": {**item, "content": [], "status": "in_progress"}},
                     {"type": "response.content_part.added", "content_index": 0, "part": part, **place}]
            deltas = [{"type": "response.output_text.delta", "delta": piece, "logprobs": [], "content_index": 0, **place}
                      for piece in pieces(kind)]
            end = [{"type": "response.output_text.done", "text": text(kind), "logprobs": [], "content_index": 0, **place},
                   {"type": "response.content_part.done", "content_index": 0, "part": item["content"][0], **place}]
        done = {"type": "response.output_item.done", "output_index": place["output_index"], "item": item}
        return [*begin, *deltas, *end, done]


class Claude:
    """Messages."""

    BEGUN = 4
    ID = r"[a-zA-Z0-9_-]+"

    @staticmethod
    def kind(body):
        last = body["messages"][-1]["content"]
        if body.get("tools") and not (isinstance(last, list) and last[0]["type"] == "tool_result"):
            return "tool"
        if body["messages"][-1]["role"] == "assistant":
            return "rest"
        return "json" if "format" in body.get("output_config", {}) else "text"

    @staticmethod
    def blocks(kind, body):
        """Returns the blocks of a message: its thinking if it was requested, and its content."""
        if kind == "tool":
            block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
        else:
            block = {"type": "text", "text": text(kind)}
        thinking = {"type": "thinking", "thinking": THOUGHT, "signature": "Eq=="}
        return [thinking, block] if body.get("thinking", {}).get("type", "disabled") != "disabled" else [block]

    @classmethod
    def whole(cls, kind, body):
        return {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5",
                "content": cls.blocks(kind, body), "stop_reason": "tool_use" if kind == "tool" else "end_turn",
                "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 7}}

    @classmethod
    def events(cls, kind, body):
        message = cls.whole(kind, body)
        begun = {**message, "content": [], "stop_reason": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
        yield {"type": "message_start", "message": begun}
        yield {"type": "ping"}
        for index, block in enumerate(message["content"]):
            empty, deltas = cls.block_events(kind, block)
            yield {"type": "content_block_start", "index": index, "content_block": {**block, **empty}}
            yield from ({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas)
            yield {"type": "content_block_stop", "index": index}
        end = {"stop_reason": message["stop_reason"], "stop_sequence": None}
        yield {"type": "message_delta", "delta": end, "usage": {"output_tokens": 7}}
        yield {"type": "message_stop"}

    @staticmethod
    def block_events(kind, block):
        """Returns the members of a block that are empty at first, and its deltas."""
        if block["type"] == "thinking":
            signed = {"type": "signature_delta", "signature": "Eq=="}
            return {"thinking": "", "signature": ""}, [{"type": "thinking_delta", "thinking": THOUGHT}, signed]
        if kind == "tool":
            return {"input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in ARGUMENTS]
        return {"text": ""}, [{"type": "text_delta", "text": piece} for piece in pieces(kind)]

    @staticmethod
    def error(status):
        kinds = {400: "invalid_request_error", 401: "authentication_error", 404: "not_found_error",
                 429: "rate_limit_error", 500: "api_error"}
        return {"type": "error", "error": {"type": kinds[status], "message": f"refused with {status}"}}


class Gemini:
    """`generateContent`."""

    BEGUN = 1
    ID = r".+"

    @staticmethod
    def kind(body):
        if body.get("tools") and "functionResponse" not in body["contents"][-1]["parts"][0]:
            return "tool"
        if body["contents"][-1]["role"] == "model":
            return "rest"
        return "json" if "responseMimeType" in body.get("generationConfig", {}) else "text"

    @staticmethod
    def response(parts, reason):
        usage = {"promptTokenCount": 10, "candidatesTokenCount": 7, "totalTokenCount": 17}
        candidate = {"content": {"role": "model", "parts": parts}, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        return {"candidates": [candidate], "usageMetadata": usage, "modelVersion": "gemini-2.5-flash", "responseId": "r1"}

    @classmethod
    def parts(cls, kind, body):
        call = {"functionCall": {"name": "weather", "args": {"city": "Oslo"}}, "thoughtSignature": "aA+/" * 30 + "Eg=="}
        content = [call] if kind == "tool" else [{"text": piece} for piece in pieces(kind)]
        thinks = body.get("generationConfig", {}).get("thinkingConfig", {}).get("includeThoughts")
        return [{"text": THOUGHT, "thought": True}, *content] if thinks else content

    @classmethod
    def whole(cls, kind, body):
        return cls.response(cls.parts(kind, body), "STOP")

    @classmethod
    def events(cls, kind, body):
        *begin, last = cls.parts(kind, body)
        return [*(cls.response([part], None) for part in begin), cls.response([last], "STOP")]

    @staticmethod
    def error(status):
        return {"error": {"code": status, "message": f"refused with {status}", "status": "UNAVAILABLE"}}


class Texts(Openai):
    """Text completions."""

    BEGUN = 1

    @staticmethod
    def kind(body):
        return "rest" if body["prompt"].endswith(WORDS[0]) else "text"

    @staticmethod
    def completion(choices, **more):
        return {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": "m", "choices": choices, **more}

    @classmethod
    def choice(cls, text, reason=None):
        return {"text": text, "index": 0, "logprobs": None, "finish_reason": reason}

    @classmethod
    def whole(cls, kind, body):
        return cls.completion([cls.choice(text(kind), "stop")], usage=cls.usage())

    @classmethod
    def events(cls, kind, body):
        yield from (cls.completion([cls.choice(piece)]) for piece in pieces(kind))
        yield cls.completion([cls.choice("", "stop")])
        if (body.get("stream_options") or {}).get("include_usage"):
            yield cls.completion([], usage=cls.usage())
        yield "[DONE]"


def pieces(kind):
    """Returns the pieces of a text: JSON, the rest of a text that has begun, or all of it."""
    return {"json": ARGUMENTS, "rest": WORDS[1:]}.get(kind, WORDS)


def text(kind):
    return "".join(pieces(kind))


class Upstream(ScriptedUpstream):
    """Replies in the dialect of the path: with the call of a tool until its result is there, with JSON if that is
    requested, with the rest of a text that the assistant has begun, else with text; with thinking if that is requested."""

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        path = self.path.partition("?")[0]
        if path.endswith("/count_tokens"):
            return self.reply(json.dumps({"input_tokens": 14}))
        if path.endswith("/embeddings"):
            return self.reply(json.dumps(embeddings(body)))
        dialect = {"responses": Own, "completions": Openai, "messages": Claude}.get(path.rpartition("/")[2], Gemini)
        dialect = Texts if "prompt" in body else dialect
        if not all(re.fullmatch(dialect.ID, one) for one in ids(body)):
            return self.reply(json.dumps(dialect.error(400)), status=400)
        if path.startswith("/too-long/"):
            error = {"message": "This model's maximum context length is 5 tokens.", "code": "context_length_exceeded"}
            return self.reply(json.dumps({"error": error}), status=400)
        if path.startswith("/refuses/"):
            status = int(path.split("/")[2])
            return self.reply(json.dumps(dialect.error(status)), status=status)
        kind, is_stream = dialect.kind(body), body.get("stream") or ":streamGenerateContent" in path
        if path.startswith("/fails/"):
            return self.fail(dialect, is_stream, "/deployments/" in path)
        if not is_stream:
            return self.reply(json.dumps(dialect.whole(kind, body)))
        events = list(dialect.events(kind, body))
        self.stream(events[:dialect.BEGUN] if path.startswith("/breaks/") else events)

    def fail(self, dialect, is_stream, is_azure):
        """Fails before the first content: by a status, or by an event where a stream was requested."""
        if is_azure:
            self.reply(json.dumps({"error": {"code": "429", "message": "call rate limit"}}), status=429)
        elif dialect is Gemini:
            self.reply(json.dumps(Gemini.error(503)), status=503)
        elif is_stream:
            self.stream([dialect.error(500)])
        else:
            self.reply(json.dumps(dialect.error(500)), status=529 if dialect is Claude else 500)

    def stream(self, events):
        def lines(event):
            named = isinstance(event, dict) and "type" in event
            data = event if isinstance(event, str) else json.dumps(event)
            return (f"event: {event['type']}\n" if named else "") + f"data: {data}\n\n"

        self.reply("".join(map(lines, events)), "text/event-stream")


def ids(value):
    """Returns the ids of tool calls in a body, and those of items."""
    if isinstance(value, list):
        return [one for part in value for one in ids(part)]
    if not isinstance(value, dict):
        return []
    own = [value[name] for name in ["id", "call_id", "tool_call_id", "tool_use_id"] if isinstance(value.get(name), str)]
    return own + ids(list(value.values()))


def embeddings(body):
    """Returns a vector for each input, in the format that was requested."""
    inputs = body["input"] if isinstance(body["input"], list) else [body["input"]]
    vector = "AACAPgAAAL8=" if body.get("encoding_format") == "base64" else [0.25, -0.5]
    data = [{"object": "embedding", "index": index, "embedding": vector} for index in range(len(inputs))]
    return {"object": "list", "model": "e", "data": data, "usage": {"prompt_tokens": 8, "total_tokens": 8}}


if __name__ == "__main__":
    with gateway(sys.argv[1], config(), Upstream) as base:
        sys.exit(subprocess.run([*sys.argv[2:], base]).returncode)
