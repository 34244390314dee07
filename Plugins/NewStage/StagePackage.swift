/// The files of a new package.
struct StagePackage {
    let stage: StageName
    let dependency: DescentDependency

    /// Paths within the package, with what the files hold.
    var files: [(path: String, text: String)] {
        [
            ("Package.swift", manifest),
            ("Sources/\(stage.module)/\(stage.type).swift", transform),
            ("Tests/\(stage.module)Tests/\(stage.type)Tests.swift", tests),
            ("README.md", readme),
            (".gitignore", ".build\nPackage.resolved\n"),
        ]
    }

    private var manifest: String {
        """
        // swift-tools-version: 6.2
        import PackageDescription

        let package = Package(
            name: "\(stage.type)",
            platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
            products: [.library(name: "\(stage.module)", targets: ["\(stage.module)"])],
            dependencies: [\(dependency.declaration)],
            targets: [
                .target(
                    name: "\(stage.module)",
                    dependencies: [.product(name: "DescentCore", package: "\(dependency.identity)")]),
                .testTarget(
                    name: "\(stage.module)Tests",
                    dependencies: [
                        "\(stage.module)",
                        .product(name: "Descent", package: "\(dependency.identity)"),
                        .product(name: "DescentTestKit", package: "\(dependency.identity)"),
                    ]),
            ],
            swiftLanguageModes: [.v6]
        )

        for target in package.targets {
            target.swiftSettings = [
                .enableUpcomingFeature("ExistentialAny"),
                .enableUpcomingFeature("MemberImportVisibility"),
                .enableUpcomingFeature("InternalImportsByDefault"),
            ]
        }

        """
    }

    private var transform: String {
        """
        public import DescentCore

        /// Bends large elements of gradients towards a limit: g * limit / (limit + |g|).
        ///
        /// Zero stays zero, an infinity becomes NaN, NaN stays NaN.
        public struct \(stage.type): GradientTransform {
            /// What magnitudes stay below.
            public let limit: Float

            /// Bends gradients.
            ///
            /// - Parameter limit: What magnitudes stay below, finite and above 0.
            public init(limit: Float) { self.limit = limit }

            // The limit is in units of the true gradient, so a chain is refused where this stands in front of `Unscale`.
            public var order: StageOrder { .trueGradients }

            public mutating func configure(for layout: ParameterLayout) throws(DescentError) {
                try DescentError.requirePositive(limit, "limit", of: name)
            }

            public func transform(_ block: inout some GradientBlock) {
                block.transformEach { $0 *= limit / (limit + $0.magnitude) }
            }
        }

        """
    }

    private var tests: String {
        """
        import Descent
        import DescentTestKit
        import \(stage.module)
        import Testing

        @Suite struct \(stage.type)Tests {
            @Test func `the engine can rely on it`() { verify(\(stage.type)(limit: 0.5)) }

            @Test func `elements are bent towards the limit`() throws {
                let layout = try ParameterLayout([ParameterDescription("weight", shape: [3])])
                var gradients = try TensorSet(["weight": [0, 2, -6]], layout: layout)
                var chain = try Chain(for: layout) { \(stage.type)(limit: 2) }
                #expect(try chain.transform(&gradients).isApplied)
                #expect(gradients["weight"] == [0, 1, -1.5])
            }

            @Test func `a chain is refused where gradients are still multiplied by a loss scale`() throws {
                let layout = try ParameterLayout([ParameterDescription("weight", shape: [3])])
                #expect(throws: DescentError.self) {
                    try Chain(for: layout) {
                        \(stage.type)(limit: 2)
                        Unscale()
                    }
                }
            }

            @Test(arguments: [0, -1, .nan, .infinity] as [Float]) func `a limit that makes no sense is refused`(
                _ limit: Float
            ) throws {
                let layout = try ParameterLayout([ParameterDescription("weight", shape: [3])])
                #expect(throws: DescentError.self) { try Chain(for: layout) { \(stage.type)(limit: limit) } }
            }
        }

        """
    }

    private var readme: String {
        """
        # \(stage.type)

        A stage for gradient pipelines of \(dependency.mention): bends large elements towards a limit.

        ```swift
        import Descent
        import \(stage.module)

        var optimizer = try Pipeline(for: parameters) {
            \(stage.type)(limit: 1)
        } driving: {
            AdamW()
        }
        ```

        The manifest of the package that uses it names this one, and its module:

        ```swift
        .package(path: "path/to/\(stage.type)"),                              // in dependencies
        .product(name: "\(stage.module)", package: "\(stage.type)"),  // in the target's dependencies
        ```

        `swift test` checks it with `DescentTestKit`: what the engine relies on, in all shapes, block sizes and numbers of
        threads. The guide "Writing a stage" in Descent's documentation says how stages are written.

        """
    }
}
