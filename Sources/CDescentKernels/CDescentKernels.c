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
