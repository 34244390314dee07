/// The name of a stage, fit to be that of a type.
struct StageName {
    /// The transform's type: `GradientNoise`.
    let type: String
    /// The module, which is not called like the type in it: `GradientNoiseStage`.
    var module: String { "\(type)Stage" }

    /// What a type with such a name would hide from the code around it.
    private static let taken: Set<String> = [
        "Any", "Array", "Double", "Error", "Float", "GradientScaling", "GradientTransform", "Int", "Never", "Optional",
        "ParameterLayout", "Protocol", "Result", "Self", "Set", "String", "Type",
    ]

    /// Takes a name as it was typed.
    ///
    /// - Throws: ``Refusal`` that proposes one that would do.
    init(_ name: String) throws {
        let words = name.split { !($0.isASCII && ($0.isLetter || $0.isNumber)) }
        let proposal = words.map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
        let isUsual = proposal.first?.isLetter == true && !Self.taken.contains(proposal)
        guard name == proposal, isUsual else {
            throw Refusal(
                "\"\(name)\" cannot be the name of a stage: it has to be that of a Swift type, in ASCII letters and digits, "
                    + "with a capital first, and not one that is taken."
                    + (isUsual ? " What about \(proposal)?" : " GradientNoise would do."))
        }
        type = name
    }
}
