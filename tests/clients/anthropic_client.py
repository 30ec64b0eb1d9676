"""The official Python client of Anthropic: `anthropic_client.py TOLLGATE`.

It starts the gateway over a scripted upstream, and calls two groups through it: one that speaks Anthropic's dialect, and one
that speaks OpenAI's. The responses are checked against the types of the client: messages, streams, tools, counts, errors.
"""

import json
import sys

import anthropic
from scripted import ScriptedUpstream, check, gateway

CONFIG = """
model_list:
  - model_name: claude
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: "{upstream}", api_key: k}}
  - model_name: "claude-*"
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/v1", api_key: k}}
  - model_name: failing
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/failing", api_key: k}}
  - model_name: broken
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/broken", api_key: k}}
litellm_settings: {{num_retries: 0}}
general_settings: {{master_key: master}}
"""
MESSAGES = [{"role": "user", "content": "what is the weather in Oslo?"}]
TOOL = {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}
ARGUMENTS = ['{"city":', '"Oslo"}']
WORDS = ["Hel", "lo"]


def claude_events(tools):
    """Returns the events of Anthropic: text, or the call of a tool."""
    usage = {"input_tokens": 10, "output_tokens": 1}
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": usage}
    yield {"type": "message_start", "message": message}
    if tools:
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ARGUMENTS]
    else:
        block, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in WORDS]
    yield {"type": "content_block_start", "index": 0, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 0, "delta": delta}
    yield {"type": "content_block_stop", "index": 0}
    reason = "tool_use" if tools else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": None}, "usage": {"output_tokens": 7}}
    yield {"type": "message_stop"}


def claude_message(tools):
    """Returns the complete message of Anthropic."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    content = call if tools else {"type": "text", "text": "Hello"}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [content],
            "stop_reason": "tool_use" if tools else "end_turn", "stop_sequence": None,
            "usage": {"input_tokens": 10, "output_tokens": 7}}


def chat_chunks(tools):
    """Returns the chunks of OpenAI: text, or the call of a tool."""
    def chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "g", "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    if tools:
        yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": ""}}]})
        for piece in ARGUMENTS:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    else:
        yield from (chunk({"content": word}) for word in WORDS)
    yield chunk({}, "tool_calls" if tools else "stop")
    usage = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}
    yield {"id": "chatcmpl-1", "model": "g", "choices": [], "usage": usage}


def chat_completion(tools):
    """Returns the complete response of OpenAI."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "".join(ARGUMENTS)}}
    message = {"role": "assistant", "content": None, "tool_calls": [call]} if tools else {"content": "Hello"}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if tools else "stop"}
    usage = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "g", "choices": [choice], "usage": usage}


class Upstream(ScriptedUpstream):
    """Speaks both dialects, by the path. Calls the tool if the request has one."""

    betas = []

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        tools, stream = bool(body.get("tools")), body.get("stream")
        if self.path.startswith("/failing"):
            error = {"message": "This model's maximum context length is 5 tokens.", "code": "context_length_exceeded"}
            return self.reply(json.dumps({"error": error}), status=400)
        if self.path == "/v1/messages/count_tokens":
            return self.reply(json.dumps({"input_tokens": 14}))
        if self.path == "/v1/messages":
            Upstream.betas.append(self.headers.get("anthropic-beta"))
            if not stream:
                return self.reply(json.dumps(claude_message(tools)))
            events = (f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in claude_events(tools))
            return self.reply("".join(events), "text/event-stream")
        if not stream:
            return self.reply(json.dumps(chat_completion(tools)))
        chunks = [f"data: {json.dumps(chunk)}\n\n" for chunk in chat_chunks(tools)]
        end = "" if self.path.startswith("/broken") else "data: [DONE]\n\n"
        self.reply("".join(chunks[:2] if not end else chunks) + end, "text/event-stream")


def fails(what, error, call):
    """Returns the error of a call, which must have this type."""
    try:
        call()
    except error as raised:
        check(f"{what} is a {type(raised).__name__}", True)
        return raised
    sys.exit(f"not ok - {what} is no {error.__name__}")


def talk(client, model):
    """Calls a group: complete, streamed, with a tool, with a beta."""
    def ask(**more):
        return client.messages.create(model=model, max_tokens=100, messages=MESSAGES, **more)

    message = ask()
    check(f"{model}: a message has content", message.content[0].text == "Hello")
    check(f"{model}: it has a reason and usage", (message.stop_reason, message.usage.output_tokens) == ("end_turn", 7))
    call = ask(tools=[TOOL], tool_choice={"type": "any"})
    check(f"{model}: a tool is called", (call.stop_reason, call.content[0].input) == ("tool_use", {"city": "Oslo"}))
    result = {"type": "tool_result", "tool_use_id": call.content[0].id, "content": "5 degrees"}
    turns = [*MESSAGES, {"role": "assistant", "content": call.content}, {"role": "user", "content": [result]}]
    check(f"{model}: its result is accepted", client.messages.create(
        model=model, max_tokens=100, messages=turns).content[0].type == "text")
    with client.messages.stream(model=model, max_tokens=100, messages=MESSAGES) as stream:
        check(f"{model}: a stream has text", "".join(stream.text_stream) == "Hello")
        final = stream.get_final_message()
    check(f"{model}: it adds up", (final.usage.input_tokens, final.usage.output_tokens) == (10, 7))
    with client.messages.stream(model=model, max_tokens=100, messages=MESSAGES, tools=[TOOL]) as stream:
        block = stream.get_final_message().content[0]
    check(f"{model}: a stream calls a tool", (block.type, block.input) == ("tool_use", {"city": "Oslo"}))
    beta = client.beta.messages.create(model=model, max_tokens=100, messages=MESSAGES, betas=["some-beta-2025-01-01"])
    check(f"{model}: betas are accepted", beta.content[0].text == "Hello")
    count = client.messages.count_tokens(model=model, messages=MESSAGES)
    check(f"{model}: tokens are counted", count.input_tokens > 0)


def calls(base):
    options = {"base_url": base, "max_retries": 0, "timeout": 30, "_strict_response_validation": True}
    client = anthropic.Anthropic(api_key="master", **options)
    talk(client, "claude")
    check("betas reach Anthropic", Upstream.betas[-1] == "some-beta-2025-01-01")
    talk(client, "claude-haiku-4-5")
    bearer = anthropic.Anthropic(auth_token="master", **options)
    talk(bearer, "claude")

    def ask(client=client, model="claude", **more):
        return client.messages.create(model=model, max_tokens=100, messages=MESSAGES, **more)

    wrong = anthropic.Anthropic(api_key="wrong", **options)
    refused = fails("a wrong key", anthropic.AuthenticationError, lambda: ask(wrong))
    check("its type is Anthropic's", refused.body["error"]["type"] == "authentication_error")
    unknown = fails("an unknown model", anthropic.NotFoundError, lambda: ask(model="unknown"))
    check("the error names it", unknown.body["type"] == "error" and "unknown" in unknown.body["error"]["message"])
    long = fails("a prompt that is too long", anthropic.BadRequestError, lambda: ask(model="failing"))
    check("clients recognise it", long.body["error"]["message"].startswith("prompt is too long"))
    cut = fails("a stream that breaks", anthropic.APIStatusError, lambda: list(ask(model="broken", stream=True)))
    check("it ends with an error event", cut.body["error"]["type"] == "api_error")


with gateway(sys.argv[1], CONFIG, Upstream) as base:
    calls(base)
