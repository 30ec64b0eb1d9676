"""The official Python client against a running gateway: `openai_client.py http://HOST:PORT/v1`.

It lists the models, completes, streams, and meets an error, once plainly and once asynchronously.
"""

import asyncio
import sys

import openai
from scripted import check

BASE = sys.argv[1]
QUESTION = [{"role": "user", "content": "what llm are you"}]


def plainly():
    client = openai.OpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=30)

    models = [model.id for model in client.models.list()]
    check("the models are listed", len(models) > 0)
    model = models[0]

    answer = client.chat.completions.create(model=model, messages=QUESTION)
    check("a completion has content", bool(answer.choices[0].message.content))
    check("a completion is finished", answer.choices[0].finish_reason == "stop")

    raw = client.chat.completions.with_raw_response.create(model=model, messages=QUESTION)
    check("an answer names its deployment", bool(raw.headers.get("x-litellm-model-id")))

    said, reasons = "", []
    for chunk in client.chat.completions.create(model=model, messages=QUESTION, stream=True):
        for choice in chunk.choices:
            said += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
    check("a stream has content", bool(said))
    check("a stream finishes once", reasons == ["stop"])

    more = {"num_retries": 1, "request_timeout": 20, "fallbacks": [{model: [models[-1]]}]}
    answer = client.chat.completions.create(model=model, messages=QUESTION, extra_body=more)
    check("settings ride in extra_body", bool(answer.choices[0].message.content))

    try:
        client.chat.completions.create(model="no-such-model", messages=QUESTION)
        check("an unknown model is an error", False)
    except (openai.BadRequestError, openai.NotFoundError) as error:
        check("an unknown model is an error that the client understands", "no-such-model" in error.message)


async def asynchronously():
    async with openai.AsyncOpenAI(base_url=BASE, api_key="any", max_retries=0, timeout=30) as client:
        model = (await client.models.list()).data[0].id

        async def ask():
            answer = await client.chat.completions.create(model=model, messages=QUESTION)
            return answer.choices[0].message.content

        answers = await asyncio.gather(*[ask() for _ in range(8)])
        check("eight at once are answered", all(answers))

        said = ""
        async for chunk in await client.chat.completions.create(model=model, messages=QUESTION, stream=True):
            said += "".join(choice.delta.content or "" for choice in chunk.choices)
        check("an asynchronous stream has content", bool(said))


plainly()
asyncio.run(asynchronously())
