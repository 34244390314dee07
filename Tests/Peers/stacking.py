"""Fewer, larger tensors that hold the same numbers: matrices of one row length stacked, vectors joined.

Centralizing looks at rows alone, the global norm and AdamW at elements: stacked, they do the same arithmetic for a
fraction of the calls. A model's own tensors would be views of the stacks.
"""

import math

import numpy

import sample_numbers


class Stacking:
    """Where each tensor lies; unless `stacked`, each in a stack of its own."""

    def __init__(self, shapes, stacked):
        self.shapes = shapes
        self.stacked = stacked
        self.places = []
        self.lengths = {}
        for number, shape in enumerate(shapes):
            key = row_length(shape) if stacked else number
            start = self.lengths.get(key, 0)
            self.places.append((key, start))
            self.lengths[key] = start + math.prod(shape)
        self.keys = list(self.lengths)

    def arrays(self, kind):
        """The stacks, holding sample numbers."""
        stacks = {key: numpy.empty(length, dtype=numpy.float32) for key, length in self.lengths.items()}
        for (key, start), array in zip(self.places, sample_numbers.arrays(self.shapes, kind)):
            stacks[key][start : start + array.size] = array.reshape(-1)
        return [stacks[key].reshape(self._shape(key)) for key in self.keys]

    def distance(self, stacks, *kind):
        """The L2 norm of how far the tensors in stacks are from sample numbers."""
        flat = {key: stack.reshape(-1) for key, stack in zip(self.keys, stacks)}
        parts = (flat[key][start : start + math.prod(shape)] for (key, start), shape in zip(self.places, self.shapes))
        return sample_numbers.distance(parts, *kind)

    def _shape(self, key):
        if not self.stacked:
            return self.shapes[key]
        return (self.lengths[key],) if key is None else (self.lengths[key] // key, key)


def row_length(shape):
    """How many elements a row has: one index of dimension 0. None for what is not centralized."""
    return math.prod(shape[1:]) if len(shape) > 1 else None
