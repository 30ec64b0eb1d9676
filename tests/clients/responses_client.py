"""The official Python client of OpenAI's Responses, and OpenAI's Agents SDK: `responses_client.py TOLLGATE`.

It starts the gateway over a scripted upstream, and calls three groups through it: one that has Responses, one that has chat
completions, and one that speaks Anthropic's dialect. Each response and each event is checked against the types of the
client: create, stream, parse, tools, stored responses, errors, a stream that breaks, and an agent that calls a tool.
"""

import asyncio
import json
import sys

import agents
import openai
import pydantic
from dialects import Own, Upstream, config
from openai.types import responses as types
from scripted import check, gateway

TOOL = {
    "type": "function", "name": "weather", "strict": True, "description": "d",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                   "additionalProperties": False},
}
EVENT = pydantic.TypeAdapter(types.ResponseStreamEvent)


class Storing(Upstream):
    """Has the responses that it has made."""

    def do_GET(self):
        if "/input_items" in self.path:
            items = {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
            return self.reply(json.dumps({**items, "path": self.path}))
        if "stream=true" in self.path:
            return self.stream(Own.events("text", {})[3:])
        self.reply(json.dumps({**Own.response("text", {}), "metadata": {"path": self.path}}))

    def do_DELETE(self):
        self.reply(json.dumps({"id": "resp_1", "object": "response.deleted", "deleted": True}))

    def do_POST(self):
        if self.path.endswith("/cancel"):
            return self.reply(json.dumps(Own.response("text", {}, "cancelled")))
        super().do_POST()


class City(pydantic.BaseModel):
    city: str


def strictly(event):
    """Returns an event, whose members must have the types of the client."""
    return EVENT.validate_python(event.to_dict(mode="json", exclude_unset=True))


def calls(client, model):
    whole = client.responses.create(model=model, input="hi", instructions="Be brief.")
    types.Response.model_validate(whole.to_dict(mode="json"))
    check(f"{model}: a response has text", whole.output_text == "Hello" and whole.status == "completed")
    check(f"{model}: a response has usage", whole.usage.total_tokens == 17)

    events = [strictly(event) for event in client.responses.create(model=model, input="hi", stream=True)]
    check(f"{model}: the events are numbered", [event.sequence_number for event in events] == list(range(len(events))))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    check(f"{model}: a stream has text", said == "Hello" == events[-1].response.output_text)

    with client.responses.stream(model=model, input="hi") as stream:
        kinds = {event.type for event in stream}
        check(f"{model}: the client's own stream is complete", "response.completed" in kinds)
        check(f"{model}: it adds up to the response", stream.get_final_response().output_text == "Hello")

    parsed = client.responses.parse(model=model, input="where?", text_format=City)
    check(f"{model}: JSON of a schema is parsed", parsed.output_parsed == City(city="Oslo"))

    question = [{"role": "user", "content": "what is the weather in Oslo?"}]
    called = client.responses.create(model=model, input=question, tools=[TOOL])
    call = next(item for item in called.output if item.type == "function_call")
    check(f"{model}: a tool is called", json.loads(call.arguments) == {"city": "Oslo"})
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "rain"}
    done = client.responses.create(model=model, input=[*question, *called.output, result], tools=[TOOL])
    check(f"{model}: its result leads to text", done.output_text == "Hello")


def stored(client):
    """Uses a response that is stored at the server which has made it."""
    made = client.responses.create(model="own", input="hi", store=True)
    check("a stored response has an id of the gateway", made.id.startswith("resp_") and made.id != "resp_1")
    found = client.responses.retrieve(made.id, include=["message.output_text.logprobs"])
    check("it is retrieved by that id", found.id == made.id and found.output_text == "Hello")
    check("the server gets its own id", found.metadata["path"].startswith("/v1/responses/resp_1?include"))
    events = [strictly(event) for event in client.responses.retrieve(made.id, stream=True, starting_after=2)]
    check("it is retrieved as a stream", events[0].sequence_number == 3 and events[-1].response.id == made.id)
    items = client.responses.input_items.list(made.id, limit=3, order="asc", after="msg_1")
    check("its input items are listed", items.data == [] and "limit=3" in items.to_dict()["path"])
    next_one = client.responses.create(model="own", input="more", previous_response_id=made.id)
    check("it is continued", next_one.previous_response_id == made.id)
    check("it is cancelled", client.responses.cancel(made.id).status == "cancelled")
    check("it is deleted", client.responses.delete(made.id) is None)
    for lost in [made.id[:-1] + ("B" if made.id.endswith("A") else "A"), "resp_1"]:
        try:
            client.responses.retrieve(lost)
            check("an id that was changed is not found", False)
        except openai.NotFoundError as error:
            check("an id that was changed is not found", error.code == "response_not_found")


def errors(client):
    try:
        client.responses.create(model="openai", input="hi", previous_response_id="resp_1")
        check("an earlier response is refused", False)
    except openai.BadRequestError as error:
        check("an earlier response is refused by name", error.param == "previous_response_id")
    try:
        client.responses.create(model="openai-500", input="hi")
        check("a failure is an error", False)
    except openai.InternalServerError as error:
        check("a failure is an error of the server", error.status_code == 500)
    events = [strictly(event) for event in client.responses.create(model="openai-breaks", input="hi", stream=True)]
    check("a stream that breaks ends as a failed response", events[-1].type == "response.failed")
    check("it has its error", events[-1].response.status == "failed" and events[-1].response.error.message)
    azure = openai.AzureOpenAI(azure_endpoint=str(client.base_url).removesuffix("/v1/"), api_key="master",
                               api_version="preview", max_retries=0, timeout=30)
    check("Azure's client is served", azure.responses.create(model="openai", input="hi").output_text == "Hello")


@agents.function_tool
def weather(city: str) -> str:
    """Returns the weather."""
    return f"rain in {city}"


async def run_agents(base):
    """Runs agents that call a tool, plainly and as a stream: of each group, and of the SDK's default model."""
    async with openai.AsyncOpenAI(base_url=base, api_key="master", max_retries=0, timeout=30) as client:
        agents.set_default_openai_client(client, use_for_tracing=False)
        for model in ["own", "openai", "claude", None]:
            one = agents.Agent(name="one", instructions="Use the tool.", tools=[weather], model=model)
            result = await agents.Runner.run(one, "what is the weather in Oslo?")
            check(f"{model}: an agent uses its tool", result.final_output == "Hello")
            check(f"{model}: its tool has run", any(item.type == "tool_call_output_item" for item in result.new_items))
            streamed = agents.Runner.run_streamed(one, "what is the weather in Oslo?")
            async for _ in streamed.stream_events():
                pass
            check(f"{model}: a streamed agent uses its tool", streamed.final_output == "Hello")


agents.set_tracing_disabled(True)
with gateway(sys.argv[1], config(), Storing) as address:
    base = f"{address}/v1"
    with openai.OpenAI(base_url=base, api_key="master", max_retries=0, timeout=30) as client:
        for model in ["own", "openai", "claude"]:
            calls(client, model)
        stored(client)
        errors(client)
    asyncio.run(run_agents(base))
