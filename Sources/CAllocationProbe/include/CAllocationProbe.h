#pragma once

/// What `descent_allocation_count` says where the program is linked with the product AllocationCounter, otherwise -1.
long descent_probe_allocation_count(void);
