/// Says what is wrong with how the program was called.
package struct BadArgument: Error, CustomStringConvertible {
    package let description: String

    /// Makes an error of a reason.
    package init(_ description: String) { self.description = description }
}
