#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The sanitizers that this test run is built with.
package enum Sanitizer {
    /// Whether the address sanitizer watches.
    package static var watchesAddresses: Bool { isLinked("__asan_init") }

    /// Whether the thread sanitizer watches.
    package static var watchesThreads: Bool { isLinked("__tsan_init") }

    /// Whether allocations can be counted here: with glibc, unless a sanitizer counts them itself.
    package static var leavesAllocationsToCount: Bool {
        #if canImport(Glibc)
            !watchesAddresses && !watchesThreads
        #else
            false
        #endif
    }

    /// A sanitizer's runtime is in the program, or it is not.
    private static func isLinked(_ symbol: String) -> Bool { dlsym(nil, symbol) != nil }
}
