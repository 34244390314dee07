#pragma once

#include <stdbool.h>

/// The square root, correctly rounded, without the C library's `errno`: unlike Swift's on Linux, the compiler can
/// turn a loop of it into vectors.
static inline __attribute__((always_inline)) float descent_square_root(float value) {
    return __builtin_elementwise_sqrt(value);
}

/// One of two numbers, both of which are computed: Swift's `?:` can become a branch, which no vector has.
static inline __attribute__((always_inline)) float descent_select_float(bool condition, float first, float second) {
    return condition ? first : second;
}

/// The same for double precision.
static inline __attribute__((always_inline)) double descent_select_double(bool condition, double first, double second) {
    return condition ? first : second;
}
