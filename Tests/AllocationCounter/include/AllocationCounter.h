#pragma once

/// The number of times that this thread has asked for memory, or -1 where that cannot be counted.
long descent_allocation_count(void);

/// The most bytes that this thread has asked for at once since the last call, or -1 where that cannot be told.
long descent_take_largest_allocation(void);
