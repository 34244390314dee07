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
/// How many variants of limits there are.
#define LIMITS 5

/// Gives a gradient limits, by a variant: none, a range, one that begins at -0, repairs, and all at once with rows.
static void limit(trial *trial, descent_pending *pending, int variant) {
    if (variant == 0) return;
    const float infinity = __builtin_inff();
    pending->limits = (descent_limits){
        .is_active = true, .repairs = variant >= 3 ? -1 : 0, .factor = variant % 2 == 0 ? 0.37f : 1,
        .lower = variant == 2 ? -0.0f : variant == 3 ? -infinity : -0.5f,
        .upper = variant == 2 || variant == 3 ? infinity : 0.75f,
        .row_factors = variant == 4 ? floats(trial, pending->rows) : NULL};
}

TRIAL(sum_of_limited_squares) {
    while (next_case(trial, (LIMITS - 1) * GRADIENTS)) {
        descent_pending pending = gradient(trial, trial->variant % GRADIENTS);
        limit(trial, &pending, 1 + trial->variant / GRADIENTS);
        fold(trial, kernels->sum_of_limited_squares(&pending));
        // What is measured is what is written.
        float *limited = results(trial, size_of(&pending));
        pending.factor = 1;
        kernels->materialize(&pending, limited);
    }
}

TRIAL(count_non_finite) {
    while (next_case(trial, GRADIENTS + LIMITED_GRADIENTS)) {
        const descent_pending pending = any_gradient(trial, trial->variant);
    while (next_case(trial, LIMITS * GRADIENTS)) {
        descent_pending pending = gradient(trial, trial->variant % GRADIENTS);
        limit(trial, &pending, trial->variant / GRADIENTS);
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
    while (next_case(trial, LIMITS * GRADIENTS)) {
        descent_pending pending = gradient(trial, trial->variant % GRADIENTS);
        // What rows are multiplied by is what is asked for.
        limit(trial, &pending, trial->variant / GRADIENTS);
        pending.limits.row_factors = NULL;
        const float *parameters = floats(trial, size_of(&pending));
        float *factors = results(trial, pending.rows);
        const descent_row_clip clip = {.factor = 0.5f, .minimum_norm = 1e-3f, .epsilon = 1e-6f};
        bool clips = false;
        // From the row behind each that one pass could not measure.
        for (intptr_t row = 0; row < pending.rows; row++) {
            row = kernels->clip_rows(&pending, parameters, row, &clip, factors, &clips);
            fold(trial, row);
        }
        fold(trial, clips);
    }
}
