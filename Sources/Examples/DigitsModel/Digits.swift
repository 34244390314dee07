import Foundation
import SeededNumbers

/// Images of handwritten digits, each with the digit that it shows.
public struct Digits {
    /// The number of pixels of an image: 8 by 8.
    public static let pixelCount = 64
    /// How many digits there are to tell apart.
    public static let digitCount = 10

    /// One image a row, its pixels from 0 to 1.
    public let images: Matrix
    /// The digit of each image.
    public let labels: [Int]

    /// The number of images.
    public var count: Int { labels.count }

    /// The images at some positions, in that order.
    public func selecting(_ positions: some Collection<Int>) -> Digits {
        let pixels = positions.flatMap { images.elements[images.range(ofRow: $0)] }
        return Digits(
            images: Matrix(positions.count, Self.pixelCount, pixels), labels: positions.map { labels[$0] })
    }

    /// Shuffles the images and puts some of them aside.
    public func split(heldOut: Int, seed: UInt64) -> (training: Digits, heldOut: Digits) {
        var generator = SeededGenerator(seed: seed)
        let positions = (0..<count).shuffled(using: &generator)
        return (selecting(positions.dropLast(heldOut)), selecting(positions.suffix(heldOut)))
    }

    /// Reads the file that comes with the program: an image a line, its pixels from 0 to 16, then the digit.
    ///
    /// - Throws: ``UnreadableDigits`` if the file is missing or a line of it is not like that.
    public static func load() throws -> Digits {
        guard let file = Bundle.module.url(forResource: "digits", withExtension: "csv", subdirectory: "Resources")
        else { throw UnreadableDigits("there is no Resources/digits.csv in \(Bundle.module.bundlePath)") }
        var pixels: [Float] = []
        var labels: [Int] = []
        let lines = try String(contentsOf: file, encoding: .utf8).split(whereSeparator: \.isNewline)
        for (index, line) in lines.enumerated() {
            let numbers = line.split(separator: ",").compactMap { Int($0) }
            guard numbers.count == pixelCount + 1, let label = numbers.last, (0..<digitCount).contains(label),
                numbers.dropLast().allSatisfy((0...16).contains)
            else {
                throw UnreadableDigits("line \(index + 1) of \(file.path) is not \(pixelCount) pixels and a digit")
            }
            pixels += numbers.dropLast().map { Float($0) / 16 }
            labels.append(label)
        }
        return Digits(images: Matrix(labels.count, pixelCount, pixels), labels: labels)
    }
}

/// Says why the images cannot be read.
public struct UnreadableDigits: Error, CustomStringConvertible {
    public let description: String

    /// Makes an error of a reason.
    init(_ description: String) { self.description = description }
}
