import ExampleSupport

/// Runs that are meant to be killed, and runs that are meant to last.
@main struct Program {
    private static let command = Command(
        "endurance",
        usage: """
            usage: endurance train folder microBatches
                   endurance soak [steps]

            train   trains, going on from the checkpoint in the folder; it can be killed at any moment
            soak    checks that memory does not grow, over 1,000,000 steps unless another number is given
            """)

    static func main() {
        command.run { arguments, console in
            switch arguments.next() {
            case "train":
                guard let folder = try arguments.nextPath(), let count = arguments.next() else {
                    throw BadArgument("train needs a folder and a number of micro-batches")
                }
                let microBatches: Int = try arguments.number(count, of: "microBatches", "a whole number from 1") {
                    $0 >= 1
                }
                try arguments.end()
                try TrainingRun(folder: folder).train(microBatches: microBatches, console)
                return 0
            case "soak":
                let count = arguments.next() ?? "1000000"
                let steps: Int = try arguments.number(count, of: "steps", "a whole number from 10") { $0 >= 10 }
                try arguments.end()
                return try Soak(steps: steps).run(console) ? 0 : 1
            case let word?: throw BadArgument("there is nothing called \"\(word)\"; there are train and soak")
            case nil: throw BadArgument("train or soak is needed")
            }
        }
    }
}
