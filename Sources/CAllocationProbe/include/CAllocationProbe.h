#pragma once

/// What `descent_allocation_count` says where the program is linked with the product AllocationCounter, otherwise -1.
long descent_probe_allocation_count(void);

/// What `descent_take_largest_allocation` says where the program is linked with that product, otherwise -1.
long descent_probe_take_largest_allocation(void);
