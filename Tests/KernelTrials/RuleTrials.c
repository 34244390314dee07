#include "Trial.h"

typedef bool (*rule_kernel)(const descent_pending *gradient, const descent_rule *rule);

/// Gives directions, with slots that are kept and without, and moves parameters; with two sets of numbers each.
static void try_rule(rule_kernel kernel, trial *trial, int slot_count, bool has_direction) {
    static const float numbers[2][16] = {
        {0.1f, 0.9f, 0.1f, 0.999f, 0.001f, 1e-8f, 5.26f, 22.4f, 0.3f, 0.7f, 2},
        {0, 0.5f, 0.5f, 0.75f, 0, 1e-3f, 0.9f, 0, 0, 0.25f, 1},
    };
    const int forms = has_direction ? 6 : 2;
    while (next_case(trial, forms * GRADIENTS)) {
        const int form = trial->variant % forms;
        const descent_pending pending = gradient(trial, trial->variant / forms);
        const intptr_t count = size_of(&pending);
        descent_rule rule = {
            .parameters = results(trial, count),
            .direction = form < 2 ? NULL : results(trial, count),
            .rate = 0.01f,
            .keeps = form < 4,
        };
        for (int slot = 0; slot < slot_count; slot++) {
            rule.slots[slot] = form % 2 == 0 ? magnitudes(trial, count) : results(trial, count);
        }
        for (int k = 0; k < 16; k++) rule.numbers[k] = numbers[form % 2][k];
        fold(trial, kernel(&pending, &rule));
    }
}

#define RULE_TRIAL(name, slot_count, has_direction) \
    TRIAL(name) { try_rule(kernels->name, trial, slot_count, has_direction); }

RULE_TRIAL(rmsprop, 1, true)
RULE_TRIAL(rmsprop_momentum, 2, true)
RULE_TRIAL(rmsprop_centered, 2, true)
RULE_TRIAL(rmsprop_centered_momentum, 3, true)
RULE_TRIAL(adagrad, 1, true)
RULE_TRIAL(adadelta, 2, true)
RULE_TRIAL(adamax, 2, true)
RULE_TRIAL(nadam, 2, true)
RULE_TRIAL(radam, 2, true)
RULE_TRIAL(adabelief, 2, true)
RULE_TRIAL(yogi, 2, true)
RULE_TRIAL(ademamix, 3, true)
RULE_TRIAL(novograd, 1, true)
RULE_TRIAL(lars, 1, false)
RULE_TRIAL(schedule_free_adamw, 3, false)
