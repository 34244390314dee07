// swift-tools-version: 6.2
import PackageDescription

let package = Package(
    name: "descent-mpi",
    platforms: [.macOS(.v15)],
    products: [
        .library(name: "DescentMPI", targets: ["DescentMPI"])
    ],
    dependencies: [
        .package(name: "swift-descent", path: "../..")
    ],
    targets: [
        .systemLibrary(
            name: "CMPI", pkgConfig: "ompi-c",
            providers: [.apt(["libopenmpi-dev", "openmpi-bin"]), .brew(["open-mpi"])]),
        .target(
            name: "DescentMPI",
            dependencies: [
                "CMPI", .product(name: "DescentCore", package: "swift-descent"),
                .product(name: "DescentDistributed", package: "swift-descent"),
            ]),
        .executableTarget(
            name: "digits-mpi",
            dependencies: [
                "DescentMPI", .product(name: "Descent", package: "swift-descent"),
                .product(name: "DescentDistributed", package: "swift-descent"),
                .product(name: "DigitsModel", package: "swift-descent"),
            ]),
        .executableTarget(
            name: "overlap-mpi",
            dependencies: [
                "DescentMPI", .product(name: "Descent", package: "swift-descent"),
                .product(name: "DescentDistributed", package: "swift-descent"),
            ]),
        .executableTarget(
            name: "mpi-scenarios",
            dependencies: [
                "DescentMPI", .product(name: "DescentDistributed", package: "swift-descent"),
                .product(name: "DescentTestKit", package: "swift-descent"),
                .product(name: "DistributedScenarios", package: "swift-descent"),
            ],
            path: "Tests/Scenarios"),
        .testTarget(
            name: "DescentMPITests",
            dependencies: [
                "digits-mpi", "mpi-scenarios", .product(name: "DistributedScenarios", package: "swift-descent"),
            ]),
    ],
    swiftLanguageModes: [.v6]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("MemberImportVisibility"),
        .enableUpcomingFeature("InternalImportsByDefault"),
    ]
}
