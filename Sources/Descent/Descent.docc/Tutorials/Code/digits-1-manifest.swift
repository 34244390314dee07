// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "half",
    platforms: [.macOS(.v15)],
    dependencies: [.package(name: "swift-descent", path: "../swift-descent")],
    targets: [
        .executableTarget(
            name: "half",
            dependencies: [
                .product(name: "Descent", package: "swift-descent"),
                .product(name: "DigitsModel", package: "swift-descent"),
            ])
    ]
)
