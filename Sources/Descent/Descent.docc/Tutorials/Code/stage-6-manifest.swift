// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "try",
    platforms: [.macOS(.v15)],
    dependencies: [
        .package(name: "swift-descent", path: "../swift-descent"),
        .package(name: "ClipSpikes", path: "../swift-descent/Plugins/ClipSpikes"),
    ],
    targets: [
        .executableTarget(
            name: "try",
            dependencies: [
                .product(name: "Descent", package: "swift-descent"),
                .product(name: "ClipSpikesStage", package: "ClipSpikes"),
            ])
    ]
)
