// The official npm client of OpenAI in its Responses, over groups of all vendors: `responses_client.mjs BASE`.
// It calls plainly, in streams, with tools, with JSON of a schema, with reasoning, and meets errors.

import OpenAI from "openai";
import { zodTextFormat } from "openai/helpers/zod";
import { z } from "zod";
import { check, fails, same } from "./claims.mjs";

const client = new OpenAI({ baseURL: `${process.argv[2]}/v1`, apiKey: "master", maxRetries: 0, timeout: 30_000 });
const question = [{ role: "user", content: "what is the weather in Oslo?" }];
const tools = [
  {
    type: "function",
    name: "weather",
    strict: true,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"], additionalProperties: false },
  },
];

// Returns the text of a response, its status and its usage.
const seen = (response) => [response.output_text, response.status, response.usage.input_tokens, response.usage.output_tokens];

// Returns the response of a stream, which the client adds up.
const streamed = (request) => client.responses.stream(request).finalResponse();

async function talks(model, thought) {
  const hello = ["Hello", "completed", 10, 7];
  const reasoning = { effort: "low", summary: "auto" };
  for (const [form, call] of [["a response", (request) => client.responses.create(request)], ["a stream", streamed]]) {
    const response = await call({ model, input: "hi", reasoning });
    check(`${model}: ${form}`, same(seen(response), hello));
    const summary = response.output.find((item) => item.type === "reasoning")?.summary[0].text;
    check(`${model}: ${form} has its reasoning`, summary === thought);

    const called = await call({ model, input: question, tools });
    const use = called.output.find((item) => item.type === "function_call");
    check(`${model}: ${form} calls a tool`, use.name === "weather" && same(JSON.parse(use.arguments), { city: "Oslo" }));
    const result = { type: "function_call_output", call_id: use.call_id, output: "rain" };
    const answer = await call({ model, input: [...question, ...called.output, result], tools });
    check(`${model}: ${form} follows its result`, same(seen(answer), hello));
  }
  const format = zodTextFormat(z.object({ city: z.string() }), "city");
  const parsed = await client.responses.parse({ model, input: "where?", text: { format } });
  check(`${model}: JSON of a schema is parsed`, same(parsed.output_parsed, { city: "Oslo" }));
}

async function errors(group) {
  const kinds = {
    400: OpenAI.BadRequestError,
    401: OpenAI.AuthenticationError,
    404: OpenAI.NotFoundError,
    429: OpenAI.RateLimitError,
    500: OpenAI.InternalServerError,
  };
  for (const [status, kind] of Object.entries(kinds)) {
    const error = await fails(client.responses.create({ model: `${group}-${status}`, input: "hi" }));
    check(`${group}: a ${status}`, error instanceof kind && error.message.includes(`refused with ${status}`));
  }
  let last;
  for await (const event of await client.responses.create({ model: `${group}-breaks`, input: "hi", stream: true })) last = event;
  check(`${group}: a stream that breaks ends as a failed response`, last.type === "response.failed" && last.response.error.message);
}

for (const [model, thought] of [["own", "Hm"], ["openai", undefined], ["claude", "Hm"], ["gemini", "Hm"]]) await talks(model, thought);
for (const group of ["own", "openai", "claude"]) await errors(group);
