"""Claims, a scripted upstream, and the gateway in front of it, for the scripts of the clients."""

import contextlib
import http.server
import pathlib
import subprocess
import sys
import tempfile
import threading


class ScriptedUpstream(http.server.BaseHTTPRequestHandler):
    """An upstream that replies with complete bodies."""

    protocol_version = "HTTP/1.1"
    # Else a body waits 40 ms for the acknowledgement of its head.
    disable_nagle_algorithm = True

    def reply(self, text, kind="application/json", status=200):
        body = text.encode()
        self.send_response(status)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def check(what, holds):
    """Prints a claim that holds, and ends the program for another."""
    if not holds:
        sys.exit(f"not ok - {what}")
    print(f"ok - {what}")


def raises(what, error, call):
    """Returns the error of a call, which must have this type."""
    try:
        call()
    except error as raised:
        check(f"{what} is a {type(raised).__name__}", True)
        return raised
    sys.exit(f"not ok - {what} is no {error.__name__}")


@contextlib.contextmanager
def gateway(program, config, upstream):
    """Starts a gateway whose configuration names the address of this upstream as `{upstream}`. Yields its address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder) / "config.yaml"
        file.write_text(config.format(upstream=f"http://127.0.0.1:{server.server_port}"))
        command = [program, "--config", str(file), "--host", "127.0.0.1", "--port", "0"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            lines = (line.partition("http://127.0.0.1:")[2] for line in process.stdout)
            port = next(rest for rest in lines if rest).split(",")[0].split("/")[0].split()[0]
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait()
