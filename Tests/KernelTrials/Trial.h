// How to write a trial: a function for each kernel, in any file of this folder. What is linked calls all of the list, so
// that a kernel without a trial is an error there.
//
//     TRIAL(blend) {
//         while (next_case(trial, 2)) {
//             const float *source = floats(trial, trial->count);
//             float *slot = results(trial, trial->count);
//             fold(trial, kernels->blend(source, slot, trial->count, trial->variant == 0 ? 1 : 0.3f));
//         }
//     }
//
// Memory that is taken in a case lasts until the next one, which checks that nothing beside it was written, nor what was to
// be read, and folds what was written into the digest.
#pragma once

#include <stddef.h>

#include "KernelTrials.h"

/// Most pieces of memory that a case can have.
#define MOST_PIECES 12

/// What is among inputs.
typedef enum {
    /// Numbers with magnitudes between 1/256 and 256.
    ordinary,
    /// Those, and zeros of both signs, subnormal numbers and very small ones.
    small,
    /// Those, and NaN, infinities and the largest numbers.
    special,
} trial_inputs;

typedef struct {
    uint8_t *memory;
    uint8_t *start;
    intptr_t size;
    descent_element_type type;
    bool is_written;
    uint64_t checksum;
} trial_piece;

/// What a trial knows of the case that it is at.
typedef struct {
    /// How many elements: 0 ... 70, and a few thousand.
    intptr_t count;
    /// Which of the trial's variants, from 0.
    int variant;
    trial_inputs inputs;

    intptr_t next;
    uint32_t random;
    uint64_t digest;
    intptr_t strays;
    int pieces;
    trial_piece piece[MOST_PIECES];
} trial;

#define TRIAL(name) void trial_##name(const descent_kernels *kernels, trial *trial)

#define KERNEL(result, name, arguments) void trial_##name(const descent_kernels *kernels, trial *trial);
#include "../../Sources/CDescentKernels/KernelList.inc"
#undef KERNEL

/// Goes on to the next case: each count in each variant, with all kinds of inputs where it is small.
bool next_case(trial *trial, int variants);

/// Floats to read.
const float *floats(trial *trial, intptr_t count);

/// Floats to write; at first they are such as are read.
float *results(trial *trial, intptr_t count);

/// Floats to write; at first none is negative, as second moments never are.
float *magnitudes(trial *trial, intptr_t count);

/// Elements of any type to read.
const void *elements(trial *trial, descent_element_type type, intptr_t count);

/// Elements of any type to write.
void *stored_results(trial *trial, descent_element_type type, intptr_t count);

/// How many variants of gradients there are: of each type plain, with a factor, and three rows without their means.
#define GRADIENTS 9

/// A gradient of as many elements as the case has, or at most two fewer, by its variant.
descent_pending gradient(trial *trial, int variant);

/// How many variants of gradients with limits there are: of each type with repairs, a range, both, factors of rows, and
/// those alone.
#define LIMITED_GRADIENTS 18

/// A gradient of at least a few elements fewer than the case has, with limits, by its variant.
descent_pending limited_gradient(trial *trial, int variant);

/// How many elements a gradient has.
static inline intptr_t size_of(const descent_pending *gradient) { return gradient->rows * gradient->columns; }

/// A random number of 32 bits.
uint32_t random_bits(trial *trial);

/// Folds what a kernel returned into the digest.
void fold_bits(trial *trial, uint64_t bits);
void fold_float(trial *trial, float value);
void fold_double(trial *trial, double value);

#define fold(trial, value) _Generic((value), float: fold_float, double: fold_double, default: fold_bits)(trial, value)
