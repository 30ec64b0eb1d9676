// The official npm client in the operations that pass through: `operations_client.mjs http://HOST:PORT/v1`.
// operations_client.py starts the gateway and its upstream.

import OpenAI, { toFile } from "openai";

const client = new OpenAI({ baseURL: process.argv[2], apiKey: "any", maxRetries: 0, timeout: 30_000 });
const sound = Uint8Array.from({ length: 256 * 400 }, (_, at) => at % 256);
const picture = new Uint8Array(2008);
picture.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);

// Prints a claim that holds, and ends the program for another.
function check(what, holds) {
  if (!holds) {
    console.error(`not ok - ${what}`);
    process.exit(1);
  }
  console.log(`ok - ${what}`);
}

const generated = await client.images.generate({ model: "any", prompt: "a cat" });
check("a picture is generated", generated.data[0].b64_json === "aGVsbG8=");
const pieces = [];
for await (const event of await client.images.generate({ model: "any", prompt: "a cat", stream: true })) {
  pieces.push(event.b64_json);
}
check("a picture is streamed", pieces.join() === "AAAA,BBBB");
const image = await toFile(picture, "cat.png", { type: "image/png" });
const edited = await client.images.edit({ model: "any", image, prompt: "a hat" });
check("a picture is edited", edited.data[0].b64_json === "a hat");

const recording = () => toFile(sound, "speech.wav", { type: "audio/wav" });
const transcribe = async (more) => client.audio.transcriptions.create({ model: "any", file: await recording(), ...more });
check("speech is transcribed", (await transcribe({ language: "de" })).text === "de");
const kinds = [];
for await (const event of await transcribe({ stream: true })) kinds.push(event.type);
check("a transcription is streamed", kinds.join() === "transcript.text.delta,transcript.text.done");
check("a form is sent again after a failure", (await transcribe({ model: "flaky" })).text === "hello");
const translated = await client.audio.translations.create({ model: "any", file: await recording() });
check("speech is translated", translated.text === "good day");
const spoken = await client.audio.speech.create({ model: "any", input: "hello", voice: "alloy" });
check("text is spoken", Buffer.from(await spoken.arrayBuffer()).equals(Buffer.from(sound)));

const moderation = await client.moderations.create({ model: "any", input: ["fine", "bad"] });
check("texts are moderated", moderation.results.map((result) => result.flagged).join() === "false,true");
