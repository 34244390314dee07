import Descent
import DescentSIMD
import Foundation
import TestSupport
import Testing

/// Moments in codes of 8 bits: kept, resumed, and as good as float32 for training.
@Suite struct CodedMomentTests {
    /// A matrix whose rows have whole groups and a rest, one with units last, one that is too small, and a vector.
    private static func parameters() throws -> TensorSet {
        var parameters = try TensorSet([
            ParameterDescription("matrix", shape: [70, 77]),
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
    private static func noise(_ index: Int, _ salt: Int) -> Float {
        var bits = UInt32(truncatingIfNeeded: index &* 0x9e37_79b9 &+ salt &* 0x85eb_ca6b &+ 1)
        bits = (bits ^ bits >> 16) &* 0x21f0_aaad
        bits = (bits ^ bits >> 15) &* 0x735a_2d97
        return Float(Int32(bitPattern: bits ^ bits >> 15)) * 0x1p-31
    }

    private static func gradients(of parameters: TensorSet, _ step: Int) -> TensorSet {
        var gradients = TensorSet(zeros: parameters.layout)
        for (tensor, parameter) in parameters.layout.enumerated() {
            let values = parameters[parameter.name]
            gradients[parameter.name] = values.indices.map { values[$0] + noise($0, 16 * step + tensor) }
        }
        return gradients
    }

    @DrivingBuilder private static func optimizers(_ name: String, _ moments: ElementType) -> [OptimizerBranch] {
        switch name {
        case "AdamW": AdamW(learningRate: 0.01, moments: moments)
        case "AMSGrad": Adam(learningRate: 0.01, amsgrad: true, moments: moments)
        case "AdamW and clipping": AdamW(learningRate: 0.01, moments: moments).then { ClipByValue(2) }
        case "Lion": Lion(learningRate: 0.002, moments: moments)
        default: SGD(learningRate: 0.05, momentum: 0.9, moments: moments)
        }
    }

    private static func pipeline(
        _ name: String, _ moments: ElementType, _ parameters: TensorSet, on backend: SIMDBackend = SIMDBackend()
    ) throws -> Pipeline {
        try Pipeline(for: parameters, on: backend, driving: { return optimizers(name, moments) })
    }

    private static let names = ["AdamW", "AMSGrad", "AdamW and clipping", "Lion", "SGD"]

    private static func train(
        _ pipeline: inout Pipeline, _ parameters: inout TensorSet, steps: Range<Int>
    ) throws {
        for step in steps { _ = try pipeline.step(&parameters, gradients: gradients(of: parameters, step)) }
    }

    @Test(arguments: names) func `moments in codes give the same bits with any number of threads, at every level`(
        _ name: String
    ) throws {
        var results: [TensorSet] = []
        for level in InstructionSet.allCases where level.isAvailable {
            for threads in [1, 2, 4] {
                let backend = SIMDBackend(threads: threads, elementsPerThread: 1, instructionSet: level)
                var parameters = try Self.parameters()
                var pipeline = try Self.pipeline(name, .int8, parameters, on: backend)
                try Self.train(&pipeline, &parameters, steps: 0..<5)
                results.append(parameters)
            }
        }
        for result in results.dropFirst() { #expect(result == results[0]) }
    }

    @Test(arguments: names) func `training with moments in codes ends near that with float32`(_ name: String) throws {
        var losses: [Double] = []
        for type in [ElementType.float32, .int8] {
            var parameters = try Self.parameters()
            var pipeline = try Self.pipeline(name, type, parameters)
            try Self.train(&pipeline, &parameters, steps: 0..<150)
            losses.append(
                parameters.layout.reduce(0) { sum, parameter in
                    parameters[parameter.name].reduce(sum) { $0 + Double($1 * $1) }
                })
        }
        #expect(losses[1].isFinite)
        #expect(abs(losses[1] / losses[0] - 1) < 0.1, "\(losses)")
    }

    @Test(arguments: names) func `a pipeline with moments in codes is saved and resumed with the same bits`(
        _ name: String
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("run.safetensors").path
        var parameters = try Self.parameters()
        var pipeline = try Self.pipeline(name, .int8, parameters)
        try Self.train(&pipeline, &parameters, steps: 0..<3)
        try pipeline.checkpoint(to: path)
        var resumed = try Pipeline(
            resuming: path, for: parameters, driving: { return Self.optimizers(name, .int8) })
        var others = parameters
        try Self.train(&pipeline, &parameters, steps: 3..<6)
        try Self.train(&resumed, &others, steps: 3..<6)
        #expect(parameters == others)
    }

    @Test func `large matrices are kept in codes with scales, and everything else in float32`() throws {
        let parameters = try Self.parameters()
        let pipeline = try Self.pipeline("AdamW", .int8, parameters)
        func counts(_ name: String) throws -> [Int] {
            try #require(pipeline.slot(named: "AdamW.\(name)")).layout.map(\.count)
        }
        let codes = try #require(pipeline.slot(named: "AdamW.first moment"))
        #expect(codes.elementType == .int8)
        #expect(try counts("first moment") == [70 * 77, 40 * 130, 0, 0])
        #expect(try counts("second moment") == [70 * 77, 40 * 130, 0, 0])
        #expect(try counts("first moment scales") == [70 * 3, 40 * 9, 0, 0])
        #expect(try counts("second moment uncoded") == [0, 0, 770, 5_000])
        #expect(pipeline.slot(named: "AdamW.second moment")?.elementType == .uint8)
    }

    @Test func `codes are refused for gradients and parameters, and uint8 for moments`() throws {
        var parameters = try Self.parameters()
        let codes = TensorSet(zeros: parameters.layout, .int8)
        var pipeline = try Self.pipeline("AdamW", .int8, parameters)
        #expect(throws: DescentError.self) { _ = try pipeline.step(&parameters, gradients: codes) }
        #expect(throws: DescentError.self) { _ = try Self.pipeline("AdamW", .uint8, parameters) }
    }
}
