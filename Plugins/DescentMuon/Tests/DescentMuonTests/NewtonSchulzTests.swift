import DescentMuon
import SeededNumbers
import Testing

@Suite struct NewtonSchulzTests {
    /// Random elements, row by row.
    private func randomElements(_ count: Int, seed: UInt64 = 1) -> [Float] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in generator.normal() }
    }

    /// Orthogonalizes with scratch memory that holds NaN, and is only as large as it has to be.
    private func orthogonalized(
        _ elements: [Float], _ rows: Int, _ columns: Int, by iteration: NewtonSchulz = NewtonSchulz(),
        times scale: Float = 1
    ) -> [Float] {
        var elements = elements
        var scratch = [Float](repeating: .nan, count: NewtonSchulz.scratchCount(rows: rows, columns: columns))
        elements.withUnsafeMutableBufferPointer { elements in
            scratch.withUnsafeMutableBufferPointer { scratch in
                iteration.orthogonalize(elements, rows: rows, columns: columns, times: scale, scratch: scratch)
            }
        }
        return elements
    }

    private func rows(_ elements: [Float], of columns: Int) -> PlainNewtonSchulz.Matrix {
        stride(from: 0, to: elements.count, by: columns).map { elements[$0..<$0 + columns].map(Double.init) }
    }

    private func largestDifference(_ elements: [Float], _ expected: PlainNewtonSchulz.Matrix) -> Double {
        zip(elements, expected.joined()).map { abs(Double($0) - $1) }.max() ?? 0
    }

    @Test(arguments: [
        (1, 1), (1, 7), (7, 1), (2, 3), (6, 9), (12, 4), (7, 7), (15, 16), (16, 16), (17, 33), (33, 17), (48, 48),
        (70, 50), (50, 130), (100, 3), (3, 100),
    ]) func `does what the formula says, of every shape`(_ rowCount: Int, _ columnCount: Int) {
        let elements = randomElements(rowCount * columnCount, seed: UInt64(rowCount * 1_000 + columnCount))
        for iterations in [1, 2, 5] {
            let iteration = NewtonSchulz(iterations: iterations)
            let expected = PlainNewtonSchulz.orthogonalized(rows(elements, of: columnCount), by: iteration, times: 1.5)
            let found = orthogonalized(elements, rowCount, columnCount, by: iteration, times: 1.5)
            #expect(found.count == elements.count)
            #expect(largestDifference(found, expected) < 2e-5, "\(iterations) iterations")
        }
    }

    @Test func `other coefficients lead to an orthogonal matrix`() {
        // The classical iteration, of the third degree, converges to 1.
        let iteration = NewtonSchulz(iterations: 40, linear: 1.5, cubic: -0.5, quintic: 0)
        let found = rows(orthogonalized(randomElements(20 * 30), 20, 30, by: iteration), of: 30)
        let gram = PlainNewtonSchulz.product(found, PlainNewtonSchulz.transposed(found))
        for row in gram.indices {
            for column in gram.indices { #expect(abs(gram[row][column] - (row == column ? 1 : 0)) < 1e-5) }
        }
    }

    @Test func `singular values come near 1`() {
        // Of a diagonal matrix they are its elements.
        let values: [Float] = [1, 0.7, 0.5, 0.3, 0.1, 0.05]
        var elements = [Float](repeating: 0, count: 36)
        for (index, value) in values.enumerated() { elements[index * 7] = value }
        let found = orthogonalized(elements, 6, 6)
        for index in 0..<36 {
            #expect(index % 7 == 0 ? (0.65...1.25).contains(found[index]) : found[index] == 0)
        }
    }

    @Test(arguments: [(0, 0), (0, 5), (5, 0)]) func `an empty matrix stays empty`(_ rows: Int, _ columns: Int) {
        #expect(orthogonalized([], rows, columns).isEmpty)
    }

    @Test(arguments: [Float(0), 1e-8]) func `a matrix of zeros stays one`(_ epsilon: Float) {
        let zeros = [Float](repeating: 0, count: 4 * 6)
        #expect(orthogonalized(zeros, 4, 6, by: NewtonSchulz(epsilon: epsilon)) == zeros)
        #expect(orthogonalized(zeros, 6, 4, by: NewtonSchulz(epsilon: epsilon)) == zeros)
    }

    @Test func `rows of zeros stay`() {
        var elements = randomElements(5 * 9)
        for column in 0..<9 { elements[2 * 9 + column] = 0 }
        let found = orthogonalized(elements, 5, 9)
        #expect(found[2 * 9..<3 * 9].allSatisfy { $0 == 0 })
        #expect(found[0] != 0)
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func `an element that is not finite makes all NaN`(_ element: Float) {
        for index in [0, 17, 23] {
            var elements = randomElements(4 * 6)
            elements[index] = element
            #expect(orthogonalized(elements, 4, 6).allSatisfy { $0.isNaN })
            #expect(orthogonalized(elements, 6, 4).allSatisfy { $0.isNaN })
        }
    }

    @Test(arguments: [Float(0x1p-126), 0x1p-60, 0x1p60, 0x1p120])
    func `the size of the elements makes no difference`(_ size: Float) {
        let elements = randomElements(8 * 12)
        let iteration = NewtonSchulz(epsilon: 0)
        let found = orthogonalized(elements.map { $0 * size }, 8, 12, by: iteration)
        #expect(
            zip(found, orthogonalized(elements, 8, 12, by: iteration)).allSatisfy { abs($0 - $1) < 1e-5 })
    }

    @Test func `a matrix that is small beside epsilon stays small`() {
        let found = orthogonalized(randomElements(8 * 12).map { $0 * 1e-20 }, 8, 12)
        #expect(found.allSatisfy { abs($0) < 1e-8 && $0 != 0 })
    }

    @Test func `the same matrix gives the same bits`() {
        let elements = randomElements(200 * 300)
        let first = orthogonalized(elements, 200, 300)
        for _ in 0..<5 { #expect(orthogonalized(elements, 200, 300) == first) }
    }
}
