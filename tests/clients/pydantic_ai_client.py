"""pydantic-ai's models of OpenAI's Responses and of chat completions: `pydantic_ai_client.py BASE`."""

import asyncio
import sys

from openai import AsyncOpenAI
from pydantic import BaseModel
from pydantic_ai import Agent, NativeOutput, ThinkingPart
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel, OpenAIResponsesModelSettings
from pydantic_ai.providers.openai import OpenAIProvider
from scripted import check

QUESTION = "what is the weather in Oslo?"
THINKS = OpenAIResponsesModelSettings(openai_reasoning_effort="low", openai_reasoning_summary="auto")


class City(BaseModel):
    """A city."""

    city: str


def agent(model, **more):
    """Returns an agent with a tool, which records its calls."""
    one, cities = Agent(model, instructions="Use the tool.", **more), []

    @one.tool_plain
    def weather(city: str) -> str:
        """Returns the weather."""
        cities.append(city)
        return f"rain in {city}"

    return one, cities


def thoughts(result):
    parts = [part for message in result.all_messages() for part in message.parts]
    return {part.content for part in parts if isinstance(part, ThinkingPart)}


async def talks(name, model, thinks):
    plain = await Agent(model).run("hi")
    usage = plain.usage
    check(f"{name}: an agent has text and usage", (plain.output, usage.input_tokens, usage.output_tokens) == ("Hello", 10, 7))

    one, cities = agent(model, **({"model_settings": THINKS} if thinks else {}))
    result = await one.run(QUESTION)
    check(f"{name}: an agent uses its tool", (result.output, cities) == ("Hello", ["Oslo"]))
    check(f"{name}: its thinking is there", thoughts(result) == ({"Hm"} if thinks else set()))
    more = await one.run("and now?", message_history=result.all_messages())
    check(f"{name}: its history is accepted", more.output == "Hello")

    async with one.run_stream(QUESTION) as stream:
        said = "".join([text async for text in stream.stream_text(delta=True)])
        total = stream.usage
    check(f"{name}: a streamed agent uses its tool", (said, cities) == ("Hello", ["Oslo"] * 3))
    check(f"{name}: both of its calls have usage", (total.requests, total.input_tokens, total.output_tokens) == (2, 20, 14))

    structured = await Agent(model, output_type=NativeOutput(City)).run("where?")
    check(f"{name}: JSON of a schema is parsed", structured.output == City(city="Oslo"))


async def errors(models):
    for group in ["own", "openai", "claude"]:
        for status in [400, 401, 404, 429, 500]:
            try:
                await Agent(models(f"{group}-{status}")).run("hi")
                check(f"{group} fails with {status}", False)
            except ModelHTTPError as error:
                check(f"{group} fails with a {status}", error.status_code == status)
        try:
            async with Agent(models(f"{group}-breaks")).run_stream("hi") as stream:
                await stream.get_output()
            check(f"{group}: a stream breaks", False)
        except ModelAPIError as error:
            check(f"{group}: a stream that breaks is an error", bool(error.message))


async def main():
    async with AsyncOpenAI(base_url=f"{sys.argv[1]}/v1", api_key="master", max_retries=0, timeout=30) as client:
        provider = OpenAIProvider(openai_client=client)
        for group, thinks in [("own", True), ("openai", False), ("claude", True), ("gemini", True)]:
            await talks(f"{group}, responses", OpenAIResponsesModel(group, provider=provider), thinks)
        for group in ["openai", "azure", "claude", "gemini"]:
            await talks(f"{group}, chat completions", OpenAIChatModel(group, provider=provider), False)
        await errors(lambda group: OpenAIResponsesModel(group, provider=provider))


asyncio.run(main())
