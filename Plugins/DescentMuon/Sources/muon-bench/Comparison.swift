import DescentMuon
import Foundation

/// Steps and bare products, in turns.
struct Comparison {
    private let arguments: Arguments
    private let elementCount: Int
    private var steps: [Double] = []
    private var products: [Double] = []

    /// Measures, after a step of each to warm up.
    init(of subject: inout Subject, _ arguments: Arguments) throws {
        self.arguments = arguments
        elementCount = subject.elementCount
        let bare = Products(arguments, iterations: Subject.newtonSchulz.iterations)
        _ = try subject.step()
        bare.run()
        for round in 0..<arguments.rounds {
            // Whoever comes second finds other things in the cache: change places every round.
            if round.isMultiple(of: 2) { steps.append(try subject.step()) }
            products.append(ContinuousClock().measure(bare.run) / .nanoseconds(1) / Double(elementCount))
            if !round.isMultiple(of: 2) { steps.append(try subject.step()) }
        }
    }

    /// Prints what was measured; gives whether it is within the limit.
    func reported() -> Bool {
        let ratios = zip(steps, products).map { $0 / $1 }
        let (rows, columns) = (arguments.rows, arguments.columns)
        print("\(arguments.matrixCount) matrices of \(rows) x \(columns), \(InstalledBLAS.summary)")
        print("step:             \(format(steps.median)) ns for each element")
        let speed = operationsPerElement / products.median
        print("its products:     \(format(products.median)) ns, \(String(format: "%.0f", speed)) GFLOP/s")
        let (least, most) = (ratios.min() ?? .nan, ratios.max() ?? .nan)
        print("step / products:  \(format(ratios.median)) (\(format(least)) to \(format(most)))")
        let peak = Double(ProcessMemory.peakResidentBytes)
        print("most memory:      \(format(peak / Double(elementCount))) bytes for each element")
        return ratios.median <= arguments.largestRatio
    }

    /// How many operations the products of a step take for each element.
    private var operationsPerElement: Double {
        let (short, long) = (
            Double(min(arguments.rows, arguments.columns)), Double(max(arguments.rows, arguments.columns))
        )
        return Double(Subject.newtonSchulz.iterations) * (3 * short * short * long + short * short * short)
            / (short * long)
    }

    private func format(_ number: Double) -> String { String(format: "%.2f", number) }
}

extension [Double] {
    /// The number in the middle when sorted, or the mean of the two in the middle.
    var median: Double {
        let sorted = sorted()
        return isEmpty ? .nan : (sorted[(count - 1) / 2] + sorted[count / 2]) / 2
    }
}
