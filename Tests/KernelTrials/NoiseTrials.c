#include "Trial.h"

TRIAL(add_normal_noise) {
    // From the middle of a group of sixty-four, and across what 32 bits of places and of counters can hold.
    static const uint64_t places[] = {0, 37, 0xffffffe0u, 0x3ffffffe5u};
    while (next_case(trial, 4)) {
        const descent_noise noise = {
            .seed = (uint64_t)random_bits(trial) << 32 | random_bits(trial),
            .parameter = random_bits(trial),
            .step = random_bits(trial),
            .deviation = trial->variant == 3 ? 0x1p-140f : 0.7f,
        };
        float *elements = results(trial, trial->count);
        kernels->add_normal_noise(elements, trial->count, places[trial->variant], &noise);
    }
}
