#include "Trial.h"

/// A gradient without limits, or with them.
static descent_pending any_gradient(trial *trial, int variant) {
    return variant < GRADIENTS ? gradient(trial, variant) : limited_gradient(trial, variant - GRADIENTS);
}

TRIAL(sum_of_limited_squares) {
    while (next_case(trial, LIMITED_GRADIENTS)) {
        const descent_pending pending = limited_gradient(trial, trial->variant);
        fold(trial, kernels->sum_of_limited_squares(&pending));
        // What loops over elements give of limits is tried here, too.
        kernels->materialize(&pending, results(trial, size_of(&pending)));
        fold(trial, kernels->count_below(&pending, 0.5f));
    }
}

TRIAL(count_non_finite) {
    while (next_case(trial, GRADIENTS + LIMITED_GRADIENTS)) {
        const descent_pending pending = any_gradient(trial, trial->variant);
        fold(trial, kernels->count_non_finite(&pending));
    }
}

TRIAL(clip_rows) {
    // As they are, always, never, and with norms near nothing.
    static const descent_row_clip clips[] = {{0.5f, 1e-3f, 1e-6f}, {0, 1e-3f, 1e-6f}, {1e6f, 1e-3f, 1e-6f}, {1, 0, 0}};
    enum { forms = GRADIENTS + LIMITED_GRADIENTS };
    while (next_case(trial, 4 * forms)) {
        descent_pending pending = any_gradient(trial, trial->variant % forms);
        // Many rows, too, where there is no more than one factor or mean for all.
        if (pending.rows == 1 && trial->count % 2 == 0) {
            pending.rows = pending.columns;
            pending.columns = 1;
        }
        const float *parameters = floats(trial, size_of(&pending));
        float *factors = results(trial, pending.rows);
        bool clips_any = false;
        // From the row behind each that one pass could not measure.
        for (intptr_t row = 0; row < pending.rows; row++) {
            row = kernels->clip_rows(
                &pending, parameters, row, &clips[trial->variant / forms], factors, &clips_any);
            fold(trial, row);
            fold(trial, clips_any);
        }
    }
}
