// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "swift-descent",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
    products: [
        .library(name: "Descent", targets: ["Descent"]),
        .library(name: "DescentCore", targets: ["DescentCore"]),
        .library(name: "DescentErrors", targets: ["DescentErrors"]),
        .library(name: "DescentTransforms", targets: ["DescentTransforms"]),
        .library(name: "DescentOptimizers", targets: ["DescentOptimizers"]),
        .library(name: "DescentSIMD", targets: ["DescentSIMD"]),
        .library(name: "DescentSafetensors", targets: ["DescentSafetensors"]),
        .library(name: "DescentCheckpoints", targets: ["DescentCheckpoints"]),
        .library(name: "DescentDescriptions", targets: ["DescentDescriptions"]),
        .library(name: "DescentDistributed", targets: ["DescentDistributed"]),
        .library(name: "DescentTestKit", targets: ["DescentTestKit"]),
        .plugin(name: "NewStage", targets: ["NewStage"]),
        // For examples, tests and benchmarks of packages under Plugins alone: a package sees no more of another one than
        // its products.
        .library(name: "DigitsModel", targets: ["DigitsModel", "SeededNumbers"]),
        .library(name: "DistributedScenarios", targets: ["DistributedScenarios"]),
    ],
    targets: [
        .target(name: "CDescentMath"),
        .target(name: "DescentErrors"),
        .target(name: "DescentCore", dependencies: ["CDescentMath", "DescentErrors"]),
        .target(name: "DescentTransforms", dependencies: ["DescentCore"]),
        .target(name: "DescentOptimizers", dependencies: ["DescentCore", "DescentTransforms"]),
        .target(name: "CDescentKernels"),
        .target(name: "DescentSIMD", dependencies: ["DescentCore", "CDescentKernels"]),
        .target(name: "DescentJSON", dependencies: ["DescentErrors"]),
        .target(name: "DescentSafetensors", dependencies: ["DescentCore", "DescentErrors", "DescentJSON"]),
        .target(name: "DescentCheckpoints", dependencies: ["DescentCore", "DescentJSON", "DescentSafetensors"]),
        .target(
            name: "DescentDescriptions",
            dependencies: [
                "DescentCheckpoints", "DescentCore", "DescentJSON", "DescentOptimizers", "DescentTransforms",
            ]),
        .target(
            name: "Descent",
            dependencies: [
                "DescentCore", "DescentTransforms", "DescentOptimizers", "DescentSIMD", "DescentSafetensors",
                "DescentCheckpoints", "DescentDescriptions",
            ]
        ),
        .target(name: "DescentDistributed", dependencies: ["DescentCore", "DescentErrors"]),
        .target(name: "AllocationCounter"),
        .target(name: "SeededNumbers"),
        .target(
            name: "DescentTestKit",
            dependencies: [
                "AllocationCounter", "DescentCore", "DescentDistributed", "DescentErrors", "DescentOptimizers",
                "DescentSIMD", "DescentTransforms", "SeededNumbers",
            ]),

        // Examples and benchmarks.
        .target(name: "ExampleSupport", path: "Sources/Examples/ExampleSupport"),
        .target(
            name: "DigitsModel", dependencies: ["Descent", "ExampleSupport", "SeededNumbers"],
            path: "Sources/Examples/DigitsModel", resources: [.copy("Resources")]),
        .target(
            name: "LanguageModel", dependencies: ["Descent", "ExampleSupport", "SeededNumbers"],
            path: "Sources/Examples/LanguageModel"),
        .executableTarget(
            name: "language-model", dependencies: ["Descent", "ExampleSupport", "LanguageModel"],
            path: "Sources/Examples/language-model"),
        .executableTarget(
            name: "adding", dependencies: ["Descent", "ExampleSupport", "SeededNumbers"],
            path: "Sources/Examples/adding"),
        .executableTarget(
            name: "digits", dependencies: ["Descent", "DigitsModel", "ExampleSupport", "SeededNumbers"],
            path: "Sources/Examples/digits"),
        .executableTarget(
            name: "replay", dependencies: ["Descent", "DescentJSON", "DescentSafetensors", "ExampleSupport"],
            path: "Sources/Examples/replay"),
        .executableTarget(
            name: "descent-bench",
            dependencies: ["Descent", "DescentDistributed", "DistributedScenarios", "ExampleSupport"],
            path: "Sources/Benchmarks/descent-bench"),
        .plugin(
            name: "NewStage",
            capability: .command(
                intent: .custom(verb: "new-stage", description: "Makes a package with a stage for gradient pipelines."),
                permissions: [
                    .writeToPackageDirectory(
                        reason: "The new package is written to a folder in it. With the permission, "
                            + "new-stage --help says how to call it")
                ])
        ),

        // Tests, by the module that they are about; what crosses modules is in DescentTests.
        .target(
            name: "TestSupport", dependencies: ["Descent", "DescentCore", "DescentJSON", "SeededNumbers"],
            path: "Tests/TestSupport"),
        .target(
            name: "DistributedScenarios", dependencies: ["Descent", "DescentDistributed", "SeededNumbers"],
            path: "Tests/DistributedScenarios"),
        .executableTarget(
            name: "endurance",
            dependencies: [
                "AllocationCounter", "Descent", "DescentDistributed", "DistributedScenarios", "ExampleSupport",
                "SeededNumbers",
            ],
            path: "Tests/Endurance"),
        .testTarget(
            name: "DescentCoreTests", dependencies: ["AllocationCounter", "Descent", "DescentCore", "TestSupport"]),
        .testTarget(name: "DescentTransformsTests", dependencies: ["Descent", "DescentTransforms", "TestSupport"]),
        .testTarget(name: "DescentOptimizersTests", dependencies: ["Descent", "DescentOptimizers", "TestSupport"]),
        .target(
            name: "KernelTrials", dependencies: ["CDescentKernels"], path: "Tests/KernelTrials", exclude: ["Program"]),
        .testTarget(
            name: "DescentSIMDTests",
            dependencies: ["CDescentKernels", "Descent", "DescentSIMD", "KernelTrials", "TestSupport"]),
        .testTarget(name: "DescentJSONTests", dependencies: ["Descent", "DescentJSON", "TestSupport"]),
        .testTarget(
            name: "DescentSafetensorsTests",
            dependencies: ["AllocationCounter", "Descent", "DescentSafetensors", "TestSupport"]),
        .testTarget(
            name: "DescentCheckpointsTests",
            dependencies: ["AllocationCounter", "Descent", "DescentCheckpoints", "DescentJSON", "TestSupport"],
            resources: [.copy("Fixtures")]),
        .testTarget(
            name: "DescentDescriptionsTests",
            dependencies: ["Descent", "DescentDescriptions", "DescentJSON", "TestSupport"]),
        .testTarget(
            name: "DescentDistributedTests",
            dependencies: ["Descent", "DescentDistributed", "DescentTestKit", "DistributedScenarios", "SeededNumbers"]),
        .testTarget(name: "DescentTestKitTests", dependencies: ["Descent", "DescentTestKit", "TestSupport"]),
        .testTarget(
            name: "LanguageModelTests",
            dependencies: ["Descent", "ExampleSupport", "LanguageModel", "SeededNumbers", "TestSupport"]),
        .testTarget(
            name: "DescentTests",
            dependencies: [
                "Descent", "DescentCore", "DescentDistributed", "DescentJSON", "DescentTestKit", "DigitsModel",
                "TestSupport", "adding", "descent-bench", "digits", "endurance", "language-model", "replay",
            ],
            resources: [.copy("Fixtures")]),
    ],
    swiftLanguageModes: [.v6]
)

let targetsInC = ["AllocationCounter", "CDescentKernels", "CDescentMath", "KernelTrials"]
for target in package.targets where target.type != .plugin && !targetsInC.contains(target.name) {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]
}
