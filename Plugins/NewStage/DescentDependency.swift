import Foundation
import PackagePlugin

/// How the manifest of a new package names the package that this command comes from.
struct DescentDependency {
    private static let product = "DescentTestKit"

    /// The element of the manifest's `dependencies`.
    let declaration: String
    /// Descent as a README names it: a link, where it has an address.
    let mention: String
    /// What the package is called in `.product(name:package:)`.
    let identity: String

    /// Finds the package, which is the caller's own or one that it depends on.
    ///
    /// - Parameters:
    ///   - caller: The package that the command is called in.
    ///   - folder: Where the new package will be.
    /// - Throws: ``Refusal`` if the caller does not depend on it.
    init(of caller: Package, for folder: URL) throws {
        guard let package = Self.find(caller) else {
            throw Refusal("the package \(caller.displayName) does not depend on one with the product \(Self.product).")
        }
        switch package.origin {
        case .repository(let url, let version, _):
            identity = package.id
            mention = "[Descent](\(url))"
            let isVersion = version.wholeMatch(of: /\d+\.\d+\.\d+.*/) != nil
            let requirement =
                isVersion ? "from: \"\(version)\"" : try ResolvedPins(of: caller).requirement(of: package.id)
            declaration = ".package(url: \"\(url)\", \(requirement))"
        case .registry(let identity, let version):
            self.identity = identity
            mention = "Descent"
            declaration = ".package(id: \"\(identity)\", from: \"\(version)\")"
        case .root, .local:
            // Under this name whatever the folder of the checkout is called.
            identity = package.displayName
            mention = "Descent"
            let path = Self.path(to: package.directoryURL, from: folder)
            declaration = ".package(name: \"\(package.displayName)\", path: \"\(path)\")"
        @unknown default:
            throw Refusal("it is not known where the package \(package.displayName) comes from.")
        }
    }

    private static func find(_ package: Package) -> Package? {
        if package.products.contains(where: { $0.name == product }) { return package }
        return package.dependencies.lazy.compactMap { find($0.package) }.first
    }

    /// The path of a checkout: relative, so that it holds wherever both are moved together, unless they share no folder
    /// but the root of the file system.
    private static func path(to checkout: URL, from folder: URL) -> String {
        let (from, to) = (resolved(folder).pathComponents, resolved(checkout).pathComponents)
        let shared = zip(from, to).prefix { $0 == $1 }.count
        guard shared > 1 else { return checkout.standardizedFileURL.path }
        return (Array(repeating: "..", count: from.count - shared) + to[shared...]).joined(separator: "/")
    }

    /// A location without symbolic links, behind which `..` would lead elsewhere; it need not exist yet.
    private static func resolved(_ url: URL) -> URL {
        let url = url.standardizedFileURL
        if url.pathComponents.count < 2 || FileManager.default.fileExists(atPath: url.path) {
            return url.resolvingSymlinksInPath()
        }
        return resolved(url.deletingLastPathComponent()).appendingPathComponent(url.lastPathComponent)
    }
}
