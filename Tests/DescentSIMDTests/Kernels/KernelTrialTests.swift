import CDescentKernels
import DescentCore
import KernelTrials
import TestSupport
import Testing

@testable import DescentSIMD

/// Every kernel of the list, tried in C on all kinds of inputs: `Tests/KernelTrials/Trial.h` says how.
@Suite struct KernelTrialTests {
    private static let trials = 0..<descent_trial_count()
    private static let levels = InstructionSet.allCases.filter(\.isAvailable)

    private static func name(of trial: Int) -> String { String(cString: descent_trial_name(trial)) }

    @Test(arguments: levels) func `every kernel does the same at every level, and writes nothing but its results`(
        _ level: InstructionSet
    ) {
        for trial in Self.trials {
            let result = descent_trial(trial, Kernels(level).table)
            let portable = descent_trial(trial, Kernels(.portable).table)
            #expect(result.digest == portable.digest, "\(Self.name(of: trial))")
            #expect(result.strays == 0, "\(Self.name(of: trial)) writes beside its results")
        }
    }

    /// What comes of trials of a table with a kernel of another.
    private func results(_ change: (inout descent_kernels) -> Void) -> [String: descent_trial_result] {
        var table = Kernels(.portable).table.pointee
        change(&table)
        return Dictionary(
            uniqueKeysWithValues: Self.trials.map { (Self.name(of: $0), descent_trial($0, &table)) })
    }

    @Test func `a trial notices one bit of one result, and an element beside the results`() throws {
        let right = results { _ in }
        let wrong = results {
            $0.largest_magnitude = { source, count, mean in
                let result = descent_kernels_portable().pointee.largest_magnitude(source, count, mean)
                return count == 70 ? result.nextUp : result
            }
            $0.widen_bfloat16 = { source, destination, count in
                descent_kernels_portable().pointee.widen_bfloat16(source, destination, count)
                if count == 70 { destination[69] = -destination[69] }
            }
            // What lies behind the results is the address sanitizer's in its builds.
            $0.narrow_bfloat16 = { source, destination, count in
                descent_kernels_portable().pointee.narrow_bfloat16(source, destination, count)
                destination[-1] = 0
            }
            $0.is_finite = { source, count in
                if count > 0 { UnsafeMutablePointer(mutating: source)[count - 1] = 7 }
                return true
            }
        }
        for name in ["largest_magnitude", "widen_bfloat16"] {
            #expect(try #require(right[name]).digest != #require(wrong[name]).digest, "\(name)")
            #expect(wrong[name]?.strays == 0)
        }
        #expect(right["narrow_bfloat16"]?.digest == wrong["narrow_bfloat16"]?.digest)
        for name in ["narrow_bfloat16", "is_finite"] { #expect(try #require(wrong[name]).strays > 0, "\(name)") }
        let changed = ["largest_magnitude", "widen_bfloat16", "narrow_bfloat16", "is_finite"]
        for (name, result) in wrong where !changed.contains(name) {
            #expect(result.digest == right[name]?.digest, "\(name)")
        }
    }
}
