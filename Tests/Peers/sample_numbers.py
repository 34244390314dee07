"""Numbers that are about normally distributed, each made from its place alone.

The same ones as `Sources/Benchmarks/descent-bench/Workloads/SampleNumbers.swift` makes, bit for bit: the four bytes of a hash of
the place, added, less their mean 510, times a power of two.
"""

import math

import numpy

PARAMETERS = (0x9E3779B9, 2.0**-13)
GRADIENTS = (0x85EBCA6B, 4.0)
UNSCALED_GRADIENTS = (0x85EBCA6B, 2.0**-14)
CHUNK = 1 << 22


def numbers(first, count, seed, factor):
    """The numbers at `count` places from `first` on."""
    bits = numpy.arange(first, first + count, dtype=numpy.uint32) ^ numpy.uint32(seed)
    bits = (bits ^ (bits >> 16)) * numpy.uint32(0x7FEB352D)
    bits = (bits ^ (bits >> 15)) * numpy.uint32(0x846CA68B)
    bits ^= bits >> 16
    pairs = (bits & 0x00FF00FF) + (bits >> 8 & 0x00FF00FF)
    total = (pairs & 0xFFFF) + (pairs >> 16)
    return (total.astype(numpy.int32) - 510).astype(numpy.float32) * numpy.float32(factor)


def chunks(count):
    """Cuts a range so that what is made on the way stays small."""
    return ((start, min(CHUNK, count - start)) for start in range(0, count, CHUNK))


def arrays(shapes, kind):
    """One array after another, of the given shapes; places go on from one to the next."""
    first = 0
    for shape in shapes:
        array = numpy.empty(math.prod(shape), dtype=numpy.float32)
        for start, count in chunks(array.size):
            array[start : start + count] = numbers(first + start, count, *kind)
        yield array.reshape(shape)
        first += array.size


def distance(arrays, kind=(0, 0.0)):
    """The L2 norm of how far arrays are from these numbers; by default their own norm."""
    first, total = 0, 0.0
    for array in arrays:
        flat = array.reshape(-1)
        for start, count in chunks(flat.size):
            difference = flat[start : start + count].astype(numpy.float64) - numbers(first + start, count, *kind)
            total += float(numpy.dot(difference, difference))
        first += flat.size
    return math.sqrt(total)
