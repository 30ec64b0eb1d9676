"""The official Python client of OpenAI's Responses, and OpenAI's Agents SDK: `responses_client.py TOLLGATE`.

It starts the gateway over a scripted upstream, and calls three groups through it: one that has Responses, one that has chat
completions, and one that speaks Anthropic's dialect. Each response and each event is checked against the types of the
client: create, stream, parse, tools, errors, a stream that breaks, and an agent that calls a tool.
"""

import asyncio
import json
import sys

import agents
import openai
import pydantic
from openai.types import responses as types
from scripted import ScriptedUpstream, check, gateway

CONFIG = """
model_list:
  - model_name: own
    litellm_params: {{model: openai/responses/gpt-x, api_base: "{upstream}/v1", api_key: k}}
  - model_name: chat
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/v1", api_key: k}}
  - model_name: "gpt-*"
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/v1", api_key: k}}
  - model_name: claude
    litellm_params: {{model: anthropic/claude-sonnet-4-5, api_base: "{upstream}", api_key: k}}
  - model_name: failing
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/failing", api_key: k}}
  - model_name: broken
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/broken", api_key: k}}
litellm_settings: {{num_retries: 0}}
general_settings: {{master_key: master}}
"""
TOOL = {
    "type": "function", "name": "weather", "strict": True, "description": "d",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                   "additionalProperties": False},
}
ARGUMENTS = ['{"city":', '"Oslo"}']
EVENT = pydantic.TypeAdapter(types.ResponseStreamEvent)


def chat_chunks(kind):
    """Returns the chunks of a chat: text, JSON, or the call of a tool."""
    def chunk(delta, reason=None):
        choice = {"index": 0, "delta": delta, "finish_reason": reason}
        return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "g", "choices": [choice]}

    yield chunk({"role": "assistant", "content": ""})
    if kind == "tool":
        yield chunk({"tool_calls": [{"index": 0, "id": "call_1", "function": {"name": "weather", "arguments": ""}}]})
        for piece in ARGUMENTS:
            yield chunk({"tool_calls": [{"index": 0, "function": {"arguments": piece}}]})
    else:
        yield from (chunk({"content": word}) for word in (["Hel", "lo"] if kind == "text" else ARGUMENTS))
    yield chunk({}, "tool_calls" if kind == "tool" else "stop")
    usage = {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}
    yield {"id": "chatcmpl-1", "model": "g", "choices": [], "usage": usage}


def claude_events(kind):
    """Returns the events of Anthropic: thinking, and text, JSON, or the call of a tool."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "c", "content": [],
               "stop_reason": None, "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 1}}
    yield {"type": "message_start", "message": message}
    yield {"type": "content_block_start", "index": 0,
           "content_block": {"type": "thinking", "thinking": "Hm", "signature": "Eq=="}}
    yield {"type": "content_block_stop", "index": 0}
    if kind == "tool":
        block = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}}
        deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in ARGUMENTS]
    else:
        words = ["Hel", "lo"] if kind == "text" else ARGUMENTS
        block, deltas = {"type": "text", "text": ""}, [{"type": "text_delta", "text": word} for word in words]
    yield {"type": "content_block_start", "index": 1, "content_block": block}
    for delta in deltas:
        yield {"type": "content_block_delta", "index": 1, "delta": delta}
    yield {"type": "content_block_stop", "index": 1}
    reason = "tool_use" if kind == "tool" else "end_turn"
    yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}}
    yield {"type": "message_stop"}


def own_item(kind):
    """Returns the item of a server that has Responses."""
    if kind == "tool":
        return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "weather", "status": "completed",
                "arguments": "".join(ARGUMENTS)}
    text = "Hello" if kind == "text" else "".join(ARGUMENTS)
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def own_response(kind, status="completed"):
    """Returns the response of a server that has Responses."""
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
             "output_tokens": 7, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": 17}
    done = status == "completed"
    return {"id": "resp_1", "object": "response", "created_at": 1, "status": status, "model": "gpt-x",
            "output": [own_item(kind)] if done else [], "usage": usage if done else None,
            "parallel_tool_calls": True, "tool_choice": "auto", "tools": []}


def own_events(kind):
    """Returns the events of a server that has Responses."""
    item, place = own_item(kind), {"output_index": 0, "item_id": own_item(kind)["id"]}
    events = [{"type": "response.created", "response": own_response(kind, "in_progress")}]
    if kind == "tool":
        events.append({"type": "response.output_item.added", "output_index": 0, "item": {**item, "arguments": ""}})
        deltas = [{"type": "response.function_call_arguments.delta", "delta": piece, **place} for piece in ARGUMENTS]
    else:
        part = {"type": "output_text", "text": "", "annotations": [], "logprobs": []}
        events.append({"type": "response.output_item.added", "output_index": 0, "item": {**item, "content": []}})
        events.append({"type": "response.content_part.added", "content_index": 0, "part": part, **place})
        words = ["Hel", "lo"] if kind == "text" else ARGUMENTS
        deltas = [{"type": "response.output_text.delta", "delta": word, "logprobs": [], "content_index": 0, **place}
                  for word in words]
    events += deltas
    events.append({"type": "response.output_item.done", "output_index": 0, "item": item})
    events.append({"type": "response.completed", "response": own_response(kind)})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def chat_completion(kind):
    """Returns the complete response of a chat."""
    call = {"id": "call_1", "type": "function", "function": {"name": "weather", "arguments": "".join(ARGUMENTS)}}
    text = {"text": "Hello", "json": "".join(ARGUMENTS)}
    message = {"role": "assistant", "content": text.get(kind), **({"tool_calls": [call]} if kind == "tool" else {})}
    choice = {"index": 0, "message": message, "finish_reason": "tool_calls" if kind == "tool" else "stop"}
    return {"id": "chatcmpl-1", "object": "chat.completion", "model": "g", "choices": [choice],
            "usage": {"prompt_tokens": 10, "completion_tokens": 7, "total_tokens": 17}}


def claude_message(kind):
    """Returns the complete message of Anthropic."""
    call = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Oslo"}}
    text = {"type": "text", "text": "Hello" if kind == "text" else "".join(ARGUMENTS)}
    thinking = {"type": "thinking", "thinking": "Hm", "signature": "Eq=="}
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": "c",
            "content": [thinking, call if kind == "tool" else text],
            "stop_reason": "tool_use" if kind == "tool" else "end_turn",
            "usage": {"input_tokens": 10, "output_tokens": 7}}


class Upstream(ScriptedUpstream):
    """Replies in the dialect of the path: with the call of a tool until its result is there, with JSON if that is
    requested, else with text."""


    def do_POST(self):
        text = self.rfile.read(int(self.headers["content-length"])).decode()
        body = json.loads(text)
        has_result = any(word in text for word in ["function_call_output", '"role":"tool"', "tool_result"])
        wants_json = any(name in body for name in ["response_format", "output_config"]) or "format" in body.get("text", {})
        kind = "tool" if body.get("tools") and not has_result else "json" if wants_json else "text"
        if self.path.startswith("/failing"):
            error = {"message": "The server had an error", "type": "server_error", "param": None, "code": None}
            return self.reply(json.dumps({"error": error}), status=500)
        if self.path.endswith("/responses"):
            whole, events = own_response(kind), own_events(kind)
        elif self.path.endswith("/messages"):
            whole, events = claude_message(kind), claude_events(kind)
        else:
            whole, events = chat_completion(kind), chat_chunks(kind)
        if not body.get("stream"):
            return self.reply(json.dumps(whole))
        events = [f"event: {event.get('type', 'chunk')}\ndata: {json.dumps(event)}\n\n" for event in events]
        if self.path.startswith("/broken"):
            events = events[:2]
        elif self.path.endswith("/completions"):
            events.append("data: [DONE]\n\n")
        return self.reply("".join(events), "text/event-stream")


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


def errors(client):
    try:
        client.responses.create(model="chat", input="hi", previous_response_id="resp_1")
        check("an earlier response is refused", False)
    except openai.BadRequestError as error:
        check("an earlier response is refused by name", error.param == "previous_response_id")
    try:
        client.responses.create(model="failing", input="hi")
        check("a failure is an error", False)
    except openai.InternalServerError as error:
        check("a failure is an error of the server", error.status_code == 500)
    events = [strictly(event) for event in client.responses.create(model="broken", input="hi", stream=True)]
    check("a stream that breaks ends as a failed response", events[-1].type == "response.failed")
    check("it has its error", events[-1].response.status == "failed" and events[-1].response.error.message)
    azure = openai.AzureOpenAI(azure_endpoint=str(client.base_url).removesuffix("/v1/"), api_key="master",
                               api_version="preview", max_retries=0, timeout=30)
    check("Azure's client is served", azure.responses.create(model="chat", input="hi").output_text == "Hello")


@agents.function_tool
def weather(city: str) -> str:
    """Returns the weather."""
    return f"rain in {city}"


async def run_agents(base):
    """Runs agents that call a tool, plainly and as a stream: of each group, and of the SDK's default model."""
    async with openai.AsyncOpenAI(base_url=base, api_key="master", max_retries=0, timeout=30) as client:
        agents.set_default_openai_client(client, use_for_tracing=False)
        for model in ["own", "chat", "claude", None]:
            one = agents.Agent(name="one", instructions="Use the tool.", tools=[weather], model=model)
            result = await agents.Runner.run(one, "what is the weather in Oslo?")
            check(f"{model}: an agent uses its tool", result.final_output == "Hello")
            check(f"{model}: its tool has run", any(item.type == "tool_call_output_item" for item in result.new_items))
            streamed = agents.Runner.run_streamed(one, "what is the weather in Oslo?")
            async for _ in streamed.stream_events():
                pass
            check(f"{model}: a streamed agent uses its tool", streamed.final_output == "Hello")


agents.set_tracing_disabled(True)
with gateway(sys.argv[1], CONFIG, Upstream) as address:
    base = f"{address}/v1"
    with openai.OpenAI(base_url=base, api_key="master", max_retries=0, timeout=30) as client:
        for model in ["own", "chat", "claude"]:
            calls(client, model)
        errors(client)
    asyncio.run(run_agents(base))
