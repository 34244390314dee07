#include <string.h>

#include "Trial.h"

typedef void widening(const uint16_t *, float *, intptr_t);
typedef void narrowing(const float *, uint16_t *, intptr_t);
typedef void narrowing_at_random(const float *, uint16_t *, intptr_t, uint32_t, uint32_t);

// How many patterns of 16 bits there are.
#define PATTERNS 65536

/// Every pattern of 16 bits, in order.
static uint16_t *every_pattern(trial *trial, descent_element_type type) {
    uint16_t *patterns = stored_results(trial, type, PATTERNS);
    for (uint32_t k = 0; k < PATTERNS; k++) patterns[k] = (uint16_t)k;
    return patterns;
}

/// Every number of 16 bits, those in the middle between it and the next, and the nearest to these.
static const float *every_boundary(trial *trial, widening *widen, descent_element_type type) {
    float *values = results(trial, 4 * PATTERNS);
    widen(every_pattern(trial, type), values, PATTERNS);
    for (uint32_t k = 0; k < PATTERNS; k++) {
        const float next = values[(k + 1) % PATTERNS], last = values[(k + PATTERNS - 1) % PATTERNS];
        // Numbers behind the largest are as far away as those before it.
        const float middle = next - next == 0 ? (values[k] + next) / 2 : values[k] + (values[k] - last) / 2;
        uint32_t pattern;
        memcpy(&pattern, &middle, sizeof pattern);
        for (uint32_t near = 1; near <= 3; near++) {
            const uint32_t neighbour = pattern + near - 2;
            memcpy(&values[near * PATTERNS + k], &neighbour, sizeof neighbour);
        }
    }
    return values;
}

static void try_widening(trial *trial, widening *widen, descent_element_type type) {
    widen(every_pattern(trial, type), results(trial, PATTERNS), PATTERNS);
    while (next_case(trial, 1)) {
        widen(elements(trial, type, trial->count), results(trial, trial->count), trial->count);
    }
}

static void try_narrowing(trial *trial, narrowing *narrow, widening *widen, descent_element_type type) {
    const float *boundaries = every_boundary(trial, widen, type);
    narrow(boundaries, stored_results(trial, type, 4 * PATTERNS), 4 * PATTERNS);
    while (next_case(trial, 1)) {
        narrow(floats(trial, trial->count), stored_results(trial, type, trial->count), trial->count);
    }
}

static void try_narrowing_at_random(
    trial *trial, narrowing_at_random *narrow, widening *widen, descent_element_type type
) {
    const float *boundaries = every_boundary(trial, widen, type);
    narrow(boundaries, stored_results(trial, type, 4 * PATTERNS), 4 * PATTERNS, 7, 0);
    while (next_case(trial, 2)) {
        const float *source = floats(trial, trial->count);
        uint16_t *destination = stored_results(trial, type, trial->count);
        // Places may be counted past the largest number.
        const uint32_t first = trial->variant == 0 ? 3 : UINT32_MAX - 20;
        narrow(source, destination, trial->count, random_bits(trial), first);
    }
}

TRIAL(widen_float16) { try_widening(trial, kernels->widen_float16, descent_float16); }

TRIAL(widen_bfloat16) { try_widening(trial, kernels->widen_bfloat16, descent_bfloat16); }

TRIAL(narrow_float16) { try_narrowing(trial, kernels->narrow_float16, kernels->widen_float16, descent_float16); }

TRIAL(narrow_bfloat16) { try_narrowing(trial, kernels->narrow_bfloat16, kernels->widen_bfloat16, descent_bfloat16); }

TRIAL(narrow_float16_at_random) {
    try_narrowing_at_random(trial, kernels->narrow_float16_at_random, kernels->widen_float16, descent_float16);
}

TRIAL(narrow_bfloat16_at_random) {
    try_narrowing_at_random(trial, kernels->narrow_bfloat16_at_random, kernels->widen_bfloat16, descent_bfloat16);
}

TRIAL(take_masters_bfloat16) {
    while (next_case(trial, 2)) {
        float *masters = results(trial, trial->count);
        uint16_t *stored = stored_results(trial, descent_bfloat16, trial->count);
        // About half of the masters round to what is stored.
        if (trial->variant == 1) {
            uint16_t *other = stored_results(trial, descent_bfloat16, trial->count);
            kernels->narrow_bfloat16(masters, other, trial->count);
            for (intptr_t k = 0; k < trial->count; k++) stored[k] = random_bits(trial) & 1 ? other[k] : stored[k];
        }
        kernels->take_masters_bfloat16(masters, stored, trial->count);
    }
}
