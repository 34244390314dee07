import Descent
import DescentSIMD
import Foundation
import TestSupport
import Testing

/// Moments in codes of 8 bits: kept, resumed, and as good as float32 for training.
@Suite struct CodedMomentTests {
    @Test(arguments: CodedTraining.names)
    func `moments in codes give the same bits with any number of threads, at every level`(
        _ name: String
    ) throws {
        var results: [TensorSet] = []
        for level in InstructionSet.allCases where level.isAvailable {
            for threads in [1, 2, 4] {
                let backend = SIMDBackend(threads: threads, elementsPerThread: 1, instructionSet: level)
                var parameters = try CodedTraining.parameters()
                var pipeline = try CodedTraining.pipeline(name, .int8, parameters, on: backend)
                try CodedTraining.train(&pipeline, &parameters, steps: 0..<5)
                results.append(parameters)
            }
        }
        for result in results.dropFirst() { #expect(result == results[0]) }
    }

    @Test(arguments: CodedTraining.names) func `training with moments in codes ends near that with float32`(
        _ name: String
    ) throws {
        var losses: [Double] = []
        for type in [ElementType.float32, .int8] {
            var parameters = try CodedTraining.parameters()
            var pipeline = try CodedTraining.pipeline(name, type, parameters)
            try CodedTraining.train(&pipeline, &parameters, steps: 0..<150)
            losses.append(
                parameters.layout.reduce(0) { sum, parameter in
                    parameters[parameter.name].reduce(sum) { $0 + Double($1 * $1) }
                })
        }
        #expect(losses[1].isFinite)
        #expect(abs(losses[1] / losses[0] - 1) < 0.1, "\(losses)")
    }

    @Test(arguments: CodedTraining.names)
    func `a pipeline with moments in codes is saved and resumed with the same bits`(
        _ name: String
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("descent-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("run.safetensors").path
        var parameters = try CodedTraining.parameters()
        var pipeline = try CodedTraining.pipeline(name, .int8, parameters)
        try CodedTraining.train(&pipeline, &parameters, steps: 0..<3)
        try pipeline.checkpoint(to: path)
        var resumed = try Pipeline(
            resuming: path, for: parameters, driving: { return CodedTraining.optimizers(name, .int8) })
        var others = parameters
        try CodedTraining.train(&pipeline, &parameters, steps: 3..<6)
        try CodedTraining.train(&resumed, &others, steps: 3..<6)
        #expect(parameters == others)
    }

    @Test func `large matrices are kept in codes with scales, and everything else in float32`() throws {
        let parameters = try CodedTraining.parameters()
        let pipeline = try CodedTraining.pipeline("AdamW", .int8, parameters)
        func counts(_ name: String) throws -> [Int] {
            try #require(pipeline.slot(named: "AdamW.\(name)")).layout.map(\.count)
        }
        let codes = try #require(pipeline.slot(named: "AdamW.first moment"))
        #expect(codes.elementType == .int8)
        #expect(try counts("first moment") == [70 * 77, 9 * 1_300, 40 * 130, 0, 0])
        #expect(try counts("second moment") == [70 * 77, 9 * 1_300, 40 * 130, 0, 0])
        #expect(try counts("first moment scales") == [70 * 3, 9 * 2 * 16, 40 * 9, 0, 0])
        #expect(try counts("second moment uncoded") == [0, 0, 0, 770, 5_000])
        #expect(pipeline.slot(named: "AdamW.second moment")?.elementType == .uint8)
    }

    @Test func `codes are refused for gradients and parameters, and uint8 for moments`() throws {
        var parameters = try CodedTraining.parameters()
        let codes = TensorSet(zeros: parameters.layout, .int8)
        var pipeline = try CodedTraining.pipeline("AdamW", .int8, parameters)
        #expect(throws: DescentError.self) { _ = try pipeline.step(&parameters, gradients: codes) }
        #expect(throws: DescentError.self) { _ = try CodedTraining.pipeline("AdamW", .uint8, parameters) }
    }
}
