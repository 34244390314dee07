#include "CDescentKernels.h"

#pragma clang fp contract(off)

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

// A quarter of the time that optimized kernels take to compile went into lines for debuggers; their names stay.
#if defined(__OPTIMIZE__)
#pragma clang attribute push(__attribute__((nodebug)), apply_to = hasType(functionType))
#endif

// Sixteen lanes, in as many registers as that takes, and halves and quarters of them.
typedef float lanes __attribute__((vector_size(64)));
typedef float half_lanes __attribute__((vector_size(32)));
typedef float quarter_lanes __attribute__((vector_size(16)));
typedef int32_t bits __attribute__((vector_size(64)));
typedef double doubles __attribute__((vector_size(128)));
typedef double unaligned_doubles __attribute__((vector_size(128), aligned(8)));

// The thread sanitizer does not see accesses of more than 16 bytes. In its builds, vectors are loaded and stored element
// by element, as volatile so that they are not merged again; the arithmetic is the same.
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define IS_TRACED 1

static void load_traced(float *result, const float *source, intptr_t count, int length) {
    for (int k = 0; k < length; k++) result[k] = k < count ? *(const volatile float *)(source + k) : 0;
}

static void store_traced(float *destination, const float *values, intptr_t count, int length) {
    for (int k = 0; k < length && k < count; k++) *(volatile float *)(destination + k) = values[k];
}
#endif
#endif

// What every processor of its architecture has: SSE2 on x86-64, NEON on arm64.
#define NAME(kernel) kernel##_portable
#define WIDTH 128
#include "Level.inc"
#undef NAME
#undef WIDTH

const descent_kernels *descent_kernels_portable(void) { return &table_portable; }

#if defined(__x86_64__)

#pragma clang attribute push(__attribute__((target("avx2,f16c"))), apply_to = function)
#define NAME(kernel) kernel##_avx2
#define WIDTH 256
#include "Level.inc"
#undef NAME
#undef WIDTH
#pragma clang attribute pop

#pragma clang attribute push( \
    __attribute__((target("avx2,f16c,avx512f,avx512bw,avx512dq,avx512vl"))), apply_to = function)
#define NAME(kernel) kernel##_avx512
#define WIDTH 512
#include "Level.inc"
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

const char *const descent_kernel_names[] = {
#define KERNEL(result, name, arguments) #name,
#include "KernelList.inc"
#undef KERNEL
};

const intptr_t descent_kernel_count = sizeof descent_kernel_names / sizeof *descent_kernel_names;

#if defined(__OPTIMIZE__)
#pragma clang attribute pop
#endif
