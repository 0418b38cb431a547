"""Terminals that pages are typed into, as tests/suite/pages runs them: a shell each, on a pseudo-terminal.

Steps come as lines of JSON, `{"terminal", "does", "text"}`; each is answered by a line: `null`, or what went wrong.

    run    types a block once the prompt is there, and its last command has not failed
    type   types lines into what runs there; `Ctrl-C` is the key
    see    waits until the lines are shown, one after the other, as regular expressions
    end    waits until what was run has ended"""

import json
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from fcntl import ioctl

PATIENCE = 90
PROMPT = r"\[(\d+)\]\$ "
# What moves a cursor or colours.
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Failed(Exception):
    pass


class Terminal:
    """Shows its prompt with the exit code of the last command, and does not echo: what is typed is no output."""

    def __init__(self):
        self.shown, self.seen, self.typed, self.is_running = "", 0, None, False
        pid, self.fd = pty.fork()
        if pid == 0:
            ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 1000, 0, 0))
            settings = termios.tcgetattr(0)
            settings[3] &= ~termios.ECHO
            termios.tcsetattr(0, termios.TCSANOW, settings)
            environment = {**os.environ, "PS1": "[$?]$ ", "PS2": "", "TERM": "dumb", "HISTFILE": ""}
            os.execvpe("bash", ["bash", "--norc", "--noprofile", "--noediting", "-i"], environment)
        self.wait(PROMPT)

    def run(self, block):
        self.end()
        self.type(block)
        self.is_running, self.typed = True, None

    def end(self, _=None):
        if self.typed is not None:
            # What runs there reads ahead: it has to end before the shell is spoken to.
            self.seen = max(self.seen, self.typed)
            self.wait(PROMPT)
        if self.is_running:
            self.type("echo the shell is there")
            self.wait(r"the shell is there\s+" + PROMPT)
        if failed := [code for code in re.findall(PROMPT, self.shown) if code != "0"]:
            raise Failed(f"a command ended with {failed[0]}:\n{self.shown}")
        self.is_running, self.typed = False, None

    def type(self, text):
        self.typed = len(self.shown)
        for line in text.splitlines():
            os.write(self.fd, b"\x03" if line == "Ctrl-C" else line.encode() + b"\n")

    def see(self, lines):
        for line in filter(None, lines.splitlines()):
            self.wait(line)

    def wait(self, pattern):
        until = time.monotonic() + PATIENCE
        while True:
            if found := re.compile(pattern).search(self.shown, self.seen):
                self.seen = found.end()
                return found
            ready, _, _ = select.select([self.fd], [], [], max(0, until - time.monotonic()))
            if not ready:
                raise Failed(f"`{pattern}` was not shown after\n{self.shown[:self.seen]}\n-- but\n{self.shown[self.seen:]}")
            try:
                self.shown += CONTROL.sub("", os.read(self.fd, 65_536).decode(errors="replace"))
            except OSError:
                raise Failed(f"the shell has ended:\n{self.shown}") from None


terminals = {}
for line in sys.stdin:
    step = json.loads(line)
    try:
        if step["terminal"] not in terminals:
            terminals[step["terminal"]] = Terminal()
        terminal = terminals[step["terminal"]]
        getattr(terminal, step["does"])(step["text"])
        print("null", flush=True)
    except Failed as failed:
        print(json.dumps(str(failed)), flush=True)
