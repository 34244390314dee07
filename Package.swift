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
        .library(name: "DescentTestKit", targets: ["DescentTestKit"]),
        .library(name: "AllocationCounter", targets: ["AllocationCounter"]),
        .plugin(name: "NewStage", targets: ["NewStage"]),
        .library(name: "DigitsModel", targets: ["DigitsModel"]),
    ],
    targets: [
        .target(name: "CDescentMath"),
        .target(name: "DescentErrors"),
        .target(name: "DescentCore", dependencies: ["CDescentMath", "DescentErrors"]),
        .target(name: "DescentTransforms", dependencies: ["DescentCore"]),
        .target(name: "DescentOptimizers", dependencies: ["DescentCore"]),
        .target(name: "CDescentKernels"),
        .target(name: "DescentSIMD", dependencies: ["DescentCore", "CDescentKernels"]),
        .target(name: "DescentJSON", dependencies: ["DescentErrors"]),
        .target(name: "DescentSafetensors", dependencies: ["DescentCore", "DescentErrors", "DescentJSON"]),
        .target(name: "DescentCheckpoints", dependencies: ["DescentCore", "DescentJSON", "DescentSafetensors"]),
        .target(
            name: "DescentDescriptions",
            dependencies: ["DescentCore", "DescentJSON", "DescentOptimizers", "DescentTransforms"]),
        .target(
            name: "Descent",
            dependencies: [
                "DescentCore", "DescentTransforms", "DescentOptimizers", "DescentSIMD", "DescentSafetensors",
                "DescentCheckpoints", "DescentDescriptions",
            ]
        ),
        .executableTarget(name: "adding", dependencies: ["Descent"]),
        .executableTarget(name: "descent-bench", dependencies: ["Descent"]),
        .target(name: "DigitsModel", dependencies: ["Descent"], resources: [.copy("Resources")]),
        .executableTarget(name: "digits", dependencies: ["Descent", "DigitsModel"]),
        .executableTarget(
            name: "endurance", dependencies: ["Descent", "AllocationCounter"], path: "Tests/Endurance"),
        .executableTarget(name: "replay", dependencies: ["Descent", "DescentJSON", "DescentSafetensors"]),
        .target(name: "AllocationCounter"),
        .target(name: "CAllocationProbe"),
        .target(
            name: "DescentTestKit",
            dependencies: [
                "DescentCore", "DescentOptimizers", "DescentSIMD", "DescentTransforms", "CAllocationProbe",
            ]
        ),
        .plugin(
            name: "NewStage",
            capability: .command(
                intent: .custom(verb: "new-stage", description: "Makes a package with a stage for gradient pipelines."),
                permissions: [.writeToPackageDirectory(reason: "The new package is written to a folder in it.")])
        ),
        .testTarget(
            name: "DescentTests",
            dependencies: [
                "Descent", "DescentCore", "DescentTransforms", "DescentJSON", "DescentSafetensors", "DescentTestKit",
                "AllocationCounter", "endurance",
            ],
            resources: [.copy("Fixtures")]),
    ],
    swiftLanguageModes: [.v6]
)

let targetsInC = ["AllocationCounter", "CAllocationProbe", "CDescentKernels", "CDescentMath"]
for target in package.targets where target.type != .plugin && !targetsInC.contains(target.name) {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]
}
