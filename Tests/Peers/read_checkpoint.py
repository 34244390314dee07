"""Opens a checkpoint with Python's safetensors and prints what it holds; it must not hold bfloat16, which NumPy has not got.

    python read_checkpoint.py run.safetensors
    python read_checkpoint.py run.safetensors.index.json [run.safetensors]

The second is one that several processes wrote together: an index, and a file of each process. Parts of a tensor are joined
by rows, and compared with the checkpoint of one process, if there is one.
"""

import json
import os
import sys

import numpy
from safetensors import safe_open


class Checkpoint:
    """The metadata, and all tensors by name, of one file or of those that an index names."""

    def __init__(self, path):
        self.tensors = {}
        if path.endswith(".json"):
            with open(path) as file:
                index = json.load(file)
            self.metadata = index["metadata"]
            holders = index["weight_map"]
            for shard in sorted(set(holders.values())):
                metadata = self.read(os.path.join(os.path.dirname(path), shard), holders, shard)
                assert metadata["descent.save"] == self.metadata["descent.save"], shard
            assert self.metadata["total_size"] == self.byte_count()
        else:
            self.metadata = self.read(path)

    def read(self, path, holders=None, shard=None):
        with safe_open(path, framework="numpy") as file:
            for name in file.keys():
                assert holders is None or holders[name] == shard, name
                assert name not in self.tensors, name
                self.tensors[name] = file.get_tensor(name)
            return file.metadata()

    def byte_count(self):
        return sum(tensor.nbytes for tensor in self.tensors.values())

    @property
    def record(self):
        return json.loads(self.metadata["descent.checkpoint"])

    def joined(self):
        """All tensors, with those that are in parts joined.

        Rows stand behind a slot's name: "1 AdamW/first moment[0:64]/fc.weight" and "1 AdamW/first moment[64:128]/fc.weight".
        """
        joined, taken = {}, set()
        for parameter in self.record["parameters"]:
            bounds = parameter.get("bounds", [])
            for slot in slots(self.record):
                name = f"{slot}/{parameter['name']}"
                parts = [f"{slot}[{a}:{b}]/{parameter['name']}" for a, b in zip(bounds, bounds[1:])]
                if name in self.tensors:
                    joined[name] = self.tensors[name]
                else:
                    joined[name] = numpy.concatenate([self.tensors[part] for part in parts])
                    taken.update(parts)
        joined.update((name, self.tensors[name]) for name in self.tensors if name.startswith("parameters/"))
        assert set(self.tensors) <= taken | set(joined), set(self.tensors) - taken - set(joined)
        return joined


def slots(record):
    for index, component in enumerate(record["components"]):
        for slot in component["slots"]:
            yield f"{index} {component['kind']}/{slot['name']}"


def main():
    checkpoint = Checkpoint(sys.argv[1])
    record = checkpoint.record
    print(f"{record['appliedSteps']} applied steps:", ", ".join(part["name"] for part in record["components"]))
    tensors = checkpoint.joined()
    expected = {f"{slot}/{parameter['name']}" for slot in slots(record) for parameter in record["parameters"]}
    expected |= {f"parameters/{parameter['name']}" for parameter in record["parameters"]}
    assert set(tensors) == expected, set(tensors) ^ expected
    for parameter in record["parameters"]:
        assert list(tensors["parameters/" + parameter["name"]].shape) == parameter["shape"]
    print(f"{len(checkpoint.tensors)} tensors, {checkpoint.byte_count()} bytes")
    if len(sys.argv) > 2:
        other = Checkpoint(sys.argv[2]).joined()
        assert set(other) == set(tensors), set(other) ^ set(tensors)
        for name, tensor in tensors.items():
            assert tensor.dtype == other[name].dtype and tensor.shape == other[name].shape, name
            assert tensor.tobytes() == other[name].tobytes(), name
        print("the same as", sys.argv[2])


if __name__ == "__main__":
    main()
