#if defined(__linux__)
#define _GNU_SOURCE
#include <sched.h>
#include <stdlib.h>
#endif

#include "CDescentKernels.h"

int descent_affinity_count(void) {
    int count = 0;
#if defined(__linux__)
    // The kernel refuses a set that is smaller than its own, which may hold more than cpu_set_t's 1,024.
    for (int capacity = 1024; count == 0 && capacity <= 1 << 20; capacity *= 4) {
        cpu_set_t *set = CPU_ALLOC(capacity);
        if (!set) break;
        size_t bytes = CPU_ALLOC_SIZE(capacity);
        if (sched_getaffinity(0, bytes, set) == 0) count = CPU_COUNT_S(bytes, set);
        CPU_FREE(set);
    }
#endif
    return count;
}
