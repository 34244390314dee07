#include "CDescentKernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

#pragma clang fp contract(off)

// Sixteen lanes, in one register or in two.
typedef float lanes __attribute__((vector_size(64)));
typedef float unaligned_lanes __attribute__((vector_size(64), aligned(4)));
typedef float half_lanes __attribute__((vector_size(32)));
typedef float quarter_lanes __attribute__((vector_size(16)));
typedef double doubles __attribute__((vector_size(128)));
typedef double unaligned_doubles __attribute__((vector_size(128), aligned(8)));
typedef int32_t bits __attribute__((vector_size(64)));
typedef uint16_t unaligned_halves __attribute__((vector_size(32), aligned(2)));

// The thread sanitizer does not see accesses of more than 16 bytes. In its builds, vectors are loaded and stored in
// quarters and rests element by element, as volatile so that they are not merged again; the arithmetic is the same.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_TRACED 1

static void load_traced(lanes *result, const float *source, intptr_t count) {
    typedef float unaligned_quarter __attribute__((vector_size(16), aligned(4)));
    if (count >= 16) {
        for (int k = 0; k < 4; k++) ((quarter_lanes *)result)[k] = *(const volatile unaligned_quarter *)(source + 4 * k);
    } else {
        for (int k = 0; k < 16; k++) ((float *)result)[k] = k < count ? *(const volatile float *)(source + k) : 0;
    }
}

static void store_traced(float *destination, const lanes *values, intptr_t count) {
    typedef float unaligned_quarter __attribute__((vector_size(16), aligned(4)));
    if (count >= 16) {
        for (int k = 0; k < 4; k++) *(volatile unaligned_quarter *)(destination + 4 * k) = ((const quarter_lanes *)values)[k];
    } else {
        for (int k = 0; k < count; k++) *(volatile float *)(destination + k) = ((const float *)values)[k];
    }
}

/// Copies 16 elements of 16 bits.
static const uint16_t *copy_traced(uint16_t copy[16], const uint16_t *source) {
    for (int k = 0; k < 16; k++) copy[k] = *(const volatile uint16_t *)(source + k);
    return copy;
}
#endif
#endif

#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#define NAME(kernel) kernel##_avx2
#define WIDTH 256
#include "Kernels.inc"
#undef NAME
#undef WIDTH
#pragma clang attribute pop

#pragma clang attribute push( \
    __attribute__((target("avx2,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#define NAME(kernel) kernel##_avx512
#define WIDTH 512
#include "Kernels.inc"
#undef NAME
#undef WIDTH
#pragma clang attribute pop

const descent_kernels *descent_kernels_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c") ? &table_avx2 : 0;
}

const descent_kernels *descent_kernels_avx512(void) {
    return descent_kernels_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw")
            && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")
        ? &table_avx512
        : 0;
}

#else

const descent_kernels *descent_kernels_avx2(void) { return 0; }

const descent_kernels *descent_kernels_avx512(void) { return 0; }

#endif
