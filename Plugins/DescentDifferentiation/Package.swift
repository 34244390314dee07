// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "DescentDifferentiation",
    platforms: [.macOS(.v15), .iOS(.v18), .tvOS(.v18), .watchOS(.v11), .visionOS(.v2)],
    products: [
        .library(name: "DescentDifferentiation", targets: ["DescentDifferentiation"])
    ],
    dependencies: [
        // The name is needed: without it a clone in a folder of another name would not be found.
        .package(name: "swift-descent", path: "../..")
    ],
    targets: [
        .target(
            name: "DescentDifferentiation",
            dependencies: [
                .product(name: "DescentCore", package: "swift-descent"),
                .product(name: "DescentSIMD", package: "swift-descent"),
            ]),
        .executableTarget(
            name: "descent-fit",
            dependencies: ["DescentDifferentiation", .product(name: "Descent", package: "swift-descent")]),
        .testTarget(
            name: "DescentDifferentiationTests",
            dependencies: [
                "DescentDifferentiation", "descent-fit", .product(name: "Descent", package: "swift-descent"),
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
