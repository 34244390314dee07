/// Settings of a pipeline that concern it as a whole.
struct PipelineOptions: Sendable {
    /// What happens when a gradient holds NaN or an infinity.
    var nonFinite = NonFinitePolicy.skip
    /// How to store a second copy of the parameters, written in the sweep that updates them; nil keeps none.
    ///
    /// It is what a model's forward pass reads, for half the memory traffic.
    var parameterCopy: ElementType?
    /// What reports hold beyond what falls out of sums that are made anyway.
    var reporting: ReportOptions = []

    /// What of this has to be the same on all processes that train together.
    var described: [(name: String, value: Any)] { [("nonFinite policy", nonFinite)] }
}
