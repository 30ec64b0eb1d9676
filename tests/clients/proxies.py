"""nginx and HAProxy in front of the gateway: `proxies.py TOLLGATE NGINX HAPROXY DIRECTORY`.

Their configurations are those of docs/operations.md, with other ports and without TLS. Through each of them the events of a
stream arrive one by one, a client that disconnects ends the call of the upstream, and the access log has the address of the
client. The files are written to DIRECTORY.
"""

import http.client
import http.server
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

from scripted import check

DOCUMENT = pathlib.Path(__file__).parents[2] / "docs" / "operations.md"
PATIENCE = 20
EVENTS = 5
NGINX = """
daemon off;
{user}
pid {directory}/nginx.pid;
error_log {directory}/nginx.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {directory}/nginx-body;
    proxy_temp_path {directory}/nginx-proxy;
    fastcgi_temp_path {directory}/nginx-fastcgi;
    uwsgi_temp_path {directory}/nginx-uwsgi;
    scgi_temp_path {directory}/nginx-scgi;
{block}
}}
"""


class Upstream(http.server.BaseHTTPRequestHandler):
    """Replies with a stream, of which each event waits until the client has received the one before."""

    protocol_version = "HTTP/1.1"
    received = threading.Semaphore(0)
    left = threading.Event()

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        for number in range(EVENTS):
            if number and not self.received.acquire(timeout=PATIENCE):
                return
            delta = {"choices": [{"index": 0, "delta": {"content": f"event {number}"}}]}
            self.wfile.write(f"data: {json.dumps(delta)}\n\n".encode())
            self.wfile.flush()
            if body["model"] == "leaving":
                # It ends when the gateway closes the connection.
                self.connection.settimeout(PATIENCE)
                if self.connection.recv(1) == b"":
                    self.left.set()
                return
        end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
        self.wfile.write(f"data: {json.dumps(end)}\n\ndata: [DONE]\n\n".encode())

    def log_message(self, *_):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def block(language, changes):
    """Returns a block of the document with these changes, each of which it needs."""
    text = re.search(rf"```{language}\n(.*?)```", DOCUMENT.read_text(), re.S)[1]
    for old, new in changes:
        if old not in text:
            sys.exit(f"not ok - docs/operations.md has no `{old}` for {language}")
        text = text.replace(old, new)
    return text


def chat(port, model):
    """Begins a stream. Returns the connection and its response."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "hello"}]}
    headers = {"content-type": "application/json", "x-forwarded-for": "203.0.113.9"}
    connection.request("POST", "/v1/chat/completions", json.dumps(body), headers)
    response = connection.getresponse()
    check(f"a stream of {model} begins: {response.status}", response.status == 200)
    return connection, response


def event(response):
    """Returns the data of the next event."""
    while not (line := response.readline()).startswith(b"data: "):
        if not line:
            sys.exit("not ok - the stream ended early")
    return line.removeprefix(b"data: ").strip()


def wait(what, holds):
    for _ in range(PATIENCE * 50):
        if holds():
            return
        time.sleep(0.02)
    sys.exit(f"not ok - waited for {what}")


def serves(port):
    try:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        connection.request("GET", "/health/readiness")
        return connection.getresponse().status == 200
    except OSError:
        return False


def through(name, port, log):
    """Checks all that is to hold through a proxy."""
    _, response = chat(port, "staying")
    for number in range(EVENTS):
        content = json.loads(event(response))["choices"][0]["delta"]["content"]
        if content != f"event {number}":
            sys.exit(f"not ok - {name}: {content} is not event {number}")
        Upstream.received.release()
    event(response)
    check(f"{name}: the events of a stream arrive one by one", event(response) == b"[DONE]")
    # What the last event released.
    Upstream.received.acquire(timeout=PATIENCE)
    Upstream.left.clear()
    connection, response = chat(port, "leaving")
    event(response)
    response.close()
    connection.close()
    check(f"{name}: the call ends when its client disconnects", Upstream.left.wait(PATIENCE))
    lines = lambda: [json.loads(line) for line in log.read_text().splitlines()]
    wait("the access log", lambda: len([line for line in lines() if line.get("model") == "leaving"]) > 0)
    check(f"{name}: the access log has the address of the client",
          all(line["client"] == "203.0.113.9" for line in lines() if "model" in line))
    classes = [line["class"] for line in lines() if "model" in line]
    check(f"{name}: one stream is a success and one is cancelled", classes == ["success", "cancelled"])


def main():
    tollgate, nginx, haproxy, directory = sys.argv[1:]
    directory = pathlib.Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    upstream = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    upstream.daemon_threads = True
    threading.Thread(target=upstream.serve_forever, daemon=True).start()
    config, log = directory / "proxies.yaml", directory / "proxies.log"
    entries = "".join(
        f"  - {{model_name: {name}, litellm_params: {{model: openai/{name}, api_key: k, "
        f"api_base: 'http://127.0.0.1:{upstream.server_port}/v1'}}}}\n" for name in ["staying", "leaving"])
    config.write_text(f"model_list:\n{entries}router_settings: {{trusted_proxies: [127.0.0.1]}}\n")
    gateway_port, user = free_port(), "user root;" if os.getuid() == 0 else ""
    nginx_port, haproxy_port = free_port(), free_port()
    address = ("127.0.0.1:8000", f"127.0.0.1:{gateway_port}")
    nginx_block = block("nginx", [address, ("listen 443 ssl", f"listen 127.0.0.1:{nginx_port}")])
    (directory / "nginx.conf").write_text(NGINX.format(user=user, directory=directory, block=nginx_block))
    bind = ("bind :443 ssl crt /etc/haproxy/tollgate.pem", f"bind 127.0.0.1:{haproxy_port}")
    (directory / "haproxy.cfg").write_text("global\n    maxconn 100\n" + block("haproxy", [address, bind]))
    arguments = ["--config", config, "--port", str(gateway_port), "--log-format", "json", "--access-log", log]
    commands = [
        ([tollgate, *arguments], gateway_port),
        ([nginx, "-c", directory / "nginx.conf", "-p", directory], nginx_port),
        ([haproxy, "-f", directory / "haproxy.cfg", "-db"], haproxy_port),
    ]
    processes = []
    try:
        for command, port in commands:
            processes.append(subprocess.Popen(command))
            wait(command[0], lambda: serves(port))
        for name, port in [("nginx", nginx_port), ("HAProxy", haproxy_port)]:
            # The gateway appends to the file.
            os.truncate(log, 0)
            through(name, port, log)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


main()
