import DescentCore

#if canImport(Darwin)
    import Darwin
#elseif canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

extension TensorSet: Equatable {
    /// Whether two sets have the same names, shapes and order, the same element type, and the same bits.
    ///
    /// Bits tell more than numbers do: a NaN equals itself, and 0 does not equal -0. So a set always equals its copy, and
    /// two runs that are equal stay so.
    ///
    /// - Complexity: O(n) in the bytes; O(1) for copies that nothing has changed since.
    public static func == (first: TensorSet, second: TensorSet) -> Bool {
        guard first.elementType == second.elementType, first.layout == second.layout else { return false }
        if first.starts == second.starts { return true }
        guard first.views == nil, second.views == nil else {
            return first.layout.allSatisfy { parameter in
                zip(first[parameter.name], second[parameter.name]).allSatisfy { $0.bitPattern == $1.bitPattern }
            }
        }
        return withExtendedLifetime((first, second)) {
            first.layout.indices.allSatisfy { position in
                let byteCount = first.layout[position].count * first.elementType.byteCount
                return memcmp(first.starts[position], second.starts[position], byteCount) == 0
            }
        }
    }
}
