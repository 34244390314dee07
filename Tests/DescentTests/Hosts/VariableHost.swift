// A framework of variables that carry their gradients, in bfloat16. It knows nothing of Descent.

/// Memory of numbers in bfloat16 or float32, which variables refer to.
final class VariableStorage {
    let isFloat32: Bool
    let words: UnsafeMutableBufferPointer<UInt16>
    let floats: UnsafeMutableBufferPointer<Float>

    init(_ values: [Float], isFloat32: Bool) {
        self.isFloat32 = isFloat32
        words = .allocate(capacity: isFloat32 ? 0 : values.count)
        floats = .allocate(capacity: isFloat32 ? values.count : 0)
        words.initialize(repeating: 0)
        floats.initialize(repeating: 0)
        set(values)
    }

    deinit {
        words.deallocate()
        floats.deallocate()
    }

    var values: [Float] { isFloat32 ? Array(floats) : words.map { Float(bitPattern: UInt32($0) << 16) } }

    /// Stores numbers, rounded to nearest, those in the middle to even.
    func set(_ values: [Float]) {
        for (index, value) in values.enumerated() {
            if isFloat32 {
                floats[index] = value
            } else if value.isNaN {
                words[index] = 0x7fc0
            } else {
                let bits = value.bitPattern
                words[index] = UInt16(truncatingIfNeeded: (bits + 0x7fff + (bits >> 16 & 1)) >> 16)
            }
        }
    }

    func copy() -> VariableStorage { VariableStorage(values, isFloat32: isFloat32) }
}

/// A parameter, and its gradient if the batch has reached it.
final class Variable {
    let name: String
    let shape: [Int]
    var storage: VariableStorage
    var gradient: VariableStorage?

    init(_ name: String, _ shape: [Int], _ storage: VariableStorage) {
        (self.name, self.shape, self.storage) = (name, shape, storage)
    }
}

/// A model whose head is its embedding under another name, with an expert that not every batch reaches.
final class VariableModel {
    let variables: [Variable]

    init() {
        func storage(_ name: String, _ count: Int, isFloat32: Bool = false) -> VariableStorage {
            VariableStorage(PlainProblem.start(of: name, count: count), isFloat32: isFloat32)
        }
        let embedding = storage("embedding", 15)
        variables = [
            Variable("embedding.weight", [5, 3], embedding), Variable("head.weight", [5, 3], embedding),
            Variable("expert.weight", [3, 3], storage("expert", 9)),
            Variable("norm.weight", [3], storage("norm", 3, isFloat32: true)),
        ]
    }

    /// Puts gradients beside the variables: those of the head in float32, as its loss leaves them.
    func backward(_ batch: Int, spoiling spoiled: String? = nil) {
        for variable in variables {
            variable.gradient = nil
            if variable.name == "expert.weight" && batch % 4 == 1 { continue }
            let gradient = PlainProblem.gradient(
                of: variable.name, at: variable.storage.values, batch: batch, isSpoiled: variable.name == spoiled)
            variable.gradient = VariableStorage(
                gradient, isFloat32: variable.storage.isFloat32 || variable.name == "head.weight")
        }
    }

    /// New memory for all variables; what shares memory shares it there, too.
    func newStorages() -> [VariableStorage] {
        var copies: [ObjectIdentifier: VariableStorage] = [:]
        return variables.map { variable in
            let copy = copies[ObjectIdentifier(variable.storage)] ?? variable.storage.copy()
            copies[ObjectIdentifier(variable.storage)] = copy
            return copy
        }
    }

    /// Has the variables refer to other memory.
    func publish(_ storages: [VariableStorage]) {
        for (variable, storage) in zip(variables, storages) { variable.storage = storage }
    }
}

/// The framework's own training: master copies in float32, the gradient clipped by its norm, and Adam.
struct VariableAdam {
    let rate: Float
    /// A parameter's master, moments and number of updates.
    private struct State {
        var master: [Float]
        var first: [Float]
        var second: [Float]
        var updates = 0
    }
    private var states: [ObjectIdentifier: State] = [:]

    init(rate: Float) { self.rate = rate }

    /// The masters, by the memory that they are the masters of.
    var masters: [ObjectIdentifier: [Float]] { states.mapValues(\.master) }

    mutating func step(_ model: VariableModel, maximumNorm: Float) {
        var sums: [(storage: VariableStorage, gradient: [Float])] = []
        for variable in model.variables {
            guard let gradient = variable.gradient?.values else { continue }
            if let tied = sums.firstIndex(where: { $0.storage === variable.storage }) {
                for index in gradient.indices { sums[tied].gradient[index] += gradient[index] }
            } else {
                sums.append((variable.storage, gradient))
            }
        }
        let norm = sums.flatMap(\.gradient).reduce(0) { $0 + $1 * $1 }.squareRoot()
        let factor = min(1, maximumNorm / (norm + 1e-6))
        for (storage, gradient) in sums { update(storage, gradient.map { factor * $0 }) }
    }

    private mutating func update(_ storage: VariableStorage, _ gradient: [Float]) {
        let zeros = gradient.map { _ in Float(0) }
        var state = states[ObjectIdentifier(storage)] ?? State(master: storage.values, first: zeros, second: zeros)
        state.updates += 1
        // As PyTorch has them: in double precision.
        var powers: (Double, Double) = (1, 1)
        for _ in 0..<state.updates { powers = (powers.0 * 0.9, powers.1 * 0.999) }
        let (length, root) = (Float(Double(rate) / (1 - powers.0)), Float((1 - powers.1).squareRoot()))
        for index in gradient.indices {
            state.first[index] = 0.9 * state.first[index] + 0.1 * gradient[index]
            state.second[index] = 0.999 * state.second[index] + 0.001 * gradient[index] * gradient[index]
            state.master[index] -= length * state.first[index] / (state.second[index].squareRoot() / root + 1e-8)
        }
        storage.set(state.master)
        states[ObjectIdentifier(storage)] = state
    }
}
