@_exported public import DescentCheckpoints
@_exported public import DescentCore
@_exported public import DescentDescriptions
@_exported public import DescentOptimizers
@_exported public import DescentSIMD
@_exported public import DescentSafetensors
@_exported public import DescentTransforms

/// A chain of gradient transforms in front of an optimizer, over the default backend.
public typealias Pipeline = GradientPipeline<SIMDBackend>

/// A chain of gradient transforms alone, over the default backend.
public typealias Chain = GradientChain<SIMDBackend>
