import DescentMuon

@main
struct Program {
    static func main() {
        let n = 1024
        let count = NewtonSchulz.scratchCount(rows: n, columns: n)
        let m = UnsafeMutableBufferPointer<Float>.allocate(capacity: n * n)
        let keep = UnsafeMutableBufferPointer<Float>.allocate(capacity: n * n)
        let s = UnsafeMutableBufferPointer<Float>.allocate(capacity: count)
        var g = SystemRandomNumberGenerator()
        for i in keep.indices { keep[i] = Float.random(in: -1...1, using: &g) }
        s.initialize(repeating: 0)
        let ns = NewtonSchulz()
        let p = MatrixProducts(rows: n, columns: n)
        let x = keep.baseAddress!
        for _ in 0..<4 {
            var best = (Double.infinity, Double.infinity)
            for _ in 0..<10 {
                _ = m.update(from: keep)
                var t = ContinuousClock().measure { ns.orthogonalize(m, rows: n, columns: n, scratch: s) }
                best.0 = min(best.0, t / .milliseconds(1))
                t = ContinuousClock().measure {
                    for _ in 0..<5 {
                        p.formGram(of: x, into: s.baseAddress!)
                        p.add(squareOf: x, times: 1, to: s.baseAddress! + n * n, times: 0.5)
                        p.multiply(x, by: s.baseAddress!, times: 1, into: s.baseAddress! + 2 * n * n)
                    }
                }
                best.1 = min(best.1, t / .milliseconds(1))
            }
            print(best, best.0 / best.1, 20480 / (best.1 * 1e6 / Double(n * n)))
        }
    }
}
