import DescentCore

extension ParameterSelection {
    /// How the names of the parameters begin.
    ///
    /// - Throws: `DescentError` with code `invalidDocument` if something else tells them.
    func prefix(of stage: String) throws(DescentError) -> String {
        guard let prefix else {
            throw DescentError(
                .invalidDocument, stage: stage,
                "parameters that a closure chooses cannot be written down; choose them by a prefix")
        }
        return prefix
    }
}
