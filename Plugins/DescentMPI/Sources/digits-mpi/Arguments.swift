import DescentCore

/// What the program is asked to do.
struct Arguments {
    static let usage = """
        Usage: mpirun -n COUNT digits-mpi [sharded] [float32|float16|bfloat16] [PATH [until BATCHES]]

        Trains a perceptron on handwritten digits on several ranks, each with its share of every batch.

          sharded                    has each rank keep the optimizer's state of some rows alone
          float32|float16|bfloat16   the type in which gradients and their sums move
          PATH                       where there is a checkpoint every 30 batches, from which training goes on
          until BATCHES              after how many batches to stop
          --help                     prints this
        """

    private(set) var isSharded = false
    private(set) var movingType: ElementType?
    private(set) var path: String?
    private(set) var last: Int?
    private(set) var wantsHelp = false

    /// Reads the arguments.
    init(_ arguments: some Sequence<String>) throws(Refusal) {
        var rest = Array(arguments)[...]
        while let argument = rest.popFirst() {
            switch argument {
            case "--help", "-h": wantsHelp = true
            case "sharded": isSharded = true
            case "until":
                guard let text = rest.popFirst(), let count = Int(text), count > 0 else {
                    throw Refusal(description: "until needs a number of batches behind it.")
                }
                last = count
            default:
                if let type = ElementType(rawValue: argument), ElementType.allCases.contains(type) {
                    movingType = type
                } else if path == nil, !argument.hasPrefix("-") {
                    path = argument
                } else {
                    throw Refusal(description: "\"\(argument)\" is no argument.")
                }
            }
        }
    }

    /// Why arguments are refused.
    struct Refusal: Error, CustomStringConvertible {
        let description: String
    }
}
