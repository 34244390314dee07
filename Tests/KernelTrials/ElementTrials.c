#include "Trial.h"

TRIAL(materialize) {
    while (next_case(trial, GRADIENTS + 1)) {
        if (trial->variant == GRADIENTS) {
            // In place.
            float *memory = results(trial, trial->count);
            const descent_pending pending = {
                .source = memory, .type = descent_float32, .rows = 1, .columns = trial->count, .factor = 0.37f};
            kernels->materialize(&pending, memory);
        } else {
            const descent_pending pending = gradient(trial, trial->variant);
            kernels->materialize(&pending, results(trial, size_of(&pending)));
        }
    }
}

TRIAL(accumulate) {
    while (next_case(trial, 4 * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / 4);
        float *destination = results(trial, size_of(&pending));
        switch (trial->variant % 4) {
        case 0: fold(trial, kernels->accumulate(&pending, NULL, destination, 3)); break;
        case 1: fold(trial, kernels->accumulate(&pending, destination, destination, 0.25f)); break;
        case 2: {
            const float *sum = floats(trial, size_of(&pending));
            fold(trial, kernels->accumulate(&pending, sum, destination, -1));
            break;
        }
        default: {
            // Onto a sum, in place of the gradient.
            const descent_pending itself = {
                .source = destination, .type = descent_float32, .rows = 1, .columns = size_of(&pending), .factor = 1};
            fold(trial, kernels->accumulate(&itself, floats(trial, size_of(&pending)), destination, 0.5f));
        }
        }
    }
}

TRIAL(transpose) {
    while (next_case(trial, 8)) {
        static const intptr_t widths[] = {0, 1, 5, 16, 17, 33, 70, 300};
        const intptr_t columns = trial->count > 100 ? widths[trial->variant] / 10 : widths[trial->variant];
        const intptr_t rows = trial->count, source_gap = trial->variant % 3, gap = trial->variant % 2;
        const float *source = floats(trial, columns * (rows + source_gap));
        float *destination = results(trial, rows * (columns + gap));
        kernels->transpose(
            source, rows + source_gap, destination, columns + gap, rows, columns, trial->variant == 5 ? 16 : 0);
    }
}
