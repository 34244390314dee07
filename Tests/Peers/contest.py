"""One workload and one chain: Descent and its peers, in turns."""

import math
import statistics

from peer import Peer, PeerFailure
from trial import Trial


class Contest:
    """Keeps a process alive for Descent and for each peer in its fastest form, and has them take turns."""

    def __init__(self, workload, chain, candidates, options, log):
        """`candidates` are the peers by name, each with its forms."""
        self.workload = workload
        self.chain = chain
        self.candidates = candidates
        self.options = options
        self.log = log
        self.failures = {}
        self.versions = {}
        self.trials = {}
        self.peers = {}
        self.times = {}
        self.ratios = {}

    def run(self):
        """Measures; peers that fail are in `failures`. Raises PeerFailure if Descent itself fails."""
        self.descent = Peer("Descent", self._bench_command())
        try:
            self.description = self.descent.ready(self.options.limit)
            self.versions["Descent"] = f"Descent on {self.description['instructionSet']}"
            for name in self.candidates:
                self._choose(name)
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

    def all_failures(self):
        """What failed in this workload, forms first, with the reasons."""
        for name, trial in self.trials.items():
            for form, result in trial.results.items():
                if isinstance(result, str):
                    yield f"{self.workload}, {self.chain}, {name}, {form}: {result}"
        for name, why in self.failures.items():
            yield f"{self.workload}, {self.chain}, {name}: {why}"

    @property
    def elements(self):
        return sum(math.prod(tensor["shape"]) for tensor in self.description["tensors"])

    def turn(self, peer, seconds):
        return peer.turn(seconds, 60 + 10 * seconds)

    def _bench_command(self):
        options = self.options
        return [options.bench, self.workload, "--chain", self.chain, "--in-turns"] + [
            "--seconds", str(options.seconds), "--threads", str(options.threads)
        ]  # fmt: skip

    def _choose(self, name):
        """Has a peer take part in its fastest form."""
        self.trials[name] = trial = Trial(name, self.candidates[name], self)
        try:
            self.peers[name] = trial.run()
            self.log(f"{self.workload}, {self.chain}: {name} takes part: {trial.winning_form}")
        except PeerFailure as failure:
            self._leave_out(name, failure)

    def _round(self, number):
        """Each peer next to a turn of Descent's; who comes first changes from round to round."""
        names = list(self.peers)
        first = number % max(1, len(names))
        for name in names[first:] + names[:first]:
            try:
                self._pair(name, number % 2 == 0)
            except PeerFailure as failure:
                if self.descent.process.poll() is not None:
                    raise
                self.peers.pop(name).end()
                self._leave_out(name, failure)
        if not names:
            self.times["Descent"].append(self.turn(self.descent, self.options.seconds))
        self.log(f"{self.workload}, {self.chain}: round {number + 1} of {self.options.rounds}")

    def _pair(self, name, descent_is_first):
        pair = [self.descent, self.peers[name]]
        times = {}
        for peer in pair if descent_is_first else reversed(pair):
            times[peer.name] = self.turn(peer, self.options.seconds)
        self.times["Descent"].append(times["Descent"])
        self.times[name].append(times[name])
        self.ratios[name].append(times[name] / times["Descent"])

    def _leave_out(self, name, failure):
        self.log(f"{self.workload}, {self.chain}: {name} failed: {failure}")
        self.failures[name] = str(failure)
