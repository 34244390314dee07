/// Runs that are meant to be killed, and runs that are meant to last.
@main struct Program {
    static func main() throws {
        let arguments = Array(CommandLine.arguments.dropFirst())
        switch (arguments.first, arguments.count) {
        case ("train", 3):
            guard let microBatches = Int(arguments[2]) else { break }
            return try TrainingRun(folder: arguments[1]).train(microBatches: microBatches)
        case ("soak", 1...2):
            guard let steps = Int(arguments.count == 2 ? arguments[1] : "1000000"), steps >= 10 else { break }
            return try Soak(steps: steps).run()
        default: break
        }
        print(
            """
            usage: endurance train folder microBatches   trains, going on from the checkpoint in the folder
                   endurance soak [steps]                checks that memory does not grow (1,000,000 steps)
            """)
    }
}
