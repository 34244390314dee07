import DescentCore

/// A backend that is verified.
struct BackendSubject<Backend: TensorBackend>: Sendable {
    let backend: Backend
    let declarations: Declarations
    /// Makes the backend with a number of threads; nil where it has no such setting.
    let withThreads: (@Sendable (Int) -> Backend)?

    /// A case of some shapes.
    func example(_ shapes: [[Int]], steps: Int = 1, numbers: Numbers = .normal) -> Case {
        Case(shapes, names: [], steps: steps, numbers: numbers)
    }

    /// Shapes of all kinds, some of them with units that are the last dimension.
    func mixtures(steps: Int = 1, numbers: Numbers = .normal) -> [Case] {
        let first = example(
            [[9, 5], [12], [5, 2, 3], [1, 90], [], [0, 3], [33, 2]], steps: steps, numbers: numbers)
        var last = first
        for index in last.tensors.indices { last.tensors[index].outputAxis = .last }
        return [first, last]
    }
}
