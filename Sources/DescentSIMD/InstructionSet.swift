import CDescentKernels
import DescentCore

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#elseif canImport(Darwin)
    import Darwin
#endif

/// The instructions that kernels are made of.
///
/// All give the same bits; wider ones are faster, and come later in the list of cases.
public enum InstructionSet: String, Sendable, Hashable, CaseIterable {
    /// What every processor of its architecture has: SSE2 on x86-64, NEON on arm64; four floats at once.
    case portable
    /// AVX2 with F16C: eight floats at once.
    case avx2
    /// AVX-512 (F, BW, DQ, VL): sixteen floats at once.
    case avx512

    /// Whether this processor has the instructions.
    public var isAvailable: Bool { table != nil }

    /// The widest that this processor has, or what the environment variable `DESCENT_INSTRUCTION_SET` names.
    ///
    /// - Precondition: The variable, if set, names an instruction set that this processor has.
    public static let preferred: InstructionSet = {
        guard let value = getenv("DESCENT_INSTRUCTION_SET") else {
            return allCases.last(where: \.isAvailable) ?? .portable
        }
        let name = String(cString: value)
        let names = allCases.filter(\.isAvailable).map(\.rawValue).joined(separator: ", ")
        guard let forced = InstructionSet(rawValue: name), forced.isAvailable else {
            stopForMisuse("DESCENT_INSTRUCTION_SET is \"\(name)\"; this processor has \(names).")
        }
        return forced
    }()

    var table: UnsafePointer<descent_kernels>? {
        switch self {
        case .portable: descent_kernels_portable()
        case .avx2: descent_kernels_avx2()
        case .avx512: descent_kernels_avx512()
        }
    }
}
