// The official npm client with keys of clients: `client_keys.mjs http://HOST:PORT/v1`. client_keys.py starts the gateway.

import OpenAI from "openai";
import { check, fails } from "./claims.mjs";

const messages = [{ role: "user", content: "hello" }];
const client = (apiKey) => new OpenAI({ baseURL: process.argv[2], apiKey, maxRetries: 0, timeout: 30_000 });
const chat = (key, model = "chat") => client(key).chat.completions.create({ model, messages });

const unknown = await fails(chat("key-unknown"));
check("an unknown key is a 401", unknown instanceof OpenAI.AuthenticationError && unknown.code === "invalid_api_key");

const denied = await fails(chat("key-node", "other"));
check("another group is a 403", denied instanceof OpenAI.PermissionDeniedError && denied.param === "model");

check("the group of the key is called", (await chat("key-node")).choices[0].message.content === "hi");
const limited = await fails(chat("key-node"));
check("a request beyond the minute is a 429", limited instanceof OpenAI.RateLimitError && limited.type === "requests");
check("it has retry-after", Number(limited.headers.get("retry-after")) > 0);

await chat("key-node-budget", "other");
const spent = await fails(chat("key-node-budget", "other"));
check("a spent budget is a 429", spent instanceof OpenAI.RateLimitError && spent.code === "insufficient_quota");
