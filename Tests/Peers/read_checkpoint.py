"""Opens a checkpoint with Python's safetensors and prints what it holds; it must not hold bfloat16, which NumPy has not got.

    python read_checkpoint.py run.safetensors
"""

import json
import sys

from safetensors import safe_open
from safetensors.numpy import load_file


def main():
    path = sys.argv[1]
    with safe_open(path, framework="numpy") as file:
        record = json.loads(file.metadata()["descent.checkpoint"])
        names = set(file.keys())
    components = record["components"]
    print(f"{record['appliedSteps']} applied steps:", ", ".join(component["name"] for component in components))
    expected = {f"parameters/{parameter['name']}" for parameter in record["parameters"]}
    expected |= {
        f"{index} {component['kind']}/{slot['name']}/{parameter['name']}"
        for index, component in enumerate(components)
        for slot in component["slots"]
        for parameter in record["parameters"]
    }
    assert names == expected, names ^ expected
    tensors = load_file(path)
    assert set(tensors) == names
    for parameter in record["parameters"]:
        assert list(tensors["parameters/" + parameter["name"]].shape) == parameter["shape"]
    print(f"{len(names)} tensors, {sum(tensor.nbytes for tensor in tensors.values())} bytes")


if __name__ == "__main__":
    main()
