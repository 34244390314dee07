// The kernels of blocks for AVX2 and AVX-512. What each computes, and in which order it adds, is laid down by the
// portable kernels in Sources/DescentSIMD/Kernels, which give the same bits.
#pragma once

#include <stdbool.h>
#include <stdint.h>

/// How elements are stored.
typedef enum { descent_float32, descent_float16, descent_bfloat16 } descent_element_type;

/// Contiguous gradients: factor * source - factor * mean of the row, without the means where they are null.
typedef struct {
    const void *_Nonnull source;
    descent_element_type type;
    intptr_t rows;
    intptr_t columns;
    float factor;
    const float *_Nullable means;
} descent_pending;

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

/// The kernels of one instruction set.
typedef struct {
    double (*_Nonnull sum_of_squares)(
        const void *_Nonnull source, descent_element_type type, intptr_t count, float mean);
    double (*_Nonnull sum_of_magnitudes)(const float *_Nonnull source, intptr_t count, float mean);
    float (*_Nonnull largest_magnitude)(const float *_Nonnull source, intptr_t count, float mean);
    /// Writes the mean of each row; says whether all of them are finite.
    bool (*_Nonnull row_means)(
        const float *_Nonnull source, intptr_t rows, intptr_t columns, float *_Nonnull means);
    /// Adds up squares of elements without their row's mean, from a row up to the first that one pass cannot measure.
    intptr_t (*_Nonnull centered_squares)(
        const void *_Nonnull source, descent_element_type type, intptr_t first_row, intptr_t rows, intptr_t columns,
        float *_Nonnull means, double *_Nonnull total);
    void (*_Nonnull materialize)(const descent_pending *_Nonnull gradient, float *_Nonnull destination);
    /// Writes the gradient times a factor, added to a sum where there is one; the destination may be either of them.
    /// Says whether all that it wrote is finite.
    bool (*_Nonnull accumulate)(
        const descent_pending *_Nonnull gradient, const float *_Nullable sum, float *_Nonnull destination, float factor);
    /// Whether no element is NaN or infinite.
    bool (*_Nonnull is_finite)(const float *_Nonnull source, intptr_t count);
    /// Says whether all parameters are finite afterwards; so does the next.
    bool (*_Nonnull sgd)(
        const descent_pending *_Nonnull gradient, float *_Nonnull parameters, float *_Nullable velocity,
        const descent_sgd *_Nonnull step);
    bool (*_Nonnull adam)(
        const descent_pending *_Nonnull gradient, float *_Nonnull parameters, float *_Nonnull first,
        float *_Nonnull second, float *_Nullable largest, const descent_adam *_Nonnull step);
    void (*_Nonnull adam_direction)(
        const descent_pending *_Nonnull gradient, const float *_Nonnull parameters, float *_Nonnull first,
        float *_Nonnull second, float *_Nullable largest, float *_Nonnull destination,
        const descent_adam *_Nonnull step, bool keeps);
    void (*_Nonnull widen_float16)(
        const uint16_t *_Nonnull source, float *_Nonnull destination, intptr_t count);
    void (*_Nonnull widen_bfloat16)(
        const uint16_t *_Nonnull source, float *_Nonnull destination, intptr_t count);
    void (*_Nonnull narrow_float16)(
        const float *_Nonnull source, uint16_t *_Nonnull destination, intptr_t count);
    void (*_Nonnull narrow_bfloat16)(
        const float *_Nonnull source, uint16_t *_Nonnull destination, intptr_t count);
    void (*_Nonnull narrow_bfloat16_at_random)(
        const float *_Nonnull source, uint16_t *_Nonnull destination, intptr_t count, uint32_t seed, uint32_t first);
    void (*_Nonnull narrow_float16_at_random)(
        const float *_Nonnull source, uint16_t *_Nonnull destination, intptr_t count, uint32_t seed, uint32_t first);
    void (*_Nonnull take_masters_bfloat16)(
        float *_Nonnull masters, const uint16_t *_Nonnull stored, intptr_t count);
    /// Makes columns rows: destination[row * stride + column] = source[column * source_stride + row].
    void (*_Nonnull transpose)(
        const float *_Nonnull source, intptr_t source_stride, float *_Nonnull destination, intptr_t stride,
        intptr_t rows, intptr_t columns, intptr_t ahead);
} descent_kernels;

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
