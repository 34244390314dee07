import Descent
import DescentTestKit
import Testing

@testable import ClipSpikesStage

@Suite struct ClipSpikesTests {
    @Test func `the engine can rely on it`() { verify(ClipSpikes(limit: 2)) }

    @Test func `an element is limited to a multiple of the mean of its magnitude`() throws {
        let layout = try ParameterLayout([ParameterDescription("weight", shape: [2])])
        var chain = try Chain(for: layout) { ClipSpikes(limit: 4, decay: 0.5) }
        for (given, expected) in [([1, -1], [1, -1]), ([9, -3], [4, -3])] as [([Float], [Float])] {
            var gradients = try TensorSet(["weight": given], layout: layout)
            #expect(try chain.transform(&gradients).isApplied)
            #expect(gradients["weight"] == expected)
        }
    }

    @Test func `it stands behind what undoes the loss scale`() throws {
        let layout = try ParameterLayout([ParameterDescription("weight", shape: [2])])
        #expect(throws: DescentError.self) {
            try Chain(for: layout) {
                ClipSpikes()
                Unscale(.dynamic())
            }
        }
    }
}
