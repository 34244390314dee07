import CDescentKernels
import DescentCore

@testable import DescentSIMD

/// What kernels compute: at one level of the processor, or as the reference has it.
protocol BlockArithmetic {
    func sumOfSquares(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double
    func sumOfMagnitudes(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double
    func largestMagnitude(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Float
    func centeredSquares(
        _ source: UnsafePointer<Float>, from first: Int, rows: Int, columns: Int, means: UnsafeMutablePointer<Float>,
        total: inout Double
    ) -> Int
    func fillRowMeans(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, into means: UnsafeMutablePointer<Float>
    ) -> Bool
    func materialize(_ gradient: PendingGradient, into destination: UnsafeMutablePointer<Float>)
    @discardableResult func accumulate(
        _ gradient: PendingGradient, onto sum: UnsafePointer<Float>?, into destination: UnsafeMutablePointer<Float>,
        factor: Float
    ) -> Bool
    @discardableResult func sgd(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        velocity: UnsafeMutablePointer<Float>?, _ step: SGDCoefficients
    ) -> Bool
    @discardableResult func adam(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
        largest: UnsafeMutablePointer<Float>?, _ step: AdamRule.Coefficients
    ) -> Bool
    func adamDirection(
        _ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, first: UnsafeMutablePointer<Float>,
        second: UnsafeMutablePointer<Float>, largest: UnsafeMutablePointer<Float>?,
        into destination: UnsafeMutablePointer<Float>, _ step: AdamRule.Coefficients, keepsMoments: Bool
    )
    func transpose(
        _ source: UnsafePointer<Float>, stride sourceStride: Int, into destination: UnsafeMutablePointer<Float>,
        stride: Int, rows: Int, columns: Int, ahead: Int
    )
    func widen(
        _ source: UnsafePointer<UInt16>, _ elementType: ElementType, into destination: UnsafeMutablePointer<Float>,
        count: Int
    )
    func narrow(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, into destination: UnsafeMutablePointer<UInt16>,
        count: Int
    )
    func narrowAtRandom(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, into destination: UnsafeMutablePointer<UInt16>,
        count: Int, seed: UInt32, first: Int
    )
    func takeMasters(
        _ masters: UnsafeMutablePointer<Float>, of stored: UnsafePointer<UInt16>, _ elementType: ElementType,
        count: Int)
}

/// Optimizers with moments of float32.
extension Kernels: BlockArithmetic {
    @discardableResult func sgd(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        velocity: UnsafeMutablePointer<Float>?, _ step: SGDCoefficients
    ) -> Bool {
        sgd(gradient, parameters, descent_moments(velocity, nil, nil), step)
    }

    @discardableResult func adam(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
        largest: UnsafeMutablePointer<Float>?, _ step: AdamRule.Coefficients
    ) -> Bool {
        adam(gradient, parameters, descent_moments(first, second, largest), step)
    }

    func adamDirection(
        _ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, first: UnsafeMutablePointer<Float>,
        second: UnsafeMutablePointer<Float>, largest: UnsafeMutablePointer<Float>?,
        into destination: UnsafeMutablePointer<Float>, _ step: AdamRule.Coefficients, keepsMoments: Bool
    ) {
        adamDirection(
            gradient, parameters, descent_moments(first, second, largest), into: destination, step,
            keepsMoments: keepsMoments)
    }
}

extension descent_moments {
    fileprivate init(
        _ first: UnsafeMutablePointer<Float>?, _ second: UnsafeMutablePointer<Float>?,
        _ third: UnsafeMutablePointer<Float>?
    ) {
        self.init()
        elements = (UnsafeMutableRawPointer(first), UnsafeMutableRawPointer(second), UnsafeMutableRawPointer(third))
    }
}

/// The arithmetic of ``ReferenceKernels``.
struct ReferenceArithmetic: BlockArithmetic {
    func sumOfSquares(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double {
        ReferenceKernels.sumOfSquares(source, count: count, minus: mean)
    }

    func sumOfMagnitudes(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Double {
        ReferenceKernels.sumOfMagnitudes(source, count: count, minus: mean)
    }

    func largestMagnitude(_ source: UnsafePointer<Float>, count: Int, minus mean: Float) -> Float {
        ReferenceKernels.largestMagnitude(source, count: count, minus: mean)
    }

    func centeredSquares(
        _ source: UnsafePointer<Float>, from first: Int, rows: Int, columns: Int, means: UnsafeMutablePointer<Float>,
        total: inout Double
    ) -> Int {
        ReferenceKernels.centeredSquares(
            source, from: first, rows: rows, columns: columns, means: means, total: &total)
    }

    func fillRowMeans(
        _ source: UnsafePointer<Float>, rows: Int, columns: Int, into means: UnsafeMutablePointer<Float>
    ) -> Bool { ReferenceKernels.fillRowMeans(source, rows: rows, columns: columns, into: means) }

    func materialize(_ gradient: PendingGradient, into destination: UnsafeMutablePointer<Float>) {
        ReferenceKernels.materialize(gradient, into: destination)
    }

    func accumulate(
        _ gradient: PendingGradient, onto sum: UnsafePointer<Float>?, into destination: UnsafeMutablePointer<Float>,
        factor: Float
    ) -> Bool {
        ReferenceKernels.accumulate(gradient, onto: sum, into: destination, factor: factor)
        return isFinite(destination, gradient)
    }

    func sgd(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        velocity: UnsafeMutablePointer<Float>?, _ step: SGDCoefficients
    ) -> Bool {
        ReferenceKernels.sgd(gradient, parameters, velocity: velocity, step)
        return isFinite(parameters, gradient)
    }

    func adam(
        _ gradient: PendingGradient, _ parameters: UnsafeMutablePointer<Float>,
        first: UnsafeMutablePointer<Float>, second: UnsafeMutablePointer<Float>,
        largest: UnsafeMutablePointer<Float>?, _ step: AdamRule.Coefficients
    ) -> Bool {
        ReferenceKernels.adam(gradient, parameters, first: first, second: second, largest: largest, step)
        return isFinite(parameters, gradient)
    }

    func adamDirection(
        _ gradient: PendingGradient, _ parameters: UnsafePointer<Float>, first: UnsafeMutablePointer<Float>,
        second: UnsafeMutablePointer<Float>, largest: UnsafeMutablePointer<Float>?,
        into destination: UnsafeMutablePointer<Float>, _ step: AdamRule.Coefficients, keepsMoments: Bool
    ) {
        ReferenceKernels.adamDirection(
            gradient, parameters, first: first, second: second, largest: largest, into: destination, step,
            keepsMoments: keepsMoments)
    }

    func transpose(
        _ source: UnsafePointer<Float>, stride sourceStride: Int, into destination: UnsafeMutablePointer<Float>,
        stride: Int, rows: Int, columns: Int, ahead: Int
    ) {
        ReferenceKernels.transpose(
            source, stride: sourceStride, into: destination, stride: stride, rows: rows, columns: columns)
    }

    func widen(
        _ source: UnsafePointer<UInt16>, _ elementType: ElementType, into destination: UnsafeMutablePointer<Float>,
        count: Int
    ) { ReferenceKernels.widen(source, elementType, into: destination, count: count) }

    func narrow(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, into destination: UnsafeMutablePointer<UInt16>,
        count: Int
    ) { ReferenceKernels.narrow(source, elementType, into: destination, count: count) }

    func narrowAtRandom(
        _ source: UnsafePointer<Float>, _ elementType: ElementType, into destination: UnsafeMutablePointer<UInt16>,
        count: Int, seed: UInt32, first: Int
    ) {
        if elementType == .float16 {
            ReferenceKernels.narrowToFloat16AtRandom(
                source, into: destination, count: count, seed: seed, first: first)
        } else {
            ReferenceKernels.narrowAtRandom(source, into: destination, count: count, seed: seed, first: first)
        }
    }

    func takeMasters(
        _ masters: UnsafeMutablePointer<Float>, of stored: UnsafePointer<UInt16>, _ elementType: ElementType,
        count: Int
    ) {
        for index in 0..<count {
            let (isBrain, word) = (elementType == .bfloat16, stored[index])
            let rounded =
                isBrain ? BFloat16(masters[index]).bitPattern : Binary16(masters[index]).bitPattern
            guard rounded != word else { continue }
            ReferenceKernels.widen(stored + index, elementType, into: masters + index, count: 1)
        }
    }

    private func isFinite(_ elements: UnsafePointer<Float>, _ gradient: PendingGradient) -> Bool {
        (0..<gradient.rows * gradient.columns).allSatisfy { elements[$0].isFinite }
    }
}
