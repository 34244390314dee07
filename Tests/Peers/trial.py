"""Tries the forms of a peer for one workload, and keeps the fastest alive."""

import pathlib
import sys

from peer import Peer, PeerFailure

FOLDER = pathlib.Path(__file__).parent
TURNS = 3
# Chains of Descent's that store less than their peers do, and how far from theirs parameters may have moved with them.
SMALLER = {"half": 1e-2, "int8": 5e-2, "half+int8": 5e-2}


class Trial:
    def __init__(self, name, peers, contest):
        self.name = name
        self.peers = peers
        self.contest = contest
        # Of each form, nanoseconds for each element, or why there are none.
        self.results = {}
        self.winner = None
        self.winning_form = None

    def run(self):
        """Gives the fastest peer. Raises PeerFailure if no form is left."""
        for form, settings in self.peers.forms.items():
            self._try(form, settings)
        if self.winner is None:
            raise PeerFailure("no form is left")
        for variation, changes in self.peers.variations.items():
            self._try(f"{self.winning_form}, {variation}", {**self.winning_settings, **changes})
        return self.winner

    def _try(self, form, settings):
        self.contest.log(f"{self.contest.workload}, {self.contest.chain}: {self.name} is tried: {form}")
        peer = self._start(settings)
        try:
            self._check(peer.ready(self.contest.options.limit))
            time = min(self.contest.turn(peer, self.contest.options.trial) for _ in range(TURNS))
        except PeerFailure as failure:
            self.results[form] = str(failure)
            peer.end()
            return
        self.results[form] = time
        self.contest.log(f"{self.contest.workload}, {self.contest.chain}: {time:.2f} ns")
        if self.winner is None or time < self.results[self.winning_form]:
            if self.winner is not None:
                self.winner.end()
            self.winner, self.winning_form, self.winning_settings = peer, form, settings
        else:
            peer.end()

    def _start(self, settings):
        form = dict(settings)
        environment = form.pop("environment", {})
        job = {
            "shapes": [tensor["shape"] for tensor in self.contest.description["tensors"]],
            "threads": form.pop("threads", self.contest.options.threads),
            "form": form,
        }
        return Peer(self.name, [sys.executable, str(FOLDER / self.peers.script)], job, environment)

    def _check(self, ready):
        """Refuses a form that has not done what Descent has."""
        description = self.contest.description
        self.contest.versions[self.name] = ready["version"]
        tolerance = SMALLER.get(self.contest.chain, self.peers.tolerance)
        for key in ["changeNorm"] if self.contest.chain in SMALLER else self.peers.same:
            if not abs(ready[key] / description[key] - 1) <= tolerance:
                raise PeerFailure(f"does other work: {key} {ready[key]}, Descent {description[key]}")
