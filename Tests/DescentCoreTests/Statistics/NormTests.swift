import Descent
import DescentCore
import TestSupport
import Testing

/// Norms against their definition in Double, for every finite gradient.
@Suite struct NormTests {
    static let norms: [Norm] = [.l1, .l2, .lInfinity, .lp(3), .lp(0.5), .lp(30)]

    /// The norm that a chain measures.
    private func measure(_ values: [Float], columns: Int, _ norm: Norm, centralized: Bool = false) throws -> Float {
        let layout = try ParameterLayout([ParameterDescription("w", shape: [values.count / columns, columns])])
        var gradients = TensorSet(zeros: layout)
        gradients["w"] = values
        var chain = try Chain(for: layout) {
            if centralized { Centralize() }
            ClipByGlobalNorm(1, norm: norm)
        }
        guard case .applied(let report) = try chain.transform(&gradients) else { return .nan }
        return report.gradientNorm.map { Float($0) } ?? .nan
    }

    private func definition(_ values: [Float], _ norm: Norm) -> Double {
        let magnitudes = values.map { Double($0.magnitude) }
        let largest = magnitudes.max() ?? 0
        if largest == 0 { return 0 }
        switch norm {
        case .l1: return magnitudes.reduce(0, +)
        case .l2: return magnitudes.reduce(0) { $0 + $1 * $1 }.squareRoot()
        case .lInfinity: return largest
        case .lp(let p):
            let sum = magnitudes.reduce(0) { $0 + ReproducibleMath.power($1 / largest, p) }
            return largest * ReproducibleMath.power(sum, 1 / p)
        }
    }

    @Test(arguments: norms) func `a norm is the defined one for sizes 0 to 70 and large ones`(_ norm: Norm) throws {
        var generator = SeededGenerator(seed: 3)
        for count in Array(0...70) + [4095, 4096, 4097, 20_000] {
            let values = (0..<count).map { _ in generator.normal() }
            let expected = definition(values, norm)
            let measured = Double(try measure(values, columns: 1, norm))
            #expect(abs(measured - expected) <= 1e-6 * expected, "\(count) elements")
        }
    }

    @Test(arguments: norms, [1e-42, 1e-30, 1e-20, 1, 1e18, 1e20, 3e37] as [Double])
    func `no finite gradient overflows or vanishes`(_ norm: Norm, _ scale: Double) throws {
        var generator = SeededGenerator(seed: 4)
        let values = (0..<100).map { _ in Float(Double(generator.normal()) * scale) }
        let expected = definition(values, norm)
        guard expected < Double(Float.greatestFiniteMagnitude) else { return }
        #expect(abs(Double(try measure(values, columns: 1, norm)) - expected) <= 1e-6 * expected + 1.5e-45)
    }

    @Test func `clipping gradients of 1e20 leaves a gradient of the maximum norm, not zeros`() throws {
        let layout = try makeLayout([[100]])
        var gradients = TensorSet(zeros: layout)
        gradients["layer0.weight"] = [Float](repeating: 1e20, count: 100)
        var chain = try Chain(for: layout) { ClipByGlobalNorm(1) }
        #expect(try chain.transform(&gradients).isApplied)
        for value in gradients["layer0.weight"] { #expect(abs(value - 0.1) < 1e-6) }
    }

    @Test(arguments: norms) func `the norm of centralized rows is the defined one, however large the mean`(
        _ norm: Norm
    ) throws {
        var generator = SeededGenerator(seed: 5)
        for (rows, columns, mean) in [(7, 33, 0), (40, 9, 3), (5, 5000, 100), (3, 64, 30_000)] {
            let values = (0..<rows * columns).map { _ in Float(mean) + generator.normal() }
            let centered = (0..<rows).flatMap { row -> [Float] in
                let values = values[row * columns..<(row + 1) * columns]
                let mean = values.reduce(0.0) { $0 + Double($1) } / Double(columns)
                return values.map { Float(Double($0) - mean) }
            }
            let expected = definition(centered, norm)
            let measured = Double(try measure(values, columns: columns, norm, centralized: true))
            #expect(abs(measured - expected) <= 2e-3 * expected, "\(rows) rows of \(columns) around \(mean)")
            if mean < 1000 { #expect(abs(measured - expected) <= 1e-5 * expected) }
        }
    }

    @Test func `a zero gradient has norm zero and stays zero`() throws {
        let layout = try makeLayout([[4, 3], []])
        var gradients = TensorSet(zeros: layout)
        var chain = try Chain(for: layout) {
            Centralize()
            ClipByNorm(1, epsilon: 0)
            ClipByGlobalNorm(1, epsilon: 0)
        }
        #expect(try chain.transform(&gradients).isApplied)
        #expect(gradients.arrays.joined().allSatisfy { $0 == 0 })
    }

    @Test func `centralized rows sum to about zero`() throws {
        let layout = try makeLayout([[9, 4, 5], [9]])
        let original = TensorSet.random(layout, seed: 6)
        var gradients = original
        var chain = try Chain(for: layout) { Centralize() }
        #expect(try chain.transform(&gradients).isApplied)
        let rows = gradients["layer0.weight"]
        for row in 0..<9 { #expect(abs(rows[row * 20..<(row + 1) * 20].reduce(0, +)) < 1e-5) }
        #expect(gradients["layer0.bias"] == original["layer0.bias"])
    }
}
