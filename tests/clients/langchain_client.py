"""LangChain's `ChatOpenAI` in OpenAI's Responses, with reasoning, and in chat completions: `langchain_client.py BASE`."""

import sys

import openai
from langchain_core.messages import AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from scripted import check, raises

OPTIONS = {"base_url": f"{sys.argv[1]}/v1", "api_key": "master", "max_retries": 0, "timeout": 30}


@tool
def weather(city: str) -> str:
    """Returns the weather."""
    return f"rain in {city}"


class City(BaseModel):
    """A city."""

    city: str


def model(group, in_responses=True):
    """Returns the chat model of a group."""
    reasoning = {"reasoning": {"effort": "low", "summary": "auto"}} if in_responses else {}
    return ChatOpenAI(model=group, use_responses_api=in_responses, stream_usage=True, **reasoning, **OPTIONS)


def thoughts(message):
    """Returns the text of the reasoning in a message."""
    blocks = [block for block in message.content_blocks if block["type"] == "reasoning"]
    return "".join(block.get("reasoning", "") for block in blocks)


def talks(group, in_responses, thought):
    name = f"{group}, {'responses' if in_responses else 'chat completions'}"
    chat = model(group, in_responses)
    message = chat.invoke("hi")
    usage = (message.usage_metadata["input_tokens"], message.usage_metadata["output_tokens"])
    check(f"{name}: a message has text and usage", (message.text, usage) == ("Hello", (10, 7)))
    check(f"{name}: it has its reasoning", thoughts(message) == thought)

    chunks = list(chat.stream("hi"))
    whole = sum(chunks[1:], chunks[0])
    assert isinstance(whole, AIMessageChunk)
    check(f"{name}: a stream has text", whole.text == "Hello" and sum(bool(chunk.text) for chunk in chunks) > 1)
    check(f"{name}: it has usage", whole.usage_metadata["total_tokens"] == 17)
    check(f"{name}: it has its reasoning", thoughts(whole) == thought)

    question = HumanMessage("what is the weather in Oslo?")
    bound = chat.bind_tools([weather])
    chunks = list(bound.stream([question]))
    for form, called in [("a message", bound.invoke([question])), ("a stream", sum(chunks[1:], chunks[0]))]:
        (call,) = called.tool_calls
        check(f"{name}: {form} calls a tool", (call["name"], call["args"]) == ("weather", {"city": "Oslo"}))
        result = weather.invoke(call)
        assert isinstance(result, ToolMessage)
        check(f"{name}: its result leads to text", bound.invoke([question, called, result]).text == "Hello")

    structured = chat.with_structured_output(City, method="json_schema")
    check(f"{name}: JSON of a schema is parsed", structured.invoke("where?") == City(city="Oslo"))


def errors():
    kinds = {400: openai.BadRequestError, 401: openai.AuthenticationError, 404: openai.NotFoundError,
             429: openai.RateLimitError, 500: openai.InternalServerError}
    for group in ["own", "openai", "claude"]:
        for status, kind in kinds.items():
            raises(f"{group}: a {status}", kind, lambda: model(f"{group}-{status}").invoke("hi"))
    for group in ["own", "openai", "claude"]:
        raises(f"{group}: a stream that breaks", Exception, lambda: list(model(f"{group}-breaks").stream("hi")))
        raises(f"{group}: a chat stream that breaks", openai.APIError,
               lambda: list(model(f"{group}-breaks", in_responses=False).stream("hi")))


for group, thought in [("own", "Hm"), ("openai", ""), ("claude", "Hm"), ("gemini", "Hm")]:
    talks(group, True, thought)
for group in ["openai", "azure", "claude", "gemini"]:
    talks(group, False, "")
vectors = OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False, **OPTIONS).embed_documents(["a", "b"])
check("embeddings are served", vectors == [[0.25, -0.5]] * 2)
errors()
