#include "CAllocationProbe.h"

#if defined(__ELF__)

extern long descent_allocation_count(void) __attribute__((weak));

long descent_probe_allocation_count(void) { return descent_allocation_count ? descent_allocation_count() : -1; }

#else

long descent_probe_allocation_count(void) { return -1; }

#endif
