// The official npm client of Anthropic, over groups of Anthropic, OpenAI and Gemini: `anthropic_client.mjs BASE`.
// It sends messages plainly and as streams, with tools, thinking, counts of tokens, and meets errors.

import Anthropic from "@anthropic-ai/sdk";
import { check, fails, same } from "./claims.mjs";

const client = new Anthropic({ baseURL: process.argv[2], apiKey: "master", maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: "what is the weather in Oslo?" }];
const tool = {
  name: "weather",
  description: "d",
  input_schema: { type: "object", properties: { city: { type: "string" } } },
};

// Returns the text of a message, its reason and its usage.
function seen({ content, stop_reason, usage }) {
  const text = content.map((block) => block.text ?? "").join("");
  return [text, stop_reason, usage.input_tokens, usage.output_tokens];
}

async function talks(model) {
  const request = { model, max_tokens: 100, messages };
  const hello = ["Hello", "end_turn", 10, 7];
  check(`${model}: a message`, same(seen(await client.messages.create(request)), hello));

  let said = "";
  const stream = client.messages.stream(request).on("text", (text) => (said += text));
  check(`${model}: a stream adds up`, same(seen(await stream.finalMessage()), hello) && said === "Hello");
  const kinds = [];
  for await (const event of await client.messages.create({ ...request, stream: true })) kinds.push(event.type);
  check(`${model}: a stream begins and ends`, kinds[0] === "message_start" && kinds.at(-1) === "message_stop");

  const tools = { ...request, tools: [tool], tool_choice: { type: "any" } };
  for (const called of [await client.messages.create(tools), await client.messages.stream(tools).finalMessage()]) {
    const use = called.content.find((block) => block.type === "tool_use");
    check(`${model}: a tool is called`, called.stop_reason === "tool_use" && same(use.input, { city: "Oslo" }));
    const result = { role: "user", content: [{ type: "tool_result", tool_use_id: use.id, content: "rain" }] };
    const turns = [...messages, { role: "assistant", content: called.content }, result];
    const answer = await client.messages.create({ ...request, tools: [tool], messages: turns });
    check(`${model}: its result leads to text`, same(seen(answer), hello));
  }

  const count = await client.messages.countTokens({ model, messages });
  check(`${model}: tokens are counted`, count.input_tokens > 0);
}

async function thinks(model) {
  const request = { model, max_tokens: 4096, messages, thinking: { type: "enabled", budget_tokens: 1024 } };
  for (const message of [await client.messages.create(request), await client.messages.stream(request).finalMessage()]) {
    const [first] = message.content;
    check(`${model}: thinking comes first`, first.type === "thinking" && first.thinking === "Hm");
    const turns = [...messages, { role: "assistant", content: message.content }, ...messages];
    const answer = await client.messages.create({ ...request, messages: turns });
    check(`${model}: it may be sent back`, answer.content.at(-1).text === "Hello");
  }
}

async function errors(group) {
  const kinds = {
    400: Anthropic.BadRequestError,
    401: Anthropic.AuthenticationError,
    404: Anthropic.NotFoundError,
    429: Anthropic.RateLimitError,
    500: Anthropic.InternalServerError,
  };
  for (const [status, kind] of Object.entries(kinds)) {
    const request = { model: `${group}-${status}`, max_tokens: 100, messages };
    const error = await fails(client.messages.create(request));
    const inForm = error.error.type === "error" && error.message.includes(`refused with ${status}`);
    check(`${group}: a ${status}`, error instanceof kind && inForm);
  }
  const broken = client.messages.stream({ model: `${group}-breaks`, max_tokens: 100, messages });
  const error = await fails(broken.finalMessage());
  check(`${group}: a stream that breaks is an error`, error instanceof Anthropic.APIError && /api_error/.test(error.message));
}

for (const model of ["claude", "openai", "azure", "gemini"]) await talks(model);
for (const model of ["claude", "gemini"]) await thinks(model);
for (const group of ["claude", "openai"]) await errors(group);
const unknown = await fails(client.messages.create({ model: "unknown", max_tokens: 9, messages }));
check("an unknown model is a 404", unknown instanceof Anthropic.NotFoundError);
