// MPI for Swift, which cannot see constants that are macros.
#ifndef CMPI_SHIM_H
#define CMPI_SHIM_H

#include <mpi.h>
#include <sched.h>

static inline MPI_Comm CMPI_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Datatype CMPI_byte(void) { return MPI_BYTE; }
static inline MPI_Request CMPI_noRequest(void) { return MPI_REQUEST_NULL; }

/// Waits for the end of an operation; says whether it has come within so many seconds.
///
/// Of 0 seconds it looks 64 times, some ten microseconds: MPI moves data while it is called, and a message of many bytes
/// takes several looks on each side. A backward pass that asks between two gradients so hides half as much again.
static inline int CMPI_waitFor(MPI_Request *request, double seconds) {
    int isDone = 0;
    double end = 0;
    for (unsigned look = 1; !isDone; look++) {
        MPI_Test(request, &isDone, MPI_STATUS_IGNORE);
        if (isDone || look % 64) continue;
        const double now = MPI_Wtime();
        if (end == 0) end = now + seconds;
        if (now >= end) return 0;
        sched_yield();
    }
    return 1;
}

#endif
