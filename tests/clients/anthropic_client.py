"""The official Python client of Anthropic: `anthropic_client.py TOLLGATE`.

It starts the gateway over a scripted upstream, and calls groups of Anthropic, OpenAI and Gemini through it. The
responses are checked against the types of the client: messages, streams, tools, thinking, counts, errors.
"""

import sys

import anthropic
from dialects import Upstream, config
from scripted import check, gateway, raises

MESSAGES = [{"role": "user", "content": "what is the weather in Oslo?"}]
TOOL = {"name": "weather", "description": "d", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}


class Recording(Upstream):
    """Records the features that are requested of Anthropic."""

    betas = []

    def do_POST(self):
        if self.path == "/v1/messages":
            Recording.betas.append(self.headers.get("anthropic-beta"))
        super().do_POST()


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


def thinks(client, model):
    """Calls a group with thinking, which is sent back."""
    options = {"model": model, "max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    message = client.messages.create(messages=MESSAGES, **options)
    with client.messages.stream(messages=MESSAGES, **options) as stream:
        final = stream.get_final_message()
    for form, thought in [("a message", message), ("a stream", final)]:
        first, last = thought.content
        check(f"{model}: {form} has thinking and text", (first.thinking, last.text) == ("Hm", "Hello"))
        turns = [*MESSAGES, {"role": "assistant", "content": thought.content}, *MESSAGES]
        check(f"{model}: it may be sent back", client.messages.create(messages=turns, **options).content[-1].text == "Hello")


def calls(base):
    options = {"base_url": base, "max_retries": 0, "timeout": 30, "_strict_response_validation": True}
    client = anthropic.Anthropic(api_key="master", **options)
    talk(client, "claude")
    check("betas reach Anthropic", Recording.betas[-1] == "some-beta-2025-01-01")
    talk(client, "claude-haiku-4-5")
    thinks(client, "claude")
    thinks(client, "gemini")
    bearer = anthropic.Anthropic(auth_token="master", **options)
    talk(bearer, "claude")

    def ask(client=client, model="claude", **more):
        return client.messages.create(model=model, max_tokens=100, messages=MESSAGES, **more)

    wrong = anthropic.Anthropic(api_key="wrong", **options)
    refused = raises("a wrong key", anthropic.AuthenticationError, lambda: ask(wrong))
    check("its type is Anthropic's", refused.body["error"]["type"] == "authentication_error")
    unknown = raises("an unknown model", anthropic.NotFoundError, lambda: ask(model="unknown"))
    check("the error names it", unknown.body["type"] == "error" and "unknown" in unknown.body["error"]["message"])
    long = raises("a prompt that is too long", anthropic.BadRequestError, lambda: ask(model="openai-too-long"))
    check("clients recognise it", long.body["error"]["message"].startswith("prompt is too long"))
    cut = raises("a stream that breaks", anthropic.APIStatusError, lambda: list(ask(model="openai-breaks", stream=True)))
    check("it ends with an error event", cut.body["error"]["type"] == "api_error")


with gateway(sys.argv[1], config(), Recording) as base:
    calls(base)
