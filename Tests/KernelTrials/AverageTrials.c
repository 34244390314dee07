#include "Trial.h"

TRIAL(blend) {
    while (next_case(trial, 4)) {
        float *parameters = results(trial, trial->count), *slot = results(trial, trial->count);
        kernels->blend(parameters, slot, trial->count, trial->variant < 2 ? 0.3f : 1, trial->variant % 2 == 1);
    }
}

TRIAL(subtract) {
    while (next_case(trial, 2)) {
        float *destination = results(trial, trial->count);
        const float *source = trial->variant == 0 ? floats(trial, trial->count) : destination;
        kernels->subtract(source, destination, trial->count);
    }
}

TRIAL(count_below) {
    static const float limits[] = {0.5f, 0, __builtin_inff(), 0x1p-126f};
    while (next_case(trial, 4 * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / 4);
        fold(trial, kernels->count_below(&pending, limits[trial->variant % 4]));
    }
}
