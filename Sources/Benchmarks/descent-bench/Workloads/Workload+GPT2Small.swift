extension Workload {
    /// Two embeddings, twelve transformer blocks and the last normalization: 148 tensors, 124,439,808 elements.
    ///
    /// Linear layers are (outputs, inputs), as everywhere in Descent; GPT-2's own files hold them transposed.
    static var gpt2SmallTensors: [Tensor] {
        let width = 768
        let embeddings: [Tensor] = [("wte.weight", [50_257, width]), ("wpe.weight", [1_024, width])]
        let blocks = (0..<12).flatMap { block in
            let name = "h.\(block)"
            return normalization("\(name).ln_1", width)
                + linear("\(name).attn.c_attn", 3 * width, width)
                + linear("\(name).attn.c_proj", width, width)
                + normalization("\(name).ln_2", width)
                + linear("\(name).mlp.c_fc", 4 * width, width)
                + linear("\(name).mlp.c_proj", width, 4 * width)
        }
        return embeddings + blocks + normalization("ln_f", width)
    }
}
