#pragma once

/// The square root, correctly rounded, without the C library's `errno`: unlike Swift's on Linux, the compiler can
/// turn a loop of it into vectors.
static inline __attribute__((always_inline)) float descent_square_root(float value) {
    return __builtin_elementwise_sqrt(value);
}
