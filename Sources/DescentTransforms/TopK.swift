public import DescentCore

/// Passes the largest elements of each tensor on, and adds those that it holds back to the next gradient.
///
///     e = e + g;  g = e among the k largest of its tensor ? e : 0;  e = e - g        (k = max(1, round(share * count)))
///
/// The largest are those of the largest magnitude, NaN before all others; of equal ones those that come first, row by row. What
/// is held back, e, is the stage's slot, 4 bytes an element: no part of a gradient is lost. Behind `Accumulate`, because it is
/// handed whole tensors; it needs the memory of one tensor a thread.
///
/// Stich, Cordonnier and Jaggi, "Sparsified SGD with memory" (2018); Lin et al., "Deep gradient compression" (2018).
///
/// - Complexity: O(n) in the number of a tensor's elements.
public struct TopK: GradientTransform {
    /// Which share of a tensor's elements is passed on.
    public let share: Schedule
    /// How many elements of each tensor are passed on in this step.
    private var counts: [Int] = []

    /// Passes a share of each tensor's elements on.
    ///
    /// - Parameter share: Which share, in 0...1, or a schedule of such; of a tensor that has elements it is at least one, and
    ///   1 passes all. A schedule that leaves this range skips the step.
    public init(share: Schedule) { self.share = share }

    /// Passes a share of each tensor's elements on, given as a variable of any number type.
    @_disfavoredOverload public init(share: some ScheduleConvertible) { self.init(share: share.schedule) }

    public var name: String { "TopK(share: \(share))" }
    public var order: StageOrder { .trueGradients }
    public var reach: StageReach { .tensors(inTurn: false) }
    public var slots: [Slot] { ["residual"] }
    public var canFail: Bool { false }

    public func scratchCount(for parameter: ParameterDescription) -> Int { LargestMagnitudes.scratchCount }

    public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
        try share.validate("share", of: name, in: .share)
        counts = layout.map { _ in 0 }
    }

    public mutating func prepare(_ step: inout StepPreparation) {
        guard step.value(of: share, "share", in: .share) != nil else { return }
        let share = share.unroundedValue(at: step.appliedSteps)
        for (parameter, description) in step.layout.enumerated() {
            let wanted = (share * Double(description.count)).rounded()
            counts[parameter] = min(description.count, max(1, Int(wanted)))
        }
    }

    public func transform(_ block: inout some GradientBlock) {
        let count = counts[block.parameterIndex]
        block.withUnsafeElements { memory in
            let (gradient, residual) = (memory.gradient, memory.slots[0])
            for index in gradient.indices { gradient[index] += residual[index] }
            let largest = LargestMagnitudes(count, of: gradient, scratch: memory.scratch)
            var equals = largest.equalCount
            for index in gradient.indices {
                let magnitude = gradient[index].magnitude.bitPattern
                let isEqual = magnitude == largest.smallest
                let isSent = magnitude > largest.smallest || (isEqual && equals > 0)
                if isEqual { equals -= 1 }
                residual[index] = isSent ? 0 : gradient[index]
                if !isSent { gradient[index] = 0 }
            }
        }
    }
}

extension TopK: DescribedStage {
    private enum CodingKeys: CodingKey { case share }
}

/// Where the k largest of some magnitudes end: found by counting digits, from the highest to the lowest.
///
/// Magnitudes are compared by their bits, which order them, with NaN above infinity.
struct LargestMagnitudes {
    /// The bits of the smallest that is among them.
    private(set) var smallest: UInt32 = 0
    /// How many of those that equal the smallest are among them.
    private(set) var equalCount: Int

    /// The bits of a magnitude in digits: 11, 10 and 10.
    private static let digits: [(shift: UInt32, width: UInt32)] = [(20, 11), (10, 10), (0, 10)]

    /// How many floats of scratch it takes: a count for each digit, and what aligns them.
    static let scratchCount = (1 << 11) * MemoryLayout<Int>.stride / MemoryLayout<Float>.stride + 1

    /// Finds them.
    ///
    /// - Parameters:
    ///   - count: How many, of at least 1 and at most as many as there are.
    ///   - elements: The elements whose magnitudes are compared.
    ///   - scratch: ``scratchCount`` floats of any contents.
    /// - Complexity: O(n) in the number of elements.
    init(_ count: Int, of elements: UnsafeMutableBufferPointer<Float>, scratch: UnsafeMutableBufferPointer<Float>) {
        equalCount = count
        guard let memory = UnsafeMutableRawPointer(scratch.baseAddress)?.alignedUp(for: Int.self) else { return }
        for (shift, width) in Self.digits {
            let counts = UnsafeMutableBufferPointer(
                start: memory.bindMemory(to: Int.self, capacity: 1 << width), count: 1 << width)
            counts.initialize(repeating: 0)
            let (above, mask) = (shift + width, UInt32(1) << width - 1)
            for element in elements {
                let bits = element.magnitude.bitPattern
                if bits >> above == smallest >> above { counts[Int(bits >> shift & mask)] += 1 }
            }
            var digit = 1 << Int(width) - 1
            while digit > 0, counts[digit] < equalCount {
                equalCount -= counts[digit]
                digit -= 1
            }
            smallest |= UInt32(digit) << shift
        }
    }
}
