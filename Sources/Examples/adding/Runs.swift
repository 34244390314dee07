/// The trainings that the program compares.
struct Runs {
    /// AdamW behind a clip.
    let clipped: Run
    /// The same on quarters of a batch.
    let accumulated: Run
    /// AdamW alone.
    let unclipped: Run
    /// Gradient descent alone.
    let plain: Run

    /// All of them, in the order in which they are shown.
    var all: [Run] { [clipped, accumulated, unclipped, plain] }
}
