#include "Trial.h"

TRIAL(sgd) {
    while (next_case(trial, 4 * GRADIENTS)) {
        const int form = trial->variant % 4;
        const descent_pending pending = gradient(trial, trial->variant / 4);
        const descent_sgd step = {
            .sign = form == 1 ? -1 : 1,
            .rate = 0.01f,
            .decay = form == 0 ? 0 : 0.1f,
            .kept = 0.9f,
            .taken = form == 1 ? 0.9f : 1,
            .momentum = form == 0 ? 0 : 0.9f,
            .looks_ahead = form == 3,
        };
        float *parameters = results(trial, size_of(&pending));
        float *velocity = form == 0 ? NULL : results(trial, size_of(&pending));
        fold(trial, kernels->sgd(&pending, parameters, velocity, &step));
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
    while (next_case(trial, 2 * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / 2);
        const descent_adam step = adam_step(trial->variant);
        const intptr_t count = size_of(&pending);
        float *parameters = results(trial, count), *first = results(trial, count);
        float *second = magnitudes(trial, count);
        float *largest = trial->variant % 2 == 0 ? NULL : magnitudes(trial, count);
        fold(trial, kernels->adam(&pending, parameters, first, second, largest, &step));
    }
}

TRIAL(adam_direction) {
    while (next_case(trial, 4 * GRADIENTS)) {
        const descent_pending pending = gradient(trial, trial->variant / 4);
        const descent_adam step = adam_step(trial->variant);
        const intptr_t count = size_of(&pending);
        const float *parameters = floats(trial, count);
        float *first = results(trial, count), *second = magnitudes(trial, count);
        float *largest = trial->variant % 2 == 0 ? NULL : magnitudes(trial, count);
        float *destination = results(trial, count);
        kernels->adam_direction(
            &pending, parameters, first, second, largest, destination, &step, trial->variant / 2 % 2 == 0);
    }
}
