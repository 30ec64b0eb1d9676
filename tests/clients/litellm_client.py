"""LiteLLM's SDK in front of the gateway: chat completions, responses, messages, embeddings: `litellm_client.py BASE`."""

import asyncio
import json
import os
import sys
import warnings

# LiteLLM's own response objects make pydantic warn.
warnings.filterwarnings("ignore", "Pydantic serializer warnings")
# Without these it fetches prices from a public server when it is imported.
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
os.environ["LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS"] = "True"

import litellm  # noqa: E402
from scripted import check, raises  # noqa: E402

litellm.suppress_debug_info = True
BASE = sys.argv[1]
OPENAI = {"api_base": f"{BASE}/v1", "api_key": "master", "timeout": 30, "max_retries": 0}
ANTHROPIC = {"api_base": BASE, "api_key": "master"}
QUESTION = [{"role": "user", "content": "what is the weather in Oslo?"}]
TOOL = {"type": "function", "function": {
    "name": "weather", "description": "d", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}}}


def completes(model, **options):
    """Calls a group in chat completions."""
    def ask(**more):
        return litellm.completion(model=model, messages=more.pop("messages", QUESTION), **options, **more)

    whole = ask()
    usage = (whole.usage.prompt_tokens, whole.usage.completion_tokens)
    check(f"{model}: a completion has text and usage", (whole.choices[0].message.content, usage) == ("Hello", (10, 7)))
    chunks = list(ask(stream=True, stream_options={"include_usage": True}))
    rebuilt = litellm.stream_chunk_builder(chunks)
    check(f"{model}: a stream adds up", rebuilt.choices[0].message.content == "Hello")
    check(f"{model}: it has usage", (rebuilt.usage.prompt_tokens, rebuilt.usage.completion_tokens) == (10, 7))
    for streamed in [False, True]:
        called = ask(tools=[TOOL], stream=streamed)
        called = litellm.stream_chunk_builder(list(called)) if streamed else called
        (call,) = called.choices[0].message.tool_calls
        check(f"{model}: a tool is called, streamed: {streamed}",
              (call.function.name, json.loads(call.function.arguments)) == ("weather", {"city": "Oslo"}))
        result = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
        turns = [*QUESTION, called.choices[0].message.model_dump(), result]
        check(f"{model}: its result leads to text",
              ask(messages=turns, tools=[TOOL]).choices[0].message.content == "Hello")


def responds(model):
    """Calls a group in responses."""
    whole = litellm.responses(model=model, input="hi", reasoning={"effort": "low", "summary": "auto"}, **OPENAI)
    text = "".join(part.text for item in whole.output if item.type == "message" for part in item.content)
    check(f"{model}: a response has text and usage", (text, whole.usage.total_tokens) == ("Hello", 17))
    events = list(litellm.responses(model=model, input="hi", stream=True, **OPENAI))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    check(f"{model}: a streamed response has text and an end", (said, events[-1].type) == ("Hello", "response.completed"))


async def messages(models):
    """Calls groups in Anthropic's messages. (Their streams need LiteLLM's proxy: `completes` calls for them.)"""
    for model in models:
        whole = await litellm.anthropic_messages(model=model, max_tokens=100, messages=QUESTION, **ANTHROPIC)
        seen = (whole["content"][0]["text"], whole["usage"]["output_tokens"])
        check(f"{model}: a message has text and usage", seen == ("Hello", 7))


def errors():
    kinds = {400: litellm.BadRequestError, 401: litellm.AuthenticationError, 404: litellm.NotFoundError,
             429: litellm.RateLimitError, 500: litellm.InternalServerError}
    for group in ["openai", "claude"]:
        for status, kind in kinds.items():
            raises(f"{group}: a {status}", kind,
                   lambda: litellm.completion(model=f"openai/{group}-{status}", messages=QUESTION, **OPENAI))
        raises(f"{group}: a stream that breaks", litellm.exceptions.MidStreamFallbackError, lambda: list(
            litellm.completion(model=f"openai/{group}-breaks", messages=QUESTION, stream=True, **OPENAI)))


for group in ["openai", "azure", "claude", "gemini"]:
    completes(f"openai/{group}", **OPENAI)
completes("anthropic/claude", **ANTHROPIC)
completes("anthropic/openai", **ANTHROPIC)
for group in ["own", "openai", "claude"]:
    responds(f"openai/{group}")
asyncio.run(messages(["anthropic/claude", "anthropic/openai"]))
vectors = litellm.embedding(model="openai/text-embedding-3-small", input=["a", "b"], **OPENAI).data
check("embeddings are served", [vector["embedding"] for vector in vectors] == [[0.25, -0.5]] * 2)
errors()
