// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "descent-muon",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "DescentMuon", targets: ["DescentMuon"])
    ],
    dependencies: [
        .package(name: "swift-descent", path: "../..")
    ],
    targets: [
        .target(
            name: "DescentMuon",
            dependencies: [
                .target(name: "CBLAS", condition: .when(platforms: [.linux])),
                .product(name: "DescentCore", package: "swift-descent"),
            ]),
        .executableTarget(
            name: "digits-muon",
            dependencies: [
                "DescentMuon", .product(name: "Descent", package: "swift-descent"),
                .product(name: "DigitsModel", package: "swift-descent"),
            ]),
        .executableTarget(
            name: "muon-bench",
            dependencies: [
                "DescentMuon", .product(name: "Descent", package: "swift-descent"),
                .product(name: "DigitsModel", package: "swift-descent"),
            ]),
        .testTarget(
            name: "DescentMuonTests",
            dependencies: [
                "DescentMuon", .product(name: "Descent", package: "swift-descent"),
                .product(name: "DescentTestKit", package: "swift-descent"),
                .product(name: "DigitsModel", package: "swift-descent"),
            ],
            resources: [.copy("Fixtures")]),
    ],
    swiftLanguageModes: [.v6]
)

// Apple's systems have a BLAS of their own, Accelerate.
#if os(Linux)
    package.targets.append(
        .systemLibrary(name: "CBLAS", pkgConfig: "openblas", providers: [.apt(["libopenblas-dev"])]))
#endif

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]
}
