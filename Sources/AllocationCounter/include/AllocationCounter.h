#pragma once

// A program counts as soon as it is linked with this target, on Linux with glibc and without a sanitizer: the target
// stands in for malloc, and passes every call on. Link tests with it, alone or with DescentTestKit, and nothing else.

/// The number of times that this thread has asked for memory, or -1 where that cannot be counted.
long descent_allocation_count(void);

/// The most bytes that this thread has asked for at once since the last call, or -1 where that cannot be told.
long descent_take_largest_allocation(void);
