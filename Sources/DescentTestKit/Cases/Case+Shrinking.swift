extension Case {
    /// Cases that are a little smaller or easier to read, those that shrink most first.
    ///
    /// Tensors stay, because a stage may insist on their names; what they hold gets less.
    var smaller: [Case] {
        var cases: [Case] = []
        func add(_ change: (inout Case) -> Void) {
            var other = self
            change(&other)
            cases.append(other)
        }
        for fewer in Set([1, steps / 2, steps - 1]).sorted() where fewer >= 1 && fewer < steps {
            add { $0.steps = fewer }
        }
        for index in tensors.indices where tensors[index].shape != [0] {
            add { $0.tensors[index].shape = [0] }
        }
        for index in tensors.indices {
            for shape in Self.smallerShapes(tensors[index].shape) { add { $0.tensors[index].shape = shape } }
        }
        for numbers in numbers.simpler { add { $0.numbers = numbers } }
        return cases
    }

    private static func smallerShapes(_ shape: [Int]) -> [[Int]] {
        var shapes: [[Int]] = []
        for dimension in shape.indices {
            let extent = shape[dimension]
            for smaller in Set([1, extent / 2, extent - 1]).sorted() where smaller >= 1 && smaller < extent {
                var changed = shape
                changed[dimension] = smaller
                shapes.append(changed)
            }
            if extent == 1 {
                var changed = shape
                changed.remove(at: dimension)
                shapes.append(changed)
            }
        }
        return shapes
    }

    /// The smallest case that can be reached from this one while something still holds.
    ///
    /// - Parameters:
    ///   - limit: How many cases to try at most.
    ///   - holds: Gives something for a case for which it holds.
    /// - Returns: The case, with what was given for it; nil if it does not even hold for this one.
    func smallest<Finding>(limit: Int = 200, where holds: (Case) -> Finding?) -> (Case, Finding)? {
        guard let finding = holds(self) else { return nil }
        var best = (self, finding)
        var tried = 0
        search: while true {
            for other in best.0.smaller {
                tried += 1
                if tried > limit { break search }
                guard let finding = holds(other) else { continue }
                best = (other, finding)
                continue search
            }
            break
        }
        return best
    }
}
