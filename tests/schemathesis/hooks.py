"""What Schemathesis cannot know of Herald: how one logs in, and what is there."""

import atexit
import json
import os
import random

import requests
import schemathesis

# What the caller can see: {"user_id": [...], "thread_id": [...], "number": [...], "emoji": [...]}.
WORLD = json.loads(os.environ["HERALD_WORLD"])
PLACES = {"to": "user_id", "member_ids": "user_id"}
CHOICE = random.Random(int(os.environ["HERALD_SEED"]))


class Session:
    """The session that all is done in; another one when it was ended, as what is tried may end it."""

    token = None

    @classmethod
    def access_token(cls):
        if cls.token is None:
            body = {"username": os.environ["HERALD_USERNAME"], "password": os.environ["HERALD_PASSWORD"]}
            answer = requests.post(f"{os.environ['HERALD_URL']}/v1/login", json=body, timeout=10)
            cls.token = answer.json()["access_token"]
        return cls.token


@schemathesis.auth(refresh_interval=None)
class LogIn:
    def get(self, case, context):
        return Session.access_token()

    def set(self, case, data, context):
        case.headers["Authorization"] = f"Bearer {data}"


SERVED = set()


@atexit.register
def tell():
    """Which operations did what they are for: a run that only collects refusals shows little."""
    with open(os.environ["HERALD_SERVED"], "w") as file:
        json.dump(sorted(SERVED), file)


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code < 300:
        SERVED.add(case.operation.label)
    if response.status_code == 401 and case.headers.get("Authorization") == f"Bearer {Session.token}":
        Session.token = None


def known(values):
    """In place of what nobody could guess, half the time, something that is there."""
    for name in list(values):
        there = WORLD.get(PLACES.get(name, name))
        if there and CHOICE.random() < 0.5:
            values[name] = [CHOICE.choice(there)] if isinstance(values[name], list) else CHOICE.choice(there)


@schemathesis.hook
def before_call(context, case, kwargs):
    meta = case.meta
    # A new thread has no message to reply to: the 404 would be that message's, and be taken for the thread's.
    if meta is not None and meta.phase.name.value == "stateful" and isinstance(case.body, dict):
        case.body.pop("reply_to", None)
    if meta is None or not meta.generation.mode.is_positive or meta.phase.name.value not in ("coverage", "fuzzing"):
        return
    known(case.path_parameters)
    if isinstance(case.body, dict):
        known(case.body)
    for name in ("cursor", "since"):
        if name in case.query and CHOICE.random() < 0.7:
            del case.query[name]
    if "Herald-After" in case.headers and CHOICE.random() < 0.7:
        case.headers["Herald-After"] = "0:1"
