// MPI for Swift, which cannot see constants that are macros.
#ifndef CMPI_SHIM_H
#define CMPI_SHIM_H

#include <mpi.h>

static inline MPI_Comm CMPI_world(void) { return MPI_COMM_WORLD; }
static inline MPI_Datatype CMPI_byte(void) { return MPI_BYTE; }
static inline MPI_Datatype CMPI_float(void) { return MPI_FLOAT; }
static inline MPI_Datatype CMPI_uint16(void) { return MPI_UINT16_T; }
static inline MPI_Datatype CMPI_uint64(void) { return MPI_UINT64_T; }
static inline MPI_Request CMPI_noRequest(void) { return MPI_REQUEST_NULL; }

static inline int CMPI_wait(MPI_Request *request) { return MPI_Wait(request, MPI_STATUS_IGNORE); }
static inline int CMPI_test(MPI_Request *request, int *isDone) { return MPI_Test(request, isDone, MPI_STATUS_IGNORE); }

#endif
