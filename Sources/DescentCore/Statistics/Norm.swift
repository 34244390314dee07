/// A vector norm: how the size of a gradient is measured.
public enum Norm: Sendable, Hashable, CustomStringConvertible {
    /// The sum of magnitudes.
    case l1
    /// The root of the sum of squares.
    case l2
    /// The largest magnitude.
    case lInfinity
    /// The p-th root of the sum of p-th powers of magnitudes, for a finite p above 0.
    case lp(Double)

    /// The usual short name: "L2".
    public var description: String {
        switch self {
        case .l1: "L1"
        case .l2: "L2"
        case .lInfinity: "L-infinity"
        case .lp(let p): "L\(p)"
        }
    }

    /// How it is written in Swift.
    var inCode: String {
        switch self {
        case .l1: ".l1"
        case .l2: ".l2"
        case .lInfinity: ".lInfinity"
        case .lp(let p): ".lp(\(p))"
        }
    }

    /// Whether the norm is defined: only an exponent that is not a finite number above 0 is refused.
    public var isValid: Bool {
        if case .lp(let p) = self { return p.isFinite && p > 0 }
        return true
    }

    /// Gathers the norms of parts into the norm of the whole, which holds for every norm here.
    ///
    /// The parts are added in Double and in the order in which they are given, so the bits depend on nothing else.
    /// It cannot overflow for parts of fewer than 2^63 floats. A NaN among the parts gives NaN, an infinity without
    /// a NaN infinity.
    public struct Combiner {
        private let norm: Norm
        private var sum = 0.0
        private var largest = 0.0

        /// Starts with nothing, whose norm is 0.
        public init(_ norm: Norm) { self.norm = norm }

        /// Adds a part by its norm, which is at least 0.
        public mutating func add(_ part: Double) {
            switch norm {
            case .l1: sum += part
            case .l2: sum += part * part
            case .lInfinity: if !(part <= largest), !largest.isNaN { largest = part }
            case .lp(let p):
                // sum is relative to the largest part, so that neither large nor small powers leave Double's range.
                if part.isNaN || largest.isNaN {
                    largest = .nan
                } else if part > largest {
                    let ratio = largest / part
                    sum = (largest == 0 || part == .infinity ? 0 : sum * ReproducibleMath.power(ratio, p)) + 1
                    largest = part
                } else if part > 0, largest < .infinity {
                    sum += ReproducibleMath.power(part / largest, p)
                }
            }
        }

        /// Adds as many parts as there are factors, each of them times the magnitude of its factor.
        mutating func add(_ parts: Span<Double>, times factors: Span<Double>) {
            guard norm == .l2 else {
                for index in factors.indices { add(parts[index] * factors[index].magnitude) }
                return
            }
            var sum = sum
            for index in factors.indices {
                let part = parts[index] * factors[index].magnitude
                sum += part * part
            }
            self.sum = sum
        }

        /// The norm of all parts together.
        public var value: Double {
            switch norm {
            case .l1: sum
            case .l2: sum.squareRoot()
            case .lInfinity: largest
            case .lp(let p): largest == 0 ? 0 : largest * ReproducibleMath.power(sum, 1 / p)
            }
        }
    }
}

/// Written as its name, "l2", and a power under its own: `{"lp": 3}`.
extension Norm: Codable {
    private enum Form: String, CodingKey { case lp }

    public init(from decoder: any Decoder) throws {
        guard let name = try? decoder.singleValueContainer().decode(String.self) else {
            self = .lp(try decoder.container(keyedBy: Form.self).decode(Double.self, forKey: .lp))
            return
        }
        switch name {
        case "l1": self = .l1
        case "l2": self = .l2
        case "lInfinity": self = .lInfinity
        default:
            throw DecodingError.dataCorrupted(
                .init(
                    codingPath: decoder.codingPath,
                    debugDescription:
                        "expected \"l1\", \"l2\", \"lInfinity\" or {\"lp\": p}, found \(name.quotedBriefly)"))
        }
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .l1: try container.encode("l1")
        case .l2: try container.encode("l2")
        case .lInfinity: try container.encode("lInfinity")
        case .lp(let p): try container.encode([Form.lp.rawValue: p])
        }
    }
}
