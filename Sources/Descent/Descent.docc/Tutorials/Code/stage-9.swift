import ClipSpikesStage
import Descent

let text = """
    {"stages": [{"stage": "ClipSpikes", "limit": 4, "decay": 0.5}], "optimizer": {"optimizer": "SGD", "learningRate": 1}}
    """
let catalog = Catalog.standard.adding(ClipSpikes.self)
var parameters = try TensorSet([ParameterDescription("weight", shape: [2])])
var optimizer = try Pipeline(for: parameters, PipelineDescription(parsing: text, catalog))
for gradient in [[1, 1], [1, 100], [1, 1]] as [[Float]] {
    let gradients = try TensorSet(["weight": gradient], layout: parameters.layout)
    _ = try optimizer.step(&parameters, gradients: gradients)
    print(parameters["weight"])
}
print(try optimizer.pipelineDescription.text(catalog))
