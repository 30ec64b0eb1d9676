"""The official Python client with keys of clients: `client_keys.py TOLLGATE [COMMAND...]`.

It starts the gateway over a scripted upstream that counts its calls, and calls through the groups, limits and budgets of
keys: 401, 403, 429 with `retry-after`, and eight threads at a limit. Then it runs COMMAND with the address of the gateway.
"""

import json
import subprocess
import sys
import threading

import openai
from scripted import ScriptedUpstream, check, gateway

CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {{model: openai/gpt-4o, api_base: "{upstream}/v1", api_key: k}}
  - model_name: other
    litellm_params: {{model: openai/x, api_base: "{upstream}/v1", api_key: k, output_cost_per_token: 0.01}}
general_settings:
  master_key: master
  keys:
    - {{name: groups, key: key-groups, models: [chat]}}
    - {{name: minute, key: key-minute, rpm_limit: 2}}
    - {{name: tokens, key: key-tokens, tpm_limit: 100}}
    - {{name: threads, key: key-threads, rpm_limit: 20}}
    - {{name: budget, key: key-budget, max_budget: 0.1, budget_duration: 1h}}
    - {{name: expired, key: key-expired, expires: 2020-01-01}}
    - {{name: node, key: key-node, models: [chat], rpm_limit: 1}}
    - {{name: node-budget, key: key-node-budget, max_budget: 0.1, budget_duration: 1h}}
"""
MESSAGES = [{"role": "user", "content": "hello"}]


class Upstream(ScriptedUpstream):
    """Replies to each chat with ten tokens of output, and counts the calls."""

    calls = 0
    lock = threading.Lock()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        with Upstream.lock:
            Upstream.calls += 1
        usage = {"prompt_tokens": 5, "completion_tokens": 10, "total_tokens": 15}
        if body.get("stream"):
            choice = {"index": 0, "delta": {"content": "hi"}, "finish_reason": "stop"}
            events = [{"choices": [choice]}]
            if body.get("stream_options", {}).get("include_usage"):
                events.append({"choices": [], "usage": usage})
            reply = "".join(f"data: {json.dumps(event)}\n\n" for event in events) + "data: [DONE]\n\n"
        else:
            choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
            reply = json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})
        self.reply(reply, "text/event-stream" if body.get("stream") else "application/json")


def fails(what, error, call):
    """Returns the error of a call, which must have this type and OpenAI's form."""
    try:
        call()
    except error as raised:
        body = raised.response.json()["error"]
        check(f"{what} is a {raised.status_code}", set(body) == {"message", "type", "param", "code"})
        return raised
    sys.exit(f"not ok - {what} is no {error.__name__}")


def calls(base):
    def client(key):
        return openai.OpenAI(base_url=base, api_key=key, max_retries=0, timeout=30)

    def chat(key, model="chat", **more):
        return client(key).chat.completions.create(model=model, messages=MESSAGES, **more)

    fails("an unknown key", openai.AuthenticationError, lambda: chat("key-unknown"))
    expired = fails("an expired key", openai.AuthenticationError, lambda: chat("key-expired"))
    check("the error names the expiry", expired.code == "expired_api_key")

    denied = fails("another group", openai.PermissionDeniedError, lambda: chat("key-groups", "other"))
    check("the error names the parameter", denied.param == "model" and denied.code == "key_model_access_denied")
    check("the list has the groups of the key", [m.id for m in client("key-groups").models.list()] == ["chat"])
    check("the group of the key is called", chat("key-groups").choices[0].message.content == "hi")

    raw = client("key-minute").chat.completions.with_raw_response.create(model="chat", messages=MESSAGES)
    check("the limit is in the headers", raw.headers["x-ratelimit-limit-requests"] == "2")
    check("the rest is in the headers", raw.headers["x-ratelimit-remaining-requests"] == "1")
    chat("key-minute")
    limited = fails("a request beyond a minute", openai.RateLimitError, lambda: chat("key-minute"))
    check("it has retry-after", 0 < int(limited.response.headers["retry-after"]) <= 61)
    check("its code is OpenAI's", limited.code == "rate_limit_exceeded" and limited.type == "requests")

    used = 0
    while used < 200:
        try:
            list(chat("key-tokens", stream=True, max_tokens=10))
        except openai.RateLimitError as error:
            check("the tokens of streams are limited", error.type == "tokens" and used > 0)
            break
        used += 15
    check("the tokens of streams are counted by their usage", 45 <= used <= 100)

    chat("key-budget", "other")
    spent = fails("a spent budget", openai.RateLimitError, lambda: chat("key-budget", "other"))
    check("its code is OpenAI's", spent.code == "insufficient_quota" and spent.type == "insufficient_quota")
    check("clients need not retry", spent.response.headers["x-should-retry"] == "false")
    check("it is renewed", 0 < int(spent.response.headers["retry-after"]) <= 3600)

    before, admitted = Upstream.calls, []

    def many():
        for _ in range(10):
            try:
                admitted.append(chat("key-threads").choices[0].message.content)
            except openai.RateLimitError:
                pass

    threads = [threading.Thread(target=many) for _ in range(8)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    check("eight threads never exceed the limit", len(admitted) == Upstream.calls - before == 20)
    check("the master key has no limit", all(chat("master") for _ in range(30)))


with gateway(sys.argv[1], CONFIG, Upstream) as base:
    calls(f"{base}/v1")
    if sys.argv[2:]:
        subprocess.run([*sys.argv[2:], f"{base}/v1"], check=True)
