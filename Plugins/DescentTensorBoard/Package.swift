// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "DescentTensorBoard",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
    products: [
        .library(name: "DescentTensorBoard", targets: ["DescentTensorBoard"])
    ],
    dependencies: [
        // The name is needed: without it a clone in a folder of another name would not be found.
        .package(name: "swift-descent", path: "../.."),
        .package(url: "https://github.com/apple/swift-protobuf", from: "1.39.0", traits: []),
    ],
    targets: [
        .target(
            name: "DescentTensorBoard",
            dependencies: [
                .product(name: "DescentCore", package: "swift-descent"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
            exclude: ["Messages/events.proto"]),
        .executableTarget(
            name: "descent-record",
            dependencies: ["DescentTensorBoard", .product(name: "Descent", package: "swift-descent")]),
        .testTarget(
            name: "DescentTensorBoardTests",
            dependencies: [
                "DescentTensorBoard", "descent-record",
                .product(name: "Descent", package: "swift-descent"),
                .product(name: "SwiftProtobuf", package: "swift-protobuf"),
            ],
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
