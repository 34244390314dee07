/// What a pipeline does about parameters that are stored in 16 bits, float16 or bfloat16.
///
/// Updates are mostly smaller than half of a 16-bit number's last place: rounded to nearest, they would change nothing, and
/// training would stand still. Parameters of float32 are trained as they are, whatever this says.
public enum LowPrecisionParameters: String, Sendable, Hashable, Codable, CaseIterable {
    /// They are refused with an error.
    case refuse
    /// The pipeline keeps a float32 master copy of each, which it trains, and writes it to the parameter, rounded to nearest.
    ///
    /// A parameter that is not its master rounded was changed by its owner, and is its own master from then on; so it is
    /// before the first step, too. Masters take 4 bytes an element and are part of the ``GradientPipeline/state``. As in
    /// Micikevicius et al., "Mixed precision training" (2018).
    case masterCopies
    /// They are updated in float32 and rounded back at random, up or down in proportion to the distance.
    ///
    /// On average no update is lost, and no memory is needed. Random bits depend on the number of applied steps and on the
    /// element's place alone, so that a resumed run has the same. As in Gupta et al., "Deep learning with limited numerical
    /// precision" (2015).
    case stochasticRounding
}
