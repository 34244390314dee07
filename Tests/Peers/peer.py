"""A program that takes turns: a child process that answers one line of JSON to each line it is sent."""

import json
import os
import subprocess
import tempfile
import threading


class PeerFailure(Exception):
    """Says why a peer gave no answer."""


class Peer:
    def __init__(self, name, command, job=None, environment={}):
        """Starts a program; `job` is sent to it as its first line, `environment` is added to that of this process."""
        self.name = name
        self.errors = tempfile.TemporaryFile(mode="w+")
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
            env={**os.environ, **environment},
        )
        if job is not None:
            self._send(json.dumps(job))

    def ready(self, limit):
        """What the program says of itself, once it has made ready; in so many seconds at most."""
        return self._receive(limit)

    def turn(self, seconds, limit):
        """Nanoseconds for each element, of one turn of so many seconds."""
        return self.answer_of_turn(seconds, limit)["nanosecondsPerElement"]

    def answer_of_turn(self, seconds, limit):
        """All that the program says of one turn of so many seconds."""
        self._send(str(seconds))
        return self._receive(limit)

    def end(self):
        self.process.kill()
        self.process.communicate()
        self.errors.close()

    def _send(self, line):
        try:
            self.process.stdin.write(line + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._failure("ended") from None

    def _receive(self, limit):
        timer = threading.Timer(limit, self.process.kill)
        timer.start()
        line = self.process.stdout.readline()
        is_late = not timer.is_alive()
        timer.cancel()
        if not line:
            raise self._failure(f"no answer in {limit:.0f} s" if is_late else "ended")
        return json.loads(line)

    def _failure(self, what):
        self.process.wait()
        self.errors.seek(0)
        last = [line.strip() for line in self.errors if line.strip()][-1:]
        return PeerFailure(": ".join([what] + last))
