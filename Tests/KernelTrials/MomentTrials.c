#include "Trial.h"

/// How many ways of storing moments there are: float32, bfloat16, and codes in groups that are interleaved, and of 32
/// and of 16.
#define STORAGES 5

/// Moments of a gradient, in one of the ways; the first has a sign.
static descent_moments stored_moments(trial *trial, const descent_pending *pending, int storage, int slots) {
    const intptr_t count = size_of(pending);
    descent_moments moments = {
        .type = storage == 0 ? descent_moments_float32
            : storage == 1   ? descent_moments_bfloat16
                             : descent_moments_coded,
        .are_interleaved = storage == 2,
        .group_length = storage == 3 ? 32 : 16,
        .place = random_bits(trial),
    };
    const intptr_t runs = pending->columns < 512 ? 1 : pending->columns / 512;
    const intptr_t of_row =
        moments.are_interleaved ? 16 * runs : (pending->columns + moments.group_length - 1) / moments.group_length;
    const intptr_t groups = of_row * pending->rows;
    for (int slot = 0; slot < slots; slot++) {
        moments.seeds[slot] = random_bits(trial);
        switch (moments.type) {
        case descent_moments_float32:
            moments.elements[slot] = slot == 0 ? results(trial, count) : magnitudes(trial, count);
            break;
        case descent_moments_bfloat16:
            moments.elements[slot] = stored_results(trial, descent_bfloat16, count);
            break;
        case descent_moments_coded:
            // Any bytes are codes, and scales.
            moments.elements[slot] = stored_results(trial, descent_float16, (count + 1) / 2);
            moments.scales[slot] = stored_results(trial, descent_float16, (groups + 1) / 2);
            break;
        }
    }
    return moments;
}

TRIAL(sgd) {
    // Stored in each way, and without momentum.
    enum { forms = STORAGES + 1 };
    while (next_case(trial, 2 * forms * GRADIENTS)) {
        const int storage = trial->variant % forms;
        const bool is_second = trial->variant / forms % 2 == 1;
        const descent_pending pending = gradient(trial, trial->variant / (2 * forms));
        const descent_sgd step = {
            .sign = is_second ? -1 : 1,
            .rate = 0.01f,
            .decay = storage % 2 == 0 ? 0.1f : 0,
            .kept = 0.9f,
            .taken = is_second ? 0.9f : 1,
            .momentum = 0.9f,
            .looks_ahead = !is_second,
        };
        float *parameters = results(trial, size_of(&pending));
        const descent_moments moments =
            stored_moments(trial, &pending, storage % STORAGES, storage == STORAGES ? 0 : 1);
        fold(trial, kernels->sgd(&pending, parameters, &moments, &step));
    }
}

/// Coefficients by variant: with weight decay beside the gradient, in it, or without.
static descent_adam adam_step(int variant) {
    return (descent_adam){
        .beta1 = 0.9f,
        .one_minus_beta1 = 0.1f,
        .beta2 = 0.999f,
        .one_minus_beta2 = 0.001f,
        .epsilon = 1e-8f,
        .second_correction = 22.4f,
        .rate = 0.05f,
        .coupled_decay = variant % 3 == 1 ? 0.1f : 0,
        .decoupled_factor = variant % 3 == 0 ? 0.999f : 1,
        .first_correction = 5.26f,
        .decoupled_decay = variant % 3 == 0 ? 0.1f : 0,
    };
}

TRIAL(adam) {
    while (next_case(trial, 2 * STORAGES * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / (2 * STORAGES));
        const descent_adam step = adam_step(trial->variant);
        float *parameters = results(trial, size_of(&pending));
        const int slots = trial->variant / STORAGES % 2 == 0 ? 2 : 3;
        const descent_moments moments = stored_moments(trial, &pending, trial->variant % STORAGES, slots);
        fold(trial, kernels->adam(&pending, parameters, &moments, &step));
    }
}

TRIAL(adam_direction) {
    while (next_case(trial, 4 * STORAGES * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / (4 * STORAGES));
        const descent_adam step = adam_step(trial->variant);
        const float *parameters = floats(trial, size_of(&pending));
        float *destination = results(trial, size_of(&pending));
        const int slots = trial->variant / STORAGES % 2 == 0 ? 2 : 3;
        const descent_moments moments = stored_moments(trial, &pending, trial->variant % STORAGES, slots);
        const bool keeps = trial->variant / (2 * STORAGES) % 2 == 0;
        kernels->adam_direction(&pending, parameters, &moments, destination, &step, keeps);
    }
}

static const descent_lion lion_step = {0.9f, 0.1f, 0.99f, 0.01f, 0.01f, 0.1f};

TRIAL(lion) {
    while (next_case(trial, STORAGES * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / STORAGES);
        float *parameters = results(trial, size_of(&pending));
        const descent_moments moments = stored_moments(trial, &pending, trial->variant % STORAGES, 1);
        fold(trial, kernels->lion(&pending, parameters, &moments, &lion_step));
    }
}

TRIAL(lion_direction) {
    while (next_case(trial, 2 * STORAGES * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / (2 * STORAGES));
        const float *parameters = floats(trial, size_of(&pending));
        float *destination = results(trial, size_of(&pending));
        const descent_moments moments = stored_moments(trial, &pending, trial->variant % STORAGES, 1);
        const bool keeps = trial->variant / STORAGES % 2 == 0;
        kernels->lion_direction(&pending, parameters, &moments, destination, &lion_step, keeps);
    }
}

TRIAL(decode_moments) {
    while (next_case(trial, 6)) {
        const descent_pending rows = {.rows = 1, .columns = trial->count};
        const descent_moments moments = stored_moments(trial, &rows, 2 + trial->variant % 3, 1);
        float *destination = results(trial, trial->count);
        kernels->decode_moments(&moments, trial->variant / 3 == 0, 1, trial->count, destination);
    }
}

TRIAL(encode_moments) {
    while (next_case(trial, 6)) {
        const descent_pending rows = {.rows = 1, .columns = trial->count};
        const descent_moments moments = stored_moments(trial, &rows, 2 + trial->variant % 3, 1);
        const bool is_signed = trial->variant / 3 == 0;
        const float *source = is_signed ? floats(trial, trial->count) : magnitudes(trial, trial->count);
        kernels->encode_moments(source, is_signed, is_signed ? 0 : 1, 1, trial->count, &moments);
    }
}
