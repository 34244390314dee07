#include "Trial.h"

/// How many segments there are: fewer than sums move on to double after, and more.
static intptr_t segments_of(const trial *trial) {
    static const intptr_t segments[] = {1, 3, 17, 600};
    return segments[trial->count > 100 ? trial->variant % 2 : trial->variant % 4];
}

TRIAL(unit_means) {
    while (next_case(trial, 4)) {
        const intptr_t segments = segments_of(trial), stride = trial->count + trial->variant % 2;
        const float *source = floats(trial, segments * stride);
        kernels->unit_means(source, segments, stride, trial->count, results(trial, trial->count));
    }
}

TRIAL(clip_units) {
    // As they are, near nothing, never, and with a size that parameters seldom have.
    static const descent_unit_clip clips[] = {
        {0.5f, 1e-3f, 1e-6f}, {0, 1e-3f, 1e-6f}, {1e6f, 1e-3f, 1e-6f}, {1, 100, 1}, {1e-30f, 1e-3f, 0x1p-120f},
    };
    while (next_case(trial, 5)) {
        const intptr_t segments = segments_of(trial);
        const intptr_t stride = trial->count + trial->variant % 2, other = trial->count + trial->variant % 3;
        float *elements = results(trial, segments * stride);
        const float *parameters = floats(trial, segments * other);
        kernels->clip_units(elements, stride, parameters, other, segments, trial->count, &clips[trial->variant]);
    }
}

TRIAL(subtract_unit_means) {
    while (next_case(trial, 4)) {
        const intptr_t segments = segments_of(trial);
        float *elements = results(trial, segments * trial->count);
        kernels->subtract_unit_means(
            elements, segments, trial->count, trial->variant < 2 ? 1 : 0.37f, floats(trial, trial->count));
    }
}
