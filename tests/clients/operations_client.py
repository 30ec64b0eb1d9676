"""The official Python client in the operations that pass through: `operations_client.py TOLLGATE [COMMAND ...]`.

It starts a gateway in front of a scripted upstream that is strict about what it is sent, calls images, audio, moderations
and reranking, and then runs the command with the address of the gateway, for the client of another language.
"""

import email.parser
import email.policy
import io
import json
import subprocess
import sys
import urllib.request
import warnings

import openai
from scripted import ScriptedUpstream, check, gateway

CONFIG = """
model_list:
  - model_name: any
    litellm_params: {{model: openai/upstream-model, api_base: "{upstream}/v1", api_key: sk-upstream}}
  - model_name: flaky
    litellm_params: {{model: openai/flaky-model, api_base: "{upstream}/v1", api_key: sk-upstream}}
  - model_name: claude
    litellm_params: {{model: anthropic/claude-x, api_base: "{upstream}", api_key: sk-upstream}}
"""

SOUND = bytes(range(256)) * 400
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(2000)


class Upstream(ScriptedUpstream):
    """An upstream with one model, which refuses what OpenAI would refuse."""

    failures = 0

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        fields = self.fields(body)
        if fields["model"] == "flaky-model" and Upstream.failures < 1:
            Upstream.failures += 1
            return self.reply('{"error": {"message": "busy", "type": "server_error"}}', status=503)
        if fields.pop("model") not in ("upstream-model", "flaky-model"):
            return self.reply('{"error": {"message": "no such model", "type": "invalid_request_error"}}', status=404)
        respond = getattr(self, self.path.removeprefix("/v1/").replace("/", "_"))
        return respond(fields)

    def fields(self, body):
        kind = self.headers["content-type"]
        if kind == "application/json":
            return json.loads(body)
        head = f"content-type: {kind}\r\n\r\n".encode()
        form = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(head + body)
        parts = [(part.get_param("name", header="content-disposition"), part) for part in form.iter_parts()]
        files = {name: part.get_payload(decode=True) for name, part in parts if part.get_filename()}
        texts = {name: part.get_payload(decode=True).decode() for name, part in parts if not part.get_filename()}
        return files | texts

    def json(self, value):
        self.reply(json.dumps(value))

    def moderations(self, fields):
        flagged = ["bad" in text for text in fields["input"]]
        results = [{"flagged": flag, "categories": {"violence": flag}, "category_scores": {"violence": 0.5}} for flag in flagged]
        self.json({"id": "modr-1", "model": "omni-moderation", "results": results})

    def rerank(self, fields):
        results = [{"index": at, "relevance_score": 1 / (at + 1)} for at in range(fields["top_n"])]
        self.json({"id": "rank-1", "results": results, "meta": {"billed_units": {"search_units": 1}}})

    def images_generations(self, fields):
        if fields.get("stream"):
            events = [
                {"type": "image_generation.partial_image", "b64_json": "AAAA", "partial_image_index": 0},
                {"type": "image_generation.completed", "b64_json": "BBBB", "usage": {"total_tokens": 3}},
            ]
            text = "".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events)
            return self.reply(text, "text/event-stream")
        if "forbidden" in fields["prompt"]:
            error = {"message": "rejected", "type": "user_error", "code": "moderation_blocked"}
            return self.reply(json.dumps({"error": error}), status=400)
        return self.json({"created": 1, "data": [{"b64_json": "aGVsbG8="}] * fields.get("n", 1)})

    def images_edits(self, fields):
        pictures = [value for name, value in fields.items() if name.startswith("image")]
        assert pictures == [PICTURE], fields.keys()
        self.json({"created": 1, "data": [{"b64_json": fields["prompt"]}]})

    def audio_transcriptions(self, fields):
        assert fields["file"] == SOUND and "num_retries" not in fields
        if fields.get("stream") == "true":
            events = [
                {"type": "transcript.text.delta", "delta": "hel"},
                {"type": "transcript.text.done", "text": "hello", "usage": {"type": "tokens", "input_tokens": 1, "output_tokens": 2, "total_tokens": 3}},
            ]
            return self.reply("".join(f"data: {json.dumps(event)}\n\n" for event in events), "text/event-stream")
        if fields.get("response_format") == "srt":
            return self.reply("1\n00:00:00,000 --> 00:00:01,000\nhello\n", "text/plain")
        return self.json({"text": fields.get("language", "hello")})

    def audio_translations(self, fields):
        assert fields["file"] == SOUND
        self.json({"text": "good day"})

    def audio_speech(self, fields):
        assert fields["voice"] == "alloy"
        self.send_response(200)
        self.send_header("content-type", "audio/mpeg")
        self.send_header("content-length", str(len(SOUND)))
        self.end_headers()
        self.wfile.write(SOUND)


def images(client):
    picture = client.images.generate(model="any", prompt="a cat", n=2)
    check("pictures are generated", [one.b64_json for one in picture.data] == ["aGVsbG8="] * 2)
    events = list(client.images.generate(model="any", prompt="a cat", stream=True, partial_images=1))
    check("a picture is streamed", [event.b64_json for event in events] == ["AAAA", "BBBB"])
    edited = client.images.edit(model="any", image=("cat.png", PICTURE, "image/png"), prompt="a hat")
    check("a picture is edited", edited.data[0].b64_json == "a hat")
    try:
        client.images.generate(model="any", prompt="forbidden")
        check("a picture is refused", False)
    except openai.BadRequestError as error:
        check("a refused picture is the error of the upstream", error.code == "moderation_blocked")


def audio(client):
    def sound():
        return ("speech.wav", io.BytesIO(SOUND), "audio/wav")

    transcribe = client.audio.transcriptions.create
    check("speech is transcribed", transcribe(model="any", file=sound()).text == "hello")
    check("fields of a form pass", transcribe(model="any", file=sound(), language="de").text == "de")
    subtitles = transcribe(model="any", file=sound(), response_format="srt")
    check("a transcription may be subtitles", subtitles.startswith("1\n00:00"))
    events = list(transcribe(model="any", file=sound(), stream=True))
    check("a transcription is streamed", [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"])
    again = transcribe(model="flaky", file=sound(), extra_body={"num_retries": 1})
    check("a form is sent again after a failure", again.text == "hello" and Upstream.failures == 1)
    with warnings.catch_warnings():
        # The client says that OpenAI will end the operation.
        warnings.simplefilter("ignore", DeprecationWarning)
        translated = client.audio.translations.create(model="any", file=sound())
    check("speech is translated", translated.text == "good day")
    spoken = client.audio.speech.create(model="any", input="hello", voice="alloy")
    check("text is spoken", spoken.content == SOUND)
    with client.audio.speech.with_streaming_response.create(model="any", input="hello", voice="alloy") as response:
        check("speech is streamed", b"".join(response.iter_bytes()) == SOUND)


def others(client, base):
    moderation = client.moderations.create(model="any", input=["fine", "bad"])
    check("texts are moderated", [result.flagged for result in moderation.results] == [False, True])
    try:
        client.moderations.create(model="claude", input=["fine"])
        check("an operation that the provider lacks is an error", False)
    except openai.BadRequestError as error:
        check("an operation that the provider lacks is named", "no moderations" in error.message)
    for path in ("/rerank", "/v1/rerank", "/v2/rerank"):
        body = {"model": "any", "query": "q", "documents": ["a", "b", "c"], "top_n": 2}
        request = urllib.request.Request(base + path, json.dumps(body).encode(), {"content-type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as response:
            check(f"documents are ranked at {path}", [one["index"] for one in json.load(response)["results"]] == [0, 1])


def azures_client(base):
    client = openai.AzureOpenAI(azure_endpoint=base, api_key="any", api_version="2025-04-01-preview", max_retries=0, timeout=30)
    check("Azure's client generates pictures", client.images.generate(model="any", prompt="a cat").data[0].b64_json == "aGVsbG8=")
    transcribed = client.audio.transcriptions.create(model="any", file=("a.wav", SOUND, "audio/wav"))
    check("Azure's client transcribes", transcribed.text == "hello")


with gateway(sys.argv[1], CONFIG, Upstream) as base:
    client = openai.OpenAI(base_url=f"{base}/v1", api_key="any", max_retries=0, timeout=30)
    images(client)
    audio(client)
    others(client, base)
    azures_client(base)
    if sys.argv[2:]:
        Upstream.failures = 0
        subprocess.run([*sys.argv[2:], f"{base}/v1"], check=True)
