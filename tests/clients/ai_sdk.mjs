// The Vercel AI SDK with the models of OpenAI, which are Responses by default, and of Anthropic: `ai_sdk.mjs BASE`.

import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { APICallError, Output, embedMany, generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";
import { check, fails, same } from "./claims.mjs";

globalThis.AI_SDK_LOG_WARNINGS = false;
const options = { baseURL: `${process.argv[2]}/v1`, apiKey: "master" };
const openai = createOpenAI(options);
const anthropic = createAnthropic(options);
const prompt = "what is the weather in Oslo?";
const maxRetries = 0;
const schema = jsonSchema({
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
});
const thinks = { openai: { forceReasoning: true, reasoningEffort: "low", reasoningSummary: "auto" } };

// Returns the settings of a call with a tool, which records its calls in `cities`.
function withTool(cities) {
  const execute = ({ city }) => {
    cities.push(city);
    return `rain in ${city}`;
  };
  return { tools: { weather: tool({ description: "d", inputSchema: schema, execute }) }, stopWhen: stepCountIs(3) };
}

// Returns the usage of a result: input and output.
const usage = ({ inputTokens, outputTokens }) => [inputTokens, outputTokens];

async function talks(name, model, providerOptions, thought) {
  const whole = await generateText({ model, prompt, maxRetries, providerOptions });
  check(`${name}: a text`, whole.text === "Hello" && whole.finishReason === "stop");
  check(`${name}: its usage`, same(usage(whole.usage), [10, 7]));
  check(`${name}: its reasoning`, whole.reasoningText === thought);

  const streamed = streamText({ model, prompt, maxRetries, providerOptions });
  const pieces = [];
  for await (const piece of streamed.textStream) pieces.push(piece);
  check(`${name}: a streamed text`, pieces.length > 1 && pieces.join("") === "Hello");
  check(`${name}: its usage`, same(usage(await streamed.usage), [10, 7]));
  check(`${name}: its reasoning`, (await streamed.reasoningText) === thought);

  const cities = [];
  const used = await generateText({ model, prompt, maxRetries, providerOptions, ...withTool(cities) });
  check(`${name}: a tool and then a text`, same([used.text, used.steps.length, cities], ["Hello", 2, ["Oslo"]]));
  const live = streamText({ model, prompt, maxRetries, providerOptions, ...withTool(cities) });
  check(`${name}: the same in a stream`, same([await live.text, cities], ["Hello", ["Oslo", "Oslo"]]));
  check(`${name}: the usage of both steps`, same(usage(await live.totalUsage), [20, 14]));
}

async function parses(name, model) {
  const parsed = await generateText({ model, prompt, maxRetries, output: Output.object({ schema }) });
  check(`${name}: JSON of a schema`, same(parsed.output, { city: "Oslo" }));
}

// Calls a group with the text of an earlier response, which the SDK sends as a reference unless `store` is false.
async function remembers(group) {
  const turns = async (providerOptions) => {
    const first = await generateText({ model: openai(group), prompt, maxRetries, providerOptions });
    const messages = [{ role: "user", content: prompt }, ...first.response.messages, { role: "user", content: "and now?" }];
    return generateText({ model: openai(group), messages, maxRetries, providerOptions });
  };
  const refused = await fails(turns({}));
  check(`${group}: a reference is refused with advice`, refused.statusCode === 400 && /store/.test(refused.message));
  check(`${group}: a second turn without store`, (await turns({ openai: { store: false } })).text === "Hello");
}

async function errors(group, provider) {
  for (const status of [400, 401, 404, 429, 500]) {
    const error = await fails(generateText({ model: provider(`${group}-${status}`), prompt, maxRetries }));
    const understood = APICallError.isInstance(error) && error.message.includes(`refused with ${status}`);
    check(`${group}: a ${status}`, understood && error.statusCode === status);
    check(`${group}: it says whether to retry`, error.isRetryable === (status === 429 || status === 500));
  }
  const broken = [];
  const onError = ({ error }) => broken.push(error);
  await streamText({ model: provider(`${group}-breaks`), prompt, maxRetries, onError }).consumeStream();
  check(`${group}: a stream that breaks is an error`, broken.length === 1);
}

for (const [group, thought] of [["own", "Hm"], ["openai", undefined], ["claude", "Hm"], ["gemini", "Hm"]]) {
  await talks(`${group}, responses`, openai(group), {}, undefined);
  await talks(`${group}, responses with reasoning`, openai(group), thinks, thought);
  await parses(`${group}, responses`, openai(group));
}
for (const group of ["openai", "azure", "claude", "gemini"]) {
  await talks(`${group}, chat completions`, openai.chat(group), {}, undefined);
  await parses(`${group}, chat completions`, openai.chat(group));
}
const budget = { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } };
await talks("claude, messages", anthropic("claude"), budget, "Hm");
await talks("openai, messages", anthropic("openai"), {}, undefined);
await talks("gemini, messages", anthropic("gemini"), budget, "Hm");
for (const group of ["openai", "claude"]) await remembers(group);
const { embeddings } = await embedMany({ model: openai.embedding("text-embedding-3-small"), values: ["a", "b"] });
check("embeddings", same(embeddings, [[0.25, -0.5], [0.25, -0.5]]));
await errors("own", openai);
await errors("openai", openai);
await errors("claude", openai);
await errors("claude", anthropic);
await errors("openai", anthropic);
