// The official npm client against a running gateway: `node openai_client.mjs http://HOST:PORT/v1`.
// It lists the models, completes, streams, calls for responses, leaves a stream, and meets an error.

import OpenAI from "openai";
import { check } from "./claims.mjs";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "any", maxRetries: 0, timeout: 30_000 });
const messages = [{ role: "user", content: "what llm are you" }];

const models = [];
for await (const model of client.models.list()) models.push(model.id);
check("the models are listed", models.length > 0);
const model = models[0];

const { data, response } = await client.chat.completions.create({ model, messages }).withResponse();
check("a completion has content", data.choices[0].message.content.length > 0);
check("a completion is finished", data.choices[0].finish_reason === "stop");
check("an answer names its deployment", response.headers.get("x-litellm-model-id"));

let said = "";
const reasons = [];
for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
  for (const choice of chunk.choices) {
    said += choice.delta.content ?? "";
    if (choice.finish_reason) reasons.push(choice.finish_reason);
  }
}
check("a stream has content", said.length > 0);
check("a stream finishes once", reasons.length === 1 && reasons[0] === "stop");

for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) break;
check("a stream may be left", true);

const whole = await client.responses.create({ model, input: "what llm are you" });
check("a response has text", whole.output_text.length > 0 && whole.status === "completed");
const pieces = client.responses.stream({ model, input: "what llm are you" });
let kinds = 0;
for await (const event of pieces) kinds += event.type === "response.completed";
const final = await pieces.finalResponse();
check("a streamed response is complete once, and adds up", kinds === 1 && final.output_text.length > 0);

try {
  await client.chat.completions.create({ model: "no-such-model", messages });
  check("an unknown model is an error", false);
} catch (error) {
  const understood = error instanceof OpenAI.BadRequestError || error instanceof OpenAI.NotFoundError;
  check("an unknown model is an error that the client understands", understood && /no-such-model/.test(error.message));
}
