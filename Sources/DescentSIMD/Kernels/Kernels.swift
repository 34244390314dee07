/// The arithmetic of blocks, in plain Swift: a file for each operation.
///
/// Element-wise kernels are plain loops, which the compiler vectorizes. Reductions name their lanes, so that the
/// order of additions is part of the program.
enum Kernels {}
