"""The peers, each in every form that it is tried in.

Of each peer's forms the fastest takes part, for each workload by itself. `variations` are tried last, each over the
fastest so far, as they have little to do with how the step is written.
"""

import dataclasses

FUSED = {"optimizer": {"fused": True}}
EACH = {"optimizer": {"foreach": False}}
STACKED = {"stacked": True}
# Both only where a library asks for them: the kernel has to be set to "madvise" or "always".
TORCH_HUGE_PAGES = {"environment": {"THP_MEM_ALLOC_ENABLE": "1"}}
MALLOC_HUGE_PAGES = {"environment": {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}}
ONE_THREAD = {"threads": 1}


@dataclasses.dataclass
class Peers:
    script: str
    forms: dict
    variations: dict
    # What three steps have to have led to the same of, and to what share of it.
    same: tuple = ("changeNorm", "momentNorm")
    tolerance: float = 1e-3


def eager(optimizer, clips_with_foreach):
    return {"step": "ScaledStep", "clips_with_foreach": clips_with_foreach, "optimizer": optimizer}


def by_hand(**settings):
    return {"step": "FusedStep", "clips_with_foreach": True, **FUSED, **settings}


PEERS = {
    "PyTorch eager": Peers(
        "torch_peer.py",
        {
            "fused, clipping with foreach": eager({"fused": True}, True),
            "fused, clipping without": eager({"fused": True}, False),
            "foreach, clipping with foreach": eager({"foreach": True}, True),
            "tensor by tensor": eager({"foreach": False}, False),
        },
        {"one thread": ONE_THREAD, "huge pages": TORCH_HUGE_PAGES},
    ),
    "PyTorch by hand": Peers(
        "torch_peer.py",
        {"fused": by_hand(), "fused, stacked": by_hand(**STACKED)},
        {"one thread": ONE_THREAD, "huge pages": TORCH_HUGE_PAGES},
    ),
    "torch.compile": Peers(
        "torch_peer.py",
        {
            "two functions": {"compiled": "in_two_functions", "optimizer": {"foreach": True}},
            "one function": {"compiled": "in_one_function", **EACH},
            "one graph": {"compiled": "in_one_graph", **EACH},
            "one function, stacked": {"compiled": "in_one_function", **EACH, **STACKED},
            "one graph, stacked": {"compiled": "in_one_graph", **EACH, **STACKED},
        },
        {
            "reduce-overhead": {"compile": {"mode": "reduce-overhead"}},
            "max-autotune-no-cudagraphs": {"compile": {"mode": "max-autotune-no-cudagraphs"}},
            "cpp_wrapper": {"compile": {"options": {"cpp_wrapper": True}}},
            "one thread": ONE_THREAD,
            "huge pages": TORCH_HUGE_PAGES,
        },
    ),
    "Optax (jit)": Peers(
        "optax_peer.py",
        {
            "apply_if_finite": {"check": "all"},
            "checked by norm": {"check": "norm"},
            "checked by norm, optax.flatten": {"check": "norm", "flattened": True},
            "checked by norm, stacked": {"check": "norm", **STACKED},
            "checked by norm, stacked, optax.flatten": {"check": "norm", "flattened": True, **STACKED},
        },
        {
            "nothing donated": {"donated": []},
            "gradients donated": {"donated": [0, 1, 2]},
            "one thread": ONE_THREAD,
            "huge pages": MALLOC_HUGE_PAGES,
        },
    ),
}
