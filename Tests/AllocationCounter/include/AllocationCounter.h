#pragma once

/// The number of times that this thread has asked for memory, or -1 where that cannot be counted.
long descent_allocation_count(void);
