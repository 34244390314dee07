import Descent
import Foundation

/// Many steps of a tiny pipeline, over which memory must not grow.
struct Soak {
    /// By how much resident memory may grow after the first tenth of the steps.
    private static let allowance = 512 * 1024
    private let steps: Int

    init(steps: Int) { self.steps = steps }

    func run() throws {
        var parameters = try TensorSet([
            ParameterDescription("weight", shape: [3, 4]), ParameterDescription("bias", shape: [3]),
        ])
        var gradients = parameters
        var pipeline = try Pipeline(for: parameters, reporting: .layerNorms) {
            Accumulate(steps: 2)
            Unscale(.dynamic(growthInterval: 20))
            ClipByPercentile(90, historyLength: 1_000)
            ClipByGlobalNorm(1)
        } driving: {
            AdamW(learningRate: 1e-3)
        }
        var norm = 0.0
        var early = 0
        for step in 0..<steps {
            // Now and then a step is skipped, with a message that says why.
            gradients["weight"] = (0..<12).map { Float(($0 + step) % 7) - 3 }
            gradients["bias"] = [1, step % 101 == 0 ? .infinity : 2, 3]
            norm += Double(try pipeline.step(&parameters, gradients: gradients).report?.gradientNorm ?? 0)
            if step == steps / 10 { early = Self.residentBytes }
        }
        let growth = Self.residentBytes - early
        print(
            "\(steps) steps, \(pipeline.appliedSteps) applied, \(pipeline.skippedSteps) skipped: "
                + "\(early / 1024) KB after a tenth, \(growth / 1024) KB more at the end")
        guard growth <= Self.allowance, norm > 0 else {
            print("Memory grows by more than \(Self.allowance / 1024) KB.")
            exit(1)
        }
    }

    /// On Linux what is resident now; elsewhere the most that has been.
    private static var residentBytes: Int {
        #if os(Linux)
            let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
            let kilobytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
            return (kilobytes ?? 0) * 1_024
        #else
            var usage = rusage()
            getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss
        #endif
    }
}
