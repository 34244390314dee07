import CDescentKernels
import DescentCore

/// The arithmetic of blocks, at one level of the processor.
///
/// Kernels are written once, in C, and compiled for each level; all of them give the same bits.
struct Kernels: Sendable {
    /// A constant of the C target, which nobody changes; that makes it safe to share.
    nonisolated(unsafe) let table: UnsafePointer<descent_kernels>

    /// The kernels for an instruction set.
    ///
    /// - Precondition: The processor has it.
    init(_ instructionSet: InstructionSet) {
        guard let table = instructionSet.table else { stopForMisuse("This processor does not have \(instructionSet).") }
        self.table = table
    }

    // MARK: Reductions

    func sumOfSquares(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double {
        table.pointee.sum_of_squares(source, descent_float32, count, mean)
    }

    /// The sum of squares of elements of any type.
    func sumOfSquares(_ source: UnsafeRawPointer, _ elementType: ElementType, count: Int) -> Double {
        table.pointee.sum_of_squares(source, descent_element_type(elementType), count, 0)
    }

    /// The sum of squares of elements of any type without their row's mean; nil where one pass cannot
    /// measure them.
    func centeredSquares(
        _ source: UnsafeRawPointer, _ elementType: ElementType, rows: Int, columns: Int,
        means: UnsafeMutablePointer<Float>
    ) -> Double? {
        var total = 0.0
        let done = table.pointee.centered_squares(
            source, descent_element_type(elementType), 0, rows, columns, means, &total)
        return done == rows ? total : nil
    }

    func sumOfMagnitudes(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double {
        table.pointee.sum_of_magnitudes(source, count, mean)
    }

    func largestMagnitude(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Float {
        table.pointee.largest_magnitude(source, count, mean)
    }

    func centeredSquares(
        _ source: UnsafePointer<Float>, from first: Int, rows: Int, columns: Int, means: UnsafeMutablePointer<Float>,
        total: inout Double
    ) -> Int {
        table.pointee.centered_squares(source, descent_float32, first, rows, columns, means, &total)
    }

    func fillRowMeans(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, into means: UnsafeMutablePointer<Float>
    ) -> Bool {
        table.pointee.row_means(source, rows, columns, means)
    }

    // MARK: Elements

    func materialize(_ gradient: PendingGradient, into destination: UnsafeMutablePointer<Float>) {
        let isAsStored = gradient.factor == 1 && gradient.means == nil && gradient.limits == nil
        if isAsStored, gradient.elementType != .float32 {
            let words = gradient.source.assumingMemoryBound(to: UInt16.self)
            return widen(words, gradient.elementType, into: destination, count: gradient.rows * gradient.columns)
        }
        if isAsStored {
            let source = gradient.floats
            if destination != UnsafeMutablePointer(mutating: source) {
                destination.update(from: source, count: gradient.rows * gradient.columns)
            }
            return
        }
        withUnsafePointer(to: descent_pending(gradient)) { table.pointee.materialize($0, destination) }
    }

    /// Says whether all that it wrote is finite.
    @discardableResult
    func accumulate(
        _ gradient: PendingGradient, onto sum: UnsafePointer<Float>?, into destination: UnsafeMutablePointer<Float>,
        factor: Float
    ) -> Bool {
        return withUnsafePointer(to: descent_pending(gradient)) {
            table.pointee.accumulate($0, sum, destination, factor)
        }
    }

    func isFinite(_ elements: UnsafePointer<Float>, count: Int) -> Bool {
        table.pointee.is_finite(elements, count)
    }

    // MARK: Order in memory

    /// Makes the columns of a matrix rows: `destination[row * stride + column] = source[column * sourceStride + row]`.
    ///
    /// Meanwhile it has memory fetch the rows that lie so many ahead; none if that is 0.
    func transpose(
        _ source: UnsafePointer<Float>, stride sourceStride: Int, into destination: UnsafeMutablePointer<Float>,
        stride: Int, rows: Int, columns: Int, ahead: Int = 0
    ) {
        table.pointee.transpose(source, sourceStride, destination, stride, rows, columns, ahead)
    }

    // MARK: Sixteen bits

    func widen(
        _ source: UnsafePointer<UInt16>, _ elementType: ElementType, into destination: UnsafeMutablePointer<Float>,
        count: Int
    ) {
        let kernel = elementType == .bfloat16 ? table.pointee.widen_bfloat16 : table.pointee.widen_float16
        kernel(source, destination, count)
    }

    func narrow(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, into destination: UnsafeMutablePointer<UInt16>,
        count: Int
    ) {
        let kernel = elementType == .bfloat16 ? table.pointee.narrow_bfloat16 : table.pointee.narrow_float16
        kernel(source, destination, count)
    }

    func narrowAtRandom(
        _ source: UnsafePointer<Float>, into destination: UnsafeMutablePointer<UInt16>, count: Int, seed: UInt32,
        first: Int
    ) {
        table.pointee.narrow_bfloat16_at_random(source, destination, count, seed, UInt32(truncatingIfNeeded: first))
    }

    func narrowAtRandom(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, into destination: UnsafeMutablePointer<UInt16>,
        count: Int, seed: UInt32, first: Int
    ) {
        guard elementType == .float16 else {
            return narrowAtRandom(source, into: destination, count: count, seed: seed, first: first)
        }
        table.pointee.narrow_float16_at_random(source, destination, count, seed, UInt32(truncatingIfNeeded: first))
    }

    /// Replaces masters that do not round to what is stored by that.
    ///
    /// - Parameters:
    ///   - masters: The masters.
    ///   - stored: The values as they are stored.
    ///   - elementType: How they are stored.
    ///   - count: How many there are.
    func takeMasters(
        _ masters: UnsafeMutablePointer<Float>, of stored: UnsafePointer<UInt16>, _ elementType: ElementType,
        count: Int
    ) {
        if elementType == .bfloat16 {
            table.pointee.take_masters_bfloat16(masters, stored, count)
        }
        let length = 1_024
        withUnsafeTemporaryAllocation(of: Float.self, capacity: length) { values in
            withUnsafeTemporaryAllocation(of: UInt16.self, capacity: length) { rounded in
                guard let values = values.baseAddress, let rounded = rounded.baseAddress else { return }
                for start in stride(from: 0, to: count, by: length) {
                    let (masters, stored, count) = (masters + start, stored + start, min(length, count - start))
                    narrow(masters, elementType, into: rounded, count: count)
                    widen(stored, elementType, into: values, count: count)
                    for index in 0..<count {
                        masters[index] = rounded[index] == stored[index] ? masters[index] : values[index]
                    }
                }
            }
        }
    }
}

extension descent_pending {
    init(_ gradient: PendingGradient) {
        self.init(
            source: gradient.source, type: descent_element_type(gradient.elementType), rows: gradient.rows,
            columns: gradient.columns, factor: gradient.factor, means: gradient.means,
            limits: descent_limits(gradient.limits))
    }
}

extension descent_adam {
    init(_ step: AdamRule.Coefficients) {
        self.init(
            beta1: step.beta1, one_minus_beta1: step.oneMinusBeta1, beta2: step.beta2,
            one_minus_beta2: step.oneMinusBeta2, epsilon: step.epsilon, second_correction: step.secondCorrection,
            rate: step.rate, coupled_decay: step.coupledDecay, decoupled_factor: step.decoupledFactor,
            first_correction: step.firstCorrection, decoupled_decay: step.decoupledDecay)
    }
}

extension descent_element_type {
    init(_ elementType: ElementType) {
        switch elementType {
        case .float32: self = descent_float32
        case .float16: self = descent_float16
        case .bfloat16: self = descent_bfloat16
        case .int8, .uint8: stopForMisuse("Codes of 8 bits are no gradients.")
        }
    }
}
