// What every kernel of the list does to inputs of all kinds, in a number: the same for all levels and processors.
#pragma once

#include "CDescentKernels.h"

/// What came of a trial.
typedef struct {
    /// Of all that the kernel returned and wrote, with one pattern for every NaN.
    uint64_t digest;
    /// In how many cases it wrote beside what it was given, or to what it was given to read.
    intptr_t strays;
} descent_trial_result;

/// How many kernels the list has.
intptr_t descent_trial_count(void);

/// The name of a kernel, by its place in the list.
const char *_Nonnull descent_trial_name(intptr_t index);

/// Tries a kernel of a table, by its place in the list.
descent_trial_result descent_trial(intptr_t index, const descent_kernels *_Nonnull table);
