import Descent
import DescentSIMD

/// What the tests of moments in codes of 8 bits train.
enum CodedTraining {
    /// Matrices of short and of long rows that have whole groups and a rest, one with units last, one that is too small, and
    /// a vector.
    static func parameters() throws -> TensorSet {
        var parameters = try TensorSet([
            ParameterDescription("matrix", shape: [70, 77]),
            ParameterDescription("wide", shape: [9, 1_300]),
            ParameterDescription("last", shape: [40, 130], outputAxis: .last),
            ParameterDescription("small", shape: [10, 77]),
            ParameterDescription("bias", shape: [5_000]),
        ])
        for (tensor, parameter) in parameters.layout.enumerated() {
            parameters[parameter.name] = (0..<parameter.count).map { noise($0, tensor) }
        }
        return parameters
    }

    /// Numbers that look random, between -1 and 1.
    static func noise(_ index: Int, _ salt: Int) -> Float {
        var bits = UInt32(truncatingIfNeeded: index &* 0x9e37_79b9 &+ salt &* 0x85eb_ca6b &+ 1)
        bits = (bits ^ bits >> 16) &* 0x21f0_aaad
        bits = (bits ^ bits >> 15) &* 0x735a_2d97
        return Float(Int32(bitPattern: bits ^ bits >> 15)) * 0x1p-31
    }

    static func gradients(of parameters: TensorSet, _ step: Int) -> TensorSet {
        var gradients = TensorSet(zeros: parameters.layout)
        for (tensor, parameter) in parameters.layout.enumerated() {
            let values = parameters[parameter.name]
            gradients[parameter.name] = values.indices.map { values[$0] + noise($0, 16 * step + tensor) }
        }
        return gradients
    }

    @DrivingBuilder static func optimizers(_ name: String, _ moments: ElementType) -> [OptimizerBranch] {
        switch name {
        case "AdamW": AdamW(learningRate: 0.01, moments: moments)
        case "AMSGrad": Adam(learningRate: 0.01, amsgrad: true, moments: moments)
        case "AdamW and clipping": AdamW(learningRate: 0.01, moments: moments).then { ClipByValue(2) }
        case "Lion": Lion(learningRate: 0.002, moments: moments)
        default: SGD(learningRate: 0.05, momentum: 0.9, moments: moments)
        }
    }

    static func pipeline(
        _ name: String, _ moments: ElementType, _ parameters: TensorSet, on backend: SIMDBackend = SIMDBackend(),
        _ configuration: PipelineConfiguration = .init()
    ) throws -> Pipeline {
        try Pipeline(
            for: parameters, configuration: configuration, on: backend, driving: { return optimizers(name, moments) })
    }

    static let names = ["AdamW", "AMSGrad", "AdamW and clipping", "Lion", "SGD"]

    static func train(
        _ pipeline: inout Pipeline, _ parameters: inout TensorSet, steps: Range<Int>
    ) throws {
        for step in steps { _ = try pipeline.step(&parameters, gradients: gradients(of: parameters, step)) }
    }
}
