package import SeededNumbers

/// Something that draws numbers from a seed.
package protocol RandomChoices {
    var generator: SeededGenerator { get set }
}

extension RandomChoices {
    package mutating func number(_ range: ClosedRange<Int>) -> Int { Int.random(in: range, using: &generator) }

    package mutating func number(_ range: ClosedRange<Float>) -> Float { Float.random(in: range, using: &generator) }

    /// Whether something that happens once in so many times happens now.
    package mutating func isLucky(oneIn count: Int) -> Bool { number(1...count) == 1 }

    package mutating func element<Element>(_ elements: [Element]) -> Element {
        elements[number(0...elements.count - 1)]
    }

    package mutating func byte() -> UInt8 { UInt8.random(in: 0...255, using: &generator) }
}
