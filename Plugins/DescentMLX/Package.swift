// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "DescentMLX",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .visionOS(.v2)],
    products: [
        .library(name: "DescentMLX", targets: ["DescentMLX"])
    ],
    dependencies: [
        // The name is needed: without it a clone in a folder of another name would not be found.
        .package(name: "swift-descent", path: "../.."),
        .package(url: "https://github.com/ml-explore/mlx-swift", from: "0.31.4"),
    ],
    targets: [
        .target(
            name: "DescentMLX",
            dependencies: [
                .product(name: "DescentCheckpoints", package: "swift-descent"),
                .product(name: "DescentCore", package: "swift-descent"),
                .product(name: "DescentSIMD", package: "swift-descent"),
                .product(name: "MLX", package: "mlx-swift"),
                .product(name: "MLXNN", package: "mlx-swift"),
                .product(name: "MLXOptimizers", package: "mlx-swift"),
            ]),
        .executableTarget(
            name: "digits-mlx",
            dependencies: [
                "DescentMLX", .product(name: "Descent", package: "swift-descent"),
                .product(name: "DigitsModel", package: "swift-descent"),
                .product(name: "MLX", package: "mlx-swift"),
                .product(name: "MLXNN", package: "mlx-swift"),
                .product(name: "MLXOptimizers", package: "mlx-swift"),
            ]),
        .testTarget(
            name: "DescentMLXTests",
            dependencies: [
                "DescentMLX", .product(name: "Descent", package: "swift-descent"),
                .product(name: "MLX", package: "mlx-swift"),
                .product(name: "MLXNN", package: "mlx-swift"),
                .product(name: "MLXOptimizers", package: "mlx-swift"),
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
