// What a training loop changes while it trains.

extension GradientPipeline {
    /// Changes the settings of a stage while training.
    ///
    /// ```swift
    /// try pipeline.change(ClipByGlobalNorm.self) { $0.maximum = 0.5 }
    /// ```
    /// They are checked, and the steps planned anew, as if the pipeline had been built with them. Nothing else changes:
    /// slots, the open window, counts and observers are what they were. A slot that the stage keeps only now begins with
    /// zeros. The next checkpoint holds the changed settings, which win over those in the code when training is resumed,
    /// unless ``PipelineConfiguration/resumedSettings`` says otherwise.
    ///
    /// Where processes train together, each has to make the same change between the same steps.
    ///
    /// - Parameters:
    ///   - type: The type of the stage, in front of an optimizer or behind one.
    ///   - number: Which of the stages of this type, counted from 1; nil if there is one.
    ///   - change: What is changed.
    /// - Throws: What `change` throws; ``DescentError`` with code `invalidSetting` if there is no such stage, or its settings
    ///   are out of range, or it is no ``DescribedStage``, so that the change could not be saved; and `incompleteMicroBatch`
    ///   while gradients arrive one by one. All settings are what they were then.
    public mutating func change<Changed: Stage>(
        _ type: Changed.Type, number: Int? = nil, _ change: (inout Changed) throws -> Void
    ) throws {
        var composition = engine.composition
        let (position, settings) = try composition.change(type, number: number, change)
        try engine.change(to: composition, at: position, settings)
    }

    /// Changes the settings of an optimizer while training, as those of a stage are changed.
    ///
    /// ```swift
    /// try pipeline.change(AdamW.self) { $0.learningRate = 1e-4 }
    /// ```
    public mutating func change<Changed: Optimizer>(
        _ type: Changed.Type, number: Int? = nil, _ change: (inout Changed) throws -> Void
    ) throws {
        var composition = engine.composition
        let (position, settings) = try composition.change(type, number: number, change)
        try engine.change(to: composition, at: position, settings)
    }

    /// Tells schedules a metric that they follow, such as the loss on validation data: `reduceOnPlateau` waits for it.
    ///
    /// What they remember of metrics is in the checkpoint.
    ///
    /// - Parameter metric: The metric.
    /// - Throws: ``DescentError`` with code `invalidSetting` for NaN, which is neither better nor worse than others, and if no
    ///   learning rate and no weight decay follows a metric.
    public mutating func note(metric: Double) throws(DescentError) { try engine.note(metric: metric) }
}

extension GradientChain {
    /// Changes the settings of a stage between steps, as a pipeline does.
    public mutating func change<Changed: Stage>(
        _ type: Changed.Type, number: Int? = nil, _ change: (inout Changed) throws -> Void
    ) throws {
        var composition = engine.composition
        let (position, settings) = try composition.change(type, number: number, change)
        try engine.change(to: composition, at: position, settings)
    }
}
