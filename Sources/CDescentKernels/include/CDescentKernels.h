// The kernels of blocks, for every level of the processor from one source; all levels give the same bits.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// How elements are stored.
typedef enum { descent_float32, descent_float16, descent_bfloat16 } descent_element_type;

/// What is done to elements before anything else, where it is active: they are scaled and centered, those that are not
/// finite become 0 if they are repaired, all are moved into a range, and rows are multiplied by a number each.
typedef struct {
    bool is_active;
    /// Whether nothing is done but that rows are multiplied.
    bool is_of_rows_alone;
    /// All ones where NaN and infinities become 0, else 0.
    int32_t repairs;
    float factor;
    float lower;
    float upper;
    const float *_Nullable row_factors;
} descent_limits;

/// Contiguous gradients: factor * source - factor * mean of the row, without the means where they are null.
///
/// With limits they are factor * limited, where limited is made of limits.factor * source - limits.factor * mean.
typedef struct {
    const void *_Nonnull source;
    descent_element_type type;
    intptr_t rows;
    intptr_t columns;
    float factor;
    const float *_Nullable means;
    descent_limits limits;
} descent_pending;

/// How rows are clipped by the norms of others.
typedef struct {
    float factor;
    float minimum_norm;
    float epsilon;
} descent_row_clip;

/// The coefficients of one step of Adam.
typedef struct {
    float beta1;
    float one_minus_beta1;
    float beta2;
    float one_minus_beta2;
    float epsilon;
    float second_correction;
    float rate;
    float coupled_decay;
    float decoupled_factor;
    float first_correction;
    float decoupled_decay;
} descent_adam;

/// The coefficients of one step of stochastic gradient descent.
typedef struct {
    float sign;
    float rate;
    float decay;
    float kept;
    float taken;
    float momentum;
    bool looks_ahead;
} descent_sgd;

/// Limits for the norms of units: factor * max(norm of the parameter's unit, minimum_norm).
typedef struct {
    float factor;
    float minimum_norm;
    float epsilon;
} descent_unit_clip;
/// What normal numbers are made from, and their standard deviation.
typedef struct {
    uint64_t seed;
    uint32_t parameter;
    uint32_t step;
    float deviation;
} descent_noise;

/// A power from 1/2 to 96, and how elements are scaled before they are raised to it.
typedef struct {
    /// The power where it is a whole number from 1 to 64; otherwise 0.
    int32_t exponent;
    /// The upper sixteen bits of the power, and the rest.
    float high;
    float low;
    /// A power of two.
    float scale;
    /// Scaled magnitudes below this are left out; a normal number.
    float smallest;
} descent_power;
/// The coefficients of one step of Lion.
typedef struct {
    float beta1;
    float one_minus_beta1;
    float beta2;
    float one_minus_beta2;
    float rate;
    float decay;
} descent_lion;

/// How the moments of an optimizer are stored.
typedef enum { descent_moments_float32, descent_moments_bfloat16, descent_moments_coded } descent_moment_type;

/// The moments of an optimizer, as many as it has, from where a gradient's first element has its own.
///
/// The first of them has a sign, the others are never negative. Codes have a scale for each group of elements of a row.
/// Where groups are interleaved, a row is made of runs of 512 elements, the last of them with what is left, up to 1,023: of
/// each, every sixteenth element shares a scale, of which a run has 16.
typedef struct {
    descent_moment_type type;
    void *_Nullable elements[3];
    uint8_t *_Nullable scales[3];
    bool are_interleaved;
    /// How many elements that follow on each other share a scale otherwise, up to 32; the last of a row may be fewer.
    intptr_t group_length;
    /// What random bits are made from, with an element's place in its tensor. Codes share bits in pairs.
    uint32_t seeds[3];
    uint32_t place;
    /// The kernel's own.
    void *_Nullable scratch;
} descent_moments;
/// One step of an optimizer's rule for elements that are contiguous.
typedef struct {
    float *_Nonnull parameters;
    /// As many as the rule has.
    float *_Nullable slots[3];
    /// Where the direction is written, which may be the gradient's source; null to move the parameters.
    float *_Nullable direction;
    float rate;
    /// Whether slots are written.
    bool keeps;
    float numbers[16];
} descent_rule;

/// The kernels of one level, as the list has them.
typedef struct {
#define KERNEL(result, name, arguments) result(*_Nonnull name) arguments;
#include "../KernelList.inc"
#undef KERNEL
} descent_kernels;

/// The names of the kernels, in the order of the list.
extern const char *const _Nonnull descent_kernel_names[];
extern const intptr_t descent_kernel_count;

/// The kernels for what every processor of its architecture has: SSE2 on x86-64, NEON on arm64.
const descent_kernels *_Nonnull descent_kernels_portable(void);

/// The kernels for AVX2 with F16C; null where the processor has not got them.
const descent_kernels *_Nullable descent_kernels_avx2(void);

/// The kernels for AVX-512 (F, BW, DQ, VL); null where the processor has not got them.
const descent_kernels *_Nullable descent_kernels_avx512(void);

/// On how many processors the calling thread may run; 0 where that cannot be learned.
int descent_affinity_count(void);

/// Tells the processor that the caller is waiting in a loop.
static inline void descent_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
