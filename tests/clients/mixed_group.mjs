// OpenAI's npm clients, its own and Azure's, over groups of OpenAI, Azure, Anthropic and Gemini: `mixed_group.mjs BASE`.
// In each group some deployments fail. The clients see no difference, whichever deployment serves.

import OpenAI, { AzureOpenAI } from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import { check, fails, same } from "./claims.mjs";

const base = process.argv[2];
const options = { apiKey: "master", maxRetries: 0, timeout: 30_000 };
const clients = {
  OpenAI: new OpenAI({ baseURL: `${base}/v1`, ...options }),
  AzureOpenAI: new AzureOpenAI({ endpoint: base, apiVersion: "2024-10-21", ...options }),
};
const vendors = ["openai", "azure", "claude", "gemini"];
const messages = [{ role: "user", content: "what is the weather in Oslo?" }];
const parameters = { type: "object", properties: { city: { type: "string" } } };
const tools = [{ type: "function", function: { name: "weather", description: "d", parameters } }];

// Returns what a user sees of a completion: text, tools, reason and usage.
function seen({ choices: [{ message, finish_reason }], usage }) {
  const calls = (message.tool_calls ?? []).map((call) => [call.function.name, JSON.parse(call.function.arguments)]);
  return [message.content ?? "", calls, finish_reason, usage.prompt_tokens, usage.completion_tokens];
}

async function talks(name, client, group) {
  const chat = client.chat.completions;
  // The client adds a stream up, and throws if its events do not fit together.
  const streamed = (request) => chat.stream({ ...request, stream_options: { include_usage: true } }).finalChatCompletion();
  const request = { model: group, messages };
  const hello = ["Hello", [], "stop", 10, 7];
  check(`${name}: ${group} responds`, same(seen(await chat.create(request)), hello));
  check(`${name}: ${group} streams`, same(seen(await streamed(request)), hello));
  const withTools = { ...request, tools, tool_choice: "required" };
  const called = ["", [["weather", { city: "Oslo" }]], "tool_calls", 10, 7];
  const completion = await chat.create(withTools);
  check(`${name}: ${group} calls a tool`, same(seen(completion), called));
  check(`${name}: ${group} streams a tool call`, same(seen(await streamed(withTools)), called));
  const { message } = completion.choices[0];
  const result = { role: "tool", tool_call_id: message.tool_calls[0].id, content: "rain" };
  const turns = [...messages, message, result];
  check(`${name}: ${group} takes its result`, same(seen(await chat.create({ ...request, tools, messages: turns })), hello));
}

// Calls a group with a text: all but OpenAI's deployment serve it by a chat.
async function completes(name, client, group) {
  const request = { model: group, prompt: "what is the weather in Oslo?", max_tokens: 9 };
  const whole = await client.completions.create(request);
  const { choices: [choice], usage } = whole;
  const seen = [whole.object, choice.text, choice.finish_reason, usage.prompt_tokens, usage.completion_tokens];
  check(`${name}: ${group} completes a text`, same(seen, ["text_completion", "Hello", "stop", 10, 7]));
  const [pieces, ends] = [[], []];
  const options = { stream: true, stream_options: { include_usage: true } };
  for await (const chunk of await client.completions.create({ ...request, ...options })) {
    for (const { text, finish_reason } of chunk.choices) {
      pieces.push(text);
      if (finish_reason) ends.push(finish_reason);
    }
    if (chunk.usage) ends.push(chunk.usage.total_tokens);
  }
  check(`${name}: ${group} streams a text completion`, same([pieces.join(""), ...ends], ["Hello", "stop", 17]));
}

async function parses(name, client, group) {
  const response_format = zodResponseFormat(z.object({ city: z.string() }), "city");
  const completion = await client.chat.completions.parse({ model: group, messages, response_format });
  check(`${name}: ${group} responds with JSON of a schema`, same(completion.choices[0].message.parsed, { city: "Oslo" }));
}

// Calls a group whose first deployment breaks after a word, and has another deployment continue.
async function continues(name, client, vendor) {
  const headers = { "x-tollgate-midstream": "continue" };
  const stream = client.chat.completions.stream({ model: `after-${vendor}`, messages }, { headers });
  const { choices: [choice] } = await stream.finalChatCompletion();
  check(`${name}: a stream that ${vendor} broke is continued`, same([choice.message.content, choice.finish_reason], ["Hello", "stop"]));
}

async function errors(name, client, group) {
  const kinds = { 400: OpenAI.BadRequestError, 429: OpenAI.RateLimitError, 500: OpenAI.InternalServerError };
  for (const [status, kind] of Object.entries(kinds)) {
    const error = await fails(client.chat.completions.create({ model: `${group}-${status}`, messages }));
    check(`${name}: ${group} fails with a ${status}`, error instanceof kind && error.message.includes(`refused with ${status}`));
  }
  const broken = client.chat.completions.stream({ model: `${group}-breaks`, messages });
  check(`${name}: a stream of ${group} that breaks is an error`, (await fails(broken.finalChatCompletion())) instanceof OpenAI.OpenAIError);
}

for (const [name, client] of Object.entries(clients)) {
  for (const vendor of vendors) {
    for (const group of [`only-${vendor}`, `without-${vendor}`]) {
      await talks(name, client, group);
      await completes(name, client, group);
    }
    await parses(name, client, `only-${vendor}`);
    await continues(name, client, vendor);
  }
  for (const group of ["openai", "claude"]) await errors(name, client, group);
}
