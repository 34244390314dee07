/// The arithmetic of blocks in plain Swift, which kernels are held against.
///
/// Reductions name their lanes, so that the order of additions is part of the program.
enum ReferenceKernels {}

/// Sixteen floats side by side.
typealias Lanes = SIMD16<Float>
