// Prints what comes of every trial, for processors that tests in Swift do not run on: `.ci/arm64` compares it with theirs.
//
//     trials [portable | avx2 | avx512]
//
// A line for each kernel: its name, the digest, and in how many cases it wrote beside its results. Without an argument the
// levels that the processor has are printed, one a line.

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "KernelTrials.h"

int main(int count, char **arguments) {
    const struct {
        const char *name;
        const descent_kernels *table;
    } levels[] = {
        {"portable", descent_kernels_portable()},
        {"avx2", descent_kernels_avx2()},
        {"avx512", descent_kernels_avx512()},
    };
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        if (!levels[level].table) continue;
        if (count == 1) puts(levels[level].name);
        if (count == 1 || strcmp(arguments[1], levels[level].name) != 0) continue;
        for (intptr_t trial = 0; trial < descent_trial_count(); trial++) {
            const descent_trial_result result = descent_trial(trial, levels[level].table);
            printf("%s %016" PRIx64 " %" PRIdPTR "\n", descent_trial_name(trial), result.digest, result.strays);
        }
        return 0;
    }
    return count == 1 ? 0 : 1;
}
