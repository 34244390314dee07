"""One workload: Descent and its peers, in turns."""

import pathlib
import statistics
import sys

from peer import Peer, PeerFailure

FOLDER = pathlib.Path(__file__).parent
PEERS = {
    "PyTorch eager": ("torch_peer.py", {"compiled": False}),
    "torch.compile": ("torch_peer.py", {"compiled": True}),
    "Optax (jit)": ("optax_peer.py", {}),
}


class Contest:
    """Keeps a process alive for Descent and for each peer, and has them take turns."""

    def __init__(self, workload, options, log):
        self.workload = workload
        self.options = options
        self.log = log
        self.failures = {}
        self.versions = {}
        self.peers = {}
        self.times = {}
        self.ratios = {}

    def run(self):
        """Measures; peers that fail are in `failures`. Raises PeerFailure if Descent itself fails."""
        self.descent = Peer("Descent", self._bench_command())
        try:
            self.description = self.descent.ready(self.options.limit)
            self.versions["Descent"] = f"Descent on {self.description['instructionSet']}"
            for name in self.options.peers:
                self._try(name, lambda: self._start(name))
            self.times = {name: [] for name in ["Descent", *self.peers]}
            self.ratios = {name: [] for name in self.peers}
            for number in range(self.options.rounds):
                self._round(number)
        finally:
            for peer in [self.descent, *self.peers.values()]:
                peer.end()

    def median(self, name):
        return statistics.median(self.times[name])

    def ratio(self, name):
        """The median of how many times Descent's time a peer took, round by round."""
        return statistics.median(self.ratios[name])

    def _bench_command(self):
        options = self.options
        return [options.bench, self.workload, "--chain", "full", "--in-turns"] + [
            "--seconds", str(options.seconds), "--threads", str(options.threads)
        ]  # fmt: skip

    def _start(self, name):
        script, settings = PEERS[name]
        job = {
            "shapes": [tensor["shape"] for tensor in self.description["tensors"]],
            "seconds": self.options.seconds,
            "threads": self.options.threads,
            **settings,
        }
        self.log(f"{self.workload}: {name} makes ready")
        peer = Peer(name, [sys.executable, str(FOLDER / script)], job)
        self.peers[name] = peer
        ready = peer.ready(self.options.limit)
        self.versions[name] = ready["version"]
        for key in ("changeNorm", "momentNorm"):
            if abs(ready[key] / self.description[key] - 1) > 1e-3:
                raise PeerFailure(f"does other work: {key} {ready[key]}, Descent {self.description[key]}")

    def _round(self, number):
        """Each peer next to a turn of Descent's; who comes first changes from round to round."""
        names = list(self.peers)
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            self._try(name, lambda: self._pair(name, number % 2 == 0))
        if not names:
            self.times["Descent"].append(self._turn(self.descent))
        self.log(f"{self.workload}: round {number + 1} of {self.options.rounds}")

    def _pair(self, name, descent_is_first):
        if descent_is_first:
            descent, peer = self._turn(self.descent), self._turn(self.peers[name])
        else:
            peer, descent = self._turn(self.peers[name]), self._turn(self.descent)
        self.times["Descent"].append(descent)
        self.times[name].append(peer)
        self.ratios[name].append(peer / descent)

    def _turn(self, peer):
        return peer.turn(60 + 10 * self.options.seconds)

    def _try(self, name, action):
        """Carries out what a peer may fail at, and goes on without it."""
        try:
            action()
        except PeerFailure as failure:
            if name not in self.peers or self.descent.process.poll() is not None:
                raise
            self.log(f"{self.workload}: {name} failed: {failure}")
            self.failures[name] = str(failure)
            self.peers.pop(name).end()
