extension JSON {
    /// Values by name, in order.
    public struct Object: Sendable, Hashable, RandomAccessCollection {
        /// The names of the members, in order.
        public private(set) var keys: [String] = []
        /// The values of the members, in order.
        public private(set) var values: [JSON] = []
        private var positions: [String: Int] = [:]

        /// An object without members.
        public init() {}

        /// The position of the first member, 0.
        public var startIndex: Int { 0 }
        /// The number of members.
        public var endIndex: Int { keys.count }
        /// The member at a position.
        public subscript(position: Int) -> (key: String, value: JSON) { (keys[position], values[position]) }

        /// The value of a name; a new one goes to the end, and nil removes the member.
        ///
        /// - Complexity: O(1); O(n) to remove a member.
        public subscript(key: String) -> JSON? {
            get { positions[key].map { values[$0] } }
            set {
                switch (positions[key], newValue) {
                case (let position?, let value?): values[position] = value
                case (nil, let value?):
                    positions[key] = keys.count
                    keys.append(key)
                    values.append(value)
                case (let position?, nil):
                    keys.remove(at: position)
                    values.remove(at: position)
                    positions = Dictionary(uniqueKeysWithValues: zip(keys, keys.indices))
                case (nil, nil): break
                }
            }
        }
    }
}
