#include "Trial.h"

/// The number that is subtracted from elements, by variant.
static float mean_of(int variant) { return variant % 2 == 0 ? 0 : 0.3f; }

TRIAL(sum_of_squares) {
    while (next_case(trial, 6)) {
        const descent_element_type type = (descent_element_type)(trial->variant / 2);
        const void *source = elements(trial, type, trial->count);
        fold(trial, kernels->sum_of_squares(source, type, trial->count, mean_of(trial->variant)));
    }
}

TRIAL(sum_of_magnitudes) {
    while (next_case(trial, 2)) {
        const float *source = floats(trial, trial->count);
        fold(trial, kernels->sum_of_magnitudes(source, trial->count, mean_of(trial->variant)));
    }
}

TRIAL(largest_magnitude) {
    while (next_case(trial, 2)) {
        const float *source = floats(trial, trial->count);
        fold(trial, kernels->largest_magnitude(source, trial->count, mean_of(trial->variant)));
    }
}

/// As many rows as sums are made of at once, fewer and more; of long ones two.
static intptr_t rows_of(const trial *trial) {
    static const intptr_t rows[] = {1, 5, 16, 35};
    return trial->count > 100 ? 2 : rows[trial->variant % 4];
}

TRIAL(row_means) {
    while (next_case(trial, 4)) {
        const intptr_t rows = rows_of(trial);
        const float *source = floats(trial, rows * trial->count);
        fold(trial, kernels->row_means(source, rows, trial->count, results(trial, rows)));
    }
}

TRIAL(centered_squares) {
    while (next_case(trial, 12)) {
        const intptr_t rows = rows_of(trial), columns = trial->count;
        const descent_element_type type = (descent_element_type)(trial->variant / 4);
        const void *source = elements(trial, type, rows * columns);
        float *means = results(trial, rows);
        double total = 0.5;
        // From the row behind each that one pass could not measure.
        for (intptr_t row = 0; row < rows; row++) {
            row = kernels->centered_squares(source, type, row, rows, columns, means, &total);
            fold(trial, row);
            fold(trial, total);
        }
    }
}

TRIAL(is_finite) {
    while (next_case(trial, 1)) fold(trial, kernels->is_finite(floats(trial, trial->count), trial->count));
}

TRIAL(sum_of_decayed_squares) {
    // Without means, of each type plain and with a factor.
    while (next_case(trial, 6)) {
        const descent_pending pending = gradient(trial, trial->variant);
        const float *parameters = floats(trial, size_of(&pending));
        fold(trial, kernels->sum_of_decayed_squares(&pending, parameters, trial->variant == 0 ? -0.1f : 0.1f));
    }
}
