#include "CAllocationProbe.h"

#if defined(__ELF__)

extern long descent_allocation_count(void) __attribute__((weak));
extern long descent_take_largest_allocation(void) __attribute__((weak));

long descent_probe_allocation_count(void) { return descent_allocation_count ? descent_allocation_count() : -1; }

long descent_probe_take_largest_allocation(void) {
    return descent_take_largest_allocation ? descent_take_largest_allocation() : -1;
}

#else

long descent_probe_allocation_count(void) { return -1; }

long descent_probe_take_largest_allocation(void) { return -1; }

#endif
