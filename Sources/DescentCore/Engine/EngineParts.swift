/// The parts of a chain that are configured when a pipeline is built, and may go on from a saved state.
struct EngineParts {
    private let elements: ChainElements
    private(set) var transforms: [any GradientTransform]
    private(set) var window = AccumulationWindow()
    private(set) var exchange: (any GradientExchange)?
    private(set) var optimizer: (any Optimizer)?

    init(_ elements: ChainElements, _ optimizer: (any Optimizer)?) {
        self.elements = elements
        transforms = elements.transforms
        exchange = elements.exchange?.value
        self.optimizer = optimizer
    }

    /// Gives each part what it remembered, and has it configured; tells what was saved of each.
    ///
    /// - Throws: What resuming or configuring throws; states that transforms share with others are what they were then.
    mutating func configure<Tensors>(
        for layout: ParameterLayout, resuming state: PipelineState<Tensors>?, _ policy: ResumptionPolicy
    ) throws(DescentError) -> [PipelineState<Tensors>.Component?] {
        let kinds = elements.stages.map { kind(of: $0) } + (optimizer.map { [kind(of: $0)] } ?? [])
        var resumption = Resumption<Tensors>(ofNothing: kinds.count)
        if let state { resumption = try Resumption(state, for: layout, kinds: kinds, policy) }
        let before = transforms.map { stateBefore($0) }
        do throws(DescentError) {
            try configure(for: layout, &resumption)
        } catch {
            for index in transforms.indices { giveBack(before[index], to: &transforms[index]) }
            throw error
        }
        return resumption.saved
    }

    private mutating func configure<Tensors>(
        for layout: ParameterLayout, _ resumption: inout Resumption<Tensors>
    ) throws(DescentError) {
        for freeze in elements.freezes {
            let name = elements.stages[freeze.position].name
            try freeze.selection.requireMatch(in: layout, of: name)
            try resumption.resumeNothing(name, at: freeze.position)
        }
        if let element = elements.window {
            let name = elements.stages[element.position].name
            try resumption.configure(&window, element.settings, of: name, at: element.position)
        }
        if let position = elements.exchange?.position {
            try resumption.resumeNothing(elements.stages[position].name, at: position)
            try exchange?.configure(for: layout)
        }
        for (index, position) in elements.transformPositions.enumerated() {
            try resumption.configure(&transforms[index], at: position, for: layout)
        }
        guard var configured = optimizer else { return }
        try resumption.configure(&configured, at: elements.stages.count, for: layout)
        optimizer = configured
    }

    private func stateBefore(_ transform: some GradientTransform) -> any Sendable { transform.state }

    private func giveBack<Transform: GradientTransform>(_ state: any Sendable, to transform: inout Transform) {
        if let state = state as? Transform.State { transform.state = state }
    }
}

/// The name of a component's type, by which what was saved of it is found again.
func kind(of component: Any) -> String { String(describing: type(of: component)) }
