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

TRIAL(count_agreeing) {
    while (next_case(trial, GRADIENTS + LIMITED_GRADIENTS)) {
        const int variant = trial->variant;
        const descent_pending pending =
            variant < GRADIENTS ? gradient(trial, variant) : limited_gradient(trial, variant - GRADIENTS);
        fold(trial, kernels->count_agreeing(&pending, floats(trial, size_of(&pending))));
    }
}

TRIAL(scale_agreeing) {
    while (next_case(trial, 2 * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / 2);
        kernels->scale_agreeing(&pending, results(trial, size_of(&pending)), trial->variant % 2 == 0 ? 1 : 1.7f);
    }
}
