#include "AllocationCounter.h"

#include <stddef.h>
// Says whether the C library is glibc.
#include <stdlib.h>

// Counts by standing in for the allocator of glibc, which stays reachable under other names. Memory is freed there
// too, so that no other allocator is ever handed what this one gave out.
#if defined(__GLIBC__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *address, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);
extern void __libc_free(void *address);

static __thread long allocation_count;
static __thread size_t largest_allocation;

static void note(size_t size) {
    allocation_count++;
    if (size > largest_allocation) largest_allocation = size;
}

long descent_allocation_count(void) { return allocation_count; }

long descent_take_largest_allocation(void) {
    long largest = (long)largest_allocation;
    largest_allocation = 0;
    return largest;
}

void *malloc(size_t size) {
    note(size);
    return __libc_malloc(size);
}

void *calloc(size_t count, size_t size) {
    note(count * size);
    return __libc_calloc(count, size);
}

void *realloc(void *address, size_t size) {
    note(size);
    return __libc_realloc(address, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    note(size);
    return __libc_memalign(alignment, size);
}

void *memalign(size_t alignment, size_t size) {
    allocation_count++;
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    note(size);
    *result = __libc_memalign(alignment, size);
    return *result == NULL ? 12 : 0;
}

void free(void *address) { __libc_free(address); }

#else

long descent_allocation_count(void) { return -1; }

long descent_take_largest_allocation(void) { return -1; }

#endif
