"""OpenAI's Python clients, its own and Azure's, over groups of OpenAI, Azure, Anthropic and Gemini: `mixed_group.py BASE`.

In each group some deployments fail. The clients see no difference: the same text, tools, usage and ends of streams,
whichever deployment serves.
"""

import json
import sys

import openai
import pydantic
from dialects import VENDORS
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from scripted import check

BASE = sys.argv[1]
QUESTION = [{"role": "user", "content": "what is the weather in Oslo?"}]
TOOL = {"type": "function", "function": {
    "name": "weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}
OPTIONS = {"api_key": "master", "max_retries": 0, "timeout": 30}
CLIENTS = {
    "OpenAI": openai.OpenAI(base_url=f"{BASE}/v1", **OPTIONS),
    "AzureOpenAI": openai.AzureOpenAI(azure_endpoint=BASE, api_version="2024-10-21", **OPTIONS),
}


def tool_calls(calls):
    """Returns the names and arguments of tool calls, after asserting that they have ids and a type."""
    assert all(call.id and call.type == "function" for call in calls), calls
    return [(call.function.name, json.loads(call.function.arguments)) for call in calls]


def complete(client, group, **more):
    """Returns the headers of a complete response, all that the client sees of it but its identity, and its message."""
    raw = client.chat.completions.with_raw_response.create(model=group, messages=more.pop("messages", QUESTION), **more)
    completion = raw.parse()
    ChatCompletion.model_validate(completion.to_dict(mode="json"))
    choice = completion.choices[0]
    assert completion.id and completion.object == "chat.completion" and completion.created and completion.model
    seen = (choice.message.role, choice.message.content, tool_calls(choice.message.tool_calls or []),
            choice.finish_reason, completion.usage.prompt_tokens, completion.usage.completion_tokens)
    return raw.headers, seen, choice.message


def streamed(client, group, **more):
    """Returns all that the client sees of a stream, added up as its users do."""
    text, calls, reasons, usage = "", {}, [], None
    options = {"include_usage": True}
    for chunk in client.chat.completions.create(model=group, messages=QUESTION, stream=True, stream_options=options, **more):
        ChatCompletionChunk.model_validate(chunk.to_dict(mode="json"))
        usage = chunk.usage or usage
        for choice in chunk.choices:
            assert usage is None and not reasons, "content after the end"
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
            for piece in choice.delta.tool_calls or []:
                call = calls.setdefault(piece.index, {"id": piece.id, "name": piece.function.name, "arguments": ""})
                call["arguments"] += piece.function.arguments or ""
    called = [(call["name"], json.loads(call["arguments"])) for call in calls.values() if call["id"]]
    return text, called, reasons, usage.prompt_tokens, usage.completion_tokens


def talks(name, client, group, vendor):
    """Calls a group with all that the vendors have in common."""
    headers, whole, _ = complete(client, group)
    check(f"{name}: {group} responds", whole == ("assistant", "Hello", [], "stop", 10, 7))
    served, retries = headers["x-litellm-model-id"].rpartition(" ")[2], int(headers["x-litellm-attempted-retries"])
    is_only = group.startswith("only")
    holds = (served == vendor) == is_only and retries == (3 if is_only else 1)
    check(f"{name}: {group} is served by {served} after {retries} failures", holds)
    check(f"{name}: {group} streams", streamed(client, group) == ("Hello", [], ["stop"], 10, 7))

    tools = {"tools": [TOOL], "tool_choice": "required"}
    called = [("weather", {"city": "Oslo"})]
    _, whole, message = complete(client, group, **tools)
    check(f"{name}: {group} calls a tool", whole == ("assistant", None, called, "tool_calls", 10, 7))
    check(f"{name}: {group} streams a tool call", streamed(client, group, **tools) == ("", called, ["tool_calls"], 10, 7))

    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "rain"}
    turns = [*QUESTION, message.to_dict(), result]
    _, whole, _ = complete(client, group, tools=[TOOL], messages=turns)
    check(f"{name}: {group} takes its result", whole == ("assistant", "Hello", [], "stop", 10, 7))


def completes(name, client, group):
    """Calls a group with a text: all but OpenAI's deployment serve it by a chat."""
    request = {"model": group, "prompt": "what is the weather in Oslo?", "max_tokens": 9}
    completion = client.completions.create(**request)
    Completion.model_validate(completion.to_dict(mode="json"))
    [choice], usage = completion.choices, completion.usage
    assert completion.id and completion.object == "text_completion" and completion.created and completion.model
    seen = (choice.text, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens)
    check(f"{name}: {group} completes a text", seen == ("Hello", "stop", 10, 7))

    text, reasons, usage = "", [], None
    for chunk in client.completions.create(**request, stream=True, stream_options={"include_usage": True}):
        assert chunk.object == "text_completion" and chunk.id and chunk.model, chunk
        usage = chunk.usage or usage
        text += "".join(choice.text for choice in chunk.choices)
        reasons += [choice.finish_reason for choice in chunk.choices if choice.finish_reason]
    seen = (text, reasons, usage.prompt_tokens, usage.completion_tokens)
    check(f"{name}: {group} streams a text completion", seen == ("Hello", ["stop"], 10, 7))


class City(pydantic.BaseModel):
    city: str


def parses(name, client, group):
    completion = client.chat.completions.parse(model=group, messages=QUESTION, response_format=City)
    check(f"{name}: {group} responds with JSON of a schema", completion.choices[0].message.parsed == City(city="Oslo"))


def continues(name, client, vendor):
    """Calls a group whose first deployment breaks after a word, and has another deployment continue."""
    options = {"messages": QUESTION, "stream": True, "extra_headers": {"x-tollgate-midstream": "continue"}}
    stream = client.chat.completions.create(model=f"after-{vendor}", **options)
    choices = [choice for chunk in stream for choice in chunk.choices]
    said = "".join(choice.delta.content or "" for choice in choices)
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    check(f"{name}: a stream that {vendor} broke is continued", (said, reasons) == ("Hello", ["stop"]))

    options["prompt"] = options.pop("messages")[0]["content"]
    choices = [choice for chunk in client.completions.create(model=f"after-{vendor}", **options) for choice in chunk.choices]
    said = "".join(choice.text for choice in choices)
    reasons = [choice.finish_reason for choice in choices if choice.finish_reason]
    check(f"{name}: a text completion that {vendor} broke is continued", (said, reasons) == ("Hello", ["stop"]))


def hands_over(name, client):
    """Has the vendors take turns in one conversation: each receives the tool calls of those before."""
    turns = list(QUESTION)
    for vendor in [*VENDORS, *VENDORS]:
        _, whole, message = complete(client, f"only-{vendor}", tools=[TOOL], messages=turns)
        seen = whole[1] or whole[2]
        check(f"{name}: {vendor} continues the conversation", seen in ("Hello", [("weather", {"city": "Oslo"})]))
        results = [{"role": "tool", "tool_call_id": call.id, "content": "rain"} for call in message.tool_calls or []]
        turns += [message.to_dict(), *results, *QUESTION]


def errors(name, client):
    kinds = {400: openai.BadRequestError, 401: openai.AuthenticationError, 404: openai.NotFoundError,
             429: openai.RateLimitError, 500: openai.InternalServerError}
    for group in ["openai", "claude"]:
        for status, kind in kinds.items():
            try:
                complete(client, f"{group}-{status}")
                check(f"{name}: {group} fails with {status}", False)
            except kind as error:
                check(f"{name}: {group} fails with a {kind.__name__}", f"refused with {status}" in error.message)
        try:
            streamed(client, f"{group}-breaks")
            check(f"{name}: a stream of {group} breaks", False)
        except openai.APIError as error:
            check(f"{name}: a stream of {group} that breaks is an error", bool(error.message))


for name, client in CLIENTS.items():
    for vendor in VENDORS:
        for group in [f"only-{vendor}", f"without-{vendor}"]:
            talks(name, client, group, vendor)
            completes(name, client, group)
        parses(name, client, f"only-{vendor}")
        continues(name, client, vendor)
    hands_over(name, client)
    errors(name, client)
vectors = CLIENTS["AzureOpenAI"].embeddings.create(model="openai", input=["a", "b"]).data
check("AzureOpenAI: embeddings are served", [vector.embedding for vector in vectors] == [[0.25, -0.5]] * 2)
