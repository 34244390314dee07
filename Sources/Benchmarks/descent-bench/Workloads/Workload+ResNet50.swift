extension Workload {
    /// A stem, sixteen bottlenecks in four stages and a classifier: 161 tensors, 25,557,032 elements.
    static var resnet50Tensors: [Tensor] {
        var tensors = convolution("conv1", 64, 3, size: 7) + normalization("bn1", 64)
        var inputs = 64
        for (stage, (blocks, width)) in [(3, 64), (4, 128), (6, 256), (3, 512)].enumerated() {
            for block in 0..<blocks {
                tensors += bottleneck("layer\(stage + 1).\(block)", inputs: inputs, width: width)
                inputs = 4 * width
            }
        }
        return tensors + linear("fc", 1_000, inputs)
    }

    /// Three convolutions, and a fourth beside them where the number of channels changes.
    private static func bottleneck(_ name: String, inputs: Int, width: Int) -> [Tensor] {
        let outputs = 4 * width
        let main =
            convolution("\(name).conv1", width, inputs, size: 1) + normalization("\(name).bn1", width)
            + convolution("\(name).conv2", width, width, size: 3) + normalization("\(name).bn2", width)
            + convolution("\(name).conv3", outputs, width, size: 1) + normalization("\(name).bn3", outputs)
        guard inputs != outputs else { return main }
        return main + convolution("\(name).downsample.0", outputs, inputs, size: 1)
            + normalization("\(name).downsample.1", outputs)
    }

    /// The weight of a convolution, which has no bias where a normalization follows.
    private static func convolution(_ name: String, _ outputs: Int, _ inputs: Int, size: Int) -> [Tensor] {
        [("\(name).weight", [outputs, inputs, size, size])]
    }
}
