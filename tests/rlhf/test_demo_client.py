"""The demo's person at the API: one of them may ask from several threads at once."""

import json
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from rlhf.demo.client import Person


class Echo(BaseHTTPRequestHandler):
    """Answers each request with what it was asked, after a moment in which others may ask."""

    protocol_version = "HTTP/1.1"
    asked: list[str] = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked.append(self.path)
        time.sleep(0.01)
        answer = json.dumps({"path": self.path, "body": json.loads(body)}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_):
        pass


@pytest.fixture
def person():
    Echo.asked = []
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield Person(name="ada", token="secret", port=server.server_port)
        server.shutdown()


def test_two_threads_each_get_the_answer_to_what_they_asked_once(person):
    def ask(number):
        return person.post(f"runs/{number}", {"number": number})

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(ask, range(40)))
    assert answers == [{"path": f"/api/v1/runs/{n}", "body": {"number": n}} for n in range(40)]
    assert sorted(Echo.asked) == sorted(f"/api/v1/runs/{n}" for n in range(40))
