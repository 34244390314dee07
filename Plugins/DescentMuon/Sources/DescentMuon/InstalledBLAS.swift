#if canImport(Accelerate)
    import Accelerate
#else
    import CBLAS
#endif

/// The BLAS that products are computed by.
package enum InstalledBLAS {
    /// What it is, and for which processor and how many threads, as far as it says.
    package static var summary: String {
        #if canImport(Accelerate)
            "Accelerate"
        #else
            "OpenBLAS for \(String(cString: openblas_get_corename())), threads: \(openblas_get_num_threads())"
        #endif
    }

    /// Sets how many threads it uses; does nothing where that cannot be chosen.
    package static func setThreads(_ count: Int) {
        #if !canImport(Accelerate)
            openblas_set_num_threads(Int32(count))
        #endif
    }
}
