#!/usr/bin/env python3
"""Takes herald's pushes: an example in one file, of Python's own library only.

    export HERALD_PUSH_SECRET=whsec_$(openssl rand -base64 32)
    python3 docs/push_receiver.py --port 8099
    herald --push-url http://127.0.0.1:8099/push          # with the same secret

It checks who posts and when, drops what it has seen, and prints one line of JSON for each person. Where it prints, yours
looks up the person's devices and calls APNs, FCM or UnifiedPush.
"""

import argparse
import base64
import hashlib
import hmac
import json
import os
import sys
import time
from collections import OrderedDict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock

TOLERANCE = 5 * 60  # Seconds that a post may be old, or the clocks apart.
LONGEST = 1 << 20  # Bytes of a body.
REMEMBERED = 100_000  # Ids of posts that were taken.


class Receiver:
    def __init__(self, secret):
        if not secret.startswith("whsec_"):
            sys.exit("HERALD_PUSH_SECRET must be whsec_ and then base64")
        self.key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        self.taken = OrderedDict()
        self.lock = Lock()

    def is_signed(self, post_id, second, signatures, body):
        try:
            if abs(time.time() - int(second)) > TOLERANCE:
                return False
        except ValueError:
            return False
        signed = f"{post_id}.{second}.".encode() + body
        expected = b"v1," + base64.b64encode(hmac.digest(self.key, signed, hashlib.sha256))
        # Several while a secret is changed. compare_digest takes as long for every wrong one.
        return any(hmac.compare_digest(expected, one.encode()) for one in signatures.split())

    def is_new(self, post_id):
        """A post may come twice, under the same id."""
        with self.lock:
            if post_id in self.taken:
                return False
            self.taken[post_id] = None
            if len(self.taken) > REMEMBERED:
                self.taken.popitem(last=False)
            return True

    def take(self, body):
        for push in json.loads(body)["data"]["pushes"]:
            print(json.dumps(push), flush=True)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 15

    def do_POST(self):
        length = int(self.headers.get("content-length", 0))
        if length > LONGEST:
            self.close_connection = True
            return self.answer(413)
        body = self.rfile.read(length)
        header = lambda name: self.headers.get(f"webhook-{name}", "")
        receiver = self.server.receiver
        if not receiver.is_signed(header("id"), header("timestamp"), header("signature"), body):
            return self.answer(401)
        if receiver.is_new(header("id")):
            receiver.take(body)
        self.answer(204)

    def answer(self, status):
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def main():
    parser = argparse.ArgumentParser(description="Takes herald's pushes and prints them.")
    parser.add_argument("--port", type=int, default=8099, help="0: any free one")
    port = parser.parse_args().port
    secret = os.environ.get("HERALD_PUSH_SECRET") or sys.exit("HERALD_PUSH_SECRET is not set")
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.receiver = Receiver(secret)
    print(f"http://127.0.0.1:{server.server_port}/push", file=sys.stderr, flush=True)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
