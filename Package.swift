// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "swift-descent",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
    products: [
        .library(name: "Descent", targets: ["Descent"]),
        .library(name: "DescentCore", targets: ["DescentCore"]),
        .library(name: "DescentTransforms", targets: ["DescentTransforms"]),
        .library(name: "DescentOptimizers", targets: ["DescentOptimizers"]),
        .library(name: "DescentSIMD", targets: ["DescentSIMD"]),
    ],
    targets: [
        .target(name: "DescentCore"),
        .target(name: "DescentTransforms", dependencies: ["DescentCore"]),
        .target(name: "DescentOptimizers", dependencies: ["DescentCore"]),
        .target(name: "DescentSIMD", dependencies: ["DescentCore"]),
        .target(
            name: "Descent",
            dependencies: ["DescentCore", "DescentTransforms", "DescentOptimizers", "DescentSIMD"]
        ),
        .executableTarget(name: "digits", dependencies: ["Descent"], resources: [.copy("Resources")]),
        .testTarget(
            name: "DescentTests", dependencies: ["Descent", "DescentCore", "DescentTransforms"],
            resources: [.copy("Fixtures")]),
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
