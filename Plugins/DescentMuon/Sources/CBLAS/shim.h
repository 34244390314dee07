// The system's BLAS for Swift.
#ifndef CBLAS_SHIM_H
#define CBLAS_SHIM_H

#if __has_include(<cblas.h>)
#include <cblas.h>
#else
#error "DescentMuon needs a BLAS, which is not found: apt-get install libopenblas-dev"
#endif

#endif
