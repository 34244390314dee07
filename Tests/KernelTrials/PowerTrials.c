#include "Trial.h"

TRIAL(sum_of_powers) {
    // Whole powers with loops of their own and without, and others.
    static const descent_power powers[] = {
        {.exponent = 1, .high = 1}, {.exponent = 2, .high = 2}, {.exponent = 3, .high = 3}, {.exponent = 4, .high = 4},
        {.exponent = 7, .high = 7}, {.exponent = 10, .high = 10}, {.exponent = 64, .high = 64}, {.high = 0.5f},
        {.high = 2.5f}, {.high = 33.296875f, .low = 0.003125f}, {.high = 95.5f},
    };
    enum { count = sizeof powers / sizeof *powers };
    while (next_case(trial, 2 * count)) {
        descent_power power = powers[trial->variant % count];
        // Elements are below 256 where none is special; no power of those overflows.
        power.scale = power.high < 8 ? 1 : 0x1p-8f;
        power.smallest = power.high < 8 ? 0x1p-17f : power.high < 12 ? 0x1p-12f : 0x1p-1f;
        const float mean = trial->variant < count ? 0 : 0.3f;
        const float *source = floats(trial, trial->count);
        fold(trial, kernels->sum_of_powers(source, trial->count, mean, &power));
    }
}
